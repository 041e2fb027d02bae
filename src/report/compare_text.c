/* The comparison for people. */
#include <math.h>
#include <string.h>

#include "report/compare_out.h"
#include "report/columns.h"
#include "report/compare_paper.h"
#include "report/compare_summary.h"

static void headings(struct text_table *t, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) table_cell(t, "%s", names[i]);
}
#define HEADINGS(t, ...)                            \
    headings(t, (const char *const[]){__VA_ARGS__}, \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static double stored(const struct comparison_run *run) {
    return (double)(run->stored_keys + run->stored_values);
}

static int stored_table(const struct compare_report *r, const struct page *p, struct err *e) {
    const struct comparison_run *base = &r->main->runs[0];
    struct text_table t;
    page_heading(p, 2,
                 "Bytes stored per token, all layers and heads, with %zu tokens stored; how many "
                 "times less than the baseline",
                 r->main->window);
    table_begin(&t, "lllrrrrr", p->arena);
    HEADINGS(&t, "attention", "keys", "values", "keys", "values", "both", "keys alone",
             "everything");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct comparison_run *run = &r->main->runs[i];
        table_cell(&t, "%s", run->title);
        const char *of = strchr(run->name, '@') ? "layer 0: " : "";
        table_cell(&t, "%s%s", of, run->keys);
        table_cell(&t, "%s%s", of, run->values);
        cell_bytes(&t, (double)run->stored_keys);
        cell_bytes(&t, (double)run->stored_values);
        cell_bytes(&t, stored(run));
        cell_times(&t, (double)base->stored_keys, (double)run->stored_keys);
        cell_times(&t, stored(base), stored(run));
    }
    return page_table(p, &t, e);
}

/* Where some backend left values out. */
static int skipped_table(const struct compare_report *r, size_t text, const struct page *p,
                         struct err *e) {
    struct text_table t;
    bool any = false;
    table_begin(&t, "lrr", p->arena);
    HEADINGS(&t, "attention", "rows", "probability");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        struct compare_bytes b = compare_loaded(r, compare_sum(r, i, text), SIZE_MAX);
        if (!(b.skipped_rows > 0)) continue;
        any = true;
        cell_backend(&t, r, i, text);
        cell_bytes(&t, b.skipped_rows);
        table_cell(&t, "%.2e", b.skipped_mass);
    }
    if (!any) return OK;
    page_heading(p, 2,
                 "Values not read: rows per decoded token, all layers and heads, and their "
                 "probability in the mean of a query and head");
    return page_table(p, &t, e);
}

static int loaded_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    const struct comparison_summary *first = compare_sum(r, 0, text);
    struct compare_bytes base = compare_loaded(r, first, SIZE_MAX);
    struct text_table t;
    if (!first->decoded) return OK;
    page_heading(p, 2,
                 "Bytes loaded per decoded token, all layers (mean of %s); how many times less "
                 "than the baseline",
                 text_plural(first->decoded, "token").s);
    table_begin(&t, "lrrrrrrrr", p->arena);
    HEADINGS(&t, "attention", "packed keys", "scales", "codebooks", "tables", "values", "total",
             "packed keys alone", "everything");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        struct compare_bytes b = compare_loaded(r, compare_sum(r, i, text), SIZE_MAX);
        cell_backend(&t, r, i, text);
        cell_bytes(&t, b.keys);
        cell_bytes(&t, b.scales);
        cell_bytes(&t, b.codebooks);
        cell_bytes(&t, b.tables);
        cell_bytes(&t, b.values);
        cell_bytes(&t, b.total);
        cell_times(&t, base.keys, b.keys);
        cell_times(&t, base.total, b.total);
    }
    return page_table(p, &t, e);
}

static int time_table(const struct compare_report *r, size_t text, const struct page *p,
                      struct err *e) {
    const struct comparison_summary *first = compare_sum(r, 0, text);
    struct text_table t;
    if (!first->decoded) return OK;
    page_heading(p, 2,
                 "Milliseconds in attention per decoded token, all layers, of %s repetitions, "
                 "backends in turn",
                 text_count(first->chunks * TIMING_REPEATS).s);
    table_begin(&t, "lrrr", p->arena);
    HEADINGS(&t, "attention", "median", "least", "most");
    for (size_t i = 0; i < r->main->n_runs; i++) {
        const struct comparison_summary *s = compare_sum(r, i, text);
        cell_backend(&t, r, i, text);
        cell_number(&t, s->attention_ms);
        cell_number(&t, s->attention_ms_least);
        cell_number(&t, s->attention_ms_most);
    }
    return page_table(p, &t, e);
}

