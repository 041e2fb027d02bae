#include <math.h>

#include "report/compare_out.h"

/* Empty for what was not measured; NaN and inf for figures that are no numbers. */
static void number_field(FILE *fp, bool measured, double x) {
    fputc(',', fp);
    if (!measured) return;
    if (isfinite(x))
        fprintf(fp, "%.9g", x);
    else
        fputs(isnan(x) ? "NaN" : x < 0 ? "-inf" : "inf", fp);
}

/* The error of one window is none, and empty. */
static void error_field(FILE *fp, uint64_t windows, double x) { number_field(fp, windows > 1, x); }

static void estimate_fields(FILE *fp, const struct estimate *m) {
    bool measured = m && m->n;
    number_field(fp, measured, measured ? estimate_mean(m) : 0);
    error_field(fp, measured ? m->clusters : 0, measured ? estimate_error(m) : 0);
}

/* What a row is about; SIZE_MAX for all layers, all heads. */
struct place {
    const struct comparison *c;
    size_t run, text, layer, head;
};

static void lead(FILE *fp, const struct place *p) {
    const struct comparison_run *run = &p->c->runs[p->run];
    text_csv(fp, p->c->texts[p->text].file);
    fprintf(fp, ",%zu,", p->c->window);
    text_csv(fp, run->spec);
    fputc(',', fp);
    text_csv(fp, run->keys);
    fputc(',', fp);
    text_csv(fp, run->values);
    fputc(',', fp);
    if (p->layer == SIZE_MAX)
        fputs("all,", fp);
    else
        fprintf(fp, "%zu,", p->layer);
    if (p->head == SIZE_MAX)
        fputs("all", fp);
    else
        fprintf(fp, "%zu", p->head);
}

static void fidelity_fields(FILE *fp, const struct estimate *f) {
    if (f && f[0].n)
        fprintf(fp, ",%llu", (unsigned long long)f[0].n);
    else
        fputc(',', fp);
    for (int i = 0; i < FIDELITIES; i++) estimate_fields(fp, f ? &f[i] : NULL);
}

static void loaded_fields(FILE *fp, const struct compare_bytes *b) {
    number_field(fp, isfinite(b->keys), b->keys);
    number_field(fp, isfinite(b->scales), b->scales);
    number_field(fp, isfinite(b->codebooks), b->codebooks);
    number_field(fp, isfinite(b->tables), b->tables);
    number_field(fp, isfinite(b->values), b->values);
    number_field(fp, isfinite(b->total), b->total);
}

static void forced_fields(FILE *fp, const struct comparison_summary *s) {
    number_field(fp, s->tokens > 0, (double)s->tokens);
    number_field(fp, s->tokens > 0, s->perplexity);
    error_field(fp, s->nll.clusters, s->perplexity_error);
    number_field(fp, s->tokens > 0, s->ratio);
    error_field(fp, s->nll.clusters, s->ratio_error);
    estimate_fields(fp, &s->kld);
    number_field(fp, s->tokens > 0, s->kld_median);
    number_field(fp, s->tokens > 0, s->kld_p99);
    number_field(fp, s->tokens > 0, s->kld_max);
    estimate_fields(fp, &s->same_top1);
    number_field(fp, s->tokens > 0, s->rms_dp);
}

/* What every row ends with. Of the row of all layers, the fidelities are of those in shadow_layers.
 */
static void last_fields(FILE *fp, const struct compare_report *r, const struct place *p,
                        const struct comparison_summary *s) {
    bool whole = p->layer == SIZE_MAX;
    fprintf(fp, ",%zu", s->chunks);
    error_field(fp, whole ? s->nll.clusters : 0, s->rms_dp_error);
    fputc(',', fp);
    text_csv(fp, p->c->runs[p->run].name);
    number_field(fp, whole && s->decoded, s->attention_ms_least);
    number_field(fp, whole && s->decoded, s->attention_ms_most);
    fprintf(fp, ",%s,%d", whole ? compare_layers(r).s : "", compare_saw_text(r, p->run, p->text));
    fputc('\n', fp);
}

static void whole_row(const struct compare_report *r, const struct place *p,
                      const struct comparison_summary *s, FILE *fp) {
    const struct comparison_run *run = &p->c->runs[p->run];
    struct compare_bytes b = compare_loaded(r, s, SIZE_MAX);
    lead(fp, p);
    fidelity_fields(fp, s->all);
    loaded_fields(fp, &b);
    number_field(fp, true, (double)run->stored_keys);
    number_field(fp, true, (double)run->stored_values);
    number_field(fp, s->decoded > 0, s->attention_ms);
    forced_fields(fp, s);
    last_fields(fp, r, p, s);
}

static void layer_rows(const struct compare_report *r, struct place p,
                       const struct comparison_summary *s, FILE *fp) {
    enum { AFTER_LOADED = 3 + 13 };
    size_t H = r->model.config.n_head;
    struct compare_bytes b = compare_loaded(r, s, p.layer);
    lead(fp, &p);
    fidelity_fields(fp, s->layers ? s->layers + p.layer * FIDELITIES : NULL);
    loaded_fields(fp, &b);
    for (int i = 0; i < AFTER_LOADED; i++) fputc(',', fp);
    last_fields(fp, r, &p, s);
    for (p.head = 0; r->heads && s->heads && p.head < H; p.head++) {
        lead(fp, &p);
        fidelity_fields(fp, s->heads + (p.layer * H + p.head) * FIDELITIES);
        for (int i = 0; i < 6 + AFTER_LOADED; i++) fputc(',', fp);
        last_fields(fp, r, &p, s);
    }
}

void compare_put_csv(const struct compare_report *r, FILE *fp) {
    fputs("text,window,attn,keys,values,layer,head,n,cosine,cosine_se,kl,kl_se,spearman,spearman_"
          "se,top5,top5_se,loaded_keys,loaded_scales,"
          "loaded_codebooks,loaded_tables,loaded_values,loaded_total,stored_keys,stored_values,"
          "attention_ms,tokens,perplexity,perplexity_se,"
          "ratio,ratio_se,kld,kld_se,kld_median,kld_p99,kld_max,same_top1,same_top1_se,rms_dp,"
          "windows,rms_dp_se,effective_attn,attention_ms_min,attention_ms_max,shadow_layers,"
          "codebook_saw_text\n",
          fp);
    struct place p = {.c = r->main, .head = SIZE_MAX};
    for (p.text = 0; p.text < r->main->n_texts; p.text++)
        for (p.run = 0; p.run < r->main->n_runs; p.run++) {
            const struct comparison_summary *s = compare_sum(r, p.run, p.text);
            p.layer = SIZE_MAX;
            whole_row(r, &p, s, fp);
            for (p.layer = 0; p.layer < r->model.config.n_layer; p.layer++)
                if (s->decoded || (s->layers && s->layers[p.layer * FIDELITIES].n))
                    layer_rows(r, p, s, fp);
        }
    for (size_t i = 0; i < r->n_lengths; i++) {
        p.c = &r->lengths[i];
        p.layer = SIZE_MAX;
        for (p.text = 0; p.text < p.c->n_texts; p.text++)
            for (p.run = 0; p.run < p.c->n_runs; p.run++)
                whole_row(r, &p, compare_length_sum(r, i, p.run, p.text), fp);
    }
}
