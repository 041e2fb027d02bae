/* Texts that end a sample: the bytes of each sample are read as they are written, and the first of
 * several strings that they contain is found at its last byte.
 *
 * For each string and sample only one number is kept: how many bytes of the string's beginning the
 * text ends with (Knuth, Morris and Pratt 1977). A byte is compared with the next one of the
 * string. Where they differ, `back` says how many bytes of the beginning the text still ends with:
 *
 *     string   a b a b c
 *     back     0 0 1 2 0     "a b a b" ends with "a b": after a wrong byte 2 of them remain
 *
 * So n bytes take at most 2 n comparisons for each string, whatever the text is. Tokens may end
 * anywhere, in a character too: only bytes are compared. */
#ifndef LOOKAT_MODEL_STOP_TEXT_H
#define LOOKAT_MODEL_STOP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct stop_string {
    const uint8_t *s; /* [n] */
    size_t n;
    uint32_t *back; /* [n] of the first i + 1 bytes: the longest shorter beginning that they end
                       with */
};

struct stop_text {
    struct stop_string *strings; /* [n] */
    size_t n;
    uint32_t *found; /* [n_samples][n] how many bytes of each string the text ends with */
};

/* Prepares to look for n strings in n_samples texts. No string is empty or has 2^32 bytes. They
 * must outlive *t, whose memory comes from the arena. Returns false without memory. */
bool stop_text_init(struct stop_text *t, const char *const *strings, size_t n, size_t n_samples,
                    struct arena *a);

/* Reads the next bytes s[n] of a sample's text. Returns true where one of the strings ends within
 * them. */
bool stop_text_read(struct stop_text *t, size_t sample, const uint8_t *s, size_t n);

#endif
