/* The kernels written once for any vector unit. A set (avx2.c, avx512.c, neon.c) defines
 *   LANES       float32 numbers in a vector: 4, 8 or 16
 *   X_ROWS      rows of x that meet a panel of weights at once in matmul, 3 or 6: 4 * X_ROWS sums and X_ROWS + 1 more fill the registers
 *   vec and v_* the vector type and the operations on it
 * and then includes this file, which defines the static functions of struct kernels.
 *
 * The functions marked INLINE take the type and the numbers of rows as constants: after inlining no switch or loop over them is left. */
#include <math.h>
#include <string.h>

#include "kernels/act.h"

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 32, BLOCK_VECS = BLOCK / LANES };

/* numbers c..c+LANES-1 of a row of f32, f16 or bf16 */
INLINE vec load(enum dtype type, const void *row, size_t c) {
    switch (type) {
    case DTYPE_F16: return v_load_f16((const uint16_t *)row + c);
    case DTYPE_BF16: return v_load_bf16((const uint16_t *)row + c);
    default: return v_load((const float *)row + c);
    }
}

/* the same for n < LANES numbers, followed by zeros */
INLINE vec load_part(enum dtype type, const void *row, size_t c, size_t n) {
    if (type == DTYPE_F32) return v_load_part((const float *)row + c, n);
    uint16_t padded[LANES] = {0};
    for (size_t i = 0; i < n; i++) padded[i] = ((const uint16_t *)row)[c + i];
    return load(type, padded, 0);
}

/* the whole numbers q of a Q8_0 or Q4_0 block, before the scale */
INLINE void load_block(enum dtype type, vec q[BLOCK_VECS], const uint8_t *block) {
    if (type == DTYPE_Q8_0)
        v_load_q8(q, block + 2);
    else
        v_load_q4(q, block + 2);
}

INLINE float block_scale(const uint8_t *block) {
    uint16_t h;
    memcpy(&h, block, sizeof h);
    return v_f16_number(h);
}

/* Where weights lie in pages of 4 KB, the first read of each waits until its address is looked up, and a core cannot run ahead of that for long (in a virtual
 * machine lookups take twice the steps). So of pages to come several are touched at once, and their lookups overlap. */
enum { PAGE = 4096, PAGES = 8 };

/* rows that PAGES pages hold, 1 or more, a multiple of `of` */
INLINE size_t rows_of_pages(size_t stride, size_t of) { return stride * of < PAGES * PAGE ? PAGES * PAGE / (stride * of) * of : of; }

/* Touches the pages of rows begin .. end - 1 of w, those before row `rows`. */
INLINE void touch_pages(const uint8_t *w, size_t stride, size_t begin, size_t end, size_t rows) {
    if (end > rows) end = rows;
    for (size_t at = begin * stride; at < end * stride; at += PAGE) __builtin_prefetch(w + at, 0, 2);
}

INLINE bool is_block(enum dtype type) { return type == DTYPE_Q8_0 || type == DTYPE_Q4_0; }

INLINE void to_f32_type(enum dtype type, float *y, const void *w, size_t n) {
    size_t i = 0;
    if (is_block(type)) {
        const uint8_t *block = w;
        for (; i < n; i += BLOCK, block += dtype_bytes(type, BLOCK)) {
            vec q[BLOCK_VECS], d = v_set1(block_scale(block));
            load_block(type, q, block);
            for (int j = 0; j < BLOCK_VECS; j++) v_store(y + i + j * LANES, v_mul(d, q[j]));
        }
        return;
    }
    for (; i + LANES <= n; i += LANES) v_store(y + i, load(type, w, i));
    if (i < n) v_store_part(y + i, load_part(type, w, i, n - i), n - i);
}

static void to_f32(enum dtype type, float *y, const void *w, size_t n) {
    switch (type) {
    case DTYPE_F16: to_f32_type(DTYPE_F16, y, w, n); break;
    case DTYPE_BF16: to_f32_type(DTYPE_BF16, y, w, n); break;
    case DTYPE_Q8_0: to_f32_type(DTYPE_Q8_0, y, w, n); break;
    case DTYPE_Q4_0: to_f32_type(DTYPE_Q4_0, y, w, n); break;
    default:
        if (n) memcpy(y, w, n * sizeof *y);
    }
}

