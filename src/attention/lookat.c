/* lookat: keys as product-quantised codes, scored from lookup tables (arXiv 2601.10155; product quantisation: Jegou, Douze, Schmid 2011).
 *
 * A key of D dimensions is cut into M subvectors of D/M. Each has a codebook of K centroids; the stored key is the number of the nearest centroid of
 * each subvector: M bytes. For a query, table[j][c] = q_j . centroid[j][c] is computed once, and the score of a key is sum_j table[j][code_j]: exactly
 * q . (its centroids put together), without putting them together.
 *
 * Reads of a query over n keys:
 *     keys       n M       the codes
 *     tables     n 4 M     one float32 entry a code
 *     codebooks  2 D K     every centroid once, in f16, to make the tables
 * Building the tables takes D K multiply-adds whatever M is: as many as scoring K keys exactly. */
#include <stdio.h>
#include <string.h>

#include "attention/book.h"
#include "attention/codecs.h"
#include "attention/kmeans.h"

enum { K_MAX = 256, GATHERED = 128 };

/* One layer's codebooks, and what encoding needs. */
struct layer_books {
    const uint16_t *centroids; /* [H][M][D/M][K] f16 */
    const float *bias;         /* [H][M][K] -|centroid|^2 / 2 */
};

static bool is_one_of(size_t x, const size_t *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == x) return true;
    return false;
}

static int lookat_check(struct codec *c, size_t head_dim, struct err *e) {
    static const size_t ms[] = {1, 2, 4, 8, 16, 32}, ks[] = {4, 16, 64, 256}; /* 4: small enough to follow by hand */
    if (!c->o.m) c->o.m = 4;
    if (!c->o.k) c->o.k = 256;
    if (!is_one_of(c->o.m, ms, sizeof ms / sizeof *ms))
        return err_set(e, ERR_USAGE, "lookat: m=%zu, expected 1, 2, 4, 8, 16 or 32 subspaces", c->o.m);
    if (!is_one_of(c->o.k, ks, sizeof ks / sizeof *ks))
        return err_set(e, ERR_USAGE, "lookat: k=%zu, expected 4, 16, 64 or 256 centroids", c->o.k);
    if (head_dim % c->o.m) return err_set(e, ERR_USAGE, "lookat: %zu subspaces do not divide the head dimension of %zu", c->o.m, head_dim);
    return OK;
}

static int no_codebook(const struct codec *c, const struct book *b, struct err *e) {
    char name[32], where[96] = "it needs codebooks";
    if (c->o.k == K_MAX)
        snprintf(name, sizeof name, "lookat%zu", c->o.m);
    else
        snprintf(name, sizeof name, "lookat:m=%zu,k=%zu", c->o.m, c->o.k);
    if (b) snprintf(where, sizeof where, "%.70s has no such codebooks", b->path);
    return err_set(e, ERR_USAGE, "--attn %s: %s; to make them: lookat calibrate -m MODEL -f TEXT --attn %s -o BOOK.gguf", name, where, name);
}

static int lookat_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    size_t H = s->n_head, M = c->o.m, K = c->o.k, d = s->head_dim / M;
    const struct codebook *book = s->book ? book_find(s->book, M, K) : NULL;
    if (!book) return no_codebook(c, s->book, e);
    struct layer_books *y = arena_alloc(s->arena, 1, sizeof *y);
    float *bias = arena_alloc(s->arena, H * M * K, sizeof *bias);
    if (!y || !bias) return err_set(e, ERR_FAILED, "out of memory for the codebooks of layer %zu", s->layer);
    *y = (struct layer_books){book->centroids + s->layer * H * s->head_dim * K, bias};
    for (size_t i = 0; i < H * M * K; i++) {
        const uint16_t *column = y->centroids + i / K * d * K + i % K;
        double sum = 0;
        for (size_t r = 0; r < d; r++) sum += (double)f16_to_f32(column[r * K]) * (double)f16_to_f32(column[r * K]);
        bias[i] = (float)(-sum / 2);
    }
    c->data = y;
    return OK;
}

/* [M][D/M][K] of a head */
static const uint16_t *centroids_of(const struct codec_head *h) {
    const struct layer_books *y = h->codec->data;
    return y->centroids + h->head * h->head_dim * h->codec->o.k;
}

static size_t lookat_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim, (void)head;
    return c->o.m;
}

