/* Learned quantisers: the linear algebra, the ranges, what is learned, and scores against
 * float64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention/inverse.h"
#include "calibration/allot.h"
#include "calibration/linalg.h"
#include "calibration/quantiser_learn.h"
#include "base/rng.h"
#include "stored.h"
#include "test.h"

enum { N = 40 };

static void random_square(double *a, size_t n, uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, n);
    for (size_t i = 0; i < n * n; i++) a[i] = rng_normal(&r);
}

static void transposed(const double *a, double *t, size_t n) {
    for (size_t i = 0; i < n * n; i++) t[i] = a[i % n * n + i / n];
}

static double from_identity(const double *a, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n * n; i++) worst = fmax(worst, fabs(a[i] - (i % (n + 1) == 0)));
    return worst;
}

static double difference(const double *a, const double *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

static void eigenvectors_make_the_matrix(void) {
    static double a[N * N], t[N * N], s[N * N], v[N * N], e[N], w[N * N], x[N * N];
    for (size_t n = 1; n <= N; n += 13) {
        random_square(a, n, 1);
        transposed(a, t, n);
        linalg_product(n, a, t, s);
        memcpy(x, s, n * n * sizeof *x);
        linalg_eigen(n, x, e, v);
        transposed(v, t, n);
        linalg_product(n, v, t, w);
        CHECK(from_identity(w, n) < 1e-12, "n %zu: vectors are off orthogonal by %g", n,
              from_identity(w, n));
        for (size_t i = 0; i < n * n; i++) w[i] = v[i] * e[i / n];
        linalg_product(n, t, w, x);
        CHECK(difference(x, s, n * n) < 1e-10 * e[0], "n %zu: off by %g", n,
              difference(x, s, n * n));
        for (size_t i = 1; i < n; i++) CHECK(e[i] <= e[i - 1], "n %zu: values do not fall", n);
    }
}

/* U V^T of U S V^T, for matrices of full rank and less: R is orthogonal and R^T M is symmetric with
 * no negative eigenvalue. */
static void procrustes_is_the_nearest_rotation(void) {
    static double m[N * N], t[N * N], r[N * N], w[N * N], s[N * N], v[N * N], e[N];
    for (size_t rank = N; rank > 0; rank /= 3) {
        random_square(m, N, 2 + rank);
        for (size_t i = rank * N; i < N * N; i++) m[i] = m[i % (rank * N)];
        memcpy(w, m, sizeof w);
        linalg_procrustes(N, w, r, v);
        transposed(r, t, N);
        linalg_product(N, r, t, w);
        CHECK(from_identity(w, N) < 1e-11, "rank %zu: off orthogonal by %g", rank,
              from_identity(w, N));
        linalg_product(N, t, m, s);
        transposed(s, w, N);
        CHECK(difference(s, w, N * N) < 1e-9, "rank %zu: off symmetric by %g", rank,
              difference(s, w, N * N));
        linalg_eigen(N, s, e, v);
        CHECK(e[N - 1] > -1e-9, "rank %zu: eigenvalue %g", rank, e[N - 1]);
    }
}

static void inverses(void) {
    static double a[N * N], b[N * N], c[N * N], work[N * N];
    random_square(a, N, 3);
    memcpy(work, a, sizeof work);
    CHECK(inverse_of(N, work, b), "no inverse");
    linalg_product(N, a, b, c);
    CHECK(from_identity(c, N) < 1e-9, "off by %g", from_identity(c, N));
    memcpy(a + N, a, N * sizeof *a);
    for (size_t i = 0; i < N; i++) a[i] = 0;
    CHECK(!inverse_of(N, a, b), "a singular matrix");
}

/* Reverse water-filling by bisection of the level. */
static double distortion64(const double *e, size_t n, double bits) {
    double low = 0, high = e[0];
    for (int i = 0; i < 200; i++) {
        double level = (low + high) / 2, rate = 0;
        for (size_t d = 0; d < n; d++) rate += e[d] > level ? 0.5 * log2(e[d] / level) : 0;
        if (rate > bits)
            low = level;
        else
            high = level;
    }
    double sum = 0;
    for (size_t d = 0; d < n; d++) sum += e[d] < high ? e[d] : high;
    return sum;
}

static double best_ranges(const double *e, size_t n, size_t ranges, double bits) {
    if (ranges == 1) return distortion64(e, n, bits);
    double best = HUGE_VAL;
    for (size_t first = 1; first + ranges - 1 <= n; first++)
        best = fmin(best, distortion64(e, first, bits) +
                              best_ranges(e + first, n - first, ranges - 1, bits));
    return best;
}

