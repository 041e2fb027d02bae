/* Rows of a head as the codes of its quantiser: what lookat.c (keys) and pq.c (values) share.
 * c->data is the array of the layer's quantisers, one a head.
 *
 * Codes lie in blocks of LOOKUP_BLOCK rows, [codes][LOOKUP_BLOCK]: a block's codes of one stage are
 * one vector. With K = 16 two codes share a byte, half as many bytes a row (a whole number: of an
 * odd number of codes rounded up); kernels.h has where. */
#ifndef LOOKAT_ATTENTION_CODE_ROWS_H
#define LOOKAT_ATTENTION_CODE_ROWS_H

#include "attention/book.h"
#include "attention/codec.h"

/* Checks m, bytes, k, plain and learned, which both codecs take alike, and fills in k = 256.
 * ERR_USAGE with what is wrong. */
int code_rows_check(struct codec *c, size_t head_dim, struct err *e);

/* What the options mean in this book; the options then name it. m with neither plain nor learned:
 * as many bytes given to the heads that need them (uneven) where the book has that, else learned,
 * else plain; where no k was asked for and there is none of 256, of 16 with as many bytes. NULL: it
 * has no such. */
const struct codebook *code_rows_choose(struct codec_options *o, const struct book *b, bool values);

/* ERR_USAGE: the book (NULL: there is none) has no such codebooks; with the command that makes
 * them. */
int code_rows_missing(const struct codec *c, const struct book *b, struct err *e);

/* c->data = the prepared quantisers of the heads of a layer, from y. ERR_FAILED without memory. */
int code_rows_setup(struct codec *c, const struct codec_setup *s, const struct codebook *y,
                    struct err *e);

static inline const struct quantiser *code_rows_quantiser(const struct codec_head *h) {
    return (const struct quantiser *)h->codec->data + h->head;
}

/* Codes of a row of the head; before setup what the options promise, of bytes= the average. */
size_t code_rows_codes(const struct codec *c, size_t head);

/* Functions of struct kv_codec. */
size_t code_rows_row_bytes(const struct codec *c, size_t head_dim, size_t head);
struct kv_layout code_rows_layout(const struct codec *c, size_t head_dim, size_t head);
size_t code_rows_scale_bytes(const struct codec *c, size_t head_dim, size_t head);
size_t code_rows_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                       size_t stride, size_t n);
void code_rows_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                      size_t n);

#endif
