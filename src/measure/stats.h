/* Running statistics that can be added up in parts. */
#ifndef LOOKAT_MEASURE_STATS_H
#define LOOKAT_MEASURE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Sums over n samples; {0} is no sample. From plain sums the spread is good to about 1e-8 of
 * the largest sample: smaller spreads are noise, or 0. One sample that is no number makes the mean
 * and its error NaN: it is never left out. */
struct moments {
    uint64_t n;
    double sum, sum2;
};

void moments_add(struct moments *m, double x);
void moments_join(struct moments *to, const struct moments *m);

double moments_mean(const struct moments *m);
/* Standard error of the mean, sqrt(variance / n) with n - 1 in the variance; 0 for n < 2. */
double moments_error(const struct moments *m);

/* The q-quantile (0..1) of x[n], n >= 1, linear between neighbours; NaN where one x is; x is
 * reordered. */
double quantile(float *x, size_t n, double q);

#endif
