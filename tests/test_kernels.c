/* Every kernel set this CPU can run, against float64 within the bounds that kernels.h states. Outputs lie between guard bytes; inputs
 * lie between bytes that are NaN in every float type, as do the gaps between rows, so that reading too far shows. */
#include <float.h>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/matrix.h"
#include "stored.h"
#include "test.h"

#define U 0x1p-24 /* unit roundoff of float32 */

enum { GUARD = 64, POISON = 0xff };
static const size_t all_cols[] = {1, 4, 20, 27, 32, 64, 80, 96, 768, 3072};
static const size_t all_rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 100};
static struct rng rng;

/* `bytes` bytes between two guards, all poison; they start 4 bytes past an aligned address. */
struct room {
    uint8_t *all, *data;
    size_t bytes;
};

static struct room room_new(size_t bytes) {
    struct room r = {malloc(bytes + 2 * GUARD + 4), NULL, bytes};
    if (!r.all) abort();
    memset(r.all, POISON, bytes + 2 * GUARD + 4);
    r.data = r.all + GUARD + 4;
    return r;
}

static bool room_intact(const struct room *r) {
    for (size_t i = 0; i < GUARD; i++)
        if (r->data[-1 - (ptrdiff_t)i] != POISON || r->data[r->bytes + i] != POISON) return false;
    return true;
}

/* Frees the room; true where the guards still are what they were. */
static bool room_end(struct room *r) {
    bool ok = room_intact(r);
    free(r->all);
    return ok;
}

static bool rooms_end(struct room *a, struct room *b) {
    bool ok = room_end(a);
    return room_end(b) && ok;
}

static float *normals(struct room *r, size_t n, double spread) {
    *r = room_new(n * sizeof(float));
    float *x = (float *)(void *)r->data;
    for (size_t i = 0; i < n; i++) x[i] = (float)(spread * rng_normal(&rng));
    return x;
}

static bool same_bits(float a, float b) { return memcmp(&a, &b, sizeof a) == 0; }

/* A random matrix whose rows have a gap of poison between them. */
struct weights {
    struct room room;
    enum dtype type;
    size_t rows, cols, stride;
};

static struct weights weights_new(enum dtype type, size_t rows, size_t cols, size_t gap) {
    struct weights w = {.type = type, .rows = rows, .cols = cols, .stride = dtype_bytes(type, cols) + gap};
    w.room = room_new(rows * w.stride - gap);
    struct room row;
    float *x = normals(&row, cols, 1);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) x[c] = (float)rng_normal(&rng);
        dtype_from_f32(type, w.room.data + r * w.stride, x, cols);
    }
    room_end(&row);
    return w;
}

static bool fits(enum dtype type, size_t cols) { return cols % dtype_block(type) == 0; }

static void check_matvec(const struct kernels *k, enum dtype type, size_t rows, size_t cols) {
    struct weights w = weights_new(type, rows, cols, 8);
    struct room rx, ry = room_new(rows * sizeof(float)), ro = room_new(sizeof(float));
    const float *x = normals(&rx, cols, 1);
    float *y = (float *)(void *)ry.data, *one = (float *)(void *)ro.data;
    k->matvec(type, y, w.room.data, w.stride, rows, x, cols);
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = w.room.data + r * w.stride;
        double sum = 0, size = 0;
        for (size_t c = 0; c < cols; c++) {
            double p = stored(type, row, c) * x[c];
            sum += p;
            size += fabs(p);
        }
        CHECK(fabs(y[r] - sum) <= ((double)cols / 8 + 16) * U * size, "%s %s %zux%zu row %zu: %g, not %g", k->name, dtype_name(type), rows,
              cols, r, (double)y[r], sum);
        k->matvec(type, one, row, w.stride, 1, x, cols);
        CHECK(same_bits(*one, y[r]), "%s %s %zux%zu: row %zu alone differs", k->name, dtype_name(type), rows, cols, r);
    }
    CHECK(rooms_end(&ry, &ro), "%s %s %zux%zu: wrote outside y", k->name, dtype_name(type), rows, cols);
    room_end(&rx);
    room_end(&w.room);
}

