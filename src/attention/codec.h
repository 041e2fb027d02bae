/* A codec is one way to store rows of D floats, and to use them as keys or as values, with or
 * without decoding them. This header says what every codec has to provide. Which codecs there are
 * stands in registry.h, how a spec names one in spec.h; when each function is called and with which
 * memory is the business of attend.c and prefill.c.
 *
 * The rows of one head, the oldest first, are its timeline. It is cut into blocks of kv_layout.rows
 * rows. The blocks lie one after another, and inside a block the codec orders the bytes as suits
 * its kernels:
 *
 *     timeline   | block 0        | block 1        | ...  | last block     |
 *     rows       | 0 .. R - 1     | R .. 2 R - 1   | ...  | some unused    |     R = kv_layout.rows
 *     bytes      | kv_layout.bytes| kv_layout.bytes| ...  | kv_layout.bytes|
 *
 * A codec without a `layout` has blocks of one row. A timeline begins on a cache line and has whole
 * blocks. */
#ifndef LOOKAT_ATTENTION_CODEC_H
#define LOOKAT_ATTENTION_CODEC_H

#include "attention/codec_option.h"
#include "base/err.h"
#include "kernels/kernels.h"

struct book;

/* The bytes that attention reads, counted where they are read. */
struct attn_counters {
    uint64_t keys, values; /* packed rows: codes, integers or floats */
    uint64_t scales;       /* scales and norms of such rows, of keys and of values */
    uint64_t codebooks;    /* centroids, transforms and means */
    uint64_t tables;       /* entries of lookup tables, and buckets */
    uint64_t refined; /* rows of the exact copy (refine.h), keys and values with their scales */
    /* What skipping (skip.h) left out: rows of values, counted for each head, and the sum of their
     * probabilities in units of 2^-40. Whole numbers have the same sum in any order. */
    uint64_t skipped_rows, skipped_mass;
};

/* A codec as one layer uses it. */
struct codec {
    const struct kv_codec *ops;
    struct codec_options o;
    bool for_values; /* it stores values, not keys */
    /* 0, or in a copy (refine.h) the bytes from the beginning of a row to that of the next. Then
     * each row lies alone, whatever the codec's layout is otherwise. */
    size_t apart;
    const void *data; /* What `setup` made, in a form that only ops knows: codebooks of the layer,
                         random signs. It lies in the attn's arena and lives as long as that. */
};

/* The head a codec works for. */
struct codec_head {
    const struct kernels *kn;
    const struct codec *codec;
    size_t layer, head, head_dim; /* D */
    const float *center; /* [D] The constant part of this head's keys. It is NULL for values, and
                            where the model gives none. */
};

struct arena;

/* What `setup` works from. */
struct codec_setup {
    size_t n_layer, n_head, head_dim, layer;
    const struct book *book; /* or NULL */
    bool for_values;
    struct arena *arena;
};

/* A block has so many rows, and rows times row_bytes bytes. */
struct kv_layout {
    size_t rows, bytes;
};

/* Arrays that run along a timeline (scores, probabilities) have room for its rows rounded up to a
 * multiple of this. So the number of rows of a block divides it. */
enum { KV_BLOCK_MAX = 64 };

/* What a codec provides. The order of calls is: `check` once for a spec, `setup` once for each
 * layer, `store` for each token, and for each query either prepare and score (keys) or start, mix
 * and finish (values). Only check and setup can fail, and only setup takes memory. Functions that
 * are not marked with "may be NULL" are required of codecs of that side.
 *
 * A timeline may be used up to row n while its last block has more rows. Those hold what was stored
 * there before a truncate, or what the store that began the block put there; a codec whose kernels
 * could go astray on foreign bytes clears the block then. Kernels may read such rows, but nothing
 * of them may reach a result: a NaN times p = 0 would be NaN. */
struct kv_codec {
    const char *name;    /* the word in a spec */
    const char *summary; /* one line for `lookat help attn` */
    unsigned options;    /* the set of its own options, OPTION_M | ... of codec_option.h */
    const char *example; /* a spec that uses it */
    bool keys, values;   /* what it can store */
    bool codebooks;      /* it works with codebooks of the model (book.h), and not without */

    /* Checks the options and fills in the defaults. The error is ERR_USAGE and says what is wrong.
     * It may be NULL. */
    int (*check)(struct codec *c, size_t head_dim, struct err *e);

    /* Sets c->data, after check. The error is ERR_USAGE where a codebook is missing, ERR_FAILED
     * without memory. It may be NULL. */
    int (*setup)(struct codec *c, const struct codec_setup *s, struct err *e);

