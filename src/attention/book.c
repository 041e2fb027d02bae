/* The set of codebooks as keys of a GGUF file, read and written:
 *     lookat.book.version                 u32: 1, or 2 with learned settings
 *     lookat.book.fingerprint             string, 64 hex digits: gpt2_fingerprint
 *     lookat.book.shape                   i32 [3]: L, H, D
 *     lookat.book.corpus.names, .sha256   strings, one of each for a text
 *     lookat.book.tokens, .samples, .seed u64
 *     lookat.book.tried                   strings, lines for people; may be absent
 *     lookat.recommended, lookat.small    strings, whole caches (book_word.h); may be absent
 *     lookat.codebook.mM.kK               u16 [L H D K]: f16 bits, [L][H][M][D/M][K]
 * and of a learned setting, whose name begins with lookat.learned.mM.kK for keys,
 * lookat.values.mM.kK for values, lookat.uneven.mM.kK and lookat.uneven_values.mM.kK for keys and
 * values of M bytes on average (quantiser.h), all heads [L][H] one after another:
 *     .stages                             i32 [L H]: the codes n of a row of the head
 *     .ranges                             i32 [sum of n][2]: at and width, the range of each code
 *     .centroids                          u16: f16 bits, for each code [width][K]
 *     .inverse, .mean                     u16 [L H D D], [L H D]: f16 bits of B and the mean
 *
 * A learned setting of L H heads, n_h the codes of a row of head h and w the width of a range:
 *
 *     .stages     | n_0 | n_1 | ...                                         one number a head
 *     .ranges     | at width | at width | ... n_0 pairs | head 1's | ...    one pair a code
 *     .centroids  | [w][K]   | [w][K]   | ...           | head 1's | ...    one array a code
 *     .inverse    | [D][D] of head 0    | [D][D] of head 1    | ...
 *     .mean       | [D] of head 0       | [D] of head 1       | ...
 *
 * These are keys and not tensors, because other programs refuse a model with a tensor that they do
 * not know. */
#include "attention/book.h"

#include <stdio.h>
#include <string.h>

#include "attention/book_word.h"
#include "attention/registry.h"
#include "base/size.h"

/* What the keys of a kind's settings begin with, and how many keys one has. */
static const struct {
    const char *prefix;
    size_t parts;
} kinds[CODEBOOK_KINDS] = {{"lookat.codebook.", 1},
                           {"lookat.learned.", 5},
                           {"lookat.values.", 5},
                           {"lookat.uneven.", 5},
                           {"lookat.uneven_values.", 5}};

enum codebook_kind codebook_kind(const struct codebook *y) {
    if (y->uneven) return y->values ? CODEBOOK_UNEVEN_VALUES : CODEBOOK_UNEVEN;
    return y->values ? CODEBOOK_VALUES : y->learned ? CODEBOOK_LEARNED : CODEBOOK_PLAIN;
}

size_t codebook_name(const struct codebook *y, bool in_full, char *out, size_t room) {
    const char *codec = y->values ? codec_pq.name : codec_lookat.name,
               *method = y->learned ? "learned" : "plain";
    bool k_shown = in_full || y->k != 256;
    int n;
    if (y->uneven)
        n = snprintf(out, room, k_shown ? "%s:bytes=%zu,k=%zu" : "%s:bytes=%zu", codec, y->bytes,
                     y->k);
    else if (k_shown)
        n = snprintf(out, room, "%s:m=%zu,k=%zu,%s", codec, y->m, y->k, method);
    else
        n = snprintf(out, room, "%s%zu:%s", codec, y->m, method);
    return (size_t)n;
}

/* Setting number `i` of the BOOK_SETTINGS that a codec can ask for. */
static struct codebook setting(size_t i) {
    static const size_t ks[] = {4, 16, 64, 256};
    if (i >= BOOK_EVEN) {
        size_t number = (i - BOOK_EVEN) % BOOK_UNEVEN;
        return (struct codebook){.bytes = 1 + number / 3,
                                 .k = ks[1 + number % 3],
                                 .learned = true,
                                 .uneven = true,
                                 .values = i >= BOOK_EVEN + BOOK_UNEVEN};
    }
    size_t kind = i / 24;
    return (struct codebook){.m = (size_t)1 << i % 6,
                             .k = ks[i / 6 % 4],
                             .learned = kind != CODEBOOK_PLAIN,
                             .values = kind == CODEBOOK_VALUES};
}

