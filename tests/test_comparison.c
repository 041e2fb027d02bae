/* Comparison of attention backends: exactness of equal backends, golden losses, shares, threads,
 * and shadow and forced figures against float64 definitions. */
#include "test.h"

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "measure/comparison.h"
#include "calibration/damage.h"
#include "measure/forced.h"
#include "random_book.h"
#include "stories.h"
#include "tokenizer/bpe.h"

#define DEFAULT_MODEL "weights/stories6M.gguf"

static struct err e;
static struct arena arena;
static struct rng rng;

static const struct kernels *best_kernels(void) {
    const struct kernels *k = NULL;
    CHECK(kernels_get(&k, NULL, &e) == OK, "%s", e.msg);
    return k;
}

/* A random model whose attention is not flat: 2 layers, 3 heads of 8, context 160, vocabulary
 * 50. */
static const struct gpt2_weights *tiny_model(void) {
    static struct checkpoint c;
    struct gpt2_config config = {.n_layer = 2,
                                 .n_head = 3,
                                 .n_embd = 24,
                                 .n_inner = 96,
                                 .n_ctx = 160,
                                 .n_vocab = 50,
                                 .norm_eps = 1e-5f};
    if (!c.weights.layers) {
        CHECK(checkpoint_random(&c, &config, 3, &e) == OK, "%s", e.msg);
        for (size_t l = 0; l < 2; l++) {
            float *qkv = (float *)(uintptr_t)c.weights.layers[l].qkv.data;
            for (size_t i = 0; i < 3 * 24 * 24; i++) qkv[i] *= 30;
        }
        float *wte = (float *)(uintptr_t)c.weights.wte.data;
        for (size_t i = 0; i < 50 * 24; i++) wte[i] *= 20;
    }
    return &c.weights;
}

static int32_t *random_ids(size_t n, uint64_t vocab) {
    int32_t *ids = arena_alloc(&arena, n, sizeof *ids);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)rng_below(&rng, vocab);
    return ids;
}

enum { RUNS_MAX = 4 };
struct trial {
    struct comparison c;
    struct comparison_text texts[2];
    struct comparison_run runs[RUNS_MAX];
};

static void set_up(struct trial *t, const struct gpt2_weights *w, size_t window,
                   const char *const *specs) {
    *t = (struct trial){.c = {.w = w,
                              .k = best_kernels(),
                              .window = window,
                              .forced = true,
                              .shadow = true,
                              .last_layer = w->config.n_layer - 1,
                              .of = 1}};
    t->c.texts = t->texts;
    t->c.runs = t->runs;
    for (; specs[t->c.n_runs]; t->c.n_runs++) t->runs[t->c.n_runs].spec = specs[t->c.n_runs];
}

static void add_text(struct trial *t, const char *file, const int32_t *ids, size_t n) {
    t->texts[t->c.n_texts++] = (struct comparison_text){.file = file, .ids = ids, .tokens = n};
}

static void measure(struct trial *t) {
    CHECK(comparison_prepare(&t->c, &e) == OK, "%s", e.msg);
    CHECK(comparison_measure(&t->c, (struct progress){0}, &e) == OK, "%s", e.msg);
}

static struct comparison_summary summary(struct trial *t, size_t run, size_t text) {
    struct comparison_summary s;
    CHECK(comparison_summarise(&t->c, run, text, &arena, &s, &e) == OK, "%s", e.msg);
    return s;
}

/* ---- exactness ---- */

static void equal_backends_are_exactly_equal(void) {
    struct checkpoint c;
    CHECK(checkpoint_open(&c, DEFAULT_MODEL, NULL, NULL, &e) == OK, "%s", e.msg);
    struct trial t;
    set_up(&t, &c.weights, 160, (const char *const[]){"fp32", "fp32", NULL});
    add_text(&t, "random", random_ids(330, 4096), 330);
    measure(&t);
    for (size_t run = 0; run < 2; run++) {
        struct comparison_summary s = summary(&t, run, SIZE_MAX);
        for (size_t l = 0; l < 6; l++) {
            const struct estimate *m = s.layers + l * FIDELITIES;
            CHECK(m[FIDELITY_COSINE].n == 2 * 80 * 4, "%zu samples", (size_t)m->n);
            CHECK(estimate_mean(&m[FIDELITY_COSINE]) == 1 && estimate_mean(&m[FIDELITY_KL]) == 0 &&
                      estimate_mean(&m[FIDELITY_SPEARMAN]) == 1 &&
                      estimate_mean(&m[FIDELITY_TOP5]) == 1,
                  "layer %zu: %.17g %g %.17g %g", l, estimate_mean(&m[FIDELITY_COSINE]),
                  estimate_mean(&m[FIDELITY_KL]), estimate_mean(&m[FIDELITY_SPEARMAN]),
                  estimate_mean(&m[FIDELITY_TOP5]));
            for (int f = 0; f < FIDELITIES; f++)
                CHECK(estimate_error(&m[f]) == 0, "error %g", estimate_error(&m[f]));
        }
        CHECK(s.ratio == 1 && s.ratio_error == 0 && s.kld_max == 0 && estimate_mean(&s.kld) == 0 &&
                  estimate_mean(&s.same_top1) == 1 && s.rms_dp == 0,
              "ratio %.17g, kld %g", s.ratio, s.kld_max);
        CHECK(s.tokens == 2 * 79 && s.chunks == 2 && s.perplexity > 1 && s.perplexity_error > 0,
              "%zu tokens", s.tokens);
    }
    arena_free(&t.c.arena);
    checkpoint_close(&c);
}

/* ---- golden losses ---- */

static const int32_t *text_ids(const struct checkpoint *c, const char *path, size_t *n) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    int32_t *ids = NULL;
    struct bpe *bpe = NULL;
    CHECK(path && file_read(path, &arena, &data, &bytes, &e) == OK, "%s", e.msg);
    CHECK(bpe_new(&bpe, &c->vocab, &arena, &e) == OK &&
              bpe_encode(bpe, data, bytes, true, &arena, &ids, n, &e) == OK,
          "%s", e.msg);
    return ids;
}

