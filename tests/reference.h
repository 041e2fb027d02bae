/* GPT-2 in float64, written for clearness and from the paper's formulas: what the engine is held
 * against where there is no golden file. No cache, no batches, no kernels: one sequence, all
 * positions, every time. */
#ifndef LOOKAT_TESTS_REFERENCE_H
#define LOOKAT_TESTS_REFERENCE_H

#include <math.h>
#include <stdlib.h>

#include "checkpoint/weights.h"

static float reference_at(const struct matrix *m, size_t r, size_t c) {
    return m->type == DTYPE_F32 ? ((const float *)m->data)[r * m->cols + c]
                                : f16_to_f32(((const uint16_t *)m->data)[r * m->cols + c]);
}

static void reference_norm(double *y, const double *x, const float *w, const float *b, size_t n,
                           double eps) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean) / sqrt(var + eps) * w[i] + b[i];
}

static void reference_linear(double *y, const struct matrix *w, const float *b, const double *x) {
    for (size_t r = 0; r < w->rows; r++) {
        y[r] = b ? b[r] : 0;
        for (size_t c = 0; c < w->cols; c++) y[r] += (double)reference_at(w, r, c) * x[c];
    }
}

static double reference_gelu(double x, enum activation a) {
    if (a == GELU_ERF) return 0.5 * x * (1 + erf(x / sqrt(2)));
    return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

/* logits[n][V] of the n tokens; f32 or f16 weights. */
static void reference_forward(const struct gpt2_weights *w, const int32_t *tokens, size_t n,
                              double *logits) {
    const struct gpt2_config *g = &w->config;
    size_t C = g->n_embd, D = C / g->n_head, F = g->n_inner;
    double *x = calloc(n * C, sizeof *x), *qkv = calloc(n * 3 * C, sizeof *qkv),
           *norm = calloc(C, sizeof *norm);
    double *out = calloc(C, sizeof *out), *hidden = calloc(F, sizeof *hidden),
           *p = calloc(n, sizeof *p);
    for (size_t t = 0; t < n; t++)
        for (size_t c = 0; c < C; c++)
            x[t * C + c] =
                (double)reference_at(&w->wte, (size_t)tokens[t], c) + reference_at(&w->wpe, t, c);
    for (size_t l = 0; l < g->n_layer; l++) {
        const struct gpt2_layer *y = &w->layers[l];
        for (size_t t = 0; t < n; t++) {
            reference_norm(norm, x + t * C, y->ln1_w, y->ln1_b, C, g->norm_eps);
            reference_linear(qkv + t * 3 * C, &y->qkv, y->qkv_b, norm);
        }
        for (size_t t = 0; t < n; t++) {
            for (size_t h = 0; h < g->n_head; h++) {
                const double *q = qkv + t * 3 * C + h * D;
                double best = -INFINITY, z = 0;
                for (size_t i = 0; i <= t; i++) {
                    p[i] = 0;
                    for (size_t d = 0; d < D; d++)
                        p[i] += q[d] * qkv[i * 3 * C + C + h * D + d] / sqrt((double)D);
                    best = fmax(best, p[i]);
                }
                for (size_t i = 0; i <= t; i++) z += p[i] = exp(p[i] - best);
                for (size_t d = 0; d < D; d++) {
                    norm[h * D + d] = 0;
                    for (size_t i = 0; i <= t; i++)
                        norm[h * D + d] += p[i] / z * qkv[i * 3 * C + 2 * C + h * D + d];
                }
            }
            reference_linear(out, &y->proj, y->proj_b, norm);
            for (size_t c = 0; c < C; c++) x[t * C + c] += out[c];
            reference_norm(norm, x + t * C, y->ln2_w, y->ln2_b, C, g->norm_eps);
            reference_linear(hidden, &y->fc, y->fc_b, norm);
            for (size_t f = 0; f < F; f++) hidden[f] = reference_gelu(hidden[f], g->activation);
            reference_linear(out, &y->fcproj, y->fcproj_b, hidden);
            for (size_t c = 0; c < C; c++) x[t * C + c] += out[c];
        }
    }
    for (size_t t = 0; t < n; t++) {
        reference_norm(norm, x + t * C, w->lnf_w, w->lnf_b, C, g->norm_eps);
        reference_linear(logits + t * g->n_vocab, &w->head, NULL, norm);
    }
    free(x), free(qkv), free(norm), free(out), free(hidden), free(p);
}

#endif
