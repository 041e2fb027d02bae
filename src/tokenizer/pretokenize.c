/* Cuts a text into the pieces that merges stay inside of. It is GPT-2's regular expression, written
 * out as a scanner: each branch below is one alternative of the expression. */
#include "tokenizer/pretokenize.h"

#include "tokenizer/unicode.h"

struct character {
    enum unicode_class class;
    size_t bytes;  /* 0 at the end of the text */
    uint32_t code; /* code point; of a byte that is none, 0 */
};

static bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/* The character at text[0], as table 3-7 of the Unicode standard defines well-formed UTF-8:
 * overlong forms, surrogates and numbers beyond U+10FFFF are not characters, and so their bytes
 * count one by one. */
static struct character character_at(const uint8_t *text, size_t n) {
    if (n == 0) return (struct character){UNICODE_OTHER, 0, 0};
    uint32_t a = text[0];
    if (a < 0x80) return (struct character){unicode_class(a), 1, a};
    if (a >= 0xC2 && a <= 0xDF && n >= 2 && continues(text[1])) {
        uint32_t cp = (a & 0x1F) << 6 | (text[1] & 0x3Fu);
        return (struct character){unicode_class(cp), 2, cp};
    }
    if (a >= 0xE0 && a <= 0xEF && n >= 3 && continues(text[1]) && continues(text[2])) {
        uint32_t cp = (a & 0x0F) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
        if (cp >= 0x800 && (cp < 0xD800 || cp > 0xDFFF))
            return (struct character){unicode_class(cp), 3, cp};
    }
    if (a >= 0xF0 && a <= 0xF4 && n >= 4 && continues(text[1]) && continues(text[2]) &&
        continues(text[3])) {
        uint32_t cp =
            (a & 0x07) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
        if (cp >= 0x10000 && cp <= 0x10FFFF) return (struct character){unicode_class(cp), 4, cp};
    }
    return (struct character){UNICODE_OTHER, 1, 0};
}

/* 's|'t|'re|'ve|'m|'ll|'d: the length of the one at text[0], or 0. */
static size_t contraction(const uint8_t *text, size_t n) {
    if (n < 2 || text[0] != '\'') return 0;
    uint8_t a = text[1], b = n > 2 ? text[2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* The end of the run of characters of this class that reaches from `at` on; *last is where its last
 * character starts. */
static size_t run_end(const uint8_t *text, size_t at, size_t n, enum unicode_class class,
                      size_t *last) {
    for (;;) {
        struct character c = character_at(text + at, n - at);
        if (c.bytes == 0 || c.class != class) return at;
        *last = at;
        at += c.bytes;
    }
}

size_t pretokenize_next(const uint8_t *text, size_t n) {
    size_t last = 0, apostrophe = contraction(text, n);
    if (apostrophe) return apostrophe;
    struct character c = character_at(text, n);
    if (c.class != UNICODE_SPACE) return run_end(text, 0, n, c.class, &last);
    if (text[0] == ' ') { /* the " ?" in front of letters, numbers and others */
        struct character next = character_at(text + 1, n - 1);
        if (next.bytes && next.class != UNICODE_SPACE)
            return run_end(text, 1, n, next.class, &last);
    }
    /* \s+(?!\S) takes all white space at the end of the text, else all but the last character of
     * it, which is left for the " ?" of what follows; \s+ takes a single one. */
    size_t end = run_end(text, 0, n, UNICODE_SPACE, &last);
    return end == n || last == 0 ? end : last;
}

/* The last character of text[n]: the longest that ends there. */
static struct character character_before(const uint8_t *text, size_t n) {
    for (size_t bytes = n < 4 ? n : 4; bytes > 1; bytes--) {
        struct character c = character_at(text + n - bytes, bytes);
        if (c.bytes == bytes) return c;
    }
    return character_at(text + n - (n > 0), n > 0);
}

size_t pretokenize_space_at(const uint8_t *text, size_t n) {
    size_t last;
    return run_end(text, 0, n, UNICODE_SPACE, &last);
}

size_t pretokenize_space_before(const uint8_t *text, size_t n) {
    size_t at = n;
    for (struct character c; (c = character_before(text, at)).bytes && c.class == UNICODE_SPACE;)
        at -= c.bytes;
    return n - at;
}

bool pretokenize_word_at(const uint8_t *text, size_t n) {
    struct character c = character_at(text, n);
    return c.bytes && unicode_is_word(c.code);
}

bool pretokenize_word_before(const uint8_t *text, size_t n) {
    struct character c = character_before(text, n);
    return c.bytes && unicode_is_word(c.code);
}
