/* Encoding and decoding rows, and the tables and sums of a query; quantiser.h has the formulas. */
#include "attention/quantiser.h"

#include <math.h>
#include <string.h>

#include "attention/inverse.h"

/* Rows that are encoded or decoded together, so that one pass over A or B serves all of them; and
 * the most points that a search may have. */
enum { ROWS_AT_ONCE = 16, POINTS_MAX = 256 };

static bool overlap(const struct quantiser_search *a, const struct quantiser_search *b) {
    return a->at < b->at + b->width && b->at < a->at + a->width;
}

/* Fills transform_t = A^T = B^-1, by way of float64, and inverse_f32 = B. */
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
    for (size_t i = 0; i < n && !rc; i++)
        b[i] = (double)(inverse_f32[i] = f16_to_f32(z->inverse[i]));
    if (!rc && !inverse_of(z->dim, b, inverse))
        rc = err_set(e, ERR_REFUSED, "its transform has no inverse");
    for (size_t i = 0; i < n && !rc; i++) {
        if (!(fabs(inverse[i]) <= 1e15))
            rc = err_set(e, ERR_REFUSED, "its transform has no inverse in float32");
        transform_t[i] = (float)inverse[i];
    }
    z->transform_t = transform_t;
    z->inverse_f32 = inverse_f32;
    arena_free(&scratch);
    return rc;
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

size_t quantiser_numbers(const struct quantiser *z) {
    size_t sum = 0;
    for (size_t j = 0; j < z->n; j++) sum += z->ranges[j].width * z->k;
    return sum;
}

size_t quantiser_bytes(const struct quantiser *z) {
    return sizeof(uint16_t) * (quantiser_numbers(z) + (z->inverse ? z->dim * z->dim + z->dim : 0));
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

float quantiser_tables(const struct kernels *kn, const struct quantiser *z, float *table,
                       const float *q) {
    float turned[QUANTISER_DIM], common = 0;
    size_t D = z->dim;
    if (z->inverse) {
        kn->matvec(DTYPE_F16, turned, z->inverse, D * sizeof(uint16_t), D, q, D);
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

void quantiser_mix(const struct kernels *kn, const struct quantiser *z, float *out,
                   const uint32_t *sum, float all, float unit) {
    float y[QUANTISER_DIM] = {0}, part[QUANTISER_DIM];
    size_t D = z->dim;
    for (size_t j = 0; j < z->n; j++, sum += z->k) {
        const struct quantiser_range *s = &z->ranges[j];
        kn->bucket_product(part, sum, unit, s->centroids, s->width, z->k);
        for (size_t r = 0; r < s->width; r++) y[s->at + r] += part[r];
    }
    kn->vecmat(DTYPE_F16, out, z->mean, D * sizeof *z->mean, 1, &all, D);
    kn->vecmat(DTYPE_F16, out, z->inverse, D * sizeof *z->inverse, D, y, D);
}
