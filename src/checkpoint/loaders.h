/* The loaders behind checkpoint_open and vocab_open: each fills what it is given and leaves errors
 * to the caller to clean up. */
#ifndef LOOKAT_CHECKPOINT_LOADERS_H
#define LOOKAT_CHECKPOINT_LOADERS_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/sniff.h"
#include "checkpoint/vocab.h"

typedef void (*warn_fn)(const char *msg); /* NULL: warnings are dropped */

/* model_files.c: notes a file with weights, of `most` at most. ERR_FAILED without memory. */
int checkpoint_add_file(struct checkpoint *c, const char *path, size_t most, struct err *e);

/* gguf_model.c: the GPT-2 model in a GGUF file, vocabulary included where it has one. Takes over
 * the map (c->file). */
int gguf_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e);
int gguf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* hf.c: files that name their tensors, with config.json beside them. `path` is of the kind
 * KIND_SAFETENSORS or KIND_TORCH, or, KIND_JSON, the index of several such files. Sets weights, not
 * the vocabulary. */
int hf_load_model(struct checkpoint *c, const char *path, enum file_kind kind, warn_fn warn,
                  struct err *e);

/* hf_vocab.c: a folder with vocab.json + merges.txt or tokenizer.json, or one of these files. */
int hf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* llmc.c: model v3 (f32), v5 (bf16); tokenizer v1, v2. */
int llmc_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e);
int llmc_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

#endif