    /* The exact bytes of one stored row of a head, and how many of these are scales. */
    size_t (*row_bytes)(const struct codec *c, size_t head_dim, size_t head);
    size_t (*scale_bytes)(const struct codec *c, size_t head_dim, size_t head);

    /* The blocks of a head's timeline. It may be NULL: blocks of one row. */
    struct kv_layout (*layout)(const struct codec *c, size_t head_dim, size_t head);

    /* Stores x[n][D], whose rows are `stride` floats apart, as rows pos .. pos + n - 1 of the
     * timeline. Returns how many rows were cut short: rows of finite numbers of which a number, a
     * scale or a norm lies beyond the range of f16, so that F16_MOST is stored in its place. */
    size_t (*store)(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                    size_t stride, size_t n);

    /* Says whether `store` may have written these blocks of n rows, which come from a file. A codec
     * whose kernels could go astray on foreign bytes must have it; NULL: any bytes are rows. */
    bool (*accepts)(const struct codec_head *h, const uint8_t *timeline, size_t n);

    /* Writes what the rows begin .. begin + n - 1 stand for to x[n][D]. Keys that are stored
     * without their center come back without it. */
    void (*decode)(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                   size_t n);

    /* For a timeline whose rows lie alone (codec.apart). They set scores[i] = q . row at[i],
     * and add sum_i p[i] row at[i] to out[D], for i < n, and count nothing. Both may be NULL, and
     * return false where the codec cannot do it for such rows; then rows are decoded. */
    bool (*picked_scores)(const struct codec_head *h, float *scores, const uint8_t *timeline,
                          const uint32_t *at, size_t n, const float *q);
    bool (*picked_mix)(const struct codec_head *h, float *out, const uint8_t *timeline,
                       const uint32_t *at, size_t n, const float *p);

    /* Floats of the work memory of one query and head, which is aligned to 64 bytes. `prepare`
     * fills it for `score`, and `start`, `mix` and `finish` share it. The same memory serves the
     * keys first and then the values. */
    size_t (*work_floats)(const struct codec *c, size_t head_dim, size_t head);

    /* For keys. `prepare` runs once for each query q[D] and makes of it what `score` needs: the
     * rotated query, or lookup tables. `score` sets scores[i] = q . decoded row i for i < n. It may
     * write anything to scores[n] and behind, up to a multiple of KV_BLOCK_MAX. */
    void (*prepare)(const struct codec_head *h, float *work, const float *q,
                    struct attn_counters *c);
    void (*score)(const struct codec_head *h, const float *work, float *scores,
                  const uint8_t *timeline, size_t n, struct attn_counters *c);

    /* For values. `start` runs once for each query and makes work what `mix` expects; it may be
     * NULL. `mix` adds sum_i p[i] row i over i < n to out[D], in the space in which rows are
     * stored, or gathers in work what makes that sum. p is 0 from p[n] up to a whole block.
     * `finish` turns out[D] from that space, or from work, into the model's; it may be NULL. */
    void (*start)(const struct codec_head *h, float *work);
    /* Asks for what a query will read besides rows, so that it is on its way from a far cache while
     * the keys are scored. It changes nothing and may be NULL. */
    void (*fetch)(const struct codec_head *h);
    void (*mix)(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                const float *p, size_t n, struct attn_counters *c);
    void (*finish)(const struct codec_head *h, float *work, float *out, struct attn_counters *c);

    /* The closed form of what is counted: adds to *count the bytes that one query of a head reads
     * over n rows, as keys or as values. Rows count as n row_bytes, whatever the blocks are. The
     * functions above count the same, and test_attention holds them to it. */
    void (*reads)(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                  struct attn_counters *count);
};

/* The blocks of a head of c; and the bytes of a timeline of n rows, in whole blocks. */
struct kv_layout codec_layout(const struct codec *c, size_t head_dim, size_t head);
size_t codec_timeline_bytes(const struct codec *c, size_t head_dim, size_t head, size_t n);

/* Returns the name of the codec that exact=bits stands for; 0 bits are the default. */
const char *codec_exact_name(size_t bits);

/* Codec number `index` of the registry; NULL past the last. */
const struct kv_codec *kv_codec_at(size_t index);

/* Spec number `index` of those that lists for people show: codecs with their usual options. NULL
 * past the last. */
const char *kv_codec_listed(size_t index);

/* Reads the codec of one side of a spec, NAME[:OPTION[,OPTION]...], checks the options and fills in
 * the defaults. There is no data, so it serves for row_bytes and not for storing. ERR_USAGE says
 * what cannot be read. */
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
