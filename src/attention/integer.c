/* int8 and int4: integers with one f16 scale for every `group` numbers of a row, as ggml's Q8_0 and Q4_0.
 *
 *     int8   d = max |x| / 127                       x ~ d n,        n in -127 .. 127
 *     int4   d = the x of largest magnitude / -8     x ~ d (n - 8),  n in 0 .. 15
 *
 * Numbers are rounded against d as it is stored: |error| <= |d| / 2 while d is a normal f16, and up to |d| (1 + 2^-8) for an int4 whose sign is not
 * that of the largest, since 8 would be needed there and 7 is the most.
 *
 * A row is D / group scales, then the integers: int8 in order; int4 a nibble each, where byte i of a group holds element i in its low nibble and
 * element group/2 + i in its high one. Reads of a query over n rows: 2 n D / group bytes of scales and n D (int8) or n D / 2 (int4) of keys or
 * of values.
 *
 * `rotate` stores W x instead of x, W the Hadamard matrix of rotate.h: q . k = W q . W k, and a sum of values is rotated back once. Outliers in
 * a few dimensions, which would make the scale coarse for their neighbours, are spread (QuaRot, arXiv 2404.00456).
 * `center` (keys) stores k - c, c the part of a head's keys that is the same for every token: a query's scores are all off by q . c, which
 * softmax ignores, so it is never added back. */
#include <math.h>
#include <string.h>

#include "attention/codecs.h"
#include "attention/packed.h"
#include "attention/rotate.h"

static bool is_int4(const struct codec *c) { return c->ops == &codec_int4; }

static int int_check(struct codec *c, size_t head_dim, struct err *e) {
    const char *name = c->ops->name;
    size_t block = rotate_block(head_dim);
    if (!c->o.group) c->o.group = block < 32 ? block : 32;
    if (head_dim % c->o.group)
        return err_set(e, ERR_USAGE, "--attn %s: group=%zu does not divide a head of %zu dimensions", name, c->o.group, head_dim);
    if (is_int4(c) && c->o.group % 2)
        return err_set(e, ERR_USAGE, "--attn %s: group=%zu; two numbers share a byte, so a group has an even number of them", name, c->o.group);
    if (c->o.rotate && block == 1)
        return err_set(e, ERR_USAGE, "--attn %s: rotate needs heads of an even number of dimensions, not %zu", name, head_dim);
    if (c->o.center && c->for_values)
        return err_set(e, ERR_USAGE, "--attn %s: center is for keys: softmax hides a constant in them, but nothing hides one in values", name);
    return packed_check(c, head_dim, e);
}

static size_t scales_of(const struct codec *c, size_t head_dim) { return head_dim / c->o.group * 2; }

static size_t integer_bytes(const struct codec *c, size_t head_dim) { return is_int4(c) ? head_dim / 2 : head_dim; }

static size_t row_of(const struct codec *c, size_t head_dim) { return scales_of(c, head_dim) + integer_bytes(c, head_dim); }

static size_t int_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return scales_of(c, head_dim);
}

static size_t int_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return row_of(c, head_dim);
}

/* ---- storing ---- */

/* The integer lo .. hi next to v; NaN gives lo. */
static int nearest(float v, int lo, int hi) {
    v = floorf(v + 0.5f);
    return v > (float)lo ? v < (float)hi ? (int)v : hi : lo;
}

/* The x[n] of largest magnitude, the first of equal ones; NaN where there is one. */
static float largest(const float *x, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(most) || x[i] != x[i]) most = x[i];
    return most;
}

static void pack_int8(uint8_t *scale, uint8_t *to, const float *x, size_t group) {
    float d = packed_put_scale(scale, fabsf(largest(x, group)) / 127), inverse = d != 0 ? 1 / d : 0;
    for (size_t i = 0; i < group; i++) to[i] = (uint8_t)nearest(x[i] * inverse, -127, 127);
}

static void pack_int4(uint8_t *scale, uint8_t *to, const float *x, size_t group) {
    float d = packed_put_scale(scale, largest(x, group) / -8), inverse = d != 0 ? 1 / d : 0;
    const float *high = x + group / 2;
    for (size_t i = 0; i < group / 2; i++)
        to[i] = (uint8_t)(nearest(x[i] * inverse + 8, 0, 15) | nearest(high[i] * inverse + 8, 0, 15) << 4);
}

