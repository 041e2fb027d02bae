/* The JSON cursor: what it takes, what it refuses and where it says so. */
#include "base/json.h"

#include "test.h"

struct text {
    const char *s;
    size_t n;
};
#define TEXT(s) \
    { s, sizeof s - 1 }

static const struct text good[] = {
    TEXT("null"),
    TEXT(" true "),
    TEXT("false\n"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("10"),
    TEXT("-1.5e+3"),
    TEXT("1E400"),
    TEXT("0.0"),
    TEXT("0e0"),
    TEXT("1e-0"),
    TEXT("123456789012345678901234567890"),
    TEXT("\"\""),
    TEXT("[]"),
    TEXT("{}"),
    TEXT("\t\r\n [ ] \t"),
    TEXT("[1,[2,[3]],{}]"),
    TEXT("[null,true,false,0,\"\",[],{}]"),
    TEXT("{\"\":0}"),
    TEXT("{\"a\":1,\"a\":2}"),
    TEXT("{ \"a\" : [ 1 , 2 ] , \"b\" : { } }"),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    TEXT("\"\\u0000\""),
    TEXT("\"\\uABCD\\uabcd\""),
    TEXT("\"\\ud83d\\ude00\""),
    TEXT("\"\\\\u12\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xc2\x80\xdf\xbf\""),
    TEXT("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
    TEXT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    TEXT("[[[[]]]]"),
    TEXT("\"\\uFFFF\""),
    TEXT("\"a'b\""),
    TEXT("[\"]\",\"}\"]"),
};

struct bad_text {
    const char *s;
    size_t n, at; /* at: where the error is reported */
};
#define BAD(s, at) \
    { s, sizeof s - 1, at }

static const struct bad_text bad[] = {
    BAD("", 0),
    BAD("  ", 2),
    BAD("nul", 0),
    BAD("nulL", 0),
    BAD("nullx", 4),
    BAD("True", 0),
    BAD("tru", 0),
    BAD("NaN", 0),
    BAD("Infinity", 0),
    BAD("-", 1),
    BAD("-a", 1),
    BAD("+1", 0),
    BAD("01", 0),
    BAD("-01", 1),
    BAD("1.", 2),
    BAD(".5", 0),
    BAD("1.e3", 2),
    BAD("1e", 2),
    BAD("1e+", 3),
    BAD("1e1.5", 3),
    BAD("0x10", 1),
    BAD("1 2", 2),
    BAD("1_000", 1),
    BAD("-Infinity", 1),
    BAD("--1", 1),
    BAD("\xef\xbb\xbf"
        "1",
        0),
    BAD("\"", 1),
    BAD("\"a", 2),
    BAD("'a'", 0),
    BAD("\"\n\"", 1),
    BAD("\"\t\"", 1),
    BAD("\"\0\"", 1),
    BAD("\"\x1f\"", 1),
    BAD("\"\\x\"", 1),
    BAD("\"\\", 1),
    BAD("\"\\\"", 3),
    BAD("\"\\a\"", 1),
    BAD("\"\\U0041\"", 1),
    BAD("\"\\u12\"", 1),
    BAD("\"\\u12G4\"", 1),
    BAD("\"\\u", 1),
    BAD("\"\\ud800\"", 1),
    BAD("\"\\ud800\\u0041\"", 1),
    BAD("\"\\udc00\"", 1),
    BAD("\"\\udc00\\udc00\"", 1),
    BAD("\"\\udfff\\udfff\"", 1),
    BAD("\"\\udc00\\ud800\"", 1),
    BAD("\"\\ud800\\ud800\"", 1),
    BAD("\"\\ud83dx\"", 1),
    BAD("\"\\\0\"", 1),
    BAD("\"\x80\"", 1),
    BAD("\"\xc0\x80\"", 1),
    BAD("\"\xc1\xbf\"", 1),
    BAD("\"\xc2\"", 1),
    BAD("\"\xe0\x9f\xbf\"", 1),
    BAD("\"\xed\xa0\x80\"", 1),
    BAD("\"\xf0\x8f\xbf\xbf\"", 1),
    BAD("\"\xf4\x90\x80\x80\"", 1),
    BAD("\"\xf5\x80\x80\x80\"", 1),
    BAD("\"ab\xff\"", 3),
    BAD("\"\xe2\x82\"", 1),
    BAD("[", 1),
    BAD("]", 0),
    BAD("[1", 2),
    BAD("[1,", 3),
    BAD("[1,]", 3),
    BAD("[,1]", 1),
    BAD("[1 2]", 3),
    BAD("[1,,2]", 3),
    BAD("[1}", 2),
    BAD("[1:2]", 2),
    BAD("[]]", 2),
    BAD("{", 1),
    BAD("}", 0),
    BAD("{1:2}", 1),
    BAD("{a:1}", 1),
    BAD("{'a':1}", 1),
    BAD("{\"a\"", 4),
    BAD("{\"a\" 1}", 5),
    BAD("{\"a\":}", 5),
    BAD("{\"a\":1,}", 7),
    BAD("{\"a\":1", 6),
    BAD("{\"a\":1]", 6),
    BAD("{\"a\"::1}", 5),
    BAD("{,}", 1),
    BAD("{\"a\":1 \"b\":2}", 7),
    BAD("{null:1}", 1),
    BAD("{}{}", 2),
    BAD("// c\n1", 0),
    BAD("1 /* c */", 2),
    BAD("[1]#", 3),
    BAD("\v1", 0),
    BAD("\f1", 0),
    BAD("\xc2\xa0"
        "1",
        0),
    BAD("1\0", 1),
    BAD("\0", 0),
    BAD("[\0]", 1),
    BAD("[[[[[]]]]]", 4),
    BAD("{\"\":[{\"\":[[]]}]}", 10),
};

enum { LIMIT = 4 };

/* A copy of exactly n bytes, so that a sanitizer sees a read past them. */
static char *exact(const char *s, size_t n) {
    char *p = malloc(n ? n : 1);
    if (n) memcpy(p, s, n);
    return p;
}

static void accepts(void) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *s = exact(good[i].s, good[i].n);
        struct json j = json_open(s, good[i].n, LIMIT);
        bool ok = json_skip(&j) && json_end(&j);
        CHECK(ok, "%s: %s at %zu", good[i].s, j.error ? j.error : "?", j.error_at);
        CHECK(j.depth == 0, "%s: depth %d", good[i].s, j.depth);
        free(s);
    }
}

