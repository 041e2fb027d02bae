/* What attention reads, added up from the codecs' closed forms and split into streamed and at hand.
 */
#include "attention/account.h"

/* Adds what the codes of n rows of one head are read for, keys and values. */
static void coded_reads(const struct attn *a, size_t layer, size_t head, size_t n,
                        struct attn_counters *c) {
    const struct attn_layer *y = &a->layers[layer];
    y->key.ops->reads(&y->key, a->shape.head_dim, head, n, false, c);
    y->value.ops->reads(&y->value, a->shape.head_dim, head, n, true, c);
}

size_t account_codebooks(const struct attn *a) {
    struct attn_counters c = {0};
    for (size_t l = 0; l < a->shape.n_layer; l++)
        for (size_t h = 0; h < a->shape.n_head; h++) coded_reads(a, l, h, 1, &c);
    return (size_t)c.codebooks;
}

struct account account_split(const struct attn_counters *c, size_t codebooks) {
    bool stay = codebooks <= ACCOUNT_CACHE;
    uint64_t at_hand = c->tables + (stay ? c->codebooks : 0);
    return (struct account){.streamed = attn_counters_total(c) - at_hand, .at_hand = at_hand};
}

void account_reads(const struct attn *a, size_t layer, size_t n, struct attn_counters *c) {
    const struct attn_layer *y = &a->layers[layer];
    size_t picked = refine_any(&y->refine) ? refine_count(&y->refine, n) : 0,
           slots = exact_any(&y->exact) ? exact_slots(&y->exact) : 0, exact = n < slots ? n : slots;
    for (size_t h = 0; h < a->shape.n_head; h++) {
        if (picked) c->refined += picked * (y->key_copies[h].row + y->value_copies[h].row);
        if (picked < n) coded_reads(a, layer, h, n, c);
        if (!exact) continue;
        const struct attn_timeline *x = &y->exact_keys[h];
        c->keys += exact * (x->row - x->scales);
        c->scales += exact * x->scales;
    }
}
