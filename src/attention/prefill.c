/* A tile of queries of one head against all keys that they see, 64 keys at a time. The method is in
 * prefill.h; which queries make a tile is attend.c's business. */
#include "attention/prefill.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

/* Rows of queries are padded to a multiple of this: whole vectors of every kernel set. */
enum { COLUMNS = 16 };

/* What one tile of queries works in. cols is the number of queries, rounded up to whole vectors;
 * the queries that this adds are zeros. In memory the arrays follow each other in this order, each
 * with room for PREFILL_QUERIES = 64 columns and rows of D rounded up to 16 floats. In bytes, for
 * D = 64:
 *
 *     0       most, sum, keep    3 x  256    one float a query
 *     768     scores               16384     64 keys x 64 queries
 *     17152   q                    16384     D x 64 queries
 *     33536   rows                 16384     64 keys x D, then 64 values x D
 *     49920   out                  16384     64 queries x D
 *     66304   exact_rows           16384     64 keys x D
 *     82688   exact_scores         16384     64 keys x 64 queries
 *     99072   end
 *
 * That is as much at any context, and fits into a second-level cache. */
struct workspace {
    float *most;         /* [cols] the largest score of each query so far */
    float *sum;          /* [cols] of exp(score - most) so far */
    float *keep;         /* [cols] exp(old most - new most): what the sums so far are worth now */
    float *scores;       /* [PREFILL_KEYS][cols] scores, then exp(score - most) */
    float *q;            /* [D][cols] the queries / sqrt(D), a column each */
    float *rows;         /* [PREFILL_KEYS][D] decoded keys, then decoded values */
    float *out;          /* [cols][D] the sum of values so far */
    float *exact_rows;   /* [PREFILL_KEYS][D] exact keys, 0 where a key is not exact */
    float *exact_scores; /* [PREFILL_KEYS][cols] of these */
};

static size_t row_floats(size_t head_dim) { return size_align(head_dim, COLUMNS); }

size_t prefill_workspace_floats(size_t head_dim) {
    return 3 * PREFILL_QUERIES + 2 * PREFILL_KEYS * PREFILL_QUERIES +
           2 * (PREFILL_QUERIES + PREFILL_KEYS) * row_floats(head_dim);
}

/* Returns the arrays that the memory at `at` is cut into. */
static struct workspace cut(float *at, size_t head_dim) {
    struct workspace w;
    w.most = at;
    w.sum = w.most + PREFILL_QUERIES;
    w.keep = w.sum + PREFILL_QUERIES;
    w.scores = w.keep + PREFILL_QUERIES;
    w.q = w.scores + PREFILL_KEYS * PREFILL_QUERIES;
    w.rows = w.q + PREFILL_QUERIES * row_floats(head_dim);
    w.out = w.rows + PREFILL_KEYS * row_floats(head_dim);
    w.exact_rows = w.out + PREFILL_QUERIES * row_floats(head_dim);
    w.exact_scores = w.exact_rows + PREFILL_KEYS * row_floats(head_dim);
    return w;
}

/* Sets w->q to the queries scaled by 1 / sqrt(D), a column each. */
static void load_queries(const struct prefill_tile *t, struct workspace *w, size_t cols) {
    size_t D = t->key->head_dim;
    float scale = 1 / sqrtf((float)D);
    for (size_t d = 0; d < D; d++) {
        for (size_t i = 0; i < t->n; i++) w->q[d * cols + i] = scale * t->q[i * t->q_stride + d];
        for (size_t i = t->n; i < cols; i++) w->q[d * cols + i] = 0;
    }
}

/* A query sees no key behind its own position. So the scores of such keys, among keys begin ..
 * begin + n - 1, become minus infinity. */
static void mask(const struct prefill_tile *t, float *scores, size_t cols, size_t begin, size_t n) {
    for (size_t j = begin > t->pos ? 0 : t->pos + 1 - begin; j < n; j++) {
        size_t hidden = begin + j - t->pos; /* queries before the key's position */
        for (size_t i = 0; i < hidden && i < t->n; i++) scores[j * cols + i] = -INFINITY;
    }
}

/* Where a key is exact for a query, the exact score replaces that of the code. */
static void choose(const struct prefill_tile *t, struct workspace *w, size_t cols, size_t begin,
                   size_t n) {
    for (size_t i = 0; i < t->n; i++) {
        size_t first = exact_begin(t->exact, t->pos + i);
        for (size_t j = 0; j < n; j++)
            if (begin + j < t->exact->keys->sink || begin + j >= first)
                w->scores[j * cols + i] = w->exact_scores[j * cols + i];
    }
}

/* Sets w->scores of keys begin .. begin + n - 1. Returns how many exact keys were read. */
static size_t score(const struct prefill_tile *t, struct workspace *w, size_t cols, size_t begin,
                    size_t n) {
    const struct kernels *kn = t->key->kn;
    size_t D = t->key->head_dim, exact = 0;
    if (t->exact) exact = exact_decode(t->exact, w->exact_rows, w->rows, begin, n, t->pos);
    if (exact)
        kn->strided_product(&(struct strided_product){.rows = n,
                                                      .depth = D,
                                                      .cols = cols,
                                                      .y = w->exact_scores,
                                                      .ldy = cols,
                                                      .a = w->exact_rows,
                                                      .a_row = D,
                                                      .a_step = 1,
                                                      .b = w->q,
                                                      .ldb = cols});
    t->key->codec->ops->decode(t->key, w->rows, t->keys, begin, n);
    if (t->exact) exact_add_center(t->key, w->rows, n);
    kn->strided_product(&(struct strided_product){.rows = n,
                                                  .depth = D,
                                                  .cols = cols,
                                                  .y = w->scores,
                                                  .ldy = cols,
                                                  .a = w->rows,
                                                  .a_row = D,
                                                  .a_step = 1,
                                                  .b = w->q,
                                                  .ldb = cols});
    if (exact) choose(t, w, cols, begin, n);
    mask(t, w->scores, cols, begin, n);
    return exact;
}

size_t prefill_attend(const struct prefill_tile *t, float *workspace) {
    const struct kernels *kn = t->key->kn;
    size_t D = t->key->head_dim, cols = size_align(t->n, COLUMNS), rows = t->pos + t->n, exact = 0;
    struct workspace w = cut(workspace, D);
    load_queries(t, &w, cols);
    for (size_t i = 0; i < cols; i++) w.most[i] = -INFINITY, w.sum[i] = 0;
    memset(w.out, 0, t->n * D * sizeof *w.out);

    for (size_t begin = 0; begin < rows; begin += PREFILL_KEYS) {
        size_t n = rows - begin < PREFILL_KEYS ? rows - begin : PREFILL_KEYS;
        exact += score(t, &w, cols, begin, n);
        kn->running_softmax(w.scores, n, cols, w.most, w.sum, w.keep);
        t->value->codec->ops->decode(t->value, w.rows, t->values, begin, n);
        kn->strided_product(&(struct strided_product){.rows = t->n,
                                                      .depth = n,
                                                      .cols = D,
                                                      .y = w.out,
                                                      .ldy = D,
                                                      .keep = w.keep,
                                                      .a = w.scores,
                                                      .a_row = 1,
                                                      .a_step = cols,
                                                      .b = w.rows,
                                                      .ldb = D});
    }
    for (size_t i = 0; i < t->n; i++)
        for (size_t d = 0; d < D; d++) t->out[i * t->out_stride + d] = w.out[i * D + d] / w.sum[i];
    return exact;
}
