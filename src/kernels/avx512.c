/* AVX-512 (F, BW, DQ, VL) with VNNI and VBMI, as in Ice Lake, Zen 4 and what came after: the
 * operations of contract.inc, which says what each one means. */
#include "kernels/act.h"

#if defined(__x86_64__) && defined(__AVX512F__) && defined(__AVX512BW__) && \
    defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
#include <immintrin.h>

#define SET avx512
#define LANES 16
#define X_ROWS 6
#define BYTES 64
#define MIX_BITS 16
#define FEW_AT_A_TIME MATMUL_SOME /* Zen 4: faster for 9 rows by a quarter, for 56 by 2 % */
#define BY_NAME_ONLY false
#define OWN_BLOCKS 1
#define WORD_PANELS 0
#define OWN_LOOKUP 1
typedef __m512 vec;
typedef __m512i byte_vec;
typedef __m512i word_vec;
typedef __m512i whole_vec;

/* `all` has the sums of pairs of bytes as words, the byte of an even row + 256 times that of the
 * odd row behind it; `odd` has the sums of the bytes of odd rows alone. */
typedef struct {
    byte_vec all, odd;
} word_sums;

/* A factor is 256 high + low, both signed bytes. 16 bytes hold the lows of quads k and k + 4, and
 * then their highs, for k = 0 .. 3. */
struct factors {
    int8_t quads[4][4][4];
};

typedef struct {
    __m512i low, high, top;
} mix_sum;

/* A weight is 2^16 top + 2^8 high + low. */
struct mix_weights {
    uint8_t low[64], high[64], top[64];
};

#include "kernels/contract.inc"

static inline vec v_set1(float x) { return _mm512_set1_ps(x); }
static inline vec v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vec v) { _mm512_storeu_ps(p, v); }
/* The compiler would else read v from memory for each use. */
static inline vec v_keep(vec v) {
    __asm__("" : "+v"(v));
    return v;
}
static inline vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); } /* a b + c */
/* Where either is NaN, both give b. */
static inline vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }

/* Returns a mask of the first n lanes. */
static inline __mmask16 first_lanes(size_t n) { return (__mmask16)((1u << n) - 1); }

static inline vec v_first(vec v, size_t n) { return _mm512_maskz_mov_ps(first_lanes(n), v); }
static inline vec v_load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
static inline void v_store_part(float *p, vec v, size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

static inline __m128i load_16_bytes(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline __m256i load_32_bytes(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vec v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(load_32_bytes(p)); }
static inline vec v_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_32_bytes(p)), 16));
}
static inline void v_store_f16(uint16_t *p, vec v) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
static inline float v_f16_number(uint16_t h) { return _cvtsh_ss(h); }

static inline vec widen_bytes(__m128i b) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b)); }

static inline void v_load_q8(vec q[2], const uint8_t *p) {
    q[0] = widen_bytes(load_16_bytes(p));
    q[1] = widen_bytes(load_16_bytes(p + 16));
}

static inline void v_load_q4(vec q[2], const uint8_t *p) {
    __m128i b = load_16_bytes(p), nibble = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    q[0] = widen_bytes(_mm_sub_epi8(_mm_and_si128(b, nibble), eight));
    q[1] = widen_bytes(_mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(b, 4), nibble), eight));
}

/* Returns the sum of lanes 0, 4, 8 and 12 in lane 0, and so on for lanes 1, 2 and 3. */
static inline __m128 sum_quarters(vec v) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

static inline vec v_broadcast4(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }

static inline void v_transpose_fours(vec v[4]) {
    vec a = _mm512_shuffle_f32x4(v[0], v[1], 0x44), b = _mm512_shuffle_f32x4(v[0], v[1], 0xee);
    vec c = _mm512_shuffle_f32x4(v[2], v[3], 0x44), d = _mm512_shuffle_f32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_f32x4(a, c, 0x88);
    v[1] = _mm512_shuffle_f32x4(a, c, 0xdd);
    v[2] = _mm512_shuffle_f32x4(b, d, 0x88);
    v[3] = _mm512_shuffle_f32x4(b, d, 0xdd);
}

