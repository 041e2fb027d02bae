/* lookat calibrate: how many bytes of codes each head of an uneven setting (book.h) gets. */
#ifndef LOOKAT_CLI_ALLOT_H
#define LOOKAT_CLI_ALLOT_H

#include "calibration/learn.h"
#include "cli/engine.h"
#include "calibration/damage.h"
#include "calibration/key_sampling.h"

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

/* Sets heads[L H].n of the book's uneven settings, with memory from its arena: each is learned with
 * as many bytes for every head, the damage of each head measured (calibration/damage.h), the bytes
 * handed out (book_allot). Progress on standard error, but for `quiet`. */
int allot_codes(struct book *book, const struct key_sample *sample, unsigned parts,
                const struct engine *g, const struct allot_text *t, bool quiet, struct err *e);

#endif
