/* Prefill: several queries of one head are answered at once, over tiles of keys with a running
 * softmax (Milakov and Gimelshein 2018; FlashAttention, Dao et al. 2022). Each tile of keys is
 * decoded once for all queries, and memory does not grow with the number of keys. One query alone
 * is decode.h's.
 *
 * A tile of keys has positions 64 j .. 64 j + 63 for some j, wherever the queries begin. Let s_i be
 * the score of one query with key i of a tile, v_i the value of that key, and m the query's largest
 * score so far. Each tile does, for each query:
 *
 *     m' = max(m, largest s_i);   e_i = exp(s_i - m')
 *
 *     sum = exp(m - m') sum + sum_i e_i
 *
 *     out = exp(m - m') out + sum_i e_i v_i
 *
 * and after the last tile the answer is out / sum.
 *
 * Scores are kept transposed, a row for each key. So both products, keys times queries and
 * exponentials times values, take their operands as they lie, and the softmax runs down columns.
 *
 * A tile in which some key is exact for some query (exact_keys.h) has scores of the exact keys as
 * well. Each pair of key and query takes the score that is its own. */
#ifndef LOOKAT_ATTENTION_PREFILL_H
#define LOOKAT_ATTENTION_PREFILL_H

#include "attention/exact_keys.h"

enum { PREFILL_QUERIES = 64, PREFILL_KEYS = 64 };

/* n <= PREFILL_QUERIES causal queries of one head, at positions pos .. pos + n - 1. */
struct prefill_tile {
    const struct codec_head *key, *value;
    const uint8_t *keys, *values; /* their timelines */
    size_t pos, n;
    const float *q;                 /* [n][D], a row q_stride floats behind the one before */
    float *out;                     /* [n][D], a row out_stride floats behind the one before */
    size_t q_stride, out_stride;    /* in floats */
    const struct exact_view *exact; /* NULL where the layer keeps no exact keys */
};

/* Floats of the workspace of prefill_attend, drawn in prefill.c. */
size_t prefill_workspace_floats(size_t head_dim);

/* Writes the answers to t->out. workspace has prefill_workspace_floats floats and is aligned to 64
 * bytes. Each of the pos + n rows of keys and of values is read once, and so is each exact key
 * among them. Returns how many exact keys that are, for the caller to count. */
size_t prefill_attend(const struct prefill_tile *t, float *workspace);

#endif
