/* Running statistics that can be added up in parts. */
#ifndef LOOKAT_MEASURE_STATS_H
#define LOOKAT_MEASURE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Sums over n samples; {0} is no sample. One sample that is no number makes the mean NaN: it is
 * never left out. The squares are for readers of shares who want the spread inside a window: they
 * say nothing of how far a mean is off, since samples of one window are not independent. */
struct moments {
    uint64_t n;
    double sum, sum2;
};

/* Add one sample, and all samples of another. */
void moments_add(struct moments *m, double x);
void moments_join(struct moments *to, const struct moments *m);

/* Returns the mean; 0 of no samples. */
double moments_mean(const struct moments *m);

/* The mean of samples that come in clusters, and how far it may be off. The tokens, layers and
 * heads of one window say much the same, so that they are no independent samples; windows nearly
 * are. So each window is a cluster, and the error is that of a ratio of two sums over clusters
 * (linearised, as in Cochran, "Sampling Techniques", 6.5): with n_w samples in window w of N, the
 * sum s_w, and the mean m of all, error^2 = N / (N - 1) * sum_w (s_w - m n_w)^2 / (sum_w n_w)^2,
 * which for windows of equal size is the variance of the windows' means divided by N.
 * Clusters are added one by one, and always in the same order, so that a sum over shares has the
 * same bits as one run. {0} is no sample. */
struct estimate {
    uint64_t n, clusters;
    double sum;
    double weight, centre,
        spread; /* sum of n_w^2; the windows' mean by that weight; its weighted squares */
};

/* Adds a cluster of n samples; one without samples is none. */
void estimate_add(struct estimate *e, uint64_t n, double sum);

double estimate_mean(const struct estimate *e); /* 0 of no samples */
/* NAN for fewer than two clusters: one says nothing of how much they differ. */
double estimate_error(const struct estimate *e);

/* Returns the q-quantile (0 <= q <= 1) of x[n], n >= 1, linear between neighbours; NaN where one x
 * is. It puts x into another order. */
double quantile(float *x, size_t n, double q);

#endif
