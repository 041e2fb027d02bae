/* Products of several rows of activations with weights in blocks, in whole numbers: vpdpbusd multiplies and adds 64 pairs of bytes where an instruction for
 * float32 does 16 pairs. A row of activations is 16 bits, 256 h + l as for one row, so two instructions do what four would (Zen 4, one core:
 * 209 GFLOP/s, of float32's 118).
 *
 * A panel holds 16 rows of weights: of each block eight vectors, vector k with columns 4 k .. 4 k + 3 of every row side by side, as q + 128; and 16 scales.
 * One vector meets h and l of several rows of activations, four of them broadcast. Sums of a block are exact; then they are scaled and added up in float32. */
#ifndef LOOKAT_KERNELS_AVX512_BLOCKS_H
#define LOOKAT_KERNELS_AVX512_BLOCKS_H

enum {
    BLOCK_ROWS = 16,
    BLOCK_COLS = 768, /* of a panel: it and BLOCK_X rows of activations fit the first cache */
    BLOCK_X = 8       /* rows of activations at once: 24 sums of 32 registers */
};

/* A row of activations: h[cols], l[cols], then for each block start, -128 times the sum of its whole numbers, and its scale. */
static size_t row_act_bytes(size_t cols) { return (2 * cols + cols / ACT_BLOCK * (sizeof(int32_t) + sizeof(float)) + 63) / 64 * 64; }

struct act_row {
    int8_t *h, *l;
    int32_t *start;
    float *scale;
};

static inline struct act_row act_row_at(const void *base, size_t cols) {
    int8_t *h = (int8_t *)(uintptr_t)base;
    int32_t *start = (int32_t *)(void *)(h + 2 * cols);
    return (struct act_row){h, h + cols, start, (float *)(void *)(start + cols / ACT_BLOCK)};
}

static void row_act_from_f32(void *act, const float *x, size_t cols) {
    struct act_row a = act_row_at(act, cols);
    for (size_t b = 0; b < cols / ACT_BLOCK; b++) {
        int16_t q[ACT_BLOCK];
        a.scale[b] = act_block_from_f32(q, x + b * ACT_BLOCK);
        __m512i words = _mm512_loadu_si512(q), high = _mm512_srai_epi16(_mm512_add_epi16(words, _mm512_set1_epi16(128)), 8);
        _mm256_storeu_si256((__m256i *)(void *)(a.h + b * ACT_BLOCK), _mm512_cvtepi16_epi8(high));
        _mm256_storeu_si256((__m256i *)(void *)(a.l + b * ACT_BLOCK), _mm512_cvtepi16_epi8(words));
        a.start[b] = _mm512_reduce_add_epi32(_mm512_madd_epi16(words, _mm512_set1_epi16(-128)));
    }
}

struct block_panel {
    _Alignas(64) uint8_t w[BLOCK_COLS / ACT_BLOCK][8][64];
    float scale[BLOCK_COLS / ACT_BLOCK][BLOCK_ROWS];
};

/* the 32 weights of a block as q + 128 */
INLINE __m256i block_bytes(enum dtype type, const uint8_t *block) {
    if (type == DTYPE_Q8_0) return _mm256_xor_si256(load_32_bytes(block + 2), _mm256_set1_epi8((char)0x80));
    __m128i both = load_16_bytes(block + 2);
    __m256i n = _mm256_inserti128_si256(_mm256_castsi128_si256(both), _mm_srli_epi16(both, 4), 1);
    return _mm256_add_epi8(_mm256_and_si256(n, _mm256_set1_epi8(15)), _mm256_set1_epi8(120));
}

/* v[k] = four bytes k of the rows 0 .. 7 and 8 .. 15, from v[r] = rows r and r + 8: a transpose in each half */
INLINE void transpose_halves(__m512i v[8]) {
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    __m512i a[8], b[8];
    UNROLL for (int i = 0; i < 8; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        v[i] = _mm512_permutex2var_epi64(b[i], low, b[i + 4]);
        v[i + 4] = _mm512_permutex2var_epi64(b[i], high, b[i + 4]);
    }
}

/* Columns 0 .. cols - 1 of `rows` <= BLOCK_ROWS rows of w to a panel; rows past them are zeros. What lies `next` bytes further is asked for meanwhile. */
INLINE void pack_blocks(enum dtype type, struct block_panel *p, const uint8_t *w, size_t stride, size_t rows, size_t cols, ptrdiff_t next) {
    for (size_t b = 0; b < cols / ACT_BLOCK; b++, w += bytes_of(type, BLOCK)) {
        __m512i v[8];
        uint16_t d[BLOCK_ROWS] = {0};
        UNROLL for (size_t r = 0; r < 8; r++) {
            __m256i first = _mm256_setzero_si256(), second = first;
            if (r < rows) first = block_bytes(type, w + r * stride), memcpy(&d[r], w + r * stride, sizeof d[r]);
            if (r + 8 < rows) second = block_bytes(type, w + (r + 8) * stride), memcpy(&d[r + 8], w + (r + 8) * stride, sizeof d[r + 8]);
            __builtin_prefetch((const void *)((uintptr_t)(w + r * stride) + (uintptr_t)next), 0, 2);
            __builtin_prefetch((const void *)((uintptr_t)(w + (r + 8) * stride) + (uintptr_t)next), 0, 2);
            v[r] = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
        }
        transpose_halves(v);
        UNROLL for (int k = 0; k < 8; k++) _mm512_store_si512(p->w[b][k], v[k]);
        v_store(p->scale[b], v_load_f16(d));
    }
}

