#include "report/compare_out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/account.h"
#include "attention/skip.h"
#include "attention/spec.h"

static int sum_all(const struct compare_report *r, const struct comparison *c,
                   struct comparison_summary *to, struct err *e) {
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
    if (!r->summary || !r->length_summary)
        return err_set(e, ERR_FAILED, "out of memory for the report");
    int rc = sum_all(r, r->main, r->summary, e);
    for (size_t i = 0; i < r->n_lengths && !rc; i++)
        rc = sum_all(r, &r->lengths[i], r->length_summary + i * each, e);
    return rc;
}

const struct comparison_summary *compare_sum(const struct compare_report *r, size_t run,
                                             size_t text) {
    return &r->summary[run * r->main->n_texts + text];
}

const struct comparison_summary *compare_length_sum(const struct compare_report *r, size_t length,
                                                    size_t run, size_t text) {
    return &r->length_summary[(length * r->main->n_runs + run) * r->main->n_texts + text];
}

bool compare_saw_text(const struct compare_report *r, size_t run, size_t text) {
    bool uses = false;
    struct err unread;
    if (!r->book || spec_codebooks(r->main->runs[run].name, &uses, &unread) || !uses) return false;
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
static struct compare_bytes loaded(const struct compare_report *r,
                                   const struct comparison_summary *s, size_t first, size_t last) {
    struct attn_counters sum = {0};
    struct compare_bytes b = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    if (!s->decoded || !s->loaded) return b;
    for (size_t l = first; l <= last; l++) attn_counters_add(&sum, &s->loaded[l]);
    double n = (double)s->decoded;
    b = (struct compare_bytes){.keys = (double)sum.keys / n,
                               .scales = (double)sum.scales / n,
                               .codebooks = (double)sum.codebooks / n,
                               .tables = (double)sum.tables / n,
                               .values = (double)sum.values / n,
                               .refined = (double)sum.refined / n};
    b.skipped_rows = (double)sum.skipped_rows / n;
    b.skipped_mass = (double)sum.skipped_mass / SKIP_MASS_UNIT /
                     (n * (double)((last - first + 1) * r->model.config.n_head));
    b.total = (double)attn_counters_total(&sum) / n;
    struct account split = account_split(&sum, s->codebooks);
    b.streamed = (double)split.streamed / n;
    b.at_hand = (double)split.at_hand / n;
    return b;
}

struct compare_bytes compare_loaded(const struct compare_report *r,
                                    const struct comparison_summary *s, size_t layer) {
    return layer == SIZE_MAX ? loaded(r, s, 0, r->model.config.n_layer - 1)
                             : loaded(r, s, layer, layer);
}

struct compare_bytes compare_loaded_shadow(const struct compare_report *r,
                                           const struct comparison_summary *s) {
    return loaded(r, s, r->main->first_layer, r->main->last_layer);
}

bool compare_context_sum(const struct compare_report *r, size_t run, size_t i,
                         struct comparison_summary *s) {
    const struct comparison_run *of = &r->main->runs[run];
    *s = (struct comparison_summary){.decoded = 1, .codebooks = of->codebooks};
    s->loaded = arena_zalloc(r->arena, r->model.config.n_layer, sizeof *s->loaded);
    if (!s->loaded || !of->by_context.loaded) return false;
    s->loaded[0] = of->by_context.loaded[i]; /* the sum of all layers */
    return true;
}

static double law_x(const struct compare_report *r, size_t i) {
    return (double)(r->model.config.n_embd / r->model.config.n_head) /
           (double)(r->law[i].m * r->law[i].k);
}

static double law_y(const struct compare_report *r, size_t i) {
    return 1 - estimate_mean(&r->law[i].spearman);
}

bool compare_law_fit(const struct compare_report *r, struct power_law *fit) {
    double *x = arena_alloc(r->arena, r->n_law, sizeof *x),
           *y = arena_alloc(r->arena, r->n_law, sizeof *y);
    if (!x || !y) return false;
    for (size_t i = 0; i < r->n_law; i++) x[i] = law_x(r, i), y[i] = law_y(r, i);
    return power_law_fit(x, y, r->n_law, fit);
}

bool compare_law_test(const struct compare_report *r, struct power_law_test *t) {
    size_t n = r->n_law, windows = r->n_law_windows;
    double *x = arena_alloc(r->arena, n + 1, sizeof *x),
           *y = arena_alloc(r->arena, n * windows + 1, sizeof *y);
    *t = (struct power_law_test){.windows = windows};
    if (!x || !y) return false;
    for (size_t i = 0; i < n; i++) {
        if (!r->law[i].windows) return false;
        x[i] = law_x(r, i);
        for (size_t w = 0; w < windows; w++) y[w * n + i] = r->law[i].windows[w];
    }
    return power_law_test(x, y, n, windows, LAW_LEVEL, t);
}

/* An exponent of 1 is what the law says; an upper bound also stands where the error falls faster. A
 * tenth is granted. */
enum law_verdict compare_law_verdict(const struct compare_report *r) {
    struct power_law fit;
    struct power_law_test t;
    if (!compare_law_fit(r, &fit) || !compare_law_test(r, &t)) return LAW_NOT_SETTLED;
    if (t.p < LAW_LEVEL) return LAW_NO_POWER_LAW;
    if (t.visible > 0.5) return LAW_NOT_SETTLED;
    if (t.exponent_p >= LAW_LEVEL || fabs(fit.exponent - 1) <= 0.1) return LAW_HOLDS;
    return fit.exponent < 1 ? LAW_SLOWER : LAW_FASTER;
}

double compare_law_local(const struct compare_report *r, size_t point) {
    size_t next = SIZE_MAX;
    double x = law_x(r, point);
    for (size_t i = 0; i < r->n_law; i++)
        if (law_x(r, i) > x && (next == SIZE_MAX || law_x(r, i) < law_x(r, next))) next = i;
    return next == SIZE_MAX ? NAN : log(law_y(r, point) / law_y(r, next)) / log(x / law_x(r, next));
}
