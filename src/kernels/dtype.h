/* Number types of stored tensors, with ggml's numbering (the numbers in GGUF files). */
#ifndef LOOKAT_KERNELS_DTYPE_H
#define LOOKAT_KERNELS_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Q8_0 and Q4_0 hold blocks of 32 numbers with one f16 scale d: x = d * q, q in -127..127; and x =
 * d * (n - 8), n in 0..15, where the low nibbles of the 16 bytes are elements 0..15 and the high
 * nibbles elements 16..31. */
enum dtype {
    DTYPE_F32 = 0,
    DTYPE_F16 = 1,
    DTYPE_Q4_0 = 2,
    DTYPE_Q8_0 = 8,
    DTYPE_BF16 = 30,
    DTYPE_COUNT = 31
};

/* Returns true for the five types above. */
bool dtype_known(uint32_t type);

/* Returns "f32", "f16", "bf16", "q8_0" or "q4_0". For other numbers it is the name that ggml has
 * for them, such as "q4_K", and "unknown" where it has none. */
const char *dtype_name(uint32_t type);

/* Returns the type called `name`, as dtype_name spells it, or -1 where there is none. */
int dtype_parse(const char *name);

/* Returns the numbers of a block: 32 for the types in blocks, else 1. */
size_t dtype_block(enum dtype type);

/* Returns the exact bytes of n numbers. n must be a multiple of dtype_block(type), and small enough
 * for the result to fit in size_t. */
size_t dtype_bytes(enum dtype type, size_t n);

/* Writes src[n] to dst[n] as numbers of `type`, to nearest, ties to even. Q8_0 and Q4_0 are made as
 * by ggml's reference quantiser: d is max |x| / 127, or the element of largest magnitude / -8, and
 * ties go away from zero, or up. n must be a multiple of the block. It is not fast, because it
 * serves to convert files. */
void dtype_from_f32(enum dtype type, void *dst, const float *src, size_t n);

/* Does dtype_from_f32 make finite numbers of finite ones up to this magnitude? f16 ends at 65520;
 * Q8_0 and Q4_0, whose scales are f16, end at 127 and 8 times that. */
bool dtype_holds(enum dtype type, float most);

/* These convert one number. To float32 it is exact. From float32 it is rounded to nearest, ties to
 * even; what is beyond the range becomes infinity, and NaN stays NaN. */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float x);
enum { F16_MOST = 65504 }; /* the largest finite f16; from 65520 on a number becomes infinity */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float x);

#endif
