/* A sample of the keys and values that a model makes of texts: what calibration learns codebooks
 * from. */
#ifndef LOOKAT_CALIBRATION_KEY_SAMPLING_H
#define LOOKAT_CALIBRATION_KEY_SAMPLING_H

#include "calibration/learn.h"
#include "checkpoint/weights.h"

struct sampled_text {
    const int32_t *ids; /* [n] */
    size_t n;
};

/* How many keys of each head are kept at most, and how many bytes of all keys. */
enum { SAMPLE_KEYS = 16384, SAMPLE_BYTES = 256 << 20 };

/* What is kept; each adds to those before it. */
enum sample_parts {
    SAMPLE_PLAIN,        /* keys: enough for plain codebooks */
    SAMPLE_KEYS_LEARNED, /* the weights of keys and the moments of queries, for learned ones */
    SAMPLE_VALUES        /* values, their weights and the output projections' moments */
};

/* What to sample, and how. */
struct key_sampling {
    const struct gpt2_weights *weights;
    const struct kernels *kn;
    const struct sampled_text *texts; /* [n_texts] */
    size_t n_texts;
    size_t tokens; /* to run over all texts; all of them, where the texts have fewer */
    size_t window; /* tokens that are run together, each seeing those before it; at most the model's
                      context */
    uint64_t seed; /* of the choice of rows */
    enum sample_parts parts;
    struct progress progress; /* hears in tokens */
};

/* Runs about p->tokens tokens with exact attention and keeps the keys of a random choice of them,
 * or of all where they are few enough. The tokens are taken evenly from the texts, in windows
 * spread over each. *run is the number of tokens run. The choice depends on the texts' lengths and
 * the seed alone. SAMPLE_KEYS_LEARNED adds the weights of the keys kept and the second moments of
 * all queries, for which every query's probabilities over its window are worked out. SAMPLE_VALUES
 * adds values, their weights and the moments of the output projections. Memory for the sample comes
 * from `arena`. ERR_USAGE for texts without tokens, ERR_FAILED without memory or for keys that f16
 * cannot hold, ERR_INTERRUPTED after Ctrl-C. */
int key_sample_collect(struct key_sample *s, const struct key_sampling *p, struct arena *arena,
                       size_t *run, struct err *e);

#endif
