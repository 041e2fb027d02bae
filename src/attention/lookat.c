/* lookat: keys as product-quantised codes, scored from lookup tables (arXiv 2601.10155; product
 * quantisation: Jegou, Douze, Schmid 2011).
 *
 * A key of D dimensions is cut into M subvectors of D/M. Each has a codebook of K centroids; the
 * stored key is the number of the nearest centroid of each subvector: M bytes. For a query,
 * table[j][c] = q_j . centroid[j][c] is computed once, and the score of a key is sum_j
 * table[j][code_j]: exactly q . (its centroids put together), without putting them together. That
 * is the published method, option `plain`. Option `learned` means a learned quantiser (quantiser.h)
 * for each head: subvectors of uneven widths of A (key - mean), and tables from B q. Option bytes=N
 * instead of m means learned, and each head with a number of codes of its own, N bytes on average
 * over the heads of all layers (book.h, calibration/allot.h). m with none of the three means
 * bytes=M where the book has that, else learned, else plain.
 *
 * Option table=N says how many bits a table entry has. 32 is float32. With 16 or 8 a query's tables
 * are rounded to whole numbers e of N bits, table[j][c] = low_j + step e[j][c] with step = max_j
 * (max_c table[j][c] - min_c table[j][c]) / (2^N - 1), and the whole numbers are added. Then a
 * score is off by at most M step / 2 (kernels.h has the bound with its roundings). At 16 bits that
 * is less than what f16 keys are off by. Where the processor can look up bytes in registers, such
 * tables stay in them.
 *
 * code_rows.h has how codes lie: with K = 16 two share a byte.
 *
 * Reads of a query over n keys:
 *     keys       n M       the codes; K = 16: n M/2
 *     tables     n M N/8   one entry a code
 *     codebooks  2 D K     every centroid once, in f16, to make the tables; learned: 2 (sum of
 *                          widths) K + (D + 2) D + 2 D, with B, in 8 bits and a scale a row, and
 *                          the mean in f16
 * where n M is n codes of the head. Building the tables takes D K multiply-adds whatever M is: as
 * many as scoring K keys exactly; learned D D more. */
#include <math.h>
#include <string.h>

#include "attention/registry.h"
#include "attention/code_rows.h"
#include "base/size.h"

enum { TABLE_BITS = 16 };

static int lookat_check(struct codec *c, size_t head_dim, struct err *e) {
    if (!c->o.bytes && !c->o.m) c->o.m = 4;
    if (!c->o.table) c->o.table = TABLE_BITS;
    if (c->o.table != 8 && c->o.table != 16 && c->o.table != 32)
        return err_set(e, ERR_USAGE, "lookat: table=%zu, expected 8, 16 or 32 bits", c->o.table);
    return code_rows_check(c, head_dim, e);
}

static int lookat_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    const struct codebook *y = s->book ? code_rows_choose(&c->o, s->book, false) : NULL;
    return y ? code_rows_setup(c, s, y, e) : code_rows_missing(c, s->book, e);
}

/* What lookat_prepare makes for lookat_score, each part on a cache line of its own:
 *
 *     | table [M][K], float32 | scale of the rounded tables, or q . mean, 64 bytes | entries |
 *
 * scale_at returns where the scale lies, in floats. */
static size_t scale_at(const struct codec *c, size_t head) {
    return size_align(code_rows_codes(c, head) * c->o.k, 16);
}

static size_t lookat_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim;
    size_t rounded =
        c->o.table == 32
            ? 0
            : lookup_entry_bytes(code_rows_codes(c, head), c->o.k, c->o.table) / sizeof(float);
    return scale_at(c, head) + 16 + rounded;
}

static bool finite_numbers(const float *x, size_t n) {
    int32_t most = 0, bits; /* of a magnitude: what is not finite has larger ones than any number */
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    return most < 0x7f800000;
}

static void lookat_prepare(const struct codec_head *h, float *work, const float *q,
                           struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t bits = h->codec->o.table;
    float *behind = work + scale_at(h->codec, h->head);
    struct lookup_scale scale = {0};
    float common = quantiser_tables(h->kn, z, work, q);
    c->codebooks += quantiser_bytes(z);
    if (bits != 32) h->kn->lookup_round(&scale, behind + 16, work, z->n, z->k, bits);
    scale.low += common;
    if (!finite_numbers(q, z->dim)) scale.low = NAN; /* and so every score */
    memcpy(behind, &scale, sizeof scale);
}

static void lookat_score(const struct codec_head *h, const float *work, float *scores,
                         const uint8_t *timeline, size_t n, struct attn_counters *c) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t bits = h->codec->o.table;
    const float *behind = work + scale_at(h->codec, h->head);
    struct lookup_scale scale;
    memcpy(&scale, behind, sizeof scale);
    if (bits != 32)
        h->kn->lookup_rounded(scores, behind + 16, &scale, z->n, z->k, bits, timeline, n);
    else
        h->kn->lookup(scores, work, z->n, z->k, timeline, n);
    for (size_t i = 0; bits == 32 && z->mean && i < n; i++) scores[i] += scale.low;
    c->keys += n * lookup_row_bytes(z->n, z->k);
    c->tables += n * z->n * bits / 8;
}

static void lookat_reads(const struct codec *c, size_t head_dim, size_t head, size_t n,
                         bool as_values, struct attn_counters *count) {
    const struct quantiser *z = (const struct quantiser *)c->data + head;
    (void)as_values;
    size_t widths = 0;
    for (size_t j = 0; j < z->n; j++) widths += z->ranges[j].width;
    count->keys += n * lookup_row_bytes(z->n, z->k);
    count->tables += n * z->n * c->o.table / 8;
    count->codebooks +=
        2 * widths * c->o.k + (z->inverse ? head_dim * (head_dim + 2) + 2 * head_dim : 0);
}

const struct kv_codec codec_lookat = {
    .name = "lookat",
    .summary = "product-quantised keys scored from lookup tables: m bytes a key (with k=16 half of "
               "that), or bytes= on average; needs codebooks",
    .options = OPTION_M | OPTION_BYTES | OPTION_K | OPTION_TABLE | OPTION_PLAIN | OPTION_LEARNED,
    .example = "lookat4:sink=1,window=32,exact=8",
    .keys = true,
    .codebooks = true,
    .check = lookat_check,
    .setup = lookat_setup,
    .row_bytes = code_rows_row_bytes,
    .scale_bytes = code_rows_scale_bytes,
    .layout = code_rows_layout,
    .store = code_rows_store,
    .accepts = code_rows_accepts,
    .decode = code_rows_decode,
    .work_floats = lookat_work_floats,
    .prepare = lookat_prepare,
    .score = lookat_score,
    .reads = lookat_reads,
};
