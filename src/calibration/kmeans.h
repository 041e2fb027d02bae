/* k-means: finds k centroids such that the points lie near to them. It chooses seeds by k-means++
 * (Arthur and Vassilvitskii 2007) and improves them by Lloyd's iterations (Lloyd 1982) until they
 * converge. Points are x[n][d], rows `stride` floats apart. Centroids are [d][k], dimension before
 * centroid, as a codebook holds them. Everything runs on the calling thread, and no function here
 * can fail: the caller gives the memory. */
#ifndef LOOKAT_CALIBRATION_KMEANS_H
#define LOOKAT_CALIBRATION_KMEANS_H

#include "base/err.h"
#include "kernels/kernels.h"

struct kmeans_points {
    const float *x; /* [n][d] finite */
    size_t stride, n, d;
    const float *weight; /* [n] >= 0, not all 0: how often a point counts; NULL: once each */
    size_t iterations;   /* assignments at most; 0: KMEANS_ITERATIONS */
};

struct kmeans_result {
    double inertia; /* the weighted sum of the points' squared distances to their centroids */
    size_t iterations, reseeded; /* assignments made; empty clusters that got a new centroid */
};

/* The last iteration is the one that lowers the inertia by less than this share of it, or the one
 * with this number. */
#define KMEANS_TOLERANCE 1e-4
enum { KMEANS_ITERATIONS = 300 };

/* Returns how many bytes of work memory n points of d dimensions and k centroids need. The memory
 * must be aligned to 64 bytes. */
size_t kmeans_work_bytes(size_t n, size_t d, size_t k);

/* Finds k >= 1 centroids for n >= 1 points. If there are no more than k distinct points, each of
 * them is a centroid, the inertia is 0, and the centroids left over repeat the first. The result
 * depends on the points, k, seed and stream alone. */
struct kmeans_result kmeans(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                            uint64_t seed, uint64_t stream, float *centroids, void *work);

/* The first half of kmeans. Seeds are points: the first is chosen at random, each next one with a
 * probability in proportion to its squared distance from the nearest seed so far. Returns how many
 * seeds were needed: fewer than k if every point is one of them. */
size_t kmeans_seed(const struct kmeans_points *p, size_t k, uint64_t seed, uint64_t stream,
                   float *centroids, void *work);
/* The second half. It moves each centroid to the mean of its cluster, and that of an empty cluster
 * to the point that is farthest from its own centroid, until the inertia hardly falls. The result
 * describes the centroids that are left in place. */
struct kmeans_result kmeans_lloyd(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                                  float *centroids, void *work);

/* Returns the inertia of these centroids, which stay as they are. */
double kmeans_inertia(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                      const float *centroids, void *work);

#endif
