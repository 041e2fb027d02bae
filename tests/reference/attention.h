/* Attention three times, in float64 and plain loops: the first page of this project.
 *
 *     attention_naive     every key and every value is worked out anew for every query
 *     attention_cached    each is worked out once and kept: the KV cache
 *     attention_coded     of a key only M small numbers are kept: the codes of LOOKAT
 *
 * The three have the same arguments and the same three steps: scores, softmax, mix. Read them side
 * by side, further down; what comes before them is what they share. tests/test_reference.c runs
 * them on one prompt and says by how much they differ. The engine does the same work in
 * src/attention/, in float32 and fast; this file is only for reading, and for tests.
 *
 * Dimensions: L layers, C width, H heads, D = C / H head_dim, T positions that there is room for,
 * M codes of a key, K centroids that a code chooses from. */
#ifndef LOOKAT_TESTS_REFERENCE_ATTENTION_H
#define LOOKAT_TESTS_REFERENCE_ATTENTION_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/weights.h"

enum { REFERENCE_DIM = 256, REFERENCE_TABLES = 32 * 256 }; /* the largest D and M K */

/* One model at work on one sequence. */
struct reference {
    const struct gpt2_weights *w; /* matrices in float32 or float16 */
    size_t room;                  /* T */
    /* out[D] = what the query of head h at position t finds in layer l, among positions 0 .. t. */
    void (*attention)(struct reference *r, size_t l, size_t h, size_t t, double *out);
    double *x;    /* [T][C] the residual stream: what each position knows so far */
    double *norm; /* [T][C] the LayerNorm of x in front of attention */
    double *p;    /* [T] scores, and then probabilities, of the query at work */

    double *keys, *values; /* [L][H][T][D] the KV cache */

    uint8_t *codes;            /* [L][H][T][M] what attention_coded keeps in place of keys */
    const uint16_t *centroids; /* [L][H][M][D/M][K] in float16: plain codebooks; or NULL */
    size_t m, k;               /* M, K */
};

/* ---- what the three share ---- */

/* The number in row `row` and column `column` of a matrix. */
static inline double reference_at(const struct matrix *w, size_t row, size_t column) {
    const size_t i = row * w->cols + column;
    return w->type == DTYPE_F32 ? ((const float *)w->data)[i]
                                : f16_to_f32(((const uint16_t *)w->data)[i]);
}

enum { QUERY, KEY, VALUE }; /* the order of the three matrices in a layer's qkv [3C][C] */

/* Scores are q . k / sqrt(D). A model without that division, or one that also divides by the number
 * of the layer, has a query that is as much larger or smaller. */
static inline double reference_query_factor(const struct gpt2_config *g, size_t l) {
    const double D = (double)(g->n_embd / g->n_head);
    return (g->unscaled ? sqrt(D) : 1) / (g->scale_by_layer ? (double)l + 1 : 1);
}

/* y[D] = the query, key or value of head h that layer l makes of position t. */
static inline void reference_project(double *y, const struct reference *r, size_t l, int which,
                                     size_t h, size_t t) {
    const struct gpt2_layer *layer = &r->w->layers[l];
    const size_t C = r->w->config.n_embd, D = C / r->w->config.n_head;
    for (size_t d = 0; d < D; d++) {
        const size_t row = (size_t)which * C + h * D + d;
        y[d] = layer->qkv_b[row];
        for (size_t c = 0; c < C; c++)
            y[d] += reference_at(&layer->qkv, row, c) * r->norm[t * C + c];
        if (which == QUERY) y[d] *= reference_query_factor(&r->w->config, l);
    }
}

static inline double reference_dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* p[n] becomes exp(p) / sum exp(p). The largest is subtracted first, so that no exp overflows. */
static inline void reference_softmax(double *p, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, p[i]);
    for (size_t i = 0; i < n; i++) sum += p[i] = exp(p[i] - most);
    for (size_t i = 0; i < n; i++) p[i] /= sum;
}

/* Where a head's rows of the cache begin. */
static inline double *reference_rows(const struct reference *r, double *cache, size_t l, size_t h) {
    const size_t H = r->w->config.n_head, D = r->w->config.n_embd / H;
    return cache + (l * H + h) * r->room * D;
}

/* ---- codes: a key as M numbers below K ----
 *
 * A key of D numbers is cut into M subvectors of D/M numbers. For each subvector there are K
 * typical ones, the centroids, which k-means found before (src/README.md, the stop about learning).
 * A subvector is stored as the number of the centroid nearest to it. */

/* Number i of centroid c of subvector j. */
static inline double reference_centroid(const struct reference *r, size_t l, size_t h, size_t j,
                                        size_t i, size_t c) {
    const size_t H = r->w->config.n_head, D = r->w->config.n_embd / H;
    return f16_to_f32(r->centroids[((l * H + h) * D + j * (D / r->m) + i) * r->k + c]);
}

