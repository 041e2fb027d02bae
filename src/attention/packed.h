/* What the packed codecs (integer.c, turbo.c) share: f16 scales that stay finite, and scoring and mixing by way of small unpacked tiles. */
#ifndef LOOKAT_ATTENTION_PACKED_H
#define LOOKAT_ATTENTION_PACKED_H

#include "attention/codec.h"

/* The largest head_dim of a packed codec: rows are worked on in memory on the stack. */
enum { PACKED_MAX_DIM = 1024 };

/* ERR_USAGE where head_dim is beyond that. */
int packed_check(const struct codec *c, size_t head_dim, struct err *e);

/* Stores `scale` as f16 at `at` and returns what was stored. Beyond f16's range it becomes the largest finite number, so that a huge row is cut short
 * instead of becoming 0 x infinity; NaN stays NaN. */
float packed_put_scale(uint8_t *at, float scale);
float packed_scale(const uint8_t *at);

/* x[D] = a stored row, in the space it is stored in. */
typedef void packed_unpack(const struct codec *c, float *x, const uint8_t *row, size_t head_dim);

/* scores[i] = q . row i, with q[D] in the space of the rows. Error as for kernels.matvec on the unpacked rows. */
void packed_score(const struct codec_head *h, packed_unpack *unpack, const float *q, float *scores, const uint8_t *rows, size_t n);
/* out[D] += sum_i p[i] row i, in the space of the rows. Error as for kernels.vecmat. */
void packed_mix(const struct codec_head *h, packed_unpack *unpack, float *out, const uint8_t *rows, const float *p, size_t n);

#endif
