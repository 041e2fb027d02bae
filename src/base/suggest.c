/* Counts the mistakes that lie between two words, to find the nearest known one. */
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 31 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment distance,
 * Damerau 1964). */
static size_t distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t row[3][LONGEST + 1]; /* the last three rows of the table over prefixes of a (rows) and b
                                   (columns) */
    for (size_t j = 0; j <= nb; j++) row[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            now[j] = least(least(up[j], now[j - 1]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], up2[j - 2] + 1);
        }
    }
    return row[na % 3][nb];
}

void suggest(struct suggestion *s, const char *word, const char *candidate, size_t n) {
    size_t len = strlen(word);
    if (len > LONGEST || n > LONGEST) return;
    size_t d = distance(word, len, candidate, n);
    /* A third of the word wrong is still a typing error. A candidate that merely goes on is near
     * too */
    if (d > len / 3 + 1 && !(len >= 3 && n > len && memcmp(word, candidate, len) == 0)) return;
    if (d >= n || (s->word[0] && d >= s->distance)) return;
    memcpy(s->word, candidate, n);
    s->word[n] = 0;
    s->distance = d;
}

struct suggestion_note suggestion_note(const struct suggestion *s) {
    struct suggestion_note note = {""};
    if (s->word[0]) snprintf(note.s, sizeof note.s, "; did you mean %s?", s->word);
    return note;
}
