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
    return !p->apart && p->head_dim % TILE_SIDE == 0 && p->group % TILE_SIDE == 0 &&
           p->head_dim <= (size_t)TILE_SIDE * TILES_MAX;
}

/* Are rows made of the blocks that weights have? */
static bool in_blocks(const struct packed *p) {
    return p->apart && p->group == TILE_SIDE && (p->bits == 4 || p->bits == 8) && !p->levels;
}

static enum dtype block_type(const struct packed *p) {
    return p->bits == 8 ? DTYPE_Q8_0 : DTYPE_Q4_0;
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

/* Returns the bytes from a row to the next, outside tiles. */
static size_t row_stride(const struct packed *p) { return p->apart ? p->apart : row_bytes(p); }

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

/* Q8_0 has signed bytes. Q4_0 has numbers i and i + 16 of a block in the low and the high half of
 * byte i. */
static void put_blocks(const struct packed *p, uint8_t *row, const uint8_t *codes,
                       const uint16_t *scales) {
    enum { HALF = TILE_SIDE / 2 };
    for (size_t at = 0; at < p->head_dim; at += TILE_SIDE, codes += TILE_SIDE) {
        memcpy(row, scales++, sizeof *scales);
        row += sizeof *scales;
        for (size_t i = 0; p->bits == 8 && i < TILE_SIDE; i++) *row++ = codes[i] ^ 0x80;
        for (size_t i = 0; p->bits == 4 && i < HALF; i++)
            *row++ = (uint8_t)(codes[i] | codes[i + HALF] << 4);
    }
}

void packed_put(const struct packed *p, uint8_t *timeline, size_t pos, const uint8_t *codes,
                const uint16_t *scales) {
    if (tiled(p)) {
        struct tiles t = tiles_of(p);
        tiles_put(&t, timeline + pos / TILE_SIDE * tiles_block_bytes(&t), pos % TILE_SIDE, codes,
                  scales);
    } else {
        (in_blocks(p) ? put_blocks : put_row)(p, timeline + pos * row_stride(p), codes, scales);
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
    const uint8_t *row = timeline + begin * row_stride(p);
    for (size_t i = 0; i < n; i++, x += p->head_dim, row += row_stride(p)) {
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

/* Writes x[D] from a row in blocks. */
static void numbers_of_blocks(const struct packed *p, float *x, const uint8_t *row) {
    enum { HALF = TILE_SIDE / 2 };
    struct packed block = {.head_dim = TILE_SIDE, .group = TILE_SIDE, .bits = p->bits};
    for (size_t at = 0; at < p->head_dim; at += TILE_SIDE, row += row_bytes(&block)) {
        uint8_t codes[TILE_SIDE];
        const uint8_t *stored = row + sizeof(uint16_t);
        for (size_t i = 0; p->bits == 8 && i < TILE_SIDE; i++) codes[i] = stored[i] ^ 0x80;
        for (size_t i = 0; p->bits == 4 && i < HALF; i++)
            codes[i] = stored[i] & 15, codes[i + HALF] = stored[i] >> 4;
        numbers_of(&block, x + at, codes, row, 0);
    }
}

static void get_blocks(const struct packed *p, float *x, const uint8_t *timeline, size_t begin,
                       size_t n) {
    for (size_t i = 0; i < n; i++)
        numbers_of_blocks(p, x + i * p->head_dim, timeline + (begin + i) * p->apart);
}

void packed_get(const struct packed *p, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    if (tiled(p))
        get_tiles(p, x, timeline, begin, n);
    else if (in_blocks(p))
        get_blocks(p, x, timeline, begin, n);
    else
        get_rows(p, x, timeline, begin, n);
}

/* ---- using what is stored ---- */

bool packed_has_picked(const struct packed *p) { return in_blocks(p); }

static struct picked_rows picked(const struct packed *p, const uint8_t *timeline,
                                 const uint32_t *at, size_t n) {
    return (struct picked_rows){.type = block_type(p),
                                .rows = timeline,
                                .stride = p->apart,
                                .dim = p->head_dim,
                                .at = at,
                                .n = n};
}

void packed_picked_scores(const struct kernels *kn, const struct packed *p, float *scores,
                          const uint8_t *timeline, const uint32_t *at, size_t n, const float *q) {
    struct picked_rows rows = picked(p, timeline, at, n);
    kn->picked_dots(scores, &rows, q);
}

void packed_picked_mix(const struct kernels *kn, const struct packed *p, float *out,
                       const uint8_t *timeline, const uint32_t *at, size_t n,
                       const float *weights) {
    struct picked_rows rows = picked(p, timeline, at, n);
    kn->picked_sum(out, &rows, weights);
}

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
        packed_get(p, x, timeline, done, take);
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
        packed_get(p, x, timeline, done, take);
        kn->vecmat(DTYPE_F32, out, x, D * sizeof *x, take, weights + done, D);
    }
}
