/* Every kernel set this CPU can run, against float64 within the bounds that kernels.h states.
 * Outputs lie between guard bytes; inputs lie between bytes that are NaN in every float type, as do
 * the gaps between rows, so that reading too far shows. */
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

/* A normal number, of 65,521 that are drawn once: drawing each anew would take most of the time. */
static double normal(void) {
    static double drawn[65521];
    static size_t n, next;
    while (n < COUNT(drawn)) drawn[n++] = rng_normal(&rng);
    return drawn[next = (next + 1) % COUNT(drawn)];
}

static float *normals(struct room *r, size_t n, double spread) {
    *r = room_new(n * sizeof(float));
    float *x = (float *)(void *)r->data;
    for (size_t i = 0; i < n; i++) x[i] = (float)(spread * normal());
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
    struct weights w = {
        .type = type, .rows = rows, .cols = cols, .stride = dtype_bytes(type, cols) + gap};
    w.room = room_new(rows * w.stride - gap);
    struct room row;
    float *x = normals(&row, cols, 1);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) x[c] = (float)normal();
        dtype_from_f32(type, w.room.data + r * w.stride, x, cols);
    }
    room_end(&row);
    return w;
}

static bool fits(enum dtype type, size_t cols) { return cols % dtype_block(type) == 0; }

/* The bound's second part for block types: sum_c |w| (m / 64000 + 1e-30), m the largest |x| of the
 * block. */
static double act_error(enum dtype type, const uint8_t *row, const float *x, size_t cols) {
    double error = 0;
    for (size_t from = 0, block = dtype_block(type); from < cols && block > 1; from += block) {
        double most = 0, sizes = 0;
        for (size_t c = from; c < from + block; c++) {
            most = fmax(most, fabs((double)x[c]));
            sizes += fabs(stored(type, row, c));
        }
        error += sizes * (most / 64000 + 1e-30);
    }
    return error;
}

/* Memory aligned to 64 in a room of bytes + 64; true at the end where what lies behind it is still
 * poison. */
static uint8_t *aligned(const struct room *r) {
    return r->data + (64 - (uintptr_t)r->data % 64) % 64;
}
static bool untouched_behind(const struct room *r, size_t bytes) {
    for (const uint8_t *at = aligned(r) + bytes; at < r->data + r->bytes; at++)
        if (*at != POISON) return false;
    return true;
}

/* y[rows] = rows from.. of w times x, through matvec or matmul_blocks; what the latter takes lies
 * between guards at an address aligned to 64. */
static void times(const struct kernels *k, const struct weights *w, float *y, size_t from,
                  size_t rows, const float *x) {
    const uint8_t *data = w->room.data + from * w->stride;
    if (dtype_block(w->type) == 1) {
        k->matvec(w->type, y, data, w->stride, rows, x, w->cols);
        return;
    }
    size_t bytes = k->act_bytes(w->type, w->cols);
    struct room room = room_new(bytes + 64);
    uint8_t *act = aligned(&room);
    k->act_from_f32(w->type, act, x, w->cols);
    CHECK(untouched_behind(&room, bytes), "%s %s: wrote beyond act_bytes", k->name,
          dtype_name(w->type));
    k->matmul_blocks(&(struct matmul){.type = w->type,
                                      .w = data,
                                      .stride = w->stride,
                                      .rows = rows,
                                      .cols = w->cols,
                                      .acts = act,
                                      .n = 1,
                                      .y = y,
                                      .ldy = rows});
    CHECK(room_end(&room), "%s %s: wrote outside the act", k->name, dtype_name(w->type));
}

/* of a product with `cols` columns, as a multiple of the sum of magnitudes */
static double matmul_bound(size_t cols) {
    return ((cols < 384 ? (double)cols : 384) / 4 + (double)cols / 384 + 6) * U;
}

static void check_matvec(const struct kernels *k, enum dtype type, size_t rows, size_t cols) {
    struct weights w = weights_new(type, rows, cols, 8);
    struct room rx, ry = room_new(rows * sizeof(float)), ro = room_new(sizeof(float));
    const float *x = normals(&rx, cols, 1);
    float *y = (float *)(void *)ry.data, *one = (float *)(void *)ro.data;
    times(k, &w, y, 0, rows, x);
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = w.room.data + r * w.stride;
        double sum = 0, size = 0;
        for (size_t c = 0; c < cols; c++) {
            double p = stored(type, row, c) * x[c];
            sum += p;
            size += fabs(p);
        }
        const double bound = dtype_block(type) == 1 ? matmul_bound(cols) * size
                                                    : ((double)cols / 8 + 16) * U * size +
                                                          act_error(type, row, x, cols);
        CHECK(fabs(y[r] - sum) <= bound, "%s %s %zux%zu row %zu: %g, not %g", k->name,
              dtype_name(type), rows, cols, r, (double)y[r], sum);
        times(k, &w, one, r, 1, x);
        CHECK(same_bits(*one, y[r]), "%s %s %zux%zu: row %zu alone differs", k->name,
              dtype_name(type), rows, cols, r);
    }
    CHECK(rooms_end(&ry, &ro), "%s %s %zux%zu: wrote outside y", k->name, dtype_name(type), rows,
          cols);
    room_end(&rx);
    room_end(&w.room);
}

static void matvec_of_every_shape(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(all_cols); c++)
            for (size_t r = 0; r < COUNT(all_rows) && fits(types[t], all_cols[c]); r++)
                check_matvec(k, types[t], all_rows[r], all_cols[c]);
}

/* Two blocks of activations of one size, from zeros to near the ends of the range, one with an
 * outlier; then one infinity or NaN, which has to show. */
static void check_blocks_of_extremes(const struct kernels *k, enum dtype type) {
    enum { ROWS = 3, COLS = 64 };
    static const float sizes[] = {0, 1e-44f, 1e-38f, 1.1e-30f, 1e-3f, 100, 3e30f};
    struct weights w = weights_new(type, ROWS, COLS, 2);
    float x[COLS], y[ROWS];
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t c = 0; c < COLS; c++) x[c] = sizes[s] * (float)normal();
        x[COLS - 1] *= 1e4f;
        times(k, &w, y, 0, ROWS, x);
        for (size_t r = 0; r < ROWS; r++) {
            const uint8_t *row = w.room.data + r * w.stride;
            double sum = 0, size = 0;
            for (size_t c = 0; c < COLS; c++)
                sum += stored(type, row, c) * x[c], size += fabs(stored(type, row, c) * x[c]);
            CHECK(fabs(y[r] - sum) <= (COLS / 8 + 16) * U * size + act_error(type, row, x, COLS),
                  "%s %s size %g row %zu: %g, not %g", k->name, dtype_name(type), (double)sizes[s],
                  r, (double)y[r], sum);
        }
    }
    for (size_t c = 0; c < COLS; c++) {
        memset(x, 0, sizeof x);
        x[c] = c % 2 ? INFINITY : NAN;
        times(k, &w, y, 0, ROWS, x);
        CHECK(isnan(y[0]) && isnan(y[1]) && isnan(y[2]), "%s %s: %g at %zu became %g", k->name,
              dtype_name(type), (double)x[c], c, (double)y[0]);
    }
    room_end(&w.room);
}

/* The integer sums at their greatest: all weights and activations at the ends of their ranges, with
 * one sign and with two. */
static void check_blocks_at_the_ends(const struct kernels *k, enum dtype type) {
    uint8_t block[2 * 34];
    size_t bytes = dtype_bytes(type, 32);
    for (int sign = -1; sign <= 1; sign += 2)
        for (int fill = 0; fill < 4; fill++) {
            static const uint8_t q8[] = {0x80, 0x7f, 0x81, 0}, q4[] = {0x00, 0xff, 0x0f, 0x88};
            float x[64], y;
            struct weights w = {
                .type = type, .rows = 1, .cols = 64, .stride = 2 * bytes, .room = {.data = block}};
            memset(block, type == DTYPE_Q8_0 ? q8[fill] : q4[fill], sizeof block);
            for (size_t b = 0; b < 2; b++)
                block[b * bytes] = 0, block[b * bytes + 1] = 0x3c; /* 1 as f16 */
            double sum = 0, size = 0;
            for (size_t c = 0; c < 64; c++) {
                x[c] = c % 3 ? (float)sign : 1;
                double p = stored(type, block, c) * x[c];
                sum += p, size += fabs(p);
            }
            times(k, &w, &y, 0, 1, x);
            CHECK(fabs(y - sum) <= 24 * U * size, "%s %s fill %d sign %d: %g, not %g", k->name,
                  dtype_name(type), fill, sign, (double)y, sum);
        }
}

