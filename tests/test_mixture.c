/* Blocks of q4_K and q6_K that are made here: within their stated bound, read back by the reader of
 * llama.cpp's files. And the mixture q4_k_m: its bytes, its order, and what it costs the default
 * model. */
#include <float.h>

#include "bad/folder.h"
#include "base/inputs.h"
#include "base/rng.h"
#include "base/threads.h"
#include "calibration/mixture.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/tensors.h"
#include "kernels/quant_types.h"
#include "stored.h"
#include "test.h"

static struct err e;
static struct arena arena;

enum { N = 256 };

/* ---- blocks ---- */

static float half_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return f16_to_f32(h);
}

static bool fits(enum dtype type, const float *x) {
    float most = 0;
    for (int i = 0; i < N; i++) most = fmaxf(most, fabsf(x[i]));
    return dtype_holds(type, most);
}

/* The bound of quant_make.h for every part of a block; returns the squared error of all. */
static double check_block(enum dtype type, const float *x, const char *what) {
    uint8_t block[210];
    float y[N];
    double all = 0;
    const size_t part = type == DTYPE_Q4_K ? 32 : 16;
    dtype_from_f32(type, block, x, N);
    quant_type(type)->decode(y, block);
    const double d = (double)half_at(block + (type == DTYPE_Q4_K ? 0 : 208)),
                 m = type == DTYPE_Q4_K ? (double)half_at(block + 2) : 0;
    for (size_t p = 0; p < N; p += part) {
        double lo = 0, hi = (double)x[p], most = 0, error = 0;
        for (size_t i = p; i < p + part; i++) {
            lo = fmin(lo, (double)x[i]), hi = fmax(hi, (double)x[i]);
            most = fmax(most, fabs((double)x[i]));
            error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        }
        const double step = type == DTYPE_Q4_K ? (hi - lo + m) / 15 + d : most / 31 + d,
                     bound = (double)part * step * step / 4 * (1 + 1e-4);
        CHECK(error <= bound, "%s, %s, part at %zu: %g, bound %g", dtype_name(type), what, p, error,
              bound);
        all += error;
    }
    return all;
}

/* Sets x to numbers of one of six kinds, and of many sizes. */
static const char *fill(float x[N], int kind, float size, struct rng *r) {
    static const char *const names[] = {"normal",    "all positive", "all negative",
                                        "one large", "two levels",   "parts of unlike sizes"};
    for (int i = 0; i < N; i++) {
        const float z = (float)rng_normal(r);
        const float of[] = {z,
                            fabsf(z) + 3,
                            -fabsf(z) - 3,
                            i % 50 ? z : 40 * z,
                            z > 0 ? 1 : -0.25f,
                            z * (float)(1 << i / 16 % 8)};
        x[i] = size * of[kind];
    }
    return names[kind];
}

static void blocks_within_their_bound(void) {
    static const float sizes[] = {1, 0.1f, 0.001f, 1e-5f, 1e-7f, 1e-30f, 1000, 1e5f};
    struct rng r;
    rng_seed(&r, 3, 0);
    for (int round = 0; round < 30; round++)
        for (size_t s = 0; s < COUNT(sizes); s++)
            for (int kind = 0; kind < 6; kind++) {
                float x[N];
                const char *what = fill(x, kind, sizes[s], &r);
                if (fits(DTYPE_Q4_K, x)) check_block(DTYPE_Q4_K, x, what);
                if (fits(DTYPE_Q6_K, x)) check_block(DTYPE_Q6_K, x, what);
            }
}

/* Normal numbers: q4_K loses less than q4_0, which takes as many bytes, and q6_K less than a tenth
 * of the power of that. */