/* The golden half is the tokens 512 .. 1023 of a window; a comparison scores, as llama-perplexity,
 * those from 513 on. */
static double loss_of_token_512(const struct checkpoint *c, const int32_t *ids) {
    struct gpt2_session s;
    float *logits = arena_alloc(&arena, 4096, sizeof *logits);
    double nll = 0;
    const struct gpt2_session_setup setup = {.weights = &c->weights,
                                             .kn = best_kernels(),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = 512,
                                             .max_rows = 256};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    CHECK(gpt2_prefill(&s, 0, ids, 512, logits, &e) == OK, "%s", e.msg);
    struct forced_batch one = {.targets = (int32_t[]){ids[512]}, .n = 1, .scored = 1};
    forced_nll(&one, logits, 4096, &nll);
    gpt2_session_close(&s);
    return nll;
}

/* `losses`: golden losses of this model; `texts`: the folder that holds their files. */
static void check_losses(const char *model, const char *losses, const char *texts) {
    struct checkpoint c;
    CHECK(checkpoint_open(&c, model, NULL, NULL, &e) == OK, "%s", e.msg);
    uint8_t *data = NULL;
    size_t bytes = 0, cases = 0;
    CHECK(file_read(losses, &arena, &data, &bytes, &e) == OK, "%s", e.msg);
    struct json j = json_open(data, bytes, 16);
    struct json_str key, file = {0};
    json_enter_array(&j);
    for (; json_next_item(&j) && json_enter_object(&j); cases++) {
        uint64_t first = 0;
        double half = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "file"))
                json_string(&j, &file);
            else if (json_is(key, "first_token"))
                json_uint(&j, &first);
            else if (json_is(key, "half_nll"))
                json_double(&j, &half);
            else
                json_skip(&j);
        }
        char name[1100];
        size_t n;
        snprintf(name, sizeof name, "%s/%.*s", texts, (int)file.n, file.s);
        const int32_t *ids = text_ids(&c, name, &n) + first;
        struct trial t;
        set_up(&t, &c.weights, 1024, (const char *const[]){"fp32", NULL});
        t.c.shadow = false;
        add_text(&t, name, ids, 1024);
        measure(&t);
        struct comparison_summary s = summary(&t, 0, 0);
        double got = (s.nll.sum + loss_of_token_512(&c, ids)) / 512;
        CHECK(s.tokens == 511 && fabs(got - half) < 1e-5, "%s at %zu: %.7f, expected %.7f", name,
              (size_t)first, got, half);
        CHECK(fabs(log(s.perplexity) - s.nll.sum / 511) < 1e-12, "perplexity %g", s.perplexity);
        arena_free(&t.c.arena);
    }
    CHECK(json_end(&j) && cases == 6, "%zu cases", cases);
    checkpoint_close(&c);
}

static void forced_losses_are_golden(void) {
    char texts[1024];
    const char *text = test_shared("texts/python.txt");
    check_losses(DEFAULT_MODEL, "tests/golden/f16/loss.json", "tests/texts");
    if (!stories_trained() || !text) return;
    snprintf(texts, sizeof texts, "%.*s", (int)(strrchr(text, '/') - text), text);
    check_losses(stories_file("model.safetensors"), "tests/golden/loss.json", texts);
}

/* ---- the same bits ---- */

static void check_same_chunk(const struct comparison *c, const struct comparison_chunk *a,
                             const struct comparison_chunk *b) {
    const struct predictions *p = &a->predictions, *q = &b->predictions;
    const struct gpt2_config *g = &c->w->config;
    CHECK(a->text == b->text && a->chunk == b->chunk && p->n == q->n && a->decoded == b->decoded,
          "text %zu chunk %zu and text %zu chunk %zu", a->text, a->chunk, b->text, b->chunk);
    CHECK(memcmp(p->nll, q->nll, p->n * sizeof *p->nll) == 0 &&
              memcmp(p->kld, q->kld, p->n * sizeof *p->kld) == 0 &&
              memcmp(p->dp, q->dp, p->n * sizeof *p->dp) == 0 &&
              memcmp(p->same_top1, q->same_top1, p->n) == 0,
          "forced figures differ");
    CHECK(memcmp(a->shadow, b->shadow, g->n_layer * g->n_head * FIDELITIES * sizeof *a->shadow) ==
              0,
          "shadow figures differ");
    CHECK(memcmp(a->loaded, b->loaded, g->n_layer * sizeof *a->loaded) == 0, "bytes loaded differ");
}

static const char *const mixed_specs[] = {"fp32", "fp16", "fp16+fp32@1", NULL};

static void two_texts(struct trial *t, const int32_t *ids) {
    set_up(t, tiny_model(), 100, mixed_specs);
    add_text(t, "a", ids, 350);
    add_text(t, "b", ids + 400, 220);
}

static void shares_give_the_same_bits(void) {
    const int32_t *ids = random_ids(700, 50);
    struct trial whole, part;
    two_texts(&whole, ids);
    measure(&whole);
    CHECK(whole.runs[0].n_chunks == 5 && whole.texts[0].chunks == 3 && whole.texts[1].chunks == 2,
          "%zu chunks", whole.runs[0].n_chunks);
    size_t seen = 0;
    for (size_t share = 0; share < 3; share++) {
        two_texts(&part, ids);
        part.c.share = share;
        part.c.of = 3;
        measure(&part);
        for (size_t i = 0; i < part.runs[0].n_chunks; i++, seen++)
            for (size_t r = 0; r < 3; r++)
                check_same_chunk(&whole.c, &whole.runs[r].chunks[share + 3 * i],
                                 &part.runs[r].chunks[i]);
        arena_free(&part.c.arena);
    }
    CHECK(seen == 5, "%zu chunks in all shares", seen);
    arena_free(&whole.c.arena);
}

