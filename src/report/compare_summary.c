/* The last table of the report for people: one row a backend, with what it costs and what it does
 * to the text. It shows a choice of metrics in few columns, so it has headings of its own. */
#include <math.h>

#include "report/compare_summary.h"
#include "report/metrics.h"

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

/* The cosine of layer 0, then that of the worst layer with the layer's number. The baseline's are
 * exact and need no digits. */
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

static struct figure figure(const char *metric, const struct metric_place *p) {
    return metric_figure(metric_named(metric), p);
}

static void row(struct text_table *t, const struct metric_place *p, bool markdown) {
    bool baseline = !p->run;
    static const char *const loaded[] = {"loaded_total", "loaded_streamed", "loaded_at_hand"};
    struct figure ratio = figure("ratio", p);
    cell_backend(t, p->r, p->run, p->text);
    cell_bytes(t, figure("stored_bytes", p).x);
    for (size_t i = 0; i < sizeof loaded / sizeof *loaded; i++) {
        struct figure bytes = figure(loaded[i], p);
        cell_bytes(t, bytes.kind == FIGURE_NUMBER ? bytes.x : NAN);
    }
    if (ratio.kind == FIGURE_NONE) {
        for (int i = 0; i < 3; i++) table_cell(t, "-");
    } else if (baseline) {
        cell_number(t, figure("perplexity", p).x);
        table_cell(t, "%g", ratio.x);
        table_cell(t, "%g", figure("kld", p).x);
    } else {
        cell_number(t, figure("perplexity", p).x);
        cell_pair(t, ratio.x, ratio.error);
        cell_number(t, figure("kld", p).x);
    }
    cosine_cells(t, p->s, baseline, markdown);
}

int summary_table(const struct compare_report *r, size_t text, const struct page *p,
                  struct err *e) {
    enum { COLUMNS = 10 };
    static const char *const titles[2][COLUMNS] = {
        {"attention", "stored", "loaded", "streamed", "at hand", "perplexity", "ratio", "KL",
         "cosine 0", "worst (layer)"},
        {"attention", "stored/token", "loaded/token", "streamed", "at hand", "perplexity", "ratio",
         "KL, nats", "cosine, layer 0", "worst layer"}};
    const struct comparison_summary *s = compare_sum(r, 0, text);
    struct text_table t;
    if (!s->decoded) return OK;
    page_heading(
        p, 1,
        "One row a backend: %s; bytes a token, KL of predictions, cosine of heads' outputs; %s",
        r->main->texts[text].file, error_note(s->chunks).s);
    table_begin(&t, "lrrrrrrrrr", p->arena);
    t.one_row = true;
    for (size_t i = 0; i < COLUMNS; i++) table_cell(&t, "%s", titles[p->markdown][i]);
    for (size_t run = 0; run < r->main->n_runs; run++) {
        const struct metric_place at = metric_whole(r, run, text);
        row(&t, &at, p->markdown);
    }
    int rc = page_table(p, &t, e);
    if (!rc) note_seen(r, text, p);
    return rc;
}