static void ranges_are_the_best(void) {
    static struct quantiser_cuts cuts;
    for (uint64_t seed = 0; seed < 20; seed++) {
        enum { DIM = 12 };
        struct rng r;
        double e[DIM], x = 100, bits = seed % 2 ? 8 : 4;
        size_t width[4], ranges = 1 + seed % 4, sum = 0;
        rng_seed(&r, seed, 0);
        for (size_t i = 0; i < DIM; i++) e[i] = x *= 0.3 + 0.7 * rng_double(&r);
        double got = quantiser_ranges(&cuts, e, DIM, ranges, bits, width),
               want = best_ranges(e, DIM, ranges, bits), have = 0;
        for (size_t g = 0; g < ranges; sum += width[g++])
            have += distortion64(e + sum, width[g], bits);
        CHECK(sum == DIM && fabs(got - want) < 1e-9 * want && fabs(have - want) < 1e-9 * want,
              "seed %d: %.12g, %.12g, expected %.12g", (int)seed, got, have, want);
    }
}

/* ---- codes of each head ---- */

/* The least sum of damages over all ways to hand out `left` codes to the heads from number h on. */
static double best_allotment(const double *damage, const double *cost, size_t heads, size_t mean,
                             size_t most, size_t h, size_t left) {
    if (h == heads) return left ? HUGE_VAL : 0;
    double best = HUGE_VAL;
    for (size_t m = 1; m <= most && m <= left; m++)
        best = fmin(best, damage[h] * cost[h * most + m - 1] / cost[h * most + mean - 1] +
                              best_allotment(damage, cost, heads, mean, most, h + 1, left - m));
    return best;
}

static void codes_go_where_they_save_most(void) {
    enum { HEADS = 4, MOST = 6 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        double damage[HEADS], cost[HEADS * MOST], have = 0;
        size_t codes[HEADS], mean = 1 + seed % 4, sum = 0;
        struct rng r;
        rng_seed(&r, seed, 1);
        for (size_t h = 0; h < HEADS; h++) {
            double fall = 0.2 + 0.7 * rng_double(&r);
            damage[h] = exp(6 * rng_double(&r));
            for (size_t m = 0; m < MOST; m++)
                cost[h * MOST + m] = 5 * pow(fall, (double)m); /* convex: the least sum is found */
        }
        allot_bytes(codes, damage, cost, HEADS, mean, MOST);
        for (size_t h = 0; h < HEADS; sum += codes[h++]) {
            CHECK(codes[h] >= 1 && codes[h] <= MOST, "seed %d: %zu codes", (int)seed, codes[h]);
            have += damage[h] * cost[h * MOST + codes[h] - 1] / cost[h * MOST + mean - 1];
        }
        double want = best_allotment(damage, cost, HEADS, mean, MOST, 0, mean * HEADS);
        CHECK(sum == mean * HEADS && fabs(have - want) <= 1e-9 * want,
              "seed %d: %zu codes, damage %g, expected %g", (int)seed, sum, have, want);
    }
    size_t codes[2];
    allot_bytes(codes, (const double[]){0, 0}, (const double[]){0, 0, 0, 0, 0, 0}, 2, 3, 3);
    CHECK(codes[0] == 3 && codes[1] == 3, "without damage: %zu and %zu codes", codes[0], codes[1]);
}

/* ---- learning ---- */

enum { D = 16, ROWS = 1500, K = 64 };

struct data {
    float x[ROWS * D], weight[ROWS];
    double metric[D * D];
};

/* Rows of correlated, uneven dimensions about a mean; `distinct` of them. */
static void make_data(struct data *y, size_t distinct) {
    struct rng r;
    double mix[D * D], t[D * D];
    random_square(mix, D, 4);
    transposed(mix, t, D);
    linalg_product(D, mix, t, y->metric);
    for (size_t i = 0; i < D; i++) y->metric[i * D + i] += 0.5;
    rng_seed(&r, 5, 0);
    for (size_t i = 0; i < ROWS; i++) {
        float *x = y->x + i * D;
        y->weight[i] = i % 7 ? (float)rng_double(&r) : 0;
        for (size_t d = 0; d < D; d++)
            x[d] = f16_to_f32(f32_to_f16(3 + (float)(rng_normal(&r) * pow(0.7, (double)d) * 4)));
        if (i >= distinct) memcpy(x, y->x + i % distinct * D, D * sizeof *x);
    }
}

static struct quantiser learn_parts(const struct data *y, unsigned parts, size_t codes,
                                    size_t depth, const struct kernels *k, struct arena *a,
                                    struct learned_quantiser *out) {
    struct learn_rows rows = {y->x, y->weight, y->metric, ROWS, D};
    struct err e;
    struct quantiser_plan plan = {
        .parts = parts, .codes = codes, .depth = depth, .K = K, .seed = 1, .stream = 2, .kn = k};
    int rc = quantiser_learn(out, &rows, &plan, a, &e);
    struct quantiser z = {.dim = D,
                          .k = K,
                          .n = codes,
                          .inverse = out->inverse,
                          .mean = out->mean,
                          .ranges = out->ranges};
    CHECK(rc == OK && quantiser_prepare(&z, a, &e) == OK, "%s", e.msg);
    return z;
}

