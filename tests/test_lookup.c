/* The kernels of product-quantised rows: nearest centroid, lookup tables and their rounding,
 * buckets, in every set this CPU can run. Inputs end at bytes that are NaN in every float type,
 * outputs lie between guards. */
#include <float.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "stored.h"
#include "test.h"

#define U 0x1p-24
enum { GUARD = 64, MAX_M = LOOKUP_MAX_M, MAX_K = 256, MAX_N = 256, MAX_D = 64 };
static struct rng rng;

/* Memory whose end, `bytes` behind the start, is followed by poison. */
struct room {
    uint8_t *all, *data;
    size_t bytes;
};

static struct room room_new(size_t bytes) {
    struct room r = {malloc(bytes + 2 * GUARD), NULL, bytes};
    if (!r.all) abort();
    memset(r.all, 0xff, bytes + 2 * GUARD);
    r.data = r.all + GUARD;
    return r;
}

static bool room_end(struct room *r) {
    bool ok = true;
    for (size_t i = 0; i < GUARD; i++)
        ok = ok && r->data[-1 - (ptrdiff_t)i] == 0xff && r->data[r->bytes + i] == 0xff;
    free(r->all);
    return ok;
}

static void normals(float *x, size_t n, double spread) {
    for (size_t i = 0; i < n; i++) x[i] = (float)(spread * rng_normal(&rng));
}

/* ---- nearest ---- */

/* Sums against float64; the index must be within two errors of the largest sum, and a row's index
 * the same alone and among others. */
static void check_nearest(const struct kernels *k, enum dtype type, size_t n_centroids, size_t d,
                          size_t n) {
    size_t ldx = d + 3;
    struct room w = room_new(dtype_bytes(type, d * n_centroids)), b = room_new(n_centroids * 4),
                x = room_new(((n - 1) * ldx + d) * 4), out = room_new(n * 4), one = room_new(4);
    float centroids[MAX_D * MAX_K], *bias = (float *)(void *)b.data,
                                    *rows = (float *)(void *)x.data;
    uint32_t *index = (uint32_t *)(void *)out.data, *alone = (uint32_t *)(void *)one.data;
    normals(centroids, d * n_centroids, 1);
    dtype_from_f32(type, w.data, centroids, d * n_centroids);
    normals(bias, n_centroids, 1);
    normals(rows, (n - 1) * ldx + d, 1);
    k->nearest(&(struct nearest){.type = type,
                                 .w = w.data,
                                 .bias = bias,
                                 .d = d,
                                 .k = n_centroids,
                                 .x = rows,
                                 .ldx = ldx,
                                 .n = n,
                                 .index = index});
    for (size_t i = 0; i < n; i++) {
        double best = -INFINITY, got = NAN, error = 0;
        for (size_t c = 0; c < n_centroids; c++) {
            double sum = bias[c], size = fabs(sum);
            for (size_t r = 0; r < d; r++) {
                double p = rows[i * ldx + r] * stored(type, w.data, r * n_centroids + c);
                sum += p, size += fabs(p);
            }
            best = fmax(best, sum), error = fmax(error, (double)(d + 2) * U * size);
            if (c == index[i]) got = sum;
        }
        CHECK(got >= best - 2 * error,
              "%s %s k %zu d %zu: row %zu: centroid %u has %g, the best %g", k->name,
              dtype_name(type), n_centroids, d, i, index[i], got, best);
        k->nearest(&(struct nearest){.type = type,
                                     .w = w.data,
                                     .bias = bias,
                                     .d = d,
                                     .k = n_centroids,
                                     .x = rows + i * ldx,
                                     .ldx = ldx,
                                     .n = 1,
                                     .index = alone});
        CHECK(*alone == index[i], "%s %s k %zu d %zu: row %zu alone has %u, not %u", k->name,
              dtype_name(type), n_centroids, d, i, *alone, index[i]);
    }
    bool outside = room_end(&out) && room_end(&one);
    CHECK(outside, "%s: wrote outside index", k->name);
    room_end(&w), room_end(&b), room_end(&x);
}

