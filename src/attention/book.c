/* Keys of a book in a GGUF file:
 *     lookat.book.version                 u32, 1
 *     lookat.book.fingerprint             string, 64 hex digits: gpt2_fingerprint
 *     lookat.book.shape                   i32 [3]: L, H, D
 *     lookat.book.corpus.names, .sha256   strings, one of each for a text
 *     lookat.book.tokens, .samples, .seed u64
 *     lookat.codebook.mM.kK               u16 [L H D K]: f16 bits, [L][H][M][D/M][K]
 * Keys and not tensors, because other programs refuse a model with a tensor they do not know. */
#include "attention/book.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define PREFIX "lookat.codebook."
enum { SETTINGS = 24 };

/* The settings that a codec can ask for: number `i` of SETTINGS. */
static struct codebook setting(size_t i) {
    static const size_t ks[] = {4, 16, 64, 256};
    return (struct codebook){.m = (size_t)1 << i % 6, .k = ks[i / 6]};
}

static void setting_key(char key[48], size_t m, size_t k) { snprintf(key, 48, PREFIX "m%zu.k%zu", m, k); }

struct reader {
    const struct gguf *g;
    const char *path;
    struct book *b;
    struct err *e;
};

static int no_memory(const struct reader *r) { return err_file(r->e, ERR_FAILED, r->path, "no memory for its codebooks"); }

/* The array `key` of `count` items (0: any number) of a type; ERR_REFUSED where it is something else. */
static int find_array(const struct reader *r, const char *key, enum gguf_type item, uint64_t count, const struct gguf_kv **kv) {
    *kv = gguf_find(r->g, key);
    if (!*kv) return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" is missing", key);
    if ((*kv)->type != GGUF_ARRAY || (*kv)->item != item)
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" is not an array of %s", key,
                        item == GGUF_STRING ? "strings" : item == GGUF_U16 ? "u16" : "i32");
    if (count && (*kv)->count != count)
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" has %llu items, expected %llu", key, (unsigned long long)(*kv)->count,
                        (unsigned long long)count);
    return OK;
}

static int read_shape(const struct reader *r) {
    static const char key[] = "lookat.book.shape";
    const struct gguf_kv *kv;
    int rc = find_array(r, key, GGUF_I32, 3, &kv);
    if (rc) return rc;
    int64_t x[3];
    for (uint64_t i = 0; i < 3; i++) {
        x[i] = gguf_item(kv, i);
        if (x[i] < 1 || x[i] > 1 << 24)
            return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" has the item %lld, expected 1 to %d", key, (long long)x[i], 1 << 24);
    }
    r->b->n_layer = (size_t)x[0];
    r->b->n_head = (size_t)x[1];
    r->b->head_dim = (size_t)x[2];
    return OK;
}

/* 64 hex digits, terminated. */
static int copy_hex(const struct reader *r, const char *key, struct gguf_str s, char hex[65]) {
    bool good = s.n == 64;
    for (size_t i = 0; good && i < 64; i++) good = (s.s[i] >= '0' && s.s[i] <= '9') || (s.s[i] >= 'a' && s.s[i] <= 'f');
    if (!good) return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" is no SHA-256, expected 64 hex digits", key);
    memcpy(hex, s.s, 64);
    hex[64] = 0;
    return OK;
}

static int read_corpora(const struct reader *r) {
    static const char key[] = "lookat.book.corpus.sha256";
    const struct gguf_kv *names, *sums;
    int rc = find_array(r, "lookat.book.corpus.names", GGUF_STRING, 0, &names);
    if (rc || !names->count) return rc; /* an empty list may have lost its type */
    rc = find_array(r, key, GGUF_STRING, names->count, &sums);
    if (rc) return rc;
    size_t n = (size_t)names->count; /* each takes 8 bytes of the file at least */
    r->b->corpora = arena_zalloc(&r->b->arena, n, sizeof *r->b->corpora);
    if (!r->b->corpora) return no_memory(r);
    const uint8_t *name_at = names->data, *sum_at = sums->data;
    for (; !rc && r->b->n_corpora < n; r->b->n_corpora++) {
        struct book_corpus *c = &r->b->corpora[r->b->n_corpora];
        struct gguf_str name = gguf_next_string(&name_at);
        c->name = arena_copy(&r->b->arena, name.s, name.n);
        if (!c->name) return no_memory(r);
        rc = copy_hex(r, key, gguf_next_string(&sum_at), c->sha256);
    }
    return rc;
}

