#include "report/compare_paper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention/registry.h"
#include "attention/spec.h"

/* GPT-2 (124M), first layer, samples of prose, Python and technical text. */
static const struct {
    const char *spec, *cosine, *spearman;
} published[] = {
    {"int4", "0.987", "-"},
    {"lookat2:plain", "0.957", "0.957 to 0.960"},
    {"lookat4:plain", "0.950", "0.957 to 0.960"},
    {"lookat8:plain", "-", "0.957 to 0.960"},
    {"lookat16:plain", "-", "0.957 to 0.960"},
};

const char *paper_by_length(size_t length) {
    return length == 64 ? "0.999" : length == 1024 ? "0.903" : "-";
}

/* The published figure of a run whose first measured layer has the codec of a published row, and
 * values in fp16 as there; "-" where there is none. */
static const char *figure(const struct compare_report *r, size_t run, int what,
                          struct arena *arena) {
    const struct gpt2_config *g = &r->model.config;
    size_t L = g->n_layer, layer = r->main->first_layer;
    struct codec *keys = arena_alloc(arena, L, sizeof *keys),
                 *values = arena_alloc(arena, L, sizeof *values), row;
    struct err unread;
    if (!keys || !values || spec_parse(r->main->runs[run].name, L, keys, values, &unread) ||
        values[layer].ops != &codec_fp16)
        return "-";
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (codec_parse(&row, published[i].spec, g->n_embd / g->n_head, false, &unread) == OK &&
            codec_same(&row, &keys[layer]))
            return what == FIDELITY_COSINE ? published[i].cosine : published[i].spearman;
    return "-";
}

double paper_cosine(const struct compare_report *r, size_t run) {
    const char *text = figure(r, run, FIDELITY_COSINE, r->arena);
    return strcmp(text, "-") == 0 ? NAN : strtod(text, NULL);
}

static int one_table(const struct compare_report *r, int what, const struct page *p,
                     struct err *e) {
    enum { TEXTS_MAX = 24 };
    char align[TEXTS_MAX + 3] = "lr";
    size_t n = r->main->n_texts < TEXTS_MAX ? r->main->n_texts : TEXTS_MAX;
    struct text_table t;
    memset(align + 2, 'r', n);
    table_begin(&t, align, p->arena);
    table_cell(&t, "attention");
    table_cell(&t, "published");
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(r->main->texts[i].file, '/');
        table_cell(&t, "%s", slash ? slash + 1 : r->main->texts[i].file);
    }
    for (size_t run = 1; run < r->main->n_runs; run++) {
        table_cell(&t, "%s", r->main->runs[run].title);
        table_cell(&t, "%s", figure(r, run, what, p->arena));
        for (size_t i = 0; i < n; i++) cell_estimate(&t, &compare_sum(r, run, i)->all[what]);
    }
    table_cell(&t, "windows of ±");
    table_cell(&t, "-");
    for (size_t i = 0; i < n; i++) table_cell(&t, "%s", text_count(compare_sum(r, 0, i)->chunks).s);
    return page_table(p, &t, e);
}

int paper_tables(const struct compare_report *r, const struct page *p, struct err *e) {
    page_heading(p, 1, "The table of arXiv 2601.10155: layer %zu, n = %s queries a text",
                 r->main->first_layer,
                 text_count(compare_sum(r, 0, 0)->all[0].n ? compare_sum(r, 0, 0)->all[0].n
                                                           : compare_sum(r, 1, 0)->all[0].n)
                     .s);
    page_heading(p, 2, "Cosine of the attention output");
    int rc = one_table(r, FIDELITY_COSINE, p, e);
    page_heading(p, 2, "Spearman's rho of the scores");
    return rc ? rc : one_table(r, FIDELITY_SPEARMAN, p, e);
}