static struct quantiser learn(const struct data *y, size_t codes, size_t depth,
                              const struct kernels *k, struct arena *a,
                              struct learned_quantiser *out) {
    return learn_parts(y, LEARN_ALL, codes, depth, k, a, out);
}

/* xhat = mean + B^T yhat in float64, with B as the file has it, or as queries read it. */
static void decode64(const struct quantiser *z, bool of_file, const uint8_t *codes, double *x) {
    double y[D] = {0};
    for (size_t j = 0; j < z->n; j++)
        for (size_t r = 0; r < z->ranges[j].width; r++)
            y[z->ranges[j].at + r] += (double)f16_to_f32(z->ranges[j].centroids[r * K + codes[j]]);
    for (size_t d = 0; d < D; d++) {
        x[d] = (double)f16_to_f32(z->mean[d]);
        for (size_t r = 0; r < D; r++)
            x[d] += y[r] * (double)(of_file ? f16_to_f32(z->inverse[r * D + d])
                                            : z->inverse_f32[r * D + d]);
    }
}

static void one_shape(const struct kernels *k, const struct data *y, size_t codes, size_t depth) {
    enum { SOME = 100 };
    struct arena a = {0};
    struct learned_quantiser l;
    struct quantiser z = learn(y, codes, depth, k, &a, &l);
    static uint8_t code[SOME * 8], again[8];
    static float xhat[SOME * D], table[8 * K];
    double product[D * D] = {0}, want[D];
    for (size_t i = 0; i < D * D; i++)
        for (size_t r = 0; r < D; r++)
            product[i] +=
                (double)z.transform_t[i / D * D + r] * (double)f16_to_f32(z.inverse[r * D + i % D]);
    CHECK(from_identity(product, D) < 1e-4, "A^T B is off the identity by %g",
          from_identity(product, D));
    CHECK(l.error < (codes == 2 ? 0.3 : 0.1) * l.variance && l.error > 0,
          "%zu codes: error %g of %g", codes, l.error, l.variance);
    CHECK(z.ranges_overlap == (depth > 1), "residual");
    quantiser_encode(k, &z, code, codes, 1, y->x, D, SOME);
    quantiser_decode(k, &z, xhat, code, codes, 1, SOME);
    const float *q = y->x + 1000 * D;
    double common = (double)quantiser_tables(k, &z, table, q);
    for (size_t i = 0; i < SOME; i++) {
        double score = common, exact = 0, scale = 0;
        quantiser_encode(k, &z, again, 1, 1, y->x + i * D, D, 1);
        CHECK(memcmp(again, code + i * codes, codes) == 0, "codes depend on the rows beside");
        decode64(&z, false, code + i * codes, want);
        for (size_t j = 0; j < codes; j++) score += (double)table[j * K + code[i * codes + j]];
        for (size_t d = 0; d < D; d++) {
            CHECK(fabs((double)xhat[i * D + d] - want[d]) < 1e-5 * (1 + fabs(want[d])) * 10,
                  "row %zu: %g, expected %g", i, (double)xhat[i * D + d], want[d]);
            exact += (double)q[d] * want[d];
            scale += fabs((double)q[d] * want[d]);
        }
        CHECK(fabs(score - exact) < 1e-5 * scale, "%s: score %g, expected %g", k->name, score,
              exact);
    }
    arena_free(&a);
}

static void scores_equal_float64(void) {
    static struct data y;
    struct err e;
    make_data(&y, ROWS);
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k = kernels_at(i);
        if (!k->supported() || kernels_get(&k, k->name, &e)) continue;
        one_shape(k, &y, 2, 1);
        one_shape(k, &y, 4, 1);
        one_shape(k, &y, 4, 2);
    }
}

