/* See quantiser_learn.h. The order is: subtract the mean, find the space (metric, directions,
 * ranges), seed the centroids by k-means, then rounds of codes, centroids and a rotation. */
#include "calibration/quantiser_learn.h"

#include <math.h>
#include <string.h>

#include "attention/inverse.h"
#include "calibration/kmeans.h"
#include "calibration/linalg.h"
#include "base/interrupt.h"

enum {
    SEEDED = 6,  /* assignments of k-means before the rounds */
    ROUNDS = 12, /* each finds codes, then centroids, and but for the last FIXED a rotation */
    FIXED = 2,   /* rounds at the end, when B is what f16 holds */
    SWEEPS = 3,  /* over the codes in a round, where two share a range and depend on each other */
    BLOCK = 256  /* rows that are summed in float32; sums of these sums are in double */
};

const char *const learn_part_names[LEARN_PARTS] = {"metric", "weights", "directions", "ranges",
                                                   "rotation"};
_Static_assert(LEARN_ALL == (1 << LEARN_PARTS) - 1, "each part has a name");

struct learner {
    const struct learn_rows *rows;
    const struct kernels *kn;
    struct quantiser_plan plan;
    size_t at[QUANTISER_CODES], width[QUANTISER_CODES];
    double *a, *b;         /* [D][D] A and B so far */
    double *s, *t, *u, *v; /* [D][D] work */
    float *mean;           /* [D] as f16 holds it */
    float *x, *y, *left;   /* [n][D] rows less the mean; the same in the learned space; what codes
                              leave of that */
    float *small;          /* [D][D] */
    float *centroids[QUANTISER_CODES]; /* [width][K] */
    float *sums, *bias; /* [D][points], [points] of one search, at most 256 points or K */
    double *sum, *mass; /* [D][K], [K] */
    uint32_t *code;     /* [codes][n] */
    void *kmeans;
    struct quantiser_cuts *cuts;
};

/* ---- ranges ---- */

/* Returns what `bits` bits leave of normal numbers of variances e[n], which fall: the m strongest
 * are all left at the water level, the rest are left whole. */
static double distortion(const double *e, size_t n, double bits) {
    double best = 0, logs = 0, rest = 0;
    for (size_t i = 0; i < n; i++) best += e[i];
    rest = best;
    for (size_t m = 1; m <= n; m++) {
        logs += log2(e[m - 1] > 1e-30 ? e[m - 1] : 1e-30);
        rest -= e[m - 1];
        double level = exp2((logs - 2 * bits) / (double)m);
        if (level > e[m - 1]) break;
        best = (double)m * level + (rest > 0 ? rest : 0);
    }
    return best;
}

static void find_cuts(struct quantiser_cuts *c, const double *variance, size_t n, size_t ranges,
                      double bits) {
    for (size_t g = 0; g <= ranges; g++)
        for (size_t i = 0; i <= n; i++) c->cost[g][i] = g == 0 && i == 0 ? 0 : HUGE_VAL;
    for (size_t j = 0; j < n; j++)
        for (size_t i = j + 1; i <= n; i++) {
            double piece = distortion(variance + j, i - j, bits);
            for (size_t g = 1; g <= ranges; g++)
                if (c->cost[g - 1][j] + piece < c->cost[g][i])
                    c->cost[g][i] = c->cost[g - 1][j] + piece, c->cut[g][i] = j;
        }
}

double quantiser_ranges(struct quantiser_cuts *c, const double *variance, size_t n, size_t ranges,
                        double bits, size_t *width) {
    find_cuts(c, variance, n, ranges, bits);
    for (size_t g = ranges, end = n; g > 0; end = c->cut[g][end], g--)
        width[g - 1] = end - c->cut[g][end];
    return c->cost[ranges][n];
}

/* ---- the space ---- */

/* Writes root = G^(1/2) and inverse = G^(-1/2), where G is the metric scaled to a mean eigenvalue
 * of 1. */
static void roots(const struct learner *l, double *root, double *inverse) {
    size_t D = l->rows->dim;
    double trace = 0, e[QUANTISER_DIM];
    for (size_t i = 0; i < D; i++) trace += l->rows->metric[i * D + i];
    for (size_t i = 0; i < D * D; i++) l->s[i] = l->rows->metric[i] * (double)D / trace;
    linalg_eigen(D, l->s, e, l->t);
    memset(root, 0, D * D * sizeof *root);
    memset(inverse, 0, D * D * sizeof *inverse);
    for (size_t r = 0; r < D; r++) {
        const double *v = l->t + r * D, x = sqrt(e[r] > 1e-9 ? e[r] : 1e-9);
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++)
                root[i * D + j] += v[i] * v[j] * x, inverse[i * D + j] += v[i] * v[j] / x;
    }
}

