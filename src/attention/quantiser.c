/* Encoding and decoding rows, and the tables and sums of a query; quantiser.h has the formulas. */
#include "attention/quantiser.h"

#include <math.h>
#include <string.h>

#include "attention/inverse.h"
#include "attention/packed.h"

/* Rows that are encoded or decoded together, so that one pass over A or B serves all of them; and
 * the most points that a search may have. */
enum { ROWS_AT_ONCE = 16, POINTS_MAX = 256 };

/* Floats of a query's work memory for B. */
enum { BACK_WORK = sizeof(struct tile_query) / sizeof(float) };
_Static_assert((int)BACK_WORK >= (int)QUANTISER_DIM, "a query of any dimension fits");

/* The largest number of B is brought to below 2^BACK_EXPONENT, so that its scale is 8 or more, and
 * rows that are smaller by up to 2^17 still have scales that f16 holds with all its bits. */
enum { BACK_EXPONENT = 10 };

static bool overlap(const struct quantiser_search *a, const struct quantiser_search *b) {
    return a->at < b->at + b->width && b->at < a->at + a->width;
}

/* How B is kept: as rows of int8, one scale a row. */
static struct packed back_format(const struct quantiser *z) {
    return (struct packed){.head_dim = z->dim, .group = z->dim, .bits = 8, .keys = !z->for_values};
}

/* Fills back and back_factor, and inverse_f32 with the numbers that they hold. Numbers are rounded
 * against the scale as f16 has it, so each is off by half a scale at most. */
static int round_back(struct quantiser *z, float *inverse_f32, struct arena *a, struct err *e) {
    size_t D = z->dim;
    struct packed format = back_format(z);
    struct kv_layout l = packed_layout(&format);
    uint8_t *back = arena_zalloc(a, (D + l.rows - 1) / l.rows, l.bytes);
    float most = 0;
    if (!back) return err_set(e, ERR_FAILED, "out of memory for a transform");
    for (size_t i = 0; i < D * D; i++) {
        inverse_f32[i] = f16_to_f32(z->inverse[i]);
        most = fmaxf(most, fabsf(inverse_f32[i]));
    }
    int exponent;
    frexpf(most, &exponent);
    z->back_factor = ldexpf(1, exponent - BACK_EXPONENT);
    for (size_t r = 0; r < D; r++) {
        uint8_t codes[QUANTISER_DIM];
        uint16_t scale;
        bool cut = false;
        float *row = inverse_f32 + r * D, size = 0;
        for (size_t d = 0; d < D; d++) size = fmaxf(size, fabsf(row[d]));
        float step = packed_scale(&scale, size / z->back_factor / 127, &cut) * z->back_factor;
        for (size_t d = 0; d < D; d++) {
            float whole = step > 0 ? rintf(row[d] / step) : 0;
            whole = fminf(fmaxf(whole, -127), 127);
            codes[d] = (uint8_t)(whole + 128);
            row[d] = whole * step;
        }
        packed_put(&format, back, r, codes, &scale);
    }
    z->back = back;
    z->inverse_f32 = inverse_f32;
    return OK;
}

/* Fills transform_t = A^T = B^-1, by way of float64, `back` and inverse_f32. */
static int invert(struct quantiser *z, struct arena *a, struct err *e) {
    struct arena scratch = {0};
    size_t n = z->dim * z->dim;
    double *b = arena_alloc(&scratch, n, sizeof *b),
           *inverse = arena_alloc(&scratch, n, sizeof *inverse);
    float *transform_t = arena_alloc(a, n, sizeof *transform_t),
          *inverse_f32 = arena_alloc(a, n, sizeof *inverse_f32);
    int rc = b && inverse && transform_t && inverse_f32
                 ? OK
                 : err_set(e, ERR_FAILED, "out of memory for a transform");
    for (size_t i = 0; i < n && !rc; i++) b[i] = (double)f16_to_f32(z->inverse[i]);
    if (!rc && !inverse_of(z->dim, b, inverse))
        rc = err_set(e, ERR_REFUSED, "its transform has no inverse");
    for (size_t i = 0; i < n && !rc; i++) {
        if (!(fabs(inverse[i]) <= 1e15))
            rc = err_set(e, ERR_REFUSED, "its transform has no inverse in float32");
        transform_t[i] = (float)inverse[i];
    }
    z->transform_t = transform_t;
    arena_free(&scratch);
    return rc ? rc : round_back(z, inverse_f32, a, e);
}

