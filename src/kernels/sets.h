/* The sets compiled into this program; NULL for one of another machine. Only for select.c and the sets themselves. */
#ifndef LOOKAT_KERNELS_SETS_H
#define LOOKAT_KERNELS_SETS_H

#include "kernels/kernels.h"

extern const struct kernels *const kernels_scalar;
extern const struct kernels *const kernels_avx2;
extern const struct kernels *const kernels_avx512;
extern const struct kernels *const kernels_neon;


/* Sums of table entries in plain C (lookup.c), for sets that have no better. */
void lookup_plain(float *score, const float *table, size_t m, size_t k, const uint8_t *codes, size_t n);
void lookup_rounded_plain(float *score, const void *entries, const struct lookup_scale *s, size_t m, size_t k, size_t bits, const uint8_t *codes,
                          size_t n);

/* For lookup_round: *s from the widest table, the sum of the least entries, and the bits. Returns whole numbers per unit. NaN in *s where the numbers
 * are not finite. */
float lookup_scale(struct lookup_scale *s, float widest, float low, size_t bits);

#endif
