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

/* True for the five types above. */
bool dtype_known(uint32_t type);

/* "f32", "f16", "bf16", "q8_0", "q4_0"; for other ggml numbers ggml's name ("q4_K", "iq2_xs"), or
 * "type N" as "unknown". */
const char *dtype_name(uint32_t type);

/* The type called `name` (as dtype_name spells it), or -1. */
int dtype_parse(const char *name);

/* Numbers per block: 32 for the q types, else 1. */
size_t dtype_block(enum dtype type);

/* Exact bytes of n numbers; n must be a multiple of dtype_block(type) and small enough for the
 * result to fit in size_t. */
size_t dtype_bytes(enum dtype type, size_t n);

/* dst[n] of type `type` from src[n], to nearest, ties to even; Q8_0 and Q4_0 as ggml's reference
 * quantiser: d is max |x| / 127, or the element of largest magnitude / -8, and ties go away from
 * zero, or up. n must be a multiple of the block. Not fast: conversion of files. */
void dtype_from_f32(enum dtype type, void *dst, const float *src, size_t n);

/* Does dtype_from_f32 make finite numbers of finite ones up to this magnitude? f16 ends at 65520,
 * the scales of Q8_0 and Q4_0, which are f16 too, at 127 and 8 times that. */
bool dtype_holds(enum dtype type, float most);

/* One number, exactly (to f32) and to nearest-even (from f32; beyond the range infinity, NaN stays
 * NaN). */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float x);
enum { F16_MOST = 65504 }; /* the largest finite f16; from 65520 on a number becomes infinity */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float x);

#endif
