#include "measure/shadow.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"

/* What a backend answered: for each slot, query * H + head, the scores and probabilities of its
 * keys, and its output. */
struct answers {
    float *scores, *probs; /* [slots][window] */
    float *out;            /* [rows][H][D] */
};

struct shadow {
    const struct comparison *c;
    struct gpt2_session *baseline;
    struct gpt2_observer observer;
    bool decode;
    struct attn *attn; /* [n_runs] */
    void **state;  /* [n_runs] the baseline's too: its session's may have moved on from what a query
                      saw */
    void *scratch; /* of attend */
    struct answers base, other;
    float *base_rank;                       /* [slots][window] */
    float *rank;                            /* [threads][window] */
    uint64_t *work;                         /* [threads][2T] of the ranks */
    double *fidelity;                       /* [slots][FIDELITIES] */
    struct recall *recall;                  /* [slots] of the backend that is compared */
    struct comparison_chunk *const *chunks; /* [n_runs] */
    size_t layer, first; /* of the batch at work: its layer, and the position of its first query */
    bool *bad;           /* [rows] of the queries compared: the baseline's own numbers are none */
};

/* ---- opening ---- */

static size_t head_count(const struct shadow *s) { return s->c->w->config.n_head; }

static bool allocate_answers(struct answers *n, size_t rows, const struct gpt2_config *g,
                             size_t window, struct arena *a) {
    n->scores = arena_alloc(a, rows * g->n_head * window, sizeof *n->scores);
    n->probs = arena_alloc(a, rows * g->n_head * window, sizeof *n->probs);
    n->out = arena_alloc(a, rows * g->n_embd, sizeof *n->out);
    return n->scores && n->probs && n->out;
}

static int open_backends(struct shadow *s, const float *center, struct arena *a, struct err *e) {
    const struct comparison *c = s->c;
    const struct gpt2_config *g = &c->w->config;
    struct attn_shape shape = {g->n_layer, g->n_head, g->n_embd / g->n_head, c->window};
    size_t scratch = 64;
    for (size_t r = 0; r < c->n_runs; r++) {
        int rc = attn_init(&s->attn[r], &shape, c->runs[r].spec, c->book, c->k, e);
        if (rc) return rc;
        s->attn[r].center = center;
        s->state[r] = arena_alloc(a, attn_state_bytes(&s->attn[r]), 1);
        if (!s->state[r])
            return err_set(e, ERR_FAILED, "out of memory for a shadow of %zu tokens", c->window);
        size_t bytes = attn_scratch_bytes(&s->attn[r], threads_count());
        if (bytes > scratch) scratch = bytes;
    }
    s->scratch = arena_alloc(a, scratch, 1);
    return s->scratch ? OK : err_set(e, ERR_FAILED, "out of memory for the shadows");
}

static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                    const float *k, const float *v, size_t stride);

int shadow_open(struct shadow **out, const struct comparison *c, struct gpt2_session *baseline,
                bool decode, struct arena *a, struct err *e) {
    const struct gpt2_config *g = &c->w->config;
    size_t rows = baseline->max_rows, slots = rows * g->n_head, window = c->window,
           threads = (size_t)threads_count();
    struct shadow *s = arena_zalloc(a, 1, sizeof *s);
    *out = s;
    if (!s) return err_set(e, ERR_FAILED, "out of memory for the shadows");
    s->c = c;
    s->baseline = baseline;
    s->decode = decode;
    s->attn = arena_zalloc(a, c->n_runs, sizeof *s->attn);
    s->state = arena_zalloc(a, c->n_runs, sizeof *s->state);
    s->base_rank = arena_alloc(a, slots * window, sizeof *s->base_rank);
    s->rank = arena_alloc(a, threads * window, sizeof *s->rank);
    s->work = arena_alloc(a, threads * 2 * window, sizeof *s->work);
    s->bad = arena_alloc(a, rows, sizeof *s->bad);
    s->fidelity = arena_alloc(a, slots * FIDELITIES, sizeof *s->fidelity);
    s->recall = arena_alloc(a, slots, sizeof *s->recall);
    float *center = arena_alloc(a, g->n_layer * g->n_embd, sizeof *center);
    if (!s->attn || !s->state || !s->base_rank || !s->rank || !s->work || !s->bad || !s->fidelity ||
        !s->recall || !center || !allocate_answers(&s->base, rows, g, window, a) ||
        !allocate_answers(&s->other, rows, g, window, a))
        return err_set(e, ERR_FAILED,
                       "out of memory to compare %zu queries of %zu heads over %zu keys", rows,
                       g->n_head, window);
    gpt2_key_constants(c->w, c->k, center);
    s->observer = (struct gpt2_observer){s, observe};
    baseline->observer = &s->observer;
    return open_backends(s, center, a, e);
}