/* p[0..3] in every four bytes */
INLINE __m512i broadcast_4_bytes(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/* y[n][rows] = columns c .. c + cols - 1 of n <= BLOCK_X (a constant) rows of activations times a panel, or that is added to y. */
INLINE void block_rows(size_t n, float *y, size_t ldy, size_t rows, const struct block_panel *p, const uint8_t *acts, size_t act_cols, size_t c,
                       size_t cols) {
    vec total[BLOCK_X];
    struct act_row a[BLOCK_X];
    UNROLL for (size_t i = 0; i < n; i++) total[i] = v_set1(0), a[i] = act_row_at(acts + i * row_act_bytes(act_cols), act_cols);
    for (size_t b = 0; b < cols / ACT_BLOCK; b++) {
        __m512i high[BLOCK_X], low[BLOCK_X];
        size_t at = c / ACT_BLOCK + b;
        UNROLL for (size_t i = 0; i < n; i++) high[i] = _mm512_setzero_si512(), low[i] = _mm512_set1_epi32(a[i].start[at]);
        UNROLL for (size_t k = 0; k < 8; k++) {
            __m512i w = _mm512_load_si512(p->w[b][k]);
            UNROLL for (size_t i = 0; i < n; i++) {
                high[i] = _mm512_dpbusd_epi32(high[i], w, broadcast_4_bytes(a[i].h + at * ACT_BLOCK + 4 * k));
                low[i] = _mm512_dpbusd_epi32(low[i], w, broadcast_4_bytes(a[i].l + at * ACT_BLOCK + 4 * k));
            }
        }
        vec scale = v_load(p->scale[b]);
        UNROLL for (size_t i = 0; i < n; i++) {
            vec sum = _mm512_cvtepi32_ps(_mm512_add_epi32(low[i], _mm512_slli_epi32(high[i], 8)));
            total[i] = v_fma(sum, v_mul(scale, v_set1(a[i].scale[at])), total[i]);
        }
    }
    UNROLL for (size_t i = 0; i < n; i++) {
        float *to = y + i * ldy;
        v_store_part(to, c ? v_add(v_load_part(to, rows), total[i]) : total[i], rows);
    }
}

static void block_panel_product(float *y, size_t ldy, size_t rows, const struct block_panel *p, const uint8_t *acts, size_t n, size_t act_cols, size_t c,
                                size_t cols) {
    for (size_t take; n; n -= take, y += take * ldy, acts += take * row_act_bytes(act_cols)) {
        size_t groups = (n + BLOCK_X - 1) / BLOCK_X;
        take = (n + groups - 1) / groups;
        switch (take) {
        case 1: block_rows(1, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 2: block_rows(2, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 3: block_rows(3, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 4: block_rows(4, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 5: block_rows(5, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 6: block_rows(6, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 7: block_rows(7, y, ldy, rows, p, acts, act_cols, c, cols); break;
        case 8: block_rows(8, y, ldy, rows, p, acts, act_cols, c, cols); break;
        }
    }
}

INLINE void matmul_blocks_type(enum dtype type, float *y, size_t ldy, const uint8_t *w, size_t stride, size_t rows, const uint8_t *acts, size_t n,
                               size_t cols) {
    struct block_panel panel;
    for (size_t c = 0; c < cols; c += BLOCK_COLS) {
        size_t width = cols - c < BLOCK_COLS ? cols - c : BLOCK_COLS;
        for (size_t r = 0; r < rows; r += BLOCK_ROWS) {
            size_t height = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
            const uint8_t *at = w + r * stride + bytes_of(type, c), *next = at;
            if (r + BLOCK_ROWS < rows)
                next = at + BLOCK_ROWS * stride;
            else if (c + BLOCK_COLS < cols)
                next = w + bytes_of(type, c + BLOCK_COLS);
            pack_blocks(type, &panel, at, stride, height, width, next - at);
            block_panel_product(y + r, ldy, height, &panel, acts, n, cols, c, width);
        }
    }
}

static void matmul_blocks(enum dtype type, float *y, size_t ldy, const void *w, size_t stride, size_t rows, const void *acts, size_t n, size_t cols) {
    if (type == DTYPE_Q8_0)
        matmul_blocks_type(DTYPE_Q8_0, y, ldy, w, stride, rows, acts, n, cols);
    else
        matmul_blocks_type(DTYPE_Q4_0, y, ldy, w, stride, rows, acts, n, cols);
}

#endif
