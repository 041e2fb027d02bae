/* A quantiser of rows of D numbers (the keys or the values of one head) into n codes of one byte
 * each, by stages: sums of centroids that lie in ranges of the dimensions of a learned space.
 *
 *     yhat  = sum over stages j of centroid[j][code_j], which is 0 outside the range at_j .. at_j
 *         + width_j - 1
 *     xhat  = mean + B^T yhat              what a row stands for: the definition, in the f16
 *                                          numbers of the file
 *     q . xhat = q . mean + (B q) . yhat   so a query's tables are made from B q, and rows are
 *                                          never put together
 *     y     = A (x - mean), A = B^-T       what is encoded: the stages in order, each the nearest
 *           centroid to what those before it left
 *
 * Two stages in a row with the same range and at most 256 sums of a centroid of each are searched
 * together: the nearest sum, so that neither code is chosen without the other. That is what makes
 * codes of 4 bits (K = 16, a residual pair for each range) lose little to codes of 8.
 *
 * Ranges that do not overlap make a product quantiser (of uneven widths, where they differ), equal
 * ones a residual quantiser; dimensions of no range are left at the mean. Without B and mean (NULL:
 * the identity and 0) and with D/n dimensions for each stage it is LOOKAT's published method. */
#ifndef LOOKAT_ATTENTION_QUANTISER_H
#define LOOKAT_ATTENTION_QUANTISER_H

#include "base/arena.h"
#include "base/err.h"
#include "kernels/kernels.h"

/* Stages of a quantiser, and dimensions of one with B, at most. */
enum { QUANTISER_STAGES = 64, QUANTISER_DIM = 256 };

struct quantiser_stage {
    size_t at, width;          /* the range: width >= 1, at + width <= D */
    const uint16_t *centroids; /* [width][K] f16, finite */
};

/* What finds the codes of stage `first`, or of it and the next: the nearest of k points in their
 * range. */
struct quantiser_search {
    size_t first, at, width;
    size_t k;        /* K, or K^2 for two stages: sum number c is of centroids c / K and c % K */
    enum dtype type; /* of the points: f16, or f32 for sums */
    const void *centroids; /* [width][k] */
    const float *bias;     /* [k] -|point|^2 / 2 */
};

struct quantiser {
    size_t dim, k, n;               /* D; K centroids a stage, at most 256; n stages */
    const uint16_t *inverse;        /* B [D][D] f16, row after row; or NULL */
    const uint16_t *mean;           /* [D] f16; or NULL. Both or none */
    struct quantiser_stage *stages; /* [n] */
    /* What follows is of quantiser_prepare. */
    const float *transform_t; /* A^T [D][D], NULL without B: x A^T of rows x is A x of columns */
    const float *inverse_f32; /* B [D][D], NULL without B */
    struct quantiser_search *searches; /* [n_searches] */
    size_t n_searches;
    bool ranges_overlap;   /* so decoding adds centroids up */
    bool searches_overlap; /* so each search looks at what those before it left */
};

/* Works out the searches, A^T, B in float32 and what depends on them, with memory from the arena.
 * ERR_REFUSED, with only "its transform has no inverse" or the like for a message, where B is
 * singular, or so nearly that float32 cannot hold A; ERR_FAILED without memory. */
int quantiser_prepare(struct quantiser *z, struct arena *a, struct err *e);

/* sums[width][K K] of a[width][K] and b[width][K]: number c is a's c / K and b's c % K. */
void quantiser_sums(float *sums, const float *a, const float *b, size_t width, size_t k);

/* Writes bias[k] = -|c|^2 / 2 for each column c of centroids[d][k]. The centroid nearest to x is
 * the one for which x . c + bias is largest. */
void quantiser_bias(const float *centroids, size_t d, size_t k, float *bias);

/* Are two stages of these ranges searched together? */
bool quantiser_pairs(size_t at, size_t width, size_t next_at, size_t next_width, size_t k);

/* Numbers of all centroids: the sum of widths times K. */
size_t quantiser_numbers(const struct quantiser *z);

/* The code of row i and stage j goes to codes[i row_step + j stage_step], i < n. Independent of how
 * rows are cut into calls. */
void quantiser_encode(const struct kernels *k, const struct quantiser *z, uint8_t *codes,
                      size_t row_step, size_t stage_step, const float *x, size_t stride, size_t n);

/* xhat[n][D] of such codes. */
void quantiser_decode(const struct kernels *k, const struct quantiser *z, float *xhat,
                      const uint8_t *codes, size_t row_step, size_t stage_step, size_t n);

/* table[n stages][K]: table[j][c] = (B q)_range_j . centroid[j][c]. Returns q . mean, which every
 * row's score has in common. Reads quantiser_bytes. */
float quantiser_tables(const struct kernels *k, const struct quantiser *z, float *table,
                       const float *q);

/* out[D] += sum_i p_i xhat_i: p in whole numbers of `unit`, sum[n stages][K] of it over the rows
 * with each code, and all over all rows; below 2^31 each. z has a B. Reads quantiser_bytes. */
void quantiser_mix(const struct kernels *k, const struct quantiser *z, float *out,
                   const uint32_t *sum, float all, float unit);

/* Bytes that a query reads of the quantiser: centroids, B and mean once. */
size_t quantiser_bytes(const struct quantiser *z);

#endif
