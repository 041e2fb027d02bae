/* The sets compiled into this program. One of another kind of machine is NULL. This header is for
 * select.c and the sets themselves. */
#ifndef LOOKAT_KERNELS_SETS_H
#define LOOKAT_KERNELS_SETS_H

#include "kernels/kernels.h"

extern const struct kernels *const kernels_scalar;
extern const struct kernels *const kernels_plain;
extern const struct kernels *const kernels_avx2;
extern const struct kernels *const kernels_avx512;
extern const struct kernels *const kernels_neon;

/* kernels.lookup and kernels.lookup_rounded in plain C (lookup.c), for sets that have no better. */
void lookup_plain(float *score, const float *table, size_t m, size_t k, const uint8_t *codes,
                  size_t n);
void lookup_rounded_plain(float *score, const void *entries, const struct lookup_scale *s, size_t m,
                          size_t k, size_t bits, const uint8_t *codes, size_t n);

/* kernels.bucket_add for one block, of probabilities that are whole numbers already: q[n], n <=
 * LOOKUP_BLOCK. */
void buckets_add_block(uint32_t *bucket, const uint8_t *codes, const uint32_t *q, size_t bytes,
                       size_t n);

/* kernels.bucket_sums. It adds whole numbers, so every set has the same result; it stands here so
 * that it is compiled with each set's instructions. */
static inline void sums_of_buckets(uint32_t *sum, const uint32_t *bucket, size_t m, size_t k) {
    /* The second copy; the same one where there is one only, and then it is not added. */
    const uint32_t *other = bucket + (bucket_copies(m) - 1) * m * BUCKETS;
    uint32_t twice = bucket_copies(m) == 2;
    for (size_t j = 0; j < m; j++, sum += k)
        for (size_t c = 0; c < k; c++)
            sum[c] = bucket[j * BUCKETS + c] + twice * other[j * BUCKETS + c];
}

/* Makes *s for lookup_round from the widest table's most - least, the sum of the least entries, and
 * the bits of an entry. Returns how many steps are 1. *s is NaN where the numbers are not finite.
 */
float lookup_scale(struct lookup_scale *s, float widest, float low, size_t bits);

#endif
