/* fp32 and fp16: rows stored as floating point and read in full. fp32 is exact, the yardstick of
 * the tests; fp16 is the baseline of every comparison.
 *
 * Reads of a query over n rows: n D b bytes of keys or of values; b = 4 for fp32, 2 for fp16. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "attention/registry.h"

static enum dtype type_of(const struct codec *c) {
    return c->ops == &codec_fp32 ? DTYPE_F32 : DTYPE_F16;
}

static size_t row_of(const struct codec *c, size_t head_dim) {
    return dtype_bytes(type_of(c), head_dim);
}

/* Returns the bytes from a row to the next. */
static size_t stride_of(const struct codec *c, size_t head_dim) {
    return c->apart ? c->apart : row_of(c, head_dim);
}

static size_t fp_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return row_of(c, head_dim);
}

static size_t fp_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 0;
}

/* Goes over y[n], the f16 numbers of x[n], and puts the largest finite number in place of infinity
 * where x is finite. Returns whether there was such a number. */
static bool cut_short(uint16_t *y, const float *x, size_t n) {
    unsigned odd = 0;
    bool cut = false;
    for (size_t i = 0; i < n; i++) odd |= (y[i] & 0x7c00) == 0x7c00;
    for (size_t i = 0; odd && i < n; i++) {
        if ((y[i] & 0x7fff) != 0x7c00 || isinf(x[i])) continue;
        y[i]--; /* 65504 with the same sign */
        cut = true;
    }
    return cut;
}

static size_t fp_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                       size_t stride, size_t n) {
    size_t D = h->head_dim, row = stride_of(h->codec, D);
    uint8_t *rows = timeline + pos * row;
    size_t cut = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t *half = (uint16_t *)(void *)(rows + i * row);
        if (type_of(h->codec) == DTYPE_F32) {
            memcpy(rows + i * row, x + i * stride, D * sizeof *x);
            continue;
        }
        h->kn->to_f16(half, x + i * stride, D);
        cut += cut_short(half, x + i * stride, D);
    }
    return cut;
}

static void fp_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                      size_t n) {
    size_t D = h->head_dim, row = stride_of(h->codec, D), run = h->codec->apart ? 1 : n;
    for (size_t i = 0; i < n; i += run)
        h->kn->to_f32(type_of(h->codec), x + i * D, timeline + (begin + i) * row, run * D);
}

static struct picked_rows picked(const struct codec_head *h, const uint8_t *timeline,
                                 const uint32_t *at, size_t n) {
    return (struct picked_rows){.type = type_of(h->codec),
                                .rows = timeline,
                                .stride = stride_of(h->codec, h->head_dim),
                                .dim = h->head_dim,
                                .at = at,
                                .n = n};
}

static bool fp_picked_scores(const struct codec_head *h, float *scores, const uint8_t *timeline,
                             const uint32_t *at, size_t n, const float *q) {
    struct picked_rows rows = picked(h, timeline, at, n);
    if (rows.type != DTYPE_F16) return false;
    h->kn->picked_dots(scores, &rows, q);
    return true;
}

static bool fp_picked_mix(const struct codec_head *h, float *out, const uint8_t *timeline,
                          const uint32_t *at, size_t n, const float *p) {
    struct picked_rows rows = picked(h, timeline, at, n);
    if (rows.type != DTYPE_F16) return false;
    h->kn->picked_sum(out, &rows, p);
    return true;
}

static size_t fp_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return c->for_values ? 0 : head_dim;
}

static void fp_prepare(const struct codec_head *h, float *work, const float *q,
                       struct attn_counters *c) {
    (void)c;
    memcpy(work, q, h->head_dim * sizeof *work);
}

static void fp_score(const struct codec_head *h, const float *work, float *scores,
                     const uint8_t *timeline, size_t n, struct attn_counters *c) {
    size_t row = row_of(h->codec, h->head_dim);
    h->kn->row_dots(type_of(h->codec), scores, timeline, n, work, h->head_dim);
    c->keys += n * row;
}

static void fp_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                   const float *p, size_t n, struct attn_counters *c) {
    size_t row = row_of(h->codec, h->head_dim);
    (void)work;
    h->kn->row_sum(type_of(h->codec), out, timeline, n, p, h->head_dim);
    c->values += n * row;
}

static void fp_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                     struct attn_counters *count) {
    (void)head;
    *(as_values ? &count->values : &count->keys) += n * row_of(c, head_dim);
}

#define FP(n, s, x)                                                                             \
    {                                                                                           \
        .name = n, .summary = s, .example = x, .keys = true, .values = true,                    \
        .row_bytes = fp_row_bytes, .scale_bytes = fp_scale_bytes, .store = fp_store,            \
        .decode = fp_decode, .picked_scores = fp_picked_scores, .picked_mix = fp_picked_mix,    \
        .work_floats = fp_work_floats, .prepare = fp_prepare, .score = fp_score, .mix = fp_mix, \
        .reads = fp_reads                                                                       \
    }

const struct kv_codec codec_fp32 = FP("fp32", "32-bit floats: exact", "fp32");
const struct kv_codec codec_fp16 = FP("fp16", "16-bit floats: the baseline", "fp16+int8@2-");
