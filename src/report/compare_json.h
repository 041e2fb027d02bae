/* Parts of the JSON of a comparison (compare_json.c): where it has a figure, and what only a page
 * asks for. */
#ifndef LOOKAT_REPORT_COMPARE_JSON_H
#define LOOKAT_REPORT_COMPARE_JSON_H

#include "report/json_out.h"
#include "report/metrics.h"

struct json_place {
    char s[128];
};

/* Returns the JSON pointer (RFC 6901) of a figure in what compare_put_json writes, such as
 * "/runs/3/forced/kld/mean/0"; "" where the JSON leaves the metric out. */
struct json_place compare_json_place(const struct metric *m, const struct metric_place *p);

/* Writes the members "pattern" and "made" of the open object, where there is such a thing. */
void compare_put_json_page(struct json_out *j, const struct compare_report *r);

#endif
