#include "report/bench_out.h"

#include <string.h>

#include "attention/spec_name.h"
#include "report/compare_table.h"
#include "report/drafts_out.h"
#include "report/model_out.h"
#include "report/stages_out.h"

const char *bench_model_type(const struct checkpoint *c) {
    return dtype_name(c->weights.layers[0].fc.type);
}

/* "pp512", "tg64", "tg64 x8 @ d960" */
static struct text_number test_name(const struct bench_row *r) {
    struct text_number t;
    int n = snprintf(t.s, sizeof t.s, "%s%zu", r->decode ? "tg" : "pp", r->n);
    if (r->batch > 1) n += snprintf(t.s + n, sizeof t.s - (size_t)n, " x%zu", r->batch);
    if (r->depth) snprintf(t.s + n, sizeof t.s - (size_t)n, " @ d%zu", r->depth);
    return t;
}

static struct text_number millions(uint64_t n) {
    struct text_number t;
    snprintf(t.s, sizeof t.s, "%.2f M", (double)n / 1e6);
    return t;
}

static const char *limit_name(const struct bench_share *s) { return s->reading ? "read" : "fma"; }

/* What several forms show of a row. */
struct figures {
    const struct bench_group *g;
    struct bench_speeds speed;
    double gb_per_s, gflop_per_s;
    bool limited;
    struct bench_share share;
};

static struct figures figures_of(const struct bench *b, const struct bench_row *r) {
    struct figures f = {.g = &b->groups[r->group], .speed = bench_speeds(b, r)};
    f.gb_per_s = r->streamed_per_token * f.speed.median / 1e9;
    f.gflop_per_s = r->flops_per_token * f.speed.median / 1e9;
    f.limited = bench_share(b, r, &f.share);
    return f;
}

/* ---- tables ---- */

static void table_titles(struct text_table *t, const char *const *titles, size_t n) {
    for (size_t i = 0; i < n; i++) table_cell(t, "%s", titles[i]);
}

static void table_row(struct text_table *t, const struct bench *b, const struct bench_row *r) {
    struct figures f = figures_of(b, r);
    const char *attn = spec_title(f.g->attn, f.g->s.attn.name, t->arena);
    const struct checkpoint *m = f.g->model;
    table_cell(t, "%s %s", m->name, bench_model_type(m));
    table_cell(t, "%s", text_bytes(m->file_bytes).s);
    table_cell(t, "%s", millions(gpt2_parameters(&m->weights)).s);
    table_cell(t, "%s", f.g->k->name);
    table_cell(t, "%d", r->threads);
    table_cell(t, "%s", attn ? attn : f.g->attn);
    table_cell(t, "%s", test_name(r).s);
    table_cell(t, "%.2f", f.speed.median);
    table_cell(t, "%.2f", f.speed.least);
    table_cell(t, "%.2f", f.speed.most);
    table_cell(t, "%.2f", r->bytes_per_token / 1e6);
    table_cell(t, "%.2f", r->streamed_per_token / 1e6);
    table_cell(t, "%.2f", r->at_hand_per_token / 1e6);
    table_cell(t, "%.2f", f.gb_per_s);
    table_cell(t, "%.2f", f.gflop_per_s);
    if (!b->n_limits) return;
    table_cell(t, "%s", limit_name(&f.share));
    table_cell(t, "%.1f", 100 * f.share.share);
}

static int put_limits(const struct bench *b, const struct page *p, struct err *e) {
    static const char *const titles[] = {"limits", "threads",     "read GB/s", "min",
                                         "max",    "FMA GFLOP/s", "min",       "max"};
    struct text_table t;
    table_begin(&t, "lrrrrrrr", p->arena);
    table_titles(&t, titles, sizeof titles / sizeof *titles);
    for (size_t i = 0; i < b->n_limits; i++) {
        const struct bench_limits *l = &b->limits[i];
        table_cell(&t, "%s", l->k->name);
        table_cell(&t, "%d", l->threads);
        struct bench_limit_range range = bench_limit_range(b, l);
        const struct limits *of[] = {&range.median, &range.least, &range.most};
        for (size_t j = 0; j < 3; j++) table_cell(&t, "%.2f", of[j]->read_bytes_per_s / 1e9);
        for (size_t j = 0; j < 3; j++) table_cell(&t, "%.1f", of[j]->flops_per_s / 1e9);
    }
    fputc('\n', p->fp);
    return page_table(p, &t, e);
}

