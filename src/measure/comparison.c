#include "measure/comparison.h"

#include <stdio.h>
#include <string.h>

#include "attention/account.h"
#include "attention/spec.h"
#include "attention/spec_name.h"
#include "base/interrupt.h"
#include "measure/forced.h"
#include "measure/shadow.h"

/* ---- before ---- */

/* The predictions that are scored are those made at c/2 .. c - 2; none without the mode forced. */
static struct forced_window scored_window(const struct comparison *c) {
    return (struct forced_window){c->window, c->forced ? c->window / 2 : c->window, 1};
}

static int check(const struct comparison *c, struct err *e) {
    const struct gpt2_config *g = &c->w->config;
    if (c->window < 4 || c->window > g->n_ctx)
        return err_set(e, ERR_USAGE,
                       "a window of %zu tokens: expected 4 to %zu, the model's context", c->window,
                       g->n_ctx);
    if (c->shadow && (c->first_layer > c->last_layer || c->last_layer >= g->n_layer))
        return err_set(e, ERR_USAGE, "layers %zu to %zu: the model has 0 to %zu", c->first_layer,
                       c->last_layer, g->n_layer - 1);
    if (!c->n_runs || !c->n_texts)
        return err_set(e, ERR_USAGE, "a comparison needs a backend and a text");
    if (c->share >= c->of)
        return err_set(e, ERR_USAGE,
                       "share %zu of %zu: shares go from 0 to one less than their number", c->share,
                       c->of);
    for (size_t t = 0; t < c->n_texts; t++) {
        const struct comparison_text *x = &c->texts[t];
        if (x->tokens < c->window)
            return err_file(e, ERR_USAGE, x->file, "%zu token%s less than a window of %zu",
                            x->tokens, x->tokens == 1 ? " is" : "s are", c->window);
        for (size_t i = 0; i < x->tokens; i++)
            if (x->ids[i] < 0 || (size_t)x->ids[i] >= g->n_vocab)
                return err_file(e, ERR_USAGE, x->file,
                                "token %zu has id %d, which is outside the vocabulary of %zu", i,
                                x->ids[i], g->n_vocab);
    }
    return OK;
}

/* Names and sizes, from the backend itself. */
static int describe(struct comparison *c, struct comparison_run *r, struct context_totals *totals,
                    struct err *e) {
    const struct gpt2_config *g = &c->w->config;
    struct attn_shape shape = {g->n_layer, g->n_head, g->n_embd / g->n_head, c->window};
    struct attn a;
    int rc = attn_init(&a, &shape, r->spec, c->book, c->k, e);
    if (rc) return rc;
    char codec[512];
    r->keys = arena_copy(&c->arena, codec, spec_format(&a.layers[0].key, codec, sizeof codec));
    r->values = arena_copy(&c->arena, codec, spec_format(&a.layers[0].value, codec, sizeof codec));
    r->name = arena_copy(&c->arena, a.name, strlen(a.name));
    r->title = spec_title(r->spec, a.name, &c->arena);
    r->stored_keys = attn_key_bytes_per_token_at(&a, c->window);
    r->stored_values = attn_value_bytes_per_token(&a);
    r->stored_refined = attn_copy_bytes_per_token(&a);
    r->codebooks = account_codebooks(&a);
    rc = by_context_fill(&a, r->codebooks, c->contexts, c->n_contexts, totals, &r->by_context,
                         &c->arena, e);
    attn_free(&a);
    if (rc) return rc;
    if (r->keys && r->values && r->name && r->title) return OK;
    return err_set(e, ERR_FAILED, "out of memory for the names of backends");
}

static bool allocate_chunk(struct comparison *c, struct comparison_chunk *k) {
    const struct gpt2_config *g = &c->w->config;
    struct arena *a = &c->arena;
    k->loaded = arena_zalloc(a, g->n_layer, sizeof *k->loaded);
    k->cut = arena_zalloc(a, g->n_layer, sizeof *k->cut);
    if (c->shadow) {
        k->recall = arena_zalloc(a, g->n_layer, sizeof *k->recall);
        k->shadow = arena_zalloc(a, g->n_layer * g->n_head * FIDELITIES, sizeof *k->shadow);
    }
    const struct forced_window w = scored_window(c);
    return k->loaded && k->cut && (!c->shadow || (k->shadow && k->recall)) &&
           (!c->forced || predictions_alloc(&k->predictions, forced_scored(&w), a));
}

