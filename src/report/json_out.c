#include "report/json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/utf8.h"

static void quote(FILE *fp, const uint8_t *s, size_t n) {
    fputc('"', fp);
    for (size_t i = 0; i < n;) {
        bool valid;
        size_t len;
        bool shown = printable_step(s + i, n - i, &len, &valid);
        if (!valid)
            fputs("\xEF\xBF\xBD", fp); /* U+FFFD */
        else if (s[i] == '"' || s[i] == '\\')
            fprintf(fp, "\\%c", s[i]);
        else if (s[i] == '\n')
            fputs("\\n", fp);
        else if (!shown)
            /* The text is the same to a parser, and it steers no terminal. */
            fprintf(fp, "\\u%04lx", (unsigned long)utf8_code_point(s + i, len));
        else
            fwrite(s + i, 1, len, fp);
        i += len;
    }
    fputc('"', fp);
}

/* What stands between the value before and the next one. */
static void lead_in(struct json_out *j, const char *key) {
    if (j->depth && j->more[j->depth - 1]) fputc(',', j->fp);
    if (j->depth) j->more[j->depth - 1] = true;
    if (key) {
        quote(j->fp, (const uint8_t *)key, strlen(key));
        fputc(':', j->fp);
    }
}

void json_put_begin(struct json_out *j, FILE *fp) { *j = (struct json_out){.fp = fp}; }

static void open_value(struct json_out *j, const char *key, char open, char close) {
    lead_in(j, key);
    fputc(open, j->fp);
    if (j->depth == JSON_OUT_DEPTH) abort(); /* a mistake in the program, not in its input */
    j->close[j->depth] = close;
    j->more[j->depth++] = false;
}

void json_put_object(struct json_out *j, const char *key) { open_value(j, key, '{', '}'); }

void json_put_array(struct json_out *j, const char *key) { open_value(j, key, '[', ']'); }

void json_put_close(struct json_out *j) {
    fputc(j->close[--j->depth], j->fp);
    if (!j->depth) fputc('\n', j->fp);
}

void json_put_null(struct json_out *j, const char *key) {
    lead_in(j, key);
    fputs("null", j->fp);
}

void json_put_bool(struct json_out *j, const char *key, bool x) {
    lead_in(j, key);
    fputs(x ? "true" : "false", j->fp);
}

void json_put_int(struct json_out *j, const char *key, int64_t x) {
    lead_in(j, key);
    fprintf(j->fp, "%" PRId64, x);
}

void json_put_uint(struct json_out *j, const char *key, uint64_t x) {
    lead_in(j, key);
    fprintf(j->fp, "%" PRIu64, x);
}

struct json_number json_number(double x) {
    struct json_number text;
    for (int digits = 15; digits <= 17;
         digits++) { /* 15 always survive, 17 always suffice for a double */
        snprintf(text.s, sizeof text.s, "%.*g", digits, x);
        if (strtod(text.s, NULL) == x) break;
    }
    return text;
}

void json_put_double(struct json_out *j, const char *key, double x) {
    if (!isfinite(x)) {
        json_put_null(j, key);
        return;
    }
    lead_in(j, key);
    fputs(json_number(x).s, j->fp);
}

void json_put_float(struct json_out *j, const char *key, float x) {
    char text[32];
    if (!isfinite(x)) {
        json_put_null(j, key);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) { /* 6 and 9 for a float */
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x) break;
    }
    lead_in(j, key);
    fputs(text, j->fp);
}

void json_put_string(struct json_out *j, const char *key, const void *s, size_t n) {
    lead_in(j, key);
    quote(j->fp, s, n);
}

void json_put_cstr(struct json_out *j, const char *key, const char *s) {
    if (s)
        json_put_string(j, key, s, strlen(s));
    else
        json_put_null(j, key);
}

static void base64(FILE *fp, const uint8_t *s, size_t n) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t x = (uint32_t)s[i] << 16 | (have > 1 ? (uint32_t)s[i + 1] << 8 : 0) |
                     (have > 2 ? s[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) fputc(k <= have ? digit[x >> (18 - 6 * k) & 63] : '=', fp);
    }
}

void json_put_text(struct json_out *j, const char *key, const void *s, size_t n) {
    json_put_string(j, key, s, n);
    if (utf8_valid(s, n)) return;
    lead_in(j, "bytes");
    fputc('"', j->fp);
    base64(j->fp, s, n);
    fputc('"', j->fp);
}

void json_put_ids(struct json_out *j, const char *key, const int32_t *ids, size_t n) {
    json_put_array(j, key);
    for (size_t i = 0; i < n; i++) json_put_int(j, NULL, ids[i]);
    json_put_close(j);
}
