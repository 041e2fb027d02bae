/* See allot.h. */
#include "calibration/allot.h"

enum { LEAST = 16 }; /* tokens of a window, at least */

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

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

int allot_learn_even(struct book *even, const struct book *book, const struct learning *l,
                     struct err *e) {
    *even =
        (struct book){.n_layer = book->n_layer, .n_head = book->n_head, .head_dim = book->head_dim};
    even->books = arena_zalloc(&even->arena, book->n, sizeof *even->books);
    for (size_t i = 0; i < book->n && even->books; i++)
        if (book->books[i].uneven) even->books[even->n++] = book->books[i];
    struct learn_error *errors = arena_alloc(&even->arena, even->n * book->n_layer, sizeof *errors);
    return even->books && errors ? book_learn(even, l, errors, e) : no_memory(e);
}

/* Progress of one setting's measurement, as a part of that of all settings. */
struct part {
    struct progress whole;
    uint64_t before, settings; /* settings done; all */
};

static void hear_part(void *ctx, uint64_t done, uint64_t total) {
    const struct part *p = ctx;
    progress_tell(p->whole, p->before * total + done, p->settings * total);
}

/* y is an uneven setting of the book; `even` is the same one with as many bytes for every head. */
static int allot(struct codebook *y, const struct codebook *even, struct book *book,
                 const struct learning *l, const struct damage_setup *on, struct part *part,
                 struct err *e) {
    struct arena scratch = {0};
    size_t heads = book->n_layer * book->n_head, per_byte = codes_per_byte(y->k);
    size_t most = book->head_dim < BOOK_BYTES ? book->head_dim : BOOK_BYTES;
    struct quantiser *z = arena_zalloc(&book->arena, heads, sizeof *z);
    double *damage = arena_alloc(&scratch, heads, sizeof *damage),
           *cost = arena_alloc(&scratch, heads * most, sizeof *cost);
    size_t *bytes = arena_alloc(&scratch, heads, sizeof *bytes);
    int rc = z && damage && cost && bytes ? OK : no_memory(e);
    if (!rc) rc = book_costs(cost, l, y->values, y->k, most, e);
    if (!rc)
        rc = damage_measure(damage, on, even->heads, y->values, (struct progress){hear_part, part},
                            e);
    if (!rc) {
        allot_bytes(bytes, damage, cost, heads, y->m, most);
        for (size_t h = 0; h < heads; h++) z[h].n = bytes[h] * per_byte;
        y->heads = z;
    }
    arena_free(&scratch);
    return rc;
}

int allot_codes(struct book *book, const struct book *even, const struct learning *l,
                const struct damage_setup *on, struct progress progress, struct err *e) {
    struct part part = {.whole = progress, .settings = even->n};
    int rc = OK;
    for (size_t i = 0; i < book->n && !rc; i++) {
        if (!book->books[i].uneven) continue;
        rc = allot(&book->books[i], &even->books[part.before], book, l, on, &part, e);
        part.before++;
    }
    return rc;
}

/* Returns what one byte more than `bytes` is taken to save of a head's damage. */
static double gain(const double *cost, double damage, size_t mean, size_t bytes) {
    double at_mean = cost[mean - 1];
    return at_mean > 0 && damage > 0 ? damage * (cost[bytes - 1] - cost[bytes]) / at_mean : 0;
}

void allot_bytes(size_t *bytes, const double *damage, const double *cost, size_t n_heads,
                 size_t mean, size_t most) {
    for (size_t h = 0; h < n_heads; h++) bytes[h] = 1;
    for (size_t left = (mean - 1) * n_heads; left > 0; left--) {
        size_t best = n_heads;
        double most_gain = -1;
        for (size_t h = 0; h < n_heads; h++) {
            double x = bytes[h] < most ? gain(cost + h * most, damage[h], mean, bytes[h]) : -1;
            if (x > most_gain) most_gain = x, best = h;
        }
        bytes[best]++;
    }
}
