/* A strict JSON (RFC 8259) cursor: reads values in the order in which they stand, copies nothing,
 * allocates nothing.
 *
 * The caller asks for what it expects next; the first thing that is not there, or that breaks JSON,
 * stops the cursor: from then on every call returns false, and `error` and `error_at` say what
 * stood where. So a caller may chain calls and look once. A cursor is a plain value: a copy of it
 * remembers a place to come back to. Stricter than some readers: the text is valid UTF-8 without a
 * byte order mark (json_open_lenient takes one), and a string holds no lone surrogate. Duplicate
 * keys are the caller's to find. */
#ifndef LOOKAT_BASE_JSON_H
#define LOOKAT_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    const char *text; /* [size] */
    size_t size, at;  /* bytes */
    int depth, limit; /* containers open now, and how many may be */
    bool first;       /* nothing has been read yet in the innermost container */
    bool lenient;     /* json_skip passes NaN and Infinity */
    const char
        *error; /* NULL: none so far; otherwise what was expected, such as "expected a string" */
    size_t error_at; /* bytes before the place of the error */
};

/* A string as it stands in the text, without its quotes and with its escapes: checked, not
 * decoded. */
struct json_str {
    const char *s;
    size_t n; /* bytes */
};

enum json_type {
    JSON_NOTHING,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

enum {
    JSON_LIMIT_MAX = 256
}; /* the deepest limit that json_open takes: json_skip uses the stack */

/* A cursor before the first value of text[size]; containers deeper than `limit` are an error. */
struct json json_open(const void *text, size_t size, int limit);

/* The same for files that people and Python wrote: a byte order mark in front is passed over, and
 * so are, by json_skip alone, the words NaN, Infinity and -Infinity, which Python's json module
 * writes in place of numbers. */
struct json json_open_lenient(const void *text, size_t size, int limit);

/* The type of the value that comes next, judged by its first character; JSON_NOTHING where none
 * can. Moves over spaces only. */
enum json_type json_peek(struct json *j);

/* Containers: enter one, then ask for the next key (leaving the cursor at its value) or item until
 * the answer is false, which is the end of the container or an error. Every value in between must
 * be read or skipped. */
bool json_enter_object(struct json *j);
bool json_enter_array(struct json *j);
bool json_next_key(struct json *j, struct json_str *key);
bool json_next_item(struct json *j);

/* Each of these reads the value that comes next into *out and moves the cursor behind it. False,
 * and the cursor stops, where the value is another. First a string: *out is empty after an error.
 */
bool json_string(struct json *j, struct json_str *out);
/* A whole number in digits only: no sign, fraction, exponent or leading zero, at most 2^64 - 1. */
bool json_uint(struct json *j, uint64_t *out);
/* A whole number however it is written: 128, 128.0, 1.28e2; with a fraction or an exponent at most
 * 2^53. */
bool json_whole(struct json *j, uint64_t *out);
/* Any JSON number of at most 300 characters within the range of double. */
bool json_double(struct json *j, double *out);
bool json_bool(struct json *j, bool *out);
bool json_null(struct json *j); /* passes over `null` */
bool json_skip(struct json *j); /* passes over a value of any type, with all that is in it */

/* Says whether nothing but spaces is left and no error happened. */
bool json_end(struct json *j);

/* Stops the cursor with an error of the caller's own, a string that lives as long as the program,
 * at this place; returns false. */
bool json_fail(struct json *j, const char *error);

/* Writes the string with its escapes decoded, as UTF-8, to out (at most s.n bytes, not terminated);
 * returns its length. */
size_t json_decode(struct json_str s, char *out);

/* Says whether the decoded string is this text. */
bool json_is(struct json_str s, const char *text);

#endif
