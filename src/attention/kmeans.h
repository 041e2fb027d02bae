/* k-means: k-means++ seeding (Arthur and Vassilvitskii 2007), then Lloyd's iterations until they converge. */
#ifndef LOOKAT_ATTENTION_KMEANS_H
#define LOOKAT_ATTENTION_KMEANS_H

#include "base/err.h"
#include "kernels/kernels.h"

struct kmeans_result {
    double inertia;   /* sum over the points of the squared distance to their centroid */
    size_t iterations, reseeded; /* Lloyd iterations run, empty clusters given a new centroid */
};

/* Bytes of work memory that n points of d dimensions and k centroids need. */
size_t kmeans_work_bytes(size_t n, size_t d, size_t k);

/* centroids[k][d] for points x[n][d] (rows `stride` floats apart), n >= 1. With k >= the number of distinct points, every distinct point is a centroid and
 * the inertia is 0; the centroids left over repeat the first. The result depends on the seed only, not on threads: it runs on the calling thread. */
struct kmeans_result kmeans(const struct kernels *kn, const float *x, size_t stride, size_t n, size_t d, size_t k, uint64_t seed,
                            float *centroids, void *work);

#endif
