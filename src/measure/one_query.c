#include "measure/one_query.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "measure/fidelity.h"

/* One backend and what the heads of a layer were told. */
struct side {
    struct attn a;
    bool open;
    void *state, *scratch;
    float *scores, *probs, *out; /* [H][n], [H][n], [n][C] */
    bool *picked;                /* [H][n] */
};

struct asking {
    const struct one_query_setup *s;
    struct one_query *y;
    struct side sides[2]; /* exact, other */
    struct side *at_work;
    size_t want_layer, want_head;
    float *keys, *values, *q; /* [n][D], [n][D], [D] of the head that is kept */
    bool any;
};

/* ---- answers ---- */

static void keep_row(void *ctx, const struct attn_row *row) {
    struct asking *k = ctx;
    struct side *d = k->at_work;
    size_t n = k->s->n, at = row->head * n;
    if (row->n_keys != n) return; /* only the last token's */
    memcpy(d->scores + at, row->scores, n * sizeof(float));
    memcpy(d->probs + at, row->probs, n * sizeof(float));
    for (size_t i = 0; i < n; i++) d->picked[at + i] = false;
    for (size_t i = 0; i < row->n_picked; i++) d->picked[at + row->picked[i]] = true;
}

static void ask(struct asking *k, struct side *d, size_t layer, const struct attn_query *item) {
    struct attn_counters ignored = {0};
    struct attn_probe probe = {k, keep_row};
    struct attn_query own = *item;
    const struct exact_keys *x = &d->a.layers[layer].exact;
    const struct refine *refine = &d->a.layers[layer].refine;
    size_t n = k->s->n;
    bool all = refine_any(refine) && refine_count(refine, n) == n;
    k->at_work = d;
    own.state = d->state;
    own.out = d->out;
    attn_attend(&d->a, layer, &own, 1, d->scratch, &ignored, &probe);
    for (size_t at = 0; at < d->a.shape.n_head * n; at++) {
        size_t i = at % n;
        if (all || (exact_any(x) && (i < x->sink || i + x->window >= n))) d->picked[at] = true;
    }
}

/* Keeps a head's answers, query, keys and values, unless a head with a lower cosine is kept
 * already. */
static void consider(struct asking *k, size_t layer, size_t head, const struct attn_query *item) {
    struct one_query *y = k->y;
    size_t n = k->s->n, D = y->head_dim, C = k->s->w->config.n_embd, at = (n - 1) * C + head * D;
    double cosine = fidelity_cosine(k->sides[0].out + at, k->sides[1].out + at, D);
    if (k->any && !(cosine < y->cosine)) return;
    k->any = true;
    y->cosine = cosine;
    y->layer = layer;
    y->head = head;
    struct query_answer *answers[] = {&y->exact, &y->other};
    for (int side = 0; side < 2; side++) {
        memcpy(answers[side]->scores, k->sides[side].scores + head * n, n * sizeof(float));
        memcpy(answers[side]->probs, k->sides[side].probs + head * n, n * sizeof(float));
        memcpy(answers[side]->out, k->sides[side].out + at, D * sizeof(float));
    }
    memcpy((bool *)y->picked, k->sides[1].picked + head * n, n * sizeof(bool));
    memcpy(k->q, item->q + (n - 1) * item->q_stride + head * D, D * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        size_t from = i * item->kv_stride + head * D;
        memcpy(k->keys + i * D, item->k + from, D * sizeof(float));
        memcpy(k->values + i * D, item->v + from, D * sizeof(float));
    }
}

static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                    const float *key, const float *v, size_t stride) {
    struct asking *k = ctx;
    size_t C = k->s->w->config.n_embd;
    (void)rows;
    if (k->want_layer != ONE_QUERY_ANY && layer != k->want_layer) return;
    struct attn_query item = {
        .n = n, .k = key, .v = v, .q = q, .kv_stride = stride, .q_stride = stride, .out_stride = C};
    for (int side = 0; side < 2; side++) ask(k, &k->sides[side], layer, &item);
    for (size_t head = 0; head < k->s->w->config.n_head; head++)
        if (k->want_head == ONE_QUERY_ANY || head == k->want_head) consider(k, layer, head, &item);
}

/* ---- preparing ---- */

