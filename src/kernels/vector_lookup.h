/* The nearest centroid, and rounded lookup tables, for any vector unit: included after vector.h. It needs v_where_greater(a, b, x, y) too: x in the
 * lanes where a > b, y elsewhere, so where either is NaN; and v_load_whole, as vector_tiles.h does, and
 * v_store_whole(p, v): v to the nearest whole numbers, ties to even, int32_t p[LANES]; INT32_MIN, or the nearest there is, for what is out of range. */
#ifndef LOOKAT_KERNELS_VECTOR_LOOKUP_H
#define LOOKAT_KERNELS_VECTOR_LOOKUP_H

/* Codebooks of all layers and heads do not stay in a near cache: those so many bytes further are asked for meanwhile. */
enum { CODEBOOK_AHEAD = 4096 };

enum { NEAREST_ROWS = 4, NEAREST_VECS = LANES == 8 ? 2 : 4 }; /* 16 sums of 32 registers, 8 of 16 */

INLINE size_t size_of(enum dtype type) { return type == DTYPE_F16 ? 2 : 4; }

INLINE vec lane_numbers(void) {
    float number[LANES];
    for (int i = 0; i < LANES; i++) number[i] = (float)i;
    return v_load(number);
}

/* The largest sum so far of each lane, and its centroid's number (as a float32, which holds it exactly). */
struct best {
    vec sum, at;
};

INLINE void keep_best(struct best *b, vec sum, vec at) {
    b->at = v_where_greater(sum, b->sum, at, b->at);
    b->sum = v_where_greater(sum, b->sum, sum, b->sum);
}

/* Centroids c .. c + vecs LANES - 1 against `rows` rows (constants). */
INLINE void nearest_tile(enum dtype type, size_t rows, size_t vecs, struct best *best, const uint8_t *w, const float *bias, size_t d, size_t k,
                         size_t c, const float *x, size_t ldx) {
    vec sum[NEAREST_ROWS][8];
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < vecs; v++) sum[i][v] = v_load(bias + c + v * LANES);
    for (size_t r = 0; r < d; r++, w += k * size_of(type)) {
        vec wv[8];
        for (size_t line = 0; rows == 1 && c == 0 && line < k * size_of(type); line += 64) /* one row: all comes from a far cache */
            __builtin_prefetch((const void *)((uintptr_t)(w + line) + CODEBOOK_AHEAD), 0, 2);
        for (size_t v = 0; v < vecs; v++) wv[v] = load(type, w, c + v * LANES);
        for (size_t i = 0; i < rows; i++) {
            vec xv = v_set1(x[i * ldx + r]);
            for (size_t v = 0; v < vecs; v++) sum[i][v] = v_fma(xv, wv[v], sum[i][v]);
        }
    }
    for (size_t v = 0; v < vecs; v++) {
        vec at = v_add(lane_numbers(), v_set1((float)(c + v * LANES)));
        for (size_t i = 0; i < rows; i++) keep_best(&best[i], sum[i][v], at);
    }
}

/* The last n < LANES centroids, from c on; lanes past them have minus infinity. */
INLINE void nearest_last(enum dtype type, size_t rows, struct best *best, const uint8_t *w, const float *bias, size_t d, size_t k, size_t c,
                         size_t n, const float *x, size_t ldx) {
    float padded[LANES];
    for (size_t l = 0; l < LANES; l++) padded[l] = l < n ? bias[c + l] : -INFINITY;
    for (size_t i = 0; i < rows; i++) {
        vec sum = v_load(padded);
        for (size_t r = 0; r < d; r++) sum = v_fma(v_set1(x[i * ldx + r]), load_part(type, w + r * k * size_of(type), c, n), sum);
        keep_best(&best[i], sum, v_add(lane_numbers(), v_set1((float)c)));
    }
}

/* the lowest number among the lanes with the largest sum */
INLINE uint32_t best_of(const struct best *b) {
    vec most = v_set1(v_most(b->sum));
    vec minus = v_where_greater(most, b->sum, v_set1(-INFINITY), v_sub(v_set1(0), b->at));
    return (uint32_t)-v_most(minus);
}

