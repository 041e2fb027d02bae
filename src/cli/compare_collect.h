/* What only the page of a comparison shows: how it came about, and the attention of a head. */
#ifndef LOOKAT_CLI_COMPARE_COLLECT_H
#define LOOKAT_CLI_COMPARE_COLLECT_H

#include "cli/engine.h"
#include "report/compare_out.h"

/* Collects what only the page shows, after compare_report_sum: how the report came about and,
 * unless shares were added up, the pattern of a head. `g` is NULL for shares. Memory from r->arena;
 * errors of pattern_measure. */
int compare_collect(const struct args *a, const struct engine *g, struct compare_report *r,
                    struct err *e);

#endif
