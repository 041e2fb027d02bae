/* The container alone. Reading order, and so the order of checks: header, keys, tensor infos, data
 * section. */
#include "checkpoint/gguf.h"

#include <string.h>

#include "base/size.h"
#include "kernels/dtype.h"

enum {
    MAX_KV = 65536,        /* a file of a GPT-2 has about 30 keys */
    MAX_TENSORS = 65536,   /* and 12 tensors a layer */
    MAX_KEY = 65535,       /* bytes; the format's own limit */
    MAX_NAME = 63,         /* bytes; ggml's GGML_MAX_NAME - 1 */
    MAX_ALIGNMENT = 65536, /* bytes */
    MIN_KV_BYTES = 8 + 1 + 4 + 1,
    MIN_INFO_BYTES = 8 + 1 + 4 + 8 + 4 + 8,
    SHOWN = 64 /* bytes of a name that a message quotes */
};

static const uint8_t type_bytes[] = {1, 1, 2, 2, 4, 4, 4,
                                     1, 0, 0, 8, 8, 8}; /* by enum gguf_type; 0: not fixed */
static const char *const type_names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};

struct cursor {
    const struct file *f;
    size_t at; /* <= f->size */
};

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static int shown(struct gguf_str s) { return s.n < SHOWN ? (int)s.n : SHOWN; }

static size_t left(const struct cursor *c) { return c->f->size - c->at; }

static int cut_short(const struct cursor *c, const char *what, struct err *e) {
    return err_file(e, ERR_REFUSED, c->f->path, "the file ends at byte %zu, inside %s", c->f->size,
                    what);
}

static int read_uint(struct cursor *c, size_t n, const char *what, uint64_t *x, struct err *e) {
    *x = 0;
    if (left(c) < n) return cut_short(c, what, e);
    *x = little_endian(c->f->data + c->at, n);
    c->at += n;
    return OK;
}

static int read_u32(struct cursor *c, const char *what, uint32_t *x, struct err *e) {
    uint64_t wide;
    int rc = read_uint(c, 4, what, &wide, e);
    *x = (uint32_t)wide;
    return rc;
}

static int read_string(struct cursor *c, const char *what, struct gguf_str *s, struct err *e) {
    uint64_t n = 0;
    int rc = read_uint(c, 8, what, &n, e);
    if (rc) return rc;
    if (n > left(c))
        return err_file(e, ERR_REFUSED, c->f->path,
                        "%s at byte %zu has length %llu, and only %zu bytes are left", what,
                        c->at - 8, (unsigned long long)n, left(c));
    *s = (struct gguf_str){(const char *)c->f->data + c->at, (size_t)n};
    c->at += (size_t)n;
    return OK;
}

static int read_header(struct gguf *g, struct cursor *c, struct err *e) {
    const char *path = g->file.path;
    uint64_t n_tensors = 0, n_kv = 0;
    uint32_t magic;
    int rc = read_u32(c, "the header", &magic, e);
    if (rc) return rc;
    if (memcmp(g->file.data, "GGUF", 4) != 0)
        return err_file(e, ERR_REFUSED, path,
                        "not a GGUF file: it starts with 0x%08lx, expected \"GGUF\"",
                        (unsigned long)magic);
    if ((rc = read_u32(c, "the header", &g->version, e))) return rc;
    if (g->version == 0x02000000 || g->version == 0x03000000)
        return err_file(e, ERR_REFUSED, path, "a big-endian GGUF file, expected little-endian");
    if (g->version != 2 && g->version != 3)
        return err_file(e, ERR_REFUSED, path, "GGUF version %lu, expected 2 or 3",
                        (unsigned long)g->version);
    if ((rc = read_uint(c, 8, "the header", &n_tensors, e)) ||
        (rc = read_uint(c, 8, "the header", &n_kv, e)))
        return rc;
    if (n_tensors > MAX_TENSORS || n_tensors > left(c) / MIN_INFO_BYTES)
        return err_file(
            e, ERR_REFUSED, path,
            "the header counts %llu tensors, more than a file of %zu bytes can hold (limit %d)",
            (unsigned long long)n_tensors, g->file.size, MAX_TENSORS);
    if (n_kv > MAX_KV || n_kv > left(c) / MIN_KV_BYTES)
        return err_file(
            e, ERR_REFUSED, path,
            "the header counts %llu keys, more than a file of %zu bytes can hold (limit %d)",
            (unsigned long long)n_kv, g->file.size, MAX_KV);
    g->n_tensors = (size_t)n_tensors;
    g->n_kv = (size_t)n_kv;
    return OK;
}