/* A mix of rows from the sums of their weights by code is the sum of the rows, in float64. */
static void mixes_equal_float64(void) {
    enum { SOME = 200, CODES = 4 };
    static struct data y;
    static uint8_t code[SOME * CODES];
    struct arena a = {0};
    struct learned_quantiser l;
    make_data(&y, ROWS);
    struct quantiser z = learn(&y, CODES, 2, kernels_at(0), &a, &l);
    quantiser_encode(kernels_at(0), &z, code, CODES, 1, y.x, D, SOME);
    EACH_SET(k) {
        uint32_t sums[CODES * K] = {0};
        double want[D] = {0}, size[D] = {0}, row[D], all = 0;
        float out[D];
        for (size_t d = 0; d < D; d++) out[d] = (float)d;
        for (size_t i = 0; i < SOME; i++) {
            uint32_t p = (uint32_t)(i * i * 997 % (1 << 22));
            all += p * 0x1p-30;
            for (size_t j = 0; j < CODES; j++) sums[j * K + code[i * CODES + j]] += p;
            decode64(&z, false, code + i * CODES, row);
            for (size_t d = 0; d < D; d++)
                want[d] += p * 0x1p-30 * row[d], size[d] += p * 0x1p-30 * fabs(row[d]);
        }
        quantiser_mix(k, &z, out, sums, (float)all, 0x1p-30f);
        for (size_t d = 0; d < D; d++)
            CHECK(fabs((double)out[d] - (double)d - want[d]) <=
                      1e-5 * (1 + size[d]) + 1e-6 * (double)d,
                  "%s: %g, expected %g", k->name, (double)out[d] - (double)d, want[d]);
    }
    arena_free(&a);
}

/* Without DIRECTIONS the space is the metric's root; without RANGES all widths are alike, and the
 * principal directions are dealt out so that their variances have about the same product in
 * each. */
static void parts_can_be_left_out(void) {
    static struct data y;
    struct arena a = {0};
    struct learned_quantiser l;
    double square[D * D], product[D * D];
    make_data(&y, ROWS);
    struct quantiser z = learn_parts(&y, LEARN_METRIC, 4, 1, kernels_at(0), &a, &l);
    for (size_t j = 0; j < 4; j++)
        CHECK(z.ranges[j].at == 4 * j && z.ranges[j].width == 4, "range %zu: %zu at %zu", j,
              z.ranges[j].width, z.ranges[j].at);
    double trace = 0, worst = 0;
    for (size_t d = 0; d < D; d++) trace += y.metric[d * D + d];
    for (size_t i = 0; i < D * D; i++) product[i] = (double)f16_to_f32(z.inverse[i]);
    linalg_product(D, product, product, square); /* B B = H^-1 */
    linalg_product(D, square, y.metric, product);
    for (size_t i = 0; i < D * D; i++)
        worst = fmax(worst, fabs(product[i] * D / trace - (i % (D + 1) == 0)));
    CHECK(worst < 0.02, "B B H is off the identity by %g: more than f16 explains", worst);

    z = learn_parts(&y, LEARN_DIRECTIONS, 4, 1, kernels_at(0), &a, &l);
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (size_t j = 0; j < 4; j++) {
        double logs = 0;
        CHECK(z.ranges[j].width == 4, "range %zu is %zu wide", j, z.ranges[j].width);
        for (size_t d = 4 * j; d < 4 * j + 4; d++) {
            double sum = 0, squares = 0, weight = 0;
            for (size_t i = 0; i < ROWS; i++) {
                double x = 0;
                for (size_t r = 0; r < D; r++)
                    x += (double)z.transform_t[r * D + d] *
                         (double)(y.x[i * D + r] - f16_to_f32(z.mean[r]));
                sum += (double)y.weight[i] * x, squares += (double)y.weight[i] * x * x,
                    weight += (double)y.weight[i];
            }
            logs += log(squares / weight - sum * sum / weight / weight);
        }
        least = fmin(least, logs), most = fmax(most, logs);
    }
    CHECK(most - least < 4, "logarithms of products from %g to %g", least,
          most); /* in order they span 30 */
    double all = 0, none = 0;
    learn_parts(&y, LEARN_ALL, 4, 1, kernels_at(0), &a, &l), all = l.error / l.variance;
    learn_parts(&y, 0, 4, 1, kernels_at(0), &a, &l), none = l.error / l.variance;
    CHECK(all < none, "all parts leave %g of the variance, none %g", all, none);
    arena_free(&a);
}

/* Never more error than plain k-means of equal widths would need: with as many centroids as rows
 * there is none. */
static void few_rows_are_kept(void) {
    static struct data y;
    struct arena a = {0};
    struct learned_quantiser l;
    make_data(&y, K);
    for (size_t i = 0; i < ROWS; i++) y.weight[i] = 1;
    struct quantiser z = learn(&y, 4, 1, kernels_at(0), &a, &l);
    static uint8_t code[K * 4];
    double xhat[D], worst = 0;
    quantiser_encode(kernels_at(0), &z, code, 4, 1, y.x, D, K);
    for (size_t i = 0; i < K * D; i++) {
        if (i % D == 0) decode64(&z, true, code + i / D * 4, xhat);
        double off = fabs(xhat[i % D] - (double)y.x[i]);
        if (!(off <= worst)) worst = off;
    }
    CHECK(worst < 0.02, "off by %g: more than f16 of centroids explains", worst);
    arena_free(&a);
}

