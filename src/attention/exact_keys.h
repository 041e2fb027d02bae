/* Exact keys: next to the rows of a key codec, the keys of the first `sink` tokens and of the last
 * `window` tokens are kept in a codec that hardly rounds (fp16, or int8), and scored from there.
 * First tokens draw attention whatever they say (attention sinks, Xiao et al., arXiv 2309.17453),
 * and their keys are unlike all others (IntactKV, arXiv 2403.01241; KVQuant, arXiv 2401.18079). The
 * last tokens get most of what is left (KIVI, arXiv 2402.02750). For a query at position p the key
 * at position x is exact where
 *
 *     x < sink  or  x > p - window
 *
 * The exact keys of a head are a timeline of sink + window slots. With sink = 2 and window = 4,
 * after nine keys were stored:
 *
 *     slot       0   1 | 2   3   4   5
 *     position   0   1 | 6   7   8   5          slot of position x: x            for x < sink,
 *                sink  | ring                   sink + (x - sink) mod window     behind it
 *
 * A key that is stored takes the slot of the one that leaves the ring, so nothing is moved. The
 * key codec stores every row as well, so a key that leaves the window has its code already.
 *
 * The ring may have more slots than the window, `spare` of them. Then the last `spare` tokens can
 * be taken back, and the window is whole again: the keys that had left it are still in the ring.
 * The modulus above is then window + spare.
 *
 * This file knows one head's exact keys. Where they lie in the state of a sequence, and from which
 * position on the ring holds them after a rewind, is state.h's business. */
#ifndef LOOKAT_ATTENTION_EXACT_KEYS_H
#define LOOKAT_ATTENTION_EXACT_KEYS_H

#include "attention/codec.h"

/* How one layer keeps exact keys. */
struct exact_keys {
    struct codec codec;  /* that of the slots; without ops where the layer keeps none */
    size_t sink, window; /* in keys; together at most the context; both 0 where there are none */
    size_t spare; /* slots of the ring beyond the window; the three are at most the context */
};

/* Sets *x to the exact keys that the options of a layer's key codec ask for; with refine= there are
 * none, because the copy serves (refine.h). n_ctx is the context
 * in tokens. Returns ERR_USAGE for options that do not go together. */
int exact_init(struct exact_keys *x, const struct codec *key, size_t head_dim, size_t n_ctx,
               struct err *e);

/* Does the layer keep any exact keys? */
bool exact_any(const struct exact_keys *x);

/* Gives the ring up to n spare slots, as many as the context has tokens for. */
void exact_spare(struct exact_keys *x, size_t n, size_t n_ctx);

/* Returns the slots of the ring, window + spare, and the rows of the timeline, with the sink. */
size_t exact_ring(const struct exact_keys *x);
size_t exact_slots(const struct exact_keys *x);

/* k[n][D] are the keys pos .. pos + n - 1, each row `stride` floats behind the one before. Stores
 * those of them that are exact once all n are in the sequence. h is the head, with the codec of x.
 * Returns how many of the stored ones were cut short (kv_codec.store). */
size_t exact_store(const struct codec_head *h, const struct exact_keys *x, uint8_t *timeline,
                   size_t pos, const float *k, size_t stride, size_t n);

/* What some queries of one head can see of the exact keys. */
struct exact_view {
    const struct exact_keys *keys;
    const struct codec_head *head; /* of keys->codec */
    const uint8_t *timeline;
    size_t from; /* the first position, apart from the sink, that the ring still holds */
    /* [][D] The keys from position `batch` on, which the timeline does not hold yet, each row
     * `stride` floats behind the one before; or NULL. */
    const float *k;
    size_t batch, stride;
};

/* Returns the first position, at or behind the sink, that is exact for a query at p. Without a
 * window it is SIZE_MAX. */
size_t exact_begin(const struct exact_view *v, size_t p);

/* Completes the scores of one query q[D] at position n - 1. scores[n] are q . key as the key codec
 * has them; where that subtracts the center of the keys, they are of keys less their center. The
 * scores of exact keys are replaced by exact ones. The center's part is added to the others, so
 * that all can meet in one softmax. work is the memory of the exact codec's prepare. slots has room
 * for exact_slots scores, rounded up to whole blocks. What is read is added to *count, in bytes. */
void exact_score(const struct exact_view *v, const struct codec_head *key, const float *q, size_t n,
                 float *scores, float *work, float *slots, struct attn_counters *count);

/* Adds the center's part to scores[n], where the codec subtracts the center of the keys: q . key =
 * q . (key - center) + q . center. */
void exact_center_scores(const struct codec_head *key, const float *q, float *scores, size_t n);

/* Sets y[n][D] to keys begin .. begin + n - 1 as the exact codec gives them back, where they are
 * exact for some query at p or later, and to 0 elsewhere. n is at most KV_BLOCK_MAX. `room` is as
 * much memory as y. Returns how many are exact. */
size_t exact_decode(const struct exact_view *v, float *y, void *room, size_t begin, size_t n,
                    size_t p);

/* Adds the center of a head's keys to each row of x[n][D], where its codec stores keys less their
 * center. Exact keys are stored with theirs, and both meet in one softmax. */
void exact_add_center(const struct codec_head *key, float *x, size_t n);

#endif
