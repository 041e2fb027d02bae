/* A hash table with open addressing: a string that finds its slot taken goes to the next one. */
#include "base/hash.h"

#include <string.h>

#include "base/rng.h"

static uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t hash_bytes(const uint64_t key[2], const void *s, size_t n) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    const uint8_t *p = s;
    size_t left = n;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i;
        sip_word(v, word);
    }
    uint64_t last = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << 8 * i;
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool hash_index_init(struct hash_index *h, size_t n,
                     const void *(*item)(const void *, uint32_t, size_t *), const void *ctx,
                     struct arena *a) {
    size_t slots = 8;
    while (slots / 4 * 3 <= n) slots *= 2;
    struct rng r;
    rng_seed(&r, rng_entropy(), 0);
    *h = (struct hash_index){
        .mask = slots - 1, .key = {rng_u64(&r), rng_u64(&r)}, .item = item, .ctx = ctx};
    h->slot = arena_alloc(a, slots, sizeof *h->slot);
    if (!h->slot) return false;
    memset(h->slot, 0xff, slots * sizeof *h->slot);
    return true;
}

uint32_t *hash_index_slot(const struct hash_index *h, const void *s, size_t n) {
    for (size_t at = hash_bytes(h->key, s, n) & h->mask;; at = (at + 1) & h->mask) {
        uint32_t *slot = &h->slot[at];
        if (*slot == HASH_EMPTY) return slot;
        size_t len;
        const void *other = h->item(h->ctx, *slot, &len);
        if (len == n && (n == 0 || memcmp(other, s, n) == 0)) return slot;
    }
}
