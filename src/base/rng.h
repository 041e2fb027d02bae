/* Random numbers that are the same on every machine for the same seed: xoshiro256** seeded by
 * splitmix64 (Blackman and Vigna, https://prng.di.unimi.it, public domain algorithms). A struct rng
 * is seeded once and belongs to one thread. */
#ifndef LOOKAT_BASE_RNG_H
#define LOOKAT_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Any seed is fine, 0 included; `stream` gives independent sequences of one seed. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, 1), a multiple of 2^-53. */
double rng_double(struct rng *r);
/* Uniform in 0..n-1 without bias; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Standard normal, by Marsaglia's polar method. */
double rng_normal(struct rng *r);
/* A seed from the system's entropy, or from the clock where there is none. */
uint64_t rng_entropy(void);

#endif
