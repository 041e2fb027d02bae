/* A whole model, small and by its structure mostly right: the input chooses shape, number types,
 * values, what is changed in the file, and the attention backend. What loads runs a few tokens, as
 * a prompt and one by one. */
#include "fuzz.h"

#include "../bad/tiny_gguf.h"
#include "../random_book.h"
#include "checkpoint/checkpoint.h"
#include "model/gpt2.h"

enum { TOKENS = 4, CHANGES = 4 };

struct input {
    const uint8_t *data;
    size_t size;
};

static unsigned take(struct input *in) {
    if (!in->size) return 0;
    in->size--;
    return *in->data++;
}

static uint64_t take_wide(struct input *in) {
    uint64_t x = 0;
    for (int i = 0; i < 8; i++) x = x << 8 | take(in);
    return x;
}

static const struct {
    uint64_t width, heads, inner;
} shapes[] = {{4, 1, 32},  {8, 1, 12},  {8, 2, 32},  {32, 1, 64},
              {32, 2, 32}, {64, 2, 96}, {96, 3, 32}, {64, 1, 256}};

static const char *const specs[] = {"fp32",
                                    "fp16",
                                    "int8",
                                    "int4",
                                    "int4:rotate",
                                    "int4:center",
                                    "turbo:bits=2",
                                    "turbo:bits=3",
                                    "turbo:bits=4",
                                    "fp16/int8",
                                    "int4/int4",
                                    "fp32/turbo3",
                                    "fp16:sink=1,window=2",
                                    "int8:sink=1,window=1,exact=8",
                                    "lookat:m=2,k=4,plain",
                                    "lookat:m=4,k=4,plain/int8",
                                    "lookat:m=4,k=4,plain,sink=1,window=2",
                                    "fp16+int4@1-",
                                    "constant",
                                    "lookat:m=1,k=4,plain/fp16:skip=0.01",
                                    "turbo2/turbo2"};

/* The tensors of a layer, with the names of another where it is not the first. */
static void add_layer(struct tiny *t, unsigned layer, uint64_t C, uint64_t F, struct input *in) {
    static const uint32_t types[] = {G_F32, G_F16, G_BF16, G_Q8_0, G_Q4_0};
    const struct {
        const char *name;
        uint64_t cols, rows;
    } parts[] = {
        {"attn_norm.weight", C, 0},  {"attn_norm.bias", C, 0},     {"attn_qkv.weight", C, 3 * C},
        {"attn_qkv.bias", 3 * C, 0}, {"attn_output.weight", C, C}, {"attn_output.bias", C, 0},
        {"ffn_norm.weight", C, 0},   {"ffn_norm.bias", C, 0},      {"ffn_up.weight", C, F},
        {"ffn_up.bias", F, 0},       {"ffn_down.weight", F, C},    {"ffn_down.bias", C, 0}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[64];
        uint32_t type = parts[i].rows ? types[take(in) % 5] : G_F32;
        if ((type == G_Q8_0 || type == G_Q4_0) && parts[i].cols % 32) type = G_F16;
        snprintf(name, sizeof name, "blk.%u.%s", layer, parts[i].name);
        tiny_tensor(t, name, parts[i].cols, parts[i].rows, type);
    }
}

static void make(struct tiny *t, struct input *in) {
    tiny_init(t);
    size_t s = take(in) % (sizeof shapes / sizeof *shapes), layers = 1 + take(in) % 2,
           context = 1 + take(in) % 16;
    tiny_u32(t, "gpt2.context_length", (uint32_t)context);
    tiny_u32(t, "gpt2.embedding_length", (uint32_t)shapes[s].width);
    tiny_u32(t, "gpt2.feed_forward_length", (uint32_t)shapes[s].inner);
    tiny_u32(t, "gpt2.block_count", (uint32_t)layers);
    tiny_u32(t, "gpt2.attention.head_count", (uint32_t)shapes[s].heads);
    t->n_tensors = 0;
    tiny_tensor(t, "token_embd.weight", shapes[s].width, 5, take(in) % 2 ? G_F16 : G_F32);
    tiny_tensor(t, "position_embd.weight", shapes[s].width, context, G_F32);
    for (unsigned i = 0; i < layers; i++) add_layer(t, i, shapes[s].width, shapes[s].inner, in);
    tiny_tensor(t, "output_norm.weight", shapes[s].width, 0, G_F32);
    tiny_tensor(t, "output_norm.bias", shapes[s].width, 0, G_F32);
    t->fill = (uint8_t)take(in);
}

static void run(const struct checkpoint *c, const char *spec, struct input *in) {
    const struct gpt2_config *g = &c->weights.config;
    const struct kernels *k = kernels_at(take(in) % 4);
    size_t room = g->n_ctx < TOKENS ? g->n_ctx : TOKENS, D = g->n_embd / g->n_head;
    if (!k || !k->supported()) k = kernels_at(0);
    if (g->n_embd > 1024 || g->n_layer > 8 || g->n_vocab > 4096) return;
    struct book book = {0};
    struct gpt2_session s;
    struct err e = {0};
    if (D <= 128) random_book(&book, g->n_layer, g->n_head, D, 4, 1);
    float *logits = calloc(g->n_vocab, sizeof *logits);
    const struct gpt2_session_setup setup = {.weights = &c->weights,
                                             .kn = k,
                                             .attn = spec,
                                             .book = &book,
                                             .n_seq = 1,
                                             .n_ctx = room,
                                             .max_rows = 2};
    int rc = gpt2_session_open(&s, &setup, &e);
    EXPECT(logits);
    fuzz_allow(rc, &e);
    if (!rc) {
        int32_t ids[TOKENS];
        size_t prompt = 1 + take(in) % room;
        for (size_t i = 0; i < TOKENS; i++) ids[i] = (int32_t)(take(in) % g->n_vocab);
        rc = gpt2_prefill(&s, 0, ids, prompt, logits,
                          &e); /* fails by name where a weight is not finite */
        for (size_t i = prompt; !rc && i < room; i++)
            rc = gpt2_forward(&s, &(struct gpt2_row){0, (uint32_t)i, ids[i], true}, 1, logits, &e);
        EXPECT(rc == OK || e.msg[0]);
        gpt2_rewind(&s, 0, 0);
        gpt2_session_close(&s);
    }
    free(logits);
    arena_free(&book.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    struct tiny t;
    struct checkpoint c;
    struct err e = {0};
    make(&t, &in);
    const char *spec = specs[take(&in) % (sizeof specs / sizeof *specs)];
    struct bytes b = tiny_bytes(&t);
    for (unsigned i = take(&in) % CHANGES; i > 0; i--)
        b.data[take_wide(&in) % b.size] ^= (uint8_t)take(&in);
    for (size_t i = b.size; i-- > b.size / 2 && in.size > 16;) b.data[i] = (uint8_t)take(&in);
    const char *path = fuzz_file("model.gguf", b.data, b.size);
    bytes_free(&b);
    tiny_free(&t);
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    fuzz_allow(rc, &e);
    if (rc) return 0;
    run(&c, spec, &in);
    checkpoint_close(&c);
    return 0;
}
