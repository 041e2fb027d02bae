/* Safetensors files made in memory, and the smallest GPT-2 in one, every part of which a test may
 * change before it is written. */
#ifndef LOOKAT_TESTS_TINY_HF_H
#define LOOKAT_TESTS_TINY_HF_H

#include "bad.h"
#include "kernels/dtype.h"

enum { ST_ROOM = 64 };

struct st_entry {
    char name[300];
    const char *dtype;
    unsigned rank;
    uint64_t shape[10];
    struct bytes data;
};

struct st_maker {
    struct st_entry t[ST_ROOM];
    size_t n;
    const char *metadata; /* "" or the entry with its comma */
};

static inline size_t st_item(const char *dtype) { return strchr(dtype, '1') ? 2 : 4; }

/* Values that are the same on every run and different everywhere, exact in f16. */
static inline struct st_entry *st_add(struct st_maker *m, const char *name, const char *dtype,
                                      uint64_t rows, uint64_t cols) {
    struct st_entry *t = &m->t[m->n++];
    *t = (struct st_entry){.dtype = dtype, .rank = cols ? 2 : 1, .shape = {rows, cols}};
    snprintf(t->name, sizeof t->name, "%s", name);
    for (uint64_t i = 0; i < rows * (cols ? cols : 1); i++) {
        float x = (float)((int)((m->n * 7919 + i * 10007) % 2001) - 1000) / 1024;
        if (strcmp(dtype, "F32") == 0)
            put_f32(&t->data, x);
        else
            put_u16(&t->data, strcmp(dtype, "F16") == 0 ? f32_to_f16(x) : f32_to_bf16(x));
    }
    return t;
}

static inline struct st_entry *st_get(struct st_maker *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->t[i].name, name) == 0) return &m->t[i];
    fprintf(stderr, "no tensor %s\n", name);
    abort();
}

static inline void st_free(struct st_maker *m) {
    for (size_t i = 0; i < m->n; i++) bytes_free(&m->t[i].data);
    m->n = 0;
}

/* u64 length, header, data. */
static inline struct bytes st_file(const char *header, const void *data, size_t n) {
    struct bytes b = {0};
    put_u64(&b, strlen(header));
    put_text(&b, header);
    put_bytes(&b, data, n);
    return b;
}

/* The entries stand in the header from the last to the first: their order says nothing. */
static inline struct bytes st_bytes(const struct st_maker *m) {
    struct bytes json = {0}, data = {0};
    char text[512];
    put_text(&json, "{");
    put_text(&json, m->metadata ? m->metadata : "");
    size_t end = 0;
    for (size_t i = 0; i < m->n; i++) end += m->t[i].data.size;
    for (size_t i = m->n; i-- > 0;) {
        const struct st_entry *t = &m->t[i];
        snprintf(text, sizeof text, "\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
        put_text(&json, text);
        for (unsigned k = 0; k < t->rank; k++) {
            snprintf(text, sizeof text, "%s%llu", k ? "," : "", (unsigned long long)t->shape[k]);
            put_text(&json, text);
        }
        snprintf(text, sizeof text, "],\"data_offsets\":[%zu,%zu]}%s", end - t->data.size, end,
                 i ? "," : "}");
        put_text(&json, text);
        end -= t->data.size;
    }
    for (size_t i = 0; i < m->n; i++) put_bytes(&data, m->t[i].data.data, m->t[i].data.size);
    put_u8(&json, 0);
    struct bytes b = st_file((const char *)json.data, data.data, data.size);
    bytes_free(&json);
    bytes_free(&data);
    return b;
}

struct tiny_shape {
    size_t L, C, F, T, V;
};
static const struct tiny_shape TINY = {2, 8, 12, 3, 5}; /* two heads */
#define TINY_CONFIG                                                                        \
    "{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_head\":2,\"n_embd\":8,\"n_inner\":12,\"n_" \
    "positions\":3,\"vocab_size\":5,"                                                      \
    "\"layer_norm_epsilon\":1e-05,\"activation_function\":\"gelu_new\"}"

/* The tensors of GPT-2 of this shape; names with `prefix` in front. */
static inline void tiny_hf(struct st_maker *m, struct tiny_shape s, const char *prefix,
                           const char *dtype) {
    const struct {
        const char *name;
        size_t rows, cols;
    } parts[] = {{"ln_1.weight", s.C, 0},
                 {"ln_1.bias", s.C, 0},
                 {"attn.c_attn.weight", s.C, 3 * s.C},
                 {"attn.c_attn.bias", 3 * s.C, 0},
                 {"attn.c_proj.weight", s.C, s.C},
                 {"attn.c_proj.bias", s.C, 0},
                 {"ln_2.weight", s.C, 0},
                 {"ln_2.bias", s.C, 0},
                 {"mlp.c_fc.weight", s.C, s.F},
                 {"mlp.c_fc.bias", s.F, 0},
                 {"mlp.c_proj.weight", s.F, s.C},
                 {"mlp.c_proj.bias", s.C, 0}};
    char name[300];
    *m = (struct st_maker){0};
#define TINY_ADD(rows, cols, ...) \
    (snprintf(name, sizeof name, __VA_ARGS__), st_add(m, name, dtype, rows, cols))
    TINY_ADD(s.V, s.C, "%swte.weight", prefix);
    TINY_ADD(s.T, s.C, "%swpe.weight", prefix);
    for (size_t i = 0; i < s.L; i++)
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            TINY_ADD(parts[k].rows, parts[k].cols, "%sh.%zu.%s", prefix, i, parts[k].name);
    TINY_ADD(s.C, 0, "%sln_f.weight", prefix);
    TINY_ADD(s.C, 0, "%sln_f.bias", prefix);
}

#endif
