/* The kernels as plain loops: the reference to read, and what the other sets are tested against.
 * Each function has its formula above it; kernels.h has shapes and error bounds. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/act.h"

#define SET scalar
#define BY_NAME_ONLY false
#define FEW_AT_A_TIME 0
#define OWN_BLOCKS 0

enum {
    TILE = 256, /* numbers widened at a time on the stack; a multiple of every block */
    LANES = 8,  /* partial sums of a product */
    CHAINS = 1  /* vectors of LANES numbers in multiply_add */
};

static bool supported(void) { return true; }

/* The scale d that a Q8_0 or Q4_0 block begins with. */
static float scale_of(const uint8_t *block) {
    uint16_t h;
    memcpy(&h, block, sizeof h);
    return f16_to_f32(h);
}

/* y[i] = the number that is stored. */
static void to_f32(enum dtype type, float *y, const void *w, size_t n) {
    dtype_to_f32(type, y, w, n);
}

/* y[i] = x[i], rounded to the nearest f16 number. */
static void to_f16(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = f32_to_f16(x[i]);
}

/* Element c of a product goes to lane c % 8: eight partial sums have an eighth of the rounding
 * error of one. */
static void add_products(float lane[LANES], const float *w, const float *x, size_t n) {
    size_t c = 0;
    for (; c + LANES <= n; c += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += w[c + j] * x[c + j];
    for (; c < n; c++) lane[c % LANES] += w[c] * x[c];
}

/* The sum of eight partial sums, in pairs. */
static float sum_lanes(const float s[LANES]) {
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

#include "kernels/super_blocks.inc"

/* x[c] ~ scale[c / 32] q[c], q whole: act.h has the layout. */
static size_t act_bytes(enum dtype type, size_t cols) {
    return act_common_bytes(cols) + (is_super(type) ? act_sums_bytes(cols) : 0);
}

static void act_from_f32(enum dtype type, void *act, const float *x, size_t cols) {
    struct act a = act_at(act, cols);
    act_common_from_f32(&a, x, cols, is_super(type) ? SUPER : ACT_BLOCK);
    if (is_super(type)) act_sums(&a, cols);
}

/* The whole number q[i] of a block, before its scale. */
static int block_number(enum dtype type, const uint8_t *block, int i) {
    if (type == DTYPE_Q8_0) return block[2 + i] < 128 ? block[2 + i] : block[2 + i] - 256;
    return (i < 16 ? block[2 + i] & 15 : block[2 + i - 16] >> 4) - 8;
}

/* y[r] = sum over blocks b of d_b scale[b] (sum_i w_i q_i), the inner sum exact: w and q are whole.
 */
static float blocks_row(enum dtype type, const uint8_t *block, const struct act *a, size_t cols) {
    float total = 0;
    for (size_t b = 0; b < cols / ACT_BLOCK; b++, block += dtype_bytes(type, ACT_BLOCK)) {
        int32_t sum = 0;
        for (int i = 0; i < ACT_BLOCK; i++)
            sum += block_number(type, block, i) * a->q[b * ACT_BLOCK + (size_t)i];
        total += (float)sum * (scale_of(block) * a->scale[b]);
    }
    return total;
}

/* The whole numbers of part p of a block of 256: n, or s n in Q6_K. quant_types.h draws the blocks.
 */
static void super_part(enum dtype type, int32_t w[ACT_BLOCK], const uint8_t *block, int p) {
    const int side = p % 2, half = p / 4;
    for (int i = 0; i < ACT_BLOCK; i++) {
        if (type == DTYPE_Q6_K) {
            const int four = block[64 * half + 32 * side + i] >> 4 * (p % 4 / 2) & 15,
                      two = block[128 + 32 * half + i] >> 2 * (p % 4) & 3,
                      s = block[192 + 2 * p + i / 16];
            w[i] = (s < 128 ? s : s - 256) * (four + 16 * two - 32);
            continue;
        }
        const uint8_t *halves = block + (type == DTYPE_Q5_K ? 48 : 16);
        w[i] = halves[32 * (p / 2) + i] >> 4 * side & 15;
        if (type == DTYPE_Q5_K) w[i] += (block[16 + i] >> p & 1) << 4;
    }
}

/* The same for blocks of 256, in parts p of 32 (super_blocks.inc): y[r] = sum over blocks of d
 * scale[b] sum_p s_p (sum_i n_i q_i) + sum_p m t_p sums[p]. */
static float super_row(enum dtype type, const uint8_t *block, const struct act *a, size_t cols) {
    const float *sums = a->more;
    float total = 0;
    for (size_t b = 0; b < cols / SUPER; b++, block += super_bytes(type)) {
        uint64_t s = 0x0101010101010101, t = 0;
        const float d = scale_of(type == DTYPE_Q6_K ? block + 208 : block),
                    m = type == DTYPE_Q6_K ? 0 : scale_of(block + 2);
        if (type != DTYPE_Q6_K) super_scales(&s, &t, block);
        int64_t whole = 0;
        for (int p = 0; p < PARTS; p++) {
            const size_t part = b * PARTS + (size_t)p;
            int32_t w[ACT_BLOCK], sum = 0;
            super_part(type, w, block, p);
            for (size_t i = 0; i < ACT_BLOCK; i++) sum += w[i] * a->q[part * ACT_BLOCK + i];
            whole += (int64_t)sum * (int64_t)(s >> 8 * p & 255);
            total += m * (float)(t >> 8 * p & 255) * sums[part];
        }
        total += (float)whole * (d * a->scale[b]);
    }
    return total;
}

static size_t blocks_most(enum dtype type) { return (void)type, MATMUL_FEW; }
static size_t blocks_alike(enum dtype type) { return (void)type, SIZE_MAX; }

static void matmul_blocks(const struct matmul *m) {
    for (size_t i = 0; i < m->n; i++) {
        const struct act a =
            act_at((const uint8_t *)m->acts + i * act_bytes(m->type, m->cols), m->cols);
        for (size_t r = 0; r < m->rows; r++) {
            const uint8_t *row = (const uint8_t *)m->w + r * m->stride;
            m->y[i * m->ldy + r] = is_super(m->type) ? super_row(m->type, row, &a, m->cols)
                                                     : blocks_row(m->type, row, &a, m->cols);
        }
    }
}

/* y[c] += sum_r a[r] w[r][c], r after r */
static void vecmat(enum dtype type, float *y, const void *w, size_t stride, size_t rows,
                   const float *a, size_t cols) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)w + r * stride;
        float tile[TILE];
        for (size_t c = 0; c < cols; c += TILE) {
            size_t n = cols - c < TILE ? cols - c : TILE;
            to_f32(type, tile, row + dtype_bytes(type, c), n);
            for (size_t j = 0; j < n; j++) y[c + j] += a[r] * tile[j];
        }
    }
}

