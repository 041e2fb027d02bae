/* A tiny GPT-2 as a GGUF file (1 layer, 1 head, width 4, MLP 32, context 8, 5 tokens) whose every
 * part can be changed before the bytes are made. It stands apart from the project's own writer, so
 * the two cannot share a mistake. */
#ifndef LOOKAT_TESTS_TINY_GGUF_H
#define LOOKAT_TESTS_TINY_GGUF_H

#include <stdbool.h>

#include "bad.h"

/* value types and ggml types, as numbers of the format */
enum { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_STR, T_ARR, T_U64, T_I64, T_F64 };
enum { G_F32 = 0, G_F16 = 1, G_Q4_0 = 2, G_Q8_0 = 8, G_BF16 = 30 };

struct tiny_kv {
    const char *key;
    uint64_t key_len; /* as written */
    uint32_t type;
    struct bytes value;
};

struct tiny_tensor {
    char name[80];
    uint64_t name_len; /* as written */
    uint32_t n_dims;
    uint64_t dims[5];
    uint32_t type;
    uint64_t shift; /* added to the offset as written */
    size_t bytes;   /* in the data section */
};

struct tiny {
    char magic[5];
    uint32_t version;
    uint64_t more_kv, more_tensors; /* added to the counts as written */
    size_t alignment;
    struct tiny_kv kv[64];
    struct tiny_tensor tensors[32];
    size_t n_kv, n_tensors;
    struct bytes tail; /* behind the last tensor */
    size_t cut;        /* bytes taken off the end */
    uint8_t fill;      /* every byte of the tensors; 0x3c: 0.0115 as f32, 1.06 as f16 */
};

/* The value of a key, emptied; the key is added where it is not there. */
static inline struct bytes *tiny_kv(struct tiny *t, const char *key, uint32_t type) {
    size_t i = 0;
    while (i < t->n_kv && strcmp(t->kv[i].key, key) != 0) i++;
    if (i == t->n_kv) t->kv[t->n_kv++] = (struct tiny_kv){.key = key, .key_len = strlen(key)};
    t->kv[i].type = type;
    t->kv[i].value.size = 0;
    return &t->kv[i].value;
}

static inline void tiny_u32(struct tiny *t, const char *key, uint32_t x) {
    put_u32(tiny_kv(t, key, T_U32), x);
}
static inline void tiny_f32(struct tiny *t, const char *key, float x) {
    put_f32(tiny_kv(t, key, T_F32), x);
}
static inline void tiny_str(struct tiny *t, const char *key, const char *s) {
    put_str(tiny_kv(t, key, T_STR), s);
}

static inline struct bytes *tiny_array(struct tiny *t, const char *key, uint32_t item,
                                       uint64_t count) {
    struct bytes *b = tiny_kv(t, key, T_ARR);
    put_u32(b, item);
    put_u64(b, count);
    return b;
}

static inline void tiny_strs(struct tiny *t, const char *key, size_t n, const char *const *s) {
    struct bytes *b = tiny_array(t, key, T_STR, n);
    for (size_t i = 0; i < n; i++) put_str(b, s[i]);
}

static inline void tiny_drop_kv(struct tiny *t, const char *key) {
    size_t i = 0;
    while (i < t->n_kv && strcmp(t->kv[i].key, key) != 0) i++;
    if (i == t->n_kv) return;
    bytes_free(&t->kv[i].value);
    memmove(&t->kv[i], &t->kv[i + 1], (t->n_kv - i - 1) * sizeof t->kv[0]);
    t->n_kv--;
}

static inline size_t tiny_bytes_of(uint32_t type, uint64_t n) {
    switch (type) {
    case G_F32: return (size_t)n * 4;
    case G_Q8_0: return (size_t)n / 32 * 34;
    case G_Q4_0: return (size_t)n / 32 * 18;
    default: return (size_t)n * 2;
    }
}

/* The tensor called name, of this shape (rows 0: one dimension) and type; added where it is not
 * there. */
static inline struct tiny_tensor *tiny_tensor(struct tiny *t, const char *name, uint64_t cols,
                                              uint64_t rows, uint32_t type) {
    size_t i = 0;
    while (i < t->n_tensors && strcmp(t->tensors[i].name, name) != 0) i++;
    if (i == t->n_tensors) {
        t->n_tensors++;
        snprintf(t->tensors[i].name, sizeof t->tensors[i].name, "%s", name);
        t->tensors[i].name_len = strlen(name);
    }
    struct tiny_tensor *x = &t->tensors[i];
    x->n_dims = rows ? 2 : 1;
    x->dims[0] = cols;
    x->dims[1] = rows ? rows : 1;
    x->dims[2] = x->dims[3] = x->dims[4] = 1;
    x->type = type;
    x->bytes = tiny_bytes_of(type, cols * (rows ? rows : 1));
    return x;
}