/* |x - yhat|^2 of a row in the learned space */
static double left64(const struct quantiser *z, const float *x, const uint8_t *code) {
    double sum = 0;
    for (size_t d = 0; d < D; d++) {
        double left = (double)x[d];
        for (size_t j = 0; j < z->n; j++) {
            const struct quantiser_range *s = &z->ranges[j];
            if (d >= s->at && d < s->at + s->width)
                left -= (double)f16_to_f32(s->centroids[(d - s->at) * z->k + code[j]]);
        }
        sum += left * left;
    }
    return sum;
}

/* Codes of a pair: no other pair of codes has less error, so the greedy one has not. */
static void pairs_are_the_best(void) {
    enum { FEW = 16, PAIR_CODES = 6, SOME = 40 };
    static const size_t width[PAIR_CODES / 2] = {1, 5, 10};
    static uint16_t centroids[2 * D * FEW];
    static float x[SOME * D];
    static uint8_t code[SOME * PAIR_CODES], other[PAIR_CODES];
    struct quantiser_range ranges[PAIR_CODES];
    struct quantiser z = {.dim = D, .k = FEW, .n = PAIR_CODES, .ranges = ranges};
    struct arena a = {0};
    struct rng r;
    struct err e;
    rng_seed(&r, 6, 0);
    for (size_t i = 0; i < sizeof centroids / sizeof *centroids; i++)
        centroids[i] = f32_to_f16((float)rng_normal(&r));
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)rng_normal(&r);
    for (size_t j = 0, at = 0, used = 0; j < PAIR_CODES;
         used += width[j / 2] * FEW, at += j % 2 ? width[j / 2] : 0, j++)
        ranges[j] = (struct quantiser_range){
            .at = at, .width = width[j / 2], .centroids = centroids + used};
    CHECK(quantiser_prepare(&z, &a, &e) == OK && z.n_searches == PAIR_CODES / 2 &&
              z.ranges_overlap && !z.searches_overlap,
          "searches");
    for (size_t s = 0; kernels_at(s); s++) {
        const struct kernels *k = kernels_at(s);
        if (!k->supported()) continue;
        quantiser_encode(k, &z, code, PAIR_CODES, 1, x, D, SOME);
        for (size_t i = 0; i < SOME; i++)
            for (size_t j = 0; j < PAIR_CODES; j += 2) {
                double got = left64(&z, x + i * D, code + i * PAIR_CODES);
                memcpy(other, code + i * PAIR_CODES, PAIR_CODES);
                for (size_t c = 0; c < (size_t)FEW * FEW; c++) {
                    other[j] = (uint8_t)(c / FEW), other[j + 1] = (uint8_t)(c % FEW);
                    CHECK(got <= left64(&z, x + i * D, other) + 1e-4,
                          "%s: row %zu has %d, %d for codes %zu, worse than %d, %d", k->name, i,
                          code[i * PAIR_CODES + j], code[i * PAIR_CODES + j + 1], j, other[j],
                          other[j + 1]);
                }
            }
    }
    arena_free(&a);
}

/* Ranges that overlap without being a pair, which only a file can have: calibrate makes none. Each
 * code is the nearest to what those before it left. */
static void overlapping_ranges_are_searched_in_turn(void) {
    enum { CODES = 3, SOME = 40 };
    static const size_t at[CODES] = {0, 4, 0}, width[CODES] = {10, 12, 16};
    static uint16_t centroids[38 * K];
    static float x[SOME * D];
    static uint8_t code[SOME * CODES], other[CODES];
    struct quantiser_range ranges[CODES];
    struct quantiser z = {.dim = D, .k = K, .n = CODES, .ranges = ranges};
    struct arena a = {0};
    struct rng r;
    struct err e;
    rng_seed(&r, 8, 0);
    for (size_t i = 0; i < sizeof centroids / sizeof *centroids; i++)
        centroids[i] = f32_to_f16((float)rng_normal(&r));
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)rng_normal(&r);
    for (size_t j = 0, used = 0; j < CODES; used += width[j++] * K)
        ranges[j] =
            (struct quantiser_range){.at = at[j], .width = width[j], .centroids = centroids + used};
    CHECK(quantiser_prepare(&z, &a, &e) == OK && z.n_searches == CODES && z.ranges_overlap &&
              z.searches_overlap,
          "searches");
    EACH_SET(k) {
        quantiser_encode(k, &z, code, CODES, 1, x, D, SOME);
        for (size_t i = 0; i < SOME; i++)
            for (size_t j = 0; j < CODES; j++) {
                struct quantiser so_far = z;
                so_far.n = j + 1;
                memcpy(other, code + i * CODES, CODES);
                double got = left64(&so_far, x + i * D, other);
                for (size_t c = 0; c < K; c++) {
                    other[j] = (uint8_t)c;
                    CHECK(got <= left64(&so_far, x + i * D, other) + 1e-4,
                          "%s: row %zu, code %zu is %d, worse than %zu", k->name, i, j,
                          code[i * CODES + j], c);
                }
            }
    }
    arena_free(&a);
}

