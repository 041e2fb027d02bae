/* llm.c files: the same model written as llm.c writes it has the same weights bit by bit, and a
 * tokenizer without merges gives them back. */
#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/vocab.h"
#include "stories.h"
#include "same_config.h"
#include "test.h"

static struct checkpoint hf, llmc;
static struct err e;
static int warnings;
static char warning[256];
static void warned(const char *msg) {
    warnings += strstr(msg, "tokenizer") != NULL;
    snprintf(warning, sizeof warning, "%s", msg);
}

/* write_fp32 and write_bf16 of llm.c's train_gpt2.py, from a model whose numbers all have that
 * type. */
static void put_numbers(struct bytes *b, enum dtype type, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (type == DTYPE_F32)
            put_f32(b, x[i]);
        else
            put_u16(b, f32_to_bf16(x[i]));
    }
}

static void put_matrix(struct bytes *b, const struct matrix *m) {
    put_bytes(b, m->data, matrix_bytes(m));
}

static struct bytes model_file(const struct gpt2_weights *w, size_t padded) {
    const struct gpt2_config *g = &w->config;
    const size_t L = g->n_layer, C = g->n_embd;
    const enum dtype type = w->wte.type;
    const uint32_t h[8] = {
        20240326,    type == DTYPE_F32 ? 3 : 5, (uint32_t)g->n_ctx, (uint32_t)g->n_vocab,
        (uint32_t)L, (uint32_t)g->n_head,       (uint32_t)C,        (uint32_t)padded};
    struct bytes b = {0};
    for (int i = 0; i < 256; i++) put_u32(&b, i < 8 ? h[i] : 0);
    put_matrix(&b, &w->wte);
    for (size_t i = g->n_vocab * C; i < padded * C; i++) put_numbers(&b, type, &(float){NAN}, 1);
    put_matrix(&b, &w->wpe);
#define EACH(put) \
    for (const struct gpt2_layer *l = w->layers; l < w->layers + L; l++) put
    EACH (put_numbers(&b, type, l->ln1_w, C))
        ;
    EACH (put_numbers(&b, type, l->ln1_b, C))
        ;
    EACH (put_matrix(&b, &l->qkv))
        ;
    EACH (put_numbers(&b, type, l->qkv_b, 3 * C))
        ;
    EACH (put_matrix(&b, &l->proj))
        ;
    EACH (put_numbers(&b, type, l->proj_b, C))
        ;
    EACH (put_numbers(&b, type, l->ln2_w, C))
        ;
    EACH (put_numbers(&b, type, l->ln2_b, C))
        ;
    EACH (put_matrix(&b, &l->fc))
        ;
    EACH (put_numbers(&b, type, l->fc_b, 4 * C))
        ;
    EACH (put_matrix(&b, &l->fcproj))
        ;
    EACH (put_numbers(&b, type, l->fcproj_b, C))
        ;
    put_numbers(&b, type, w->lnf_w, C);
    put_numbers(&b, type, w->lnf_b, C);
    return b;
}

static bool same(const struct matrix *a, const struct matrix *b) {
    return a->type == b->type && a->rows == b->rows && a->cols == b->cols &&
           memcmp(a->data, b->data, matrix_bytes(a)) == 0;
}

static bool same_numbers(const float *a, const float *b, size_t n) {
    return memcmp(a, b, n * sizeof *a) == 0;
}

static void compare(void) {
    const struct gpt2_weights *a = &hf.weights, *b = &llmc.weights;
    const size_t C = a->config.n_embd;
    CHECK(same_config(&a->config, &b->config), "config");
    CHECK(b->tied && b->head.data == b->wte.data && b->head.rows == a->wte.rows, "head");
    CHECK(same(&a->wte, &b->wte) && same(&a->wpe, &b->wpe), "embeddings");
    CHECK(same_numbers(a->lnf_w, b->lnf_w, C) && same_numbers(a->lnf_b, b->lnf_b, C), "last norm");
    for (size_t i = 0; i < a->config.n_layer; i++) {
        const struct gpt2_layer *x = &a->layers[i], *y = &b->layers[i];
        CHECK(same(&x->qkv, &y->qkv) && same(&x->proj, &y->proj) && same(&x->fc, &y->fc) &&
                  same(&x->fcproj, &y->fcproj),
              "matrices %zu", i);
        CHECK(same_numbers(x->ln1_w, y->ln1_w, C) && same_numbers(x->ln1_b, y->ln1_b, C) &&
                  same_numbers(x->ln2_w, y->ln2_w, C) && same_numbers(x->ln2_b, y->ln2_b, C),
              "norms %zu", i);
        CHECK(same_numbers(x->qkv_b, y->qkv_b, 3 * C) && same_numbers(x->proj_b, y->proj_b, C) &&
                  same_numbers(x->fc_b, y->fc_b, 4 * C) &&
                  same_numbers(x->fcproj_b, y->fcproj_b, C),
              "biases %zu", i);
    }
}