static size_t lookat_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 0;
}

/* The nearest centroid has the largest x . c - |c|^2 / 2; of equally near ones the first is taken. */
static void lookat_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x, size_t stride, size_t n) {
    const struct layer_books *y = h->codec->data;
    size_t M = h->codec->o.m, K = h->codec->o.k, d = h->head_dim / M;
    const uint16_t *centroids = centroids_of(h);
    uint8_t *rows = timeline + pos * M;
    float score[K_MAX];
    for (size_t j = 0; j < M; j++) {
        const float *bias = y->bias + (h->head * M + j) * K;
        for (size_t i = 0; i < n; i++) {
            memcpy(score, bias, K * sizeof *score);
            h->k->vecmat(DTYPE_F16, score, centroids + j * d * K, K * sizeof *centroids, d, x + i * stride + j * d, K);
            rows[i * M + j] = (uint8_t)kmeans_argmax(score, K);
        }
    }
}

static void lookat_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    size_t D = h->head_dim, M = h->codec->o.m, K = h->codec->o.k, d = D / M;
    const uint16_t *centroids = centroids_of(h);
    const uint8_t *rows = timeline + begin * M;
    uint16_t gathered[GATHERED];
    for (size_t i = 0; i < n; i++)
        for (size_t first = 0; first < D; first += GATHERED) {
            size_t count = D - first < GATHERED ? D - first : GATHERED;
            for (size_t r = 0, j = first / d, left = (j + 1) * d - first; r < count; j++, left = d) {
                const uint16_t *column = centroids + (first + r) * K + rows[i * M + j];
                for (; left && r < count; left--, r++, column += K) gathered[r] = *column;
            }
            h->k->to_f32(DTYPE_F16, x + i * D + first, gathered, count);
        }
}

static size_t lookat_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim, (void)head;
    return c->o.m * c->o.k;
}

static void lookat_prepare(const struct codec_head *h, float *work, const float *q, struct attn_counters *c) {
    size_t M = h->codec->o.m, K = h->codec->o.k, d = h->head_dim / M;
    const uint16_t *centroids = centroids_of(h);
    memset(work, 0, M * K * sizeof *work);
    for (size_t j = 0; j < M; j++)
        h->k->vecmat(DTYPE_F16, work + j * K, centroids + j * d * K, K * sizeof *centroids, d, q + j * d, K);
    c->codebooks += h->head_dim * K * sizeof *centroids;
}

/* M is a constant where this is called, so that no loop over the subspaces is left. */
static inline void score_m(size_t M, size_t K, const float *table, float *scores, const uint8_t *rows, size_t n) {
    for (size_t i = 0; i < n; i++, rows += M) {
        float sum = 0;
        for (size_t j = 0; j < M; j++) sum += table[j * K + rows[j]];
        scores[i] = sum;
    }
}

static void lookat_score(const struct codec_head *h, const float *work, float *scores, const uint8_t *timeline, size_t n, struct attn_counters *c) {
    size_t M = h->codec->o.m, K = h->codec->o.k;
    switch (M) {
    case 1: score_m(1, K, work, scores, timeline, n); break;
    case 2: score_m(2, K, work, scores, timeline, n); break;
    case 4: score_m(4, K, work, scores, timeline, n); break;
    case 8: score_m(8, K, work, scores, timeline, n); break;
    case 16: score_m(16, K, work, scores, timeline, n); break;
    default: score_m(32, K, work, scores, timeline, n);
    }
    c->keys += n * M;
    c->tables += n * M * sizeof *work;
}

static void lookat_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values, struct attn_counters *count) {
    (void)as_values, (void)head;
    count->keys += n * c->o.m;
    count->tables += n * 4 * c->o.m;
    count->codebooks += 2 * head_dim * c->o.k;
}

const struct kv_codec codec_lookat = {
    .name = "lookat",
    .summary = "product-quantised keys scored from lookup tables: m bytes a key; needs codebooks (lookat calibrate)",
    .options = "m k",
    .keys = true,
    .check = lookat_check,
    .setup = lookat_setup,
    .row_bytes = lookat_row_bytes,
    .scale_bytes = lookat_scale_bytes,
    .store = lookat_store,
    .decode = lookat_decode,
    .work_floats = lookat_work_floats,
    .prepare = lookat_prepare,
    .score = lookat_score,
    .reads = lookat_reads,
};