static void bad_transforms_are_refused(void) {
    static uint16_t inverse[D * D], mean[D], centroids[D * K];
    struct quantiser_range range = {.at = 0, .width = D, .centroids = centroids};
    struct quantiser z = {
        .dim = D, .k = K, .n = 1, .inverse = inverse, .mean = mean, .ranges = &range};
    struct arena a = {0};
    struct err e;
    CHECK(quantiser_prepare(&z, &a, &e) == ERR_REFUSED && strstr(e.msg, "no inverse"), "zeros");
    for (size_t d = 0; d < D; d++) inverse[d * D + d] = f32_to_f16(1);
    CHECK(quantiser_prepare(&z, &a, &e) == OK && !z.ranges_overlap, "the identity");
    arena_free(&a);
}

/* ---- B in 8 bits, and pairs of codes of 4 bits ---- */

enum { WIDE = 96, FEW = 16, WIDE_ROWS = 200, MOST_CODES = 13 };

/* A random quantiser of d dimensions with 16 centroids: rows of B of very different sizes, an odd
 * number of codes, of which some pairs share a range and some do not. */
struct wide {
    size_t d;
    struct quantiser z;
    struct quantiser_range ranges[MOST_CODES];
    uint16_t inverse[WIDE * WIDE], mean[WIDE], centroids[MOST_CODES * WIDE * FEW];
    float x[WIDE_ROWS * WIDE];
    uint8_t codes[WIDE_ROWS * MOST_CODES];
};

static void make_wide(struct wide *w, size_t d, uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, d);
    w->d = d;
    for (size_t i = 0; i < d * d; i++)
        w->inverse[i] =
            f32_to_f16((float)ldexp((i % (d + 1) == 0) + 0.1 * rng_normal(&r), -(int)(i / d % 11)));
    for (size_t i = 0; i < d; i++) w->mean[i] = f32_to_f16((float)rng_normal(&r));
    for (size_t i = 0; i < WIDE_ROWS * d; i++) w->x[i] = (float)rng_normal(&r);
    size_t at = 0;
    for (size_t j = 0; j < MOST_CODES; j++) {
        uint16_t *c = w->centroids + j * WIDE * FEW;
        size_t width = j % 4 == 1 ? w->ranges[j - 1].width : 1 + rng_below(&r, d / MOST_CODES);
        if (j % 4 == 1) at = w->ranges[j - 1].at;
        w->ranges[j] = (struct quantiser_range){at, width, c};
        at += width;
        for (size_t i = 0; i < width * FEW; i++)
            c[i] = f32_to_f16((float)(rng_normal(&r) * pow(8, (double)(i / FEW % 3))));
    }
    w->z = (struct quantiser){.dim = d,
                              .k = FEW,
                              .n = MOST_CODES,
                              .inverse = w->inverse,
                              .mean = w->mean,
                              .ranges = w->ranges};
}

/* mean + B^T yhat of row i in float64, with B as queries read it; size has the sum of magnitudes.
 */
static void wide_row(const struct wide *w, size_t i, double *x, double *size) {
    double y[WIDE] = {0};
    for (size_t j = 0; j < w->z.n; j++)
        for (size_t r = 0; r < w->ranges[j].width; r++)
            y[w->ranges[j].at + r] +=
                (double)f16_to_f32(w->ranges[j].centroids[r * FEW + w->codes[i * MOST_CODES + j]]);
    for (size_t d = 0; d < w->d; d++) {
        x[d] = (double)f16_to_f32(w->mean[d]), size[d] = fabs(x[d]);
        for (size_t r = 0; r < w->d; r++) {
            double p = y[r] * (double)w->z.inverse_f32[r * w->d + d];
            x[d] += p, size[d] += fabs(p);
        }
    }
}

/* Each number of B moves by half a 127th of its row's largest at most, and a little for the scale,
 * which is f16. */
static void check_back(const struct wide *w) {
    for (size_t r = 0; r < w->d; r++) {
        double most = 0;
        for (size_t d = 0; d < w->d; d++)
            most = fmax(most, fabs((double)f16_to_f32(w->inverse[r * w->d + d])));
        for (size_t d = 0; d < w->d; d++) {
            double was = (double)f16_to_f32(w->inverse[r * w->d + d]),
                   is = (double)w->z.inverse_f32[r * w->d + d];
            CHECK(fabs(was - is) <= most / 254 * (1 + 0x1p-3), "d %zu row %zu: %g became %g", w->d,
                  r, was, is);
        }
    }
}

