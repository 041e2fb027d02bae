/* The registry: every codec, and the other names they go by; and what all of them answer alike. */
#include "attention/registry.h"

static const struct kv_codec *const registry[] = {
    &codec_fp32,  &codec_fp16,   &codec_int8, &codec_int4,
    &codec_turbo, &codec_lookat, &codec_pq,   &codec_constant,
};
enum { N_CODECS = sizeof registry / sizeof *registry };

static const struct codec_alias aliases[] = {
    {"f32", "fp32"},
    {"f16", "fp16"},
    {"q8_0", "int8"},
    {"q4_0", "int4"}, /* llama.cpp's cache types */
    {"turbo2", "turbo:bits=2"},
    {"turbo3", "turbo:bits=3"},
    {"turbo4", "turbo:bits=4"},
    {"lookat1", "lookat:m=1"},
    {"lookat2", "lookat:m=2"},
    {"lookat4", "lookat:m=4"},
    {"lookat8", "lookat:m=8"},
    {"lookat16", "lookat:m=16"},
    {"lookat32", "lookat:m=32"},
    {"lookat4x4", "lookat:m=4,k=16"},
    {"lookat8x4", "lookat:m=8,k=16"}, /* codes x bits */
    {"lookat16x4", "lookat:m=16,k=16"},
    {"lookat32x4", "lookat:m=32,k=16"},
    {"pq4", "pq:m=4"},
    {"pq8", "pq:m=8"},
    {"pq16", "pq:m=16"},
    {"pq32", "pq:m=32"},
    {"pq8x4", "pq:m=8,k=16"},
    {"pq16x4", "pq:m=16,k=16"},
    {"pq32x4", "pq:m=32,k=16"},
};
enum { N_ALIASES = sizeof aliases / sizeof *aliases };

static const char *const listed[] = {"fp32",         "fp16",        "int8",         "int4",
                                     "int4:rotate",  "int4:center", "turbo:bits=4", "turbo:bits=3",
                                     "turbo:bits=2", "lookat2",     "lookat4",      "lookat8",
                                     "lookat16",     "lookat16x4",  "pq8",          "pq16"};

bool codec_same(const struct codec *a, const struct codec *b) {
    return a->ops == b->ops && codec_options_same(&a->o, &b->o);
}

struct kv_layout codec_layout(const struct codec *c, size_t head_dim, size_t head) {
    return c->ops->layout ? c->ops->layout(c, head_dim, head)
                          : (struct kv_layout){1, c->ops->row_bytes(c, head_dim, head)};
}

size_t codec_timeline_bytes(const struct codec *c, size_t head_dim, size_t head, size_t n) {
    struct kv_layout l = codec_layout(c, head_dim, head);
    return (n + l.rows - 1) / l.rows * l.bytes;
}

const char *codec_exact_name(size_t bits) {
    return (bits == 8 ? &codec_int8 : bits == 4 ? &codec_int4 : &codec_fp16)->name;
}

const char *kv_codec_listed(size_t index) {
    return index < sizeof listed / sizeof *listed ? listed[index] : NULL;
}

const struct kv_codec *kv_codec_at(size_t index) {
    return index < N_CODECS ? registry[index] : NULL;
}

struct codec_alias codec_alias_at(size_t index) {
    return index < N_ALIASES ? aliases[index] : (struct codec_alias){0};
}
