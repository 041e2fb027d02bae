/* Finds the class of a character by binary search in the tables of unicode_tables.c. */
#include "tokenizer/unicode.h"

static bool in_ranges(const struct unicode_range *ranges, size_t n, uint32_t cp) {
    size_t low = 0; /* the first range that ends at cp or later is in low..n */
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        if (cp > ranges[mid].last)
            low = mid + 1;
        else if (cp < ranges[mid].first)
            n = mid;
        else
            return true;
    }
    return false;
}

static enum unicode_class ascii_class(uint32_t c) {
    if ((c | 32) - 'a' < 26) return UNICODE_LETTER;
    if (c - '0' < 10) return UNICODE_NUMBER;
    if (c == ' ' || c - '\t' < 5) return UNICODE_SPACE; /* \t \n \v \f \r */
    return UNICODE_OTHER;
}

enum unicode_class unicode_class(uint32_t code_point) {
    if (code_point < 128) return ascii_class(code_point);
    if (in_ranges(unicode_letters, unicode_letters_len, code_point)) return UNICODE_LETTER;
    if (in_ranges(unicode_numbers, unicode_numbers_len, code_point)) return UNICODE_NUMBER;
    if (in_ranges(unicode_spaces, unicode_spaces_len, code_point)) return UNICODE_SPACE;
    return UNICODE_OTHER;
}

bool unicode_is_word(uint32_t code_point) {
    if (code_point < 128)
        return code_point == '_' || ascii_class(code_point) == UNICODE_LETTER ||
               ascii_class(code_point) == UNICODE_NUMBER;
    return in_ranges(unicode_words, unicode_words_len, code_point);
}
