/* See damage.h. The exact pass of a window keeps x as it enters each layer, so that a pass with one
 * head quantised can begin at that head's layer. */
#include "calibration/damage.h"

#include <math.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/threads.h"
#include "measure/forced.h"
#include "measure/stats.h"

enum { BYTES = 128 << 20 }; /* of one window's predictions, at most */

struct measuring {
    struct gpt2_session s;
    const struct kernels *kn;
    const struct quantiser *heads;
    size_t n_heads;            /* L H */
    struct forced_batch batch; /* the whole window */
    size_t every;              /* one in `every` positions is scored */
    float *entering;           /* [L][most n][C] x of the exact pass, as it enters each layer */
    size_t most, width;        /* n of the longest window; C */
    struct forced forced;
    struct predictions base, other; /* [scored] */
    size_t layer, head;             /* the one with quantised rows */
    bool values;                    /* whether its values are quantised, or its keys */
    struct quantiser prepared;      /* its quantiser */
    uint8_t *codes;                 /* [most n][LOOKUP_MAX_M] */
    float *decoded;                 /* [most n][D] */
    struct arena arena;
};

static void keep_entering(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n,
                          const float *q, const float *k, const float *v, size_t stride) {
    struct measuring *m = ctx;
    (void)rows, (void)q, (void)k, (void)v, (void)stride;
    memcpy(m->entering + layer * m->most * m->width, m->s.x, n * m->width * sizeof(float));
}

struct head_rows {
    const struct measuring *m;
    float *x;
    size_t stride;
};

static void quantise_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct head_rows *r = ctx;
    const struct measuring *m = r->m;
    const struct quantiser *z = &m->prepared;
    uint8_t *codes = m->codes + begin * LOOKUP_MAX_M;
    float *decoded = m->decoded + begin * z->dim;
    (void)thread;
    quantiser_encode(m->kn, z, codes, LOOKUP_MAX_M, 1, r->x + begin * r->stride, r->stride,
                     end - begin);
    quantiser_decode(m->kn, z, decoded, codes, LOOKUP_MAX_M, 1, end - begin);
    for (size_t i = begin; i < end; i++, decoded += z->dim)
        memcpy(r->x + i * r->stride, decoded, z->dim * sizeof *decoded);
}

static void replace_rows(void *ctx, size_t layer, float *k, float *v, size_t n, size_t stride) {
    struct measuring *m = ctx;
    if (layer != m->layer) return;
    struct head_rows r = {m, (m->values ? v : k) + m->head * m->prepared.dim, stride};
    threads_ranges(n, quantise_rows, &r);
}

static int open_all(struct measuring *m, const struct gpt2_weights *w, struct err *e) {
    const struct gpt2_config *c = &w->config;
    struct arena *a = &m->arena;
    size_t per_row = c->n_vocab * (2 * sizeof(float) + sizeof(double)), half = m->most / 2;
    m->width = c->n_embd;
    m->n_heads = c->n_layer * c->n_head;
    m->every = (half * per_row + BYTES - 1) / BYTES;
    size_t scored = half / m->every + 1;
    m->batch.rows = arena_alloc(a, m->most, sizeof *m->batch.rows);
    m->batch.targets = arena_alloc(a, scored, sizeof *m->batch.targets);
    m->entering = arena_alloc(a, c->n_layer * m->most * c->n_embd, sizeof *m->entering);
    m->codes = arena_alloc(a, m->most, LOOKUP_MAX_M);
    m->decoded = arena_alloc(a, m->most * (c->n_embd / c->n_head), sizeof *m->decoded);
    bool ok = m->batch.rows && m->batch.targets && m->entering && m->codes && m->decoded &&
              predictions_alloc(&m->base, scored, a) && predictions_alloc(&m->other, scored, a);
    int rc = ok ? forced_open(&m->forced, scored, c->n_vocab, a, e)
                : err_set(e, ERR_FAILED, "out of memory for windows of %zu tokens", m->most);
    const struct gpt2_session_setup setup = {.weights = w,
                                             .kn = m->kn,
                                             .attn = "fp32",
                                             .n_seq = 1,
                                             .n_ctx = m->most,
                                             .max_rows = m->most};
    return rc ? rc : gpt2_session_open(&m->s, &setup, e);
}

/* Runs the exact pass over a window and keeps what the others are compared with. */
static int begin_window(struct measuring *m, const struct damage_window *w, struct err *e) {
    const struct gpt2_observer observer = {m, keep_entering};
    forced_rows(&m->batch, &(struct forced_window){w->n, w->n / 2, m->every}, w->ids, 0, w->n);
    gpt2_rewind(&m->s, 0, 0);
    m->s.observer = &observer;
    int rc = gpt2_forward(&m->s, m->batch.rows, m->batch.n, m->forced.base, e);
    m->s.observer = NULL;
    if (!rc) rc = gpt2_check(&m->s, 0, e);
    if (!rc) forced_baseline(&m->forced, &m->batch, &m->base);
    return rc;
}

