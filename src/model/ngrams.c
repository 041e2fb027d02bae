/* Hash tables with open addressing. A slot holds a place in the text, so the tokens themselves tell
 * whether an n-gram is the one that is looked for: a collision costs a step and no wrong answer. */
#include "model/ngrams.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"

bool ngrams_init(struct ngrams *g, const int32_t *text, size_t room, struct arena *a) {
    size_t slots = 4;
    assert(room < (size_t)1 << 31);
    while (slots < 2 * room) slots *= 2; /* at most half of them are ever used */
    struct rng r;
    rng_seed(&r, rng_entropy(), 0);
    *g = (struct ngrams){.text = text, .mask = slots - 1, .key = {rng_u64(&r), rng_u64(&r)}};
    for (size_t m = 0; m < NGRAM_LONGEST; m++) {
        g->slots[m] = arena_zalloc(a, slots, sizeof *g->slots[m]);
        if (!g->slots[m]) return false;
    }
    return true;
}

/* Returns the slot of the m tokens end[-m] .. end[-1]; an empty one where they are not known. */
static uint32_t *slot_of(const struct ngrams *g, const int32_t *end, size_t m) {
    uint32_t *slots = g->slots[m - 1];
    size_t at = (size_t)hash_bytes(g->key, end - m, m * sizeof *end) & g->mask;
    while (slots[at] && memcmp(g->text + slots[at] - m, end - m, m * sizeof *end) != 0)
        at = (at + 1) & g->mask;
    return &slots[at];
}

void ngrams_add(struct ngrams *g, uint32_t before[NGRAM_LONGEST]) {
    size_t end = ++g->n;
    for (size_t m = 1; m <= NGRAM_LONGEST; m++) {
        uint32_t *slot = m <= end ? slot_of(g, g->text + end, m) : NULL;
        if (before) before[m - 1] = slot ? *slot : 0;
        if (slot) *slot = (uint32_t)end;
    }
}

uint32_t ngrams_find(const struct ngrams *g, const int32_t *end, size_t m) {
    return *slot_of(g, end, m);
}