static void matvec_of_every_shape(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(all_cols); c++)
            for (size_t r = 0; r < COUNT(all_rows) && fits(types[t], all_cols[c]); r++) check_matvec(k, types[t], all_rows[r], all_cols[c]);
}

static void check_vecmat(const struct kernels *k, enum dtype type, size_t rows, size_t cols) {
    struct weights w = weights_new(type, rows, cols, 4);
    struct room ra, ry, rb, rp;
    const float *a = normals(&ra, rows, 1), *before = normals(&rb, cols, 3);
    float *y = normals(&ry, cols, 1), *part = normals(&rp, cols, 1);
    memcpy(y, before, cols * sizeof *y);
    memcpy(part, before, cols * sizeof *y);
    k->vecmat(type, y, w.room.data, w.stride, rows, a, cols);
    for (size_t c = 0; c < cols; c++) {
        double sum = before[c], size = fabs(sum);
        for (size_t r = 0; r < rows; r++) {
            double p = a[r] * stored(type, w.room.data + r * w.stride, c);
            sum += p;
            size += fabs(p);
        }
        CHECK(fabs(y[c] - sum) <= ((double)rows + 2) * U * size, "%s %s %zux%zu column %zu: %g, not %g", k->name, dtype_name(type), rows,
              cols, c, (double)y[c], sum);
    }
    size_t from = cols / 3 / 32 * 32; /* the same columns as part of a narrower call */
    k->vecmat(type, part + from, w.room.data + dtype_bytes(type, from), w.stride, rows, a, cols - from);
    CHECK(memcmp(y + from, part + from, (cols - from) * sizeof *y) == 0, "%s %s %zux%zu: columns from %zu differ", k->name,
          dtype_name(type), rows, cols, from);
    CHECK(rooms_end(&ry, &rp), "%s %s %zux%zu: wrote outside y", k->name, dtype_name(type), rows, cols);
    room_end(&ra);
    room_end(&rb);
    room_end(&w.room);
}

static void vecmat_of_every_shape(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(all_cols); c++)
            for (size_t r = 0; r < COUNT(all_rows) && fits(types[t], all_cols[c]); r += 3)
                check_vecmat(k, types[t], all_rows[r], all_cols[c]);
}

static void check_matmul(const struct kernels *k, size_t rows, size_t n, size_t cols) {
    size_t ldw = cols + 3, ldx = cols + 1, ldy = rows + 2;
    struct weights w = weights_new(DTYPE_F32, rows, cols, 3 * sizeof(float)), x = weights_new(DTYPE_F32, n, cols, sizeof(float));
    struct room ry = room_new(((n - 1) * ldy + rows) * sizeof(float)), ro = room_new(sizeof(float));
    const float *wf = (const float *)(const void *)w.room.data, *xf = (const float *)(const void *)x.room.data;
    float *y = (float *)(void *)ry.data, *one = (float *)(void *)ro.data;
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++) y[i * ldy + r] = (float)(r % 3) - 1;
    k->matmul(y, ldy, wf, ldw, rows, xf, ldx, n, cols);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++) {
            double start = (double)(r % 3) - 1, sum = start, size = 0;
            for (size_t c = 0; c < cols; c++) {
                double p = (double)wf[r * ldw + c] * xf[i * ldx + c];
                sum += p;
                size += fabs(p);
            }
            float got = y[i * ldy + r];
            double bound = ((double)cols / 8 + 16) * U * size + 2 * U * fabs(sum);
            CHECK(fabs(got - sum) <= bound, "%s %zux%zux%zu (%zu, %zu): %g, not %g", k->name, rows, n, cols, i, r, (double)got, sum);
            *one = (float)start;
            k->matmul(one, 1, wf + r * ldw, ldw, 1, xf + i * ldx, ldx, 1, cols);
            CHECK(same_bits(*one, got), "%s %zux%zux%zu: (%zu, %zu) alone differs", k->name, rows, n, cols, i, r);
        }
    for (size_t i = 0; i + 1 < n; i++)
        for (size_t b = 0; b < 2 * sizeof(float); b++)
            CHECK(ry.data[(i * ldy + rows) * sizeof(float) + b] == POISON, "%s: wrote into the gap after row %zu of y", k->name, i);
    CHECK(rooms_end(&ry, &ro), "%s %zux%zux%zu: wrote outside y", k->name, rows, n, cols);
    room_end(&w.room);
    room_end(&x.room);
}

