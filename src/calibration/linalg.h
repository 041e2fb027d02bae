/* Small dense matrices in double, row-major [n][n], for learning codebooks. Sums run in a
 * fixed order. The inverse, which loading needs as well, is in attention/inverse.h. */
#ifndef LOOKAT_CALIBRATION_LINALG_H
#define LOOKAT_CALIBRATION_LINALG_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the eigenvalues e[n] of the symmetric matrix a[n][n], largest first, and its eigenvectors
 * of length 1 as the rows of v[n][n]: a = V^T diag(e) V. a is destroyed. The method is cyclic
 * Jacobi (Golub and Van Loan, Matrix Computations, 8.5). */
void linalg_eigen(size_t n, double *a, double *e, double *v);

/* Writes r[n][n], the orthogonal matrix for which trace(r^T a) is largest: U V^T, where a = U
 * diag(s) V^T is the singular value decomposition (Schoenemann 1966), found by one-sided Jacobi
 * (Hestenes 1958). a[n][n] is destroyed; work is [n][n]. */
void linalg_procrustes(size_t n, double *a, double *r, double *work);

/* Writes c = a b, all [n][n]; c is another matrix than a and b. */
void linalg_product(size_t n, const double *a, const double *b, double *c);

#endif
