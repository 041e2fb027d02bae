/* How a spec is shown: in full, and as it was given with the method that it turned out to be. */
#ifndef LOOKAT_ATTENTION_SPEC_NAME_H
#define LOOKAT_ATTENTION_SPEC_NAME_H

#include "attention/backend.h"

/* The spec as it works: runs of equal layers, every option shown, whatever its length, such as
 * "fp16/fp16@0-1+lookat:m=4,k=256,table=16,plain/fp16@2-". NULL without memory. */
char *spec_effective(const struct attn *a, struct arena *arena);

/* "lookat4" is one of several methods, by what codebooks there are. The spec as given, and in
 * brackets what its quantised keys and values are, unless it says so itself: "lookat4 (plain)",
 * "lookat4 (learned, bytes=4)", "lookat4/pq8 (learned, bytes=4; values learned, bytes=8)"; "k=16"
 * where a codebook has not 256 entries. A word for a whole cache (book_word.h) has the effective
 * spec in its brackets. `effective` is what spec_effective wrote, so a title can be made where only
 * the text is left. NULL without memory. */
char *spec_title(const char *given, const char *effective, struct arena *arena);

#endif
