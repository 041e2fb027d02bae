/* A hash table from byte strings to indices, for strings that come from files: the hash is keyed
 * with the system's entropy, so a file cannot be made whose strings all collide. What a lookup
 * finds does not depend on the key. */
#ifndef LOOKAT_BASE_HASH_H
#define LOOKAT_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define HASH_EMPTY UINT32_MAX

/* SipHash-2-4 (Aumasson and Bernstein 2012, https://www.aumasson.jp/siphash/siphash.pdf) of
 * s[n]. */
uint64_t hash_bytes(const uint64_t key[2], const void *s, size_t n);

/* The strings stay with the caller: item(ctx, i, &n) says where string i is. */
struct hash_index {
    uint32_t *slot; /* [mask + 1] index of a string, or HASH_EMPTY */
    size_t mask;
    uint64_t key[2];
    const void *(*item)(const void *ctx, uint32_t i, size_t *n);
    const void *ctx;
};

/* Room for n strings, n < 2^31; false without memory. Takes 4 * n * 4/3 bytes, rounded up to a
 * power of two. */
bool hash_index_init(struct hash_index *h, size_t n,
                     const void *(*item)(const void *, uint32_t, size_t *), const void *ctx,
                     struct arena *a);

/* The slot with the index of a string equal to s[n], or else the empty slot where its index
 * belongs. */
uint32_t *hash_index_slot(const struct hash_index *h, const void *s, size_t n);

#endif