/* The share's chunks of one run. */
static bool allocate_run(struct comparison *c, struct comparison_run *r, size_t all_chunks) {
    size_t number = 0;
    r->n_chunks = 0;
    r->chunks = arena_zalloc(&c->arena, all_chunks / c->of + 1, sizeof *r->chunks);
    if (!r->chunks) return false;
    for (size_t t = 0; t < c->n_texts; t++) {
        for (size_t i = 0; i < c->texts[t].chunks; i++) {
            if (number++ % c->of != c->share) continue;
            struct comparison_chunk *k = &r->chunks[r->n_chunks++];
            *k = (struct comparison_chunk){.text = t, .chunk = i};
            if (!allocate_chunk(c, k)) return false;
        }
    }
    return true;
}

int comparison_prepare(struct comparison *c, struct err *e) {
    int rc = check(c, e);
    size_t chunks = 0;
    struct context_totals totals = {0};
    if (!rc) c->n_contexts = context_lengths(c->w->config.n_ctx, c->contexts);
    for (size_t t = 0; !rc && t < c->n_texts; t++)
        chunks += c->texts[t].chunks = c->texts[t].tokens / c->window;
    for (size_t r = 0; !rc && r < c->n_runs; r++) {
        rc = describe(c, &c->runs[r], &totals, e);
        if (!rc && !allocate_run(c, &c->runs[r], chunks))
            rc = err_set(e, ERR_FAILED, "out of memory for %zu chunks' results", chunks);
    }
    return rc;
}

/* ---- measuring ---- */

struct measuring {
    struct comparison *c;
    struct gpt2_session *sessions; /* [n_sessions] the baseline's; with `forced` one for each run */
    size_t n_sessions;
    struct shadow *shadow; /* or NULL */
    struct forced forced;
    struct comparison_chunk **chunk; /* [n_runs] those at work */
    struct gpt2_row rows[DECODE_EVERY];
    int32_t targets[DECODE_EVERY];
    struct forced_batch batch; /* in rows and targets */
    struct timed *timed;       /* [n_runs] */
    struct timing *timings;    /* [n_runs] */
    struct arena arena;
    struct progress progress;
    size_t done, total; /* tokens x runs, of each mode */
};

static void advance(struct measuring *m, size_t n) {
    m->done += n;
    progress_tell(m->progress, m->done, m->total);
}

static int open_all(struct measuring *m, struct err *e) {
    struct comparison *c = m->c;
    size_t want = c->forced ? c->n_runs : 1;
    m->total = c->runs[0].n_chunks * c->window * c->n_runs * ((size_t)c->forced + c->shadow);
    m->sessions = arena_zalloc(&m->arena, want, sizeof *m->sessions);
    m->chunk = arena_zalloc(&m->arena, c->n_runs, sizeof *m->chunk);
    m->timed = arena_zalloc(&m->arena, c->n_runs, sizeof *m->timed);
    m->timings = arena_zalloc(&m->arena, c->n_runs, sizeof *m->timings);
    if (!m->sessions || !m->chunk || !m->timed || !m->timings)
        return err_set(e, ERR_FAILED, "out of memory for the comparison");
    for (; m->n_sessions < want; m->n_sessions++) {
        const struct gpt2_session_setup setup = {.weights = c->w,
                                                 .kn = c->k,
                                                 .attn = c->runs[m->n_sessions].spec,
                                                 .book = c->book,
                                                 .n_seq = 1,
                                                 .n_ctx = c->window,
                                                 .max_rows = DECODE_EVERY};
        int rc = gpt2_session_open(&m->sessions[m->n_sessions], &setup, e);
        if (rc) return rc;
    }
    int rc = OK;
    if (c->forced) rc = forced_open(&m->forced, DECODE_EVERY, c->w->config.n_vocab, &m->arena, e);
    if (!rc && c->shadow)
        rc = shadow_open(&m->shadow, c, &m->sessions[0], !c->forced, &m->arena, e);
    return rc;
}

static void close_all(struct measuring *m) {
    shadow_close(m->shadow);
    for (size_t i = 0; i < m->n_sessions; i++) gpt2_session_close(&m->sessions[i]);
    arena_free(&m->arena);
}

/* A batch through one run's session; a single row is a token decoded, and its figures go to the
 * chunk. */