static int check_type(const struct gguf *g, const struct gguf_kv *kv, uint32_t type,
                      struct err *e) {
    if (type <= GGUF_F64) return OK;
    return err_file(e, ERR_REFUSED, g->file.path,
                    "key \"%.*s\" has value type %lu, expected 0 to %d", shown(kv->key), kv->key.s,
                    (unsigned long)type, GGUF_F64);
}

/* Moves over the items of kv, which start at c->at. */
static int skip_items(const struct gguf *g, struct gguf_kv *kv, struct cursor *c, struct err *e) {
    size_t each = kv->item == GGUF_STRING ? 8 : type_bytes[kv->item];
    if (kv->count > left(c) / each) {
        if (kv->type != GGUF_ARRAY) return cut_short(c, "the value of a key", e);
        return err_file(e, ERR_REFUSED, g->file.path,
                        "array \"%.*s\" counts %llu items of type %s, and only %zu bytes are left",
                        shown(kv->key), kv->key.s, (unsigned long long)kv->count,
                        type_names[kv->item], left(c));
    }
    if (kv->item != GGUF_STRING) {
        c->at += (size_t)kv->count * each;
        return OK;
    }
    for (uint64_t i = 0; i < kv->count; i++) {
        struct gguf_str s;
        int rc = read_string(c, kv->type == GGUF_ARRAY ? "a string in an array" : "a string value",
                             &s, e);
        if (rc) return rc;
    }
    return OK;
}

static int read_kv(const struct gguf *g, struct gguf_kv *kv, struct cursor *c, struct err *e) {
    uint32_t type, item;
    int rc = read_string(c, "the name of a key", &kv->key, e);
    if (rc) return rc;
    if (kv->key.n == 0 || kv->key.n > MAX_KEY)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "key number %zu has a name of %zu bytes, expected 1 to %d",
                        (size_t)(kv - g->kv), kv->key.n, MAX_KEY);
    if ((rc = read_u32(c, "the type of a key", &type, e)) || (rc = check_type(g, kv, type, e)))
        return rc;
    kv->type = (enum gguf_type)type;
    kv->item = kv->type;
    kv->count = 1;
    if (kv->type == GGUF_ARRAY) {
        if ((rc = read_u32(c, "the type of an array", &item, e)) ||
            (rc = check_type(g, kv, item, e)))
            return rc;
        if (item == GGUF_ARRAY)
            return err_file(e, ERR_REFUSED, g->file.path, "key \"%.*s\" is an array of arrays",
                            shown(kv->key), kv->key.s);
        kv->item = (enum gguf_type)item;
        if ((rc = read_uint(c, 8, "the length of an array", &kv->count, e))) return rc;
    }
    kv->data = g->file.data + c->at;
    if ((rc = skip_items(g, kv, c, e))) return rc;
    if (kv->type == GGUF_BOOL && *kv->data > 1)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "key \"%.*s\" is the bool %u, expected 0 or 1", shown(kv->key), kv->key.s,
                        *kv->data);
    return OK;
}

static const void *key_bytes(const void *ctx, uint32_t i, size_t *n) {
    const struct gguf_kv *kv = ctx;
    *n = kv[i].key.n;
    return kv[i].key.s;
}

static const void *name_bytes(const void *ctx, uint32_t i, size_t *n) {
    const struct gguf_tensor *t = ctx;
    *n = t[i].name.n;
    return t[i].name.s;
}