static void blocks_of_normal_numbers(void) {
    struct rng r;
    double four = 0, six = 0, plain = 0;
    rng_seed(&r, 4, 0);
    for (int round = 0; round < 200; round++) {
        float x[N], y[N];
        uint8_t old[144];
        fill(x, 0, 0.1f, &r);
        four += check_block(DTYPE_Q4_K, x, "normal");
        six += check_block(DTYPE_Q6_K, x, "normal");
        dtype_from_f32(DTYPE_Q4_0, old, x, N);
        dtype_to_f32(DTYPE_Q4_0, y, old, N);
        for (int i = 0; i < N; i++) plain += (double)((x[i] - y[i]) * (x[i] - y[i]));
    }
    CHECK(four < 0.75 * plain && six < 0.1 * four, "q4_0 %g, q4_K %g, q6_K %g", plain, four, six);
}

/* Numbers that a block of q6_K can hold as they are come back to the bit. */
static void numbers_that_fit(void) {
    float x[N], y[N];
    uint8_t block[210];
    for (int i = 0; i < N; i++) x[i] = (float)(i % 16 ? i % 63 - 31 : 31) * 127 / 1024;
    dtype_from_f32(DTYPE_Q6_K, block, x, N);
    dtype_to_f32(DTYPE_Q6_K, y, block, N);
    for (int i = 0; i < N; i++)
        CHECK(x[i] == y[i], "number %d is %g, not %g", i, (double)y[i], (double)x[i]);
}

static void odd_numbers(void) {
    static const float odd[] = {0, FLT_TRUE_MIN, 1e-38f, FLT_MAX, INFINITY, -INFINITY, NAN};
    static const enum dtype both[] = {DTYPE_Q4_K, DTYPE_Q6_K};
    for (size_t k = 0; k < COUNT(odd); k++)
        for (size_t t = 0; t < COUNT(both); t++) {
            float x[N] = {[0] = odd[k], [7] = -odd[k], [200] = odd[k]}, y[N];
            uint8_t block[210];
            dtype_from_f32(both[t], block, x, N); /* with sanitizers: no undefined conversion */
            dtype_to_f32(both[t], y, block, N);
            for (size_t i = 0; i < N; i++)
                CHECK(k < 3 ? y[i] == 0 : isfinite(y[i]), "%s of %g: %g", dtype_name(both[t]),
                      (double)odd[k], (double)y[i]);
        }
}

/* The ends of the ranges: -most is still the offset of 63 steps, or the scale of 127. */
static void ranges_of_blocks(void) {
    static const struct {
        enum dtype type;
        float most;
    } ends[] = {{DTYPE_Q4_K, 63 * 65504.0f}, {DTYPE_Q6_K, 31 * 127 * 65504.0f}};
    for (size_t i = 0; i < COUNT(ends); i++) {
        const enum dtype t = ends[i].type;
        float x[N] = {1, [100] = -ends[i].most, [101] = ends[i].most / 2};
        CHECK(dtype_holds(t, ends[i].most * 0.999f) && !dtype_holds(t, ends[i].most * 1.001f) &&
                  !dtype_holds(t, INFINITY) && !dtype_holds(t, NAN),
              "%s ends elsewhere", dtype_name(t));
        x[100] *= 0.999f;
        check_block(t, x, "the end of the range");
    }
}

static void types_for_rows(void) {
    static const struct {
        enum dtype asked;
        size_t cols;
        enum dtype got;
    } all[] = {{DTYPE_Q4_K, 512, DTYPE_Q4_K}, {DTYPE_Q4_K, 1600, DTYPE_Q4_0},
               {DTYPE_Q4_K, 48, DTYPE_F16},   {DTYPE_Q5_K, 1600, DTYPE_Q5_1},
               {DTYPE_Q6_K, 256, DTYPE_Q6_K}, {DTYPE_Q6_K, 1600, DTYPE_Q8_0},
               {DTYPE_Q6_K, 100, DTYPE_F16},  {DTYPE_Q8_0, 64, DTYPE_Q8_0},
               {DTYPE_Q8_0, 48, DTYPE_F16},   {DTYPE_F32, 7, DTYPE_F32}};
    for (size_t i = 0; i < COUNT(all); i++)
        CHECK(dtype_for_rows(all[i].asked, all[i].cols) == all[i].got, "%s of %zu",
              dtype_name(all[i].asked), all[i].cols);
    CHECK(dtype_parse("q4_k") == DTYPE_Q4_K && dtype_parse("q6_K") == DTYPE_Q6_K &&
              dtype_parse("q5_K") == -1 && dtype_parse("q4_k_m") == -1 && dtype_parse("q4_") == -1,
          "names");
}