static void blocks_of_extremes(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++) {
        if (dtype_block(types[t]) == 1) continue;
        check_blocks_of_extremes(k, types[t]);
        check_blocks_at_the_ends(k, types[t]);
    }
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
        CHECK(fabs(y[c] - sum) <= ((double)rows + 2) * U * size,
              "%s %s %zux%zu column %zu: %g, not %g", k->name, dtype_name(type), rows, cols, c,
              (double)y[c], sum);
    }
    size_t from = cols / 3 / 32 * 32; /* the same columns as part of a narrower call */
    k->vecmat(type, part + from, w.room.data + dtype_bytes(type, from), w.stride, rows, a,
              cols - from);
    CHECK(memcmp(y + from, part + from, (cols - from) * sizeof *y) == 0,
          "%s %s %zux%zu: columns from %zu differ", k->name, dtype_name(type), rows, cols, from);
    CHECK(rooms_end(&ry, &rp), "%s %s %zux%zu: wrote outside y", k->name, dtype_name(type), rows,
          cols);
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

static void check_matmul(const struct kernels *k, enum dtype type, size_t rows, size_t n,
                         size_t cols) {
    size_t ldx = cols + 1, ldy = rows + 2;
    struct weights w = weights_new(type, rows, cols, 12),
                   x = weights_new(DTYPE_F32, n, cols, sizeof(float));
    size_t few =
        n <= MATMUL_FEW ? 1 : MATMUL_FEW + 1; /* as few rows as are summed in the same order */
    struct room ry = room_new(((n - 1) * ldy + rows) * sizeof(float)),
                ro = room_new(few * sizeof(float));
    const float *xf = (const float *)(const void *)x.room.data;
    float *y = (float *)(void *)ry.data, *one = (float *)(void *)ro.data;
    k->matmul(&(struct matmul){.type = type,
                               .w = w.room.data,
                               .stride = w.stride,
                               .rows = rows,
                               .cols = cols,
                               .x = xf,
                               .ldx = ldx,
                               .n = n,
                               .y = y,
                               .ldy = ldy});
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *row = w.room.data + r * w.stride;
            double sum = 0, size = 0;
            for (size_t c = 0; c < cols; c++) {
                double p = stored(type, row, c) * xf[i * ldx + c];
                sum += p;
                size += fabs(p);
            }
            float got = y[i * ldy + r];
            CHECK(fabs(got - sum) <= matmul_bound(cols) * size,
                  "%s %s %zux%zux%zu (%zu, %zu): %g, not %g", k->name, dtype_name(type), rows, n,
                  cols, i, r, (double)got, sum);
            size_t from = i + few > n ? n - few : i;
            k->matmul(&(struct matmul){.type = type,
                                       .w = row,
                                       .stride = w.stride,
                                       .rows = 1,
                                       .cols = cols,
                                       .x = xf + from * ldx,
                                       .ldx = ldx,
                                       .n = few,
                                       .y = one,
                                       .ldy = 1});
            CHECK(same_bits(one[i - from], got), "%s %s %zux%zux%zu: (%zu, %zu) alone differs",
                  k->name, dtype_name(type), rows, n, cols, i, r);
        }
    for (size_t i = 0; i + 1 < n; i++)
        for (size_t b = 0; b < 2 * sizeof(float); b++)
            CHECK(ry.data[(i * ldy + rows) * sizeof(float) + b] == POISON,
                  "%s: wrote into the gap after row %zu of y", k->name, i);
    CHECK(rooms_end(&ry, &ro), "%s %s %zux%zux%zu: wrote outside y", k->name, dtype_name(type),
          rows, n, cols);
    room_end(&w.room);
    room_end(&x.room);
}

static void matmul_of_every_shape(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(all_cols); c++)
            for (size_t r = all_cols[c] > 100 ? 17 : 1; r <= 19 && fits(types[t], all_cols[c]);
                 r += 3)
                for (size_t n = 1; n <= 13; n += 3) check_matmul(k, types[t], r, n, all_cols[c]);
}

/* Rows of activations in whole numbers: float64 within the bound. Each element has the same bits
 * alone, or where there are more rows than blocks_alike, without the other rows of w. */
static void check_matmul_blocks(const struct kernels *k, enum dtype type, size_t rows, size_t n,
                                size_t cols) {
    size_t ldx = cols + 1, ldy = rows + 2, bytes = k->act_bytes(type, cols);
    struct weights w = weights_new(type, rows, cols, 6),
                   x = weights_new(DTYPE_F32, n, cols, sizeof(float));
    struct room ry = room_new(((n - 1) * ldy + rows) * sizeof(float)),
                ro = room_new(n * sizeof(float)), ra = room_new(n * bytes + 64);
    const float *xf = (const float *)(const void *)x.room.data;
    float *y = (float *)(void *)ry.data, *alone = (float *)(void *)ro.data;
    uint8_t *acts = aligned(&ra);
    for (size_t i = n; i-- > 0;) k->act_from_f32(type, acts + i * bytes, xf + i * ldx, cols);
    CHECK(untouched_behind(&ra, n * bytes), "%s: wrote beyond act_bytes", k->name);
    k->matmul_blocks(&(struct matmul){.type = type,
                                      .w = w.room.data,
                                      .stride = w.stride,
                                      .rows = rows,
                                      .cols = cols,
                                      .acts = acts,
                                      .n = n,
                                      .y = y,
                                      .ldy = ldy});
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) {
            const uint8_t *row = w.room.data + r * w.stride;
            double sum = 0, size = 0;
            for (size_t c = 0; c < cols; c++) {
                double p = stored(type, row, c) * xf[i * ldx + c];
                sum += p;
                size += fabs(p);
            }
            float got = y[i * ldy + r];
            CHECK(fabs(got - sum) <=
                      ((double)cols / 8 + 16) * U * size + act_error(type, row, xf + i * ldx, cols),
                  "%s %s %zux%zux%zu (%zu, %zu): %g, not %g", k->name, dtype_name(type), rows, n,
                  cols, i, r, (double)got, sum);
            bool alike = n <= k->blocks_alike(type);
            if (alike || i == 0)
                k->matmul_blocks(&(struct matmul){.type = type,
                                                  .w = row,
                                                  .stride = w.stride,
                                                  .rows = 1,
                                                  .cols = cols,
                                                  .acts = acts + i * bytes,
                                                  .n = alike ? 1 : n,
                                                  .y = alone,
                                                  .ldy = 1});
            CHECK(same_bits(alone[alike ? 0 : i], got),
                  "%s %s %zux%zux%zu: (%zu, %zu) alone differs", k->name, dtype_name(type), rows, n,
                  cols, i, r);
        }
    for (size_t i = 0; i + 1 < n; i++)
        for (size_t b = 0; b < 2 * sizeof(float); b++)
            CHECK(ry.data[(i * ldy + rows) * sizeof(float) + b] == POISON,
                  "%s: wrote into the gap after row %zu of y", k->name, i);
    CHECK(rooms_end(&ry, &ro) && room_end(&ra), "%s %s %zux%zux%zu: wrote outside y", k->name,
          dtype_name(type), rows, n, cols);
    room_end(&w.room);
    room_end(&x.room);
}

static void matmul_blocks_of_every_shape(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t c = 0; c < COUNT(all_cols) && dtype_block(types[t]) > 1; c++)
            for (size_t r = all_cols[c] > 100 ? 17 : 1; r <= 35 && fits(types[t], all_cols[c]);
                 r += 6)
                for (size_t n = 1; n <= 17; n += n < 9 ? 1 : 4)
                    check_matmul_blocks(k, types[t], r, n, all_cols[c]);
}

enum { EXTREME_COLS = 64, EXTREME_ROWS = 3, EXTREME_X = MATMUL_FEW + 1 };

/* Sets y[n][EXTREME_ROWS] to the products of w with n times the same row x. */
static void multiply_same(const struct kernels *k, enum dtype type, const uint8_t *w,
                          const float *x, size_t n, float *y) {
    _Alignas(64) uint8_t acts[EXTREME_X * 1024];
    const size_t bytes = k->act_bytes(type, EXTREME_COLS);
    CHECK(n * bytes <= sizeof acts, "%s", k->name);
    for (size_t i = 0; i < n; i++) k->act_from_f32(type, acts + i * bytes, x, EXTREME_COLS);
    k->matmul_blocks(&(struct matmul){.type = type,
                                      .w = w,
                                      .stride = dtype_bytes(type, EXTREME_COLS),
                                      .rows = EXTREME_ROWS,
                                      .cols = EXTREME_COLS,
                                      .acts = acts,
                                      .n = n,
                                      .y = y,
                                      .ldy = EXTREME_ROWS});
}