/* Writes the key of a setting. A learned one has several, one for each part such as ".ranges". */
static void setting_key(char key[48], const struct codebook *y, const char *part) {
    snprintf(key, 48, "%sm%zu.k%zu%s", kinds[codebook_kind(y)].prefix, y->m, y->k,
             y->learned ? part : "");
}

struct reader {
    const struct gguf *g;
    const char *path;
    struct book *b;
    struct err *e;
};

static int no_memory(const struct reader *r) {
    return err_file(r->e, ERR_FAILED, r->path, "no memory for its codebooks");
}

/* Finds the array `key` of `count` items (0: any number) of a type. ERR_REFUSED where the key is
 * missing or is something else. */
static int find_array(const struct reader *r, const char *key, enum gguf_type item, uint64_t count,
                      const struct gguf_kv **kv) {
    *kv = gguf_find(r->g, key);
    if (!*kv) return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" is missing", key);
    if ((*kv)->type != GGUF_ARRAY || (*kv)->item != item)
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" is not an array of %s", key,
                        item == GGUF_STRING ? "strings"
                        : item == GGUF_U16  ? "u16"
                                            : "i32");
    if (count && (*kv)->count != count)
        return err_file(r->e, ERR_REFUSED, r->path, "key \"%s\" has %llu items, expected %llu", key,
                        (unsigned long long)(*kv)->count, (unsigned long long)count);
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
            return err_file(r->e, ERR_REFUSED, r->path,
                            "key \"%s\" has the item %lld, expected 1 to %d", key, (long long)x[i],
                            1 << 24);
    }
    r->b->n_layer = (size_t)x[0];
    r->b->n_head = (size_t)x[1];
    r->b->head_dim = (size_t)x[2];
    return OK;
}

/* Copies 64 hex digits of a SHA-256 and terminates them; ERR_REFUSED where they are not that. */
static int copy_hex(const struct reader *r, const char *key, struct gguf_str s, char hex[65]) {
    bool good = s.n == 64;
    for (size_t i = 0; good && i < 64; i++)
        good = (s.s[i] >= '0' && s.s[i] <= '9') || (s.s[i] >= 'a' && s.s[i] <= 'f');
    if (!good)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "key \"%s\" is no SHA-256, expected 64 hex digits", key);
    memcpy(hex, s.s, 64);
    hex[64] = 0;
    return OK;
}

static int read_tried(const struct reader *r) {
    static const char key[] = "lookat.book.tried";
    const struct gguf_kv *lines;
    if (!gguf_find(r->g, key)) return OK;
    int rc = find_array(r, key, GGUF_STRING, 0, &lines);
    if (rc || !lines->count) return rc;
    size_t n = (size_t)lines->count;
    r->b->tried = arena_zalloc(&r->b->arena, n, sizeof *r->b->tried);
    if (!r->b->tried) return no_memory(r);
    const uint8_t *at = lines->data;
    for (; r->b->n_tried < n; r->b->n_tried++) {
        struct gguf_str line = gguf_next_string(&at);
        if (!(r->b->tried[r->b->n_tried] = arena_copy(&r->b->arena, line.s, line.n)))
            return no_memory(r);
    }
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

/* Reads an array of n finite f16 numbers out of the file. */
static int read_f16(const struct reader *r, const char *key, size_t n, const uint16_t **out) {
    const struct gguf_kv *kv;
    int rc = find_array(r, key, GGUF_U16, n, &kv);
    if (rc) return rc;
    uint16_t *bits = arena_alloc(&r->b->arena, n, sizeof *bits);
    if (!bits) return no_memory(r);
    for (size_t i = 0; i < n; i++) bits[i] = (uint16_t)(kv->data[2 * i] | kv->data[2 * i + 1] << 8);
    for (size_t i = 0; i < n; i++)
        if ((bits[i] & 0x7c00) == 0x7c00)
            return err_file(r->e, ERR_REFUSED, r->path,
                            "key \"%s\": number %zu of %zu is %s, expected a finite one", key, i, n,
                            bits[i] & 0x3ff ? "NaN" : "infinite");
    *out = bits;
    return OK;
}

/* Sets *n = L H a b. ERR_REFUSED, naming the key, where it overflows. */
static int sized(const struct reader *r, const char *key, size_t a, size_t b, size_t *n) {
    if (size_mul(r->b->n_layer, r->b->n_head, n) && size_mul(*n, a, n) && size_mul(*n, b, n))
        return OK;
    return err_file(r->e, ERR_REFUSED, r->path,
                    "key \"%s\": the size of %zu x %zu x %zu x %zu overflows", key, r->b->n_layer,
                    r->b->n_head, a, b);
}

/* Reads the [L H D K] f16 numbers of a plain setting out of the file. */
static int read_plain(const struct reader *r, const char *key, struct codebook *y) {
    size_t n = 0, D = r->b->head_dim;
    if (D % y->m)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "key \"%s\": %zu subspaces do not divide the head dimension of %zu", key,
                        y->m, D);
    int rc = sized(r, key, D, y->k, &n);
    return rc ? rc : read_f16(r, key, n, &y->centroids);
}