void shadow_close(struct shadow *s) {
    if (!s || !s->attn) return;
    s->baseline->observer = NULL;
    for (size_t r = 0; r < s->c->n_runs; r++) attn_free(&s->attn[r]);
}

struct timed shadow_timed(const struct shadow *s, size_t run) {
    return (struct timed){&s->attn[run], s->state[run], s->scratch};
}

void shadow_begin(struct shadow *s, struct comparison_chunk *const *chunks) {
    s->chunks = chunks;
    for (size_t r = 0; r < s->c->n_runs; r++) attn_clear(&s->attn[r], s->state[r]);
}

/* ---- one batch of one layer ---- */

/* Queries of a batch, and their keys and values: rows of [H][D], `stride` floats apart. k NULL:
 * they are stored already. */
struct queries {
    size_t pos, n, stride;
    const float *q, *k, *v;
};

struct keeper {
    const struct shadow *s;
    const struct answers *to;
};

/* Did the query's picked rows hold the key that has the largest of scores[n_keys]? */
static struct recall recall_of(const struct attn_row *row, const float *scores) {
    size_t best = 0;
    bool picked = false;
    if (!row->n_picked || row->n_picked == row->n_keys) return (struct recall){0};
    for (size_t i = 1; i < row->n_keys; i++)
        if (scores[i] > scores[best]) best = i;
    for (size_t i = 0; i < row->n_picked; i++) picked = picked || row->picked[i] == best;
    return (struct recall){.queries = 1, .first = row->best_coded == best, .picked = picked};
}

/* Keeps what a query was told. The baseline is asked first, so its scores are there for recall. The
 * output is in its place already. */
static void keep(void *ctx, const struct attn_row *row) {
    const struct keeper *keeper = ctx;
    size_t slot = row->query * head_count(keeper->s) + row->head, at = slot * keeper->s->c->window;
    if (keeper->to == &keeper->s->other)
        keeper->s->recall[slot] = recall_of(row, keeper->s->base.scores + at);
    memcpy(keeper->to->scores + at, row->scores, row->n_keys * sizeof(float));
    memcpy(keeper->to->probs + at, row->probs, row->n_keys * sizeof(float));
}

static void ask(struct shadow *s, size_t run, const struct queries *q, struct answers *to,
                bool probed, struct attn_counters *counters) {
    struct keeper keeper = {s, to};
    struct attn_probe probe = {&keeper, keep};
    struct attn_query item = {.state = s->state[run],
                              .pos = q->pos,
                              .n = q->n,
                              .k = q->k,
                              .v = q->v,
                              .q = q->q,
                              .out = to->out,
                              .kv_stride = q->stride,
                              .q_stride = q->stride,
                              .out_stride = s->c->w->config.n_embd};
    attn_attend(&s->attn[run], s->layer, &item, 1, s->scratch, counters, probed ? &probe : NULL);
}

/* The baseline's ranks serve all backends. */
static void rank_slot(void *ctx, size_t slot, int thread) {
    const struct shadow *s = ctx;
    size_t window = s->c->window, n_keys = s->first + slot / head_count(s) + 1;
    fidelity_ranks(s->base.scores + slot * window, n_keys, s->base_rank + slot * window,
                   s->work + (size_t)thread * 2 * window);
}

static void compare_slot(void *ctx, size_t slot, int thread) {
    const struct shadow *s = ctx;
    size_t window = s->c->window, n_keys = s->first + slot / head_count(s) + 1,
           D = s->c->w->config.n_embd / head_count(s);
    const float *scores = s->other.scores + slot * window;
    float *rank = s->rank + (size_t)thread * window;
    double *f = s->fidelity + slot * FIDELITIES;
    fidelity_ranks(scores, n_keys, rank, s->work + (size_t)thread * 2 * window);
    f[FIDELITY_COSINE] = fidelity_cosine(s->base.out + slot * D, s->other.out + slot * D, D);
    f[FIDELITY_KL] =
        fidelity_kl(s->base.probs + slot * window, s->other.probs + slot * window, n_keys);
    f[FIDELITY_SPEARMAN] = fidelity_spearman(s->base_rank + slot * window, rank, n_keys);
    f[FIDELITY_TOP5] = fidelity_top5(s->base.scores + slot * window, scores, n_keys);
}

