/* Writing JSON (RFC 8259) as it comes, on one line. `key` is the name of a member where the
 * enclosing value is an object; NULL in an array and at the top. (base/json.h reads.) Write errors
 * stay in the FILE for its owner to check. */
#ifndef LOOKAT_REPORT_JSON_OUT_H
#define LOOKAT_REPORT_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_OUT_DEPTH = 32 };

struct json_out {
    FILE *fp;
    int depth;
    char close[JSON_OUT_DEPTH]; /* '}' or ']' of each open value */
    bool more[JSON_OUT_DEPTH];  /* it has a member already */
};

/* Starts one document; the object or array opened first is the document, and closing it writes a
 * newline. */
void json_put_begin(struct json_out *j, FILE *fp);

void json_put_object(struct json_out *j, const char *key);
void json_put_array(struct json_out *j, const char *key);
void json_put_close(struct json_out *j); /* the innermost */

void json_put_null(struct json_out *j, const char *key);
void json_put_bool(struct json_out *j, const char *key, bool x);
void json_put_int(struct json_out *j, const char *key, int64_t x);
void json_put_uint(struct json_out *j, const char *key, uint64_t x);

/* Returns the fewest digits that read back as the same number; x is finite. */
struct json_number {
    char s[32];
};
struct json_number json_number(double x);

/* Write the fewest digits that read back as the same number; null for what is not finite. */
void json_put_double(struct json_out *j, const char *key, double x);
void json_put_float(struct json_out *j, const char *key, float x);

/* Writes s[n] in quotes; what is not valid UTF-8 becomes U+FFFD. */
void json_put_string(struct json_out *j, const char *key, const void *s, size_t n);
void json_put_cstr(struct json_out *j, const char *key, const char *s); /* NULL: null */

/* Is for an object: json_put_string and, where s[n] is not valid UTF-8, a member "bytes" with the
 * bytes in base64 (RFC 4648). */
void json_put_text(struct json_out *j, const char *key, const void *s, size_t n);

/* Writes an array of ids[n]. */
void json_put_ids(struct json_out *j, const char *key, const int32_t *ids, size_t n);

#endif