static void threads_change_nothing(void) {
    const int32_t *ids = random_ids(700, 50);
    struct trial one, more;
    two_texts(&one, ids);
    two_texts(&more, ids);
    threads_set(1);
    measure(&one);
    threads_set(5);
    measure(&more);
    threads_set(threads_allowed());
    for (size_t r = 0; r < 3; r++)
        for (size_t i = 0; i < 5; i++)
            check_same_chunk(&one.c, &one.runs[r].chunks[i], &more.runs[r].chunks[i]);
    arena_free(&one.c.arena);
    arena_free(&more.c.arena);
}

/* ---- shadow, in float64 ---- */

/* q, k and v of one layer's whole window, as the model made them. */
struct layer_rows {
    float *q, *k, *v; /* [c][H][D] */
};
struct recorder {
    struct layer_rows *layers;
    size_t width;
};
static void record(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                   const float *k, const float *v, size_t stride) {
    const struct recorder *r = ctx;
    for (size_t i = 0; i < n; i++) {
        size_t at = rows[i].pos * r->width, bytes = r->width * sizeof(float);
        memcpy(r->layers[layer].q + at, q + i * stride, bytes);
        memcpy(r->layers[layer].k + at, k + i * stride, bytes);
        memcpy(r->layers[layer].v + at, v + i * stride, bytes);
    }
}

/* What a codec keeps of n rows of one head. */
static void stored(float *out, const struct attn *a, size_t layer, size_t head, bool values,
                   const float *x, size_t n) {
    size_t D = a->shape.head_dim;
    struct codec_head h = {.kn = a->kn,
                           .codec = values ? &a->layers[layer].value : &a->layers[layer].key,
                           .layer = layer,
                           .head = head,
                           .head_dim = D};
    uint8_t *rows = arena_alloc(&arena, codec_timeline_bytes(h.codec, D, head, n), 1);
    h.codec->ops->store(&h, rows, 0, x + head * D, a->shape.n_head * D, n);
    h.codec->ops->decode(&h, out, rows, 0, n);
}

struct answer {
    double score[200], p[200], out[64];
};

static void answer(struct answer *a, const float *q, const float *keys, const float *values,
                   size_t n, size_t D) {
    double sum = 0, most = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        a->score[i] = 0;
        for (size_t d = 0; d < D; d++)
            a->score[i] += (double)q[d] * keys[i * D + d] / sqrt((double)D);
        most = fmax(most, a->score[i]);
    }
    for (size_t i = 0; i < n; i++) sum += a->p[i] = exp(a->score[i] - most);
    for (size_t d = 0; d < D; d++) a->out[d] = 0;
    for (size_t i = 0; i < n; i++) {
        a->p[i] /= sum;
        for (size_t d = 0; d < D; d++) a->out[d] += a->p[i] * values[i * D + d];
    }
}

static double rank_of(const double *x, size_t n, size_t i) {
    double rank = 0.5;
    for (size_t j = 0; j < n; j++) rank += x[j] < x[i] ? 1 : x[j] == x[i] ? 0.5 : 0;
    return rank;
}

static double correlation(const double *a, const double *b, size_t n, double mean) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++)
        ab += (a[i] - mean) * (b[i] - mean), aa += (a[i] - mean) * (a[i] - mean),
            bb += (b[i] - mean) * (b[i] - mean);
    return ab / sqrt(aa * bb);
}

static void fidelity_of(const struct answer *a, const struct answer *b, size_t n, size_t D,
                        double out[FIDELITIES]) {
    double rank_a[200], rank_b[200];
    size_t both = 0;
    out[FIDELITY_KL] = 0;
    for (size_t i = 0; i < n; i++) {
        rank_a[i] = rank_of(a->score, n, i);
        rank_b[i] = rank_of(b->score, n, i);
        both += rank_a[i] > (double)n - 5 && rank_b[i] > (double)n - 5;
        out[FIDELITY_KL] += a->p[i] * log(a->p[i] / b->p[i]);
    }
    out[FIDELITY_COSINE] = correlation(a->out, b->out, D, 0);
    out[FIDELITY_SPEARMAN] = correlation(rank_a, rank_b, n, (double)(n + 1) / 2);
    out[FIDELITY_TOP5] = (double)both / 5;
}

/* Mean over the queries of the second half and the heads, of one layer. */
static void reference_shadow(const struct layer_rows *rows, size_t layer, const struct attn *base,
                             const struct attn *other, size_t c, double mean[FIDELITIES]) {
    static struct answer a, b;
    static double all[FIDELITIES][2000];
    size_t H = base->shape.n_head, D = base->shape.head_dim, n = 0;
    for (size_t h = 0; h < H; h++) {
        float *kv[4];
        for (int i = 0; i < 4; i++) {
            kv[i] = arena_alloc(&arena, c * D, sizeof(float));
            stored(kv[i], i < 2 ? base : other, layer, h, i % 2, i % 2 ? rows->v : rows->k, c);
        }
        for (size_t t = c / 2; t < c; t++, n++) {
            double f[FIDELITIES];
            answer(&a, rows->q + (t * H + h) * D, kv[0], kv[1], t + 1, D);
            answer(&b, rows->q + (t * H + h) * D, kv[2], kv[3], t + 1, D);
            fidelity_of(&a, &b, t + 1, D, f);
            for (int i = 0; i < FIDELITIES; i++) all[i][n] = f[i];
        }
    }
    for (int i = 0; i < FIDELITIES; i++) {
        mean[i] = 0;
        for (size_t s = 0; s < n; s++) mean[i] += all[i][s] / (double)n;
    }
}

/* Bounds: float32 arithmetic, and for ranks the rare pair of scores closer than that. */
static const double mean_bound[FIDELITIES] = {2e-6, 2e-6, 1e-4, 2e-3};

