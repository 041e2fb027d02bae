/* What a comparison's chunks add up to: the sums are taken chunk by chunk in their order, so that
 * shares that were measured apart give the same bits. */
#include <math.h>

#include "measure/comparison.h"

static bool belongs(const struct comparison_chunk *k, size_t text) {
    return text == SIZE_MAX || k->text == text;
}

static void add_forced(const struct predictions *base, const struct predictions *k,
                       struct comparison_summary *s, float *klds) {
    double nll = 0, log_ratio = 0, kld = 0, same = 0, dp2 = 0;
    for (size_t i = 0; i < k->n; i++) {
        nll += k->nll[i];
        log_ratio += k->nll[i] - base->nll[i];
        kld += (double)k->kld[i];
        same += k->same_top1[i] == TOP1_UNKNOWN ? NAN : k->same_top1[i];
        dp2 += (double)k->dp[i] * (double)k->dp[i];
        klds[s->tokens++] = k->kld[i];
    }
    estimate_add(&s->nll, k->n, nll);
    estimate_add(&s->log_ratio, k->n, log_ratio);
    estimate_add(&s->kld, k->n, kld);
    estimate_add(&s->same_top1, k->n, same);
    estimate_add(&s->dp2, k->n, dp2);
}

/* The errors of exp and of the root are those of their arguments times the slope. */
static void finish_forced(struct comparison_summary *s, float *klds) {
    if (!s->tokens) return;
    s->perplexity = exp(estimate_mean(&s->nll));
    s->perplexity_error = s->perplexity * estimate_error(&s->nll);
    s->ratio = exp(estimate_mean(&s->log_ratio));
    s->ratio_error = s->ratio * estimate_error(&s->log_ratio);
    s->rms_dp = sqrt(estimate_mean(&s->dp2));
    s->rms_dp_error =
        s->rms_dp > 0 ? estimate_error(&s->dp2) / (2 * s->rms_dp) : estimate_error(&s->dp2);
    s->kld_median = quantile(klds, s->tokens, 0.5);
    s->kld_p99 = quantile(klds, s->tokens, 0.99);
    s->kld_max = quantile(klds, s->tokens, 1);
}

/* A window's layer is the sum over its heads, and the whole the sum over its layers, in order. */
static void add_shadow(const struct comparison_chunk *k, struct comparison_summary *s, size_t L,
                       size_t H) {
    struct moments all[FIDELITIES] = {{0}};
    for (size_t l = 0; l < L; l++) {
        struct moments layer[FIDELITIES] = {{0}};
        for (size_t h = 0; h < H; h++)
            for (size_t f = 0; f < FIDELITIES; f++) {
                size_t at = (l * H + h) * FIDELITIES + f;
                moments_join(&layer[f], &k->shadow[at]);
                estimate_add(&s->heads[at], k->shadow[at].n, k->shadow[at].sum);
            }
        for (size_t f = 0; f < FIDELITIES; f++) {
            moments_join(&all[f], &layer[f]);
            estimate_add(&s->layers[l * FIDELITIES + f], layer[f].n, layer[f].sum);
        }
    }
    for (size_t f = 0; f < FIDELITIES; f++) estimate_add(&s->all[f], all[f].n, all[f].sum);
}

static size_t worst_layer(const struct comparison_summary *s, size_t L) {
    size_t worst = 0;
    double lowest = INFINITY;
    for (size_t l = 0; l < L; l++) {
        const struct estimate *cosine = &s->layers[l * FIDELITIES + FIDELITY_COSINE];
        double mean = estimate_mean(cosine);
        bool worse =
            mean < lowest || (isnan(mean) && !isnan(lowest)); /* nothing is worse than NaN */
        if (!cosine->n || !worse) continue;
        lowest = mean;
        worst = l;
    }
    return worst;
}

/* Adds a window's milliseconds for one token. ms[s->chunks] keeps its median; every window decodes
 * as many tokens, so the windows weigh the same. */
static void add_timing(const struct comparison_chunk *k, struct comparison_summary *s, float *ms) {
    const struct timing *t = &k->attention;
    double scale = 1000 / (double)k->decoded;
    ms[s->chunks] = (float)(scale * t->median);
    if (!s->chunks || scale * t->least < s->attention_ms_least)
        s->attention_ms_least = scale * t->least;
    if (!s->chunks || scale * t->most > s->attention_ms_most)
        s->attention_ms_most = scale * t->most;
}

void recall_add(struct recall *to, const struct recall *x) {
    to->queries += x->queries;
    to->first += x->first;
    to->picked += x->picked;
}

int comparison_summarise(const struct comparison *c, size_t run, size_t text, struct arena *a,
                         struct comparison_summary *s, struct err *e) {
    size_t L = c->w->config.n_layer, H = c->w->config.n_head, tokens = 0;
    const struct comparison_run *r = &c->runs[run], *base = &c->runs[0];
    for (size_t i = 0; i < r->n_chunks; i++)
        tokens += belongs(&r->chunks[i], text) ? r->chunks[i].predictions.n : 0;
    *s = (struct comparison_summary){
        .layers = arena_zalloc(a, L * FIDELITIES, sizeof *s->layers),
        .heads = arena_zalloc(a, L * H * FIDELITIES, sizeof *s->heads),
        .recall = arena_zalloc(a, L, sizeof *s->recall),
        .loaded = arena_zalloc(a, L, sizeof *s->loaded),
        .cut = arena_zalloc(a, L, sizeof *s->cut),
        .codebooks = r->codebooks,
        .attention_ms_least = NAN,
        .attention_ms_most = NAN,
    };
    float *klds = arena_alloc(a, tokens + 1, sizeof *klds),
          *ms = arena_alloc(a, r->n_chunks + 1, sizeof *ms);
    if (!s->layers || !s->heads || !s->recall || !s->loaded || !s->cut || !klds || !ms)
        return err_set(e, ERR_FAILED, "out of memory for a summary");
    for (size_t i = 0; i < r->n_chunks; i++) {
        const struct comparison_chunk *k = &r->chunks[i];
        if (!belongs(k, text)) continue;
        if (k->decoded) add_timing(k, s, ms);
        s->chunks++;
        s->decoded += k->decoded;
        for (size_t l = 0; l < L; l++) attn_counters_add(&s->loaded[l], &k->loaded[l]);
        for (size_t l = 0; k->cut && l < L; l++) s->cut[l] += k->cut[l];
        if (k->shadow) add_shadow(k, s, L, H);
        for (size_t l = 0; k->recall && l < L; l++) recall_add(&s->recall[l], &k->recall[l]);
        if (k->predictions.nll) add_forced(&base->chunks[i].predictions, &k->predictions, s, klds);
    }
    finish_forced(s, klds);
    s->attention_ms = s->chunks && s->decoded ? quantile(ms, s->chunks, 0.5) : NAN;
    s->worst_layer = worst_layer(s, L);
    return OK;
}