static inline vec v_sum_fours(vec a, vec b, vec c, vec d) {
    __m512d ab =
        _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
    __m512d cd =
        _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
}

static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) {
    _mm_storeu_ps(s, sum_quarters(v_sum_fours(a, b, c, d)));
}

static inline float v_most(vec v) {
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline vec v_round(vec v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* The exponent of 2^k is k + 127, in the bits from 23 on. */
static inline vec v_pow2(vec k) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(k), _mm512_set1_epi32(127)), 23));
}
static inline vec v_zero_where_less(vec v, vec x, vec least) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ), v);
}

static inline vec v_where_greater(vec a, vec b, vec x, vec y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
static inline uint32_t v_bits_at_least(vec a, vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
static inline size_t v_put_bits(uint32_t *index, uint32_t first, uint32_t bits) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                  places = _mm512_add_epi32(lanes, _mm512_set1_epi32((int32_t)first));
    _mm512_storeu_si512(index, _mm512_maskz_compress_epi32((__mmask16)bits, places));
    return (size_t)__builtin_popcount(bits);
}

static inline word_vec h_bytes(const uint8_t *p) { return _mm512_cvtepu8_epi16(load_32_bytes(p)); }
static inline word_vec h_and(word_vec a, int16_t x) {
    return _mm512_and_si512(a, _mm512_set1_epi16(x));
}
static inline word_vec h_or(word_vec a, word_vec b) { return _mm512_or_si512(a, b); }
static inline word_vec h_left(word_vec a, int n) { return _mm512_slli_epi16(a, (unsigned)n); }
static inline word_vec h_right(word_vec a, int n) { return _mm512_srli_epi16(a, (unsigned)n); }
static inline word_vec h_less(word_vec a, int16_t x) {
    return _mm512_sub_epi16(a, _mm512_set1_epi16(x));
}
static inline word_vec h_times(word_vec a, word_vec b) { return _mm512_mullo_epi16(a, b); }
static inline word_vec h_halves(int16_t first, int16_t second, size_t i) {
    (void)i;
    return _mm512_mask_mov_epi16(_mm512_set1_epi16(first), 0xffff0000u, _mm512_set1_epi16(second));
}
static inline void h_eight_bytes(int16_t y[8], uint64_t b) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)b)));
}
static inline void v_eight_bytes(float *y, uint64_t b) {
    v_store(y, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_cvtsi64_si128((long long)b))));
}
static inline whole_vec i_zero(void) { return _mm512_setzero_si512(); }
static inline whole_vec i_add_products(whole_vec s, const word_vec w[1], const int16_t *q) {
    return _mm512_dpwssd_epi32(s, w[0], _mm512_loadu_si512(q));
}
static inline vec i_float(whole_vec s) { return _mm512_cvtepi32_ps(s); }

/* ---- tiles ---- */

static inline void v_store_whole(int32_t *p, vec v) {
    _mm512_storeu_si512(p, _mm512_cvtps_epi32(v));
}
static inline vec v_load_whole(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}
static inline vec v_size(vec v) { return _mm512_abs_ps(v); }
static inline vec v_larger_size(vec a, vec b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
static inline float v_most_size(vec v) {
    return _mm_cvtss_f32(
        _mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(_mm512_castps_si512(v)))));
}

static inline int32_t t_factors(struct factors *f, const vec w[2]) {
    __m512i words = _mm512_packs_epi32(
        _mm512_cvtps_epi32(w[0]), _mm512_cvtps_epi32(w[1])); /* of quads 0, 4, 1, 5, 2, 6, 3, 7 */
    __m512i low = _mm512_srai_epi16(_mm512_slli_epi16(words, 8), 8),
            high = _mm512_srai_epi16(_mm512_sub_epi16(words, low), 8);
    _mm512_storeu_si512(f, _mm512_packs_epi16(low, high));
    return _mm512_reduce_add_epi32(_mm512_madd_epi16(words, _mm512_set1_epi16(1)));
}

