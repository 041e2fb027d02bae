/* Number types: their names and sizes, and converting one number or a file's tensor. */
#include "kernels/dtype.h"

#include <math.h>
#include <string.h>

#include "kernels/quant_make.h"
#include "kernels/quant_types.h"

/* The names go by ggml's numbering. Types that ggml has dropped are included, so that an old file
 * that has them is refused by name. */
static const char *const names[] = {
    [0] = "f32",     [1] = "f16",         [2] = "q4_0",        [3] = "q4_1",        [4] = "q4_2",
    [5] = "q4_3",    [6] = "q5_0",        [7] = "q5_1",        [8] = "q8_0",        [9] = "q8_1",
    [10] = "q2_K",   [11] = "q3_K",       [12] = "q4_K",       [13] = "q5_K",       [14] = "q6_K",
    [15] = "q8_K",   [16] = "iq2_xxs",    [17] = "iq2_xs",     [18] = "iq3_xxs",    [19] = "iq1_s",
    [20] = "iq4_nl", [21] = "iq3_s",      [22] = "iq2_s",      [23] = "iq4_xs",     [24] = "i8",
    [25] = "i16",    [26] = "i32",        [27] = "i64",        [28] = "f64",        [29] = "iq1_m",
    [30] = "bf16",   [31] = "q4_0_4_4",   [32] = "q4_0_4_8",   [33] = "q4_0_8_8",   [34] = "tq1_0",
    [35] = "tq2_0",  [36] = "iq4_nl_4_4", [37] = "iq4_nl_4_8", [38] = "iq4_nl_8_8", [39] = "mxfp4",
};

bool dtype_known(uint32_t type) {
    return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 || quant_type(type);
}

bool dtype_direct(enum dtype type) {
    return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 || type == DTYPE_Q8_0 ||
           type == DTYPE_Q4_0;
}

bool dtype_written(enum dtype type) {
    return dtype_direct(type) || type == DTYPE_Q4_K || type == DTYPE_Q6_K;
}

bool dtype_wholes(enum dtype type) {
    return type == DTYPE_Q8_0 || type == DTYPE_Q4_0 || type == DTYPE_Q4_K || type == DTYPE_Q5_K ||
           type == DTYPE_Q6_K;
}

const char *dtype_name(uint32_t type) {
    return type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* Are two names equal, where a `K` of the second may be small in the first? */
static bool same_name(const char *typed, const char *name) {
    while (*name && (*typed == *name || (*name == 'K' && *typed == 'k'))) typed++, name++;
    return !*typed && !*name;
}

int dtype_parse(const char *name) {
    for (uint32_t t = 0; t < DTYPE_COUNT; t++)
        if (dtype_written((enum dtype)t) && same_name(name, names[t])) return (int)t;
    return -1;
}

size_t dtype_block(enum dtype type) {
    const struct quant_type *q = quant_type(type);
    return q ? q->block : 1;
}

static size_t block_bytes(enum dtype type) {
    const struct quant_type *q = quant_type(type);
    return q ? q->bytes : type == DTYPE_F32 ? 4 : 2;
}

enum dtype dtype_for_rows(enum dtype type, size_t cols) {
    static const enum dtype instead[DTYPE_COUNT] = {
        [DTYPE_Q4_K] = DTYPE_Q4_0, [DTYPE_Q5_K] = DTYPE_Q5_1, [DTYPE_Q6_K] = DTYPE_Q8_0};
    if (cols % dtype_block(type) && instead[type]) type = instead[type];
    return cols % dtype_block(type) ? DTYPE_F16 : type;
}

size_t dtype_bytes(enum dtype type, size_t n) { return n / dtype_block(type) * block_bytes(type); }

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. NaN keeps its payload and
 * becomes quiet, as in hardware. */
float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31)
        return of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact in float32 */
        float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    return of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void dtype_to_f32(enum dtype type, float *y, const void *w, size_t n) {
    const struct quant_type *q = quant_type(type);
    const uint16_t *half = w;
    const uint8_t *block = w;
    if (q)
        for (; n; n -= q->block, y += q->block, block += q->bytes) q->decode(y, block);
    else if (type == DTYPE_F32 && n)
        memcpy(y, w, n * sizeof *y);
    else
        for (size_t i = 0; i < n; i++)
            y[i] = type == DTYPE_F16 ? f16_to_f32(half[i]) : bf16_to_f32(half[i]);
}

