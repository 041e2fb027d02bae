/* GPT-2's pre-tokenizer cuts a text into pieces by this regular expression (OpenAI's encoder.py):
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
 * ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * Nothing here can fail; sizes are in bytes. */
#ifndef LOOKAT_TOKENIZER_PRETOKENIZE_H
#define LOOKAT_TOKENIZER_PRETOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the length in bytes of the piece that starts at text[0], at least 1 where n >= 1. A byte
 * that is not part of valid UTF-8 counts as one character that is neither letter, number nor space.
 * The pieces of a text, in order, are the text. */
size_t pretokenize_next(const uint8_t *text, size_t n);

/* Return how many bytes of white space stand at the beginning, and at the end, of text[n]. */
size_t pretokenize_space_at(const uint8_t *text, size_t n);
size_t pretokenize_space_before(const uint8_t *text, size_t n);

/* Say whether text[n] begins, or ends, with a character of a word, a regular expression's \w. */
bool pretokenize_word_at(const uint8_t *text, size_t n);
bool pretokenize_word_before(const uint8_t *text, size_t n);

#endif
