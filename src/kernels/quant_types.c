/* The decoders of all block types, in plain loops. Each forms a number by the same roundings as
 * ggml's reference, so equal files mean equal numbers to the last bit. */
#include "kernels/quant_types.h"

#include <string.h>

#include "kernels/dtype.h"

enum { SMALL = 32, LARGE = 256 }; /* numbers of a block */

/* The levels of iq4_nl and iq4_xs: closer to each other around zero, where most weights are. */
static const int8_t levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

/* An f16 number at p. */
static float half_at(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return f16_to_f32(h);
}

static int signed_byte(uint8_t b) { return b < 128 ? b : b - 256; }

/* Number i < 32 of 16 bytes of halves. */
static int half_of(const uint8_t *halves, int i) {
    return i < 16 ? halves[i] & 15 : halves[i - 16] >> 4;
}

/* ---- blocks of 32 ---- */

static void decode_q4_0(float *y, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) y[i] = d * (float)(half_of(b + 2, i) - 8);
}

static void decode_q4_1(float *y, const uint8_t *b) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < SMALL; i++) y[i] = d * (float)half_of(b + 4, i) + m;
}

/* The fifth bit of number i, worth 16. */
static int fifth_bit(const uint8_t *bits, int i) { return (bits[i / 8] >> i % 8 & 1) << 4; }

static void decode_q5_0(float *y, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++)
        y[i] = d * (float)((half_of(b + 6, i) | fifth_bit(b + 2, i)) - 16);
}

static void decode_q5_1(float *y, const uint8_t *b) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < SMALL; i++) y[i] = d * (float)(half_of(b + 8, i) | fifth_bit(b + 4, i)) + m;
}

static void decode_q8_0(float *y, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) y[i] = d * (float)signed_byte(b[2 + i]);
}

static void decode_iq4_nl(float *y, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) y[i] = d * (float)levels[half_of(b + 2, i)];
}

/* ---- blocks of 256 ---- */

/* A byte of q holds four numbers of two bits, which lie 32 apart: part p of 16 numbers, of the
 * eight in each half of the block, is bits 2 (p / 2) of the 16 bytes from 16 (p % 2) on. */
static int two_bits(const uint8_t *q, int part, int i) {
    return q[32 * (part / 8) + 16 * (part % 2) + i] >> 2 * (part % 8 / 2) & 3;
}

static void decode_q2_k(float *y, const uint8_t *b) {
    const float d = half_at(b + 80), m = half_at(b + 82);
    for (int part = 0; part < 16; part++, y += 16) {
        const float scale = d * (float)(b[part] & 15), least = m * (float)(b[part] >> 4);
        for (int i = 0; i < 16; i++) y[i] = scale * (float)two_bits(b + 16, part, i) - least;
    }
}

/* Scale j < 16 of q3_K, of 12 bytes: four bits of it are halves of the first 8, two stand in the
 * last 4. */
static int six_bits(const uint8_t *s, int j) {
    return (j < 8 ? s[j] & 15 : s[j - 8] >> 4) | (s[8 + j % 4] >> 2 * (j / 4) & 3) << 4;
}

static void decode_q3_k(float *y, const uint8_t *b) {
    const float d = half_at(b + 108);
    for (int part = 0; part < 16; part++, y += 16) {
        const float scale = d * (float)(six_bits(b + 96, part) - 32);
        for (int i = 0; i < 16; i++) {
            const int high = b[16 * (part % 2) + i] >> part / 2 & 1;
            y[i] = scale * (float)(two_bits(b + 32, part, i) - (high ? 0 : 4));
        }
    }
}

/* Scale and minimum j < 8 of q4_K and q5_K, six bits each, of 12 bytes: those below 4 are the low
 * six bits of bytes j and j + 4; of the others four bits stand in byte j + 4, two are the high ones
 * of bytes j - 4 and j. */
static void scale_and_least(const uint8_t *s, int j, int *scale, int *least) {
    *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *least = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

/* high: 32 bytes, bit j of which is the fifth bit of part j; NULL: there are none. */
static void decode_q45_k(float *y, const uint8_t *b, const uint8_t *high, const uint8_t *halves) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int part = 0; part < 8; part++, y += 32) {
        int s, t;
        scale_and_least(b + 4, part, &s, &t);
        const float scale = d * (float)s, least = m * (float)t;
        for (int i = 0; i < 32; i++) {
            int q = halves[32 * (part / 2) + i] >> 4 * (part % 2) & 15;
            if (high) q += (high[i] >> part & 1) << 4;
            y[i] = scale * (float)q - least;
        }
    }
}

