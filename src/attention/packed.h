/* What the codecs of small whole numbers share (integer.c, turbo.c). A row is D codes of 2, 3, 4 or
 * 8 bits and a scale for every `group` of them. It lies in one of two layouts.
 *
 * Where D and group are multiples of 32 and D is at most 256, 32 rows make a block of tiles
 * (kernels/tiles.h draws it), which kernels use without unpacking. Everything else is row by row,
 * and is unpacked to be used:
 *
 *     a row   | scale 0 | scale 1 | ... D / group scales | code 0, code 1, ... code D - 1 |
 *     bytes   | 2       | 2       |                      | D bits / 8, without gaps, from the
 *                                                          lowest bit of each byte up         */
/* A copy's rows lie alone (refine.h), so that one row is one stretch of memory. With groups of 32
 * such a row is D / 32 blocks of Q8_0 or Q4_0 weights, as kernels/README.md draws them. */
#ifndef LOOKAT_ATTENTION_PACKED_H
#define LOOKAT_ATTENTION_PACKED_H

#include "attention/codec.h"

/* The largest head_dim of a packed codec. Rows are worked on in memory on the stack, so there has
 * to be a bound. */
enum { PACKED_MAX_DIM = 1024 };

/* What a row stands for, in the space in which it is stored: number i is its group's scale times
 * levels[code i], or times code i - 2^(bits-1) where levels is NULL. */
struct packed {
    size_t head_dim, group; /* D; group divides it */
    unsigned
        bits; /* of a code: 2, 3, 4 or 8, and 4 or 8 without levels; D of them fill whole bytes */
    bool keys;
    size_t apart;        /* 0, or each row lies alone, and this many bytes behind the one before */
    const float *levels; /* [2^bits] or NULL */
    const struct tile_levels *tile_levels; /* the same for the kernels */
};

/* Returns OK, or ERR_USAGE where head_dim is beyond PACKED_MAX_DIM. */
int packed_check(const struct codec *c, size_t head_dim, struct err *e);

/* Return the bytes of a row's codes, and of its scales. */
size_t packed_code_bytes(const struct packed *p);
size_t packed_scale_bytes(const struct packed *p);
struct kv_layout packed_layout(const struct packed *p);

/* Writes `scale` as f16 to *half and returns what that is as float32. Beyond f16's range it becomes
 * the largest finite number and *cut becomes true: a huge row is cut short, because 0 x infinity
 * would be NaN. NaN stays NaN. */
float packed_scale(uint16_t *half, float scale, bool *cut);

/* Stores codes[D] and scales[D / group], which are f16, as row pos of the timeline. */
void packed_put(const struct packed *p, uint8_t *timeline, size_t pos, const uint8_t *codes,
                const uint16_t *scales);

/* Writes rows begin .. begin + n - 1 of the timeline to x[n][D]. */
void packed_get(const struct packed *p, float *x, const uint8_t *timeline, size_t begin, size_t n);

/* Can kernels read a row that lies alone? Then these set scores[i] = q . row at[i], and add sum_i
 * p[i] row at[i] to out[D], for i < n. Errors are those of kernels.picked_dots and picked_sum. */
bool packed_has_picked(const struct packed *p);
void packed_picked_scores(const struct kernels *kn, const struct packed *p, float *scores,
                          const uint8_t *timeline, const uint32_t *at, size_t n, const float *q);
void packed_picked_mix(const struct kernels *kn, const struct packed *p, float *out,
                       const uint8_t *timeline, const uint32_t *at, size_t n, const float *weights);

/* Scoring takes q[D] in the space of the rows. packed_prepare makes `work` of it, which has
 * packed_work_floats floats and is aligned to 64 bytes; then packed_score sets scores[i] = q . row
 * i. The error is that of kernels.tile_scores, or that of kernels.matvec on the unpacked rows. */
size_t packed_work_floats(const struct packed *p);
void packed_prepare(const struct packed *p, float *work, const float *q);
void packed_score(const struct kernels *kn, const struct packed *p, const float *work,
                  float *scores, const uint8_t *timeline, size_t n);

/* Adds sum_i weights[i] row i to out[D]. The weights are as kv_codec.mix's p. The error is that of
 * kernels.tile_mix, or that of kernels.vecmat on the unpacked rows. */
void packed_mix(const struct kernels *kn, const struct packed *p, float *out,
                const uint8_t *timeline, const float *weights, size_t n);

#endif
