/* The figures of "LOOKAT: Lookup-Optimized Key-Attention for Memory-Efficient Transformers" (arXiv
 * 2601.10155) beside ours. */
#ifndef LOOKAT_REPORT_COMPARE_PAPER_H
#define LOOKAT_REPORT_COMPARE_PAPER_H

#include "report/compare_out.h"
#include "report/compare_table.h"

/* Returns LOOKAT-4's cosine at a length in tokens, as published; "-" where it is not. */
const char *paper_by_length(size_t length);

/* Returns the published cosine of a run whose first measured layer has the codec of a published
 * row, and values in fp16 as there; NAN where there is none. */
double paper_cosine(const struct compare_report *r, size_t run);

/* Prints cosine and rank correlation by backend: the published figure, then each text's. ERR_FAILED
 * without memory. */
int paper_tables(const struct compare_report *r, const struct page *p, struct err *e);

/* Prints the measured points of 1 - rho = O(d / (m K)), the fitted exponent, and what follows.
 * ERR_FAILED without memory. */
int paper_law(const struct compare_report *r, const struct page *p, struct err *e);

#endif
