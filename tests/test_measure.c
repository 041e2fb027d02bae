/* Statistics and fidelity against their definitions, written out in float64 and without care for
 * speed. */
#include "test.h"

#include "base/process.h"
#include "base/rng.h"
#include "measure/fidelity.h"
#include "measure/stats.h"

static struct rng rng;

/* ---- statistics ---- */

static void sums(void) {
    struct moments all = {0}, parts[3] = {{0}}, joined = {0}, none = {0};
    double mean = 0;
    for (int i = 0; i < 200; i++) {
        double x = 3 + rng_normal(&rng);
        mean += x / 200;
        moments_add(&all, x);
        moments_add(&parts[i < 50 ? 0 : i < 51 ? 1 : 2], x);
    }
    for (int i = 0; i < 3; i++) moments_join(&joined, &parts[i]);
    CHECK(all.n == 200 && fabs(moments_mean(&all) - mean) < 1e-12, "mean %g, expected %g",
          moments_mean(&all), mean);
    CHECK(joined.n == 200 && fabs(moments_mean(&joined) - mean) < 1e-12, "joined");
    CHECK(moments_mean(&none) == 0, "no samples");
}

/* Windows of equal size: the spread of the windows' means over the root of their number; of others
 * the formula. */
static void error_of_clusters(void) {
    enum { W = 16 };
    double size[W], sum[W], of_means = 0, mean_of_means = 0, total = 0, n = 0, squares = 0;
    for (int equal = 0; equal < 2; equal++) {
        struct estimate e = {0};
        of_means = mean_of_means = total = n = squares = 0;
        for (int w = 0; w < W; w++) {
            double common = 0.3 * rng_normal(&rng); /* what the samples of a window share */
            size[w] = equal ? 100 : 20 + (double)rng_below(&rng, 200);
            sum[w] = 0;
            for (int i = 0; i < size[w]; i++) sum[w] += 5 + common + 0.1 * rng_normal(&rng);
            estimate_add(&e, (uint64_t)size[w], sum[w]);
            estimate_add(&e, 0, 0); /* a window that has none of it */
            total += sum[w];
            n += size[w];
            mean_of_means += sum[w] / size[w] / W;
        }
        for (int w = 0; w < W; w++) {
            squares += pow(sum[w] - total / n * size[w], 2);
            of_means += pow(sum[w] / size[w] - mean_of_means, 2);
        }
        double want = sqrt(W / (W - 1.0) * squares) / n;
        CHECK(e.clusters == W && e.n == (uint64_t)n && fabs(estimate_mean(&e) - total / n) < 1e-12,
              "mean %g", estimate_mean(&e));
        CHECK(fabs(estimate_error(&e) - want) < 1e-12, "error %.15g, expected %.15g",
              estimate_error(&e), want);
        if (equal)
            CHECK(fabs(want - sqrt(of_means / (W - 1) / W)) < 1e-12, "equal windows: %g", want);
    }
}

/* Spreads far below the mean are not lost in its square: cosines of 1 - 1e-12. */
static void small_errors(void) {
    struct estimate e = {0}, same = {0}, one = {0}, none = {0};
    for (int w = 0; w < 8; w++) {
        estimate_add(&e, 1 << 20, (1 - (w % 2 ? 1e-10 : 3e-10)) * (1 << 20));
        estimate_add(&same, 700, 700 * 0.1);
    }
    CHECK(fabs(estimate_error(&e) / sqrt(8 * 1e-20 / 7 / 8) - 1) < 1e-4, "%g", estimate_error(&e));
    CHECK(estimate_error(&same) < 1e-16, "equal windows: %g", estimate_error(&same));
    estimate_add(&one, 50, 350);
    CHECK(estimate_mean(&one) == 7 && isnan(estimate_error(&one)), "one window has no error: %g",
          estimate_error(&one));
    CHECK(estimate_mean(&none) == 0 && isnan(estimate_error(&none)), "none has none: %g",
          estimate_error(&none));
}