/* ---- the mixture ---- */

/* The processor's own set: the choice is the subject here, and the plainest set takes long. */
static const struct kernels *own_set(void) {
    const struct kernels *k = kernels_at(0);
    CHECK(kernels_get(&k, NULL, &e) == OK, "%s", e.msg);
    return k;
}

static int choose(struct mixture *m, const struct gpt2_weights *w) {
    const struct progress nobody = {NULL, NULL};
    return mixture_choose(m, w, own_set(), 0, nobody, &arena, &e);
}

/* What six bits would add to a matrix, and its damage for each number. */
static uint64_t extra_of(const struct matrix *m) {
    const enum dtype few = dtype_for_rows(DTYPE_Q4_K, m->cols),
                     many = dtype_for_rows(DTYPE_Q6_K, m->cols);
    return m->rows * (dtype_bytes(many, m->cols) - dtype_bytes(few, m->cols));
}

static double each_of(const struct mixture *x, size_t i, const struct matrix *m) {
    return x->damage[i] / ((double)m->rows * (double)m->cols);
}

/* A matrix that is passed over costs less for each number than all that were raised, or takes more
 * room than what was raised in its place; and none of them fits any more. */
static void check_order(const struct mixture *x, const struct gpt2_weights *w) {
    for (size_t i = 0; i < x->n; i++) {
        struct gpt2_tensor t, u;
        gpt2_tensor(w, i, &t);
        if (x->types[i] == DTYPE_Q6_K) CHECK(!t.vector && !t.positions, "%s", t.name);
        if (x->types[i] != DTYPE_Q4_K) continue;
        CHECK(x->damage[i] > 0, "%s costs %g", t.name, x->damage[i]);
        CHECK(x->bytes + extra_of(&t.m) > x->allowed, "%s fits", t.name);
        for (size_t j = 0; j < x->n; j++) {
            if (x->types[j] != DTYPE_Q6_K) continue;
            gpt2_tensor(w, j, &u);
            CHECK(each_of(x, i, &t.m) <= each_of(x, j, &u.m) || extra_of(&t.m) > extra_of(&u.m),
                  "%s has four bits, %s six", t.name, u.name);
        }
    }
}

enum { TEXT = 160, V = 4096 };

/* Logits of a text, of the model in a file. */
static void logits_of(const char *path, const int32_t *ids, float *logits) {
    struct checkpoint c;
    struct gpt2_session s;
    struct gpt2_row rows[TEXT];
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return;
    const struct gpt2_session_setup setup = {.weights = &c.weights,
                                             .kn = own_set(),
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = TEXT,
                                             .max_rows = TEXT};
    for (uint32_t i = 0; i < TEXT; i++) rows[i] = (struct gpt2_row){0, i, ids[i], true};
    CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
    CHECK(gpt2_forward(&s, rows, TEXT, logits, &e) == OK, "%s", e.msg);
    gpt2_session_close(&s);
    checkpoint_close(&c);
}

/* The mean of KL(softmax a || softmax b), in float64. */
static double divergence(const float *a, const float *b) {
    double sum = 0;
    for (size_t i = 0; i < TEXT; i++, a += V, b += V) {
        double za = 0, zb = 0, kl = 0;
        for (size_t t = 0; t < V; t++) za += exp((double)a[t]), zb += exp((double)b[t]);
        for (size_t t = 0; t < V; t++)
            kl += exp((double)a[t]) / za * ((double)a[t] - log(za) - (double)b[t] + log(zb));
        sum += kl;
    }
    return sum / TEXT;
}

/* Writes the model with these types, or with one, and measures what it says of a text. */
static double cost_of(const struct checkpoint *c, enum dtype type, const enum dtype *each,
                      const int32_t *ids, const float *exact) {
    static float logits[TEXT * V];
    const struct gguf_extra extra = {.types = each};
    const char *path = folder_path("made.gguf");
    inputs_forget();
    CHECK(gguf_write_model(path, true, &c->weights, NULL, "n", type, &extra, &e) == OK, "%s",
          e.msg);
    logits_of(path, ids, logits);
    return divergence(exact, logits);
}

