/* A quantiser turns rows of D numbers (the keys or the values of one head) into n codes of one byte
 * each. Each code is the number of a centroid, and each centroid lies in a range of the dimensions
 * of a learned space.
 *
 *     yhat  = sum over j < n of centroid[j][code_j]    a centroid is 0 outside its range, which is
 *                                                      at_j .. at_j + width_j - 1
 *     xhat  = mean + B^T yhat                          what a row stands for. This is the
 *                                                      definition, in the numbers of the file
 *     q . xhat = q . mean + (B q) . yhat               so a query's tables are made from B q, and
 *                                                      rows are never put together
 *     y     = A (x - mean), A = B^-T                   what is encoded: code after code takes the
 *                                                      centroid nearest to what is left of y
 *
 * Two codes in a row are searched together where their range is the same and there are at most 256
 * sums of a centroid of each: the nearest sum is found, so that neither code is chosen without the
 * other. That is why codes of 4 bits (K = 16, two codes for each range, a residual pair) lose
 * little to codes of 8.
 *
 * Ranges that do not overlap make a product quantiser, of uneven widths where they differ. Equal
 * ranges make a residual quantiser. Dimensions of no range are left at the mean. Without B and mean
 * (NULL: the identity and 0) and with D/n dimensions in each range it is LOOKAT's published
 * method.
 *
 * The file has B in f16, and rows are encoded with the A of that B. What queries read, and what
 * rows stand for, is B rounded once more, to whole numbers of 8 bits with a scale a row, because B
 * is most of what a query reads of a small quantiser. Nothing is divided by the rounded B, so its
 * error stays as small as it is: half a scale, at most 1/254 of a row's largest number. */
#ifndef LOOKAT_ATTENTION_QUANTISER_H
#define LOOKAT_ATTENTION_QUANTISER_H

#include "base/arena.h"
#include "base/err.h"
#include "kernels/kernels.h"

/* The codes of a row, and the dimensions of a quantiser with B, are at most so many. */
enum { QUANTISER_CODES = 64, QUANTISER_DIM = 256 };

/* The range of one code, with its centroids. */
struct quantiser_range {
    size_t at, width;          /* dimensions; width >= 1, at + width <= D */
    const uint16_t *centroids; /* [width][K] f16, finite */
};

/* What finds code `first`, or that one and the next: the nearest of k points in their range. */
struct quantiser_search {
    size_t first, at, width;
    size_t k;        /* K, or K^2 for two codes: point c is the sum of centroids c / K and c % K */
    enum dtype type; /* of the points: f16, or f32 for sums */
    const void *centroids; /* [width][k] */
    const float *bias;     /* [k] -|point|^2 / 2 */
};

/* Where the sums of pair_tables (kernels.h) belong: sum s is of dimension dim[s] of the learned
 * space, in units of scale[s]. */
struct quantiser_pairs {
    struct pair_tables tables;
    const uint16_t *dim; /* [tables.n] */
    bool in_order;       /* dim[s] is s */
    const float *scale;  /* [tables.n] */
};

struct quantiser {
    bool for_values;         /* of values, which B^T turns; else of keys, whose queries B turns */
    size_t dim, k, n;        /* D; K centroids a code, at most 256; n codes a row */
    const uint16_t *inverse; /* B [D][D] f16, row after row; or NULL */
    const uint16_t *mean;    /* [D] f16; or NULL. Both or none */
    struct quantiser_range *ranges; /* [n] */
    /* What follows is filled by quantiser_prepare. */
    const uint8_t *back;      /* B as queries read it: D rows of packed.h; NULL without B */
    float back_factor;        /* a power of two: `back` is B / back_factor */
    const float *transform_t; /* A^T [D][D], NULL without B: x A^T of rows x is A x of columns */
    const float *inverse_f32; /* the numbers of `back` in float32, NULL without B */
    struct quantiser_search *searches; /* [n_searches] */
    size_t n_searches;
    bool ranges_overlap;                 /* so decoding adds centroids up */
    bool searches_overlap;               /* so each search looks at what those before it left */
    const struct quantiser_pairs *pairs; /* of quantiser_round; else NULL */
};

