/* Jacobi's methods (see linalg.h): they turn two directions at a time until all are orthogonal.
 * They are slower than others for large matrices, and very exact and short for ours of 64 x 64. */
#include "calibration/linalg.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 60 }; /* over all pairs, at most; about ten are needed */

static void identity(size_t n, double *a) {
    memset(a, 0, n * n * sizeof *a);
    for (size_t i = 0; i < n; i++) a[i * n + i] = 1;
}

struct rotation {
    double c, s;
};

/* Returns the rotation by the smaller of the two angles that make two directions orthogonal. Their
 * squares are a and b, their product is g. */
static struct rotation annul(double a, double b, double g) {
    double z = (b - a) / (2 * g), t = (z >= 0 ? 1 : -1) / (fabs(z) + sqrt(z * z + 1)),
           c = 1 / sqrt(t * t + 1);
    return (struct rotation){c, t * c};
}

static void rotate_pair(struct rotation r, double *x, double *y, size_t n, size_t step) {
    for (size_t i = 0; i < n; i++) {
        double u = x[i * step], w = y[i * step];
        x[i * step] = r.c * u - r.s * w;
        y[i * step] = r.s * u + r.c * w;
    }
}

static double dot(const double *x, const double *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void sort_falling(size_t n, double *e, double *v) {
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < n; j++)
            if (e[j] > e[best]) best = j;
        double t = e[i];
        e[i] = e[best];
        e[best] = t;
        for (size_t r = 0; best != i && r < n; r++) {
            t = v[i * n + r];
            v[i * n + r] = v[best * n + r];
            v[best * n + r] = t;
        }
    }
}

void linalg_eigen(size_t n, double *a, double *e, double *v) {
    double norm = dot(a, a, n * n);
    identity(n, v);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (size_t p = 0; p < n; p++) off += dot(a + p * n + p + 1, a + p * n + p + 1, n - p - 1);
        if (off <= 1e-28 * norm) break;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                if (a[p * n + q] == 0) continue;
                struct rotation r = annul(a[p * n + p], a[q * n + q], a[p * n + q]);
                rotate_pair(r, a + p, a + q, n, n);
                rotate_pair(r, a + p * n, a + q * n, n, 1);
                rotate_pair(r, v + p * n, v + q * n, n, 1);
            }
    }
    for (size_t i = 0; i < n; i++) e[i] = a[i * n + i];
    sort_falling(n, e, v);
}

/* Scales row `k` of u to length 1. A row without length becomes a direction that is orthogonal to
 * all rows that have a length. */
static void unit_row(size_t n, double *u, size_t k) {
    double *x = u + k * n, length = sqrt(dot(x, x, n));
    for (size_t trial = 0; length <= 1e-12 && trial < n; trial++) {
        for (size_t i = 0; i < n; i++) x[i] = i == trial;
        for (int twice = 0; twice < 2; twice++)
            for (size_t j = 0; j < n; j++) {
                double square = dot(u + j * n, u + j * n, n), share;
                if (j == k || square <= 1e-24) continue;
                share = dot(u + j * n, x, n) / square;
                for (size_t i = 0; i < n; i++) x[i] -= share * u[j * n + i];
            }
        length = sqrt(dot(x, x, n));
        if (length < 0.5 / sqrt((double)n)) length = 0;
    }
    for (size_t i = 0; i < n; i++) x[i] /= length;
}

void linalg_procrustes(size_t n, double *a, double *r, double *v) {
    double norm = sqrt(dot(a, a, n * n));
    bool again = norm > 0;
    for (size_t i = 0; i < n * n && norm > 0; i++) a[i] /= norm;
    identity(n, v);
    for (int sweep = 0; sweep < SWEEPS && again; sweep++) {
        /* The rows of J a become orthogonal: J a = diag(s) V^T, so a = J^T diag(s) V^T. */
        again = false;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                double *x = a + p * n, *y = a + q * n, xx = dot(x, x, n), yy = dot(y, y, n),
                       xy = dot(x, y, n);
                if (fabs(xy) <= 1e-13 * sqrt(xx * yy) || fabs(xy) <= 1e-30) continue;
                struct rotation turn = annul(xx, yy, xy);
                again = true;
                rotate_pair(turn, x, y, n, 1);
                rotate_pair(turn, v + p * n, v + q * n, n, 1);
            }
    }
    for (size_t k = 0; k < n; k++) unit_row(n, a, k);
    for (size_t i = 0; i < n * n; i++) r[i] = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) r[i * n + j] += v[k * n + i] * a[k * n + j];
}

void linalg_product(size_t n, const double *a, const double *b, double *c) {
    memset(c, 0, n * n * sizeof *c);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
}
