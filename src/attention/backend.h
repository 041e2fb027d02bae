/* The attention backend: how the keys and values of past tokens are stored, scored and mixed. This is the seam the project turns on.
 *
 * A backend is a key codec and a value codec, chosen apart: "fp16" or "fp16/fp32" (keys/values). The model hands over float32 rows and
 * gets float32 rows back; how a row is stored does not leak out. For head h with query q at position t, over stored keys k_i and values v_i:
 *
 *     s_i = q . k_i / sqrt(D), i <= t;   p = softmax(s);   out = sum_i p_i v_i        (Vaswani et al. 2017, section 3.2.1)
 *
 * A query sees only what is stored: never a copy of a key that the codec has since rounded.
 *
 * Dimensions: L layers, H heads, D head_dim, T context. */
#ifndef LOOKAT_ATTENTION_BACKEND_H
#define LOOKAT_ATTENTION_BACKEND_H

#include "base/err.h"
#include "kernels/kernels.h"

struct attn_shape {
    size_t n_layer, n_head, head_dim, n_ctx; /* L, H, D, T */
};

/* Bytes read by attend, counted where they are read. */
struct attn_counters {
    uint64_t keys, scales, codebooks, tables, values;
};

/* One way to store rows of D floats. Rows of one layer and head lie one after another, row_bytes apart. n rows, all pointers unaligned
 * beyond 4 bytes. The counters' closed form stands in the codec's file. */
struct kv_codec {
    const char *name;    /* as in --attn */
    const char *summary; /* one line for --help */

    /* Exact bytes of one stored row. */
    size_t (*row_bytes)(size_t head_dim);

    /* rows[n] = x[n][D], the rows of x `stride` floats apart. */
    void (*store)(const struct kernels *k, uint8_t *rows, const float *x, size_t stride, size_t n, size_t head_dim);

    /* scores[i] = q . row i, for i < n. NULL: not for keys. */
    void (*score)(const struct kernels *k, float *scores, const uint8_t *rows, const float *q, size_t n, size_t head_dim,
                  struct attn_counters *c);

    /* out[D] += sum_i p[i] row i. NULL: not for values. */
    void (*mix)(const struct kernels *k, float *out, const uint8_t *rows, const float *p, size_t n, size_t head_dim,
                struct attn_counters *c);
};

/* The registry: codec number index, NULL past the last. */
const struct kv_codec *kv_codec_at(size_t index);

struct attn {
    const struct kernels *k;
    struct attn_shape shape;
    const struct kv_codec *key, *value;
    char name[64]; /* the effective spec, keys and values: "fp16/fp16" */
};

/* Chooses the codecs of `spec` (KEYS[/VALUES]; values default to the codec of the keys). ERR_USAGE, naming the known codecs, for another spec. */
int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec, const struct kernels *k, struct err *e);

/* Exact bytes of the state of one sequence: per layer a length, then T key rows and T value rows of every head. The caller owns the memory,
 * aligned to 64 bytes; a state holds no pointers, so it can be copied and kept. */
size_t attn_state_bytes(const struct attn *a);
/* Bytes that one token adds to the state: all layers and heads. */
size_t attn_key_bytes_per_token(const struct attn *a);
size_t attn_value_bytes_per_token(const struct attn *a);

/* Makes the state that of an empty sequence; the rest of the memory is not touched. */
void attn_clear(const struct attn *a, void *state);
/* Forgets all tokens from position n on, in every layer. */
void attn_truncate(const struct attn *a, void *state, size_t n);
/* dst becomes the first n tokens of src; n at most what src holds. */
void attn_copy(const struct attn *a, void *dst, const void *src, size_t n);

/* Stores n keys and values of one layer behind the `pos` that the layer holds: k and v are [n][H][D], their rows `stride` floats apart. */
void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n, const float *k, const float *v, size_t stride);

/* Queries of one sequence: n causal queries at positions pos .. pos + n - 1, whose keys are stored already. */
struct attn_query {
    const void *state;
    size_t pos, n;
    const float *q;   /* [n][H][D], rows q_stride floats apart */
    float *out;       /* [n][H][D], rows out_stride floats apart */
    size_t q_stride, out_stride;
};

/* What measurements see: called for every query and head, from any thread, with D floats of q and out, and n_keys scores (before the
 * softmax, scaled) and probabilities. `query` counts over all items of the call. */
struct attn_probe {
    void *ctx;
    void (*row)(void *ctx, size_t layer, size_t head, size_t query, size_t n_keys, const float *q, const float *scores, const float *probs,
                const float *out);
};

/* Bytes of scratch that attend needs for `threads` threads, aligned to 64. */
size_t attn_scratch_bytes(const struct attn *a, int threads);

/* Answers the queries of n_items sequences in one layer, heads and queries spread over the threads. Adds to *counters; probe may be NULL.
 * scratch has attn_scratch_bytes(a, threads_count()). */
void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items, void *scratch,
                 struct attn_counters *counters, const struct attn_probe *probe);

#endif
