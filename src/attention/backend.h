/* The attention backend: how the keys and values of past tokens are stored, scored and mixed. This
 * is the seam the project turns on.
 *
 * A backend is a key codec and a value codec, chosen apart and per layer: "fp16",
 * "int4:rotate/int8", "fp16+lookat4@2-". The model hands over float32 rows and gets float32 rows
 * back; how a row is stored does not leak out. For head h with query q at position t, over stored
 * keys k_i and values v_i:
 *
 *     s_i = q . k_i / sqrt(D), i <= t;   p = softmax(s);   out = sum_i p_i v_i
 *
 * (Vaswani et al. 2017, section 3.2.1).
 *
 * A query sees only what is stored: never a copy of a key that the codec has since rounded. A few
 * queries (decode) are each scored straight from the stored rows; many (prefill) share decoded
 * tiles of them (prefill.h). The two agree to rounding.
 *
 * Dimensions: L layers, H heads, D head_dim, T context. */
#ifndef LOOKAT_ATTENTION_BACKEND_H
#define LOOKAT_ATTENTION_BACKEND_H

#include <stdatomic.h>

#include "attention/exact_keys.h"
#include "attention/refine.h"
#include "base/arena.h"

/* The dimensions L, H, D and T of what is stored: T is that of the sequences, at most the model's.
 */
struct attn_shape {
    size_t n_layer, n_head, head_dim, n_ctx;
};

/* Where the keys of one head lie in a state, or its exact keys, its values, or the copy of either.
 * The whole state is drawn in state.h. */
struct attn_timeline {
    size_t at;     /* in bytes from the beginning of the state, a multiple of 64 */
    size_t row;    /* the bytes of a row */
    size_t scales; /* of these, the bytes of scales and norms */
};

/* How one layer stores keys and values, and where those of each head lie. */
struct attn_layer {
    struct codec key, value;
    struct exact_keys exact;                          /* which keys are kept exactly as well */
    struct refine refine;                             /* which rows are read again from a copy */
    struct attn_timeline *keys, *values, *exact_keys; /* [H] */
    struct attn_timeline *key_copies, *value_copies;  /* [H] */
};

/* The stages of a query's answer. PREPARE: tables, or whatever else the key codec makes of the
 * query. SCORE: its products with the keys. SOFTMAX: probabilities. MIX: the sum of the values, and
 * all that is done with the rows of a copy (refine.h). */
enum attn_stage { ATTN_PREPARE, ATTN_SCORE, ATTN_SOFTMAX, ATTN_MIX, ATTN_STAGES };

/* A backend. It is made once, and then only read, by any number of threads and sequences; only
 * `cut` is counted up. What a sequence holds is in its state, which the caller owns. */
struct attn {
    const struct kernels *kn;
    struct attn_shape shape;
    struct attn_layer *layers; /* [L] */
    atomic_uint_fast64_t *cut; /* [L] rows that were cut short, see attn_take_cut */
    /* [L][H][D] The constant part of each head's keys. The owner sets it before the first append
     * where attn_wants_center is true; elsewhere it is NULL. */
    const float *center;
    size_t state_bytes; /* of one sequence */
    size_t work_bytes;  /* the most memory that a codec works in for one head */
    bool picks;         /* a query of some layer picks rows of a copy (refine.h), but not all */
    /* Any number of queries of an item is answered, and counted, as if each came alone. The owner
     * sets it; attn_init sets it to false. */
    bool one_by_one;
    /* [ATTN_STAGES] NULL, or where items of one query add the seconds of their stages. Each
     * includes one reading of the clock. The owner sets it, and then only one thread may attend. */
    double *stage_s;
    const char *name; /* the effective spec in full, such as "lookat:m=4,k=256/fp16" */
    struct arena arena;
};

/* Makes the backend that `spec` asks for. This is the grammar of specs; for a layer that several
 * parts name, the last of them holds:
 *     SPEC  = PART ["+" PART]...                "fp16+lookat4@2-"
 *     PART  = KEYS ["/" VALUES] ["@" LAYERS]    without LAYERS: every layer
 *     LAYERS = FIRST | FIRST "-" [LAST]
 *     KEYS, VALUES = NAME [":" OPTION ["," OPTION]...]    OPTION = NAME | NAME "=" NUMBER
 * Keys of every codec take sink=, window= and exact= (exact_keys.h) and refine= (refine.h), values
 * of every codec take skip= (skip.h). VALUES default to fp16, and to fp32 for fp32 keys. The
 * words "lookat" and "lookat:small", alone, stand for whole caches that the book names
 * (book_word.h). `book`
 * holds the model's codebooks and must outlive the attn; it may be NULL. Returns ERR_USAGE for a
 * spec that cannot be read, with a message that says what is known, and where a codebook is
 * missing, with one that says which command makes it. Returns ERR_FAILED without memory. Then there
 * is nothing to free. */
int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec,
              const struct book *book, const struct kernels *kn, struct err *e);
/* Frees what attn_init took. */
void attn_free(struct attn *a);

/* Does a layer's key codec subtract the constant part of the keys? */
bool attn_wants_center(const struct attn *a);

/* Returns the exact bytes of the state of one sequence of up to T tokens; state.h draws what is in
 * it. The caller owns the memory, aligned to 64 bytes. A state holds no pointers, so it can be
 * copied and kept. It begins with attn_clear or attn_copy. */
size_t attn_state_bytes(const struct attn *a);
/* Return the bytes that one token adds to the keys, to the values, or to the copy of both, of all
 * layers and heads. Exact keys are not in them. */
