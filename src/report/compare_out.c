#include "report/compare_out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

bool compare_saw_text(const struct compare_report *r, size_t run, size_t text) {
    const char *name = r->main->runs[run].name;
    if (!r->book || !(strstr(name, "lookat:") || strstr(name, "pq:"))) return false;
    for (size_t i = 0; i < r->book->n_corpora; i++)
        if (strcmp(r->book->corpora[i].sha256, r->main->texts[text].sha256) == 0) return true;
    return false;
}

struct text_number compare_layers(const struct compare_report *r) {
    const struct comparison *c = r->main;
    struct text_number t = {"all"};
    bool one = c->first_layer == c->last_layer;
    if (one && r->model.config.n_layer > 1)
        snprintf(t.s, sizeof t.s, "%zu", c->first_layer);
    else if (c->first_layer || c->last_layer + 1 < r->model.config.n_layer)
        snprintf(t.s, sizeof t.s, "%zu-%zu", c->first_layer, c->last_layer);
    return t;
}

/* Of the layers first .. last. */
static struct compare_bytes loaded(const struct compare_report *r, const struct comparison_summary *s, size_t first, size_t last) {
    struct attn_counters sum = {0};
    struct compare_bytes b = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (!s->decoded || !s->loaded) return b;
    for (size_t l = first; l <= last; l++) attn_counters_add(&sum, &s->loaded[l]);
    double n = (double)s->decoded;
    b = (struct compare_bytes){.keys = (double)sum.keys / n, .scales = (double)sum.scales / n, .codebooks = (double)sum.codebooks / n,
                               .tables = (double)sum.tables / n, .values = (double)sum.values / n};
    b.skipped_rows = (double)sum.skipped_rows / n;
    b.skipped_mass = (double)sum.skipped_mass / SKIP_MASS_UNIT / (n * (double)((last - first + 1) * r->model.config.n_head));
    b.total = (double)(sum.keys + sum.scales + sum.codebooks + sum.tables + sum.values) / n;
    return b;
}

struct compare_bytes compare_loaded(const struct compare_report *r, const struct comparison_summary *s, size_t layer) {
    return layer == SIZE_MAX ? loaded(r, s, 0, r->model.config.n_layer - 1) : loaded(r, s, layer, layer);
}

struct compare_bytes compare_loaded_shadow(const struct compare_report *r, const struct comparison_summary *s) {
    return loaded(r, s, r->main->first_layer, r->main->last_layer);
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
