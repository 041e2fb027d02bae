/* The arithmetic of the engine, as one table of functions per instruction set. scalar.c is the
 * readable reference; the other sets match it within the bounds stated here. Let u = 2^-24 (the
 * unit roundoff of float32).
 *
 * Every function's result is fixed by its arguments alone: row r of matvec, element (i, r) of
 * matmul and element c of vecmat come out with the same bits whatever other rows are computed in
 * the same call, so cutting work between threads cannot change a result. Up to MATMUL_FEW rows of x
 * are summed in the order of matvec, so a row has the same bits alone and among a few. More rows
 * are summed in another order. Pointers need no alignment beyond their element type's; nothing is
 * read or written outside the stated shapes. */
#ifndef LOOKAT_KERNELS_KERNELS_H
#define LOOKAT_KERNELS_KERNELS_H

#include "base/err.h"
#include "kernels/dtype.h"
#include "kernels/tiles.h"

/* Rows of codes lie in blocks of 64, [blocks][m][64] bytes, so that the codes of one subspace in a
 * block are a vector. With k = 16 two codes share a byte, [blocks][(m + 1)/2][64]: the code of an
 * even subspace is its low 4 bits, that of the next one its high 4. README.md draws both. */
enum { LOOKUP_BLOCK = 64, LOOKUP_MAX_M = 64 };
/* Returns the bytes of a row of m codes. */
static inline size_t lookup_row_bytes(size_t m, size_t k) { return k == 16 ? (m + 1) / 2 : m; }

/* The scale of tables whose entries are whole numbers: entry e of table j stands for low_j + step
 * e. low is the sum of the m low_j. */
struct lookup_scale {
    float low, step;
};

/* Up to MATMUL_FEW rows of x matmul has the order of sums of matvec. Up to MATMUL_SOME rows are cut
 * into groups of MATMUL_FEW where a set says that this is faster (few_at_a_time). */
enum { MATMUL_FEW = 8, MATMUL_SOME = 56 };

/* Rows that lie anywhere among others: row i is at rows + at[i] stride, and has dim numbers of type
 * F16, or dim / 32 blocks of type Q8_0 or Q4_0. */
struct picked_rows {
    enum dtype type;
    const void *rows;
    size_t stride, dim; /* bytes from a row to the next; numbers of a row */
    const uint32_t *at; /* [n] */
    size_t n;
};

/* Columns of column_most come in multiples of this. */
enum { PICK_COLUMNS = 64 };

/* What matmul and matmul_blocks work on: y[i][r] = sum_c w[r][c] x[i][c] for i < n, r < rows. */
struct matmul {
    enum dtype type; /* of the weights */
    const void *w;   /* [rows][cols], rows `stride` bytes apart */
    size_t stride, rows, cols;
    const float *x;   /* matmul: [n][cols], rows ldx floats apart */
    const void *acts; /* matmul_blocks: n acts of act_bytes(type, cols) bytes, without gaps */
    size_t ldx, n;
    float *y; /* [n][rows], rows ldy floats apart; does not overlap the others */
    size_t ldy;
};

/* y[r][c] = keep[r] y[r][c] + sum_k a[r a_row + k a_step] b[k][c] for r < rows, k < depth, c <
 * cols: a matrix product whose left side may lie in rows or in columns. */
struct strided_product {
    size_t rows, depth, cols;
    float *y;          /* [rows][cols], rows ldy floats apart */
    const float *keep; /* [rows]; NULL: all 0, and y is not read */
    const float *a;
    const float *b; /* [depth][cols], rows ldb floats apart */
    size_t ldy, a_row, a_step, ldb;
};

/* Sets index[i] to the c < k for which bias[c] + sum_r x[i][r] w[r][c] is largest, the lowest of
 * equals.
 */
struct nearest {
    enum dtype type;   /* of w: f32 or f16 */
    const void *w;     /* [d][k], without gaps; k >= 1 */
    const float *bias; /* [k] */
    size_t d, k;
    const float *x; /* [n][d], rows ldx floats apart */
    size_t ldx, n;
    uint32_t *index; /* [n] */
};

/* What a softmax was divided by: exp(most) sum. */
struct softmax_total {
    float most, sum;
};

/* Buckets of a byte of codes, and how many copies of them bucket_add fills. */
enum { BUCKETS = 256 };
static inline size_t bucket_copies(size_t bytes) { return bytes <= 8 ? 2 : 1; }

/* Tables of values whose codes have 4 bits, two to a byte. Sum s is over numbers that two codes of
 * a row make together: entries[s][0] of the low half of byte[s], plus entries[s][1] of the high
 * half. Two entries never add up to more than 127, or less than -127. */
