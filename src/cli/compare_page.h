/* The files of lookat compare: the report as a page (--html), and its figures (--svg). */
#ifndef LOOKAT_CLI_COMPARE_PAGE_H
#define LOOKAT_CLI_COMPARE_PAGE_H

#include "cli/engine.h"
#include "report/compare_out.h"

/* Is one of them asked for? */
bool compare_page_wanted(const struct args *a);

/* Says whether the files can be written, before the work; makes the folder of --svg where it is not
 * there. Errors as output_check. */
int compare_page_check(const struct args *a, struct err *e);

/* Says whether --html-layer and --html-head name a head of the model. ERR_USAGE. */
int compare_page_check_head(const struct args *a, const struct gpt2_config *g, struct err *e);

/* Collects what only the page shows, after compare_report_sum: how the report came about and,
 * unless shares were added up, the pattern of a head. `g` is NULL for shares. Memory from r->arena;
 * errors of pattern_measure. */
int compare_page_collect(const struct args *a, const struct engine *g, struct compare_report *r,
                         struct err *e);

/* Writes the files. ERR_FAILED, with the file and the reason, where that fails. */
int compare_page_write(const struct args *a, const struct compare_report *r, struct err *e);

#endif
