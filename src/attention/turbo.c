/* turbo: TurboQuant in its mean-square form (Zandieh et al., arXiv 2504.19874). It needs no calibration: after a random rotation the coordinates
 * of any vector are nearly independent normal numbers, so one fixed scalar quantiser serves them all.
 *
 *     y = W S x             S fixed random signs, the same for every layer and head; W the Hadamard matrix of rotate.h
 *     code_i                the level next to y_i sqrt(D) / |x|
 *     d = |x| / |levels|    with levels the vector of level[code_i]; stored as f16
 *     x ~ S W (d levels)
 *
 * d makes the length of a decoded row that of x, to f16's rounding: a plain |x| / sqrt(D) leaves rows too short, and scores with them. The error is
 * then 2 (1 - sqrt(1 - e)) of |x|^2, where e is the quantiser's own: 0.1175, 0.03455, 0.009501 for 2, 3, 4 bits.
 *
 * A row is d, then D codes of `bits` bits without gaps, from the lowest bit of each byte up; D bits must fill whole bytes. Reads of a query over n
 * rows: 2 n bytes of scales, n D bits / 8 of keys or of values. The 2^bits levels and D signs are constants, and not counted.
 *
 * This is product quantisation with subspaces of one dimension and a codebook that all of them share. A lookup table of q_i level[c] would have
 * D 2^bits entries, 16 for each multiplication it saves at 4 bits; so levels are looked up, and multiplied by q. */
#include "attention/turbo.h"

#include <math.h>
#include <string.h>

#include "attention/codecs.h"
#include "attention/packed.h"
#include "attention/rotate.h"
#include "base/arena.h"

static const float levels2[4] = {-1.5104176085f, -0.4527800346f, 0.4527800346f, 1.5104176085f};
static const float levels3[8] = {-2.1519457045f, -1.3439092785f, -0.7560052812f, -0.2450941789f,
                                 0.2450941789f,  0.7560052812f,  1.3439092785f,  2.1519457045f};
static const float levels4[16] = {-2.7325895710f, -2.0690172265f, -1.6180463860f, -1.2562311973f, -0.9423404565f, -0.6567591185f,
                                  -0.3880482995f, -0.1283950299f, 0.1283950299f,  0.3880482995f,  0.6567591185f,  0.9423404565f,
                                  1.2562311973f,  1.6180463860f,  2.0690172265f,  2.7325895710f};

const float *turbo_levels(size_t bits) { return bits == 2 ? levels2 : bits == 3 ? levels3 : levels4; }

static int turbo_check(struct codec *c, size_t head_dim, struct err *e) {
    if (!c->o.bits) c->o.bits = 4;
    if (c->o.bits < 2 || c->o.bits > 4) return err_set(e, ERR_USAGE, "--attn turbo: bits=%zu; known: 2, 3, 4", c->o.bits);
    if (head_dim * c->o.bits % 8)
        return err_set(e, ERR_USAGE, "--attn turbo: %zu codes of %zu bits do not fill whole bytes: bits=%zu needs a multiple of %d dimensions a head",
                       head_dim, c->o.bits, c->o.bits, c->o.bits == 3 ? 8 : c->o.bits == 2 ? 4 : 2);
    return packed_check(c, head_dim, e);
}

static int turbo_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    float *signs = arena_alloc(s->arena, s->head_dim, sizeof *signs);
    if (!signs) return err_set(e, ERR_FAILED, "out of memory for the attention backend");
    rotate_signs(signs, s->head_dim);
    c->data = signs;
    return OK;
}

static size_t code_bytes(const struct codec *c, size_t head_dim) { return head_dim * c->o.bits / 8; }

static size_t turbo_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 2;
}

static size_t row_of(const struct codec *c, size_t head_dim) { return 2 + code_bytes(c, head_dim); }

static size_t turbo_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return row_of(c, head_dim);
}

/* y[D] = W S x; x may be y. */
static void rotate(const struct codec_head *h, float *y, const float *x) {
    const float *signs = h->codec->data;
    for (size_t i = 0; i < h->head_dim; i++) y[i] = signs[i] * x[i];
    rotate_hadamard(y, h->head_dim);
}

/* x[D] = S W x */
static void rotate_back(const struct codec_head *h, float *x) {
    const float *signs = h->codec->data;
    rotate_hadamard(x, h->head_dim);
    for (size_t i = 0; i < h->head_dim; i++) x[i] *= signs[i];
}

/* ---- storing ---- */

