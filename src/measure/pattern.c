#include "measure/pattern.h"

#include <string.h>

#include "base/threads.h"

const float *pattern_row(const struct pattern *p, size_t run, size_t t) {
    return p->probs + run * (p->n * (p->n + 1) / 2) + t * (t + 1) / 2;
}

/* What an observer and a probe need. */
struct taking {
    const struct comparison *c;
    struct pattern *p;
    size_t run;
    const float *center;
    struct arena *arena;
    struct err *e;
    int rc;
};

static void take_row(void *ctx, const struct attn_row *row) {
    struct taking *t = ctx;
    if (row->head != t->p->head) return;
    memcpy((float *)pattern_row(t->p, t->run, row->query), row->probs, row->n_keys * sizeof(float));
}

/* One backend answers all queries of the layer. */
static int answer(struct taking *t, const float *q, const float *k, const float *v, size_t stride) {
    const struct gpt2_config *g = &t->c->w->config;
    struct attn_shape shape = {g->n_layer, g->n_head, g->n_embd / g->n_head, t->p->n};
    struct attn a;
    struct attn_counters ignored = {0};
    struct attn_probe probe = {t, take_row};
    int rc = attn_init(&a, &shape, t->c->runs[t->run].spec, t->c->book, t->c->k, t->e);
    if (rc) return rc;
    a.center = t->center;
    void *state = arena_alloc(t->arena, attn_state_bytes(&a), 1),
         *scratch = arena_alloc(t->arena, attn_scratch_bytes(&a, threads_count()) + 64, 1);
    float *out = arena_alloc(t->arena, t->p->n * g->n_embd, sizeof *out);
    if (!state || !scratch || !out) {
        attn_free(&a);
        return err_set(t->e, ERR_FAILED, "out of memory for the pattern of a head");
    }
    attn_clear(&a, state);
    /* Layers before this one hold nothing; only this layer's length matters here. */
    struct attn_query item = {.state = state,
                              .n = t->p->n,
                              .k = k,
                              .v = v,
                              .q = q,
                              .out = out,
                              .kv_stride = stride,
                              .q_stride = stride,
                              .out_stride = g->n_embd};
    attn_attend(&a, t->p->layer, &item, 1, scratch, &ignored, &probe);
    attn_free(&a);
    return OK;
}

static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                    const float *k, const float *v, size_t stride) {
    struct taking *t = ctx;
    (void)rows, (void)n;
    if (layer != t->p->layer) return;
    for (t->run = 0; t->run < t->c->n_runs && !t->rc; t->run++) t->rc = answer(t, q, k, v, stride);
}

static int run_tokens(struct taking *t, struct gpt2_session *s) {
    struct gpt2_row rows[PATTERN_TOKENS] = {{0}};
    struct gpt2_observer observer = {t, observe};
    for (size_t i = 0; i < t->p->n; i++)
        rows[i] = (struct gpt2_row){.pos = (uint32_t)i, .token = t->p->ids[i]};
    s->observer = &observer;
    int rc = gpt2_forward(s, rows, t->p->n, NULL, t->e);
    s->observer = NULL;
    return rc ? rc : t->rc;
}

int pattern_measure(const struct comparison *c, struct pattern *p, struct arena *arena,
                    struct err *e) {
    const struct gpt2_config *g = &c->w->config;
    struct taking t = {.c = c, .p = p, .arena = arena, .e = e};
    p->ids = c->texts[p->text].ids;
    p->n = c->window < PATTERN_TOKENS ? c->window : PATTERN_TOKENS;
    p->probs = arena_zalloc(arena, c->n_runs * (p->n * (p->n + 1) / 2), sizeof *p->probs);
    float *center = arena_alloc(arena, g->n_layer * g->n_embd, sizeof *center);
    if (!p->probs || !center)
        return err_set(e, ERR_FAILED, "out of memory for the pattern of a head");
    gpt2_key_constants(c->w, c->k, center);
    t.center = center;
    const struct gpt2_session_setup setup = {.weights = c->w,
                                             .kn = c->k,
                                             .attn = c->runs[0].spec,
                                             .book = c->book,
                                             .n_seq = 1,
                                             .n_ctx = p->n,
                                             .max_rows = p->n};
    struct gpt2_session s;
    int rc = gpt2_session_open(&s, &setup, e);
    if (rc) return rc;
    rc = run_tokens(&t, &s);
    gpt2_session_close(&s);
    return rc;
}