static void nearest_of_every_shape(void) {
    static const size_t ks[] = {1, 3, 4, 15, 16, 17, 31, 64, 100, 256}, ds[] = {1, 2, 5, 16, 64};
    EACH_SET(k)
    for (size_t i = 0; i < COUNT(ks); i++)
        for (size_t j = 0; j < COUNT(ds); j++)
            for (size_t n = 1; n <= 9; n += n < 5 ? 1 : 4) {
                check_nearest(k, DTYPE_F32, ks[i], ds[j], n);
                check_nearest(k, DTYPE_F16, ks[i], ds[j], n);
            }
}

/* Equal sums: the lowest number wins wherever it stands; NaN never does. */
static void nearest_of_equals(void) {
    EACH_SET(k)
    for (size_t n_centroids = 1; n_centroids <= 256; n_centroids += n_centroids < 40 ? 1 : 27)
        for (size_t at = 0; at < n_centroids; at++) {
            float bias[256], w[256] = {0}, x[5] = {1, 2, 3, 4, 5};
            uint32_t index[5];
            for (int with_nan = 0; with_nan < 2; with_nan++)
                for (size_t n = 1; n <= 5; n += 4) {
                    for (size_t c = 0; c < n_centroids; c++)
                        bias[c] = c < at               ? (with_nan ? NAN : -7)
                                  : with_nan && c > at ? -INFINITY
                                                       : 2;
                    k->nearest(&(struct nearest){.type = DTYPE_F32,
                                                 .w = w,
                                                 .bias = bias,
                                                 .d = 1,
                                                 .k = n_centroids,
                                                 .x = x,
                                                 .ldx = 1,
                                                 .n = n,
                                                 .index = index});
                    for (size_t i = 0; i < n; i++)
                        CHECK(index[i] == at, "%s: %u of %zu, expected %zu", k->name, index[i],
                              n_centroids, at);
                }
            for (size_t c = 0; c < n_centroids; c++) bias[c] = NAN;
            k->nearest(&(struct nearest){.type = DTYPE_F32,
                                         .w = w,
                                         .bias = bias,
                                         .d = 1,
                                         .k = n_centroids,
                                         .x = x,
                                         .ldx = 1,
                                         .n = 1,
                                         .index = index});
            CHECK(index[0] == 0, "%s: %u of nothing", k->name, index[0]);
        }
}

/* ---- tables ---- */

static void check_tables(const struct kernels *k, size_t m, size_t d, size_t n_centroids) {
    struct room w = room_new(m * d * n_centroids * 2), x = room_new(m * d * 4),
                t = room_new(m * n_centroids * 4);
    float *table = (float *)(void *)t.data, *q = (float *)(void *)x.data;
    uint16_t *centroids = (uint16_t *)(void *)w.data;
    for (size_t i = 0; i < m * d * n_centroids; i++)
        centroids[i] = f32_to_f16((float)rng_normal(&rng));
    normals(q, m * d, 1);
    k->lookup_tables(table, centroids, q, m, d, n_centroids);
    for (size_t j = 0; j < m; j++)
        for (size_t c = 0; c < n_centroids; c++) {
            double sum = 0, size = 0;
            for (size_t r = 0; r < d; r++) {
                double p = q[j * d + r] * stored(DTYPE_F16, w.data, (j * d + r) * n_centroids + c);
                sum += p, size += fabs(p);
            }
            double got = table[j * n_centroids + c];
            CHECK(fabs(got - sum) <= (double)(d + 2) * U * size,
                  "%s m %zu d %zu k %zu: entry %zu of %zu: %g, not %g", k->name, m, d, n_centroids,
                  c, j, got, sum);
        }
    CHECK(room_end(&t), "%s m %zu d %zu k %zu: wrote outside", k->name, m, d, n_centroids);
    room_end(&w), room_end(&x);
}