static void to_f16(uint16_t *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store_f16(y + i, v_load(x + i));
    for (; i < n; i++) y[i] = f32_to_f16(x[i]);
}

#include "kernels/vector_matvec.h"

/* `vecs` (a constant) vectors of columns of y stay in registers while all rows pass; each column sums its rows in order. */
INLINE void vecmat_columns(enum dtype type, size_t vecs, float *y, const uint8_t *w, size_t stride, size_t rows, const float *a, size_t c) {
    vec sum[8];
    for (size_t j = 0; j < vecs; j++) sum[j] = v_load(y + c + j * LANES);
    for (size_t r = 0; r < rows; r++) {
        vec s = v_set1(a[r]);
        for (size_t j = 0; j < vecs; j++) sum[j] = v_fma(s, load(type, w + r * stride, c + j * LANES), sum[j]);
    }
    for (size_t j = 0; j < vecs; j++) v_store(y + c + j * LANES, sum[j]);
}

INLINE void vecmat_blocks(enum dtype type, float *y, const uint8_t *w, size_t stride, size_t rows, const float *a, size_t cols) {
    for (size_t c = 0; c < cols; c += BLOCK) {
        const uint8_t *block = w + dtype_bytes(type, c);
        vec sum[BLOCK_VECS], q[BLOCK_VECS];
        for (int j = 0; j < BLOCK_VECS; j++) sum[j] = v_load(y + c + j * LANES);
        for (size_t r = 0; r < rows; r++, block += stride) {
            vec s = v_set1(a[r] * block_scale(block));
            load_block(type, q, block);
            for (int j = 0; j < BLOCK_VECS; j++) sum[j] = v_fma(s, q[j], sum[j]);
        }
        for (int j = 0; j < BLOCK_VECS; j++) v_store(y + c + j * LANES, sum[j]);
    }
}

INLINE void vecmat_type(enum dtype type, float *y, const uint8_t *w, size_t stride, size_t rows, const float *a, size_t cols) {
    size_t c = 0;
    for (; c + 8 * LANES <= cols; c += 8 * LANES) vecmat_columns(type, 8, y, w, stride, rows, a, c);
    if (c + 4 * LANES <= cols) vecmat_columns(type, 4, y, w, stride, rows, a, c), c += 4 * LANES;
    if (c + 2 * LANES <= cols) vecmat_columns(type, 2, y, w, stride, rows, a, c), c += 2 * LANES;
    if (c + LANES <= cols) vecmat_columns(type, 1, y, w, stride, rows, a, c), c += LANES;
    if (c == cols) return;
    vec sum = v_load_part(y + c, cols - c);
    for (size_t r = 0; r < rows; r++) sum = v_fma(v_set1(a[r]), load_part(type, w + r * stride, c, cols - c), sum);
    v_store_part(y + c, sum, cols - c);
}

static void vecmat(enum dtype type, float *y, const void *w, size_t stride, size_t rows, const float *a, size_t cols) {
    switch (type) {
    case DTYPE_F16: vecmat_type(DTYPE_F16, y, w, stride, rows, a, cols); break;
    case DTYPE_BF16: vecmat_type(DTYPE_BF16, y, w, stride, rows, a, cols); break;
    case DTYPE_Q8_0: vecmat_blocks(DTYPE_Q8_0, y, w, stride, rows, a, cols); break;
    case DTYPE_Q4_0: vecmat_blocks(DTYPE_Q4_0, y, w, stride, rows, a, cols); break;
    default: vecmat_type(DTYPE_F32, y, w, stride, rows, a, cols);
    }
}

#include "kernels/vector_matmul.h"

/* the sum of all lanes */
INLINE float sum_of(vec v) {
    float s[4];
    v_sum4(s, v, v, v, v);
    return s[0];
}