/* Numbers at the ends of their ranges, which sums of bytes must hold; and what is no number. */
static void check_extremes(const struct kernels *k, enum dtype type, const uint8_t *w, size_t n) {
    float x[EXTREME_COLS], y[EXTREME_X * EXTREME_ROWS];
    const size_t stride = dtype_bytes(type, EXTREME_COLS);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t c = 0; c < EXTREME_COLS; c++) x[c] = (float)sign;
        multiply_same(k, type, w, x, n, y);
        for (size_t r = 0; r < n * EXTREME_ROWS; r++) {
            double sum = sign * EXTREME_COLS * stored(type, w + r % EXTREME_ROWS * stride, 0);
            CHECK(fabs(y[r] - sum) <= 64 * U * fabs(sum), "%s %s element %zu of %zu: %g, not %g",
                  k->name, dtype_name(type), r, n * EXTREME_ROWS, (double)y[r], sum);
        }
    }
    for (int bad = 0; bad < 2; bad++) {
        x[40] = bad ? INFINITY : NAN;
        multiply_same(k, type, w, x, n, y);
        for (size_t r = 0; r < n * EXTREME_ROWS; r++)
            CHECK(isnan(y[r]), "%s %s: %g of an x with %g", k->name, dtype_name(type), (double)y[r],
                  (double)x[40]);
    }
}

static void matmul_blocks_of_extremes(void) {
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++) {
        if (dtype_block(types[t]) == 1) continue;
        const size_t stride = dtype_bytes(types[t], EXTREME_COLS),
                     bytes = dtype_bytes(types[t], 32);
        const bool q8 = types[t] == DTYPE_Q8_0;
        uint8_t w[EXTREME_ROWS * 68] = {0};
        for (size_t r = 0; r < EXTREME_ROWS; r++)
            for (size_t b = 0; b < EXTREME_COLS / 32; b++) {
                uint8_t *block = w + r * stride + b * bytes;
                const int least = q8 ? 0x80 : 0, most = q8 ? 0x7f : 0xff;
                block[1] = 0x3c; /* 1 as f16 */
                memset(block + 2, r == 0 ? least : r == 1 ? most : 0xff, bytes - 2);
            }
        check_extremes(k, types[t], w, 1);
        check_extremes(k, types[t], w, EXTREME_X);
    }
}

static double gelu_tanh_exact(double x) {
    return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}
static double silu_exact(double x) { return x / (1 + exp(-x)); } /* its slope is at most 1.1 */
static double gelu_erf_exact(double x) { return x / 2 * erfc(-x / sqrt(2)); }

/* matrix_apply of w[rows][cols] and x[n][cols]: every element of y against float64, and the same
 * bits with 1, 2, 3 and 4 threads. */
static void check_apply(const struct kernels *k, enum dtype type, size_t rows, size_t cols,
                        size_t n, bool with_bias, enum matrix_after after) {
    struct weights w = weights_new(type, rows, cols, 0);
    struct matrix m = {w.room.data, type, rows, cols};
    size_t ldx = cols + 5, ldy = rows + 7, ny = (n - 1) * ldy + rows;
    struct weights x = weights_new(DTYPE_F32, n, cols, 5 * sizeof(float));
    size_t work = matrix_work_bytes(k, &m, n);
    struct room rb, first = {0}, rw = room_new(work + 64);
    const float *bias = normals(&rb, rows, 1), *xf = (const float *)(const void *)x.room.data;
    for (int threads = 1; threads <= 4; threads++) {
        struct room ry = room_new(ny * sizeof(float));
        float *y = (float *)(void *)ry.data;
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++) y[i * ldy + r] = (float)(r % 3) - 1;
        threads_set(threads);
        matrix_apply(k, &(struct matrix_product){&m, with_bias ? bias : NULL, xf, y, n, ldx, ldy,
                                                 after, work ? aligned(&rw) : NULL, false});
        CHECK(room_intact(&ry) && untouched_behind(&rw, work), "%s: wrote outside y or work",
              k->name);
        if (threads > 1) {
            CHECK(memcmp(first.data, ry.data, ry.bytes) == 0, "%s %s n %zu: %d threads differ",
                  k->name, dtype_name(type), n, threads);
            room_end(&ry);
            continue;
        }
        first = ry;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t b = 0; b < 7 * sizeof(float); b++)
                CHECK(ry.data[(i * ldy + rows) * sizeof(float) + b] == POISON,
                      "%s: wrote into the gap after row %zu of y", k->name, i);
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++) {
                double sum = with_bias ? bias[r] : 0, size = fabs(sum),
                       before = (double)(r % 3) - 1;
                for (size_t c = 0; c < cols; c++) {
                    double p = stored(type, w.room.data + r * w.stride, c) * xf[i * ldx + c];
                    sum += p;
                    size += fabs(p);
                }
                double bound =
                    (matmul_bound(cols) + 8 * U) * size; /* gelu's slope is at most 1.13 */
                if (n == 1 || work)
                    bound = ((double)cols / 8 + 24) * U * size +
                            act_error(type, w.room.data + r * w.stride, xf + i * ldx, cols);
                if (after == MATRIX_ADD) bound += U * fabs(sum + before), sum += before;
                if (after == MATRIX_GELU_TANH)
                    bound = 1.13 * bound + 4e-7 * (1 + fabs(sum)), sum = gelu_tanh_exact(sum);
                if (after == MATRIX_GELU_ERF)
                    bound = 1.13 * bound + 4e-7 * (1 + fabs(sum)), sum = gelu_erf_exact(sum);
                if (after == MATRIX_RELU) sum = fmax(sum, 0);
                if (after == MATRIX_SILU)
                    bound = 1.13 * bound + 4e-7 * (1 + fabs(sum)), sum = silu_exact(sum);
                CHECK(fabs(y[i * ldy + r] - sum) <= bound,
                      "%s %s n %zu after %d (%zu, %zu): %g, not %g", k->name, dtype_name(type), n,
                      (int)after, i, r, (double)y[i * ldy + r], sum);
            }
    }
    room_end(&first);
    room_end(&rb);
    room_end(&rw);
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
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++) {
        check_apply(k, types[t], 70, 96, 300, true, MATRIX_SET);
        check_apply(k, types[t], 5, 800, 9, false, MATRIX_ADD);
    }
    for (size_t n = 1; n <= 2; n++)
        check_apply(kernels_at(0), DTYPE_Q8_0, 2, 1 << 15, n, true,
                    MATRIX_SET); /* too long for act on the stack */
    threads_set(threads);
}

/* With `invariant` many rows have the bits of each alone. */
static void check_invariant(const struct kernels *k, const struct matrix *m, const float *x,
                            size_t n, void *work) {
    float *all = malloc(n * m->rows * sizeof *all), *one = malloc(m->rows * sizeof *one);
    if (!all || !one) abort();
    struct matrix_product p = {.w = m,
                               .x = x,
                               .y = all,
                               .n = n,
                               .ldx = m->cols,
                               .ldy = m->rows,
                               .work = work,
                               .invariant = true};
    matrix_apply(k, &p);
    p.invariant = false, p.n = 1, p.y = one;
    for (size_t i = 0; i < n; i += n / 7 + 1) {
        p.x = x + i * m->cols;
        matrix_apply(k, &p);
        CHECK(memcmp(one, all + i * m->rows, m->rows * sizeof *one) == 0,
              "%s %s: row %zu of %zu, invariant", k->name, dtype_name(m->type), i, n);
    }
    free(all), free(one);
}

/* A row of x comes to the same bits in batches of different sizes: 1 .. 8 rows, 9 .. 56, and more
 * than 56; whatever the number of threads. */
