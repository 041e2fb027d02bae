#include "measure/stats.h"

#include <math.h>
#include <stdlib.h>

void moments_add(struct moments *m, double x) {
    m->n++;
    m->sum += x;
    m->sum2 += x * x;
}

void moments_join(struct moments *to, const struct moments *m) {
    to->n += m->n;
    to->sum += m->sum;
    to->sum2 += m->sum2;
}

double moments_mean(const struct moments *m) { return m->n ? m->sum / (double)m->n : 0; }

double moments_error(const struct moments *m) {
    double n = (double)m->n;
    if (m->n < 2) return 0;
    double variance = (m->sum2 - m->sum / n * m->sum) / (n - 1);
    return variance <= 0 ? 0 : sqrt(variance / n); /* a NaN stays one */
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double quantile(float *x, size_t n, double q) {
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i])) return NAN; /* it has no place in an order */
    qsort(x, n, sizeof *x, by_size);
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    double part = at - (double)below;
    if (below + 1 >= n || part == 0) return x[below + 1 >= n ? n - 1 : below];
    return x[below] + part * ((double)x[below + 1] - x[below]);
}
