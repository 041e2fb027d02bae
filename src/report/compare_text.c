/* The comparison for people, as text or as Markdown: one table for each group of metrics
 * (metrics.h), each with the columns of its group. */
#include <math.h>
#include <string.h>

#include "report/compare_out.h"
#include "report/compare_paper.h"
#include "report/compare_summary.h"
#include "report/metrics.h"

static void headings(struct text_table *t, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) table_cell(t, "%s", names[i]);
}
#define HEADINGS(t, ...)                            \
    headings(t, (const char *const[]){__VA_ARGS__}, \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- a group of metrics as columns ---- */

static bool is_column(const struct metric *m, enum metric_group group) {
    return m->group == group && !(m->left_out & NOT_IN_TABLES);
}

/* What a table's columns are aligned to: those of `left`, a group's to the right, then `right`. */
enum { COLUMNS_MAX = 64 };
static const char *alignment(char out[COLUMNS_MAX], const char *left, enum metric_group group,
                             const char *right) {
    int n = 0;
    for (size_t i = 0; i < n_metrics; i++) n += is_column(&metrics[i], group);
    snprintf(out, COLUMNS_MAX, "%s%.*s%s", left, n, "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", right);
    return out;
}

static void group_headings(struct text_table *t, enum metric_group group) {
    for (size_t i = 0; i < n_metrics; i++)
        if (is_column(&metrics[i], group)) table_cell(t, "%s", metrics[i].title);
}

static void figure_cell(struct text_table *t, const struct metric *m, const struct figure *f) {
    if (f->kind != FIGURE_NUMBER)
        table_cell(t, "-");
    else if (strcmp(m->unit, "bytes") == 0 || strcmp(m->unit, "rows") == 0)
        cell_bytes(t, f->x);
    else if (m->group == GROUP_SKIPPED)
        table_cell(t, "%.2e", f->x);
    else if (m->error == ERROR_NONE)
        cell_number(t, f->x);
    else
        cell_pair(t, f->x, f->error);
}

static void group_cells(struct text_table *t, enum metric_group group,
                        const struct metric_place *p) {
    for (size_t i = 0; i < n_metrics; i++) {
        if (!is_column(&metrics[i], group)) continue;
        struct figure f = metric_figure(&metrics[i], p);
        figure_cell(t, &metrics[i], &f);
    }
}

/* ---- tables ---- */

static double stored(const struct comparison_run *run) {
    return (double)(run->stored_keys + run->stored_values + run->stored_refined);
}

static int stored_table(const struct compare_report *r, const struct page *p, struct err *e) {
    const struct comparison_run *base = &r->main->runs[0];
    struct text_table t;
    char align[COLUMNS_MAX];
    page_heading(p, 2,
                 "Bytes stored per token, all layers and heads, with %zu tokens stored; how many "
                 "times less than the baseline",
                 r->main->window);
    table_begin(&t, alignment(align, "lll", GROUP_STORED, "rr"), p->arena);
    HEADINGS(&t, "attention", "keys", "values");
    group_headings(&t, GROUP_STORED);
    HEADINGS(&t, "keys alone", "everything");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct comparison_run *run = &r->main->runs[i];
        table_cell(&t, "%s", run->title);
        const char *of = strchr(run->name, '@') ? "layer 0: " : "";
        table_cell(&t, "%s%s", of, run->keys);
        table_cell(&t, "%s%s", of, run->values);
        const struct metric_place at = metric_whole(r, i, 0);
        group_cells(&t, GROUP_STORED, &at);
        cell_times(&t, (double)base->stored_keys, (double)run->stored_keys);
        cell_times(&t, stored(base), stored(run));
    }
    return page_table(p, &t, e);
}

/* The table is there where some backend left values out. */
static int skipped_table(const struct compare_report *r, size_t text, const struct page *p,
                         struct err *e) {
    struct text_table t;
    char align[COLUMNS_MAX];
    bool any = false;
    table_begin(&t, alignment(align, "l", GROUP_SKIPPED, ""), p->arena);
    HEADINGS(&t, "attention");
    group_headings(&t, GROUP_SKIPPED);
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct metric_place at = metric_whole(r, i, text);
        if (!(compare_loaded(r, at.s, METRIC_ALL).skipped_rows > 0)) continue;
        any = true;
        cell_backend(&t, r, i, text);
        group_cells(&t, GROUP_SKIPPED, &at);
    }
    if (!any) return OK;
    page_heading(p, 2,
                 "Values not read: rows per decoded token, all layers and heads, and their "
                 "probability in the mean of a query and head");
    return page_table(p, &t, e);
}

