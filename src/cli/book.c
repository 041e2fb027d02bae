/* Finds the set of codebooks that a command uses, and says what a reader of its figures should
 * know.
 */
#include "cli/book.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"

int model_book_open(struct book *b, const struct book **use, const struct args *args,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e) {
    int rc = model_book_find(b, use, args->book, model, specs, n_specs, arena, e);
    if (!rc && args->book && !specs_need_codebooks(specs, n_specs))
        args_no_effect(args, "--book",
                       "none of the backends uses codebooks; lookat keys and pq values do");
    return rc;
}

bool model_book_saw(const struct book *b, const char *sha256) {
    for (size_t i = 0; b && i < b->n_corpora; i++)
        if (strcmp(b->corpora[i].sha256, sha256) == 0) return true;
    return false;
}

void model_book_warn_seen(const struct book *b, const char *file, const char *sha256) {
    for (size_t i = 0; b && i < b->n_corpora; i++)
        if (strcmp(b->corpora[i].sha256, sha256) == 0)
            fprintf(stderr,
                    "lookat: warning: %s: the codebooks were calibrated on this very text (%s); "
                    "its figures flatter them\n",
                    file, printable_copy(b->corpora[i].name).s);
}
