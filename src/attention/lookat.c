/* lookat: keys as product-quantised codes, scored from lookup tables (arXiv 2601.10155; product quantisation: Jegou, Douze, Schmid 2011).
 *
 * A key of D dimensions is cut into M subvectors of D/M. Each has a codebook of K centroids; the stored key is the number of the nearest centroid of
 * each subvector: M bytes. For a query, table[j][c] = q_j . centroid[j][c] is computed once, and the score of a key is sum_j table[j][code_j]: exactly
 * q . (its centroids put together), without putting them together. That is the published method, option `plain`. Option `learned`: a learned quantiser
 * (quantiser.h) for each head: subvectors of uneven widths of A (key - mean), tables from B q. Option bytes=N instead of m: learned, each head with a
 * number of codes of its own, N on average over the heads of all layers (book.h, quantiser_allot). m with none of the three: bytes=M where the book
 * has that, else learned, else plain.
 *
 * Option table=B, bits of a table entry. 32: float32. 16 and 8: a query's tables are rounded to whole numbers q of B bits,
 * table[j][c] = low_j + step q[j][c] with step = max_j (max_c table[j][c] - min_c table[j][c]) / (2^B - 1), and summed as such: a score q . k is off by
 * at most M step / 2 (kernels.h has the bound with its roundings), at 16 bits less than f16 keys are. Registers hold such tables where the CPU can look
 * up bytes in them.
 *
 * Codes lie in blocks of 64 keys, [M][64]: a block's codes of one subspace are one vector. With K = 16 two codes share a byte, M/2 bytes a key (a whole
 * number: of an odd M rounded up); kernels.h has where.
 *
 * Reads of a query over n keys:
 *     keys       n M       the codes; K = 16: n M/2
 *     tables     n M B/8   one entry a code
 *     codebooks  2 D K     every centroid once, in f16, to make the tables; learned: 2 (sum of widths) K + 2 D D + 2 D, with B and the mean
 * where n M is n codes of the head. Building the tables takes D K multiply-adds whatever M is: as many as scoring K keys exactly; learned D D more. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/book.h"
#include "attention/codecs.h"
#include "base/size.h"

enum { K_MAX = 256, TABLE_BITS = 16 };

static bool is_one_of(size_t x, const size_t *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == x) return true;
    return false;
}

static int lookat_check(struct codec *c, size_t head_dim, struct err *e) {
    static const size_t ms[] = {1, 2, 4, 8, 16, 32}, ks[] = {4, 16, 64, 256} /* 4: small enough to follow by hand */, bits[] = {8, 16, 32};
    if (c->o.bytes && (c->o.m || c->o.plain)) return err_set(e, ERR_USAGE, "lookat: bytes and %s exclude each other", c->o.m ? "m" : "plain");
    if (c->o.bytes > LOOKUP_MAX_M || c->o.bytes > head_dim)
        return err_set(e, ERR_USAGE, "lookat: bytes=%zu, expected 1 to %zu", c->o.bytes, head_dim < LOOKUP_MAX_M ? head_dim : LOOKUP_MAX_M);
    if (!c->o.bytes && !c->o.m) c->o.m = 4;
    if (!c->o.k) c->o.k = 256;
    if (!c->o.table) c->o.table = TABLE_BITS;
    if (!c->o.bytes && !is_one_of(c->o.m, ms, sizeof ms / sizeof *ms))
        return err_set(e, ERR_USAGE, "lookat: m=%zu, expected 1, 2, 4, 8, 16 or 32 subspaces", c->o.m);
    if (c->o.bytes && c->o.k < 64) return err_set(e, ERR_USAGE, "lookat: bytes=%zu with k=%zu, expected 64 or 256 centroids", c->o.bytes, c->o.k);
    if (!is_one_of(c->o.k, ks, sizeof ks / sizeof *ks))
        return err_set(e, ERR_USAGE, "lookat: k=%zu, expected 4, 16, 64 or 256 centroids", c->o.k);
    if (!is_one_of(c->o.table, bits, sizeof bits / sizeof *bits))
        return err_set(e, ERR_USAGE, "lookat: table=%zu, expected 8, 16 or 32 bits", c->o.table);
    if (c->o.plain && c->o.learned) return err_set(e, ERR_USAGE, "lookat: plain and learned exclude each other");
    if (!c->o.bytes && head_dim % c->o.m)
        return err_set(e, ERR_USAGE, "lookat: %zu subspaces do not divide the head dimension of %zu", c->o.m, head_dim);
    return OK;
}

