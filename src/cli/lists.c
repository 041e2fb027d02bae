/* Cuts the values of options at their commas, and reads numbers from the parts. */
#include "cli/lists.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory for a list"); }

size_t word_first(const char *list) { return strcspn(list, ","); }

int words_add(struct word_list *to, const char *list, size_t (*first)(const char *list),
              const char *as, struct arena *a, struct err *e) {
    for (const char *at = list;; at++) {
        size_t n = first(at);
        if (!n)
            return err_set(e, ERR_USAGE, "%s: something is missing at a comma in '%.60s'", as,
                           list);
        const char **more = arena_alloc(a, to->n + 1, sizeof *more);
        char *word = arena_copy(a, at, n);
        if (!more || !word) return no_memory(e);
        if (to->n) memcpy(more, to->item, to->n * sizeof *more);
        more[to->n++] = word;
        to->item = more;
        at += n;
        if (!*at) return OK;
    }
}

int numbers_read(struct number_list *to, const struct str_list *given, const char *by_default,
                 const char *as, size_t least, size_t most, struct arena *a, struct err *e) {
    struct word_list words = {0};
    int rc = given->n ? OK : words_add(&words, by_default, word_first, as, a, e);
    for (size_t i = 0; i < given->n && !rc; i++)
        rc = words_add(&words, given->item[i], word_first, as, a, e);
    if (rc) return rc;
    *to = (struct number_list){arena_alloc(a, words.n, sizeof *to->item), words.n};
    if (!to->item) return no_memory(e);
    for (size_t i = 0; i < words.n; i++) {
        const char *s = words.item[i];
        size_t digits = strspn(s, "0123456789");
        to->item[i] = digits < 10 ? (size_t)strtoul(s, NULL, 10) : SIZE_MAX;
        if (!digits || s[digits] || to->item[i] < least || to->item[i] > most)
            return err_set(
                e, ERR_USAGE,
                "%s: expected whole numbers from %zu to %zu, separated by commas, got '%.60s'", as,
                least, most, s);
    }
    return OK;
}
