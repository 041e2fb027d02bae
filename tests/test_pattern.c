/* The attention pattern of a head (measure/pattern.h) against a probe of the model and against
 * backends that answer token by token; bytes by context (measure/by_context.h) against the account
 * of every length. */
#include <math.h>

#include "attention/account.h"
#include "checkpoint/checkpoint.h"
#include "measure/one_query.h"
#include "measure/pattern.h"
#include "test.h"

enum { L = 3, H = 2, C = 16, V = 64, T = 96, N = 40, LAYER = 1, HEAD = 1, RUNS = 3 };

static struct arena arena;
static struct err err;
static const struct kernels *kn;
static struct checkpoint model;
static int32_t ids[N];
static struct comparison_text text = {.file = "text", .ids = ids, .tokens = N, .chunks = 1};
static struct comparison_run runs[RUNS] = {
    {.spec = "fp32"}, {.spec = "int4:center"}, {.spec = "int8"}};

static struct comparison make(void) {
    return (struct comparison){.w = &model.weights,
                               .k = kn,
                               .window = N,
                               .texts = &text,
                               .n_texts = 1,
                               .runs = runs,
                               .n_runs = RUNS};
}

/* Everything that the layer sees, and what the session's own attention answers. */
static float q[N][C], k[N][C], v[N][C], own[N][N];

static void see_layer(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n,
                      const float *q_, const float *k_, const float *v_, size_t stride) {
    (void)ctx;
    for (size_t i = 0; layer == LAYER && i < n; i++) {
        memcpy(q[rows[i].pos], q_ + i * stride, sizeof q[0]);
        memcpy(k[rows[i].pos], k_ + i * stride, sizeof k[0]);
        memcpy(v[rows[i].pos], v_ + i * stride, sizeof v[0]);
    }
}

static void see_row(void *ctx, const struct attn_row *row) {
    (void)ctx;
    if (row->layer == LAYER && row->head == HEAD)
        memcpy(own[row->n_keys - 1], row->probs, row->n_keys * sizeof(float));
}

/* The model, one token at a time. */
static void run_model(void) {
    struct gpt2_session s;
    const struct gpt2_session_setup setup = {
        .weights = &model.weights, .kn = kn, .attn = "fp32", .n_seq = 1, .n_ctx = N, .max_rows = 1};
    const struct gpt2_observer observer = {NULL, see_layer};
    const struct attn_probe probe = {NULL, see_row};
    CHECK(gpt2_session_open(&s, &setup, &err) == OK, "%s", err.msg);
    s.observer = &observer;
    s.probe = &probe;
    for (uint32_t i = 0; i < N; i++) {
        struct gpt2_row row = {.pos = i, .token = ids[i]};
        CHECK(gpt2_forward(&s, &row, 1, NULL, &err) == OK, "%s", err.msg);
    }
    gpt2_session_close(&s);
}

static float answered[N];
static void see_answer(void *ctx, const struct attn_row *row) {
    (void)ctx;
    if (row->head == HEAD) memcpy(answered, row->probs, row->n_keys * sizeof(float));
}

static void pattern_is_the_models(void) {
    struct comparison c = make();
    struct pattern p = {.layer = LAYER, .head = HEAD};
    run_model();
    CHECK(pattern_measure(&c, &p, &arena, &err) == OK, "%s", err.msg);
    CHECK(p.n == N && p.ids == ids, "%zu tokens", p.n);
    for (size_t t = 0; t < N; t++) {
        double sum = 0;
        for (size_t i = 0; i <= t; i++) {
            double exact = (double)pattern_row(&p, 0, t)[i];
            sum += exact;
            CHECK(fabs(exact - (double)own[t][i]) < 1e-5, "row %zu, key %zu: %g, the model has %g",
                  t, i, exact, (double)own[t][i]);
        }
        CHECK(fabs(sum - 1) < 1e-5, "row %zu adds up to %g", t, sum);
    }
}

