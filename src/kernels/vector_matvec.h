/* matvec and matvec_blocks for any vector unit: a part of vector.h.
 *
 * Decoding is bound by reading the weights, so what counts is how the rows arrive. ROWS rows are read side by side; in a matrix they are the next
 * ones of ROWS streams that lie far apart, each of which a prefetcher can follow from row to row. A row's sum is formed in the same order
 * whatever stands beside it. What is fetched ahead goes to the second cache: of Zen 4's first one it drives out lines that are still to be used (one
 * thread, f16: 98 tokens/s to the first, 114 to the second). */
enum { ROWS = 4, SHORT_COLS = 256, FETCH = 1024 /* bytes */ };

/* Where ROWS rows and x do not fit a first cache of 32 KB together, but FEW_ROWS do, it is those that are read side by side: else x would come from the second
 * one for each of them (Zen 4, 3,072 columns of f16: 29 GB/s with two rows, 25 with four). */
enum { FIRST_CACHE = 24 << 10, FEW_ROWS = 2 };

/* y[i part] = row i part of w times x, for i < rows <= ROWS (a constant): the rows share the loads of x; each has two vectors of partial sums. */
INLINE void matvec_rows(enum dtype type, size_t rows, size_t part, float *y, const uint8_t *w, size_t stride, const float *x, size_t cols) {
    vec sum[ROWS][2];
    const uint8_t *row[ROWS];
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = v_set1(0), row[r] = w + (size_t)r * part * stride;
    size_t c = 0;
    for (; c + 2 * LANES <= cols; c += 2 * LANES) {
        vec x0 = v_load(x + c), x1 = v_load(x + c + LANES);
        for (size_t r = 0; r < rows; r++) {
            if (part > 1) __builtin_prefetch(row[r] + c * (type == DTYPE_F32 ? 4 : 2) + FETCH, 0, 2);
            sum[r][0] = v_fma(load(type, row[r], c), x0, sum[r][0]);
            sum[r][1] = v_fma(load(type, row[r], c + LANES), x1, sum[r][1]);
        }
    }
    if (c + LANES <= cols) {
        vec x0 = v_load(x + c);
        for (size_t r = 0; r < rows; r++) sum[r][0] = v_fma(load(type, row[r], c), x0, sum[r][0]);
        c += LANES;
    }
    if (c < cols) {
        vec x1 = v_load_part(x + c, cols - c);
        for (size_t r = 0; r < rows; r++) sum[r][1] = v_fma(load_part(type, row[r], c, cols - c), x1, sum[r][1]);
    }
    float s[ROWS];
    v_sum4(s, v_add(sum[0][0], sum[0][1]), v_add(sum[1][0], sum[1][1]), v_add(sum[2][0], sum[2][1]), v_add(sum[3][0], sum[3][1]));
    for (size_t r = 0; r < rows; r++) y[r * part] = s[r];
}

/* Touches the pages to come of the streams of `part` rows that are at row r of theirs. */
INLINE void touch_streams(const uint8_t *w, size_t stride, size_t streams, size_t part, size_t r) {
    size_t every = rows_of_pages(stride, 1);
    for (size_t s = 0; r % every == 0 && s < streams; s++) touch_pages(w + s * part * stride, stride, r + every, r + 2 * every, part);
}

INLINE void matvec_type(enum dtype type, float *y, const uint8_t *w, size_t stride, size_t rows, const float *x, size_t cols) {
    size_t r = 0, row = cols * (type == DTYPE_F32 ? 4 : 2), room = FIRST_CACHE > cols * sizeof *x ? FIRST_CACHE - cols * sizeof *x : 0;
    size_t streams = ROWS * row > room && FEW_ROWS * row <= room ? FEW_ROWS : ROWS, part = rows / streams;
    if (cols <= SHORT_COLS) /* such as keys: a few of them are in the cache anyway */
        for (; r + ROWS <= rows; r += ROWS) matvec_rows(type, ROWS, 1, y + r, w + r * stride, stride, x, cols);
    else
        for (; r < part; r++) {
            touch_streams(w, stride, streams, part, r);
            if (streams == ROWS)
                matvec_rows(type, ROWS, part, y + r, w + r * stride, stride, x, cols);
            else
                matvec_rows(type, FEW_ROWS, part, y + r, w + r * stride, stride, x, cols);
        }
    for (r = part * streams; r < rows; r++) matvec_rows(type, 1, 1, y + r, w + r * stride, stride, x, cols);
}

static void matvec(enum dtype type, float *y, const void *w, size_t stride, size_t rows, const float *x, size_t cols) {
    switch (type) {
    case DTYPE_F16: matvec_type(DTYPE_F16, y, w, stride, rows, x, cols); break;
    case DTYPE_BF16: matvec_type(DTYPE_BF16, y, w, stride, rows, x, cols); break;
    default: matvec_type(DTYPE_F32, y, w, stride, rows, x, cols);
    }
}

