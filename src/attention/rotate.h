/* Rotations that need no calibration: a Hadamard matrix, and random signs before it. They spread a
 * row's outliers over many coordinates, so that one scale fits them all, and keep every dot
 * product. */
#ifndef LOOKAT_ATTENTION_ROTATE_H
#define LOOKAT_ATTENTION_ROTATE_H

#include <stddef.h>

/* Returns the largest power of two that divides n >= 1: the rows of a Hadamard block. */
size_t rotate_block(size_t n);

/* Sets x[n] = G x in place. G is block diagonal: with b = rotate_block(n) it has n / b orthonormal
 * Hadamard matrices of b rows, in Sylvester's order, G_1 = 1, G_2b = (G_b G_b; G_b -G_b) / sqrt 2.
 * G is its own transpose and its own inverse. A block takes b log2 b additions (fast
 * Walsh-Hadamard transform). */
void rotate_hadamard(float *x, size_t n);

/* Fills signs[n] with +1 and -1, each equally likely and independent of the others. They are the
 * same on every machine, because stored rows can be read with the same signs only. */
void rotate_signs(float *signs, size_t n);

#endif
