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

/* Bytes of one row, and of the whole matrix. */
size_t matrix_row_bytes(const struct matrix *w);
size_t matrix_bytes(const struct matrix *w);

/* Row r as float32: y[cols]. */
void matrix_row(const struct kernels *k, const struct matrix *w, size_t r, float *y);

/* What becomes of an element v = sum_c w[r][c] x[i][c] + bias[r] while it is in the cache. */
enum matrix_after {
    MATRIX_SET,       /* y[i][r] = v */
    MATRIX_ADD,       /* y[i][r] += v */
    MATRIX_GELU_TANH, /* y[i][r] = gelu(v), as kernels.gelu_tanh */
    MATRIX_GELU_ERF,  /* y[i][r] = gelu(v), as kernels.gelu_erf */
};

/* y[n][rows] from x[n][cols] w^T + bias[rows]. */
struct matrix_product {
    const struct matrix *w;
    const float *bias;  /* [rows]; NULL: none */
    const float *x;     /* [n][cols] */
    float *y;           /* [n][rows]; does not overlap x */
    size_t n, ldx, ldy; /* ldx and ldy: the distances between rows in floats */
    enum matrix_after after;
    void *work; /* NULL, or matrix_work_bytes(k, w, n) bytes, aligned to 64: where weights in blocks
                   may meet many rows in whole numbers */
};

/* 0 where such work is of no use. */
size_t matrix_work_bytes(const struct kernels *k, const struct matrix *w, size_t n);

/* Runs the product, spread over the threads; up to 100 KB of each one's stack. n = 1 streams the
 * weights once through matvec, more rows through matmul, or with work through matmul_blocks: the
 * same to rounding. Any number of threads gives the same bits, and so do other values or numbers of
 * the other rows of x, as long as n stays 1, within 2..4, 5..8, 9..56 or above 56. */
void matrix_apply(const struct kernels *k, const struct matrix_product *p);

#endif
