/* Prefill: several queries of one head are answered at once, over tiles of keys with a running
 * softmax (Milakov and Gimelshein 2018; FlashAttention, Dao et al. 2022). Each tile of keys is
 * decoded once for all queries, and memory does not grow with the number of keys. One query alone
 * is decode.h's.
 *
 * Keys at positions 64 t .. 64 t + 63 are one tile, wherever the queries begin. With S the scores
 * of the queries over one tile, V its values, and m the largest score so far, each tile does:
 *
 *     m' = max(m, S);   P = exp(S - m')
 *
 *     sum = exp(m - m') sum + P 1
 *
 *     out = exp(m - m') out + P V
 *
 * and after the last tile the answer is out / sum.
 *
 * Scores are kept transposed, a row for each key: then K Q^T and P^T V take both operands as they
 * lie, and the softmax runs down columns.
 *
 * A tile in which some key is exact for some query (exact_keys.h) has a second S, of the exact
 * keys. Each pair of key and query takes the score that is its own. */
#ifndef LOOKAT_ATTENTION_PREFILL_H
#define LOOKAT_ATTENTION_PREFILL_H

#include "attention/exact_keys.h"

enum { PREFILL_QUERIES = 64, PREFILL_KEYS = 64 };

/* n <= PREFILL_QUERIES causal queries at positions pos .. pos + n - 1 of one head: q and out are
 * [n][D], rows q_stride and out_stride floats apart. */
struct prefill_tile {
    const struct codec_head *key, *value;
    const uint8_t *keys, *values; /* their timelines */
    size_t pos, n;
    const float *q;
    float *out;
    size_t q_stride, out_stride;
    const struct exact_view *exact; /* or NULL */
};

/* Floats of the workspace of prefill_attend, drawn in prefill.c. */
size_t prefill_workspace_floats(size_t head_dim);

/* Answers the queries in t->out. workspace is aligned to 64 bytes. Reads each of the pos + n rows
 * of keys and of values once, and the exact keys among them once. Returns how many exact ones those
 * are. */
size_t prefill_attend(const struct prefill_tile *t, float *workspace);

#endif