/* y[i][r] = sum_c w[r][c] x[i][c] */
static void matmul(const struct matmul *m) {
    for (size_t r = 0; r < m->rows; r++) {
        const uint8_t *row = (const uint8_t *)m->w + r * m->stride;
        float tile[TILE];
        for (size_t c = 0; c < m->cols; c += TILE) {
            size_t width = m->cols - c < TILE ? m->cols - c : TILE;
            to_f32(m->type, tile, row + dtype_bytes(m->type, c), width);
            for (size_t i = 0; i < m->n; i++) {
                float lane[LANES] = {0}, *y = m->y + i * m->ldy + r;
                add_products(lane, tile, m->x + i * m->ldx + c, width);
                *y = (c ? *y : 0) + sum_lanes(lane);
            }
        }
    }
}

/* y[r] = sum_c w[r][c] x[c] */
static void matvec(enum dtype type, float *y, const void *w, size_t stride, size_t rows,
                   const float *x, size_t cols) {
    matmul(&(struct matmul){.type = type,
                            .w = w,
                            .stride = stride,
                            .rows = rows,
                            .cols = cols,
                            .x = x,
                            .ldx = cols,
                            .n = 1,
                            .y = y,
                            .ldy = rows});
}

/* y = (x - mean) / sqrt(variance + eps) weight + bias, mean and variance over the row */
static void layernorm(float *y, const float *x, const float *weight, const float *bias, size_t n,
                      float eps) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(squares / (double)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = (float)((x[i] - mean) * scale) * weight[i] + bias[i];
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static void gelu_tanh(float *x, size_t n) {
    const float sqrt_2_over_pi = 0.7978845608f;
    for (size_t i = 0; i < n; i++) {
        float v = x[i], cube = v * v * v;
        x[i] = 0.5f * v * (1 + tanhf(sqrt_2_over_pi * (v + 0.044715f * cube)));
    }
}

/* x/2 (1 + erf(x / sqrt 2)) */
static void gelu_erf(float *x, size_t n) {
    const float sqrt_half = 0.7071067812f;
    for (size_t i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1 + erff(x[i] * sqrt_half));
}

/* x / (1 + exp(-x)) */
static void silu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] /= 1 + expf(-x[i]);
}

