/* The options of codecs: what may stand behind a codec's name, as in "lookat:m=4,table=8". This is
 * the one list of them. The fields of struct codec_options, the names of the bits that a codec asks
 * for, the reading and the printing of specs and `lookat help attn` are all made from it, so a new
 * option is one line here and its use in the codec. Which codec takes which option, and what a
 * value has to be for it, is the codec's business (`options` and `check` in codec.h). */
#ifndef LOOKAT_ATTENTION_CODEC_OPTION_H
#define LOOKAT_ATTENTION_CODEC_OPTION_H

#include <stdbool.h>
#include <stddef.h>

/* X(BIT, name, KIND, description), in the order in which specs and help show them. The name is the
 * word in the spec and the field of struct codec_options; a codec asks for the option with
 * OPTION_BIT. Kinds, and what stands behind the name:
 *     NUMBER       "=N", a whole number from 1 on
 *     FLAG         nothing
 *     KEYS         "=N", 0 to 65536 keys
 *     EXACT_BITS   "=16", "=8" or "=4" (16 is kept as 0, the default)
 *     PROBABILITY  "=P", 0 <= P < 1
 * sink, window, refine and exact belong to every codec of keys (exact_keys.h, refine.h), and skip
 * to every codec of values (skip.h); no codec asks for those. */
#define CODEC_OPTIONS(X)                                                                         \
    X(M, m, NUMBER, "codes a row, 1, 2, 4, 8, 16 or 32, as the number in lookat4")               \
    X(BYTES, bytes, NUMBER,                                                                      \
      "instead of m: bytes of a row on average over the heads, which get as many as each needs") \
    X(K, k, NUMBER,                                                                              \
      "centroids a code chooses from: 4, 16, 64 or 256; with 16 two codes share a byte, as in "  \
      "lookat16x4")                                                                              \
    X(TABLE, table, NUMBER, "bits of an entry of a lookup table: 8, 16 or 32")                   \
    X(PLAIN, plain, FLAG, "codebooks of the published method: equal cuts, k-means")              \
    X(LEARNED, learned, FLAG,                                                                    \
      "codebooks learned for each head; without a word the best of those there are")             \
    X(BITS, bits, NUMBER, "bits of a number: 2, 3 or 4")                                         \
    X(GROUP, group, NUMBER, "numbers that share a scale")                                        \
    X(ROTATE, rotate, FLAG, "rotated first (Hadamard), so that outliers are spread")             \
    X(CENTER, center, FLAG, "keys without their head's constant part, which softmax ignores")    \
    X(SINK, sink, KEYS, "so many keys at the beginning are kept exactly, besides")               \
    X(WINDOW, window, KEYS, "so many of the latest keys are kept exactly, besides")              \
    X(REFINE, refine, KEYS,                                                                      \
      "so many keys of the best scores are scored again exactly, and their values read exactly") \
    X(EXACT, exact, EXACT_BITS,                                                                  \
      "bits of what sink, window and refine keep: 16 (as fp16), 8 (as int8) or 4 (as int4)")     \
    X(SKIP, skip, PROBABILITY,                                                                   \
      "values that have this probability in all are not read, as in skip=1e-4")

/* The type of a field, by kind. */
#define OPTION_TYPE_NUMBER size_t
#define OPTION_TYPE_FLAG bool
#define OPTION_TYPE_KEYS size_t
#define OPTION_TYPE_EXACT_BITS size_t
#define OPTION_TYPE_PROBABILITY double

/* What a spec says of one codec. 0 and false mean that an option was not given, until the codec's
 * `check` puts its default there. */
struct codec_options {
#define OPTION_FIELD(BIT, name, KIND, description) OPTION_TYPE_##KIND name;
    CODEC_OPTIONS(OPTION_FIELD)
#undef OPTION_FIELD
    bool any_k; /* k is the default, so codebooks of another k will do as well (code_rows.h) */
};

/* OPTION_M and so on: one bit each, for sets of options. */
enum codec_option_number {
#define OPTION_NUMBER(BIT, name, KIND, description) OPTION_NUMBER_##BIT,
    CODEC_OPTIONS(OPTION_NUMBER)
#undef OPTION_NUMBER
        CODEC_OPTION_COUNT
};
enum codec_option_bit {
#define OPTION_BIT(BIT, name, KIND, description) OPTION_##BIT = 1 << OPTION_NUMBER_##BIT,
    CODEC_OPTIONS(OPTION_BIT)
#undef OPTION_BIT
};

enum codec_option_kind {
    OPTION_IS_NUMBER,
    OPTION_IS_FLAG,
    OPTION_IS_KEYS,
    OPTION_IS_EXACT_BITS,
    OPTION_IS_PROBABILITY
};

struct codec_option {
    const char *name, *help;
    enum codec_option_kind kind;
    unsigned bit;    /* of enum codec_option_bit */
    size_t position; /* bytes from the beginning of struct codec_options to its field */
};

/* Option number `index` of the list; NULL past the last. */
const struct codec_option *codec_option_at(size_t index);

/* The option among `options` (a set of bits) whose name is name[n]; NULL where there is none. */
const struct codec_option *codec_option_find(unsigned options, const char *name, size_t n);

/* The set of options that every codec of keys takes, or every codec of values, besides its own. */
unsigned codec_common_options(bool for_values);

/* Where the value of an option is kept: a number of the kinds NUMBER, KEYS and EXACT_BITS, a flag,
 * a probability. */
size_t *codec_option_number(struct codec_options *o, const struct codec_option *option);
bool *codec_option_flag(struct codec_options *o, const struct codec_option *option);
double *codec_option_probability(struct codec_options *o, const struct codec_option *option);

/* Writes "name=value", or "name" for a flag, to out, cut to `room` - 1 bytes; returns the whole
 * length, and 0 where the option was not given and has no default. */
size_t codec_option_format(const struct codec_options *o, const struct codec_option *option,
                           char *out, size_t room);

/* Writes the names of a set of options, separated by spaces, to out, cut to `room` - 1 bytes. */
void codec_option_names(unsigned options, char *out, size_t room);

/* Are all options of the two the same? any_k does not count: it says how k came about. */
bool codec_options_same(const struct codec_options *a, const struct codec_options *b);

#endif
