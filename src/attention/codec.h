/* A codec: one way to store rows of D floats, and to use them as keys or as values without, or
 * after, decoding them.
 *
 * The rows of one head, oldest first, are its timeline. It is cut into blocks of kv_layout.rows
 * rows, one block after another; inside a block the codec orders the bytes as its kernels like.
 * Plain rows are blocks of one row. A timeline starts on a cache line and has whole blocks. */
#ifndef LOOKAT_ATTENTION_CODEC_H
#define LOOKAT_ATTENTION_CODEC_H

#include "attention/codec_option.h"
#include "base/err.h"
#include "kernels/kernels.h"

struct book;

/* Bytes read by attention, counted where they are read. keys and values: packed rows (codes,
 * integers, floats); scales: their scales and norms, of keys and of values; codebooks: centroids;
 * tables: entries of lookup tables. And what skipping (skip.h) left out: value rows of heads, and
 * the sum of their probabilities in units of 2^-40 (whole numbers, so that any order of adding
 * gives the same). */
struct attn_counters {
    uint64_t keys, scales, codebooks, tables, values;
    uint64_t skipped_rows, skipped_mass;
};

/* A codec as one layer uses it. */
struct codec {
    const struct kv_codec *ops;
    struct codec_options o;
    bool for_values;  /* it stores values, not keys */
    const void *data; /* of ops: codebooks of the layer, signs, ... set by `setup`, which takes the
                         memory from the attn's arena */
};

/* The head a codec works for. */
struct codec_head {
    const struct kernels *kn;
    const struct codec *codec;
    size_t layer, head, head_dim; /* D */
    const float *center; /* [D] the constant part of this head's keys; NULL where the model gives
                            none, and for values */
};

struct arena;

/* What `setup` works from. */
struct codec_setup {
    size_t n_layer, n_head, head_dim, layer;
    const struct book *book; /* or NULL */
    bool for_values;
    struct arena *arena;
};

/* A block: how many rows, and its bytes: rows times row_bytes. */
struct kv_layout {
    size_t rows, bytes;
};

/* Arrays that run along a timeline (scores, probabilities) have room for its rows rounded up to a
 * multiple of this; so blocks have a divisor of it. */
enum { KV_BLOCK_MAX = 64 };

/* Nothing here allocates or fails, except setup. A timeline may be used up to row n while its last
 * block has more: those rows hold what was stored there before a truncate, or what the store that
 * began the block put there (a codec whose kernels could go astray on foreign bytes clears the
 * block then). Kernels may read them, but nothing of them may reach a result: not a NaN times p = 0
 * either. */
struct kv_codec {
    const char *name;    /* as in --attn */
    const char *summary; /* one line for `lookat help attn` */
    unsigned options;    /* set of the options of its own: OPTION_M | ... of codec_option.h */
    const char *example; /* a spec that uses it */
    bool keys, values;   /* what it can store */
    bool codebooks;      /* it works with codebooks of the model (book.h), and not without */

    /* Checks the options and fills in defaults. ERR_USAGE with what is wrong; NULL: nothing to
     * do. */
    int (*check)(struct codec *c, size_t head_dim, struct err *e);

    /* After check: sets c->data. ERR_USAGE where a codebook is missing; NULL: nothing to do. */
    int (*setup)(struct codec *c, const struct codec_setup *s, struct err *e);

    /* Exact bytes of one stored row of a head; of them, scales. */
    size_t (*row_bytes)(const struct codec *c, size_t head_dim, size_t head);
    size_t (*scale_bytes)(const struct codec *c, size_t head_dim, size_t head);

    /* The blocks of a head's timeline; NULL: plain rows. */
    struct kv_layout (*layout)(const struct codec *c, size_t head_dim, size_t head);

    /* Rows pos .. pos + n - 1 of the timeline = x[n][D], the rows of x `stride` floats apart.
     * Returns how many were cut short: finite, but with a number, scale or norm beyond f16's
     * F16_MOST, in place of which that is stored. */
    size_t (*store)(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                    size_t stride, size_t n);

    /* x[n][D] = what rows begin .. begin + n - 1 stand for (keys stored less their center: without
     * it). */
    void (*decode)(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                   size_t n);

    /* Memory, aligned to 64, that prepare fills for score, or that mix may use; 0: none. The same
     * memory serves keys, then values. */
    size_t (*work_floats)(const struct codec *c, size_t head_dim, size_t head);

    /* Keys. prepare: once per query, into work: the rotated query, lookup tables. score: scores[i]
     * = q . decoded row i, for i < n; what is left in scores[n] and behind, up to a multiple of
     * KV_BLOCK_MAX, does not matter. */
    void (*prepare)(const struct codec_head *h, float *work, const float *q,
                    struct attn_counters *c);
    void (*score)(const struct codec_head *h, const float *work, float *scores,
                  const uint8_t *timeline, size_t n, struct attn_counters *c);

    /* Values. start: once per query, work as mix wants to find it; NULL: nothing to do. mix: out[D]
     * += sum_i p[i] row i, i < n, in the space the rows are stored in, or work gathers what makes
     * that; p is 0 from p[n] up to a whole block. finish: out from that space, or from work, to the
     * model's; NULL: nothing to do. */
    void (*start)(const struct codec_head *h, float *work);
    void (*mix)(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                const float *p, size_t n, struct attn_counters *c);
    void (*finish)(const struct codec_head *h, float *work, float *out, struct attn_counters *c);

    /* The closed form: adds to *c what one query of a head over n rows reads, as keys or as values.
     * Rows count as n row_bytes, whatever the blocks. The functions above count the same, and a
     * test holds them to it. */
    void (*reads)(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                  struct attn_counters *count);
};

/* c's layout of a head, and the bytes of its first n rows: whole blocks. */
struct kv_layout codec_layout(const struct codec *c, size_t head_dim, size_t head);
size_t codec_timeline_bytes(const struct codec *c, size_t head_dim, size_t head, size_t n);

/* The registry: codec number index, NULL past the last. */
const struct kv_codec *kv_codec_at(size_t index);

/* Specs of the codecs that a list for people shows, with their usual options; NULL past the
 * last. */
const char *kv_codec_listed(size_t index);

/* The codec of one side of a spec, NAME[:OPTION[,OPTION]...], options checked and filled in,
 * without data: enough for its row_bytes. */
int codec_parse(struct codec *c, const char *text, size_t head_dim, bool for_values, struct err *e);

/* Are the two the same way to store rows? Their data is not compared: it follows from the rest. */
bool codec_same(const struct codec *a, const struct codec *b);

/* Shorthand and foreign names: "lookat4" is "lookat:m=4", llama.cpp's "q8_0" is "int8". Index past
 * the last: name NULL. */
struct codec_alias {
    const char *name, *spec;
};
struct codec_alias codec_alias_at(size_t index);

#endif
