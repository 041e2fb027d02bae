/* The operations of contract.inc in portable C: read it for what each one means. A vector is an
 * array of eight numbers, and sums run in AVX2's order, so that this set gives AVX2's bits.
 *
 * With these operations the shared kernels run, and are tested, on any processor. The set is slow,
 * and is taken only by its name (--kernels plain). */
#include "kernels/act.h"

#define SET plain
#define LANES 8
#define X_ROWS 3
#define BYTES 32
#define MIX_BITS 15
#define FEW_AT_A_TIME 0
#define BY_NAME_ONLY true
#define OWN_BLOCKS 0
#define WORD_PANELS 1
#define OWN_LOOKUP 0
/* Calls and loops stay here, because nobody waits for this set, but everybody for its compilation.
 * */
#define INLINE static
#define UNROLL

typedef struct {
    float lane[LANES];
} vec;

typedef struct {
    uint8_t byte[BYTES];
} byte_vec;

typedef struct {
    int16_t word[2 * LANES];
} word_vec;

typedef struct {
    int32_t whole[LANES];
} whole_vec;

typedef struct {
    uint16_t word[BYTES];
} word_sums;

typedef struct {
    uint32_t sum;
} mix_sum;

struct mix_weights {
    uint32_t q[BYTES];
};

struct factors {
    int32_t a[TILE_SIDE];
};

#include "kernels/contract.inc"

#define EACH(i) for (size_t i = 0; i < LANES; i++)

/* ---- float32 numbers ---- */

static inline vec v_set1(float x) {
    vec v;
    EACH (i) v.lane[i] = x;
    return v;
}

static inline vec v_load(const float *p) {
    vec v;
    memcpy(v.lane, p, sizeof v.lane);
    return v;
}

static inline void v_store(float *p, vec v) { memcpy(p, v.lane, sizeof v.lane); }

static inline vec v_load_part(const float *p, size_t n) {
    vec v = v_set1(0);
    memcpy(v.lane, p, n * sizeof *p);
    return v;
}

static inline void v_store_part(float *p, vec v, size_t n) { memcpy(p, v.lane, n * sizeof *p); }

static inline vec v_first(vec v, size_t n) { return v_load_part(v.lane, n); }

static inline vec v_keep(vec v) { return v; }

static inline vec v_add(vec a, vec b) {
    EACH (i) a.lane[i] += b.lane[i];
    return a;
}

static inline vec v_sub(vec a, vec b) {
    EACH (i) a.lane[i] -= b.lane[i];
    return a;
}

static inline vec v_mul(vec a, vec b) {
    EACH (i) a.lane[i] *= b.lane[i];
    return a;
}

static inline vec v_div(vec a, vec b) {
    EACH (i) a.lane[i] /= b.lane[i];
    return a;
}

