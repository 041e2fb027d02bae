/* Rotations that need no calibration: a Hadamard matrix, and random signs before it. They spread a
 * row's outliers over many coordinates, so that one scale fits them all, and keep every dot
 * product. */
#ifndef LOOKAT_ATTENTION_ROTATE_H
#define LOOKAT_ATTENTION_ROTATE_H

#include <stddef.h>

/* B, the largest power of two that divides n >= 1. */
size_t rotate_block(size_t n);

/* x[n] = W x in place, W block diagonal with n / B orthonormal Hadamard matrices of B rows, in
 * Sylvester's order: W_1 = 1, W_2B = (W_B W_B; W_B -W_B) / sqrt 2. W is its own transpose and
 * inverse. B log2 B additions a block (fast Walsh-Hadamard transform). */
void rotate_hadamard(float *x, size_t n);

/* signs[n] = +1 or -1, evenly and independently, the same on every machine. */
void rotate_signs(float *signs, size_t n);

#endif
