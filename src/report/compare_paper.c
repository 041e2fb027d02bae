#include "report/compare_paper.h"

#include <math.h>
#include <string.h>

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

const char *paper_by_length(size_t length) { return length == 64 ? "0.999" : length == 1024 ? "0.903" : "-"; }

static const char *figure(const char *spec, int what) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (strcmp(spec, published[i].spec) == 0) return what == FIDELITY_COSINE ? published[i].cosine : published[i].spearman;
    return "-";
}

static int one_table(const struct compare_report *r, int what, const struct page *p, struct err *e) {
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
        table_cell(&t, "%s", figure(r->main->runs[run].spec, what));
        for (size_t i = 0; i < n; i++) cell_estimate(&t, &compare_sum(r, run, i)->all[what]);
    }
    table_cell(&t, "windows of ±");
    table_cell(&t, "-");
    for (size_t i = 0; i < n; i++) table_cell(&t, "%s", text_count(compare_sum(r, 0, i)->chunks).s);
    return page_table(p, &t, e);
}

int paper_tables(const struct compare_report *r, const struct page *p, struct err *e) {
    page_heading(p, 1, "The table of arXiv 2601.10155: layer %zu, n = %s queries a text", r->main->first_layer,
                 text_count(compare_sum(r, 0, 0)->all[0].n ? compare_sum(r, 0, 0)->all[0].n : compare_sum(r, 1, 0)->all[0].n).s);
    page_heading(p, 2, "Cosine of the attention output");
    int rc = one_table(r, FIDELITY_COSINE, p, e);
    page_heading(p, 2, "Spearman's rho of the scores");
    return rc ? rc : one_table(r, FIDELITY_SPEARMAN, p, e);
}

static int points(const struct compare_report *r, const struct page *p, struct err *e) {
    size_t d = r->model.config.n_embd / r->model.config.n_head;
    struct power_law fit;
    bool fitted = compare_law_fit(r, &fit);
    struct text_table t;
    table_begin(&t, "rrrrr", p->arena);
    table_cell(&t, "m"), table_cell(&t, "K"), table_cell(&t, "d/(mK)"), table_cell(&t, "1 - rho"), table_cell(&t, "fitted");
    for (size_t i = 0; i < r->n_law; i++) {
        const struct compare_law_point *l = &r->law[i];
        double x = (double)d / (double)(l->m * l->k);
        table_cell(&t, "%zu", l->m);
        table_cell(&t, "%zu", l->k);
        table_cell(&t, "%.5f", x);
        cell_pair(&t, 1 - estimate_mean(&l->spearman), estimate_error(&l->spearman));
        if (fitted)
            cell_number(&t, fit.factor * pow(x, fit.exponent));
        else
            table_cell(&t, "-");
    }
    return page_table(p, &t, e);
}

/* An exponent of 1 is what the law says; an upper bound also stands where the error falls faster. Three standard errors of the fit, or a tenth, are granted. */
static void verdict(const struct power_law *fit, const struct page *p) {
    double off = fit->exponent - 1, room = 3 * fit->exponent_error > 0.1 ? 3 * fit->exponent_error : 0.1;
    fprintf(p->fp, "\n1 - rho = %.3f (d/(mK))^%.3f, exponent ± %.3f, R2 = %.3f over %zu points. The law asks for the exponent 1: ", fit->factor,
            fit->exponent, fit->exponent_error, fit->r2, fit->n);
    if (off < -room)
        fputs("it does not hold here, 1 - rho falls more slowly.\n", p->fp);
    else
        fprintf(p->fp, "it holds here%s.\n", off > room ? " as a bound, 1 - rho falls faster" : "");
}

/* The law knows only the product mK: points that share it should agree. */
static void twins(const struct compare_report *r, const struct page *p) {
    for (size_t i = 0; i < r->n_law; i++)
        for (size_t k = 0; k < i; k++) {
            const struct compare_law_point *a = &r->law[k], *b = &r->law[i];
            double x = 1 - estimate_mean(&a->spearman), y = 1 - estimate_mean(&b->spearman);
            if (a->m * a->k == b->m * b->k)
                fprintf(p->fp, "m = %zu, K = %zu and m = %zu, K = %zu have the same mK; their 1 - rho is %.4f and %.4f.\n", a->m, a->k, b->m, b->k, x, y);
        }
}

int paper_law(const struct compare_report *r, const struct page *p, struct err *e) {
    struct power_law fit;
    page_heading(p, 1, "The law 1 - rho = O(d/(mK)), layer %zu, all texts together", r->main->first_layer);
    if (!r->n_law) {
        fprintf(p->fp, "No codebooks were used, so there is nothing to fit.\n");
        return OK;
    }
    int rc = points(r, p, e);
    if (rc) return rc;
    if (compare_law_fit(r, &fit) && fit.n > 2)
        verdict(&fit, p);
    else
        fprintf(p->fp, "\nFewer than three codebooks settle nothing.\n");
    twins(r, p);
    bool one_k = true;
    for (size_t i = 1; i < r->n_law; i++) one_k = one_k && r->law[i].k == r->law[0].k;
    if (one_k)
        fprintf(p->fp, "The codebooks have one K, so the fit is over m alone. More come from: lookat calibrate -m MODEL -f TEXT --attn "
                       "lookat2:plain,lookat4:plain,lookat:m=4,k=16,plain,lookat:m=4,k=64,plain -o BOOK.gguf, then --book BOOK.gguf\n");
    return OK;
}
