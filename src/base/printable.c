/* Finds the characters that steer a terminal, and replaces them. */
#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

static bool steers(uint32_t c) {
    return c < 32 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

bool printable_step(const uint8_t *s, size_t n, size_t *len, bool *valid) {
    *len = utf8_step(s, n, valid);
    return *valid && !steers(utf8_code_point(s, *len));
}

void printable(char *s) {
    uint8_t *from = (uint8_t *)s, *to = from;
    size_t left = strlen(s), n;
    bool valid;
    for (left -= utf8_unfinished(from, left); left; from += n, left -= n) {
        if (printable_step(from, left, &n, &valid)) {
            memmove(to, from, n);
            to += n;
        } else
            *to++ = '?';
    }
    *to = 0;
}

struct printable_text printable_copy(const char *s) {
    struct printable_text t;
    size_t n = strlen(s), room = sizeof t.s - sizeof "...";
    bool whole = n < sizeof t.s;
    if (!whole) n = room;
    memcpy(t.s, s, n);
    t.s[n] = 0;
    printable(t.s);
    if (!whole) strcat(t.s, "...");
    return t;
}
