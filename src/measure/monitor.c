#include "measure/monitor.h"

#include <string.h>

#include "base/threads.h"

/* One query of one head as a probe saw it; the arrays are [T]. */
struct seen {
    float *scores, *probs;
    const float *out; /* [D] */
    size_t n_keys;
};

struct probe_target {
    struct seen *seen;
    size_t n_head;
};

/* Each query and head has a place of its own, so nothing is locked. */
static void keep(void *ctx, const struct attn_row *row) {
    const struct probe_target *t = ctx;
    struct seen *s = &t->seen[row->query * t->n_head + row->head];
    memcpy(s->scores, row->scores, row->n_keys * sizeof *s->scores);
    memcpy(s->probs, row->probs, row->n_keys * sizeof *s->probs);
    s->out = row->out;
    s->n_keys = row->n_keys;
}

static void ask(struct monitor *m, const struct attn *a, size_t layer, size_t n, float *out,
                struct seen *seen) {
    struct probe_target target = {seen, a->shape.n_head};
    struct attn_probe probe = {&target, keep};
    struct attn_counters unused = {0};
    for (size_t i = 0; i < n; i++) {
        m->items[i].out = out + i * m->s->w->config.n_embd;
        m->items[i].out_stride = m->s->w->config.n_embd;
    }
    attn_attend(a, layer, m->items, n, m->scratch, &unused, &probe);
}

static void compare_slot(void *ctx, size_t slot, int thread) {
    struct monitor *m = ctx;
    const struct seen *a = &m->seen[0][slot], *b = &m->seen[1][slot];
    size_t D = m->base.shape.head_dim, T = m->base.shape.n_ctx, n = a->n_keys;
    uint64_t *work = (uint64_t *)(void *)(m->ranks + (size_t)thread * 6 * T);
    float *rank_a = (float *)(void *)(work + 2 * T), *rank_b = rank_a + T;
    struct moments *to = m->slots + slot * FIDELITIES;
    memset(to, 0, FIDELITIES * sizeof *to);
    fidelity_ranks(a->scores, n, rank_a, work);
    fidelity_ranks(b->scores, n, rank_b, work);
    moments_add(&to[FIDELITY_COSINE], fidelity_cosine(a->out, b->out, D));
    moments_add(&to[FIDELITY_KL], fidelity_kl(a->probs, b->probs, n));
    moments_add(&to[FIDELITY_SPEARMAN], fidelity_spearman(rank_a, rank_b, n));
    moments_add(&to[FIDELITY_TOP5], fidelity_top5(a->scores, b->scores, n));
}

/* The shadow of a sequence that was forked begins as a copy of sequence 0's. */
static void catch_up(struct monitor *m, uint32_t seq, uint32_t pos) {
    if (attn_length(&m->base, m->state[seq], 0) < pos)
        attn_copy(&m->base, m->state[seq], m->state[0], pos);
}

static void on_layer(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                     const float *k, const float *v, size_t stride) {
    struct monitor *m = ctx;
    size_t n_items = 0;
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && rows[i + run].seq == rows[i].seq; run++) {}
        if (layer == 0) catch_up(m, rows[i].seq, rows[i].pos);
        attn_append(&m->base, m->state[rows[i].seq], layer, rows[i].pos, run, k + i * stride,
                    v + i * stride, stride);
        m->items[n_items++] = (struct attn_query){.state = m->state[rows[i].seq],
                                                  .pos = rows[i].pos,
                                                  .n = run,
                                                  .q = q + i * stride,
                                                  .q_stride = stride};
    }
    if (n_items != n) return; /* a prompt */
    size_t slots = n * m->base.shape.n_head;
    ask(m, &m->base, layer, n, m->out, m->seen[0]);
    for (size_t i = 0; i < n; i++) m->items[i].state = m->s->state[rows[i].seq];
    ask(m, &m->s->attn, layer, n, m->out + n * m->s->w->config.n_embd, m->seen[1]);
    threads_tasks(slots, compare_slot, m);
    for (size_t i = 0; i < slots * FIDELITIES; i++)
        moments_join(&m->layers[layer * FIDELITIES + i % FIDELITIES], &m->slots[i]);
}

static bool allocate(struct monitor *m) {
    const struct gpt2_session *s = m->s;
    struct arena *a = &m->arena;
    size_t slots = s->n_seq * m->base.shape.n_head, T = m->base.shape.n_ctx;
    size_t scratch = attn_scratch_bytes(&m->base, s->threads),
           other = attn_scratch_bytes(&s->attn, s->threads);
    m->state = arena_zalloc(a, s->n_seq, sizeof *m->state);
    m->items = arena_alloc(a, s->max_rows, sizeof *m->items);
    m->out = arena_alloc(a, 2 * s->n_seq * s->w->config.n_embd, sizeof *m->out);
    m->slots = arena_alloc(a, slots * FIDELITIES, sizeof *m->slots);
    m->layers = arena_zalloc(a, s->w->config.n_layer * FIDELITIES, sizeof *m->layers);
    m->scratch = arena_alloc(a, scratch > other ? scratch : other, 1);
    m->ranks = arena_alloc(a, (size_t)s->threads * 6 * T, sizeof *m->ranks);
    bool ok = m->state && m->items && m->out && m->slots && m->layers && m->scratch && m->ranks;
    for (size_t side = 0; ok && side < 2; side++) {
        m->seen[side] = arena_alloc(a, slots, sizeof *m->seen[side]);
        float *arrays = arena_alloc(a, slots * 2 * T, sizeof *arrays);
        ok = m->seen[side] && arrays;
        for (size_t i = 0; ok && i < slots; i++)
            m->seen[side][i] = (struct seen){arrays + 2 * i * T, arrays + (2 * i + 1) * T, NULL, 0};
    }
    for (size_t i = 0; ok && i < s->n_seq; i++) {
        m->state[i] = arena_alloc(a, attn_state_bytes(&m->base), 1);
        ok = m->state[i] != NULL;
        if (ok) attn_clear(&m->base, m->state[i]);
    }
    return ok;
}

int monitor_open(struct monitor *m, struct gpt2_session *s, struct err *e) {
    *m = (struct monitor){.s = s};
    int rc = attn_init(&m->base, &s->attn.shape, "fp16", NULL, s->kn, e);
    if (rc) return rc;
    if (!allocate(m)) {
        monitor_close(m);
        return err_set(e, ERR_FAILED, "out of memory for the FP16 shadow of %zu sequences",
                       s->n_seq);
    }
    m->observer = (struct gpt2_observer){m, on_layer};
    s->observer = &m->observer;
    return OK;
}

void monitor_close(struct monitor *m) {
    attn_free(&m->base);
    arena_free(&m->arena);
}