bool quantiser_pairs(size_t at, size_t width, size_t next_at, size_t next_width, size_t k) {
    return at == next_at && width == next_width && k * k <= POINTS_MAX;
}

void quantiser_sums(float *sums, const float *a, const float *b, size_t width, size_t k) {
    for (size_t r = 0; r < width; r++, a += k, b += k)
        for (size_t c = 0; c < k; c++)
            for (size_t i = 0; i < k; i++) *sums++ = a[c] + b[i];
}

void quantiser_bias(const float *centroids, size_t d, size_t k, float *bias) {
    for (size_t c = 0; c < k; c++) {
        double sum = 0;
        for (size_t r = 0; r < d; r++)
            sum += (double)centroids[r * k + c] * (double)centroids[r * k + c];
        bias[c] = (float)(-sum / 2);
    }
}

/* Fills *to with the search of code j, and of the next one too with `pair`. */
static int make_search(const struct quantiser *z, size_t j, bool pair, struct quantiser_search *to,
                       struct arena *a, struct err *e) {
    const struct quantiser_range *s = &z->ranges[j];
    struct arena scratch = {0};
    size_t n = s->width * z->k, points = pair ? z->k * z->k : z->k;
    float *centroids = arena_alloc(&scratch, 2 * n, sizeof *centroids);
    float *sums = pair ? arena_alloc(a, s->width * points, sizeof *sums) : centroids,
          *bias = arena_alloc(a, points, sizeof *bias);
    int rc =
        centroids && sums && bias ? OK : err_set(e, ERR_FAILED, "out of memory for a codebook");
    if (!rc) {
        for (size_t i = 0; i < n; i++) centroids[i] = f16_to_f32(s->centroids[i]);
        for (size_t i = 0; i < n && pair; i++) centroids[n + i] = f16_to_f32(s[1].centroids[i]);
        if (pair) quantiser_sums(sums, centroids, centroids + n, s->width, z->k);
        quantiser_bias(sums, s->width, points, bias);
        *to = (struct quantiser_search){.first = j,
                                        .at = s->at,
                                        .width = s->width,
                                        .k = points,
                                        .type = pair ? DTYPE_F32 : DTYPE_F16,
                                        .centroids = pair ? (const void *)sums : s->centroids,
                                        .bias = bias};
    }
    arena_free(&scratch);
    return rc;
}

int quantiser_prepare(struct quantiser *z, struct arena *a, struct err *e) {
    z->searches = arena_alloc(a, z->n, sizeof *z->searches);
    if (!z->searches) return err_set(e, ERR_FAILED, "out of memory for a codebook");
    z->ranges_overlap = z->searches_overlap = false;
    z->n_searches = 0;
    for (size_t j = 0; j < z->n;) {
        const struct quantiser_range *s = &z->ranges[j];
        struct quantiser_search *last = &z->searches[z->n_searches++];
        bool pair = j + 1 < z->n && quantiser_pairs(s->at, s->width, s[1].at, s[1].width, z->k);
        int rc = make_search(z, j, pair, last, a, e);
        if (rc) return rc;
        for (const struct quantiser_search *before = z->searches; before < last; before++)
            z->searches_overlap |= overlap(before, last);
        z->ranges_overlap |= pair;
        j += pair ? 2 : 1;
    }
    z->ranges_overlap |= z->searches_overlap;
    return z->inverse ? invert(z, a, e) : OK;
}

