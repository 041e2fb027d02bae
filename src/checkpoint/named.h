/* Tensors that their files have names for. The readers of safetensors and of PyTorch's files fill
 * these structs, and hf.c makes a GPT-2 of them. A model may lie in several files: a set of them is
 * searched as one. */
#ifndef LOOKAT_CHECKPOINT_NAMED_H
#define LOOKAT_CHECKPOINT_NAMED_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "checkpoint/sniff.h"

enum { NAMED_MAX_RANK = 8, NAMED_MAX_NAME = 255, NAMED_MAX_TENSORS = 65536 };

struct named_tensor {
    const char *name; /* terminated; may hold zero bytes of its own */
    size_t name_len;
    const char *dtype; /* as spelled in the format: "F32" */
    int type;          /* enum dtype, or -1 where the engine does not compute with it */
    unsigned rank;
    uint64_t shape[NAMED_MAX_RANK]; /* slowest-varying first */
    const uint64_t *stride;         /* [rank] numbers from an element to the next one along each
                                       dimension; NULL: the last dimension is contiguous, no gaps */
    size_t begin, bytes;            /* in the data section; bytes of all its numbers */
    const uint8_t *data;            /* the first number, in the map, not aligned */
    const char *path;               /* of its file */
    size_t number;                  /* its place among the tensors of the set, from 0 on */
};

/* What a nanoGPT checkpoint says of its model in place of a config.json (its model_args);
 * UINT64_MAX where it does not say it. */
struct named_args {
    bool found;
    uint64_t n_layer, n_head, n_embd, n_ctx, n_vocab;
};

struct named_file {
    struct file file;
    struct arena arena;
    const char *format; /* "safetensors", "PyTorch", "PyTorch (before 1.6)" */
    size_t n;           /* tensors, in the order of the file's list of them */
    struct named_tensor *tensors;
    struct hash_index index; /* by name */
    struct named_args args;
};

void named_file_close(struct named_file *f);

/* Adds tensor f->n, whose name is set, to the index. ERR_REFUSED where there is one of this name.
 */
int named_file_add(struct named_file *f, struct err *e);

/* Room for n tensors and an index of them. ERR_FAILED without memory. */
int named_file_room(struct named_file *f, size_t n, struct err *e);

/* NULL where there is none. */
const struct named_tensor *named_file_find(const struct named_file *f, const char *name);

/* The files of one model. */
struct named_set {
    const char *path; /* of its only file, or of the index that names its files */
    struct named_file *files;
    size_t n_files;
    size_t n;     /* tensors in all files */
    size_t bytes; /* of all files */
    struct arena arena;
};

/* Opens the model at path: a file of this kind, KIND_SAFETENSORS or KIND_TORCH, or the index of
 * several, KIND_JSON (shards.h). No name stands in two files. ERR_REFUSED with the rule that a file
 * breaks. Nothing is left open on an error. */
int named_set_open(struct named_set *s, const char *path, enum file_kind kind, struct err *e);
void named_set_close(struct named_set *s);

/* NULL where there is none. */
const struct named_tensor *named_find(const struct named_set *s, const char *name);

/* Tensor i < s->n, in the order of the files. */
const struct named_tensor *named_at(const struct named_set *s, size_t i);

#endif
