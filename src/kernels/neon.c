/* NEON of 64-bit ARM, which every such CPU has: the operations of contract.inc, which says what
 * each one means. */
#include "kernels/act.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define SET neon
#define LANES 4
#define X_ROWS 6
#define BYTES 16
#define MIX_BITS 15
#define FEW_AT_A_TIME 0
#define BY_NAME_ONLY false
#define OWN_BLOCKS 0
#define WORD_PANELS 0
#define OWN_LOOKUP 0
typedef float32x4_t vec;
typedef uint8x16_t byte_vec;
typedef int16x8_t word_vec;
typedef int32x4_t whole_vec;

typedef struct {
    uint16x8_t first, second; /* of bytes 0 .. 7, and 8 .. 15 */
} word_sums;

struct factors {
    int16x4_t quads[TILE_SIDE / 4];
};

typedef struct {
    int32x4_t first, top;
} mix_sum;

/* A weight is 2^15 top + first. */
struct mix_weights {
    int16_t first[16], top[16];
};

#include "kernels/contract.inc"

static inline vec v_set1(float x) { return vdupq_n_f32(x); }
static inline vec v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vec v) { vst1q_f32(p, v); }
/* The compiler would else read v from memory for each use. */
static inline vec v_keep(vec v) {
    __asm__("" : "+w"(v));
    return v;
}
static inline vec v_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec v_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec v_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec v_div(vec a, vec b) { return vdivq_f32(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); } /* a b + c */
/* Where either is NaN, both give NaN. */
static inline vec v_max(vec a, vec b) { return vmaxq_f32(a, b); }
static inline vec v_min(vec a, vec b) { return vminq_f32(a, b); }

static inline vec v_first(vec v, size_t n) {
    static const uint32_t edge[8] = {~0u, ~0u, ~0u, ~0u};
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vld1q_u32(edge + 4 - n)));
}
static inline vec v_load_part(const float *p, size_t n) {
    float padded[LANES] = {0};
    memcpy(padded, p, n * sizeof *p);
    return v_load(padded);
}
static inline void v_store_part(float *p, vec v, size_t n) {
    float all[LANES];
    v_store(all, v);
    memcpy(p, all, n * sizeof *p);
}

static inline vec v_load_f16(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline vec v_load_bf16(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static inline void v_store_f16(uint16_t *p, vec v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
static inline float v_f16_number(uint16_t h) {
    return vgetq_lane_f32(v_load_f16((uint16_t[4]){h}), 0);
}

/* Widens 16 signed bytes to four vectors. */
static inline void widen_bytes(vec q[4], int8x16_t b) {
    int16x8_t low = vmovl_s8(vget_low_s8(b)), high = vmovl_s8(vget_high_s8(b));
    q[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    q[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(low)));
    q[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    q[3] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)));
}

static inline void v_load_q8(vec q[8], const uint8_t *p) {
    widen_bytes(q, vreinterpretq_s8_u8(vld1q_u8(p)));
    widen_bytes(q + 4, vreinterpretq_s8_u8(vld1q_u8(p + 16)));
}

static inline void v_load_q4(vec q[8], const uint8_t *p) {
    uint8x16_t b = vld1q_u8(p);
    int8x16_t eight = vdupq_n_s8(8);
    widen_bytes(q, vsubq_s8(vreinterpretq_s8_u8(vandq_u8(b, vdupq_n_u8(15))), eight));
    widen_bytes(q + 4, vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(b, 4)), eight));
}

static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) {
    v_store(s, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

static inline vec v_broadcast4(const float *p) { return v_load(p); }

/* A vector of four lanes has one four: there is nothing to exchange. */
static inline void v_transpose_fours(vec v[1]) { (void)v; }

static inline vec v_sum_fours(vec a, vec b, vec c, vec d) {
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

static inline float v_most(vec v) { return vmaxvq_f32(v); }

static inline vec v_round(vec v) { return vrndnq_f32(v); }
/* The exponent of 2^k is k + 127, in the bits from 23 on. */
static inline vec v_pow2(vec k) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127)), 23));
}
static inline vec v_zero_where_less(vec v, vec x, vec least) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(x, least)));
}

static inline vec v_where_greater(vec a, vec b, vec x, vec y) {
    return vbslq_f32(vcgtq_f32(a, b), x, y);
}
static inline uint32_t v_bits_at_least(vec a, vec b) {
    static const uint32_t bit[LANES] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgeq_f32(a, b), vld1q_u32(bit)));
}
static inline size_t v_put_bits(uint32_t *index, uint32_t first, uint32_t bits) {
    size_t n = 0;
    for (; bits; bits &= bits - 1) index[n++] = first + (uint32_t)__builtin_ctz(bits);
    return n;
}

static inline void v_eight_scales(float d[8], const uint8_t *block, size_t bytes) {
    uint16_t h[8];
    for (size_t i = 0; i < 8; i++) memcpy(&h[i], block + i * bytes, sizeof h[i]);
    for (size_t i = 0; i < 8; i += 4) v_store(d + i, v_load_f16(h + i));
}
static inline void v_eight_times(float y[8], const float a[8], const float b[8]) {
    for (size_t i = 0; i < 8; i += 4) v_store(y + i, v_mul(v_load(a + i), v_load(b + i)));
}

