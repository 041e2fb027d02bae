/* The attention pattern of one head over the beginning of a text: what each query's probabilities
 * are with the baseline, and what they are when another backend answers the same query over the
 * same keys. */
#ifndef LOOKAT_MEASURE_PATTERN_H
#define LOOKAT_MEASURE_PATTERN_H

#include "measure/comparison.h"

enum { PATTERN_TOKENS = 48 };

struct pattern {
    size_t text, layer, head;
    const int32_t *ids; /* [n] */
    size_t n;
    /* [n_runs][n (n + 1) / 2] Row t of a run has t + 1 probabilities, those of positions 0 to t,
     * and begins at t (t + 1) / 2. */
    float *probs;
    /* [n] What the tokens say: bytes[spell_at[i]] to bytes[spell_at[i + 1]]; NULL without a
     * tokenizer. */
    const char *bytes;
    const size_t *spell_at; /* [n + 1] */
};

/* Returns row t of a run. */
const float *pattern_row(const struct pattern *p, size_t run, size_t t);

/* Fills p->ids, n and probs for the text, layer and head that are set; the baseline runs the
 * tokens, and every backend stores its keys and values as mode shadow does. ERR_FAILED without
 * memory, which comes from the arena; errors of gpt2_forward. */
int pattern_measure(const struct comparison *c, struct pattern *p, struct arena *arena,
                    struct err *e);

#endif
