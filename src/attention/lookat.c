/* lookat: keys as product-quantised codes, scored from lookup tables (arXiv 2601.10155; product quantisation: Jegou, Douze, Schmid 2011).
 *
 * A key of D dimensions is cut into M subvectors of D/M. Each has a codebook of K centroids; the stored key is the number of the nearest centroid of
 * each subvector: M bytes. For a query, table[j][c] = q_j . centroid[j][c] is computed once, and the score of a key is sum_j table[j][code_j]: exactly
 * q . (its centroids put together), without putting them together.
 *
 * Option table=B, bits of a table entry. 32: float32. 16 and 8: a query's tables are rounded to whole numbers q of B bits,
 * table[j][c] = low_j + step q[j][c] with step = max_j (max_c table[j][c] - min_c table[j][c]) / (2^B - 1), and summed as such: a score q . k is off by
 * at most M step / 2 (kernels.h has the bound with its roundings), at 16 bits less than f16 keys are. Registers hold such tables where the CPU can look
 * up bytes in them.
 *
 * Codes lie in blocks of 64 keys, [M][64]: a block's codes of one subspace are one vector.
 *
 * Reads of a query over n keys:
 *     keys       n M       the codes
 *     tables     n M B/8   one entry a code
 *     codebooks  2 D K     every centroid once, in f16, to make the tables
 * Building the tables takes D K multiply-adds whatever M is: as many as scoring K keys exactly. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/book.h"
#include "attention/codecs.h"
#include "base/size.h"

enum { K_MAX = 256, GATHERED = 128, TABLE_BITS = 16 };

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
    static const size_t ms[] = {1, 2, 4, 8, 16, 32}, ks[] = {4, 16, 64, 256} /* 4: small enough to follow by hand */, bits[] = {8, 16, 32};
    if (!c->o.m) c->o.m = 4;
    if (!c->o.k) c->o.k = 256;
    if (!c->o.table) c->o.table = TABLE_BITS;
    if (!is_one_of(c->o.m, ms, sizeof ms / sizeof *ms))
        return err_set(e, ERR_USAGE, "lookat: m=%zu, expected 1, 2, 4, 8, 16 or 32 subspaces", c->o.m);
    if (!is_one_of(c->o.k, ks, sizeof ks / sizeof *ks))
        return err_set(e, ERR_USAGE, "lookat: k=%zu, expected 4, 16, 64 or 256 centroids", c->o.k);
    if (!is_one_of(c->o.table, bits, sizeof bits / sizeof *bits))
        return err_set(e, ERR_USAGE, "lookat: table=%zu, expected 8, 16 or 32 bits", c->o.table);
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

static struct kv_layout lookat_layout(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim, (void)head;
    return (struct kv_layout){LOOKUP_BLOCK, LOOKUP_BLOCK * c->o.m};
}

/* Row pos of a timeline: its code of subspace j is j LOOKUP_BLOCK bytes further. */
static size_t row_at(size_t pos, size_t M) { return pos / LOOKUP_BLOCK * LOOKUP_BLOCK * M + pos % LOOKUP_BLOCK; }

/* Rows that lie in one block. The nearest centroid has the largest x . c - |c|^2 / 2. */
static void store_rows(const struct codec_head *h, uint8_t *codes, const float *x, size_t stride, size_t n) {
    const struct layer_books *y = h->codec->data;
    size_t M = h->codec->o.m, K = h->codec->o.k, d = h->head_dim / M;
    uint32_t nearest[LOOKUP_BLOCK];
    for (size_t j = 0; j < M; j++, codes += LOOKUP_BLOCK) {
        h->k->nearest(DTYPE_F16, nearest, centroids_of(h) + j * d * K, y->bias + (h->head * M + j) * K, d, K, x + j * d, stride, n);
        for (size_t i = 0; i < n; i++) codes[i] = (uint8_t)nearest[i];
    }
}

