/* turbo: TurboQuant in its mean-square form (Zandieh et al., arXiv 2504.19874). It needs no
 * calibration: after a random rotation the coordinates of any vector are nearly independent normal
 * numbers, so one fixed scalar quantiser serves them all.
 *
 *     y = G (sign x)        sign fixed random signs, one a number, the same for every layer and
 *                           head; G the Hadamard matrix of rotate.h
 *     code_i                the level next to y_i sqrt(D) / |x|
 *     d = |x| / |levels|    with levels the vector of level[code_i]; stored as f16
 *     x ~ sign (G (d levels))
 *
 * d makes the length of a decoded row that of x, to f16's rounding: a plain |x| / sqrt(D) leaves
 * rows too short, and scores with them. The error is then 2 (1 - sqrt(1 - e)) of |x|^2, where e is
 * the quantiser's own: 0.1175, 0.03455, 0.009501 for 2, 3, 4 bits.
 *
 * A row is d and D codes of `bits` bits, in the order of packed.h; D bits must fill whole bytes.
 * Reads of a query over n rows: 2 n bytes of scales, n D bits / 8 of keys or of values. The 2^bits
 * levels and D signs are constants, and not counted.
 *
 * This is product quantisation with subspaces of one dimension and a codebook that all of them
 * share. A lookup table of q_i level[c] would have D 2^bits entries, 16 for each multiplication it
 * saves at 4 bits; so levels are looked up, and multiplied by q. */
#include "attention/turbo.h"

#include <math.h>
#include <string.h>

#include "attention/registry.h"
#include "attention/packed.h"
#include "attention/rotate.h"
#include "base/arena.h"

static const float levels2[4] = {-1.5104176085f, -0.4527800346f, 0.4527800346f, 1.5104176085f};
static const float levels3[8] = {-2.1519457045f, -1.3439092785f, -0.7560052812f, -0.2450941789f,
                                 0.2450941789f,  0.7560052812f,  1.3439092785f,  2.1519457045f};
static const float levels4[16] = {-2.7325895710f, -2.0690172265f, -1.6180463860f, -1.2562311973f,
                                  -0.9423404565f, -0.6567591185f, -0.3880482995f, -0.1283950299f,
                                  0.1283950299f,  0.3880482995f,  0.6567591185f,  0.9423404565f,
                                  1.2562311973f,  1.6180463860f,  2.0690172265f,  2.7325895710f};

const float *turbo_levels(size_t bits) {
    return bits == 2 ? levels2 : bits == 3 ? levels3 : levels4;
}

static int turbo_check(struct codec *c, size_t head_dim, struct err *e) {
    if (!c->o.bits) c->o.bits = 4;
    if (c->o.bits < 2 || c->o.bits > 4)
        return err_set(e, ERR_USAGE, "--attn turbo: bits=%zu; known: 2, 3, 4", c->o.bits);
    if (head_dim * c->o.bits % 8)
        return err_set(e, ERR_USAGE,
                       "--attn turbo: %zu codes of %zu bits do not fill whole bytes: bits=%zu "
                       "needs a multiple of %d dimensions a head",
                       head_dim, c->o.bits, c->o.bits,
                       c->o.bits == 3   ? 8
                       : c->o.bits == 2 ? 4
                                        : 2);
    return packed_check(c, head_dim, e);
}

/* What c->data points to. */
struct turbo {
    struct tile_levels levels;
    float signs[PACKED_MAX_DIM];
};

static int turbo_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    struct turbo *t = arena_alloc(s->arena, 1, sizeof *t);
    if (!t) return err_set(e, ERR_FAILED, "out of memory for the attention backend");
    tile_levels_set(&t->levels, turbo_levels(c->o.bits), (size_t)1 << c->o.bits);
    rotate_signs(t->signs, s->head_dim);
    c->data = t;
    return OK;
}

static struct packed format(const struct codec *c, size_t head_dim) {
    const struct turbo *t = c->data;
    return (struct packed){.head_dim = head_dim,
                           .group = head_dim,
                           .bits = (unsigned)c->o.bits,
                           .keys = !c->for_values,
                           .levels = turbo_levels(c->o.bits),
                           .tile_levels = t ? &t->levels : NULL};
}

static size_t turbo_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 2;
}

static size_t turbo_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return 2 + packed_code_bytes(&p);
}

static struct kv_layout turbo_layout(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return packed_layout(&p);
}

/* Sets y[D] = G (sign x), the space in which rows are stored. x may be y. */
static void rotate(const struct codec_head *h, float *y, const float *x) {
    const float *signs = ((const struct turbo *)h->codec->data)->signs;
    for (size_t i = 0; i < h->head_dim; i++) y[i] = signs[i] * x[i];
    rotate_hadamard(y, h->head_dim);
}