/* exp(x_i - max x) / sum_j exp(x_j - max x), where each x is multiplied by `times` before. The
 * difference is taken in double: at 80 the rounding of a float32 difference alone would change the
 * result by 4e-6. */
static struct softmax_total softmax(float *x, size_t n, float times) {
    for (size_t i = 0; i < n; i++) x[i] *= times;
    float most = x[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)exp((double)x[i] - (double)most);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++) x[i] /= sum;
    return (struct softmax_total){most, sum};
}

/* x = x/2 + 1, `rounds` times, on eight chains: more would not stay in registers everywhere. */
static float multiply_add(size_t rounds) {
    float x[LANES] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (; rounds; rounds--)
        for (int j = 0; j < LANES; j++) x[j] = x[j] * 0.5f + 1;
    return sum_lanes(x);
}

/* sum_i x[i] */
static float read_sum(const float *x, size_t n, bool many) {
    (void)many;
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += x[i + j];
    for (; i < n; i++) lane[0] += x[i];
    return sum_lanes(lane);
}

/* ---- tiles ---- */

/* What code c of a tile stands for as a whole number, in units. */
static int32_t whole(const struct tiles *t, uint8_t c) {
    return t->levels ? 256 * t->levels->high[c] + t->levels->low[c] - 32768
                     : c - (1 << (t->bits - 1));
}

/* What a whole number 1 of those stands for. */
static float unit(const struct tiles *t) { return t->levels ? t->levels->unit : 1; }

/* The scale of a row in one tile of a block. */
static float tile_scale(const struct tiles *t, const uint8_t *block, size_t tile, size_t row) {
    uint16_t h;
    memcpy(&h, block + tiles_scales_at(t) + 2 * (tile / t->per_scale * TILE_SIDE + row), sizeof h);
    return f16_to_f32(h);
}

/* scores[j] = sum over tiles of the scales' product (sum_i q_i code_ij), the inner sum exact */
static void tile_scores(const struct tiles *t, float *scores, const uint8_t *blocks, size_t n,
                        const struct tile_query *q) {
    uint8_t codes[TILE_SIDE * TILE_SIDE * TILES_MAX];
    for (size_t row = 0; row < n; row += TILE_SIDE, blocks += tiles_block_bytes(t)) {
        tiles_codes(t, codes, blocks);
        const uint8_t *code = codes;
        for (size_t r = 0; r < TILE_SIDE; r++) {
            float score = 0;
            for (size_t k = 0; k < t->n; k++, code += TILE_SIDE) {
                int64_t sum = 0;
                for (size_t i = 0; i < TILE_SIDE; i++)
                    sum += (int64_t)q->a[k][i] * whole(t, code[i]);
                score += (float)sum * (tile_scale(t, blocks, k, r) * (q->scale[k] * unit(t)));
            }
            scores[row + r] = score;
        }
    }
}

/* out[d] += sum over blocks of scale (sum_j a_j code_jd), a the weights p scale_j as whole numbers
 */
static void tile_mix(const struct tiles *t, float *out, const uint8_t *blocks, const float *p,
                     size_t n) {
    uint8_t codes[TILE_SIDE * TILE_SIDE * TILES_MAX];
    for (size_t row = 0; row < n; row += TILE_SIDE, blocks += tiles_block_bytes(t)) {
        size_t rows = n - row < TILE_SIDE ? n - row : TILE_SIDE, D = t->n * TILE_SIDE;
        tiles_codes(t, codes, blocks);
        for (size_t d = 0; d < D; d += TILE_SIDE) {
            float weights[TILE_SIDE] = {0};
            int32_t a[TILE_SIDE];
            for (size_t r = 0; r < rows; r++)
                weights[r] = p[row + r] * tile_scale(t, blocks, d / TILE_SIDE, r);
            float scale = tile_factors(a, weights) * unit(t);
            for (size_t j = d; j < d + TILE_SIDE; j++) {
                int64_t sum = 0;
                for (size_t r = 0; r < TILE_SIDE; r++)
                    sum += (int64_t)a[r] * whole(t, codes[r * D + j]);
                out[j] += (float)sum * scale;
            }
        }
    }
}

