/* Refining: the rows that count most for a query are read again, exactly. Next to the codes of
 * every key and value a layer keeps a copy of both that is hardly rounded (fp16, int8 or int4). A
 * query scores all keys from their codes. The `best` ones of these are picked, and with them the
 * first `sink` and the last `window` rows, whatever their scores. The picked keys are scored again
 * from the copy, and one softmax joins their scores with those of the other rows, the tail. The
 * picked values are mixed from the copy, and the values of the tail by the value codec:
 *
 *     s_i = q . copy of k_i  where i is picked,   q . code of k_i  elsewhere;   p = softmax(s)
 *
 *     out = sum over picked rows of p_i copy of v_i  +  sum over the tail of p_i code of v_i
 *
 * The picked rows may lie anywhere, and have to come from memory. While they are on their way, the
 * tail is answered by itself: its softmax p' = exp(s_i - m) / z, with its largest score m, and its
 * values mixed by p'. Then both are joined. With M the largest score of all, and S the sum of
 * exp(s_i - M) over the picked rows and of z exp(m - M),
 *
 *     out = (z exp(m - M) / S) tail  +  sum over picked rows of (exp(s_i - M) / S) copy of v_i
 *
 * (Milakov and Gimelshein 2018, arXiv 1805.02867, join parts of a softmax in this way).
 *
 * A vector database searches in this way: by codes first, then exactly among the candidates. For
 * caches see PQCache (arXiv 2407.12820) and ParisKV (arXiv 2602.07721), which drop the tail.
 *
 * The copy keeps each row alone, the key and the value side by side, so that what a query picks is
 * one stretch of memory, and it reads nothing else:
 *
 *     copy       | key 0 value 0 | key 1 value 1 | key 2 value 2 | ...     T rows
 *     picked             *                               *
 *
 * Where every query picks all rows, because `best` is the context or more, the codes are of no use
 * and are not read. The copy then lies as its codec likes it best, and attention is that of a
 * backend of this codec, bit for bit.
 */
#ifndef LOOKAT_ATTENTION_REFINE_H
#define LOOKAT_ATTENTION_REFINE_H

#include "attention/codec.h"

/* How one layer refines. */
struct refine {
    size_t best; /* rows that a query picks by their scores; 0 where the layer has no copy */
    size_t sink, window;     /* rows that every query picks, at the beginning and at its end */
    bool all;                /* every query picks all rows, whatever their number */
    struct codec key, value; /* of the copy; its rows lie apart, but for `all` */
};

/* Sets *r to what the options of a layer's key codec ask for. n_ctx is the context in tokens.
 * Returns ERR_USAGE for options that the codec of the copy refuses. */
int refine_init(struct refine *r, const struct codec *key, size_t head_dim, size_t n_ctx,
                struct err *e);

/* Does the layer keep a copy? */
bool refine_any(const struct refine *r);

/* Returns how many of the n rows that a query sees it picks: all of them, or sink + window + best.
 */
size_t refine_count(const struct refine *r, size_t n);

/* What a thread works in; n is the most rows that a query sees. */
struct refine_workspace {
    uint32_t *picked; /* [n] the positions of the picked rows */
    float *numbers;   /* [n] their scores, then their probabilities, and behind them the tail's */
};

/* Sets w->picked[refine_count(r, n)] to the positions of the rows that a query picks, in their
 * order. scores[n] are those from the codes. Of rows with equal scores the older ones are picked.
 * The time is linear in n. Where a score is NaN any rows may be picked, but as many as said and in
 * their order; the answer is NaN then. */
void refine_pick(const struct refine *r, const struct kernels *kn, const float *scores, size_t n,
                 const struct refine_workspace *w);

/* Asks for the picked rows: of `keys`, and the values beside them. */
void refine_fetch(const struct refine *r, const uint8_t *keys, const struct refine_workspace *w,
                  size_t n_picked);

/* Sets w->numbers[n_picked] to the exact scores of the picked rows, q . key without any scale.
 * `copy` is the head of r->key, and keys the timeline of its copy. row is memory for D floats. The
 * bytes that are read are added to count->refined. */
void refine_scores(const struct codec_head *copy, const uint8_t *keys, const float *q,
                   const struct refine_workspace *w, size_t n_picked, float *row,
                   struct attn_counters *count);

/* Turns the scores in w->numbers, to be multiplied by `scale`, into probabilities beside a tail
 * whose softmax had that total. Returns the probability of the tail; with the others it adds up to
 * 1. */
float refine_join(const struct refine_workspace *w, const struct kernels *kn, size_t n_picked,
                  float scale, struct softmax_total tail);

/* Adds to out[D] the sum of the picked values, weighted by w->numbers. `copy` is the head of
 * r->value, and values the timeline of its copy. row is memory for D floats. The bytes that are
 * read are added to count->refined. */
void refine_mix(const struct codec_head *copy, const uint8_t *values,
                const struct refine_workspace *w, size_t n_picked, float *row, float *out,
                struct attn_counters *count);

#endif
