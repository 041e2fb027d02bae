/* The first page of the project, run: reference/attention.h has attention three times (naive, with
 * a KV cache, with codes). Here all three answer one prompt with the default model, each line below
 * says by how much they differ, and the engine is held against them. Exercises of src/README.md
 * change that page or the engine, and these tests say what came of it. */
#include "test.h"

#include "attention/book.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "model/gpt2.h"
#include "reference/gpt2.h"
#include "tokenizer/bpe.h"

#define MODEL "weights/stories6M.gguf"
#define PROMPT "Once upon a time, there was a little girl"

enum { M = 4, K = 256, MOST = 16, V = 4096 };

static struct err e;
static struct arena arena;
static struct checkpoint model;
static struct book book;
static int32_t *ids;
static size_t n; /* tokens of the prompt */
static double naive[MOST * V], cached[MOST * V], coded[MOST * V], decoded[MOST * V];

static bool opened(void) {
    struct bpe *b;
    bool found = false;
    return checkpoint_open(&model, MODEL, NULL, NULL, &e) == OK &&
           book_open(&book, MODEL, &found, &e) == OK && found &&
           bpe_new(&b, &model.vocab, &arena, &e) == OK &&
           bpe_encode(b, (const uint8_t *)PROMPT, strlen(PROMPT), false, &arena, &ids, &n, &e) ==
               OK &&
           n <= MOST;
}

/* A reference with the plain codebooks of 4 codes that the default model's file holds. */
static struct reference coded_reference(void) {
    struct reference r = reference_open(&model.weights, n);
    const struct codebook *plain = book_find(&book, M, K, CODEBOOK_PLAIN);
    CHECK(plain, "no codebooks");
    if (!plain) exit(1);
    r.attention = attention_coded;
    r.m = M, r.k = K;
    r.centroids = plain->centroids;
    r.codes = calloc(model.weights.config.n_layer * model.weights.config.n_head * n * M, 1);
    return r;
}

/* Runs the prompt one token at a time, as a program does that generates. */
static void token_by_token(struct reference *r, double *logits) {
    for (size_t t = 0; t < n; t++) reference_run(r, ids, t, t + 1, logits + t * V);
}