static void quantiles(void) {
    float x[] = {5, 1, 4, 2, 3};
    CHECK(quantile(x, 5, 0.5) == 3 && quantile(x, 5, 0) == 1 && quantile(x, 5, 1) == 5,
          "whole places");
    CHECK(fabs(quantile(x, 5, 0.99) - 4.96) < 1e-12, "99 %%: %g", quantile(x, 5, 0.99));
    float even[] = {4, 1, 3, 2}, one[] = {9};
    CHECK(quantile(even, 4, 0.5) == 2.5 && quantile(one, 1, 0.3) == 9,
          "median of an even number, of one");
    /* of n numbers the k-th smallest is the (k - 1) / (n - 1) quantile */
    float many[1001];
    for (int i = 0; i <= 1000; i++) many[(i * 379) % 1001] = (float)i;
    for (int i = 0; i <= 1000; i += 50)
        CHECK(fabs(quantile(many, 1001, i / 1000.0) - i) < 1e-9, "quantile %g", i / 1000.0);
}

/* ---- ranks ---- */

enum { MOST = 1500 };
static uint64_t work[2 * MOST];

/* 1 + the number below + half the number of others that are equal. */
static void check_ranks(const float *x, size_t n, const char *what) {
    static float rank[MOST];
    fidelity_ranks(x, n, rank, work);
    for (size_t i = 0; i < n; i++) {
        size_t below = 0, equal = 0;
        for (size_t j = 0; j < n; j++) below += x[j] < x[i], equal += x[j] == x[i];
        CHECK(rank[i] == 1 + (double)below + 0.5 * (double)(equal - 1),
              "%s, n = %zu: rank[%zu] of %g is %g", what, n, i, x[i], rank[i]);
    }
}

static void ranks_with_ties(void) {
    static float x[MOST];
    static const size_t lengths[] = {1, 2, 3, 10, 255, 256, 257, 1024, MOST};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t n = lengths[l];
        for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(&rng) * 4;
        check_ranks(x, n, "normal");
        for (size_t i = 0; i < n; i++) x[i] = (float)rng_below(&rng, 7) - 3;
        check_ranks(x, n, "seven values");
        for (size_t i = 0; i < n; i++) x[i] = 2.5f;
        check_ranks(x, n, "one value");
        for (size_t i = 0; i < n; i++)
            x[i] = (rng_u64(&rng) & 1 ? -1.0f : 1.0f) * ldexpf(1, (int)rng_below(&rng, 250) - 148);
        check_ranks(x, n, "all magnitudes");
        for (size_t i = 0; i < n; i++)
            x[i] = i % 3 == 0 ? 0.0f : i % 3 == 1 ? -0.0f : (float)rng_normal(&rng);
        check_ranks(x, n, "zeros of both signs");
        x[n - 1] = -INFINITY, x[0] = INFINITY;
        check_ranks(x, n, "infinities");
    }
}

static void speed_of_ranks(void) {
    enum { N = 1024, TIMES = 2000 };
    static float x[TIMES][N], rank[N];
    for (int t = 0; t < TIMES; t++)
        for (int i = 0; i < N; i++) x[t][i] = (float)rng_normal(&rng);
    double start = clock_now();
    for (int t = 0; t < TIMES; t++) fidelity_ranks(x[t], N, rank, work);
    printf("  ranks of %d scores: %.1f us\n", N, (clock_now() - start) / TIMES * 1e6);
    check_ranks(x[7], N, "timed");
}

/* Spearman by Pearson's formula in two passes, over ranks of the quadratic definition. */
static double slow_rank(const float *x, size_t n, size_t i) {
    double rank = 0.5;
    for (size_t j = 0; j < n; j++) rank += x[j] < x[i] ? 1 : x[j] == x[i] ? 0.5 : 0;
    return rank;
}
static double slow_spearman(const float *a, const float *b, size_t n) {
    double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++)
        mean_a += slow_rank(a, n, i) / (double)n, mean_b += slow_rank(b, n, i) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double x = slow_rank(a, n, i) - mean_a, y = slow_rank(b, n, i) - mean_b;
        ab += x * y, aa += x * x, bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

static double spearman_of(const float *a, const float *b, size_t n) {
    static float rank_a[MOST], rank_b[MOST];
    fidelity_ranks(a, n, rank_a, work);
    fidelity_ranks(b, n, rank_b, work);
    return fidelity_spearman(rank_a, rank_b, n);
}

