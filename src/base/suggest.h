/* "Did you mean ...?": the known word that is nearest to a mistyped one. */
#ifndef LOOKAT_BASE_SUGGEST_H
#define LOOKAT_BASE_SUGGEST_H

#include <stddef.h>

struct suggestion {
    char word[32];   /* the best so far, "" where nothing is near */
    size_t distance; /* its edit distance */
};

/* Offers candidate[n] for `word`; kept where it is near enough, and nearer than the best so far.
 * {0} is no suggestion yet. */
void suggest(struct suggestion *s, const char *word, const char *candidate, size_t n);

/* Returns the end of a message, "; did you mean WORD?", or nothing where no candidate was near. */
struct suggestion_note {
    char s[56];
};
struct suggestion_note suggestion_note(const struct suggestion *s);

#endif
