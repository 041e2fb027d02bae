/* UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
#ifndef LOOKAT_BASE_UTF8_H
#define LOOKAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks at the first character of s[0..n), n >= 1. Valid: its length, 1..4, and *ok = true.
 * Otherwise *ok = false and the length of the longest beginning of a character there is (at least
 * 1): what one U+FFFD stands for. */
size_t utf8_step(const uint8_t *s, size_t n, bool *ok);

/* The code point of a valid character of n bytes. */
uint32_t utf8_code_point(const uint8_t *s, size_t n);

bool utf8_valid(const uint8_t *s, size_t n);

/* Bytes at the end of s[0..n), 0..3, that begin a character which more bytes could complete. */
size_t utf8_unfinished(const uint8_t *s, size_t n);

#endif
