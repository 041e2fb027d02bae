/* Sums of lookup table entries, and additions to buckets, in plain C. This file is compiled for the
 * least machine on purpose: with AVX2 compilers make gathers of these loops, which take more than
 * twice the time of single loads (Ice Lake, 4 codes a row: 1.7 ns a row, 4.3 with gathers of 8, 2.2
 * with gathers of 16). */
#include <math.h>
#include <string.h>

#include "kernels/sets.h"

enum { GROUP = 8 }; /* rows whose sums are in registers */

/* The code of subspace j is code_in of byte byte_of. `packed` is k where a byte has two codes, else
 * 0. */
static inline size_t code_in(uint8_t byte, size_t j, size_t packed) {
    return packed ? byte >> j % 2 * 4 & 15 : byte;
}
static inline size_t byte_of(size_t j, size_t packed) { return packed ? j / 2 : j; }

/* kernels.lookup for a constant `packed`, so that no test of it is left in the loop. */
static inline void sums_of(float *score, const float *table, size_t m, size_t k, size_t packed,
                           const uint8_t *codes, size_t n) {
    for (size_t i = 0; i < n;
         i += LOOKUP_BLOCK, codes += lookup_row_bytes(m, packed) * LOOKUP_BLOCK)
        for (size_t g = 0; g < LOOKUP_BLOCK; g += GROUP) {
            float sum[GROUP] = {0};
            for (size_t j = 0; j < m; j++) {
                const uint8_t *code = codes + byte_of(j, packed) * LOOKUP_BLOCK + g;
                const float *t = table + j * k;
                for (size_t l = 0; l < GROUP; l++) sum[l] += t[code_in(code[l], j, packed)];
            }
            memcpy(score + i + g, sum, sizeof sum);
        }
}

void lookup_plain(float *score, const float *table, size_t m, size_t k, const uint8_t *codes,
                  size_t n) {
    if (k == 16)
        sums_of(score, table, m, 16, 16, codes, n);
    else
        sums_of(score, table, m, k, 0, codes, n);
}

float lookup_scale(struct lookup_scale *s, float widest, float low, size_t bits) {
    float top = bits == 8 ? 255 : 65535;
    bool flat = widest < 1e-30f;
    *s = widest <= 3e38f && low - low == 0 ? (struct lookup_scale){low, flat ? 0 : widest / top}
                                           : (struct lookup_scale){NAN, NAN};
    return flat || !(widest <= 3e38f) ? 0 : top / widest;
}

/* Scores of GROUP rows; bits and packed are constants. */
static inline void rounded_group(float *score, const void *entries, const struct lookup_scale *s,
                                 size_t m, size_t k, size_t packed, size_t bits,
                                 const uint8_t *codes) {
    uint32_t sum[GROUP] = {0};
    for (size_t j = 0; j < m; j++) {
        const uint8_t *code = codes + byte_of(j, packed) * LOOKUP_BLOCK,
                      *bytes = (const uint8_t *)entries + j * k;
        const uint16_t *words = (const uint16_t *)entries + j * k;
        for (size_t l = 0; l < GROUP; l++)
            sum[l] +=
                bits == 8 ? bytes[code_in(code[l], j, packed)] : words[code_in(code[l], j, packed)];
    }
    for (size_t l = 0; l < GROUP; l++) score[l] = s->step * (float)(int32_t)sum[l] + s->low;
}

/* Rounded tables, and the codes that are looked up in them. */
struct rounded {
    const void *entries;
    struct lookup_scale s;
    size_t m;
    const uint8_t *codes;
};

static inline void rounded_bits(float *score, const struct rounded *given, size_t k, size_t packed,
                                size_t bits, size_t n) {
    const struct rounded t = *given;
    const uint8_t *codes = t.codes;
    for (size_t i = 0; i < n;
         i += LOOKUP_BLOCK, codes += lookup_row_bytes(t.m, packed) * LOOKUP_BLOCK)
        for (size_t g = 0; g < LOOKUP_BLOCK; g += GROUP)
            rounded_group(score + i + g, t.entries, &t.s, t.m, k, packed, bits, codes + g);
}

void lookup_rounded_plain(float *score, const void *entries, const struct lookup_scale *s, size_t m,
                          size_t k, size_t bits, const uint8_t *codes, size_t n) {
    const struct rounded t = {entries, *s, m, codes};
    if (k == 16 && bits == 8) rounded_bits(score, &t, 16, 16, 8, n);
    if (k == 16 && bits == 16) rounded_bits(score, &t, 16, 16, 16, n);
    if (k != 16 && bits == 8) rounded_bits(score, &t, k, 0, 8, n);
    if (k != 16 && bits == 16) rounded_bits(score, &t, k, 0, 16, n);
}

/* Adds n rows of `bytes` bytes of codes. bytes is a constant, or 0, and then `any` is their number.
 * Rows take turns with the copies. */
static inline void add_rows(uint32_t *bucket, const uint8_t *codes, const uint32_t *q, size_t bytes,
                            size_t any, size_t n) {
    size_t m = bytes ? bytes : any, copies = bucket_copies(m);
    for (size_t i = 0; i < n; i++) {
        uint32_t add = q[i], *to = bucket + i % copies * m * BUCKETS;
        for (size_t j = 0; j < m; j++) to[j * BUCKETS + codes[j * LOOKUP_BLOCK + i]] += add;
    }
}

void buckets_add_block(uint32_t *bucket, const uint8_t *codes, const uint32_t *q, size_t bytes,
                       size_t n) {
    switch (bytes) {
    case 4: add_rows(bucket, codes, q, 4, 4, n); break;
    case 8: add_rows(bucket, codes, q, 8, 8, n); break;
    case 16: add_rows(bucket, codes, q, 16, 16, n); break;
    default: add_rows(bucket, codes, q, 0, bytes, n);
    }
}