static void tables_are_products(void) {
    static const size_t ks[] = {1, 4, 16, 20, 64, 128, 256};
    EACH_SET(k)
    for (size_t i = 0; i < COUNT(ks); i++)
        for (size_t m = 1; m <= 32; m *= 2)
            for (size_t d = 1; m * d <= 64; d = d == 2 ? 5 : 2 * d) check_tables(k, m, d, ks[i]);
}

struct sums {
    size_t m, k, n;
    float table[MAX_M * MAX_K];
    uint8_t codes[MAX_N * MAX_M];
    double exact[MAX_N], size[MAX_N]; /* the sums, and of the magnitudes */
    float first[MAX_N];               /* as the first set has them */
};

/* The code of subspace j of row i. */
static uint8_t code_at(const struct sums *s, size_t i, size_t j) {
    size_t row = lookup_row_bytes(s->m, s->k);
    return s->k == 16 ? s->codes[(i / 64 * row + j / 2) * 64 + i % 64] >> (j % 2 ? 4 : 0) & 15
                      : s->codes[(i / 64 * row + j) * 64 + i % 64];
}

static void fill(struct sums *s, size_t m, size_t k, size_t n, double spread) {
    size_t whole = (n + 63) / 64 * 64;
    *s = (struct sums){.m = m, .k = k, .n = n};
    normals(s->table, m * k, spread);
    for (size_t i = 0; i < whole * lookup_row_bytes(m, k); i++)
        s->codes[i] = (uint8_t)rng_below(&rng, k == 16 ? 256 : k);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double entry = s->table[j * k + code_at(s, i, j)];
            s->exact[i] += entry, s->size[i] += fabs(entry);
        }
}

static void check_lookup(const struct kernels *k, struct sums *s, bool first) {
    size_t whole = (s->n + 63) / 64 * 64;
    struct room table = room_new(s->m * s->k * 4),
                codes = room_new(whole * lookup_row_bytes(s->m, s->k)), score = room_new(whole * 4);
    float *y = (float *)(void *)score.data;
    memcpy(table.data, s->table, s->m * s->k * 4);
    memcpy(codes.data, s->codes, codes.bytes);
    k->lookup(y, (const float *)(const void *)table.data, s->m, s->k, codes.data, s->n);
    for (size_t i = 0; i < s->n; i++)
        CHECK(fabs(y[i] - s->exact[i]) <= (double)s->m * U * s->size[i],
              "%s m %zu k %zu: %g, not %g", k->name, s->m, s->k, (double)y[i], s->exact[i]);
    if (first) memcpy(s->first, y, s->n * 4);
    CHECK(memcmp(s->first, y, s->n * 4) == 0, "%s m %zu k %zu: other bits than the first set's",
          k->name, s->m, s->k);
    CHECK(room_end(&score), "%s m %zu k %zu: wrote outside", k->name, s->m, s->k);
    room_end(&table), room_end(&codes);
}

