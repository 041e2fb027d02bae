/* One row a backend: what it costs, and what it does to the text. */
#include <string.h>

#include "report/compare_summary.h"

void cell_backend(struct text_table *t, const struct compare_report *r, size_t run, size_t text) {
    table_cell(t, "%s%s", r->main->runs[run].title, compare_saw_text(r, run, text) ? " *" : "");
}

void note_seen(const struct compare_report *r, size_t text, const struct page *p) {
    bool any = false;
    for (size_t i = 0; i < r->main->n_runs; i++) any = any || compare_saw_text(r, i, text);
    if (any)
        page_line(p,
                  "* its codebooks were calibrated on this very text (%s): its figures flatter it",
                  r->main->texts[text].file);
}

/* A cosine, and of the worst layer its number; exact for the baseline. */
static void cosine_cells(struct text_table *t, const struct comparison_summary *s, bool baseline,
                         bool markdown) {
    const struct estimate *first = &s->layers[FIDELITY_COSINE];
    const struct estimate *worst = &s->layers[s->worst_layer * FIDELITIES + FIDELITY_COSINE];
    const struct estimate *both[] = {first, worst};
    for (int i = 0; i < 2; i++) {
        if (!both[i]->n)
            table_cell(t, "-");
        else if (baseline)
            table_cell(t, "%g", estimate_mean(both[i]));
        else if (i)
            table_cell(t, markdown ? "%.4f (layer %zu)" : "%.4f (%zu)", estimate_mean(worst),
                       s->worst_layer);
        else
            cell_number(t, estimate_mean(first));
    }
}

static void row(struct text_table *t, const struct compare_report *r, size_t run, size_t text,
                bool markdown) {
    const struct comparison_summary *s = compare_sum(r, run, text);
    const struct comparison_run *of = &r->main->runs[run];
    cell_backend(t, r, run, text);
    cell_bytes(t, (double)(of->stored_keys + of->stored_values));
    cell_bytes(t, compare_loaded(r, s, SIZE_MAX).total);
    if (!s->tokens) {
        for (int i = 0; i < 3; i++) table_cell(t, "-");
    } else if (!run) {
        cell_number(t, s->perplexity);
        table_cell(t, "%g", s->ratio);
        table_cell(t, "%g", estimate_mean(&s->kld));
    } else {
        cell_number(t, s->perplexity);
        cell_pair(t, s->ratio, s->ratio_error);
        cell_number(t, estimate_mean(&s->kld));
    }
    cosine_cells(t, s, !run, markdown);
}

int summary_table(const struct compare_report *r, size_t text, const struct page *p,
                  struct err *e) {
    static const char *const titles[2][8] = {
        {"attention", "stored", "loaded", "perplexity", "ratio", "KL", "cosine 0", "worst (layer)"},
        {"attention", "stored/token", "loaded/token", "perplexity", "ratio", "KL, nats",
         "cosine, layer 0", "worst layer"}};
    const struct comparison_summary *s = compare_sum(r, 0, text);
    struct text_table t;
    if (!s->decoded) return OK;
    page_heading(
        p, 1,
        "One row a backend: %s; bytes a token, KL of predictions, cosine of heads' outputs; %s",
        r->main->texts[text].file, error_note(s->chunks).s);
    table_begin(&t, "lrrrrrrr", p->arena);
    t.one_row = true;
    for (size_t i = 0; i < 8; i++) table_cell(&t, "%s", titles[p->markdown][i]);
    for (size_t run = 0; run < r->main->n_runs; run++) row(&t, r, run, text, p->markdown);
    int rc = page_table(p, &t, e);
    if (!rc) note_seen(r, text, p);
    return rc;
}
