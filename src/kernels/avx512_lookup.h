/* Lookup tables in AVX-512 registers: 64 entries of 8 bits are one register, vpermb looks up 64 codes in it at once, and a table of 256 entries is
 * four of them, chosen between by the top two bits of the codes. Entries of 16 bits are two such tables, of their low and of their high bytes; bytes
 * are summed apart for even and odd rows, in 16 bits (at most LOOKUP_MAX_M 255). An entry's bytes: [m][bits / 8][max(k, 64)], low bytes first. */
#ifndef LOOKAT_KERNELS_AVX512_LOOKUP_H
#define LOOKAT_KERNELS_AVX512_LOOKUP_H

INLINE size_t plane_bytes(size_t k) { return k < 64 ? 64 : k; }

/* table[code] of 64 codes; k 64 (or fewer, padded) or 256 (a constant) */
INLINE __m512i look_up(const uint8_t *table, size_t k, __m512i code, __mmask64 bit6, __mmask64 bit7) {
    __m512i low = _mm512_permutexvar_epi8(code, _mm512_loadu_si512(table));
    if (k <= 64) return low;
    low = _mm512_mask_permutexvar_epi8(low, bit6, code, _mm512_loadu_si512(table + 64));
    __m512i high = _mm512_permutexvar_epi8(code, _mm512_loadu_si512(table + 128));
    high = _mm512_mask_permutexvar_epi8(high, bit6, code, _mm512_loadu_si512(table + 192));
    return _mm512_mask_mov_epi8(low, bit7, high);
}

/* Sums of 64 rows: those of even rows and of odd rows, 32 words each. */
struct row_sums {
    __m512i even, odd;
};

INLINE void add_bytes(struct row_sums *s, __m512i bytes) {
    s->even = _mm512_add_epi16(s->even, _mm512_and_si512(bytes, _mm512_set1_epi16(255)));
    s->odd = _mm512_add_epi16(s->odd, _mm512_srli_epi16(bytes, 8));
}

/* sums[4] of 16 rows each, in order, as 32-bit numbers. Unpacking works in quarters of a register: rows 16 i .. 16 i + 7 come to quarter i of one
 * result, the next eight to that of the other. */
INLINE void widen_sums(__m512i sums[4], const struct row_sums *s) {
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i first = _mm512_unpacklo_epi16(s->even, s->odd), second = _mm512_unpackhi_epi16(s->even, s->odd);
    __m512i low = _mm512_permutex2var_epi64(first, front, second), high = _mm512_permutex2var_epi64(first, back, second);
    sums[0] = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(low));
    sums[1] = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(low, 1));
    sums[2] = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(high));
    sums[3] = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(high, 1));
}

INLINE void store_scores(float *score, __m512i sum, const struct lookup_scale *s) {
    _mm512_storeu_ps(score, _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(s->step), _mm512_cvtepi32_ps(sum)), _mm512_set1_ps(s->low)));
}

INLINE void lookup_block(float *score, const uint8_t *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes) {
    struct row_sums low = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high = low;
    for (size_t j = 0; j < m; j++, entries += plane_bytes(k) * bits / 8) {
        __m512i code = _mm512_loadu_si512(codes + j * LOOKUP_BLOCK);
        __mmask64 bit6 = _mm512_movepi8_mask(_mm512_add_epi8(code, code)), bit7 = _mm512_movepi8_mask(code);
        add_bytes(&low, look_up(entries, k, code, bit6, bit7));
        if (bits == 16) add_bytes(&high, look_up(entries + plane_bytes(k), k, code, bit6, bit7));
    }
    __m512i sums[4], highs[4];
    widen_sums(sums, &low);
    widen_sums(highs, &high);
    for (size_t p = 0; p < 4; p++)
        store_scores(score + 16 * p, bits == 16 ? _mm512_add_epi32(sums[p], _mm512_slli_epi32(highs[p], 8)) : sums[p], s);
}

INLINE void lookup_blocks(float *score, const uint8_t *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes,
                          size_t n) {
    for (size_t i = 0; i < n; i += LOOKUP_BLOCK, codes += m * LOOKUP_BLOCK) lookup_block(score + i, entries, s, m, k, bits, codes);
}

static void lookup_rounded(float *score, const void *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes,
                           size_t n) {
    if (k == 16) {
        nibbles_rounded(score, entries, s, m, bits, codes, n);
        return;
    }
    if (k <= 64 && bits == 8) lookup_blocks(score, entries, s, m, 64, 8, codes, n);
    if (k <= 64 && bits == 16) lookup_blocks(score, entries, s, m, 64, 16, codes, n);
    if (k > 64 && bits == 8) lookup_blocks(score, entries, s, m, 256, 8, codes, n);
    if (k > 64 && bits == 16) lookup_blocks(score, entries, s, m, 256, 16, codes, n);
}

/* 16 entries from number c on; zeros for those past k */
INLINE __m512 load_entries(const float *table, size_t k, size_t c) {
    return c + 16 <= k ? _mm512_loadu_ps(table + c) : c < k ? v_load_part(table + c, k - c) : v_set1(0);
}

/* 64 entries from number c on: their low and high bytes */
INLINE void round_entries(__m512i *low, __m512i *high, const float *table, size_t k, size_t c, float least, float scale) {
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), byte = _mm512_set1_epi16(255);
    __m512i q[4];
    for (size_t p = 0; p < 4; p++) {
        __m512 x = _mm512_sub_ps(load_entries(table, k, c + 16 * p), _mm512_set1_ps(least));
        q[p] = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(scale)));
    }
    __m512i first = _mm512_packus_epi32(q[0], q[1]), second = _mm512_packus_epi32(q[2], q[3]);
    *low = _mm512_permutexvar_epi32(in_order, _mm512_packus_epi16(_mm512_and_si512(first, byte), _mm512_and_si512(second, byte)));
    *high = _mm512_permutexvar_epi32(in_order, _mm512_packus_epi16(_mm512_srli_epi16(first, 8), _mm512_srli_epi16(second, 8)));
}

static void lookup_round(struct lookup_scale *s, void *entries, const float *table, size_t m, size_t k, size_t bits) {
    if (k == 16) {
        nibbles_round(s, entries, table, m, bits);
        return;
    }
    float least[LOOKUP_MAX_M], low, widest = spans(table, m, k, least, &low), scale = lookup_scale(s, widest, low, bits);
    uint8_t *out = entries;
    for (size_t j = 0; j < m; j++, out += plane_bytes(k) * bits / 8)
        for (size_t c = 0; c < k; c += 64) {
            __m512i bytes, high;
            round_entries(&bytes, &high, table + j * k, k, c, least[j], scale);
            _mm512_storeu_si512(out + c, bytes);
            if (bits == 16) _mm512_storeu_si512(out + plane_bytes(k) + c, high);
        }
}

#endif