static void check_shadow(const char *base, const char *other) {
    enum { WINDOW = 150 };
    const struct gpt2_weights *w = tiny_model();
    const int32_t *ids = random_ids(WINDOW, 50);
    struct layer_rows rows[2];
    struct recorder recorder = {rows, 24};
    struct gpt2_observer observer = {&recorder, record};
    for (size_t l = 0; l < 2; l++)
        for (int i = 0; i < 3; i++)
            (&rows[l].q)[i] = arena_alloc(&arena, WINDOW * 24, sizeof(float));

    struct gpt2_session s;
    const struct gpt2_session_setup setup = {.weights = w,
                                             .kn = best_kernels(),
                                             .attn = base,
                                             .n_seq = 1,
                                             .n_ctx = WINDOW,
                                             .max_rows = 64};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    s.observer = &observer;
    CHECK(gpt2_prefill(&s, 0, ids, WINDOW, NULL, &e) == OK, "%s", e.msg);
    struct attn a;
    CHECK(attn_init(&a, &s.attn.shape, other, NULL, best_kernels(), &e) == OK, "%s", e.msg);
    struct trial t;
    set_up(&t, w, WINDOW, (const char *const[]){base, other, NULL});
    add_text(&t, "random", ids, WINDOW);
    measure(&t);
    struct comparison_summary sum = summary(&t, 1, 0);
    double lowest = 2;
    for (size_t l = 0; l < 2; l++) {
        double mean[FIDELITIES];
        reference_shadow(&rows[l], l, &s.attn, &a, WINDOW, mean);
        for (size_t f = 0; f < FIDELITIES; f++) {
            const struct estimate *m = &sum.layers[l * FIDELITIES + f];
            CHECK(m->n == 75 * 3 && fabs(estimate_mean(m) - mean[f]) <= mean_bound[f],
                  "%s, layer %zu, measure %zu: %.9f of %zu, expected %.9f", other, l, f,
                  estimate_mean(m), (size_t)m->n, mean[f]);
            CHECK(m->clusters == 1 && isnan(estimate_error(m)), "one window has no error");
        }
        if (mean[FIDELITY_COSINE] < lowest) {
            lowest = mean[FIDELITY_COSINE];
            CHECK(l == 0 || sum.worst_layer == l, "worst layer %zu", sum.worst_layer);
        } else
            CHECK(sum.worst_layer == 0, "worst layer %zu", sum.worst_layer);
    }
    attn_free(&a);
    gpt2_session_close(&s);
    arena_free(&t.c.arena);
}

static bool known(const char *spec) {
    struct attn_shape shape = {2, 3, 8, 8};
    struct attn a;
    if (attn_init(&a, &shape, spec, NULL, best_kernels(), &e) != OK) return false;
    attn_free(&a);
    return true;
}

static void shadow_equals_float64(void) {
    static const char *const others[] = {"fp16",      "fp32+fp16@1",  "int4",
                                         "int8/int4", "turbo:bits=3", "int8/turbo:bits=4"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (known(others[i])) check_shadow(i ? "fp16" : "fp32", others[i]);
}

/* ---- forced, in float64 ---- */

static void softmax_of(double *p, const float *logits, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, logits[i]);
    for (size_t i = 0; i < n; i++) sum += p[i] = exp(logits[i] - most);
    for (size_t i = 0; i < n; i++) p[i] /= sum;
}

static void divergence_equals_its_definition(void) {
    enum { V = 997, N = 40 };
    static double p[V], q[V], nll[2][N];
    static float kld[2][N], dp[2][N];
    static uint8_t same[2][N];
    struct forced f;
    struct predictions base = {.nll = nll[0], .kld = kld[0], .dp = dp[0], .same_top1 = same[0]};
    struct predictions other = {.nll = nll[1], .kld = kld[1], .dp = dp[1], .same_top1 = same[1]};
    int32_t *targets = random_ids(N, V);
    struct forced_batch batch = {.targets = targets, .n = N, .scored = N};
    CHECK(forced_open(&f, N, V, &arena, &e) == OK, "%s", e.msg);
    for (size_t i = 0; i < N * V; i++) {
        double size = pow(10, (double)(i / V % 4) - 3);
        f.base[i] = (float)(5 * rng_normal(&rng) - 40);
        f.other[i] = f.base[i] + (float)(size * rng_normal(&rng)) + 3;
    }
    for (size_t v = 0; v < V; v++) f.other[v] = f.base[v] = v % 10 == 3; /* ties */
    forced_baseline(&f, &batch, &base);
    forced_other(&f, &batch, &base, &other);
    for (size_t i = 0; i < N; i++) {
        softmax_of(p, f.base + i * V, V);
        softmax_of(q, f.other + i * V, V);
        double want = 0;
        size_t best_p = 0, best_q = 0, t = (size_t)targets[i];
        for (size_t v = 0; v < V; v++) {
            want += p[v] * log(p[v] / q[v]);
            if (p[v] > p[best_p]) best_p = v;
            if (q[v] > q[best_q]) best_q = v;
        }
        CHECK(fabs(kld[1][i] - want) <= 1e-13 + 1e-6 * want, "row %zu: KLD %g, expected %g", i,
              kld[1][i], want);
        CHECK(fabs(nll[0][i] + log(p[t])) < 1e-12 * (1 + nll[0][i]) &&
                  fabs(nll[1][i] + log(q[t])) < 1e-12 * (1 + nll[1][i]),
              "row %zu: nll", i);
        CHECK(fabs(dp[1][i] - (q[t] - p[t])) < 1e-7 * (p[t] + q[t]), "row %zu: dp %g, expected %g",
              i, dp[1][i], q[t] - p[t]);
        CHECK(same[1][i] == (best_p == best_q), "row %zu: top 1", i);
        CHECK(kld[0][i] == 0 && dp[0][i] == 0 && same[0][i] == 1, "row %zu of the baseline", i);
    }
    CHECK(kld[1][0] == 0 && same[1][0] == 1 && dp[1][0] == 0, "equal rows");
}

/* A NaN or an infinity anywhere among the logits of a row makes all of that row's figures NaN, and
 * no other's. */