/* Loads the safetensors model at `path`, writes it as llm.c does, loads that. */
static void there_and_back(const char *path, size_t padding) {
    CHECK(checkpoint_open(&hf, path, NULL, NULL, &e) == OK, "%s", e.msg);
    struct bytes b = model_file(&hf.weights, hf.weights.config.n_vocab + padding);
    const char *out = folder_write("gpt2.bin", b.data, b.size);
    bytes_free(&b);
    CHECK(checkpoint_open(&llmc, out, NULL, warned, &e) == OK, "%s", e.msg);
    if (llmc.weights.layers) compare();
    CHECK(llmc.format &&
              strcmp(llmc.format, hf.weights.wte.type == DTYPE_F32 ? "llm.c v3" : "llm.c v5") == 0,
          "format");
    CHECK(llmc.name && strcmp(llmc.name, "gpt2") == 0, "name");
    checkpoint_close(&llmc);
    checkpoint_close(&hf);
    unlink(out);
}

static void tiny_models(void) {
    static const struct tiny_shape s = {2, 8, 32, 3, 5};
    static struct st_maker tiny;
    folder_write("config.json", "{\"n_head\":2}", 12);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        tiny_hf(&tiny, s, "", bf16 ? "BF16" : "F32");
        struct bytes b = st_bytes(&tiny);
        warnings = 0;
        there_and_back(folder_write("tiny.safetensors", b.data, b.size), bf16 ? 0 : 3);
        CHECK(warnings == 1, "%d warnings about the tokenizer", warnings);
        bytes_free(&b);
        st_free(&tiny);
    }
    unlink(folder_path("tiny.safetensors"));
    unlink(folder_path("config.json"));
}

static void stories(void) { there_and_back(stories_file("model.safetensors"), 64); }

/* --- tokenizers --- */

static struct arena arena;

static struct vocab load_vocab(const char *path) {
    struct vocab v = {0};
    CHECK(vocab_open(&v, path, &arena, &e) == OK, "%s", e.msg);
    return v;
}

/* write_tokenizer of llm.c's train_gpt2.py; version 1 has no end-of-text id. */
static struct vocab through_llmc(const struct vocab *v, uint32_t version) {
    struct bytes b = {0};
    const uint32_t h[4] = {20240328, version, v->n, version == 2 ? (uint32_t)v->eos : 0};
    for (int i = 0; i < 256; i++) put_u32(&b, i < 4 ? h[i] : 0);
    for (uint32_t i = 0; i < v->n; i++) {
        put_u8(&b, (uint8_t)(v->offset[i + 1] - v->offset[i]));
        put_bytes(&b, v->bytes + v->offset[i], v->offset[i + 1] - v->offset[i]);
    }
    struct vocab out = load_vocab(folder_write("tokenizer.bin", b.data, b.size));
    bytes_free(&b);
    return out;
}

static void compare_vocab(const struct vocab *a, const struct vocab *b) {
    CHECK(a->n == b->n && a->n_merges == b->n_merges, "%u and %u tokens, %u and %u merges", a->n,
          b->n, a->n_merges, b->n_merges);
    if (a->n != b->n || a->n_merges != b->n_merges) return;
    CHECK(memcmp(a->bytes, b->bytes, a->offset[a->n]) == 0 && memcmp(a->kind, b->kind, a->n) == 0,
          "tokens");
    for (uint32_t i = 0; i < a->n_merges; i++)
        CHECK(memcmp(&a->merges[i], &b->merges[i], sizeof *a->merges) == 0,
              "merge %u: %u %u, expected %u %u", i, b->merges[i].left, b->merges[i].right,
              a->merges[i].left, a->merges[i].right);
}

/* a b c d ab cd abcd bc, where bc can only come from the pair of the lowest id; aba is ab a; "xyz"
 * and the end of text are made by none. */
