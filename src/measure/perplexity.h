/* Perplexity of a text in windows, as llama-perplexity takes it. */
#ifndef LOOKAT_MEASURE_PERPLEXITY_H
#define LOOKAT_MEASURE_PERPLEXITY_H

#include "base/progress.h"
#include "measure/stats.h"
#include "model/gpt2.h"

/* Windows of c = `window` tokens, each run on its own, an incomplete last one left out; no token is
 * put in front of a window. stride 0: windows follow one another, and the predictions made at
 * positions c/2 .. c - 2 are scored, that is tokens c/2 + 1 .. c - 1: each has at least c/2 + 1
 * tokens before it. stride s, 1 <= s < c: a window begins s tokens after the one before, and its
 * last s tokens are scored, which no window before it scored: each has at least c - s tokens before
 * it. */
struct perplexity_windows {
    size_t window, stride;
};

struct perplexity_result {
    size_t windows, tokens; /* run */
    size_t used;            /* of the text: up to the end of the last window, each once */
    struct estimate nll; /* -log p of the scored tokens, nats; a cluster is what a window's length
                            of text scores */
    double seconds;
};

/* How many windows n tokens make. ERR_USAGE for sizes that do not go with the model's context, or
 * too few tokens: messages name `file`. */
int perplexity_plan(const struct perplexity_windows *p, const struct gpt2_config *c,
                    const char *file, size_t n, size_t *windows, struct err *e);

/* Measures ids[n] with the session's sequence 0, which ends up empty. `progress` is in tokens
 * run. ERR_INTERRUPTED after Ctrl-C, ERR_FAILED where a logit is no finite number. */
int perplexity_measure(struct gpt2_session *s, const struct perplexity_windows *p,
                       const int32_t *ids, size_t n, struct perplexity_result *r,
                       struct progress progress, struct err *e);

#endif