/* code[M] of a key. */
static inline void reference_encode(uint8_t *code, const struct reference *r, size_t l, size_t h,
                                    const double *key) {
    const size_t width = r->w->config.n_embd / r->w->config.n_head / r->m;
    for (size_t j = 0; j < r->m; j++) {
        double least = INFINITY;
        for (size_t c = 0; c < r->k; c++) {
            double distance = 0; /* squared */
            for (size_t i = 0; i < width; i++) {
                const double e = key[j * width + i] - reference_centroid(r, l, h, j, i, c);
                distance += e * e;
            }
            if (distance < least) least = distance, code[j] = (uint8_t)c;
        }
    }
}

/* table[M][K] of a query: entry [j][c] is the product of its subvector j with centroid c. */
static inline void reference_table(double *table, const struct reference *r, size_t l, size_t h,
                                   const double *q) {
    const size_t width = r->w->config.n_embd / r->w->config.n_head / r->m;
    for (size_t j = 0; j < r->m; j++)
        for (size_t c = 0; c < r->k; c++) {
            table[j * r->k + c] = 0;
            for (size_t i = 0; i < width; i++)
                table[j * r->k + c] += q[j * width + i] * reference_centroid(r, l, h, j, i, c);
        }
}

/* ---- attention, three times (Vaswani et al. 2017, section 3.2.1) ----
 *
 *     s_i = q . k_i / sqrt(D) for i <= t;   p = softmax(s);   out = sum_i p_i v_i */

/* 1. Without a memory: the inner loops make the keys and values of all earlier positions. */
static inline void attention_naive(struct reference *r, size_t l, size_t h, size_t t, double *out) {
    const size_t D = r->w->config.n_embd / r->w->config.n_head;
    double q[REFERENCE_DIM], k[REFERENCE_DIM], v[REFERENCE_DIM];
    reference_project(q, r, l, QUERY, h, t);
    for (size_t i = 0; i <= t; i++) {
        reference_project(k, r, l, KEY, h, i);
        r->p[i] = reference_dot(q, k, D) / sqrt((double)D);
    }
    reference_softmax(r->p, t + 1);
    for (size_t d = 0; d < D; d++) out[d] = 0;
    for (size_t i = 0; i <= t; i++) {
        reference_project(v, r, l, VALUE, h, i);
        for (size_t d = 0; d < D; d++) out[d] += r->p[i] * v[d];
    }
}

/* 2. With a KV cache: the key and the value of position t are made once, when t comes, and later
 * queries find them there. It costs 2 D numbers of memory a position, layer and head. */
static inline void attention_cached(struct reference *r, size_t l, size_t h, size_t t,
                                    double *out) {
    const size_t D = r->w->config.n_embd / r->w->config.n_head;
    double *k = reference_rows(r, r->keys, l, h), *v = reference_rows(r, r->values, l, h);
    double q[REFERENCE_DIM];
    reference_project(k + t * D, r, l, KEY, h, t);
    reference_project(v + t * D, r, l, VALUE, h, t);
    reference_project(q, r, l, QUERY, h, t);
    for (size_t i = 0; i <= t; i++) r->p[i] = reference_dot(q, k + i * D, D) / sqrt((double)D);
    reference_softmax(r->p, t + 1);
    for (size_t d = 0; d < D; d++) out[d] = 0;
    for (size_t i = 0; i <= t; i++)
        for (size_t d = 0; d < D; d++) out[d] += r->p[i] * v[i * D + d];
}

/* 3. With codes (LOOKAT, arXiv 2601.10155): the key is rounded to M codes and then forgotten. The
 * query is multiplied with every centroid once; a score is then M entries of that table, added.
 * Values are kept as before. */
static inline void attention_coded(struct reference *r, size_t l, size_t h, size_t t, double *out) {
    const size_t H = r->w->config.n_head, D = r->w->config.n_embd / H, M = r->m, K = r->k;
    uint8_t *codes = r->codes + (l * H + h) * r->room * M;
    double *v = reference_rows(r, r->values, l, h);
    double q[REFERENCE_DIM], k[REFERENCE_DIM], table[REFERENCE_TABLES];
    reference_project(k, r, l, KEY, h, t);
    reference_encode(codes + t * M, r, l, h, k);
    reference_project(v + t * D, r, l, VALUE, h, t);
    reference_project(q, r, l, QUERY, h, t);
    reference_table(table, r, l, h, q);
    for (size_t i = 0; i <= t; i++) {
        r->p[i] = 0;
        for (size_t j = 0; j < M; j++) r->p[i] += table[j * K + codes[i * M + j]];
        r->p[i] /= sqrt((double)D);
    }
    reference_softmax(r->p, t + 1);
    for (size_t d = 0; d < D; d++) out[d] = 0;
    for (size_t i = 0; i <= t; i++)
        for (size_t d = 0; d < D; d++) out[d] += r->p[i] * v[i * D + d];
}

#endif