static int no_memory(struct err *e) {
    return err_set(e, ERR_FAILED, "out of memory for one query");
}

static int open_side(struct asking *k, struct side *d, const char *spec, const float *center,
                     struct arena *arena, struct err *e) {
    const struct gpt2_config *g = &k->s->w->config;
    struct attn_shape shape = {g->n_layer, g->n_head, g->n_embd / g->n_head, k->s->n};
    int rc = attn_init(&d->a, &shape, spec, k->s->book, k->s->kn, e);
    if (rc) return rc;
    d->open = true;
    d->a.center = center;
    size_t n = k->s->n;
    d->state = arena_alloc(arena, attn_state_bytes(&d->a), 1);
    d->scratch = arena_alloc(arena, attn_scratch_bytes(&d->a, threads_count()) + 64, 1);
    d->scores = arena_alloc(arena, g->n_head * n, sizeof *d->scores);
    d->probs = arena_alloc(arena, g->n_head * n, sizeof *d->probs);
    d->picked = arena_zalloc(arena, g->n_head * n, sizeof *d->picked);
    d->out = arena_alloc(arena, n * g->n_embd, sizeof *d->out);
    if (!d->state || !d->scratch || !d->scores || !d->probs || !d->picked || !d->out)
        return no_memory(e);
    attn_clear(&d->a, d->state);
    return OK;
}

static bool answer_room(struct query_answer *to, size_t n, size_t D, struct arena *arena) {
    to->scores = arena_alloc(arena, n, sizeof *to->scores);
    to->probs = arena_alloc(arena, n, sizeof *to->probs);
    to->out = arena_alloc(arena, D, sizeof *to->out);
    return to->scores && to->probs && to->out;
}

static int prepare(struct asking *k, struct arena *arena, struct err *e) {
    struct one_query *y = k->y;
    const struct gpt2_config *g = &k->s->w->config;
    size_t n = k->s->n, D = g->n_embd / g->n_head;
    float *center = arena_alloc(arena, g->n_layer * g->n_embd, sizeof *center);
    y->n = n;
    y->head_dim = D;
    y->q = k->q = arena_alloc(arena, D, sizeof *k->q);
    y->keys = k->keys = arena_alloc(arena, n * D, sizeof *k->keys);
    y->values = k->values = arena_alloc(arena, n * D, sizeof *k->values);
    y->picked = arena_zalloc(arena, n, sizeof *y->picked);
    if (!center || !k->q || !k->keys || !k->values || !y->picked ||
        !answer_room(&y->exact, n, D, arena) || !answer_room(&y->other, n, D, arena))
        return no_memory(e);
    gpt2_key_constants(k->s->w, k->s->kn, center);
    int rc = open_side(k, &k->sides[0], "fp32", center, arena, e);
    return rc ? rc : open_side(k, &k->sides[1], k->s->attn, center, arena, e);
}

static int run_tokens(struct asking *k, struct arena *arena, struct err *e) {
    size_t n = k->s->n;
    struct gpt2_row *rows = arena_zalloc(arena, n, sizeof *rows);
    struct gpt2_session s;
    const struct gpt2_observer observer = {k, observe};
    const struct gpt2_session_setup setup = {
        .weights = k->s->w, .kn = k->s->kn, .attn = "fp32", .n_seq = 1, .n_ctx = n, .max_rows = n};
    if (!rows) return no_memory(e);
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct gpt2_row){.pos = (uint32_t)i, .token = k->s->ids[i]};
    int rc = gpt2_session_open(&s, &setup, e);
    if (rc) return rc;
    s.observer = &observer;
    rc = gpt2_forward(&s, rows, n, NULL, e);
    if (!rc) rc = gpt2_check(&s, 0, e);
    gpt2_session_close(&s);
    return rc;
}

int one_query_measure(const struct one_query_setup *s, struct one_query *y, struct arena *arena,
                      struct err *e) {
    struct asking k = {.s = s, .y = y, .want_layer = y->layer, .want_head = y->head};
    int rc = prepare(&k, arena, e);
    if (!rc) rc = run_tokens(&k, arena, e);
    for (int side = 0; side < 2; side++)
        if (k.sides[side].open) attn_free(&k.sides[side].a);
    return rc;
}
