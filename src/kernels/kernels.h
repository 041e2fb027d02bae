/* The arithmetic of the engine, as one table of functions per instruction set. scalar.c is the readable reference; the other sets
 * match it within the bounds stated here. Let u = 2^-24 (the unit roundoff of float32).
 *
 * Every function's result is fixed by its arguments alone: row r of matvec, element (i, r) of matmul and element c of vecmat come out
 * with the same bits whatever other rows are computed in the same call, so cutting work between threads cannot change a result.
 * Pointers need no alignment beyond their element type's; nothing is read or written outside the stated shapes. */
#ifndef LOOKAT_KERNELS_KERNELS_H
#define LOOKAT_KERNELS_KERNELS_H

#include "base/err.h"
#include "kernels/dtype.h"

/* Rows of codes lie in blocks of 64: [blocks][m][64] bytes, so that a block's codes of one subspace are a vector. */
enum { LOOKUP_BLOCK = 64, LOOKUP_MAX_M = 32 };

/* Tables rounded to whole numbers: entry c of table j stands for low_j + step q. low is the sum of the m low_j. */
struct lookup_scale {
    float low, step;
};

/* Bytes of such tables. */
static inline size_t lookup_entry_bytes(size_t m, size_t k, size_t bits) { return m * (k < 64 ? 64 : k) * bits / 8; }

struct kernels {
    const char *name;         /* "scalar", "avx2", "avx512", "neon" */
    bool (*supported)(void);  /* does this CPU have the instructions? */

    /* y[n] = the numbers stored at w as type; exact. n a multiple of the block. */
    void (*to_f32)(enum dtype type, float *y, const void *w, size_t n);

    /* y[n] = x[n] to nearest-even f16, as f32_to_f16. */
    void (*to_f16)(uint16_t *y, const float *x, size_t n);

    /* y[r] = sum_c w[r][c] x[c] for r < rows: w is [rows][cols] of type, its rows `stride` bytes apart. cols a multiple of the block.
     * |error| <= (cols/8 + 16) u sum_c |w x|, against the exact sum over the stored numbers. */
    void (*matvec)(enum dtype type, float *y, const void *w, size_t stride, size_t rows, const float *x, size_t cols);

    /* y[c] += sum_r a[r] w[r][c]: w as for matvec. |error| <= (rows + 2) u (|y| + sum_r |a w|). */
    void (*vecmat)(enum dtype type, float *y, const void *w, size_t stride, size_t rows, const float *a, size_t cols);

    /* y[i][r] += sum_c w[r][c] x[i][c] for i < n, r < rows: all float32; ldy, ldw, ldx are the distances between rows in floats.
     * Error as for matvec, plus one rounding of the addition to y. */
    void (*matmul)(float *y, size_t ldy, const float *w, size_t ldw, size_t rows, const float *x, size_t ldx, size_t n, size_t cols);

    /* y[n] = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance (Ba, Kiros, Hinton 2016). y may be x. */
    void (*layernorm)(float *y, const float *x, const float *weight, const float *bias, size_t n, float eps);

    /* x[n] = gelu(x), in place: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks and Gimpel 2016).
     * |error| <= 4e-7 (1 + |x|). */
    void (*gelu_tanh)(float *x, size_t n);

    /* x[n] = x/2 (1 + erf(x / sqrt 2)), in place. |error| <= 4e-7 (1 + |x|). */
    void (*gelu_erf)(float *x, size_t n);

    /* x[n] = exp(x - max x) / sum, in place; n >= 1. Relative error of each <= 2e-6 + n u where the result is a normal number. */
    void (*softmax)(float *x, size_t n);

    /* ---- product-quantised rows: m <= LOOKUP_MAX_M codes a row, each below k <= 256, a power of two ---- */

    /* index[i] = the c < k for which bias[c] + sum_r x[i][r] w[r][c] is largest, the lowest of equals, for i < n: w is [d][k] of type f32 or f16, any k >= 1, rows
     * of x ldx floats apart. The sums are vecmat's, with its bits; NaN is never largest; 0 where there is nothing else. */
    void (*nearest)(enum dtype type, uint32_t *index, const void *w, const float *bias, size_t d, size_t k, const float *x, size_t ldx, size_t n);

    /* score[i] = sum_j table[j][code_ij], added in the order of j from 0: the same bits in every set. table is [m][k]; codes, and room in score, are for n
     * rounded up to whole blocks, and all those codes are below k. */
    void (*lookup)(float *score, const float *table, size_t m, size_t k, const uint8_t *codes, size_t n);

    /* Rounds finite tables [m][k] to entries of 8 or 16 bits: low_j is the least entry of table j, step the widest table's (most - least) / (2^bits - 1).
     * entries: lookup_entry_bytes, laid out as this set's lookup_rounded reads them. */
    void (*lookup_round)(struct lookup_scale *s, void *entries, const float *table, size_t m, size_t k, size_t bits);

    /* score[i] = low + step sum_j q[j][code_ij], as lookup, the sum in whole numbers: for equal tables the same bits in every set.
     * |score - sum_j table[j][code_ij]| <= m step (1/2 + 2^-6) + (m + 8) u sum_j max_c |table[j][c]|. */
    void (*lookup_rounded)(float *score, const void *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes,
                           size_t n);

    /* The two limits of the machine as this set's instructions reach them, for measure/limits.h to time; their values only keep the compiler from
     * leaving the work out.
     * multiply_add: `rounds` steps of x = x/2 + 1 on chains that do not wait for each other and never leave the registers: fma_flops floating-point
     * operations a round. Returns the sum of the chains' ends.
     * read_sum: the sum of x[n], in no stated order, read once in several streams side by side. */
    size_t fma_flops;
    float (*multiply_add)(size_t rounds);
    float (*read_sum)(const float *x, size_t n);
};

/* The set called `name`, or for NULL the fastest one this CPU supports. ERR_USAGE, naming the sets there are, where there is no such
 * set or the CPU lacks it. */
int kernels_get(const struct kernels **k, const char *name, struct err *e);

/* All sets compiled in, scalar first: index 0..; NULL past the last. */
const struct kernels *kernels_at(size_t index);

#endif
