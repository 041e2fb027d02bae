#include "attention/prefill.h"

#include <math.h>
#include <string.h>

/* Whole vectors of every kernel set. */
enum { COLUMNS = 16 };

/* cols: queries, rounded up with zeros to whole vectors */
struct workspace {
    float *most, *sum, *keep;    /* [cols] */
    float *q;                    /* [D][cols] / sqrt(D) */
    float *scores;               /* [PREFILL_KEYS][cols] */
    float *rows;                 /* [PREFILL_KEYS][D] decoded keys, then values */
    float *out;                  /* [cols][D] */
    float *exact_scores, *exact; /* as scores and rows, of exact keys */
};

static size_t row_floats(size_t head_dim) { return (head_dim + COLUMNS - 1) / COLUMNS * COLUMNS; }

size_t prefill_workspace_floats(size_t head_dim) {
    return 3 * PREFILL_QUERIES + 2 * PREFILL_KEYS * PREFILL_QUERIES +
           2 * (PREFILL_QUERIES + PREFILL_KEYS) * row_floats(head_dim);
}

static struct workspace cut(float *at, size_t head_dim) {
    struct workspace w;
    w.most = at;
    w.sum = w.most + PREFILL_QUERIES;
    w.keep = w.sum + PREFILL_QUERIES;
    w.scores = w.keep + PREFILL_QUERIES;
    w.q = w.scores + PREFILL_KEYS * PREFILL_QUERIES;
    w.rows = w.q + PREFILL_QUERIES * row_floats(head_dim);
    w.out = w.rows + PREFILL_KEYS * row_floats(head_dim);
    w.exact = w.out + PREFILL_QUERIES * row_floats(head_dim);
    w.exact_scores = w.exact + PREFILL_KEYS * row_floats(head_dim);
    return w;
}

static void load_queries(const struct prefill_tile *t, struct workspace *w, size_t cols) {
    size_t D = t->key->head_dim;
    float scale = 1 / sqrtf((float)D);
    for (size_t d = 0; d < D; d++) {
        for (size_t i = 0; i < t->n; i++) w->q[d * cols + i] = scale * t->q[i * t->q_stride + d];
        for (size_t i = t->n; i < cols; i++) w->q[d * cols + i] = 0;
    }
}

/* Keys begin .. begin + n - 1: those behind a query's position do not count for it. */
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

/* w->scores of keys begin .. begin + n - 1; returns how many exact ones were read. */
static size_t score(const struct prefill_tile *t, struct workspace *w, size_t cols, size_t begin,
                    size_t n) {
    const struct kernels *kn = t->key->k;
    size_t D = t->key->head_dim, exact = 0;
    if (t->exact) exact = exact_decode(t->exact, w->exact, w->rows, begin, n, t->pos);
    if (exact)
        kn->strided_product(&(struct strided_product){.rows = n,
                                                      .depth = D,
                                                      .cols = cols,
                                                      .y = w->exact_scores,
                                                      .ldy = cols,
                                                      .a = w->exact,
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
    const struct kernels *kn = t->key->k;
    size_t D = t->key->head_dim, cols = (t->n + COLUMNS - 1) / COLUMNS * COLUMNS,
           rows = t->pos + t->n, exact = 0;
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