static void matmul_of_every_shape(void) {
    EACH_SET(k)
    for (size_t c = 0; c < COUNT(all_cols); c++)
        for (size_t r = 1; r <= 9; r++)
            for (size_t n = 1; n <= 7; n += r % 2 + 1) check_matmul(k, r, n, all_cols[c]);
}

static double gelu_tanh_exact(double x) { return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x))); }
static double gelu_erf_exact(double x) { return x / 2 * erfc(-x / sqrt(2)); }

/* matrix_apply of w[rows][cols] and x[n][cols]: every element of y against float64, and the same bits with 1, 2, 3 and 4 threads. */
static void check_apply(const struct kernels *k, enum dtype type, size_t rows, size_t cols, size_t n, bool with_bias, enum matrix_after after) {
    struct weights w = weights_new(type, rows, cols, 0);
    struct matrix m = {w.room.data, type, rows, cols};
    size_t ldx = cols + 5, ldy = rows + 7, ny = (n - 1) * ldy + rows;
    struct weights x = weights_new(DTYPE_F32, n, cols, 5 * sizeof(float));
    struct room rb, first = {0};
    const float *bias = normals(&rb, rows, 1), *xf = (const float *)(const void *)x.room.data;
    for (int threads = 1; threads <= 4; threads++) {
        struct room ry = room_new(ny * sizeof(float));
        float *y = (float *)(void *)ry.data;
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++) y[i * ldy + r] = (float)(r % 3) - 1;
        threads_set(threads);
        matrix_apply(k, &(struct matrix_product){&m, with_bias ? bias : NULL, xf, y, n, ldx, ldy, after});
        CHECK(room_intact(&ry), "%s: wrote outside y", k->name);
        if (threads > 1) {
            CHECK(memcmp(first.data, ry.data, ry.bytes) == 0, "%s %s n %zu: %d threads differ", k->name, dtype_name(type), n, threads);
            room_end(&ry);
            continue;
        }
        first = ry;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t b = 0; b < 7 * sizeof(float); b++)
                CHECK(ry.data[(i * ldy + rows) * sizeof(float) + b] == POISON, "%s: wrote into the gap after row %zu of y", k->name, i);
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++) {
                double sum = with_bias ? bias[r] : 0, size = fabs(sum), before = (double)(r % 3) - 1;
                for (size_t c = 0; c < cols; c++) {
                    double p = stored(type, w.room.data + r * w.stride, c) * xf[i * ldx + c];
                    sum += p;
                    size += fabs(p);
                }
                double bound = ((double)cols / 8 + 24) * U * size; /* gelu's slope is at most 1.13 */
                if (after == MATRIX_ADD) bound += U * fabs(sum + before), sum += before;
                if (after == MATRIX_GELU_TANH) bound = 1.13 * bound + 4e-7 * (1 + fabs(sum)), sum = gelu_tanh_exact(sum);
                if (after == MATRIX_GELU_ERF) bound = 1.13 * bound + 4e-7 * (1 + fabs(sum)), sum = gelu_erf_exact(sum);
                CHECK(fabs(y[i * ldy + r] - sum) <= bound, "%s %s n %zu after %d (%zu, %zu): %g, not %g", k->name, dtype_name(type), n,
                      (int)after, i, r, (double)y[i * ldy + r], sum);
            }
    }
    room_end(&first);
    room_end(&rb);
    room_end(&w.room);
    room_end(&x.room);
}

