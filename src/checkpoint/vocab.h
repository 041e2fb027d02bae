/* Building a vocabulary. The loaders of all tokenizer formats share it, so that the same tokens and
 * merges give the same vocabulary whatever file they come from. */
#ifndef LOOKAT_CHECKPOINT_VOCAB_H
#define LOOKAT_CHECKPOINT_VOCAB_H

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "checkpoint/weights.h"

/* The byte-to-unicode spelling of GPT-2's files: printable bytes stand for themselves, the other 68
 * for U+0100 and up in order. vocab_unspell writes the raw bytes of the UTF-8 string s[n] to out
 * (at most n) and returns their number, or -1 where a character is not in the alphabet. vocab_spell
 * writes the spelling of n raw bytes to out (at most 2n) and returns its length. */
long vocab_unspell(const char *s, size_t n, uint8_t *out);
size_t vocab_spell(const uint8_t *bytes, size_t n, char *out);

/* Keys of this program's own for what GGUF has no key for: a bool, is a text cut into pieces before
 * merging (absent: true); a bool, is a piece that is a whole token that token (absent: false); an
 * i32 for each token, how a text is searched for it (enum token_match; absent: as its type
 * says). */
#define GGUF_USE_REGEX "lookat.tokenizer.use_regex"
#define GGUF_IGNORE_MERGES "lookat.tokenizer.ignore_merges"
#define GGUF_TOKEN_MATCH "lookat.tokenizer.token_match"

/* The most tokens, the most merges, and the most bytes of all tokens that a vocabulary may have: a
 * builder full of them stays below 16 MB beyond its file's size, however short the tokens. GPT-2
 * has 50257 tokens of 320 KB, the largest vocabularies in use have 2^18. */
#define VOCAB_MAX (1u << 18)
#define VOCAB_MAX_BYTES (4u << 20)

/* The special token that GPT-2's training texts begin and end with. */
#define END_OF_TEXT "<|endoftext|>"

/* Collects tokens in any order of ids, then merges by rank, and makes a vocabulary of them. Every
 * function that takes an err returns ERR_REFUSED, naming the file and the token or merge, where a
 * rule is broken, ERR_FAILED without memory. */
struct vocab_builder {
    const char *path;         /* for messages */
    uint32_t n, set;          /* ids 0..n-1; how many have been set */
    uint32_t *start, *length; /* [n] of each token in pool; start UINT32_MAX: not set yet */
    uint8_t *kind, *match;    /* [n] as in struct vocab, in the result's arena */
    uint8_t *pool;            /* [room] raw bytes in order of arrival */
    size_t used, room;
    struct hash_index index;    /* bytes -> id */
    struct vocab_merge *merges; /* [merge_room], in the result's arena */
    uint32_t n_merges, merge_room;
    uint32_t n_warnings;
    const char *warning[VOCAB_WARNINGS]; /* in the result's arena */
    struct arena *arena;                 /* of the result */
    struct arena scratch;
};

/* n tokens of `room` bytes in all at most (a bound taken from the file's size, or VOCAB_MAX_BYTES
 * where that is less); n and merge_room are at most VOCAB_MAX. The path and the arena are kept.
 * vocab_builder_free is due after it, whatever it returns. */
int vocab_builder_init(struct vocab_builder *b, const char *path, size_t n, size_t room,
                       size_t merge_room, struct arena *a, struct err *e);

/* Sets a token to raw bytes: each id once, and no two normal ones with the same bytes. An empty
 * token becomes unused, with a warning where it was meant to be another. A text is searched for
 * control and added tokens as their kind says. */
int vocab_builder_set(struct vocab_builder *b, size_t id, const void *bytes, size_t n,
                      enum token_kind kind, struct err *e);
/* The same from the spelling in files: normal tokens stand there in the byte-to-unicode alphabet,
 * the others as they are. */
int vocab_builder_set_spelled(struct vocab_builder *b, size_t id, const char *s, size_t n,
                              enum token_kind kind, struct err *e);

/* Has the id been set? To these bytes? */
bool vocab_builder_has(const struct vocab_builder *b, uint64_t id);
bool vocab_builder_is(const struct vocab_builder *b, uint64_t id, const void *bytes, size_t n);

/* The id of the token with these raw bytes, or -1. Of a normal and another token with the same
 * bytes, the normal one; never an unused one. */
int64_t vocab_builder_find(const struct vocab_builder *b, const void *bytes, size_t n);

/* Keeps a sentence for the user: "path: " and the text. Those beyond VOCAB_WARNINGS are dropped. */
void vocab_builder_warn(struct vocab_builder *b, const char *format, ...) ERR_PRINTF(2, 3);

/* Adds the next merge: by ids; by two spellings; by a line "a b" of them. The two and what they
 * join to must be tokens. A control or added token among them becomes normal, and stays one that a
 * text is searched for. */
int vocab_builder_merge_ids(struct vocab_builder *b, uint32_t left, uint32_t right, uint32_t merged,
                            struct err *e);
int vocab_builder_merge(struct vocab_builder *b, const char *left, size_t n_left, const char *right,
                        size_t n_right, struct err *e);
int vocab_builder_merge_line(struct vocab_builder *b, const char *line, size_t n, struct err *e);

/* Fills *v; all ids must be set. bos and eos: -1 where the file names none; <|endoftext|>, where
 * there is one, then takes the place, as it does with a warning for an id beyond the tokens. */
int vocab_builder_finish(struct vocab_builder *b, struct vocab *v, int64_t bos, int64_t eos,
                         struct err *e);
/* Hands over the warnings so far, again where some came after vocab_builder_finish. */
void vocab_builder_warnings(const struct vocab_builder *b, struct vocab *v);
void vocab_builder_free(struct vocab_builder *b);

/* Tells `warn` (NULL: nobody) what the user should know of the file. */
void vocab_warn(const struct vocab *v, void (*warn)(const char *msg));

/* The same, and whether v (which may have no tokens at all) can be the vocabulary of a model with
 * n_vocab rows. Rows without a token are never chosen, and added tokens without a row cannot be
 * used: that is only said. ERR_REFUSED where merges make a token without a row: that tokenizer is
 * another model's. */
int vocab_check(const struct vocab *v, size_t n_vocab, const char *path,
                void (*warn)(const char *msg), struct err *e);

#endif
