#include "attention/packed.h"

#include <string.h>

/* Floats of an unpacked tile: half of a first-level cache, and at least a few rows. */
enum { TILE = 4 * PACKED_MAX_DIM };

int packed_check(const struct codec *c, size_t head_dim, struct err *e) {
    if (head_dim <= PACKED_MAX_DIM) return OK;
    return err_set(e, ERR_USAGE, "--attn %s: heads of %zu dimensions; it takes up to %d", c->ops->name, head_dim, (int)PACKED_MAX_DIM);
}

float packed_put_scale(uint8_t *at, float scale) {
    if (scale > 65504) scale = 65504;
    if (scale < -65504) scale = -65504;
    uint16_t half = f32_to_f16(scale);
    memcpy(at, &half, sizeof half);
    return f16_to_f32(half);
}

float packed_scale(const uint8_t *at) {
    uint16_t half;
    memcpy(&half, at, sizeof half);
    return f16_to_f32(half);
}

/* The next rows, as many as a tile holds of the n that are left, unpacked to x; returns how many. */
static size_t unpack_some(const struct codec_head *h, packed_unpack *unpack, float *x, const uint8_t *rows, size_t row, size_t n) {
    size_t D = h->head_dim, take = n < TILE / D ? n : TILE / D;
    for (size_t i = 0; i < take; i++) unpack(h->codec, x + i * D, rows + i * row, D);
    return take;
}

void packed_score(const struct codec_head *h, packed_unpack *unpack, const float *q, float *scores, const uint8_t *rows, size_t n) {
    float x[TILE];
    size_t D = h->head_dim, row = h->codec->ops->row_bytes(h->codec, D, h->head);
    for (size_t done = 0, take; done < n; done += take) {
        take = unpack_some(h, unpack, x, rows + done * row, row, n - done);
        h->k->matvec(DTYPE_F32, scores + done, x, D * sizeof *x, take, q, D);
    }
}

void packed_mix(const struct codec_head *h, packed_unpack *unpack, float *out, const uint8_t *rows, const float *p, size_t n) {
    float x[TILE];
    size_t D = h->head_dim, row = h->codec->ops->row_bytes(h->codec, D, h->head);
    for (size_t done = 0, take; done < n; done += take) {
        take = unpack_some(h, unpack, x, rows + done * row, row, n - done);
        h->k->vecmat(DTYPE_F32, out, x, D * sizeof *x, take, p + done, D);
    }
}