/* ---- pairs ---- */

/* Returns the largest |number| of row r of a range's centroids. */
static double largest(const struct quantiser_range *g, size_t r) {
    double most = 0;
    for (size_t c = 0; g && c < 16; c++)
        most = fmax(most, fabs((double)f16_to_f32(g->centroids[r * 16 + c])));
    return most;
}

/* Returns the least number of 4 significant bits, and at least f16's least, that is not below x. */
static double scale_above(double x) {
    int exponent;
    frexp(x, &exponent);
    exponent = exponent > -20 && x > 0 ? exponent : -20;
    return ldexp(fmax(1, ceil(ldexp(x, 4 - exponent))), exponent - 4);
}

/* Rounds row r of a range's centroids to multiples of a scale: to[16] as numbers, entries[16] as
 * whole ones. */
static void round_row(uint16_t *to, int8_t *entries, const struct quantiser_range *g, size_t r,
                      double scale) {
    for (size_t c = 0; c < 16; c++) {
        double whole = rint((double)f16_to_f32(g->centroids[r * 16 + c]) / scale);
        while (fabs(whole * scale) > F16_MOST) whole -= whole > 0 ? 1 : -1;
        entries[c] = (int8_t)whole;
        to[c] = f32_to_f16((float)(whole * scale));
    }
}

/* The arrays of quantiser_pairs while they are filled. */
struct pair_arrays {
    uint8_t *byte;
    uint16_t *dim;
    float *scale;
    int8_t *entries;
    size_t n;
};

/* Adds the sums of the dimensions of a range, whose centroids become `low`: those of a byte's low
 * half, and with `g_high` and `high` of the high half as well, which has the same range. Without
 * `g_low` it is the high half alone. */
static void add_sums(struct pair_arrays *t, size_t byte, const struct quantiser_range *g_low,
                     uint16_t *low, const struct quantiser_range *g_high, uint16_t *high) {
    const struct quantiser_range *g = g_low ? g_low : g_high;
    for (size_t r = 0; r < g->width; r++, t->n++) {
        double scale = scale_above((largest(g_low, r) + largest(g_high, r)) / 126);
        int8_t *entries = t->entries + t->n * 32;
        t->byte[t->n] = (uint8_t)byte;
        t->dim[t->n] = (uint16_t)(g->at + r);
        t->scale[t->n] = (float)scale;
        if (g_low) round_row(low + r * 16, entries, g_low, r, scale);
        if (g_high) round_row(high + r * 16, entries + 16, g_high, r, scale);
    }
}

int quantiser_round(struct quantiser *z, struct arena *a, struct err *e) {
    struct quantiser_pairs *pairs = arena_zalloc(a, 1, sizeof *pairs);
    size_t numbers = quantiser_numbers(z), most = numbers / 16;
    uint16_t *rounded = arena_alloc(a, numbers, sizeof *rounded);
    struct pair_arrays t = {.byte = arena_alloc(a, most, sizeof *t.byte),
                            .dim = arena_alloc(a, most, sizeof *t.dim),
                            .scale = arena_alloc(a, most, sizeof *t.scale),
                            .entries = arena_zalloc(a, most, 32)};
    if (!pairs || !rounded || !t.byte || !t.dim || !t.scale || !t.entries)
        return err_set(e, ERR_FAILED, "out of memory for a codebook");
    for (size_t j = 0; j < z->n; j += 2) {
        struct quantiser_range *low = &z->ranges[j], *high = j + 1 < z->n ? low + 1 : NULL;
        uint16_t *to_low = rounded, *to_high = rounded + low->width * 16;
        if (high && quantiser_pairs(low->at, low->width, high->at, high->width, z->k)) {
            add_sums(&t, j / 2, low, to_low, high, to_high);
        } else {
            add_sums(&t, j / 2, low, to_low, NULL, NULL);
            if (high) add_sums(&t, j / 2, NULL, NULL, high, to_high);
        }
        low->centroids = to_low;
        if (high) high->centroids = to_high;
        rounded = to_high + (high ? high->width * 16 : 0);
    }
    *pairs = (struct quantiser_pairs){.tables = {.n = t.n,
                                                 .bytes = lookup_row_bytes(z->n, z->k),
                                                 .byte = t.byte,
                                                 .entries = t.entries},
                                      .dim = t.dim,
                                      .scale = t.scale,
                                      .in_order = true};
    for (size_t s = 0; s < t.n; s++) pairs->in_order &= t.dim[s] == s;
    z->pairs = pairs;
    return OK;
}

