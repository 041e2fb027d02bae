/* What calibration starts from: the sample of keys against keys that a session stores, and the
 * fingerprint of a model. */
#include "base/inputs.h"
#include "bad/folder.h"
#include "base/rng.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "model/gpt2.h"
#include "calibration/key_sampling.h"
#include "test.h"

enum { WINDOW = 40 };

/* Samples as key_sample_collect does, with the first kernel set. */
static int collect(struct key_sample *s, const struct checkpoint *c,
                   const struct sampled_text *texts, size_t n_texts, struct key_sampling p,
                   struct arena *a, size_t *run, struct err *e) {
    p.weights = &c->weights;
    p.kn = kernels_at(0);
    p.texts = texts;
    p.n_texts = n_texts;
    return key_sample_collect(s, &p, a, run, e);
}

static void open_random(struct checkpoint *c, size_t L, size_t H, size_t width, uint64_t seed) {
    struct gpt2_config config = {.n_layer = L,
                                 .n_head = H,
                                 .n_embd = width,
                                 .n_inner = 32,
                                 .n_ctx = 64,
                                 .n_vocab = 50,
                                 .norm_eps = 1e-5f};
    struct err e;
    CHECK(checkpoint_random(c, &config, seed, &e) == OK, "%s", e.msg);
}

static int32_t *random_ids(struct arena *a, size_t n, uint64_t seed) {
    struct rng r;
    int32_t *ids = arena_alloc(a, n, sizeof *ids);
    rng_seed(&r, seed, 0);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)rng_below(&r, 50);
    return ids;
}

/* Keys [L][H][n][D] in f16 of one window, read out of a session's fp32 cache. */
static void stored_keys(const struct checkpoint *c, const int32_t *ids, size_t n, uint16_t *keys) {
    struct gpt2_session s;
    struct err e;
    const struct gpt2_config *g = &c->weights.config;
    size_t D = g->n_embd / g->n_head;
    const struct gpt2_session_setup setup = {.weights = &c->weights,
                                             .kn = kernels_at(0),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = 64,
                                             .max_rows = 7};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    CHECK(gpt2_prefill(&s, 0, ids, n, NULL, &e) == OK, "%s", e.msg);
    for (size_t l = 0; l < g->n_layer; l++)
        for (size_t h = 0; h < g->n_head; h++) {
            const float *rows = (const float *)(const void *)((const uint8_t *)s.state[0] +
                                                              s.attn.layers[l].keys[h].at);
            for (size_t i = 0; i < n * D; i++)
                keys[(l * g->n_head + h) * n * D + i] = f32_to_f16(rows[i]);
        }
    gpt2_session_close(&s);
}

/* The number of f16 values of a and b that differ by more than their last place. */
static size_t different(const uint16_t *a, const uint16_t *b, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count +=
            fabsf(f16_to_f32(a[i]) - f16_to_f32(b[i])) > 1e-3f * fabsf(f16_to_f32(b[i])) + 1e-6f;
    return count;
}

/* Fewer tokens than the sample holds: every key is there, of the windows that are spread over the
 * text. */
static void keeps_every_key(void) {
    enum { L = 2, H = 2, D = 8, N = 400, RUN_TOKENS = 100 };
    struct checkpoint c;
    struct arena a = {0};
    struct key_sample s;
    struct err e;
    size_t run = 0;
    static uint16_t keys[L * H * WINDOW * D];
    open_random(&c, L, H, H * D, 1);
    struct sampled_text text = {random_ids(&a, N, 2), N};
    for (int threads = 1; threads <= 2; threads++) {
        threads_set(threads);
        CHECK(collect(&s, &c, &text, 1,
                      (struct key_sampling){
                          .tokens = RUN_TOKENS, .window = WINDOW, .seed = 5, .parts = SAMPLE_PLAIN},
                      &a, &run, &e) == OK,
              "%s", e.msg);
        CHECK(run == RUN_TOKENS && s.n == RUN_TOKENS && s.n_layer == L && s.n_head == H &&
                  s.head_dim == D,
              "%zu run, %zu kept", run, s.n);
        for (size_t i = 0; i < 3; i++) { /* 40 tokens from 0, 40 from 40 + 100, 20 from 80 + 200:
                                            gaps of (400 - 100) / 3 */
            size_t begin = i * (WINDOW + 100), n = i < 2 ? WINDOW : 20;
            stored_keys(&c, text.ids + begin, n, keys);
            for (size_t head = 0; head < L * H; head++)
                CHECK(different(s.keys + (head * s.n + i * WINDOW) * D, keys + head * n * D,
                                n * D) == 0,
                      "window %zu, head %zu", i, head);
        }
    }
    threads_set(1);
    checkpoint_close(&c);
    arena_free(&a);
}

