/* The block types of GGUF files: weights of two to eight bits, in blocks with scales of their own
 * (ggml's reference decoders: https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c). This
 * is the one table of them; dtype.h is made from it. To add a type: its number in dtype.h, a
 * drawing and a decoder here, and its line in the table.
 *
 * d and m are f16 numbers, the scale of a block and what is added or subtracted. In the drawings a
 * number before a name is its bytes. Blocks of 32 numbers, n of 0 .. 15 from half a byte: the low
 * halves of the 16 bytes of `halves` are numbers 0 .. 15, the high ones 16 .. 31. Bit i of `bits`
 * belongs to number i.
 *
 *     q4_0     | 2 d | 16 halves |                   x = d (n - 8)
 *     q4_1     | 2 d | 2 m | 16 halves |             x = d n + m
 *     q5_0     | 2 d | 4 bits | 16 halves |          x = d (n + 16 bit - 16)
 *     q5_1     | 2 d | 2 m | 4 bits | 16 halves |    x = d (n + 16 bit) + m
 *     q8_0     | 2 d | 32 q |                        x = d q, q one signed byte
 *     iq4_nl   | 2 d | 16 halves |                   x = d level[n], 16 uneven levels
 *
 * Blocks of 256 numbers in parts of 16 or 32, each with a scale s (and a minimum t) of a few bits:
 *
 *     q2_K     | 16 s t | 64 q | 2 d | 2 m |         x = d s q - m t, 2 bits each; parts of 16
 *     q3_K     | 32 bits | 64 q | 12 s | 2 d |       x = d (s - 32) (q + 4 bit - 4); parts of 16
 *     q4_K     | 2 d | 2 m | 12 s t | 128 halves |   x = d s n - m t; parts of 32
 *     q5_K     | 2 d | 2 m | 12 s t | 32 bits | 128 halves |
 *                                                    x = d s (n + 16 bit) - m t; parts of 32
 *     q6_K     | 128 halves | 64 q | 16 s | 2 d |    x = d s (n + 16 q - 32), s signed; parts of 16
 *     iq4_xs   | 2 d | 2 + 4 s | 128 halves |        x = d (s - 32) level[n]; parts of 32
 *
 * Ternary blocks of 256, one scale:
 *
 *     tq1_0    | 48 | 4 | 2 d |                      x = d (q - 1), five (four) of 0 .. 2 to a byte
 *     tq2_0    | 64 | 2 d |                          x = d (q - 1), four to a byte */
#ifndef LOOKAT_KERNELS_QUANT_TYPES_H
#define LOOKAT_KERNELS_QUANT_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct quant_type {
    size_t block, bytes; /* numbers and bytes of a block; 0: no block type that is read */
    /* y[block] = the numbers of a block, in ggml's order of operations, so to the bit. */
    void (*decode)(float *y, const uint8_t *block);
};

/* NULL for what is none. */
const struct quant_type *quant_type(uint32_t type);

#endif