/* Adds to *sum the divergences of this window when the rows of head number `index` are quantised.
 */
static int measure_head(struct measuring *m, size_t index, double *sum, struct err *e) {
    const struct gpt2_filter filter = {m, replace_rows};
    struct arena scratch = {0};
    size_t H = m->s.w->config.n_head;
    m->layer = index / H, m->head = index % H;
    m->prepared = m->heads[index];
    int rc = interrupt_pending() ? err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written")
                                 : quantiser_prepare(&m->prepared, &scratch, e);
    gpt2_rewind(&m->s, 0, 0);
    m->s.filter = &filter;
    if (!rc)
        rc = gpt2_forward_from(&m->s, m->layer, m->entering + m->layer * m->most * m->width,
                               m->batch.rows, m->batch.n, m->forced.other, e);
    m->s.filter = NULL;
    if (!rc) forced_other(&m->forced, &m->batch, &m->base, &m->other);
    for (size_t i = 0; i < m->batch.scored && !rc; i++) *sum += (double)m->other.kld[i];
    arena_free(&scratch);
    return rc;
}

static size_t longest(const struct damage_setup *on) {
    size_t most = 0;
    for (size_t i = 0; i < on->n_windows; i++)
        most = on->windows[i].n > most ? on->windows[i].n : most;
    return most;
}

int damage_measure(double *damage, const struct damage_setup *on, const struct quantiser *heads,
                   bool values, struct progress progress, struct err *e) {
    struct measuring m = {.kn = on->kn, .heads = heads, .values = values};
    size_t scored = 0;
    m.most = longest(on);
    int rc = open_all(&m, on->weights, e);
    bool opened = !rc;
    for (size_t h = 0; h < m.n_heads; h++) damage[h] = 0;
    for (size_t i = 0; i < on->n_windows && !rc; i++) {
        rc = begin_window(&m, &on->windows[i], e);
        for (size_t h = 0; h < m.n_heads && !rc; h++) {
            rc = measure_head(&m, h, &damage[h], e);
            if (!rc) progress_tell(progress, i * m.n_heads + h + 1, on->n_windows * m.n_heads);
        }
        scored += m.batch.scored;
    }
    for (size_t h = 0; h < m.n_heads && scored; h++) damage[h] /= (double)scored;
    if (opened) gpt2_session_close(&m.s);
    arena_free(&m.arena);
    return rc;
}

/* The sums of one spec over windows. */
struct spec_sums {
    struct estimate kl, log_ratio;
};

/* Runs the window at hand with a spec and adds what it costs. */
static int measure_spec(struct measuring *m, const struct gpt2_session_setup *setup,
                        struct spec_sums *sums, struct err *e) {
    struct gpt2_session s;
    int rc = interrupt_pending() ? err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written")
                                 : gpt2_session_open(&s, setup, e);
    if (rc) return rc;
    rc = gpt2_forward(&s, m->batch.rows, m->batch.n, m->forced.other, e);
    if (!rc) {
        struct moments klds = {0}, log_ratios = {0};
        forced_other(&m->forced, &m->batch, &m->base, &m->other);
        for (size_t i = 0; i < m->batch.scored; i++) {
            moments_add(&klds, (double)m->other.kld[i]);
            moments_add(&log_ratios, m->other.nll[i] - m->base.nll[i]);
        }
        estimate_add(&sums->kl, klds.n, klds.sum);
        estimate_add(&sums->log_ratio, log_ratios.n, log_ratios.sum);
    }
    gpt2_session_close(&s);
    return rc;
}

int damage_of_specs(struct spec_damage *damage, const struct damage_setup *on,
                    const char *const *specs, size_t n, const struct book *book, struct err *e) {
    struct measuring m = {.kn = on->kn, .most = longest(on)};
    int rc = open_all(&m, on->weights, e);
    bool opened = !rc;
    struct spec_sums *sums = arena_zalloc(&m.arena, n, sizeof *sums);
    if (!rc && !sums) rc = err_set(e, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < on->n_windows && !rc; i++) {
        rc = begin_window(&m, &on->windows[i], e);
        for (size_t j = 0; j < n && !rc; j++) {
            const struct gpt2_session_setup setup = {.weights = on->weights,
                                                     .kn = on->kn,
                                                     .attn = specs[j],
                                                     .book = book,
                                                     .n_seq = 1,
                                                     .n_ctx = m.most,
                                                     .max_rows = m.most};
            rc = measure_spec(&m, &setup, &sums[j], e);
        }
    }
    for (size_t j = 0; j < n && !rc; j++) {
        struct spec_damage *d = &damage[j];
        *d = (struct spec_damage){estimate_mean(&sums[j].kl), estimate_error(&sums[j].kl),
                                  exp(estimate_mean(&sums[j].log_ratio)), 0};
        d->ratio_error = d->ratio * estimate_error(&sums[j].log_ratio);
    }
    if (opened) gpt2_session_close(&m.s);
    arena_free(&m.arena);
    return rc;
}