/* ---- rows ---- */

size_t quantiser_numbers(const struct quantiser *z) {
    size_t sum = 0;
    for (size_t j = 0; j < z->n; j++) sum += z->ranges[j].width * z->k;
    return sum;
}

/* The bytes of B as queries read it. */
static size_t back_bytes(const struct quantiser *z) {
    struct packed format = back_format(z);
    return z->dim * (packed_code_bytes(&format) + packed_scale_bytes(&format));
}

size_t quantiser_bytes(const struct quantiser *z) {
    size_t bytes = z->pairs ? z->pairs->tables.n * (32 + sizeof(float))
                            : quantiser_numbers(z) * sizeof(uint16_t);
    if (!z->inverse) return bytes;
    return bytes + back_bytes(z) + z->dim * sizeof *z->mean;
}

/* Writes y[n][D] = A (x - mean), without gaps. The rows of x are `stride` floats apart. Without B
 * it copies them. */
static void transform(const struct kernels *kn, const struct quantiser *z, float *y, const float *x,
                      size_t stride, size_t n) {
    float mean[QUANTISER_DIM], centred[ROWS_AT_ONCE * QUANTISER_DIM];
    size_t D = z->dim;
    if (z->inverse) kn->to_f32(DTYPE_F16, mean, z->mean, D);
    for (size_t count; n; n -= count, x += count * stride, y += count * D) {
        count = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        float *to = z->inverse ? centred : y;
        for (size_t i = 0; i < count; i++)
            for (size_t d = 0; d < D; d++)
                to[i * D + d] = z->inverse ? x[i * stride + d] - mean[d] : x[i * stride + d];
        if (z->inverse)
            kn->strided_product(&(struct strided_product){.rows = count,
                                                          .depth = D,
                                                          .cols = D,
                                                          .y = y,
                                                          .ldy = D,
                                                          .a = centred,
                                                          .a_row = D,
                                                          .a_step = 1,
                                                          .b = z->transform_t,
                                                          .ldb = D});
    }
}

/* Subtracts the point that a row got in search s from what is left of the row. */
static void subtract(const struct quantiser_search *s, float *left, uint32_t point) {
    for (size_t r = 0; r < s->width; r++) {
        size_t at = r * s->k + point;
        left[s->at + r] -= s->type == DTYPE_F16 ? f16_to_f32(((const uint16_t *)s->centroids)[at])
                                                : ((const float *)s->centroids)[at];
    }
}

/* Where codes go: code j of row i to codes[i row_step + j code_step]. */
struct code_place {
    uint8_t *codes;
    size_t row_step, code_step;
};

/* Encodes rows y of the learned space, `stride` floats apart. With `searches_overlap` each search
 * looks at what those before it left; then `left` is y, and the rows become what is left of them.
 */
