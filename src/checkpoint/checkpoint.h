/* Opening a model or a tokenizer of any format: looks at the first bytes and calls the loader. */
#ifndef LOOKAT_CHECKPOINT_CHECKPOINT_H
#define LOOKAT_CHECKPOINT_CHECKPOINT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/progress.h"
#include "checkpoint/weights.h"

struct checkpoint {
    const char *path;   /* as given */
    const char *format; /* "GGUF v3", "safetensors, 2 files", "PyTorch", "llm.c v5" */
    const char *name;   /* general.name, else the file's name without folder and ending */
    size_t file_bytes;  /* of all files with weights */
    const char **files; /* [n_files] their paths, in order */
    size_t n_files;
    struct gpt2_weights weights;
    struct vocab vocab; /* n = 0 where no tokenizer was found */
    struct file file;   /* the map the weights may point into */
    struct file *parts; /* [n_parts] the maps of further files of a split model */
    size_t n_parts;
    struct arena arena; /* everything else */
};

/* Opens the model at `path`: a GGUF file (of a split model the first one), a Hugging Face folder, a
 * .safetensors or PyTorch file or the .index.json of several (config.json and the tokenizer beside
 * it), an llm.c .bin (its tokenizer beside it: gpt2_tokenizer.bin or
 * tokenizer.bin). `tokenizer` (may be NULL) is a path that replaces the model's own tokenizer. A
 * model without a tokenizer is fine: vocab.n = 0. GGUF weights stay in the mapped file; the others
 * are converted in memory to [out][in] and keep their number type. Warnings go to `warn`, one
 * sentence a call (NULL: none). On an error nothing is left open. ERR_REFUSED for a file that is
 * something else or breaks a rule of its format. */
int checkpoint_open(struct checkpoint *c, const char *path, const char *tokenizer,
                    void (*warn)(const char *msg), struct err *e);
void checkpoint_close(struct checkpoint *c);

/* SHA-256 of the model's file, as 64 hex digits; of several files, one behind another. ERR_FAILED,
 * ERR_REFUSED where one cannot be read, ERR_INTERRUPTED after Ctrl-C. */
int checkpoint_sha256(const struct checkpoint *c, char hex[65], struct err *e);

/* Bytes of memory that the model takes, the maps of files that it points into not counted. */
size_t checkpoint_bytes(const struct checkpoint *c);

/* Reads only a tokenizer: a folder with vocab.json + merges.txt or tokenizer.json, one of these
 * files (merges.txt beside vocab.json), an llm.c tokenizer .bin, or a GGUF model. All memory comes
 * from the arena. */
int vocab_open(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* Counts the model at path, a file or folder, as read: no output may replace it or one of the files
 * that belong to it (config.json, vocab.json and so on), whether they are opened or not. To be
 * called before an output is checked. ERR_FAILED without memory. */
int checkpoint_claim(const char *path, struct err *e);

struct gguf_writer;

/* What a caller adds to a model's file and says about it, and whom it tells of the writing. */
struct gguf_extra {
    void (*add)(const void *ctx, struct gguf_writer *w); /* keys behind the model's; NULL: none */
    const void *ctx;
    const enum dtype *types; /* [gpt2_tensors] each matrix's own, in place of `type`; or NULL */
    const char *source;      /* the model's file, for messages; NULL: the new file is named */
    void (*warn)(const char *msg); /* NULL: warnings are dropped */
    struct progress progress;      /* hears after each tensor of bytes done and in all */
};

/* In place of a type: each matrix in the type it has. */
#define GGUF_SAME_TYPES DTYPE_COUNT

/* Writes the model as GGUF v3 with the matrices as `type`, one that can be written (of rows whose
 * length is no multiple of its block the type of dtype_for_rows), norms, biases and positions as
 * f32. A matrix with numbers beyond the range of its type stays f32. `extra` hears of both. extra
 * may be NULL. ERR_REFUSED, and nothing is written, where a weight is not finite; ERR_INTERRUPTED
 * after Ctrl-C. */
int gguf_write_model(const char *path, bool force, const struct gpt2_weights *w,
                     const struct vocab *v, const char *name, enum dtype type,
                     const struct gguf_extra *extra, struct err *e);

/* Fills a checkpoint with random float32 weights of this shape, as GPT-2 is initialised (normal,
 * 0.02; residual projections divided by sqrt(2L)), and no vocabulary. ERR_FAILED without memory,
 * ERR_INTERRUPTED after Ctrl-C. */
int checkpoint_random(struct checkpoint *c, const struct gpt2_config *config, uint64_t seed,
                      struct err *e);

#endif