static void check_rounded(const struct kernels *k, struct sums *s, size_t bits, bool first) {
    size_t whole = (s->n + 63) / 64 * 64;
    struct room table = room_new(s->m * s->k * 4),
                codes = room_new(whole * lookup_row_bytes(s->m, s->k)), score = room_new(whole * 4),
                entries = room_new(lookup_entry_bytes(s->m, s->k, bits));
    struct lookup_scale scale;
    float *y = (float *)(void *)score.data;
    double widest = 0, low = 0, magnitude = 0;
    memcpy(table.data, s->table, s->m * s->k * 4);
    memcpy(codes.data, s->codes, codes.bytes);
    k->lookup_round(&scale, entries.data, (const float *)(const void *)table.data, s->m, s->k,
                    bits);
    k->lookup_rounded(y, entries.data, &scale, s->m, s->k, bits, codes.data, s->n);
    for (size_t j = 0; j < s->m; j++) {
        double least = INFINITY, most = -INFINITY;
        for (size_t c = 0; c < s->k; c++) { /* gcc 12 for aarch64 crashes on fmin and fmax here */
            double entry = s->table[j * s->k + c];
            if (entry < least) least = entry;
            if (entry > most) most = entry;
        }
        widest = fmax(widest, most - least), low += least,
        magnitude += fmax(fabs(least), fabs(most));
    }
    double step = widest / (exp2((double)bits) - 1),
           bound = (double)s->m * step * (0.5 + 0x1p-6) + (double)(s->m + 8) * U * magnitude,
           worst = 0;
    CHECK(fabs(scale.step - step) <= 4 * U * step &&
              fabs(scale.low - low) <= (double)s->m * U * magnitude,
          "%s: step %g, not %g; low %g, not %g", k->name, (double)scale.step, step,
          (double)scale.low, low);
    for (size_t i = 0; i < s->n; i++) {
        worst = fmax(worst, fabs(y[i] - s->exact[i]));
        CHECK(fabs(y[i] - s->exact[i]) <= bound, "%s m %zu k %zu, %zu bits: %g, not %g", k->name,
              s->m, s->k, bits, (double)y[i], s->exact[i]);
    }
    CHECK(s->n < 100 || s->k < 16 || worst > bound / 100,
          "%s m %zu k %zu, %zu bits: the bound of %g is far from %g", k->name, s->m, s->k, bits,
          bound, worst);
    if (first) memcpy(s->first, y, s->n * 4);
    CHECK(memcmp(s->first, y, s->n * 4) == 0,
          "%s m %zu k %zu, %zu bits: other bits than the first set's", k->name, s->m, s->k, bits);
    bool outside = room_end(&score) && room_end(&entries);
    CHECK(outside, "%s m %zu k %zu, %zu bits: wrote outside", k->name, s->m, s->k, bits);
    room_end(&table), room_end(&codes);
}

static void tables_of_every_shape(void) {
    static const size_t ms[] = {1, 2, 3, 4, 7, 8, 16, 32}, ks[] = {4, 16, 64, 256},
                        ns[] = {1, 63, 64, 65, 200, 256};
    static struct sums s;
    for (size_t i = 0; i < COUNT(ms); i++)
        for (size_t j = 0; j < COUNT(ks); j++)
            for (size_t l = 0; l < COUNT(ns); l++)
                for (size_t bits = 8; bits <= 32; bits *= 2) {
                    fill(&s, ms[i], ks[j], ns[l], l % 2 ? 1 : 1e4);
                    EACH_SET(k) {
                        if (bits == 32)
                            check_lookup(k, &s, k == kernels_at(0));
                        else
                            check_rounded(k, &s, bits, k == kernels_at(0));
                    }
                }
}

/* Tables without extent, and the largest sums there are. */
static void tables_at_the_edges(void) {
    static struct sums s;
    for (size_t bits = 8; bits <= 16; bits *= 2) EACH_SET(k) {
            struct lookup_scale scale;
            uint8_t entries[MAX_M * MAX_K * 2];
            float y[64];
            fill(&s, 4, 16, 64, 0);
            for (size_t i = 0; i < 4 * 16; i++) s.table[i] = (float)(i / 16) + 0.5f;
            k->lookup_round(&scale, entries, s.table, 4, 16, bits);
            k->lookup_rounded(y, entries, &scale, 4, 16, bits, s.codes, 64);
            for (size_t i = 0; i < 64; i++)
                CHECK(y[i] == 8, "%s: constant tables give %g", k->name, (double)y[i]);
            for (size_t size = 16; size <= MAX_K; size *= 16) {
                fill(&s, MAX_M, size, 64, 0);
                for (size_t i = 0; i < MAX_M * size; i++)
                    s.table[i] = i % size == 3 ? 0 : (float)(exp2((double)bits) - 1);
                memset(s.codes, 200, sizeof s.codes);
                k->lookup_round(&scale, entries, s.table, MAX_M, size, bits);
                k->lookup_rounded(y, entries, &scale, MAX_M, size, bits, s.codes, 64);
                for (size_t i = 0; i < 64; i++)
                    CHECK(y[i] == (float)(MAX_M * (exp2((double)bits) - 1)),
                          "%s: the largest sum is %g", k->name, (double)y[i]);
                s.table[7] = INFINITY;
                k->lookup_round(&scale, entries, s.table, MAX_M, size, bits);
                k->lookup_rounded(y, entries, &scale, MAX_M, size, bits, s.codes, 64);
                CHECK(isnan(y[0]) && isnan(y[63]), "%s: an infinite table gives %g", k->name,
                      (double)y[0]);
            }
        }
}