/* A block that is begun is cleared, so that every byte of it is a code. */
static void lookat_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x, size_t stride, size_t n) {
    size_t M = h->codec->o.m;
    for (size_t count; n; pos += count, x += count * stride, n -= count) {
        size_t room = LOOKUP_BLOCK - pos % LOOKUP_BLOCK;
        count = n < room ? n : room;
        if (room == LOOKUP_BLOCK) memset(timeline + row_at(pos, M), 0, LOOKUP_BLOCK * M);
        store_rows(h, timeline + row_at(pos, M), x, stride, count);
    }
}

static void lookat_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    size_t D = h->head_dim, M = h->codec->o.m, K = h->codec->o.k, d = D / M;
    const uint16_t *centroids = centroids_of(h);
    uint16_t gathered[GATHERED];
    for (size_t i = 0; i < n; i++) {
        const uint8_t *codes = timeline + row_at(begin + i, M);
        for (size_t first = 0; first < D; first += GATHERED) {
            size_t count = D - first < GATHERED ? D - first : GATHERED;
            for (size_t r = 0, j = first / d, left = (j + 1) * d - first; r < count; j++, left = d) {
                const uint16_t *column = centroids + (first + r) * K + codes[j * LOOKUP_BLOCK];
                for (; left && r < count; left--, r++, column += K) gathered[r] = *column;
            }
            h->k->to_f32(DTYPE_F16, x + i * D + first, gathered, count);
        }
    }
}

/* What prepare makes for score: table[M][K]; behind it, on cache lines, the scale of the rounded tables and their entries. */
static size_t scale_at(const struct codec *c) { return size_align(c->o.m * c->o.k, 16); }

static size_t lookat_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim, (void)head;
    size_t rounded = c->o.table == 32 ? 0 : 16 + lookup_entry_bytes(c->o.m, c->o.k, c->o.table) / sizeof(float);
    return scale_at(c) + rounded;
}

static bool finite_numbers(const float *x, size_t n) {
    int32_t most = 0, bits; /* of a magnitude: those of numbers that are not finite are the largest */
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    return most < 0x7f800000;
}

static void lookat_prepare(const struct codec_head *h, float *work, const float *q, struct attn_counters *c) {
    const struct codec_options *o = &h->codec->o;
    size_t M = o->m, K = o->k, D = h->head_dim;
    h->k->lookup_tables(work, centroids_of(h), q, M, D / M, K);
    c->codebooks += D * K * sizeof(uint16_t);
    if (o->table == 32) return;
    struct lookup_scale scale;
    h->k->lookup_round(&scale, work + scale_at(h->codec) + 16, work, M, K, o->table);
    if (!finite_numbers(q, D)) scale.low = NAN; /* and so every score */
    memcpy(work + scale_at(h->codec), &scale, sizeof scale);
}

static void lookat_score(const struct codec_head *h, const float *work, float *scores, const uint8_t *timeline, size_t n, struct attn_counters *c) {
    const struct codec_options *o = &h->codec->o;
    const float *rounded = work + scale_at(h->codec);
    struct lookup_scale scale;
    if (o->table == 32) {
        h->k->lookup(scores, work, o->m, o->k, timeline, n);
    } else {
        memcpy(&scale, rounded, sizeof scale);
        h->k->lookup_rounded(scores, rounded + 16, &scale, o->m, o->k, o->table, timeline, n);
    }
    c->keys += n * o->m;
    c->tables += n * o->m * o->table / 8;
}

static void lookat_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values, struct attn_counters *count) {
    (void)as_values, (void)head;
    count->keys += n * c->o.m;
    count->tables += n * c->o.m * c->o.table / 8;
    count->codebooks += 2 * head_dim * c->o.k;
}

const struct kv_codec codec_lookat = {
    .name = "lookat",
    .summary = "product-quantised keys scored from lookup tables: m bytes a key; needs codebooks (lookat calibrate)",
    .options = "m k table",
    .keys = true,
    .check = lookat_check,
    .setup = lookat_setup,
    .row_bytes = lookat_row_bytes,
    .scale_bytes = lookat_scale_bytes,
    .layout = lookat_layout,
    .store = lookat_store,
    .decode = lookat_decode,
    .work_floats = lookat_work_floats,
    .prepare = lookat_prepare,
    .score = lookat_score,
    .reads = lookat_reads,
};