size_t attn_key_bytes_per_token(const struct attn *a);
size_t attn_value_bytes_per_token(const struct attn *a);
size_t attn_copy_bytes_per_token(const struct attn *a);
/* Returns the bytes of the keys of a sequence of n tokens, exact keys included. */
size_t attn_key_bytes(const struct attn *a, size_t n);
/* Returns the same for each of n >= 1 tokens, rounded up. */
size_t attn_key_bytes_per_token_at(const struct attn *a, size_t n);

/* Makes the state that of an empty sequence. It writes only the lengths, not the timelines. */
void attn_clear(const struct attn *a, void *state);
/* Returns how many tokens a layer of the state holds. */
size_t attn_length(const struct attn *a, const void *state, size_t layer);
/* Lets attn_truncate take back up to n of the last tokens as if they had never been stored: so many
 * more keys are kept exactly behind the window. It comes before the first state, whose bytes it
 * changes. Exact keys then read as many more slots (exact_slots). */
void attn_take_back(struct attn *a, size_t n);
/* Forgets all tokens from position n on, in every layer. Keys that had left the window do not come
 * back, but for those of attn_take_back. So until the window has moved past n, those of its
 * positions that the ring no longer held are scored by their codes. */
void attn_truncate(const struct attn *a, void *state, size_t n);
/* Makes dst the first n tokens of src. src holds at least n in every layer. */
void attn_copy(const struct attn *a, void *dst, const void *src, size_t n);

/* Stores n keys and values of one layer, behind the `pos` tokens that the layer holds. k and v are
 * [n][H][D], each row `stride` floats behind the one before. The threads share the heads. */
void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n,
                 const float *k, const float *v, size_t stride);

/* Returns how many rows, keys or values of a head, the codecs of a layer have cut short since the
 * last call (kv_codec.store). What such rows stand for is not what the model computed. Rows of all
 * states are counted. A key that is kept exactly as well counts twice where both codecs cut it. */
uint64_t attn_take_cut(const struct attn *a, size_t layer);

/* An item: n causal queries of one sequence, at positions pos .. pos + n - 1. Their keys and values
 * are stored first, behind the pos tokens that the layer holds. Where k is NULL they are stored
 * already; then a query sees those exact keys that the end of the sequence has left in the ring. */
struct attn_query {
    void *state; /* of the sequence; it is only read where k is NULL */
    size_t pos, n;
    const float *k, *v;                     /* [n][H][D], a row kv_stride behind the one before */
    const float *q;                         /* [n][H][D], a row q_stride behind the one before */
    float *out;                             /* [n][H][D], a row out_stride behind the one before */
    size_t kv_stride, q_stride, out_stride; /* in floats */
};

/* One row of the attention matrix: one query of one head. The arrays may only be read, and only
 * until the probe returns. `out` is the place that the query named, so it stays. */
struct attn_row {
    size_t layer, head;
    size_t query;        /* its number among the queries of all items of the call */
    size_t n_keys;       /* as many as the query sees */
    const float *q;      /* [D] */
    const float *scores; /* [n_keys] q . k / sqrt(D) */
    const float *probs;  /* [n_keys] their softmax */
    const float *out;    /* [D] the answer */
    /* [n_picked] The positions of the rows that were read from the copy (refine.h), in their order.
     * There are none in a layer without refine=. */
    const uint32_t *picked;
    size_t n_picked;
    size_t best_coded; /* the position of the best score from codes alone, the first of equals; only
                          where 0 < n_picked < n_keys */
};

/* What measurements see: `row` is called for every query and head, from any thread. */
struct attn_probe {
    void *ctx;
    void (*row)(void *ctx, const struct attn_row *row);
};

/* Returns the bytes of scratch that attn_attend needs for `threads` threads. */
size_t attn_scratch_bytes(const struct attn *a, int threads);

/* So many queries of an item share decoded tiles of keys and values. The first of them has a
 * multiple of this as its number in the item. */
enum { ATTN_TILE_QUERIES = 64 };

/* Up to so many queries of an item are answered, and counted, as if each came alone: to the bit. */
enum { ATTN_FEW_QUERIES = 8 };

/* Answers the queries of n_items sequences in one layer. The threads share heads and tiles of
 * queries. scratch has attn_scratch_bytes(a, threads_count()) bytes, aligned to 64, and nothing in
 * it outlives the call. probe may be NULL. Nothing can fail.
 *
 * What is read is added to *counters, in bytes. An item of one query reads, for each head, what the
 * codecs' `reads` say for its pos + 1 keys, and min(pos + 1, exact_slots) exact keys. Value rows
 * that skip= leaves out are counted apart. With refine= it reads refine_count rows of the copy of
 * keys and of that of values, and no exact keys; where these are all rows, it reads nothing else.
 * A few queries (ATTN_FEW_QUERIES) are counted one by one. Items of one query each, which are
 * sequences decoded together, share one reading of a head's codebooks: it is counted for the first
 * of them that reads codes. Of an item of more, each tile of them
 * reads, for each head, every row up to its last query once, and once those exact keys that one of
 * its queries sees. With refine= each of its queries is answered, and counted, as if it came alone:
 * which rows a query picks depends on its scores to the last bit. Where the copy holds all that any
 * query picks, the tile reads the copy alone.
 *
 * A probe wants the scores and probabilities of each query. With one, several queries are answered,
 * and counted, as if each came alone. */
void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items,
                 void *scratch, struct attn_counters *counters, const struct attn_probe *probe);

/* Returns *a - *b, field by field. */
struct attn_counters attn_counters_less(const struct attn_counters *a,
                                        const struct attn_counters *b);

/* Returns the bytes that were read, of all kinds. */
uint64_t attn_counters_total(const struct attn_counters *c);

/* Adds *c to *to, field by field. */
void attn_counters_add(struct attn_counters *to, const struct attn_counters *c);

#endif
