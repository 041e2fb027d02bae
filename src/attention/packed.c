/* Rows of small codes: storing them in either layout, unpacking them, and their use. */
#include "attention/packed.h"

#include <math.h>
#include <string.h>

/* Floats of an unpacked piece of rows: half of a first-level cache of 32 KB, and 4 rows at least.
 */
enum { PIECE = 4 * PACKED_MAX_DIM };

int packed_check(const struct codec *c, size_t head_dim, struct err *e) {
    if (head_dim <= PACKED_MAX_DIM) return OK;
    return err_set(e, ERR_USAGE, "--attn %s: heads of %zu dimensions; it takes up to %d",
                   c->ops->name, head_dim, (int)PACKED_MAX_DIM);
}

/* ---- layout ---- */

static bool tiled(const struct packed *p) {
    return !p->alone && p->head_dim % TILE_SIDE == 0 && p->group % TILE_SIDE == 0 &&
           p->head_dim <= (size_t)TILE_SIDE * TILES_MAX;
}

static struct tiles tiles_of(const struct packed *p) {
    return (struct tiles){.bits = p->bits,
                          .n = (unsigned)(p->head_dim / TILE_SIDE),
                          .per_scale = (unsigned)(p->group / TILE_SIDE),
                          .keys = p->keys,
                          .levels = p->tile_levels};
}

size_t packed_code_bytes(const struct packed *p) { return p->head_dim * p->bits / 8; }

size_t packed_scale_bytes(const struct packed *p) {
    return p->head_dim / p->group * sizeof(uint16_t);
}

static size_t row_bytes(const struct packed *p) {
    return packed_code_bytes(p) + packed_scale_bytes(p);
}

struct kv_layout packed_layout(const struct packed *p) {
    size_t rows = tiled(p) ? TILE_SIDE : 1;
    return (struct kv_layout){rows, rows * row_bytes(p)};
}

/* ---- storing ---- */

float packed_scale(uint16_t *half, float scale, bool *cut) {
    if (fabsf(scale) > F16_MOST) {
        scale = scale > 0 ? F16_MOST : -F16_MOST;
        *cut = true;
    }
    *half = f32_to_f16(scale);
    return f16_to_f32(*half);
}

static void put_row(const struct packed *p, uint8_t *row, const uint8_t *codes,
                    const uint16_t *scales) {
    unsigned held = 0, n_held = 0; /* the lowest n_held bits wait to be written */
    memcpy(row, scales, packed_scale_bytes(p));
    row += packed_scale_bytes(p);
    for (size_t i = 0; i < p->head_dim; i++) {
        held |= (unsigned)codes[i] << n_held;
        for (n_held += p->bits; n_held >= 8; n_held -= 8, held >>= 8) *row++ = (uint8_t)held;
    }
}

void packed_put(const struct packed *p, uint8_t *timeline, size_t pos, const uint8_t *codes,
                const uint16_t *scales) {
    if (tiled(p)) {
        struct tiles t = tiles_of(p);
        tiles_put(&t, timeline + pos / TILE_SIDE * tiles_block_bytes(&t), pos % TILE_SIDE, codes,
                  scales);
    } else {
        put_row(p, timeline + pos * row_bytes(p), codes, scales);
    }
}

/* ---- unpacking ---- */

static void codes_of_row(const struct packed *p, uint8_t *codes, const uint8_t *at) {
    unsigned held = 0, n_held = 0, mask = (1u << p->bits) - 1;
    for (size_t i = 0; i < p->head_dim; i++, held >>= p->bits, n_held -= p->bits) {
        for (; n_held < p->bits; n_held += 8) held |= (unsigned)*at++ << n_held;
        codes[i] = (uint8_t)(held & mask);
    }
}

/* Makes a block from the rows at[n], n <= 32, of a timeline whose rows lie alone. */
static void gather_block(const struct packed *p, uint8_t *block, const uint8_t *timeline,
                         const uint32_t *at, size_t n) {
    struct tiles t = tiles_of(p);
    uint8_t unpacked[TILE_SIDE * TILE_SIDE * TILES_MAX];
    const uint8_t *codes[TILE_SIDE], *scales[TILE_SIDE];
    size_t row = row_bytes(p), D = p->head_dim;
    for (size_t i = 0; i < n; i++) {
        scales[i] = timeline + at[i] * row;
        codes[i] = scales[i] + packed_scale_bytes(p);
        if (p->bits == 8) continue;
        for (size_t d = 0; d < D; d += 2) {
            unpacked[i * D + d] = codes[i][d / 2] & 15;
            unpacked[i * D + d + 1] = codes[i][d / 2] >> 4;
        }
        codes[i] = unpacked + i * D;
    }
    tiles_put_rows(&t, block, codes, scales, n);
}