static void matrix_apply_of_every_type(void) {
    int threads = threads_count();
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t n = 1; n <= 5; n += 2) {
            check_apply(k, types[t], 37, 96, n, true, MATRIX_SET);
            check_apply(k, types[t], 2, 1056, n, false, MATRIX_SET);
        }
    threads_set(threads);
}

static void matrix_apply_of_every_count(void) {
    int threads = threads_count();
    EACH_SET(k)
    for (size_t n = 1; n <= 70; n++) check_apply(k, DTYPE_F32, 1 + n * 37 % 101, 1 + n * 29 % 83, n, n % 2, (enum matrix_after)(n % 4));
    threads_set(threads);
}

/* after, for one row and several; 600 rows of w are more than one piece of any kind. */
static void matrix_apply_and_what_follows(void) {
    int threads = threads_count();
    EACH_SET(k)
    for (int after = MATRIX_SET; after <= MATRIX_GELU_ERF; after++)
        for (size_t n = 1; n <= 3; n += 2) {
            check_apply(k, DTYPE_F16, 600, 20, n, true, (enum matrix_after)after);
            check_apply(k, DTYPE_F16, 600, 20, n, false, (enum matrix_after)after);
        }
    check_apply(kernels_at(0), DTYPE_F16, 5, 20, 600, true, MATRIX_ADD);
    threads_set(threads);
}

static void matrix_rows_and_sizes(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++) {
        struct weights w = weights_new(types[t], 3, 64, 0);
        struct matrix m = {w.room.data, types[t], 3, 64};
        struct room ry = room_new(64 * sizeof(float));
        const float *y = (const float *)(const void *)ry.data;
        CHECK(matrix_bytes(&m) == w.room.bytes && matrix_row_bytes(&m) * 3 == w.room.bytes, "%s", dtype_name(types[t]));
        matrix_row(k, &m, 1, (float *)(void *)ry.data);
        for (size_t c = 0; c < 64; c++)
            CHECK((double)y[c] == stored(types[t], w.room.data + w.stride, c), "%s %s %zu", k->name, dtype_name(types[t]), c);
        CHECK(room_end(&ry), "%s: wrote outside y", k->name);
        room_end(&w.room);
    }
}

static void to_f16_stays_inside(void) {
    EACH_SET(k)
    for (size_t n = 0; n <= 20; n++) {
        struct room rx, ry = room_new(n * sizeof(uint16_t));
        const float *x = normals(&rx, n, 1);
        k->to_f16((uint16_t *)(void *)ry.data, x, n);
        for (size_t i = 0; i < n; i++) CHECK(((const uint16_t *)(const void *)ry.data)[i] == f32_to_f16(x[i]), "%s %zu", k->name, i);
        CHECK(room_end(&ry), "%s: wrote outside y of %zu", k->name, n);
        room_end(&rx);
    }
}