static void derived_merges(void) {
    struct bytes b = {0};
    static const char *const tokens[] = {"a",    "b",  "c",   "d",   "ab",    "cd",
                                         "abcd", "bc", "aba", "xyz", "<end>", "abcdcd"};
    const uint32_t h[4] = {20240328, 2, 12, 10};
    for (int i = 0; i < 256; i++) put_u32(&b, i < 4 ? h[i] : 0);
    for (int i = 0; i < 12; i++) {
        put_u8(&b, (uint8_t)strlen(tokens[i]));
        put_text(&b, tokens[i]);
    }
    struct vocab v = load_vocab(folder_write("tokenizer.bin", b.data, b.size));
    static const struct vocab_merge want[] = {{0, 1, 4}, {2, 3, 5}, {4, 5, 6},
                                              {1, 2, 7}, {4, 0, 8}, {6, 5, 11}};
    CHECK(v.n_merges == 6, "%u merges", v.n_merges);
    for (uint32_t i = 0; i < v.n_merges && i < 6; i++)
        CHECK(memcmp(&v.merges[i], &want[i], sizeof want[i]) == 0, "merge %u", i);
    CHECK(v.eos == 10 && v.bos == 10 && v.kind[10] && v.kind[9] && !v.kind[11] && !v.kind[8],
          "control");
    bytes_free(&b);
}

static void vocab_there_and_back(const char *path) {
    struct vocab v = load_vocab(path), two = through_llmc(&v, 2), one = through_llmc(&v, 1);
    compare_vocab(&v, &two);
    CHECK(two.eos == v.eos && two.bos == v.bos, "eos %d bos %d", two.eos, two.bos);
    compare_vocab(&v, &one);
    CHECK(one.eos == v.eos && one.bos == v.bos, "eos %d bos %d", one.eos, one.bos);
}

static void stories_vocab(void) { vocab_there_and_back("tokenizer/vocab.json"); }

static void gpt2_vocab(void) {
    const char *path = test_gpt2_tokenizer("vocab.json");
    if (!path) SKIP(TEST_NO_GPT2_TOKENIZER);
    vocab_there_and_back(path);
}

/* The tokenizer beside a model is found, and its size must be the model's. */
static void beside(void) {
    static const struct tiny_shape s = {1, 8, 32, 3, 5};
    static struct st_maker tiny;
    folder_write("config.json", "{\"n_head\":2}", 12);
    tiny_hf(&tiny, s, "", "F32");
    struct bytes b = st_bytes(&tiny);
    CHECK(checkpoint_open(&hf, folder_write("tiny.safetensors", b.data, b.size), NULL, NULL, &e) ==
              OK,
          "%s", e.msg);
    struct bytes model = model_file(&hf.weights, 8), tokens = {0};
    const char *path = folder_write("m.bin", model.data, model.size);
    const uint32_t h[4] = {20240328, 2, 5, 4};
    for (int i = 0; i < 256; i++) put_u32(&tokens, i < 4 ? h[i] : 0);
    put_text(&tokens, "\1a\1b\2ab\1c\5<end>");
    folder_write("gpt2_tokenizer.bin", tokens.data, tokens.size);
    CHECK(checkpoint_open(&llmc, path, NULL, warned, &e) == OK && llmc.vocab.n == 5 &&
              llmc.vocab.n_merges == 1,
          "%s", e.msg);
    checkpoint_close(&llmc);
    tokens.data[8] = 4; /* tokens, by the header */
    tokens.data[12] = 3;
    const char *four = folder_write("four.bin", tokens.data, tokens.size - 6);
    CHECK(checkpoint_open(&llmc, path, four, warned, &e) == OK && llmc.vocab.n == 4, "%s", e.msg);
    CHECK(strstr(warning, "four.bin: the tokenizer has 4 tokens and the model 5 rows: rows from 4 "
                          "on are never chosen"),
          "%s", warning);
    checkpoint_close(&llmc);
    checkpoint_close(&hf);
    bytes_free(&b);
    bytes_free(&model);
    bytes_free(&tokens);
    st_free(&tiny);
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    RUN(tiny_models);
    RUN(stories);
    RUN(derived_merges);
    RUN(stories_vocab);
    RUN(gpt2_vocab);
    RUN(beside);
    folder_remove();
    arena_free(&arena);
    return TEST_RESULT;
}
