/* The Unicode classes and the pre-tokenizer. */
#include "test.h"

#include "random_text.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/unicode.h"

/* ---- classes ---- */

/* Characters at the borders of ranges, with their general category in UnicodeData.txt. */
static const struct {
    uint32_t cp;
    enum unicode_class class;
} borders[] = {
    {0x40, UNICODE_OTHER},       {'A', UNICODE_LETTER},
    {'Z', UNICODE_LETTER},       {0x5B, UNICODE_OTHER},
    {0x60, UNICODE_OTHER},       {'a', UNICODE_LETTER},
    {'z', UNICODE_LETTER},       {0x7B, UNICODE_OTHER},
    {0x2F, UNICODE_OTHER},       {'0', UNICODE_NUMBER},
    {'9', UNICODE_NUMBER},       {0x3A, UNICODE_OTHER},
    {0x00, UNICODE_OTHER},       {0x7F, UNICODE_OTHER},
    {0x80, UNICODE_OTHER},       {0xAA, UNICODE_LETTER}, /* feminine ordinal, Lo */
    {0xAB, UNICODE_OTHER},                               /* « Pi */
    {0xB2, UNICODE_NUMBER},                              /* superscript two, No */
    {0xB4, UNICODE_OTHER},                               /* acute accent, Sk */
    {0xBC, UNICODE_NUMBER},      {0xBE, UNICODE_NUMBER},
    {0xBF, UNICODE_OTHER},                               /* ¼ ¾ ¿ */
    {0xD7, UNICODE_OTHER},                               /* multiplication sign between letters */
    {0x2C1, UNICODE_LETTER},     {0x2C2, UNICODE_OTHER}, /* Lm, Sk */
    {0x301, UNICODE_OTHER},                              /* combining acute, Mn */
    {0x660, UNICODE_NUMBER},     {0x669, UNICODE_NUMBER},
    {0x66A, UNICODE_OTHER},                               /* Arabic digits 0, 9, percent */
    {0x903, UNICODE_OTHER},      {0x904, UNICODE_LETTER}, /* Devanagari visarga Mc, short A Lo */
    {0x2160, UNICODE_NUMBER},    {0x2188, UNICODE_NUMBER},
    {0x2183, UNICODE_LETTER}, /* Roman numerals Nl, reversed hundred Lu */
    {0x3005, UNICODE_LETTER},    {0x3006, UNICODE_LETTER},
    {0x3007, UNICODE_NUMBER},    {0x3008, UNICODE_OTHER}, /* Lm, Lo, Nl, Ps */
    {0x33FF, UNICODE_OTHER},     {0x3400, UNICODE_LETTER},
    {0x4DBF, UNICODE_LETTER},    {0x4DC0, UNICODE_OTHER}, /* CJK extension A */
    {0x9FFF, UNICODE_LETTER}, /* the last CJK ideograph of the block, new in 14.0 */
    {0xABFF, UNICODE_OTHER},     {0xAC00, UNICODE_LETTER},
    {0xD7A3, UNICODE_LETTER},    {0xD7A4, UNICODE_OTHER}, /* Hangul syllables */
    {0xD800, UNICODE_OTHER},     {0xE000, UNICODE_OTHER},
    {0xF8FF, UNICODE_OTHER},     {0xF900, UNICODE_LETTER}, /* surrogate, private use, CJK */
    {0xFFFD, UNICODE_OTHER},     {0x10000, UNICODE_LETTER},
    {0x1D7CE, UNICODE_NUMBER},   {0x1D7FF, UNICODE_NUMBER},
    {0x1F600, UNICODE_OTHER},    {0x1FBEF, UNICODE_OTHER},
    {0x1FBF0, UNICODE_NUMBER},   {0x1FBF9, UNICODE_NUMBER},
    {0x1FBFA, UNICODE_OTHER}, /* segmented digits */
    {0x2A6DF, UNICODE_LETTER},   {0x2A6E0, UNICODE_OTHER},
    {0x2B738, UNICODE_LETTER}, /* CJK extensions B, C */
    {0x3134A, UNICODE_LETTER},   {0x3134B, UNICODE_OTHER},
    {0x10FFFF, UNICODE_OTHER},   {0x110000, UNICODE_OTHER},
    {UINT32_MAX, UNICODE_OTHER}, {0x16A70, UNICODE_LETTER},
    {0x1E290, UNICODE_LETTER}, /* Tangsa, Toto: new in 14.0 */
    {0x1E4D0, UNICODE_OTHER},    {0x11F50, UNICODE_OTHER},
    {0x2B739, UNICODE_OTHER},    {0x31350, UNICODE_OTHER}, /* unassigned before 15.0 */
    {0x08, UNICODE_OTHER},       {0x09, UNICODE_SPACE},
    {0x0D, UNICODE_SPACE},       {0x0E, UNICODE_OTHER},
    {0x1C, UNICODE_OTHER},       {0x1F, UNICODE_OTHER},
    {0x20, UNICODE_SPACE},       {0x85, UNICODE_SPACE},
    {0xA0, UNICODE_SPACE},       {0x1680, UNICODE_SPACE},
    {0x180E, UNICODE_OTHER},     {0x1FFF, UNICODE_OTHER},
    {0x2000, UNICODE_SPACE},     {0x200A, UNICODE_SPACE},
    {0x200B, UNICODE_OTHER},     {0x2027, UNICODE_OTHER},
    {0x2028, UNICODE_SPACE},     {0x2029, UNICODE_SPACE},
    {0x202A, UNICODE_OTHER},     {0x202F, UNICODE_SPACE},
    {0x205F, UNICODE_SPACE},     {0x2060, UNICODE_OTHER},
    {0x3000, UNICODE_SPACE},     {0x3001, UNICODE_OTHER},
    {0xFEFF, UNICODE_OTHER},
};