struct pair_tables {
    size_t n;              /* of sums */
    size_t bytes;          /* of a row of codes */
    const uint8_t *byte;   /* [n] below `bytes`; sums of the same byte stand together */
    const int8_t *entries; /* [n][2][16] */
};
enum { PAIR_ONE = 1 << 23 }; /* the whole number that a probability of 1 becomes */

/* Returns the bytes of m tables of k entries of 8 or 16 bits, as every set lays them out. */
static inline size_t lookup_entry_bytes(size_t m, size_t k, size_t bits) {
    return m * (k < 64 ? 64 : k) * bits / 8;
}

struct kernels {
    const char *name;        /* "scalar", "plain", "avx2", "avx512", "neon" */
    bool (*supported)(void); /* does this CPU have the instructions? */
    bool by_name_only;       /* never chosen by itself: the set is there to be read and tested */

    /* Sets y[n] to the numbers stored at w as `type`, exactly. n is a multiple of the block. */
    void (*to_f32)(enum dtype type, float *y, const void *w, size_t n);

    /* Sets y[n] to x[n] rounded to f16, to nearest, ties to even, as f32_to_f16 does. */
    void (*to_f16)(uint16_t *y, const float *x, size_t n);

    /* y[r] = sum_c w[r][c] x[c] for r < rows: w is [rows][cols] of type F32, F16 or BF16, its rows
     * `stride` bytes apart. |error| <= (min(cols, 384)/4 + cols/384 + 6) u sum_c |w x|, against the
     * exact sum over the stored numbers. */
    void (*matvec)(enum dtype type, float *y, const void *w, size_t stride, size_t rows,
                   const float *x, size_t cols);

    /* Products with weights of the types of dtype_wholes, in whole numbers. act_from_f32 turns a
     * row x[cols] of activations into whole numbers of 16 bits and a scale for each block of the
     * type, 32 or 256 numbers, once for all rows of w and threads. That form takes act_bytes bytes,
     * a multiple of 64, is aligned to 64, is private to the set and the type, and goes to
     * matmul_blocks: n of them are m->acts, which take the place of m->x. With `most` the largest
     * |x| of an element's own block, |error| <= (cols/8 + 16) u sum_c |w x| + sum_c |w| (most /
     * 64000 + 1e-30); where w is a difference, as in Q4_K and Q5_K (super_blocks.inc), its |w|
     * there is the sum of both sizes. An infinity or NaN in x gives NaN. */
    size_t (*act_bytes)(enum dtype type, size_t cols);
    void (*act_from_f32)(enum dtype type, void *act, const float *x, size_t cols);
    void (*matmul_blocks)(const struct matmul *m);
    /* Returns up to how many rows of activations matmul_blocks is faster than matmul: MATMUL_FEW or
     * more. */
    size_t (*blocks_most)(enum dtype type);
    /* Returns up to how many rows of activations each row of y has the bits that it has alone:
     * MATMUL_FEW or more. More rows have another order of sums, one for any number of them. */
    size_t (*blocks_alike)(enum dtype type);

    /* y[c] += sum_r a[r] w[r][c]: w of any type, its rows `stride` bytes apart. |error| <= (rows +
     * 2) u (|y| + sum_r |a w|). */
    void (*vecmat)(enum dtype type, float *y, const void *w, size_t stride, size_t rows,
                   const float *a, size_t cols);

    /* Fills m->y, with weights of any type. Up to MATMUL_FEW rows of x have the bits that matvec
     * gives them. More are summed in another order. The error is that of matvec. */
    void (*matmul)(const struct matmul *m);

    /* Up to so many rows of x matmul is faster for MATMUL_FEW of them at a time than for all at
     * once, if weights are not in blocks. 0: always for all at once. */
    size_t few_at_a_time;

    /* y[n] = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance (Ba, Kiros, Hinton
     * 2016). y may be x. */
    void (*layernorm)(float *y, const float *x, const float *weight, const float *bias, size_t n,
                      float eps);

    /* x[n] = gelu(x), in place: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel
     * 2016). |error| <= 4e-7 (1 + |x|). */
    void (*gelu_tanh)(float *x, size_t n);

    /* x[n] = x/2 (1 + erf(x / sqrt 2)), in place. |error| <= 4e-7 (1 + |x|). */
    void (*gelu_erf)(float *x, size_t n);

    /* x[n] = x / (1 + exp(-x)), in place. |error| <= 4e-7 (1 + |x|). */
    void (*silu)(float *x, size_t n);