/* The level next to v, the lower of two equally near: the number of midpoints below it; 0 for NaN. */
static unsigned nearest(const float *level, unsigned n, float v) {
    unsigned code = 0;
    for (unsigned i = 0; i + 1 < n; i++) code += v > (level[i] + level[i + 1]) / 2;
    return code;
}

static void pack_row(const struct codec *c, uint8_t *row, const float *y, size_t D) {
    const float *level = turbo_levels(c->o.bits);
    double squares = 0, quantised = 0;
    for (size_t i = 0; i < D; i++) squares += (double)y[i] * y[i];
    double to_unit = squares > 0 ? sqrt((double)D / squares) : 0;
    unsigned held = 0; /* the lowest `n_held` bits wait to be written */
    size_t n_held = 0;
    uint8_t *to = row + 2;
    for (size_t i = 0; i < D; i++) {
        unsigned code = nearest(level, 1u << c->o.bits, (float)(y[i] * to_unit));
        quantised += (double)level[code] * level[code];
        held |= code << n_held;
        for (n_held += c->o.bits; n_held >= 8; n_held -= 8, held >>= 8) *to++ = (uint8_t)held;
    }
    packed_put_scale(row, (float)sqrt(squares / quantised));
}

static void turbo_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x, size_t stride, size_t n) {
    size_t D = h->head_dim, row = row_of(h->codec, D);
    uint8_t *rows = timeline + pos * row;
    float y[PACKED_MAX_DIM];
    for (size_t i = 0; i < n; i++) {
        rotate(h, y, x + i * stride);
        pack_row(h->codec, rows + i * row, y, D);
    }
}

/* ---- using what is stored ---- */

static void unpack_row(const struct codec *c, float *x, const uint8_t *row, size_t D) {
    float d = packed_scale(row), level[16];
    const uint8_t *from = row + 2;
    for (size_t i = 0; i < (size_t)1 << c->o.bits; i++) level[i] = d * turbo_levels(c->o.bits)[i];
    if (c->o.bits == 4) {
        for (size_t i = 0; i < D; i += 2, from++) x[i] = level[*from & 15], x[i + 1] = level[*from >> 4];
    } else if (c->o.bits == 2) {
        for (size_t i = 0; i < D; i += 4, from++)
            for (size_t j = 0; j < 4; j++) x[i + j] = level[*from >> 2 * j & 3];
    } else {
        for (size_t i = 0; i < D; i += 8, from += 3) {
            unsigned word = (unsigned)from[0] | (unsigned)from[1] << 8 | (unsigned)from[2] << 16;
            for (size_t j = 0; j < 8; j++) x[i + j] = level[word >> 3 * j & 7];
        }
    }
}

static void turbo_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    size_t D = h->head_dim, row = row_of(h->codec, D);
    const uint8_t *rows = timeline + begin * row;
    for (size_t i = 0; i < n; i++) {
        unpack_row(h->codec, x + i * D, rows + i * row, D);
        rotate_back(h, x + i * D);
    }
}

static size_t turbo_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head;
    return c->for_values ? 0 : head_dim;
}

static void turbo_prepare(const struct codec_head *h, float *work, const float *q, struct attn_counters *c) {
    (void)c;
    rotate(h, work, q);
}

static void turbo_score(const struct codec_head *h, const float *work, float *scores, const uint8_t *timeline, size_t n, struct attn_counters *c) {
    packed_score(h, unpack_row, work, scores, timeline, n);
    c->keys += n * code_bytes(h->codec, h->head_dim);
    c->scales += 2 * n;
}

static void turbo_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline, const float *p, size_t n, struct attn_counters *c) {
    (void)work;
    packed_mix(h, unpack_row, out, timeline, p, n);
    c->values += n * code_bytes(h->codec, h->head_dim);
    c->scales += 2 * n;
}

static void turbo_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values, struct attn_counters *count) {
    (void)head;
    *(as_values ? &count->values : &count->keys) += n * code_bytes(c, head_dim);
    count->scales += 2 * n;
}

const struct kv_codec codec_turbo = {
    .name = "turbo",
    .summary = "TurboQuant: random rotation, 2, 3 or 4 bits a number, one scale a row; needs no calibration",
    .options = "bits",
    .keys = true,
    .values = true,
    .check = turbo_check,
    .setup = turbo_setup,
    .row_bytes = turbo_row_bytes,
    .scale_bytes = turbo_scale_bytes,
    .store = turbo_store,
    .decode = turbo_decode,
    .work_floats = turbo_work_floats,
    .prepare = turbo_prepare,
    .score = turbo_score,
    .mix = turbo_mix,
    .finish = rotate_back,
    .reads = turbo_reads,
};
