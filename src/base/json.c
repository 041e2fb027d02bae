/* Reads JSON in one pass, without building a tree and without memory of its own. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct json json_open(const void *text, size_t size, int limit) {
    return (struct json){
        .text = text, .size = size, .limit = limit < JSON_LIMIT_MAX ? limit : JSON_LIMIT_MAX};
}

struct json json_open_lenient(const void *text, size_t size, int limit) {
    struct json j = json_open(text, size, limit);
    j.lenient = true;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) j.at = 3;
    return j;
}

static bool fail_at(struct json *j, size_t at, const char *error) {
    if (!j->error) {
        j->error = error;
        j->error_at = at;
    }
    return false;
}

bool json_fail(struct json *j, const char *error) { return fail_at(j, j->at, error); }

/* The next character that is no space, 0 at the end or after an error (a NUL byte in the text
 * cannot start anything either). */
static char look(struct json *j) {
    if (j->error) return 0;
    while (j->at < j->size && (j->text[j->at] == ' ' || j->text[j->at] == '\t' ||
                               j->text[j->at] == '\n' || j->text[j->at] == '\r'))
        j->at++;
    return j->at < j->size ? j->text[j->at] : 0;
}

/* Every value read is one thing that the container now holds. */
static bool done(struct json *j) {
    j->first = false;
    return true;
}

enum json_type json_peek(struct json *j) {
    char c = look(j);
    switch (c) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOL;
    case 'n': return JSON_NULL;
    default: return c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_NOTHING;
    }
}

static bool enter(struct json *j, char open, const char *error) {
    if (look(j) != open) return json_fail(j, error);
    if (j->depth >= j->limit) return json_fail(j, "nested too deep");
    j->depth++;
    j->at++;
    j->first = true;
    return true;
}

bool json_enter_object(struct json *j) { return enter(j, '{', "expected an object"); }
bool json_enter_array(struct json *j) { return enter(j, '[', "expected an array"); }

/* Moves to the next member of a container that `close` ends; false at its end, which is passed, or
 * on an error. */
static bool next(struct json *j, char close, const char *error) {
    char c = look(j);
    if (j->error) return false;
    if (c == close) {
        j->at++;
        j->depth--;
        j->first = false;
        return false;
    }
    if (j->first) return true;
    if (c != ',') return json_fail(j, error);
    j->at++;
    return true;
}

bool json_next_item(struct json *j) { return next(j, ']', "expected ',' or ']'"); }

bool json_next_key(struct json *j, struct json_str *key) {
    if (!next(j, '}', "expected ',' or '}'")) return false;
    if (look(j) != '"') return json_fail(j, "expected a key");
    if (!json_string(j, key)) return false;
    if (look(j) != ':') return json_fail(j, "expected ':'");
    j->at++;
    return true;
}

/* Bytes of the well-formed UTF-8 character at s[n], n >= 1; 0 where there is none (Unicode
 * standard, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t n) {
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90))
        return 0; /* longer than need be */
    if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* surrogate, beyond U+10FFFF */
    return len;
}

/* The four hex digits at s as a number; -1 where they are none. */
static long hex4(const char *s) {
    long x = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) return -1;
        x = x * 16 + d;
    }
    return x;
}

/* The escape that starts with the backslash at s[n]: *code point, and the length in bytes or 0
 * where it is none. */
static size_t escape(const char *s, size_t n, uint32_t *code) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (n < 2) return 0;
    const char *name = s[1] ? strchr(names, s[1]) : NULL;
    if (name) {
        *code = (unsigned char)values[name - names];
        return 2;
    }
    long x = s[1] == 'u' && n >= 6 ? hex4(s + 2) : -1;
    if (x < 0 || (x >= 0xdc00 && x < 0xe000)) return 0;
    *code = (uint32_t)x;
    if (x < 0xd800 || x >= 0xe000) return 6;
    long y = n >= 12 && s[6] == '\\' && s[7] == 'u' ? hex4(s + 8) : -1;
    if (y < 0xdc00 || y >= 0xe000) return 0;
    *code = 0x10000 + (((uint32_t)x - 0xd800) << 10) + ((uint32_t)y - 0xdc00);
    return 12;
}

bool json_string(struct json *j, struct json_str *out) {
    *out = (struct json_str){"", 0};
    if (look(j) != '"') return json_fail(j, "expected a string");
    size_t start = j->at + 1, at = start, len;
    uint32_t code;
    for (; at < j->size && j->text[at] != '"'; at += len) {
        const char *s = j->text + at;
        if (*s == '\\') {
            if ((len = escape(s, j->size - at, &code)) == 0)
                return fail_at(j, at, "not a valid escape");
        } else if ((unsigned char)*s < 0x20)
            return fail_at(j, at, "a control character in a string");
        else if ((len = utf8_length((const unsigned char *)s, j->size - at)) == 0)
            return fail_at(j, at, "not valid UTF-8");
    }
    if (at >= j->size) return fail_at(j, at, "a string without its end");
    *out = (struct json_str){j->text + start, at - start};
    j->at = at + 1;
    return done(j);
}

static size_t utf8_write(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[len] | code);
    return len;
}

size_t json_decode(struct json_str s, char *out) {
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        uint32_t code;
        size_t len = s.s[at] == '\\' ? escape(s.s + at, s.n - at, &code) : 0;
        if (len == 0) {
            out[n++] = s.s[at++];
            continue;
        }
        n += utf8_write(code, out + n);
        at += len;
    }
    return n;
}

