/* What a comparison's chunks add up to. */
#include <math.h>

#include "measure/comparison.h"

static bool belongs(const struct comparison_chunk *k, size_t text) { return text == SIZE_MAX || k->text == text; }

static void add_forced(const struct comparison_chunk *base, const struct comparison_chunk *k, struct comparison_summary *s, float *klds) {
    for (size_t i = 0; i < k->n; i++) {
        moments_add(&s->nll, k->nll[i]);
        moments_add(&s->log_ratio, k->nll[i] - base->nll[i]);
        moments_add(&s->kld, k->kld[i]);
        moments_add(&s->same_top1, k->same_top1[i] == TOP1_UNKNOWN ? NAN : k->same_top1[i]);
        s->rms_dp += (double)k->dp[i] * k->dp[i];
        klds[s->tokens++] = k->kld[i];
    }
}

static void finish_forced(struct comparison_summary *s, float *klds) {
    if (!s->tokens) return;
    s->perplexity = exp(moments_mean(&s->nll));
    s->perplexity_error = s->perplexity * moments_error(&s->nll);
    s->ratio = exp(moments_mean(&s->log_ratio));
    s->ratio_error = s->ratio * moments_error(&s->log_ratio);
    s->rms_dp = sqrt(s->rms_dp / (double)s->tokens);
    s->kld_median = quantile(klds, s->tokens, 0.5);
    s->kld_p99 = quantile(klds, s->tokens, 0.99);
    s->kld_max = quantile(klds, s->tokens, 1);
}

/* Layers and the whole are the sums over their heads, in order. */
static void finish_shadow(struct comparison_summary *s, size_t L, size_t H) {
    double worst = INFINITY;
    for (size_t l = 0; l < L; l++) {
        struct moments *layer = s->layers + l * FIDELITIES;
        for (size_t h = 0; h < H; h++)
            for (size_t f = 0; f < FIDELITIES; f++) moments_join(&layer[f], &s->heads[(l * H + h) * FIDELITIES + f]);
        for (size_t f = 0; f < FIDELITIES; f++) moments_join(&s->all[f], &layer[f]);
        double cosine = moments_mean(&layer[FIDELITY_COSINE]);
        bool worse = cosine < worst || (isnan(cosine) && !isnan(worst)); /* than NaN none is */
        if (layer[FIDELITY_COSINE].n && worse) {
            worst = cosine;
            s->worst_layer = l;
        }
    }
}

int comparison_summarise(const struct comparison *c, size_t run, size_t text, struct arena *a, struct comparison_summary *s, struct err *e) {
    size_t L = c->w->config.n_layer, H = c->w->config.n_head, tokens = 0;
    const struct comparison_run *r = &c->runs[run], *base = &c->runs[0];
    for (size_t i = 0; i < r->n_chunks; i++) tokens += belongs(&r->chunks[i], text) ? r->chunks[i].n : 0;
    *s = (struct comparison_summary){
        .layers = arena_zalloc(a, L * FIDELITIES, sizeof *s->layers),
        .heads = arena_zalloc(a, L * H * FIDELITIES, sizeof *s->heads),
        .loaded = arena_zalloc(a, L, sizeof *s->loaded),
    };
    float *klds = arena_alloc(a, tokens + 1, sizeof *klds);
    if (!s->layers || !s->heads || !s->loaded || !klds) return err_set(e, ERR_FAILED, "out of memory for a summary");
    for (size_t i = 0; i < r->n_chunks; i++) {
        const struct comparison_chunk *k = &r->chunks[i];
        if (!belongs(k, text)) continue;
        s->chunks++;
        s->decoded += k->decoded;
        s->attention_s += k->attention_s;
        for (size_t l = 0; l < L; l++) attn_counters_add(&s->loaded[l], &k->loaded[l]);
        for (size_t m = 0; k->shadow && m < L * H * FIDELITIES; m++) moments_join(&s->heads[m], &k->shadow[m]);
        if (k->nll) add_forced(&base->chunks[i], k, s, klds);
    }
    finish_forced(s, klds);
    finish_shadow(s, L, H);
    return OK;
}
