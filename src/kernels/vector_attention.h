/* The kernels of attention, written once for any vector unit. A set includes this file after vector.h. */

/* Rows of a timeline come from memory, and a core keeps more lines under way for several streams than for one: so a timeline is read in PARTS parts side
 * by side, ROWS rows of each in turn, AHEAD bytes ahead (Ice Lake server, cold: 28 GB/s, row after row without prefetch 18, read_sum 30). */
enum { TIMELINE_PARTS = 8, TIMELINE_AHEAD = 1024 };

static inline size_t timeline_part(size_t n) { return n / (TIMELINE_PARTS * ROWS) * ROWS; }

INLINE void prefetch_rows(const uint8_t *w, size_t bytes) {
    for (size_t i = 0; i < ROWS * bytes; i += 64) __builtin_prefetch((const void *)((uintptr_t)w + TIMELINE_AHEAD + i), 0, 2);
}

/* y[ROWS]: y[r] = row r . x for r < n (a constant), 0 for the others */
INLINE void dots(enum dtype type, float y[ROWS], const uint8_t *w, size_t bytes, size_t n, const float *x, size_t dim) {
    vec sum[ROWS];
    size_t c = 0;
    for (size_t r = 0; r < ROWS; r++) sum[r] = v_set1(0);
    for (; c + LANES <= dim; c += LANES) {
        vec xv = v_load(x + c);
        for (size_t r = 0; r < n; r++) sum[r] = v_fma(load(type, w + r * bytes, c), xv, sum[r]);
    }
    if (c < dim) {
        vec xv = v_load_part(x + c, dim - c);
        for (size_t r = 0; r < n; r++) sum[r] = v_fma(load_part(type, w + r * bytes, c, dim - c), xv, sum[r]);
    }
    v_sum4(y, sum[0], sum[1], sum[2], sum[3]);
}

INLINE void row_dots_type(enum dtype type, float *y, const uint8_t *w, size_t n, const float *x, size_t dim) {
    size_t bytes = dim * (type == DTYPE_F16 ? 2 : 4), part = timeline_part(n), i = 0;
    for (; i < part; i += ROWS)
        for (size_t r = i; r < TIMELINE_PARTS * part; r += part) {
            prefetch_rows(w + r * bytes, bytes);
            dots(type, y + r, w + r * bytes, bytes, ROWS, x, dim);
        }
    for (i = TIMELINE_PARTS * part; i + ROWS <= n; i += ROWS) dots(type, y + i, w + i * bytes, bytes, ROWS, x, dim);
    for (; i < n; i++) {
        float s[ROWS];
        dots(type, s, w + i * bytes, bytes, 1, x, dim);
        y[i] = s[0];
    }
}

static void row_dots(enum dtype type, float *y, const void *w, size_t n, const float *x, size_t dim) {
    if (type == DTYPE_F16 && dim == 64)
        row_dots_type(DTYPE_F16, y, w, n, x, 64);
    else if (type == DTYPE_F16)
        row_dots_type(DTYPE_F16, y, w, n, x, dim);
    else
        row_dots_type(DTYPE_F32, y, w, n, x, dim);
}

/* `vecs` (a constant) vectors of columns of y from column c on, where the first columns fetch for all; the last may be a part of `rest` lanes. */
INLINE void row_sum_columns(enum dtype type, size_t vecs, size_t rest, float *y, const uint8_t *w, size_t bytes, size_t n, const float *a, size_t c) {
    vec sum[16];
    size_t part = timeline_part(n);
    for (size_t j = 0; j < vecs; j++) sum[j] = rest ? v_load_part(y + c, rest) : v_load(y + c + j * LANES);
    for (size_t i = 0; i < part; i += ROWS)
        for (size_t r = i; r < TIMELINE_PARTS * part; r += part) {
            if (c == 0) prefetch_rows(w + r * bytes, bytes);
            for (size_t k = r; k < r + ROWS; k++) {
                vec s = v_set1(a[k]);
                for (size_t j = 0; j < vecs; j++)
                    sum[j] = v_fma(s, rest ? load_part(type, w + k * bytes, c, rest) : load(type, w + k * bytes, c + j * LANES), sum[j]);
            }
        }
    for (size_t k = TIMELINE_PARTS * part; k < n; k++) {
        vec s = v_set1(a[k]);
        for (size_t j = 0; j < vecs; j++)
            sum[j] = v_fma(s, rest ? load_part(type, w + k * bytes, c, rest) : load(type, w + k * bytes, c + j * LANES), sum[j]);
    }
    for (size_t j = 0; j < vecs; j++) {
        if (rest)
            v_store_part(y + c, sum[j], rest);
        else
            v_store(y + c + j * LANES, sum[j]);
    }
}

