/* Sampling: from logits to the next token. The filters are llama.cpp's, in its default order:
 * repetition penalty, top-k, top-p, min-p, temperature. */
#ifndef LOOKAT_MODEL_SAMPLER_H
#define LOOKAT_MODEL_SAMPLER_H

#include "base/arena.h"
#include "base/rng.h"

#include <stdbool.h>

struct sampler_params {
    /* Logits are divided by it. At 0 the most likely token is taken, and of equals the one with the
     * lowest id. */
    double temp;
    /* The k most likely are kept; 0 keeps all. */
    long top_k;
    /* The smallest set of at least this probability is kept (Holtzman et al. 2020); 1 keeps all. */
    double top_p;
    /* Tokens of at least this share of the best one's probability are kept (Nguyen et al. 2024); 0
     * keeps all. */
    double min_p;
    /* Divides positive and multiplies negative logits of recent tokens (Keskar et al. 2019); 1
     * changes nothing. */
    double repeat_penalty;
    /* So many tokens are recent; -1 means all, 0 none. */
    long repeat_last_n;
    /* [V] 1 where a row of the vocabulary is no token that may come, such as padding. NULL where
     * all may. */
    const uint8_t *never;
};

/* A token that may be chosen. */
struct candidate {
    int32_t id;
    float logit;
};

struct sampler {
    struct sampler_params p;
    size_t n_vocab;           /* V */
    struct candidate *heap;   /* [V] */
    struct candidate *sorted; /* [V] the candidates that are kept, best first */
    double *weight;           /* [V] of the sorted ones, relative to the best */
};

/* Takes all memory from the arena; false without memory. One sampler serves any number of
 * sequences, one at a time. */
bool sampler_init(struct sampler *s, const struct sampler_params *p, size_t n_vocab,
                  struct arena *a);

/* Returns the next token after history[n], which includes the prompt, given logits[V], which are
 * left as they are. Returns -1 where one of them is NaN, because nothing can be chosen then.
 * `banned` is a token that must not come, or -1. Draws one number from rng, or none at
 * temperature 0. */
int32_t sampler_next(struct sampler *s, struct rng *rng, const float *logits,
                     const int32_t *history, size_t n, int32_t banned);

/* Sets out[k] to the k most likely tokens that may be chosen, best first and of equals the lowest
 * id first, with their log-probabilities log softmax(logits) in nats. `never` is as in struct
 * sampler_params. The softmax is over all logits[n_vocab], so these are the model's own
 * probabilities: rows that are never chosen count too. Returns log sum exp(logits); the
 * log-probability of any token is its logit less that. k is at most the number of tokens that may
 * be chosen. work is [n_vocab]. */
double logprobs_top(const float *logits, size_t n_vocab, const uint8_t *never,
                    struct candidate *out, size_t k, struct candidate *work);

#endif
