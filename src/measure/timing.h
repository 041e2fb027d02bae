/* What attention takes in decoding, of several backends side by side. */
#ifndef LOOKAT_MEASURE_TIMING_H
#define LOOKAT_MEASURE_TIMING_H

#include "attention/backend.h"
#include "base/err.h"

/* A backend whose state holds a whole window. */
struct timed {
    const struct attn *attn;
    void *state;   /* only read */
    void *scratch; /* of attend, for all threads */
};

struct timing {
    double median, least, most; /* seconds of a repetition */
};

enum { TIMING_REPEATS = 5 };

/* A repetition answers one query of each layer over the first `every`, 2 `every`, ... keys, as many
 * as fit `window`: what decoding the tokens at the positions every - 1, 2 every - 1, ... takes in
 * attention, storing left out. Each backend in turn, TIMING_REPEATS times after one time for
 * warmth, so that a slow moment hits them alike. Queries are random; nothing comes in between as
 * the weights do in decoding. ERR_FAILED without memory. */
int timing_measure(const struct timed *runs, size_t n_runs, size_t window, size_t every,
                   struct timing *out, struct err *e);

#endif
