/* GGUF containers: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. This
 * file reads (versions 2 and 3, memory-mapped) and writes (version 3) any keys and tensors. What
 * they mean for GPT-2 is gguf_model.c. All numbers are little-endian:
 *
 *     | "GGUF" | u32 version | u64 tensors | u64 keys |           24 bytes
 *     | key | u32 type | value |                                  for each key
 *     | name | u32 n_dims | u64 dims[n_dims] | u32 type | u64 offset |   for each tensor
 *     | zeros up to a multiple of general.alignment (32) |
 *     | data of tensor 0 | zeros | data of tensor 1 | zeros | ...  the data section
 *
 *     key, name, string:  | u64 n | n bytes |
 *     array:              | u32 type of an item | u64 count | items |
 *
 * A tensor's offset counts from the beginning of the data section and is a multiple of the
 * alignment. Tensors lie in the order of their infos, without gaps but for the zeros. */
#ifndef LOOKAT_CHECKPOINT_GGUF_H
#define LOOKAT_CHECKPOINT_GGUF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/out_file.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64
};

struct gguf_str {
    const char *s; /* not terminated */
    size_t n;
};

struct gguf_kv {
    struct gguf_str key;
    enum gguf_type type, item; /* item: of an array */
    uint64_t count;            /* items of an array, else 1 */
    const uint8_t *data;       /* first byte of the value (of the first item) in the map, unaligned;
                                  strings: at the u64 length */
};

struct gguf_tensor {
    struct gguf_str name;
    uint32_t n_dims;
    uint64_t dims[4];    /* fastest-varying first, 1 beyond n_dims */
    uint32_t type;       /* ggml number, known to the engine */
    const uint8_t *data; /* in the map, aligned to general.alignment */
    size_t bytes;
};

struct gguf {
    struct file file;
    struct arena arena;
    uint32_t version;
    size_t n_kv, n_tensors;
    struct gguf_kv *kv;
    struct gguf_tensor *tensors;
    struct hash_index keys, names; /* of kv and tensors */
    struct file *parts;            /* [n_parts] where gguf_join_parts has added more files */
    size_t n_parts;
};

/* Maps and checks the whole file: ERR_REFUSED with the rule that it breaks. Nothing is left open on
 * an error. */
int gguf_open(struct gguf *g, const char *path, struct err *e);
void gguf_close(struct gguf *g);

/* NULL where there is none. */
const struct gguf_kv *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name);

/* Value of a key as the wanted kind; any integer type serves for gguf_uint. ERR_REFUSED, with the
 * key's name, where the key is absent or of another kind. */
int gguf_uint(const struct gguf *g, const char *key, uint64_t *out, struct err *e);
int gguf_float(const struct gguf *g, const char *key, double *out, struct err *e);
int gguf_string(const struct gguf *g, const char *key, struct gguf_str *out, struct err *e);

/* Item i of a checked array: of any integer type, sign-extended; of strings, where *p starts at
 * kv->data and moves on to the next. */
int64_t gguf_item(const struct gguf_kv *kv, uint64_t i);
struct gguf_str gguf_next_string(const uint8_t **p);

/* Writing: add keys and tensors in order, then gguf_write_header, then the tensors' data in the
 * same order, each with gguf_write_data (any number of pieces) and gguf_write_end_tensor, then
 * out_commit. Everything is copied. */
struct gguf_writer {
    struct arena arena;
    uint8_t *kv, *infos;
    size_t kv_len, kv_room, infos_len, infos_room;
    uint64_t n_kv, n_tensors, offset; /* offset: of the next tensor in the data section */
    uint64_t written;                 /* bytes of the data section written so far */
    int failed; /* out of memory while adding: reported by gguf_write_header */
};

void gguf_add_u32(struct gguf_writer *w, const char *key, uint32_t x);
void gguf_add_u64(struct gguf_writer *w, const char *key, uint64_t x);
void gguf_add_f32(struct gguf_writer *w, const char *key, float x);
void gguf_add_bool(struct gguf_writer *w, const char *key, bool x);
void gguf_add_string(struct gguf_writer *w, const char *key, const char *s, size_t n);
void gguf_add_i32s(struct gguf_writer *w, const char *key, const int32_t *x, size_t n);
void gguf_add_u16s(struct gguf_writer *w, const char *key, const uint16_t *x, size_t n);
/* An array of n strings: item i is at bytes[offset[i]] .. bytes[offset[i + 1]]. */
void gguf_add_strings(struct gguf_writer *w, const char *key, const uint8_t *bytes,
                      const size_t *offset, size_t n);
/* dims fastest-varying first; `bytes` is the exact size of the data that will follow. */
void gguf_add_tensor(struct gguf_writer *w, const char *name, uint32_t n_dims, const uint64_t *dims,
                     uint32_t type, size_t bytes);
int gguf_write_header(struct gguf_writer *w, struct out_file *o, struct err *e);
int gguf_write_data(struct gguf_writer *w, struct out_file *o, const void *data, size_t n,
                    struct err *e);
int gguf_write_end_tensor(struct gguf_writer *w, struct out_file *o, struct err *e);
void gguf_writer_free(struct gguf_writer *w);

#endif
