/* Writes GGUF v3: header, keys and tensor infos are gathered in memory, tensor data is streamed. */
#include <string.h>

#include "base/size.h"
#include "checkpoint/gguf.h"

enum { ALIGNMENT = 32 }; /* the format's default */

static void append(struct gguf_writer *w, uint8_t **buf, size_t *len, size_t *room,
                   const void *data, size_t n) {
    if (w->failed) return;
    if (n > *room - *len) {
        size_t more;
        uint8_t *p = size_add(*len, n, &more) && size_mul(more, 2, &more)
                         ? arena_alloc(&w->arena, more, 1)
                         : NULL;
        if (!p) {
            w->failed = 1;
            return;
        }
        if (*len) memcpy(p, *buf, *len);
        *buf = p;
        *room = more;
    }
    if (n) memcpy(*buf + *len, data, n);
    *len += n;
}

static void put_kv(struct gguf_writer *w, const void *data, size_t n) {
    append(w, &w->kv, &w->kv_len, &w->kv_room, data, n);
}
static void put_info(struct gguf_writer *w, const void *data, size_t n) {
    append(w, &w->infos, &w->infos_len, &w->infos_room, data, n);
}

static void little_endian(uint8_t *p, uint64_t x, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static void put_kv_uint(struct gguf_writer *w, uint64_t x, size_t n) {
    uint8_t p[8];
    little_endian(p, x, n);
    put_kv(w, p, n);
}

static void put_info_uint(struct gguf_writer *w, uint64_t x, size_t n) {
    uint8_t p[8];
    little_endian(p, x, n);
    put_info(w, p, n);
}

static void put_kv_string(struct gguf_writer *w, const void *s, size_t n) {
    put_kv_uint(w, n, 8);
    put_kv(w, s, n);
}

static void begin_key(struct gguf_writer *w, const char *key, enum gguf_type type) {
    put_kv_string(w, key, strlen(key));
    put_kv_uint(w, type, 4);
    w->n_kv++;
}

static void begin_array(struct gguf_writer *w, const char *key, enum gguf_type item, size_t n) {
    begin_key(w, key, GGUF_ARRAY);
    put_kv_uint(w, item, 4);
    put_kv_uint(w, n, 8);
}

void gguf_add_u32(struct gguf_writer *w, const char *key, uint32_t x) {
    begin_key(w, key, GGUF_U32);
    put_kv_uint(w, x, 4);
}

void gguf_add_u64(struct gguf_writer *w, const char *key, uint64_t x) {
    begin_key(w, key, GGUF_U64);
    put_kv_uint(w, x, 8);
}

void gguf_add_f32(struct gguf_writer *w, const char *key, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    begin_key(w, key, GGUF_F32);
    put_kv_uint(w, bits, 4);
}

void gguf_add_bool(struct gguf_writer *w, const char *key, bool x) {
    begin_key(w, key, GGUF_BOOL);
    put_kv_uint(w, x, 1);
}

void gguf_add_string(struct gguf_writer *w, const char *key, const char *s, size_t n) {
    begin_key(w, key, GGUF_STRING);
    put_kv_string(w, s, n);
}

void gguf_add_i32s(struct gguf_writer *w, const char *key, const int32_t *x, size_t n) {
    begin_array(w, key, GGUF_I32, n);
    for (size_t i = 0; i < n; i++) put_kv_uint(w, (uint32_t)x[i], 4);
}

void gguf_add_u16s(struct gguf_writer *w, const char *key, const uint16_t *x, size_t n) {
    enum { PIECE = 1024 };
    uint8_t bytes[2 * PIECE];
    begin_array(w, key, GGUF_U16, n);
    for (size_t i = 0; i < n; i += PIECE) {
        size_t count = n - i < PIECE ? n - i : PIECE;
        for (size_t j = 0; j < count; j++) little_endian(bytes + 2 * j, x[i + j], 2);
        put_kv(w, bytes, 2 * count);
    }
}

void gguf_add_strings(struct gguf_writer *w, const char *key, const uint8_t *bytes,
                      const size_t *offset, size_t n) {
    begin_array(w, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) put_kv_string(w, bytes + offset[i], offset[i + 1] - offset[i]);
}

void gguf_add_tensor(struct gguf_writer *w, const char *name, uint32_t n_dims, const uint64_t *dims,
                     uint32_t type, size_t bytes) {
    put_info_uint(w, strlen(name), 8);
    put_info(w, name, strlen(name));
    put_info_uint(w, n_dims, 4);
    for (uint32_t d = 0; d < n_dims; d++) put_info_uint(w, dims[d], 8);
    put_info_uint(w, type, 4);
    put_info_uint(w, w->offset, 8);
    w->offset = size_align(w->offset + bytes, ALIGNMENT);
    w->n_tensors++;
}

static int write_padding(struct out_file *o, uint64_t at, struct err *e) {
    static const uint8_t zeros[ALIGNMENT];
    return out_write(o, zeros, (size_t)(-at & (ALIGNMENT - 1)), e);
}

int gguf_write_header(struct gguf_writer *w, struct out_file *o, struct err *e) {
    uint8_t head[24] = {'G', 'G', 'U', 'F', 3};
    if (w->failed) return err_file(e, ERR_FAILED, o->path, "no memory for the header");
    little_endian(head + 8, w->n_tensors, 8);
    little_endian(head + 16, w->n_kv, 8);
    int rc = out_write(o, head, sizeof head, e);
    if (!rc) rc = out_write(o, w->kv, w->kv_len, e);
    if (!rc) rc = out_write(o, w->infos, w->infos_len, e);
    if (!rc) rc = write_padding(o, sizeof head + w->kv_len + w->infos_len, e);
    return rc;
}

int gguf_write_data(struct gguf_writer *w, struct out_file *o, const void *data, size_t n,
                    struct err *e) {
    w->written += n;
    return out_write(o, data, n, e);
}

int gguf_write_end_tensor(struct gguf_writer *w, struct out_file *o, struct err *e) {
    int rc = write_padding(o, w->written, e);
    w->written = size_align(w->written, ALIGNMENT);
    return rc;
}

void gguf_writer_free(struct gguf_writer *w) {
    arena_free(&w->arena);
    *w = (struct gguf_writer){0};
}