/* Tables of every set against float64, whatever the layout of B: rows, or tiles of 32. */
static void queries_meet_the_rounded_transform(void) {
    static struct wide w;
    static const size_t dims[] = {16, 24, 32, 64, 96};
    for (size_t t = 0; t < sizeof dims / sizeof *dims; t++) {
        struct arena a = {0};
        struct err e;
        make_wide(&w, dims[t], 20);
        CHECK(quantiser_prepare(&w.z, &a, &e) == OK, "%s", e.msg);
        check_back(&w);
        quantiser_encode(kernels_at(0), &w.z, w.codes, MOST_CODES, 1, w.x, w.d, WIDE_ROWS);
        EACH_SET(k) {
            static float table[MOST_CODES * FEW], xhat[WIDE_ROWS * WIDE];
            const float *q = w.x;
            double common = (double)quantiser_tables(k, &w.z, table, q);
            quantiser_decode(k, &w.z, xhat, w.codes, MOST_CODES, 1, WIDE_ROWS);
            for (size_t i = 0; i < WIDE_ROWS; i++) {
                double x[WIDE], size[WIDE], score = common, exact = 0, scale = 0;
                wide_row(&w, i, x, size);
                for (size_t j = 0; j < MOST_CODES; j++)
                    score += (double)table[j * FEW + w.codes[i * MOST_CODES + j]];
                for (size_t d = 0; d < w.d; d++) {
                    exact += (double)q[d] * x[d], scale += fabs((double)q[d]) * size[d];
                    CHECK(fabs((double)xhat[i * w.d + d] - x[d]) <= 1e-5 * size[d],
                          "%s: row %zu: %g, expected %g", k->name, i, (double)xhat[i * w.d + d],
                          x[d]);
                }
                CHECK(fabs(score - exact) <= 1e-4 * scale, "%s d %zu: score %g, expected %g",
                      k->name, w.d, score, exact);
            }
        }
        arena_free(&a);
    }
}

/* Rounded centroids lie within half a scale of those of the file, their scales are as fine as
 * promised, and their sums of two fit a signed byte. */
static void check_rounding(const struct wide *w, const struct quantiser_range *before) {
    const struct quantiser_pairs *p = w->z.pairs;
    size_t s = 0;
    for (size_t j = 0; j < MOST_CODES; j += 2) {
        bool both = j + 1 < MOST_CODES && before[j].at == before[j + 1].at &&
                    before[j].width == before[j + 1].width;
        size_t apart = both || j + 1 == MOST_CODES ? 1 : 2;
        for (size_t part = 0; part < apart; part++) {
            size_t first = j + part, last = both ? j + 1 : first;
            for (size_t r = 0; r < before[first].width; r++, s++) {
                double most[2] = {0}, sum = 0;
                int largest = 0;
                CHECK(p->tables.byte[s] == j / 2 && p->dim[s] == before[first].at + r,
                      "sum %zu is of byte %d, dimension %d", s, p->tables.byte[s], p->dim[s]);
                for (size_t c = first; c <= last; c++)
                    for (size_t i = 0; i < FEW; i++) {
                        double was = (double)f16_to_f32(before[c].centroids[r * FEW + i]),
                               is = (double)f16_to_f32(w->ranges[c].centroids[r * FEW + i]);
                        int entry = p->tables.entries[s * 32 + c % 2 * 16 + i];
                        most[c % 2] = fmax(most[c % 2], fabs(was));
                        CHECK(is == (double)p->scale[s] * entry, "%g is not %d scales", is, entry);
                        CHECK(fabs(was - is) <= 0.5 * (double)p->scale[s], "%g became %g", was, is);
                    }
                for (size_t i = 0; i < FEW * FEW; i++) {
                    int x = abs(p->tables.entries[s * 32 + i / FEW] +
                                p->tables.entries[s * 32 + 16 + i % FEW]);
                    largest = x > largest ? x : largest;
                }
                sum = most[0] + most[1];
                CHECK(largest <= 127 && (double)p->scale[s] <= sum / 126 * 9 / 8,
                      "a sum of %d, scale %g for %g", largest, (double)p->scale[s], sum);
            }
        }
    }
    CHECK(s == p->tables.n, "%zu sums, not %zu", p->tables.n, s);
}

/* What a product with B^T in 8 bits adds to each number: kernels.tile_mix has the bound, here with
 * |y[r]| <= most[r]. */
