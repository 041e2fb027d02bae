/* PyTorch files made in memory, in their new form (a zip archive) and their old one, from the
 * tensors of a struct st_maker. Every part may be changed before it is written. */
#ifndef LOOKAT_TESTS_TINY_TORCH_H
#define LOOKAT_TESTS_TINY_TORCH_H

#include "tiny_hf.h"

/* ---- pickles ---- */

static inline void pk_text(struct bytes *b, const char *s) { /* BINUNICODE */
    put_u8(b, 'X');
    put_u32(b, (uint32_t)strlen(s));
    put_text(b, s);
}

static inline void pk_int(struct bytes *b, uint32_t x) { /* BININT */
    put_u8(b, 'J');
    put_u32(b, x);
}

static inline void pk_name(struct bytes *b,
                           const char *module_and_name) { /* GLOBAL: "os\nsystem\n" */
    put_u8(b, 'c');
    put_text(b, module_and_name);
}

static inline const char *pk_storage_name(const char *dtype) {
    return strcmp(dtype, "F32") == 0   ? "torch\nFloatStorage\n"
           : strcmp(dtype, "F16") == 0 ? "torch\nHalfStorage\n"
           : strcmp(dtype, "F64") == 0 ? "torch\nDoubleStorage\n"
                                       : "torch\nBFloat16Storage\n";
}

/* A tensor that is a window into the storage `key` of `count` numbers: offset, shape, strides. */
struct pk_window {
    const char *key, *storage; /* storage: its type, as in pk_storage_name */
    uint32_t count, offset, rank, shape[3], stride[3];
};

static inline void pk_tensor(struct bytes *b, const struct pk_window *w) {
    pk_name(b, "torch._utils\n_rebuild_tensor_v2\n");
    put_text(b, "((");
    pk_text(b, "storage");
    pk_name(b, w->storage);
    pk_text(b, w->key);
    pk_text(b, "cpu");
    pk_int(b, w->count);
    put_text(b, "tQ");
    pk_int(b, w->offset);
    for (int k = 0; k < 2; k++) {
        put_text(b, "(");
        for (uint32_t i = 0; i < w->rank; i++) pk_int(b, k ? w->stride[i] : w->shape[i]);
        put_text(b, "t");
    }
    put_text(b, "\x89}tR"); /* False, a dictionary of hooks */
}

/* A whole tensor of m, in a storage of its own. */
static inline struct pk_window pk_whole(const struct st_entry *t, const char *key) {
    struct pk_window w = {.key = key,
                          .storage = pk_storage_name(t->dtype),
                          .count = (uint32_t)(t->data.size / st_item(t->dtype)),
                          .rank = t->rank};
    uint32_t step = 1;
    for (unsigned i = t->rank; i-- > 0; step *= (uint32_t)t->shape[i]) {
        w.shape[i] = (uint32_t)t->shape[i];
        w.stride[i] = step;
    }
    return w;
}

/* All tensors as one dictionary, without PROTO and STOP. */
static inline void pk_state(struct bytes *b, const struct st_maker *m) {
    char key[24];
    put_text(b, "}(");
    for (size_t i = 0; i < m->n; i++) {
        snprintf(key, sizeof key, "%zu", i);
        struct pk_window w = pk_whole(&m->t[i], key);
        pk_text(b, m->t[i].name);
        pk_tensor(b, &w);
    }
    put_text(b, "u");
}

/* ---- the zip archive ---- */

struct zip_part {
    char name[64];
    struct bytes data;
    uint16_t method, flags; /* 0: stored; 1: encrypted */
};

enum { ZIP_PARTS = 80 };
struct tiny_zip {
    struct zip_part p[ZIP_PARTS];
    size_t n;
    /* what the directory says besides what is so */
    uint32_t more_files, more_bytes, more_at, more_local, disk;
};

static inline struct zip_part *zip_add(struct tiny_zip *z, const char *name, const void *data,
                                       size_t n) {
    struct zip_part *p = &z->p[z->n++];
    *p = (struct zip_part){.method = 0};
    snprintf(p->name, sizeof p->name, "%s", name);
    put_bytes(&p->data, data, n);
    return p;
}

static inline void zip_free(struct tiny_zip *z) {
    for (size_t i = 0; i < z->n; i++) bytes_free(&z->p[i].data);
    *z = (struct tiny_zip){.n = 0};
}

