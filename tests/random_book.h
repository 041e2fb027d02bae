/* Codebooks with random centroids, for tests that need some and no calibration. */
#ifndef LOOKAT_TESTS_RANDOM_BOOK_H
#define LOOKAT_TESTS_RANDOM_BOOK_H

#include <string.h>

#include "attention/book.h"
#include "base/rng.h"

/* Codebooks of every m that divides D with k centroids, appended to b, which is {0} or a book of
 * the same shape. */
static inline void random_book(struct book *b, size_t L, size_t H, size_t D, size_t k,
                               uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, k);
    if (!b->n) {
        *b = (struct book){.path = "random book",
                           .n_layer = L,
                           .n_head = H,
                           .head_dim = D,
                           .tokens = 1000,
                           .samples = 500,
                           .seed = seed};
        memset(b->fingerprint, 'a', 64);
        b->books = arena_zalloc(&b->arena, BOOK_SETTINGS, sizeof *b->books);
    }
    for (size_t m = 1; m <= 32; m *= 2) {
        if (D % m) continue;
        uint16_t *bits = arena_alloc(&b->arena, L * H * D * k, sizeof *bits);
        for (size_t i = 0; i < L * H * D * k; i++) bits[i] = f32_to_f16((float)rng_normal(&r));
        b->books[b->n++] = (struct codebook){.m = m, .k = k, .centroids = bits};
    }
}

/* A learned setting with k centroids, ranges of uneven widths, B near the identity and a mean. Odd
 * heads have one code more, over all dimensions; but of an uneven setting, an odd head has as many
 * bytes more than m as the one before has less. */
static inline void random_quantisers(struct book *b, struct codebook y, uint64_t seed) {
    size_t m = codebook_codes(&y), average = m, per_byte = codes_per_byte(y.k), k = y.k;
    size_t D = b->head_dim, heads = b->n_layer * b->n_head;
    struct quantiser *z = arena_zalloc(&b->arena, heads, sizeof *z);
    struct rng r;
    rng_seed(&r, seed, m);
    for (size_t h = 0; h < heads; h++) {
        size_t apart = y.uneven && (h | 1) < heads ? per_byte * (1 + h / 2 % (y.m - 1)) : 0,
               extra = y.uneven ? 0 : h % 2;
        m = h % 2 ? average + apart : average - apart;
        struct quantiser_range *s = arena_zalloc(&b->arena, m + 1, sizeof *s);
        uint16_t *inverse = arena_alloc(&b->arena, D * D, sizeof *inverse),
                 *mean = arena_alloc(&b->arena, D, sizeof *mean);
        for (size_t i = 0; i < D * D; i++)
            inverse[i] = f32_to_f16((i % (D + 1) == 0) + 0.3f / (float)D * (float)rng_normal(&r));
        for (size_t i = 0; i < D; i++) mean[i] = f32_to_f16((float)rng_normal(&r));
        z[h] = (struct quantiser){
            .dim = D, .k = k, .n = m + extra, .inverse = inverse, .mean = mean, .ranges = s};
        for (size_t j = 0, at = 0; j < z[h].n; at += s[j++].width) {
            s[j].width = j + 1 < m ? 1 + (3 * m <= D ? (j + h) % 3 : 0) : D - at;
            if (j == m) at = 0, s[j].width = D;
            s[j].at = at;
            uint16_t *bits = arena_alloc(&b->arena, s[j].width * k, sizeof *bits);
            for (size_t i = 0; i < s[j].width * k; i++)
                bits[i] = f32_to_f16((float)rng_normal(&r) * (j == m ? 0.3f : 1));
            s[j].centroids = bits;
        }
    }
    y.heads = z;
    b->books[b->n++] = y;
}

static inline void random_values(struct book *b, size_t m, size_t k, uint64_t seed) {
    random_quantisers(b, (struct codebook){.m = m, .k = k, .learned = true, .values = true}, seed);
}

static inline void random_uneven_values(struct book *b, size_t m, size_t k, uint64_t seed) {
    random_quantisers(
        b, (struct codebook){.m = m, .k = k, .learned = true, .values = true, .uneven = true},
        seed);
}

static inline void random_uneven(struct book *b, size_t m, size_t k, uint64_t seed) {
    random_quantisers(b, (struct codebook){.m = m, .k = k, .learned = true, .uneven = true}, seed);
}

static inline void random_learned(struct book *b, size_t m, size_t k, uint64_t seed) {
    random_quantisers(b, (struct codebook){.m = m, .k = k, .learned = true}, seed);
}

#endif