static void logits_that_are_no_numbers(void) {
    enum { V = 21, N = 2 * V };
    static const float bad[] = {NAN, INFINITY};
    static double nll[2][N];
    static float kld[2][N], dp[2][N];
    static uint8_t same[2][N];
    struct forced f;
    struct predictions base = {.nll = nll[0], .kld = kld[0], .dp = dp[0], .same_top1 = same[0]};
    struct predictions other = {.nll = nll[1], .kld = kld[1], .dp = dp[1], .same_top1 = same[1]};
    int32_t *targets = random_ids(N, V);
    struct forced_batch batch = {.targets = targets, .n = N, .scored = N};
    CHECK(forced_open(&f, N, V, &arena, &e) == OK, "%s", e.msg);
    for (int kind = 0; kind < 4; kind++) { /* whose logits, which of the two values */
        for (size_t i = 0; i < N * V; i++)
            f.base[i] = (float)rng_normal(&rng), f.other[i] = (float)rng_normal(&rng);
        float *where = kind & 1 ? f.other : f.base;
        for (size_t v = 0; v < V; v++)
            where[2 * v * V + v] = bad[kind >> 1]; /* rows 0, 2, 4 ... at every place */
        forced_baseline(&f, &batch, &base);
        forced_other(&f, &batch, &base, &other);
        for (size_t i = 0; i < N; i++) {
            bool want = i % 2 == 0, in_base = want && !(kind & 1);
            CHECK(isnan(kld[1][i]) == want && isnan(dp[1][i]) == want &&
                      (same[1][i] == TOP1_UNKNOWN) == want,
                  "kind %d, row %zu", kind, i);
            CHECK(isnan(nll[1][i]) == (want && (kind & 1)) && isnan(nll[0][i]) == in_base,
                  "kind %d, row %zu: nll", kind, i);
            CHECK(isnan(kld[0][i]) == in_base && isnan(dp[0][i]) == in_base &&
                      (same[0][i] == TOP1_UNKNOWN) == in_base,
                  "kind %d, row %zu: baseline", kind, i);
        }
    }
}

/* ---- damage of a head ---- */

enum { TINY_L = 2, TINY_H = 3, TINY_D = 8, TINY_V = 50, LONG = 40 };

static float entering[TINY_L][LONG * TINY_H * TINY_D];

static void note_x(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                   const float *k, const float *v, size_t stride) {
    const struct gpt2_session *s = ctx;
    (void)rows, (void)q, (void)k, (void)v, (void)stride;
    memcpy(entering[layer], s->x, n * TINY_H * TINY_D * sizeof(float));
}

static void window_rows(struct gpt2_row *rows, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct gpt2_row){.pos = (uint32_t)i, .token = ids[i], .logits = true};
}

static void layers_can_be_run_again(void) {
    struct gpt2_session s;
    static float first[LONG * TINY_V], again[LONG * TINY_V];
    struct gpt2_row rows[LONG];
    window_rows(rows, random_ids(LONG, TINY_V), LONG);
    const struct gpt2_session_setup setup = {.weights = tiny_model(),
                                             .kn = best_kernels(),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = LONG,
                                             .max_rows = LONG};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    const struct gpt2_observer observer = {&s, note_x};
    s.observer = &observer;
    CHECK(gpt2_forward(&s, rows, LONG, first, &e) == OK, "%s", e.msg);
    s.observer = NULL;
    for (size_t l = 0; l < TINY_L; l++) {
        gpt2_rewind(&s, 0, 0);
        memset(again, 0, sizeof again);
        CHECK(gpt2_forward_from(&s, l, entering[l], rows, LONG, again, &e) == OK, "%s", e.msg);
        CHECK(memcmp(first, again, sizeof first) == 0, "from layer %zu on: other logits", l);
    }
    gpt2_session_close(&s);
}

struct one_head {
    size_t layer, head;
    bool values;
    const struct quantiser *z;
};

static void by_its_codes(void *ctx, size_t layer, float *k, float *v, size_t n, size_t stride) {
    const struct one_head *o = ctx;
    uint8_t codes[LOOKUP_MAX_M];
    for (size_t i = 0; i < n && layer == o->layer; i++) {
        float *row = (o->values ? v : k) + i * stride + o->head * TINY_D, decoded[TINY_D];
        quantiser_encode(best_kernels(), o->z, codes, 0, 1, row, TINY_D, 1);
        quantiser_decode(best_kernels(), o->z, decoded, codes, 0, 1, 1);
        memcpy(row, decoded, sizeof decoded);
    }
}

/* The mean divergence of a window's second half, in float64 from logits of whole passes. */
static double divergence_of_head(const struct one_head *o, const int32_t *ids, size_t n) {
    static float exact[LONG * TINY_V], other[LONG * TINY_V];
    struct gpt2_row rows[LONG];
    struct gpt2_session s;
    const struct gpt2_filter filter = {(void *)(uintptr_t)o, by_its_codes};
    double sum = 0, p[TINY_V], q[TINY_V];
    window_rows(rows, ids, n);
    const struct gpt2_session_setup setup = {.weights = tiny_model(),
                                             .kn = best_kernels(),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = n,
                                             .max_rows = n};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    CHECK(gpt2_forward(&s, rows, n, exact, &e) == OK, "%s", e.msg);
    gpt2_rewind(&s, 0, 0);
    s.filter = &filter;
    CHECK(gpt2_forward(&s, rows, n, other, &e) == OK, "%s", e.msg);
    for (size_t i = n / 2; i + 1 < n; i++) {
        softmax_of(p, exact + i * TINY_V, TINY_V);
        softmax_of(q, other + i * TINY_V, TINY_V);
        for (size_t v = 0; v < TINY_V; v++) sum += p[v] * log(p[v] / q[v]);
    }
    gpt2_session_close(&s);
    return sum;
}