/* Returns the codes of quad k of a tile, for 16 of its 32 j. */
INLINE __m512i t_codes(size_t bits, const uint8_t *tile, int k, int half) {
    const uint8_t *at = tile + 64 * half;
    if (bits == 8) return _mm512_loadu_si512(at + 128 * k);
    if (bits == 4)
        return _mm512_and_si512(_mm512_srlv_epi16(_mm512_loadu_si512(at + 128 * (k / 2)),
                                                  _mm512_set1_epi16((short)(4 * (k % 2)))),
                                _mm512_set1_epi8(15));
    __m512i two = _mm512_and_si512(_mm512_srlv_epi16(_mm512_loadu_si512(at + 128 * (k / 4)),
                                                     _mm512_set1_epi16((short)(2 * (k % 4)))),
                                   _mm512_set1_epi8(3));
    if (bits == 2) return two;
    return _mm512_mask_add_epi8(
        two, _mm512_test_epi8_mask(_mm512_loadu_si512(at + 256), _mm512_set1_epi8((char)(1u << k))),
        two, _mm512_set1_epi8(4));
}

/* Returns p[0 .. 3] in every four bytes. */
INLINE __m512i broadcast_4_bytes(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE void t_sums(size_t bits, const struct tile_levels *levels, vec s[2], const uint8_t *tile,
                   const struct factors *f, int32_t middle) {
    __m512i high[2], low[2], below[2][2],
        zero = _mm512_setzero_si512(); /* high, low: of the factors; below: with the low bytes of
                                          levels */
    __m512i level_high = zero, level_low = zero;
    if (levels) {
        level_high = _mm512_broadcast_i32x4(load_16_bytes(levels->high));
        level_low = _mm512_broadcast_i32x4(load_16_bytes(levels->low));
    }
    for (int h = 0; h < 2; h++) {
        high[h] = below[0][h] = below[1][h] = zero;
        low[h] = _mm512_sub_epi32(zero, _mm512_set1_epi32(middle));
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        __m512i a_low = broadcast_4_bytes(f->quads[k % 4][k / 4]),
                a_high = broadcast_4_bytes(f->quads[k % 4][2 + k / 4]);
        for (int h = 0; h < 2; h++) {
            __m512i u = t_codes(bits, tile, k, h);
            if (levels) {
                __m512i rest = _mm512_shuffle_epi8(level_low, u);
                below[0][h] = _mm512_dpbusd_epi32(below[0][h], rest, a_high);
                below[1][h] = _mm512_dpbusd_epi32(below[1][h], rest, a_low);
                u = _mm512_shuffle_epi8(level_high, u);
            }
            high[h] = _mm512_dpbusd_epi32(high[h], u, a_high);
            low[h] = _mm512_dpbusd_epi32(low[h], u, a_low);
        }
    }
    for (int h = 0; h < 2; h++) {
        s[h] = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(high[h], 8), low[h]));
        if (levels)
            s[h] = v_fma(s[h], v_set1(256),
                         _mm512_cvtepi32_ps(
                             _mm512_add_epi32(_mm512_slli_epi32(below[0][h], 8), below[1][h])));
    }
}

/* ---- bytes ---- */

static inline byte_vec b_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline byte_vec b_low(byte_vec b) { return _mm512_and_si512(b, _mm512_set1_epi8(15)); }
static inline byte_vec b_high(byte_vec b) { return b_low(_mm512_srli_epi16(b, 4)); }
static inline byte_vec b_lookup(const uint8_t table[16], byte_vec codes) {
    return _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table)), codes);
}

static inline byte_vec b_add(byte_vec a, byte_vec b) { return _mm512_add_epi8(a, b); }

/* Returns the low bytes of 64 words of at most 255, which lie in the order that packing numbers of
 * 32 bits leaves. */
static inline __m512i pack_bytes(__m512i first, __m512i second) {
    const __m512i in_order =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(in_order, _mm512_packus_epi16(first, second));
}

