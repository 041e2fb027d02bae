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
 * What is learned (learn.h): the error of a head's output is sum_i p_i (v_i - vhat_i), and the
 * model multiplies it with O, the head's columns of the output projection. If the errors of
 * different values are independent, a value counts sum_q p^2, and its error is (v - vhat)^T O^T O
 * (v
 * - vhat).
 *
 * Reads of a query over n values:
 *     values     n bytes of codes a row
 *     tables     4 bytes of a bucket for each of those
 *     codebooks  2 (sum of widths) K + 2 D D + 2 D    every centroid once, in f16, with B and the
 *                                                     mean */
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

/* What start clears, mix adds to and finish uses: [copies][bytes of a row][BUCKETS] sums of p;
 * whether some p was no probability; then, of finish, [codes][K] sums of each code. */
struct buckets {
    uint32_t *bytes, *wrong, *codes;
};

static size_t buckets_floats(size_t bytes) { return bucket_copies(bytes) * bytes * BUCKETS + 16; }

static struct buckets buckets_at(const struct quantiser *z, float *work) {
    size_t n = buckets_floats(lookup_row_bytes(z->n, z->k));
    uint32_t *bytes = (uint32_t *)(void *)work;
    return (struct buckets){bytes, bytes + n - 16, bytes + n};
}

static size_t pq_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    return buckets_floats(code_rows_row_bytes(c, head_dim, head)) +
           code_rows_codes(c, head) * c->o.k;
}

static void pq_start(const struct codec_head *h, float *work) {
    const struct quantiser *z = code_rows_quantiser(h);
    memset(work, 0, buckets_floats(lookup_row_bytes(z->n, z->k)) * sizeof *work);
}

static void pq_mix(const struct codec_head *h, float *work, float *out, const uint8_t *timeline,
                   const float *p, size_t n, struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t bytes = lookup_row_bytes(z->n, z->k);
    struct buckets b = buckets_at(z, work);
    (void)out;
    if (!h->kn->bucket_add(b.bytes, timeline, p, bytes, n)) *b.wrong = 1;
    c->values += n * bytes;
    c->tables += n * bytes * sizeof *b.bytes;
}

static void pq_finish(const struct codec_head *h, float *work, float *out,
                      struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    struct buckets b = buckets_at(z, work);
    uint32_t all = 0;
    h->kn->bucket_sums(b.codes, b.bytes, z->n, z->k);
    for (size_t i = 0; i < z->k; i++) all += b.codes[i];
    quantiser_mix(h->kn, z, out, b.codes, *b.wrong ? NAN : (float)all * UNIT, UNIT);
    c->codebooks += quantiser_bytes(z);
}

static void pq_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values,
                     struct attn_counters *count) {
    size_t bytes = code_rows_row_bytes(c, head_dim, head);
    (void)as_values;
    count->values += n * bytes;
    count->tables += n * bytes * sizeof(uint32_t);
    count->codebooks += quantiser_bytes((const struct quantiser *)c->data + head);
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
    .decode = code_rows_decode,
    .work_floats = pq_work_floats,
    .start = pq_start,
    .mix = pq_mix,
    .finish = pq_finish,
    .reads = pq_reads,
};
