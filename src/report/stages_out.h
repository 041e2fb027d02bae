/* What `bench --attention` writes; parts of bench_out.h. */
#ifndef LOOKAT_REPORT_STAGES_OUT_H
#define LOOKAT_REPORT_STAGES_OUT_H

#include "report/bench_out.h"
#include "report/compare_table.h"
#include "report/json_out.h"

int stages_put_text(const struct bench_report *r, const struct page *p, struct err *e);
void stages_put_csv(const struct bench_report *r, FILE *fp);
/* An object: one backend at one depth; `alone` on a line, with the schema and the model's file. */
void stages_put_json(struct json_out *j, const struct bench_report *r, const struct bench_stages *s,
                     bool alone);
/* The member "crossovers". */
void stages_put_crossovers(struct json_out *j, const struct bench_report *r);

/* The type of most weights: of the first layer's largest matrix. */
const char *bench_model_type(const struct checkpoint *c);
/* A field in quotes, and the comma behind it. */
void bench_csv_text(FILE *fp, const char *s); /* quoted, and a comma behind it */

#endif
