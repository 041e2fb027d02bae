/* AVX2, FMA and F16C: the operations of contract.inc, which says what each one means. */
#include "kernels/act.h"

#if defined(__x86_64__) && defined(__AVX2__)
#include <cpuid.h>
#include <immintrin.h>

#define SET avx2
#define LANES 8
#define X_ROWS 3
#define BYTES 32
#define MIX_BITS 15
#define FEW_AT_A_TIME 0
#define BY_NAME_ONLY false
#define OWN_BLOCKS 0
#define WORD_PANELS 1
#define OWN_LOOKUP 0
typedef __m256 vec;
typedef __m256i byte_vec;
typedef __m256i word_vec;
typedef __m256i whole_vec;

/* `all` has the sums of pairs of bytes as words, the byte of an even row + 256 times that of the
 * odd row behind it; `odd` has the sums of the bytes of odd rows alone. */
typedef struct {
    byte_vec all, odd;
} word_sums;

/* For each quad, factors a[0] and a[2] as words of one number, then a[1] and a[3]. The quads are in
 * the order 0, 2, 1, 3, 4, 6, 5, 7. */
struct factors {
    int32_t pairs[2][4][2];
};

typedef struct {
    __m256i first, top;
} mix_sum;

/* A weight is 2^15 top + first; [0] has those of even rows, [1] those of odd ones. */
struct mix_weights {
    int16_t first[2][16], top[2][16];
};

#include "kernels/contract.inc"

static inline vec v_set1(float x) { return _mm256_set1_ps(x); }
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec v) { _mm256_storeu_ps(p, v); }
/* The compiler would else read v from memory for each use. */
static inline vec v_keep(vec v) {
    __asm__("" : "+x"(v));
    return v;
}
static inline vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); } /* a b + c */
/* Where either is NaN, both give b. */
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }

/* Returns all ones in the first n lanes. */
static inline __m256i first_lanes(size_t n) {
    static const int32_t edge[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(edge + 8 - n));
}

static inline vec v_first(vec v, size_t n) {
    return _mm256_and_ps(v, _mm256_castsi256_ps(first_lanes(n)));
}
static inline vec v_load_part(const float *p, size_t n) {
    return _mm256_maskload_ps(p, first_lanes(n));
}
static inline void v_store_part(float *p, vec v, size_t n) {
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

static inline __m128i load_16_bytes(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

static inline vec v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_16_bytes(p)); }
static inline vec v_load_bf16(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16_bytes(p)), 16));
}
static inline void v_store_f16(uint16_t *p, vec v) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
static inline float v_f16_number(uint16_t h) { return _cvtsh_ss(h); }

/* Widens 16 signed bytes to two vectors. */
static inline void widen_bytes(vec q[2], __m128i b) {
    q[0] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b));
    q[1] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8)));
}

static inline void v_load_q8(vec q[4], const uint8_t *p) {
    for (int j = 0; j < 4; j++)
        q[j] = _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + 8 * j))));
}

static inline void v_load_q4(vec q[4], const uint8_t *p) {
    __m128i b = load_16_bytes(p), nibble = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    widen_bytes(q, _mm_sub_epi8(_mm_and_si128(b, nibble), eight));
    widen_bytes(q + 2, _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(b, 4), nibble), eight));
}

