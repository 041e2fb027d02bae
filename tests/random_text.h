/* Random byte strings that are hard on a tokenizer: invalid UTF-8, NULs, runs of white space,
 * contractions, all scripts. */
#ifndef LOOKAT_TESTS_RANDOM_TEXT_H
#define LOOKAT_TESTS_RANDOM_TEXT_H

#include "base/rng.h"

/* Writes any number below 2^21 as UTF-8 would, surrogates too; returns 1..4. */
static inline size_t put_utf8(uint32_t cp, uint8_t *out) {
    if (cp < 0x80) return out[0] = (uint8_t)cp, 1;
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; cp >>= 6) out[i] = (uint8_t)(0x80 | (cp & 0x3F));
    out[0] = (uint8_t)((0xF00u >> n) | cp);
    return n;
}

static inline uint8_t pick(struct rng *r, const char *from) {
    return (uint8_t)from[rng_below(r, strlen(from))];
}

/* One character, or a broken one, of the kind 0..RANDOM_KINDS-1; at most 4 bytes. */
enum { RANDOM_KINDS = 9 };
static inline size_t put_random(struct rng *r, uint64_t kind, uint8_t *out) {
    static const uint32_t spaces[] = {9,      10,     11,     12,     13,     32,     32,
                                      32,     32,     0x85,   0xA0,   0x1680, 0x2000, 0x200A,
                                      0x200B, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    static const uint32_t marks[] = {0x1F469, 0x200D, 0x1F467, 0x1F1EB, 0x1F1F7, 0x0301,  0xFE0F,
                                     0xAD,    0x180E, 0xFEFF,  0xFFFD,  0xFFFF,  0x10FFFF};
    static const char *broken[] = {"\xC0\x80",
                                   "\xC1\xBF",
                                   "\xE0\x9F\xBF",
                                   "\xED\xA0\x80",
                                   "\xED\xBF\xBF",
                                   "\xF0\x8F\xBF\xBF",
                                   "\xF4\x90\x80\x80",
                                   "\xF5\x80\x80\x80",
                                   "\xE2\x82",
                                   "\xF0\x9F\x98",
                                   "\x80",
                                   "\xFF",
                                   "\xC3"};
    switch (kind) {
    case 0: return out[0] = (uint8_t)rng_u64(r), 1;
    case 1:
        if (rng_below(r, 4)) return out[0] = pick(r, "'''stremvdlSTL aA1  ."), 1;
        memcpy(out, &"'re've'll"[3 * rng_below(r, 3)], 3);
        return 3;
    case 2: return put_utf8(spaces[rng_below(r, sizeof spaces / sizeof *spaces)], out);
    case 3: return put_utf8(marks[rng_below(r, sizeof marks / sizeof *marks)], out);
    case 4: {
        const char *s = broken[rng_below(r, sizeof broken / sizeof *broken)];
        memcpy(out, s, strlen(s));
        return strlen(s);
    }
    case 5: return out[0] = 0, 1;
    case 6: return put_utf8((uint32_t)rng_below(r, 0x3000), out);
    case 7: return put_utf8((uint32_t)rng_below(r, 0x110000), out);
    default: return out[0] = pick(r, "etaoin shrdlu 0123456789\n"), 1;
    }
}

/* Fills out with a string of n..n+3 bytes of alternating kinds; returns its length. */
static inline size_t random_text(struct rng *r, size_t n, uint8_t *out) {
    size_t len = 0;
    for (uint64_t kind = 0, left = 0; len < n; left--) {
        if (left == 0) {
            kind = rng_below(r, RANDOM_KINDS);
            left = 1 + rng_below(r, 1 + rng_below(r, 40));
        }
        len += put_random(r, kind, out + len);
    }
    return len;
}

#endif