/* ---- buckets ---- */

/* A float of 0 .. 1; some 0, some 1. */
static float probability(void) {
    double u = rng_double(&rng);
    return u < 0.1 ? 0 : u > 0.95 ? 1 : (float)exp(-20 * rng_double(&rng));
}

/* Sums of probabilities in whole numbers, counted one by one; the same numbers from every set; then
 * products with centroids against float64. */
static void check_buckets(size_t m, size_t k, size_t n, size_t d) {
    size_t bytes = m, blocks = (n + 63) / 64 * 64;
    struct room p = room_new(n * 4), w = room_new(d * k * 2);
    uint8_t *codes = calloc(blocks * bytes, 1);
    uint64_t *want = calloc(m * k, sizeof *want);
    uint32_t *bucket = malloc(2 * bytes * BUCKETS * sizeof *bucket),
             *sum = malloc(m * k * sizeof *sum);
    float *prob = (float *)(void *)p.data, y[MAX_D];
    uint16_t *centroids = (uint16_t *)(void *)w.data;
    for (size_t i = 0; i < d * k; i++) centroids[i] = f32_to_f16((float)rng_normal(&rng));
    for (size_t i = 0; i < n; i++) {
        prob[i] = probability() / (float)n; /* sums stay below 2^31 */
        for (size_t j = 0; j < m; j++) {
            size_t code = rng_below(&rng, k), at = i / 64 * 64 * bytes + j * 64 + i % 64;
            codes[at] = (uint8_t)code;
            want[j * k + code] += (uint64_t)lrint((double)prob[i] * 0x1p30);
        }
    }
    EACH_SET(set) {
        memset(bucket, 0, bucket_copies(bytes) * bytes * BUCKETS * sizeof *bucket);
        size_t first = n / 2 / 64 * 64; /* in two parts */
        CHECK(set->bucket_add(bucket, codes, prob, bytes, first) &&
                  set->bucket_add(bucket, codes + first * bytes, prob + first, bytes, n - first),
              "%s", set->name);
        set->bucket_sums(sum, bucket, m, k);
        for (size_t i = 0; i < m * k; i++)
            CHECK(sum[i] == want[i], "%s m %zu k %zu: sum %zu is %u, not %u", set->name, m, k, i,
                  sum[i], (unsigned)want[i]);
        set->bucket_product(y, sum, 0x1p-30f, centroids, d, k);
        for (size_t r = 0; r < d; r++) {
            double exact = 0, size = 0;
            for (size_t c = 0; c < k; c++) {
                double x = 0x1p-30 * (double)sum[c] * (double)f16_to_f32(centroids[r * k + c]);
                exact += x, size += fabs(x);
            }
            CHECK(fabs(y[r] - exact) <= ((double)k / 8 + 18) * U * size,
                  "%s k %zu row %zu: %g, not %g", set->name, k, r, (double)y[r], exact);
        }
        for (int wrong = 0; wrong < 4; wrong++) { /* not a probability, wherever it is */
            static const float bad[] = {NAN, INFINITY, -1e-3f, 1.001f};
            float kept = prob[n - 1];
            prob[n - 1] = bad[wrong];
            CHECK(!set->bucket_add(bucket, codes, prob, bytes, n), "%s n %zu: %g passes", set->name,
                  n, (double)bad[wrong]);
            prob[n - 1] = kept;
        }
    }
    free(codes), free(want), free(bucket), free(sum);
    CHECK(room_end(&p) && room_end(&w), "inputs were written to");
}