/* Each backend answers the model's queries when its keys and values come one after the other. */
static void backends_answer_alike(void) {
    struct comparison c = make();
    struct pattern p = {.layer = LAYER, .head = HEAD};
    float *center = arena_alloc(&arena, L * C, sizeof *center), out[C];
    gpt2_key_constants(&model.weights, kn, center);
    CHECK(pattern_measure(&c, &p, &arena, &err) == OK, "%s", err.msg);
    double apart = 0;
    for (size_t run = 1; run < RUNS; run++) {
        struct attn_shape shape = {L, H, C / H, N};
        struct attn a;
        struct attn_counters ignored = {0};
        struct attn_probe probe = {NULL, see_answer};
        CHECK(attn_init(&a, &shape, runs[run].spec, NULL, kn, &err) == OK, "%s", err.msg);
        a.center = center;
        void *state = arena_alloc(&arena, attn_state_bytes(&a), 1),
             *scratch = arena_alloc(&arena, attn_scratch_bytes(&a, 8) + 64, 1);
        attn_clear(&a, state);
        for (size_t t = 0; t < N; t++) {
            struct attn_query one = {state, t, 1, k[t], v[t], q[t], out, C, C, C};
            attn_attend(&a, LAYER, &one, 1, scratch, &ignored, &probe);
            for (size_t i = 0; i <= t; i++) {
                double x = (double)pattern_row(&p, run, t)[i];
                CHECK(fabs(x - (double)answered[i]) < 1e-4, "%s: row %zu, key %zu: %g and %g",
                      runs[run].spec, t, i, x, (double)answered[i]);
                apart += fabs(x - (double)own[t][i]);
            }
        }
        attn_free(&a);
    }
    CHECK(apart > 1e-3, "coarse codes change nothing");
}

/* One query is the last row of the pattern, and its head the one of the lowest cosine. */
static void one_query_is_the_last_row(void) {
    struct comparison c = make();
    double lowest = 2, chosen;
    struct one_query_setup setup = {
        .w = &model.weights, .kn = kn, .attn = runs[1].spec, .ids = ids, .n = N};
    struct one_query any = {.layer = ONE_QUERY_ANY, .head = ONE_QUERY_ANY};
    CHECK(one_query_measure(&setup, &any, &arena, &err) == OK, "%s", err.msg);
    chosen = any.cosine;
    for (size_t at = 0; at < L * H; at++) {
        struct pattern p = {.layer = at / H, .head = at % H};
        struct one_query y = {.layer = at / H, .head = at % H};
        CHECK(one_query_measure(&setup, &y, &arena, &err) == OK, "%s", err.msg);
        CHECK(pattern_measure(&c, &p, &arena, &err) == OK, "%s", err.msg);
        CHECK(y.layer == at / H && y.head == at % H && y.n == N, "the head that was asked for");
        for (size_t i = 0; i < N; i++) {
            double exact = (double)y.exact.probs[i], other = (double)y.other.probs[i];
            CHECK(fabs(exact - (double)pattern_row(&p, 0, N - 1)[i]) < 1e-6 &&
                      fabs(other - (double)pattern_row(&p, 1, N - 1)[i]) < 1e-6,
                  "layer %zu, head %zu, key %zu: %g and %g", y.layer, y.head, i, exact, other);
            double score = 0;
            for (size_t d = 0; d < C / H; d++)
                score += (double)y.q[d] * (double)y.keys[i * (C / H) + d] / sqrt((double)C / H);
            CHECK(fabs(score - (double)y.exact.scores[i]) < 1e-4 * (1 + fabs(score)),
                  "the score of key %zu: %g, by hand %g", i, (double)y.exact.scores[i], score);
        }
        lowest = fmin(lowest, y.cosine);
    }
    CHECK(chosen == lowest, "the lowest cosine is %g, chosen was %g", lowest, chosen);
}

/* ---- bytes by context ---- */