static inline void tiny_drop_tensor(struct tiny *t, size_t i) {
    memmove(&t->tensors[i], &t->tensors[i + 1], (t->n_tensors - i - 1) * sizeof t->tensors[0]);
    t->n_tensors--;
}

static const struct {
    const char *name;
    uint64_t cols, rows;
} tiny_shapes[] = {{"token_embd.weight", 4, 5},        {"position_embd.weight", 4, 8},
                   {"blk.0.attn_norm.weight", 4, 0},   {"blk.0.attn_norm.bias", 4, 0},
                   {"blk.0.attn_qkv.weight", 4, 12},   {"blk.0.attn_qkv.bias", 12, 0},
                   {"blk.0.attn_output.weight", 4, 4}, {"blk.0.attn_output.bias", 4, 0},
                   {"blk.0.ffn_norm.weight", 4, 0},    {"blk.0.ffn_norm.bias", 4, 0},
                   {"blk.0.ffn_up.weight", 4, 32},     {"blk.0.ffn_up.bias", 32, 0},
                   {"blk.0.ffn_down.weight", 32, 4},   {"blk.0.ffn_down.bias", 4, 0},
                   {"output_norm.weight", 4, 0},       {"output_norm.bias", 4, 0}};
enum { TINY_TENSORS = sizeof tiny_shapes / sizeof *tiny_shapes };

/* a, b, ab, "<space>", and a control token; a merges with b */
static inline void tiny_init(struct tiny *t) {
    static const char *const tokens[] = {"a", "b", "ab", "\xc4\xa0", "<|endoftext|>"};
    static const char *const merges[] = {"a b"};
    memset(t, 0, sizeof *t);
    memcpy(t->magic, "GGUF", 5);
    t->version = 3;
    t->alignment = 32;
    t->fill = 0x3c;
    tiny_str(t, "general.architecture", "gpt2");
    tiny_str(t, "general.name", "tiny");
    tiny_u32(t, "gpt2.context_length", 8);
    tiny_u32(t, "gpt2.embedding_length", 4);
    tiny_u32(t, "gpt2.feed_forward_length", 32);
    tiny_u32(t, "gpt2.block_count", 1);
    tiny_u32(t, "gpt2.attention.head_count", 1);
    tiny_f32(t, "gpt2.attention.layer_norm_epsilon", 1e-5f);
    tiny_str(t, "tokenizer.ggml.model", "gpt2");
    tiny_str(t, "tokenizer.ggml.pre", "gpt-2");
    tiny_strs(t, "tokenizer.ggml.tokens", 5, tokens);
    struct bytes *types = tiny_array(t, "tokenizer.ggml.token_type", T_I32, 5);
    for (int i = 0; i < 5; i++) put_u32(types, i == 4 ? 3 : 1);
    tiny_strs(t, "tokenizer.ggml.merges", 1, merges);
    tiny_u32(t, "tokenizer.ggml.bos_token_id", 4);
    tiny_u32(t, "tokenizer.ggml.eos_token_id", 4);
    for (size_t i = 0; i < TINY_TENSORS; i++)
        tiny_tensor(t, tiny_shapes[i].name, tiny_shapes[i].cols, tiny_shapes[i].rows, G_F32);
}

/* The file; the padding of the last tensor is left out. */
static inline struct bytes tiny_bytes(const struct tiny *t) {
    struct bytes b = {0};
    put_bytes(&b, t->magic, 4);
    put_u32(&b, t->version);
    put_u64(&b, t->n_tensors + t->more_tensors);
    put_u64(&b, t->n_kv + t->more_kv);
    for (size_t i = 0; i < t->n_kv; i++) {
        put_u64(&b, t->kv[i].key_len);
        put_text(&b, t->kv[i].key);
        put_u32(&b, t->kv[i].type);
        put_bytes(&b, t->kv[i].value.data, t->kv[i].value.size);
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < t->n_tensors; i++) {
        const struct tiny_tensor *x = &t->tensors[i];
        put_u64(&b, x->name_len);
        put_text(&b, x->name);
        put_u32(&b, x->n_dims);
        for (uint32_t d = 0; d < x->n_dims && d < 5; d++) put_u64(&b, x->dims[d]);
        put_u32(&b, x->type);
        put_u64(&b, offset + x->shift);
        offset = (offset + x->bytes + t->alignment - 1) / t->alignment * t->alignment;
    }
    put_padding(&b, t->alignment);
    size_t start = b.size;
    for (size_t i = 0; i < t->n_tensors; i++) {
        while ((b.size - start) % t->alignment) put_u8(&b, 0);
        for (size_t k = 0; k < t->tensors[i].bytes; k++) put_u8(&b, t->fill);
    }
    put_bytes(&b, t->tail.data, t->tail.size);
    b.size -= t->cut < b.size ? t->cut : b.size;
    return b;
}

static inline void tiny_free(struct tiny *t) {
    for (size_t i = 0; i < t->n_kv; i++) bytes_free(&t->kv[i].value);
    bytes_free(&t->tail);
}

#endif
