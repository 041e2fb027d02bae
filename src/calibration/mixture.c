/* See mixture.h. */
#include "calibration/mixture.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/threads.h"
#include "checkpoint/tensors.h"
#include "measure/forced.h"
#include "model/generation.h"

enum { TOKENS = 128, LEAST_TOKENS = 4 };

struct mixing {
    struct gpt2_weights w; /* the model, of which one matrix is replaced at a time */
    struct gpt2_session s; /* of w */
    const struct kernels *kn;
    int32_t ids[TOKENS]; /* [n] the text */
    size_t n;
    float *entering; /* [L][n][C] x of the exact pass, as it enters each layer */
    struct forced_batch batch;
    struct forced forced;
    struct predictions base, other;
    uint8_t *stored; /* the largest matrix with four bits a number */
    struct arena arena;
};

/* ---- the text ---- */

static int take_step(void *ctx, const struct generation_step *step, struct err *e) {
    struct mixing *x = ctx;
    (void)e;
    x->ids[x->n++] = step->id;
    return OK;
}

static void ignore_end(void *ctx, uint32_t sample, enum generation_stop why) {
    (void)ctx, (void)sample, (void)why;
}

/* Lets the model write until there are n tokens, the first one included. */
static int write_text(struct mixing *x, size_t n, int32_t first, struct err *e) {
    const struct generation_params p = {.sampler = {.temp = 1, .top_p = 1, .repeat_penalty = 1},
                                        .seed = 1,
                                        .n_samples = 1,
                                        .limit = n - 1,
                                        .eos = -1};
    const struct generation_events events = {.ctx = x, .step = take_step, .stopped = ignore_end};
    struct generation_stats stats;
    x->n = 0;
    x->ids[x->n++] = first;
    return n > 1 ? generation_run(&x->s, &first, 1, &p, &events, &stats, e) : OK;
}

/* ---- damage ---- */

static void keep_entering(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n,
                          const float *q, const float *k, const float *v, size_t stride) {
    struct mixing *x = ctx;
    const size_t size = n * x->w.config.n_embd;
    (void)rows, (void)q, (void)k, (void)v, (void)stride;
    memcpy(x->entering + layer * size, x->s.x, size * sizeof(float));
}

/* Runs the model as it is, and keeps what the others are compared with. */
static int run_exact(struct mixing *x, struct err *e) {
    const struct gpt2_observer observer = {x, keep_entering};
    forced_rows(&x->batch, &(struct forced_window){x->n, 0, 1}, x->ids, 0, x->n);
    gpt2_rewind(&x->s, 0, 0);
    x->s.observer = &observer;
    int rc = gpt2_forward(&x->s, x->batch.rows, x->batch.n, x->forced.base, e);
    x->s.observer = NULL;
    if (!rc) rc = gpt2_check(&x->s, 0, e);
    if (!rc) forced_baseline(&x->forced, &x->batch, &x->base);
    return rc;
}

struct storing {
    const struct kernels *kn;
    const struct matrix *from, *to;
    uint8_t *out;
    float *row; /* [threads][cols] */
};

static void store_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct storing *t = ctx;
    float *row = t->row + (size_t)thread * t->from->cols;
    for (size_t r = begin; r < end; r++) {
        matrix_row(t->kn, t->from, r, row);
        dtype_from_f32(t->to->type, t->out + r * matrix_row_bytes(t->to), row, t->to->cols);
    }
}

/* Runs the model with what w now is, from layer `from` on; SIZE_MAX: from the embedding on. */
static int run_changed(struct mixing *x, size_t from, double *damage, struct err *e) {
    const size_t size = x->n * x->w.config.n_embd;
    double sum = 0;
    gpt2_rewind(&x->s, 0, 0);
    int rc = from == SIZE_MAX ? gpt2_forward(&x->s, x->batch.rows, x->batch.n, x->forced.other, e)
                              : gpt2_forward_from(&x->s, from, x->entering + from * size,
                                                  x->batch.rows, x->batch.n, x->forced.other, e);
    if (rc) return rc;
    forced_other(&x->forced, &x->batch, &x->base, &x->other);
    for (size_t i = 0; i < x->batch.scored; i++) sum += (double)x->other.kld[i];
    *damage = x->batch.scored ? sum / (double)x->batch.scored : 0;
    return OK;
}

