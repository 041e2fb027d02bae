/* What the codecs of small whole numbers share (integer.c, turbo.c): a row is D codes of a few bits
 * each and a scale for every `group` of them, in one of two layouts.
 *
 * Tiles, where D and group are multiples of 32 and D is at most 256: blocks of 32 rows as in
 * kernels/tiles.h, used without unpacking. Rows, for everything else: D / group scales, then the
 * codes without gaps, from the lowest bit of each byte up. They are unpacked to be used. */
#ifndef LOOKAT_ATTENTION_PACKED_H
#define LOOKAT_ATTENTION_PACKED_H

#include "attention/codec.h"

/* The largest head_dim of a packed codec: rows are worked on in memory on the stack. */
enum { PACKED_MAX_DIM = 1024 };

/* A row in the space it is stored in: number i is its group's scale times levels[code i], or times
 * code i - 2^(bits-1) where levels is NULL. */
struct packed {
    size_t head_dim, group; /* D; group divides it */
    unsigned
        bits; /* of a code: 2, 3, 4 or 8, and 4 or 8 without levels; D of them fill whole bytes */
    bool keys;
    const float *levels;                   /* [2^bits] or NULL */
    const struct tile_levels *tile_levels; /* the same for the kernels */
};

/* ERR_USAGE where head_dim is beyond PACKED_MAX_DIM. */
int packed_check(const struct codec *c, size_t head_dim, struct err *e);

/* Bytes of a row: of its codes, of its scales. */
size_t packed_code_bytes(const struct packed *p);
size_t packed_scale_bytes(const struct packed *p);
struct kv_layout packed_layout(const struct packed *p);

/* `scale` as f16 in *half; returns what that is. Beyond f16's range it becomes the largest finite
 * number, so that a huge row is cut short instead of becoming 0 x infinity, and *cut true; NaN
 * stays NaN. */
float packed_scale(uint16_t *half, float scale, bool *cut);

/* Row pos = codes[D], scales[D / group] as f16. */
void packed_put(const struct packed *p, uint8_t *timeline, size_t pos, const uint8_t *codes,
                const uint16_t *scales);

/* x[n][D] = rows begin .. begin + n - 1. */
void packed_get(const struct packed *p, float *x, const uint8_t *timeline, size_t begin, size_t n);

/* Scoring, with q in the space of the rows: work, of that many floats and aligned to 64, is made
 * from q[D], then scores[i] = q . row i. Error as for kernels.tile_scores, or for kernels.matvec on
 * the unpacked rows. */
size_t packed_work_floats(const struct packed *p);
void packed_prepare(const struct packed *p, float *work, const float *q);
void packed_score(const struct kernels *k, const struct packed *p, const float *work, float *scores,
                  const uint8_t *timeline, size_t n);

/* out[D] += sum_i weights[i] row i, weights as kv_codec.mix's p. Error as for kernels.tile_mix, or
 * for kernels.vecmat on the unpacked rows. */
void packed_mix(const struct kernels *k, const struct packed *p, float *out,
                const uint8_t *timeline, const float *weights, size_t n);

#endif