/* Returns v / 2^shift, rounded to the nearest whole number, ties to even, for shift in 1..31. */
static uint32_t shift_nearest(uint32_t v, int shift) {
    uint32_t half = 1u << (shift - 1), rest = v & (2 * half - 1), q = v >> shift;
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t f32_to_f16(float x) {
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 2^16 and above */
    if (magnitude >= 0x38800000) /* 2^-14 and above: normal; a carry may reach infinity */
        return (uint16_t)(sign | shift_nearest(magnitude - (112u << 23), 13));
    if (magnitude < 0x33000000) return (uint16_t)sign; /* below 2^-25, half the least subnormal */
    int shift = 126 - (int)(magnitude >> 23);          /* 14..24: the fraction in units of 2^-24 */
    return (uint16_t)(sign | shift_nearest((magnitude & 0x7fffff) | 0x800000, shift));
}

float bf16_to_f32(uint16_t h) { return of_bits((uint32_t)h << 16); }

uint16_t f32_to_bf16(float x) {
    uint32_t u = bits_of(x);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u >> 31) << 15 | shift_nearest(u & 0x7fffffff, 16));
}

/* Returns a whole number in lo..hi for a value that may be anything. NaN gives 0 where that is in
 * range. */
static int to_range(float v, int lo, int hi) {
    if (v >= (float)hi) return hi;
    if (v <= (float)lo) return lo;
    return v == v ? (int)v : 0;
}

static void put_scale(uint8_t *block, float d) {
    uint16_t h = f32_to_f16(d);
    memcpy(block, &h, sizeof h);
}

/* This is ggml's reference quantiser: the numbers are rounded, half away from zero, against d
 * before d itself is rounded to f16. */
static void q8_0_block(uint8_t *block, const float *x) {
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    put_scale(block, d);
    for (int i = 0; i < 32; i++)
        block[2 + i] = (uint8_t)to_range(roundf(x[i] * inverse), -127, 127);
}

/* The element of largest magnitude, the first of equal ones, becomes -8: the end of the range that
 * has no opposite. */
static void q4_0_block(uint8_t *block, const float *x) {
    float most = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > fabsf(most)) most = x[i];
    float d = most / -8, inverse = d != 0 ? 1 / d : 0;
    put_scale(block, d);
    for (int i = 0; i < 16; i++) {
        int low = to_range(x[i] * inverse + 8.5f, 0, 15),
            high = to_range(x[i + 16] * inverse + 8.5f, 0, 15);
        block[2 + i] = (uint8_t)(low | high << 4);
    }
}

bool dtype_holds(enum dtype type, float most) {
    switch (type) {
    case DTYPE_F16: return isfinite(f16_to_f32(f32_to_f16(most)));
    case DTYPE_BF16: return isfinite(bf16_to_f32(f32_to_bf16(most)));
    case DTYPE_Q8_0: return isfinite(f16_to_f32(f32_to_f16(most / 127)));
    case DTYPE_Q4_0: return isfinite(f16_to_f32(f32_to_f16(most / 8)));
    /* The offset that reaches -most, of 63 steps m, and the scale that reaches it, of 127. */
    case DTYPE_Q4_K: return most / 63 <= F16_MOST;
    case DTYPE_Q6_K: return most / 31 / 127 <= F16_MOST;
    default: return isfinite(most);
    }
}

void dtype_from_f32(enum dtype type, void *dst, const float *src, size_t n) {
    uint8_t *out = dst;
    uint16_t *half = dst;
    switch (type) {
    case DTYPE_F16:
        for (size_t i = 0; i < n; i++) half[i] = f32_to_f16(src[i]);
        break;
    case DTYPE_BF16:
        for (size_t i = 0; i < n; i++) half[i] = f32_to_bf16(src[i]);
        break;
    case DTYPE_Q8_0:
        for (size_t i = 0; i < n; i += 32, out += block_bytes(type)) q8_0_block(out, src + i);
        break;
    case DTYPE_Q4_0:
        for (size_t i = 0; i < n; i += 32, out += block_bytes(type)) q4_0_block(out, src + i);
        break;
    case DTYPE_Q4_K:
        for (size_t i = 0; i < n; i += 256, out += block_bytes(type)) q4_k_make(out, src + i);
        break;
    case DTYPE_Q6_K:
        for (size_t i = 0; i < n; i += 256, out += block_bytes(type)) q6_k_make(out, src + i);
        break;
    default:
        if (n) memcpy(dst, src, n * sizeof *src);
    }
}
