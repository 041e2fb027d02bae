/* Which codebooks a command uses for its model. */
#ifndef LOOKAT_CLI_BOOK_H
#define LOOKAT_CLI_BOOK_H

#include "attention/book.h"
#include "checkpoint/checkpoint.h"
#include "cli/options.h"

/* Where one of the specs names lookat or pq: opens --book FILE, else the book inside the model's
 * GGUF file, else MODEL.book.gguf beside it (the model's path without .gguf, and .book.gguf). *use
 * is then the book, or NULL where there is none (and attn_init says how to make one). ERR_REFUSED
 * for a book that is broken or of another model. book_close(b) is due after OK, whatever *use is.
 * Memory for a path comes from the arena. */
int model_book_open(struct book *b, const struct book **use, const struct args *args,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e);

/* The book inside a model's GGUF file, whatever model it is of: *use NULL where there is none. As
 * above otherwise. */
int model_book_inside(struct book *b, const struct book **use, const struct checkpoint *model,
                      struct err *e);

/* Says whether the book (NULL: none) was calibrated on the text with this sha256 (64 hex digits).
 */
bool model_book_saw(const struct book *b, const char *sha256);
/* Warns on standard error where the book (NULL: none) was calibrated on the text with this
 * sha256: its figures flatter the codebooks. */
void model_book_warn_seen(const struct book *b, const char *file, const char *sha256);

#endif
