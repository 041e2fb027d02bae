#include "report/stages_out.h"

#include <math.h>

#include "attention/spec_name.h"

static const char *const stage_names[ATTN_STAGES] = {"tables", "scores", "softmax", "values"};

/* The same depth of the group with fp16 keys; NULL without one. */
static const struct bench_stages *fp16_of(const struct bench *b, const struct bench_stages *s) {
    size_t group = bench_fp16_group(b, s->group);
    for (size_t i = 0; i < b->n_stages; i++)
        if (b->stages[i].group == group && b->stages[i].depth == s->depth) return &b->stages[i];
    return NULL;
}

/* What a row is of: the columns that both tables begin with. */
static void cells_place(struct text_table *t, const struct bench *b, const struct bench_stages *s) {
    const struct bench_group *g = &b->groups[s->group];
    const char *attn = spec_title(g->attn, g->s.attn.name, t->arena);
    table_cell(t, "%s", g->model->name);
    table_cell(t, "%s", g->k->name);
    table_cell(t, "%s", attn ? attn : g->attn);
    table_cell(t, "%zu", s->depth);
}

/* The last two columns: how many times faster than fp16; scores together with their tables. */
static void table_row(struct text_table *t, const struct bench *b, const struct bench_stages *s) {
    const struct bench_stages *fp16 = fp16_of(b, s);
    cells_place(t, b, s);
    for (int i = 0; i < ATTN_STAGES; i++)
        table_cell(t, "%.3f", bench_stage_ns(b, s, (enum attn_stage)i) / (double)s->depth);
    table_cell(t, "%.3f", bench_total_ns(b, s) / (double)s->depth);
    table_cell(t, "%.2f", bench_total_ns(b, s) / 1000);
    cell_times(t, fp16 ? bench_score_ns(b, fp16) : NAN, bench_score_ns(b, s));
    cell_times(t, fp16 ? bench_total_ns(b, fp16) : NAN, bench_total_ns(b, s));
}

/* The last two columns: what one head costs more with each key, since the least depth. */
static void bytes_row(struct text_table *t, const struct bench *b, const struct bench_stages *s) {
    const struct bench_stages *fp16 = fp16_of(b, s);
    struct bench_growth g;
    cells_place(t, b, s);
    cell_bytes(t, (double)s->read.streamed);
    cell_bytes(t, (double)s->read.at_hand);
    cell_times(t, fp16 ? (double)fp16->read.streamed : NAN, (double)s->read.streamed);
    if (bench_growth(b, s, &g)) {
        table_cell(t, "%.3f", g.ns);
        table_cell(t, "%.1f", g.streamed);
        return;
    }
    table_cell(t, "-");
    table_cell(t, "-");
}

static int put_bytes(const struct bench *b, const struct page *p, struct err *e) {
    static const char *const titles[] = {"model",   "kernels", "attn",   "depth",       "streamed",
                                         "at hand", "vs fp16", "ns/key", "streamed/key"};
    struct text_table t;
    page_heading(p, 2,
                 "Bytes that a token reads, all layers and heads: streamed, at hand, and how many "
                 "times fewer are streamed than of fp16. Then the growth of one head with each key "
                 "since the least depth: time, and bytes streamed");
    table_begin(&t, "lllrrrrrr", p->arena);
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) table_cell(&t, "%s", titles[i]);
    for (size_t i = 0; i < b->n_stages; i++) bytes_row(&t, b, &b->stages[i]);
    if (!p->markdown) table_common(&t, titles, 3, p->fp); /* model to attn */
    return page_table(p, &t, e);
}

/* Where the scores of each backend that makes tables become cheaper than fp16's, as far as the
 * repetitions agree. */
static void put_crossings(const struct bench *b, const struct page *p) {
    for (size_t g = 0; g < b->n_groups; g++) {
        size_t other = bench_fp16_group(b, g);
        if (other == SIZE_MAX || other == g || !bench_has_tables(b, g)) continue;
        struct bench_crossing c = bench_crossing(b, g, other);
        const struct bench_group *x = &b->groups[g];
        const char *attn = spec_title(x->attn, x->s.attn.name, p->arena);
        char what[200];
        switch (c.order) {
        case BENCH_NEVER:
            snprintf(what, sizeof what, "longer than those of fp16 at %zu keys, the most measured",
                     x->depth);
            break;
        case BENCH_ALWAYS:
            snprintf(what, sizeof what,
                     "less time than those of fp16 from %.0f keys on, the least measured", c.keys);
            break;
        case BENCH_FROM:
            snprintf(what, sizeof what, "less time than those of fp16 from %.0f keys on", c.keys);
            break;
        case BENCH_AT_LATEST:
            snprintf(what, sizeof what,
                     "less time than those of fp16 from %.0f keys on at the latest", c.keys);
            break;
        default:
            if (b->repeats < BENCH_SURE)
                snprintf(what, sizeof what,
                         "some time; from how many keys on it is less than fp16's, %d repetitions "
                         "would tell",
                         BENCH_SURE);
            else
                snprintf(what, sizeof what,
                         "now more, now less than those of fp16 at %zu keys, the most measured",
                         x->depth);
        }
        page_line(p, "%s, %s: tables and scores of %s take %s", printable_copy(x->model->name).s,
                  x->k->name, attn ? attn : x->attn, what);
    }
}