static int no_codebook(const struct codec *c, const struct book *b, struct err *e) {
    const char *kind = c->o.plain ? "plain" : c->o.learned ? "learned" : NULL;
    char name[40], where[96] = "it needs codebooks";
    if (c->o.bytes)
        snprintf(name, sizeof name, "lookat:bytes=%zu,k=%zu", c->o.bytes, c->o.k);
    else if (c->o.k == K_MAX)
        snprintf(name, sizeof name, "lookat%zu%s%s", c->o.m, kind ? ":" : "", kind ? kind : "");
    else
        snprintf(name, sizeof name, "lookat:m=%zu,k=%zu%s%s", c->o.m, c->o.k, kind ? "," : "", kind ? kind : "");
    if (b) snprintf(where, sizeof where, "%.70s has no such codebooks", b->path);
    return err_set(e, ERR_USAGE, "--attn %s: %s; to make them: lookat calibrate -m MODEL -f TEXT --attn %s -o BOOK.gguf", name, where, name);
}

/* The published method as a quantiser of a head: centroids [M][D/M][K] */
static void plain_stages(struct quantiser *z, const uint16_t *centroids) {
    size_t width = z->dim / z->n;
    for (size_t j = 0; j < z->n; j++)
        z->stages[j] = (struct quantiser_stage){.at = j * width, .width = width, .centroids = centroids + j * width * z->k};
}

static int set_up_head(struct quantiser *z, const struct codebook *y, const struct codec_setup *s, size_t head, struct err *e) {
    size_t number = s->layer * s->n_head + head;
    *z = y->learned ? y->heads[number] : (struct quantiser){.dim = s->head_dim, .k = y->k, .n = y->m};
    const struct quantiser_stage *learned = z->stages;
    z->stages = arena_alloc(s->arena, z->n, sizeof *z->stages);
    if (!z->stages) return err_set(e, ERR_FAILED, "out of memory for the codebooks of layer %zu", s->layer);
    if (y->learned)
        memcpy(z->stages, learned, z->n * sizeof *z->stages);
    else
        plain_stages(z, y->centroids + number * z->dim * z->k);
    return quantiser_prepare(z, s->arena, e);
}

/* What the options mean in this book; the options then name it. NULL: it has no such. */
static const struct codebook *choose(struct codec_options *o, const struct book *b) {
    const struct codebook *y = o->bytes || !(o->plain || o->learned) ? book_find(b, o->bytes ? o->bytes : o->m, o->k, CODEBOOK_UNEVEN) : NULL;
    if (!y && !o->bytes && !o->plain) y = book_find(b, o->m, o->k, CODEBOOK_LEARNED);
    if (!y && !o->bytes && !o->learned) y = book_find(b, o->m, o->k, CODEBOOK_PLAIN);
    if (!y) return NULL;
    o->learned = y->learned && !y->uneven, o->plain = !y->learned;
    o->m = y->uneven ? 0 : y->m, o->bytes = y->uneven ? y->m : 0;
    return y;
}

/* c->data: the quantiser of each head */
static int lookat_setup(struct codec *c, const struct codec_setup *s, struct err *e) {
    const struct codebook *y = s->book ? choose(&c->o, s->book) : NULL;
    if (!y) return no_codebook(c, s->book, e);
    struct quantiser *heads = arena_alloc(s->arena, s->n_head, sizeof *heads);
    int rc = heads ? OK : err_set(e, ERR_FAILED, "out of memory for the codebooks of layer %zu", s->layer);
    for (size_t h = 0; h < s->n_head && !rc; h++) rc = set_up_head(&heads[h], y, s, h, e);
    c->data = heads;
    return rc;
}

static const struct quantiser *quantiser_of(const struct codec_head *h) { return (const struct quantiser *)h->codec->data + h->head; }

/* Codes of a row; before setup what the options promise, of bytes= the average. */
static size_t codes_of(const struct codec *c, size_t head) {
    return c->data ? ((const struct quantiser *)c->data)[head].n : c->o.bytes ? c->o.bytes : c->o.m;
}

static size_t lookat_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim;
    return lookup_row_bytes(codes_of(c, head), c->o.k);
}

static size_t lookat_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 0;
}

static struct kv_layout lookat_layout(const struct codec *c, size_t head_dim, size_t head) {
    return (struct kv_layout){LOOKUP_BLOCK, LOOKUP_BLOCK * lookat_row_bytes(c, head_dim, head)};
}

/* Row pos of a timeline of rows of so many bytes: a row's next byte is LOOKUP_BLOCK further. */
static size_t row_at(size_t pos, size_t bytes) { return pos / LOOKUP_BLOCK * LOOKUP_BLOCK * bytes + pos % LOOKUP_BLOCK; }

/* n rows with two codes a byte, and apart, a byte each: both as in a block. */
static void pack(uint8_t *rows, const uint8_t *apart, size_t M, size_t n) {
    for (size_t j = 0; j < M; j += 2)
        for (size_t i = 0; i < n; i++) {
            const uint8_t *code = apart + j * LOOKUP_BLOCK + i;
            rows[j / 2 * LOOKUP_BLOCK + i] = (uint8_t)(code[0] | (j + 1 < M ? code[LOOKUP_BLOCK] << 4 : 0));
        }
}

