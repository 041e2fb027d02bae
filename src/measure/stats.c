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

/* The weighted squares about a mean that moves, after West (1979): differences, never large squares
 * less others. */
void estimate_add(struct estimate *e, uint64_t n, double sum) {
    if (!n) return;
    double weight = (double)n * (double)n, off = sum / (double)n - e->centre;
    e->n += n;
    e->clusters++;
    e->sum += sum;
    e->spread += weight * off * off * (e->weight / (e->weight + weight));
    e->weight += weight;
    e->centre += off * (weight / e->weight);
}

double estimate_mean(const struct estimate *e) { return e->n ? e->sum / (double)e->n : 0; }

double estimate_error(const struct estimate *e) {
    double clusters = (double)e->clusters, off = estimate_mean(e) - e->centre;
    if (e->clusters < 2) return NAN;
    return sqrt(clusters / (clusters - 1) * (e->spread + e->weight * off * off)) / (double)e->n;
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