/* Reads number `i` of an i32 array. ERR_REFUSED where it is not in low .. high. */
static int read_count(const struct reader *r, const char *key, const struct gguf_kv *kv, size_t i,
                      size_t low, size_t high, size_t *out) {
    int64_t x = gguf_item(kv, i);
    if (x < (int64_t)low || x > (int64_t)high)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "key \"%s\": number %zu is %lld, expected %zu to %zu", key, i, (long long)x,
                        low, high);
    *out = (size_t)x;
    return OK;
}

/* Reads heads[L H].n, the codes of a row of each head; *total is their sum. */
static int read_counts(const struct reader *r, const struct codebook *y, struct quantiser *heads,
                       size_t n_heads, size_t *total) {
    const struct gguf_kv *kv;
    char key[48];
    setting_key(key, y, ".stages");
    int rc = find_array(r, key, GGUF_I32, n_heads, &kv);
    for (size_t h = 0; h < n_heads && !rc; h++) {
        rc = read_count(r, key, kv, h, 1, BOOK_BYTES * codes_per_byte(y->k), &heads[h].n);
        *total += rc ? 0 : heads[h].n;
    }
    if (!rc && y->uneven && *total != n_heads * codebook_codes(y))
        rc = err_file(r->e, ERR_REFUSED, r->path,
                      "key \"%s\": %zu codes of %zu heads, expected %zu on average", key, *total,
                      n_heads, codebook_codes(y));
    return rc;
}

/* Reads at and width of ranges[total]; *numbers counts the numbers of all their centroids. */
static int read_ranges(const struct reader *r, const struct codebook *y,
                       struct quantiser_range *ranges, size_t total, size_t *numbers) {
    const struct gguf_kv *kv;
    char key[48];
    setting_key(key, y, ".ranges");
    int rc = find_array(r, key, GGUF_I32, 2 * total, &kv);
    for (size_t i = 0; i < total && !rc; i++) {
        rc = read_count(r, key, kv, 2 * i, 0, r->b->head_dim - 1, &ranges[i].at);
        if (!rc)
            rc = read_count(r, key, kv, 2 * i + 1, 1, r->b->head_dim - ranges[i].at,
                            &ranges[i].width);
        *numbers += rc ? 0 : ranges[i].width * y->k;
    }
    return rc;
}

/* A transform that cannot be turned round is found out here, and not when it is used. */
static int check_transforms(const struct reader *r, const char *key, struct quantiser *heads,
                            size_t n_heads) {
    int rc = OK;
    for (size_t h = 0; h < n_heads && !rc; h++) {
        struct arena scratch = {0};
        struct quantiser z = heads[h];
        struct err why = {0};
        rc = quantiser_prepare(&z, &scratch, &why);
        if (rc)
            rc = err_file(r->e, rc, r->path, "key \"%s\": head %zu of %zu: %s", key, h, n_heads,
                          why.msg);
        arena_free(&scratch);
    }
    return rc;
}

