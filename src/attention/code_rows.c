/* Which codebooks a spec means, and rows of codes: packing, storing and decoding them. */
#include "attention/code_rows.h"

#include <stdio.h>
#include <string.h>

#include "attention/spec.h"

/* ---- which codebooks ---- */

static bool is_one_of(size_t x, const size_t *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == x) return true;
    return false;
}

int code_rows_check(struct codec *c, size_t head_dim, struct err *e) {
    static const size_t ms[] = {1, 2, 4, 8, 16, 32},
                        ks[] = {4, 16, 64, 256} /* 4: small enough to follow by hand */;
    const char *name = c->ops->name;
    struct codec_options *o = &c->o;
    if (!o->k) o->k = 256, o->any_k = true;
    if (!is_one_of(o->k, ks, sizeof ks / sizeof *ks))
        return err_set(e, ERR_USAGE, "%s: k=%zu, expected 4, 16, 64 or 256 centroids", name, o->k);
    size_t most = BOOK_BYTES < head_dim ? BOOK_BYTES : head_dim;
    if (o->plain && o->learned)
        return err_set(e, ERR_USAGE, "%s: plain and learned exclude each other", name);
    if (o->bytes && (o->m || o->plain))
        return err_set(e, ERR_USAGE, "%s: bytes and %s exclude each other", name,
                       o->m ? "m" : "plain");
    if (o->bytes && o->k < 16)
        return err_set(e, ERR_USAGE, "%s: bytes=%zu with k=%zu, expected 16, 64 or 256 centroids",
                       name, o->bytes, o->k);
    if (o->bytes > most)
        return err_set(e, ERR_USAGE, "%s: bytes=%zu, expected 1 to %zu", name, o->bytes, most);
    if (o->bytes) return OK;
    if (!is_one_of(o->m, ms, sizeof ms / sizeof *ms))
        return err_set(e, ERR_USAGE, "%s: m=%zu, expected 1, 2, 4, 8, 16 or 32 subspaces", name,
                       o->m);
    if (head_dim % o->m)
        return err_set(e, ERR_USAGE, "%s: %zu subspaces do not divide the head dimension of %zu",
                       name, o->m, head_dim);
    return OK;
}

static const struct codebook *find(const struct codec_options *o, const struct book *b, bool values,
                                   size_t bytes, size_t m, size_t k) {
    const struct codebook *y =
        o->plain || o->learned
            ? NULL
            : book_find(b, bytes, k, values ? CODEBOOK_UNEVEN_VALUES : CODEBOOK_UNEVEN);
    if (!y && !o->bytes && !o->plain)
        y = book_find(b, m, k, values ? CODEBOOK_VALUES : CODEBOOK_LEARNED);
    if (!y && !o->bytes && !o->learned && !values) y = book_find(b, m, k, CODEBOOK_PLAIN);
    return y;
}

const struct codebook *code_rows_choose(struct codec_options *o, const struct book *b,
                                        bool values) {
    size_t bytes = o->bytes ? o->bytes : lookup_row_bytes(o->m, o->k);
    const struct codebook *y = find(o, b, values, bytes, o->m, o->k);
    if (!y && o->any_k) y = find(o, b, values, bytes, bytes * codes_per_byte(16), 16);
    if (!y) return NULL;
    o->plain = !y->learned, o->learned = y->learned && !y->uneven;
    o->m = y->uneven ? 0 : y->m, o->bytes = y->uneven ? y->bytes : 0, o->k = y->k;
    return y;
}

int code_rows_missing(const struct codec *c, const struct book *b, struct err *e) {
    struct codec asked = {.ops = c->ops,
                          .o = {.m = c->o.m,
                                .bytes = c->o.bytes,
                                .k = c->o.any_k ? 0 : c->o.k,
                                .plain = c->o.plain,
                                .learned = c->o.learned}};
    char name[64], where[96] = "it needs codebooks";
    spec_format(&asked, name, sizeof name);
    if (c->o.any_k && c->o.m) /* the short name */
        snprintf(name, sizeof name, "%s%zu%s", c->ops->name, c->o.m,
                 c->o.plain     ? ":plain"
                 : c->o.learned ? ":learned"
                                : "");
    if (b) snprintf(where, sizeof where, "%.70s has no such codebooks", b->path);
    return err_set(
        e, ERR_USAGE,
        "--attn %s%s: %s; to make them: lookat calibrate -m MODEL -f TEXT --attn %s%s -o BOOK.gguf",
        c->for_values ? "fp16/" : "", name, where, c->for_values ? "fp16/" : "", name);
}

/* ---- their quantisers ---- */

/* Sets the ranges of the published method: M equal ones, with centroids [M][D/M][K]. */
static void plain_ranges(struct quantiser *z, const uint16_t *centroids) {
    size_t width = z->dim / z->n;
    for (size_t j = 0; j < z->n; j++)
        z->ranges[j] = (struct quantiser_range){
            .at = j * width, .width = width, .centroids = centroids + j * width * z->k};
}

static int set_up_head(struct quantiser *z, const struct codebook *y, const struct codec_setup *s,
                       size_t head, struct err *e) {
    size_t number = s->layer * s->n_head + head;
    *z = y->learned ? y->heads[number]
                    : (struct quantiser){.dim = s->head_dim, .k = y->k, .n = y->m};
    z->for_values = s->for_values;
    const struct quantiser_range *learned = z->ranges;
    z->ranges = arena_alloc(s->arena, z->n, sizeof *z->ranges);
    if (!z->ranges)
        return err_set(e, ERR_FAILED, "out of memory for the codebooks of layer %zu", s->layer);
    if (y->learned)
        memcpy(z->ranges, learned, z->n * sizeof *z->ranges);
    else
        plain_ranges(z, y->centroids + number * z->dim * z->k);
    int rc = s->for_values && z->k == 16 ? quantiser_round(z, s->arena, e) : OK;
    return rc ? rc : quantiser_prepare(z, s->arena, e);
}