static void subtract_mean(struct learner *l) {
    const struct learn_rows *r = l->rows;
    size_t D = r->dim;
    double mean[QUANTISER_DIM] = {0}, sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        sum += (double)r->weight[i];
        for (size_t d = 0; d < D; d++) mean[d] += (double)r->weight[i] * (double)r->x[i * D + d];
    }
    for (size_t d = 0; d < D; d++) l->mean[d] = f16_to_f32(f32_to_f16((float)(mean[d] / sum)));
    for (size_t i = 0; i < r->n; i++)
        for (size_t d = 0; d < D; d++) l->x[i * D + d] = r->x[i * D + d] - l->mean[d];
}

/* Writes s[D][D] = sum_i weight_i a_i b_i^T over the rows of a and b, both [n][D]. */
static void moments(const struct learner *l, const float *a, const float *b, double *s) {
    size_t D = l->rows->dim;
    float *weighted = l->left; /* its first BLOCK rows serve as work memory, so b is never `left` */
    memset(s, 0, D * D * sizeof *s);
    for (size_t begin = 0; begin < l->rows->n; begin += BLOCK) {
        size_t n = l->rows->n - begin < BLOCK ? l->rows->n - begin : BLOCK;
        for (size_t i = 0; i < n * D; i++)
            weighted[i] = l->rows->weight[begin + i / D] * a[begin * D + i];
        l->kn->strided_product(&(struct strided_product){.rows = D,
                                                         .depth = n,
                                                         .cols = D,
                                                         .y = l->small,
                                                         .ldy = D,
                                                         .a = weighted,
                                                         .a_row = 1,
                                                         .a_step = D,
                                                         .b = b + begin * D,
                                                         .ldb = D});
        for (size_t i = 0; i < D * D; i++) s[i] += (double)l->small[i];
    }
}

static void transpose(size_t n, double *a) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double t = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = t;
        }
}

/* Sets A = U G^(1/2) and B = U G^(-1/2), and writes e[D], the weighted variances of the rows in
 * that space. The rows of U are the principal directions of the rows in the metric, strongest
 * first; without LEARN_DIRECTIONS U is the identity. */
static void find_directions(struct learner *l, double *e) {
    size_t D = l->rows->dim;
    roots(l, l->u, l->v);
    moments(l, l->x, l->x, l->t);
    linalg_product(D, l->u, l->t, l->s);
    linalg_product(D, l->s, l->u, l->t);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < i; j++) l->t[j * D + i] = l->t[i * D + j];
    if (l->plan.parts & LEARN_DIRECTIONS) {
        linalg_eigen(D, l->t, e, l->s);
        linalg_product(D, l->s, l->u, l->a);
        linalg_product(D, l->s, l->v, l->b);
    } else {
        for (size_t i = 0; i < D; i++) e[i] = l->t[i * D + i];
        memcpy(l->a, l->u, D * D * sizeof *l->a);
        memcpy(l->b, l->v, D * D * sizeof *l->b);
    }
    for (size_t i = 0; i < D; i++) e[i] = e[i] > 0 ? e[i] : 0;
}

/* Deals the directions, strongest first, out to ranges of these widths: each goes to the range that
 * has room and whose variances so far have the least product. Puts the rows of A and B into that
 * order. */
static void balance(struct learner *l, const double *e, const size_t *width, size_t ranges) {
    size_t D = l->rows->dim, first[QUANTISER_CODES], filled[QUANTISER_CODES] = {0};
    double product[QUANTISER_CODES] = {0};
    for (size_t g = 0, at = 0; g < ranges; at += width[g++]) first[g] = at;
    memcpy(l->s, l->a, D * D * sizeof *l->s);
    memcpy(l->t, l->b, D * D * sizeof *l->t);
    for (size_t i = 0; i < D; i++) {
        size_t best = ranges;
        for (size_t g = 0; g < ranges; g++)
            if (filled[g] < width[g] && (best == ranges || product[g] < product[best])) best = g;
        size_t to = first[best] + filled[best]++;
        product[best] +=
            log(e[i] > 1e-30 ? e[i] : 1e-30) -
            log(e[D - 1] > 1e-30
                    ? e[D - 1]
                    : 1e-30); /* relative to the weakest, so that the product never shrinks */
        memcpy(l->a + to * D, l->s + i * D, D * sizeof *l->a);
        memcpy(l->b + to * D, l->t + i * D, D * sizeof *l->b);
    }
}