/* The place of a matrix in w: where `data` is, and from which layer on it matters. */
static struct matrix *place_of(struct gpt2_weights *w, const void *data, size_t *layer) {
    *layer = SIZE_MAX;
    if (w->wte.data == data) return &w->wte;
    for (size_t l = 0; l < w->config.n_layer; l++) {
        struct gpt2_layer *y = &w->layers[l];
        struct matrix *all[] = {&y->qkv, &y->proj, &y->fc, &y->fcproj};
        *layer = l;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i]->data == data) return all[i];
    }
    *layer = w->config.n_layer - 1;
    return &w->head;
}

/* Measures what matrix t costs when it alone has four bits a number. */
static int measure(struct mixing *x, const struct gpt2_tensor *t, double *damage, struct err *e) {
    size_t layer;
    struct matrix *at = place_of(&x->w, t->m.data, &layer);
    const struct matrix was = *at;
    struct matrix now = {x->stored, dtype_for_rows(DTYPE_Q4_K, was.cols), was.rows, was.cols};
    struct arena scratch = {0};
    struct storing store = {
        x->kn, &was, &now, x->stored,
        arena_alloc(&scratch, (size_t)threads_count() * was.cols, sizeof(float))};
    int rc = OK;
    if (interrupt_pending())
        rc = err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written");
    else if (!store.row)
        rc = err_set(e, ERR_FAILED, "out of memory");
    if (!rc) {
        threads_ranges(was.rows, store_rows, &store);
        *at = now;
        if (at == &x->w.wte && x->w.tied) x->w.head = now;
        rc = run_changed(x, layer, damage, e);
        *at = was;
        if (at == &x->w.wte && x->w.tied) x->w.head = was;
    }
    arena_free(&scratch);
    return rc;
}

/* ---- bytes ---- */

static bool is_matrix(const struct gpt2_tensor *t) { return !t->vector && !t->positions; }

static size_t bytes_as(const struct matrix *m, enum dtype type) {
    const struct matrix stored = {NULL, dtype_for_rows(type, m->cols), m->rows, m->cols};
    return matrix_bytes(&stored);
}

/* Does llama.cpp store fcproj of layer l with six bits? */
static bool more_bits(size_t l, size_t layers) {
    return l < layers / 8 || l >= 7 * layers / 8 || (l - layers / 8) % 3 == 2;
}

/* What llama.cpp's mixture takes for the matrices. */
static uint64_t allowed_bytes(const struct gpt2_weights *w) {
    uint64_t sum = bytes_as(&w->head, DTYPE_Q6_K);
    if (!w->tied) sum += bytes_as(&w->wte, DTYPE_Q4_K);
    for (size_t l = 0; l < w->config.n_layer; l++) {
        const struct gpt2_layer *y = &w->layers[l];
        sum += bytes_as(&y->qkv, DTYPE_Q5_K) + bytes_as(&y->proj, DTYPE_Q4_K) +
               bytes_as(&y->fc, DTYPE_Q4_K);
        sum += bytes_as(&y->fcproj, more_bits(l, w->config.n_layer) ? DTYPE_Q6_K : DTYPE_Q4_K);
    }
    return sum;
}

/* ---- the choice ---- */

/* Gives six bits to the matrix of the largest damage for each number that still fits; false where
 * there is none. */
static bool raise_one(struct mixture *m, const struct gpt2_weights *w) {
    size_t best = m->n;
    double most = -1;
    uint64_t more = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct gpt2_tensor t;
        gpt2_tensor(w, i, &t);
        if (!is_matrix(&t) || m->types[i] != DTYPE_Q4_K) continue;
        const uint64_t extra = bytes_as(&t.m, DTYPE_Q6_K) - bytes_as(&t.m, DTYPE_Q4_K);
        const double each = m->damage[i] / ((double)t.m.rows * (double)t.m.cols);
        if (m->bytes + extra > m->allowed || !(each > most)) continue;
        best = i, most = each, more = extra;
    }
    if (best == m->n) return false;
    m->types[best] = DTYPE_Q6_K;
    m->bytes += more;
    m->raised++;
    return true;
}