INLINE void nearest_rows(enum dtype type, size_t rows, size_t vecs, uint32_t *index, const void *w, const float *bias, size_t d, size_t k,
                         const float *x, size_t ldx) {
    struct best best[NEAREST_ROWS];
    size_t c = 0;
    for (size_t i = 0; i < rows; i++) best[i] = (struct best){v_set1(-INFINITY), v_set1(0)};
    for (; c + vecs * LANES <= k; c += vecs * LANES) nearest_tile(type, rows, vecs, best, w, bias, d, k, c, x, ldx);
    for (; c + LANES <= k; c += LANES) nearest_tile(type, rows, 1, best, w, bias, d, k, c, x, ldx);
    if (c < k) nearest_last(type, rows, best, w, bias, d, k, c, k - c, x, ldx);
    for (size_t i = 0; i < rows; i++) index[i] = best_of(&best[i]);
}

INLINE void nearest_type(enum dtype type, uint32_t *index, const void *w, const float *bias, size_t d, size_t k, const float *x, size_t ldx,
                         size_t n) {
    size_t i = 0;
    for (; i + NEAREST_ROWS <= n; i += NEAREST_ROWS)
        nearest_rows(type, NEAREST_ROWS, NEAREST_VECS, index + i, w, bias, d, k, x + i * ldx, ldx);
    for (; i < n; i++) nearest_rows(type, 1, 8, index + i, w, bias, d, k, x + i * ldx, ldx);
}

static void nearest(enum dtype type, uint32_t *index, const void *w, const float *bias, size_t d, size_t k, const float *x, size_t ldx, size_t n) {
    if (type == DTYPE_F16)
        nearest_type(DTYPE_F16, index, w, bias, d, k, x, ldx, n);
    else
        nearest_type(DTYPE_F32, index, w, bias, d, k, x, ldx, n);
}

/* Sums in registers: with 16 vectors of 16 lanes rows of 256 are read whole, once and in order. */
enum { TABLE_VECS = LANES == 16 ? 16 : 8, TABLE_COLUMNS = TABLE_VECS * LANES };

/* Codebooks of all layers and heads do not stay in a near cache: those `ahead` bytes further are asked for meanwhile (Ice Lake server, a fifth of the
 * time of tables less). */
INLINE void table_columns(float *table, const uint16_t *w, const float *x, size_t d, size_t k, size_t ahead) {
    vec sum[TABLE_VECS];
    for (size_t v = 0; v < TABLE_VECS; v++) sum[v] = v_set1(0);
    for (size_t r = 0; r < d; r++, w += k) {
        vec s = v_set1(x[r]);
        for (size_t line = 0; line < TABLE_COLUMNS; line += 32) __builtin_prefetch((const void *)((uintptr_t)(w + line) + ahead), 0, 2);
        for (size_t v = 0; v < TABLE_VECS; v++) sum[v] = v_fma(s, v_load_f16(w + v * LANES), sum[v]);
    }
    for (size_t v = 0; v < TABLE_VECS; v++) v_store(table + v * LANES, sum[v]);
}

static void lookup_tables(float *table, const uint16_t *w, const float *x, size_t m, size_t d, size_t k) {
    size_t bytes = d * k * sizeof *w, ahead = k == TABLE_COLUMNS ? CODEBOOK_AHEAD : bytes;
    for (size_t j = 0; j < m; j++, table += k, w += d * k, x += d)
        if (k % TABLE_COLUMNS == 0) {
            for (size_t c = 0; c < k; c += TABLE_COLUMNS) table_columns(table + c, w + c, x, d, k, ahead);
        } else {
            memset(table, 0, k * sizeof *table);
            vecmat(DTYPE_F16, table, w, k * sizeof *w, d, x, k);
        }
}

/* What is no number of 0 .. 1 becomes, without its sign, more than 2^30. */
static bool bucket_add(uint32_t *bucket, const uint8_t *codes, const float *p, size_t bytes, size_t n) {
    uint32_t q[LOOKUP_BLOCK], wrong = 0;
    for (size_t begin = 0; begin < n; begin += LOOKUP_BLOCK) {
        size_t count = n - begin < LOOKUP_BLOCK ? n - begin : LOOKUP_BLOCK, i = 0;
        for (; i + LANES <= count; i += LANES) v_store_whole((int32_t *)q + i, v_mul(v_load(p + begin + i), v_set1(0x1p30f)));
        if (i < count) v_store_whole((int32_t *)q + i, v_mul(v_load_part(p + begin + i, count - i), v_set1(0x1p30f))); /* there is room in q */
        for (size_t r = 0; r < count; r++) wrong |= q[r] > 1u << 30;
        if (wrong) return false;
        buckets_add_block(bucket, codes + begin * bytes, q, bytes, count);
    }
    return true;
}