static void check_parts(const struct kernels *k, enum dtype type, size_t rows, size_t cols,
                        size_t most) {
    enum { END = 0 };
    const size_t counts[] = {8, 1, 2, 3, 4, 5, 6, 7, END, 56, 9, 30, END, most, 57, most / 2};
    struct weights w = weights_new(type, rows, cols, 0);
    struct matrix m = {w.room.data, type, rows, cols};
    struct room work = room_new(matrix_work_bytes(k, &m, most) + 64), rx,
                ry = room_new(most * rows * sizeof(float)),
                rall = room_new(most * rows * sizeof(float));
    const float *x = normals(&rx, most * cols, 1);
    for (size_t i = 0; i < COUNT(counts); i++) {
        const bool first = i == 0 || counts[i - 1] == END;
        if (counts[i] == END || counts[i] > most) continue;
        threads_set(1 + (int)(i % 4));
        matrix_apply(k, &(struct matrix_product){.w = &m,
                                                 .x = x,
                                                 .y = (float *)(void *)(first ? rall : ry).data,
                                                 .n = counts[i],
                                                 .ldx = cols,
                                                 .ldy = rows,
                                                 .work = aligned(&work)});
        CHECK(first || memcmp(ry.data, rall.data, counts[i] * rows * sizeof(float)) == 0,
              "%s %s %zux%zu: a batch of %zu", k->name, dtype_name(type), rows, cols, counts[i]);
    }
    check_invariant(k, &m, x, most, aligned(&work));
    CHECK(rooms_end(&ry, &rall) && room_end(&rx), "%s: wrote outside", k->name);
    room_end(&work);
    room_end(&w.room);
}

static void matrix_apply_of_part_of_a_batch(void) {
    const int threads = threads_count();
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(types); t++) {
        check_parts(k, types[t], 70, 64, 257);
        check_parts(k, types[t], 6, 1120, 8);
    }
    threads_set(threads);
}

static void matrix_apply_of_every_count(void) {
    int threads = threads_count();
    EACH_SET(k)
    for (size_t n = 1; n <= 70; n++)
        check_apply(k, DTYPE_F32, 1 + n * 37 % 101, 1 + n * 29 % 83, n, n % 2,
                    (enum matrix_after)(n % 4));
    threads_set(threads);
}

/* after, for one row and several; 600 rows of w are more than one piece of any kind. */
static void matrix_apply_and_what_follows(void) {
    int threads = threads_count();
    EACH_SET(k)
    for (int after = MATRIX_SET; after <= MATRIX_SILU; after++)
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
        CHECK(matrix_bytes(&m) == w.room.bytes && matrix_row_bytes(&m) * 3 == w.room.bytes, "%s",
              dtype_name(types[t]));
        matrix_row(k, &m, 1, (float *)(void *)ry.data);
        for (size_t c = 0; c < 64; c++)
            CHECK((double)y[c] == stored(types[t], w.room.data + w.stride, c), "%s %s %zu", k->name,
                  dtype_name(types[t]), c);
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
        for (size_t i = 0; i < n; i++)
            CHECK(((const uint16_t *)(const void *)ry.data)[i] == f32_to_f16(x[i]), "%s %zu",
                  k->name, i);
        CHECK(room_end(&ry), "%s: wrote outside y of %zu", k->name, n);
        room_end(&rx);
    }
}

static void check_activation(const char *name, void (*fn)(float *, size_t),
                             double (*exact)(double)) {
    static const float extreme[] = {0,     -0.0f,  1e-30f, -1e-30f, 1e-8f,   -1e-8f,
                                    20,    -20,    50,     -50,     1e4f,    -1e4f,
                                    1e15f, -1e15f, 1e30f,  -1e30f,  FLT_MAX, -FLT_MAX};
    enum { GRID = 24001 };
    static float x[GRID + COUNT(extreme)], y[GRID + COUNT(extreme)];
    for (int i = 0; i < GRID; i++) x[i] = -12 + 0.001f * (float)i;
    memcpy(x + GRID, extreme, sizeof extreme);
    memcpy(y, x, sizeof y);
    fn(y, COUNT(y));
    for (size_t i = 0; i < COUNT(y); i++)
        CHECK(fabs(y[i] - exact(x[i])) <= 4e-7 * (1 + fabs((double)x[i])), "%s(%g) is %g, not %g",
              name, (double)x[i], (double)y[i], exact(x[i]));
    for (size_t n = 0; n <= 20; n++) {
        struct room r = room_new(n * sizeof(float));
        memcpy(r.data, x + 11900, n * sizeof(float));
        fn((float *)(void *)r.data, n);
        for (size_t i = 0; i < n; i++)
            CHECK(same_bits(((float *)(void *)r.data)[i], y[11900 + i]),
                  "%s of %zu: element %zu differs from a long run", name, n, i);
        CHECK(room_end(&r), "%s of %zu wrote outside", name, n);
    }
    for (size_t i = 0; i < 9; i++) {
        float z[9] = {0};
        z[i] = NAN;
        fn(z, 9);
        for (size_t j = 0; j < 9; j++)
            CHECK(isnan(z[j]) == (i == j), "%s: NaN at %zu, element %zu is %g", name, i, j,
                  (double)z[j]);
    }
}

static void gelu_tanh_against_libm(void) {
    EACH_SET(k) check_activation(k->name, k->gelu_tanh, gelu_tanh_exact);
}
static void gelu_erf_against_libm(void) {
    EACH_SET(k) check_activation(k->name, k->gelu_erf, gelu_erf_exact);
}

static void silu_against_libm(void) { EACH_SET(k) check_activation(k->name, k->silu, silu_exact); }

static void check_softmax(const struct kernels *k, const float *given, size_t n, float times) {
    struct room r = room_new(n * sizeof(float)), rx = room_new(n * sizeof(float));
    float *y = (float *)(void *)r.data, *x = (float *)(void *)rx.data;
    memcpy(y, given, n * sizeof *y);
    k->softmax(y, n, times);
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) x[i] = given[i] * times;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    for (size_t i = 0; i < n; i++) sum += exp(x[i] - most);
    for (size_t i = 0; i < n; i++) {
        double want = exp(x[i] - most) / sum;
        double bound = want < FLT_MIN ? FLT_MIN : want * (2e-6 + (double)n * U);
        CHECK(fabs(y[i] - want) <= bound, "%s n %zu: of %g (most %g): %g, not %g", k->name, n,
              (double)x[i], most, (double)y[i], want);
        if (isinf(x[i])) CHECK(y[i] == 0, "%s: of -inf: %g", k->name, (double)y[i]);
    }
    CHECK(rooms_end(&r, &rx), "%s n %zu: wrote outside", k->name, n);
}

static void softmax_against_libm(void) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 64, 100, 1000, 1024};
    static const double spreads[] = {1e-3, 1, 30, 80, 359};
    static float x[1024];
    EACH_SET(k)
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t d = 0; d < COUNT(spreads); d++)
            for (int holes = 0; holes < 2; holes++) {
                for (size_t i = 0; i < sizes[s]; i++)
                    x[i] = (float)(spreads[d] * (2 * rng_double(&rng) - 1));
                for (size_t i = 0; holes && i + 1 < sizes[s]; i += 3) x[i] = -INFINITY;
                check_softmax(k, x, sizes[s], 1);
                check_softmax(k, x, sizes[s], 0.1f);
            }
}

/* Scores 0..103 below the greatest, so near the end of the normal numbers and past it; each
 * followed by 0, which has to stay 1. */
static void softmax_of_far_apart_scores(void) {
    EACH_SET(k)
    for (int step = 0; step < 40000; step++) {
        float x[2] = {-0.0026f * (float)step - 17.3f, -17.3f},
              huge[9] = {359, -359, -3e38f, 358.9f, -INFINITY, 0, 1e-40f, -1, 359};
        check_softmax(k, x, 2, 1);
        if (step == 0) check_softmax(k, huge, 9, 1);
    }
}