static void refuses_and_says_where(void) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *s = exact(bad[i].s, bad[i].n);
        struct json j = json_open(s, bad[i].n, LIMIT);
        bool ok = json_skip(&j) && json_end(&j);
        CHECK(!ok && j.error, "accepted %s", bad[i].s);
        CHECK(j.error_at == bad[i].at, "%s: %s at %zu, expected %zu", bad[i].s, j.error, j.error_at,
              bad[i].at);
        CHECK(json_peek(&j) == JSON_NOTHING && !json_skip(&j) && !json_next_item(&j) &&
                  !json_end(&j),
              "%s: goes on after the error", bad[i].s);
        free(s);
    }
}

/* Every beginning of a good object or array is refused: none is complete. */
static void refuses_truncation(void) {
    static const char text[] =
        "{\"a\\u0041\\ud83d\\ude00\xc3\xa9\": [1, -2.5e-3, true, null, {\"b\": \"c\\n\"}]}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *s = exact(text, n);
        struct json j = json_open(s, n, LIMIT);
        CHECK(!(json_skip(&j) && json_end(&j)), "accepted %zu bytes", n);
        CHECK(j.error && j.error_at <= n, "no place for %zu bytes", n);
        free(s);
    }
}

static void uints(void) {
    static const struct {
        const char *s;
        bool ok;
        uint64_t x;
    } t[] = {{"0", true, 0},
             {"7", true, 7},
             {"18446744073709551615", true, UINT64_MAX},
             {"18446744073709551616", false, 0},
             {"99999999999999999999999", false, 0},
             {"-1", false, 0},
             {"-0", false, 0},
             {"1.0", false, 0},
             {"1e2", false, 0},
             {"00", false, 0},
             {"+1", false, 0},
             {"\"1\"", false, 0},
             {"", false, 0},
             {"true", false, 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct json j = json_open(t[i].s, strlen(t[i].s), 1);
        uint64_t x = 42;
        bool ok = json_uint(&j, &x);
        CHECK(ok == t[i].ok, "%s: %d", t[i].s, ok);
        CHECK(x == (t[i].ok ? t[i].x : 42), "%s: %llu", t[i].s, (unsigned long long)x);
        CHECK(ok == !j.error, "%s: error %s", t[i].s, j.error ? j.error : "none");
    }
}

/* Whole numbers in any spelling, and what stays none. */
static void wholes(void) {
    static const struct {
        const char *s;
        bool ok;
        uint64_t x;
    } t[] = {{"0", true, 0},
             {"128", true, 128},
             {"128.0", true, 128},
             {" 1.28e2", true, 128},
             {"-0.0", true, 0},
             {"12800e-2", true, 128},
             {"18446744073709551615", true, UINT64_MAX},
             {"9007199254740992.0", true, (uint64_t)1 << 53},
             {"1e16", false, 0},
             {"18446744073709551616", false, 0},
             {"128.5", false, 0},
             {"-1", false, 0},
             {"-1.0", false, 0},
             {"1e-1", false, 0},
             {"1e400", false, 0},
             {"NaN", false, 0},
             {"\"128\"", false, 0},
             {"null", false, 0},
             {"", false, 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct json j = json_open_lenient(t[i].s, strlen(t[i].s), 1);
        uint64_t x = 42;
        bool ok = json_whole(&j, &x) && json_end(&j);
        CHECK(ok == t[i].ok && ok == !j.error, "%s: %d, %s", t[i].s, ok,
              j.error ? j.error : "no error");
        CHECK(x == (t[i].ok ? t[i].x : 42), "%s: %llu", t[i].s, (unsigned long long)x);
    }
}

/* A byte order mark and Python's words are passed over by a lenient cursor alone, and no number is
 * made of the words. */
static void lenient(void) {
    static const char *const taken[] = {"\xef\xbb\xbf{\"a\":1}", "[NaN, Infinity,-Infinity ,1]",
                                        "{\"a\":{\"b\":[-Infinity]},\"c\":NaN}", "NaN"};
    static const char *const not_taken[] = {"\xef\xbb\xbf",
                                            ("\xef\xbb\xbf\xef\xbb\xbf"
                                             "1"),
                                            "1\xef\xbb\xbf",
                                            "[NaNs]",
                                            "[nan]",
                                            "[+Infinity]",
                                            "[-NaN]",
                                            "[Inf]",
                                            "{NaN:1}",
                                            "[NaN NaN]",
                                            "-Infinit",
                                            "\xef\xbb{}"};
    double x = 42;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char *s = exact(taken[i], strlen(taken[i]));
        struct json j = json_open_lenient(s, strlen(taken[i]), LIMIT);
        struct json strict = json_open(s, strlen(taken[i]), LIMIT);
        CHECK(json_skip(&j) && json_end(&j), "%s: %s at %zu", taken[i], j.error ? j.error : "?",
              j.error_at);
        CHECK(!json_skip(&strict), "%s: taken by a strict cursor", taken[i]);
        free(s);
    }
    for (size_t i = 0; i < sizeof not_taken / sizeof *not_taken; i++) {
        char *s = exact(not_taken[i], strlen(not_taken[i]));
        struct json j = json_open_lenient(s, strlen(not_taken[i]), LIMIT);
        CHECK(!(json_skip(&j) && json_end(&j)), "%s: taken", not_taken[i]);
        free(s);
    }
    struct json j = json_open_lenient("-Infinity", 9, LIMIT);
    CHECK(!json_double(&j, &x) && x == 42, "a number %g", x);
}

static void doubles(void) {
    static const struct {
        const char *s;
        bool ok;
        double x;
    } t[] = {{"1e-05", true, 1e-5},  {"-0.25", true, -0.25}, {"12", true, 12},
             {"1e308", true, 1e308}, {"1e309", false, 0},    {"-1e400", false, 0},
             {"1e-400", true, 0},    {"0.1E+2", true, 10},   {"nan", false, 0},
             {"[1]", false, 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct json j = json_open(t[i].s, strlen(t[i].s), 1);
        double x;
        bool ok = json_double(&j, &x);
        CHECK(ok == t[i].ok, "%s: %d", t[i].s, ok);
        if (ok) CHECK(x == t[i].x, "%s: %g", t[i].s, x);
    }
    char digits[400];
    memset(digits, '1', sizeof digits);
    struct json j = json_open(digits, sizeof digits, 1);
    double x;
    CHECK(!json_double(&j, &x) && j.error_at == 0, "400 digits");
}

static void decodes(void) {
    static const struct {
        const char *json, *text;
        size_t n;
    } t[] = {{"\"plain\"", "plain", 5},
             {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
             {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6},
             {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4},
             {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 4},
             {"\"a\\u0000b\"", "a\0b", 3},
             {"\"\\u0120t\"", "\xc4\xa0t", 3},
             {"\"\\\\u0041\"", "\\u0041", 6},
             {"\"\"", "", 0},
             {"\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80", 8}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct json j = json_open(t[i].json, strlen(t[i].json), 1);
        struct json_str s;
        CHECK(json_string(&j, &s) && json_end(&j), "%s", t[i].json);
        char *out = exact("", 0), *room = realloc(out, s.n ? s.n : 1);
        size_t n = json_decode(s, room);
        CHECK(n == t[i].n && memcmp(room, t[i].text, n) == 0, "%s: %zu bytes, expected %zu",
              t[i].json, n, t[i].n);
        CHECK(json_is(s, t[i].text) == !memchr(t[i].text, 0, t[i].n), "json_is %s", t[i].json);
        CHECK(!json_is(s, "plai") && !json_is(s, "plain "), "json_is %s", t[i].json);
        free(room);
    }
}

static void walks(void) {
    static const char text[] = " {\"name\": \"x\", \"shape\": [3, 4, 5], \"none\": null, \"deep\": "
                               "{\"a\": [{}]}, \"yes\": true}";
    struct json j = json_open(text, sizeof text - 1, LIMIT), again;
    struct json_str key, s;
    uint64_t x, sum = 0, items = 0, keys = 0;
    bool yes = false;
    CHECK(json_peek(&j) == JSON_OBJECT && json_enter_object(&j), "enter");
    while (json_next_key(&j, &key)) {
        keys++;
        if (json_is(key, "name"))
            CHECK(json_string(&j, &s) && json_is(s, "x"), "name");
        else if (json_is(key, "shape")) {
            again = j;
            for (json_enter_array(&j); json_next_item(&j); items++)
                if (json_uint(&j, &x)) sum += x;
        } else if (json_is(key, "none"))
            CHECK(json_peek(&j) == JSON_NULL && json_null(&j), "none");
        else if (json_is(key, "yes"))
            CHECK(json_bool(&j, &yes), "yes");
        else
            CHECK(json_skip(&j), "skip");
    }
    CHECK(json_end(&j) && keys == 5 && items == 3 && sum == 12 && yes, "%s keys %d",
          j.error ? j.error : "", (int)keys);
    CHECK(json_enter_array(&again) && json_next_item(&again) && json_uint(&again, &x) && x == 3,
          "a copy goes back");
    CHECK(!json_string(&again, &s) && strcmp(again.error, "expected a string") == 0,
          "a string where ',' stands");
}

/* A hostile depth must stop at the limit, not at the end of the stack. */
static void depth(void) {
    size_t n = 1000000;
    char *s = malloc(n);
    memset(s, '[', n);
    struct json j = json_open(s, n, 100000);
    CHECK(!json_skip(&j) && j.error_at == JSON_LIMIT_MAX, "stopped at %zu", j.error_at);
    free(s);
}

/* A caller that looks at the string before it looks at the error finds an empty one. */
static void a_string_that_fails_is_empty(void) {
    const char *texts[] = {"\"abc", "12", "", "\"\\x\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json j = json_open(texts[i], strlen(texts[i]), 4);
        struct json_str s = {NULL, 999};
        CHECK(!json_string(&j, &s) && s.s && s.n == 0, "text %zu", i);
    }
}

int main(void) {
    RUN(accepts);
    RUN(refuses_and_says_where);
    RUN(refuses_truncation);
    RUN(uints);
    RUN(wholes);
    RUN(lenient);
    RUN(doubles);
    RUN(decodes);
    RUN(walks);
    RUN(depth);
    RUN(a_string_that_fails_is_empty);
    return TEST_RESULT;
}