static void check_gelu(const char *name, void (*fn)(float *, size_t), double (*exact)(double)) {
    static const float extreme[] = {0,   -0.0f, 1e-30f, -1e-30f, 1e-8f, -1e-8f, 20,    -20,    50,
                                    -50, 1e4f,  -1e4f,  1e15f,   -1e15f, 1e30f, -1e30f, FLT_MAX, -FLT_MAX};
    enum { GRID = 24001 };
    static float x[GRID + COUNT(extreme)], y[GRID + COUNT(extreme)];
    for (int i = 0; i < GRID; i++) x[i] = -12 + 0.001f * (float)i;
    memcpy(x + GRID, extreme, sizeof extreme);
    memcpy(y, x, sizeof y);
    fn(y, COUNT(y));
    for (size_t i = 0; i < COUNT(y); i++)
        CHECK(fabs(y[i] - exact(x[i])) <= 4e-7 * (1 + fabs((double)x[i])), "%s(%g) is %g, not %g", name, (double)x[i], (double)y[i],
              exact(x[i]));
    for (size_t n = 0; n <= 20; n++) {
        struct room r = room_new(n * sizeof(float));
        memcpy(r.data, x + 11900, n * sizeof(float));
        fn((float *)(void *)r.data, n);
        for (size_t i = 0; i < n; i++)
            CHECK(same_bits(((float *)(void *)r.data)[i], y[11900 + i]), "%s of %zu: element %zu differs from a long run", name, n, i);
        CHECK(room_end(&r), "%s of %zu wrote outside", name, n);
    }
    for (size_t i = 0; i < 9; i++) {
        float z[9] = {0};
        z[i] = NAN;
        fn(z, 9);
        for (size_t j = 0; j < 9; j++) CHECK(isnan(z[j]) == (i == j), "%s: NaN at %zu, element %zu is %g", name, i, j, (double)z[j]);
    }
}

static void gelu_tanh_against_libm(void) { EACH_SET(k) check_gelu(k->name, k->gelu_tanh, gelu_tanh_exact); }
static void gelu_erf_against_libm(void) { EACH_SET(k) check_gelu(k->name, k->gelu_erf, gelu_erf_exact); }

static void check_softmax(const struct kernels *k, const float *x, size_t n) {
    struct room r = room_new(n * sizeof(float));
    float *y = (float *)(void *)r.data;
    memcpy(y, x, n * sizeof *y);
    k->softmax(y, n);
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    for (size_t i = 0; i < n; i++) sum += exp(x[i] - most);
    for (size_t i = 0; i < n; i++) {
        double want = exp(x[i] - most) / sum;
        double bound = want < FLT_MIN ? FLT_MIN : want * (2e-6 + (double)n * U);
        CHECK(fabs(y[i] - want) <= bound, "%s n %zu: of %g (most %g): %g, not %g", k->name, n, (double)x[i], most, (double)y[i], want);
        if (isinf(x[i])) CHECK(y[i] == 0, "%s: of -inf: %g", k->name, (double)y[i]);
    }
    CHECK(room_end(&r), "%s n %zu: wrote outside", k->name, n);
}

static void softmax_against_libm(void) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 64, 100, 1000, 1024};
    static const double spreads[] = {1e-3, 1, 30, 80, 359};
    static float x[1024];
    EACH_SET(k)
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t d = 0; d < COUNT(spreads); d++)
            for (int holes = 0; holes < 2; holes++) {
                for (size_t i = 0; i < sizes[s]; i++) x[i] = (float)(spreads[d] * (2 * rng_double(&rng) - 1));
                for (size_t i = 0; holes && i + 1 < sizes[s]; i += 3) x[i] = -INFINITY;
                check_softmax(k, x, sizes[s]);
            }
}

/* Scores 0..103 below the greatest, so near the end of the normal numbers and past it; each followed by 0, which has to stay 1. */
static void softmax_of_far_apart_scores(void) {
    EACH_SET(k)
    for (int step = 0; step < 40000; step++) {
        float x[2] = {-0.0026f * (float)step - 17.3f, -17.3f}, huge[9] = {359, -359, -3e38f, 358.9f, -INFINITY, 0, 1e-40f, -1, 359};
        check_softmax(k, x, 2);
        if (step == 0) check_softmax(k, huge, 9);
    }
}

static void softmax_shows_a_nan(void) {
    EACH_SET(k)
    for (size_t i = 0; i < 19; i++) {
        float x[19] = {0};
        x[i] = NAN;
        k->softmax(x, 19);
        for (size_t j = 0; j < 19; j++) CHECK(isnan(x[j]), "%s: NaN at %zu, element %zu is %g", k->name, i, j, (double)x[j]);
    }
}