static void layernorm(float *y, const float *x, const float *weight, const float *bias, size_t n, float eps) {
    size_t whole = n - n % LANES, rest = n - whole;
    vec sum = v_set1(0), squares = v_set1(0);
    for (size_t i = 0; i < whole; i += LANES) sum = v_add(sum, v_load(x + i));
    if (rest) sum = v_add(sum, v_load_part(x + whole, rest));
    vec mean = v_set1(sum_of(sum) / (float)n);
    for (size_t i = 0; i < whole; i += LANES) {
        vec d = v_sub(v_load(x + i), mean);
        squares = v_fma(d, d, squares);
    }
    if (rest) { /* zero on both sides past the end, so that those lanes add nothing */
        vec d = v_sub(v_load_part(x + whole, rest), v_first(mean, rest));
        squares = v_fma(d, d, squares);
    }
    vec scale = v_set1(1 / sqrtf(sum_of(squares) / (float)n + eps));
    for (size_t i = 0; i < whole; i += LANES) {
        vec d = v_mul(v_sub(v_load(x + i), mean), scale);
        v_store(y + i, v_fma(d, v_load(weight + i), v_load(bias + i)));
    }
    if (rest) {
        vec d = v_mul(v_sub(v_load_part(x + whole, rest), mean), scale);
        v_store_part(y + whole, v_fma(d, v_load_part(weight + whole, rest), v_load_part(bias + whole, rest)), rest);
    }
}

/* exp(x + tail) for a tail of at most an ulp of x: x = k ln 2 + r with |r| <= ln(2)/2, and 2^k times the Taylor series of exp(r), which
 * is 5e-9 off after r^7. ln 2 is cut in two (Cody and Waite 1980) so that k times its head is exact. Results below the normal
 * numbers are 0, above 2^127.5 infinity; NaN stays NaN. */
INLINE vec exp_sum(vec x, vec tail) {
    vec top = v_min(v_set1(88.8f), x), k = v_round(v_mul(top, v_set1(1.44269504f)));
    vec r = v_fma(k, v_set1(-0.693359375f), top);
    r = v_add(v_fma(k, v_set1(2.12194440e-4f), r), tail);
    vec p = v_set1(1.0f / 5040);
    p = v_fma(p, r, v_set1(1.0f / 720));
    p = v_fma(p, r, v_set1(1.0f / 120));
    p = v_fma(p, r, v_set1(1.0f / 24));
    p = v_fma(p, r, v_set1(1.0f / 6));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, r, v_set1(1));
    p = v_fma(p, r, v_set1(1));
    return v_zero_where_less(v_mul(p, v_pow2(k)), x, v_set1(-87.336548f));
}

/* (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), so gelu(x) = x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))). */
INLINE vec gelu_tanh_of(vec x) {
    vec inner = v_fma(v_mul(x, x), v_set1(0.044715f), v_set1(1));
    vec u = v_mul(v_mul(x, v_set1(-1.5957691216f)), inner);
    return v_div(x, v_add(v_set1(1), exp_sum(u, v_set1(0))));
}

/* 1 - erf(z) = (a1 t + ... + a5 t^5) exp(-z^2) with t = 1 / (1 + p z), z >= 0, within 1.5e-7: Abramowitz and Stegun 7.1.26.
 * With z = |x| / sqrt 2, gelu(x) = max(x, 0) - |x|/2 (1 - erf(z)). */
INLINE vec gelu_erf_of(vec x) {
    vec positive = v_max(v_set1(0), x), magnitude = v_max(x, v_sub(v_set1(0), x));
    vec t = v_div(v_set1(1), v_fma(magnitude, v_set1(0.3275911f * 0.7071067812f), v_set1(1)));
    vec p = v_set1(1.061405429f);
    p = v_fma(p, t, v_set1(-1.453152027f));
    p = v_fma(p, t, v_set1(1.421413741f));
    p = v_fma(p, t, v_set1(-0.284496736f));
    p = v_fma(p, t, v_set1(0.254829592f));
    vec e = exp_sum(v_mul(v_mul(x, v_set1(-0.5f)), x), v_set1(0));
    vec complement = v_mul(v_mul(p, t), e);
    return v_sub(positive, v_mul(v_mul(magnitude, v_set1(0.5f)), complement));
}

