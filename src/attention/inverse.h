/* The inverse of a small dense matrix. Loading a codebook needs it, because the file holds B and
 * rows are encoded with A = B^-T; the other matrix functions that learning needs are in
 * calibration/linalg.h. */
#ifndef LOOKAT_ATTENTION_INVERSE_H
#define LOOKAT_ATTENTION_INVERSE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes inverse[n][n] = a^-1 of the row-major matrix a[n][n], by elimination with row pivots, the
 * sums in a fixed order. a is destroyed. Returns false where a pivot is 0 or not finite: the
 * inverse is then not usable. */
bool inverse_of(size_t n, double *a, double *inverse);

#endif
