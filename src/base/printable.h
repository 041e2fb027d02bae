/* What came from a file or a command line and is shown to a person must not steer the terminal: an
 * escape sequence in the name of a token could clear the screen. All such text passes here. */
#ifndef LOOKAT_BASE_PRINTABLE_H
#define LOOKAT_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks at the first character of s[0..n), n >= 1, of *len bytes. False for a character that
 * steers: control characters (below 32, 127, and U+0080 to U+009F), newlines and tabs among them;
 * the line and paragraph separators U+2028 and U+2029; characters that change the direction of the
 * text after them (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). False too for bytes
 * that are not valid UTF-8, *valid then is false. */
bool printable_step(const uint8_t *s, size_t n, size_t *len, bool *valid);

/* Each character of s for which printable_step is false becomes one '?', in place. One that is cut
 * off at the end of s is left out. */
void printable(char *s);

/* A copy that is printable, to be used in the expression that makes it: printf("%s",
 * printable_copy(name).s). What is longer ends with "...". */
struct printable_text {
    char s[256];
};
struct printable_text printable_copy(const char *s);

#endif