static void softmax_shows_a_nan(void) {
    EACH_SET(k)
    for (size_t i = 0; i < 19; i++) {
        float x[19] = {0};
        x[i] = NAN;
        k->softmax(x, 19, 1);
        for (size_t j = 0; j < 19; j++)
            CHECK(isnan(x[j]), "%s: NaN at %zu, element %zu is %g", k->name, i, j, (double)x[j]);
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
        double bound = sums * (size * scale * fabs((double)weight[i]) + 2 * fabs(part)) +
                       2 * U * fabs((double)bias[i]);
        CHECK(fabs(y[i] - want) <= bound, "%s n %zu + %g: element %zu is %g, not %g", k->name, n,
              offset, i, (double)y[i], want);
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

/* ---- tiles ---- */

/* A shape of blocks with random codes and scales between guards; the last block's rows from n on
 * have NaN scales. */
struct blocks {
    struct tiles t;
    struct tile_levels levels;
    float level[16]; /* what a code stands for, exactly */
    struct room room;
    size_t n, count; /* rows, blocks */
};

static void blocks_new(struct blocks *b, unsigned bits, bool with_levels, unsigned tiles,
                       unsigned per_scale, bool keys, size_t n) {
    *b = (struct blocks){.t = {bits, tiles, per_scale, keys, NULL},
                         .n = n,
                         .count = (n + TILE_SIDE - 1) / TILE_SIDE};
    for (size_t c = 0; c < 16; c++) b->level[c] = (float)(2 * rng_double(&rng) - 1);
    tile_levels_set(&b->levels, b->level, (size_t)1 << (with_levels ? bits : 4));
    if (with_levels) b->t.levels = &b->levels;
    b->room = room_new(b->count * tiles_block_bytes(&b->t));
    for (size_t r = 0; r < b->count * TILE_SIDE; r++) {
        uint8_t codes[TILE_SIDE * TILES_MAX];
        uint16_t scales[TILES_MAX];
        for (size_t i = 0; i < tiles * TILE_SIDE; i++)
            codes[i] = (uint8_t)(rng_u64(&rng) >> (64 - bits));
        for (size_t i = 0; i < tiles; i++) scales[i] = r < n ? f32_to_f16((float)normal()) : 0x7e00;
        tiles_put(&b->t, b->room.data + r / TILE_SIDE * tiles_block_bytes(&b->t), r % TILE_SIDE,
                  codes, scales);
    }
}

/* Bit by bit from the description of tiles.h: code (row, d). */
static unsigned code_at(const struct blocks *b, size_t row, size_t d) {
    const uint8_t *tile =
        b->room.data + row / TILE_SIDE * tiles_block_bytes(&b->t) + d / TILE_SIDE * 128 * b->t.bits;
    size_t in = d % TILE_SIDE, i = b->t.keys ? in : row % TILE_SIDE,
           j = b->t.keys ? row % TILE_SIDE : in, k = i / 4, byte = 4 * j + i % 4;
    switch (b->t.bits) {
    case 8: return tile[128 * k + byte];
    case 4: return tile[128 * (k / 2) + byte] >> (k % 2 ? 4 : 0) & 15;
    case 3: return (tile[128 * (k / 4) + byte] >> k % 4 * 2 & 3) + (tile[256 + byte] >> k & 1) * 4;
    default: return tile[128 * (k / 4) + byte] >> k % 4 * 2 & 3;
    }
}

static double scale_at(const struct blocks *b, size_t row, size_t d) {
    size_t group = d / TILE_SIDE / b->t.per_scale;
    const uint8_t *at = b->room.data + row / TILE_SIDE * tiles_block_bytes(&b->t) +
                        b->t.n * 128 * b->t.bits + 64 * group + 2 * (row % TILE_SIDE);
    return small_float((uint16_t)(at[0] | at[1] << 8), 5, 10);
}

static double level_at(const struct blocks *b, size_t row, size_t d) {
    unsigned c = code_at(b, row, d);
    return b->t.levels ? b->level[c] : (double)c - (1 << (b->t.bits - 1));
}

static void check_tile_codes(const struct blocks *b) {
    uint8_t codes[TILE_SIDE * TILE_SIDE * TILES_MAX];
    size_t D = b->t.n * TILE_SIDE;
    for (size_t at = 0; at < b->count; at++) {
        tiles_codes(&b->t, codes, b->room.data + at * tiles_block_bytes(&b->t));
        for (size_t i = 0; i < TILE_SIDE * D; i++)
            CHECK(codes[i] == code_at(b, at * TILE_SIDE + i / D, i % D),
                  "%u bits: row %zu, number %zu", b->t.bits, i / D, i % D);
    }
}

static void check_tile_scores(const struct kernels *k, struct blocks *b, const float *x) {
    size_t D = b->t.n * TILE_SIDE;
    struct room rs = room_new(b->count * TILE_SIDE * sizeof(float));
    float *scores = (float *)(void *)rs.data;
    struct tile_query q;
    tile_query_set(&q, x, b->t.n);
    k->tile_scores(&b->t, scores, b->room.data, b->n, &q);
    for (size_t r = 0; r < b->n; r++) {
        double sum = 0, whole = 0, size = 0, bound = 0;
        for (size_t d = 0; d < D; d++) {
            size_t tile = d / TILE_SIDE;
            double s = scale_at(b, r, d), v = s * level_at(b, r, d), most = 0;
            for (size_t i = 0; i < TILE_SIDE; i++)
                most = fabs((double)x[tile * TILE_SIDE + i]) > most
                           ? fabs((double)x[tile * TILE_SIDE + i])
                           : most;
            sum += x[d] * v;
            whole += (double)q.scale[tile] * q.a[tile][d % TILE_SIDE] * v;
            size += fabs(x[d] * v);
            bound += 1.001 * most / 65278 * fabs(v);
            if (b->t.levels) bound += 1.001 * fabs(x[d] * s) * b->levels.unit / 2;
        }
        bound += ((double)b->t.n + 8) * U * size;
        CHECK(fabs(scores[r] - sum) <= bound, "%s %u bits, D %zu: score %zu is %g, not %g +- %g",
              k->name, b->t.bits, D, r, (double)scores[r], sum, bound);
        if (!b->t.levels)
            CHECK(fabs(scores[r] - whole) <= ((double)b->t.n + 8) * U * size,
                  "%s %u bits, D %zu: score %zu of the whole query is %g, not %g", k->name,
                  b->t.bits, D, r, (double)scores[r], whole);
    }
    CHECK(room_end(&rs), "%s %u bits: wrote outside scores", k->name, b->t.bits);
}

static void check_tile_mix(const struct kernels *k, struct blocks *b, const float *p,
                           const float *before) {
    size_t D = b->t.n * TILE_SIDE;
    struct room ro = room_new(D * sizeof(float));
    float *out = (float *)(void *)ro.data;
    memcpy(out, before, D * sizeof *out);
    k->tile_mix(&b->t, out, b->room.data, p, b->n);
    for (size_t d = 0; d < D; d++) {
        double sum = before[d], size = fabs(sum), bound = 0;
        for (size_t at = 0; at < b->n; at += TILE_SIDE) {
            double most = 0, magnitude = 0;
            for (size_t r = at; r < at + TILE_SIDE && r < b->n; r++) {
                double w = p[r] * scale_at(b, r, d), v = level_at(b, r, d);
                most = fabs(w) > most ? fabs(w) : most;
                magnitude += fabs(v);
                sum += w * v;
                size += fabs(w * v);
                if (b->t.levels) bound += 1.001 * fabs(w) * b->levels.unit / 2;
            }
            bound += 1.001 * most / 65278 * magnitude;
        }
        bound += ((double)b->n / 32 + 8) * U * (fabs(sum) + size);
        CHECK(fabs(out[d] - sum) <= bound,
              "%s %u bits, D %zu, n %zu: number %zu is %g, not %g +- %g", k->name, b->t.bits, D,
              b->n, d, (double)out[d], sum, bound);
    }
    CHECK(room_end(&ro), "%s %u bits: wrote outside out", k->name, b->t.bits);
}

static const struct {
    unsigned bits;
    bool levels;
} tile_kinds[] = {{8, false}, {4, false}, {4, true}, {3, true}, {2, true}};

static void tiles_of_every_shape(void) {
    static const size_t rows[] = {1, 5, 16, 31, 32, 33, 64, 100, 300, 961};
    for (size_t i = 0; i < COUNT(tile_kinds); i++)
        for (unsigned tiles = 1; tiles <= TILES_MAX; tiles++)
            for (unsigned per_scale = 1; per_scale <= tiles; per_scale++)
                for (size_t r = tiles % 2; r < COUNT(rows) && tiles % per_scale == 0;
                     r += tiles > 2 ? 4 : 1) {
                    struct room rx, rp;
                    size_t n = rows[r], whole = (n + TILE_SIDE - 1) / TILE_SIDE * TILE_SIDE;
                    const float *x = normals(&rx, tiles * TILE_SIDE, 2);
                    float *p = normals(&rp, whole, 1);
                    memset(p + n, 0, (whole - n) * sizeof *p);
                    for (int keys = 0; keys < 2; keys++) {
                        struct blocks b;
                        blocks_new(&b, tile_kinds[i].bits, tile_kinds[i].levels, tiles, per_scale,
                                   keys, n);
                        check_tile_codes(&b);
                        EACH_SET(k) {
                            if (keys)
                                check_tile_scores(k, &b, x);
                            else
                                check_tile_mix(k, &b, p, x);
                        }
                        room_end(&b.room);
                    }
                    room_end(&rx);
                    room_end(&rp);
                }
}

/* The extremes of codes and factors, where sums are largest: with scales 1 and whole numbers every
 * set gives the exact sum, rounded. */
static void tile_sums_are_exact(void) {
    for (size_t i = 0; i < COUNT(tile_kinds); i++)
        for (unsigned corner = 0; corner < 8; corner++) {
            struct tiles t = {tile_kinds[i].bits, 1, 1, true, NULL};
            struct tile_levels levels;
            float level[16], p[TILE_SIDE], out[TILE_SIDE], scores[TILE_SIDE];
            for (int c = 0; c < 16; c++)
                level[c] = (c % 2 ? 1.0f : -1.0f) * (float)(TILE_FACTOR_MAX - c / 2);
            tile_levels_set(&levels, level, (size_t)1 << t.bits % 8);
            if (tile_kinds[i].levels) t.levels = &levels;
            _Alignas(64) uint8_t block[TILE_SIDE * (TILE_SIDE + 2)];
            uint8_t codes[TILE_SIDE];
            const uint16_t one = 0x3c00;
            for (size_t c = 0; c < TILE_SIDE; c++) {
                codes[c] = (uint8_t)((1u << t.bits) - 1 -
                                     (corner & 1     ? 0
                                      : (corner & 4) ? c % 2
                                                     : (1u << t.bits) - 1));
                p[c] = (float)((corner & 2 ? 1 : -1) * (TILE_FACTOR_MAX - (c == 3)));
            }
            double exact = 0;
            for (size_t c = 0; c < TILE_SIDE; c++)
                exact += (double)p[c] * (t.levels ? level[codes[c]]
                                                  : (float)codes[c] - (float)(1 << (t.bits - 1)));
            EACH_SET(k) {
                struct tile_query q;
                tile_query_set(&q, p, 1);
                CHECK(q.scale[0] == 1 && q.a[0][0] == (int32_t)p[0] && q.a[0][3] == (int32_t)p[3],
                      "factors of whole numbers");
                for (int keys = 0; keys < 2; keys++) {
                    memset(block, 0, sizeof block);
                    memset(out, 0, sizeof out);
                    t.keys = keys;
                    for (size_t r = 0; r < TILE_SIDE; r++) {
                        uint8_t row[TILE_SIDE];
                        for (size_t c = 0; c < TILE_SIDE; c++) row[c] = keys ? codes[c] : codes[r];
                        tiles_put(&t, block, r, row, &one);
                    }
                    if (keys)
                        k->tile_scores(&t, scores, block, TILE_SIDE, &q);
                    else
                        k->tile_mix(&t, out, block, p, TILE_SIDE);
                    for (size_t j = 0; j < TILE_SIDE; j++) {
                        float got = keys ? scores[j] : out[j];
                        CHECK(t.levels ? fabs(got - exact) <= 4 * U * fabs(exact) + 256
                                       : got == (float)exact,
                              "%s %u bits, corner %u: %.9g, not %.9g", k->name, t.bits, corner,
                              (double)got, exact);
                    }
                }
            }
        }
}

static void tiles_show_a_nan(void) {
    static const float wild[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT(tile_kinds); i++)
        for (size_t w = 0; w < COUNT(wild); w++) EACH_SET(k) {
                struct blocks b;
                blocks_new(&b, tile_kinds[i].bits, tile_kinds[i].levels, 2, 2, false, 40);
                float p[64] = {0}, out[64] = {0};
                for (size_t r = 0; r < 40; r++) p[r] = 1e-30f;
                p[33] = wild[w];
                k->tile_mix(&b.t, out, b.room.data, p, 40);
                for (size_t d = 0; d < 64; d++)
                    CHECK(isnan(out[d]), "%s: mix with %g gives %g", k->name, (double)wild[w],
                          (double)out[d]);
                struct tile_query q;
                tile_query_set(&q, p, 2);
                b.t.keys = true;
                k->tile_scores(&b.t, out, b.room.data, 40, &q);
                for (size_t r = 0; r < 40; r++)
                    CHECK(isnan(out[r]), "%s: score with %g is %g", k->name, (double)wild[w],
                          (double)out[r]);
                room_end(&b.room);
            }
}

/* ---- attention ---- */

static void check_rows(const struct kernels *k, enum dtype type, size_t n, size_t dim) {
    struct weights w = weights_new(type, n, dim, 0);
    struct room rx, ra, rb, rs = room_new(n * sizeof(float)), ry, ro = room_new(sizeof(float));
    const float *x = normals(&rx, dim, 1), *a = normals(&ra, n, 1), *before = normals(&rb, dim, 3);
    float *s = (float *)(void *)rs.data, *y = normals(&ry, dim, 1), *one = (float *)(void *)ro.data;
    k->row_dots(type, s, w.room.data, n, x, dim);
    for (size_t r = 0; r < n; r++) {
        double sum = 0, size = 0;
        for (size_t c = 0; c < dim; c++) {
            double p = stored(type, w.room.data + r * w.stride, c) * x[c];
            sum += p;
            size += fabs(p);
        }
        CHECK(fabs(s[r] - sum) <= ((double)dim / 8 + 16) * U * size,
              "%s %s %zux%zu row %zu: %g, not %g", k->name, dtype_name(type), n, dim, r,
              (double)s[r], sum);
        k->row_dots(type, one, w.room.data + r * w.stride, 1, x, dim);
        CHECK(same_bits(*one, s[r]), "%s %s %zux%zu: row %zu alone differs", k->name,
              dtype_name(type), n, dim, r);
    }
    memcpy(y, before, dim * sizeof *y);
    k->row_sum(type, y, w.room.data, n, a, dim);
    for (size_t c = 0; c < dim; c++) {
        double sum = before[c], size = fabs(before[c]);
        for (size_t r = 0; r < n; r++) {
            double p = stored(type, w.room.data + r * w.stride, c) * a[r];
            sum += p;
            size += fabs(p);
        }
        CHECK(fabs(y[c] - sum) <= ((double)n + 2) * U * size,
              "%s %s %zux%zu column %zu: %g, not %g", k->name, dtype_name(type), n, dim, c,
              (double)y[c], sum);
    }
    CHECK(rooms_end(&rs, &ry) && room_end(&ro), "%s %s %zux%zu: wrote outside", k->name,
          dtype_name(type), n, dim);
    room_end(&rx), room_end(&ra), room_end(&rb), room_end(&w.room);
}

static void rows_of_a_head(void) {
    static const enum dtype both[] = {DTYPE_F32, DTYPE_F16};
    static const size_t dims[] = {1, 8, 20, 64, 80, 128, 150},
                        counts[] = {1, 3, 31, 32, 35, 64, 137};
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(both); t++)
        for (size_t d = 0; d < COUNT(dims); d++)
            for (size_t n = 0; n < COUNT(counts); n++) check_rows(k, both[t], counts[n], dims[d]);
}

/* a with its rows, or its columns, one after another */
static void check_strided_product(const struct kernels *k, size_t rows, size_t depth, size_t cols,
                                  bool keeps, bool transposed) {
    struct room ra, rb, rk, rw, ry = room_new(rows * cols * sizeof(float));
    const float *a = normals(&ra, rows * depth, 1), *b = normals(&rb, depth * cols, 1),
                *keep = normals(&rk, rows, 1);
    const float *before = normals(&rw, rows * cols, 3);
    size_t row = transposed ? 1 : depth, step = transposed ? rows : 1;
    float *y = (float *)(void *)ry.data;
    if (keeps) memcpy(y, before, rows * cols * sizeof *y);
    k->strided_product(&(struct strided_product){.rows = rows,
                                                 .depth = depth,
                                                 .cols = cols,
                                                 .y = y,
                                                 .ldy = cols,
                                                 .keep = keeps ? keep : NULL,
                                                 .a = a,
                                                 .a_row = row,
                                                 .a_step = step,
                                                 .b = b,
                                                 .ldb = cols});
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) {
            double sum = keeps ? (double)keep[r] * before[r * cols + c] : 0, size = fabs(sum);
            for (size_t i = 0; i < depth; i++) {
                double p = (double)a[r * row + i * step] * b[i * cols + c];
                sum += p;
                size += fabs(p);
            }
            CHECK(fabs(y[r * cols + c] - sum) <= ((double)depth + 2) * U * size,
                  "%s %zux%zux%zu (%zu, %zu): %g, not %g", k->name, rows, depth, cols, r, c,
                  (double)y[r * cols + c], sum);
        }
    CHECK(room_end(&ry), "%s %zux%zux%zu: wrote outside", k->name, rows, depth, cols);
    room_end(&ra), room_end(&rb), room_end(&rk), room_end(&rw);
}