static int read_keys(struct gguf *g, struct cursor *c, struct err *e) {
    g->kv = arena_alloc(&g->arena, g->n_kv, sizeof *g->kv);
    if (!g->kv || !hash_index_init(&g->keys, g->n_kv, key_bytes, g->kv, &g->arena))
        return err_file(e, ERR_FAILED, g->file.path, "no memory for %zu keys", g->n_kv);
    for (size_t i = 0; i < g->n_kv; i++) {
        struct gguf_kv *kv = &g->kv[i];
        int rc = read_kv(g, kv, c, e);
        if (rc) return rc;
        uint32_t *slot = hash_index_slot(&g->keys, kv->key.s, kv->key.n);
        if (*slot != HASH_EMPTY)
            return err_file(e, ERR_REFUSED, g->file.path, "key \"%.*s\" is there twice",
                            shown(kv->key), kv->key.s);
        *slot = (uint32_t)i;
    }
    return OK;
}

/* The bytes of a tensor whose dims and type have been read. */
static int tensor_size(const struct gguf *g, struct gguf_tensor *t, struct err *e) {
    const char *path = g->file.path;
    size_t n = 1, bits;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->dims[d] == 0)
            return err_file(e, ERR_REFUSED, path, "tensor \"%.*s\": dimension %lu is 0",
                            shown(t->name), t->name.s, (unsigned long)d);
        if (t->dims[d] > SIZE_MAX || !size_mul(n, (size_t)t->dims[d], &n) ||
            !size_mul(n, 32, &bits))
            return err_file(e, ERR_REFUSED, path,
                            "tensor \"%.*s\": the product of its dimensions overflows",
                            shown(t->name), t->name.s);
    }
    if (!dtype_known(t->type))
        return err_file(e, ERR_REFUSED, path,
                        "tensor \"%.*s\" is %s (type %lu), which lookat cannot read; from the "
                        "original model: lookat convert FOLDER -o OUT.gguf --type q8_0",
                        shown(t->name), t->name.s, dtype_name(t->type), (unsigned long)t->type);
    enum dtype type = (enum dtype)t->type;
    if (t->dims[0] % dtype_block(type))
        return err_file(e, ERR_REFUSED, path,
                        "tensor \"%.*s\" is %s with rows of %llu, expected a multiple of %zu",
                        shown(t->name), t->name.s, dtype_name(t->type),
                        (unsigned long long)t->dims[0], dtype_block(type));
    t->bytes = dtype_bytes(type, n);
    return OK;
}

static int read_info(const struct gguf *g, struct gguf_tensor *t, uint64_t *offset,
                     struct cursor *c, struct err *e) {
    static const char what[] = "the description of a tensor";
    int rc = read_string(c, "the name of a tensor", &t->name, e);
    if (rc) return rc;
    if (t->name.n == 0 || t->name.n > MAX_NAME)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "tensor number %zu has a name of %zu bytes, expected 1 to %d",
                        (size_t)(t - g->tensors), t->name.n, MAX_NAME);
    if ((rc = read_u32(c, what, &t->n_dims, e))) return rc;
    if (t->n_dims < 1 || t->n_dims > 4)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "tensor \"%.*s\" has %lu dimensions, expected 1 to 4", shown(t->name),
                        t->name.s, (unsigned long)t->n_dims);
    for (uint32_t d = 0; d < 4; d++) {
        t->dims[d] = 1;
        if (d < t->n_dims && (rc = read_uint(c, 8, what, &t->dims[d], e))) return rc;
    }
    if ((rc = read_u32(c, what, &t->type, e)) || (rc = read_uint(c, 8, what, offset, e))) return rc;
    return tensor_size(g, t, e);
}

/* Tensors lie one after another, each at the next multiple of the alignment: *end is where the last
 * one read ends in the data section. t->bytes is not yet known to lie within the file. */