/* Finds the directions, and the ranges that fit them. */
static void find_space(struct learner *l) {
    size_t D = l->rows->dim, ranges = l->plan.codes / l->plan.depth, width[QUANTISER_CODES], at = 0;
    double e[QUANTISER_DIM];
    find_directions(l, e);
    if (l->plan.parts & LEARN_RANGES)
        quantiser_ranges(l->cuts, e, D, ranges, (double)l->plan.depth * log2((double)l->plan.K),
                         width);
    else
        for (size_t g = 0; g < ranges; g++) width[g] = D * (g + 1) / ranges - D * g / ranges;
    if ((l->plan.parts & (LEARN_DIRECTIONS | LEARN_RANGES)) == LEARN_DIRECTIONS)
        balance(l, e, width, ranges);
    for (size_t g = 0; g < ranges; at += width[g++])
        for (size_t i = 0; i < l->plan.depth; i++)
            l->at[g * l->plan.depth + i] = at, l->width[g * l->plan.depth + i] = width[g];
}

/* Sets y = A x for all rows. */
static void transform(struct learner *l) {
    size_t D = l->rows->dim;
    for (size_t i = 0; i < D * D; i++) l->small[i] = (float)l->a[i % D * D + i / D];
    l->kn->strided_product(&(struct strided_product){.rows = l->rows->n,
                                                     .depth = D,
                                                     .cols = D,
                                                     .y = l->y,
                                                     .ldy = D,
                                                     .a = l->x,
                                                     .a_row = D,
                                                     .a_step = 1,
                                                     .b = l->small,
                                                     .ldb = D});
}

/* ---- codes and centroids ---- */

/* Finds code j of each row, the nearest to what is left. With `pairs` it finds the
 * next code as well where quantiser_encode searches both together. Returns how many it found. */
static size_t assign(struct learner *l, size_t j, bool pairs) {
    size_t D = l->rows->dim, n = l->rows->n, K = l->plan.K, width = l->width[j];
    uint32_t *code = l->code + j * n;
    bool pair = pairs && j + 1 < l->plan.codes &&
                quantiser_pairs(l->at[j], width, l->at[j + 1], l->width[j + 1], K);
    const float *points = pair ? l->sums : l->centroids[j];
    size_t count = pair ? K * K : K;
    if (pair) quantiser_sums(l->sums, l->centroids[j], l->centroids[j + 1], width, K);
    quantiser_bias(points, width, count, l->bias);
    l->kn->nearest(&(struct nearest){.type = DTYPE_F32,
                                     .w = points,
                                     .bias = l->bias,
                                     .d = width,
                                     .k = count,
                                     .x = l->left + l->at[j],
                                     .ldx = D,
                                     .n = n,
                                     .index = code});
    for (size_t i = 0; i < n && pair; i++) {
        code[n + i] = code[i] % (uint32_t)K;
        code[i] /= (uint32_t)K;
    }
    return pair ? 2 : 1;
}

/* Subtracts the centroids of code j from what is left of the rows. */
static void subtract(struct learner *l, size_t j) {
    size_t D = l->rows->dim, n = l->rows->n;
    for (size_t i = 0; i < n; i++) {
        const float *c = l->centroids[j] + l->code[j * n + i];
        float *x = l->left + i * D + l->at[j];
        for (size_t r = 0; r < l->width[j]; r++) x[r] -= c[r * l->plan.K];
    }
}

static void start_over(struct learner *l) {
    memcpy(l->left, l->y, l->rows->n * l->rows->dim * sizeof *l->left);
}

static void seed(struct learner *l) {
    start_over(l);
    for (size_t j = 0; j < l->plan.codes; j++) {
        struct kmeans_points p = {.x = l->left + l->at[j],
                                  .stride = l->rows->dim,
                                  .n = l->rows->n,
                                  .d = l->width[j],
                                  .weight = l->rows->weight,
                                  .iterations = SEEDED};
        kmeans(l->kn, &p, l->plan.K, l->plan.seed, l->plan.stream * QUANTISER_CODES + j,
               l->centroids[j], l->kmeans);
        assign(l, j, false);
        subtract(l, j);
    }
}

