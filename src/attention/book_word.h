/* A whole cache in one word. A book may name two whole caches of its model, which `lookat calibrate
 * --auto` chose (calibration/search.h): the recommended one, and the one that stores least. Each is
 * a spec in full, kept in the book next to the codebooks that it needs:
 *
 *     --attn lookat          the book's lookat.recommended, such as
 *                            "lookat:bytes=4,k=16,refine=32,exact=8/pq:bytes=8,k=16"
 *     --attn lookat:small    the book's lookat.small
 *
 * A word is the whole of what --attn says. With anything beside it, as in "lookat/fp16" or
 * "lookat:m=4", `lookat` is the codec of that name. */
#ifndef LOOKAT_ATTENTION_BOOK_WORD_H
#define LOOKAT_ATTENTION_BOOK_WORD_H

#include "attention/book.h"

enum { BOOK_WORD_BYTES = 255 }; /* of the spec that a word stands for, at most */

/* Returns the word as --attn has it: "lookat", "lookat:small". */
const char *book_word_name(enum book_word word);

/* Returns which word the spec is; BOOK_WORDS where it is none. */
enum book_word book_word_of(const char *spec);

/* Is `cache` a spec that the word may stand for: no word itself, of BOOK_WORD_BYTES at most, with
 * options that every codec takes, for all layers of the book, and with codebooks that the book has?
 * ERR_USAGE says what it is not; ERR_FAILED without memory. */
int book_word_check(const struct book *b, const char *cache, struct err *e);

/* Sets *spec, where it is a word, to what the book (NULL: none) says that it stands for. The text
 * is the book's. ERR_USAGE, with the command that makes such a book, where it says nothing. */
int book_word_expand(const struct book *b, const char **spec, struct err *e);

#endif
