/* Learning codebooks from a sample of a model's keys. */
#ifndef LOOKAT_ATTENTION_LEARN_H
#define LOOKAT_ATTENTION_LEARN_H

#include "attention/book.h"
#include "kernels/kernels.h"

struct key_sample {
    size_t n_layer, n_head, head_dim; /* L, H, D */
    size_t n;                         /* keys of each head */
    uint16_t *keys;                   /* [L][H][n][D] f16, finite */
};

/* How well a codebook stands for the keys it was learned from. */
struct learn_error {
    double squared;  /* sum over a layer's keys of the squared distance to what their codes stand for */
    double variance; /* sum of the squared distance to the mean key of their head */
};

/* Fills in the centroids of book->books[0 .. n - 1], whose m and k are set, with memory from the book's arena: k-means for each layer, head and subspace
 * as a task, the tasks spread over the threads; the result depends on the sample and the seed alone. errors is [n][L]. `progress` (NULL: none) is called
 * on the calling thread with done of total, in any unit. ERR_INTERRUPTED after Ctrl-C. */
int book_learn(struct book *book, const struct key_sample *sample, uint64_t seed, const struct kernels *k, struct learn_error *errors,
               void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *e);

#endif
