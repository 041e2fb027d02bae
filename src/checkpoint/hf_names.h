/* What the tensors of Hugging Face files are called: the prefixes that wrappers put in front of
 * GPT-2's names, where the embedding and the head are, heads that stand beside the model, and
 * adapters that are not merged into it. */
#ifndef LOOKAT_CHECKPOINT_HF_NAMES_H
#define LOOKAT_CHECKPOINT_HF_NAMES_H

#include <stdbool.h>

#include "checkpoint/named.h"

struct hf_names {
    char prefix[NAMED_MAX_NAME + 1]; /* of every tensor but the head: "transformer." in files saved
                                     from the model with its head, or "" */
    const struct named_tensor *wte;  /* wte.weight; lm_head.weight where the file holds the tied
                                     matrix  under that name alone */
    const struct named_tensor *head; /* lm_head.weight, or NULL */
};

/* Finds them; untied: the config says that the two are not one matrix. ERR_REFUSED where the
 * embedding is missing, with what is there instead, where a name stands for two tensors, and where
 * the file holds an adapter (LoRA and the like): without it the model is another. */
int hf_find_names(struct hf_names *n, const struct named_set *set, bool untied, struct err *e);

/* Is this, prefixes and all, the name of a head for another task (values, classes, choices)? The
 * language model does without. */
bool hf_is_other_head(const struct named_tensor *t);

enum { HF_LISTED = 120 };

/* The names of the first tensors for which `take` is true, with "..." where there are more:
 * "score.weight, v_head.bias, ...". Returns how many there are. */
size_t hf_list_names(const struct named_set *set, bool (*take)(const struct named_tensor *t),
                     char out[HF_LISTED]);

/* Refuses a file without this tensor. */
int hf_missing(const struct named_set *set, const char *name, struct err *e);

#endif
