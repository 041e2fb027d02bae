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

/* y[n][rows] = x[n][cols] w^T + bias[rows] (bias NULL: none). ldy and ldx are the distances between rows in floats. n = 1 streams
 * the weights once through matvec; n > 1 widens tiles of them to float32 and multiplies those. Both give the same result to
 * rounding, and each gives the same bits for any number of threads. */
void matrix_apply(const struct kernels *k, const struct matrix *w, const float *bias, const float *x, size_t ldx, size_t n, float *y,
                  size_t ldy);

#endif
