#include "report/compare_out.h"

#include <math.h>

#include "attention/skip.h"

static int sum_all(const struct compare_report *r, const struct comparison *c, struct comparison_summary *to, struct err *e) {
    for (size_t run = 0; run < c->n_runs; run++)
        for (size_t text = 0; text < c->n_texts; text++) {
            int rc = comparison_summarise(c, run, text, r->arena, to++, e);
            if (rc) return rc;
        }
    return OK;
}

int compare_report_sum(struct compare_report *r, struct err *e) {
    size_t each = r->main->n_runs * r->main->n_texts;
    r->summary = arena_zalloc(r->arena, each, sizeof *r->summary);
    r->length_summary = arena_zalloc(r->arena, each * r->n_lengths, sizeof *r->length_summary);
    if (!r->summary || !r->length_summary) return err_set(e, ERR_FAILED, "out of memory for the report");
    int rc = sum_all(r, r->main, r->summary, e);
    for (size_t i = 0; i < r->n_lengths && !rc; i++) rc = sum_all(r, &r->lengths[i], r->length_summary + i * each, e);
    return rc;
}

const struct comparison_summary *compare_sum(const struct compare_report *r, size_t run, size_t text) {
    return &r->summary[run * r->main->n_texts + text];
}

const struct comparison_summary *compare_length_sum(const struct compare_report *r, size_t length, size_t run, size_t text) {
    return &r->length_summary[(length * r->main->n_runs + run) * r->main->n_texts + text];
}

struct compare_bytes compare_loaded(const struct compare_report *r, const struct comparison_summary *s, size_t layer) {
    struct attn_counters sum = {0};
    struct compare_bytes b = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    size_t layers = layer == SIZE_MAX ? r->model.config.n_layer : 1;
    if (!s->decoded || !s->loaded) return b;
    for (size_t l = 0; l < r->model.config.n_layer; l++)
        if (layer == SIZE_MAX || layer == l) attn_counters_add(&sum, &s->loaded[l]);
    double n = (double)s->decoded;
    b = (struct compare_bytes){.keys = (double)sum.keys / n, .scales = (double)sum.scales / n, .codebooks = (double)sum.codebooks / n,
                               .tables = (double)sum.tables / n, .values = (double)sum.values / n};
    b.skipped_rows = (double)sum.skipped_rows / n;
    b.skipped_mass = (double)sum.skipped_mass / SKIP_MASS_UNIT / (n * (double)(layers * r->model.config.n_head));
    b.total = (double)(sum.keys + sum.scales + sum.codebooks + sum.tables + sum.values) / n;
    return b;
}

bool compare_law_fit(const struct compare_report *r, struct power_law *fit) {
    double d = (double)(r->model.config.n_embd / r->model.config.n_head);
    double *x = arena_alloc(r->arena, r->n_law, sizeof *x), *y = arena_alloc(r->arena, r->n_law, sizeof *y);
    if (!x || !y) return false;
    for (size_t i = 0; i < r->n_law; i++) {
        x[i] = d / (double)(r->law[i].m * r->law[i].k);
        y[i] = 1 - estimate_mean(&r->law[i].spearman);
    }
    return power_law_fit(x, y, r->n_law, fit);
}
