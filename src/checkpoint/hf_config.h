/* config.json of a Hugging Face folder, as far as GPT-2 needs it
 * (https://huggingface.co/docs/transformers/model_doc/gpt2, GPT2Config). */
#ifndef LOOKAT_CHECKPOINT_HF_CONFIG_H
#define LOOKAT_CHECKPOINT_HF_CONFIG_H

#include "checkpoint/weights.h"

#define HF_ABSENT UINT64_MAX /* a number that the file does not give, or gives as null */

/* What stands under one name. */
struct hf_value {
    bool given;    /* and not as null, an empty text or NaN */
    uint64_t size; /* of a CONFIG_SIZE; HF_ABSENT where not given */
    double real;   /* of a CONFIG_REAL or CONFIG_SWITCH */
    char text[32]; /* of a CONFIG_CHOICE; "(a long name)" for a longer one, "" where not given */
};

enum hf_name_of { HF_OWN, HF_OTHER, HF_NAMES }; /* GPT-2's name of a field, and other models' */

struct hf_config {
    bool found; /* is there a file at all? */
    /* By enum config_number. A size that stands under any of its names stands under HF_OWN too. */
    struct hf_value field[CONFIG_FIELDS][HF_NAMES];
    uint64_t n_ctx;      /* old files: of the causal mask; n_positions where that is absent */
    char model_type[32]; /* "": absent */
    bool cross_attention;
    bool tied, untied; /* tie_word_embeddings is true, is false */
    uint64_t bos, eos; /* token ids */
};

/* Reads the file at `path`; where there is none, *c is all absent and the result OK. Of a key that
 * stands twice the last counts, as in Python. ERR_REFUSED where it is no JSON object, a field has
 * the wrong kind of value, or two names of one number disagree. */
int hf_config_read(struct hf_config *c, const char *path, struct err *e);

/* ERR_REFUSED, by name, for what makes another model than the engine's. */
int hf_config_check(const struct hf_config *c, const char *path, struct err *e);

/* Sets the real numbers and the choices of `to` to what the checked config says, and to the usual
 * value where it does not say. Sizes are not touched: what is absent may be told by tensors. */
void hf_config_take(const struct hf_config *c, struct gpt2_config *to);

/* The size that the file gives for a field, or HF_ABSENT. */
uint64_t hf_config_size(const struct hf_config *c, enum config_number field);

#endif