static int check_offset(const struct gguf *g, const struct gguf_tensor *t, uint64_t offset,
                        size_t alignment, size_t *end, struct err *e) {
    if (offset % alignment)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "tensor \"%.*s\" is at offset %llu, expected a multiple of %zu",
                        shown(t->name), t->name.s, (unsigned long long)offset, alignment);
    size_t expected = size_align(*end, alignment);
    if (offset != expected)
        return err_file(
            e, ERR_REFUSED, g->file.path,
            "tensor \"%.*s\" is at offset %llu, expected %zu, right behind the one before",
            shown(t->name), t->name.s, (unsigned long long)offset, expected);
    /* the data section is smaller than the file, so an offset beyond it is an error before any sum
     * can overflow */
    if (expected > g->file.size || t->bytes > g->file.size - expected)
        return err_file(
            e, ERR_REFUSED, g->file.path,
            "tensor \"%.*s\" has %zu bytes at offset %zu, beyond the end of the file at %zu",
            shown(t->name), t->name.s, t->bytes, expected, g->file.size);
    *end = expected + t->bytes;
    return OK;
}

static int read_alignment(const struct gguf *g, size_t *alignment, struct err *e) {
    *alignment = 32;
    const struct gguf_kv *kv = gguf_find(g, "general.alignment");
    if (!kv) return OK;
    if (kv->type != GGUF_U32)
        return err_file(e, ERR_REFUSED, g->file.path, "general.alignment is %s, expected u32",
                        type_names[kv->type]);
    uint64_t x = little_endian(kv->data, 4);
    if (x == 0 || x > MAX_ALIGNMENT || (x & (x - 1)))
        return err_file(e, ERR_REFUSED, g->file.path,
                        "general.alignment is %llu, expected a power of two up to %d",
                        (unsigned long long)x, MAX_ALIGNMENT);
    *alignment = (size_t)x;
    return OK;
}

static int read_infos(struct gguf *g, size_t alignment, struct cursor *c, size_t *end,
                      struct err *e) {
    g->tensors = arena_alloc(&g->arena, g->n_tensors, sizeof *g->tensors);
    if (!g->tensors || !hash_index_init(&g->names, g->n_tensors, name_bytes, g->tensors, &g->arena))
        return err_file(e, ERR_FAILED, g->file.path, "no memory for %zu tensors", g->n_tensors);
    *end = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        uint64_t offset = 0;
        int rc = read_info(g, t, &offset, c, e);
        if (rc) return rc;
        uint32_t *slot = hash_index_slot(&g->names, t->name.s, t->name.n);
        if (*slot != HASH_EMPTY)
            return err_file(e, ERR_REFUSED, g->file.path, "tensor \"%.*s\" is there twice",
                            shown(t->name), t->name.s);
        *slot = (uint32_t)i;
        if ((rc = check_offset(g, t, offset, alignment, end, e))) return rc;
        t->data =
            g->file.data +
            offset; /* from the file's start until place_data knows where the data section starts */
    }
    return OK;
}

/* The data section starts at the next multiple of the alignment; a file may end without the padding
 * of its last tensor. */
static int place_data(struct gguf *g, size_t alignment, size_t header_end, size_t end,
                      struct err *e) {
    if (g->n_tensors == 0) return OK;
    size_t start = size_align(header_end, alignment);
    const struct gguf_tensor *last = &g->tensors[g->n_tensors - 1];
    if (start > g->file.size || end > g->file.size - start)
        return err_file(e, ERR_REFUSED, g->file.path,
                        "tensor \"%.*s\" ends at byte %zu, and the file has %zu", shown(last->name),
                        last->name.s, start + end, g->file.size);
    if (g->file.size - start > size_align(end, alignment))
        return err_file(e, ERR_REFUSED, g->file.path,
                        "%zu bytes follow the last tensor, expected none",
                        g->file.size - start - end);
    for (size_t i = 0; i < g->n_tensors; i++) g->tensors[i].data += start;
    return OK;
}

int gguf_open(struct gguf *g, const char *path, struct err *e) {
    *g = (struct gguf){0};
    int rc = file_map(&g->file, path, e);
    if (rc) return rc;
    struct cursor c = {&g->file, 0};
    size_t alignment = 0, end = 0;
    rc = read_header(g, &c, e);
    if (!rc) rc = read_keys(g, &c, e);
    if (!rc) rc = read_alignment(g, &alignment, e);
    if (!rc) rc = read_infos(g, alignment, &c, &end, e);
    if (!rc) rc = place_data(g, alignment, c.at, end, e);
    if (rc) gguf_close(g);
    return rc;
}