static void strided_products(void) {
    static const size_t rows[] = {1, 4, 6, 9, 11, 64}, depths[] = {1, 20, 64},
                        cols[] = {1, 4, 16, 20, 63, 64, 80, 135};
    EACH_SET(k)
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t d = 0; d < COUNT(depths); d++)
            for (size_t c = 0; c < COUNT(cols); c++)
                for (int how = 0; how < 4; how++)
                    check_strided_product(k, rows[r], depths[d], cols[c], how & 1, how & 2);
}

/* Steps of 1 to 7 rows, whose whole is the softmax of each column. */
static void running_softmax_of_columns(void) {
    enum { ROWS = 64, COLS = 48 };
    static const double spreads[] = {1e-3, 1, 30, 80, 359};
    static float x[ROWS][COLS];
    EACH_SET(k)
    for (size_t d = 0; d < COUNT(spreads); d++) {
        struct room rs = room_new(7 * COLS * sizeof(float)),
                    rm = room_new(3 * COLS * sizeof(float));
        float *s = (float *)(void *)rs.data, *most = (float *)(void *)rm.data, *sum = most + COLS,
              *keep = sum + COLS;
        double weight[ROWS][COLS] = {{0}}; /* exp(x - most) by way of the steps */
        for (size_t i = 0; i < ROWS * COLS; i++)
            x[i / COLS][i % COLS] = (float)(spreads[d] * (2 * rng_double(&rng) - 1));
        for (size_t i = COLS; i < ROWS * COLS; i += 5)
            x[i / COLS][i % COLS] = i / COLS % 7 ? -INFINITY : 0;
        for (size_t c = 0; c < COLS; c++) most[c] = -INFINITY, sum[c] = 0;
        for (size_t begin = 0, n; begin < ROWS; begin += n) {
            n = begin % 7 + 1 < ROWS - begin ? begin % 7 + 1 : ROWS - begin;
            memcpy(s, x[begin], n * COLS * sizeof *s);
            k->running_softmax(s, n, COLS, most, sum, keep);
            for (size_t c = 0; c < COLS; c++) {
                for (size_t r = 0; r < begin; r++) weight[r][c] *= keep[c];
                for (size_t r = 0; r < n; r++) weight[begin + r][c] = s[r * COLS + c];
            }
        }
        for (size_t c = 0; c < COLS; c++) {
            double m = -INFINITY, total = 0;
            for (size_t r = 0; r < ROWS; r++)
                if (x[r][c] > m) m = x[r][c];
            for (size_t r = 0; r < ROWS; r++) total += exp(x[r][c] - m);
            CHECK((double)most[c] == m, "%s: most %g, not %g", k->name, (double)most[c], m);
            CHECK(fabs(sum[c] / total - 1) <= 1e-5, "%s, spread %g: sum %g, not %g", k->name,
                  spreads[d], (double)sum[c], total);
            for (size_t r = 0; r < ROWS; r++) { /* at most ROWS steps, each with an exp; the
                                                   differences add up to x - most */
                double want = exp(x[r][c] - m),
                       bound = want < 1e-30 ? 1e-30 : want * (ROWS * 1e-6 + 4 * spreads[d] * U);
                CHECK(fabs(weight[r][c] - want) <= bound,
                      "%s, spread %g, row %zu: of %g (most %g): %g, not %g", k->name, spreads[d], r,
                      (double)x[r][c], m, weight[r][c], want);
            }
        }
        CHECK(rooms_end(&rs, &rm), "%s: wrote outside", k->name);
    }
}