static int read_learned(const struct reader *r, struct codebook *y) {
    size_t D = r->b->head_dim, n_heads = 0, squares = 0, means = 0, total = 0, numbers = 0;
    const uint16_t *inverse = NULL, *mean = NULL, *centroids = NULL;
    char key[48];
    setting_key(key, y, ".inverse");
    if (D > QUANTISER_DIM)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "key \"%s\": heads of %zu dimensions, expected %d at most", key, D,
                        QUANTISER_DIM);
    int rc = sized(r, key, D, D, &squares);
    if (!rc) rc = read_f16(r, key, squares, &inverse);
    setting_key(key, y, ".mean");
    if (!rc) rc = sized(r, key, D, 1, &means);
    if (!rc) rc = read_f16(r, key, means, &mean);
    if (rc) return rc;
    n_heads = r->b->n_layer * r->b->n_head;
    struct quantiser *heads = arena_zalloc(&r->b->arena, n_heads, sizeof *heads);
    if (!heads) return no_memory(r);
    rc = read_counts(r, y, heads, n_heads, &total);
    struct quantiser_range *ranges = rc ? NULL : arena_zalloc(&r->b->arena, total, sizeof *ranges);
    if (!rc && !ranges) return no_memory(r);
    if (!rc) rc = read_ranges(r, y, ranges, total, &numbers);
    setting_key(key, y, ".centroids");
    if (!rc) rc = read_f16(r, key, numbers, &centroids);
    if (rc) return rc;
    for (size_t i = 0; i < total; centroids += ranges[i++].width * y->k)
        ranges[i].centroids = centroids;
    for (size_t h = 0; h < n_heads; ranges += heads[h++].n) {
        heads[h].dim = D, heads[h].k = y->k;
        heads[h].inverse = inverse + h * D * D, heads[h].mean = mean + h * D;
        heads[h].ranges = ranges;
    }
    y->heads = heads;
    setting_key(key, y, ".inverse");
    return check_transforms(r, key, heads, n_heads);
}

/* Counts the keys whose name begins with `prefix`. */
static size_t named(const struct reader *r, const char *prefix) {
    size_t sum = 0, n = strlen(prefix);
    for (size_t i = 0; i < r->g->n_kv; i++)
        sum += r->g->kv[i].key.n >= n && memcmp(r->g->kv[i].key.s, prefix, n) == 0;
    return sum;
}

/* Every key under a kind's prefix has to be one of a setting that was read. */
static int check_names(const struct reader *r, enum codebook_kind kind) {
    const char *prefix = kinds[kind].prefix;
    size_t known = 0, all = named(r, prefix);
    for (size_t i = 0; i < r->b->n; i++)
        known += codebook_kind(&r->b->books[i]) == kind ? kinds[kind].parts : 0;
    if (all == known) return OK;
    return err_file(r->e, ERR_REFUSED, r->path,
                    "%zu keys %s* are of no setting, m 1, 2, 4, 8, 16, 32 and k 4, 16, 64, 256%s",
                    all - known, prefix, kind == CODEBOOK_PLAIN ? "" : " with its stages");
}

static int read_codebooks(const struct reader *r) {
    int rc = OK;
    r->b->books = arena_zalloc(&r->b->arena, BOOK_SETTINGS, sizeof *r->b->books);
    if (!r->b->books) return no_memory(r);
    for (size_t i = 0; i < BOOK_SETTINGS; i++) {
        struct codebook y = setting(i);
        char key[48];
        setting_key(key, &y, ".stages");
        if (!gguf_find(r->g, key)) continue;
        rc = y.learned ? read_learned(r, &y) : read_plain(r, key, &y);
        if (rc) return rc;
        r->b->books[r->b->n++] = y;
    }
    for (size_t kind = 0; kind < CODEBOOK_KINDS && !rc; kind++)
        rc = check_names(r, (enum codebook_kind)kind);
    if (!rc && !r->b->n)
        rc = err_file(r->e, ERR_REFUSED, r->path, "the book has no codebooks, no key %smM.kK",
                      kinds[CODEBOOK_PLAIN].prefix);
    return rc;
}

static const char *const word_keys[BOOK_WORDS] = {
    [BOOK_RECOMMENDED] = "lookat.recommended", [BOOK_SMALL] = "lookat.small"};

