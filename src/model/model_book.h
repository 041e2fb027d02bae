/* Which codebooks a model is run with. */
#ifndef LOOKAT_MODEL_MODEL_BOOK_H
#define LOOKAT_MODEL_MODEL_BOOK_H

#include "attention/book.h"
#include "checkpoint/checkpoint.h"

/* Does one of the specs name lookat or pq? A spec that cannot be read may need codebooks as well:
 * it is refused later, with a message of its own, and none comes before that. */
bool specs_need_codebooks(const char *const *specs, size_t n);

/* Opens the book in the file `named`; where that is NULL and the specs need codebooks, the book
 * inside the model's GGUF file, else MODEL.book.gguf beside it (the model's path without .gguf, and
 * .book.gguf). *use is then the book, or NULL where there is none (and attn_init says how to make
 * one). ERR_REFUSED for a book that is broken or of another model, and for a named file without
 * codebooks. book_close(b) is due after OK, whatever *use is. Memory for a path comes from the
 * arena. */
int model_book_find(struct book *b, const struct book **use, const char *named,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e);

/* The book inside a model's GGUF file, whatever model it is of: *use NULL where there is none. As
 * above otherwise. */
int model_book_inside(struct book *b, const struct book **use, const struct checkpoint *model,
                      struct err *e);

#endif