static void damage_equals_its_definition(void) {
    struct book b = {.n_layer = TINY_L, .n_head = TINY_H, .head_dim = TINY_D};
    struct damage_window windows[] = {{random_ids(LONG, TINY_V), LONG},
                                      {random_ids(31, TINY_V), 31}};
    struct damage_setup on = {tiny_model(), best_kernels(), windows, 2};
    double damage[4][TINY_L * TINY_H];
    b.books = arena_zalloc(&b.arena, 1, sizeof *b.books);
    random_learned(&b, 2, 16, 5);
    for (int t = 0; t < 4; t++) { /* keys and values, on one thread and three */
        threads_set(t / 2 ? 3 : 1);
        CHECK(damage_measure(damage[t], &on, b.books[0].heads, t % 2, (struct progress){0}, &e) ==
                  OK,
              "%s", e.msg);
    }
    CHECK(memcmp(damage[0], damage[2], 2 * sizeof damage[0]) == 0,
          "three threads measure other damage than one");
    threads_set(threads_allowed());
    for (size_t i = 0; i < 2 * TINY_L * TINY_H; i++) {
        size_t h = i / 2;
        struct quantiser z = b.books[0].heads[h];
        struct one_head o = {h / TINY_H, h % TINY_H, i % 2, &z};
        CHECK(quantiser_prepare(&z, &b.arena, &e) == OK, "%s", e.msg);
        double want = (divergence_of_head(&o, windows[0].ids, LONG) +
                       divergence_of_head(&o, windows[1].ids, 31)) /
                      (19 + 15);
        CHECK(want > 1e-5 && fabs(damage[i % 2][h] - want) <= 1e-5 * (1 + want),
              "head %zu: %g, expected %g", h, damage[i % 2][h], want);
    }
    arena_free(&b.arena);
}

/* The damage of a spec is what a comparison of the same windows finds, with the exact model as its
 * baseline. */
static void damage_of_a_spec(void) {
    struct damage_window windows[] = {{random_ids(LONG, TINY_V), LONG},
                                      {random_ids(31, TINY_V), 31}};
    struct damage_setup on = {tiny_model(), best_kernels(), windows, 2};
    static float exact[LONG * TINY_V], other[LONG * TINY_V];
    struct gpt2_row rows[LONG];
    struct spec_damage d;
    double kl = 0, of_window[2] = {0}, log_ratio = 0, p[TINY_V], q[TINY_V], size[2] = {0};
    size_t n = 0;
    for (size_t i = 0; i < 2; i++) {
        window_rows(rows, windows[i].ids, windows[i].n);
        for (int run = 0; run < 2; run++) {
            struct gpt2_session s;
            const struct gpt2_session_setup setup = {.weights = tiny_model(),
                                                     .kn = best_kernels(),
                                                     .attn = run ? "int4/int4" : "fp32",
                                                     .n_seq = 1,
                                                     .n_ctx = windows[i].n,
                                                     .max_rows = windows[i].n};
            CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
            CHECK(gpt2_forward(&s, rows, windows[i].n, run ? other : exact, &e) == OK, "%s", e.msg);
            gpt2_session_close(&s);
        }
        for (size_t t = windows[i].n / 2; t + 1 < windows[i].n; t++, n++) {
            double one = 0;
            softmax_of(p, exact + t * TINY_V, TINY_V);
            softmax_of(q, other + t * TINY_V, TINY_V);
            for (size_t v = 0; v < TINY_V; v++) one += p[v] * log(p[v] / q[v]);
            kl += one, of_window[i] += one, size[i]++;
            log_ratio += log(p[windows[i].ids[t + 1]] / q[windows[i].ids[t + 1]]);
        }
    }
    double mean = kl / (double)n; /* two windows are two clusters */
    double error =
        sqrt(2 * (pow(of_window[0] - mean * size[0], 2) + pow(of_window[1] - mean * size[1], 2))) /
        (double)n;
    static const char *const specs[] = {"int4/int4", "fp32"}, *const bad[] = {"nonsense"};
    struct spec_damage both[2];
    CHECK(damage_of_specs(both, &on, specs, 2, NULL, &e) == OK, "%s", e.msg);
    d = both[0];
    CHECK(fabs(d.kl - kl / (double)n) <= 1e-4 * d.kl && fabs(d.kl_error - error) <= 1e-3 * error,
          "KL %g +- %g, expected %g +- %g", d.kl, d.kl_error, kl / (double)n, error);
    CHECK(fabs(d.ratio - exp(log_ratio / (double)n)) <= 1e-5, "ratio %g, expected %g", d.ratio,
          exp(log_ratio / (double)n));
    CHECK(both[1].kl == 0 && both[1].ratio == 1, "the exact model costs itself nothing");
    CHECK(damage_of_specs(&d, &on, bad, 1, NULL, &e) == ERR_USAGE, "%s", e.msg);
}

/* The spread of the means of `windows` equal parts of x[n], over the root of their number. */
static double error_of_windows(const double *x, size_t windows, size_t n) {
    double means[16] = {0}, mean = 0, squares = 0, each = (double)n / (double)windows;
    for (size_t i = 0; i < n; i++) means[i * windows / n] += x[i] / each, mean += x[i] / (double)n;
    for (size_t w = 0; w < windows; w++) squares += pow(means[w] - mean, 2);
    return sqrt(squares / (double)(windows - 1) / (double)windows);
}

