/* Small dense matrices in double, row-major [n][n], for learning codebooks. Sums run in a
 * fixed order. The inverse, which loading needs as well, is in attention/inverse.h. */
#ifndef LOOKAT_CALIBRATION_LINALG_H
#define LOOKAT_CALIBRATION_LINALG_H

#include <stdbool.h>
#include <stddef.h>

/* a = V^T diag(e) V, a symmetric: the rows of v are eigenvectors of length 1, e falls. a is
 * destroyed. Cyclic Jacobi (Golub and Van Loan, Matrix Computations, 8.5). */
void linalg_eigen(size_t n, double *a, double *e, double *v);

/* r = the orthogonal matrix for which trace(r^T a) is largest: U V^T of a = U S V^T (Schoenemann
 * 1966), by one-sided Jacobi (Hestenes 1958). a is destroyed; work is [n][n]. */
void linalg_procrustes(size_t n, double *a, double *r, double *work);

/* c = a b */
void linalg_product(size_t n, const double *a, const double *b, double *c);

#endif
