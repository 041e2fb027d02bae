/* Where the JSON of a comparison has a metric's figure. */
#ifndef LOOKAT_REPORT_COMPARE_JSON_H
#define LOOKAT_REPORT_COMPARE_JSON_H

#include "report/metrics.h"

struct json_place {
    char s[128];
};

/* Returns the JSON pointer (RFC 6901) of a figure in what compare_put_json writes, such as
 * "/runs/3/forced/kld/mean/0"; "" where the JSON leaves the metric out. */
struct json_place compare_json_place(const struct metric *m, const struct metric_place *p);

#endif