static int forward(struct measuring *m, size_t run, float *logits, struct err *e) {
    struct gpt2_session *s = &m->sessions[run];
    struct comparison_chunk *chunk = m->chunk[run];
    size_t L = m->c->w->config.n_layer;
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    memset(s->counters, 0, L * sizeof *s->counters);
    int rc = gpt2_forward(s, m->batch.rows, m->batch.n, logits, e);
    struct err fault;
    if (!rc && !m->c->runs[run].fault[0] && gpt2_check(s, 0, &fault))
        snprintf(m->c->runs[run].fault, sizeof m->c->runs[run].fault, "%s", fault.msg);
    if (rc || m->batch.n > 1) return rc;
    for (size_t l = 0; l < L; l++) attn_counters_add(&chunk->loaded[l], &s->counters[l]);
    chunk->decoded++;
    return OK;
}

/* Rows pos .. pos + n - 1 of the window through every run. */
static int measure_batch(struct measuring *m, const int32_t *ids, size_t pos, size_t n,
                         struct err *e) {
    struct comparison *c = m->c;
    const struct forced_window w = scored_window(c);
    m->batch = (struct forced_batch){.rows = m->rows, .targets = m->targets};
    forced_rows(&m->batch, &w, ids, pos, n);
    int rc = forward(m, 0, m->forced.base, e);
    if (rc) return rc;
    if (c->shadow) advance(m, n * c->n_runs);
    if (!c->forced) return OK;
    forced_baseline(&m->forced, &m->batch, &m->chunk[0]->predictions);
    advance(m, n);
    for (size_t r = 1; r < c->n_runs; r++) {
        rc = forward(m, r, m->forced.other, e);
        if (rc) return rc;
        forced_other(&m->forced, &m->batch, &m->chunk[0]->predictions, &m->chunk[r]->predictions);
        advance(m, n);
    }
    return OK;
}

/* At the end of a window, when every run's state holds it. */
static int time_attention(struct measuring *m, size_t every, struct err *e) {
    struct comparison *c = m->c;
    for (size_t r = 0; r < c->n_runs; r++) {
        const struct gpt2_session *s = r < m->n_sessions ? &m->sessions[r] : NULL;
        m->timed[r] =
            s ? (struct timed){&s->attn, s->state[0], s->scratch} : shadow_timed(m->shadow, r);
    }
    int rc = timing_measure(m->timed, c->n_runs, c->window, every, m->timings, e);
    for (size_t r = 0; r < c->n_runs && !rc; r++) m->chunk[r]->attention = m->timings[r];
    return rc;
}

/* What each backend cut short since the last call: its own session's rows, or those that it stored
 * as a shadow. */
static void take_cut(struct measuring *m) {
    struct comparison *c = m->c;
    for (size_t r = 0; r < c->n_runs; r++)
        for (size_t l = 0; l < c->w->config.n_layer; l++) {
            const struct attn *a =
                r < m->n_sessions ? &m->sessions[r].attn : shadow_timed(m->shadow, r).attn;
            m->chunk[r]->cut[l] += attn_take_cut(a, l);
        }
}

static int measure_chunk(struct measuring *m, size_t index, struct err *e) {
    struct comparison *c = m->c;
    for (size_t r = 0; r < c->n_runs; r++) m->chunk[r] = &c->runs[r].chunks[index];
    for (size_t i = 0; i < m->n_sessions; i++) gpt2_rewind(&m->sessions[i], 0, 0);
    if (m->shadow) shadow_begin(m->shadow, m->chunk);
    const int32_t *ids = c->texts[m->chunk[0]->text].ids + m->chunk[0]->chunk * c->window;
    size_t every = c->window < DECODE_EVERY ? c->window : DECODE_EVERY;
    int rc = OK;
    for (size_t pos = 0, n; !rc && pos < c->window; pos += n) {
        size_t left = c->window - pos, in_group = pos % every;
        n = in_group == every - 1 ? 1 : every - 1 - in_group;
        rc = measure_batch(m, ids, pos, n < left ? n : left, e);
    }
    take_cut(m);
    return rc ? rc : time_attention(m, every, e);
}

int comparison_measure(struct comparison *c, struct progress progress, struct err *e) {
    struct measuring m = {.c = c, .progress = progress};
    int rc = open_all(&m, e);
    for (size_t i = 0; !rc && i < c->runs[0].n_chunks; i++) rc = measure_chunk(&m, i, e);
    close_all(&m);
    return rc;
}
