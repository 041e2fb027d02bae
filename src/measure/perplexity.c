#include "measure/perplexity.h"

#include "base/interrupt.h"
#include "base/process.h"
#include "measure/forced.h"

static size_t step(const struct perplexity_windows *p) { return p->stride ? p->stride : p->window; }
/* Position of the first scored prediction; the last is at c - 2. */
static size_t first_scored(const struct perplexity_windows *p) {
    return p->stride ? p->window - 1 - p->stride : p->window / 2;
}

static size_t count_windows(const struct perplexity_windows *p, size_t n) {
    return n < p->window ? 0 : (n - p->window) / step(p) + 1;
}

/* Windows that overlap share what they are of: those that begin within one window's length are a
 * cluster. */
static size_t cluster_of(const struct perplexity_windows *p, size_t window) {
    return window * step(p) / p->window;
}

int perplexity_plan(const struct perplexity_windows *p, const struct gpt2_config *c,
                    const char *file, size_t n, size_t *windows, struct err *e) {
    if (p->window < 4 || p->window > c->n_ctx)
        return err_set(e, ERR_USAGE,
                       "a window of %zu tokens: expected 4 to %zu, the model's context", p->window,
                       c->n_ctx);
    if (p->stride >= p->window)
        return err_set(e, ERR_USAGE, "a stride of %zu tokens: expected less than the window of %zu",
                       p->stride, p->window);
    *windows = count_windows(p, n);
    return *windows ? OK
                    : err_file(e, ERR_USAGE, file, "%zu token%s less than a window of %zu", n,
                               n == 1 ? " is" : "s are", p->window);
}

/* The session's buffers during one measurement. */
struct batch {
    struct gpt2_row *rows; /* [max_rows] */
    float *logits;         /* [max_rows][V] */
    double *nll;           /* [max_rows] */
};

/* Rows pos .. pos + n - 1 of a window. */
static int run_batch(struct gpt2_session *s, const struct perplexity_windows *p, struct batch *b,
                     const int32_t *ids, size_t pos, size_t n, struct moments *nll, struct err *e) {
    size_t wanted = 0, begin = 0;
    for (size_t i = 0; i < n; i++) {
        bool wants = pos + i >= first_scored(p) && pos + i + 1 < p->window;
        b->rows[i] =
            (struct gpt2_row){.pos = (uint32_t)(pos + i), .token = ids[pos + i], .logits = wants};
        if (wants && !wanted++) begin = pos + i;
    }
    int rc = gpt2_forward(s, b->rows, n, b->logits, e);
    if (rc) return rc;
    size_t V = s->w->config.n_vocab;
    for (size_t i = 0; i < wanted && !rc; i++)
        rc = gpt2_check_logits(s, &b->rows[begin - pos + i], b->logits + i * V, e);
    if (rc) return rc;
    forced_nll(b->logits, V, ids + begin + 1, wanted, b->nll);
    for (size_t i = 0; i < wanted; i++) moments_add(nll, b->nll[i]);
    return OK;
}

int perplexity_measure(struct gpt2_session *s, const struct perplexity_windows *p,
                       const int32_t *ids, size_t n, struct perplexity_result *r,
                       struct progress progress, struct err *e) {
    struct arena a = {0};
    struct moments cluster = {0};
    struct batch b = {arena_alloc(&a, s->max_rows, sizeof *b.rows),
                      arena_alloc(&a, s->max_rows * s->w->config.n_vocab, sizeof *b.logits),
                      arena_alloc(&a, s->max_rows, sizeof *b.nll)};
    double start = clock_now();
    int rc =
        b.rows && b.logits && b.nll
            ? OK
            : err_set(e, ERR_FAILED, "out of memory for the logits of %zu tokens", s->max_rows);
    *r = (struct perplexity_result){.windows = 0};
    size_t windows = count_windows(p, n);
    for (; !rc && r->windows < windows; r->windows++) {
        gpt2_rewind(s, 0, 0);
        for (size_t pos = 0, take; !rc && pos < p->window; pos += take) {
            take = p->window - pos < s->max_rows ? p->window - pos : s->max_rows;
            rc = interrupt_pending()
                     ? err_set(e, ERR_INTERRUPTED, "interrupted")
                     : run_batch(s, p, &b, ids + r->windows * step(p), pos, take, &cluster, e);
            r->tokens += take;
            if (!rc) progress_tell(progress, r->tokens, windows * p->window);
        }
        r->used = r->windows * step(p) + p->window;
        if (r->windows + 1 < windows && cluster_of(p, r->windows + 1) == cluster_of(p, r->windows))
            continue;
        estimate_add(&r->nll, cluster.n, cluster.sum);
        cluster = (struct moments){0};
    }
    gpt2_rewind(s, 0, 0);
    r->seconds = clock_now() - start;
    arena_free(&a);
    return rc;
}