static void encode_ranges(const struct kernels *kn, const struct quantiser *z, struct code_place to,
                          const float *y, float *left, size_t stride, size_t n) {
    uint32_t nearest[ROWS_AT_ONCE];
    for (const struct quantiser_search *s = z->searches; s < z->searches + z->n_searches; s++) {
        kn->nearest(&(struct nearest){.type = s->type,
                                      .w = s->centroids,
                                      .bias = s->bias,
                                      .d = s->width,
                                      .k = s->k,
                                      .x = y + s->at,
                                      .ldx = stride,
                                      .n = n,
                                      .index = nearest});
        for (size_t i = 0; i < n; i++) {
            uint8_t *code = to.codes + i * to.row_step + s->first * to.code_step;
            *code = (uint8_t)(s->k > z->k ? nearest[i] / z->k : nearest[i]);
            if (s->k > z->k) code[to.code_step] = (uint8_t)(nearest[i] % z->k);
            if (z->searches_overlap) subtract(s, left + i * stride, nearest[i]);
        }
    }
}

void quantiser_encode(const struct kernels *kn, const struct quantiser *z, uint8_t *codes,
                      size_t row_step, size_t code_step, const float *x, size_t stride, size_t n) {
    float y[ROWS_AT_ONCE * QUANTISER_DIM];
    for (size_t count; n; n -= count, x += count * stride, codes += count * row_step) {
        const struct code_place to = {codes, row_step, code_step};
        count = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        if (z->inverse || z->searches_overlap) {
            transform(kn, z, y, x, stride, count);
            encode_ranges(kn, z, to, y, y, z->dim, count);
        } else
            encode_ranges(kn, z, to, x, NULL, stride, count);
    }
}

/* Writes x[D] = yhat of one row. The numbers of its centroids are gathered as f16 first and then
 * widened together, which is faster than one at a time. */
static void add_centroids(const struct kernels *kn, const struct quantiser *z, float *x,
                          const uint8_t *codes, size_t code_step) {
    uint16_t gathered[QUANTISER_DIM];
    float part[QUANTISER_DIM];
    memset(x, 0, z->dim * sizeof *x);
    for (size_t j = 0; j < z->n; j++) {
        const struct quantiser_range *s = &z->ranges[j];
        const uint16_t *column = s->centroids + codes[j * code_step];
        for (size_t first = 0, count; first < s->width; first += count) {
            count = s->width - first < QUANTISER_DIM ? s->width - first : QUANTISER_DIM;
            for (size_t r = 0; r < count; r++, column += z->k) gathered[r] = *column;
            float *to = x + s->at + first;
            kn->to_f32(DTYPE_F16, z->ranges_overlap ? part : to, gathered, count);
            for (size_t r = 0; z->ranges_overlap && r < count; r++) to[r] += part[r];
        }
    }
}

void quantiser_decode(const struct kernels *kn, const struct quantiser *z, float *xhat,
                      const uint8_t *codes, size_t row_step, size_t code_step, size_t n) {
    static const float keep[ROWS_AT_ONCE] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    float y[ROWS_AT_ONCE * QUANTISER_DIM];
    size_t D = z->dim;
    for (size_t count; n; n -= count, xhat += count * D, codes += count * row_step) {
        count = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        for (size_t i = 0; i < count; i++)
            add_centroids(kn, z, (z->inverse ? y : xhat) + i * D, codes + i * row_step, code_step);
        if (!z->inverse) continue;
        for (size_t i = 0; i < count; i++) kn->to_f32(DTYPE_F16, xhat + i * D, z->mean, D);
        kn->strided_product(&(struct strided_product){.rows = count,
                                                      .depth = D,
                                                      .cols = D,
                                                      .y = xhat,
                                                      .ldy = D,
                                                      .keep = keep,
                                                      .a = y,
                                                      .a_row = D,
                                                      .a_step = 1,
                                                      .b = z->inverse_f32,
                                                      .ldb = D});
    }
}

/* Does range b lie right behind a, in the space and in memory, and is it as wide? Such ranges are
 * one call of lookup_tables. */
static bool follows(const struct quantiser_range *a, const struct quantiser_range *b, size_t k) {
    return b->width == a->width && b->at == a->at + a->width &&
           b->centroids == a->centroids + a->width * k;
}