/* Adds the slots' results in their order, whichever threads made them. A codec may hide that the
 * baseline's keys are no numbers; here it counts. */
static void add_up(const struct shadow *s, size_t slots, struct moments *sums) {
    size_t H = head_count(s);
    for (size_t slot = 0; slot < slots; slot++)
        for (size_t f = 0; f < FIDELITIES; f++)
            moments_add(&sums[(s->layer * H + slot % H) * FIDELITIES + f],
                        s->bad[slot / H] ? NAN : s->fidelity[slot * FIDELITIES + f]);
}

/* Adds the recall of the slots to that of the layer. */
static void add_recall(const struct shadow *s, size_t slots, struct recall *sums) {
    for (size_t slot = 0; slot < slots; slot++)
        if (!s->bad[slot / head_count(s)]) recall_add(&sums[s->layer], &s->recall[slot]);
}

static void compare(struct shadow *s, const struct queries *q) {
    static const double exact[FIDELITIES] = {
        [FIDELITY_COSINE] = 1, [FIDELITY_KL] = 0, [FIDELITY_SPEARMAN] = 1, [FIDELITY_TOP5] = 1};
    struct attn_counters ignored = {0};
    size_t slots = q->n * head_count(s);
    s->first = q->pos;
    for (size_t slot = 0; slot < slots; slot++)
        memcpy(s->fidelity + slot * FIDELITIES, exact, sizeof exact);
    add_up(s, slots, s->chunks[0]->shadow);
    if (s->c->n_runs == 1) return;
    ask(s, 0, q, &s->base, true, &ignored);
    threads_tasks(slots, rank_slot, s);
    for (size_t r = 1; r < s->c->n_runs; r++) {
        ask(s, r, q, &s->other, true, &ignored);
        threads_tasks(slots, compare_slot, s);
        add_up(s, slots, s->chunks[r]->shadow);
        add_recall(s, slots, s->chunks[r]->recall);
    }
}

static void store(struct shadow *s, const struct queries *q) {
    for (size_t r = 0; r < s->c->n_runs; r++)
        attn_append(&s->attn[r], s->state[r], s->layer, q->pos, q->n, q->k, q->v, q->stride);
}

/* A batch of one row is a token decoded: what the backends store and read for it is counted. */
static void decode(struct shadow *s, const struct queries *q) {
    attn_append(&s->attn[0], s->state[0], s->layer, q->pos, 1, q->k, q->v, q->stride);
    for (size_t r = 1; r < s->c->n_runs; r++) {
        struct comparison_chunk *chunk = s->chunks[r];
        ask(s, r, q, &s->other, false, &chunk->loaded[s->layer]);
        chunk->decoded += s->layer == 0;
    }
}

/* Queries of the second half of the window are compared, in the layers asked for. */
static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                    const float *k, const float *v, size_t stride) {
    struct shadow *s = ctx;
    struct queries all = {rows[0].pos, n, stride, q, k, v};
    size_t half = s->c->window / 2, skip = all.pos < half ? half - all.pos : 0;
    s->layer = layer;
    if (layer < s->c->first_layer || layer > s->c->last_layer || skip > n) skip = n;
    struct queries before = {all.pos, skip, stride, q, k, v};
    struct queries rest = {all.pos + skip,    n - skip,          stride,
                           q + skip * stride, k + skip * stride, v + skip * stride};
    if (s->c->n_runs == 1) {
        /* There is no shadow to store for. */
    } else if (s->decode && n == 1) {
        decode(s, &all);
        rest.k = rest.v = NULL;
    } else if (skip) {
        store(s, &before);
    }
    for (size_t i = 0; i < rest.n; i++) s->bad[i] = gpt2_is_bad(s->baseline, rows, skip + i, layer);
    if (rest.n) compare(s, &rest);
}