/* 4096 rows of embedding in q6_K; of six layers qkv in q5_K, proj and fc in q4_K, fcproj in q6_K in
 * the third and the last. */
static const uint64_t LLAMA_BYTES =
    4096 * 210 + 6 * (768 * 176 + 256 * 144 + 1024 * 144) + 256 * 4 * (2 * 210 + 4 * 144);

static void mixture_of_the_default_model(void) {
    static float exact[TEXT * V];
    static int32_t ids[TEXT];
    struct checkpoint c;
    struct mixture m;
    const char *path = "weights/stories6M.gguf";
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return;
    for (int i = 0; i < TEXT; i++) ids[i] = 300 + i * i % 3000;
    logits_of(path, ids, exact);
    CHECK(choose(&m, &c.weights) == OK, "%s", e.msg);
    CHECK(m.allowed == LLAMA_BYTES && m.bytes <= m.allowed && m.matrices == 25 && m.raised > 0,
          "%zu of %zu matrices, %lu bytes of %lu", m.raised, m.matrices, (unsigned long)m.bytes,
          (unsigned long)m.allowed);
    check_order(&m, &c.weights);
    const double four = cost_of(&c, DTYPE_Q4_K, NULL, ids, exact),
                 mixed = cost_of(&c, DTYPE_Q4_K, m.types, ids, exact),
                 six = cost_of(&c, DTYPE_Q6_K, NULL, ids, exact);
    printf("  KL on rare tokens: q4_k %.4f, q4_k_m %.4f, q6_k %.4f nats\n", four, mixed, six);
    CHECK(six < mixed && mixed < 0.7 * four, "q4_k %g, q4_k_m %g, q6_k %g", four, mixed, six);
    checkpoint_close(&c);
}

static const struct gpt2_config SHAPE = {.n_layer = 8,
                                         .n_head = 2,
                                         .n_embd = 32,
                                         .n_inner = 256,
                                         .n_ctx = 24,
                                         .n_vocab = 90,
                                         .norm_eps = 1e-5f};

/* The same choice for any number of threads, with rows that have no K blocks; and a context that is
 * too short to measure anything. */
static void threads_and_odd_shapes(void) {
    const int threads = threads_count();
    struct gpt2_config shape = SHAPE;
    struct checkpoint c;
    struct mixture a, b;
    CHECK(checkpoint_random(&c, &shape, 5, &e) == OK, "%s", e.msg);
    threads_set(1);
    CHECK(choose(&a, &c.weights) == OK, "%s", e.msg);
    threads_set(3);
    CHECK(choose(&b, &c.weights) == OK, "%s", e.msg);
    threads_set(threads);
    CHECK(memcmp(a.damage, b.damage, a.n * sizeof *a.damage) == 0 &&
              memcmp(a.types, b.types, a.n * sizeof *a.types) == 0,
          "another choice with other threads");
    CHECK(a.bytes <= a.allowed && a.raised > 0, "%zu raised", a.raised);
    check_order(&a, &c.weights);
    checkpoint_close(&c);
    shape.n_ctx = 2;
    CHECK(checkpoint_random(&c, &shape, 5, &e) == OK, "%s", e.msg);
    CHECK(choose(&a, &c.weights) == OK && a.bytes <= a.allowed, "%s", e.msg);
    checkpoint_close(&c);
}

int main(void) {
    if (!folder_make()) return 1;
    RUN(blocks_within_their_bound);
    RUN(blocks_of_normal_numbers);
    RUN(numbers_that_fit);
    RUN(odd_numbers);
    RUN(ranges_of_blocks);
    RUN(types_for_rows);
    RUN(threads_and_odd_shapes);
    RUN(mixture_of_the_default_model);
    arena_free(&arena);
    folder_remove();
    return TEST_RESULT;
}