int bench_put_text(const struct bench_report *r, bool markdown, FILE *fp, struct err *e) {
    static const char *const titles[] = {
        "model", "size", "params",   "kernels", "threads", "attn",    "test",  "t/s",       "min",
        "max",   "MB/t", "streamed", "at hand", "GB/s",    "GFLOP/s", "limit", "% of limit"};
    const struct bench *b = r->bench;
    struct page p = {fp, markdown, r->arena};
    struct text_table t;
    if (b->n_stages) return stages_put_text(r, &p, e);
    if (b->n_drafts) return drafts_put_text(r, &p, e);
    table_begin(&t, b->n_limits ? "lrrlrllrrrrrrrrlr" : "lrrlrllrrrrrrrr", r->arena);
    table_titles(&t, titles, strlen(t.align));
    for (size_t i = 0; i < b->n_rows; i++) table_row(&t, b, &b->rows[i]);
    if (!markdown) table_common(&t, titles, 6, fp); /* model to attn */
    int rc = page_table(&p, &t, e);
    return rc || !b->n_limits ? rc : put_limits(b, &p, e);
}

/* ---- CSV ---- */

void bench_csv_text(FILE *fp, const char *s) {
    text_csv(fp, s);
    fputc(',', fp);
}

void bench_put_csv(const struct bench_report *r, FILE *fp) {
    const struct bench *b = r->bench;
    if (b->n_stages) {
        stages_put_csv(r, fp);
        return;
    }
    if (b->n_drafts) {
        drafts_put_csv(r, fp);
        return;
    }
    fputs("model,type,file_bytes,parameters,kernels,threads,attn,test,n,depth,batch,tokens_per_s,"
          "min,max,bytes_per_token,gb_per_s,gflop_per_s,limit,share,effective_attn,"
          "streamed_bytes_per_token,at_hand_bytes_per_token\n",
          fp);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *row = &b->rows[i];
        struct figures f = figures_of(b, row);
        const struct checkpoint *m = f.g->model;
        bench_csv_text(fp, m->path);
        fprintf(fp, "%s,%zu,%llu,%s,%d,", bench_model_type(m), m->file_bytes,
                (unsigned long long)gpt2_parameters(&m->weights), f.g->k->name, row->threads);
        bench_csv_text(fp, f.g->attn);
        fprintf(fp, "%s,%zu,%zu,%zu,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,",
                row->decode ? "decode" : "prefill", row->n, row->depth, row->batch, f.speed.median,
                f.speed.least, f.speed.most, row->bytes_per_token, f.gb_per_s, f.gflop_per_s);
        if (f.limited)
            fprintf(fp, "%s,%.9g,", limit_name(&f.share), f.share.share);
        else
            fputs(",,", fp);
        text_csv(fp, f.g->s.attn.name);
        fprintf(fp, ",%.9g,%.9g\n", row->streamed_per_token, row->at_hand_per_token);
    }
}

/* ---- JSON ---- */

void bench_put_head(struct json_out *j, const struct bench_report *r, const struct bench_group *g,
                    bool alone) {
    json_put_object(j, NULL);
    if (alone) json_put_cstr(j, "schema", "lookat.bench/1");
    json_put_uint(j, "model", (uint64_t)(g->model - r->models));
    if (alone) json_put_cstr(j, "file", g->model->path);
    json_put_cstr(j, "type", bench_model_type(g->model));
    json_put_cstr(j, "kernels", g->k->name);
}