static inline uint32_t m_weights(struct mix_weights *w, const int32_t q[BYTES]) {
    __m512i x[4], byte = _mm512_set1_epi16(255), top = _mm512_set1_epi32(0xffff);
    for (int i = 0; i < 4; i++) x[i] = _mm512_loadu_si512(q + 16 * i);
    __m512i most = _mm512_max_epu32(_mm512_max_epu32(x[0], x[1]), _mm512_max_epu32(x[2], x[3]));
    bool large = _mm512_cmpgt_epu32_mask(most, top);
    if (large) {
        if (_mm512_cmpgt_epu32_mask(most, _mm512_set1_epi32(PAIR_ONE))) return UINT32_MAX;
        __m512i h[4];
        for (int i = 0; i < 4; i++) {
            h[i] = _mm512_srli_epi32(x[i], 16);
            x[i] = _mm512_and_si512(x[i], top);
        }
        _mm512_storeu_si512(
            w->top, pack_bytes(_mm512_packus_epi32(h[0], h[1]), _mm512_packus_epi32(h[2], h[3])));
    }
    __m512i first = _mm512_packus_epi32(x[0], x[1]), second = _mm512_packus_epi32(x[2], x[3]);
    _mm512_storeu_si512(w->low,
                        pack_bytes(_mm512_and_si512(first, byte), _mm512_and_si512(second, byte)));
    _mm512_storeu_si512(w->high,
                        pack_bytes(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(second, 8)));
    return large ? PAIR_ONE : _mm512_test_epi32_mask(most, most) != 0;
}

static inline mix_sum m_zero(void) {
    return (mix_sum){_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
}

static inline void m_add(mix_sum *s, byte_vec v, const struct mix_weights *w, bool large) {
    s->low = _mm512_dpbusd_epi32(s->low, _mm512_loadu_si512(w->low), v);
    s->high = _mm512_dpbusd_epi32(s->high, _mm512_loadu_si512(w->high), v);
    if (large) s->top = _mm512_dpbusd_epi32(s->top, _mm512_loadu_si512(w->top), v);
}

/* Sixteen lanes of four sums each are added up as in v_sum4. */
static inline void m_totals(int32_t t[4], const mix_sum s[4]) {
    __m512i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm512_add_epi32(
            s[i].low,
            _mm512_slli_epi32(_mm512_add_epi32(s[i].high, _mm512_slli_epi32(s[i].top, 8)), 8));
    __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(x[0], x[1]),
                                 _mm512_unpackhi_epi32(x[0], x[1])),
            b = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2], x[3]),
                                 _mm512_unpackhi_epi32(x[2], x[3])),
            c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
    _mm_storeu_si128((__m128i *)(void *)t, _mm_add_epi32(_mm256_castsi256_si128(half),
                                                         _mm256_extracti128_si256(half, 1)));
}

static inline word_sums w_zero(void) {
    return (word_sums){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
static inline void w_add(word_sums *s, byte_vec b) {
    s->all = _mm512_add_epi16(s->all, b);
    s->odd = _mm512_add_epi16(s->odd, _mm512_srli_epi16(b, 8));
}
/* Unpacking works in quarters of a register: rows 16 i .. 16 i + 7 come to quarter i of one result,
 * the next eight to that of the other. */
static inline void w_store(uint16_t y[BYTES], word_sums s) {
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i even = _mm512_sub_epi16(s.all, _mm512_slli_epi16(s.odd, 8));
    __m512i first = _mm512_unpacklo_epi16(even, s.odd), second = _mm512_unpackhi_epi16(even, s.odd);
    _mm512_storeu_si512(y, _mm512_permutex2var_epi64(first, front, second));
    _mm512_storeu_si512(y + 32, _mm512_permutex2var_epi64(first, back, second));
}

/* __builtin_cpu_supports checks the instructions, and that the operating system keeps the
 * registers. */
static bool supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}

#include "kernels/set.inc"
#else
const struct kernels *const kernels_avx512 = NULL;
#endif