static void classes_at_borders(void) {
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        CHECK(unicode_class(borders[i].cp) == borders[i].class, "U+%04X is %d",
              (unsigned)borders[i].cp, (int)unicode_class(borders[i].cp));
}

static void classes_counted(void) {
    size_t count[4] = {0};
    for (uint32_t cp = 0; cp < 0x110000; cp++) count[unicode_class(cp)]++;
    /* as Python 3.11's unicodedata, which is Unicode 14.0, counts the categories L* and N*;
     * PropList.txt lists 25 White_Space */
    CHECK(count[UNICODE_LETTER] == 131756, "%zu", count[UNICODE_LETTER]);
    CHECK(count[UNICODE_NUMBER] == 1791, "%zu", count[UNICODE_NUMBER]);
    CHECK(count[UNICODE_SPACE] == 25, "%zu", count[UNICODE_SPACE]);
    CHECK(unicode_letters_len == 648 && unicode_numbers_len == 134, "%zu, %zu ranges",
          unicode_letters_len, unicode_numbers_len);
}

/* ---- pieces worked out by hand from the regular expression ---- */

static const struct {
    const char *text, *pieces; /* pieces: with | between them */
} by_hand[] = {
    {"Hello world", "Hello| world"},
    {"Hello, world!", "Hello|,| world|!"},
    {"it's we'll I've you're he'd I'm don't", "it|'s| we|'ll| I|'ve| you|'re| he|'d| I|'m| don|'t"},
    {"IT'S I'LL", "IT|'|S| I|'|LL"}, /* contractions are case-sensitive */
    {"'sand 'tis",
     "'s|and| '|tis"}, /* at the start it is a contraction; " 't" is " ?[^...]+" first */
    {"'l 'r 'v 'x", "'|l| '|r| '|v| '|x"},
    {"'re're'", "'re|'re|'"},
    {"''s", "''|s"}, /* the first apostrophe starts a run of others that takes the second */
    {"x''s", "x|''|s"},
    {".'s", ".'|s"},
    {"a1b22", "a|1|b|22"},
    {"a 1 b", "a| 1| b"},
    {"  a", " | a"}, /* \s+(?!\S) gives one space back */
    {"   a", "  | a"},
    {"a   ", "a|   "},
    {"a \n b", "a| \n| b"},
    {"a \nb", "a| |\n|b"}, /* \s+(?!\S) is " ", then \s+ takes the newline */
    {"a\nb", "a|\n|b"},
    {"a\n\nb", "a|\n|\n|b"},
    {"a\n\n\n b", "a|\n\n\n| b"},
    {"\t\tx", "\t|\t|x"},
    {"\tx", "\t|x"},
    {"x \t", "x| \t"},
    {" ", " "},
    {" \n", " \n"},
    {" !?", " !?"},
    {"  !", " | !"},
    {"a\xC2\xA0"
     "b",
     "a|\xC2\xA0|b"}, /* a no-break space is white space, but not the optional one */
    {"a \xC2\xA0"
     "b",
     "a| |\xC2\xA0|b"},
    {"a\xC2\xA0 b", "a|\xC2\xA0| b"},
    {"\xE3\x80\x80\xE6\x97\xA5", "\xE3\x80\x80|\xE6\x97\xA5"}, /* ideographic space, 日 */
    {"na\xC3\xAFve", "na\xC3\xAFve"},
    {"e\xCC\x81t", "e|\xCC\x81|t"}, /* a combining accent is no letter */
    {"\xC2\xBD"
     "5\xD9\xA3x",
     "\xC2\xBD"
     "5\xD9\xA3|x"}, /* ½5٣x */
    {" \xF0\x9F\x98\x80!", " \xF0\x9F\x98\x80!"},
    {"a\x80\xFF"
     "b",
     "a|\x80\xFF|b"},
    {" \xC0\xA0x", " \xC0\xA0|x"},               /* an overlong space is two others */
    {"a\xF0\x80\x81\x81", "a|\xF0\x80\x81\x81"}, /* an overlong letter */
    {"\xED\xA0\x80", "\xED\xA0\x80"},
    {"x\xE3\x81", "x|\xE3\x81"}, /* cut off */
    {"\xE3\x81"
     "x",
     "\xE3\x81|x"},
    {"a\x1C"
     "b",
     "a|\x1C|b"}, /* a separator control is not White_Space */
};