/* The table is there where some backend refines. */
static int recall_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    const struct metric *picked = metric_named("recall_picked");
    struct text_table t;
    char align[COLUMNS_MAX];
    bool any = false;
    table_begin(&t, alignment(align, "l", GROUP_RECALL, ""), p->arena);
    HEADINGS(&t, "attention");
    group_headings(&t, GROUP_RECALL);
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct metric_place at = metric_whole(r, i, text);
        if (metric_figure(picked, &at).kind == FIGURE_NONE) continue;
        any = true;
        cell_backend(&t, r, i, text);
        group_cells(&t, GROUP_RECALL, &at);
    }
    if (!any) return OK;
    page_heading(
        p, 2,
        "How often the key that the baseline scores highest has the best score from codes, "
        "and how often refine= reads it exactly");
    return page_table(p, &t, e);
}

static int loaded_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    const struct comparison_summary *first = compare_sum(r, 0, text);
    struct compare_bytes base = compare_loaded(r, first, SIZE_MAX);
    struct text_table t;
    char align[COLUMNS_MAX];
    if (!first->decoded) return OK;
    page_heading(p, 2,
                 "Bytes loaded per decoded token, all layers (mean of %s); how many times less "
                 "than the baseline",
                 text_plural(first->decoded, "token").s);
    table_begin(&t, alignment(align, "l", GROUP_LOADED, "rrr"), p->arena);
    HEADINGS(&t, "attention");
    group_headings(&t, GROUP_LOADED);
    HEADINGS(&t, "packed keys alone", "streamed alone", "everything");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct metric_place at = metric_whole(r, i, text);
        struct compare_bytes b = compare_loaded(r, at.s, METRIC_ALL);
        cell_backend(&t, r, i, text);
        group_cells(&t, GROUP_LOADED, &at);
        cell_times(&t, base.keys, b.keys);
        cell_times(&t, base.streamed, b.streamed);
        cell_times(&t, base.total, b.total);
    }
    return page_table(p, &t, e);
}

static int time_table(const struct compare_report *r, size_t text, const struct page *p,
                      struct err *e) {
    const struct comparison_summary *first = compare_sum(r, 0, text);
    struct text_table t;
    char align[COLUMNS_MAX];
    if (!first->decoded) return OK;
    page_heading(p, 2,
                 "Milliseconds in attention per decoded token, all layers, of %s repetitions, "
                 "backends in turn",
                 text_count(first->chunks * TIMING_REPEATS).s);
    table_begin(&t, alignment(align, "l", GROUP_TIME, ""), p->arena);
    HEADINGS(&t, "attention");
    group_headings(&t, GROUP_TIME);
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct metric_place at = metric_whole(r, i, text);
        cell_backend(&t, r, i, text);
        group_cells(&t, GROUP_TIME, &at);
    }
    return page_table(p, &t, e);
}

static void forced_row(struct text_table *t, const struct compare_report *r, size_t run,
                       size_t text) {
    const struct metric_place at = metric_whole(r, run, text);
    cell_backend(t, r, run, text);
    cell_bytes(t, stored(&r->main->runs[run]));
    cell_bytes(t, compare_loaded(r, at.s, METRIC_ALL).total);
    group_cells(t, GROUP_FORCED, &at);
}

static int forced_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    struct text_table t;
    char align[COLUMNS_MAX];
    if (!compare_sum(r, 0, text)->tokens) return OK;
    page_heading(p, 2, "Forced: the same tokens, each with its own hidden states; %s scored; %s",
                 text_count(compare_sum(r, 0, text)->tokens).s,
                 error_note(compare_sum(r, 0, text)->nll.clusters).s);
    table_begin(&t, alignment(align, "lrr", GROUP_FORCED, ""), p->arena);
    HEADINGS(&t, "attention", "stored/token", "loaded/token");
    group_headings(&t, GROUP_FORCED);
    for (size_t i = 0; i < r->main->n_runs; i++) forced_row(&t, r, i, text);
    return page_table(p, &t, e);
}

