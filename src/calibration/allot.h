/* How many bytes of codes each head of an uneven setting (book.h) gets: those for which the text
 * pays least. What a head's loss costs the text is measured (damage.h) on windows that are kept
 * apart for this; what more bytes would save of it is worked out from the rows (book_costs). */
#ifndef LOOKAT_CALIBRATION_ALLOT_H
#define LOOKAT_CALIBRATION_ALLOT_H

#include "calibration/damage.h"
#include "calibration/key_sampling.h"
#include "calibration/learn.h"

/* The text that damage is measured on and nothing is learned from. */
enum { ALLOT_WINDOWS = 4 };
struct allot_text {
    struct damage_window windows[ALLOT_WINDOWS];
    size_t n;
};

/* Takes ALLOT_WINDOWS windows of at most `window` tokens off the ends of the texts, in turn and of
 * none more than a quarter. ERR_USAGE where there is too little text. */
int allot_hold_out(struct allot_text *t, struct sampled_text *texts, size_t n_texts, size_t window,
                   struct err *e);

/* The first step: learns the uneven settings of `book` with as many bytes for every head, into
 * *even, in their order. book_close(even) is due in any case. Errors as book_learn's. */
int allot_learn_even(struct book *even, const struct book *book, const struct learning *l,
                     struct err *e);

/* The second step: sets heads[L H].n of the book's uneven settings, with memory from its arena, by
 * the damage of each head in *even and allot_bytes. `progress` hears in passes of the model. Errors
 * as damage_measure's. */
int allot_codes(struct book *book, const struct book *even, const struct learning *l,
                const struct damage_setup *on, struct progress progress, struct err *e);

/* Hands out bytes[n_heads], 1 to `most` each and `mean` on average (1 <= mean <= most), so that the
 * sum of damages is small. damage[h] is what head h costs the text when it alone is quantised, with
 * `mean` bytes; with m bytes it is taken to be damage[h] cost[h][m - 1] / cost[h][mean - 1], where
 * cost is [n_heads][most]. Each byte in turn goes where it saves most. Costs fall more slowly the
 * more bytes there are, nearly without exception, so this finds the least sum or one close to it.
 */
void allot_bytes(size_t *bytes, const double *damage, const double *cost, size_t n_heads,
                 size_t mean, size_t most);

#endif
