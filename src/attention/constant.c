/* constant: keys that are not stored at all. Each key stands for the constant part of its head's
 * keys (gpt2_key_constants). So without exact keys every key has the same probability. With sink=
 * or window= this codec is the floor of a comparison: it shows what exact keys are worth alone. A
 * query reads nothing of it. */
#include <string.h>

#include "attention/registry.h"

static int constant_check(struct codec *c, size_t head_dim, struct err *e) {
    (void)head_dim, (void)e;
    c->o.center = true;
    return OK;
}

static size_t constant_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 0;
}

static size_t constant_store(const struct codec_head *h, uint8_t *timeline, size_t pos,
                             const float *x, size_t stride, size_t n) {
    (void)h, (void)timeline, (void)pos, (void)x, (void)stride, (void)n;
    return 0;
}

/* A key without its center is 0, because the center is all there is of it. */
static void constant_decode(const struct codec_head *h, float *x, const uint8_t *timeline,
                            size_t begin, size_t n) {
    (void)timeline, (void)begin;
    memset(x, 0, n * h->head_dim * sizeof *x);
}

static void constant_prepare(const struct codec_head *h, float *work, const float *q,
                             struct attn_counters *c) {
    (void)h, (void)work, (void)q, (void)c;
}

static void constant_score(const struct codec_head *h, const float *work, float *scores,
                           const uint8_t *timeline, size_t n, struct attn_counters *c) {
    (void)h, (void)work, (void)timeline, (void)c;
    memset(scores, 0, n * sizeof *scores);
}

static void constant_reads(const struct codec *c, size_t head_dim, size_t head, size_t n,
                           bool as_values, struct attn_counters *count) {
    (void)c, (void)head_dim, (void)head, (void)n, (void)as_values, (void)count;
}

const struct kv_codec codec_constant = {
    .name = "constant",
    .summary = "no keys but the exact keys: the floor of a comparison",
    .example = "constant:sink=1,window=32",
    .keys = true,
    .check = constant_check,
    .row_bytes = constant_bytes,
    .scale_bytes = constant_bytes,
    .store = constant_store,
    .decode = constant_decode,
    .work_floats = constant_bytes,
    .prepare = constant_prepare,
    .score = constant_score,
    .reads = constant_reads,
};
