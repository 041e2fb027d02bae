/* Codebooks with random centroids, for tests that need some and no calibration. */
#ifndef LOOKAT_TESTS_RANDOM_BOOK_H
#define LOOKAT_TESTS_RANDOM_BOOK_H

#include <string.h>

#include "attention/book.h"
#include "base/rng.h"

/* Codebooks of every m that divides D with k centroids, appended to b, which is {0} or a book of the same shape. */
static inline void random_book(struct book *b, size_t L, size_t H, size_t D, size_t k, uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, k);
    if (!b->n) {
        *b = (struct book){.path = "random book", .n_layer = L, .n_head = H, .head_dim = D, .tokens = 1000, .samples = 500, .seed = seed};
        memset(b->fingerprint, 'a', 64);
        b->books = arena_zalloc(&b->arena, 18, sizeof *b->books);
    }
    for (size_t m = 1; m <= 32; m *= 2) {
        if (D % m) continue;
        uint16_t *bits = arena_alloc(&b->arena, L * H * D * k, sizeof *bits);
        for (size_t i = 0; i < L * H * D * k; i++) bits[i] = f32_to_f16((float)rng_normal(&r));
        b->books[b->n++] = (struct codebook){.m = m, .k = k, .centroids = bits};
    }
}

#endif
