/* Byte-level byte-pair encoding as GPT-2 does it (Sennrich et al. 2016; Radford et al. 2019): text
 * is cut by the pre-tokenizer, each piece starts as single bytes, and the adjacent pair with the
 * best-ranked merge is joined until none is left. */
#ifndef LOOKAT_TOKENIZER_BPE_H
#define LOOKAT_TOKENIZER_BPE_H

#include "base/arena.h"
#include "base/err.h"
#include "checkpoint/weights.h"

struct bpe;

/* Builds the encoder in the arena; v must outlive it. ERR_REFUSED where a byte has no token of its
 * own. */
int bpe_new(struct bpe **out, const struct vocab *v, struct arena *a, struct err *e);

/* Encodes any n bytes: *ids is [*n_ids], from the arena, bos first where the vocabulary asks for
 * it. Tokens added to the vocabulary are found first, from the left and the longest first. With
 * `special`, special tokens written out in the text become their ids too; without, they are
 * ordinary text. Time n log n, whatever the text. ERR_FAILED without memory, ERR_INTERRUPTED after
 * Ctrl-C. */
int bpe_encode(const struct bpe *b, const uint8_t *text, size_t n, bool special, struct arena *a,
               int32_t **ids, size_t *n_ids, struct err *e);

/* Returns the most bytes of text that one token can stand for; SIZE_MAX where a token takes any
 * number of spaces with it. */
size_t bpe_longest(const struct bpe *b);

/* Returns the bytes of token id: *len of them, not terminated, possibly not valid UTF-8 on their
 * own; none where there is no such token. */
const uint8_t *bpe_token(const struct bpe *b, int32_t id, size_t *len);

/* Says whether the token is no text for a reader: special, unused, or none of the vocabulary. */
bool bpe_is_hidden(const struct bpe *b, int32_t id);

#endif