static void gelu_tanh(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(x + i, gelu_tanh_of(v_load(x + i)));
    if (i < n) v_store_part(x + i, gelu_tanh_of(v_load_part(x + i, n - i)), n - i);
}

static void gelu_erf(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(x + i, gelu_erf_of(v_load(x + i)));
    if (i < n) v_store_part(x + i, gelu_erf_of(v_load_part(x + i, n - i)), n - i);
}

/* exp(x - most). The difference is rounded, by up to 4e-6 near 80; what was lost (Knuth's TwoSum) goes along as the tail. */
INLINE vec exp_difference(vec x, vec most) {
    vec d = v_sub(x, most), moved = v_sub(d, x);
    return exp_sum(d, v_sub(v_sub(x, v_sub(d, moved)), v_add(most, moved)));
}

static void softmax(float *x, size_t n) {
    float most = x[0];
    size_t i = 0;
    if (n >= LANES) {
        vec m = v_load(x);
        for (i = LANES; i + LANES <= n; i += LANES) m = v_max(m, v_load(x + i));
        most = v_most(m);
    }
    for (; i < n; i++) most = x[i] > most ? x[i] : most;

    vec m = v_set1(most), sum = v_set1(0);
    for (i = 0; i + LANES <= n; i += LANES) {
        vec e = exp_difference(v_load(x + i), m);
        v_store(x + i, e);
        sum = v_add(sum, e);
    }
    if (i < n) {
        vec e = v_first(exp_difference(v_load_part(x + i, n - i), m), n - i);
        v_store_part(x + i, e, n - i);
        sum = v_add(sum, e);
    }
    float scale = 1 / sum_of(sum);
    vec s = v_set1(scale);
    for (i = 0; i + LANES <= n; i += LANES) v_store(x + i, v_mul(v_load(x + i), s));
    for (; i < n; i++) x[i] *= scale;
}

/* Enough chains that two units (four of half the width) of a latency of four or five cycles never wait: registers end at 16 where LANES is 8, at 32
 * else. Each chain begins with a number of its own, or the compiler would see that they are one. */
enum { CHAINS = LANES == 8 ? 12 : 16 };

static float multiply_add(size_t rounds) {
    vec x[CHAINS], half = v_set1(0.5f), one = v_set1(1);
    for (int j = 0; j < CHAINS; j++) x[j] = v_set1((float)j);
    for (; rounds; rounds--)
        for (int j = 0; j < CHAINS; j++) x[j] = v_fma(x[j], half, one);
    for (int j = 1; j < CHAINS; j++) x[0] = v_add(x[0], x[j]);
    return sum_of(x[0]);
}

/* The sum of x in `streams` streams, which asks for lines `ahead` lines before their use: in the second cache, or in the first. */
INLINE float read_streams(const float *x, size_t n, size_t streams, size_t ahead, bool second) {
    enum { MOST = 12, LINE = 64 / sizeof(float) };
    vec sum[MOST];
    size_t part = n / streams / LINE * LINE;
    for (size_t s = 0; s < streams; s++) sum[s] = v_set1(0);
    for (size_t c = 0; c < part; c += LINE)
        for (size_t s = 0; s < streams; s++) {
            const float *line = x + s * part + c;
            if (c + ahead * LINE < part) {
                if (second)
                    __builtin_prefetch(line + ahead * LINE, 0, 2);
                else
                    __builtin_prefetch(line + ahead * LINE);
            }
            for (size_t j = 0; j < LINE; j += LANES) sum[s] = v_add(sum[s], v_load(line + j));
        }
    float rest = 0;
    for (size_t i = streams * part; i < n; i++) rest += x[i];
    for (size_t s = 1; s < streams; s++) sum[0] = v_add(sum[0], sum[s]);
    return sum_of(sum[0]) + rest;
}

/* Which is faster is the machine's (Ice Lake server, two cores: 23 GB/s with 1 stream, 30 with 8, 33 with 12; Zen 4, two cores on two dies: 53 with 12, 64
 * with 2 that ask further ahead). */
static float read_sum(const float *x, size_t n, bool many) { return many ? read_streams(x, n, 12, 8, false) : read_streams(x, n, 2, 32, true); }
