/* Reads and tests the expressions of --check: BACKEND.METRIC<NUMBER, as in lookat8.kld<0.05. */
#ifndef LOOKAT_CLI_CHECK_H
#define LOOKAT_CLI_CHECK_H

#include "cli/options.h"
#include "report/metrics.h"

enum { CHECK_BELOW, CHECK_AT_MOST, CHECK_ABOVE, CHECK_AT_LEAST };

struct check {
    const char *text; /* as given */
    size_t run;
    const struct metric *metric;
    int relation; /* CHECK_... */
    double limit;
};

/* Reads the expressions for the backends and modes of c: BACKEND is a spec as given, or its number
 * (the baseline is 0). checks has room for STR_LIST_MAX. ERR_USAGE for an unknown backend, metric
 * or relation, and for a metric of a mode that is not run. */
int checks_read(const struct str_list *list, const struct comparison *c, struct check *checks,
                struct err *e);

/* Returns ERR_CHECK unless each of the n checks holds for every text. One of fidelity does not hold
 * where rows it is measured on were cut short (attn_take_cut), nor does one of a NaN. Each that
 * does not hold is named on standard error; the last stands in *e. */
int checks_hold(const struct check *checks, size_t n, const struct compare_report *r,
                struct err *e);

#endif
