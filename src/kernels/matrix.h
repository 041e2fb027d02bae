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
    void *work; /* NULL, or matrix_work_bytes(kn, w, n) bytes, aligned to 64: where weights in
                   blocks may meet many rows in whole numbers */
};

/* Returns the bytes of work for n rows of x; 0 where it is of no use. */
size_t matrix_work_bytes(const struct kernels *kn, const struct matrix *w, size_t n);

/* Runs the product, spread over the threads. It takes up to 100 KB of each one's stack. One row
 * streams the weights once through matvec; more rows go through matmul, or with work through
 * matmul_blocks. The results agree to rounding. Any number of threads gives the same bits. A row's
 * bits do not depend on the values of the other rows of x, nor on their number as long as n stays
 * 1, within 2..4, 5..8, 9..56 or above 56. */
void matrix_apply(const struct kernels *kn, const struct matrix_product *p);

#endif
