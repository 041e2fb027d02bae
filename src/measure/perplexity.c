#include "measure/perplexity.h"

#include "base/interrupt.h"
#include "base/process.h"
#include "measure/forced.h"

static size_t step(const struct perplexity_windows *p) { return p->stride ? p->stride : p->window; }
/* The last scored prediction is at c - 2 in both kinds of windows. */
static struct forced_window scored_window(const struct perplexity_windows *p) {
    size_t first = p->stride ? p->window - 1 - p->stride : p->window / 2;
    return (struct forced_window){p->window, first, 1};
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

/* Room for one batch during one measurement. */
struct room {
    struct forced_batch batch; /* [max_rows] rows and targets */
    float *logits;             /* [max_rows][V] */
    double *nll;               /* [max_rows] */
};

static int open_room(struct room *m, const struct gpt2_session *s, struct arena *a, struct err *e) {
    size_t n = s->max_rows;
    m->batch.rows = arena_alloc(a, n, sizeof *m->batch.rows);
    m->batch.targets = arena_alloc(a, n, sizeof *m->batch.targets);
    m->logits = arena_alloc(a, n * s->w->config.n_vocab, sizeof *m->logits);
    m->nll = arena_alloc(a, n, sizeof *m->nll);
    if (m->batch.rows && m->batch.targets && m->logits && m->nll) return OK;
    return err_set(e, ERR_FAILED, "out of memory for the logits of %zu tokens", n);
}

/* Runs the rows of m->batch, and adds the scored tokens to *nll. */
static int run_batch(struct gpt2_session *s, struct room *m, struct moments *nll, struct err *e) {
    const struct forced_batch *b = &m->batch;
    size_t V = s->w->config.n_vocab, k = 0;
    int rc = gpt2_forward(s, b->rows, b->n, m->logits, e);
    for (size_t i = 0; i < b->n && !rc; i++)
        if (b->rows[i].logits) rc = gpt2_check_logits(s, &b->rows[i], m->logits + k++ * V, e);
    if (rc) return rc;
    forced_nll(b, m->logits, V, m->nll);
    for (size_t i = 0; i < b->scored; i++) moments_add(nll, m->nll[i]);
    return OK;
}

int perplexity_measure(struct gpt2_session *s, const struct perplexity_windows *p,
                       const int32_t *ids, size_t n, struct perplexity_result *r,
                       struct progress progress, struct err *e) {
    struct arena a = {0};
    struct moments cluster = {0};
    struct room m = {0};
    const struct forced_window scores = scored_window(p);
    double start = clock_now();
    int rc = open_room(&m, s, &a, e);
    *r = (struct perplexity_result){.windows = 0};
    size_t windows = count_windows(p, n);
    for (; !rc && r->windows < windows; r->windows++) {
        gpt2_rewind(s, 0, 0);
        for (size_t pos = 0, take; !rc && pos < p->window; pos += take) {
            take = p->window - pos < s->max_rows ? p->window - pos : s->max_rows;
            forced_rows(&m.batch, &scores, ids + r->windows * step(p), pos, take);
            rc = interrupt_pending() ? err_set(e, ERR_INTERRUPTED, "interrupted")
                                     : run_batch(s, &m, &cluster, e);
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
