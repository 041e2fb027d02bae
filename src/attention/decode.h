/* Decoding: one query of one head, answered straight from the stored rows.
 *
 *     prepare   the key codec makes what it needs of the query, such as lookup tables
 *     score     s_i = q . k_i / sqrt(D) of every key; those of exact keys take their places; with
 *               refine= rows are picked by these scores
 *     softmax   p = softmax(s)
 *     mix       out = sum_i p_i v_i, without the blocks of rows that skip= leaves out; with refine=
 *               the picked rows are scored and mixed from the copy, and joined with the others
 *
 * Several queries of one sequence share decoded tiles of keys and values instead (prefill.h). */
#ifndef LOOKAT_ATTENTION_DECODE_H
#define LOOKAT_ATTENTION_DECODE_H

#include "attention/backend.h"

/* One query of one head. */
struct decode_query {
    const struct attn *a;
    size_t layer, head;
    const void *state;              /* holds n keys and values or more */
    const struct exact_view *exact; /* of this head, or NULL where the layer keeps no exact keys */
    size_t n;                       /* keys that the query sees: its position + 1 */
    const float *q;                 /* [D] */
    float *out;                     /* [D] the answer */
    const struct attn_probe *probe; /* or NULL */
    size_t number;                  /* the query's number, which the probe is told */
};

/* What one thread needs to answer queries. T is the context, and padded(T) is decode_padded of it.
 * A query finds nothing of the one before it in here. */
struct decode_workspace {
    float *codec;  /* a->work_bytes: of the key codec, then of the exact codec, then of values */
    float *scores; /* [padded(T)] of the exact keys' slots, then scaled scores for the probe */
    float *probs;  /* [padded(T)] scores, then probabilities */
    float *marks;  /* [skip_work_floats(T)] which blocks of values are left out */
    struct refine_workspace refine;
};

/* Returns the floats of an array that runs along a timeline of n rows: n rounded up to whole blocks
 * of any codec. */
size_t decode_padded(size_t n);

/* Writes the answer to d->out. What is read is added to *count, in bytes. The seconds of each stage
 * are added to a->stage_s where the owner set it. */
void decode_attend(const struct decode_query *d, const struct decode_workspace *w,
                   struct attn_counters *count);

#endif