void gguf_close(struct gguf *g) {
    file_unmap(&g->file);
    for (size_t i = 0; i < g->n_parts; i++) file_unmap(&g->parts[i]);
    arena_free(&g->arena);
    *g = (struct gguf){0};
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key) {
    uint32_t i = *hash_index_slot(&g->keys, key, strlen(key));
    return i == HASH_EMPTY ? NULL : &g->kv[i];
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name) {
    uint32_t i = *hash_index_slot(&g->names, name, strlen(name));
    return i == HASH_EMPTY ? NULL : &g->tensors[i];
}

static bool is_integer(enum gguf_type type) {
    return type <= GGUF_I32 || type == GGUF_U64 || type == GGUF_I64;
}
static bool is_signed(enum gguf_type type) {
    return type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
}

int64_t gguf_item(const struct gguf_kv *kv, uint64_t i) {
    size_t n = type_bytes[kv->item];
    uint64_t x = little_endian(kv->data + i * n, n);
    uint64_t sign = is_signed(kv->item) ? (uint64_t)1 << (8 * n - 1) : 0;
    x = (x ^ sign) - sign;
    int64_t value;
    memcpy(&value, &x, sizeof value);
    return value;
}

struct gguf_str gguf_next_string(const uint8_t **p) {
    struct gguf_str s = {(const char *)*p + 8, (size_t)little_endian(*p, 8)};
    *p += 8 + s.n;
    return s;
}

static int want(const struct gguf *g, const char *key, const char *kind, const struct gguf_kv **kv,
                struct err *e) {
    *kv = gguf_find(g, key);
    return *kv ? OK
               : err_file(e, ERR_REFUSED, g->file.path, "key \"%s\" is missing, expected %s", key,
                          kind);
}

static int wrong_type(const struct gguf *g, const struct gguf_kv *kv, const char *kind,
                      struct err *e) {
    return err_file(e, ERR_REFUSED, g->file.path, "key \"%.*s\" is %s, expected %s", shown(kv->key),
                    kv->key.s, type_names[kv->type], kind);
}

int gguf_uint(const struct gguf *g, const char *key, uint64_t *out, struct err *e) {
    const struct gguf_kv *kv;
    int rc = want(g, key, "an integer", &kv, e);
    if (rc) return rc;
    if (!is_integer(kv->type)) return wrong_type(g, kv, "an integer", e);
    int64_t x = gguf_item(kv, 0);
    if (is_signed(kv->type) && x < 0)
        return err_file(e, ERR_REFUSED, g->file.path, "key \"%s\" is %lld, expected at least 0",
                        key, (long long)x);
    *out = (uint64_t)x;
    return OK;
}

int gguf_float(const struct gguf *g, const char *key, double *out, struct err *e) {
    const struct gguf_kv *kv;
    int rc = want(g, key, "a number", &kv, e);
    if (rc) return rc;
    uint64_t bits = kv->type == GGUF_F32 || kv->type == GGUF_F64
                        ? little_endian(kv->data, type_bytes[kv->type])
                        : 0;
    if (kv->type == GGUF_F64)
        memcpy(out, &bits, sizeof *out);
    else if (kv->type == GGUF_F32) {
        uint32_t bits32 = (uint32_t)bits;
        float x;
        memcpy(&x, &bits32, sizeof x);
        *out = (double)x;
    } else
        return wrong_type(g, kv, "f32 or f64", e);
    return OK;
}

int gguf_string(const struct gguf *g, const char *key, struct gguf_str *out, struct err *e) {
    const struct gguf_kv *kv;
    int rc = want(g, key, "a string", &kv, e);
    if (rc) return rc;
    if (kv->type != GGUF_STRING) return wrong_type(g, kv, "a string", e);
    const uint8_t *p = kv->data;
    *out = gguf_next_string(&p);
    return OK;
}