    /* x[n] = exp(z - most) / sum with z = times x, rounded to float32, in place; n >= 1. Returns
     * most, the largest z, and sum, that of exp(z - most). Relative error of each <= 2e-6 + n u
     * where the result is a normal number. */
    struct softmax_total (*softmax)(float *x, size_t n, float times);

    /* `blocks` are blocks of tiles (tiles.h), one after another. Row x_i has D = 32 t->n numbers,
     * as stored: a scale times what the codes stand for. Sums of products of codes and whole
     * factors are exact, so they are equal in every set. They are rounded once or twice, and then
     * multiplied by scales and added up in float32.
     *
     * scores[i] = q . x_i, i < n, t->keys. Where n is no multiple of 32, scores up to the next one
     * are written, and mean nothing. |error| <= 1.001 sum over tiles of (max |q_d| / 65278) sum_d
     * |x_id|, q and x of the tile, + (t->n + 8) u sum_d |q_d x_id|; with levels + sum_d |q_d| times
     * the row's scale times unit / 2 more. Once q is whole, each of the codes' products is exact.
     */
    void (*tile_scores)(const struct tiles *t, float *scores, const uint8_t *blocks, size_t n,
                        const struct tile_query *q);

    /* out[D] += sum_i p[i] x_i, i < n, not t->keys. p up to the next multiple of 32 is read, and
     * rows up to there, but they change nothing. With w_i = p_i times row i's scale for that
     * dimension, and most the largest |w_i| of its block of 32 rows, |error| of out_d <= 1.001 sum
     * over blocks of (most / 65278) sum_i |what the code stands for| + (n / 32 + 8) u (|out_d| +
     * sum_i |p_i x_id|); with levels + sum_i |w_i| unit / 2 more. Where most < 2^-100 the block
     * adds nothing. A w that is no number or infinite makes out_d NaN. */
    void (*tile_mix)(const struct tiles *t, float *out, const uint8_t *blocks, const float *p,
                     size_t n);

    /* ---- attention. w is the rows of one head, [n][dim] of f32 or f16 without gaps, which mostly
     * come from memory ---- */

    /* y[i] = sum_c w[i][c] x[c]. The error is that of matvec. */
    void (*row_dots)(enum dtype type, float *y, const void *w, size_t n, const float *x,
                     size_t dim);

    /* y[c] += sum_i a[i] w[i][c]. The order of the sum is fixed by n. The error is that of vecmat.
     */
    void (*row_sum)(enum dtype type, float *y, const void *w, size_t n, const float *a, size_t dim);

    /* Fills p->y. |error| <= (depth + 2) u (|keep y| + sum_k |a b|). */
    void (*strided_product)(const struct strided_product *p);

    /* A step of a running softmax down the columns of s[rows][cols], without gaps, cols a multiple
     * of 16 (Milakov and Gimelshein 2018). most, sum and keep are [cols]. With m the larger of most
     * and the column's largest: s = exp(s - m), keep = exp(most - m), sum = keep sum + the column's
     * new sum, most = m. most is -infinity, sum 0 before the first step; numbers of s may be
     * -infinity, but not a whole column in that step. Relative error of each exp(x) <= 1e-6 + |x|
     * u, and 0 where it is below the normal numbers. */
    void (*running_softmax)(float *s, size_t rows, size_t cols, float *most, float *sum,
                            float *keep);

    /* ---- large numbers among many; x has no NaN, or the results mean nothing ---- */

    /* Returns how many of x[n] are at least `bound`. find_at_least writes their places to index, in
     * order, and returns the same number; index has room for n. */
    size_t (*count_at_least)(const float *x, size_t n, float bound);
    size_t (*find_at_least)(uint32_t *index, const float *x, size_t n, float bound);

    /* Sets most[c] to the largest of x[c], x[c + cols], x[c + 2 cols] ... below x[n]. cols is a
     * multiple of PICK_COLUMNS, and at most n. */
    void (*column_most)(float *most, const float *x, size_t n, size_t cols);

    /* y[i] = row i . x[dim] for i < n. |error| <= (dim + 4) u sum_c |w x|, against the exact sum
     * over the stored numbers. */
    void (*picked_dots)(float *y, const struct picked_rows *p, const float *x);

    /* y[dim] += sum_i a[i] row i. |error| <= (n + 3) u (|y| + sum_i |a w|). */
    void (*picked_sum)(float *y, const struct picked_rows *p, const float *a);

    /* ---- product-quantised rows: m <= LOOKUP_MAX_M codes a row, each below k <= 256, a power of
     * two ---- */

    /* Fills p->index. The sums are vecmat's, with its bits. NaN is never the largest; where there
     * is nothing else the index is 0. */
    void (*nearest)(const struct nearest *p);