/* Counting, finding and the largest of each column, beside plain loops; equals and infinities too.
 */
static void large_numbers(void) {
    static const size_t sizes[] = {1, 3, 15, 16, 17, 63, 64, 65, 200, 960, 1001};
    static const float bounds[] = {-INFINITY, -1, 0, 0.5f, 2, 4, INFINITY};
    EACH_SET(k)
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s], count, found;
        struct room rx, ri = room_new(n * sizeof(uint32_t));
        float *x = normals(&rx, n, 1);
        uint32_t *index = (uint32_t *)(void *)ri.data;
        for (size_t i = 0; i < n; i += 3) x[i] = floorf(2 * x[i]) / 2;
        x[n / 2] = INFINITY, x[n / 3] = -INFINITY;
        for (size_t b = 0; b < COUNT(bounds); b++) {
            count = k->count_at_least(x, n, bounds[b]);
            found = k->find_at_least(index, x, n, bounds[b]);
            CHECK(found == count, "%s: %zu counted, %zu found", k->name, count, found);
            for (size_t i = 0, at = 0; i < n; i++) {
                if (x[i] < bounds[b]) continue;
                CHECK(at < found && index[at] == i, "%s, n %zu: %zu is not found", k->name, n, i);
                count -= 1, at++;
            }
            CHECK(count == 0, "%s, n %zu: off by %zu", k->name, n, count);
        }
        for (size_t cols = PICK_COLUMNS; cols <= n; cols *= 2) {
            struct room rm = room_new(cols * sizeof(float));
            float *most = (float *)(void *)rm.data, want;
            k->column_most(most, x, n, cols);
            for (size_t c = 0; c < cols; c++) {
                want = x[c];
                for (size_t i = c; i < n; i += cols) want = fmaxf(want, x[i]);
                CHECK(same_bits(want, most[c]), "%s, n %zu, column %zu of %zu: %g, not %g", k->name,
                      n, c, cols, (double)most[c], (double)want);
            }
            CHECK(room_end(&rm), "%s: column_most wrote outside", k->name);
        }
        CHECK(rooms_end(&rx, &ri), "%s: wrote outside", k->name);
    }
}

/* Rows that lie anywhere among others, in any order and more than once, beside float64. */
static void picked_rows(void) {
    static const enum dtype stored[] = {DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0};
    static const size_t dims[] = {32, 64, 96, 24, 7, 80}, counts[] = {1, 2, 3, 4, 5, 16, 33};
    enum { ROWS = 50, GAP = 6, DIM_MOST = 96 };
    static float w[ROWS][DIM_MOST];
    EACH_SET(k)
    for (size_t t = 0; t < COUNT(stored); t++)
        for (size_t d = 0; d < COUNT(dims); d++) {
            size_t dim = dims[d], stride, n;
            if (stored[t] != DTYPE_F16 && dim % 32) continue;
            stride = dtype_bytes(stored[t], dim) + GAP;
            struct room rows = room_new(ROWS * stride), rx, ra, ry, rs = room_new(DIM_MOST * 4);
            for (size_t r = 0; r < ROWS; r++) {
                for (size_t c = 0; c < dim; c++) w[r][c] = (float)rng_normal(&rng);
                dtype_from_f32(stored[t], rows.data + r * stride, w[r], dim);
                k->to_f32(stored[t], w[r], rows.data + r * stride, dim);
            }
            float *x = normals(&rx, dim, 1), *a = normals(&ra, ROWS, 1), *y = normals(&ry, ROWS, 1),
                  *sum = (float *)(void *)rs.data;
            for (size_t i = 0; i < COUNT(counts); i++) {
                uint32_t at[ROWS];
                n = counts[i];
                for (size_t j = 0; j < n; j++) at[j] = (uint32_t)rng_below(&rng, ROWS);
                struct picked_rows p = {stored[t], rows.data, stride, dim, at, n};
                k->picked_dots(y, &p, x);
                for (size_t c = 0; c < dim; c++) sum[c] = x[c];
                k->picked_sum(sum, &p, a);
                for (size_t j = 0; j < n; j++) {
                    double want = 0, size = 0;
                    for (size_t c = 0; c < dim; c++) {
                        want += (double)w[at[j]][c] * (double)x[c];
                        size += fabs((double)w[at[j]][c] * (double)x[c]);
                    }
                    CHECK(fabs(want - (double)y[j]) <= ((double)dim + 4) * U * size,
                          "%s, type %d, dim %zu, row %zu of %zu: %g, not %g", k->name, stored[t],
                          dim, j, n, (double)y[j], want);
                }
                for (size_t c = 0; c < dim; c++) {
                    double want = (double)x[c], size = fabs(want);
                    for (size_t j = 0; j < n; j++) {
                        want += (double)a[j] * (double)w[at[j]][c];
                        size += fabs((double)a[j] * (double)w[at[j]][c]);
                    }
                    CHECK(fabs(want - (double)sum[c]) <= ((double)n + 3) * U * size,
                          "%s, type %d, dim %zu, number %zu: %g, not %g", k->name, stored[t], dim,
                          c, (double)sum[c], want);
                }
            }
            CHECK(rooms_end(&rows, &rx) && rooms_end(&ra, &ry) && room_end(&rs),
                  "%s: wrote outside", k->name);
        }
}

