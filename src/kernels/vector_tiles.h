/* The kernels over tiles (tiles.h), written once for any vector unit. After vector.h, a set defines
 *   struct factors              32 factors in the order its products want them
 *   t_factors(f, a)             fills it from int32_t a[32], |a| <= TILE_FACTOR_MAX
 *   t_sums(bits, levels ? t->levels : NULL, s, tile, f, middle)
 *                               s[32 / LANES] = the 32 sums of a tile, less middle: exact whole numbers, then rounded once; with levels,
 *                               256 (sum over the high bytes less middle) + the sum over the low bytes
 *   v_store_whole(p, v)         int32_t p[LANES] = v, whole numbers
 *   v_size(v), v_larger_size(a, b), v_most_size(v)
 *                               |v|; of sizes, the larger, and the largest of all lanes; a NaN is larger than any number
 * and includes this file. */
#include "kernels/tiles.h"

enum { TILE_VECS = TILE_SIDE / LANES };

/* What a tile's factors are to be summed with for `middle`: codes are stored with this added, and high bytes of levels. */
INLINE int32_t middle_code(size_t bits, bool levels) { return levels ? 128 : 1 << (bits - 1); }

INLINE void tile_scores_bits(size_t bits, bool levels, const struct tiles *t, float *scores, const uint8_t *blocks, size_t n,
                             const struct tile_query *q) {
    struct factors factors[TILES_MAX];
    int32_t middle[TILES_MAX];
    float scale[TILES_MAX];
    for (size_t k = 0; k < t->n; k++) {
        int32_t sum = 0;
        for (size_t i = 0; i < TILE_SIDE; i++) sum += q->a[k][i];
        middle[k] = middle_code(bits, levels) * sum;
        scale[k] = levels ? q->scale[k] * t->levels->unit : q->scale[k];
        t_factors(&factors[k], q->a[k]);
    }
    size_t bytes = 128 * bits, scales_at = tiles_scales_at(t), block = tiles_block_bytes(t);
    for (size_t row = 0; row < n; row += TILE_SIDE, blocks += block) {
        vec sum[TILE_VECS], s[TILE_VECS];
        for (int v = 0; v < TILE_VECS; v++) sum[v] = v_set1(0);
        for (size_t k = 0; k < t->n; k++) {
            const uint16_t *scales = (const uint16_t *)(const void *)(blocks + scales_at) + k / t->per_scale * TILE_SIDE;
            t_sums(bits, levels ? t->levels : NULL, s, blocks + k * bytes, &factors[k], middle[k]);
            for (int v = 0; v < TILE_VECS; v++) sum[v] = v_fma(s[v], v_mul(v_load_f16(scales + v * LANES), v_set1(scale[k])), sum[v]);
        }
        for (int v = 0; v < TILE_VECS; v++) v_store(scores + row + v * LANES, sum[v]);
    }
}

/* A tile's weights, p times the scales of its rows, as factors: what they are to be multiplied with, and middle times their sum. */
struct tile_weights {
    struct factors f;
    float scale;
    int32_t middle;
};

/* tile_factors of p scale; the rows from `rows` on weigh nothing */
INLINE void weigh(struct tile_weights *to, const float *p, const uint8_t *scales, size_t rows, int32_t middle) {
    vec w[TILE_VECS], size = v_set1(0), total = v_set1(0);
    int32_t a[TILE_SIDE];
    for (int v = 0; v < TILE_VECS; v++) {
        size_t before = (size_t)v * LANES;
        w[v] = v_mul(v_load(p + before), v_load_f16((const uint16_t *)(const void *)scales + before));
        if (rows < before + LANES) w[v] = v_first(w[v], rows > before ? rows - before : 0);
        size = v_larger_size(size, v_size(w[v]));
    }
    float most = v_most_size(size), inverse = most < 0x1p-100f ? 0 : TILE_FACTOR_MAX / most;
    for (int v = 0; v < TILE_VECS; v++) {
        w[v] = v_round(v_mul(w[v], v_set1(inverse)));
        total = v_add(total, w[v]);
        v_store_whole(a + v * LANES, w[v]);
    }
    float sum = sum_of(total);
    to->scale = most < INFINITY ? most * (1.0f / TILE_FACTOR_MAX) : NAN;
    to->middle = sum == sum ? middle * (int32_t)sum : 0;
    t_factors(&to->f, a);
}

/* The weights of several blocks come first, since each takes a maximum over its rows: many at once wait for less. */
enum { TILE_AHEAD = 8 };

INLINE void tile_mix_bits(size_t bits, bool levels, const struct tiles *t, float *out, const uint8_t *blocks, const float *p, size_t n) {
    size_t bytes = 128 * bits, scales_at = tiles_scales_at(t), block = tiles_block_bytes(t), n_scales = t->n / t->per_scale;
    struct tile_weights weights[TILE_AHEAD][TILES_MAX];
    for (size_t row = 0; row < n; row += TILE_AHEAD * TILE_SIDE) {
        size_t ahead = (n - row + TILE_SIDE - 1) / TILE_SIDE < TILE_AHEAD ? (n - row + TILE_SIDE - 1) / TILE_SIDE : TILE_AHEAD;
        for (size_t b = 0; b < ahead; b++)
            for (size_t g = 0; g < n_scales; g++)
                weigh(&weights[b][g], p + row + b * TILE_SIDE, blocks + b * block + scales_at + g * TILE_SIDE * sizeof(uint16_t),
                      n - row - b * TILE_SIDE, middle_code(bits, levels));
        for (size_t b = 0; b < ahead; b++, blocks += block)
            for (size_t k = 0; k < t->n; k++) {
                const struct tile_weights *w = &weights[b][k / t->per_scale];
                vec s[TILE_VECS], scale = v_set1(levels ? w->scale * t->levels->unit : w->scale);
                float *y = out + k * TILE_SIDE;
                t_sums(bits, levels ? t->levels : NULL, s, blocks + k * bytes, &w->f, w->middle);
                for (int v = 0; v < TILE_VECS; v++) v_store(y + v * LANES, v_fma(s[v], scale, v_load(y + v * LANES)));
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
