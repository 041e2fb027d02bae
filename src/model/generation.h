/* Generation: from a prompt's tokens to one or several continuations, decoded together. */
#ifndef LOOKAT_MODEL_GENERATION_H
#define LOOKAT_MODEL_GENERATION_H

#include "base/progress.h"
#include "model/draft.h"
#include "model/gpt2.h"
#include "model/sampler.h"

struct generation_params {
    struct sampler_params sampler;
    uint64_t seed, stream; /* sample i draws from stream + i of the seed */
    uint32_t n_samples;    /* continuations of the one prompt */
    size_t held;           /* tokens of the prompt that sequence 0 holds already; without
                              `logits`, the last token of the prompt is not among them */
    const float *logits;   /* [V] those after the prompt, where all of it is held; else NULL */
    size_t limit;          /* the most tokens of a sample; prompt and limit must fit the session's
                              context */
    int32_t eos;           /* the token that ends a sample; -1 where none does */
    bool ignore_eos;       /* eos is never chosen */
    size_t n_top;          /* how many of the most likely tokens each step reports */
    bool logprobs;         /* log-probabilities are reported */
    bool echo;             /* the prompt's tokens are reported too */
    /* Drafts, of one sample alone: several are a batch already, which reads the weights once for
     * all of them. There are none, either, where the session takes no tokens back. The text and its
     * log-probabilities are the same bits with drafts and without. */
    struct draft_params draft;
};

/* One token, as it comes. */
struct generation_step {
    uint32_t sample;
    bool prompt; /* a token of the prompt, with echo; then sample is 0 */
    int32_t id;
    bool has_logprob; /* false without logprobs, for the first token of a prompt, and for those that
                         were held and the one behind them */
    double logprob; /* in nats, of id; the model's own: before penalties, filters and temperature */
    /* [n_top] The most likely tokens, with log-probabilities in `logit`. It is valid during the
     * call. */
    const struct candidate *top;
    size_t n_top;
};

/* Why a sample ended: it has as many tokens as the limit, eos was chosen, or generation_events.ends
 * said so. */
enum generation_stop { STOP_LENGTH, STOP_EOS, STOP_ASKED };

/* What hears of a generation while it goes on. */
struct generation_events {
    void *ctx;
    /* Called for each token. An error from it stops the generation, and is returned. */
    int (*step)(void *ctx, const struct generation_step *step, struct err *e);
    /* Called once for each sample. A token that ends a text is not reported as a step. */
    void (*stopped)(void *ctx, uint32_t sample, enum generation_stop why);
    struct progress prefill; /* hears after each batch of the prompt, in tokens */
    /* Called once, when sequence 0 holds the prompt and nothing else: logits[V] are those after it.
     * An error from it stops the generation, and is returned. NULL where nobody asks. */
    int (*prompt)(void *ctx, const float *logits, struct err *e);
    /* Asked once about each token of a sample, in their order, after it was reported: is it the
     * sample's last? NULL where only limit and eos end a sample. */
    bool (*ends)(void *ctx, uint32_t sample, int32_t id);
};

struct generation_stats {
    size_t prompt_tokens;
    size_t held;                /* of these, the ones that did not go through the model */
    size_t tokens;              /* sampled, of all samples */
    size_t decoded;             /* of these, the ones that went through the model again */
    size_t steps;               /* batches that they went through it in */
    bool drafts;                /* tokens were proposed where some were found */
    size_t proposed, kept;      /* tokens that drafts proposed, and the right ones of them */
    double prefill_s, decode_s; /* seconds */
};

/* Continues prompt[n], n >= 1 tokens, in a session of n_samples sequences. Sequence 0 holds the
 * first `held` tokens of the prompt, which are not run again; it is empty where held is 0. Where it
 * holds all of them, nothing is run, and the text goes on from p->logits. What the others hold is
 * forgotten. The rest of the prompt runs once; the samples share its state and are
 * decoded as one batch. A sample alone is decoded with drafts, whose batches also have at most the
 * session's max_rows rows. Where the session is `invariant`, the text does not depend on `held`, to
 * the bit.
 *
 * Afterwards sequence i holds the prompt and what was written, but for the last token, which
 * nothing asked the model about; after drafts it may hold proposals behind it, which a rewind takes
 * back.
 *
 * Returns ERR_USAGE where sequence 0 holds another number of tokens than `held`, or no token is
 * left to run; ERR_INTERRUPTED after Ctrl-C; and ERR_FAILED where a logit is not finite: that
 * message says where the model lost it. *stats is filled in any case. */
int generation_run(struct gpt2_session *s, const int32_t *prompt, size_t n,
                   const struct generation_params *p, const struct generation_events *events,
                   struct generation_stats *stats, struct err *e);

#endif