static int points(const struct compare_report *r, const struct page *p, struct err *e) {
    static const char *const titles[] = {"m",      "K",      "d/(mK)",        "1 - rho",
                                         "fitted", "off by", "local exponent"};
    size_t d = r->model.config.n_embd / r->model.config.n_head;
    struct power_law fit;
    bool fitted = compare_law_fit(r, &fit);
    struct text_table t;
    table_begin(&t, "rrrrrrr", p->arena);
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) table_cell(&t, "%s", titles[i]);
    for (size_t i = 0; i < r->n_law; i++) {
        const struct compare_law_point *l = &r->law[i];
        double x = (double)d / (double)(l->m * l->k), y = 1 - estimate_mean(&l->spearman),
               local = compare_law_local(r, i);
        double curve = fitted ? fit.factor * pow(x, fit.exponent) : NAN;
        table_cell(&t, "%zu", l->m);
        table_cell(&t, "%zu", l->k);
        table_cell(&t, "%.5f", x);
        cell_pair(&t, y, estimate_error(&l->spearman));
        table_cell(&t, fitted ? "%.4f" : "-", curve);
        table_cell(&t, fitted ? "%+.1f %%" : "-", 100 * (y / curve - 1));
        table_cell(&t, isnan(local) ? "-" : "%.2f", local);
    }
    return page_table(p, &t, e);
}

/* What the test found, then what that means for an exponent of 1. */
static void verdict(const struct compare_report *r, const struct power_law *fit,
                    const struct page *p) {
    static const char *const said[] = {
        [LAW_NOT_SETTLED] = "that is not settled here",
        [LAW_NO_POWER_LAW] = ("it does not hold here, the points are no power law, and the fitted "
                              "exponent is none of theirs"),
        [LAW_SLOWER] = "it does not hold here, 1 - rho falls more slowly",
        [LAW_FASTER] = "it holds here as a bound, 1 - rho falls faster",
        [LAW_HOLDS] = "it holds here within the errors"};
    struct power_law_test t;
    bool tested = compare_law_test(r, &t);
    page_line(p,
              "1 - rho = %.3f (d/(mK))^%.3f, exponent ± %.3f by the scatter of the points, R2 = "
              "%.3f over %zu points.",
              fit->factor, fit->exponent, fit->exponent_error, fit->r2, fit->n);
    if (tested)
        page_line(p,
                  "Goodness of fit, level %g %%: the point m = %zu, K = %zu is off by %+.1f %% ± "
                  "%.1f %%, p = %.2g over %zu windows; "
                  "%.1f %% would be seen. Exponent ± %.3f over windows, p of 1 is %.2g.",
                  100 * LAW_LEVEL, r->law[t.worst].m, r->law[t.worst].k, 100 * t.residual,
                  100 * t.error, t.p, t.windows, 100 * t.visible, t.exponent_error, t.exponent_p);
    else
        page_line(p, "Goodness of fit: %s, so there are no errors to test against.",
                  text_plural(t.windows, "window").s);
    page_line(p, "The law asks for the exponent 1: %s.", said[compare_law_verdict(r)]);
}

/* The law knows only the product mK: points that share it should agree. */
static void twins(const struct compare_report *r, const struct page *p) {
    for (size_t i = 0; i < r->n_law; i++)
        for (size_t k = 0; k < i; k++) {
            const struct compare_law_point *a = &r->law[k], *b = &r->law[i];
            double x = 1 - estimate_mean(&a->spearman), y = 1 - estimate_mean(&b->spearman);
            if (a->m * a->k == b->m * b->k)
                fprintf(p->fp,
                        "m = %zu, K = %zu and m = %zu, K = %zu have the same mK; their 1 - rho is "
                        "%.4f and %.4f.\n",
                        a->m, a->k, b->m, b->k, x, y);
        }
}

int paper_law(const struct compare_report *r, const struct page *p, struct err *e) {
    struct power_law fit;
    page_heading(p, 1, "The law 1 - rho = O(d/(mK)), layer %zu, all texts together",
                 r->main->first_layer);
    if (!r->n_law) {
        fprintf(p->fp, "No codebooks were used, so there is nothing to fit.\n");
        return OK;
    }
    int rc = points(r, p, e);
    if (rc) return rc;
    if (compare_law_fit(r, &fit) && fit.n > 2)
        verdict(r, &fit, p);
    else
        fprintf(p->fp, "\nFewer than three codebooks settle nothing.\n");
    twins(r, p);
    bool one_k = true;
    for (size_t i = 1; i < r->n_law; i++) one_k = one_k && r->law[i].k == r->law[0].k;
    if (one_k)
        fprintf(p->fp, "The codebooks have one K, so the fit is over m alone. More come from: "
                       "lookat calibrate -m MODEL -f TEXT --attn "
                       "lookat2:plain,lookat4:plain,lookat:m=4,k=16,plain,lookat:m=4,k=64,plain -o "
                       "BOOK.gguf, then --book BOOK.gguf\n");
    return OK;
}
