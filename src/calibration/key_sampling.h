/* A sample of the keys that a model makes of texts: what calibration learns codebooks from. */
#ifndef LOOKAT_CALIBRATION_KEY_SAMPLING_H
#define LOOKAT_CALIBRATION_KEY_SAMPLING_H

#include "calibration/learn.h"
#include "checkpoint/weights.h"

struct sampled_text {
    const int32_t *ids; /* [n] */
    size_t n;
};

/* Most keys kept of each head, and most bytes of all keys kept. */
enum { SAMPLE_KEYS = 16384, SAMPLE_BYTES = 256 << 20 };

/* What is kept: keys; also what learned codebooks of keys need; also values and what learned
 * codebooks of them need. */
enum sample_parts { SAMPLE_PLAIN, SAMPLE_KEYS_LEARNED, SAMPLE_VALUES };

/* Runs about `tokens` tokens (all, where the texts have fewer), taken evenly from the texts in
 * windows of `window` tokens spread over each, with exact attention, and keeps the keys of a random
 * choice of them: of every token, where they are few enough. *run is the number of tokens run. The
 * choice depends on the texts' lengths and the seed alone. With SAMPLE_KEYS_LEARNED also what
 * learned codebooks need: the weights of the keys kept and the second moments of all queries, for
 * which every query's probabilities over its window are worked out; with SAMPLE_VALUES values,
 * their weights and the moments of the output projections as well. Memory for the result comes from
 * the arena. `progress` gets tokens done and in all. ERR_FAILED for keys that f16 cannot hold,
 * ERR_INTERRUPTED after Ctrl-C. */
int key_sample_collect(struct key_sample *s, const struct gpt2_weights *w, const struct kernels *k,
                       const struct sampled_text *texts, size_t n_texts, size_t tokens,
                       size_t window, uint64_t seed, enum sample_parts parts, struct arena *a,
                       size_t *run, void (*progress)(void *ctx, uint64_t done, uint64_t total),
                       void *ctx, struct err *e);

#endif