bool json_is(struct json_str s, const char *text) {
    for (size_t at = 0; at < s.n;) {
        uint32_t code;
        char utf8[4] = {s.s[at]};
        size_t len = s.s[at] == '\\' ? escape(s.s + at, s.n - at, &code) : 0,
               n = len ? utf8_write(code, utf8) : 1;
        if (strncmp(text, utf8, n) != 0 || memchr(utf8, 0, n)) return false;
        text += n;
        at += len ? len : 1;
    }
    return *text == 0;
}

static bool digit(const struct json *j, size_t at) {
    return at < j->size && j->text[at] >= '0' && j->text[at] <= '9';
}

static size_t digits(const struct json *j, size_t at) {
    while (digit(j, at)) at++;
    return at;
}

/* Passes a number by JSON's grammar. */
static bool number(struct json *j) {
    size_t at = j->at, from;
    if (at < j->size && j->text[at] == '-') at++;
    from = at;
    at = digits(j, at);
    if (at == from) return fail_at(j, at, "expected a digit");
    if (j->text[from] == '0' && at > from + 1)
        return fail_at(j, from, "a number with a leading zero");
    if (at < j->size && j->text[at] == '.') {
        from = ++at;
        at = digits(j, at);
        if (at == from) return fail_at(j, at, "expected a digit");
    }
    if (at < j->size && (j->text[at] == 'e' || j->text[at] == 'E')) {
        at++;
        if (at < j->size && (j->text[at] == '+' || j->text[at] == '-')) at++;
        from = at;
        at = digits(j, at);
        if (at == from) return fail_at(j, at, "expected a digit");
    }
    j->at = at;
    return done(j);
}

bool json_uint(struct json *j, uint64_t *out) {
    if (json_peek(j) != JSON_NUMBER) return json_fail(j, "expected a number");
    size_t start = j->at;
    if (!number(j)) return false;
    uint64_t x = 0;
    for (size_t at = start; at < j->at; at++) {
        if (!digit(j, at))
            return fail_at(j, start, "expected a whole number without sign, fraction or exponent");
        uint64_t d = (uint64_t)(j->text[at] - '0');
        if (x > (UINT64_MAX - d) / 10) return fail_at(j, start, "a number above 2^64 - 1");
        x = x * 10 + d;
    }
    *out = x;
    return true;
}

bool json_whole(struct json *j, uint64_t *out) {
    struct json again = *j;
    double x;
    if (json_uint(&again, out)) {
        *j = again;
        return true;
    }
    size_t start = j->at;
    if (!json_double(j, &x)) return false;
    if (!(x >= 0 && x == floor(x))) return fail_at(j, start, "expected a whole number, 0 or more");
    if (x > 0x1p53) return fail_at(j, start, "a whole number above 2^53");
    *out = (uint64_t)x;
    return true;
}

bool json_double(struct json *j, double *out) {
    if (json_peek(j) != JSON_NUMBER) return json_fail(j, "expected a number");
    size_t start = j->at;
    if (!number(j)) return false;
    char copy[301]; /* strtod wants an end; the program never leaves the C locale, so its point is
                       JSON's */
    size_t n = j->at - start;
    if (n >= sizeof copy) return fail_at(j, start, "a number of more than 300 characters");
    memcpy(copy, j->text + start, n);
    copy[n] = 0;
    *out = strtod(copy, NULL);
    if (!isfinite(*out)) return fail_at(j, start, "a number beyond the range of double");
    return true;
}

static bool word(struct json *j, const char *w, const char *error) {
    size_t n = strlen(w);
    look(j);
    if (j->error || j->size - j->at < n || memcmp(j->text + j->at, w, n) != 0)
        return json_fail(j, error);
    j->at += n;
    return done(j);
}

bool json_bool(struct json *j, bool *out) {
    *out = look(j) == 't';
    return word(j, *out ? "true" : "false", "expected true or false");
}

bool json_null(struct json *j) { return word(j, "null", "expected null"); }

/* Passes one of Python's words for numbers that JSON does not have; false, and nothing has
 * happened, where none stands. */
static bool number_word(struct json *j) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    look(j);
    for (size_t i = 0; !j->error && i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (j->size - j->at < n || memcmp(j->text + j->at, words[i], n) != 0) continue;
        j->at += n;
        return done(j);
    }
    return false;
}

bool json_skip(struct json *j) {
    struct json_str s;
    bool b;
    if (j->lenient && number_word(j)) return true;
    switch (json_peek(j)) {
    case JSON_NULL: return json_null(j);
    case JSON_BOOL: return json_bool(j, &b);
    case JSON_NUMBER: return number(j);
    case JSON_STRING: return json_string(j, &s);
    case JSON_ARRAY:
        json_enter_array(j);
        while (json_next_item(j)) json_skip(j);
        return !j->error;
    case JSON_OBJECT:
        json_enter_object(j);
        while (json_next_key(j, &s)) json_skip(j);
        return !j->error;
    default: return json_fail(j, "expected a value");
    }
}

bool json_end(struct json *j) {
    look(j);
    if (!j->error && j->at != j->size) json_fail(j, "something follows the end");
    return !j->error;
}