/* Takes all memory, and opens the session. */
static int open_all(struct mixing *x, const struct gpt2_weights *w, size_t n, struct err *e) {
    const struct gpt2_config *c = &w->config;
    struct arena *a = &x->arena;
    size_t largest = bytes_as(&w->wte, DTYPE_Q4_K), head = bytes_as(&w->head, DTYPE_Q4_K);
    x->w = *w;
    x->w.layers = arena_alloc(a, c->n_layer, sizeof *w->layers);
    if (x->w.layers) memcpy(x->w.layers, w->layers, c->n_layer * sizeof *w->layers);
    largest = head > largest ? head : largest;
    for (size_t l = 0; l < c->n_layer; l++) {
        const struct matrix *all[] = {&w->layers[l].qkv, &w->layers[l].proj, &w->layers[l].fc,
                                      &w->layers[l].fcproj};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            const size_t bytes = bytes_as(all[i], DTYPE_Q4_K);
            largest = bytes > largest ? bytes : largest;
        }
    }
    x->stored = arena_alloc(a, largest, 1);
    x->entering = arena_alloc(a, c->n_layer * n * c->n_embd, sizeof *x->entering);
    x->batch.rows = arena_alloc(a, n, sizeof *x->batch.rows);
    x->batch.targets = arena_alloc(a, n, sizeof *x->batch.targets);
    const bool ok = x->w.layers && x->stored && x->entering && x->batch.rows && x->batch.targets &&
                    predictions_alloc(&x->base, n, a) && predictions_alloc(&x->other, n, a);
    int rc = ok ? forced_open(&x->forced, n, c->n_vocab, a, e)
                : err_set(e, ERR_FAILED, "out of memory for measuring the matrices");
    const struct gpt2_session_setup setup = {
        .weights = &x->w, .kn = x->kn, .attn = "fp32", .n_seq = 1, .n_ctx = n, .max_rows = n};
    return rc ? rc : gpt2_session_open(&x->s, &setup, e);
}

static int measure_all(struct mixing *x, struct mixture *m, const struct gpt2_weights *w,
                       struct progress progress, struct err *e) {
    size_t done = 0;
    int rc = run_exact(x, e);
    for (size_t i = 0; i < m->n && !rc; i++) {
        struct gpt2_tensor t;
        gpt2_tensor(w, i, &t);
        if (!is_matrix(&t)) continue;
        rc = measure(x, &t, &m->damage[i], e);
        progress_tell(progress, ++done, m->matrices);
    }
    return rc;
}

int mixture_choose(struct mixture *m, const struct gpt2_weights *w, const struct kernels *kn,
                   int32_t first, struct progress progress, struct arena *a, struct err *e) {
    const size_t n = w->config.n_ctx < TOKENS ? w->config.n_ctx : TOKENS;
    struct mixing x = {.kn = kn};
    *m = (struct mixture){.n = gpt2_tensors(w), .allowed = allowed_bytes(w)};
    m->types = arena_zalloc(a, m->n, sizeof *m->types);
    m->damage = arena_zalloc(a, m->n, sizeof *m->damage);
    if (!m->types || !m->damage) return err_set(e, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < m->n; i++) {
        struct gpt2_tensor t;
        gpt2_tensor(w, i, &t);
        m->types[i] = is_matrix(&t) ? DTYPE_Q4_K : DTYPE_F32;
        if (!is_matrix(&t)) continue;
        m->matrices++;
        m->bytes += bytes_as(&t.m, DTYPE_Q4_K);
    }
    int rc = open_all(&x, w, n, e);
    const bool opened = !rc;
    if (!rc) rc = write_text(&x, n, first, e);
    if (!rc && n >= LEAST_TOKENS) rc = measure_all(&x, m, w, progress, e);
    while (!rc && raise_one(m, w)) continue;
    if (opened) gpt2_session_close(&x.s);
    arena_free(&x.arena);
    return rc;
}