static void buckets_of_every_shape(void) {
    static const size_t ms[] = {1, 2, 3, 4, 8, 16, 31, 64}, ks[] = {4, 64, 256},
                        ns[] = {1, 15, 64, 65, 200}, ds[] = {1, 4, 7, 64};
    for (size_t i = 0; i < COUNT(ms); i++)
        for (size_t j = 0; j < COUNT(ks); j++)
            for (size_t n = 0; n < COUNT(ns); n++)
                check_buckets(ms[i], ks[j], ns[n], ds[(i + n) % COUNT(ds)]);
}

/* ---- pairs ---- */

/* How probabilities are spread: all about the same; a few rows with nearly all of it; one row with
 * all. */
enum spread { FLAT, PEAKED, ONE };

static void probabilities(float *p, size_t n, enum spread spread) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = (float)(spread == FLAT     ? 0.5 + rng_double(&rng)
                       : spread == PEAKED ? exp(12 * rng_normal(&rng))
                                          : i == n / 2);
        sum += (double)p[i];
    }
    for (size_t i = 0; i < n; i++) p[i] = (float)((double)p[i] / sum);
}

/* Entries of which no two of a sum add up to more than 127. */
static void pair_entries(int8_t *entries, size_t sums) {
    for (size_t s = 0; s < sums; s++) {
        int most = (int)rng_below(&rng, 128); /* of the low half */
        for (size_t c = 0; c < 32; c++) {
            int limit = c < 16 ? most : 127 - most;
            entries[s * 32 + c] = (int8_t)((int)rng_below(&rng, 2 * (uint64_t)limit + 1) - limit);
        }
    }
}

/* Sums in whole numbers, counted one by one, the same from every set in one call and in several;
 * and against float64 sums of the probabilities as they are, within the bound. */
static void check_pairs(size_t sums, size_t bytes, size_t n, enum spread spread) {
    size_t whole = (n + 63) / 64 * 64;
    struct room p = room_new(n * 4), c = room_new(whole * bytes), e = room_new(sums * 32),
                b = room_new(sums), out = room_new(sums * 4);
    float *prob = (float *)(void *)p.data;
    int32_t *got = (int32_t *)(void *)out.data;
    int64_t *want = calloc(sums, sizeof *want);
    double *exact = calloc(sums, sizeof *exact), *most = calloc(sums, sizeof *most), mass = 0;
    uint64_t all = 0;
    const struct pair_tables t = {
        .n = sums, .bytes = bytes, .byte = b.data, .entries = (const int8_t *)(const void *)e.data};
    pair_entries((int8_t *)(void *)e.data, sums);
    probabilities(prob, n, spread);
    for (size_t i = 0; i < c.bytes; i++) c.data[i] = (uint8_t)rng_below(&rng, 256);
    for (size_t s = 0; s < sums; s++) b.data[s] = (uint8_t)(s * bytes / sums);
    for (size_t i = 0; i < n; i++) {
        int64_t q = lrint((double)prob[i] * PAIR_ONE);
        all += (uint64_t)q, mass += (double)prob[i];
        for (size_t s = 0; s < sums; s++) {
            uint8_t both = c.data[(i / 64 * bytes + b.data[s]) * 64 + i % 64];
            int entry = t.entries[s * 32 + (both & 15)] + t.entries[s * 32 + 16 + (both >> 4)];
            want[s] += q * entry;
            exact[s] += (double)prob[i] * entry;
            most[s] = fmax(most[s], abs(entry));
        }
    }
    EACH_SET(set) {
        for (size_t first = 0; first < n || first == 0; first += 64 * (1 + n / 100)) {
            uint32_t sum = 0;
            memset(got, 0, sums * sizeof *got);
            CHECK(
                set->pair_sums(got, &sum, &t, c.data, prob, first) &&
                    set->pair_sums(got, &sum, &t, c.data + first * bytes, prob + first, n - first),
                "%s", set->name);
            CHECK(sum == all, "%s: %u in all, not %u", set->name, sum, (unsigned)all);
            for (size_t s = 0; s < sums; s++) {
                CHECK(got[s] == want[s], "%s n %zu: sum %zu of %zu is %d, not %d", set->name, n, s,
                      sums, got[s], (int)want[s]);
                CHECK(fabs(got[s] / (double)PAIR_ONE - exact[s]) <= (double)n * 0x1p-24 * most[s],
                      "%s n %zu: sum %zu is %g, in float64 %g", set->name, n, s,
                      got[s] / (double)PAIR_ONE, exact[s]);
            }
        }
        CHECK(fabs((double)all / PAIR_ONE - mass) <= (double)n * 0x1p-24, "mass %g of %g",
              (double)all / PAIR_ONE, mass);
        for (int wrong = 0; wrong < 4; wrong++) { /* not a probability, wherever it is */
            static const float bad[] = {NAN, INFINITY, -1e-3f, 1.001f};
            float kept = prob[n - 1];
            uint32_t sum = 0;
            prob[n - 1] = bad[wrong];
            CHECK(!set->pair_sums(got, &sum, &t, c.data, prob, n), "%s n %zu: %g passes", set->name,
                  n, (double)bad[wrong]);
            prob[n - 1] = kept;
        }
    }
    free(want), free(exact), free(most);
    bool outside = room_end(&out) && room_end(&p) && room_end(&c) && room_end(&e) && room_end(&b);
    CHECK(outside, "sums %zu, n %zu: wrote outside", sums, n);
}

