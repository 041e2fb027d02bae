/* The three classes of characters that GPT-2's pre-tokenizer tells apart, and those of words, as of
 * Unicode 14.0. */
#ifndef LOOKAT_TOKENIZER_UNICODE_H
#define LOOKAT_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unicode_class {
    UNICODE_OTHER,
    UNICODE_LETTER, /* \p{L}: general categories Lu, Ll, Lt, Lm, Lo */
    UNICODE_NUMBER, /* \p{N}: Nd, Nl, No */
    UNICODE_SPACE   /* \s: the property White_Space */
};

/* Code points first..last, both included; a table is sorted and its ranges do not touch. */
struct unicode_range {
    uint32_t first, last;
};

extern const struct unicode_range unicode_letters[], unicode_numbers[], unicode_spaces[],
    unicode_words[];
extern const size_t unicode_letters_len, unicode_numbers_len, unicode_spaces_len, unicode_words_len;

/* The class of any number; beyond U+10FFFF it is UNICODE_OTHER. */
enum unicode_class unicode_class(uint32_t code_point);

/* Is it a character of words, a regular expression's \w: a letter, a mark, a decimal digit, a
 * connector such as the underscore, or one of the few others of Unicode Technical Standard 18,
 * annex C? */
bool unicode_is_word(uint32_t code_point);

#endif
