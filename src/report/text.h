/* Text for people: numbers with units, tables in columns, and a progress line. */
#ifndef LOOKAT_REPORT_TEXT_H
#define LOOKAT_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/printable.h"
#include "base/progress.h"

/* A number as text, to be used in the expression that makes it: printf("%s", text_bytes(n).s). */
struct text_number {
    char s[40];
};

/* Decimal units, as memory bandwidth is given in: "512 bytes", "12.1 MB". */
struct text_number text_bytes(uint64_t n);

/* "124,439,808" */
struct text_number text_count(uint64_t n);

/* "1 window", "3,072 windows" */
struct text_number text_plural(uint64_t n, const char *one);

/* Words of the text from column `column` on and a newline, breaking lines before the 80th column
 * and indenting them. */
void text_wrap(FILE *fp, const char *text, int column, int indent);

/* A token's bytes on one line: valid UTF-8 as it is, characters that steer a terminal and other
 * bytes as \n, \t, \r, \\ or \xHH. */
void text_escaped(FILE *fp, const uint8_t *s, size_t n);

/* A field of CSV (RFC 4180), in quotes, made printable. */
void text_csv(FILE *fp, const char *s);

/* A table of cells, printed once all are known. */
struct text_table {
    struct arena *arena;
    const char *align; /* 'l' or 'r' for each column */
    char **cells;      /* [n], row by row; NULL where memory ran out */
    size_t n, room;
    bool failed, one_row;
};

/* `align` sets the number of columns and must outlive the table. */
void table_begin(struct text_table *t, const char *align, struct arena *arena);
/* The next cell, row by row, made printable (base/printable.h). Widths count characters of
 * UTF-8. */
void table_cell(struct text_table *t, const char *fmt, ...) ERR_PRINTF(2, 3);
/* Every row, its columns two spaces apart. What is wider than 80 columns is printed in blocks of
 * columns that fit, one below the other, each with the leading left-aligned columns (two at most,
 * else the first) again; not where one_row is set, or those alone take half of the line. ERR_FAILED
 * where memory ran out. */
int table_print(const struct text_table *t, FILE *fp, struct err *e);
/* Of a table wider than 80 columns: those of the first n columns that say the same in every row
 * become a line of their own, "title cell, title cell", and leave the table. */
void table_common(struct text_table *t, const char *const *titles, size_t n, FILE *fp);

/* A line on standard error that grows: "converting  42 %  180 MB/s  0:07 left". Shown once a second
 * has passed; overwritten in place on a terminal, else only the last one. */
struct text_progress {
    const char *what;
    double start, shown; /* seconds of clock_now */
    bool any;
};

void progress_begin(struct text_progress *p, const char *what);
/* A listener that shows a share of the work on the line, or bytes and their rate; with `quiet` one
 * that hears nothing. The line must outlive it, and progress_begin is due before the first call. */
struct progress progress_shares(struct text_progress *p, bool quiet);
struct progress progress_bytes(struct text_progress *p, bool quiet);
/* done of total units of work that have no name: without a rate. */
void progress_share(struct text_progress *p, uint64_t done, uint64_t total);
/* Ends the line, where one was shown. */
void progress_end(struct text_progress *p);

#endif