static void summary_equals_its_definitions(void) {
    struct trial t;
    two_texts(&t, random_ids(700, 50));
    measure(&t);
    for (size_t text = 0; text < 3; text++) {
        struct comparison_summary base = summary(&t, 0, text < 2 ? text : SIZE_MAX),
                                  s = summary(&t, 1, text < 2 ? text : SIZE_MAX);
        double nll[300], ratio[300], kld[300], mean = 0, mean_ratio = 0, dp2 = 0, top1 = 0,
                                               mean_kld = 0;
        size_t n = 0, windows = text == 0 ? 3 : text == 1 ? 2 : 5;
        for (size_t i = 0; i < 5; i++) {
            const struct comparison_chunk *chunk = &t.runs[1].chunks[i];
            const struct predictions *k = &chunk->predictions,
                                     *b = &t.runs[0].chunks[i].predictions;
            if (text < 2 && chunk->text != text) continue;
            for (size_t j = 0; j < k->n; j++, n++) {
                nll[n] = k->nll[j];
                ratio[n] = k->nll[j] - b->nll[j];
                kld[n] = k->kld[j];
                dp2 += pow(k->dp[j], 2);
                top1 += k->same_top1[j];
            }
        }
        CHECK(n == s.tokens && n == 49 * windows, "%zu tokens", n);
        for (size_t i = 0; i < n; i++)
            mean += nll[i] / (double)n, mean_ratio += ratio[i] / (double)n,
                mean_kld += kld[i] / (double)n;
        double error = error_of_windows(nll, windows, n),
               ratio_error = error_of_windows(ratio, windows, n);
        CHECK(fabs(s.perplexity - exp(mean)) < 1e-9 * exp(mean) &&
                  fabs(s.perplexity_error - exp(mean) * error) < 1e-9 * exp(mean),
              "perplexity");
        CHECK(fabs(s.ratio - s.perplexity / base.perplexity) < 1e-9 &&
                  fabs(s.ratio_error - s.ratio * ratio_error) < 1e-8,
              "ratio %g +- %g", s.ratio, s.ratio_error);
        CHECK(fabs(s.rms_dp - sqrt(dp2 / (double)n)) < 1e-12 &&
                  estimate_mean(&s.same_top1) == top1 / (double)n,
              "dp, top 1");
        size_t below_median = 0, below_p99 = 0, above_max = 0;
        for (size_t i = 0; i < n; i++)
            below_median += kld[i] < s.kld_median,
                below_p99 += kld[i]<s.kld_p99, above_max += kld[i]> s.kld_max;
        CHECK(below_median <= n / 2 && below_median + 2 >= n / 2 &&
                  below_p99 >= (size_t)(0.99 * (double)(n - 1)) && above_max == 0,
              "KLD quantiles: %zu, %zu, %zu of %zu", below_median, below_p99, above_max, n);
        CHECK(fabs(estimate_mean(&s.kld) - mean_kld) < 1e-15 && s.all[0].n == windows * 50 * 3 * 2,
              "KLD, n");
    }
    arena_free(&t.c.arena);
}

/* ---- standard errors ---- */

enum { WINDOWS = 16, WINDOW = 40, SAME_TOP1 = 4, CELLS = 6 + (2 * 3 + 2 + 1) * FIDELITIES };

struct cells {
    double mean[CELLS], error[CELLS];
};

static void note_estimate(struct cells *c, size_t *n, const struct estimate *x) {
    c->mean[*n] = estimate_mean(x);
    c->error[(*n)++] = estimate_error(x);
}

/* Every figure with an error, of one run. */
static struct cells cells_of(const struct comparison_summary *s) {
    struct cells c = {{s->perplexity, s->ratio}, {s->perplexity_error, s->ratio_error}};
    size_t n = 2;
    note_estimate(&c, &n, &s->dp2);
    note_estimate(&c, &n, &s->kld);
    note_estimate(&c, &n, &s->same_top1);
    note_estimate(&c, &n, &s->nll);
    for (size_t i = 0; i < 2 * 3 * FIDELITIES; i++) note_estimate(&c, &n, &s->heads[i]);
    for (size_t i = 0; i < 2 * FIDELITIES; i++) note_estimate(&c, &n, &s->layers[i]);
    for (size_t i = 0; i < FIDELITIES; i++) note_estimate(&c, &n, &s->all[i]);
    return c;
}

/* Each window as a comparison of its own: the spread of those figures is what the error of the
 * whole says. */
static void errors_are_the_spread_of_the_windows(void) {
    static const char *const specs[] = {"fp32", "int4/int4", NULL};
    static struct cells parts[WINDOWS];
    const int32_t *ids = random_ids(WINDOWS * WINDOW, 50);
    struct trial t;
    set_up(&t, tiny_model(), WINDOW, specs);
    add_text(&t, "random", ids, WINDOWS * WINDOW);
    measure(&t);
    struct comparison_summary s = summary(&t, 1, 0);
    struct cells whole = cells_of(&s);
    CHECK(fabs(s.rms_dp_error - estimate_error(&s.dp2) / (2 * s.rms_dp)) < 1e-15,
          "the root's slope");
    arena_free(&t.c.arena);
    for (size_t w = 0; w < WINDOWS; w++) {
        set_up(&t, tiny_model(), WINDOW, specs);
        add_text(&t, "random", ids + w * WINDOW, WINDOW);
        measure(&t);
        s = summary(&t, 1, 0);
        parts[w] = cells_of(&s);
        arena_free(&t.c.arena);
    }
    for (size_t i = 0; i < CELLS; i++) {
        double mean = 0, squares = 0;
        for (size_t w = 0; w < WINDOWS; w++) mean += parts[w].mean[i] / WINDOWS;
        for (size_t w = 0; w < WINDOWS; w++) squares += pow(parts[w].mean[i] - mean, 2);
        double want = sqrt(squares / (WINDOWS - 1) / WINDOWS);
        /* exp is bent; all else is the same formula. Every window's most likely token is the same.
         */
        double bound = i < 2 ? 0.2 * want : 1e-6 * want + 1e-12;
        CHECK((want > 0 || i == SAME_TOP1) && fabs(whole.error[i] - want) <= bound,
              "figure %zu: %g, the windows say %g", i, whole.error[i], want);
        CHECK(isnan(parts[3].error[i]), "one window has no error");
    }
}

/* ---- decode ---- */

