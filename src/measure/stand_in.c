#include "measure/stand_in.h"

#include <string.h>

#include "attention/spec.h"
#include "base/rng.h"
#include "model/key_sampling.h"

enum { TOKENS = 512, SETTINGS_MAX = 64 };

static bool has(const struct book *b, const struct codec *c) { return book_find(b, c->o.m, c->o.k) != NULL; }

/* Notes the settings that one spec names and b lacks; own ones with their centroids. */
static int add_spec(struct book *b, const struct book *own, const char *spec, struct arena *a, struct err *e) {
    struct codec *keys = arena_alloc(a, b->n_layer, sizeof *keys), *values = arena_alloc(a, b->n_layer, sizeof *values);
    struct err unread;
    if (!keys || !values) return err_set(e, ERR_FAILED, "out of memory");
    if (spec_parse(spec, b->n_layer, keys, values, &unread)) return OK;
    for (size_t l = 0; l < b->n_layer; l++) {
        struct codec *c = &keys[l];
        bool good = strcmp(c->ops->name, "lookat") == 0 && (!c->ops->check || c->ops->check(c, b->head_dim, &unread) == OK);
        if (!good || has(b, c) || b->n == SETTINGS_MAX) continue;
        const struct codebook *known = own ? book_find(own, c->o.m, c->o.k) : NULL;
        b->books[b->n++] = known ? *known : (struct codebook){.m = c->o.m, .k = c->o.k};
    }
    return OK;
}

/* centroids[L][H][M][D/M][K]: centroid c is sampled key c */
static int make(struct codebook *c, const struct key_sample *s, struct arena *a, struct err *e) {
    size_t D = s->head_dim, heads = s->n_layer * s->n_head;
    uint16_t *to = arena_alloc(a, heads * D * c->k, sizeof *to);
    if (!to) return err_set(e, ERR_FAILED, "out of memory for codebooks");
    for (size_t h = 0; h < heads; h++)
        for (size_t d = 0; d < D; d++)
            for (size_t i = 0; i < c->k; i++) to[(h * D + d) * c->k + i] = s->keys[(h * s->n + i % s->n) * D + d];
    c->centroids = to;
    return OK;
}

static int sample(struct key_sample *s, const struct gpt2_weights *w, const struct kernels *k, struct arena *a, struct err *e) {
    int32_t ids[TOKENS];
    size_t n = TOKENS < w->config.n_ctx ? TOKENS : w->config.n_ctx, run;
    struct rng rng;
    rng_seed(&rng, 0, 0);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)rng_below(&rng, w->config.n_vocab);
    struct sampled_text text = {ids, n};
    return key_sample_collect(s, w, k, &text, 1, n, n, 0, a, &run, NULL, NULL, e);
}

int stand_in_book(struct book *b, size_t *made, const struct book *own, const struct gpt2_weights *w, const struct kernels *k,
                  const char *const *specs, size_t n_specs, struct err *e) {
    const struct gpt2_config *c = &w->config;
    struct key_sample s;
    struct arena a = {0};
    *b = (struct book){.path = "codebooks for the benchmark", .n_layer = c->n_layer, .n_head = c->n_head, .head_dim = c->n_embd / c->n_head};
    *made = 0;
    b->books = arena_zalloc(&b->arena, SETTINGS_MAX, sizeof *b->books);
    int rc = b->books ? OK : err_set(e, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < n_specs && !rc; i++) rc = add_spec(b, own, specs[i], &a, e);
    for (size_t i = 0; i < b->n && !rc; i++) {
        if (b->books[i].centroids) continue;
        if (!*made) rc = sample(&s, w, k, &a, e);
        if (!rc) rc = make(&b->books[i], &s, &b->arena, e);
        ++*made;
    }
    arena_free(&a);
    if (!*made) book_close(b);
    return rc;
}
