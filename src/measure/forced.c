#include "measure/forced.h"

#include <math.h>

#include "base/threads.h"

int forced_open(struct forced *f, size_t rows, size_t vocab, struct arena *a, struct err *e) {
    *f = (struct forced){.vocab = vocab,
                         .base = arena_alloc(a, rows * vocab, sizeof *f->base),
                         .other = arena_alloc(a, rows * vocab, sizeof *f->other),
                         .p = arena_alloc(a, rows * vocab, sizeof *f->p),
                         .log_sum = arena_alloc(a, rows, sizeof *f->log_sum)};
    if (f->base && f->other && f->p && f->log_sum) return OK;
    return err_set(e, ERR_FAILED, "out of memory for %zu predictions over %zu tokens", rows, vocab);
}

/* The index of the largest logit, the lowest of equals. */
static size_t top1(const float *logits, size_t V) {
    size_t best = 0;
    for (size_t i = 1; i < V; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* log sum exp(logits[V]); p[V] (NULL: not wanted) becomes the probabilities. */
static double log_sum_exp(const float *logits, size_t V, double *p) {
    double most = logits[top1(logits, V)], sum = 0;
    for (size_t i = 0; i < V; i++) {
        double x = exp(logits[i] - most);
        if (p) p[i] = x;
        sum += x;
    }
    for (size_t i = 0; p && i < V; i++) p[i] /= sum;
    return most + log(sum);
}

struct job {
    struct forced *f;
    const float *logits; /* [n][V] */
    size_t vocab, at;
    const int32_t *targets;
    double *nll; /* [n] */
    const struct comparison_chunk *baseline;
    struct comparison_chunk *chunk;
};

static void nll_row(void *ctx, size_t i, int thread) {
    const struct job *j = ctx;
    (void)thread;
    const float *logits = j->logits + i * j->vocab;
    j->nll[i] = log_sum_exp(logits, j->vocab, NULL) - logits[j->targets[i]];
}

void forced_nll(const float *logits, size_t vocab, const int32_t *targets, size_t n, double *nll) {
    struct job j = {.logits = logits, .vocab = vocab, .targets = targets, .nll = nll};
    threads_tasks(n, nll_row, &j);
}

static void baseline_row(void *ctx, size_t i, int thread) {
    const struct job *j = ctx;
    struct forced *f = j->f;
    (void)thread;
    const float *logits = f->base + i * f->vocab;
    f->log_sum[i] = log_sum_exp(logits, f->vocab, f->p + i * f->vocab);
    j->chunk->nll[j->at + i] = f->log_sum[i] - logits[j->targets[i]];
    bool number = isfinite(f->log_sum[i]);
    j->chunk->kld[j->at + i] = j->chunk->dp[j->at + i] = number ? 0 : NAN;
    j->chunk->same_top1[j->at + i] = number ? 1 : TOP1_UNKNOWN;
}

void forced_baseline(struct forced *f, const int32_t *targets, size_t n, size_t at,
                     struct comparison_chunk *chunk) {
    struct job j = {.f = f, .targets = targets, .at = at, .chunk = chunk};
    threads_tasks(n, baseline_row, &j);
}

/* KL(P || Q) = sum P (log P - log Q) = sum P (a - b) - log_sum(a) + log_sum(b) with logits a of P
 * and b of Q: exactly 0 where they are equal. */
static void other_row(void *ctx, size_t i, int thread) {
    const struct job *j = ctx;
    const struct forced *f = j->f;
    (void)thread;
    size_t V = f->vocab, at = j->at + i;
    const float *base = f->base + i * V, *other = f->other + i * V;
    const double *p = f->p + i * V;
    double log_sum = log_sum_exp(other, V, NULL), mean = 0;
    for (size_t v = 0; v < V; v++) mean += p[v] * ((double)base[v] - other[v]);
    double kld = mean - f->log_sum[i] + log_sum, nll = log_sum - other[j->targets[i]];
    j->chunk->nll[at] = nll;
    j->chunk->kld[at] = (float)(kld < 0 ? 0 : kld);
    j->chunk->dp[at] = (float)(exp(-nll) - exp(-j->baseline->nll[at]));
    bool numbers = isfinite(f->log_sum[i]) && isfinite(log_sum);
    j->chunk->same_top1[at] = numbers ? top1(base, V) == top1(other, V) : TOP1_UNKNOWN;
}

void forced_other(struct forced *f, const int32_t *targets, size_t n, size_t at,
                  const struct comparison_chunk *baseline, struct comparison_chunk *chunk) {
    struct job j = {.f = f, .targets = targets, .at = at, .baseline = baseline, .chunk = chunk};
    threads_tasks(n, other_row, &j);
}