static inline word_vec h_bytes(const uint8_t *p) {
    return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p)));
}
static inline word_vec h_and(word_vec a, int16_t x) { return vandq_s16(a, vdupq_n_s16(x)); }
static inline word_vec h_or(word_vec a, word_vec b) { return vorrq_s16(a, b); }
static inline word_vec h_left(word_vec a, int n) { return vshlq_s16(a, vdupq_n_s16((int16_t)n)); }
static inline word_vec h_right(word_vec a, int n) {
    return vreinterpretq_s16_u16(vshlq_u16(vreinterpretq_u16_s16(a), vdupq_n_s16((int16_t)-n)));
}
static inline word_vec h_less(word_vec a, int16_t x) { return vsubq_s16(a, vdupq_n_s16(x)); }
static inline word_vec h_times(word_vec a, word_vec b) { return vmulq_s16(a, b); }
static inline word_vec h_halves(int16_t first, int16_t second, size_t i) {
    return vdupq_n_s16(i < 2 ? first : second);
}
static inline void h_eight_bytes(int16_t y[8], uint64_t b) {
    vst1q_s16(y, vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(b))));
}
static inline void v_eight_bytes(float *y, uint64_t b) {
    const uint16x8_t h = vmovl_u8(vcreate_u8(b));
    vst1q_f32(y, vcvtq_f32_u32(vmovl_u16(vget_low_u16(h))));
    vst1q_f32(y + 4, vcvtq_f32_u32(vmovl_u16(vget_high_u16(h))));
}
static inline whole_vec i_zero(void) { return vdupq_n_s32(0); }
static inline whole_vec i_add_products(whole_vec s, const word_vec w[4], const int16_t *q) {
    for (int i = 0; i < 4; i++) {
        const int16x8_t x = vld1q_s16(q + 8 * i);
        s = vmlal_s16(s, vget_low_s16(w[i]), vget_low_s16(x));
        s = vmlal_s16(s, vget_high_s16(w[i]), vget_high_s16(x));
    }
    return s;
}
static inline vec i_float(whole_vec s) { return vcvtq_f32_s32(s); }

static inline void h_block(enum dtype type, word_vec w[4], const uint8_t *block) {
    const uint8x16_t bytes = vld1q_u8(block + 2);
    const int8x16_t eight = vdupq_n_s8(8);
    int8x16_t low = vreinterpretq_s8_u8(bytes), high;
    if (type == DTYPE_Q8_0) {
        high = vreinterpretq_s8_u8(vld1q_u8(block + 18));
    } else {
        low = vsubq_s8(vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), eight);
        high = vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4)), eight);
    }
    w[0] = vmovl_s8(vget_low_s8(low)), w[1] = vmovl_s8(vget_high_s8(low));
    w[2] = vmovl_s8(vget_low_s8(high)), w[3] = vmovl_s8(vget_high_s8(high));
}

/* ---- tiles ---- */

/* The conversion makes 0 of a NaN; here it becomes the least number, as on other machines. */
static inline void v_store_whole(int32_t *p, vec v) {
    vst1q_s32(p, vbslq_s32(vceqq_f32(v, v), vcvtnq_s32_f32(v), vdupq_n_s32(INT32_MIN)));
}
static inline vec v_load_whole(const int32_t *p) { return vcvtq_f32_s32(vld1q_s32(p)); }
static inline vec v_size(vec v) { return vabsq_f32(v); }
static inline vec v_larger_size(vec a, vec b) {
    return vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
static inline float v_most_size(vec v) {
    return vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32(vmaxvq_u32(vreinterpretq_u32_f32(v)))),
                          0);
}

static inline int32_t t_factors(struct factors *f, const vec w[8]) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int k = 0; k < TILE_SIDE / 4; k++) {
        int32x4_t whole = vcvtnq_s32_f32(w[k]);
        f->quads[k] = vmovn_s32(whole);
        sum = vaddq_s32(sum, whole);
    }
    return vaddvq_s32(sum);
}

/* Returns the codes of quad k of a tile, for 4 of its 32 j. */
INLINE uint8x16_t t_codes(size_t bits, const uint8_t *tile, int k, int eighth) {
    const uint8_t *at = tile + 16 * eighth;
    if (bits == 8) return vld1q_u8(at + 128 * k);
    if (bits == 4)
        return vandq_u8(vshlq_u8(vld1q_u8(at + 128 * (k / 2)), vdupq_n_s8((int8_t)(-4 * (k % 2)))),
                        vdupq_n_u8(15));
    uint8x16_t two = vandq_u8(
        vshlq_u8(vld1q_u8(at + 128 * (k / 4)), vdupq_n_s8((int8_t)(-2 * (k % 4)))), vdupq_n_u8(3));
    if (bits == 2) return two;
    return vorrq_u8(
        two, vandq_u8(vtstq_u8(vld1q_u8(at + 256), vdupq_n_u8((uint8_t)(1u << k))), vdupq_n_u8(4)));
}