static void encode(struct learner *l) {
    start_over(l);
    for (size_t j = 0; j < l->plan.codes;)
        for (size_t count = assign(l, j, true); count; count--) subtract(l, j++);
}

/* Moves each centroid of code j by the mean of what is left of its rows, and updates what is left.
 * A centroid without rows stays where it is. */
static void move(struct learner *l, size_t j) {
    size_t D = l->rows->dim, n = l->rows->n, K = l->plan.K, width = l->width[j];
    memset(l->sum, 0, width * K * sizeof *l->sum);
    memset(l->mass, 0, K * sizeof *l->mass);
    for (size_t i = 0; i < n; i++) {
        size_t c = l->code[j * n + i];
        const float *x = l->left + i * D + l->at[j];
        double w = (double)l->rows->weight[i];
        l->mass[c] += w;
        for (size_t r = 0; r < width; r++) l->sum[c * width + r] += w * (double)x[r];
    }
    for (size_t c = 0; c < K; c++)
        for (size_t r = 0; r < width; r++) {
            double step = l->mass[c] > 0 ? l->sum[c * width + r] / l->mass[c] : 0;
            l->centroids[j][r * K + c] += (float)step;
            l->sum[c * width + r] = step;
        }
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < width; r++)
            l->left[i * D + l->at[j] + r] -= (float)l->sum[l->code[j * n + i] * width + r];
}

static void move_all(struct learner *l) {
    for (int sweep = 0; sweep < (l->plan.depth > 1 ? SWEEPS : 1); sweep++)
        for (size_t j = 0; j < l->plan.codes; j++) move(l, j);
}

/* Finds the rotation that brings the rows nearest to what their codes stand for, and turns A and B
 * by it. */
static void rotate(struct learner *l) {
    size_t D = l->rows->dim, n = l->rows->n * D;
    for (size_t i = 0; i < n; i++) l->y[i] -= l->left[i]; /* yhat */
    moments(l, l->x, l->y, l->s);                         /* left is overwritten from here on */
    linalg_product(D, l->a, l->s, l->t);                  /* sum y yhat^T */
    linalg_procrustes(D, l->t, l->u, l->v);
    transpose(D, l->u);
    linalg_product(D, l->u, l->a, l->s);
    memcpy(l->a, l->s, D * D * sizeof *l->a);
    linalg_product(D, l->u, l->b, l->s);
    memcpy(l->b, l->s, D * D * sizeof *l->b);
    transform(l);
}

/* ---- */

static int no_memory(struct err *e) {
    return err_set(e, ERR_FAILED, "out of memory for learning a codebook");
}

static bool allocate(struct learner *l, struct arena *a) {
    size_t D = l->rows->dim, n = l->rows->n, points = l->plan.K > 256 ? l->plan.K : 256;
    double **squares[] = {&l->a, &l->b, &l->s, &l->t, &l->u, &l->v};
    float **all[] = {&l->x, &l->y, &l->left};
    bool ok = true;
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++)
        ok = (*squares[i] = arena_alloc(a, D * D, sizeof(double))) && ok;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ok = (*all[i] = arena_alloc(a, (n < BLOCK ? BLOCK : n) * D, sizeof(float))) && ok;
    l->mean = arena_alloc(a, D, sizeof *l->mean);
    l->small = arena_alloc(a, D * D, sizeof *l->small);
    l->bias = arena_alloc(a, points, sizeof *l->bias);
    l->sums = arena_alloc(a, D * points, sizeof *l->sums);
    l->sum = arena_alloc(a, D * l->plan.K, sizeof *l->sum);
    l->mass = arena_alloc(a, l->plan.K, sizeof *l->mass);
    l->code = arena_alloc(a, n * l->plan.codes, sizeof *l->code);
    l->kmeans = arena_alloc(a, kmeans_work_bytes(n, D, l->plan.K), 1);
    l->cuts = arena_alloc(a, 1, sizeof *l->cuts);
    return ok && l->mean && l->small && l->bias && l->sums && l->sum && l->mass && l->code &&
           l->kmeans && l->cuts;
}

static bool to_f16(uint16_t *bits, const float *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        bits[i] = f32_to_f16(x[i]);
        finite = finite && (bits[i] & 0x7c00) != 0x7c00;
    }
    return finite;
}

