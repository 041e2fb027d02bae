/* Text, numbers and colours of pages and figures (report/markup.h, svg.h, plot.h, colour.h). */
#include <math.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "report/colour.h"
#include "report/markup.h"
#include "report/plot.h"
#include "test.h"

static char out[1 << 16];

/* What `write` puts into a file. */
static const char *written(void (*write)(FILE *fp, const void *s, size_t n), const void *s,
                           size_t n) {
    FILE *fp = tmpfile();
    if (!fp) return "";
    write(fp, s, n);
    size_t size = (size_t)ftell(fp);
    rewind(fp);
    out[fread(out, 1, size < sizeof out - 1 ? size : sizeof out - 1, fp)] = 0;
    fclose(fp);
    return out;
}

static void references(void) {
    static const struct {
        const char *in, *text, *token;
    } cases[] = {
        {"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;", "a&lt;b&gt;&amp;&quot;&#39;"},
        {"\n x", "\n x", "\xE2\x86\xB5\xE2\x90\xA3x"},
        {"\x1B[31m", "\xEF\xBF\xBD[31m", "\xEF\xBF\xBD[31m"},
        {"caf\xC3\xA9", "caf\xC3\xA9", "caf\xC3\xA9"},
        {"\xC3", "\xEF\xBF\xBD", "\xEF\xBF\xBD"},
        {"\xEF\xBF\xBF", "\xEF\xBF\xBD", "\xEF\xBF\xBD"},             /* U+FFFF */
        {"\xE2\x80\xAE", "\xEF\xBF\xBD", "\xEF\xBF\xBD"},             /* turns what follows round */
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}, /* beyond 16 bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].in);
        CHECK(strcmp(written(markup_text, cases[i].in, n), cases[i].text) == 0, "text %zu: %s", i,
              out);
        CHECK(strcmp(written(markup_token, cases[i].in, n), cases[i].token) == 0, "token %zu: %s",
              i, out);
    }
    CHECK(strcmp(written(markup_text, "a\0b", 3), "a\xEF\xBF\xBD"
                                                  "b") == 0,
          "a NUL: %s", out);
}

/* Whatever goes in, what comes out is UTF-8 without control characters, and without an open
 * bracket, quote or ampersand of its own. */
static void any_bytes(void) {
    struct rng r;
    rng_seed(&r, 4, 0);
    for (int trial = 0; trial < 2000; trial++) {
        uint8_t s[64];
        size_t n = rng_below(&r, sizeof s);
        for (size_t i = 0; i < n; i++)
            s[i] = (uint8_t)(rng_below(&r, 3) ? (char)rng_below(&r, 256)
                                              : "<>&\"'\xED\xEF\xBF"[rng_below(&r, 8)]);
        const char *text = written(markup_text, s, n);
        size_t size = strlen(text);
        CHECK(utf8_valid((const uint8_t *)text, size), "trial %d is not UTF-8", trial);
        for (size_t i = 0; i < size; i++) {
            CHECK(!strchr("<>\"'", text[i]), "trial %d: %s", trial, text);
            CHECK((uint8_t)text[i] >= 32 || text[i] == '\n', "trial %d: a control character",
                  trial);
            if (text[i] == '&')
                CHECK(strchr(text + i, ';') && strcspn(text + i, ";") <= 6, "an ampersand: %s",
                      text);
        }
    }
}

/* A number is never shown further off than half a unit of its last digit. */
static void numbers(void) {
    struct rng r;
    rng_seed(&r, 5, 0);
    CHECK(strcmp(markup_number(0).s, "0") == 0, "%s", markup_number(0).s);
    CHECK(strcmp(markup_number(0.00213456).s, "0.00213") == 0, "%s", markup_number(0.00213456).s);
    CHECK(strcmp(markup_number(1.2e-6).s, "1.20e-6") == 0, "%s", markup_number(1.2e-6).s);
    CHECK(strcmp(markup_number(123456).s, "123,456") == 0, "%s", markup_number(123456).s);
    CHECK(strcmp(markup_number(NAN).s, "NaN") == 0, "%s", markup_number(NAN).s);
    CHECK(strcmp(markup_number(-INFINITY).s, "-inf") == 0, "%s", markup_number(-INFINITY).s);
    CHECK(strcmp(markup_pair(1.00213, 0.00041).s, "1.00213 ± 0.00041") == 0, "%s",
          markup_pair(1.00213, 0.00041).s);
    CHECK(strcmp(markup_pair(0.99999999512, 2.4e-11).s, "0.999999995 ± 2e-11") == 0, "%s",
          markup_pair(0.99999999512, 2.4e-11).s);
    CHECK(strcmp(markup_pair(1.94e-6, 5.2e-8).s, "1.94e-6 ± 5.2e-8") == 0, "%s",
          markup_pair(1.94e-6, 5.2e-8).s);
    CHECK(strcmp(markup_pair(50.66, NAN).s, "50.66") == 0, "%s", markup_pair(50.66, NAN).s);
    CHECK(strcmp(markup_bytes(341).s, "341 B") == 0, "%s", markup_bytes(341).s);
    CHECK(strcmp(markup_bytes(3342336).s, "3.34 MB") == 0, "%s", markup_bytes(3342336).s);
    for (int i = 0; i < 5000; i++) {
        double x = (rng_double(&r) - 0.5) * pow(10, (double)rng_below(&r, 16) - 8);
        for (int digits = 2; digits <= 6; digits++) {
            char plain[48];
            size_t n = 0;
            for (const char *s = markup_digits(x, digits).s; *s; s++)
                if (*s != ',') plain[n++] = *s;
            plain[n] = 0;
            double shown = strtod(plain, NULL), least = 0.500001 * pow(10, 1 - digits);
            CHECK(fabs(shown - x) <= fabs(x) * least + (fabs(x) >= 1000 ? 0.5 : 0),
                  "%.17g in %d digits: %s", x, digits, plain);
        }
    }
}

/* The relative luminance of sRGB (WCAG 2.1). */
static double luminance(const char *colour) {
    double sum = 0;
    static const double weight[] = {0.2126, 0.7152, 0.0722};
    for (int i = 0; i < 3; i++) {
        char digits[3] = {colour[1 + 2 * i], colour[2 + 2 * i], 0};
        double x = (double)strtol(digits, NULL, 16) / 255;
        sum += weight[i] * (x <= 0.03928 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static void scale_rises(void) {
    double last = -1;
    for (int i = 0; i <= 100; i++) {
        struct colour c = colour_scale(i / 100.0);
        double here = luminance(c.s);
        CHECK(strlen(c.s) == 7 && here >= last, "%s at %d", c.s, i);
        last = here;
    }
    CHECK(luminance(colour_scale(0).s) < 0.05 && last > 0.7, "from dark to light");
    CHECK(strcmp(colour_scale(-3).s, colour_scale(0).s) == 0 &&
              strcmp(colour_scale(7).s, colour_scale(1).s) == 0 &&
              strcmp(colour_scale(NAN).s, colour_scale(0).s) == 0,
          "values beyond the ends have the colours of the ends");
}

static void axes(void) {
    struct axis a = AXIS_EMPTY(true), b = AXIS_EMPTY(false);
    axis_hold(&a, NAN);
    axis_hold(&a, 0);
    axis_hold(&a, -1);
    CHECK(axis_empty(&a), "what has no logarithm is not held");
    axis_hold(&a, 10);
    axis_hold(&a, 1000);
    a.from = 0;
    a.to = 1;
    CHECK(fabs(axis_at(&a, 100) - 0.5) < 1e-12, "the middle of two decades: %g", axis_at(&a, 100));
    CHECK(axis_at(&a, 0) == 0, "what has no place is at the beginning");
    axis_pad(&a, 0, 1e4);
    CHECK(fabs(a.high / a.low - 1e4) < 1e-6, "four decades at least: %g", a.high / a.low);
    axis_hold(&b, -2);
    axis_hold(&b, 6);
    b.from = 100;
    b.to = 0;
    CHECK(axis_at(&b, 0) == 75, "upwards: %g", axis_at(&b, 0));
}

int main(void) {
    RUN(references);
    RUN(any_bytes);
    RUN(numbers);
    RUN(scale_rises);
    RUN(axes);
    return TEST_RESULT;
}
