/* What `bench --draft` writes; parts of bench_out.h. */
#ifndef LOOKAT_REPORT_DRAFTS_OUT_H
#define LOOKAT_REPORT_DRAFTS_OUT_H

#include "report/bench_out.h"
#include "report/compare_table.h"
#include "report/json_out.h"

int drafts_put_text(const struct bench_report *r, const struct page *p, struct err *e);
void drafts_put_csv(const struct bench_report *r, FILE *fp);
/* An object: one script on one backend; `alone` on a line, with the schema and the model's file. */
void drafts_put_json(struct json_out *j, const struct bench_report *r, const struct bench_drafts *d,
                     bool alone);

#endif
