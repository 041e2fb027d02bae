/* pq: values as product-quantised codes, mixed without putting a value together again: the dual of
 * LOOKAT's tables. A learned quantiser (quantiser.h) for each head turns a value into M codes (K =
 * 256: M bytes; K = 16: half as many). For a query with probabilities p,
 *
 *     bucket_j[c] = sum of p_i over the rows i whose code_j is c
 *     out = sum_i p_i vhat_i = (sum_i p_i) mean + B^T y,    y = sum_j sum_c bucket_j[c]
 *                                                           centroid_j[c]
 *
 * so a row costs M additions, and a query one product of buckets and centroids, whatever the number
 * of rows. Probabilities become whole numbers of 2^-30 first: sums are exact, and the same in any
 * order.
 *
 * With K = 16 there is a faster way, without additions to scattered places. The 16 numbers that the
 * centroids of a code have in one dimension fit a register, and one instruction looks up as many
 * rows as it has bytes. So y is summed a dimension at a time, over all rows, in whole numbers
 * (pair_sums of kernels.h): centroids are rounded to multiples of a scale (quantiser_round), and
 * probabilities to multiples of 2^-23. With both rounded, n rows and P the sum of the p,
 *
 *     |error of y_d| <= n 2^-24 most_d + P scale_d,    most_d the largest |number| of dimension d
 *
 * against the centroids of the file. scale_d is most_d / 112 at most, and a row that weighs less
 * than 2^-24 vanishes; all that can vanish is n 2^-24, 0.0005 of 1 for 8,192 rows.
 *
 * What is learned (learn.h): the error of a head's output is sum_i p_i (v_i - vhat_i), and the
 * model multiplies it with O, the head's columns of the output projection. If the errors of
 * different values are independent, a value counts sum_q p^2, and its error is (v - vhat)^T O^T O
 * (v
 * - vhat).
 *
 * Reads of a query over n values:
 *     values     n bytes of codes a row
 *     tables     4 bytes of a bucket for each of those; K = 16: n w / 2, the 32 bytes of both
 * tables of a sum for each 64 rows, with w sums, which are the dimensions of all bytes codebooks  2
 * (sum of widths) K + b D + 2 D    every centroid once, in f16, with B and the mean. A row of B
 * takes b = 34 D/32 bytes where 32 divides D, else 2 D (quantiser.h) K = 16: 36 w + b D + 2 D two
 * tables of 16 bytes and a scale for each sum */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/registry.h"
#include "attention/code_rows.h"
#include "base/size.h"

#define UNIT 0x1p-30f /* of what bucket_add sums */

static int pq_check(struct codec *c, size_t head_dim, struct err *e) {
    if (!c->o.m && !c->o.bytes) c->o.m = 16;
    return code_rows_check(c, head_dim, e);
}

static int pq_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    const struct codebook *y = s->book ? code_rows_choose(&c->o, s->book, true) : NULL;
    return y ? code_rows_setup(c, s, y, e) : code_rows_missing(c, s->book, e);
}

/* ---- K = 16: sums of pairs ---- */

/* What pq_start clears, pq_mix adds to and pq_finish uses. */
struct sums {
    int32_t *of_dims;      /* [pairs->tables.n] */
    uint32_t *all, *wrong; /* the sum of p; is some p no probability? */
};

static size_t sums_floats(const struct quantiser_pairs *pairs) { return pairs->tables.n + 2; }

static struct sums sums_at(const struct quantiser_pairs *pairs, float *work) {
    int32_t *of_dims = (int32_t *)(void *)work;
    uint32_t *behind = (uint32_t *)(void *)(work + pairs->tables.n);
    return (struct sums){of_dims, behind, behind + 1};
}

static void mix_pairs(const struct codec_head *h, const struct quantiser *z, float *work,
                      const uint8_t *timeline, const float *p, size_t n) {
    struct sums s = sums_at(z->pairs, work);
    if (!h->kn->pair_sums(s.of_dims, s.all, &z->pairs->tables, timeline, p, n)) *s.wrong = 1;
}

static void finish_pairs(const struct codec_head *h, const struct quantiser *z, float *work,
                         float *out) {
    struct sums s = sums_at(z->pairs, work);
    quantiser_mix_pairs(h->kn, z, out, s.of_dims,
                        *s.wrong ? NAN : (float)*s.all * (1.0f / PAIR_ONE));
}

/* ---- other K: buckets ---- */