int stages_put_text(const struct bench_report *r, const struct page *p, struct err *e) {
    static const char *const titles[] = {
        "model",   "kernels", "attn",          "depth",   "tables",         "scores",
        "softmax", "values",  "ns/(head,key)", "us/head", "scores vs fp16", "all vs fp16"};
    const struct bench *b = r->bench;
    struct text_table t;
    table_begin(&t, "lllrrrrrrrrr", r->arena);
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) table_cell(&t, "%s", titles[i]);
    for (size_t i = 0; i < b->n_stages; i++) table_row(&t, b, &b->stages[i]);
    if (!p->markdown) table_common(&t, titles, 3, p->fp); /* model to attn */
    int rc = page_table(p, &t, e);
    if (!rc) rc = put_bytes(b, p, e);
    if (rc) return rc;
    fputc('\n', p->fp);
    put_crossings(b, p);
    return OK;
}

void stages_put_csv(const struct bench_report *r, FILE *fp) {
    const struct bench *b = r->bench;
    fputs("model,type,kernels,attn,depth,tables_ns,scores_ns,softmax_ns,values_ns,total_ns,"
          "effective_attn,streamed_bytes_per_token,at_hand_bytes_per_token,growth_ns_per_key,"
          "growth_streamed_bytes_per_key,growth_at_hand_bytes_per_key\n",
          fp);
    for (size_t i = 0; i < b->n_stages; i++) {
        const struct bench_stages *s = &b->stages[i];
        const struct bench_group *g = &b->groups[s->group];
        bench_csv_text(fp, g->model->path);
        fprintf(fp, "%s,%s,", bench_model_type(g->model), g->k->name);
        bench_csv_text(fp, g->attn);
        fprintf(fp, "%zu", s->depth);
        for (int j = 0; j < ATTN_STAGES; j++)
            fprintf(fp, ",%.9g", bench_stage_ns(b, s, (enum attn_stage)j) / (double)s->depth);
        fprintf(fp, ",%.9g,\"%s\",%llu,%llu", bench_total_ns(b, s) / (double)s->depth,
                g->s.attn.name, /* no quotes in it */
                (unsigned long long)s->read.streamed, (unsigned long long)s->read.at_hand);
        struct bench_growth grown;
        if (bench_growth(b, s, &grown))
            fprintf(fp, ",%.9g,%.9g,%.9g\n", grown.ns, grown.streamed, grown.at_hand);
        else
            fputs(",,,\n", fp);
    }
}

static void put_group(struct json_out *j, const struct bench_report *r, size_t group) {
    const struct bench_group *g = &r->bench->groups[group];
    json_put_uint(j, "model", (uint64_t)(g->model - r->models));
    json_put_cstr(j, "kernels", g->k->name);
    json_put_cstr(j, "attn", g->attn);
    json_put_cstr(j, "effective_attn", g->s.attn.name);
}

static void put_growth(struct json_out *j, const struct bench *b, const struct bench_stages *s) {
    struct bench_growth g;
    if (!bench_growth(b, s, &g)) {
        json_put_null(j, "growth_per_key");
        return;
    }
    json_put_object(j, "growth_per_key");
    json_put_double(j, "ns", g.ns);
    json_put_double(j, "streamed_bytes", g.streamed);
    json_put_double(j, "at_hand_bytes", g.at_hand);
    json_put_close(j);
}

void stages_put_json(struct json_out *j, const struct bench_report *r, const struct bench_stages *s,
                     bool alone) {
    const struct bench *b = r->bench;
    json_put_object(j, NULL);
    if (alone) json_put_cstr(j, "schema", "lookat.bench/1");
    put_group(j, r, s->group);
    if (alone) json_put_cstr(j, "file", b->groups[s->group].model->path);
    json_put_uint(j, "depth", s->depth);
    json_put_object(j, "ns_per_key");
    for (int i = 0; i < ATTN_STAGES; i++)
        json_put_double(j, stage_names[i],
                        bench_stage_ns(b, s, (enum attn_stage)i) / (double)s->depth);
    json_put_double(j, "total", bench_total_ns(b, s) / (double)s->depth);
    json_put_close(j);
    json_put_uint(j, "streamed_bytes_per_token", s->read.streamed);
    json_put_uint(j, "at_hand_bytes_per_token", s->read.at_hand);
    put_growth(j, b, s);
    json_put_close(j);
}

void stages_put_crossovers(struct json_out *j, const struct bench_report *r) {
    static const char *const orders[] = {[BENCH_NOT_TOLD] = "not told",
                                         [BENCH_NEVER] = "longer",
                                         [BENCH_ALWAYS] = "less",
                                         [BENCH_FROM] = "from",
                                         [BENCH_AT_LATEST] = "at the latest"};
    const struct bench *b = r->bench;
    json_put_array(j, "crossovers");
    for (size_t g = 0; g < b->n_groups; g++) {
        size_t other = bench_fp16_group(b, g);
        if (other == SIZE_MAX || other == g) continue;
        json_put_object(j, NULL);
        put_group(j, r, g);
        bool tables = bench_has_tables(b, g);
        struct bench_crossing c = bench_crossing(b, g, other);
        json_put_double(j, "keys", tables ? c.keys : NAN); /* null: not told */
        json_put_cstr(j, "verdict", tables ? orders[c.order] : "no tables");
        json_put_close(j);
    }
    json_put_close(j);
}