static void int_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x, size_t stride, size_t n) {
    size_t D = h->head_dim, group = h->codec->o.group, scales = scales_of(h->codec, D), row = row_of(h->codec, D);
    bool int4 = is_int4(h->codec), center = h->codec->o.center && h->center;
    uint8_t *rows = timeline + pos * row;
    float y[PACKED_MAX_DIM];
    for (size_t i = 0; i < n; i++, x += stride, rows += row) {
        for (size_t d = 0; d < D; d++) y[d] = center ? x[d] - h->center[d] : x[d];
        if (h->codec->o.rotate) rotate_hadamard(y, D);
        for (size_t g = 0; g < D / group; g++) {
            if (int4)
                pack_int4(rows + 2 * g, rows + scales + g * group / 2, y + g * group, group);
            else
                pack_int8(rows + 2 * g, rows + scales + g * group, y + g * group, group);
        }
    }
}

/* ---- using what is stored ---- */

static void unpack_int8(const struct codec *c, float *x, const uint8_t *row, size_t D) {
    size_t group = c->o.group;
    const int8_t *from = (const int8_t *)row + scales_of(c, D);
    for (size_t g = 0; g < D / group; g++, x += group, from += group) {
        float d = packed_scale(row + 2 * g);
        for (size_t i = 0; i < group; i++) x[i] = d * (float)from[i];
    }
}

static void unpack_int4(const struct codec *c, float *x, const uint8_t *row, size_t D) {
    size_t group = c->o.group, half = group / 2;
    const uint8_t *from = row + scales_of(c, D);
    for (size_t g = 0; g < D / group; g++, x += group, from += half) {
        float d = packed_scale(row + 2 * g);
        for (size_t i = 0; i < half; i++) x[i] = d * (float)((from[i] & 15) - 8);
        for (size_t i = 0; i < half; i++) x[half + i] = d * (float)((from[i] >> 4) - 8);
    }
}

static packed_unpack *unpack_of(const struct codec *c) { return is_int4(c) ? unpack_int4 : unpack_int8; }

static void int_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    size_t D = h->head_dim, row = row_of(h->codec, D);
    const uint8_t *rows = timeline + begin * row;
    packed_unpack *unpack = unpack_of(h->codec);
    for (size_t i = 0; i < n; i++, x += D, rows += row) {
        unpack(h->codec, x, rows, D);
        if (h->codec->o.rotate) rotate_hadamard(x, D);
    }
}

static size_t int_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return c->for_values ? 0 : head_dim;
}

static void int_prepare(const struct codec_head *h, float *work, const float *q, struct attn_counters *c) {
    (void)c;
    memcpy(work, q, h->head_dim * sizeof *work);
    if (h->codec->o.rotate) rotate_hadamard(work, h->head_dim);
}

static void int_score(const struct codec_head *h, const float *work, float *scores, const uint8_t *timeline, size_t n, struct attn_counters *c) {
    packed_score(h, unpack_of(h->codec), work, scores, timeline, n);
    c->keys += n * integer_bytes(h->codec, h->head_dim);
    c->scales += n * scales_of(h->codec, h->head_dim);
}

static void int_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline, const float *p, size_t n, struct attn_counters *c) {
    (void)work;
    packed_mix(h, unpack_of(h->codec), out, timeline, p, n);
    c->values += n * integer_bytes(h->codec, h->head_dim);
    c->scales += n * scales_of(h->codec, h->head_dim);
}

static void int_finish(const struct codec_head *h, float *out) {
    if (h->codec->o.rotate) rotate_hadamard(out, h->head_dim);
}

static void int_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values, struct attn_counters *count) {
    (void)head;
    *(as_values ? &count->values : &count->keys) += n * integer_bytes(c, head_dim);
    count->scales += n * scales_of(c, head_dim);
}

#define INTEGER(n, s)                                                                                                                   \
    {                                                                                                                                   \
        .name = n, .summary = s, .options = "group rotate center", .keys = true, .values = true, .check = int_check,                    \
        .row_bytes = int_row_bytes, .scale_bytes = int_scale_bytes, .store = int_store, .decode = int_decode,                           \
        .work_floats = int_work_floats, .prepare = int_prepare, .score = int_score, .mix = int_mix, .finish = int_finish, .reads = int_reads \
    }

const struct kv_codec codec_int8 = INTEGER("int8", "8-bit integers, one scale for a group of 32");
const struct kv_codec codec_int4 = INTEGER("int4", "4-bit integers, one scale for a group of 32");