static double largest_difference(const double *a, const double *b) {
    double worst = 0;
    for (size_t i = 0; i < n * V; i++) {
        const double d = fabs(a[i] - b[i]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

/* The largest difference of the engine's logits from want[n][V], over all kernel sets; the prompt
 * is decoded token by token, and then once more as one batch. */
static double engine_difference(const char *attn, const double *want) {
    static float logits[V];
    double worst = 0;
    for (size_t i = 0; kernels_at(i); i++) {
        struct gpt2_session s;
        if (!kernels_at(i)->supported() || kernels_at(i)->by_name_only) continue;
        const struct gpt2_session_setup setup = {.weights = &model.weights,
                                                 .kn = kernels_at(i),
                                                 .attn = attn,
                                                 .book = &book,
                                                 .n_seq = 1,
                                                 .n_ctx = n,
                                                 .max_rows = n};
        int rc = gpt2_session_open(&s, &setup, &e);
        CHECK(rc == OK, "%s", e.msg);
        if (rc) exit(1);
        for (size_t t = 0; t <= n; t++) {
            const size_t at = t < n ? t : n - 1, begin = t < n ? t : 0;
            if (t == n) gpt2_rewind(&s, 0, 0);
            CHECK(gpt2_prefill(&s, 0, ids + begin, at + 1 - begin, logits, &e) == OK, "%s", e.msg);
            for (size_t v = 0; v < V; v++) {
                const double d = fabs(logits[v] - want[at * V + v]);
                if (!(d <= worst)) worst = d;
            }
        }
        gpt2_session_close(&s);
    }
    return worst;
}

/* ---- the three ---- */

static void naive_equals_the_engine(void) {
    struct reference r = reference_open(&model.weights, n);
    reference_run(&r, ids, 0, n, naive);
    reference_close(&r);
    const double worst = engine_difference("fp32", naive);
    printf("  naive, engine with fp32: logits differ by %.1e at most\n", worst);
    CHECK(worst <= 5e-5, "off by %g", worst);
}

/* The cache holds the very numbers that the naive loops work out again: not a bit differs. */
static void cached_equals_naive(void) {
    struct reference r = reference_open(&model.weights, n);
    r.attention = attention_cached;
    token_by_token(&r, cached);
    const double worst = largest_difference(cached, naive);
    printf("  naive, cached: logits differ by %.1e at most\n", worst);
    CHECK(worst == 0, "off by %g", worst);
    reference_run(&r, ids, 0, n, cached);
    CHECK(largest_difference(cached, naive) == 0, "as one batch");
    reference_close(&r);
}

/* Codes lose something: that is their price. The engine loses the same. */
static void coded_equals_the_engine(void) {
    struct reference r = coded_reference();
    token_by_token(&r, coded);
    const double loss = largest_difference(coded, naive);
    const double worst = engine_difference("lookat4:plain,table=32/fp32", coded);
    const double rounded = engine_difference("lookat4:plain/fp32", coded);
    printf("  naive, coded: logits differ by %.1e at most; a key is %d bytes, not 64 numbers\n",
           loss, M);
    printf("  coded, engine: by %.1e with tables in float32, by %.1e with tables of 16 bits\n",
           worst, rounded);
    CHECK(loss > 0.01, "codes cost nothing: %g", loss);
    CHECK(worst <= 5e-5, "off by %g", worst);
    CHECK(rounded <= 5e-3, "off by %g", rounded);
    reference_close(&r);
}

/* ---- a look-up is a product ---- */

static double score_difference; /* the largest, relative to 1 + |score| */

/* attention_cached over keys put together again from their codes: what attention_coded spares. */
static void attention_decoded(struct reference *r, size_t l, size_t h, size_t t, double *out) {
    const size_t H = r->w->config.n_head, D = r->w->config.n_embd / H;
    const uint8_t *codes = r->codes + (l * H + h) * r->room * M;
    const double *v = reference_rows(r, r->values, l, h);
    double q[REFERENCE_DIM], k[REFERENCE_DIM], score[MOST];
    attention_coded(r, l, h, t, out);
    reference_project(q, r, l, QUERY, h, t);
    for (size_t i = 0; i <= t; i++) {
        for (size_t d = 0; d < D; d++) {
            const size_t j = d / (D / M);
            k[d] = reference_centroid(r, l, h, j, d % (D / M), codes[i * M + j]);
        }
        score[i] = r->p[i] = reference_dot(q, k, D) / sqrt((double)D);
    }
    reference_softmax(r->p, t + 1);
    for (size_t d = 0; d < D; d++) out[d] = 0;
    for (size_t i = 0; i <= t; i++)
        for (size_t d = 0; d < D; d++) out[d] += r->p[i] * v[i * D + d];
    double table[REFERENCE_TABLES];
    reference_table(table, r, l, h, q);
    for (size_t i = 0; i <= t; i++) {
        double sum = 0;
        for (size_t j = 0; j < M; j++) sum += table[j * K + codes[i * M + j]];
        const double d = fabs(sum / sqrt((double)D) - score[i]) / (1 + fabs(score[i]));
        if (!(d <= score_difference)) score_difference = d;
    }
}

static void looking_up_equals_decoding(void) {
    struct reference r = coded_reference();
    r.attention = attention_decoded;
    token_by_token(&r, decoded);
    const double worst = largest_difference(decoded, coded);
    printf("  looked up, decoded and multiplied: scores differ by %.1e at most, logits by %.1e\n",
           score_difference, worst);
    CHECK(score_difference <= 1e-12, "scores are off by %g", score_difference);
    CHECK(worst <= 1e-10, "logits are off by %g", worst);
    reference_close(&r);
}

int main(void) {
    threads_set(2);
    if (!opened()) {
        printf("FAIL reference: %s: %s\n", MODEL, e.msg);
        return 1;
    }
    RUN(naive_equals_the_engine);
    RUN(cached_equals_naive);
    RUN(coded_equals_the_engine);
    RUN(looking_up_equals_decoding);
    book_close(&book);
    checkpoint_close(&model);
    arena_free(&arena);
    return TEST_RESULT;
}