/* The row of a layer, a head of it, or (METRIC_SHADOWED) all layers that the shadow has. */
static void shadow_row(struct text_table *t, const struct metric_place *p, bool worst) {
    cell_backend(t, p->r, p->run, p->text);
    if (p->layer == METRIC_SHADOWED)
        table_cell(t, "%s", compare_layers(p->r).s);
    else if (p->head == METRIC_ALL)
        table_cell(t, "%zu", p->layer);
    else
        table_cell(t, "%zu, head %zu", p->layer, p->head);
    group_cells(t, GROUP_FIDELITY, p);
    struct figure loaded = metric_figure(metric_named("loaded_total"), p);
    cell_bytes(t, loaded.kind == FIGURE_NUMBER ? loaded.x : NAN);
    table_cell(t, "%s", worst ? "worst" : "");
}

static void shadow_rows(struct text_table *t, const struct compare_report *r, size_t run,
                        size_t text) {
    const struct comparison_summary *s = compare_sum(r, run, text);
    size_t L = r->model.config.n_layer, H = r->model.config.n_head, measured = 0;
    for (size_t l = 0; l < L; l++) measured += s->layers[l * FIDELITIES].n > 0;
    struct metric_place p = metric_whole(r, run, text);
    for (p.layer = 0; p.layer < L; p.layer++) {
        if (!s->layers[p.layer * FIDELITIES].n) continue;
        p.head = METRIC_ALL;
        shadow_row(t, &p, measured > 1 && p.layer == s->worst_layer);
        for (p.head = 0; r->heads && p.head < H; p.head++) shadow_row(t, &p, false);
    }
    p.layer = METRIC_SHADOWED;
    p.head = METRIC_ALL;
    if (measured > 1) shadow_row(t, &p, false);
}

static uint64_t queries_per_layer(const struct compare_report *r,
                                  const struct comparison_summary *s) {
    uint64_t most = 0;
    for (size_t l = 0; l < r->model.config.n_layer; l++)
        if (s->layers[l * FIDELITIES].n > most) most = s->layers[l * FIDELITIES].n;
    return most;
}

/* The baseline is not listed: its figures against itself are 1, 0, 1 and 1. */
static int shadow_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    struct text_table t;
    char align[COLUMNS_MAX];
    table_begin(&t, alignment(align, "ll", GROUP_FIDELITY, "rl"), p->arena);
    HEADINGS(&t, "attention", "layer");
    group_headings(&t, GROUP_FIDELITY);
    HEADINGS(&t, "loaded/token", "");
    uint64_t n = 0, windows = 0;
    for (size_t i = 1; i < r->main->n_runs; i++) {
        const struct comparison_summary *s = compare_sum(r, i, text);
        if (!s->layers || !s->all[0].n) continue;
        n = queries_per_layer(r, s);
        windows = s->all[0].clusters;
        shadow_rows(&t, r, i, text);
    }
    if (!n) return OK;
    page_heading(p, 2,
                 "Shadow: attention alone, on the baseline's own q, k, v; n = %s queries of all "
                 "heads in each layer; %s",
                 text_count(n).s, error_note(windows).s);
    return page_table(p, &t, e);
}

static int free_texts(const struct compare_report *r, size_t text, const struct page *p,
                      struct err *e) {
    if (!r->free) return OK;
    const struct compare_free *base = &r->free[text];
    int rc = OK;
    for (size_t i = 1; i < r->main->n_runs && !rc; i++) {
        const struct compare_free *f = &r->free[i * r->main->n_texts + text];
        bool same = f->first_difference == SIZE_MAX;
        char what[80] = "the same text";
        if (!same)
            snprintf(what, sizeof what, "token %zu is the first that differs, marked >>>",
                     f->first_difference + 1);
        page_heading(p, 2, "Free: %s and %s go on after %zu tokens of the text, seed %llu: %s",
                     r->main->runs[0].title, r->main->runs[i].title, r->n_prompt,
                     (unsigned long long)r->seed, what);
        struct page_column left = {r->main->runs[0].title, base->text, base->bytes,
                                   same ? SIZE_MAX : f->same_bytes};
        struct page_column right = {r->main->runs[i].title, f->text, f->bytes,
                                    same ? SIZE_MAX : f->same_bytes};
        if (!f->text || !base->text)
            fprintf(p->fp, "(no tokenizer: -o json has the ids)\n");
        else
            rc = page_columns(p, &left, &right, e);
    }
    return rc;
}

/* ---- by length ---- */

