/* Tables of a comparison, as text or as Markdown: the first row is the heading. */
#ifndef LOOKAT_REPORT_COMPARE_TABLE_H
#define LOOKAT_REPORT_COMPARE_TABLE_H

#include "measure/stats.h"
#include "report/text.h"

struct page {
    FILE *fp;
    bool markdown;
    struct arena *arena;
};

/* A heading of level 1 or 2, with an empty line before it. */
void page_heading(const struct page *p, int level, const char *fmt, ...) ERR_PRINTF(3, 4);
/* A line of text of its own, wrapped where it is not Markdown. */
void page_line(const struct page *p, const char *fmt, ...) ERR_PRINTF(2, 3);
/* Writes the table, as text or as Markdown. ERR_FAILED without memory. */
int page_table(const struct page *p, const struct text_table *t, struct err *e);

/* Writes a number with four decimals, or with two digits and an exponent where four decimals would
 * show nothing. What is not finite is written "NaN" or "inf". */
void cell_number(struct text_table *t, double x);
/* Writes mean ± standard error, or the mean alone where one of them is no number. */
void cell_pair(struct text_table *t, double mean, double error);
/* The same; "-" where there is no sample. */
void cell_estimate(struct text_table *t, const struct estimate *m);
/* Returns what ± is, for a heading: "± standard error over 8 windows", or that one window has
 * none. */
struct error_note {
    char s[80];
};
struct error_note error_note(uint64_t windows);
/* Writes whole bytes with thousands separated, or "-" for what is no number. */
void cell_bytes(struct text_table *t, double x);
/* Writes base / x as "8.00x", or "-" where base is not finite or x is not above 0. */
void cell_times(struct text_table *t, double base, double x);

/* Two texts beside each other, wrapped, each with a mark before its byte same[i] (SIZE_MAX:
 * none). */
struct page_column {
    const char *title, *text; /* [n] */
    size_t n, mark;
};
int page_columns(const struct page *p, const struct page_column *left,
                 const struct page_column *right, struct err *e);

#endif