static void pieces_by_hand(void) {
    for (size_t i = 0; i < sizeof by_hand / sizeof *by_hand; i++) {
        const uint8_t *text = (const uint8_t *)by_hand[i].text;
        const char *want = by_hand[i].pieces;
        size_t n = strlen(by_hand[i].text), at = 0;
        while (at < n) {
            size_t len = pretokenize_next(text + at, n - at), want_len = strcspn(want, "|");
            CHECK(len == want_len && !memcmp(text + at, want, len),
                  "\"%s\" at byte %zu: %zu bytes, expected %zu", by_hand[i].text, at, len,
                  want_len);
            if (len != want_len) break;
            at += len;
            want += want_len + (want[want_len] == '|');
        }
        CHECK(*want == 0 || at < n, "\"%s\" ended before \"%s\"", by_hand[i].text, want);
    }
}

/* ---- a backtracking matcher of the regular expression ---- */

/* The text as characters: the class and, for the literals of the expression, the number itself; BAD
 * for a byte outside of UTF-8. */
#define BAD 0xFFFFFFFFu
struct chars {
    uint32_t cp[4096];
    size_t bytes[4096], n;
};

/* Decodes loosely by the first byte and believes the result only where writing it again gives the
 * same bytes. */
static void decode(const uint8_t *text, size_t n, struct chars *out) {
    out->n = 0;
    for (size_t at = 0; at < n;) {
        uint8_t a = text[at], again[4];
        size_t len = a < 0x80 ? 1 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : 4;
        uint32_t cp = len == 1 ? a : a & (0x7Fu >> len);
        bool good = at + len <= n;
        for (size_t i = 1; good && i < len; i++) cp = cp << 6 | (text[at + i] & 0x3Fu);
        good = good && cp < 0x110000 && (cp < 0xD800 || cp > 0xDFFF) &&
               put_utf8(cp, again) == len && !memcmp(again, text + at, len);
        out->cp[out->n] = good ? cp : BAD;
        out->bytes[out->n++] = good ? len : 1;
        at += good ? len : 1;
    }
}

/* An atom: a literal character; or L, N, O, S for \p{L}, \p{N}, [^\s\p{L}\p{N}], \s; or ! for
 * (?!\S). Followed by ? or + or nothing. */
static const char *const alternatives[] = {"'s", "'t",   "'re",  "'ve",  "'m",  "'ll",
                                           "'d", " ?L+", " ?N+", " ?O+", "S+!", "S+"};

static bool atom_matches(char atom, uint32_t cp) {
    switch (atom) {
    case 'L': return cp != BAD && unicode_class(cp) == UNICODE_LETTER;
    case 'N': return cp != BAD && unicode_class(cp) == UNICODE_NUMBER;
    case 'S': return cp != BAD && unicode_class(cp) == UNICODE_SPACE;
    case 'O': return cp == BAD || unicode_class(cp) == UNICODE_OTHER;
    default: return cp == (uint32_t)atom;
    }
}

/* Where the match of the expression at character `at` ends, or -1: greedy, giving back one
 * character at a time. */
static long match(const char *re, const struct chars *c, size_t at) {
    if (!*re) return (long)at;
    if (*re == '!') return at < c->n && !atom_matches('S', c->cp[at]) ? -1 : match(re + 1, c, at);
    bool repeated = re[1] == '+', optional = re[1] == '?';
    size_t least = optional ? 0 : 1, most = repeated ? c->n - at : 1, got = 0;
    while (got < most && at + got < c->n && atom_matches(*re, c->cp[at + got])) got++;
    for (size_t k = got + 1; k-- > least;) {
        long end = match(re + 1 + (repeated || optional), c, at + k);
        if (end >= 0) return end;
    }
    return -1;
}

static void pieces_equal_backtracking(void) {
    static struct chars c;
    static uint8_t text[512];
    struct rng r;
    rng_seed(&r, 11, 0);
    size_t seen[sizeof alternatives / sizeof *alternatives] = {0};
    for (int i = 0; i < 10000 && test_errors < 5; i++) {
        size_t n = random_text(&r, rng_below(&r, 200), text);
        decode(text, n, &c);
        for (size_t at = 0, from = 0; at < n;) {
            long end = -1;
            size_t bytes = 0, alternative = 0;
            for (; end < 0 && alternative < sizeof alternatives / sizeof *alternatives;
                 alternative++)
                end = match(alternatives[alternative], &c, from);
            CHECK(end > (long)from, "string %d: the expression matches nothing at character %zu", i,
                  from);
            if (end < 0) break;
            seen[alternative - 1]++;
            for (; from < (size_t)end; from++) bytes += c.bytes[from];
            size_t len = pretokenize_next(text + at, n - at);
            CHECK(len == bytes, "string %d, byte %zu: a piece of %zu bytes, expected %zu", i, at,
                  len, bytes);
            at += bytes;
        }
    }
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        CHECK(seen[i] > 10, "%s matched %zu times only", alternatives[i], seen[i]);
}

int main(void) {
    RUN(classes_at_borders);
    RUN(classes_counted);
    RUN(pieces_by_hand);
    RUN(pieces_equal_backtracking);
    return TEST_RESULT;
}
