/* Are two configurations the same, field by field? The bytes between fields may differ. */
#ifndef LOOKAT_TESTS_SAME_CONFIG_H
#define LOOKAT_TESTS_SAME_CONFIG_H

#include "checkpoint/weights.h"

static inline bool same_config(const struct gpt2_config *a, const struct gpt2_config *b) {
#define SAME_FIELD(TYPE, MEMBER, ...) \
    if (a->MEMBER != b->MEMBER) return false;
    GPT2_CONFIG_FIELDS(SAME_FIELD)
#undef SAME_FIELD
    return true;
}

#endif