static void put_row(struct json_out *j, const struct bench_report *r, const struct bench_row *row,
                    bool alone) {
    const struct bench *b = r->bench;
    struct figures f = figures_of(b, row);
    bench_put_head(j, r, f.g, alone);
    json_put_cstr(j, "test", row->decode ? "decode" : "prefill");
    json_put_uint(j, "n", row->n);
    json_put_uint(j, "depth", row->depth);
    json_put_cstr(j, "attn", f.g->attn);
    json_put_cstr(j, "effective_attn", f.g->s.attn.name);
    json_put_int(j, "threads", row->threads);
    json_put_uint(j, "batch", row->batch);
    json_put_double(j, "tokens_per_s", f.speed.median);
    json_put_double(j, "min", f.speed.least);
    json_put_double(j, "max", f.speed.most);
    json_put_array(j, "all");
    for (size_t i = 0; i < b->repeats; i++)
        json_put_double(j, NULL, bench_speed(row, row->seconds[i]));
    json_put_close(j);
    json_put_double(j, "bytes_per_token", row->bytes_per_token);
    json_put_double(j, "streamed_bytes_per_token", row->streamed_per_token);
    json_put_double(j, "at_hand_bytes_per_token", row->at_hand_per_token);
    json_put_double(j, "flops_per_token", row->flops_per_token);
    json_put_double(j, "gb_per_s", f.gb_per_s);
    json_put_double(j, "gflop_per_s", f.gflop_per_s);
    json_put_cstr(j, "limit", f.limited ? limit_name(&f.share) : NULL);
    if (f.limited)
        json_put_double(j, "share", f.share.share);
    else
        json_put_null(j, "share");
    json_put_close(j);
}

static void put_limit_pair(struct json_out *j, const char *key, const struct limits *l) {
    if (key) json_put_object(j, key);
    json_put_double(j, "read_gb_per_s", l->read_bytes_per_s / 1e9);
    json_put_double(j, "fma_gflop_per_s", l->flops_per_s / 1e9);
    if (key) json_put_close(j);
}

/* The largest of all first, then each set with each number of threads. */
static void put_json_limits(struct json_out *j, const struct bench *b) {
    struct limits most = {0, 0};
    if (!b->n_limits) {
        json_put_null(j, "limits");
        return;
    }
    for (size_t i = 0; i < b->n_limits; i++)
        most = limits_larger(most, bench_limit_range(b, &b->limits[i]).most);
    json_put_object(j, "limits");
    put_limit_pair(j, NULL, &most);
    json_put_array(j, "measured");
    for (size_t i = 0; i < b->n_limits; i++) {
        json_put_object(j, NULL);
        json_put_cstr(j, "kernels", b->limits[i].k->name);
        json_put_int(j, "threads", b->limits[i].threads);
        put_limit_pair(j, "before", &b->limits[i].at[0]);
        put_limit_pair(j, "after", &b->limits[i].at[b->repeats]);
        json_put_array(j, "all");
        for (size_t r = 0; r <= b->repeats; r++) {
            json_put_object(j, NULL);
            put_limit_pair(j, NULL, &b->limits[i].at[r]);
            json_put_close(j);
        }
        json_put_close(j);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
}

void bench_put_json(const struct bench_report *r, bool lines, FILE *fp) {
    const struct bench *b = r->bench;
    struct json_out j;
    for (size_t i = 0; lines && i < b->n_rows; i++) {
        json_put_begin(&j, fp);
        put_row(&j, r, &b->rows[i], true);
    }
    for (size_t i = 0; lines && i < b->n_stages; i++) {
        json_put_begin(&j, fp);
        stages_put_json(&j, r, &b->stages[i], true);
    }
    for (size_t i = 0; lines && i < b->n_drafts; i++) {
        json_put_begin(&j, fp);
        drafts_put_json(&j, r, &b->drafts[i], true);
    }
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.bench/1");
    json_put_model(&j, "model", &r->models[0], NULL);
    json_put_array(&j, "models");
    for (size_t i = 0; i < r->n_models; i++) json_put_model(&j, NULL, &r->models[i], NULL);
    json_put_close(&j);
    json_put_uint(&j, "repetitions", b->repeats);
    put_json_limits(&j, b);
    if (!lines) {
        json_put_array(&j, "rows");
        for (size_t i = 0; i < b->n_rows; i++) put_row(&j, r, &b->rows[i], false);
        json_put_close(&j);
    }
    if (!lines && b->n_stages) {
        json_put_array(&j, "attention");
        for (size_t i = 0; i < b->n_stages; i++) stages_put_json(&j, r, &b->stages[i], false);
        json_put_close(&j);
    }
    if (!lines && b->n_drafts) {
        json_put_array(&j, "drafts");
        for (size_t i = 0; i < b->n_drafts; i++) drafts_put_json(&j, r, &b->drafts[i], false);
        json_put_close(&j);
    }
    if (b->n_stages) stages_put_crossovers(&j, r);
    json_put_close(&j);
}