static void bucket_sums(uint32_t *sum, const uint32_t *bucket, size_t m, size_t k) { sums_of_buckets(sum, bucket, m, k); }

/* `rows` <= 4 (a constant) rows of w; with rest, k is that and less than a vector. */
INLINE void bucket_rows(size_t rows, size_t rest, float *y, const int32_t *sums, float unit, const uint16_t *w, size_t k) {
    vec sum[4];
    for (int r = 0; r < 4; r++) sum[r] = v_set1(0);
    for (size_t c = 0; c < k; c += LANES) {
        vec b = v_load_whole(sums + c);
        for (size_t r = 0; r < rows; r++) {
            if (!rest) __builtin_prefetch((const void *)((uintptr_t)(w + r * k + c) + CODEBOOK_AHEAD), 0, 2);
            sum[r] = v_fma(b, rest ? load_part(DTYPE_F16, w + r * k, 0, rest) : v_load_f16(w + r * k + c), sum[r]);
        }
    }
    float s[4];
    v_sum4(s, sum[0], sum[1], sum[2], sum[3]);
    for (size_t r = 0; r < rows; r++) y[r] = unit * s[r];
}

static void bucket_product(float *y, const uint32_t *sum, float unit, const uint16_t *w, size_t d, size_t k) {
    int32_t few[LANES] = {0};
    const int32_t *b = (const int32_t *)sum;
    if (k < LANES) memcpy(few, sum, k * sizeof *few), b = few;
    size_t r = 0, rest = k < LANES ? k : 0;
    for (; r + 4 <= d; r += 4) {
        if (rest)
            bucket_rows(4, rest, y + r, b, unit, w + r * k, k);
        else
            bucket_rows(4, 0, y + r, b, unit, w + r * k, k);
    }
    for (; r < d; r++) bucket_rows(1, rest, y + r, b, unit, w + r * k, k);
}

/* Least entry of each table; returns the widest table's most - least, and the sum of the least ones in *low. */
INLINE float spans(const float *table, size_t m, size_t k, float least[LOOKUP_MAX_M], float *low) {
    float widest = 0;
    *low = 0;
    for (size_t j = 0; j < m; j++, table += k) {
        float most = -INFINITY;
        least[j] = INFINITY;
        size_t c = 0;
        if (k >= LANES) {
            vec few = v_load(table), many = few;
            for (c = LANES; c + LANES <= k; c += LANES) few = v_min(v_load(table + c), few), many = v_max(v_load(table + c), many);
            least[j] = -v_most(v_sub(v_set1(0), few));
            most = v_most(many);
        }
        for (; c < k; c++) {
            least[j] = table[c] < least[j] ? table[c] : least[j];
            most = table[c] > most ? table[c] : most;
        }
        widest = most - least[j] > widest ? most - least[j] : widest;
        *low += least[j];
    }
    return widest;
}

/* x >= 0 to the nearest whole number, ties to even: it is in the low bits of x + 1.5 2^23. */
INLINE uint32_t whole(float x) {
    uint32_t bits;
    x += 0x1.8p23f;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

#ifndef HAS_LOOKUP_IN_REGISTERS
static void bytes_round(struct lookup_scale *s, void *entries, const float *table, size_t m, size_t k, size_t bits) {
    float least[LOOKUP_MAX_M], low, widest = spans(table, m, k, least, &low), scale = lookup_scale(s, widest, low, bits);
    uint8_t *bytes = entries;
    uint16_t *words = entries;
    for (size_t j = 0; j < m; j++, table += k, bytes += k, words += k) {
        if (bits == 8)
            for (size_t c = 0; c < k; c++) bytes[c] = (uint8_t)whole((table[c] - least[j]) * scale);
        else
            for (size_t c = 0; c < k; c++) words[c] = (uint16_t)whole((table[c] - least[j]) * scale);
    }
}
#endif

#endif
