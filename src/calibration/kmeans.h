/* k-means: k-means++ seeding (Arthur and Vassilvitskii 2007), then Lloyd's iterations (Lloyd 1982)
 * until they converge. Points are x[n][d], rows `stride` floats apart; centroids are [d][k],
 * dimension before centroid, as a codebook holds them. Everything runs on the calling thread. */
#ifndef LOOKAT_CALIBRATION_KMEANS_H
#define LOOKAT_CALIBRATION_KMEANS_H

#include "base/err.h"
#include "kernels/kernels.h"

struct kmeans_points {
    const float *x; /* [n][d] finite */
    size_t stride, n, d;
    const float
        *weight;       /* [n] >= 0, not all 0: a squared distance counts as so many; NULL: 1 each */
    size_t iterations; /* assignments at most; 0: KMEANS_ITERATIONS */
};

struct kmeans_result {
    double inertia; /* sum over the points of the squared distance to their centroid, weighted */
    size_t iterations, reseeded; /* assignments made; empty clusters given a new centroid */
};

/* An iteration that lowers the inertia by less than this share of it is the last; and there are at
 * most so many. */
#define KMEANS_TOLERANCE 1e-4
enum { KMEANS_ITERATIONS = 300 };

/* Bytes of work memory, aligned to 64, that n points of d dimensions and k centroids need. */
size_t kmeans_work_bytes(size_t n, size_t d, size_t k);

/* k >= 1 centroids for n >= 1 points. With k >= the number of distinct points, every distinct point
 * is a centroid, the inertia is 0, and the centroids left over repeat the first. The result depends
 * on the points, k, seed and stream alone. */
struct kmeans_result kmeans(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                            uint64_t seed, uint64_t stream, float *centroids, void *work);

/* The two halves of it. Seeds are points: the first at random, each next one with a probability
 * that grows with its squared distance to the nearest seed so far. Returns how many were needed:
 * fewer than k where every point is one of them. */
size_t kmeans_seed(const struct kmeans_points *p, size_t k, uint64_t seed, uint64_t stream,
                   float *centroids, void *work);
/* Moves centroids to the means of their clusters, an empty cluster's to the point that is farthest
 * from its own centroid, until the inertia hardly falls. The result is of the centroids left in
 * place. */
struct kmeans_result kmeans_lloyd(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                                  float *centroids, void *work);

/* The inertia of these centroids. */
double kmeans_inertia(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                      const float *centroids, void *work);

#endif
