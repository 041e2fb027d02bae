/* The kernels over tiles (tiles.h), written once for any vector unit. After vector.h, a set defines
 *   struct factors              32 factors in the order its products want them
 *   t_factors(f, w)             fills it from vec w[32 / LANES], each number rounded to nearest, ties to even; returns their sum. |w| <= TILE_FACTOR_MAX;
 *                               any whole numbers for a NaN
 *   t_sums(bits, levels ? t->levels : NULL, s, tile, f, middle)
 *                               s[32 / LANES] = the 32 sums of a tile, less middle: exact whole numbers, then rounded once; with levels,
 *                               256 (sum over the high bytes less middle) + the sum over the low bytes
 *   v_load_whole(p)             int32_t p[LANES] as a vec
 *   v_size(v), v_larger_size(a, b), v_most_size(v)
 *                               |v|; of sizes, the larger, and the largest of all lanes; a NaN is larger than any number
 * and includes this file. */
#include "kernels/tiles.h"

enum { TILE_VECS = TILE_SIDE / LANES };

/* What a tile's factors are to be summed with for `middle`: codes are stored with this added, and high bytes of levels. */
INLINE int32_t middle_code(size_t bits, bool levels) { return levels ? 128 : 1 << (bits - 1); }

/* Blocks come from memory one after another, and what lies so far ahead is asked for meanwhile: as much as is under way at once. (In eight parts side by
 * side with a block of each ahead, as a core without this would like it, Zen 4 took a fifth longer.) */
enum { TILES_AHEAD = 8192 };

/* Asks for the lines of `bytes` bytes `ahead` of p, those before end. */
INLINE void fetch(const uint8_t *p, size_t ahead, size_t bytes, const uint8_t *end) {
    for (size_t i = 0; i < bytes; i += 64)
        if (ahead + i < (size_t)(end - p)) __builtin_prefetch(p + ahead + i, 0, 2);
}

INLINE void tile_scores_bits(size_t bits, bool levels, const struct tiles *t, float *scores, const uint8_t *blocks, size_t n,
                             const struct tile_query *q) {
    struct factors factors[TILES_MAX];
    int32_t middle[TILES_MAX];
    float scale[TILES_MAX];
    for (size_t k = 0; k < t->n; k++) {
        vec a[TILE_VECS];
        for (int v = 0; v < TILE_VECS; v++) a[v] = v_load_whole(q->a[k] + v * LANES);
        middle[k] = middle_code(bits, levels) * t_factors(&factors[k], a);
        scale[k] = levels ? q->scale[k] * t->levels->unit : q->scale[k];
    }
    size_t bytes = 128 * bits, scales_at = tiles_scales_at(t), block = tiles_block_bytes(t);
    size_t count = (n + TILE_SIDE - 1) / TILE_SIDE;
    const uint8_t *end_of_all = blocks + count * block;
    for (size_t b = 0; b < count; b++) {
        const uint8_t *at = blocks + b * block;
        vec sum[TILE_VECS], s[TILE_VECS];
        for (int v = 0; v < TILE_VECS; v++) sum[v] = v_set1(0);
        const uint16_t *scales = (const uint16_t *)(const void *)(at + scales_at);
        fetch(at, TILES_AHEAD, block, end_of_all);
        for (size_t k = 0; k < t->n; scales += TILE_SIDE)
            for (size_t end = k + t->per_scale; k < end; k++) {
                t_sums(bits, levels ? t->levels : NULL, s, at + k * bytes, &factors[k], middle[k]);
                for (int v = 0; v < TILE_VECS; v++) sum[v] = v_fma(s[v], v_mul(v_load_f16(scales + v * LANES), v_set1(scale[k])), sum[v]);
            }
        for (int v = 0; v < TILE_VECS; v++) v_store(scores + b * TILE_SIDE + v * LANES, sum[v]);
    }
}

/* The weights of 32 rows, p times their scales: tile_factors of them, and their sum times the middle code. */
struct weights {
    struct factors f;
    float scale;
    int32_t middle;
};

