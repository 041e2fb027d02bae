/* Which codebooks a command uses for its model. */
#ifndef LOOKAT_CLI_BOOK_H
#define LOOKAT_CLI_BOOK_H

#include "cli/options.h"
#include "model/model_book.h"

/* Opens the book that --book names, or the one that goes with the model where one of the specs
 * names lookat or pq, with the outcome of model_book_find. A line on standard error says where a
 * book was named that no spec needs. */
int model_book_open(struct book *b, const struct book **use, const struct args *args,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e);

/* Says whether the book (NULL: none) was calibrated on the text with this sha256 (64 hex digits).
 */
bool model_book_saw(const struct book *b, const char *sha256);
/* Warns on standard error where the book (NULL: none) was calibrated on the text with this
 * sha256: its figures flatter the codebooks. */
void model_book_warn_seen(const struct book *b, const char *file, const char *sha256);

#endif