static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) {
    vec t = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(s, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

static inline vec v_broadcast4(const float *p) {
    return _mm256_broadcast_ps((const __m128 *)(const void *)p);
}

static inline void v_transpose_fours(vec v[2]) {
    vec a = v[0];
    v[0] = _mm256_permute2f128_ps(a, v[1], 0x20);
    v[1] = _mm256_permute2f128_ps(a, v[1], 0x31);
}

static inline vec v_sum_fours(vec a, vec b, vec c, vec d) {
    return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
}

static inline float v_most(vec v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline vec v_round(vec v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* The exponent of 2^k is k + 127, in the bits from 23 on. */
static inline vec v_pow2(vec k) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23));
}
static inline vec v_zero_where_less(vec v, vec x, vec least) {
    return _mm256_and_ps(v, _mm256_cmp_ps(x, least, _CMP_NLT_UQ));
}

static inline vec v_where_greater(vec a, vec b, vec x, vec y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
static inline uint32_t v_bits_at_least(vec a, vec b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
static inline size_t v_put_bits(uint32_t *index, uint32_t first, uint32_t bits) {
    size_t n = 0;
    for (; bits; bits &= bits - 1) index[n++] = first + (uint32_t)__builtin_ctz(bits);
    return n;
}

/* Gathers eight f16 numbers that lie `bytes` bytes apart. */
static inline __m128i gather_8(const uint8_t *p, size_t bytes) {
    uint16_t h[8];
    for (size_t i = 0; i < 8; i++) memcpy(&h[i], p + i * bytes, sizeof h[i]);
    __m128i v = _mm_cvtsi32_si128(h[0]);
    v = _mm_insert_epi16(v, h[1], 1);
    v = _mm_insert_epi16(v, h[2], 2);
    v = _mm_insert_epi16(v, h[3], 3);
    v = _mm_insert_epi16(v, h[4], 4);
    v = _mm_insert_epi16(v, h[5], 5);
    v = _mm_insert_epi16(v, h[6], 6);
    return _mm_insert_epi16(v, h[7], 7);
}

static inline void v_eight_scales(float d[8], const uint8_t *block, size_t bytes) {
    _mm256_storeu_ps(d, _mm256_cvtph_ps(gather_8(block, bytes)));
}
static inline void v_eight_times(float y[8], const float a[8], const float b[8]) {
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b)));
}

static inline __m256i load_32_bytes(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline word_vec h_bytes(const uint8_t *p) { return _mm256_cvtepu8_epi16(load_16_bytes(p)); }
static inline word_vec h_and(word_vec a, int16_t x) {
    return _mm256_and_si256(a, _mm256_set1_epi16(x));
}
static inline word_vec h_or(word_vec a, word_vec b) { return _mm256_or_si256(a, b); }
static inline word_vec h_left(word_vec a, int n) { return _mm256_slli_epi16(a, n); }
static inline word_vec h_right(word_vec a, int n) { return _mm256_srli_epi16(a, n); }
static inline word_vec h_less(word_vec a, int16_t x) {
    return _mm256_sub_epi16(a, _mm256_set1_epi16(x));
}
static inline word_vec h_times(word_vec a, word_vec b) { return _mm256_mullo_epi16(a, b); }
static inline word_vec h_halves(int16_t first, int16_t second, size_t i) {
    return _mm256_set1_epi16(i ? second : first);
}
static inline void h_eight_bytes(int16_t y[8], uint64_t b) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)b)));
}
static inline void v_eight_bytes(float *y, uint64_t b) {
    _mm256_storeu_ps(y, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)b))));
}
static inline word_vec h_load(const int16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline void h_store(int16_t *p, word_vec w) { _mm256_storeu_si256((__m256i *)(void *)p, w); }
static inline word_vec h_broadcast2(const int16_t *p) {
    int32_t both;
    memcpy(&both, p, sizeof both);
    return _mm256_set1_epi32(both);
}
static inline void h_transpose(word_vec v[8]) {
    __m256i a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}
static inline whole_vec i_zero(void) { return _mm256_setzero_si256(); }
/* The compiler would gather products before it adds them, and run out of registers. */
static inline whole_vec i_add_pairs(whole_vec s, word_vec a, word_vec b) {
    __m256i products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(s), "=&x"(products) : "x"(a), "x"(b));
    return s;
}
static inline vec i_float(whole_vec s) { return _mm256_cvtepi32_ps(s); }

static inline whole_vec i_add_products(whole_vec s, const word_vec w[2], const int16_t *q) {
    s = _mm256_add_epi32(s, _mm256_madd_epi16(w[0], load_32_bytes(q)));
    return _mm256_add_epi32(s, _mm256_madd_epi16(w[1], load_32_bytes(q + 16)));
}

