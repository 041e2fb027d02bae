#include "measure/fidelity.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Of the correlation of two equal vectors the quotient below is exactly 1: sqrt(x * x) = x in IEEE
 * arithmetic, short of overflow. */
static double correlation(double ab, double aa, double bb) {
    if (isnan(ab) || isnan(aa) || isnan(bb)) return NAN;
    if (aa == 0 || bb == 0) return aa == bb ? 1 : 0;
    double r = ab / sqrt(aa * bb);
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

double fidelity_cosine(const float *a, const float *b, size_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return correlation(ab, aa, bb);
}

/* log x for a normal x > 0, without branches so that it can be vectorised: x = 2^e m with m near 1,
 * log m = 2 atanh((m - 1) / (m + 1)) by its series; 0 for x = 1. The first term left out is 2 s^17
 * / 17 of 2 s with |s| <= 0.172: 4e-14. */
static inline double log_normal(double x) {
    const double ln2 = 0.693147180559945309417;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t shifted =
        bits +
        0x00095f619980c433; /* carries into the exponent where the mantissa is at least sqrt 2 */
    uint64_t exponent = shifted >> 52; /* 1 .. 2046, and 1023 for m */
    bits -= (exponent - 1023) << 52;
    double m, e;
    memcpy(&m, &bits, sizeof m);
    exponent |= 0x4330000000000000; /* 2^52 + exponent */
    memcpy(&e, &exponent, sizeof e);
    e -= 4503599627370496.0 + 1023.0;
    double s = (m - 1) / (m + 1), z = s * s;
    double series = 1.0 / 15;
    series = series * z + 1.0 / 13;
    series = series * z + 1.0 / 11;
    series = series * z + 1.0 / 9;
    series = series * z + 1.0 / 7;
    series = series * z + 1.0 / 5;
    series = series * z + 1.0 / 3;
    series = series * z + 1;
    return e * ln2 + 2 * s * series;
}

/* p log(p / q). In double the quotient of two floats is normal: p >= 1e-45, q >= 1e-30.
 * What is added is 0, or NaN where p or q is no number. */
static inline double divergence(float p, float q) {
    double safe_p = p > 0 ? p : 1e-30, safe_q = q > 1e-30f ? q : 1e-30f;
    return p * log_normal(safe_p / safe_q) + 0 * ((double)p + q);
}

double fidelity_kl(const float *p, const float *q, size_t n) {
    enum { SUMS = 4 };
    double sum[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (size_t j = 0; j < SUMS; j++) sum[j] += divergence(p[i + j], q[i + j]);
    for (; i < n; i++) sum[0] += divergence(p[i], q[i]);
    double kl = sum[0] + sum[1] + (sum[2] + sum[3]);
    return kl < 0 ? 0 : kl;
}

static bool any_nan(const float *x, size_t n) {
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) found |= x[i] != x[i];
    return found != 0;
}

/* A number that orders as x does, -0 as 0. */
static uint32_t key_of(float x) {
    uint32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (bits >> 31 ? 0xffffffff : 0x80000000);
}

enum { DIGIT_BITS = 10, DIGITS = 1 << DIGIT_BITS, PLACES = DIGITS * DIGITS };

/* One pass of a radix sort: to = from[n] in the order of the digit at `shift`, of which
 * count[digit] items are there. */
static void sort_by_digit(const uint64_t *from, uint64_t *to, size_t n, uint32_t *count,
                          int shift) {
    uint32_t at = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        uint32_t here = count[digit];
        count[digit] = at;
        at += here;
    }
    for (size_t i = 0; i < n; i++) to[count[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

static float bounded(float x) { return x < -1e38f ? -1e38f : x > 1e38f ? 1e38f : x; }

/* order[n] = the indices of x by PLACES equal steps from the least to the greatest x. spare is
 * [n]. */
static void sort_roughly(const float *x, size_t n, uint64_t *order, uint64_t *spare) {
    uint32_t low[DIGITS] = {0}, high[DIGITS] = {0};
    float least = bounded(x[0]), most = least;
    for (size_t i = 1; i < n; i++) {
        float b = bounded(x[i]);
        least = b < least ? b : least;
        most = b > most ? b : most;
    }
    float range = most - least, scale = range > 1e-30f ? (PLACES - 1) / range : 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t place = (uint64_t)(int32_t)((bounded(x[i]) - least) * scale);
        order[i] = (place < PLACES ? place : PLACES - 1) << 32 | i;
    }
    for (size_t i = 0; i < n; i++) {
        low[order[i] >> 32 & (DIGITS - 1)]++;
        high[order[i] >> (32 + DIGIT_BITS)]++;
    }
    sort_by_digit(order, spare, n, low, 32);
    sort_by_digit(spare, order, n, high, 32 + DIGIT_BITS);
}

/* A million steps over the range leave hardly two of a thousand scores out of order, and an
 * insertion sort by the scores themselves puts those right: two passes with evenly used digits,
 * where a radix sort of the floats' bits would need four with crowded ones. */
void fidelity_ranks(const float *x, size_t n, float *rank, uint64_t *work) {
    uint64_t *order = work, *sorted = work + n; /* of sorted: key of x, index */
    if (!n) return;
    if (any_nan(x, n)) { /* which has no place in an order */
        for (size_t i = 0; i < n; i++) rank[i] = NAN;
        return;
    }
    sort_roughly(x, n, order, sorted);
    for (size_t i = 0; i < n; i++) {
        uint32_t index = (uint32_t)order[i];
        uint64_t item = (uint64_t)key_of(x[index]) << 32 | index;
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > item; at--) sorted[at] = sorted[at - 1];
        sorted[at] = item;
    }
    for (size_t first = 0, next; first < n; first = next) {
        for (next = first + 1; next < n && sorted[next] >> 32 == sorted[first] >> 32; next++) {}
        float average = 0.5f * (float)(first + 1 + next); /* of first + 1 .. next */
        for (size_t i = first; i < next; i++) rank[(uint32_t)sorted[i]] = average;
    }
}

/* Ranks are multiples of 1/2 and their mean is (n + 1) / 2, so the sums are exact in double up to n
 * = 2^17. */
double fidelity_spearman(const float *rank_a, const float *rank_b, size_t n) {
    enum { SUMS = 2 };
    double ab[SUMS] = {0}, aa[SUMS] = {0}, bb[SUMS] = {0}, mean = 0.5 * ((double)n + 1);
    for (size_t i = 0; i < n; i++) {
        double a = rank_a[i] - mean, b = rank_b[i] - mean;
        ab[i % SUMS] += a * b;
        aa[i % SUMS] += a * a;
        bb[i % SUMS] += b * b;
    }
    return correlation(ab[0] + ab[1], aa[0] + aa[1], bb[0] + bb[1]);
}

enum { TOP = 5 };

/* The indices of the largest, best first; returns how many. */
static size_t largest(const float *x, size_t n, size_t top[TOP]) {
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        if (have == TOP && !(x[i] > x[top[TOP - 1]])) continue;
        size_t at = have < TOP ? have++ : TOP - 1;
        for (; at > 0 && x[i] > x[top[at - 1]]; at--) top[at] = top[at - 1];
        top[at] = i;
    }
    return have;
}

double fidelity_top5(const float *a, const float *b, size_t n) {
    size_t in_a[TOP], in_b[TOP], have = largest(a, n, in_a), both = 0;
    if (!have) return 1;
    if (any_nan(a, n) || any_nan(b, n)) return NAN;
    largest(b, n, in_b);
    for (size_t i = 0; i < have; i++)
        for (size_t j = 0; j < have; j++) both += in_a[i] == in_b[j];
    return (double)both / (double)have;
}