/* In a window of 150 the tokens at positions 63 and 127 are decoded alone, in either mode. */
static void decoded_tokens_are_counted(void) {
    const int32_t *ids = random_ids(150, 50);
    for (int mode = 0; mode < 3; mode++) {
        struct trial t;
        set_up(&t, tiny_model(), 150, mixed_specs);
        t.c.forced = mode != 1;
        t.c.shadow = mode != 0;
        add_text(&t, "random", ids, 150);
        measure(&t);
        for (size_t run = 0; run < 3; run++) {
            struct comparison_summary s = summary(&t, run, 0);
            struct attn a;
            struct attn_shape shape = {2, 3, 8, 150};
            CHECK(attn_init(&a, &shape, mixed_specs[run], NULL, best_kernels(), &e) == OK, "%s",
                  e.msg);
            CHECK(s.decoded == 2 && s.attention_ms_least > 0 &&
                      s.attention_ms >= s.attention_ms_least &&
                      s.attention_ms_most >= s.attention_ms,
                  "mode %d, run %zu: %zu tokens decoded", mode, run, s.decoded);
            for (size_t l = 0; l < 2; l++) {
                struct attn_counters want = {0};
                for (size_t pos = 63; pos < 150; pos += 64)
                    for (size_t h = 0; h < 3; h++) {
                        a.layers[l].key.ops->reads(&a.layers[l].key, 8, h, pos + 1, false, &want);
                        a.layers[l].value.ops->reads(&a.layers[l].value, 8, h, pos + 1, true,
                                                     &want);
                    }
                CHECK(memcmp(&want, &s.loaded[l], sizeof want) == 0,
                      "mode %d, run %zu, layer %zu: %zu bytes of keys, expected %zu", mode, run, l,
                      (size_t)s.loaded[l].keys, (size_t)want.keys);
            }
            attn_free(&a);
        }
        arena_free(&t.c.arena);
    }
}

/* Shadow figures do not depend on what else is measured, and a range of layers leaves the others
 * empty. */
static void modes_are_independent(void) {
    const int32_t *ids = random_ids(100, 50);
    struct trial both, alone;
    set_up(&both, tiny_model(), 100, mixed_specs);
    set_up(&alone, tiny_model(), 100, mixed_specs);
    alone.c.forced = false;
    alone.c.first_layer = 1;
    add_text(&both, "random", ids, 100);
    add_text(&alone, "random", ids, 100);
    measure(&both);
    measure(&alone);
    for (size_t r = 0; r < 3; r++) {
        struct comparison_summary b = summary(&both, r, 0), a = summary(&alone, r, 0);
        CHECK(memcmp(a.layers + FIDELITIES, b.layers + FIDELITIES, FIDELITIES * sizeof *a.layers) ==
                  0,
              "layer 1 of run %zu", r);
        CHECK(a.layers[0].n == 0 && a.all[0].n == 50 * 3 && a.worst_layer == 1 && a.tokens == 0,
              "layer 0 of run %zu", r);
    }
    arena_free(&both.c.arena);
    arena_free(&alone.c.arena);
}

/* ---- progress and mistakes ---- */

static size_t last_done, last_total, calls;
static void note(void *ctx, uint64_t done, uint64_t total) {
    CHECK(ctx == &calls && done >= last_done && done <= total, "%zu of %zu", (size_t)done,
          (size_t)total);
    last_done = (size_t)done, last_total = (size_t)total, calls++;
}

static void progress_reaches_its_end(void) {
    struct trial t;
    two_texts(&t, random_ids(700, 50));
    CHECK(comparison_prepare(&t.c, &e) == OK, "%s", e.msg);
    CHECK(comparison_measure(&t.c, (struct progress){note, &calls}, &e) == OK, "%s", e.msg);
    CHECK(last_done == last_total && last_total == 500 * 3 * 2 && calls > 10,
          "%zu of %zu in %zu calls", last_done, last_total, calls);
    arena_free(&t.c.arena);
}

static void mistakes_are_named(void) {
    const int32_t *ids = random_ids(200, 50);
    int32_t outside[200] = {0};
    outside[7] = 50;
    struct {
        const char *what, *text;
        size_t window, tokens, share, last_layer;
        const char *spec;
        const int32_t *ids;
    } bad[] = {{"window", "window of 3", 3, 200, 0, 1, "fp16", ids},
               {"context", "expected 4 to 160", 161, 200, 0, 1, "fp16", ids},
               {"text", "90 tokens", 100, 90, 0, 1, "fp16", ids},
               {"spec", "fp17", 100, 200, 0, 1, "fp17", ids},
               {"share", "share 1 of 1", 100, 200, 1, 1, "fp16", ids},
               {"layer", "layers 0 to 2", 100, 200, 0, 2, "fp16", ids},
               {"id", "token 7 has id 50", 100, 200, 0, 1, "fp16", outside}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trial t;
        set_up(&t, tiny_model(), bad[i].window, (const char *const[]){"fp32", bad[i].spec, NULL});
        t.c.share = bad[i].share;
        t.c.last_layer = bad[i].last_layer;
        add_text(&t, "some.txt", bad[i].ids, bad[i].tokens);
        CHECK(comparison_prepare(&t.c, &e) == ERR_USAGE && strstr(e.msg, bad[i].text), "%s: '%s'",
              bad[i].what, e.msg);
        arena_free(&t.c.arena);
    }
}

int main(void) {
    rng_seed(&rng, 11, 0);
    RUN(equal_backends_are_exactly_equal);
    RUN(forced_losses_are_golden);
    RUN(shares_give_the_same_bits);
    RUN(threads_change_nothing);
    RUN(shadow_equals_float64);
    RUN(divergence_equals_its_definition);
    RUN(logits_that_are_no_numbers);
    RUN(layers_can_be_run_again);
    RUN(damage_equals_its_definition);
    RUN(damage_of_a_spec);
    RUN(summary_equals_its_definitions);
    RUN(errors_are_the_spread_of_the_windows);
    RUN(decoded_tokens_are_counted);
    RUN(modes_are_independent);
    RUN(progress_reaches_its_end);
    RUN(mistakes_are_named);
    arena_free(&arena);
    return TEST_RESULT;
}