static void spearman(void) {
    static float a[MOST], b[MOST];
    static const size_t lengths[] = {2, 3, 17, 300};
    for (size_t l = 0; l < 4; l++) {
        for (int coarse = 0; coarse < 2; coarse++) {
            size_t n = lengths[l];
            for (size_t i = 0; i < n; i++)
                a[i] = (float)rng_normal(&rng), b[i] = a[i] + 0.5f * (float)rng_normal(&rng);
            for (size_t i = 0; coarse && i < n; i++) b[i] = roundf(b[i]);
            b[0] = 9; /* not all equal */
            double got = spearman_of(a, b, n), want = slow_spearman(a, b, n);
            CHECK(fabs(got - want) < 1e-12, "n = %zu: %.15g, expected %.15g", n, got, want);
            CHECK(spearman_of(a, a, n) == 1 && spearman_of(b, b, n) == 1, "of itself");
        }
    }
    float up[] = {1, 2, 3, 9}, down[] = {0, -1, -2, -3}, flat[] = {4, 4, 4, 4};
    CHECK(spearman_of(up, down, 4) == -1 && spearman_of(flat, flat, 4) == 1 &&
              spearman_of(up, flat, 4) == 0 && spearman_of(flat, up, 4) == 0,
          "reversed and constant");
}

/* ---- cosine, divergence, top 5 ---- */

static void cosine(void) {
    float a[64], b[64], zero[64] = {0};
    for (int i = 0; i < 64; i++) a[i] = (float)rng_normal(&rng), b[i] = (float)rng_normal(&rng);
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < 64; i++) ab += (double)a[i] * b[i], aa += pow(a[i], 2), bb += pow(b[i], 2);
    CHECK(fabs(fidelity_cosine(a, b, 64) - ab / sqrt(aa) / sqrt(bb)) < 1e-14, "%g",
          fidelity_cosine(a, b, 64));
    CHECK(fidelity_cosine(a, a, 64) == 1 && fidelity_cosine(b, b, 63) == 1, "of itself");
    CHECK(fidelity_cosine(zero, zero, 64) == 1 && fidelity_cosine(a, zero, 64) == 0 &&
              fidelity_cosine(zero, a, 64) == 0,
          "of zeros");
}

/* A distribution with weights from 1 to e^-spread. */
static void distribution(float *p, size_t n, double spread) {
    double sum = 0;
    static double w[MOST];
    for (size_t i = 0; i < n; i++) sum += w[i] = exp(-spread * rng_double(&rng));
    for (size_t i = 0; i < n; i++) p[i] = (float)(w[i] / sum);
}

static void divergence(void) {
    static float p[MOST], q[MOST];
    static const double spreads[] = {0.001, 1, 20, 95};
    for (size_t n = 1; n <= MOST; n = n * 5 / 4 + 1) {
        for (int s = 0; s < 4; s++) {
            distribution(p, n, spreads[s]);
            distribution(q, n, spreads[s]);
            p[n / 2] = 0;
            double want = 0, scale = 0;
            for (size_t i = 0; i < n; i++) {
                double term = p[i] > 0 ? log((double)p[i] / fmax(q[i], 1e-30f)) : 0;
                want += p[i] * term;
                scale += p[i] * (1 + fabs(term));
            }
            double got = fidelity_kl(p, q, n);
            CHECK(fabs(got - fmax(want, 0)) <= 1e-12 * scale,
                  "n = %zu, spread %g: %.15g, expected %.15g", n, spreads[s], got, want);
            CHECK(fidelity_kl(p, p, n) == 0 && fidelity_kl(q, q, n) == 0, "of itself");
        }
    }
    float one[] = {1, 0}, other[] = {0, 1}, half[] = {0.5f, 0.5f};
    CHECK(fabs(fidelity_kl(one, half, 2) - log(2)) < 1e-12, "one bit");
    CHECK(fabs(fidelity_kl(one, other, 2) - 30 * log(10)) < 1e-5, "nothing in common: %g",
          fidelity_kl(one, other, 2));
    /* every exponent and both sides of sqrt 2: p log(p / q) with q = 1 */
    float q1[] = {1};
    for (float x = 1e-38f; x < 1; x *= 1.0937f) {
        double want = -(double)x * log(x);
        CHECK(fabs(fidelity_kl(q1, &x, 1) + fmin(log(fmax(x, 1e-30f)), 0)) <
                  1e-12 * (1 + fabs(log(x))),
              "log %g", x);
        CHECK(fidelity_kl(&x, q1, 1) == 0 && want > 0, "clamped");
    }
}

static bool among_top5(const float *x, size_t n, size_t i) {
    size_t better = 0;
    for (size_t j = 0; j < n; j++) better += x[j] > x[i] || (x[j] == x[i] && j < i);
    return better < 5;
}

