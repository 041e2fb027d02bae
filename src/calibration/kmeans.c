/* See kmeans.h. The points are looked at in two orders: seeding walks over them dimension by
 * dimension, Lloyd's iterations point by point. */
#include "calibration/kmeans.h"

#include <math.h>
#include <string.h>

#include "attention/quantiser.h"
#include "base/rng.h"
#include "base/size.h"

enum { BLOCK = 256 }; /* points whose distances to a seed are summed together */

/* The work memory, cut into its pieces. Seeding needs the first two, Lloyd's iterations the
 * others. */
struct work {
    float *xt;       /* [d][n] the points */
    float *distance; /* [n] squared, to the nearest seed, or to the own centroid */
    uint32_t *code;  /* [n] the cluster of each point */
    float *bias;     /* [k] */
    float *rows;     /* [k][d] the centroids, one after another */
    double *sum;     /* [k][d] of the points of each cluster */
    size_t *count;   /* [k] */
    double *mass;    /* [k] the weights of each cluster */
};

static uint8_t *piece(uint8_t *at, size_t count, size_t size) {
    return at + size_align(count * size, 64);
}

/* Cuts the memory at `at` into the pieces, each aligned to 64 bytes; returns its end. */
static uint8_t *work_layout(struct work *w, uint8_t *at, size_t n, size_t d, size_t k) {
    w->xt = (float *)(void *)at, at = piece(at, n * d, sizeof(float));
    w->distance = (float *)(void *)at, at = piece(at, n, sizeof(float));
    w->code = (uint32_t *)(void *)at, at = piece(at, n, sizeof(uint32_t));
    w->bias = (float *)(void *)at, at = piece(at, k, sizeof(float));
    w->rows = (float *)(void *)at, at = piece(at, k * d, sizeof(float));
    w->sum = (double *)(void *)at, at = piece(at, k * d, sizeof(double));
    w->count = (size_t *)(void *)at, at = piece(at, k, sizeof(size_t));
    w->mass = (double *)(void *)at, at = piece(at, k, sizeof(double));
    return at;
}

size_t kmeans_work_bytes(size_t n, size_t d, size_t k) {
    return size_align(n * d * 4, 64) + 2 * size_align(n * 4, 64) + size_align(k * 4, 64) +
           size_align(k * d * 4, 64) + size_align(k * d * 8, 64) +
           size_align(k * sizeof(size_t), 64) + size_align(k * 8, 64);
}

static double weight_of(const struct kmeans_points *p, size_t i) {
    return p->weight ? (double)p->weight[i] : 1;
}

/* ---- seeding ---- */

/* Lowers each point's distance to that from point `seed`, where that is nearer; the first seed sets
 * all distances. Returns the weighted sum of the distances, which is summed block by block. */
static double nearer(const struct kmeans_points *p, struct work *w, size_t seed, bool first) {
    double total = 0;
    for (size_t begin = 0; begin < p->n; begin += BLOCK) {
        size_t n = p->n - begin < BLOCK ? p->n - begin : BLOCK;
        float d2[BLOCK] = {0}, *old = w->distance + begin;
        for (size_t r = 0; r < p->d; r++) {
            const float *x = w->xt + r * p->n + begin, s = w->xt[r * p->n + seed];
            for (size_t i = 0; i < n; i++) d2[i] += (x[i] - s) * (x[i] - s);
        }
        double sum = 0;
        for (size_t i = 0; i < n; i++) old[i] = first || d2[i] < old[i] ? d2[i] : old[i];
        for (size_t i = 0; i < n; i++) sum += weight_of(p, begin + i) * (double)old[i];
        total += sum;
    }
    return total;
}

/* Returns the point at which the running sum of weighted distances passes `target`. Rounding may
 * keep the sum below it: then the last point that is no seed is taken. */
static size_t pick(const struct kmeans_points *p, const float *distance, double target) {
    size_t at = 0;
    for (size_t i = 0; i < p->n && target >= 0; i++) {
        double share = weight_of(p, i) * (double)distance[i];
        if (share <= 0) continue;
        target -= share;
        at = i;
    }
    return at;
}

size_t kmeans_seed(const struct kmeans_points *p, size_t k, uint64_t seed, uint64_t stream,
                   float *centroids, void *work) {
    struct work w;
    struct rng rng;
    work_layout(&w, work, p->n, p->d, k);
    rng_seed(&rng, seed, stream);
    for (size_t i = 0; i < p->n; i++)
        for (size_t r = 0; r < p->d; r++) w.xt[r * p->n + i] = p->x[i * p->stride + r];

    size_t at = (size_t)rng_below(&rng, p->n), found = 0;
    for (size_t c = 0; c < k; c++) {
        for (size_t r = 0; r < p->d; r++) centroids[r * k + c] = p->x[at * p->stride + r];
        found++;
        double total = nearer(p, &w, at, c == 0);
        if (!(total > 0)) break; /* every point lies on a seed */
        at = pick(p, w.distance, rng_double(&rng) * total);
    }
    for (size_t c = found; c < k; c++)
        for (size_t r = 0; r < p->d; r++) centroids[r * k + c] = centroids[r * k];
    return found;
}

