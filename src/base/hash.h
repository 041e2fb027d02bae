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

/* Returns the hash of s[n] under a key: SipHash-2-4 (Aumasson and Bernstein 2012,
 * https://www.aumasson.jp/siphash/siphash.pdf). */
uint64_t hash_bytes(const uint64_t key[2], const void *s, size_t n);

/* The strings stay with the caller: item(ctx, i, &n) returns string i and sets n to its bytes. The
 * table holds their numbers only, so it is valid as long as they are. */
struct hash_index {
    uint32_t *slot; /* [mask + 1] index of a string, or HASH_EMPTY */
    size_t mask;
    uint64_t key[2];
    const void *(*item)(const void *ctx, uint32_t i, size_t *n);
    const void *ctx;
};

/* Makes an empty table with room for n strings, n < 2^31. It takes 4 * n * 4/3 bytes of the arena,
 * rounded up to a power of two. False without memory. */
bool hash_index_init(struct hash_index *h, size_t n,
                     const void *(*item)(const void *, uint32_t, size_t *), const void *ctx,
                     struct arena *a);

/* Returns the slot with the index of a string equal to s[n]. If there is none, it returns the empty
 * slot where that index belongs, and the caller may write it there. */
uint32_t *hash_index_slot(const struct hash_index *h, const void *s, size_t n);

#endif
