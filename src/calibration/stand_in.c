/* See stand_in.h. The centroids are sampled keys of a run over random tokens: they cost what
 * learned ones cost, and what they are worth does not matter to a benchmark. */
#include "calibration/stand_in.h"

#include <string.h>

#include "attention/book_word.h"
#include "attention/code_rows.h"
#include "attention/spec.h"
#include "base/rng.h"
#include "calibration/key_sampling.h"

enum { TOKENS = 512 };

/* Returns the codebooks that the codec would take from b; NULL where b lacks them. */
static const struct codebook *find(const struct book *b, const struct codec *c) {
    struct codec_options o = c->o;
    return code_rows_choose(&o, b, c->for_values);
}

/* Adds to b the setting that a codec names and b lacks, with its centroids if `own` has them. */
static void add_codec(struct book *b, const struct book *own, struct codec *c) {
    struct err unread;
    if (!c->ops->codebooks || c->ops->check(c, b->head_dim, &unread) || find(b, c) ||
        b->n == BOOK_SETTINGS)
        return;
    const struct codebook *known = own ? find(own, c) : NULL;
    bool uneven = c->o.bytes != 0, learned = c->o.learned || uneven || c->for_values;
    b->books[b->n++] = known ? *known
                             : (struct codebook){.m = uneven ? c->o.bytes : c->o.m,
                                                 .k = c->o.k,
                                                 .learned = learned,
                                                 .uneven = uneven,
                                                 .values = c->for_values};
}

static int add_spec(struct book *b, const struct book *own, const char *spec, struct arena *a,
                    struct err *e) {
    struct codec *keys = arena_alloc(a, b->n_layer, sizeof *keys),
                 *values = arena_alloc(a, b->n_layer, sizeof *values);
    struct err unread;
    if (!keys || !values) return err_set(e, ERR_FAILED, "out of memory");
    if (book_word_expand(own, &spec, &unread) ||
        spec_parse(spec, b->n_layer, keys, values, &unread))
        return OK;
    for (size_t l = 0; l < b->n_layer; l++)
        add_codec(b, own, &keys[l]), add_codec(b, own, &values[l]);
    return OK;
}

/* Makes such centroids a learned setting, with ranges of about equal widths and the identity for a
 * transform: it costs what a learned one costs. */
static int dress(struct codebook *c, const uint16_t *centroids, const struct key_sample *s,
                 struct arena *a, struct err *e) {
    size_t D = s->head_dim, heads = s->n_layer * s->n_head, n = codebook_codes(c);
    uint16_t *identity = arena_zalloc(a, D * D, sizeof *identity),
             *mean = arena_zalloc(a, D, sizeof *mean);
    struct quantiser *z = arena_zalloc(a, heads, sizeof *z);
    struct quantiser_range *ranges = arena_zalloc(a, heads * n, sizeof *ranges);
    if (!identity || !mean || !z || !ranges)
        return err_set(e, ERR_FAILED, "out of memory for codebooks");
    for (size_t d = 0; d < D; d++) identity[d * D + d] = f32_to_f16(1);
    for (size_t h = 0; h < heads; h++, ranges += n) {
        z[h] = (struct quantiser){
            .dim = D, .k = c->k, .n = n, .inverse = identity, .mean = mean, .ranges = ranges};
        for (size_t j = 0; j < n; j++) {
            size_t at = D * j / n, width = D * (j + 1) / n - at;
            ranges[j] = (struct quantiser_range){.at = at, .width = width, .centroids = centroids};
            centroids += width * c->k;
        }
    }
    c->heads = z;
    return OK;
}

/* Makes centroids[L][H][M][D/M][K], where centroid c is sampled key c. */
static int make(struct codebook *c, const struct key_sample *s, struct arena *a, struct err *e) {
    size_t D = s->head_dim, heads = s->n_layer * s->n_head;
    uint16_t *to = arena_alloc(a, heads * D * c->k, sizeof *to);
    if (!to) return err_set(e, ERR_FAILED, "out of memory for codebooks");
    for (size_t h = 0; h < heads; h++)
        for (size_t d = 0; d < D; d++)
            for (size_t i = 0; i < c->k; i++)
                to[(h * D + d) * c->k + i] = s->keys[(h * s->n + i % s->n) * D + d];
    if (c->learned) return dress(c, to, s, a, e);
    c->centroids = to;
    return OK;
}

static int sample(struct key_sample *s, const struct gpt2_weights *w, const struct kernels *kn,
                  struct arena *a, struct err *e) {
    int32_t ids[TOKENS];
    size_t n = TOKENS < w->config.n_ctx ? TOKENS : w->config.n_ctx, run;
    struct rng rng;
    rng_seed(&rng, 0, 0);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)rng_below(&rng, w->config.n_vocab);
    struct sampled_text text = {ids, n};
    struct key_sampling p = {.weights = w,
                             .kn = kn,
                             .texts = &text,
                             .n_texts = 1,
                             .tokens = n,
                             .window = n,
                             .parts = SAMPLE_PLAIN};
    return key_sample_collect(s, &p, a, &run, e);
}

int stand_in_book(struct book *b, size_t *made, const struct book *own,
                  const struct gpt2_weights *w, const struct kernels *kn, const char *const *specs,
                  size_t n_specs, struct err *e) {
    const struct gpt2_config *c = &w->config;
    struct key_sample s;
    struct arena a = {0};
    *b = (struct book){.path = "codebooks for the benchmark",
                       .n_layer = c->n_layer,
                       .n_head = c->n_head,
                       .head_dim = c->n_embd / c->n_head};
    *made = 0;
    if (own) memcpy(b->words, own->words, sizeof b->words);
    b->books = arena_zalloc(&b->arena, BOOK_SETTINGS, sizeof *b->books);
    int rc = b->books ? OK : err_set(e, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < n_specs && !rc; i++) rc = add_spec(b, own, specs[i], &a, e);
    for (size_t i = 0; i < b->n && !rc; i++) {
        if (b->books[i].centroids || b->books[i].heads) continue;
        if (!*made) rc = sample(&s, w, kn, &a, e);
        if (!rc) rc = make(&b->books[i], &s, &b->arena, e);
        ++*made;
    }
    arena_free(&a);
    if (!*made) book_close(b);
    return rc;
}