/* One step: each exp within the bound. */
static void running_softmax_exps(void) {
    EACH_SET(k)
    for (int i = 0; i < 2000; i++) {
        float s[16] = {0}, most[16], sum[16] = {0}, keep[16], x[16];
        for (size_t c = 0; c < 16; c++)
            most[c] = 17.3f, x[c] = s[c] = 17.3f - 0.003f * (float)(16 * i + (int)c);
        k->running_softmax(s, 1, 16, most, sum, keep);
        for (size_t c = 0; c < 16; c++) {
            double d = (double)x[c] - 17.3f, want = exp(d),
                   bound = want < FLT_MIN ? FLT_MIN : want * (1e-6 + fabs(d) * U);
            CHECK(fabs(s[c] - want) <= bound && keep[c] == 1, "%s: of %g: %g, not %g", k->name, d,
                  (double)s[c], want);
        }
    }
}

static void sets_by_name(void) {
    struct err e;
    const struct kernels *k = NULL, *best = NULL;
    CHECK(strcmp(kernels_at(0)->name, "scalar") == 0 && kernels_at(100) == NULL, "the index");
    CHECK(kernels_get(&k, "scalar", &e) == OK && k == kernels_at(0), "scalar");
    CHECK(kernels_get(&best, NULL, &e) == OK && best->supported(), "no set for this CPU");
    for (size_t i = 1; kernels_at(i); i++)
        CHECK(!kernels_at(i)->supported() || kernels_at(i)->by_name_only || best != kernels_at(0),
              "scalar chosen over %s", kernels_at(i)->name);
    CHECK(!best->by_name_only, "%s is chosen by itself", best->name);
    CHECK(kernels_get(&k, "plain", &e) == OK && strcmp(k->name, "plain") == 0, "plain");
    CHECK(kernels_get(&k, "sse9", &e) == ERR_USAGE && strstr(e.msg, "sse9") &&
              strstr(e.msg, "scalar"),
          "%s", e.msg);
}

/* What the kernels of a set make of the same numbers: of every type, of shapes with rests. */
enum { SAME_ROWS = 21, SAME_COLS = 448, SAME_X = 19, SAME_OUT = 60000 };

static size_t products_of(const struct kernels *k, enum dtype type, const void *w, const float *x,
                          float *y) {
    _Alignas(64) static uint8_t act[1 << 16];
    size_t stride = dtype_bytes(type, SAME_COLS), n = 0;
    k->to_f32(type, y, w, SAME_ROWS * SAME_COLS);
    n += SAME_ROWS * SAME_COLS;
    if (dtype_block(type) > 1) {
        static const size_t counts[] = {1, 2, SAME_X};
        const size_t bytes = k->act_bytes(type, SAME_COLS);
        for (size_t i = 0; i < SAME_X; i++)
            k->act_from_f32(type, act + i * bytes, x + i * SAME_COLS, SAME_COLS);
        for (size_t c = 0; c < COUNT(counts); n += counts[c++] * SAME_ROWS)
            k->matmul_blocks(&(struct matmul){.type = type,
                                              .w = w,
                                              .stride = stride,
                                              .rows = SAME_ROWS,
                                              .cols = SAME_COLS,
                                              .acts = act,
                                              .n = counts[c],
                                              .y = y + n,
                                              .ldy = SAME_ROWS});
    } else {
        k->matvec(type, y + n, w, stride, SAME_ROWS, x, SAME_COLS);
        n += SAME_ROWS;
    }
    for (size_t rows = 2; rows <= SAME_X; rows += rows < 9 ? 1 : 5, n += rows * SAME_ROWS)
        k->matmul(&(struct matmul){.type = type,
                                   .w = w,
                                   .stride = stride,
                                   .rows = SAME_ROWS,
                                   .cols = SAME_COLS,
                                   .x = x,
                                   .ldx = SAME_COLS,
                                   .n = rows,
                                   .y = y + n,
                                   .ldy = SAME_ROWS});
    memset(y + n, 0, SAME_COLS * sizeof *y);
    k->vecmat(type, y + n, w, stride, SAME_ROWS, x, SAME_COLS);
    return n + SAME_COLS;
}

static size_t rest_of(const struct kernels *k, const float *x, float *y) {
    enum { N = 413 };
    size_t n = 0;
    k->layernorm(y, x, x + N, x + 2 * N, N, 1e-5f), n += N;
    void (*const fns[])(float *, size_t) = {k->gelu_tanh, k->gelu_erf, k->silu};
    for (size_t how = 0; how < COUNT(fns); how++, n += N) {
        memcpy(y + n, x, N * sizeof *x);
        fns[how](y + n, N);
    }
    memcpy(y + n, x, N * sizeof *x);
    k->softmax(y + n, N, 0.1f), n += N;
    memset(y + n, 0, 90 * sizeof *y);
    k->row_dots(DTYPE_F32, y + n, x, 70, x + 100, 20), n += 70;
    k->row_sum(DTYPE_F32, y + n, x, 70, x + 100, 20), n += 20;
    k->strided_product(&(struct strided_product){.rows = 11,
                                                 .depth = 13,
                                                 .cols = 29,
                                                 .y = y + n,
                                                 .ldy = 29,
                                                 .a = x,
                                                 .a_row = 13,
                                                 .a_step = 1,
                                                 .b = x + 500,
                                                 .ldb = 29});
    return n + 11 * 29;
}

/* plain.c says what each operation of contract.inc means: AVX2's own give the same bits. */
static void plain_has_the_bits_of_avx2(void) {
    static float x[SAME_ROWS * SAME_COLS], y[2][SAME_OUT];
    static uint8_t w[SAME_ROWS * SAME_COLS * 4];
    struct err e;
    const struct kernels *k[2];
    if (kernels_get(&k[0], "plain", &e) != OK || kernels_get(&k[1], "avx2", &e) != OK)
        return; /* named above */
    for (size_t i = 0; i < COUNT(x); i++) x[i] = (float)normal();
    for (size_t t = 0; t <= COUNT(types); t++) {
        size_t n = 0;
        if (t < COUNT(types)) dtype_from_f32(types[t], w, x, SAME_ROWS * SAME_COLS);
        for (int s = 0; s < 2; s++)
            n = t < COUNT(types) ? products_of(k[s], types[t], w, x, y[s]) : rest_of(k[s], x, y[s]);
        CHECK(n > 1000 && n <= SAME_OUT, "%zu numbers", n);
        for (size_t i = 0; i < n; i++)
            CHECK(same_bits(y[0][i], y[1][i]), "type %zu, number %zu: plain %a, avx2 %a", t, i,
                  (double)y[0][i], (double)y[1][i]);
    }
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
    RUN(plain_has_the_bits_of_avx2);
    RUN(to_f16_stays_inside);
    RUN(matvec_of_every_shape);
    RUN(blocks_of_extremes);
    RUN(vecmat_of_every_shape);
    RUN(matmul_of_every_shape);
    RUN(matmul_blocks_of_every_shape);
    RUN(matmul_blocks_of_extremes);
    RUN(matrix_rows_and_sizes);
    RUN(matrix_apply_of_every_type);
    RUN(matrix_apply_of_every_count);
    RUN(matrix_apply_of_part_of_a_batch);
    RUN(matrix_apply_and_what_follows);
    RUN(gelu_tanh_against_libm);
    RUN(gelu_erf_against_libm);
    RUN(silu_against_libm);
    RUN(softmax_against_libm);
    RUN(softmax_of_far_apart_scores);
    RUN(softmax_shows_a_nan);
    RUN(layernorm_against_float64);
    RUN(tiles_of_every_shape);
    RUN(tile_sums_are_exact);
    RUN(tiles_show_a_nan);
    RUN(rows_of_a_head);
    RUN(strided_products);
    RUN(running_softmax_of_columns);
    RUN(large_numbers);
    RUN(picked_rows);
    RUN(running_softmax_exps);
    return TEST_RESULT;
}