/* ---- attention ---- */

/* y[i] = sum_c w[i][c] x[c] */
static void row_dots(enum dtype type, float *y, const void *w, size_t n, const float *x,
                     size_t dim) {
    matvec(type, y, w, dtype_bytes(type, dim), n, x, dim);
}

/* y[c] += sum_i a[i] w[i][c] */
static void row_sum(enum dtype type, float *y, const void *w, size_t n, const float *a,
                    size_t dim) {
    vecmat(type, y, w, dtype_bytes(type, dim), n, a, dim);
}

/* y[r][c] = keep[r] y[r][c] + sum_k a[r a_row + k a_step] b[k][c] */
static void strided_product(const struct strided_product *p) {
    for (size_t r = 0; r < p->rows; r++)
        for (size_t c = 0; c < p->cols; c++) {
            float *y = p->y + r * p->ldy + c, sum = p->keep ? p->keep[r] * *y : 0;
            const float *a = p->a + r * p->a_row, *b = p->b + c;
            for (size_t k = 0; k < p->depth; k++) sum += a[k * p->a_step] * b[k * p->ldb];
            *y = sum;
        }
}

/* m = max(most, s); s = exp(s - m); keep = exp(most - m); sum = keep sum + the new column sum */
static void running_softmax(float *s, size_t rows, size_t cols, float *most, float *sum,
                            float *keep) {
    for (size_t c = 0; c < cols; c++) {
        float m = most[c], total = 0;
        for (size_t r = 0; r < rows; r++) m = s[r * cols + c] > m ? s[r * cols + c] : m;
        for (size_t r = 0; r < rows; r++) {
            float e = expf(s[r * cols + c] - m);
            total += s[r * cols + c] = e < FLT_MIN ? 0 : e;
        }
        keep[c] = expf(most[c] - m);
        sum[c] = keep[c] * sum[c] + total;
        most[c] = m;
    }
}

/* The number of c with x[c] >= bound. */
static size_t count_at_least(const float *x, size_t n, float bound) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += x[i] >= bound;
    return count;
}

/* index = those c, in order. */
static size_t find_at_least(uint32_t *index, const float *x, size_t n, float bound) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] >= bound) index[count++] = (uint32_t)i;
    return count;
}

/* most[c] = max of x[c], x[c + cols], x[c + 2 cols] ... */
static void column_most(float *most, const float *x, size_t n, size_t cols) {
    for (size_t c = 0; c < cols; c++) most[c] = x[c];
    for (size_t i = cols; i < n; i++)
        if (x[i] > most[i % cols]) most[i % cols] = x[i];
}

/* y[i] = sum_c row[at[i]][c] x[c] */
static void picked_dots(float *y, const struct picked_rows *p, const float *x) {
    for (size_t i = 0; i < p->n; i++) {
        const uint8_t *row = (const uint8_t *)p->rows + p->at[i] * p->stride;
        float w[TILE];
        y[i] = 0;
        for (size_t c = 0; c < p->dim; c += TILE) {
            size_t n = p->dim - c < TILE ? p->dim - c : TILE;
            to_f32(p->type, w, row + dtype_bytes(p->type, c), n);
            for (size_t j = 0; j < n; j++) y[i] += w[j] * x[c + j];
        }
    }
}

/* y[c] += sum_i a[i] row[at[i]][c] */
static void picked_sum(float *y, const struct picked_rows *p, const float *a) {
    for (size_t i = 0; i < p->n; i++) {
        const uint8_t *row = (const uint8_t *)p->rows + p->at[i] * p->stride;
        vecmat(p->type, y, row, p->stride, 1, a + i, p->dim);
    }
}

/* index[i] = argmax_c bias[c] + sum_r x[i][r] w[r][c] */
static void nearest(const struct nearest *p) {
    for (size_t i = 0; i < p->n; i++) {
        float most = -INFINITY, sum[TILE];
        p->index[i] = 0;
        for (size_t begin = 0; begin < p->k; begin += TILE) {
            size_t count = p->k - begin < TILE ? p->k - begin : TILE;
            const uint8_t *w = (const uint8_t *)p->w + dtype_bytes(p->type, begin);
            memcpy(sum, p->bias + begin, count * sizeof *sum);
            vecmat(p->type, sum, w, dtype_bytes(p->type, p->k), p->d, p->x + i * p->ldx, count);
            for (size_t c = 0; c < count; c++)
                if (sum[c] > most) most = sum[c], p->index[i] = (uint32_t)(begin + c);
        }
    }
}