    /* table[j][c] = sum_r x[j][r] w[j][r][c] for j < m, r < d, c < k, any k: the lookup tables of a
     * query x[m][d] from centroids w[m][d][k], f16. |error| <= (d + 2) u sum_r |x w|. */
    void (*lookup_tables)(float *table, const uint16_t *w, const float *x, size_t m, size_t d,
                          size_t k);

    /* score[i] = sum_j table[j][code_ij], added in the order of j from 0: the same bits in every
     * set. table is [m][k]; codes (LOOKUP_BLOCK), and room in score, are for n rounded up to whole
     * blocks, and all those codes are below k. */
    void (*lookup)(float *score, const float *table, size_t m, size_t k, const uint8_t *codes,
                   size_t n);

    /* Rounds finite tables [m][k] to entries of 8 or 16 bits. low_j is the least entry of table j,
     * and step the widest table's (most - least) / (2^bits - 1). `entries` has lookup_entry_bytes
     * bytes, laid out as this set's lookup_rounded reads them. */
    void (*lookup_round)(struct lookup_scale *s, void *entries, const float *table, size_t m,
                         size_t k, size_t bits);

    /* score[i] = low + step sum_j entry[j][code_ij], as lookup, with the sum in whole numbers: for
     * equal tables the same bits in every set. |score - sum_j table[j][code_ij]| <= m step (1/2 +
     * 2^-6) + (m + 8) u sum_j max_c |table[j][c]|. */
    void (*lookup_rounded)(float *score, const void *entries, const struct lookup_scale *s,
                           size_t m, size_t k, size_t bits, const uint8_t *codes, size_t n);

    /* Adds probabilities to the buckets of their codes: bucket[i % copies][j][code_ij] += p[i]
     * 2^30, to the nearest whole number, for rows i < n and bytes j < bytes of their codes, in
     * blocks as above. bucket is [copies][bytes][BUCKETS] with copies = bucket_copies(bytes): with
     * two copies additions to one place, which wait for each other, lie further apart. Returns
     * false where some p is not a number of 0 .. 1, and then the sums are of no use. The same in
     * every set. */
    bool (*bucket_add)(uint32_t *bucket, const uint8_t *codes, const float *p, size_t bytes,
                       size_t n);

    /* sum[m][k] = the buckets of each of m codes of a byte each, over all copies. */
    void (*bucket_sums)(uint32_t *sum, const uint32_t *bucket, size_t m, size_t k);

    /* y[r] = unit sum_c sum[c] w[r][c] for r < d and c < k, where k is a power of two, w f16 and
     * sum[c] < 2^31.
     * |error| <= (k/8 + 18) u unit sum_c sum[c] |w|. */
    void (*bucket_product)(float *y, const uint32_t *sum, float unit, const uint16_t *w, size_t d,
                           size_t k);

    /* Sums of values, looked up a number at a time for many rows, in whole numbers: with q_i = p[i]
     * PAIR_ONE, rounded to nearest,
     *     sum[s] += sum_i q_i (entries[s][0][low half] + entries[s][1][high half of byte[s] of row
     * i]) and *all += sum_i q_i, for rows i < n of codes in blocks as above. Sums are modulo 2^32.
     * As long as the p of all calls add up to 1, they stay within (2^23 + n/2) 127, below 2^31.
     * Returns false where some p is not a number of 0 .. 1, and then the sums are of no use. The
     * same in every set. Only the rounding of p makes an error, 2^-24 times the entries' sum a row.
     */
    bool (*pair_sums)(int32_t *sum, uint32_t *all, const struct pair_tables *t,
                      const uint8_t *codes, const float *p, size_t n);

    /* The two limits of the machine as this set's instructions reach them, for measure/limits.h to
     * time. Their values only keep the compiler from leaving the work out. multiply_add takes
     * `rounds` steps of x = x/2 + 1 on chains that do not wait for each other and never leave the
     * registers, with fma_flops floating-point operations a round, and returns the sum of the
     * chains' ends. read_sum returns the sum of x[n] in no stated order; it reads x once, in two
     * streams side by side, or in twelve with `many`. */
    size_t fma_flops;
    float (*multiply_add)(size_t rounds);
    float (*read_sum)(const float *x, size_t n, bool many);
};

/* Sets *kn to the set called `name`, or for NULL to the fastest one that this CPU supports, of
 * those that are not by_name_only. ERR_USAGE, naming the sets there are, where there is no such
 * set, or where the CPU cannot run it. */
int kernels_get(const struct kernels **kn, const char *name, struct err *e);

/* Returns set number `index` of those compiled in, scalar first, and NULL past the last. */
const struct kernels *kernels_at(size_t index);

#endif
