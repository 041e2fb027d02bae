/* Number types of stored tensors, with ggml's numbering (the numbers in GGUF files). */
#ifndef LOOKAT_KERNELS_DTYPE_H
#define LOOKAT_KERNELS_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* F32, F16 and BF16 are numbers by themselves; the others lie in blocks (quant_types.h). */
enum dtype {
    DTYPE_F32 = 0,
    DTYPE_F16 = 1,
    DTYPE_Q4_0 = 2,
    DTYPE_Q4_1 = 3,
    DTYPE_Q5_0 = 6,
    DTYPE_Q5_1 = 7,
    DTYPE_Q8_0 = 8,
    DTYPE_Q2_K = 10,
    DTYPE_Q3_K = 11,
    DTYPE_Q4_K = 12,
    DTYPE_Q5_K = 13,
    DTYPE_Q6_K = 14,
    DTYPE_IQ4_NL = 20,
    DTYPE_IQ4_XS = 23,
    DTYPE_BF16 = 30,
    DTYPE_TQ1_0 = 34,
    DTYPE_TQ2_0 = 35,
    DTYPE_COUNT = 36
};

/* Returns true for the types above, which can be read. */
bool dtype_known(uint32_t type);

/* Returns true for F32, F16, BF16, Q8_0 and Q4_0: every set of kernels multiplies any number of
 * rows with them as they are. The others are decoded to float32 on the way. */
bool dtype_direct(enum dtype type);

/* Returns true for the types that numbers can be made to: the direct ones, Q4_K and Q6_K. */
bool dtype_written(enum dtype type);

/* Returns true for the block types that matmul_blocks multiplies in whole numbers: Q8_0, Q4_0,
 * Q4_K, Q5_K and Q6_K. */
bool dtype_wholes(enum dtype type);

/* Returns the type that rows of `cols` numbers get where `type` is asked for: that type if they are
 * a multiple of its block, else q4_0 for Q4_K, q5_1 for Q5_K and q8_0 for Q6_K, and f16 where their
 * block does not fit either. */
enum dtype dtype_for_rows(enum dtype type, size_t cols);

/* Returns the name that ggml has for a number, such as "f32", "q8_0" or "q4_K", also where the type
 * is not known here. It is "unknown" where ggml has none. */
const char *dtype_name(uint32_t type);

/* Returns the type called `name` that can be written, as dtype_name spells it or with a small k, or
 * -1 where there is none. */
int dtype_parse(const char *name);

/* Returns the numbers of a block: 32 or 256 for the types in blocks, else 1. */
size_t dtype_block(enum dtype type);

/* Returns the exact bytes of n numbers. n must be a multiple of dtype_block(type), and small enough
 * for the result to fit in size_t. */
size_t dtype_bytes(enum dtype type, size_t n);

/* Sets y[n] to the numbers stored at w, exactly, in plain loops. n is a multiple of the block.
 * Where the numbers lie in no blocks, w is aligned to the size of one. */
void dtype_to_f32(enum dtype type, float *y, const void *w, size_t n);

/* Writes src[n] to dst[n] as numbers of `type`, one that can be written, to nearest, ties to even.
 * Q8_0 and Q4_0 are made as by ggml's reference quantiser: d is max |x| / 127, or the element of
 * largest magnitude / -8, and ties go away from zero, or up. Q4_K and Q6_K are made as quant_make.h
 * says. n must be a multiple of the block. It is not fast, because it serves to convert files. */
void dtype_from_f32(enum dtype type, void *dst, const float *src, size_t n);

/* Does dtype_from_f32 make finite numbers of finite ones up to this magnitude? f16 ends at 65520;
 * Q8_0 and Q4_0, whose scales are f16, end at 127 and 8 times that; Q4_K and Q6_K at 63 and 31 x
 * 127 times 65504. */
bool dtype_holds(enum dtype type, float most);

/* These convert one number. To float32 it is exact. From float32 it is rounded to nearest, ties to
 * even; what is beyond the range becomes infinity, and NaN stays NaN. */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float x);
enum { F16_MOST = 65504 }; /* the largest finite f16; from 65520 on a number becomes infinity */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float x);

#endif