static inline struct bytes zip_bytes(const struct tiny_zip *z) {
    struct bytes b = {0};
    uint32_t at[ZIP_PARTS];
    for (size_t i = 0; i < z->n; i++) {
        const struct zip_part *p = &z->p[i];
        at[i] = (uint32_t)b.size;
        put_text(&b, "PK\3\4");
        put_u16(&b, 0), put_u16(&b, p->flags), put_u16(&b, p->method);
        put_zeros(&b, 8); /* time, CRC-32 */
        put_u32(&b, (uint32_t)p->data.size), put_u32(&b, (uint32_t)p->data.size);
        put_u16(&b, (uint16_t)strlen(p->name)), put_u16(&b, 0);
        put_text(&b, p->name);
        put_bytes(&b, p->data.data, p->data.size);
    }
    const uint32_t directory = (uint32_t)b.size;
    for (size_t i = 0; i < z->n; i++) {
        const struct zip_part *p = &z->p[i];
        put_text(&b, "PK\1\2");
        put_u16(&b, 0), put_u16(&b, 0), put_u16(&b, p->flags), put_u16(&b, p->method);
        put_zeros(&b, 8);
        put_u32(&b, (uint32_t)p->data.size), put_u32(&b, (uint32_t)p->data.size + z->more_bytes);
        put_u16(&b, (uint16_t)strlen(p->name)), put_zeros(&b, 12);
        put_u32(&b, at[i] + z->more_local);
        put_text(&b, p->name);
    }
    const uint32_t bytes = (uint32_t)b.size - directory;
    put_text(&b, "PK\5\6");
    put_u16(&b, (uint16_t)z->disk), put_u16(&b, 0);
    put_u16(&b, (uint16_t)z->n), put_u16(&b, (uint16_t)(z->n + z->more_files));
    put_u32(&b, bytes), put_u32(&b, directory + z->more_at), put_u16(&b, 0);
    return b;
}

/* The archive of a pickle and of the storages of m: m/data.pkl, m/data/0 and so on. */
static inline void torch_zip(struct tiny_zip *z, const struct bytes *pickle,
                             const struct st_maker *m) {
    char name[64];
    *z = (struct tiny_zip){.n = 0};
    zip_add(z, "m/data.pkl", pickle->data, pickle->size);
    for (size_t i = 0; i < m->n; i++) {
        snprintf(name, sizeof name, "m/data/%zu", i);
        zip_add(z, name, m->t[i].data.data, m->t[i].data.size);
    }
    zip_add(z, "m/version", "3\n", 2);
}

/* A whole file in the new form, of the dictionary of m under `wrap` (NULL: not wrapped). */
static inline struct bytes torch_bytes(const struct st_maker *m, const char *wrap) {
    static struct tiny_zip z;
    struct bytes pickle = {0};
    put_text(&pickle, "\x80\2");
    if (wrap) {
        put_text(&pickle, "}(");
        pk_text(&pickle, "epoch");
        pk_int(&pickle, 3);
        pk_text(&pickle, wrap);
    }
    pk_state(&pickle, m);
    put_text(&pickle, wrap ? "u." : ".");
    torch_zip(&z, &pickle, m);
    struct bytes b = zip_bytes(&z);
    zip_free(&z);
    bytes_free(&pickle);
    return b;
}

/* ---- the old form ---- */

struct tiny_old {
    uint32_t version; /* 1001 */
    bool big_endian;
    uint32_t more_keys, more_count, more_bytes; /* beyond what is so */
};

static inline struct bytes torch_old_bytes(const struct st_maker *m, const struct tiny_old *o) {
    struct bytes b = {0};
    char key[24];
    put_text(&b, "\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2");
    pk_int(&b, o->version);
    put_text(&b, ".\x80\2}(");
    pk_text(&b, "little_endian");
    put_text(&b, o->big_endian ? "\x89u.\x80\2" : "\x88u.\x80\2");
    pk_state(&b, m);
    put_text(&b, ".\x80\2](");
    for (size_t i = 0; i < m->n + o->more_keys; i++) {
        snprintf(key, sizeof key, "%zu", i);
        pk_text(&b, key);
    }
    put_text(&b, "e.");
    for (size_t i = 0; i < m->n; i++) {
        put_u64(&b, m->t[i].data.size / st_item(m->t[i].dtype) + o->more_count);
        put_bytes(&b, m->t[i].data.data, m->t[i].data.size);
    }
    put_zeros(&b, o->more_bytes);
    return b;
}

#endif
