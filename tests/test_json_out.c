/* The JSON writer and the text helpers, against what RFC 8259, RFC 4648 and the Unicode standard
 * say. */
#include "report/json_out.h"

#include <float.h>

#include "base/json.h"
#include "base/utf8.h"
#include "report/text.h"
#include "test.h"

static char out[8192];
static FILE *fp;
static struct json_out j;

static bool begin(void) {
    fp = tmpfile();
    CHECK(fp, "tmpfile");
    json_put_begin(&j, fp);
    return fp != NULL;
}

/* What was written. */
static const char *end(void) {
    rewind(fp);
    size_t n = fread(out, 1, sizeof out - 1, fp);
    out[n] = 0;
    fclose(fp);
    return out;
}

#define SAME(got, want) CHECK(strcmp(got, want) == 0, "got %s, want %s", got, want)

static void structure(void) {
    if (!begin()) return;
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "x/1");
    json_put_array(&j, "empty");
    json_put_close(&j);
    json_put_array(&j, "mixed");
    json_put_int(&j, NULL, INT64_MIN);
    json_put_uint(&j, NULL, UINT64_MAX);
    json_put_bool(&j, NULL, true);
    json_put_null(&j, NULL);
    json_put_object(&j, NULL);
    json_put_close(&j);
    json_put_cstr(&j, NULL, NULL);
    json_put_close(&j);
    json_put_ids(&j, "ids", (int32_t[]){1, 2, 50256}, 3);
    json_put_bool(&j, "last", false);
    json_put_close(&j);
    SAME(end(),
         "{\"schema\":\"x/"
         "1\",\"empty\":[],\"mixed\":[-9223372036854775808,18446744073709551615,true,null,{},null],"
         "\"ids\":[1,2,50256],\"last\":false}\n");
}

static void escapes(void) {
    if (!begin()) return;
    json_put_array(&j, NULL);
    json_put_string(&j, NULL, "a\"b\\c\n\t\0\x1f\x7f/", 11);
    json_put_string(&j, NULL, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9);
    json_put_close(&j);
    SAME(end(), "[\"a\\\"b\\\\c\\n\\u0009\\u0000\\u001f\\u007f/"
                "\",\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"]\n");
}

/* The examples of the Unicode standard, section 3.9 (tables 3-8 to 3-11): how many U+FFFD stand for
 * ill-formed bytes. */
static void ill_formed(void) {
#define R "\xEF\xBF\xBD"
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[128];
        if (!begin()) return;
        json_put_array(&j, NULL);
        json_put_string(&j, NULL, cases[i].in, strlen(cases[i].in));
        json_put_close(&j);
        snprintf(want, sizeof want, "[\"%s\"]\n", cases[i].want);
        SAME(end(), want);
    }
}

static void bytes_beside(void) {
    static const struct {
        const char *in, *base64;
    } cases[] = {
        {"\xFF", "/w=="}, {"\xFB\xEF", "++8="}, {"\xC3\xA9\x80", "w6mA"}, {"foob\xE2", "Zm9vYuI="}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[64];
        if (!begin()) return;
        json_put_object(&j, NULL);
        json_put_text(&j, "text", cases[i].in, strlen(cases[i].in));
        json_put_int(&j, "n", 1);
        json_put_close(&j);
        snprintf(want, sizeof want, ",\"bytes\":\"%s\",\"n\":1}\n", cases[i].base64);
        CHECK(strstr(end(), want), "%s lacks %s", out, want);
    }
    if (!begin()) return;
    json_put_object(&j, NULL);
    json_put_text(&j, "text", "caf\xC3\xA9", 5);
    json_put_close(&j);
    SAME(end(), "{\"text\":\"caf\xC3\xA9\"}\n");
}

static void numbers(void) {
    if (!begin()) return;
    json_put_array(&j, NULL);
    json_put_double(&j, NULL, 0.1);
    json_put_double(&j, NULL, -3);
    json_put_double(&j, NULL, 1.0 / 3);
    json_put_double(&j, NULL, 1e300);
    json_put_double(&j, NULL, NAN);
    json_put_double(&j, NULL, -INFINITY);
    json_put_float(&j, NULL, 0.1f);
    json_put_float(&j, NULL, 16777216.0f);
    json_put_float(&j, NULL, INFINITY);
    json_put_close(&j);
    SAME(end(), "[0.1,-3,0.3333333333333333,1e+300,null,null,0.1,16777216,null]\n");
}

/* Every number reads back, through the project's own strict reader, as the number that was
 * written. */
static void numbers_round_trip(void) {
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 2000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift64 (Marsaglia 2003) */
        double d;
        float f;
        uint32_t low = (uint32_t)x;
        memcpy(&d, &x, 8);
        memcpy(&f, &low, 4);
        if (!isfinite(d) || !isfinite(f) || fabs(d) < DBL_MIN || !begin()) continue;
        json_put_array(&j, NULL);
        json_put_double(&j, NULL, d);
        json_put_float(&j, NULL, f);
        json_put_close(&j);
        end();
        double a = 0, b = 0;
        struct json in = json_open(out, strlen(out), 2);
        bool ok = json_enter_array(&in) && json_next_item(&in) && json_double(&in, &a) &&
                  json_next_item(&in) && json_double(&in, &b);
        CHECK(ok && a == d && (float)b == f, "%s: %.17g %.9g", out, d, (double)f);
    }
}