/* [L H D K] f16 bits out of the file. */
static int read_centroids(const struct reader *r, const char *key, struct codebook *y) {
    const struct book *b = r->b;
    const struct gguf_kv *kv;
    size_t n;
    if (b->head_dim % y->m)
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\": %zu subspaces do not divide the head dimension of %zu", key, y->m, b->head_dim);
    if (!size_mul(b->n_layer, b->n_head, &n) || !size_mul(n, b->head_dim, &n) || !size_mul(n, y->k, &n))
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\": the size of %zu x %zu x %zu x %zu overflows", key, b->n_layer, b->n_head,
                        b->head_dim, y->k);
    int rc = find_array(r, key, GGUF_U16, n, &kv);
    if (rc) return rc;
    uint16_t *bits = arena_alloc(&r->b->arena, n, sizeof *bits);
    if (!bits) return no_memory(r);
    for (size_t i = 0; i < n; i++) bits[i] = (uint16_t)(kv->data[2 * i] | kv->data[2 * i + 1] << 8);
    for (size_t i = 0; i < n; i++)
        if ((bits[i] & 0x7c00) == 0x7c00)
            return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\": number %zu of %zu is %s, expected a finite one", key, i, n,
                            bits[i] & 0x3ff ? "NaN" : "infinite");
    y->centroids = bits;
    return OK;
}

static int read_codebooks(const struct reader *r) {
    size_t named = 0, prefix = strlen(PREFIX);
    r->b->books = arena_zalloc(&r->b->arena, SETTINGS, sizeof *r->b->books);
    if (!r->b->books) return no_memory(r);
    for (size_t i = 0; i < SETTINGS; i++) {
        struct codebook y = setting(i);
        char key[48];
        setting_key(key, y.m, y.k);
        if (!gguf_find(r->g, key)) continue;
        int rc = read_centroids(r, key, &y);
        if (rc) return rc;
        r->b->books[r->b->n++] = y;
    }
    for (size_t i = 0; i < r->g->n_kv; i++)
        named += r->g->kv[i].key.n >= prefix && memcmp(r->g->kv[i].key.s, PREFIX, prefix) == 0;
    if (!r->b->n) return err_file(r->e, ERR_REFUSED, r->path, "the book has no codebooks, no key " PREFIX "mM.kK");
    if (named != r->b->n)
        return err_file(r->e, ERR_REFUSED, r->path, "%zu keys " PREFIX "* are not of m 1, 2, 4, 8, 16, 32 and k 4, 16, 64, 256", named - r->b->n);
    return OK;
}

static int read_book(const struct reader *r) {
    static const char key[] = "lookat.book.fingerprint";
    struct gguf_str fingerprint = {0};
    uint64_t version = 0;
    int rc = gguf_uint(r->g, "lookat.book.version", &version, r->e);
    if (!rc && version != 1)
        rc = err_file(r->e, ERR_REFUSED, r->path, "lookat.book.version is %llu, expected 1", (unsigned long long)version);
    if (!rc) rc = gguf_string(r->g, key, &fingerprint, r->e);
    if (!rc) rc = copy_hex(r, key, fingerprint, r->b->fingerprint);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.tokens", &r->b->tokens, r->e);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.samples", &r->b->samples, r->e);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.seed", &r->b->seed, r->e);
    if (!rc) rc = read_shape(r);
    if (!rc) rc = read_corpora(r);
    return rc ? rc : read_codebooks(r);
}

