/* Scoring next-token predictions: log-likelihood of the true token, and divergence from the
 * baseline's distribution. Everything after the logits is computed in float64.
 *
 * A window's tokens go through the model in batches. For each batch the caller
 *   1. asks forced_rows for the rows and for the true tokens of the predictions that are scored,
 *   2. runs the rows, which gives logits[scored][V],
 *   3. scores them: forced_nll for the likelihood alone, or forced_baseline and then forced_other
 *      for each further backend.
 * The forward pass between them is the caller's own: it counts bytes, keeps activations or replaces
 * keys there. */
#ifndef LOOKAT_MEASURE_FORCED_H
#define LOOKAT_MEASURE_FORCED_H

#include "base/arena.h"
#include "base/err.h"
#include "measure/predictions.h"
#include "model/gpt2.h"

/* Which predictions of a window are scored: those made at the positions first, first + every, ...,
 * as far as n - 2. The prediction made at n - 1 is of a token outside the window. */
struct forced_window {
    size_t n;            /* tokens of the window */
    size_t first, every; /* positions; first >= n - 1 scores nothing */
};

/* Returns how many predictions of a whole window are scored. */
size_t forced_scored(const struct forced_window *w);

/* Rows that go through the model at once. */
struct forced_batch {
    struct gpt2_row *rows; /* [n] the caller's room */
    int32_t *targets;      /* [scored] the caller's room: the token that follows each scored row */
    size_t n, scored;
    size_t at; /* number of the batch's first scored prediction among the window's */
};

/* Fills the batch with positions pos .. pos + n - 1 of the window ids[w->n]. b->rows has room for
 * n rows and b->targets for as many tokens as are scored. */
void forced_rows(struct forced_batch *b, const struct forced_window *w, const int32_t *ids,
                 size_t pos, size_t n);

/* A comparison of predictions under way: the baseline's, then each other backend's beside it. */
struct forced {
    size_t vocab;        /* V */
    float *base, *other; /* [rows][V] logits: filled by the caller before the calls below */
    double *p;           /* [rows][V] the baseline's probabilities */
    double *log_sum;     /* [rows] log of the sum of exp(logit), the baseline's */
};

/* Allocates for batches of up to `rows` scored predictions. ERR_FAILED without memory. */
int forced_open(struct forced *f, size_t rows, size_t vocab, struct arena *a, struct err *e);

/* Writes nll[b->scored] = -log p(target) in nats, by logits[b->scored][vocab]. */
void forced_nll(const struct forced_batch *b, const float *logits, size_t vocab, double *nll);

/* Writes entries b->at .. b->at + b->scored - 1 of `out`: the baseline's own, from f->base. */
void forced_baseline(struct forced *f, const struct forced_batch *b, struct predictions *out);
/* The same for another backend, from f->other; after forced_baseline of the same batch, which wrote
 * to `baseline`. */
void forced_other(struct forced *f, const struct forced_batch *b,
                  const struct predictions *baseline, struct predictions *out);

#endif