static inline void h_block(enum dtype type, word_vec w[2], const uint8_t *block) {
    if (type == DTYPE_Q8_0) {
        w[0] = _mm256_cvtepi8_epi16(load_16_bytes(block + 2));
        w[1] = _mm256_cvtepi8_epi16(load_16_bytes(block + 18));
        return;
    }
    const __m256i bytes = h_bytes(block + 2);
    w[0] = h_less(h_and(bytes, 15), 8);
    w[1] = h_less(h_right(bytes, 4), 8);
}

/* ---- tiles ---- */

static inline void v_store_whole(int32_t *p, vec v) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_cvtps_epi32(v));
}
static inline vec v_load_whole(const int32_t *p) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vec v_size(vec v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
static inline vec v_larger_size(vec a, vec b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
static inline float v_most_size(vec v) {
    __m128i m = _mm_max_epi32(_mm_castps_si128(_mm256_castps256_ps128(v)),
                              _mm_castps_si128(_mm256_extractf128_ps(v, 1)));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1))));
}

static inline int32_t t_factors(struct factors *f, const vec w[4]) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    __m256i sum = _mm256_setzero_si256();
    for (int h = 0; h < 2; h++) {
        __m256i words =
            _mm256_packs_epi32(_mm256_cvtps_epi32(w[2 * h]), _mm256_cvtps_epi32(w[2 * h + 1]));
        _mm256_storeu_si256((__m256i *)(void *)f->pairs[h], _mm256_shuffle_epi8(words, order));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
    }
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* Returns the codes of quad k of a tile, for 8 of its 32 j. */
INLINE __m256i t_codes(size_t bits, const uint8_t *tile, int k, int quarter) {
    const __m256i *at = (const __m256i *)(const void *)(tile + 32 * quarter);
    if (bits == 8) return _mm256_loadu_si256(at + 4 * k);
    if (bits == 4)
        return _mm256_and_si256(
            _mm256_srli_epi16(_mm256_loadu_si256(at + 4 * (k / 2)), 4 * (k % 2)),
            _mm256_set1_epi8(15));
    __m256i two = _mm256_and_si256(
        _mm256_srli_epi16(_mm256_loadu_si256(at + 4 * (k / 4)), 2 * (k % 4)), _mm256_set1_epi8(3));
    if (bits == 2) return two;
    __m256i bit = _mm256_set1_epi8((char)(1u << k)),
            third = _mm256_and_si256(_mm256_loadu_si256(at + 8), bit);
    return _mm256_or_si256(two,
                           _mm256_and_si256(_mm256_cmpeq_epi8(third, bit), _mm256_set1_epi8(4)));
}

/* Returns sum + the products of the bytes u of a quad with its factors. The empty asm keeps gcc
 * from adding up all quads of a tile as a tree, whose leaves do not fit into 16 registers (it took
 * twice the time). */
static inline __m256i add_quad(__m256i sum, __m256i u, __m256i even, __m256i odd) {
    __m256i p = _mm256_madd_epi16(_mm256_and_si256(u, _mm256_set1_epi16(255)), even),
            r = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), odd);
    sum = _mm256_add_epi32(sum, _mm256_add_epi32(p, r));
    __asm__("" : "+x"(sum));
    return sum;
}