/* The whole caches that the book names, once its codebooks are known. */
static int read_words(const struct reader *r) {
    for (size_t i = 0; i < BOOK_WORDS; i++) {
        struct gguf_str text;
        struct err why;
        if (!gguf_find(r->g, word_keys[i])) continue;
        int rc = gguf_string(r->g, word_keys[i], &text, r->e);
        if (rc) return rc;
        char *cache = arena_copy(&r->b->arena, text.s, text.n);
        if (!cache) return no_memory(r);
        if (book_word_check(r->b, cache, &why) || strlen(cache) != text.n)
            return err_file(r->e, ERR_REFUSED, r->path,
                            "key \"%s\" is no whole cache of this model: %s", word_keys[i],
                            strlen(cache) == text.n ? why.msg : "a zero byte is in it");
        r->b->words[i] = cache;
    }
    return OK;
}

static int read_book(const struct reader *r) {
    static const char key[] = "lookat.book.fingerprint";
    struct gguf_str fingerprint = {0};
    uint64_t version = 0;
    int rc = gguf_uint(r->g, "lookat.book.version", &version, r->e);
    if (!rc && version != 1 && version != 2)
        rc = err_file(r->e, ERR_REFUSED, r->path, "lookat.book.version is %llu, expected 1 or 2",
                      (unsigned long long)version);
    if (!rc) rc = gguf_string(r->g, key, &fingerprint, r->e);
    if (!rc) rc = copy_hex(r, key, fingerprint, r->b->fingerprint);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.tokens", &r->b->tokens, r->e);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.samples", &r->b->samples, r->e);
    if (!rc) rc = gguf_uint(r->g, "lookat.book.seed", &r->b->seed, r->e);
    if (!rc) rc = read_shape(r);
    if (!rc) rc = read_corpora(r);
    if (!rc) rc = read_tried(r);
    if (!rc) rc = read_codebooks(r);
    return rc ? rc : read_words(r);
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

int book_check(const struct book *b, const char *fingerprint, size_t n_layer, size_t n_head,
               size_t head_dim, struct err *e) {
    if (b->n_layer != n_layer || b->n_head != n_head || b->head_dim != head_dim)
        return err_file(e, ERR_REFUSED, b->path,
                        "its codebooks are of another model: %zu layers, %zu heads of %zu; this "
                        "one has %zu, %zu of %zu",
                        b->n_layer, b->n_head, b->head_dim, n_layer, n_head, head_dim);
    if (strcmp(b->fingerprint, fingerprint) != 0)
        return err_file(
            e, ERR_REFUSED, b->path,
            "its codebooks are of another model: fingerprint %.16s..., this one's is %.16s...",
            b->fingerprint, fingerprint);
    return OK;
}

const struct codebook *book_find(const struct book *b, size_t m, size_t k,
                                 enum codebook_kind kind) {
    for (size_t i = 0; i < b->n; i++)
        if (b->books[i].m == m && b->books[i].k == k && codebook_kind(&b->books[i]) == kind)
            return &b->books[i];
    return NULL;
}

/* ---- writing ---- */

/* Adds an array of n strings to the file. */
static void add_strings(struct gguf_writer *w, const char *key, const char *const *strings,
                        size_t n) {
    struct arena a = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += strlen(strings[i]);
    uint8_t *text = arena_alloc(&a, bytes + 1, 1);
    size_t *offset = arena_zalloc(&a, n + 1, sizeof *offset);
    for (size_t i = 0; i < n && text && offset; i++) {
        size_t len = strlen(strings[i]);
        memcpy(text + offset[i], strings[i], len);
        offset[i + 1] = offset[i] + len;
    }
    if (text && offset)
        gguf_add_strings(w, key, text, offset, n);
    else
        w->failed = 1;
    arena_free(&a);
}

static void add_corpora(const struct book *b, struct gguf_writer *w) {
    struct arena a = {0};
    const char **names = arena_alloc(&a, b->n_corpora + 1, sizeof *names),
               **sums = arena_alloc(&a, b->n_corpora + 1, sizeof *sums);
    for (size_t i = 0; i < b->n_corpora && names && sums; i++)
        names[i] = b->corpora[i].name, sums[i] = b->corpora[i].sha256;
    if (names && sums) {
        add_strings(w, "lookat.book.corpus.names", names, b->n_corpora);
        add_strings(w, "lookat.book.corpus.sha256", sums, b->n_corpora);
    } else
        w->failed = 1;
    arena_free(&a);
}