/* Sets x[D] = sign (G x), which undoes rotate. */
static void rotate_back(const struct codec_head *h, float *x) {
    const float *signs = ((const struct turbo *)h->codec->data)->signs;
    rotate_hadamard(x, h->head_dim);
    for (size_t i = 0; i < h->head_dim; i++) x[i] *= signs[i];
}

/* ---- storing ---- */

/* Fills codes[n] with the numbers of the levels nearest to y[n], the lower of two equally near. A
 * code is the number of midpoints of neighbouring levels that lie below y, so it is 0 for NaN. */
static void nearest(uint8_t *codes, size_t bits, const float *y, size_t n) {
    const float *level = turbo_levels(bits);
    memset(codes, 0, n);
    for (size_t c = 0; c + 1 < (size_t)1 << bits; c++) {
        float middle = (level[c] + level[c + 1]) / 2;
        for (size_t i = 0; i < n; i++) codes[i] += y[i] > middle;
    }
}

/* Fills codes[D] and *scale for y[D], and brings y to units of its root mean square on the way.
 * Returns whether the scale was cut short to the range of f16. */
static bool pack_row(const struct codec *c, uint8_t *codes, uint16_t *scale, float *y, size_t D) {
    const float *level = turbo_levels(c->o.bits);
    double squares = 0, quantised = 0;
    for (size_t i = 0; i < D; i++) squares += (double)y[i] * y[i];
    double to_unit = squares > 0 ? sqrt((double)D / squares) : 0;
    for (size_t i = 0; i < D; i++) y[i] = (float)(y[i] * to_unit);
    nearest(codes, c->o.bits, y, D);
    for (size_t i = 0; i < D; i++) quantised += (double)level[codes[i]] * level[codes[i]];
    bool cut = false;
    packed_scale(scale, (float)sqrt(squares / quantised), &cut);
    return cut;
}

static size_t turbo_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                          size_t stride, size_t n) {
    struct packed p = format(h->codec, h->head_dim);
    float y[PACKED_MAX_DIM];
    uint8_t codes[PACKED_MAX_DIM];
    uint16_t scale;
    size_t cut = 0;
    for (size_t i = 0; i < n; i++) {
        rotate(h, y, x + i * stride);
        cut += pack_row(h->codec, codes, &scale, y, h->head_dim);
        packed_put(&p, timeline, pos + i, codes, &scale);
    }
    return cut;
}

/* ---- using what is stored ---- */

static void turbo_decode(const struct codec_head *h, float *x, const uint8_t *timeline,
                         size_t begin, size_t n) {
    struct packed p = format(h->codec, h->head_dim);
    packed_get(&p, x, timeline, begin, n);
    for (size_t i = 0; i < n; i++) rotate_back(h, x + i * h->head_dim);
}

static size_t turbo_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    struct packed p = format(c, head_dim);
    (void)head;
    return c->for_values ? 0 : packed_work_floats(&p);
}

static void turbo_prepare(const struct codec_head *h, float *work, const float *q,
                          struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    float rotated[PACKED_MAX_DIM];
    (void)c;
    rotate(h, rotated, q);
    packed_prepare(&p, work, rotated);
}

static void turbo_score(const struct codec_head *h, const float *work, float *scores,
                        const uint8_t *timeline, size_t n, struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    packed_score(h->kn, &p, work, scores, timeline, n);
    c->keys += n * packed_code_bytes(&p);
    c->scales += 2 * n;
}

static void turbo_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                      const float *weights, size_t n, struct attn_counters *c) {
    struct packed p = format(h->codec, h->head_dim);
    (void)work;
    packed_mix(h->kn, &p, out, timeline, weights, n);
    c->values += n * packed_code_bytes(&p);
    c->scales += 2 * n;
}

static void turbo_finish(const struct codec_head *h, float *work, float *out,
                         struct attn_counters *c) {
    (void)work, (void)c;
    rotate_back(h, out);
}

static void turbo_reads(const struct codec *c, size_t head_dim, size_t head, size_t n,
                        bool as_values, struct attn_counters *count) {
    struct packed p = format(c, head_dim);
    (void)head;
    *(as_values ? &count->values : &count->keys) += n * packed_code_bytes(&p);
    count->scales += 2 * n;
}

const struct kv_codec codec_turbo = {
    .name = "turbo",
    .summary = "TurboQuant: random rotation, 2, 3 or 4 bits a number, one scale a row; needs no "
               "calibration",
    .options = OPTION_BITS,
    .example = "turbo:bits=3/turbo:bits=4",
    .keys = true,
    .values = true,
    .check = turbo_check,
    .setup = turbo_setup,
    .row_bytes = turbo_row_bytes,
    .scale_bytes = turbo_scale_bytes,
    .layout = turbo_layout,
    .store = turbo_store,
    .decode = turbo_decode,
    .work_floats = turbo_work_floats,
    .prepare = turbo_prepare,
    .score = turbo_score,
    .mix = turbo_mix,
    .finish = turbo_finish,
    .reads = turbo_reads,
};
