/* Two short published generators: splitmix64 makes the seed of xoshiro256**. */
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream) {
    uint64_t x = seed;
    x = splitmix64(&x) ^ stream;
    for (int i = 0; i < 4; i++) r->s[i] = splitmix64(&x);
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t rng_u64(struct rng *r) {
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double rng_double(struct rng *r) { return (double)(rng_u64(r) >> 11) * 0x1p-53; }

uint64_t rng_below(struct rng *r, uint64_t n) {
    uint64_t threshold = (0 - n) % n,
             x; /* 2^64 mod n: below it the last, incomplete, run of n would be favoured */
    do x = rng_u64(r);
    while (x < threshold);
    return x % n;
}

double rng_normal(struct rng *r) {
    double u, v, s;
    do {
        u = 2 * rng_double(r) - 1;
        v = 2 * rng_double(r) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * log(s) / s);
}

uint64_t rng_entropy(void) {
    uint64_t x;
    FILE *fp = fopen("/dev/urandom", "rb");
    if (!fp || fread(&x, sizeof x, 1, fp) != 1) x = (uint64_t)time(NULL) ^ (uint64_t)clock() << 32;
    if (fp) fclose(fp);
    return x;
}