/* Rows from `rows` on weigh nothing. */
INLINE void weigh(struct weights *to, const float *p, const uint8_t *scales, size_t rows, int32_t middle) {
    vec w[TILE_VECS], size = v_set1(0);
    for (int v = 0; v < TILE_VECS; v++) {
        size_t before = (size_t)v * LANES;
        w[v] = v_mul(v_load(p + before), v_load_f16((const uint16_t *)(const void *)scales + before));
        if (rows < before + LANES) w[v] = v_first(w[v], rows > before ? rows - before : 0);
        size = v_larger_size(size, v_size(w[v]));
    }
    float most = v_most_size(size), inverse = most < 0x1p-100f ? 0 : TILE_FACTOR_MAX / most;
    for (int v = 0; v < TILE_VECS; v++) w[v] = v_mul(w[v], v_set1(inverse));
    to->scale = most < INFINITY ? most * (1.0f / TILE_FACTOR_MAX) : NAN;
    to->middle = (int32_t)((uint32_t)t_factors(&to->f, w) * (uint32_t)middle);
}

/* The weights of a block: p times its scales. */
INLINE void weigh_block(const struct tiles *t, struct weights *to, const float *p, const uint8_t *scales, size_t rows, int32_t middle) {
    for (size_t g = 0; g < t->n / t->per_scale; g++, scales += TILE_SIDE * sizeof(uint16_t)) {
        if (rows >= TILE_SIDE)
            weigh(&to[g], p, scales, TILE_SIDE, middle);
        else
            weigh(&to[g], p, scales, rows, middle);
    }
}

/* Some blocks are weighed before the first is used: a weight waits for the largest of its tile, and many tiles wait together. */
enum { WEIGHED = 8 };

INLINE void tile_mix_bits(size_t bits, bool levels, const struct tiles *t, float *out, const uint8_t *blocks, const float *p, size_t n) {
    size_t bytes = 128 * bits, scales_at = tiles_scales_at(t), block = tiles_block_bytes(t), count = (n + TILE_SIDE - 1) / TILE_SIDE;
    struct weights weights[WEIGHED][TILES_MAX];
    const uint8_t *end_of_all = blocks + count * block;
    const size_t group = WEIGHED * block > TILES_AHEAD ? TILES_AHEAD / block > 0 ? TILES_AHEAD / block : 1 : WEIGHED;
    for (size_t i = 0; i < count; i += group) {
        size_t together = count - i < group ? count - i : group;
        for (size_t j = 0; j < together; j++)
            weigh_block(t, weights[j], p + (i + j) * TILE_SIDE, blocks + (i + j) * block + scales_at, n - (i + j) * TILE_SIDE, middle_code(bits, levels));
        for (size_t j = 0; j < together; j++) {
            const uint8_t *tile = blocks + (i + j) * block;
            const struct weights *w = weights[j];
            float *y = out;
            fetch(tile, TILES_AHEAD + block, block, end_of_all);
            for (size_t k = 0; k < t->n; w++) {
                vec s[TILE_VECS], scale = v_set1(levels ? w->scale * t->levels->unit : w->scale);
                for (size_t end = k + t->per_scale; k < end; k++, tile += bytes, y += TILE_SIDE) {
                    t_sums(bits, levels ? t->levels : NULL, s, tile, &w->f, w->middle);
                    for (int v = 0; v < TILE_VECS; v++) v_store(y + v * LANES, v_fma(s[v], scale, v_load(y + v * LANES)));
                }
            }
        }
    }
}

static void tile_scores(const struct tiles *t, float *scores, const uint8_t *blocks, size_t n, const struct tile_query *q) {
    switch (t->bits + (t->levels ? 10 : 0)) {
    case 8: tile_scores_bits(8, false, t, scores, blocks, n, q); break;
    case 4: tile_scores_bits(4, false, t, scores, blocks, n, q); break;
    case 14: tile_scores_bits(4, true, t, scores, blocks, n, q); break;
    case 13: tile_scores_bits(3, true, t, scores, blocks, n, q); break;
    case 12: tile_scores_bits(2, true, t, scores, blocks, n, q); break;
    }
}

static void tile_mix(const struct tiles *t, float *out, const uint8_t *blocks, const float *p, size_t n) {
    switch (t->bits + (t->levels ? 10 : 0)) {
    case 8: tile_mix_bits(8, false, t, out, blocks, p, n); break;
    case 4: tile_mix_bits(4, false, t, out, blocks, p, n); break;
    case 14: tile_mix_bits(4, true, t, out, blocks, p, n); break;
    case 13: tile_mix_bits(3, true, t, out, blocks, p, n); break;
    case 12: tile_mix_bits(2, true, t, out, blocks, p, n); break;
    }
}
