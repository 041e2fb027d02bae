/* One query of one head, answered twice over the same keys and values: exactly, with float32 keys,
 * and by another backend. This is what a worked example on a real model shows. */
#ifndef LOOKAT_MEASURE_ONE_QUERY_H
#define LOOKAT_MEASURE_ONE_QUERY_H

#include "model/gpt2.h"

/* What a backend answers the query of the last token. */
struct query_answer {
    float *scores, *probs; /* [n] of the keys, q . k / sqrt(D), and their softmax */
    float *out;            /* [D] */
};

struct one_query {
    /* The head. Where layer or head is ONE_QUERY_ANY, it becomes that of the lowest cosine among
     * those that are left. */
    size_t layer, head;
    size_t n, head_dim;         /* tokens, of which the last one asks; D */
    const float *q;             /* [D] */
    const float *keys, *values; /* [n][D] each, as the model makes them */
    struct query_answer exact, other;
    const bool *picked; /* [n] read from the exact copy by refine=, or kept exactly by sink= and
                           window= */
    double cosine;      /* of the two outputs */
};
#define ONE_QUERY_ANY SIZE_MAX

/* What is asked. The tokens run through the model with float32 keys and values. */
struct one_query_setup {
    const struct gpt2_weights *w;
    const struct kernels *kn;
    const struct book *book; /* or NULL */
    const char *attn;        /* the other backend */
    const int32_t *ids;      /* [n] 1 <= n <= the model's context */
    size_t n;
};

/* Fills *y; y->layer and y->head are set before. ERR_USAGE for a spec that cannot be used, errors
 * of gpt2_forward, ERR_FAILED without memory, which comes from the arena. */
int one_query_measure(const struct one_query_setup *s, struct one_query *y, struct arena *arena,
                      struct err *e);

#endif