static int length_table(const struct compare_report *r, size_t text, int what, const struct page *p,
                        struct err *e) {
    enum { LENGTHS_MAX = 24 };
    char align[LENGTHS_MAX + 2] = "l";
    size_t n = r->n_lengths < LENGTHS_MAX ? r->n_lengths : LENGTHS_MAX;
    struct text_table t;
    memset(align + 1, 'r', n);
    table_begin(&t, align, p->arena);
    table_cell(&t, "attention");
    for (size_t i = 0; i < n; i++) table_cell(&t, "%zu", r->lengths[i].window);
    for (size_t run = 1; run < r->main->n_runs; run++) {
        table_cell(&t, "%s", r->main->runs[run].title);
        for (size_t i = 0; i < n; i++)
            cell_estimate(&t, &compare_length_sum(r, i, run, text)->all[what]);
    }
    table_cell(&t, "windows of ±");
    for (size_t i = 0; i < n; i++)
        table_cell(&t, "%s", text_count(compare_length_sum(r, i, 0, text)->chunks).s);
    if (r->paper && what == FIDELITY_COSINE) {
        table_cell(&t, "lookat4, published");
        for (size_t i = 0; i < n; i++) table_cell(&t, "%s", paper_by_length(r->lengths[i].window));
    }
    return page_table(p, &t, e);
}

static int length_tables(const struct compare_report *r, size_t text, const struct page *p,
                         struct err *e) {
    if (!r->n_lengths) return OK;
    page_heading(
        p, 2,
        "By length of the window: cosine of the output, second half of each window, layers: %s",
        compare_layers(r).s);
    int rc = length_table(r, text, FIDELITY_COSINE, p, e);
    page_heading(p, 2, "By length of the window: Spearman's rho of the scores, layers: %s",
                 compare_layers(r).s);
    return rc ? rc : length_table(r, text, FIDELITY_SPEARMAN, p, e);
}

static void introduction(const struct compare_report *r, const struct page *p) {
    const struct gpt2_config *g = &r->model.config;
    char corpora[600] = "";
    size_t at = 0;
    page_line(p, "%s%s: %s, %s of %zu; windows of %zu tokens, second half scored; baseline %s",
              p->markdown ? "# " : "", printable_copy(r->model.name).s,
              text_plural(g->n_layer, "layer").s, text_plural(g->n_head, "head").s,
              g->n_embd / g->n_head, r->main->window, printable_copy(r->main->runs[0].title).s);
    if (r->main->of > 1) page_line(p, "share %zu of %zu only", r->main->share, r->main->of);
    if (!r->book) return;
    for (size_t i = 0; i < r->book->n_corpora && at < sizeof corpora; i++)
        at += (size_t)snprintf(corpora + at, sizeof corpora - at, "%s %s", i ? "," : "",
                               printable_copy(r->book->corpora[i].name).s);
    page_line(p, "codebooks of %s, calibrated on%s", printable_copy(r->book->file).s, corpora);
}

static int text_tables(const struct compare_report *r, size_t text, const struct page *p,
                       struct err *e) {
    const struct comparison_text *x = &r->main->texts[text];
    size_t windows = compare_sum(r, 0, text)->chunks;
    page_heading(p, 1, "%s: %s of %s in %s", printable_copy(x->file).s,
                 text_count(windows * r->main->window).s, text_plural(x->tokens, "token").s,
                 text_plural(windows, "window").s);
    note_seen(r, text, p);
    int rc = forced_table(r, text, p, e);
    if (!rc && !r->paper) rc = shadow_table(r, text, p, e);
    if (!rc) rc = length_tables(r, text, p, e);
    if (!rc) rc = loaded_table(r, text, p, e);
    if (!rc) rc = skipped_table(r, text, p, e);
    if (!rc) rc = recall_table(r, text, p, e);
    if (!rc) rc = time_table(r, text, p, e);
    return rc ? rc : free_texts(r, text, p, e);
}

int compare_put_text(const struct compare_report *r, bool markdown, FILE *fp, struct err *e) {
    struct page p = {fp, markdown, r->arena};
    introduction(r, &p);
    int rc = stored_table(r, &p, e);
    if (!rc && r->paper) rc = paper_tables(r, &p, e);
    for (size_t text = 0; text < r->main->n_texts && !rc; text++) rc = text_tables(r, text, &p, e);
    if (!rc && r->paper) rc = paper_law(r, &p, e);
    for (size_t text = 0; text < r->main->n_texts && !rc; text++)
        rc = summary_table(r, text, &p, e);
    if (rc || !r->explain) return rc;
    page_heading(&p, 1, "What the columns are");
    metrics_explain(fp, markdown);
    return OK;
}
