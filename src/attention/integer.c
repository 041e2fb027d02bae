/* int8 and int4: integers with one f16 scale for every `group` numbers of a row, as ggml's Q8_0 and
 * Q4_0.
 *
 *     int8   d = max |x| / 127                       x ~ d n,        n in -127 .. 127
 *     int4   d = the x of largest magnitude / -8     x ~ d (n - 8),  n in 0 .. 15
 *
 * Numbers are rounded against d as it is stored: |error| <= |d| / 2 while d is a normal f16, and up
 * to |d| (1 + 2^-8) for an int4 whose sign is not that of the largest, since 8 would be needed
 * there and 7 is the most.
 *
 * Stored codes are n + 128 and n; packed.h says in what order. Reads of a query over n rows: 2 n D
 * / group bytes of scales and n D (int8) or n D / 2 (int4) of keys or of values.
 *
 * A query's numbers are rounded to 16 bits before they meet the integers, and so are the products
 * of probabilities and scales of 32 rows: some 250 times finer than int8 rounds what is stored
 * (kernels.tile_scores and tile_mix state the bounds).
 *
 * `rotate` stores G x instead of x, with G the Hadamard matrix of rotate.h: q . k = G q . G k, and
 * a sum of values is rotated back once. So outliers in single dimensions, which would make the
 * scale coarse for their neighbours, are spread (QuaRot, arXiv 2404.00456). `center` (keys) stores
 * k - a, with a the part of a head's keys that is the same for every token. Then a query's scores
 * are all off by q . a, which softmax ignores, so it is never added back. */
#include <math.h>
#include <string.h>

#include "attention/registry.h"
#include "attention/packed.h"
#include "attention/rotate.h"

static bool is_int4(const struct codec *c) { return c->ops == &codec_int4; }

static int int_check(struct codec *c, size_t head_dim, struct err *e) {
    const char *name = c->ops->name;
    size_t block = rotate_block(head_dim);
    if (!c->o.group) c->o.group = block < 32 ? block : 32;
    if (head_dim % c->o.group)
        return err_set(e, ERR_USAGE,
                       "--attn %s: group=%zu does not divide a head of %zu dimensions", name,
                       c->o.group, head_dim);
    if (is_int4(c) && c->o.group % 2)
        return err_set(
            e, ERR_USAGE,
            "--attn %s: group=%zu; two numbers share a byte, so a group has an even number of them",
            name, c->o.group);
    if (c->o.rotate && block == 1)
        return err_set(e, ERR_USAGE,
                       "--attn %s: rotate needs heads of an even number of dimensions, not %zu",
                       name, head_dim);
    if (c->o.center && c->for_values)
        return err_set(e, ERR_USAGE,
                       "--attn %s: center is for keys: softmax hides a constant in them, but "
                       "nothing hides one in values",
                       name);
    return packed_check(c, head_dim, e);
}

static struct packed format(const struct codec *c, size_t head_dim) {
    return (struct packed){.head_dim = head_dim,
                           .group = c->o.group,
                           .bits = is_int4(c) ? 4 : 8,
                           .keys = !c->for_values,
                           .apart = c->apart};
}

static size_t int_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return packed_scale_bytes(&p);
}

static size_t int_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return packed_scale_bytes(&p) + packed_code_bytes(&p);
}

static struct kv_layout int_layout(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return packed_layout(&p);
}

/* ---- storing ---- */

/* The integer lo .. hi next to v, the upper of two; NaN gives lo. (floorf would be a call.) */
static inline int nearest(float v, int lo, int hi) {
    v += 0.5f;
    v = v > (float)lo ? v : (float)lo;
    v = v < (float)hi ? v : (float)hi;
    int whole = (int)v;
    return whole - ((float)whole > v);
}

/* Of the magnitudes of x[n] the largest, or a NaN where there is one: floats without sign are in
 * the order of their bits. */
static float largest(const float *x, size_t n) {
    int32_t most = 0;
    float size;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&size, &most, sizeof size);
    return size;
}

/* Returns the first number of that magnitude, with its sign. */
static float largest_signed(const float *x, size_t n) {
    float size = largest(x, n);
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) == size) return x[i];
    return size;
}

/* Fills codes[group] and *scale for x[group]. Sets *cut as packed_scale does. */
static void pack_int8(uint8_t *codes, uint16_t *scale, const float *x, size_t group, bool *cut) {
    float d = packed_scale(scale, largest(x, group) / 127, cut), inverse = d != 0 ? 1 / d : 0;
    for (size_t i = 0; i < group; i++)
        codes[i] = (uint8_t)(nearest(x[i] * inverse, -127, 127) + 128);
}

static void pack_int4(uint8_t *codes, uint16_t *scale, const float *x, size_t group, bool *cut) {
    float d = packed_scale(scale, largest_signed(x, group) / -8, cut), inverse = d != 0 ? 1 / d : 0;
    for (size_t i = 0; i < group; i++) codes[i] = (uint8_t)nearest(x[i] * inverse + 8, 0, 15);
}