static double back_bound(const struct wide *w, const double *most, size_t d) {
    double bound = 0;
    for (size_t block = 0; block < w->d; block += 32) {
        double largest = 0, whole = 0;
        for (size_t r = block; r < block + 32 && r < w->d; r++) {
            double row = 0; /* without fmax, at which gcc 12 for aarch64 crashes here */
            for (size_t i = 0; i < w->d; i++) {
                double size = fabs((double)w->z.inverse_f32[r * w->d + i]);
                if (size > row) row = size;
            }
            largest = fmax(largest, most[r] * row / 127);
            whole += 127 * fabs((double)w->z.inverse_f32[r * w->d + d]) / row;
        }
        bound += 1.01 * largest / 65278 * whole;
    }
    return bound;
}

/* Adds up what rows stand for in float64, and the bound of what rounding costs. */
static void mix_wide(const struct wide *w, const float *p, double *want, double *bound) {
    double most[WIDE] = {0};
    for (size_t s = 0; s < w->z.pairs->tables.n; s++)
        most[w->z.pairs->dim[s]] += 127 * (double)w->z.pairs->scale[s];
    for (size_t d = 0; d < w->d; d++) {
        want[d] = 0;
        bound[d] =
            fabs((double)f16_to_f32(w->mean[d])) * WIDE_ROWS * 0x1p-24 + back_bound(w, most, d);
        for (size_t r = 0; r < w->d; r++)
            bound[d] +=
                most[r] * fabs((double)w->z.inverse_f32[r * w->d + d]) * WIDE_ROWS * 0x1p-24;
    }
    for (size_t i = 0; i < WIDE_ROWS; i++) {
        double x[WIDE], size[WIDE];
        wide_row(w, i, x, size);
        for (size_t d = 0; d < w->d; d++)
            want[d] += (double)p[i] * x[d], bound[d] += (double)p[i] * size[d] * 2e-5;
    }
}

static void pairs_are_mixed_as_in_float64(void) {
    static struct wide w;
    static const size_t dims[] = {16, 64, 96};
    for (size_t t = 0; t < sizeof dims / sizeof *dims; t++)
        for (int flat = 0; flat < 2; flat++) {
            struct arena a = {0};
            struct err e;
            struct rng r;
            float p[WIDE_ROWS], sum = 0;
            double want[WIDE], bound[WIDE];
            struct quantiser_range before[MOST_CODES];
            uint8_t rows[4 * 64 * (MOST_CODES + 1) / 2] = {0};
            rng_seed(&r, 21, t);
            make_wide(&w, dims[t], 22);
            memcpy(before, w.ranges, sizeof before);
            w.z.for_values = true;
            CHECK(quantiser_round(&w.z, &a, &e) == OK && quantiser_prepare(&w.z, &a, &e) == OK,
                  "%s", e.msg);
            check_rounding(&w, before);
            quantiser_encode(kernels_at(0), &w.z, w.codes, MOST_CODES, 1, w.x, w.d, WIDE_ROWS);
            for (size_t i = 0; i < WIDE_ROWS; i++)
                for (size_t j = 0; j < MOST_CODES; j++)
                    rows[(i / 64 * ((MOST_CODES + 1) / 2) + j / 2) * 64 + i % 64] |=
                        (uint8_t)(w.codes[i * MOST_CODES + j] << j % 2 * 4);
            for (size_t i = 0; i < WIDE_ROWS; i++)
                sum += p[i] = flat ? 1 : (float)exp(5 * rng_normal(&r));
            for (size_t i = 0; i < WIDE_ROWS; i++) p[i] /= sum;
            mix_wide(&w, p, want, bound);
            EACH_SET(k) {
                int32_t sums[MOST_CODES * WIDE] = {0};
                uint32_t all = 0;
                float out[WIDE] = {0};
                CHECK(k->pair_sums(sums, &all, &w.z.pairs->tables, rows, p, WIDE_ROWS), "%s",
                      k->name);
                quantiser_mix_pairs(k, &w.z, out, sums, (float)all / PAIR_ONE);
                for (size_t d = 0; d < w.d; d++)
                    CHECK(fabs((double)out[d] - want[d]) <= bound[d],
                          "%s d %zu: %g, expected %g, within %g", k->name, w.d, (double)out[d],
                          want[d], bound[d]);
            }
            arena_free(&a);
        }
}

int main(void) {
    RUN(eigenvectors_make_the_matrix);
    RUN(procrustes_is_the_nearest_rotation);
    RUN(inverses);
    RUN(ranges_are_the_best);
    RUN(codes_go_where_they_save_most);
    RUN(scores_equal_float64);
    RUN(mixes_equal_float64);
    RUN(parts_can_be_left_out);
    RUN(few_rows_are_kept);
    RUN(pairs_are_the_best);
    RUN(overlapping_ranges_are_searched_in_turn);
    RUN(bad_transforms_are_refused);
    RUN(queries_meet_the_rounded_transform);
    RUN(pairs_are_mixed_as_in_float64);
    return TEST_RESULT;
}
