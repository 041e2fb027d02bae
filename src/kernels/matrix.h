/* Weight matrices, and their product with rows of activations spread over the threads. */
#ifndef LOOKAT_KERNELS_MATRIX_H
#define LOOKAT_KERNELS_MATRIX_H

#include "kernels/kernels.h"

/* A stored matrix [rows][cols], row-major, rows without gaps: for a linear layer [out][in]. */
struct matrix {
    const void *data; /* aligned to 4 bytes for f32, to 2 bytes for the others */
    enum dtype type;
    size_t rows, cols;
};

/* Return the bytes of one row, and of the whole matrix. */
size_t matrix_row_bytes(const struct matrix *w);
size_t matrix_bytes(const struct matrix *w);

/* Writes row r as float32 to y[cols]. */
void matrix_row(const struct kernels *kn, const struct matrix *w, size_t r, float *y);

/* What becomes of an element v = sum_c w[r][c] x[i][c] + bias[r] while it is in the cache. */
enum matrix_after {
    MATRIX_SET,       /* y[i][r] = v */
    MATRIX_ADD,       /* y[i][r] += v */
    MATRIX_GELU_TANH, /* y[i][r] = gelu(v), as kernels.gelu_tanh */
    MATRIX_GELU_ERF,  /* y[i][r] = gelu(v), as kernels.gelu_erf */
    MATRIX_RELU,      /* y[i][r] = max(v, 0); NaN stays NaN */
    MATRIX_SILU,      /* y[i][r] = v / (1 + exp(-v)), as kernels.silu */
};

/* y[n][rows] from x[n][cols] w^T + bias[rows]. */
struct matrix_product {
    const struct matrix *w;
    const float *bias;  /* [rows]; NULL: none */
    const float *x;     /* [n][cols] */
    float *y;           /* [n][rows]; does not overlap x */
    size_t n, ldx, ldy; /* ldx and ldy: the distances between rows in floats */
    enum matrix_after after;
    void *work; /* matrix_work_bytes(kn, w, n) bytes, aligned to 64, where rows of x become whole
                   numbers. NULL: weights in blocks meet several rows as float32 numbers */
    bool invariant; /* a row has the same bits for any n, as it has for 1 to MATMUL_FEW */
};

/* Returns the bytes of work for up to n rows of x; 0 where it is of no use. */
size_t matrix_work_bytes(const struct kernels *kn, const struct matrix *w, size_t n);

/* Runs the product, spread over the threads. It takes up to 100 KB of each one's stack. Any number
 * of threads gives the same bits. So does any number of rows of x up to MATMUL_FEW, given work: a
 * row of y is the same alone and among a few others, whatever they are. More rows are summed in
 * other orders, one for 9 to 56 of them and one for more, and agree to rounding; with `invariant`
 * they too are summed in the order of one. */
void matrix_apply(const struct kernels *kn, const struct matrix_product *p);

#endif