/* What pq_start clears, pq_mix adds to and pq_finish uses: [copies][bytes of a row][BUCKETS] sums
 * of p; whether some p was no probability; then, of pq_finish, [codes][K] sums of each code. */
struct buckets {
    uint32_t *bytes, *wrong, *codes;
};

static size_t buckets_floats(size_t bytes) { return bucket_copies(bytes) * bytes * BUCKETS + 16; }

static struct buckets buckets_at(const struct quantiser *z, float *work) {
    size_t n = buckets_floats(z->n);
    uint32_t *bytes = (uint32_t *)(void *)work;
    return (struct buckets){bytes, bytes + n - 16, bytes + n};
}

static void mix_buckets(const struct codec_head *h, const struct quantiser *z, float *work,
                        const uint8_t *timeline, const float *p, size_t n) {
    struct buckets b = buckets_at(z, work);
    if (!h->kn->bucket_add(b.bytes, timeline, p, z->n, n)) *b.wrong = 1;
}

static void finish_buckets(const struct codec_head *h, const struct quantiser *z, float *work,
                           float *out) {
    struct buckets b = buckets_at(z, work);
    uint32_t all = 0;
    h->kn->bucket_sums(b.codes, b.bytes, z->n, z->k);
    for (size_t i = 0; i < z->k; i++) all += b.codes[i];
    quantiser_mix(h->kn, z, out, b.codes, *b.wrong ? NAN : (float)all * UNIT, UNIT);
}

/* ---- the codec ---- */

static size_t pq_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    const struct quantiser *z = (const struct quantiser *)c->data + head;
    (void)head_dim;
    return z->pairs ? sums_floats(z->pairs) : buckets_floats(z->n) + z->n * z->k;
}

static void pq_start(const struct codec_head *h, float *work) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t n = z->pairs ? sums_floats(z->pairs) : buckets_floats(z->n);
    memset(work, 0, n * sizeof *work);
}

static void pq_fetch(const struct codec_head *h) { quantiser_fetch(code_rows_quantiser(h)); }

static void pq_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                   const float *p, size_t n, struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t bytes = lookup_row_bytes(z->n, z->k);
    (void)out;
    (z->pairs ? mix_pairs : mix_buckets)(h, z, work, timeline, p, n);
    c->values += n * bytes;
    c->tables += z->pairs ? n * z->pairs->tables.n / 2 : n * bytes * sizeof(uint32_t);
}

static void pq_finish(const struct codec_head *h, float *work, float *out,
                      struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    (z->pairs ? finish_pairs : finish_buckets)(h, z, work, out);
    c->codebooks += quantiser_bytes(z);
}

/* The sums of a head with K = 16: a byte's two codes share one for each dimension where they have
 * the same range. */
static size_t sums_of(const struct quantiser *z) {
    size_t sums = 0;
    for (size_t j = 0; j < z->n; j++) {
        const struct quantiser_range *g = &z->ranges[j];
        bool shared = j % 2 && g->at == g[-1].at && g->width == g[-1].width;
        sums += shared ? 0 : g->width;
    }
    return sums;
}

static void pq_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                     struct attn_counters *count) {
    const struct quantiser *z = (const struct quantiser *)c->data + head;
    size_t bytes = code_rows_row_bytes(c, head_dim, head), widths = 0;
    (void)as_values;
    for (size_t j = 0; j < z->n; j++) widths += z->ranges[j].width;
    count->values += n * bytes;
    count->tables += z->k == 16 ? n * sums_of(z) / 2 : n * bytes * sizeof(uint32_t);
    count->codebooks += (z->k == 16 ? 36 * sums_of(z) : 2 * widths * z->k) +
                        head_dim * (head_dim + 2) + 2 * head_dim;
}

const struct kv_codec codec_pq = {
    .name = "pq",
    .summary = "product-quantised values mixed from buckets: m bytes a value (with k=16 half of "
               "that), or bytes= on average; needs codebooks",
    .options = OPTION_M | OPTION_BYTES | OPTION_K | OPTION_LEARNED,
    .example = "lookat4/pq16",
    .values = true,
    .codebooks = true,
    .check = pq_check,
    .setup = pq_setup,
    .row_bytes = code_rows_row_bytes,
    .scale_bytes = code_rows_scale_bytes,
    .layout = code_rows_layout,
    .store = code_rows_store,
    .accepts = code_rows_accepts,
    .decode = code_rows_decode,
    .work_floats = pq_work_floats,
    .start = pq_start,
    .fetch = pq_fetch,
    .mix = pq_mix,
    .finish = pq_finish,
    .reads = pq_reads,
};