INLINE void row_sum_type(enum dtype type, float *y, const uint8_t *w, size_t n, const float *a, size_t dim) {
    enum { MANY = 64 / LANES };
    size_t bytes = dim * (type == DTYPE_F16 ? 2 : 4), c = 0;
    for (; c + MANY * LANES <= dim; c += MANY * LANES) row_sum_columns(type, MANY, 0, y, w, bytes, n, a, c);
    for (; c + LANES <= dim; c += LANES) row_sum_columns(type, 1, 0, y, w, bytes, n, a, c);
    if (c < dim) row_sum_columns(type, 1, dim - c, y, w, bytes, n, a, c);
}

static void row_sum(enum dtype type, float *y, const void *w, size_t n, const float *a, size_t dim) {
    if (type == DTYPE_F16 && dim == 64)
        row_sum_type(DTYPE_F16, y, w, n, a, 64);
    else if (type == DTYPE_F16)
        row_sum_type(DTYPE_F16, y, w, n, a, dim);
    else
        row_sum_type(DTYPE_F32, y, w, n, a, dim);
}

/* As many sums as the registers hold beside a row of b and one number of a. */
enum { PRODUCT_ROWS = 6, PRODUCT_VECS = LANES == 8 ? 2 : 4 };

/* rows and vecs are constants; with rest, vecs is 1 and the vector a part of `rest` lanes */
INLINE void product_part(size_t rows, size_t vecs, size_t rest, float *y, size_t ldy, const float *keep, const float *a, size_t a_row, size_t a_step,
                         const float *b, size_t ldb, size_t depth) {
    vec sum[PRODUCT_ROWS][PRODUCT_VECS], bv[PRODUCT_VECS];
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vecs; j++) {
            float *at = y + r * ldy + j * LANES;
            sum[r][j] = keep ? v_mul(v_set1(keep[r]), rest ? v_load_part(at, rest) : v_load(at)) : v_set1(0);
        }
    for (size_t k = 0; k < depth; k++, a += a_step, b += ldb) {
        for (size_t j = 0; j < vecs; j++) bv[j] = rest ? v_load_part(b, rest) : v_load(b + j * LANES);
        for (size_t r = 0; r < rows; r++) {
            vec av = v_set1(a[r * a_row]);
            for (size_t j = 0; j < vecs; j++) sum[r][j] = v_fma(av, bv[j], sum[r][j]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vecs; j++) {
            float *at = y + r * ldy + j * LANES;
            if (rest)
                v_store_part(at, sum[r][j], rest);
            else
                v_store(at, sum[r][j]);
        }
}

INLINE void product_rows(size_t rows, float *y, size_t ldy, const float *keep, const float *a, size_t a_row, size_t a_step, const float *b, size_t ldb,
                         size_t depth, size_t cols) {
    size_t c = 0;
    for (; c + PRODUCT_VECS * LANES <= cols; c += PRODUCT_VECS * LANES)
        product_part(rows, PRODUCT_VECS, 0, y + c, ldy, keep, a, a_row, a_step, b + c, ldb, depth);
    for (; c + LANES <= cols; c += LANES) product_part(rows, 1, 0, y + c, ldy, keep, a, a_row, a_step, b + c, ldb, depth);
    if (c < cols) product_part(rows, 1, cols - c, y + c, ldy, keep, a, a_row, a_step, b + c, ldb, depth);
}

static void strided_product(float *y, size_t ldy, const float *keep, const float *a, size_t a_row, size_t a_step, size_t rows, const float *b, size_t ldb,
                         size_t depth, size_t cols) {
    size_t r = 0;
#define ROWS_OF(n) \
    for (; r + (n) <= rows; r += (n)) product_rows(n, y + r * ldy, ldy, keep ? keep + r : NULL, a + r * a_row, a_row, a_step, b, ldb, depth, cols)
    ROWS_OF(PRODUCT_ROWS);
    ROWS_OF(4);
    ROWS_OF(1);
#undef ROWS_OF
}

static void running_softmax(float *s, size_t rows, size_t cols, float *most, float *sum, float *keep) {
    for (size_t c = 0; c < cols; c += LANES) {
        vec before = v_load(most + c), m = before, total = v_set1(0);
        for (size_t r = 0; r < rows; r++) m = v_max(m, v_load(s + r * cols + c));
        for (size_t r = 0; r < rows; r++) {
            vec e = exp_sum(v_sub(v_load(s + r * cols + c), m), v_set1(0));
            v_store(s + r * cols + c, e);
            total = v_add(total, e);
        }
        vec k = exp_sum(v_sub(before, m), v_set1(0));
        v_store(keep + c, k);
        v_store(sum + c, v_fma(v_load(sum + c), k, total));
        v_store(most + c, m);
    }
}
