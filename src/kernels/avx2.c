/* AVX2, FMA and F16C: the operations that vector.h builds the kernels from. */
#include "kernels/sets.h"

#if defined(__x86_64__) && defined(__AVX2__)
#include <cpuid.h>
#include <immintrin.h>

#define LANES 8
#define SUMS 1 /* 16 registers: 4 x 3 sums, 3 of x and 1 of w */
typedef __m256 vec;

static inline vec v_set1(float x) { return _mm256_set1_ps(x); }
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec v) { _mm256_storeu_ps(p, v); }
static inline vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); } /* a b + c */
/* where either is NaN both give b */
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }

/* all ones in the first n lanes */
static inline __m256i first_lanes(size_t n) {
    static const int32_t edge[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(edge + 8 - n));
}

static inline vec v_first(vec v, size_t n) { return _mm256_and_ps(v, _mm256_castsi256_ps(first_lanes(n))); }
static inline vec v_load_part(const float *p, size_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
static inline void v_store_part(float *p, vec v, size_t n) { _mm256_maskstore_ps(p, first_lanes(n), v); }

static inline __m128i load_16_bytes(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

static inline vec v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_16_bytes(p)); }
static inline vec v_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16_bytes(p)), 16));
}
static inline void v_store_f16(uint16_t *p, vec v) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
static inline float v_f16_number(uint16_t h) { return _cvtsh_ss(h); }

/* 16 signed bytes as two vectors */
static inline void widen_bytes(vec q[2], __m128i b) {
    q[0] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b));
    q[1] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8)));
}

static inline void v_load_q8(vec q[4], const uint8_t *p) {
    for (int j = 0; j < 4; j++)
        q[j] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + 8 * j))));
}

static inline void v_load_q4(vec q[4], const uint8_t *p) {
    __m128i b = load_16_bytes(p), nibble = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    widen_bytes(q, _mm_sub_epi8(_mm_and_si128(b, nibble), eight));
    widen_bytes(q + 2, _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(b, 4), nibble), eight));
}

/* s = the sums of the lanes of a, b, c and d */
static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) {
    vec t = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(s, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

static inline float v_most(vec v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline vec v_round(vec v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* 2^k for whole k in -126..127; k = 128 gives infinity */
static inline vec v_pow2(vec k) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23));
}
/* v, but 0 in the lanes where x < least */
static inline vec v_zero_where_less(vec v, vec x, vec least) { return _mm256_and_ps(v, _mm256_cmp_ps(x, least, _CMP_NLT_UQ)); }

/* x in the lanes where a > b, y elsewhere */
static inline vec v_where_greater(vec a, vec b, vec x, vec y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ)); }

#include "kernels/vector.h"
#include "kernels/vector_lookup.h"

/* compilers differ in whether __builtin_cpu_supports knows F16C: leaf 1 of cpuid says it in bit 29 of ecx */
static bool supported(void) {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

static const struct kernels set = {
    .name = "avx2",
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

const struct kernels *const kernels_avx2 = &set;
#else
const struct kernels *const kernels_avx2 = NULL;
#endif
