/* The comparison as CSV (RFC 4180), one row for each place: a text, a window, a backend, and all
 * layers, one layer or one head. The columns after those are the metrics, one after the other. */
#include <math.h>

#include "report/metrics.h"

/* NaN and inf are written for figures that are no numbers. */
static void put_number(FILE *fp, double x) {
    if (isfinite(x))
        fprintf(fp, "%.9g", x);
    else
        fputs(isnan(x) ? "NaN" : x < 0 ? "-inf" : "inf", fp);
}

/* The cells of one metric, each after a comma. A cell is empty where nothing was measured, and
 * where the error would be of one window. */
static void put_cells(FILE *fp, const struct metric *m, const struct figure *f) {
    fputc(',', fp);
    switch (f->kind) {
    case FIGURE_NONE: break;
    case FIGURE_NUMBER: put_number(fp, f->x); break;
    case FIGURE_COUNT: fprintf(fp, "%llu", (unsigned long long)f->count); break;
    case FIGURE_NAME: text_csv(fp, f->name); break;
    case FIGURE_WORD: fputs(f->word.s, fp); break;
    }
    if (m->error != ERROR_BESIDE) return;
    fputc(',', fp);
    if (f->kind == FIGURE_NUMBER && f->windows > 1) put_number(fp, f->error);
}

static void lead(FILE *fp, const struct metric_place *p) {
    const struct comparison_run *run = &p->c->runs[p->run];
    text_csv(fp, p->c->texts[p->text].file);
    fprintf(fp, ",%zu,", p->c->window);
    text_csv(fp, run->spec);
    fputc(',', fp);
    text_csv(fp, run->keys);
    fputc(',', fp);
    text_csv(fp, run->values);
    fputc(',', fp);
    if (p->layer == METRIC_ALL)
        fputs("all,", fp);
    else
        fprintf(fp, "%zu,", p->layer);
    if (p->head == METRIC_ALL)
        fputs("all", fp);
    else
        fprintf(fp, "%zu", p->head);
}

static void heading(FILE *fp) {
    fputs("text,window,attn,keys,values,layer,head", fp);
    for (size_t i = 0; i < n_metrics; i++) {
        if (metrics[i].left_out & NOT_IN_CSV) continue;
        fprintf(fp, ",%s", metrics[i].name);
        if (metrics[i].error == ERROR_BESIDE) fprintf(fp, ",%s_se", metrics[i].name);
    }
    fputc('\n', fp);
}

static void row(FILE *fp, const struct metric_place *p) {
    lead(fp, p);
    for (size_t i = 0; i < n_metrics; i++) {
        if (metrics[i].left_out & NOT_IN_CSV) continue;
        struct figure f = metric_figure(&metrics[i], p);
        put_cells(fp, &metrics[i], &f);
    }
    fputc('\n', fp);
}

/* The row of one layer and, where they are wanted, those of its heads. */
static void layer_rows(FILE *fp, struct metric_place p) {
    row(fp, &p);
    if (!p.r->heads || !p.s->heads) return;
    for (p.head = 0; p.head < p.r->model.config.n_head; p.head++) row(fp, &p);
}

static bool measured_layer(const struct comparison_summary *s, size_t layer) {
    return s->decoded || (s->layers && s->layers[layer * FIDELITIES].n);
}

void compare_put_csv(const struct compare_report *r, FILE *fp) {
    struct metric_place p = {.r = r, .c = r->main, .layer = METRIC_ALL, .head = METRIC_ALL};
    heading(fp);
    for (p.text = 0; p.text < r->main->n_texts; p.text++)
        for (p.run = 0; p.run < r->main->n_runs; p.run++) {
            p.s = compare_sum(r, p.run, p.text);
            p.layer = METRIC_ALL;
            row(fp, &p);
            for (p.layer = 0; p.layer < r->model.config.n_layer; p.layer++)
                if (measured_layer(p.s, p.layer)) layer_rows(fp, p);
        }
    p.layer = METRIC_ALL;
    for (size_t i = 0; i < r->n_lengths; i++) {
        p.c = &r->lengths[i];
        for (p.text = 0; p.text < p.c->n_texts; p.text++)
            for (p.run = 0; p.run < p.c->n_runs; p.run++) {
                p.s = compare_length_sum(r, i, p.run, p.text);
                row(fp, &p);
            }
    }
}