static void forced_row(struct text_table *t, const struct compare_report *r, size_t run,
                       size_t text) {
    const struct comparison_summary *s = compare_sum(r, run, text);
    cell_backend(t, r, run, text);
    cell_bytes(t, stored(&r->main->runs[run]));
    cell_bytes(t, compare_loaded(r, s, SIZE_MAX).total);
    cell_pair(t, s->perplexity, s->perplexity_error);
    cell_pair(t, s->ratio, s->ratio_error);
    cell_estimate(t, &s->kld);
    cell_number(t, s->kld_median);
    cell_number(t, s->kld_p99);
    cell_number(t, s->kld_max);
    cell_estimate(t, &s->same_top1);
    cell_pair(t, s->rms_dp, s->rms_dp_error);
}

static int forced_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    struct text_table t;
    if (!compare_sum(r, 0, text)->tokens) return OK;
    page_heading(p, 2, "Forced: the same tokens, each with its own hidden states; %s scored; %s",
                 text_count(compare_sum(r, 0, text)->tokens).s,
                 error_note(compare_sum(r, 0, text)->nll.clusters).s);
    table_begin(&t, "lrrrrrrrrrr", p->arena);
    HEADINGS(&t, "attention", "stored/token", "loaded/token", "perplexity", "ratio", "KLD mean",
             "median", "99 %", "max", "same top-1", "RMS dp");
    for (size_t i = 0; i < r->main->n_runs; i++) forced_row(&t, r, i, text);
    return page_table(p, &t, e);
}

/* Where a row of the shadow's table is of: SIZE_MAX for all heads, and for all layers that it has.
 */
struct where {
    size_t run, text, layer, head;
    double loaded;
    bool worst;
};

static void shadow_row(struct text_table *t, const struct compare_report *r, const struct where *w,
                       const struct estimate *m) {
    cell_backend(t, r, w->run, w->text);
    if (w->layer == SIZE_MAX)
        table_cell(t, "%s", compare_layers(r).s);
    else if (w->head == SIZE_MAX)
        table_cell(t, "%zu", w->layer);
    else
        table_cell(t, "%zu, head %zu", w->layer, w->head);
    for (int i = 0; i < FIDELITIES; i++) cell_estimate(t, &m[i]);
    cell_bytes(t, w->loaded);
    table_cell(t, "%s", w->worst ? "worst" : "");
}

static void shadow_rows(struct text_table *t, const struct compare_report *r, size_t run,
                        size_t text) {
    const struct comparison_summary *s = compare_sum(r, run, text);
    size_t L = r->model.config.n_layer, H = r->model.config.n_head, measured = 0;
    for (size_t l = 0; l < L; l++) measured += s->layers[l * FIDELITIES].n > 0;
    for (size_t l = 0; l < L; l++) {
        const struct estimate *m = s->layers + l * FIDELITIES;
        if (!m[0].n) continue;
        bool worst = measured > 1 && l == s->worst_layer;
        shadow_row(
            t, r, &(struct where){run, text, l, SIZE_MAX, compare_loaded(r, s, l).total, worst}, m);
        for (size_t h = 0; r->heads && h < H; h++)
            shadow_row(t, r, &(struct where){run, text, l, h, NAN, false},
                       s->heads + (l * H + h) * FIDELITIES);
    }
    struct where all = {run, text, SIZE_MAX, SIZE_MAX, compare_loaded_shadow(r, s).total, false};
    if (measured > 1) shadow_row(t, r, &all, s->all);
}

static uint64_t queries_per_layer(const struct compare_report *r,
                                  const struct comparison_summary *s) {
    uint64_t most = 0;
    for (size_t l = 0; l < r->model.config.n_layer; l++)
        if (s->layers[l * FIDELITIES].n > most) most = s->layers[l * FIDELITIES].n;
    return most;
}

/* The baseline is not listed: against itself it is 1, 0, 1, 1. */
static int shadow_table(const struct compare_report *r, size_t text, const struct page *p,
                        struct err *e) {
    struct text_table t;
    table_begin(&t, "llrrrrrl", p->arena);
    HEADINGS(&t, "attention", "layer", "cosine", "KL, nats", "Spearman", "top-5", "loaded/token",
             "");
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
    columns_explain(fp, markdown);
    return OK;
}
