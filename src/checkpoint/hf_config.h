/* config.json of a Hugging Face folder, as far as GPT-2 needs it
 * (https://huggingface.co/docs/transformers/model_doc/gpt2, GPT2Config). */
#ifndef LOOKAT_CHECKPOINT_HF_CONFIG_H
#define LOOKAT_CHECKPOINT_HF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HF_ABSENT UINT64_MAX /* a number that the file does not give, or gives as null */

struct hf_config {
    bool found;                                                      /* is there a file at all? */
    uint64_t n_layer, n_head, n_embd, n_inner, n_positions, n_vocab; /* under any of their names */
    uint64_t n_ctx;        /* old files: of the causal mask; n_positions where that is absent */
    double norm_eps;       /* NAN: absent */
    double other_norm_eps; /* under the name other models have for it */
    char model_type[32], activation[32];          /* "": absent; longer ones are not kept */
    char other_activation[32];                    /* under the name other models have for it */
    bool scale_attn_weights;                      /* divide scores by sqrt(head_dim) */
    bool scale_by_layer, cross_attention, untied; /* untied: tie_word_embeddings is false */
    bool tied;                                    /* tie_word_embeddings is true */
    uint64_t bos, eos;                            /* token ids */
};

/* Reads the file at `path`; where there is none, *c is all absent and the result OK. Of a key that
 * stands twice the last counts, as in Python. ERR_REFUSED where it is no JSON object, a field has
 * the wrong kind of value, or two names of one number disagree. */
int hf_config_read(struct hf_config *c, const char *path, struct err *e);

/* ERR_REFUSED, by name, for what makes another model than the engine's. */
int hf_config_check(const struct hf_config *c, const char *path, struct err *e);

/* Is the activation the erf form? The checked config says so; absent, it is the tanh form. */
bool hf_config_is_erf(const struct hf_config *c);

#endif