/* table[j][c] = sum_r x[j][r] w[j][r][c] */
static void lookup_tables(float *table, const uint16_t *w, const float *x, size_t m, size_t d,
                          size_t k) {
    memset(table, 0, m * k * sizeof *table);
    for (size_t j = 0; j < m; j++)
        vecmat(DTYPE_F16, table + j * k, w + j * d * k, k * sizeof *w, d, x + j * d, k);
}

/* entry = the nearest whole number to (table[j][c] - low_j) / step */
static void lookup_round(struct lookup_scale *s, void *entries, const float *table, size_t m,
                         size_t k, size_t bits) {
    float least[LOOKUP_MAX_M], widest = 0, low = 0;
    for (size_t j = 0; j < m; j++) {
        float most = least[j] = table[j * k];
        for (size_t c = 1; c < k; c++) {
            least[j] = fminf(least[j], table[j * k + c]);
            most = fmaxf(most, table[j * k + c]);
        }
        widest = fmaxf(widest, most - least[j]);
        low += least[j];
    }
    float scale = lookup_scale(s, widest, low, bits);
    for (size_t i = 0; i < m * k; i++) {
        long whole = lrintf((table[i] - least[i / k]) * scale);
        if (bits == 8)
            ((uint8_t *)entries)[i] = (uint8_t)whole;
        else
            ((uint16_t *)entries)[i] = (uint16_t)whole;
    }
}

static void lookup_rounded(float *score, const void *entries, const struct lookup_scale *s,
                           size_t m, size_t k, size_t bits, const uint8_t *codes, size_t n) {
    lookup_rounded_plain(score, entries, s, m, k, bits, codes, n);
}

/* bucket[j][code_ij] += p[i] 2^30, rounded */
static bool bucket_add(uint32_t *bucket, const uint8_t *codes, const float *p, size_t bytes,
                       size_t n) {
    uint32_t q[LOOKUP_BLOCK];
    for (size_t i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1)) return false;
    for (size_t begin = 0; begin < n; begin += LOOKUP_BLOCK) {
        size_t count = n - begin < LOOKUP_BLOCK ? n - begin : LOOKUP_BLOCK;
        for (size_t i = 0; i < count; i++) q[i] = (uint32_t)lrintf(p[begin + i] * 0x1p30f);
        buckets_add_block(bucket, codes + begin * bytes, q, bytes, count);
    }
    return true;
}

/* sum[j][c] = the buckets of code c of subspace j, over all copies */
static void bucket_sums(uint32_t *sum, const uint32_t *bucket, size_t m, size_t k) {
    sums_of_buckets(sum, bucket, m, k);
}

/* y[r] = unit sum_c sum[c] w[r][c] */
static void bucket_product(float *y, const uint32_t *sum, float unit, const uint16_t *w, size_t d,
                           size_t k) {
    for (size_t r = 0; r < d; r++, w += k) {
        float lane[LANES] = {0};
        for (size_t c = 0; c < k; c++) lane[c % LANES] += (float)(int32_t)sum[c] * f16_to_f32(w[c]);
        y[r] = unit * sum_lanes(lane);
    }
}

/* sum[s] += sum_i q_i (entries[s][0][low half] + entries[s][1][high half]), q_i = p_i 2^23, rounded
 */
static bool pair_sums(int32_t *sum, uint32_t *all, const struct pair_tables *t,
                      const uint8_t *codes, const float *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1)) return false;
    for (size_t i = 0; i < n; i++) {
        int32_t q = (int32_t)lrintf(p[i] * PAIR_ONE);
        const uint8_t *row = codes + i / LOOKUP_BLOCK * LOOKUP_BLOCK * t->bytes + i % LOOKUP_BLOCK;
        *all += (uint32_t)q;
        for (size_t s = 0; s < t->n; s++) {
            uint8_t both = row[(size_t)t->byte[s] * LOOKUP_BLOCK];
            const int8_t *entry = t->entries + s * 32;
            uint32_t product = (uint32_t)(q * (entry[both & 15] + entry[16 + (both >> 4)]));
            sum[s] = (int32_t)((uint32_t)sum[s] + product);
        }
    }
    return true;
}

#include "kernels/table.inc"
