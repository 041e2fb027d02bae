/* The n-grams of a text: for each run of 1 to NGRAM_LONGEST tokens, where it stood last. Each token
 * is taken in and looked up in a time that does not depend on the length of the text, and the
 * memory is linear in it. */
#ifndef LOOKAT_MODEL_NGRAMS_H
#define LOOKAT_MODEL_NGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum { NGRAM_LONGEST = 4 };

struct ngrams {
    const int32_t *text; /* [n] the tokens that were taken in */
    size_t n;
    /* [mask + 1] A hash table for each length: the place behind the last occurrence of an n-gram,
     * or 0. */
    uint32_t *slots[NGRAM_LONGEST];
    size_t mask;
    uint64_t key[2]; /* of hash_bytes: texts come from files */
};

/* Prepares for a text of up to `room` tokens, below 2^31, which must outlive the n-grams. Returns
 * false without memory: at most 64 bytes for each token, and 64 more. */
bool ngrams_init(struct ngrams *g, const int32_t *text, size_t room, struct arena *a);

/* Takes in text[n], which stands there now. With `before`, before[m - 1] becomes the place behind
 * the last earlier occurrence of the m tokens that end with it: the index of the token that
 * followed there, or 0 where there is none. */
void ngrams_add(struct ngrams *g, uint32_t before[NGRAM_LONGEST]);

/* Returns the place behind the last occurrence of the m tokens end[-m] .. end[-1], which may be of
 * another text; 0 where there is none. m is 1 to NGRAM_LONGEST. */
uint32_t ngrams_find(const struct ngrams *g, const int32_t *end, size_t m);

#endif