/* Adds the five arrays of a learned setting: what its heads have, one after another. */
static void add_learned(const struct book *b, const struct codebook *y, struct gguf_writer *w) {
    struct arena a = {0};
    size_t n_heads = b->n_layer * b->n_head, D = b->head_dim, total = 0, numbers = 0, at = 0,
           code = 0;
    for (size_t h = 0; h < n_heads; h++)
        total += y->heads[h].n, numbers += quantiser_numbers(&y->heads[h]);
    int32_t *counts = arena_alloc(&a, n_heads, sizeof *counts),
            *ranges = arena_alloc(&a, 2 * total, sizeof *ranges);
    uint16_t *centroids = arena_alloc(&a, numbers, sizeof *centroids),
             *inverse = arena_alloc(&a, n_heads * D * D, sizeof *inverse);
    uint16_t *mean = arena_alloc(&a, n_heads * D, sizeof *mean);
    if (!counts || !ranges || !centroids || !inverse || !mean) {
        w->failed = 1;
        arena_free(&a);
        return;
    }
    for (size_t h = 0; h < n_heads; h++) {
        const struct quantiser *z = &y->heads[h];
        counts[h] = (int32_t)z->n;
        memcpy(inverse + h * D * D, z->inverse, D * D * sizeof *inverse);
        memcpy(mean + h * D, z->mean, D * sizeof *mean);
        for (size_t j = 0; j < z->n; j++, code++) {
            const struct quantiser_range *s = &z->ranges[j];
            ranges[2 * code] = (int32_t)s->at, ranges[2 * code + 1] = (int32_t)s->width;
            memcpy(centroids + at, s->centroids, s->width * z->k * sizeof *centroids);
            at += s->width * z->k;
        }
    }
    char key[48];
    setting_key(key, y, ".stages"), gguf_add_i32s(w, key, counts, n_heads);
    setting_key(key, y, ".ranges"), gguf_add_i32s(w, key, ranges, 2 * total);
    setting_key(key, y, ".centroids"), gguf_add_u16s(w, key, centroids, numbers);
    setting_key(key, y, ".inverse"), gguf_add_u16s(w, key, inverse, n_heads * D * D);
    setting_key(key, y, ".mean"), gguf_add_u16s(w, key, mean, n_heads * D);
    arena_free(&a);
}

static uint32_t version_of(const struct book *b) {
    for (size_t i = 0; i < b->n; i++)
        if (b->books[i].learned) return 2;
    return 1;
}

void book_add(const struct book *b, struct gguf_writer *w) {
    const int32_t shape[3] = {(int32_t)b->n_layer, (int32_t)b->n_head, (int32_t)b->head_dim};
    gguf_add_u32(w, "lookat.book.version", version_of(b));
    gguf_add_string(w, "lookat.book.fingerprint", b->fingerprint, 64);
    gguf_add_i32s(w, "lookat.book.shape", shape, 3);
    add_corpora(b, w);
    gguf_add_u64(w, "lookat.book.tokens", b->tokens);
    gguf_add_u64(w, "lookat.book.samples", b->samples);
    gguf_add_u64(w, "lookat.book.seed", b->seed);
    for (size_t i = 0; i < BOOK_WORDS; i++)
        if (b->words[i]) gguf_add_string(w, word_keys[i], b->words[i], strlen(b->words[i]));
    if (b->n_tried) add_strings(w, "lookat.book.tried", (const char *const *)b->tried, b->n_tried);
    for (size_t i = 0; i < BOOK_SETTINGS;
         i++) { /* always in this order: the same book makes the same bytes */
        struct codebook s = setting(i);
        const struct codebook *y = book_find(b, s.m, s.k, codebook_kind(&s));
        char key[48];
        setting_key(key, &s, "");
        if (y && y->learned)
            add_learned(b, y, w);
        else if (y)
            gguf_add_u16s(w, key, y->centroids, b->n_layer * b->n_head * b->head_dim * s.k);
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
