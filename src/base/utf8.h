/* Reads UTF-8 as Unicode 15 defines it in table 3-7: no overlong forms, no surrogates, nothing
 * above U+10FFFF. All sizes are in bytes. Nothing here can fail. */
#ifndef LOOKAT_BASE_UTF8_H
#define LOOKAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks at the first character of s[n], n >= 1. If it is valid, *ok is true and the result is its
 * length, 1..4. Otherwise *ok is false and the result is the length of the longest beginning of a
 * character that stands there, at least 1: one U+FFFD stands for so many bytes. */
size_t utf8_step(const uint8_t *s, size_t n, bool *ok);

/* Returns the code point of a valid character s[n], 1 <= n <= 4. */
uint32_t utf8_code_point(const uint8_t *s, size_t n);

/* Says whether s[n] is valid from its first byte to its last; so is no byte at all. */
bool utf8_valid(const uint8_t *s, size_t n);

/* Returns how many bytes at the end of s[n], 0..3, begin a character that more bytes could
 * complete. A stream keeps them back until those bytes come. */
size_t utf8_unfinished(const uint8_t *s, size_t n);

#endif