/* Returns sum[j] + the products of the bytes u of the quads of four j with their factors, one j to
 * a lane. */
static inline void add_quads(int32x4_t sum[4], uint8x16_t u, int16x4_t a) {
    int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u))),
              high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(u)));
    sum[0] = vmlal_s16(sum[0], vget_low_s16(low), a);
    sum[1] = vmlal_s16(sum[1], vget_high_s16(low), a);
    sum[2] = vmlal_s16(sum[2], vget_low_s16(high), a);
    sum[3] = vmlal_s16(sum[3], vget_high_s16(high), a);
}

/* Returns the sums of the lanes of s[0], s[1], s[2] and s[3]. */
static inline int32x4_t sum_each(const int32x4_t s[4]) {
    return vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
}

INLINE void t_sums(size_t bits, const struct tile_levels *levels, vec s[8], const uint8_t *tile,
                   const struct factors *f, int32_t middle) {
    uint8x16_t level_high = levels ? vld1q_u8(levels->high) : vdupq_n_u8(0),
               level_low = levels ? vld1q_u8(levels->low) : level_high;
    for (int c = 0; c < 8; c++) {
        int32x4_t sum[4], below[4]; /* below: with the low bytes of levels */
        for (int j = 0; j < 4; j++) sum[j] = below[j] = vdupq_n_s32(0);
        for (int k = 0; k < 8; k++) {
            uint8x16_t u = t_codes(bits, tile, k, c);
            if (levels) {
                add_quads(below, vqtbl1q_u8(level_low, u), f->quads[k]);
                u = vqtbl1q_u8(level_high, u);
            }
            add_quads(sum, u, f->quads[k]);
        }
        s[c] = vcvtq_f32_s32(vsubq_s32(sum_each(sum), vdupq_n_s32(middle)));
        if (levels) s[c] = v_fma(s[c], v_set1(256), vcvtq_f32_s32(sum_each(below)));
    }
}

/* ---- bytes ---- */

static inline byte_vec b_load(const uint8_t *p) { return vld1q_u8(p); }
static inline byte_vec b_low(byte_vec b) { return vandq_u8(b, vdupq_n_u8(15)); }
static inline byte_vec b_high(byte_vec b) { return vshrq_n_u8(b, 4); }
static inline byte_vec b_lookup(const uint8_t table[16], byte_vec codes) {
    return vqtbl1q_u8(vld1q_u8(table), codes);
}

static inline byte_vec b_add(byte_vec a, byte_vec b) { return vaddq_u8(a, b); }

static inline uint32_t m_weights(struct mix_weights *w, const int32_t q[BYTES]) {
    uint32_t most = 0;
    for (int i = 0; i < BYTES; i++) most = (uint32_t)q[i] > most ? (uint32_t)q[i] : most;
    for (int i = 0; i < BYTES; i++) {
        w->first[i] = (int16_t)(q[i] & 0x7fff);
        w->top[i] = (int16_t)(q[i] >> MIX_BITS);
    }
    return most;
}

static inline mix_sum m_zero(void) { return (mix_sum){vdupq_n_s32(0), vdupq_n_s32(0)}; }

/* sum + the products of 16 words with weights. */
static inline int32x4_t add_words(int32x4_t sum, int16x8_t a, int16x8_t b, const int16_t w[16]) {
    int16x8_t wa = vld1q_s16(w), wb = vld1q_s16(w + 8);
    sum = vmlal_s16(sum, vget_low_s16(a), vget_low_s16(wa));
    sum = vmlal_high_s16(sum, a, wa);
    sum = vmlal_s16(sum, vget_low_s16(b), vget_low_s16(wb));
    return vmlal_high_s16(sum, b, wb);
}

static inline void m_add(mix_sum *s, byte_vec v, const struct mix_weights *w, bool large) {
    int8x16_t x = vreinterpretq_s8_u8(v);
    int16x8_t a = vmovl_s8(vget_low_s8(x)), b = vmovl_high_s8(x);
    s->first = add_words(s->first, a, b, w->first);
    if (large) s->top = add_words(s->top, a, b, w->top);
}

static inline void m_totals(int32_t t[4], const mix_sum s[4]) {
    for (int i = 0; i < 4; i++)
        t[i] = vaddvq_s32(vaddq_s32(s[i].first, vshlq_n_s32(s[i].top, MIX_BITS)));
}

static inline word_sums w_zero(void) { return (word_sums){vdupq_n_u16(0), vdupq_n_u16(0)}; }
static inline void w_add(word_sums *s, byte_vec b) {
    s->first = vaddw_u8(s->first, vget_low_u8(b));
    s->second = vaddw_high_u8(s->second, b);
}
static inline void w_store(uint16_t y[BYTES], word_sums s) {
    vst1q_u16(y, s.first);
    vst1q_u16(y + 8, s.second);
}

static bool supported(void) { return true; }

#include "kernels/set.inc"
#else
const struct kernels *const kernels_neon = NULL;
#endif
