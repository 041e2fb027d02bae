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

size_t forced_scored(const struct forced_window *w) {
    return w->first + 1 < w->n ? (w->n - 2 - w->first) / w->every + 1 : 0;
}

void forced_rows(struct forced_batch *b, const struct forced_window *w, const int32_t *ids,
                 size_t pos, size_t n) {
    b->n = n;
    b->scored = 0;
    b->at = pos > w->first ? (pos - w->first + w->every - 1) / w->every : 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = pos + i;
        bool scores = at >= w->first && at + 1 < w->n && (at - w->first) % w->every == 0;
        b->rows[i] = (struct gpt2_row){.pos = (uint32_t)at, .token = ids[at], .logits = scores};
        if (scores) b->targets[b->scored++] = ids[at + 1];
    }
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

/* What the threads share while they score a batch. */
struct scoring {
    struct forced *f;
    const struct forced_batch *batch;
    const float *logits; /* [scored][V] */
    size_t vocab;        /* V */
    double *nll;         /* [scored] */
    const struct predictions *baseline;
    struct predictions *out;
};

static void nll_row(void *ctx, size_t i, int thread) {
    const struct scoring *s = ctx;
    (void)thread;
    const float *logits = s->logits + i * s->vocab;
    s->nll[i] = log_sum_exp(logits, s->vocab, NULL) - logits[s->batch->targets[i]];
}

void forced_nll(const struct forced_batch *b, const float *logits, size_t vocab, double *nll) {
    struct scoring s = {.batch = b, .logits = logits, .vocab = vocab, .nll = nll};
    threads_tasks(b->scored, nll_row, &s);
}

static void baseline_row(void *ctx, size_t i, int thread) {
    const struct scoring *s = ctx;
    struct forced *f = s->f;
    struct predictions *out = s->out;
    size_t at = s->batch->at + i;
    (void)thread;
    const float *logits = f->base + i * f->vocab;
    f->log_sum[i] = log_sum_exp(logits, f->vocab, f->p + i * f->vocab);
    out->nll[at] = f->log_sum[i] - logits[s->batch->targets[i]];
    bool number = isfinite(f->log_sum[i]);
    out->kld[at] = out->dp[at] = number ? 0 : NAN;
    out->same_top1[at] = number ? 1 : TOP1_UNKNOWN;
}

void forced_baseline(struct forced *f, const struct forced_batch *b, struct predictions *out) {
    struct scoring s = {.f = f, .batch = b, .out = out};
    threads_tasks(b->scored, baseline_row, &s);
}

/* KL(P || Q) = sum P (log P - log Q) = sum P (a - b) - log_sum(a) + log_sum(b) with logits a of P
 * and b of Q: it is exactly 0 where they are equal. */
static void other_row(void *ctx, size_t i, int thread) {
    const struct scoring *s = ctx;
    const struct forced *f = s->f;
    struct predictions *out = s->out;
    (void)thread;
    size_t V = f->vocab, at = s->batch->at + i;
    const float *base = f->base + i * V, *other = f->other + i * V;
    const double *p = f->p + i * V;
    double log_sum = log_sum_exp(other, V, NULL), mean = 0;
    for (size_t v = 0; v < V; v++) mean += p[v] * ((double)base[v] - other[v]);
    double kld = mean - f->log_sum[i] + log_sum, nll = log_sum - other[s->batch->targets[i]];
    out->nll[at] = nll;
    out->kld[at] = (float)(kld < 0 ? 0 : kld);
    out->dp[at] = (float)(exp(-nll) - exp(-s->baseline->nll[at]));
    bool numbers = isfinite(f->log_sum[i]) && isfinite(log_sum);
    out->same_top1[at] = numbers ? top1(base, V) == top1(other, V) : TOP1_UNKNOWN;
}

void forced_other(struct forced *f, const struct forced_batch *b,
                  const struct predictions *baseline, struct predictions *out) {
    struct scoring s = {.f = f, .batch = b, .baseline = baseline, .out = out};
    threads_tasks(b->scored, other_row, &s);
}