int code_rows_setup(struct codec *c, const struct codec_setup *s, const struct codebook *y,
                    struct err *e) {
    struct quantiser *heads = arena_alloc(s->arena, s->n_head, sizeof *heads);
    int rc = heads
                 ? OK
                 : err_set(e, ERR_FAILED, "out of memory for the codebooks of layer %zu", s->layer);
    for (size_t h = 0; h < s->n_head && !rc; h++) rc = set_up_head(&heads[h], y, s, h, e);
    c->data = heads;
    return rc;
}

size_t code_rows_codes(const struct codec *c, size_t head) {
    if (c->data) return ((const struct quantiser *)c->data)[head].n;
    return c->o.bytes ? c->o.bytes * codes_per_byte(c->o.k) : c->o.m;
}

/* ---- rows ---- */

size_t code_rows_row_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)head_dim;
    return lookup_row_bytes(code_rows_codes(c, head), c->o.k);
}

struct kv_layout code_rows_layout(const struct codec *c, size_t head_dim, size_t head) {
    return (struct kv_layout){LOOKUP_BLOCK, LOOKUP_BLOCK * code_rows_row_bytes(c, head_dim, head)};
}

size_t code_rows_scale_bytes(const struct codec *c, size_t head_dim, size_t head) {
    (void)c, (void)head_dim, (void)head;
    return 0;
}

/* Returns where row pos begins in a timeline of rows of so many bytes. A row's next byte lies
 * LOOKUP_BLOCK bytes further. */
static size_t row_at(size_t pos, size_t bytes) {
    return pos / LOOKUP_BLOCK * LOOKUP_BLOCK * bytes + pos % LOOKUP_BLOCK;
}

/* pack writes n rows with two codes to a byte from `apart`, where each code has a byte; unpack does
 * the reverse. Both lie as in a block. */
static void pack(uint8_t *rows, const uint8_t *apart, size_t M, size_t n) {
    for (size_t j = 0; j < M; j += 2)
        for (size_t i = 0; i < n; i++) {
            const uint8_t *code = apart + j * LOOKUP_BLOCK + i;
            rows[j / 2 * LOOKUP_BLOCK + i] =
                (uint8_t)(code[0] | (j + 1 < M ? code[LOOKUP_BLOCK] << 4 : 0));
        }
}

static void unpack(uint8_t *apart, const uint8_t *rows, size_t M, size_t n) {
    for (size_t j = 0; j < M; j++)
        for (size_t i = 0; i < n; i++)
            apart[j * LOOKUP_BLOCK + i] = rows[j / 2 * LOOKUP_BLOCK + i] >> j % 2 * 4 & 15;
}

/* A block is cleared when its first row is stored, so that every byte of it is a code. */
size_t code_rows_store(const struct codec_head *h, uint8_t *timeline, size_t pos, const float *x,
                       size_t stride, size_t n) {
    const struct quantiser *z = code_rows_quantiser(h);
    uint8_t apart[LOOKUP_MAX_M * LOOKUP_BLOCK];
    size_t bytes = lookup_row_bytes(z->n, z->k);
    bool packed = bytes < z->n;
    for (size_t count; n; pos += count, x += count * stride, n -= count) {
        size_t room = LOOKUP_BLOCK - pos % LOOKUP_BLOCK;
        uint8_t *rows = timeline + row_at(pos, bytes);
        count = n < room ? n : room;
        if (room == LOOKUP_BLOCK) memset(rows, 0, LOOKUP_BLOCK * bytes);
        quantiser_encode(h->kn, z, packed ? apart : rows, 1, LOOKUP_BLOCK, x, stride, count);
        if (packed) pack(rows, apart, z->n, count);
    }
    return 0;
}

/* Every byte is a code below K; of two codes, the high half of an odd last byte is empty. */
bool code_rows_accepts(const struct codec_head *h, const uint8_t *timeline, size_t n) {
    const struct quantiser *z = code_rows_quantiser(h);
    size_t bytes = lookup_row_bytes(z->n, z->k), block = LOOKUP_BLOCK * bytes,
           all = (n + LOOKUP_BLOCK - 1) / LOOKUP_BLOCK * block, most = z->k - 1;
    if (z->k == 16) {
        bool odd = z->n % 2 == 1;
        for (size_t i = 0; odd && i < all; i++)
            if (i % block >= block - LOOKUP_BLOCK && timeline[i] > 15) return false;
        return true;
    }
    for (size_t i = 0; i < all; i++)
        if (timeline[i] > most) return false;
    return true;
}

void code_rows_decode(const struct codec_head *h, float *x, const uint8_t *timeline, size_t begin,
                      size_t n) {
    const struct quantiser *z = code_rows_quantiser(h);
    uint8_t apart[LOOKUP_MAX_M * LOOKUP_BLOCK];
    size_t bytes = lookup_row_bytes(z->n, z->k);
    bool packed = bytes < z->n;
    for (size_t count; n; begin += count, x += count * h->head_dim, n -= count) {
        size_t room = LOOKUP_BLOCK - begin % LOOKUP_BLOCK;
        const uint8_t *rows = timeline + row_at(begin, bytes);
        count = n < room ? n : room;
        if (packed) unpack(apart, rows, z->n, count);
        quantiser_decode(h->kn, z, x, packed ? apart : rows, 1, LOOKUP_BLOCK, count);
    }
}
