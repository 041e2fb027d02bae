/* Learning codebooks from a sample of a model's keys. */
#ifndef LOOKAT_CALIBRATION_LEARN_H
#define LOOKAT_CALIBRATION_LEARN_H

#include "attention/book.h"
#include "calibration/quantiser_learn.h"
#include "kernels/kernels.h"

struct key_sample {
    size_t n_layer, n_head, head_dim; /* L, H, D */
    size_t n;                         /* keys of each head */
    uint16_t *keys;                   /* [L][H][n][D] f16, finite */
    float *weights;   /* [L][H][n] how much each one's score matters: key_importance; or NULL, where
                         nothing learned is wanted */
    double *queries;  /* [L][H][D][D] mean of q q^T over the queries of the head; or NULL */
    uint16_t *values; /* as keys, of the same tokens; or NULL where no values are to be learned */
    float *value_weights; /* [L][H][n] sum of p^2 over the queries that see each one; with values */
    double
        *outputs; /* [L][H][D][D] W^T W, W what the model makes of the head's output; with values */
};

/* A key's share in the learning, of the sum S over the queries of p (1 - p), p the probability of
 * the key, and the mean of S over the head's keys: sqrt(S / mean) + 1/10. 0 stays 0: of keys that
 * no query sees but in its exact window. */
float key_share(double importance, double mean);

/* The metric of a head adds this share of its mean eigenvalue to every one. */
#define METRIC_FLOOR 0.01

/* How well a codebook stands for the keys it was learned from. */
struct learn_error {
    double squared;  /* sum over a layer's keys of the squared distance to what their codes stand
                        for; learned: in the metric, weighted */
    double variance; /* sum of the squared distance to the mean key of their head; likewise */
    double keys;     /* that sum, never weighted */
};

/* Fills in book->books[0 .. n - 1], whose m, k, learned and uneven are set, with memory from the
 * book's arena; of an uneven one, heads[i].n is the number of codes of head i, or every head gets
 * as many where heads is NULL. Plain ones: k-means for each layer, head and subspace as a task;
 * learned ones: quantiser_learn, with these of enum learn_parts, for each layer and head, in the
 * metric of its queries or of the output projection; the tasks are spread over the threads; the
 * result depends on the sample and the seed alone. errors is [n][L]. `progress` (NULL: none) is
 * called on the calling thread with done of total, in any unit. ERR_INTERRUPTED after Ctrl-C. */
int book_learn(struct book *book, const struct key_sample *sample, unsigned parts, uint64_t seed,
               const struct kernels *k, struct learn_error *errors,
               void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
               struct err *e);

/* cost[L H][most]: of m = 1 .. most bytes of codes for each head's keys or values, as
 * quantiser_costs has them. k_centroids: 16, two codes a byte, counts as 256. */
int book_costs(double *cost, const struct key_sample *sample, unsigned parts, bool values,
               size_t k_centroids, size_t most, const struct kernels *k, struct err *e);

/* bytes[n_heads], 1 to `most` each and `mean` on average (1 <= mean <= most), that make the sum of
 * damages small: damage[h] is what head h costs the text when it alone has `mean` bytes
 * (calibration/damage.h), with m bytes it is taken to be damage[h] cost[h][m] / cost[h][mean], and
 * every byte in turn goes where it saves most. The cost's falls are convex enough that this is the
 * least sum, or nearly. */
void book_allot(size_t *bytes, const double *damage, const double *cost, size_t n_heads,
                size_t mean, size_t most);

#endif
