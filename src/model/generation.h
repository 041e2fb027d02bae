/* Generation: from a prompt's tokens to one or several continuations, decoded together. */
#ifndef LOOKAT_MODEL_GENERATION_H
#define LOOKAT_MODEL_GENERATION_H

#include "base/progress.h"
#include "model/gpt2.h"
#include "model/sampler.h"

struct generation_params {
    struct sampler_params sampler;
    uint64_t seed; /* sample i draws from stream i of it */
    uint32_t n_samples;
    size_t limit;    /* tokens per sample at most; prompt + limit must fit the session's context */
    int32_t eos;     /* ends a sample; -1: none */
    bool ignore_eos; /* never choose it */
    size_t n_top;    /* how many of the most likely tokens each step reports */
    bool logprobs;   /* report log-probabilities at all */
    bool echo;       /* report the prompt's tokens too */
};

/* One token, as it comes. */
struct generation_step {
    uint32_t sample;
    bool prompt; /* a token of the prompt (with echo); sample is 0 */
    int32_t id;
    bool has_logprob; /* false for the first token of a prompt, and without logprobs */
    double logprob;   /* of id, of the model itself: before penalties, filters and temperature */
    const struct candidate
        *top; /* [n_top] most likely, with log-probabilities in `logit`; valid during the call */
    size_t n_top;
};

enum generation_stop { STOP_LENGTH, STOP_EOS };

struct generation_events {
    void *ctx;
    int (*step)(void *ctx, const struct generation_step *step,
                struct err *e); /* an error stops the generation */
    void (*stopped)(void *ctx, uint32_t sample,
                    enum generation_stop why); /* an end-of-text token is not reported as a step */
    struct progress prefill;                   /* hears after each batch of the prompt, in tokens */
};

struct generation_stats {
    size_t prompt_tokens, tokens; /* tokens: sampled, of all samples */
    size_t decoded;               /* of them, those that went through the model again */
    double prefill_s, decode_s;
};

/* Runs a session of n_samples empty sequences. The prompt has n >= 1 tokens. ERR_INTERRUPTED after
 * Ctrl-C, ERR_FAILED where a logit is no finite number, saying where the model lost them; *stats is
 * filled in any case. */
int generation_run(struct gpt2_session *s, const int32_t *prompt, size_t n,
                   const struct generation_params *p, const struct generation_events *events,
                   struct generation_stats *stats, struct err *e);

#endif
