/* The table that a comparison ends with, and what its other tables share with it. */
#ifndef LOOKAT_REPORT_COMPARE_SUMMARY_H
#define LOOKAT_REPORT_COMPARE_SUMMARY_H

#include "report/compare_out.h"
#include "report/compare_table.h"

/* Prints a row for each backend: bytes stored, bytes loaded and how they split, perplexity, ratio,
 * divergence, cosine of layer 0 and of the worst. ERR_FAILED without memory. */
int summary_table(const struct compare_report *r, size_t text, const struct page *p, struct err *e);

/* Write the backend's title, with a * where its codebooks have seen the text; and the line that
 * says so, where one has. */
void cell_backend(struct text_table *t, const struct compare_report *r, size_t run, size_t text);
void note_seen(const struct compare_report *r, size_t text, const struct page *p);

#endif
