#include "report/markup.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* U+FFFE and U+FFFF are valid UTF-8 and no characters of XML 1.0 (section 2.2). */
static bool nonchar(const uint8_t *s, size_t len) {
    return len == 3 && s[0] == 0xEF && s[1] == 0xBF && s[2] >= 0xBE;
}

static const char *reference(uint8_t c) {
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

/* `label`: what would not be seen gets a sign. */
static void put(FILE *fp, const uint8_t *s, size_t n, bool label) {
    for (size_t i = 0; i < n;) {
        bool valid;
        size_t len;
        bool shown = printable_step(s + i, n - i, &len, &valid);
        const char *ref = reference(s[i]);
        if (ref)
            fputs(ref, fp);
        else if (label && s[i] == '\n')
            fputs("\xE2\x86\xB5", fp); /* U+21B5 */
        else if (label && s[i] == '\t')
            fputs("\xE2\x87\xA5", fp); /* U+21E5 */
        else if (label && s[i] == ' ')
            fputs("\xE2\x90\xA3", fp); /* U+2423 */
        else if (s[i] == '\n')
            fputc('\n', fp);
        else if (!shown || nonchar(s + i, len))
            fputs(replacement, fp);
        else
            fwrite(s + i, 1, len, fp);
        i += len;
    }
}

void markup_text(FILE *fp, const void *s, size_t n) { put(fp, s, n, false); }

void markup_cstr(FILE *fp, const char *s) { put(fp, (const uint8_t *)s, strlen(s), false); }

void markup_token(FILE *fp, const void *s, size_t n) { put(fp, s, n, true); }

void markup_vprint(FILE *fp, const char *fmt, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    markup_cstr(fp, text);
}

void markup_print(FILE *fp, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    markup_vprint(fp, fmt, ap);
    va_end(ap);
}

/* ---- numbers ---- */

static struct text_number not_finite(double x) {
    struct text_number t;
    snprintf(t.s, sizeof t.s, "%s", isnan(x) ? "NaN" : x < 0 ? "-inf" : "inf");
    return t;
}

/* "1.2e-06" becomes "1.2e-6". */
static void short_exponent(char *s) {
    char *e = strchr(s, 'e');
    if (!e) return;
    char *digits = e + 1 + (e[1] == '-' || e[1] == '+'), *from = digits;
    while (*from == '0' && from[1]) from++;
    memmove(e[1] == '+' ? e + 1 : digits, from, strlen(from) + 1);
}

struct text_number markup_digits(double x, int digits) {
    struct text_number t;
    if (!isfinite(x)) return not_finite(x);
    double size = fabs(x);
    if (size >= 1000 && size < 1e15) {
        struct text_number whole = text_count((uint64_t)(size + 0.5));
        snprintf(t.s, sizeof t.s, "%s%.38s", x < 0 ? "-" : "", whole.s);
    } else if (size >= 1e-4 && size < 1000) {
        int decimals = digits - 1 - (int)floor(log10(size));
        snprintf(t.s, sizeof t.s, "%.*f", decimals > 0 ? decimals : 0, x);
    } else {
        snprintf(t.s, sizeof t.s, "%.*e", digits - 1, x);
        if (x == 0) snprintf(t.s, sizeof t.s, "0");
        short_exponent(t.s);
    }
    return t;
}

struct text_number markup_count(double x) {
    return x >= 0 && x < 1e18 ? text_count((uint64_t)(x + 0.5)) : markup_number(x);
}

struct text_number markup_number(double x) {
    return markup_digits(x, 3);
}

struct text_number markup_bytes(double x) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    struct text_number t;
    size_t unit = 0;
    if (!isfinite(x)) return not_finite(x);
    for (; x >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++) x /= 1000;
    int decimals = unit == 0 || x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
    snprintf(t.s, sizeof t.s, "%.*f %s", decimals, x, units[unit]);
    return t;
}

struct text_number markup_pair(double mean, double error) {
    struct text_number t;
    if (!isfinite(mean) || !isfinite(error)) return markup_digits(mean, 4);
    if (error == 0 && fabs(mean) < 1000) {
        snprintf(t.s, sizeof t.s, "%.5g", mean);
        return t;
    }
    int decimals = error > 0 ? 1 - (int)floor(log10(error)) : 0;
    if (decimals > 7 && fabs(mean) < 1e-3) {
        snprintf(t.s, sizeof t.s, "%.16s ± %.16s", markup_digits(mean, 3).s,
                 markup_digits(error, 2).s);
        return t;
    }
    if (decimals > 9) { /* a mean that rounds to 1 is worth no more of them */
        snprintf(t.s, sizeof t.s, "%.9f ± %.16s", mean, markup_digits(error, 1).s);
        return t;
    }
    decimals = decimals < 0 ? 0 : decimals;
    snprintf(t.s, sizeof t.s, "%.*f ± %.*f", decimals, mean, decimals, error);
    return t;
}
