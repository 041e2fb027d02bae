/* Codebooks for measuring speed, where a model has none of its own. They are as large as learned
 * ones and are read the same way; what they make of a text is worth nothing. */
#ifndef LOOKAT_CALIBRATION_STAND_IN_H
#define LOOKAT_CALIBRATION_STAND_IN_H

#include "attention/book.h"
#include "checkpoint/weights.h"

/* Fills `b` with a codebook for every setting of lookat and pq that specs[n_specs] name. Settings
 * that `own` has are taken from it (it may be NULL, and must outlive b). The centroids of the
 * others are keys that the model makes of random tokens, so that stored codes are spread as real
 * ones are. *made is the number of these others; if it is 0, b is empty and `own` will do. Specs
 * that cannot be read are passed over: attn_init says what is wrong with them. The model runs on as
 * many threads as are set. book_close(b) is due in any case. ERR_FAILED without memory, otherwise
 * errors as key_sample_collect's. */
int stand_in_book(struct book *b, size_t *made, const struct book *own,
                  const struct gpt2_weights *w, const struct kernels *k, const char *const *specs,
                  size_t n_specs, struct err *e);

#endif
