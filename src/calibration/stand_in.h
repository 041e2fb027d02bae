/* Codebooks for measuring speed, where a model has none of its own. */
#ifndef LOOKAT_CALIBRATION_STAND_IN_H
#define LOOKAT_CALIBRATION_STAND_IN_H

#include "attention/book.h"
#include "checkpoint/weights.h"

/* Fills `b` with a codebook for every setting of lookat and pq that the specs name: those of `own`
 * (or NULL; it must outlive b) where it has them, for the others keys that the model makes of
 * random tokens, one for each centroid, so that stored codes are spread as real ones are. *made is
 * the number of the latter; where it is 0, b is empty and `own` will do. Specs that cannot be read
 * are passed over: attn_init says what is wrong with them. The threads' count is used as it is.
 * book_close(b) is due in any case. */
int stand_in_book(struct book *b, size_t *made, const struct book *own,
                  const struct gpt2_weights *w, const struct kernels *k, const char *const *specs,
                  size_t n_specs, struct err *e);

#endif
