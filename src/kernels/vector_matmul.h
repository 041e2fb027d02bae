/* Products with several rows of activations, for vector.h (which see; it includes this file).
 *
 * A tile of 4 x 4 numbers is the unit. For a group of LANES rows of w, the panel holds columns c..c+3 of all of them as four vectors:
 * vector j has rows j, 4 + j, 8 + j, ... with their four columns side by side. To make it, rows of w are widened
 * and their fours exchanged: numbers within a four stay where they are. A row of x needs no packing: its columns c..c+3 are broadcast to all fours of
 * a vector, and four fused multiply-adds bring LANES rows of w four columns further. Each element so has four partial sums, added up at the end:
 * v_sum_fours of the four vectors is LANES elements of y, in order. */

/* arrays of vectors become registers only where no loop over them is left */
#define UNROLL _Pragma("GCC unroll 16")

enum {
    GROUPS = LANES / 4, /* fours in a vector */
    PANEL_COLS = 384, /* a panel of LANES rows stays in the first cache */
    FEW_COLS = LANES < 8 ? 384 : 768, /* at most 96 additions to a lane; eight rows of x fit the first cache */
};

/* v[g] = LANES columns of row g: the fours that lie in the same columns go to one vector of a panel, 4 * LANES floats before the next. */
INLINE void store_fours(float *panel, vec v[GROUPS]) {
    v_transpose_fours(v);
    UNROLL for (int k = 0; k < GROUPS; k++) v_store(panel + k * 4 * LANES, v[k]);
}

/* bytes of n numbers, n a multiple of the block: dtype_bytes as a constant expression */
INLINE size_t bytes_of(enum dtype type, size_t n) {
    switch (type) {
    case DTYPE_F32: return 4 * n;
    case DTYPE_Q8_0: return n / BLOCK * 34;
    case DTYPE_Q4_0: return n / BLOCK * 18;
    default: return 2 * n;
    }
}

/* Rows row[0 .. LANES / 4 - 1] of w to vector 0 of a panel's tiles. They are g = 0, 1, ... in 4 g + j, so vector j holds them side by side;
 * next[g]: the row that will come after row[g]. */
INLINE void pack_rows(enum dtype type, float *panel, const uint8_t *const row[GROUPS], size_t cols, const uint8_t *const next[GROUPS]) {
    if (is_block(type)) {
        for (size_t c = 0; c < cols; c += BLOCK) {
            vec v[GROUPS][BLOCK_VECS], piece[GROUPS];
            UNROLL for (int g = 0; g < GROUPS; g++) {
                const uint8_t *block = row[g] + bytes_of(type, c);
                __builtin_prefetch(next[g] + bytes_of(type, c), 0, 2);
                load_block(type, v[g], block);
                vec d = v_set1(block_scale(block));
                UNROLL for (int i = 0; i < BLOCK_VECS; i++) v[g][i] = v_mul(d, v[g][i]);
            }
            UNROLL for (int i = 0; i < BLOCK_VECS; i++) {
                UNROLL for (int g = 0; g < GROUPS; g++) piece[g] = v[g][i];
                store_fours(panel + (c + (size_t)i * LANES) * LANES, piece);
            }
        }
        return;
    }
    for (size_t c = 0; c < cols; c += LANES) {
        vec v[GROUPS];
        UNROLL for (int g = 0; g < GROUPS; g++) {
            __builtin_prefetch(next[g] + bytes_of(type, c), 0, 2);
            v[g] = c + LANES <= cols ? load(type, row[g], c) : load_part(type, row[g], c, cols - c);
        }
        store_fours(panel + c * LANES, v);
    }
}

/* The panel of rows <= LANES rows of w and cols <= PANEL_COLS columns; rows and columns past the end are zeros. next: w of the next call. */
INLINE void pack(enum dtype type, float *panel, const uint8_t *w, size_t stride, size_t rows, size_t cols, const uint8_t *next) {
    static const float zeros[PANEL_COLS]; /* all bits zero: so many zeros in any type */
    for (size_t j = 0; j < 4; j++) {
        const uint8_t *row[GROUPS], *after[GROUPS];
        UNROLL for (size_t g = 0; g < GROUPS; g++) {
            bool there = 4 * g + j < rows;
            row[g] = there ? w + (4 * g + j) * stride : (const uint8_t *)zeros;
            after[g] = there ? next + (4 * g + j) * stride : row[g];
        }
        pack_rows(type, panel + j * LANES, row, cols, after);
    }
}

