/* Safetensors containers (https://github.com/huggingface/safetensors). A file is held to every rule
 * of the format. What the tensors mean for GPT-2 is hf.c. All numbers are little-endian:
 *
 *     | u64 N | N bytes of JSON | data of the tensors, without gaps |
 *
 *     JSON:  {"NAME": {"dtype": "F32", "shape": [4, 8], "data_offsets": [begin, end]}, ...}
 *
 * data_offsets count bytes from the beginning of the data; end is the first byte behind a
 * tensor. */
#ifndef LOOKAT_CHECKPOINT_SAFETENSORS_H
#define LOOKAT_CHECKPOINT_SAFETENSORS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"

enum {
    ST_MAX_RANK = 8,
    ST_MAX_NAME = 255,
    ST_MAX_TENSORS = 65536,
    ST_MAX_HEADER = 100000000,
    ST_MAX_DEPTH = 16
};

struct st_tensor {
    const char *name; /* terminated; may hold zero bytes of its own */
    size_t name_len;
    const char *dtype; /* as spelled in files: "F32" */
    int type;          /* enum dtype, or -1 where the engine does not compute with it */
    unsigned rank;
    uint64_t shape[ST_MAX_RANK]; /* slowest-varying first */
    size_t begin, bytes;         /* in the data section */
    const uint8_t *data;         /* in the map, not aligned */
};

struct safetensors {
    struct file file;
    struct arena arena;
    size_t n; /* tensors, in the order of the header */
    struct st_tensor *tensors;
    struct hash_index index; /* by name */
};

/* Maps and checks the whole file: ERR_REFUSED with the rule that it breaks. Nothing is left open on
 * an error. */
int safetensors_open(struct safetensors *s, const char *path, struct err *e);
void safetensors_close(struct safetensors *s);

/* NULL where there is none. */
const struct st_tensor *safetensors_find(const struct safetensors *s, const char *name);

#endif
