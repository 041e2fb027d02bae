/* Codes of 4 bits, two a byte, looked up in registers: a table of 16 entries of 8 bits is one register (of each 128 bits of it), and one shuffle looks up
 * as many codes as there are bytes (Andre, Kermarrec, Le Scouarnec, Quicker ADC, 2019; FAISS's fast scan; for attention NoMAD-Attention, arXiv 2403.01273).
 * Entries of 16 bits are two such tables, of their low and of their high bytes; each is summed in words of 16 bits (at most LOOKUP_MAX_M 255). An entry's
 * bytes: [m][bits / 8][16], low bytes first.
 *
 * Included after vector_lookup.h. It needs a vector of BYTES bytes, `byte_vec`, with b_load, b_low and b_high (the low and the high 4 bits of each),
 * b_lookup(table[16], codes), and sums of them, `words`, with w_zero, w_add(&words, byte_vec), w_store(uint16_t[BYTES], words) in order. */
#ifndef LOOKAT_KERNELS_VECTOR_NIBBLES_H
#define LOOKAT_KERNELS_VECTOR_NIBBLES_H

/* Scores of BYTES rows of a block; planes, bits / 8, is a constant. */
INLINE void nibble_rows(float *score, const uint8_t *entries, const struct lookup_scale *s, size_t m, size_t planes, const uint8_t *codes) {
    words low = w_zero(), high = low;
    for (; m; codes += LOOKUP_BLOCK, entries += 2 * planes * 16) {
        byte_vec both = b_load(codes), code = b_low(both);
        w_add(&low, b_lookup(entries, code));
        if (planes == 2) w_add(&high, b_lookup(entries + 16, code));
        if (--m == 0) break;
        code = b_high(both);
        w_add(&low, b_lookup(entries + planes * 16, code));
        if (planes == 2) w_add(&high, b_lookup(entries + 48, code));
        m--;
    }
    uint16_t sum[BYTES], sum_high[BYTES];
    w_store(sum, low);
    if (planes == 2) w_store(sum_high, high);
    for (size_t i = 0; i < BYTES; i++) score[i] = s->step * (float)(int32_t)(planes == 2 ? sum[i] + 256 * sum_high[i] : sum[i]) + s->low;
}

INLINE void nibble_blocks(float *score, const uint8_t *entries, struct lookup_scale s, size_t m, size_t planes, const uint8_t *codes, size_t n) {
    for (size_t i = 0; i < n; i += LOOKUP_BLOCK, codes += lookup_row_bytes(m, 16) * LOOKUP_BLOCK)
        for (size_t g = 0; g < LOOKUP_BLOCK; g += BYTES) nibble_rows(score + i + g, entries, &s, m, planes, codes + g);
}

static void nibbles_rounded(float *score, const void *entries, const struct lookup_scale *s, size_t m, size_t bits, const uint8_t *codes, size_t n) {
    if (bits == 8)
        nibble_blocks(score, entries, *s, m, 1, codes, n);
    else
        nibble_blocks(score, entries, *s, m, 2, codes, n);
}

static void nibbles_round(struct lookup_scale *s, uint8_t *entries, const float *table, size_t m, size_t bits) {
    float least[LOOKUP_MAX_M], low, widest = spans(table, m, 16, least, &low), scale = lookup_scale(s, widest, low, bits);
    for (size_t j = 0; j < m; j++, table += 16, entries += 2 * bits) {
        for (size_t c = 0; c < 16; c++) entries[c] = (uint8_t)whole((table[c] - least[j]) * scale);
        for (size_t c = 0; c < 16 && bits == 16; c++) entries[16 + c] = (uint8_t)(whole((table[c] - least[j]) * scale) >> 8);
    }
}

#ifndef HAS_LOOKUP_IN_REGISTERS
static void lookup_round(struct lookup_scale *s, void *entries, const float *table, size_t m, size_t k, size_t bits) {
    if (k == 16)
        nibbles_round(s, entries, table, m, bits);
    else
        bytes_round(s, entries, table, m, k, bits);
}

static void lookup_rounded(float *score, const void *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes,
                           size_t n) {
    if (k == 16)
        nibbles_rounded(score, entries, s, m, bits, codes, n);
    else
        lookup_rounded_plain(score, entries, s, m, k, bits, codes, n);
}
#endif

#endif