static void decode_q4_k(float *y, const uint8_t *b) { decode_q45_k(y, b, NULL, b + 16); }
static void decode_q5_k(float *y, const uint8_t *b) { decode_q45_k(y, b, b + 16, b + 48); }

/* Part p of 16 numbers lies in one half of the block. There its numbers' four low bits are the low
 * or high halves of 16 of 64 bytes, and two more are bits of 16 of 32 bytes. */
static void decode_q6_k(float *y, const uint8_t *b) {
    const float d = half_at(b + 208);
    for (int part = 0; part < 16; part++, y += 16) {
        const int p = part % 8;
        const uint8_t *low = b + 64 * (part / 8) + 16 * (p % 4),
                      *high = b + 128 + 32 * (part / 8) + 16 * (p % 2);
        const float scale = d * (float)signed_byte(b[192 + part]);
        for (int i = 0; i < 16; i++) {
            const int q = (low[i] >> 4 * (p / 4) & 15) | (high[i] >> 2 * (p / 2) & 3) << 4;
            y[i] = scale * (float)(q - 32);
        }
    }
}

static void decode_iq4_xs(float *y, const uint8_t *b) {
    const float d = half_at(b);
    for (int part = 0; part < 8; part++, y += 32) {
        const int high = b[2 + part / 4] >> 2 * (part % 4) & 3,
                  s = (b[4 + part / 2] >> 4 * (part % 2) & 15) | high << 4;
        const float scale = d * (float)(s - 32);
        for (int i = 0; i < 32; i++) y[i] = scale * (float)levels[half_of(b + 8 + 16 * part, i)];
    }
}

/* Five numbers q of 0 .. 2 to a byte: the byte is about 256 / 243 times q0 3^4 + ... + q4, so that
 * q0 is the whole part of three times byte / 256, and q1 the same of the byte times 3, and so on.
 * They lie `count` apart. */
static float *ternary(float *y, const uint8_t *b, int count, int each, float d) {
    static const uint8_t power[] = {1, 3, 9, 27, 81};
    for (int n = 0; n < each; n++)
        for (int i = 0; i < count; i++) {
            const uint8_t moved = (uint8_t)(b[i] * power[n]);
            *y++ = (float)((moved * 3 >> 8) - 1) * d;
        }
    return y;
}

static void decode_tq1_0(float *y, const uint8_t *b) {
    const float d = half_at(b + 52);
    y = ternary(y, b, 32, 5, d);
    y = ternary(y, b + 32, 16, 5, d);
    ternary(y, b + 48, 4, 4, d);
}

static void decode_tq2_0(float *y, const uint8_t *b) {
    const float d = half_at(b + 64);
    for (int i = 0; i < LARGE; i++)
        y[i] = (float)((b[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3) - 1) * d;
}

static const struct quant_type types[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = {SMALL, 18, decode_q4_0},   [DTYPE_Q4_1] = {SMALL, 20, decode_q4_1},
    [DTYPE_Q5_0] = {SMALL, 22, decode_q5_0},   [DTYPE_Q5_1] = {SMALL, 24, decode_q5_1},
    [DTYPE_Q8_0] = {SMALL, 34, decode_q8_0},   [DTYPE_IQ4_NL] = {SMALL, 18, decode_iq4_nl},
    [DTYPE_Q2_K] = {LARGE, 84, decode_q2_k},   [DTYPE_Q3_K] = {LARGE, 110, decode_q3_k},
    [DTYPE_Q4_K] = {LARGE, 144, decode_q4_k},  [DTYPE_Q5_K] = {LARGE, 176, decode_q5_k},
    [DTYPE_Q6_K] = {LARGE, 210, decode_q6_k},  [DTYPE_IQ4_XS] = {LARGE, 136, decode_iq4_xs},
    [DTYPE_TQ1_0] = {LARGE, 54, decode_tq1_0}, [DTYPE_TQ2_0] = {LARGE, 66, decode_tq2_0},
};

const struct quant_type *quant_type(uint32_t type) {
    return type < DTYPE_COUNT && types[type].block ? &types[type] : NULL;
}
