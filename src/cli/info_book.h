/* lookat info of a file that holds codebooks and no model. */
#ifndef LOOKAT_CLI_INFO_BOOK_H
#define LOOKAT_CLI_INFO_BOOK_H

#include "attention/book.h"
#include "cli/options.h"
#include "report/json_out.h"
#include "report/text.h"

/* Is the file a book of its own, as calibrate writes them without --embed? False also for one that
 * cannot be read. */
bool is_book(const char *path);

/* Prints what the book in `path` holds: the model it belongs to (and whether that of -m, else the
 * one beside it, else the default model is it), its settings, and what they were learned from. */
int info_book(const struct args *a, const char *path, const char *sha256, struct arena *arena,
              struct err *e);

/* Adds a row for each whole cache that the book names (book_word.h) to a table of two columns. */
void info_words(struct text_table *t, const struct book *b);
/* Adds "recommended" and "small": what the book (NULL: none) names, or null. */
void info_words_json(struct json_out *j, const struct book *b);
/* Prints what calibrate --auto tried: the lines of the caches that it chose, or with `all` every
 * line. */
void info_tried(const struct book *b, bool all);

#endif