static inline vec v_fma(vec a, vec b, vec c) {
    EACH (i) c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

static inline vec v_max(vec a, vec b) {
    EACH (i) b.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

static inline vec v_min(vec a, vec b) {
    EACH (i) b.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

static inline vec v_round(vec v) {
    EACH (i) v.lane[i] = rintf(v.lane[i]);
    return v;
}

/* These give the bits of a float32 number, and the number of such bits. */
static inline uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float number_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Returns the nearest whole number, and INT32_MIN for NaN and for what is out of range. */
static inline int32_t whole_number(float x) {
    return x >= -0x1p31f && x < 0x1p31f ? (int32_t)rintf(x) : INT32_MIN;
}

static inline vec v_pow2(vec k) {
    EACH (i) k.lane[i] = number_of(((uint32_t)whole_number(k.lane[i]) + 127u) << 23);
    return k;
}

static inline vec v_zero_where_less(vec v, vec x, vec least) {
    EACH (i) v.lane[i] = x.lane[i] < least.lane[i] ? 0 : v.lane[i];
    return v;
}

static inline vec v_where_greater(vec a, vec b, vec x, vec y) {
    EACH (i) y.lane[i] = a.lane[i] > b.lane[i] ? x.lane[i] : y.lane[i];
    return y;
}

static inline uint32_t v_bits_at_least(vec a, vec b) {
    uint32_t bits = 0;
    EACH (i) bits |= (uint32_t)(a.lane[i] >= b.lane[i]) << i;
    return bits;
}
static inline size_t v_put_bits(uint32_t *index, uint32_t first, uint32_t bits) {
    size_t n = 0;
    for (; bits; bits &= bits - 1) index[n++] = first + (uint32_t)__builtin_ctz(bits);
    return n;
}

static inline float greater(float a, float b) { return a > b ? a : b; }

static inline float v_most(vec v) {
    float m[4];
    for (int i = 0; i < 4; i++) m[i] = greater(v.lane[i], v.lane[i + 4]);
    return greater(greater(m[0], m[2]), greater(m[1], m[3]));
}

/* Returns the sum of four neighbouring lanes. */
static inline float sum_of_four(const float *s) { return (s[0] + s[1]) + (s[2] + s[3]); }

static inline void v_sum4(float s[4], vec a, vec b, vec c, vec d) {
    const vec v[4] = {a, b, c, d};
    for (int j = 0; j < 4; j++) s[j] = sum_of_four(v[j].lane) + sum_of_four(v[j].lane + 4);
}

static inline vec v_broadcast4(const float *p) {
    vec v;
    EACH (i) v.lane[i] = p[i % 4];
    return v;
}

static inline void v_transpose_fours(vec v[GROUPS]) {
    for (int i = 0; i < 4; i++) {
        float x = v[0].lane[4 + i];
        v[0].lane[4 + i] = v[1].lane[i];
        v[1].lane[i] = x;
    }
}

static inline vec v_sum_fours(vec a, vec b, vec c, vec d) {
    const vec v[4] = {a, b, c, d};
    vec s;
    EACH (i) s.lane[i] = sum_of_four(v[i % 4].lane + i / 4 * 4);
    return s;
}

/* ---- stored numbers ---- */

static inline vec v_load_f16(const uint16_t *p) {
    vec v;
    EACH (i) v.lane[i] = f16_to_f32(p[i]);
    return v;
}

static inline vec v_load_bf16(const uint16_t *p) {
    vec v;
    EACH (i) v.lane[i] = bf16_to_f32(p[i]);
    return v;
}

static inline void v_store_f16(uint16_t *p, vec v) {
    EACH (i) p[i] = f32_to_f16(v.lane[i]);
}

static inline float v_f16_number(uint16_t h) { return f16_to_f32(h); }

static inline vec v_load_whole(const int32_t *p) {
    vec v;
    EACH (i) v.lane[i] = (float)p[i];
    return v;
}

static inline void v_store_whole(int32_t *p, vec v) {
    EACH (i) p[i] = whole_number(v.lane[i]);
}

/* Returns whole number i of a block. p is behind the scale. */
static inline int32_t block_number(enum dtype type, const uint8_t *p, size_t i) {
    if (type == DTYPE_Q8_0) return p[i] < 128 ? p[i] : p[i] - 256;
    return (i < 16 ? p[i] & 15 : p[i - 16] >> 4) - 8;
}

static inline void load_numbers(enum dtype type, vec q[BLOCK_VECS], const uint8_t *p) {
    for (size_t i = 0; i < BLOCK; i++)
        q[i / LANES].lane[i % LANES] = (float)block_number(type, p, i);
}

static inline void v_load_q8(vec q[BLOCK_VECS], const uint8_t *p) {
    load_numbers(DTYPE_Q8_0, q, p);
}

static inline void v_load_q4(vec q[BLOCK_VECS], const uint8_t *p) {
    load_numbers(DTYPE_Q4_0, q, p);
}

/* ---- products of weights in blocks ---- */

static inline void v_eight_scales(float d[8], const uint8_t *block, size_t bytes) {
    for (size_t i = 0; i < 8; i++) {
        uint16_t h;
        memcpy(&h, block + i * bytes, sizeof h);
        d[i] = f16_to_f32(h);
    }
}
static inline void v_eight_times(float y[8], const float a[8], const float b[8]) {
    for (size_t i = 0; i < 8; i++) y[i] = a[i] * b[i];
}

#define EACH_WORD(i) for (size_t i = 0; i < WORDS; i++)

static inline word_vec h_bytes(const uint8_t *p) {
    word_vec a;
    EACH_WORD(i) a.word[i] = p[i];
    return a;
}
static inline word_vec h_and(word_vec a, int16_t x) {
    EACH_WORD(i) a.word[i] &= x;
    return a;
}
static inline word_vec h_or(word_vec a, word_vec b) {
    EACH_WORD(i) a.word[i] |= b.word[i];
    return a;
}
static inline word_vec h_left(word_vec a, int n) {
    EACH_WORD(i) a.word[i] = (int16_t)(uint16_t)((uint16_t)a.word[i] << n);
    return a;
}
static inline word_vec h_right(word_vec a, int n) {
    EACH_WORD(i) a.word[i] = (int16_t)((uint16_t)a.word[i] >> n);
    return a;
}
static inline word_vec h_less(word_vec a, int16_t x) {
    EACH_WORD(i) a.word[i] = (int16_t)(a.word[i] - x);
    return a;
}
static inline word_vec h_times(word_vec a, word_vec b) {
    EACH_WORD(i) a.word[i] = (int16_t)(a.word[i] * b.word[i]);
    return a;
}
static inline word_vec h_halves(int16_t first, int16_t second, size_t i) {
    word_vec a;
    EACH_WORD(k) a.word[k] = i ? second : first;
    return a;
}
static inline void h_eight_bytes(int16_t y[8], uint64_t b) {
    for (size_t i = 0; i < 8; i++) y[i] = b >> 8 * i & 255;
}
static inline void v_eight_bytes(float *y, uint64_t b) {
    for (size_t i = 0; i < 8; i++) y[i] = (float)(b >> 8 * i & 255);
}
static inline word_vec h_load(const int16_t *p) {
    word_vec a;
    memcpy(a.word, p, sizeof a.word);
    return a;
}
static inline void h_store(int16_t *p, word_vec w) { memcpy(p, w.word, sizeof w.word); }
static inline word_vec h_broadcast2(const int16_t *p) {
    word_vec a;
    EACH_WORD(i) a.word[i] = p[i % 2];
    return a;
}
static inline void h_transpose(word_vec v[LANES]) {
    word_vec t[LANES];
    for (size_t k = 0; k < LANES; k++) EACH_WORD(i) t[k].word[i] = v[i / 2].word[2 * k + i % 2];
    memcpy(v, t, sizeof t);
}
static inline whole_vec i_zero(void) { return (whole_vec){{0}}; }
static inline whole_vec i_add_pairs(whole_vec s, word_vec a, word_vec b) {
    EACH_WORD(i) s.whole[i / 2] += a.word[i] * b.word[i];
    return s;
}
static inline vec i_float(whole_vec s) { return v_load_whole(s.whole); }
/* Lane i has the products of numbers 2 i, 2 i + 1, 16 + 2 i and 17 + 2 i. */
static inline whole_vec i_add_products(whole_vec s, const word_vec w[BLOCK_WORDS],
                                       const int16_t *q) {
    for (size_t i = 0; i < BLOCK; i++) s.whole[i % 16 / 2] += w[i / 16].word[i % 16] * q[i];
    return s;
}

static inline void h_block(enum dtype type, word_vec w[BLOCK_WORDS], const uint8_t *block) {
    for (size_t i = 0; i < BLOCK; i++)
        w[i / WORDS].word[i % WORDS] = (int16_t)block_number(type, block + 2, i);
}

/* ---- tiles ---- */

static inline vec v_size(vec v) {
    EACH (i) v.lane[i] = fabsf(v.lane[i]);
    return v;
}

static inline vec v_larger_size(vec a, vec b) {
    EACH (i) a.lane[i] = bits_of(a.lane[i]) > bits_of(b.lane[i]) ? a.lane[i] : b.lane[i];
    return a;
}

static inline float v_most_size(vec v) {
    uint32_t most = 0;
    EACH (i) most = bits_of(v.lane[i]) > most ? bits_of(v.lane[i]) : most;
    return number_of(most);
}

static inline int32_t t_factors(struct factors *f, const vec w[TILE_VECS]) {
    int32_t sum = 0;
    for (size_t i = 0; i < TILE_SIDE; i++) {
        float x = w[i / LANES].lane[i % LANES];
        sum += f->a[i] = fabsf(x) < 2 * TILE_FACTOR_MAX ? whole_number(x) : 0; /* 0 for NaN */
    }
    return sum;
}

/* Code i of number j: tiles.h draws where it lies. */
static inline int32_t code_at(size_t bits, const uint8_t *tile, size_t i, size_t j) {
    size_t quad = i / 4, at = 4 * j + i % 4;
    if (bits == 8) return tile[128 * quad + at];
    if (bits == 4) return tile[128 * (quad / 2) + at] >> 4 * (quad % 2) & 15;
    int32_t two = tile[128 * (quad / 4) + at] >> 2 * (quad % 4) & 3;
    return bits == 2 ? two : two | (tile[256 + at] >> quad & 1) << 2;
}

INLINE void t_sums(size_t bits, const struct tile_levels *levels, vec s[TILE_VECS],
                   const uint8_t *tile, const struct factors *f, int32_t middle) {
    for (size_t j = 0; j < TILE_SIDE; j++) {
        int32_t sum = -middle, below = 0;
        for (size_t i = 0; i < TILE_SIDE; i++) {
            int32_t code = code_at(bits, tile, i, j);
            if (levels) below += f->a[i] * levels->low[code];
            sum += f->a[i] * (levels ? levels->high[code] : code);
        }
        float *to = &s[j / LANES].lane[j % LANES];
        *to = levels ? fmaf((float)sum, 256, (float)below) : (float)sum;
    }
}

/* ---- bytes ---- */

#define EACH_BYTE(i) for (size_t i = 0; i < BYTES; i++)

static inline byte_vec b_load(const uint8_t *p) {
    byte_vec b;
    memcpy(b.byte, p, BYTES);
    return b;
}

static inline byte_vec b_low(byte_vec b) {
    EACH_BYTE (i) b.byte[i] &= 15;
    return b;
}

static inline byte_vec b_high(byte_vec b) {
    EACH_BYTE (i) b.byte[i] >>= 4;
    return b;
}

static inline byte_vec b_lookup(const uint8_t table[16], byte_vec codes) {
    EACH_BYTE (i) codes.byte[i] = table[codes.byte[i]];
    return codes;
}

static inline byte_vec b_add(byte_vec a, byte_vec b) {
    EACH_BYTE (i) a.byte[i] = (uint8_t)(a.byte[i] + b.byte[i]);
    return a;
}

static inline uint32_t m_weights(struct mix_weights *w, const int32_t q[BYTES]) {
    uint32_t most = 0;
    memcpy(w->q, q, sizeof w->q);
    EACH_BYTE (i) most = w->q[i] > most ? w->q[i] : most;
    return most;
}

static inline mix_sum m_zero(void) { return (mix_sum){0}; }

static inline void m_add(mix_sum *s, byte_vec v, const struct mix_weights *w, bool large) {
    (void)large;
    EACH_BYTE (i) s->sum += w->q[i] * (uint32_t)(int8_t)v.byte[i];
}

static inline void m_totals(int32_t t[4], const mix_sum s[4]) {
    for (size_t i = 0; i < 4; i++) t[i] = (int32_t)s[i].sum;
}

static inline word_sums w_zero(void) { return (word_sums){{0}}; }

static inline void w_add(word_sums *s, byte_vec b) {
    EACH_BYTE (i) s->word[i] = (uint16_t)(s->word[i] + b.byte[i]);
}

static inline void w_store(uint16_t y[BYTES], word_sums s) { memcpy(y, s.word, sizeof s.word); }

/* ---- the set ---- */

static bool supported(void) { return true; }

#include "kernels/set.inc"