static void check_layernorm(const struct kernels *k, size_t n, double offset, double spread) {
    struct room rx, rw, rb, ry = room_new(n * sizeof(float));
    float *x = normals(&rx, n, spread), *y = (float *)(void *)ry.data;
    const float *weight = normals(&rw, n, 1), *bias = normals(&rb, n, 1);
    for (size_t i = 0; i < n; i++) x[i] += (float)offset;
    k->layernorm(y, x, weight, bias, n, 1e-5f);
    double mean = 0, size = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n, size += fabs((double)x[i]) / (double)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    double scale = 1 / sqrt(variance + (double)1e-5f), sums = ((double)n / 4 + 16) * U;
    for (size_t i = 0; i < n; i++) {
        double part = (x[i] - mean) * scale * weight[i], want = part + bias[i];
        double bound = sums * (size * scale * fabs((double)weight[i]) + 2 * fabs(part)) + 2 * U * fabs((double)bias[i]);
        CHECK(fabs(y[i] - want) <= bound, "%s n %zu + %g: element %zu is %g, not %g", k->name, n, offset, i, (double)y[i], want);
    }
    k->layernorm(x, x, weight, bias, n, 1e-5f);
    CHECK(memcmp(x, y, n * sizeof *y) == 0, "%s n %zu: in place differs", k->name, n);
    CHECK(rooms_end(&ry, &rx), "%s n %zu: wrote outside y", k->name, n);
    room_end(&rw);
    room_end(&rb);
}

static void layernorm_against_float64(void) {
    static const size_t sizes[] = {4, 5, 20, 48, 64, 256, 768, 771, 1600, 3072};
    EACH_SET(k)
    for (size_t s = 0; s < COUNT(sizes); s++) {
        check_layernorm(k, sizes[s], 0, 1);
        check_layernorm(k, sizes[s], 1000, 1);
        check_layernorm(k, sizes[s], -3, 1e-6);
        check_layernorm(k, sizes[s], 0, 1e6);
        check_layernorm(k, sizes[s], 0.1, 0); /* all equal */
    }
}

static void sets_by_name(void) {
    struct err e;
    const struct kernels *k = NULL, *best = NULL;
    CHECK(strcmp(kernels_at(0)->name, "scalar") == 0 && kernels_at(100) == NULL, "the index");
    CHECK(kernels_get(&k, "scalar", &e) == OK && k == kernels_at(0), "scalar");
    CHECK(kernels_get(&best, NULL, &e) == OK && best->supported(), "no set for this CPU");
    for (size_t i = 1; kernels_at(i); i++)
        CHECK(!kernels_at(i)->supported() || best != kernels_at(0), "scalar chosen over %s", kernels_at(i)->name);
    CHECK(kernels_get(&k, "sse9", &e) == ERR_USAGE && strstr(e.msg, "sse9") && strstr(e.msg, "scalar"), "%s", e.msg);
}

/* One line for each set that is not tested here. */
static void name_skipped_sets(void) {
    static const char *const sets[] = {"avx2", "avx512", "neon"};
    struct err e;
    const struct kernels *k;
    for (size_t i = 0; i < COUNT(sets); i++)
        if (kernels_get(&k, sets[i], &e) != OK) printf("skip %s kernels: %s\n", sets[i], e.msg);
}

int main(void) {
    rng_seed(&rng, 20240326, 0);
    name_skipped_sets();
    RUN(sets_by_name);
    RUN(to_f16_stays_inside);
    RUN(matvec_of_every_shape);
    RUN(vecmat_of_every_shape);
    RUN(matmul_of_every_shape);
    RUN(matrix_rows_and_sizes);
    RUN(matrix_apply_of_every_type);
    RUN(matrix_apply_of_every_count);
    RUN(matrix_apply_and_what_follows);
    RUN(gelu_tanh_against_libm);
    RUN(gelu_erf_against_libm);
    RUN(softmax_against_libm);
    RUN(softmax_of_far_apart_scores);
    RUN(softmax_shows_a_nan);
    RUN(layernorm_against_float64);
    return TEST_RESULT;
}