void packed_gather(const struct packed *p, uint8_t *to, const uint8_t *timeline, const uint32_t *at,
                   size_t n) {
    size_t row = row_bytes(p);
    for (size_t i = 0; !tiled(p) && i < n; i++) memcpy(to + i * row, timeline + at[i] * row, row);
    for (size_t i = 0; tiled(p) && i < n; i += TILE_SIDE)
        gather_block(p, to + i * row, timeline, at + i, n - i < TILE_SIDE ? n - i : TILE_SIDE);
}

/* Writes x[D] from codes[D] and the scales of its groups, which are f16 and lie `apart` bytes
 * apart.
 */
static void numbers_of(const struct packed *p, float *x, const uint8_t *codes,
                       const uint8_t *scales, size_t apart) {
    size_t n = p->group;
    int middle = 1 << (p->bits - 1);
    for (size_t at = 0; at < p->head_dim; at += n, scales += apart) {
        uint16_t half;
        memcpy(&half, scales, sizeof half);
        float d = f16_to_f32(half), level[16];
        if (p->levels) {
            for (size_t c = 0; c < (size_t)1 << p->bits; c++) level[c] = d * p->levels[c];
            for (size_t i = at; i < at + n; i++) x[i] = level[codes[i]];
        } else {
            for (size_t i = at; i < at + n; i++) x[i] = d * (float)(codes[i] - middle);
        }
    }
}

static void get_rows(const struct packed *p, float *x, const uint8_t *timeline, size_t begin,
                     size_t n) {
    uint8_t codes[PACKED_MAX_DIM];
    const uint8_t *row = timeline + begin * row_bytes(p);
    for (size_t i = 0; i < n; i++, x += p->head_dim, row += row_bytes(p)) {
        codes_of_row(p, codes, row + packed_scale_bytes(p));
        numbers_of(p, x, codes, row, sizeof(uint16_t));
    }
}

static void get_tiles(const struct packed *p, float *x, const uint8_t *timeline, size_t begin,
                      size_t n) {
    struct tiles t = tiles_of(p);
    uint8_t codes[TILE_SIDE * TILE_SIDE * TILES_MAX];
    const uint8_t *block = timeline + begin / TILE_SIDE * tiles_block_bytes(&t);
    size_t row = begin % TILE_SIDE;
    for (; n; block += tiles_block_bytes(&t), row = 0) {
        tiles_codes(&t, codes, block);
        for (; row < TILE_SIDE && n; row++, n--, x += p->head_dim)
            numbers_of(p, x, codes + row * p->head_dim,
                       block + tiles_scales_at(&t) + row * sizeof(uint16_t),
                       TILE_SIDE * sizeof(uint16_t));
    }
}

void packed_get(const struct packed *p, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    if (tiled(p))
        get_tiles(p, x, timeline, begin, n);
    else
        get_rows(p, x, timeline, begin, n);
}

/* ---- using what is stored ---- */

size_t packed_work_floats(const struct packed *p) {
    return tiled(p) ? sizeof(struct tile_query) / sizeof(float) : p->head_dim;
}

void packed_prepare(const struct packed *p, float *work, const float *q) {
    if (tiled(p))
        tile_query_set((struct tile_query *)(void *)work, q, p->head_dim / TILE_SIDE);
    else
        memcpy(work, q, p->head_dim * sizeof *work);
}

/* Returns how many rows the piece has that begins at row `done` of n. */
static size_t piece_rows(const struct packed *p, size_t done, size_t n) {
    size_t most = PIECE / p->head_dim;
    return n - done < most ? n - done : most;
}

void packed_score(const struct kernels *kn, const struct packed *p, const float *work,
                  float *scores, const uint8_t *timeline, size_t n) {
    size_t D = p->head_dim;
    if (tiled(p)) {
        struct tiles t = tiles_of(p);
        kn->tile_scores(&t, scores, timeline, n, (const struct tile_query *)(const void *)work);
        return;
    }
    float x[PIECE];
    for (size_t done = 0, take; done < n; done += take) {
        take = piece_rows(p, done, n);
        get_rows(p, x, timeline, done, take);
        kn->matvec(DTYPE_F32, scores + done, x, D * sizeof *x, take, work, D);
    }
}

void packed_mix(const struct kernels *kn, const struct packed *p, float *out,
                const uint8_t *timeline, const float *weights, size_t n) {
    size_t D = p->head_dim;
    if (tiled(p)) {
        struct tiles t = tiles_of(p);
        kn->tile_mix(&t, out, timeline, weights, n);
        return;
    }
    float x[PIECE];
    for (size_t done = 0, take; done < n; done += take) {
        take = piece_rows(p, done, n);
        get_rows(p, x, timeline, done, take);
        kn->vecmat(DTYPE_F32, out, x, D * sizeof *x, take, weights + done, D);
    }
}
