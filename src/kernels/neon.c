/* NEON of 64-bit ARM, which every such CPU has: the operations that vector.h builds the kernels from. */
#include "kernels/sets.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define LANES 4
#define SUMS 2 /* 32 registers: 4 x 3 x 2 sums, 3 of x and 1 of w */
typedef float32x4_t vec;

static inline vec v_set1(float x) { return vdupq_n_f32(x); }
static inline vec v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vec v) { vst1q_f32(p, v); }
static inline vec v_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec v_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec v_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec v_div(vec a, vec b) { return vdivq_f32(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); } /* a b + c */
/* where either is NaN both give NaN */
static inline vec v_max(vec a, vec b) { return vmaxq_f32(a, b); }
static inline vec v_min(vec a, vec b) { return vminq_f32(a, b); }

/* v with zeros after the first n lanes */
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

static inline vec v_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline vec v_load_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
static inline void v_store_f16(uint16_t *p, vec v) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
static inline float v_f16_number(uint16_t h) { return vgetq_lane_f32(v_load_f16((uint16_t[4]){h}), 0); }

/* 16 signed bytes as four vectors */
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

/* s = the sums of the lanes of a, b, c and d */
static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) { v_store(s, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))); }

static inline float v_most(vec v) { return vmaxvq_f32(v); }

static inline vec v_round(vec v) { return vrndnq_f32(v); }
/* 2^k for whole k in -126..127; k = 128 gives infinity */
static inline vec v_pow2(vec k) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127)), 23)); }
/* v, but 0 in the lanes where x < least */
static inline vec v_zero_where_less(vec v, vec x, vec least) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(x, least)));
}

/* x in the lanes where a > b, y elsewhere */
static inline vec v_where_greater(vec a, vec b, vec x, vec y) { return vbslq_f32(vcgtq_f32(a, b), x, y); }

#include "kernels/vector.h"
#include "kernels/vector_lookup.h"

static bool supported(void) { return true; }

static const struct kernels set = {
    .name = "neon",
    .supported = supported,
    .to_f32 = to_f32,
    .to_f16 = to_f16,
    .matvec = matvec,
    .vecmat = vecmat,
    .matmul = matmul,
    .layernorm = layernorm,
    .gelu_tanh = gelu_tanh,
    .gelu_erf = gelu_erf,
    .softmax = softmax,
    .nearest = nearest,
    .lookup = lookup_plain,
    .lookup_round = lookup_round,
    .lookup_rounded = lookup_rounded_plain,
    .fma_flops = 2 * LANES * CHAINS,
    .multiply_add = multiply_add,
    .read_sum = read_sum,
};

const struct kernels *const kernels_neon = &set;
#else
const struct kernels *const kernels_neon = NULL;
#endif