static size_t int_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                        size_t stride, size_t n) {
    size_t D = h->head_dim, group = h->codec->o.group;
    bool center = h->codec->o.center && h->center;
    struct packed format_of = format(h->codec, D);
    float y[PACKED_MAX_DIM];
    uint8_t codes[PACKED_MAX_DIM];
    uint16_t scales[PACKED_MAX_DIM];
    size_t cut = 0;
    for (size_t i = 0; i < n; i++, x += stride) {
        bool short_of_it = false;
        for (size_t d = 0; d < D; d++) y[d] = center ? x[d] - h->center[d] : x[d];
        if (h->codec->o.rotate) rotate_hadamard(y, D);
        for (size_t at = 0; at < D; at += group)
            (is_int4(h->codec) ? pack_int4 : pack_int8)(codes + at, &scales[at / group], y + at,
                                                        group, &short_of_it);
        packed_put(&format_of, timeline, pos + i, codes, scales);
        cut += short_of_it;
    }
    return cut;
}

/* ---- using what is stored ---- */

static void int_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                       size_t n) {
    struct packed p = format(h->codec, h->head_dim);
    packed_get(&p, x, timeline, begin, n);
    for (size_t i = 0; i < n && h->codec->o.rotate; i++)
        rotate_hadamard(x + i * h->head_dim, h->head_dim);
}

/* Rows that lie alone; the codecs of copies have no options. */
static bool int_picked_scores(const struct codec_head *h, float *scores, const uint8_t *timeline,
                              const uint32_t *at, size_t n, const float *q) {
    struct packed p = format(h->codec, h->head_dim);
    if (!packed_has_picked(&p) || h->codec->o.rotate) return false;
    packed_picked_scores(h->kn, &p, scores, timeline, at, n, q);
    return true;
}

static bool int_picked_mix(const struct codec_head *h, float *out, const uint8_t *timeline,
                           const uint32_t *at, size_t n, const float *weights) {
    struct packed p = format(h->codec, h->head_dim);
    if (!packed_has_picked(&p) || h->codec->o.rotate) return false;
    packed_picked_mix(h->kn, &p, out, timeline, at, n, weights);
    return true;
}

static size_t int_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return c->for_values ? 0 : packed_work_floats(&p);
}

static void int_prepare(const struct codec_head *h, float *work, const float *q,
                        struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    float rotated[PACKED_MAX_DIM];
    (void)c;
    if (h->codec->o.rotate) {
        memcpy(rotated, q, h->head_dim * sizeof *rotated);
        rotate_hadamard(rotated, h->head_dim);
    }
    packed_prepare(&p, work, h->codec->o.rotate ? rotated : q);
}

static void int_score(const struct codec_head *h, const float *work, float *scores,
                      const uint8_t *timeline, size_t n, struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    packed_score(h->kn, &p, work, scores, timeline, n);
    c->keys += n * packed_code_bytes(&p);
    c->scales += n * packed_scale_bytes(&p);
}

static void int_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                    const float *weights, size_t n, struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    (void)work;
    packed_mix(h->kn, &p, out, timeline, weights, n);
    c->values += n * packed_code_bytes(&p);
    c->scales += n * packed_scale_bytes(&p);
}

static void int_finish(const struct codec_head *h, float *work, float *out,
                       struct attn_counters *c) {
    (void)work, (void)c;
    if (h->codec->o.rotate) rotate_hadamard(out, h->head_dim);
}

static void int_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                      struct attn_counters *count) {
    struct packed p = format(c, head_dim);
    (void)head;
    *(as_values ? &count->values : &count->keys) += n * packed_code_bytes(&p);
    count->scales += n * packed_scale_bytes(&p);
}

#define INTEGER(n, s, x)                                                                      \
    {                                                                                         \
        .name = n, .summary = s, .options = OPTION_GROUP | OPTION_ROTATE | OPTION_CENTER,     \
        .example = x, .keys = true, .values = true, .check = int_check,                       \
        .row_bytes = int_row_bytes, .scale_bytes = int_scale_bytes, .layout = int_layout,     \
        .store = int_store, .decode = int_decode, .picked_scores = int_picked_scores,         \
        .picked_mix = int_picked_mix, .work_floats = int_work_floats, .prepare = int_prepare, \
        .score = int_score, .mix = int_mix, .finish = int_finish, .reads = int_reads          \
    }

const struct kv_codec codec_int8 =
    INTEGER("int8", "8-bit integers, one scale for a group of numbers", "int8/int8");
const struct kv_codec codec_int4 =
    INTEGER("int4", "4-bit integers, one scale for a group of numbers",
            "int4:rotate,center/int8:skip=1e-4");