static void units(void) {
    SAME(text_bytes(0).s, "0 bytes");
    SAME(text_bytes(1).s, "1 byte");
    SAME(text_bytes(999).s, "999 bytes");
    SAME(text_bytes(1000).s, "1.0 kB");
    SAME(text_bytes(12100000).s, "12.1 MB");
    SAME(text_bytes(999949999).s, "999.9 MB");
    SAME(text_bytes(999960000).s, "1.0 GB");
    SAME(text_bytes(UINT64_MAX).s, "18.4 EB");
    SAME(text_count(0).s, "0");
    SAME(text_count(999).s, "999");
    SAME(text_count(1000).s, "1,000");
    SAME(text_count(124439808).s, "124,439,808");
    SAME(text_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
}

static void tables(void) {
    struct arena a = {0};
    struct text_table t;
    struct err e = {0};
    if (!begin()) return;
    table_begin(&t, "lrl", &a);
    for (int i = 0; i < 100; i++) {
        table_cell(&t, i == 3 ? "\xC3\xA9t\xC3\xA9" : "ab");
        table_cell(&t, "%d", i);
        table_cell(&t, "end");
    }
    CHECK(table_print(&t, fp, &e) == OK, "%s", e.msg);
    end();
    arena_free(&a);
    const char *want = "ab    0  end\nab    1  end\nab    2  end\n\xC3\xA9t\xC3\xA9   3  end\n";
    CHECK(strncmp(out, want, strlen(want)) == 0, "%.60s", out);
    CHECK(strstr(out, "\nab   99  end\n"), "the last row");
}

static void escaped_text(void) {
    if (!begin()) return;
    text_escaped(fp, (const uint8_t *)"a\n\t\\\x1b[\xFF\xC3\xA9\xC2\x9B\x7F\0", 12);
    SAME(end(), "a\\n\\t\\\\\\x1B[\\xFF\xC3\xA9\\xC2\\x9B\\x7F");
    if (!begin()) return;
    text_escaped(fp,
                 (const uint8_t *)"a\xE2\x80\xAE"
                                  "b",
                 5); /* U+202E turns what follows around */
    SAME(end(), "a\\xE2\\x80\\xAE"
                "b");
}

/* The same text for whoever parses it, and nothing that steers a terminal. */
static void escaped_strings(void) {
    if (!begin()) return;
    json_put_array(&j, NULL);
    json_put_cstr(&j, NULL,
                  "\xC2\x9B"
                  "31m\xC2\xA0\x7F\x1b");
    json_put_cstr(&j, NULL,
                  "a\xE2\x80\xAE"
                  "b\xE2\x81\xA6\xD8\x9C\xE2\x80\xA8\xC3\xA9");
    json_put_close(&j);
    SAME(end(),
         "[\"\\u009b31m\xC2\xA0\\u007f\\u001b\",\"a\\u202eb\\u2066\\u061c\\u2028\xC3\xA9\"]\n");
}

static void csv_fields(void) {
    if (!begin()) return;
    text_csv(fp, "a \"b\"\n\x1b[1m\xC2\x85\xC3\xA9\xFF");
    SAME(end(), "\"a \"\"b\"\"??[1m?\xC3\xA9?\"");
}

/* Cells come from files: names with newlines and escapes in them. */
static void cells_are_printable(void) {
    struct arena a = {0};
    struct text_table t;
    struct err e;
    if (!begin()) return;
    table_begin(&t, "ll", &a);
    table_cell(&t, "%s", "two\nlines\x1b[2J\xC2\x9B");
    table_cell(&t, "%s", "x");
    CHECK(table_print(&t, fp, &e) == OK, "%s", e.msg);
    SAME(end(), "two?lines?[2J?  x\n");
    arena_free(&a);
}

static void unfinished(void) {
    static const struct {
        const char *in;
        size_t want;
    } cases[] = {{"", 0},
                 {"a", 0},
                 {"\xC3", 1},
                 {"\xC3\xA9", 0},
                 {"a\xE2\x82", 2},
                 {"\xF0\x9F\x98", 3},
                 {"\xF0\x9F\x98\x80", 0},
                 {"\x80", 0},
                 {"\xE0\x80", 0},
                 {"\xED\xA0", 0},
                 {"\xF4\x90", 0},
                 {"\xC0", 0},
                 {"\xFF", 0},
                 {"\xE2\x82\xE2", 1},
                 {"\xF0\x9F\x98\x80\x80", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t got = utf8_unfinished((const uint8_t *)cases[i].in, strlen(cases[i].in));
        CHECK(got == cases[i].want, "case %zu: %zu, want %zu", i, got, cases[i].want);
    }
}

int main(void) {
    RUN(structure);
    RUN(escapes);
    RUN(ill_formed);
    RUN(bytes_beside);
    RUN(numbers);
    RUN(numbers_round_trip);
    RUN(units);
    RUN(tables);
    RUN(escaped_text);
    RUN(escaped_strings);
    RUN(csv_fields);
    RUN(cells_are_printable);
    RUN(unfinished);
    return TEST_RESULT;
}
