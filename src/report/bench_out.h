/* What `bench` writes: a table for people (text, Markdown), CSV, one JSON object, or JSON lines. */
#ifndef LOOKAT_REPORT_BENCH_OUT_H
#define LOOKAT_REPORT_BENCH_OUT_H

#include "base/arena.h"
#include "measure/bench.h"
#include "report/json_out.h"
#include "report/text.h"

struct bench_report {
    const struct bench *bench;       /* that has run */
    const struct checkpoint *models; /* [n_models] that the groups point into */
    size_t n_models;
    struct arena *arena;
};

/* Prints the rows as one table and the limits as another; of attention alone it prints the stages
 * and the crossovers, of drafts one table. ERR_FAILED without memory. */
int bench_put_text(const struct bench_report *r, bool markdown, FILE *fp, struct err *e);
/* Writes a line with the names, then one for each row, or for each backend and depth. */
void bench_put_csv(const struct bench_report *r, FILE *fp);
/* Writes one object, or with `lines` an object on a line for each row and at the end one with the
 * rest (schema.md). */
void bench_put_json(const struct bench_report *r, bool lines, FILE *fp);

/* Begins the object of a row: model, type and kernels of its group; `alone` on a line, with the
 * schema and the model's file. */
void bench_put_head(struct json_out *j, const struct bench_report *r, const struct bench_group *g,
                    bool alone);

#endif
