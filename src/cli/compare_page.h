/* The files of lookat compare: the report as a page (--html), and its figures (--svg). */
#ifndef LOOKAT_CLI_COMPARE_PAGE_H
#define LOOKAT_CLI_COMPARE_PAGE_H

#include "cli/options.h"
#include "report/compare_out.h"

/* Is one of them asked for? */
bool compare_page_wanted(const struct args *a);

/* Says whether the files can be written, before the work; makes the folder of --svg where it is not
 * there. Errors as output_check. */
int compare_page_check(const struct args *a, struct err *e);

/* Says whether --html-layer and --html-head name a head of the model. ERR_USAGE. */
int compare_page_check_head(const struct args *a, const struct gpt2_config *g, struct err *e);

/* Writes the files. ERR_FAILED, with the file and the reason, where that fails. */
int compare_page_write(const struct args *a, const struct compare_report *r, struct err *e);

#endif