int book_open(struct book *b, const char *path, bool *found, struct err *e) {
    struct gguf g;
    *b = (struct book){.path = path};
    *found = false;
    int rc = gguf_open(&g, path, e);
    if (rc) return rc;
    *found = gguf_find(&g, "lookat.book.version") != NULL;
    struct reader r = {&g, path, b, e};
    if (*found) rc = read_book(&r);
    gguf_close(&g);
    if (rc) book_close(b);
    return rc;
}

void book_close(struct book *b) {
    arena_free(&b->arena);
    *b = (struct book){0};
}

int book_check(const struct book *b, const char *fingerprint, size_t n_layer, size_t n_head, size_t head_dim, struct err *e) {
    if (b->n_layer != n_layer || b->n_head != n_head || b->head_dim != head_dim)
        return err_file(e, ERR_REFUSED, b->path, "its codebooks are of another model: %zu layers, %zu heads of %zu; this one has %zu, %zu of %zu",
                        b->n_layer, b->n_head, b->head_dim, n_layer, n_head, head_dim);
    if (strcmp(b->fingerprint, fingerprint) != 0)
        return err_file(e, ERR_REFUSED, b->path, "its codebooks are of another model: fingerprint %.16s..., this one's is %.16s...",
                        b->fingerprint, fingerprint);
    return OK;
}

const struct codebook *book_find(const struct book *b, size_t m, size_t k) {
    for (size_t i = 0; i < b->n; i++)
        if (b->books[i].m == m && b->books[i].k == k) return &b->books[i];
    return NULL;
}

/* ---- writing ---- */

static void add_corpora(const struct book *b, struct gguf_writer *w) {
    struct arena a = {0};
    size_t n = b->n_corpora, bytes = 64 * n;
    for (size_t i = 0; i < n; i++) bytes += strlen(b->corpora[i].name);
    uint8_t *text = arena_alloc(&a, bytes + 1, 1);
    size_t *offset = arena_zalloc(&a, n + 1, sizeof *offset);
    if (!text || !offset) {
        w->failed = 1;
        arena_free(&a);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(b->corpora[i].name);
        memcpy(text + offset[i], b->corpora[i].name, len);
        offset[i + 1] = offset[i] + len;
    }
    gguf_add_strings(w, "lookat.book.corpus.names", text, offset, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(text + 64 * i, b->corpora[i].sha256, 64);
        offset[i + 1] = 64 * (i + 1);
    }
    gguf_add_strings(w, "lookat.book.corpus.sha256", text, offset, n);
    arena_free(&a);
}

void book_add(const struct book *b, struct gguf_writer *w) {
    const int32_t shape[3] = {(int32_t)b->n_layer, (int32_t)b->n_head, (int32_t)b->head_dim};
    gguf_add_u32(w, "lookat.book.version", 1);
    gguf_add_string(w, "lookat.book.fingerprint", b->fingerprint, 64);
    gguf_add_i32s(w, "lookat.book.shape", shape, 3);
    add_corpora(b, w);
    gguf_add_u64(w, "lookat.book.tokens", b->tokens);
    gguf_add_u64(w, "lookat.book.samples", b->samples);
    gguf_add_u64(w, "lookat.book.seed", b->seed);
    for (size_t i = 0; i < SETTINGS; i++) { /* always in this order: the same book makes the same bytes */
        struct codebook s = setting(i);
        const struct codebook *y = book_find(b, s.m, s.k);
        char key[48];
        setting_key(key, s.m, s.k);
        if (y) gguf_add_u16s(w, key, y->centroids, b->n_layer * b->n_head * b->head_dim * s.k);
    }
}

int book_write(const struct book *b, const char *path, bool force, struct err *e) {
    struct gguf_writer w = {0};
    struct out_file o;
    int rc = out_open(&o, path, force, e);
    if (rc) return rc;
    gguf_add_string(&w, "general.architecture", "lookat-book", 11);
    book_add(b, &w);
    rc = gguf_write_header(&w, &o, e);
    rc = rc ? rc : out_commit(&o, e);
    if (rc) out_abort(&o);
    gguf_writer_free(&w);
    return rc;
}
