/* Steps over UTF-8 by table 3-7 of the Unicode standard. */
#include "base/utf8.h"

/* Length of the character that starts with `lead`, 0 for none; lo..hi is the range of its second
 * byte. */
static size_t lead_byte(uint8_t lead, uint8_t *lo, uint8_t *hi) {
    *lo = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *hi = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return lead < 0x80   ? 1
           : lead < 0xC2 ? 0
           : lead < 0xE0 ? 2
           : lead < 0xF0 ? 3
           : lead < 0xF5 ? 4
                         : 0;
}

size_t utf8_step(const uint8_t *s, size_t n, bool *ok) {
    uint8_t lo, hi;
    size_t len = lead_byte(s[0], &lo, &hi), have = 1;
    while (have < len && have < n && s[have] >= lo && s[have] <= hi) {
        have++;
        lo = 0x80;
        hi = 0xBF;
    }
    *ok = have == len;
    return have;
}

uint32_t utf8_code_point(const uint8_t *s, size_t n) {
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++) c = c << 6 | (s[i] & 0x3FU);
    return c;
}

bool utf8_valid(const uint8_t *s, size_t n) {
    bool ok = true;
    for (size_t i = 0; i < n && ok;) i += utf8_step(s + i, n - i, &ok);
    return ok;
}

size_t utf8_unfinished(const uint8_t *s, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t lo, hi;
        bool ok;
        size_t len = lead_byte(s[n - back], &lo, &hi);
        if (len > back) return utf8_step(s + n - back, back, &ok) == back ? back : 0;
        if (len) return 0;
    }
    return 0;
}
