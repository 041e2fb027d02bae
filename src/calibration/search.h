/* Which way to make keys of so many bytes costs the text least: `lookat calibrate --auto`. Each way
 * is a setting of codebooks and the parts of learning; this file tries them and keeps the best. */
#ifndef LOOKAT_CALIBRATION_SEARCH_H
#define LOOKAT_CALIBRATION_SEARCH_H

#include "calibration/allot.h"

/* What each budget's search found, and the table of what it tried. */
struct search {
    struct book *found; /* [n] one setting each */
    size_t n;
    char **lines; /* [n_lines] the table for people, a line for each way tried */
    size_t n_lines;
};

/* What to search, and on what. */
struct search_plan {
    const size_t *budgets; /* [n_budgets] bytes of codes a key, 1 to BOOK_BYTES */
    size_t n_budgets;
    const struct book *like;         /* has the model's shape and the seed */
    const struct key_sample *sample; /* with all that learned keys need */
    struct damage_setup on;          /* the text kept apart that the ways are judged on */
    struct progress progress;        /* hears in ways tried */
};

/* Tries for every budget: the published method, learned quantisers of equal shares with all parts
 * and with one left out at a time, then, with the parts that were best of these, bytes given to the
 * heads that need them, of 8-bit and of 4-bit codes. Each is learned from the sample and judged by
 * damage_of_spec, with and without exact keys; the way with the least damage without them is kept.
 * Memory for the lines comes from `arena`. search_close is due in any case. ERR_FAILED without
 * memory or for numbers that f16 cannot hold, ERR_INTERRUPTED after Ctrl-C. */
int search_run(struct search *s, const struct search_plan *plan, struct arena *arena,
               struct err *e);
void search_close(struct search *s);

#endif