static void top5_with_ties(void) {
    static float a[300], b[300];
    static const size_t lengths[] = {1, 2, 4, 5, 6, 40, 300};
    for (size_t l = 0; l < 7; l++) {
        for (int values = 2; values < 400; values *= 3) {
            size_t n = lengths[l], of_a = 0, both = 0;
            for (size_t i = 0; i < n; i++)
                a[i] = (float)rng_below(&rng, (uint64_t)values),
                b[i] = (float)rng_below(&rng, (uint64_t)values);
            for (size_t i = 0; i < n; i++) {
                of_a += among_top5(a, n, i);
                both += among_top5(a, n, i) && among_top5(b, n, i);
            }
            CHECK(fidelity_top5(a, b, n) == (double)both / (double)of_a,
                  "n = %zu, %d values: %g, expected %zu of %zu", n, values, fidelity_top5(a, b, n),
                  both, of_a);
            CHECK(fidelity_top5(a, a, n) == 1, "of itself");
        }
    }
}

/* One NaN among sound numbers must be seen in every figure, wherever it stands: never left out,
 * never 0. */
static void not_a_number_is_never_lost(void) {
    enum { N = 70 };
    float x[N], y[N], rank[N], p[N], q[N];
    uint64_t room[2 * N];
    distribution(p, N, 2);
    distribution(q, N, 2);
    for (size_t i = 0; i < N; i++) x[i] = (float)rng_normal(&rng), y[i] = (float)rng_normal(&rng);
    for (size_t at = 0; at < N; at++) {
        float sound = x[at], p_sound = p[at];
        struct moments m = {0}, joined = {0};
        struct estimate of_windows = {0};
        x[at] = p[at] = NAN;
        for (size_t i = 0; i < N; i++) moments_add(&m, (double)x[i]);
        moments_join(&joined, &m);
        estimate_add(&of_windows, joined.n, joined.sum);
        estimate_add(&of_windows, 3, 7);
        CHECK(isnan(moments_mean(&joined)) && isnan(estimate_mean(&of_windows)) &&
                  isnan(estimate_error(&of_windows)),
              "%zu: mean %g, of windows %g ± %g", at, moments_mean(&joined),
              estimate_mean(&of_windows), estimate_error(&of_windows));
        CHECK(isnan(fidelity_cosine(x, y, N)) && isnan(fidelity_cosine(y, x, N)), "%zu: cosine",
              at);
        CHECK(isnan(fidelity_kl(p, q, N)) && isnan(fidelity_kl(q, p, N)), "%zu: divergence", at);
        CHECK(isnan(fidelity_top5(x, y, N)) && isnan(fidelity_top5(y, x, N)), "%zu: top 5", at);
        fidelity_ranks(x, N, rank, room);
        for (size_t i = 0; i < N; i++)
            CHECK(isnan(rank[i]), "%zu: rank %zu is %g", at, i, (double)rank[i]);
        float other[N];
        fidelity_ranks(y, N, other, room);
        CHECK(isnan(fidelity_spearman(rank, other, N)) && isnan(fidelity_spearman(other, rank, N)),
              "%zu: rho", at);
        for (int k = 0; k <= 4; k++) {
            float copy[N];
            memcpy(copy, x, sizeof copy);
            CHECK(isnan(quantile(copy, N, k / 4.0)), "%zu: quantile %d / 4", at, k);
        }
        x[at] = sound, p[at] = p_sound;
    }
    float zeros[4] = {0}, bad[4] = {0, NAN, 0, 0}, far[] = {1, 2, INFINITY};
    CHECK(isnan(fidelity_cosine(zeros, bad, 4)) && isnan(fidelity_cosine(bad, zeros, 4)),
          "NaN against zeros");
    CHECK(quantile(far, 3, 0.5) == 2 && quantile(far, 3, 1) == (double)INFINITY,
          "a quantile beside an infinity");
}

int main(void) {
    rng_seed(&rng, 4, 0);
    RUN(sums);
    RUN(error_of_clusters);
    RUN(small_errors);
    RUN(quantiles);
    RUN(ranks_with_ties);
    RUN(speed_of_ranks);
    RUN(spearman);
    RUN(cosine);
    RUN(divergence);
    RUN(top5_with_ties);
    RUN(not_a_number_is_never_lost);
    return TEST_RESULT;
}