/* q, k and v of every layer and head as a session's observer sees them: [3][L][H][WINDOW][D]. */
struct seen {
    float *rows;
    size_t L, H, D;
};

static float *seen_at(const struct seen *s, size_t which, size_t layer, size_t head, size_t pos) {
    return s->rows + ((((which * s->L + layer) * s->H + head) * WINDOW) + pos) * s->D;
}

static void see(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                const float *k, const float *v, size_t stride) {
    const struct seen *s = ctx;
    const float *all[] = {q, k, v};
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < s->H; h++)
            for (size_t w = 0; w < 3; w++)
                memcpy(seen_at(s, w, layer, h, rows[i].pos), all[w] + i * stride + h * s->D,
                       s->D * sizeof *q);
}

static bool near(double got, double want) { return fabs(got - want) <= 1e-4 * fabs(want) + 1e-7; }

/* What matters of a window's rows by its definitions in float64: weights of keys and of values,
 * second moments of queries and of output projections. */
static void weighs_rows(void) {
    enum { L = 2, H = 2, D = 8, C = H * D };
    struct checkpoint c;
    struct arena a = {0};
    struct key_sample s;
    struct gpt2_session session;
    struct err e;
    size_t run = 0;
    struct seen seen = {calloc(3 * L * H * WINDOW * D, sizeof(float)), L, H, D};
    const struct gpt2_observer observer = {&seen, see};
    open_random(&c, L, H, C, 1);
    struct sampled_text text = {random_ids(&a, WINDOW, 2), WINDOW};
    CHECK(collect(&s, &c, &text, 1,
                  (struct key_sampling){
                      .tokens = WINDOW, .window = WINDOW, .seed = 5, .parts = SAMPLE_VALUES},
                  &a, &run, &e) == OK &&
              s.n == WINDOW,
          "%s", e.msg);
    const struct gpt2_session_setup setup = {.weights = &c.weights,
                                             .kn = kernels_at(0),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = WINDOW,
                                             .max_rows = WINDOW};
    CHECK(gpt2_session_open(&session, &setup, &e) == OK, "%s", e.msg);
    session.observer = &observer;
    CHECK(gpt2_prefill(&session, 0, text.ids, WINDOW, NULL, &e) == OK, "%s", e.msg);
    for (size_t head = 0; head < L * H; head++) {
        double keys[WINDOW] = {0}, values[WINDOW] = {0}, queries[D * D] = {0}, outputs[D * D] = {0},
               p[WINDOW];
        size_t l = head / H, h = head % H;
        for (size_t t = 0; t < WINDOW; t++) {
            const float *q = seen_at(&seen, 0, l, h, t);
            double most = -INFINITY, sum = 0;
            for (size_t i = 0; i <= t; i++) {
                p[i] = 0;
                for (size_t d = 0; d < D; d++)
                    p[i] += (double)q[d] * (double)seen_at(&seen, 1, l, h, i)[d] / sqrt(D);
                most = fmax(most, p[i]);
            }
            for (size_t i = 0; i <= t; i++) sum += p[i] = exp(p[i] - most);
            for (size_t i = 0; i <= t; i++) {
                p[i] /= sum;
                values[i] += p[i] * p[i];
                if (i >= 1 && i + 32 <= t) keys[i] += p[i] * (1 - p[i]);
            }
            for (size_t i = 0; i < D * D; i++)
                queries[i] += (double)q[i / D] * (double)q[i % D] / WINDOW;
        }
        const float *proj = c.weights.layers[l].proj.data;
        for (size_t i = 0; i < D * D; i++)
            for (size_t r = 0; r < C; r++)
                outputs[i] +=
                    (double)proj[r * C + h * D + i / D] * (double)proj[r * C + h * D + i % D];
        for (size_t i = 0; i < WINDOW; i++)
            CHECK(near((double)s.weights[head * WINDOW + i], keys[i]) &&
                      near((double)s.value_weights[head * WINDOW + i], values[i]),
                  "head %zu, row %zu: %g and %g, not %g and %g", head, i,
                  (double)s.weights[head * WINDOW + i], (double)s.value_weights[head * WINDOW + i],
                  keys[i], values[i]);
        for (size_t i = 0; i < D * D; i++)
            CHECK(near(s.queries[head * D * D + i], queries[i]) &&
                      near(s.outputs[head * D * D + i], outputs[i]),
                  "head %zu, moment %zu: %g and %g, not %g and %g", head, i,
                  s.queries[head * D * D + i], s.outputs[head * D * D + i], queries[i], outputs[i]);
        for (size_t i = 0; i < WINDOW * D; i++)
            CHECK(s.values[head * WINDOW * D + i] == f32_to_f16(seen_at(&seen, 2, l, h, 0)[i]),
                  "head %zu: a value is another", head);
    }
    gpt2_session_close(&session);
    checkpoint_close(&c);
    arena_free(&a);
    free(seen.rows);
}

