/* The state of one sequence: where its keys and values lie, byte by byte. Only the files of
 * attention/ that store or read rows include this; everyone else goes through backend.h.
 *
 * A state is a flat piece of memory without pointers, so it can be copied and kept. With L layers,
 * H heads and a context of T tokens:
 *
 *     byte 0       length[0] .. length[L-1]     uint64: tokens that each layer holds
 *          8 L     from[0] .. from[L-1]         uint64: see below
 *          16 L    unused, up to a multiple of 64
 *                  +--------------------------------------------------------+
 *     layer 0      | keys of head 0         T rows      | keys of head 1 .. |   timelines: each
 *                  +--------------------------------------------------------+   begins at a
 *                  | exact keys of head 0   sink+window | .. head 1 ..      |   multiple of 64 and
 *                  +--------------------------------------------------------+   has whole blocks
 *                  | values of head 0       T rows      | .. head 1 ..      |   of its codec
 *                  +--------------------------------------------------------+
 *                  | copy of head 0         T rows      | .. head 1 ..      |   only with refine=,
 *                  | a key and its value side by side   |                   |   and then no exact
 *                  +--------------------------------------------------------+   keys
 *     layer 1      | ...                                                    |
 *
 * As an example, the default model (L = 6, H = 4, D = 64, T = 1024) with
 * "fp16:sink=1,window=32/fp16", whose rows are 128 bytes:
 *
 *     0        length[6], from[6]                   96 bytes, 32 unused
 *     128      layer 0: keys of heads 0 .. 3        4 x 1024 x 128
 *     524416   exact keys of heads 0 .. 3           4 x 33 x 128
 *     541312   values of heads 0 .. 3               4 x 1024 x 128
 *     1065600  layer 1
 *
 * A timeline is contiguous and starts on a cache line, so decoding reads it as a stream.
 *
 * from[layer] tells which exact keys the ring of the window really holds (exact_keys.h). A sequence
 * that only grows has from = 0: the ring holds the last `window` keys, and `spare` ones before
 * them. After a rewind the keys that had left the ring are not in it again. Then from is the first
 * position since which the ring was never rewound, and an earlier key of the window is scored by
 * its code. */
#ifndef LOOKAT_ATTENTION_STATE_H
#define LOOKAT_ATTENTION_STATE_H

#include "attention/backend.h"

/* The timelines of a head: keys, exact keys, values, and the copies of keys and of values. */
enum { STATE_TIMELINES = 5 };

/* Places the timelines of every layer, and sets a->state_bytes and a->work_bytes. The codecs are
 * set up before. timelines is [L][STATE_TIMELINES][H] and belongs to a from then on. */
void state_lay_out(struct attn *a, struct attn_timeline *timelines);

/* A piece of a state: the rows of one head in a timeline, which are `bytes` from `at` on. */
struct state_piece {
    const struct codec *codec; /* of the rows; of a copy whose keys and values lie side by side
                                  (then codec->apart is not 0) that of the keys */
    size_t head;
    size_t at, bytes; /* at from the beginning of the state */
};

/* Hears of pieces, one after the other. */
struct state_visitor {
    void (*piece)(void *ctx, const struct state_piece *p);
    void *ctx;
};

/* Tells of all pieces that the first n tokens of a layer take, of the `length` that it holds: of
 * its exact keys all that the ring holds. The order and the sizes depend on the backend, n and
 * length alone. */
void state_pieces(const struct attn *a, size_t layer, size_t n, size_t length,
                  const struct state_visitor *v);

/* Returns one head of a layer, for the codec of its exact keys. */
struct codec_head state_exact_head(const struct attn *a, size_t layer, size_t head);

/* Return one head of a layer for the copy of its keys, or of its values. */
struct codec_head state_key_copy_head(const struct attn *a, size_t layer, size_t head);
struct codec_head state_value_copy_head(const struct attn *a, size_t layer, size_t head);

/* What queries of a head read in full: its keys and values as coded, or the copy of both where
 * every query picks all rows (refine.h). */
struct read_rows {
    struct codec_head key, value;
    const struct attn_timeline *keys, *values;
    bool copy;
};
struct read_rows state_read_rows(const struct attn *a, size_t layer, size_t head);

/* Returns what queries of a head see of its exact keys. exact is state_exact_head of that head, and
 * must outlive the view. `fresh` says that the queries' own keys are the last of the sequence; then
 * it is the caller's business how they come into the ring (exact_view.k). Otherwise the ring is as
 * the end of the sequence left it. */
struct exact_view state_exact_view(const struct attn *a, const void *state, size_t layer,
                                   const struct codec_head *exact, bool fresh);

/* Keys and values that are to be stored: n rows of each head in one layer, from position pos on. */
struct state_rows {
    const struct attn *a;
    void *state;
    size_t layer, pos, n;
    size_t stride;      /* in floats, from a row to the next */
    const float *k, *v; /* [n][H][D] */
};

/* Store keys and values by their codecs, and the copies of both, of one head, or of all heads,
 * which the threads share. The layer's length stays as it is. */
void state_store_head(const struct state_rows *r, size_t head);
void state_store(const struct state_rows *r);

/* Store those of the keys that are exact, of one head, or of all heads, which the threads share.
 * r->v is not used. Keys that they push out of the window are lost for earlier queries. */
void state_store_exact_head(const struct state_rows *r, size_t head);
void state_store_exact(const struct state_rows *r);

/* Makes the layer longer, from pos to pos + n rows, whether these are stored yet or not. */
void state_grow(const struct attn *a, void *state, size_t layer, size_t pos, size_t n);

#endif
