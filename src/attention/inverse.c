/* Gauss-Jordan elimination with row pivots. */
#include "attention/inverse.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void swap_rows(size_t n, double *a, size_t p, size_t q) {
    for (size_t j = 0; j < n; j++) {
        double t = a[p * n + j];
        a[p * n + j] = a[q * n + j];
        a[q * n + j] = t;
    }
}

bool inverse_of(size_t n, double *a, double *inverse) {
    memset(inverse, 0, n * n * sizeof *inverse);
    for (size_t i = 0; i < n; i++) inverse[i * n + i] = 1;
    for (size_t p = 0; p < n; p++) {
        size_t best = p;
        for (size_t i = p + 1; i < n; i++)
            if (fabs(a[i * n + p]) > fabs(a[best * n + p])) best = i;
        double d = 1 / a[best * n + p];
        if (!(fabs(d) <= DBL_MAX)) return false;
        swap_rows(n, a, p, best);
        swap_rows(n, inverse, p, best);
        for (size_t j = 0; j < n; j++) a[p * n + j] *= d, inverse[p * n + j] *= d;
        for (size_t i = 0; i < n; i++) {
            double f = a[i * n + p];
            if (i == p || f == 0) continue;
            for (size_t j = 0; j < n; j++)
                a[i * n + j] -= f * a[p * n + j], inverse[i * n + j] -= f * inverse[p * n + j];
        }
    }
    return true;
}
