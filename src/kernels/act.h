/* A row of activations as whole numbers, for products with weights stored in blocks: the part that
 * is the same in every set. A run of activations has one scale: 32 of them, as many as a block of
 * Q8_0 or Q4_0 has weights, and 256 for the blocks of super_blocks.inc. This header is for sets
 * only.
 *
 * The whole numbers have 16 bits. With 8 bits, as other engines have them, they would be 257 times
 * as coarse, and reading the weights is what takes the time either way. */
#ifndef LOOKAT_KERNELS_ACT_H
#define LOOKAT_KERNELS_ACT_H

#include <math.h>
#include <string.h>

#include "kernels/sets.h"

/* ACT_MOST = 127 * 256 + 127, the greatest number whose high and low bytes can both be signed. A
 * block's sum of products with q8_0 weights stays below 32 * 128 * ACT_MOST < 2^31. */
enum { ACT_BLOCK = 32, ACT_MOST = 32639 };

/* Where the parts of an act of `cols` columns lie, each at a multiple of 64 bytes. x[c] is about
 * scale[c / run] q[c]. `more` has the sums of super_blocks.inc, for the types that need them. */
struct act {
    int16_t *q;   /* [cols] */
    float *scale; /* [cols / run], then zeros up to cols / 32 rounded up to a multiple of 16 */
    void *more;
};

static inline size_t act_common_bytes(size_t cols) {
    return cols * sizeof(int16_t) + (cols / ACT_BLOCK * sizeof(float) + 63) / 64 * 64;
}

static inline struct act act_at(const void *base, size_t cols) {
    uint8_t *at = (uint8_t *)(uintptr_t)base;
    return (struct act){(void *)at, (void *)(at + cols * sizeof(int16_t)),
                        at + act_common_bytes(cols)};
}

/* Turns a run of n activations into whole numbers and returns its scale. The greatest magnitude is
 * found among the bit patterns, in whose order infinity and then NaN are above all numbers. 1.5 *
 * 2^23 added and taken away rounds to a whole number, ties to even. */
static inline float act_run_from_f32(int16_t *q, const float *x, size_t n) {
    uint32_t most = 0, bits;
    float size;
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&size, &most, sizeof size);
    if (!(size >= 1e-30f && size < INFINITY)) {
        memset(q, 0, n * sizeof *q);
        return size < 1e-30f ? 0 : NAN;
    }
    float whole = ACT_MOST / size;
    for (size_t i = 0; i < n; i++) q[i] = (int16_t)(x[i] * whole + 12582912 - 12582912);
    return size / ACT_MOST;
}

static inline void act_common_from_f32(const struct act *a, const float *x, size_t cols,
                                       size_t run) {
    memset(a->scale, 0, act_common_bytes(cols) - cols * sizeof *a->q);
    for (size_t b = 0; b < cols / run; b++)
        a->scale[b] = act_run_from_f32(a->q + b * run, x + b * run, run);
}

#endif
