/* Finds strings in texts that grow, by the automaton of Knuth, Morris and Pratt. */
#include "model/stop_text.h"

#include <string.h>

/* Returns how many bytes of the string the text ends with, when it ended with k < n of them and
 * byte c comes. */
static uint32_t step(const struct stop_string *x, uint32_t k, uint8_t c) {
    while (k > 0 && x->s[k] != c) k = x->back[k - 1];
    return k + (x->s[k] == c);
}

bool stop_text_init(struct stop_text *t, const char *const *strings, size_t n, size_t n_samples,
                    struct arena *a) {
    *t = (struct stop_text){.n = n};
    t->strings = arena_alloc(a, n, sizeof *t->strings);
    t->found = arena_zalloc(a, n_samples, n * sizeof *t->found);
    if (!t->strings || !t->found) return false;
    for (size_t i = 0; i < n; i++) {
        struct stop_string *x = &t->strings[i];
        *x = (struct stop_string){.s = (const uint8_t *)strings[i], .n = strlen(strings[i])};
        x->back = arena_alloc(a, x->n, sizeof *x->back);
        if (!x->back) return false;
        /* The string is read as a text that begins with its second byte. */
        x->back[0] = 0;
        for (size_t b = 1; b < x->n; b++) x->back[b] = step(x, x->back[b - 1], x->s[b]);
    }
    return true;
}

bool stop_text_read(struct stop_text *t, size_t sample, const uint8_t *s, size_t n) {
    uint32_t *found = t->found + sample * t->n;
    bool ends = false;
    for (size_t i = 0; i < t->n; i++) {
        const struct stop_string *x = &t->strings[i];
        for (size_t b = 0; b < n; b++) {
            found[i] = step(x, found[i], s[b]);
            if (found[i] < x->n) continue;
            found[i] = x->back[x->n - 1];
            ends = true;
        }
    }
    return ends;
}