INLINE void t_sums(size_t bits, const struct tile_levels *levels, vec s[4], const uint8_t *tile,
                   const struct factors *f, int32_t middle) {
    __m256i sum[4], below[4], level_high = _mm256_setzero_si256(),
                              level_low = level_high; /* below: with the low bytes of levels */
    if (levels) {
        level_high = _mm256_broadcastsi128_si256(load_16_bytes(levels->high));
        level_low = _mm256_broadcastsi128_si256(load_16_bytes(levels->low));
    }
    for (int c = 0; c < 4; c++) {
        sum[c] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_set1_epi32(middle));
        below[c] = _mm256_setzero_si256();
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        const int32_t *pair = f->pairs[k / 4][k % 4 / 2 + k % 2 * 2];
        __m256i even = _mm256_set1_epi32(pair[0]), odd = _mm256_set1_epi32(pair[1]);
        for (int c = 0; c < 4; c++) {
            __m256i u = t_codes(bits, tile, k, c);
            if (levels) {
                below[c] = add_quad(below[c], _mm256_shuffle_epi8(level_low, u), even, odd);
                u = _mm256_shuffle_epi8(level_high, u);
            }
            sum[c] = add_quad(sum[c], u, even, odd);
        }
    }
    for (int c = 0; c < 4; c++) {
        s[c] = _mm256_cvtepi32_ps(sum[c]);
        if (levels) s[c] = v_fma(s[c], v_set1(256), _mm256_cvtepi32_ps(below[c]));
    }
}

/* ---- bytes ---- */

static inline byte_vec b_load(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline byte_vec b_low(byte_vec b) { return _mm256_and_si256(b, _mm256_set1_epi8(15)); }
static inline byte_vec b_high(byte_vec b) { return b_low(_mm256_srli_epi16(b, 4)); }
static inline byte_vec b_lookup(const uint8_t table[16], byte_vec codes) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_16_bytes(table)), codes);
}

static inline byte_vec b_add(byte_vec a, byte_vec b) { return _mm256_add_epi8(a, b); }

static inline uint32_t m_weights(struct mix_weights *w, const int32_t q[BYTES]) {
    uint32_t most = 0;
    for (int i = 0; i < BYTES; i++) most = (uint32_t)q[i] > most ? (uint32_t)q[i] : most;
    for (int i = 0; i < BYTES; i++) {
        w->first[i % 2][i / 2] = (int16_t)(q[i] & 0x7fff);
        w->top[i % 2][i / 2] = (int16_t)(q[i] >> MIX_BITS);
    }
    return most;
}

static inline mix_sum m_zero(void) {
    return (mix_sum){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

/* sum + the products of words with weights, in pairs. */
static inline __m256i add_words(__m256i sum, __m256i even, __m256i odd, const int16_t w[2][16]) {
    const __m256i *at = (const __m256i *)(const void *)w;
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, _mm256_loadu_si256(at)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, _mm256_loadu_si256(at + 1)));
}

/* The bytes of even and of odd rows become signed words. */
static inline void m_add(mix_sum *s, byte_vec v, const struct mix_weights *w, bool large) {
    __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), odd = _mm256_srai_epi16(v, 8);
    s->first = add_words(s->first, even, odd, w->first);
    if (large) s->top = add_words(s->top, even, odd, w->top);
}

static inline void m_totals(int32_t t[4], const mix_sum s[4]) {
    __m256i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm256_add_epi32(s[i].first, _mm256_slli_epi32(s[i].top, MIX_BITS));
    __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));
    _mm_storeu_si128((__m128i *)(void *)t,
                     _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
}

static inline word_sums w_zero(void) {
    return (word_sums){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
static inline void w_add(word_sums *s, byte_vec b) {
    s->all = _mm256_add_epi16(s->all, b);
    s->odd = _mm256_add_epi16(s->odd, _mm256_srli_epi16(b, 8));
}
static inline void w_store(uint16_t y[BYTES], word_sums s) {
    __m256i even = _mm256_sub_epi16(s.all, _mm256_slli_epi16(s.odd, 8));
    __m256i first = _mm256_unpacklo_epi16(even, s.odd), second = _mm256_unpackhi_epi16(even, s.odd);
    _mm256_storeu_si256((__m256i *)(void *)y, _mm256_permute2x128_si256(first, second, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(y + 16),
                        _mm256_permute2x128_si256(first, second, 0x31));
}

/* Compilers differ in whether __builtin_cpu_supports knows F16C, so leaf 1 of cpuid is asked: bit
 * 29 of ecx says it. */
static bool supported(void) {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

#include "kernels/set.inc"
#else
const struct kernels *const kernels_avx2 = NULL;
#endif
