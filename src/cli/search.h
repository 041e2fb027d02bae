/* lookat calibrate --auto: which way to make keys of so many bytes costs the text least. */
#ifndef LOOKAT_CLI_SEARCH_H
#define LOOKAT_CLI_SEARCH_H

#include "cli/allot.h"

/* What each budget's search found, and the table of what it tried. */
struct search {
    struct book *found; /* [n] one setting each; book_close is due */
    size_t n;
    char **lines; /* [n_lines] the table, a line for each way tried */
    size_t n_lines;
};

/* For every budget (bytes of codes a key, 1 to BOOK_BYTES): the published method, learned
 * quantisers of equal shares with all parts and with one left out at a time, then with the parts
 * that were best of these bytes given to the heads that need them, of 8-bit and of 4-bit codes.
 * Each is learned from the sample and judged by damage_of_spec on the text kept apart, with and
 * without exact few; the least damage without them is kept. `like` has the model's shape,
 * fingerprint and seed. Progress on standard error, but for `quiet`; memory for the lines from the
 * arena. search_close is due in any case. */
int search_run(struct search *s, const size_t *budgets, size_t n_budgets, const struct book *like,
               const struct key_sample *sample, const struct engine *g, const struct allot_text *t,
               bool quiet, struct arena *arena, struct err *e);
void search_close(struct search *s);

#endif
