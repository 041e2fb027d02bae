/* Rows of a head as the codes of its quantiser: what lookat.c (keys) and pq.c (values) share. Which
 * codebooks an option means, the layout of rows, storing and decoding are here; how a query uses
 * the codes is not. c->data of such a codec is the array of the layer's quantisers, one for each
 * head.
 *
 * Codes lie in blocks of R = LOOKUP_BLOCK rows. A block has the first code of all its rows, then
 * the second of all, so that kernels load one code of many rows with one instruction:
 *
 *     byte   0        1              R - 1   R        R + 1          2 R - 1
 *          +--------+--------+-----+-------+--------+--------+-----+-------+-----
 *          | code 0 | code 0 | ... | code 0| code 1 | code 1 | ... | code 1| ...
 *          | row 0  | row 1  |     | row   | row 0  | row 1  |     | row   |
 *          |        |        |     | R - 1 |        |        |     | R - 1 |
 *          +--------+--------+-----+-------+--------+--------+-----+-------+-----
 *
 * With K = 16 a byte holds two codes of one row: code 2 j in its low half, code 2 j + 1 in its high
 * half. A row of an odd number of codes has a byte with an empty high half. */
#ifndef LOOKAT_ATTENTION_CODE_ROWS_H
#define LOOKAT_ATTENTION_CODE_ROWS_H

#include "attention/book.h"
#include "attention/codec.h"

/* Checks the options m, bytes, k, plain and learned, which both codecs take alike, and fills in k =
 * 256. ERR_USAGE says what is wrong. */
int code_rows_check(struct codec *c, size_t head_dim, struct err *e);

/* Finds the setting of the book that the options mean, and makes the options name it. NULL where
 * the book has none, and then the options are as they were. m without plain or learned means the
 * best of its number of bytes: uneven where the book has that, else learned, else plain. Where no k
 * was asked for and there is none of 256, k = 16 with as many bytes will do. */
const struct codebook *code_rows_choose(struct codec_options *o, const struct book *b, bool values);

/* Returns ERR_USAGE with a message: the book has no such codebooks, or there is no book (NULL). The
 * message has the command that makes them. */
int code_rows_missing(const struct codec *c, const struct book *b, struct err *e);

/* Sets c->data to the prepared quantisers of the layer's heads, from the setting y. ERR_FAILED
 * without memory. */
int code_rows_setup(struct codec *c, const struct codec_setup *s, const struct codebook *y,
                    struct err *e);

/* Returns the head's quantiser, after setup. */
static inline const struct quantiser *code_rows_quantiser(const struct codec_head *h) {
    return (const struct quantiser *)h->codec->data + h->head;
}

/* Returns the number of codes of a row of the head. Before setup it is what the options promise:
 * with bytes= the average over the heads. */
size_t code_rows_codes(const struct codec *c, size_t head);

/* These are functions of struct kv_codec, which says what each one does. */
size_t code_rows_row_bytes(const struct codec *c, size_t head_dim, size_t head);
struct kv_layout code_rows_layout(const struct codec *c, size_t head_dim, size_t head);
size_t code_rows_scale_bytes(const struct codec *c, size_t head_dim, size_t head);
size_t code_rows_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                       size_t stride, size_t n);
bool code_rows_accepts(const struct codec_head *h, const uint8_t *timeline, size_t n);
void code_rows_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                      size_t n);

#endif
