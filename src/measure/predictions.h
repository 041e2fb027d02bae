/* What was found out about the predictions of some tokens: one entry for each scored token. The
 * mode `forced` fills the arrays (forced.h), a chunk of a comparison keeps them (comparison.h), and
 * shares carry them from one machine to another (report/share_fields.c). */
#ifndef LOOKAT_MEASURE_PREDICTIONS_H
#define LOOKAT_MEASURE_PREDICTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* The arrays are NULL where nothing is scored. */
struct predictions {
    size_t n;           /* scored tokens */
    double *nll;        /* [n] -log p(token), in nats */
    float *kld;         /* [n] KL(baseline || this) over the vocabulary, in nats */
    float *dp;          /* [n] p(token) less the baseline's */
    uint8_t *same_top1; /* [n] 1 where the most likely token is the baseline's, else 0;
                           TOP1_UNKNOWN where a logit is no number */
};
enum { TOP1_UNKNOWN = 2 };

/* Allocates arrays of n entries, all 0, in the arena. False without memory. */
bool predictions_alloc(struct predictions *p, size_t n, struct arena *a);

#endif