static void shares_of_texts(void) {
    struct checkpoint c;
    struct arena a = {0};
    struct key_sample s;
    struct err e;
    size_t run = 0;
    open_random(&c, 1, 1, 8, 1);
    struct sampled_text texts[3] = {
        {random_ids(&a, 500, 2), 500}, {random_ids(&a, 30, 3), 30}, {random_ids(&a, 600, 4), 600}};
    const struct {
        size_t tokens, n_texts, run;
    } cases[] = {{90, 3, 90}, {300, 3, 300}, {5000, 3, 1130}, {100, 2, 100}, {529, 2, 529}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = collect(
            &s, &c, texts, cases[i].n_texts,
            (struct key_sampling){
                .tokens = cases[i].tokens, .window = WINDOW, .seed = 5, .parts = SAMPLE_PLAIN},
            &a, &run, &e);
        CHECK(rc == OK && run == cases[i].run && s.n == run, "%zu tokens: %zu run, %s",
              cases[i].tokens, run, rc ? e.msg : "");
    }
    struct sampled_text nothing = {NULL, 0};
    CHECK(collect(&s, &c, &nothing, 1,
                  (struct key_sampling){
                      .tokens = 10, .window = WINDOW, .seed = 5, .parts = SAMPLE_PLAIN},
                  &a, &run, &e) == ERR_USAGE,
          "no tokens");
    checkpoint_close(&c);
    arena_free(&a);
}

