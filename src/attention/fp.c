/* fp32 and fp16: rows stored as floating point and read in full.
 * fp32 is exact, the yardstick of the tests; fp16 is the baseline of every comparison.
 *
 * A query over n keys reads n D b bytes of keys and n D b bytes of values; b = 4 for fp32, 2 for fp16. */
#include "attention/codecs.h"

#include <string.h>

static size_t fp32_row_bytes(size_t head_dim) { return 4 * head_dim; }

static void fp32_store(const struct kernels *k, uint8_t *rows, const float *x, size_t stride, size_t n, size_t head_dim) {
    (void)k;
    for (size_t i = 0; i < n; i++) memcpy(rows + i * 4 * head_dim, x + i * stride, 4 * head_dim);
}

static void fp32_score(const struct kernels *k, float *scores, const uint8_t *rows, const float *q, size_t n, size_t head_dim,
                       struct attn_counters *c) {
    k->matvec(DTYPE_F32, scores, rows, 4 * head_dim, n, q, head_dim);
    c->keys += n * 4 * head_dim;
}

static void fp32_mix(const struct kernels *k, float *out, const uint8_t *rows, const float *p, size_t n, size_t head_dim,
                     struct attn_counters *c) {
    k->vecmat(DTYPE_F32, out, rows, 4 * head_dim, n, p, head_dim);
    c->values += n * 4 * head_dim;
}

const struct kv_codec codec_fp32 = {
    .name = "fp32", .summary = "32-bit floats: exact",
    .row_bytes = fp32_row_bytes, .store = fp32_store, .score = fp32_score, .mix = fp32_mix,
};

static size_t fp16_row_bytes(size_t head_dim) { return 2 * head_dim; }

static void fp16_store(const struct kernels *k, uint8_t *rows, const float *x, size_t stride, size_t n, size_t head_dim) {
    for (size_t i = 0; i < n; i++) k->to_f16((uint16_t *)(void *)(rows + i * 2 * head_dim), x + i * stride, head_dim);
}

static void fp16_score(const struct kernels *k, float *scores, const uint8_t *rows, const float *q, size_t n, size_t head_dim,
                       struct attn_counters *c) {
    k->matvec(DTYPE_F16, scores, rows, 2 * head_dim, n, q, head_dim);
    c->keys += n * 2 * head_dim;
}

static void fp16_mix(const struct kernels *k, float *out, const uint8_t *rows, const float *p, size_t n, size_t head_dim,
                     struct attn_counters *c) {
    k->vecmat(DTYPE_F16, out, rows, 2 * head_dim, n, p, head_dim);
    c->values += n * 2 * head_dim;
}

const struct kv_codec codec_fp16 = {
    .name = "fp16", .summary = "16-bit floats: the baseline",
    .row_bytes = fp16_row_bytes, .store = fp16_store, .score = fp16_score, .mix = fp16_mix,
};
