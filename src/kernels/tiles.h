/* Tiles: 32 x 32 small whole numbers ("codes"), as quantised keys and values are made of, in an
 * order that lets one instruction multiply and add without sums across a vector. With codes u[i][j]
 * and factors a[i] a kernel computes s[j] = sum_i a[i] u[i][j]; for keys, j is the key and i the
 * dimension; for values, j is the dimension and i the row.
 *
 * A quad is four neighbouring i of one j: 32 bits, with code i in byte i % 4. The 32 quads of
 * i = 4k .. 4k + 3 lie side by side, j by j, in a line of 128 bytes. A tile of codes of 8 bits is
 * eight such lines, k = 0 .. 7. Codes of fewer bits share the bytes. With 4 bits the quads 2k and
 * 2k + 1 lie in the low and the high half of one byte. With 2 bits the quads 4k .. 4k + 3 lie in
 * one byte, from the lowest bits up. With 3 bits the low two lie as with 2 bits, and then come 128
 * bytes of which bit k is the third bit of quad k. So a tile is 128 x bits bytes. README.md draws
 * it.
 *
 * A block is the tiles of 32 rows of D numbers, from the first 32 dimensions on, and then their
 * scales, f16: [D / dimensions that share one][32 rows]. */
#ifndef LOOKAT_KERNELS_TILES_H
#define LOOKAT_KERNELS_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TILE_SIDE = 32, TILES_MAX = 8, TILE_FACTOR_MAX = 127 * 256 + 127 };

/* What a code c stands for, in place of c - 2^(bits-1): unit (256 high[c] + low[c] - 32768). */
struct tile_levels {
    float unit;
    uint8_t high[16], low[16];
};

/* Rounds levels[n], n <= 16, to the nearest multiples of unit = max |level| / 32639. Each is off by
 * half a unit at most. */
void tile_levels_set(struct tile_levels *t, const float *levels, size_t n);

/* The shape of a block. */
struct tiles {
    unsigned bits;                    /* of a code: 2, 3, 4 or 8 */
    unsigned n;                       /* tiles, D / 32; at most TILES_MAX */
    unsigned per_scale;               /* neighbouring tiles with a scale in common; divides n */
    bool keys;                        /* j is the row, else the dimension */
    const struct tile_levels *levels; /* NULL: c - 2^(bits-1), and bits is 4 or 8 */
};

/* Return the offset in bytes of a block's scales, which lie behind its n tiles, and the bytes of a
 * block, which are 32 times those of a row. */
size_t tiles_scales_at(const struct tiles *t);
size_t tiles_block_bytes(const struct tiles *t);

/* Stores codes[32 n] and scales[n / per_scale], which are f16, as row `row` < 32 of a block. */
void tiles_put(const struct tiles *t, uint8_t *block, size_t row, const uint8_t *codes,
               const uint16_t *scales);

/* Writes the rows of a block to codes[32][32 n]. */
void tiles_codes(const struct tiles *t, uint8_t *codes, const uint8_t *block);

/* A query as whole numbers: tile k's 32 numbers are scale[k] a[k][0 .. 31]. */
struct tile_query {
    float scale[TILES_MAX];
    int32_t a[TILES_MAX][TILE_SIDE];
};

/* Sets a[32] = x[32] / scale, rounded to nearest, |a| <= TILE_FACTOR_MAX, and returns the scale,
 * max |x| / TILE_FACTOR_MAX. So scale a is off by half a scale at most. Where max |x| is below
 * 2^-100 all is 0. Where a number is not finite, a is 0 and the scale NaN. */
float tile_factors(int32_t a[TILE_SIDE], const float x[TILE_SIDE]);

/* Does the same for each of n <= TILES_MAX tiles of x[n][32]. */
void tile_query_set(struct tile_query *q, const float *x, size_t n);

#endif
