#include "report/drafts_out.h"

#include "attention/spec_name.h"
#include "report/stages_out.h"

/* What several forms show of a script. */
struct figures {
    const struct bench_group *g;
    struct bench_speeds with, none, ratio;
    struct drafts_run last; /* the repetitions differ in what pays, and so in what is proposed */
};

static struct figures figures_of(const struct bench *b, const struct bench_drafts *d) {
    return (struct figures){&b->groups[d->group], bench_draft_speeds(b, d, DRAFTS_WITH),
                            bench_draft_speeds(b, d, DRAFTS_NONE),
                            bench_draft_speeds(b, d, DRAFTS_RATIO), d->with[b->repeats - 1]};
}

static void table_row(struct text_table *t, const struct bench *b, const struct bench_drafts *d) {
    struct figures f = figures_of(b, d);
    const char *attn = spec_title(f.g->attn, f.g->s.attn.name, t->arena);
    table_cell(t, "%s %s", f.g->model->name, bench_model_type(f.g->model));
    table_cell(t, "%s", f.g->k->name);
    table_cell(t, "%d", d->threads);
    table_cell(t, "%s", attn ? attn : f.g->attn);
    table_cell(t, "tg%zu @ d%zu", d->n, d->depth);
    table_cell(t, "%.0f %%", 100 * d->right);
    table_cell(t, "%.2f", f.none.median);
    table_cell(t, "%.2f", f.with.median);
    table_cell(t, "%.2f", f.ratio.median);
    table_cell(t, "%.2f", f.ratio.least);
    table_cell(t, "%.2f", f.ratio.most);
    table_cell(t, "%.2f", (double)d->n / (double)f.last.steps);
    table_cell(t, "%zu", f.last.proposed);
    table_cell(t, "%zu", f.last.kept);
}

int drafts_put_text(const struct bench_report *r, const struct page *p, struct err *e) {
    static const char *const titles[] = {"model", "kernels", "threads",  "attn",        "test",
                                         "right", "t/s",     "drafts",   "ratio",       "min",
                                         "max",   "t/step",  "proposed", "kept of them"};
    const struct bench *b = r->bench;
    struct text_table t;
    table_begin(&t, "llrllrrrrrrrrr", r->arena);
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) table_cell(&t, "%s", titles[i]);
    for (size_t i = 0; i < b->n_drafts; i++) table_row(&t, b, &b->drafts[i]);
    if (!p->markdown) table_common(&t, titles, 4, p->fp); /* model to attn */
    return page_table(p, &t, e);
}

void drafts_put_csv(const struct bench_report *r, FILE *fp) {
    const struct bench *b = r->bench;
    fputs("model,type,kernels,threads,attn,n,depth,right,tokens_per_s_without,tokens_per_s,ratio,"
          "min,max,steps,proposed,kept,effective_attn\n",
          fp);
    for (size_t i = 0; i < b->n_drafts; i++) {
        const struct bench_drafts *d = &b->drafts[i];
        struct figures f = figures_of(b, d);
        bench_csv_text(fp, f.g->model->path);
        fprintf(fp, "%s,%s,%d,", bench_model_type(f.g->model), f.g->k->name, d->threads);
        bench_csv_text(fp, f.g->attn);
        fprintf(fp, "%zu,%zu,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%zu,%zu,%zu,", d->n, d->depth, d->right,
                f.none.median, f.with.median, f.ratio.median, f.ratio.least, f.ratio.most,
                f.last.steps, f.last.proposed, f.last.kept);
        text_csv(fp, f.g->s.attn.name);
        fputc('\n', fp);
    }
}

void drafts_put_json(struct json_out *j, const struct bench_report *r, const struct bench_drafts *d,
                     bool alone) {
    struct figures f = figures_of(r->bench, d);
    bench_put_head(j, r, f.g, alone);
    json_put_cstr(j, "attn", f.g->attn);
    json_put_cstr(j, "effective_attn", f.g->s.attn.name);
    json_put_int(j, "threads", d->threads);
    json_put_uint(j, "n", d->n);
    json_put_uint(j, "depth", d->depth);
    json_put_double(j, "right", d->right);
    json_put_double(j, "tokens_per_s_without", f.none.median);
    json_put_double(j, "tokens_per_s", f.with.median);
    json_put_double(j, "ratio", f.ratio.median);
    json_put_double(j, "min", f.ratio.least);
    json_put_double(j, "max", f.ratio.most);
    json_put_uint(j, "steps", f.last.steps);
    json_put_uint(j, "proposed", f.last.proposed);
    json_put_uint(j, "kept", f.last.kept);
    json_put_close(j);
}
