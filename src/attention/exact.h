/* The exact few: next to the rows of a key codec, the keys of the first `sink` tokens and of the
 * last `window` tokens are kept in a codec that hardly rounds (fp16, or int8), and scored from
 * there. First tokens draw attention whatever they say (attention sinks, Xiao et al., arXiv
 * 2309.17453), and their keys are unlike all others (IntactKV, arXiv 2403.01241; KVQuant, arXiv
 * 2401.18079); the last tokens get most of what is left (KIVI, arXiv 2402.02750). For a query at
 * position p the key at position x is exact where
 *
 *     x < sink  or  x > p - window
 *
 * The rows are a timeline of sink + window slots: slot x for x < sink, then a ring, slot sink + (x
 * - sink) mod window. A key that is stored takes the slot of the one that leaves the window;
 * nothing is moved. The key codec stores every row, so a key that leaves has its code already. */
#ifndef LOOKAT_ATTENTION_EXACT_H
#define LOOKAT_ATTENTION_EXACT_H

#include "attention/codec.h"

struct exact_few {
    struct codec codec;
    size_t sink, window; /* together at most the context; both 0: none */
};

/* The exact few that the options of a layer's key codec ask for. ERR_USAGE for options that do not
 * go together. */
int exact_init(struct exact_few *x, const struct codec *key, size_t head_dim, size_t n_ctx,
               struct err *e);

size_t exact_slots(const struct exact_few *x);

/* Of the keys pos .. pos + n - 1 = k[n][D], rows `stride` floats apart, those that are among the
 * few once all are stored. Returns how many of those were cut short (codec.h). */
size_t exact_store(const struct codec_head *h, const struct exact_few *x, uint8_t *timeline,
                   size_t pos, const float *k, size_t stride, size_t n);

/* What some queries of one head can see of the few. */
struct exact_view {
    const struct exact_few *few;
    const struct codec_head *head; /* of few->codec */
    const uint8_t *timeline;
    size_t from;    /* the first position, apart from the sink, that the ring still holds */
    const float *k; /* [][D] keys from position `batch` on, rows `stride` floats apart, that are
                       stored but not in the timeline; or NULL */
    size_t batch, stride;
};

/* First position at or behind the sink that is exact for a query at p; SIZE_MAX without a
 * window. */
size_t exact_begin(const struct exact_view *v, size_t p);

/* Puts the exact scores of a query at n - 1, slots[i] that of slot i, in the places of their
 * positions: scores[n]. */
void exact_place(const struct exact_view *v, float *scores, const float *slots, size_t n);

/* y[n][D] = keys begin .. begin + n - 1 as the few's codec gives them back, for those that are
 * exact for some query at p or later, others 0; n at most KV_BLOCK_MAX. `room`: as much memory as
 * y. Returns how many are exact. */
size_t exact_decode(const struct exact_view *v, float *y, void *room, size_t begin, size_t n,
                    size_t p);

#endif