static size_t act_bytes(enum dtype type, size_t cols) { return act_common_bytes(cols) + act_more_bytes(type, cols); }

static void act_from_f32(enum dtype type, void *act, const float *x, size_t cols) {
    struct act a = act_at(act, cols);
    act_common_from_f32(&a, x, cols);
    act_more(type, &a, cols);
}

/* A set that defines LOOKAT_KERNELS_OWN_BLOCK_SUM has, in place of v_block_products(type, block, a, b), a type of its own for a row's sums, b_zero and
 * b_sum4 as below, and b_add, which adds the products of n blocks of weights with the blocks of a from b to *s, n being act_step(type) or what is left
 * at the end of a row, *scale the first one's scale times that of the activations.
 *
 * Blocks whose scales are gathered at a time: they lie scattered among the weights, one to a block, and are widened and multiplied by those of the
 * activations as vectors. */
enum { GROUP = 8 };

#ifndef LOOKAT_KERNELS_OWN_BLOCK_SUM
typedef vec block_sum;
INLINE block_sum b_zero(void) { return v_set1(0); }
INLINE void b_sum4(enum dtype type, float s[4], const block_sum r[4]) { (void)type, v_sum4(s, r[0], r[1], r[2], r[3]); }
INLINE void b_add(enum dtype type, block_sum *s, const float *scale, const uint8_t *block, size_t n, const struct act *a, size_t b) {
    (void)n;
    *s = v_fma(v_block_products(type, block, a, b), v_set1(*scale), *s);
}
#endif

/* sum[r] += the products of n blocks of each row with the blocks of a from b; n is GROUP (a constant) or less. Integer products of a block, or of a
 * step of blocks, are summed exactly; their sum is widened and scaled. */
INLINE void add_group(enum dtype type, size_t rows, block_sum sum[ROWS], const uint8_t *const row[ROWS], const struct act *a, size_t b, size_t n) {
    const size_t step = act_step(type), bytes = type == DTYPE_Q8_0 ? 34 : 18;
    float scale[ROWS][GROUP];
    for (size_t r = 0; r < rows; r++) {
        for (size_t line = 0; rows > 1 && n == GROUP && line < GROUP * bytes; line += 64) __builtin_prefetch(row[r] + b * bytes + line + FETCH, 0, 2);
        if (n == GROUP)
            v_scales(scale[r], row[r] + b * bytes, bytes, a->scale + b);
        else
            for (size_t i = 0; i < GROUP; i++) scale[r][i] = i < n ? block_scale(row[r] + (b + i) * bytes) * a->scale[b + i] : 0;
    }
    for (size_t i = 0; i < n; i += step)
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *block = row[r] + (b + i) * bytes;
            b_add(type, &sum[r], scale[r] + i, block, n - i < step ? n - i : step, a, b + i);
        }
}

/* As matvec_rows. */
INLINE void matvec_block_rows(enum dtype type, size_t rows, size_t part, float *y, const uint8_t *w, size_t stride, const struct act *a, size_t cols) {
    size_t blocks = cols / BLOCK, b = 0;
    block_sum sum[ROWS];
    const uint8_t *row[ROWS];
    for (int r = 0; r < ROWS; r++) sum[r] = b_zero(), row[r] = w + (size_t)r * part * stride;
    for (; b + GROUP <= blocks; b += GROUP) add_group(type, rows, sum, row, a, b, GROUP);
    if (b < blocks) add_group(type, rows, sum, row, a, b, blocks - b);
    float s[ROWS];
    b_sum4(type, s, sum);
    for (size_t r = 0; r < rows; r++) y[r * part] = s[r];
}

INLINE void matvec_blocks_type(enum dtype type, float *y, const uint8_t *w, size_t stride, size_t rows, const struct act *a, size_t cols) {
    size_t part = rows / ROWS;
    for (size_t r = 0; r < part; r++) {
        touch_streams(w, stride, ROWS, part, r);
        matvec_block_rows(type, ROWS, part, y + r, w + r * stride, stride, a, cols);
    }
    for (size_t r = part * ROWS; r < rows; r++) matvec_block_rows(type, 1, 1, y + r, w + r * stride, stride, a, cols);
}

static void matvec_blocks(enum dtype type, float *y, const void *w, size_t stride, size_t rows, const void *act, size_t cols) {
    struct act a = act_at(act, cols);
    if (type == DTYPE_Q8_0)
        matvec_blocks_type(DTYPE_Q8_0, y, w, stride, rows, &a, cols);
    else
        matvec_blocks_type(DTYPE_Q4_0, y, w, stride, rows, &a, cols);
}
