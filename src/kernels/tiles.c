/* Storing and unpacking tiles, and what is made of a query or of levels for them. The kernels that
 * use tiles are in the sets. */
#include "kernels/tiles.h"

#include <math.h>
#include <string.h>

enum { QUADS = TILE_SIDE / 4, PLANE = 4 * TILE_SIDE };

static size_t tile_bytes(const struct tiles *t) { return (size_t)PLANE * t->bits; }

size_t tiles_scales_at(const struct tiles *t) { return t->n * tile_bytes(t); }

size_t tiles_block_bytes(const struct tiles *t) {
    return tiles_scales_at(t) + t->n / t->per_scale * TILE_SIDE * sizeof(uint16_t);
}

/* Makes the planes of one j: word[k] holds its quads as they share bytes. Returns how many planes
 * there are. */
static size_t pack_quads(unsigned bits, uint32_t word[QUADS], const uint32_t quads[QUADS]) {
    size_t share = bits == 8 ? 1 : bits == 4 ? 2 : 4, planes = QUADS / share;
    for (size_t k = 0; k < planes; k++) {
        word[k] = 0;
        for (size_t i = 0; i < share; i++)
            word[k] |= (bits == 3 ? quads[k * share + i] & 0x03030303 : quads[k * share + i])
                       << 8 / share * i;
    }
    if (bits != 3) return planes;
    word[planes] = 0;
    for (size_t k = 0; k < QUADS; k++) word[planes] |= (quads[k] >> 2 & 0x01010101) << k;
    return planes + 1;
}

/* Stores codes[32] as column j of a tile. */
static void put_column(unsigned bits, uint8_t *tile, size_t j, const uint8_t codes[TILE_SIDE]) {
    uint32_t quads[QUADS], word[QUADS];
    memcpy(quads, codes, sizeof quads);
    size_t planes = pack_quads(bits, word, quads);
    for (size_t k = 0; k < planes; k++) memcpy(tile + k * PLANE + 4 * j, &word[k], 4);
}

/* Stores the bits of codes[j] that mask selects behind `down` bits, shifted up by `up`, in at[4 j],
 * for j < 32. The byte's other bits stay. */
static void put_bits(uint8_t *at, const uint8_t codes[TILE_SIDE], unsigned mask, unsigned down,
                     unsigned up) {
    for (size_t j = 0; j < TILE_SIDE; j++)
        at[4 * j] = (uint8_t)((at[4 * j] & ~(mask << up)) | (codes[j] >> down & mask) << up);
}

/* Stores codes[32] as row i of a tile. */
static void put_row(unsigned bits, uint8_t *tile, size_t i, const uint8_t codes[TILE_SIDE]) {
    unsigned quad = (unsigned)i / 4;
    uint8_t *at = tile + i % 4;
    if (bits == 8)
        for (size_t j = 0; j < TILE_SIDE; j++) at[quad * PLANE + 4 * j] = codes[j];
    else if (bits == 4)
        put_bits(at + quad / 2 * PLANE, codes, 15, 0, 4 * (quad % 2));
    else
        put_bits(at + quad / 4 * PLANE, codes, 3, 0, 2 * (quad % 4));
    if (bits == 3) put_bits(at + 2 * PLANE, codes, 1, 2, quad);
}

void tiles_put(const struct tiles *t, uint8_t *block, size_t row, const uint8_t *codes,
               const uint16_t *scales) {
    size_t bytes = tile_bytes(t);
    for (size_t k = 0; k < t->n; k++)
        (t->keys ? put_column : put_row)(t->bits, block + k * bytes, row, codes + k * TILE_SIDE);
    for (size_t g = 0; g < t->n / t->per_scale; g++)
        memcpy(block + tiles_scales_at(t) + 2 * (g * TILE_SIDE + row), &scales[g], sizeof *scales);
}

/* Unpacks a tile to quads[8][32], with a code in each byte. */
static void unpack_quads(unsigned bits, uint32_t quads[QUADS][TILE_SIDE], const uint8_t *tile) {
    uint32_t planes[QUADS][TILE_SIDE];
    memcpy(planes, tile, (size_t)PLANE * bits);
    for (unsigned k = 0; k < QUADS; k++)
        for (size_t j = 0; j < TILE_SIDE; j++) {
            if (bits == 8)
                quads[k][j] = planes[k][j];
            else if (bits == 4)
                quads[k][j] = planes[k / 2][j] >> 4 * (k % 2) & 0x0f0f0f0f;
            else
                quads[k][j] = planes[k / 4][j] >> 2 * (k % 4) & 0x03030303;
            if (bits == 3) quads[k][j] |= (planes[2][j] >> k & 0x01010101) << 2;
        }
}

void tiles_codes(const struct tiles *t, uint8_t *codes, const uint8_t *block) {
    uint32_t quads[QUADS][TILE_SIDE];
    size_t D = t->n * TILE_SIDE;
    for (size_t at = 0; at < D; at += TILE_SIDE, block += tile_bytes(t)) {
        unpack_quads(t->bits, quads, block);
        for (size_t k = 0; k < QUADS; k++)
            for (size_t j = 0; j < TILE_SIDE; j++) {
                if (t->keys)
                    memcpy(codes + j * D + at + 4 * k, &quads[k][j], 4);
                else
                    for (size_t i = 0; i < 4; i++)
                        codes[(4 * k + i) * D + at + j] = (uint8_t)(quads[k][j] >> 8 * i);
            }
    }
}

/* Rounds x, |x| < 2^22, to the nearest whole number, ties to even: the sum has no bits left for a
 * fraction. */
static int32_t nearest(float x) { return (int32_t)((x + 0x1.8p23f) - 0x1.8p23f); }

float tile_factors(int32_t a[TILE_SIDE], const float x[TILE_SIDE]) {
    int32_t most_bits = 0, bits[TILE_SIDE];
    float most;
    memcpy(bits, x, sizeof bits);
    /* Bit patterns of magnitudes are in the order of the numbers; infinity and NaN are above all.
     */
    for (size_t i = 0; i < TILE_SIDE; i++) {
        int32_t size = bits[i] & INT32_MAX;
        most_bits = size > most_bits ? size : most_bits;
    }
    memcpy(&most, &most_bits, sizeof most);
    if (!(most >= 0x1p-100f && most < INFINITY)) {
        memset(a, 0, TILE_SIDE * sizeof *a);
        return most < 0x1p-100f ? 0 : NAN;
    }
    float inverse = TILE_FACTOR_MAX / most;
    for (size_t i = 0; i < TILE_SIDE; i++) a[i] = nearest(x[i] * inverse);
    return most * (1.0f / TILE_FACTOR_MAX);
}

void tile_query_set(struct tile_query *q, const float *x, size_t n) {
    for (size_t k = 0; k < n; k++) q->scale[k] = tile_factors(q->a[k], x + k * TILE_SIDE);
}

void tile_levels_set(struct tile_levels *t, const float *levels, size_t n) {
    float most = 0;
    for (size_t c = 0; c < n; c++) most = fmaxf(most, fabsf(levels[c]));
    *t = (struct tile_levels){.unit = most / TILE_FACTOR_MAX};
    for (size_t c = 0; c < n; c++) {
        int32_t whole = nearest(levels[c] / t->unit) + 32768;
        t->high[c] = (uint8_t)(whole >> 8);
        t->low[c] = (uint8_t)whole;
    }
}