static uint64_t total_at(const struct attn *a, size_t n, size_t codebooks, bool streamed) {
    struct attn_counters c = {0};
    for (size_t l = 0; l < L; l++) account_reads(a, l, n, &c);
    return streamed ? account_split(&c, codebooks).streamed : attn_counters_total(&c);
}

static void lengths(void) {
    size_t n[CONTEXTS_MAX];
    CHECK(context_lengths(100, n) == 7 && n[0] == 16 && n[1] == 24 && n[5] == 96 && n[6] == 100,
          "16, 24, 32, 48, 64, 96 and 100");
    CHECK(context_lengths(16, n) == 1 && n[0] == 16, "16 alone");
    CHECK(context_lengths(7, n) == 1 && n[0] == 7, "7 alone");
    size_t most = context_lengths(1 << 20, n);
    CHECK(most <= CONTEXTS_MAX && n[most - 1] == CONTEXT_MOST, "no further than %d", CONTEXT_MOST);
    for (size_t i = 1; i < most; i++) CHECK(n[i] > n[i - 1], "lengths rise");
}

/* With a window the first rows are read twice, so that fewer bytes come only from some length on.
 */
static void crossovers(void) {
    static const char *const specs[] = {"int8", "int4:window=48,sink=2/int8", "fp16", "int4/int8"};
    struct attn_shape shape = {L, H, 64, T};
    struct context_totals totals = {0};
    struct attn base;
    size_t n[CONTEXTS_MAX], count = context_lengths(T, n);
    CHECK(attn_init(&base, &shape, specs[0], NULL, kn, &err) == OK, "%s", err.msg);
    for (int i = 0; i < 4; i++) {
        struct attn a;
        struct by_context b;
        CHECK(attn_init(&a, &shape, specs[i], NULL, kn, &err) == OK, "%s", err.msg);
        CHECK(by_context_fill(&a, 0, n, count, &totals, &b, &arena, &err) == OK, "%s", err.msg);
        for (size_t at = 0; at < count; at++)
            CHECK(attn_counters_total(&b.loaded[at]) == total_at(&a, n[at], 0, false),
                  "%s at %zu tokens", specs[i], n[at]);
        for (int streamed = 0; streamed < 2 && i; streamed++) {
            size_t from = 0;
            for (size_t at = 1; at <= T; at++)
                if (total_at(&a, at, 0, streamed) >= total_at(&base, at, 0, streamed))
                    from = at < T ? at + 1 : 0;
                else if (at == 1)
                    from = 1;
            size_t found = streamed ? b.fewer_streamed : b.fewer_loaded;
            CHECK(found == from, "%s: %zu, expected %zu", specs[i], found, from);
        }
        if (i == 1) CHECK(b.fewer_loaded > 48, "a window costs more at first: %zu", b.fewer_loaded);
        if (i == 2) CHECK(b.fewer_loaded == 0, "fp16 never reads less than int8");
        attn_free(&a);
    }
    attn_free(&base);
}

int main(void) {
    const struct gpt2_config g = {.n_layer = L,
                                  .n_head = H,
                                  .n_embd = C,
                                  .n_vocab = V,
                                  .n_ctx = T,
                                  .n_inner = 4 * C,
                                  .norm_eps = 1e-5f};
    for (int i = 0; i < N; i++) ids[i] = (i * 29 + i * i) % V;
    if (kernels_get(&kn, NULL, &err) || checkpoint_random(&model, &g, 5, &err)) {
        printf("FAIL setup: %s\n", err.msg);
        return 1;
    }
    for (size_t l = 0; l < L; l++) { /* so that attention is not flat */
        float *qkv = (float *)(uintptr_t)model.weights.layers[l].qkv.data;
        for (size_t i = 0; i < 3 * C * C; i++) qkv[i] *= 30;
    }
    RUN(pattern_is_the_models);
    RUN(backends_answer_alike);
    RUN(one_query_is_the_last_row);
    RUN(lengths);
    RUN(crossovers);
    arena_free(&arena);
    checkpoint_close(&model);
    return TEST_RESULT;
}
