/* For tests of number types and kernels: what stored numbers stand for, by another way than
 * dtype.c's, and a loop over the kernel sets. */
#ifndef LOOKAT_TESTS_STORED_H
#define LOOKAT_TESTS_STORED_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0};

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define EACH_SET(k)                                                   \
    for (const struct kernels *k = kernels_at(0); k; k = next_set(k)) \
        if (k->supported())

static inline const struct kernels *next_set(const struct kernels *k) {
    size_t i = 0;
    while (kernels_at(i) != k) i++;
    return kernels_at(i + 1);
}

/* The number that an f16 or bf16 pattern stands for, from the definition of IEEE 754. */
static inline double small_float(uint16_t h, int exponent_bits, int fraction_bits) {
    int bias = (1 << (exponent_bits - 1)) - 1, e = h >> fraction_bits & ((1 << exponent_bits) - 1),
        f = h & ((1 << fraction_bits) - 1);
    double v = ldexp(f + (e ? 1 << fraction_bits : 0), (e ? e : 1) - bias - fraction_bits);
    if (e == 2 * bias + 1) v = f ? NAN : INFINITY;
    return h >> 15 ? -v : v;
}

/* Element i of a stored row. */
static inline double stored(enum dtype type, const uint8_t *row, size_t i) {
    uint16_t h;
    float f;
    const uint8_t *block = row + i / 32 * (type == DTYPE_Q8_0 ? 34 : 18);
    if (type == DTYPE_F32) return memcpy(&f, row + 4 * i, 4), f;
    if (type == DTYPE_F16 || type == DTYPE_BF16) {
        memcpy(&h, row + 2 * i, 2);
        return type == DTYPE_F16 ? small_float(h, 5, 10) : small_float(h, 8, 7);
    }
    memcpy(&h, block, 2);
    i %= 32;
    int q = type == DTYPE_Q8_0 ? (int8_t)block[2 + i]
                               : (i < 16 ? block[2 + i] & 15 : block[2 + i - 16] >> 4) - 8;
    return small_float(h, 5, 10) * q;
}

#endif