/* ---- Lloyd ---- */

/* Puts each point into the cluster of its nearest centroid, and sums and counts the clusters.
 * Returns the inertia. */
static double assign(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                     const float *centroids, struct work *w) {
    size_t d = p->d;
    double inertia = 0;
    quantiser_bias(centroids, d, k, w->bias);
    for (size_t c = 0; c < k; c++)
        for (size_t r = 0; r < d; r++) w->rows[c * d + r] = centroids[r * k + c];
    memset(w->sum, 0, k * d * sizeof *w->sum);
    memset(w->count, 0, k * sizeof *w->count);
    memset(w->mass, 0, k * sizeof *w->mass);
    kn->nearest(&(struct nearest){.type = DTYPE_F32,
                                  .w = centroids,
                                  .bias = w->bias,
                                  .d = d,
                                  .k = k,
                                  .x = p->x,
                                  .ldx = p->stride,
                                  .n = p->n,
                                  .index = w->code});
    for (size_t i = 0; i < p->n; i++) {
        const float *x = p->x + i * p->stride, *row = w->rows + w->code[i] * d;
        size_t c = w->code[i];
        double *sum = w->sum + c * d, distance = 0, weight = weight_of(p, i);
        for (size_t r = 0; r < d; r++) {
            double gap = (double)x[r] - (double)row[r];
            distance += gap * gap;
            sum[r] += weight * (double)x[r];
        }
        w->count[c]++;
        w->mass[c] += weight;
        w->distance[i] = (float)distance;
        inertia += weight * distance;
    }
    return inertia;
}

double kmeans_inertia(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                      const float *centroids, void *work) {
    struct work w;
    work_layout(&w, work, p->n, p->d, k);
    return assign(kn, p, k, centroids, &w);
}

/* Gives the cluster `empty` the point that is farthest from its centroid, out of a cluster that
 * keeps another point. Returns false where there is none: every point lies on its centroid. */
static bool reseed(const struct kmeans_points *p, struct work *w, size_t empty) {
    size_t far = SIZE_MAX, d = p->d;
    for (size_t i = 0; i < p->n; i++)
        if (w->distance[i] > 0 && weight_of(p, i) > 0 && w->count[w->code[i]] > 1 &&
            (far == SIZE_MAX || w->distance[i] > w->distance[far]))
            far = i;
    if (far == SIZE_MAX) return false;
    size_t old = w->code[far];
    double weight = weight_of(p, far);
    for (size_t r = 0; r < d; r++) {
        double x = weight * (double)p->x[far * p->stride + r];
        w->sum[old * d + r] -= x;
        w->sum[empty * d + r] = x;
    }
    w->count[old]--;
    w->count[empty] = 1;
    w->mass[old] -= weight;
    w->mass[empty] = weight;
    w->code[far] = (uint32_t)empty;
    w->distance[far] = 0;
    return true;
}

struct kmeans_result kmeans_lloyd(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                                  float *centroids, void *work) {
    struct work w;
    struct kmeans_result result = {0};
    work_layout(&w, work, p->n, p->d, k);
    for (bool again = true; again;) {
        double before = result.inertia;
        result.inertia = assign(kn, p, k, centroids, &w);
        result.iterations++;
        bool first = result.iterations == 1, moved = false;
        for (size_t c = 0; c < k && result.inertia > 0; c++)
            if (!w.count[c] && reseed(p, &w, c)) moved = true, result.reseeded++;
        again = result.inertia > 0 &&
                result.iterations < (p->iterations ? p->iterations : KMEANS_ITERATIONS) &&
                (first || moved || before - result.inertia > KMEANS_TOLERANCE * before);
        for (size_t c = 0; c < k && again; c++)
            for (size_t r = 0; r < p->d && w.mass[c] > 0; r++)
                centroids[r * k + c] = (float)(w.sum[c * p->d + r] / w.mass[c]);
    }
    return result;
}

struct kmeans_result kmeans(const struct kernels *kn, const struct kmeans_points *p, size_t k,
                            uint64_t seed, uint64_t stream, float *centroids, void *work) {
    if (kmeans_seed(p, k, seed, stream, centroids, work) < k) return (struct kmeans_result){0};
    return kmeans_lloyd(kn, p, k, centroids, work);
}