/* Rounds the centroids of codes of 4 bits (K = 16) so that values can be summed in whole numbers
 * (pair_sums of kernels.h), and fills z->pairs. The two codes of a byte have one scale for each
 * dimension that they share, at most 9/8 of (the largest |a| + the largest |b|) / 126 over their
 * centroids' numbers a and b there, and each number becomes a whole multiple of it: it moves by
 * half a scale at most. Scales have 4 significant bits, so the new numbers are f16 exactly, and
 * what a row stands for is the same wherever it is decoded. z->ranges[n] is written to. It comes
 * before quantiser_prepare. ERR_FAILED without memory. */
int quantiser_round(struct quantiser *z, struct arena *a, struct err *e);

/* Works out the searches, A^T, B in float32 and what depends on them, with memory from the arena.
 * It comes before every function below that takes codes or a query. ERR_REFUSED, with only "its
 * transform has no inverse" or the like for a message, where B is singular, or so nearly that
 * float32 cannot hold A; ERR_FAILED without memory. */
int quantiser_prepare(struct quantiser *z, struct arena *a, struct err *e);

/* Writes sums[width][K K] of a[width][K] and b[width][K]: column c is a's column c / K plus b's
 * column c % K. */
void quantiser_sums(float *sums, const float *a, const float *b, size_t width, size_t k);

/* Writes bias[k] = -|c|^2 / 2 for each column c of centroids[d][k]. The centroid nearest to x is
 * the one for which x . c + bias is largest. */
void quantiser_bias(const float *centroids, size_t d, size_t k, float *bias);

/* Are two codes of these ranges, one after the other, searched together? */
bool quantiser_pairs(size_t at, size_t width, size_t next_at, size_t next_width, size_t k);

/* Returns how many numbers all centroids have: the sum of the widths, times K. */
size_t quantiser_numbers(const struct quantiser *z);

/* Finds the codes of x[n][D], whose rows are `stride` floats apart. Code j of row i goes to
 * codes[i row_step + j code_step]. A row's codes do not depend on the other rows of the call. */
void quantiser_encode(const struct kernels *kn, const struct quantiser *z, uint8_t *codes,
                      size_t row_step, size_t code_step, const float *x, size_t stride, size_t n);

/* Writes xhat[n][D], what such codes stand for. */
void quantiser_decode(const struct kernels *kn, const struct quantiser *z, float *xhat,
                      const uint8_t *codes, size_t row_step, size_t code_step, size_t n);

/* Writes the tables of a query q[D], table[n][K]: table[j][c] = (B q in range j) . centroid[j][c].
 * Returns q . mean, which every row's score has in common. Reads quantiser_bytes. */
float quantiser_tables(const struct kernels *kn, const struct quantiser *z, float *table,
                       const float *q);

/* Asks for what quantiser_mix or quantiser_mix_pairs will read, and the tables of pairs, so that it
 * is on its way from a far cache while rows are summed. Up to 64 KB. */
void quantiser_fetch(const struct quantiser *z);

/* Adds sum_i p_i xhat_i to out[D]. p is given in whole numbers of `unit`: sum[n][K] is the sum of
 * p over the rows with each code, and `all` the sum of p over all rows, as a number. Each sum is
 * below 2^31. z has a B. Reads quantiser_bytes. */
void quantiser_mix(const struct kernels *kn, const struct quantiser *z, float *out,
                   const uint32_t *sum, float all, float unit);

/* The same from what pair_sums has summed: sum[pairs->tables.n] with p in units of 1 / PAIR_ONE,
 * and `all`, the sum of p over all rows, as a number. */
void quantiser_mix_pairs(const struct kernels *kn, const struct quantiser *z, float *out,
                         const int32_t *sum, float all);

/* Returns the bytes that a query reads of the quantiser, each once: centroids in f16, or the tables
 * and scales of pairs; B; and the mean. */
size_t quantiser_bytes(const struct quantiser *z);

#endif
