/* GPT-2 (Radford et al. 2019) in float64 and plain loops: from tokens to logits on one page.
 *
 *     x = token embedding + position embedding
 *     for each layer:
 *         x += proj(attention(layernorm(x)))          what other positions have to say
 *         x += fcproj(gelu(fc(layernorm(x))))         the MLP: what this position makes of it
 *     logits = head(layernorm(x))                     one number for each token of the vocabulary
 *
 * There are no batches, no kernels and no threads. attention.h holds the attention, three times.
 * The tests hold the engine against this file where there are no golden numbers.
 *
 * Dimensions: L layers, C width, H heads, D = C / H head_dim, F width of the MLP, V vocabulary, T
 * positions that there is room for. */
#ifndef LOOKAT_TESTS_REFERENCE_GPT2_H
#define LOOKAT_TESTS_REFERENCE_GPT2_H

#include "attention.h"

/* y[n] = (x - mean) / sqrt(variance + eps) * weight + bias. */
static inline void reference_norm(double *y, const double *x, const float *weight,
                                  const float *bias, size_t n, double eps) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(variance + eps) * weight[i] + bias[i];
}

/* y[rows] = w x + bias; no bias where it is NULL. */
static inline void reference_linear(double *y, const struct matrix *w, const float *bias,
                                    const double *x) {
    for (size_t row = 0; row < w->rows; row++) {
        y[row] = bias ? bias[row] : 0;
        for (size_t c = 0; c < w->cols; c++) y[row] += reference_at(w, row, c) * x[c];
    }
}

/* GPT-2 was trained with GELU in the form with tanh; a checkpoint may ask for another function. */
static inline double reference_activation(double x, enum activation which) {
    if (which == GELU_ERF) return 0.5 * x * (1 + erf(x / sqrt(2)));
    if (which == RELU) return fmax(x, 0);
    if (which == SILU) return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

/* The rest of layer l at position t: attention over all heads, then the MLP, both added to x. */
static inline void reference_layer(struct reference *r, size_t l, size_t t) {
    const struct gpt2_config *g = &r->w->config;
    const struct gpt2_layer *layer = &r->w->layers[l];
    const size_t C = g->n_embd, D = C / g->n_head, F = g->n_inner;
    double *x = r->x + t * C, *out = calloc(C, sizeof *out), *y = calloc(C, sizeof *y),
           *hidden = calloc(F, sizeof *hidden);
    for (size_t h = 0; h < g->n_head; h++) r->attention(r, l, h, t, out + h * D);
    reference_linear(y, &layer->proj, layer->proj_b, out);
    for (size_t c = 0; c < C; c++) x[c] += y[c];
    reference_norm(y, x, layer->ln2_w, layer->ln2_b, C, g->norm_eps);
    reference_linear(hidden, &layer->fc, layer->fc_b, y);
    for (size_t f = 0; f < F; f++) hidden[f] = reference_activation(hidden[f], g->activation);
    reference_linear(out, &layer->fcproj, layer->fcproj_b, hidden);
    for (size_t c = 0; c < C; c++) x[c] += out[c];
    free(out), free(y), free(hidden);
}

/* Runs positions begin .. end - 1 of tokens[end]. logits[end - begin][V] are what each of them says
 * of the token after it. attention_naive looks at the rows of all earlier positions, so with it
 * begin is 0, every time; the others find what they need in their caches, and begin may be the
 * number of positions that ran before. */
static inline void reference_run(struct reference *r, const int32_t *tokens, size_t begin,
                                 size_t end, double *logits) {
    const struct gpt2_weights *w = r->w;
    const size_t C = w->config.n_embd;
    const double eps = w->config.norm_eps;
    for (size_t t = begin; t < end; t++)
        for (size_t c = 0; c < C; c++)
            r->x[t * C + c] =
                reference_at(&w->wte, (size_t)tokens[t], c) + reference_at(&w->wpe, t, c);
    for (size_t l = 0; l < w->config.n_layer; l++) {
        const struct gpt2_layer *layer = &w->layers[l];
        for (size_t t = begin; t < end; t++)
            reference_norm(r->norm + t * C, r->x + t * C, layer->ln1_w, layer->ln1_b, C, eps);
        for (size_t t = begin; t < end; t++) reference_layer(r, l, t);
    }
    for (size_t t = begin; t < end; t++) {
        reference_norm(r->norm + t * C, r->x + t * C, w->lnf_w, w->lnf_b, C, eps);
        reference_linear(logits + (t - begin) * w->config.n_vocab, &w->head, NULL, r->norm + t * C);
    }
}

/* A reference with room for `room` positions, at most the model's context. attention_coded needs
 * m, k and centroids besides, and codes[L][H][T][M], which reference_close frees. */
static inline struct reference reference_open(const struct gpt2_weights *w, size_t room) {
    const size_t rows = room * w->config.n_embd, all = w->config.n_layer * rows;
    return (struct reference){.w = w,
                              .room = room,
                              .attention = attention_naive,
                              .x = calloc(rows, sizeof(double)),
                              .norm = calloc(rows, sizeof(double)),
                              .p = calloc(room, sizeof(double)),
                              .keys = calloc(all, sizeof(double)),
                              .values = calloc(all, sizeof(double))};
}

static inline void reference_close(struct reference *r) {
    free(r->x), free(r->norm), free(r->p), free(r->keys), free(r->values), free(r->codes);
}

/* logits[n][V] of n tokens, from the attention without a cache. */
static inline void reference_forward(const struct gpt2_weights *w, const int32_t *tokens, size_t n,
                                     double *logits) {
    struct reference r = reference_open(w, n);
    reference_run(&r, tokens, 0, n, logits);
    reference_close(&r);
}

#endif
