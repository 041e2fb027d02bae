/* Scoring next-token predictions: log-likelihood of the true token, and divergence from the
 * baseline's distribution. Everything after the logits is computed in float64. */
#ifndef LOOKAT_MEASURE_FORCED_H
#define LOOKAT_MEASURE_FORCED_H

#include "base/arena.h"
#include "base/err.h"
#include "measure/comparison.h"

/* A batch of predictions under way: the baseline's, then each other backend's beside it. */
struct forced {
    size_t vocab;        /* V */
    float *base, *other; /* [rows][V] logits: filled by the caller before the calls below */
    double *p;           /* [rows][V] the baseline's probabilities */
    double *log_sum;     /* [rows] log of the sum of exp(logit), the baseline's */
};

/* Memory for batches of up to `rows` predictions. */
int forced_open(struct forced *f, size_t rows, size_t vocab, struct arena *a, struct err *e);

/* nll[n] = -log p(targets[i]) by logits[n][V]. */
void forced_nll(const float *logits, size_t vocab, const int32_t *targets, size_t n, double *nll);

/* Writes entries at .. at + n - 1 of the chunk's arrays: the baseline's own, from f->base. */
void forced_baseline(struct forced *f, const int32_t *targets, size_t n, size_t at,
                     struct comparison_chunk *chunk);
/* The same for another backend, from f->other; after forced_baseline of the same predictions, which
 * wrote to `baseline`. */
void forced_other(struct forced *f, const int32_t *targets, size_t n, size_t at,
                  const struct comparison_chunk *baseline, struct comparison_chunk *chunk);

#endif