/* Asks for `bytes` bytes. */
static void fetch(const void *data, size_t bytes) {
    enum { LINE = 64 };
    for (size_t i = 0; i < bytes; i += LINE) __builtin_prefetch((const char *)data + i, 0, 3);
}

void quantiser_fetch(const struct quantiser *z) {
    if (z->pairs) {
        fetch(z->pairs->tables.entries, z->pairs->tables.n * 32);
        fetch(z->pairs->scale, z->pairs->tables.n * sizeof *z->pairs->scale);
    }
    fetch(z->back, back_bytes(z));
    fetch(z->mean, z->dim * sizeof *z->mean);
}

/* Sets y[D] = B q, for keys. */
static void multiply_back(const struct kernels *kn, const struct quantiser *z, float *y,
                          const float *q) {
    _Alignas(64) float work[BACK_WORK], scores[QUANTISER_DIM + TILE_SIDE];
    struct packed format = back_format(z);
    packed_prepare(&format, work, q);
    packed_score(kn, &format, work, scores, z->back, z->dim);
    for (size_t d = 0; d < z->dim; d++) y[d] = scores[d] * z->back_factor;
}

float quantiser_tables(const struct kernels *kn, const struct quantiser *z, float *table,
                       const float *q) {
    float turned[QUANTISER_DIM], common = 0;
    size_t D = z->dim;
    if (z->inverse) {
        /* The kernels fetch ahead, but not the beginning. */
        size_t first = z->ranges[0].width * z->k * z->n * sizeof(uint16_t);
        fetch(z->ranges[0].centroids, first < 4096 ? first : 4096);
        multiply_back(kn, z, turned, q);
        kn->matvec(DTYPE_F16, &common, z->mean, D * sizeof(uint16_t), 1, q, D);
        q = turned;
    }
    for (size_t j = 0, n; j < z->n; j += n, table += n * z->k) {
        const struct quantiser_range *s = &z->ranges[j];
        for (n = 1; j + n < z->n && follows(&s[n - 1], &s[n], z->k); n++) {}
        kn->lookup_tables(table, s->centroids, q + s->at, n, s->width, z->k);
    }
    return common;
}

/* Adds all mean + B^T y to out[D], for values. Behind y[D] there are zeros up to a whole block. */
static void add_turned(const struct kernels *kn, const struct quantiser *z, float *out, float *y,
                       float all) {
    struct packed format = back_format(z);
    size_t D = z->dim;
    for (size_t d = 0; d < D; d++) y[d] *= z->back_factor;
    kn->vecmat(DTYPE_F16, out, z->mean, D * sizeof *z->mean, 1, &all, D);
    packed_mix(kn, &format, out, z->back, y, D);
}

void quantiser_mix(const struct kernels *kn, const struct quantiser *z, float *out,
                   const uint32_t *sum, float all, float unit) {
    float y[QUANTISER_DIM + TILE_SIDE] = {0}, part[QUANTISER_DIM];
    for (size_t j = 0; j < z->n; j++, sum += z->k) {
        const struct quantiser_range *s = &z->ranges[j];
        kn->bucket_product(part, sum, unit, s->centroids, s->width, z->k);
        for (size_t r = 0; r < s->width; r++) y[s->at + r] += part[r];
    }
    add_turned(kn, z, out, y, all);
}

void quantiser_mix_pairs(const struct kernels *kn, const struct quantiser *z, float *out,
                         const int32_t *sum, float all) {
    const struct quantiser_pairs *p = z->pairs;
    float y[QUANTISER_DIM + TILE_SIDE] = {0};
    for (size_t s = 0; s < p->tables.n && p->in_order; s++)
        y[s] = (float)sum[s] * (p->scale[s] * (1.0f / PAIR_ONE));
    for (size_t s = 0; s < p->tables.n && !p->in_order; s++)
        y[p->dim[s]] += (float)sum[s] * (p->scale[s] * (1.0f / PAIR_ONE));
    add_turned(kn, z, out, y, all);
}
