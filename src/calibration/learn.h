/* Learning the codebooks of all heads from a sample of a model's keys and values. One head's
 * learned quantiser is quantiser_learn.h's business; this file spreads the heads over the threads
 * and puts what comes out into a book. It runs no model: key_sampling.h does. */
#ifndef LOOKAT_CALIBRATION_LEARN_H
#define LOOKAT_CALIBRATION_LEARN_H

#include "attention/book.h"
#include "base/progress.h"
#include "calibration/quantiser_learn.h"
#include "kernels/kernels.h"

/* Rows that a model made of texts, the same tokens for every head. */
struct key_sample {
    size_t n_layer, n_head, head_dim; /* L, H, D */
    size_t n;                         /* rows of each head */
    uint16_t *keys;                   /* [L][H][n][D] f16, finite */
    float *weights;   /* [L][H][n] the sum over the queries of p (1 - p), p the probability of each
                         key: how much its score matters; NULL where nothing learned is wanted */
    double *queries;  /* [L][H][D][D] the mean of q q^T over the queries of the head; or NULL */
    uint16_t *values; /* as keys, of the same tokens; NULL where no values are to be learned */
    float *value_weights; /* [L][H][n] the sum of p^2 over the queries that see each value; NULL
                             without values */
    double *outputs;      /* [L][H][D][D] W^T W, where W maps the head's output to the layer's; NULL
                             without values */
};

/* The metric of a head has this share of its mean eigenvalue added to every eigenvalue, so that it
 * has an inverse and no direction is free. */
#define METRIC_FLOOR 0.01

/* How well a codebook stands for the rows that it was learned from. */
struct learn_error {
    double squared; /* the sum over a layer's rows of the squared distance to what their codes stand
                       for; of a learned codebook in the metric, and weighted */
    double variance; /* the sum of the squared distance to their head's mean row; likewise */
    double keys;     /* that sum of the keys in the plain distance, never weighted */
};

/* What codebooks are learned from, and how. */
struct learning {
    const struct key_sample *sample; /* has what the settings need */
    unsigned parts;                  /* of enum learn_parts, for learned settings */
    uint64_t seed;                   /* of k-means++ */
    const struct kernels *kn;
    struct progress progress; /* hears in dimensions x centroids */
};

/* Learns book->books[0 .. n - 1], whose m, k, learned, values and uneven are set, with memory from
 * the book's arena. Of an uneven one, heads[i].n is the number of codes of head i; where heads is
 * NULL every head gets as many. Plain codebooks take k-means for each layer, head and subspace;
 * learned ones take quantiser_learn for each layer and head, keys in the metric of the queries,
 * values in that of the output projection. errors is [n][L]. The result depends on the sample, the
 * parts and the seed alone, not on the threads. ERR_FAILED without memory or for numbers that f16
 * cannot hold; ERR_INTERRUPTED after Ctrl-C. */
int book_learn(struct book *book, const struct learning *l, struct learn_error *errors,
               struct err *e);

/* Writes cost[L H][most]: what m = 1 .. most bytes of codes for each head's keys, or values, leave
 * of them, as quantiser_costs has it. K is the number of centroids; 16, two codes a byte, counts as
 * 256. Errors as book_learn's; progress hears nothing. */
int book_costs(double *cost, const struct learning *l, bool values, size_t K, size_t most,
               struct err *e);

#endif