/* y[n][rows] = x[n][cols] times a panel, or that is added to y; n <= X_ROWS is a constant. */
INLINE void matmul_rows(size_t n, float *y, size_t ldy, size_t rows, const float *panel, const float *x, size_t ldx, size_t cols, bool more) {
    vec sum[X_ROWS][4], xv[X_ROWS];
    float rest[X_ROWS][4];
    UNROLL for (size_t i = 0; i < n; i++)
        UNROLL for (int j = 0; j < 4; j++) sum[i][j] = v_set1(0);
    for (size_t c = 0; c + 4 <= cols; c += 4, panel += 4 * LANES) {
        UNROLL for (size_t i = 0; i < n; i++) xv[i] = v_broadcast4(x + i * ldx + c);
        UNROLL for (int j = 0; j < 4; j++) {
            vec w = v_load(panel + j * LANES);
            UNROLL for (size_t i = 0; i < n; i++) sum[i][j] = v_fma(w, xv[i], sum[i][j]);
        }
    }
    if (cols % 4) {
        memset(rest, 0, sizeof rest);
        for (size_t i = 0; i < n; i++) memcpy(rest[i], x + i * ldx + cols - cols % 4, cols % 4 * sizeof(float));
        UNROLL for (size_t i = 0; i < n; i++)
            UNROLL for (int j = 0; j < 4; j++) sum[i][j] = v_fma(v_load(panel + j * LANES), v_broadcast4(rest[i]), sum[i][j]);
    }
    UNROLL for (size_t i = 0; i < n; i++) {
        vec s = v_sum_fours(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
        float *to = y + i * ldy;
        if (rows == LANES)
            v_store(to, more ? v_add(v_load(to), s) : s);
        else
            v_store_part(to, more ? v_add(v_load_part(to, rows), s) : s, rows);
    }
}

/* rows of x to take next so that the groups of at most X_ROWS are about the same size */
static size_t next_group(size_t n) {
    size_t groups = (n + X_ROWS - 1) / X_ROWS;
    return (n + groups - 1) / groups;
}

/* The same for any n. */
static void matmul_panel(float *y, size_t ldy, size_t rows, const float *panel, const float *x, size_t ldx, size_t n, size_t cols, bool more) {
    for (size_t take; n; n -= take, y += take * ldy, x += take * ldx) {
        take = next_group(n);
        switch (take) {
        case 1: matmul_rows(1, y, ldy, rows, panel, x, ldx, cols, more); break;
        case 2: matmul_rows(2, y, ldy, rows, panel, x, ldx, cols, more); break;
        case 3: matmul_rows(3, y, ldy, rows, panel, x, ldx, cols, more); break;
#if X_ROWS == 6
        case 4: matmul_rows(4, y, ldy, rows, panel, x, ldx, cols, more); break;
        case 5: matmul_rows(5, y, ldy, rows, panel, x, ldx, cols, more); break;
        case 6: matmul_rows(6, y, ldy, rows, panel, x, ldx, cols, more); break;
#endif
        }
    }
}

/* Rows of w that meet n <= MATMUL_FEW rows of x at once, so that x is loaded once for all of them: their sums fill half the registers or more. */
INLINE size_t few_rows_of(size_t n) { return (LANES == 8 ? 8 : 16) / (n > 4 ? 8 : 4); }

/* `rows` rows of w for n <= MATMUL_FEW rows of x, both constants: y[i][h] = row h times x[i], or that is added to y. One chain of sums for each. */
INLINE void few_rows(enum dtype type, size_t rows, size_t n, float *y, size_t ldy, const uint8_t *w, size_t stride, const float *x, size_t ldx,
                     size_t cols, bool more, const uint8_t *next) {
    vec sum[16], v[4];
    UNROLL for (int i = 0; i < 16; i++) sum[i] = v_set1(0);
    size_t c = 0;
    if (is_block(type)) {
        for (; c < cols; c += BLOCK) {
            vec q[4][BLOCK_VECS], d[4];
            UNROLL for (size_t h = 0; h < rows; h++) {
                const uint8_t *block = w + h * stride + bytes_of(type, c);
                __builtin_prefetch(next + h * stride + bytes_of(type, c), 0, 2);
                d[h] = v_set1(block_scale(block));
                load_block(type, q[h], block);
            }
            UNROLL for (size_t j = 0; j < BLOCK_VECS; j++) {
                UNROLL for (size_t h = 0; h < rows; h++) v[h] = v_mul(d[h], q[h][j]);
                UNROLL for (size_t i = 0; i < n; i++) {
                    vec xv = v_keep(v_load(x + i * ldx + c + j * LANES));
                    UNROLL for (size_t h = 0; h < rows; h++) sum[h * n + i] = v_fma(v[h], xv, sum[h * n + i]);
                }
            }
        }
    } else {
        for (; c + LANES <= cols; c += LANES) {
            UNROLL for (size_t h = 0; h < rows; h++) {
                v[h] = load(type, w + h * stride, c);
                __builtin_prefetch(next + h * stride + bytes_of(type, c), 0, 2);
            }
            UNROLL for (size_t i = 0; i < n; i++) {
                vec xv = v_keep(v_load(x + i * ldx + c));
                UNROLL for (size_t h = 0; h < rows; h++) sum[h * n + i] = v_fma(v[h], xv, sum[h * n + i]);
            }
        }
        if (c < cols) {
            UNROLL for (size_t h = 0; h < rows; h++) v[h] = load_part(type, w + h * stride, c, cols - c);
            UNROLL for (size_t i = 0; i < n; i++) {
                vec xv = v_load_part(x + i * ldx + c, cols - c);
                UNROLL for (size_t h = 0; h < rows; h++) sum[h * n + i] = v_fma(v[h], xv, sum[h * n + i]);
            }
        }
    }
    float total[16];
    UNROLL for (size_t i = 0; i < rows * n; i += 4) v_sum4(total + i, sum[i], sum[i + 1], sum[i + 2], sum[i + 3]);
    UNROLL for (size_t i = 0; i < n; i++)
        UNROLL for (size_t h = 0; h < rows; h++) y[i * ldy + h] = more ? y[i * ldy + h] + total[h * n + i] : total[h * n + i];
}

/* n <= MATMUL_FEW rows of x, n a constant: too few to pay for a panel. Weights come from memory, a few rows after the other. */
INLINE void matmul_few(enum dtype type, size_t n, float *y, size_t ldy, const uint8_t *w, size_t stride, size_t rows, const float *x,
                       size_t ldx, size_t cols) {
    const size_t some = few_rows_of(n), every = rows_of_pages(stride, some);
    for (size_t c = 0; c < cols; c += FEW_COLS) {
        size_t width = cols - c < FEW_COLS ? cols - c : FEW_COLS, r = 0;
        const uint8_t *row = w + bytes_of(type, c);
        for (; r + some <= rows; r += some, row += some * stride) {
            if (c == 0 && r % every == 0) touch_pages(w, stride, r + every, r + 2 * every, rows);
            few_rows(type, some, n, y + r, ldy, row, stride, x + c, ldx, width, c > 0, r + 3 * some <= rows ? row + 2 * some * stride : row);
        }
        for (; r < rows; r++, row += stride) few_rows(type, 1, n, y + r, ldy, row, stride, x + c, ldx, width, c > 0, row);
    }
}

INLINE void matmul_type(enum dtype type, float *y, size_t ldy, const uint8_t *w, size_t stride, size_t rows, const float *x, size_t ldx,
                        size_t n, size_t cols) {
    switch (n) {
    case 1: matmul_few(type, 1, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 2: matmul_few(type, 2, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 3: matmul_few(type, 3, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 4: matmul_few(type, 4, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 5: matmul_few(type, 5, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 6: matmul_few(type, 6, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 7: matmul_few(type, 7, y, ldy, w, stride, rows, x, ldx, cols); return;
    case 8: matmul_few(type, 8, y, ldy, w, stride, rows, x, ldx, cols); return;
    }
    _Alignas(64) float panel[LANES * PANEL_COLS];
    for (size_t c = 0; c < cols; c += PANEL_COLS) {
        size_t width = cols - c < PANEL_COLS ? cols - c : PANEL_COLS;
        for (size_t r = 0; r < rows; r += LANES) {
            size_t height = rows - r < LANES ? rows - r : LANES;
            const uint8_t *at = w + r * stride + bytes_of(type, c), *next = at;
            if (r + LANES < rows)
                next = at + LANES * stride;
            else if (c + PANEL_COLS < cols)
                next = w + bytes_of(type, c + PANEL_COLS);
            pack(type, panel, at, stride, height, width, next);
            matmul_panel(y + r, ldy, height, panel, x + c, ldx, n, width, c > 0);
        }
    }
}

static void matmul(enum dtype type, float *y, size_t ldy, const void *w, size_t stride, size_t rows, const float *x, size_t ldx, size_t n,
                   size_t cols) {
    switch (type) {
    case DTYPE_F16: matmul_type(DTYPE_F16, y, ldy, w, stride, rows, x, ldx, n, cols); break;
    case DTYPE_BF16: matmul_type(DTYPE_BF16, y, ldy, w, stride, rows, x, ldx, n, cols); break;
    case DTYPE_Q8_0: matmul_type(DTYPE_Q8_0, y, ldy, w, stride, rows, x, ldx, n, cols); break;
    case DTYPE_Q4_0: matmul_type(DTYPE_Q4_0, y, ldy, w, stride, rows, x, ldx, n, cols); break;
    default: matmul_type(DTYPE_F32, y, ldy, w, stride, rows, x, ldx, n, cols);
    }
}