static void pairs_of_every_shape(void) {
    static const size_t sums[] = {1, 2, 3, 5, 8, 9, 64, 100}, bytes[] = {1, 2, 4, 8, 16},
                        ns[] = {1, 15, 64, 65, 200, 960, 2048, 4100};
    for (size_t i = 0; i < COUNT(sums); i++)
        for (size_t n = 0; n < COUNT(ns); n++)
            for (enum spread spread = FLAT; spread <= ONE; spread++) {
                size_t j = bytes[(i + n) % COUNT(bytes)];
                check_pairs(sums[i], j < sums[i] ? j : sums[i], ns[n], spread);
            }
}

/* The largest entries with all of the probability in many rows: no sum goes beyond 32 bits. */
static void pairs_at_the_edge(void) {
    enum { ROWS = 8192, SUMS = 8 };
    static float p[ROWS];
    static uint8_t codes[ROWS], byte[SUMS];
    static int8_t entries[SUMS * 32];
    const struct pair_tables t = {.n = SUMS, .bytes = 1, .byte = byte, .entries = entries};
    for (size_t i = 0; i < sizeof entries; i++)
        entries[i] = (int8_t)((i / 16 % 2 ? 64 : 63) * (i / 32 % 2 ? -1 : 1));
    for (size_t rows = 1; rows <= ROWS; rows *= 2) EACH_SET(set) {
            int32_t got[SUMS] = {0};
            uint32_t all = 0;
            for (size_t i = 0; i < rows; i++) p[i] = 1.0f / (float)rows;
            CHECK(set->pair_sums(got, &all, &t, codes, p, rows), "%s", set->name);
            for (size_t s = 0; s < SUMS; s++)
                CHECK(all == PAIR_ONE && got[s] == (s % 2 ? -127 : 127) * PAIR_ONE,
                      "%s: %zu rows have %d", set->name, rows, got[s]);
        }
}

int main(void) {
    rng_seed(&rng, 1, 2);
    RUN(nearest_of_every_shape);
    RUN(nearest_of_equals);
    RUN(tables_are_products);
    RUN(tables_of_every_shape);
    RUN(tables_at_the_edges);
    RUN(buckets_of_every_shape);
    RUN(pairs_of_every_shape);
    RUN(pairs_at_the_edge);
    return TEST_RESULT;
}