/* Rounds B and the mean to f16, as the file holds them, and makes A the inverse of that B. */
static int settle(struct learner *l, struct learned_quantiser *out, struct arena *a,
                  struct err *e) {
    size_t D = l->rows->dim;
    out->inverse = arena_alloc(a, D * D, sizeof *out->inverse);
    out->mean = arena_alloc(a, D, sizeof *out->mean);
    if (!out->inverse || !out->mean) return no_memory(e);
    for (size_t i = 0; i < D * D; i++) l->small[i] = (float)l->b[i];
    bool finite = to_f16(out->inverse, l->small, D * D) && to_f16(out->mean, l->mean, D);
    for (size_t i = 0; i < D * D; i++) l->s[i] = (double)f16_to_f32(out->inverse[i]);
    if (!finite || !inverse_of(D, l->s, l->a))
        return err_set(e, ERR_FAILED, "f16 cannot hold the transform of the keys");
    transpose(D, l->a);
    transform(l);
    return OK;
}

static int copy_centroids(struct learner *l, struct learned_quantiser *out, struct arena *a,
                          struct err *e) {
    out->ranges = arena_zalloc(a, l->plan.codes, sizeof *out->ranges);
    if (!out->ranges) return no_memory(e);
    for (size_t j = 0; j < l->plan.codes; j++) {
        size_t n = l->width[j] * l->plan.K;
        uint16_t *bits = arena_alloc(a, n, sizeof *bits);
        if (!bits) return no_memory(e);
        if (!to_f16(bits, l->centroids[j], n))
            return err_set(e, ERR_FAILED, "f16 cannot hold the centroids of the keys");
        for (size_t i = 0; i < n; i++) l->centroids[j][i] = f16_to_f32(bits[i]);
        out->ranges[j] =
            (struct quantiser_range){.at = l->at[j], .width = l->width[j], .centroids = bits};
    }
    return OK;
}

static double weighted_square(const struct learner *l, const float *rows) {
    size_t D = l->rows->dim;
    double sum = 0;
    for (size_t i = 0; i < l->rows->n; i++) {
        double square = 0;
        for (size_t d = 0; d < D; d++) square += (double)rows[i * D + d] * (double)rows[i * D + d];
        sum += (double)l->rows->weight[i] * square;
    }
    return sum;
}

static int learn(struct learner *l, struct learned_quantiser *out, struct arena *a, struct err *e) {
    subtract_mean(l);
    find_space(l);
    transform(l);
    seed(l);
    for (int round = 0; round < ROUNDS; round++) {
        if (interrupt_pending())
            return err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written");
        int rc = round == ROUNDS - FIXED ? settle(l, out, a, e) : OK;
        if (rc) return rc;
        encode(l);
        move_all(l);
        if (round < ROUNDS - FIXED && (l->plan.parts & LEARN_ROTATION)) rotate(l);
    }
    int rc = copy_centroids(l, out, a, e);
    if (rc) return rc;
    encode(l);
    out->error = weighted_square(l, l->left);
    out->variance = weighted_square(l, l->y);
    return OK;
}

int quantiser_learn(struct learned_quantiser *out, const struct learn_rows *rows,
                    const struct quantiser_plan *plan, struct arena *arena, struct err *e) {
    struct arena scratch = {0};
    struct learner l = {.rows = rows, .kn = plan->kn, .plan = *plan};
    int rc = allocate(&l, &scratch) ? OK : no_memory(e);
    if (!rc) {
        for (size_t j = 0; j < plan->codes && !rc; j++) { /* a range may be as wide as D */
            l.centroids[j] = arena_alloc(&scratch, rows->dim * plan->K, sizeof(float));
            if (!l.centroids[j]) rc = no_memory(e);
        }
    }
    if (!rc) rc = learn(&l, out, arena, e);
    arena_free(&scratch);
    return rc;
}

int quantiser_costs(double *cost, const struct learn_rows *rows, size_t most, size_t K,
                    const struct kernels *kn, struct err *e) {
    struct arena scratch = {0};
    struct learner l = {.rows = rows,
                        .kn = kn,
                        .plan = {.parts = LEARN_ALL, .codes = 1, .depth = 1, .K = K, .kn = kn}};
    double variance[QUANTISER_DIM];
    int rc = allocate(&l, &scratch) ? OK : no_memory(e);
    if (!rc) {
        subtract_mean(&l);
        find_directions(&l, variance);
        find_cuts(l.cuts, variance, rows->dim, most, log2((double)K));
        for (size_t m = 0; m < most; m++) cost[m] = l.cuts->cost[m + 1][rows->dim];
    }
    arena_free(&scratch);
    return rc;
}
