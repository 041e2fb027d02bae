/* Making a backend: the codecs that a spec asks for, set up for every layer; and its counters. */
#include "attention/backend.h"

#include "attention/book_word.h"
#include "attention/registry.h"
#include "attention/spec.h"
#include "attention/spec_name.h"
#include "attention/state.h"

/* Checks the options of a layer's codec and sets its data up. Errors are those of attn_init. */
static int set_up(struct attn *a, struct codec *c, size_t layer, bool values,
                  const struct book *book, struct err *e) {
    struct codec_setup s = {.n_layer = a->shape.n_layer,
                            .n_head = a->shape.n_head,
                            .head_dim = a->shape.head_dim,
                            .layer = layer,
                            .book = book,
                            .for_values = values,
                            .arena = &a->arena};
    int rc = c->ops->check ? c->ops->check(c, s.head_dim, e) : OK;
    return rc || !c->ops->setup ? rc : c->ops->setup(c, &s, e);
}

int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec,
              const struct book *book, const struct kernels *kn, struct err *e) {
    size_t L = shape->n_layer;
    int rc = book_word_expand(book, &spec, e);
    if (rc) return rc;
    *a = (struct attn){.kn = kn, .shape = *shape};
    a->layers = arena_zalloc(&a->arena, L, sizeof *a->layers);
    a->cut = arena_zalloc(&a->arena, L, sizeof *a->cut);
    struct codec *keys = arena_zalloc(&a->arena, L, sizeof *keys),
                 *values = arena_zalloc(&a->arena, L, sizeof *values);
    struct attn_timeline *timelines =
        arena_zalloc(&a->arena, STATE_TIMELINES * L * shape->n_head, sizeof *timelines);
    rc = a->layers && a->cut && keys && values && timelines
             ? spec_parse(spec, L, keys, values, e)
             : err_set(e, ERR_FAILED, "out of memory for the attention backend");
    for (size_t l = 0; l < L && !rc; l++) {
        a->layers[l].key = keys[l];
        a->layers[l].value = values[l];
        rc = set_up(a, &a->layers[l].key, l, false, book, e);
        if (!rc) rc = set_up(a, &a->layers[l].value, l, true, book, e);
        if (!rc) rc = exact_init(&a->layers[l].exact, &keys[l], shape->head_dim, shape->n_ctx, e);
        if (!rc) rc = refine_init(&a->layers[l].refine, &keys[l], shape->head_dim, shape->n_ctx, e);
    }
    if (rc) {
        attn_free(a);
        return rc;
    }
    state_lay_out(a, timelines);
    a->name = spec_effective(a, &a->arena);
    if (a->name) return OK;
    attn_free(a);
    return err_set(e, ERR_FAILED, "out of memory for the attention backend");
}

void attn_free(struct attn *a) { arena_free(&a->arena); }

bool attn_wants_center(const struct attn *a) {
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (a->layers[l].key.o.center) return true;
    return false;
}

struct attn_counters attn_counters_less(const struct attn_counters *a,
                                        const struct attn_counters *b) {
    return (struct attn_counters){.keys = a->keys - b->keys,
                                  .values = a->values - b->values,
                                  .scales = a->scales - b->scales,
                                  .refined = a->refined - b->refined,
                                  .codebooks = a->codebooks - b->codebooks,
                                  .tables = a->tables - b->tables,
                                  .skipped_rows = a->skipped_rows - b->skipped_rows,
                                  .skipped_mass = a->skipped_mass - b->skipped_mass};
}

uint64_t attn_counters_total(const struct attn_counters *c) {
    return c->keys + c->scales + c->codebooks + c->tables + c->values + c->refined;
}

void attn_counters_add(struct attn_counters *to, const struct attn_counters *c) {
    to->keys += c->keys;
    to->scales += c->scales;
    to->codebooks += c->codebooks;
    to->tables += c->tables;
    to->refined += c->refined;
    to->values += c->values;
    to->skipped_rows += c->skipped_rows;
    to->skipped_mass += c->skipped_mass;
}
