/* Sampling: from logits to the next token. The filters are llama.cpp's, in its default order:
 * repetition penalty, top-k, top-p, min-p, temperature. */
#ifndef LOOKAT_MODEL_SAMPLER_H
#define LOOKAT_MODEL_SAMPLER_H

#include "base/arena.h"
#include "base/rng.h"

#include <stdbool.h>

struct sampler_params {
    double temp;  /* 0: the most likely token, the lowest id of equals */
    long top_k;   /* keep the k most likely; 0: all */
    double top_p; /* keep the smallest set of at least this probability (Holtzman et al. 2020); 1:
                     all */
    double min_p; /* keep tokens of at least this share of the best one's probability (Nguyen et al.
                     2024); 0: all */
    double repeat_penalty; /* divide positive, multiply negative logits of recent tokens (Keskar et
                              al. 2019); 1: off */
    long repeat_last_n;    /* how many recent tokens; -1: all; 0: off */
    const uint8_t *
        never; /* [V] 1 where a row is no token that may come, as those of padding; NULL: all may */
};

struct candidate {
    int32_t id;
    float logit;
};

struct sampler {
    struct sampler_params p;
    size_t n_vocab;           /* V */
    struct candidate *heap;   /* [V] */
    struct candidate *sorted; /* [V] kept candidates, best first */
    double *weight;           /* [V] of the sorted ones */
};

/* All memory from the arena; false without memory. One sampler serves any number of sequences, one
 * at a time. */
bool sampler_init(struct sampler *s, const struct sampler_params *p, size_t n_vocab,
                  struct arena *a);

/* The next token after `history` (n tokens, the prompt included) given logits[V], which are left as
 * they are; -1 where one of them is NaN: nothing can be chosen then. `banned` (-1: none) is a token
 * that must not come. Draws one number from rng, or none at temperature 0. */
int32_t sampler_next(struct sampler *s, struct rng *rng, const float *logits,
                     const int32_t *history, size_t n, int32_t banned);

/* out[k] = the k most likely tokens that may be chosen (ties: the lowest id first; `never` as in
 * struct sampler_params) with their log-probabilities log softmax(logits). Of all logits: the
 * model's own, rows that are never chosen included. Returns log sum exp(logits), so that the
 * log-probability of any token is its logit less that. k is at most the number of tokens that may
 * be chosen. `work` is [n_vocab]. */
double logprobs_top(const float *logits, size_t n_vocab, const uint8_t *never,
                    struct candidate *out, size_t k, struct candidate *work);

#endif