static void unpack(uint8_t *apart, const uint8_t *rows, size_t M, size_t n) {
    for (size_t j = 0; j < M; j++)
        for (size_t i = 0; i < n; i++) apart[j * LOOKUP_BLOCK + i] = rows[j / 2 * LOOKUP_BLOCK + i] >> j % 2 * 4 & 15;
}

/* A block that is begun is cleared, so that every byte of it is a code. */
static void lookat_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x, size_t stride, size_t n) {
    const struct quantiser *z = quantiser_of(h);
    uint8_t apart[LOOKUP_MAX_M * LOOKUP_BLOCK];
    size_t bytes = lookup_row_bytes(z->n, z->k);
    bool packed = bytes < z->n;
    for (size_t count; n; pos += count, x += count * stride, n -= count) {
        size_t room = LOOKUP_BLOCK - pos % LOOKUP_BLOCK;
        uint8_t *rows = timeline + row_at(pos, bytes);
        count = n < room ? n : room;
        if (room == LOOKUP_BLOCK) memset(rows, 0, LOOKUP_BLOCK * bytes);
        quantiser_encode(h->k, z, packed ? apart : rows, 1, LOOKUP_BLOCK, x, stride, count);
        if (packed) pack(rows, apart, z->n, count);
    }
}

static void lookat_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin, size_t n) {
    const struct quantiser *z = quantiser_of(h);
    uint8_t apart[LOOKUP_MAX_M * LOOKUP_BLOCK];
    size_t bytes = lookup_row_bytes(z->n, z->k);
    bool packed = bytes < z->n;
    for (size_t count; n; begin += count, x += count * h->head_dim, n -= count) {
        size_t room = LOOKUP_BLOCK - begin % LOOKUP_BLOCK;
        const uint8_t *rows = timeline + row_at(begin, bytes);
        count = n < room ? n : room;
        if (packed) unpack(apart, rows, z->n, count);
        quantiser_decode(h->k, z, x, packed ? apart : rows, 1, LOOKUP_BLOCK, count);
    }
}

/* What prepare makes for score: table[M][K]; behind it, on cache lines, the scale of the rounded tables (or q . mean) and their entries. */
static size_t scale_at(const struct codec *c, size_t head) { return size_align(codes_of(c, head) * c->o.k, 16); }

static size_t lookat_work_floats(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim;
    size_t rounded = c->o.table == 32 ? 0 : lookup_entry_bytes(codes_of(c, head), c->o.k, c->o.table) / sizeof(float);
    return scale_at(c, head) + 16 + rounded;
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
    const struct quantiser *z = quantiser_of(h);
    size_t bits = h->codec->o.table;
    float *behind = work + scale_at(h->codec, h->head);
    struct lookup_scale scale = {0};
    float common = quantiser_tables(h->k, z, work, q);
    c->codebooks += quantiser_bytes(z);
    if (bits != 32) h->k->lookup_round(&scale, behind + 16, work, z->n, z->k, bits);
    scale.low += common;
    if (!finite_numbers(q, z->dim)) scale.low = NAN; /* and so every score */
    memcpy(behind, &scale, sizeof scale);
}

static void lookat_score(const struct codec_head *h, const float *work, float *scores, const uint8_t *timeline, size_t n, struct attn_counters *c) {
    const struct quantiser *z = quantiser_of(h);
    size_t bits = h->codec->o.table;
    const float *behind = work + scale_at(h->codec, h->head);
    struct lookup_scale scale;
    memcpy(&scale, behind, sizeof scale);
    if (bits != 32)
        h->k->lookup_rounded(scores, behind + 16, &scale, z->n, z->k, bits, timeline, n);
    else
        h->k->lookup(scores, work, z->n, z->k, timeline, n);
    for (size_t i = 0; bits == 32 && z->mean && i < n; i++) scores[i] += scale.low;
    c->keys += n * lookup_row_bytes(z->n, z->k);
    c->tables += n * z->n * bits / 8;
}

static void lookat_reads(const struct codec *c, size_t head_dim, size_t head, size_t n, bool as_values, struct attn_counters *count) {
    const struct quantiser *z = (const struct quantiser *)c->data + head;
    (void)as_values;
    size_t widths = 0;
    for (size_t j = 0; j < z->n; j++) widths += z->stages[j].width;
    count->keys += n * lookup_row_bytes(z->n, z->k);
    count->tables += n * z->n * c->o.table / 8;
    count->codebooks += 2 * widths * c->o.k + (z->inverse ? 2 * head_dim * head_dim + 2 * head_dim : 0);
}

const struct kv_codec codec_lookat = {
    .name = "lookat",
    .summary = "product-quantised keys scored from lookup tables: m bytes a key (with k=16 half of that), or bytes= on average; needs codebooks",
    .options = "m bytes k table plain learned",
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
