#include "cli/allot.h"

#include "report/text.h"

enum { LEAST = 16 }; /* tokens of a window */

static struct text_progress progress;

static void show(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    progress_share(&progress, done, total);
}

int allot_hold_out(struct allot_text *t, struct sampled_text *texts, size_t n_texts, size_t window,
                   struct err *e) {
    size_t used = n_texts < ALLOT_WINDOWS ? n_texts : ALLOT_WINDOWS;
    *t = (struct allot_text){.n = 0};
    for (size_t i = 0; i < used; i++) {
        struct sampled_text *x = &texts[i];
        size_t count = ALLOT_WINDOWS / used + (i < ALLOT_WINDOWS % used),
               each = x->n / 4 / count < window ? x->n / 4 / count : window;
        for (size_t c = 0; c < count && each >= LEAST; c++) {
            x->n -= each;
            t->windows[t->n++] = (struct damage_window){x->ids + x->n, each};
        }
    }
    return t->n ? OK
                : err_set(e, ERR_USAGE,
                          "bytes= measures each head on text that it keeps apart for this, and the "
                          "texts are too short for that");
}

/* The book's uneven settings, with as many bytes for every head, from an arena of their own. */
static int learn_even(struct book *trial, const struct book *book, const struct key_sample *sample,
                      unsigned parts, const struct engine *g, bool quiet, struct err *e) {
    struct learn_error *errors = NULL;
    *trial =
        (struct book){.n_layer = book->n_layer, .n_head = book->n_head, .head_dim = book->head_dim};
    trial->books = arena_zalloc(&trial->arena, book->n, sizeof *trial->books);
    for (size_t i = 0; i < book->n && trial->books; i++)
        if (book->books[i].uneven) trial->books[trial->n++] = book->books[i];
    errors = arena_alloc(&trial->arena, trial->n * book->n_layer, sizeof *errors);
    if (!trial->books || !errors) return err_set(e, ERR_FAILED, "out of memory");
    progress_begin(&progress, "learning equal shares");
    int rc =
        book_learn(trial, sample, parts, book->seed, g->k, errors, quiet ? NULL : show, NULL, e);
    progress_end(&progress);
    return rc;
}

/* y: an uneven setting of the book; even: the same with as many bytes for every head. */
static int allot(struct codebook *y, const struct codebook *even, struct book *book,
                 const struct key_sample *sample, unsigned parts, const struct engine *g,
                 const struct allot_text *t, bool quiet, struct err *e) {
    struct arena scratch = {0};
    size_t heads = book->n_layer * book->n_head, per_byte = codes_per_byte(y->k);
    size_t most = book->head_dim < BOOK_BYTES ? book->head_dim : BOOK_BYTES;
    struct quantiser *z = arena_zalloc(&book->arena, heads, sizeof *z);
    double *damage = arena_alloc(&scratch, heads, sizeof *damage),
           *cost = arena_alloc(&scratch, heads * most, sizeof *cost);
    size_t *bytes = arena_alloc(&scratch, heads, sizeof *bytes);
    int rc = z && damage && cost && bytes ? OK : err_set(e, ERR_FAILED, "out of memory");
    if (!rc) rc = book_costs(cost, sample, parts, y->values, y->k, most, g->k, e);
    progress_begin(&progress, "measuring each head");
    if (!rc)
        rc = damage_measure(damage, &g->model.weights, g->k, even->heads, y->values, t->windows,
                            t->n, quiet ? NULL : show, NULL, e);
    progress_end(&progress);
    if (!rc) {
        book_allot(bytes, damage, cost, heads, y->m, most);
        for (size_t h = 0; h < heads; h++) z[h].n = bytes[h] * per_byte;
        y->heads = z;
    }
    arena_free(&scratch);
    return rc;
}

int allot_codes(struct book *book, const struct key_sample *sample, unsigned parts,
                const struct engine *g, const struct allot_text *t, bool quiet, struct err *e) {
    struct book trial;
    int rc = learn_even(&trial, book, sample, parts, g, quiet, e);
    for (size_t i = 0, n = 0; i < book->n && !rc; i++)
        if (book->books[i].uneven)
            rc = allot(&book->books[i], &trial.books[n++], book, sample, parts, g, t, quiet, e);
    book_close(&trial);
    return rc;
}
