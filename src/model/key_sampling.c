#include "model/key_sampling.h"

#include "base/rng.h"
#include "model/gpt2.h"

enum { BATCH = 256 };
#define NOT_KEPT UINT32_MAX

struct collector {
    struct key_sample *sample;
    const struct kernels *k;
    uint32_t *slot;  /* [window] where each position's keys go, or NOT_KEPT */
    size_t bad_layer; /* of a key that f16 cannot hold; SIZE_MAX: none */
};

static bool finite_f16(const uint16_t *x, size_t n) {
    unsigned all = 0;
    for (size_t i = 0; i < n; i++) all |= (x[i] & 0x7c00) == 0x7c00;
    return !all;
}

static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q, const float *k, const float *v, size_t stride) {
    struct collector *c = ctx;
    const struct key_sample *s = c->sample;
    size_t D = s->head_dim;
    (void)q, (void)v;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = c->slot[rows[i].pos];
        if (slot == NOT_KEPT) continue;
        for (size_t h = 0; h < s->n_head; h++) {
            uint16_t *to = s->keys + ((layer * s->n_head + h) * s->n + slot) * D;
            c->k->to_f16(to, k + i * stride + h * D, D);
            if (!finite_f16(to, D) && c->bad_layer == SIZE_MAX) c->bad_layer = layer;
        }
    }
}

/* How many tokens each text gives: equal shares, what a short text lacks made up by the longer ones. */
static size_t share_out(const struct sampled_text *texts, size_t n, size_t tokens, size_t *take) {
    size_t left = tokens, sum = 0;
    for (size_t i = 0; i < n; i++) take[i] = SIZE_MAX;
    for (size_t open = n; open > 0; open--) { /* the shortest that is left */
        size_t shortest = n;
        for (size_t i = 0; i < n; i++)
            if (take[i] == SIZE_MAX && (shortest == n || texts[i].n < texts[shortest].n)) shortest = i;
        size_t share = left / open;
        take[shortest] = share < texts[shortest].n ? share : texts[shortest].n;
        left -= take[shortest];
        sum += take[shortest];
    }
    return sum;
}

struct run {
    struct collector c;
    struct gpt2_session s;
    struct rng rng;
    size_t done, total, kept; /* tokens; keys of each head */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

/* One window; each token is kept with the probability that fills the sample in the end (Knuth, TAOCP 3.4.2, algorithm S). */
static int run_window(struct run *r, const int32_t *ids, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        size_t wanted = r->c.sample->n - r->kept, left = r->total - r->done - i;
        r->c.slot[i] = rng_below(&r->rng, left) < wanted ? (uint32_t)r->kept++ : NOT_KEPT;
    }
    gpt2_rewind(&r->s, 0, 0);
    int rc = gpt2_prefill(&r->s, 0, ids, n, NULL, e);
    if (!rc && r->c.bad_layer != SIZE_MAX)
        rc = err_set(e, ERR_FAILED, "layer %zu of the model makes keys that f16 cannot hold", r->c.bad_layer);
    r->done += n;
    if (!rc && r->progress) r->progress(r->ctx, r->done, r->total);
    return rc;
}

/* `take` tokens of a text in windows, the gaps between them equal. */
static int run_text(struct run *r, const struct sampled_text *t, size_t take, size_t window, struct err *e) {
    size_t windows = (take + window - 1) / window;
    int rc = OK;
    for (size_t i = 0; i < windows && !rc; i++) {
        size_t begin = i * window, n = take - begin < window ? take - begin : window;
        size_t skip = (size_t)((double)(t->n - take) * ((double)i / (double)windows));
        rc = run_window(r, t->ids + begin + skip, n, e);
    }
    return rc;
}

int key_sample_collect(struct key_sample *s, const struct gpt2_weights *w, const struct kernels *k, const struct sampled_text *texts,
                       size_t n_texts, size_t tokens, size_t window, uint64_t seed, struct arena *a, size_t *run,
                       void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *e) {
    const struct gpt2_config *c = &w->config;
    struct run r = {.c = {s, k, NULL, SIZE_MAX}, .progress = progress, .ctx = ctx};
    struct arena scratch = {0};
    size_t *take = arena_alloc(&scratch, n_texts, sizeof *take), per_key = c->n_layer * c->n_embd * sizeof(uint16_t);
    r.c.slot = arena_alloc(&scratch, window, sizeof *r.c.slot);
    *s = (struct key_sample){.n_layer = c->n_layer, .n_head = c->n_head, .head_dim = c->n_embd / c->n_head};
    if (take) r.total = *run = share_out(texts, n_texts, tokens, take);
    s->n = SAMPLE_BYTES / per_key < SAMPLE_KEYS ? SAMPLE_BYTES / per_key : SAMPLE_KEYS;
    if (s->n > r.total) s->n = r.total;
    if (s->n == 0) s->n = 1;
    s->keys = arena_alloc(a, s->n, per_key);
    int rc = take && r.c.slot && s->keys ? OK : err_set(e, ERR_FAILED, "out of memory for %zu keys of each head", s->n);
    if (!rc && !r.total) rc = err_set(e, ERR_USAGE, "the texts have no tokens");
    if (!rc) rc = gpt2_session_open(&r.s, w, k, "fp32", NULL, 1, window, window < BATCH ? window : BATCH, e);
    if (!rc) {
        const struct gpt2_observer observer = {&r.c, observe};
        r.s.observer = &observer;
        rng_seed(&r.rng, seed, UINT64_MAX); /* a stream that no k-means uses */
        for (size_t i = 0; i < n_texts && !rc; i++) rc = run_text(&r, &texts[i], take[i], window, e);
        gpt2_session_close(&r.s);
    }
    arena_free(&scratch);
    return rc;
}