/* More tokens than the sample holds: exactly so many are kept, in order, each once. */
static void keeps_a_random_choice(void) {
    enum { N = 17000, D = 8 };
    struct checkpoint c;
    struct arena a = {0};
    struct key_sample s, again;
    struct err e;
    size_t run = 0, at = 0, kept_early = 0;
    open_random(&c, 1, 1, D, 1);
    struct sampled_text text = {random_ids(&a, N, 2), N};
    uint16_t *all = arena_alloc(&a, (size_t)N * D, sizeof *all);
    for (size_t i = 0; i < N; i += 50) stored_keys(&c, text.ids + i, 50, all + i * D);
    CHECK(
        collect(&s, &c, &text, 1,
                (struct key_sampling){.tokens = N, .window = 50, .seed = 5, .parts = SAMPLE_PLAIN},
                &a, &run, &e) == OK,
        "%s", e.msg);
    CHECK(run == N && s.n == SAMPLE_KEYS, "%zu run, %zu kept", run, s.n);
    for (size_t i = 0; i < N && at < s.n; i++)
        if (!different(s.keys + at * D, all + i * D, D)) at++, kept_early += i < N / 2;
    CHECK(at == s.n, "only %zu of %zu keys are the text's, in order", at, s.n);
    CHECK(kept_early > s.n * 48 / 100 && kept_early < s.n * 52 / 100,
          "%zu of %zu from the first half", kept_early, s.n);
    CHECK(
        collect(&again, &c, &text, 1,
                (struct key_sampling){.tokens = N, .window = 50, .seed = 6, .parts = SAMPLE_PLAIN},
                &a, &run, &e) == OK,
        "%s", e.msg);
    CHECK(memcmp(s.keys, again.keys, s.n * D * 2) != 0, "another seed keeps the same keys");
    checkpoint_close(&c);
    arena_free(&a);
}

static void refuses_keys_beyond_f16(void) {
    struct checkpoint c;
    struct arena a = {0};
    struct key_sample s;
    struct err e;
    size_t run = 0;
    open_random(&c, 2, 1, 8, 1);
    float bias[24];
    for (size_t i = 0; i < 24; i++) bias[i] = i == 11 ? 70000.0f : 0;
    c.weights.layers[1].qkv_b = bias;
    struct sampled_text text = {random_ids(&a, 60, 2), 60};
    CHECK(collect(&s, &c, &text, 1,
                  (struct key_sampling){
                      .tokens = 60, .window = WINDOW, .seed = 5, .parts = SAMPLE_PLAIN},
                  &a, &run, &e) == ERR_FAILED &&
              strstr(e.msg, "layer 1 of the model makes keys that f16 cannot hold"),
          "%s", e.msg);
    checkpoint_close(&c);
    arena_free(&a);
}

static void fingerprints(void) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0};
    struct checkpoint c, other;
    struct err e;
    char want[65], got[65];
    open_random(&c, 2, 2, 32, 1);
    gpt2_fingerprint(&c.weights, want);
    CHECK(strlen(want) == 64, "%s", want);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *path = folder_path("model.gguf");
        inputs_forget(); /* as a new process: the last turn has read the file that this one replaces
                          */
        CHECK(gguf_write_model(path, true, &c.weights, NULL, "n", types[i], NULL, &e) == OK, "%s",
              e.msg);
        CHECK(checkpoint_open(&other, path, NULL, NULL, &e) == OK, "%s", e.msg);
        gpt2_fingerprint(&other.weights, got);
        CHECK(strcmp(got, want) == 0, "%s has another fingerprint", dtype_name(types[i]));
        checkpoint_close(&other);
    }
    open_random(&other, 2, 2, 32, 2);
    gpt2_fingerprint(&other.weights, got);
    CHECK(strcmp(got, want) != 0, "another seed");
    checkpoint_close(&other);
    open_random(&other, 2, 4, 32, 1);
    gpt2_fingerprint(&other.weights, got);
    CHECK(strcmp(got, want) != 0, "other heads");
    checkpoint_close(&other);
    float bias[96] = {0};
    bias[95] = 1e-30f;
    c.weights.layers[1].qkv_b = bias;
    gpt2_fingerprint(&c.weights, got);
    CHECK(strcmp(got, want) != 0, "another bias");
    checkpoint_close(&c);
}

int main(void) {
    if (!folder_make()) return 1;
    RUN(keeps_every_key);
    RUN(weighs_rows);
    RUN(shares_of_texts);
    RUN(keeps_a_random_choice);
    RUN(refuses_keys_beyond_f16);
    RUN(fingerprints);
    folder_remove();
    return TEST_RESULT;
}
