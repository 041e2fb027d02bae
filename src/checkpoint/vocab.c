/* Collects tokens and merges, checks them against each other, and makes the vocabulary of them. The
 * loaders of all tokenizer formats use it. */
#include "checkpoint/vocab.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOT_SET UINT32_MAX
#define SHOWN 40 /* bytes of a token that a message quotes */

/* GPT-2's bytes_to_unicode (github.com/openai/gpt-2, encoder.py): bytes that are printable in
 * Latin-1 keep their number. */
static bool is_printable(unsigned byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The 68 other bytes, in order: 0..32, 127..160, 173. */
static unsigned other_rank(unsigned byte) {
    return byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67;
}
static unsigned other_byte(unsigned rank) {
    return rank <= 32 ? rank : rank <= 66 ? rank - 33 + 127 : 173;
}

long vocab_unspell(const char *s, size_t n, uint8_t *out) {
    const uint8_t *p = (const uint8_t *)s;
    long len = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = p[i];
        if (c >= 0x80) { /* the alphabet ends at U+0143: two bytes, lead C2..C5 */
            if (c < 0xc2 || c > 0xc5 || i + 1 >= n || (p[i + 1] & 0xc0) != 0x80) return -1;
            c = (c & 0x1f) << 6 | (p[++i] & 0x3f);
        }
        if (c >= 256 && c < 256 + 68)
            out[len++] = (uint8_t)other_byte(c - 256);
        else if (c < 256 && is_printable(c))
            out[len++] = (uint8_t)c;
        else
            return -1;
    }
    return len;
}

size_t vocab_spell(const uint8_t *bytes, size_t n, char *out) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = is_printable(bytes[i]) ? bytes[i] : 256 + other_rank(bytes[i]);
        if (c < 0x80)
            out[len++] = (char)c;
        else {
            out[len++] = (char)(0xc0 | c >> 6);
            out[len++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return len;
}

static int shown(size_t n) { return n < SHOWN ? (int)n : SHOWN; }

static const void *token_bytes(const void *ctx, uint32_t id, size_t *n) {
    const struct vocab_builder *b = ctx;
    *n = b->length[id];
    return b->pool + b->start[id];
}

static int no_memory(const struct vocab_builder *b, struct err *e) {
    return err_file(e, ERR_FAILED, b->path, "no memory for the vocabulary");
}

int vocab_builder_init(struct vocab_builder *b, const char *path, size_t n, size_t room,
                       size_t merge_room, struct arena *a, struct err *e) {
    *b = (struct vocab_builder){.path = path, .arena = a};
    if (n == 0) return err_file(e, ERR_REFUSED, path, "the vocabulary has no tokens");
    if (n > VOCAB_MAX)
        return err_file(e, ERR_REFUSED, path, "the vocabulary has %zu tokens, expected at most %u",
                        n, VOCAB_MAX);
    if (merge_room > VOCAB_MAX)
        return err_file(e, ERR_REFUSED, path, "the vocabulary has %zu merges, expected at most %u",
                        merge_room, VOCAB_MAX);
    if (room > VOCAB_MAX_BYTES) room = VOCAB_MAX_BYTES;
    b->n = (uint32_t)n;
    b->room = room;
    b->merge_room = (uint32_t)merge_room;
    b->start = arena_alloc(&b->scratch, n, sizeof *b->start);
    if (b->start) memset(b->start, 0xFF, n * sizeof *b->start);
    b->length = arena_zalloc(&b->scratch, n, sizeof *b->length);
    b->pool = arena_alloc(&b->scratch, room + 1, 1);
    b->kind = arena_zalloc(a, n, 1);
    b->match = arena_zalloc(a, n, 1);
    b->merges = arena_alloc(a, merge_room + 1, sizeof *b->merges);
    if (!b->start || !b->length || !b->pool || !b->kind || !b->match || !b->merges)
        return no_memory(b, e);
    if (!hash_index_init(&b->index, n, token_bytes, b, &b->scratch)) return no_memory(b, e);
    return OK;
}

void vocab_builder_warn(struct vocab_builder *b, const char *format, ...) {
    char text[256];
    struct err said;
    va_list args;
    if (b->n_warnings == VOCAB_WARNINGS) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err_file(&said, OK, b->path, "%s", text);
    const char *kept = arena_copy(b->arena, said.msg, strlen(said.msg));
    if (kept) b->warning[b->n_warnings++] = kept;
}

bool vocab_builder_has(const struct vocab_builder *b, uint64_t id) {
    return id < b->n && b->start[id] != NOT_SET;
}

bool vocab_builder_is(const struct vocab_builder *b, uint64_t id, const void *bytes, size_t n) {
    return vocab_builder_has(b, id) && b->length[id] == n &&
           memcmp(b->pool + b->start[id], bytes, n) == 0;
}

/* Takes the n bytes at the end of the pool as token id. */
static int take_token(struct vocab_builder *b, size_t id, size_t n, enum token_kind kind,
                      struct err *e) {
    const uint8_t *bytes = b->pool + b->used;
    bool findable = kind != TOKEN_UNUSED && kind != TOKEN_PADDING;
    if (n == 0 && findable) {
        vocab_builder_warn(b, "token %zu is empty", id);
        kind = TOKEN_UNUSED;
        findable = false;
    }
    uint32_t *slot = findable ? hash_index_slot(&b->index, bytes, n) : NULL;
    if (slot && *slot == HASH_EMPTY)
        *slot = (uint32_t)id;
    else if (kind == TOKEN_NORMAL) {
        if (b->kind[*slot] == TOKEN_NORMAL)
            return err_file(e, ERR_REFUSED, b->path, "tokens %u and %zu are the same (\"%.*s\")",
                            *slot, id, shown(n), (const char *)bytes);
        *slot = (uint32_t)id;
    }
    b->start[id] = (uint32_t)b->used;
    b->length[id] = (uint32_t)n;
    b->kind[id] = (uint8_t)kind;
    b->match[id] = kind == TOKEN_CONTROL ? MATCH_SPECIAL : kind == TOKEN_ADDED ? MATCH_TEXT : 0;
    b->used += n;
    b->set++;
    return OK;
}

/* May token id be set, from n bytes? */
static int check_token(const struct vocab_builder *b, size_t id, size_t n, struct err *e) {
    if (id >= b->n)
        return err_file(e, ERR_REFUSED, b->path,
                        "token id %zu is out of range, expected less than %u", id, b->n);
    if (vocab_builder_has(b, id))
        return err_file(e, ERR_REFUSED, b->path, "token id %zu is given twice", id);
    if (n > b->room - b->used)
        return err_file(e, ERR_REFUSED, b->path, "the tokens take more than %zu bytes", b->room);
    return OK;
}

int vocab_builder_set(struct vocab_builder *b, size_t id, const void *bytes, size_t n,
                      enum token_kind kind, struct err *e) {
    int rc = check_token(b, id, n, e);
    if (rc) return rc;
    if (n) memcpy(b->pool + b->used, bytes, n);
    return take_token(b, id, n, kind, e);
}

int vocab_builder_set_spelled(struct vocab_builder *b, size_t id, const char *s, size_t n,
                              enum token_kind kind, struct err *e) {
    if (kind != TOKEN_NORMAL) return vocab_builder_set(b, id, s, n, kind, e);
    int rc = check_token(b, id, n, e);
    if (rc) return rc;
    long len = vocab_unspell(s, n, b->pool + b->used);
    if (len < 0)
        return err_file(e, ERR_REFUSED, b->path,
                        "token %zu (\"%.*s\") has a character outside the byte-to-unicode alphabet",
                        id, shown(n), s);
    return take_token(b, id, (size_t)len, kind, e);
}

int64_t vocab_builder_find(const struct vocab_builder *b, const void *bytes, size_t n) {
    uint32_t id = *hash_index_slot(&b->index, bytes, n);
    return id == HASH_EMPTY ? -1 : (int64_t)id;
}

/* The special token <|endoftext|>, or -1. */
static int64_t end_of_text(const struct vocab_builder *b) {
    int64_t id = vocab_builder_find(b, END_OF_TEXT, strlen(END_OF_TEXT));
    return id >= 0 && b->match[id] & MATCH_SPECIAL ? id : -1;
}

int vocab_builder_merge_ids(struct vocab_builder *b, uint32_t left, uint32_t right, uint32_t merged,
                            struct err *e) {
    if (b->n_merges == b->merge_room)
        return err_file(e, ERR_REFUSED, b->path, "more than %u merges", b->merge_room);
    b->merges[b->n_merges++] = (struct vocab_merge){left, right, merged};
    return OK;
}

/* A spelling in two pieces, for messages. */
struct spelled {
    const char *left, *right;
    size_t n_left, n_right;
};

/* The id of the token raw[n], a part or the result of the next merge: with that it is a normal one,
 * whatever else it was said to be. */
static int merge_part(struct vocab_builder *b, const uint8_t *raw, size_t n, struct spelled s,
                      uint32_t *id, struct err *e) {
    int64_t found = vocab_builder_find(b, raw, n);
    if (found >= 0) b->kind[found] = TOKEN_NORMAL;
    if (found < 0)
        return err_file(e, ERR_REFUSED, b->path, "merge %u: \"%.*s%.*s\" is not a token",
                        b->n_merges, shown(s.n_left), s.left, shown(s.n_right), s.right);
    *id = (uint32_t)found;
    return OK;
}

/* The merge of two spellings; raw has room for the bytes of both. */
static int merge_spelled(struct vocab_builder *b, const char *left, size_t n_left,
                         const char *right, size_t n_right, uint8_t *raw, struct err *e) {
    long nl = vocab_unspell(left, n_left, raw),
         nr = nl < 0 ? -1 : vocab_unspell(right, n_right, raw + nl);
    if (nr < 0)
        return err_file(e, ERR_REFUSED, b->path,
                        "merge %u: \"%.*s\" has a character outside the byte-to-unicode alphabet",
                        b->n_merges, shown(nl < 0 ? n_left : n_right), nl < 0 ? left : right);
    uint32_t l = 0, r = 0, m = 0;
    int rc = merge_part(b, raw, (size_t)nl, (struct spelled){left, "", n_left, 0}, &l, e);
    if (!rc)
        rc = merge_part(b, raw + nl, (size_t)nr, (struct spelled){right, "", n_right, 0}, &r, e);
    if (!rc)
        rc = merge_part(b, raw, (size_t)(nl + nr), (struct spelled){left, right, n_left, n_right},
                        &m, e);
    return rc ? rc : vocab_builder_merge_ids(b, l, r, m, e);
}

int vocab_builder_merge(struct vocab_builder *b, const char *left, size_t n_left, const char *right,
                        size_t n_right, struct err *e) {
    uint8_t few[256];
    if (n_left <= sizeof few / 2 && n_right <= sizeof few / 2)
        return merge_spelled(b, left, n_left, right, n_right, few, e);
    /* a token of the vocabulary is no longer than all of them, and its spelling has at most 2 bytes
     * for each of its own */
    const size_t longest = 2 * b->room;
    if (n_left > longest || n_right > longest)
        return err_file(e, ERR_REFUSED, b->path, "merge %u: \"%.*s\" is not a token", b->n_merges,
                        shown(n_left > longest ? n_left : n_right),
                        n_left > longest ? left : right);
    struct arena scratch = {0};
    uint8_t *raw = arena_alloc(&scratch, n_left + n_right, 1);
    int rc = raw ? merge_spelled(b, left, n_left, right, n_right, raw, e) : no_memory(b, e);
    arena_free(&scratch);
    return rc;
}

int vocab_builder_merge_line(struct vocab_builder *b, const char *line, size_t n, struct err *e) {
    const char *space = n ? memchr(line, ' ', n) : NULL;
    size_t left = space ? (size_t)(space - line) : 0;
    if (left == 0 || left + 1 == n)
        return err_file(e, ERR_REFUSED, b->path,
                        "merge %u is \"%.*s\", expected two tokens and a space between them",
                        b->n_merges, shown(n), line);
    return vocab_builder_merge(b, line, left, space + 1, n - left - 1, e);
}

/* A byte has one token. Where that was said to be special or added, as "!" for padding, it is a
 * normal one as well. */
static void settle_bytes(struct vocab_builder *b) {
    for (unsigned byte = 0; byte < 256; byte++) {
        int64_t id = vocab_builder_find(b, &(uint8_t){(uint8_t)byte}, 1);
        if (id >= 0) b->kind[id] = TOKEN_NORMAL;
    }
}

/* The token that begins or ends a text: what the file names, if there is one; else <|endoftext|>,
 * or -1. */
static int32_t mark(struct vocab_builder *b, const char *name, int64_t id) {
    int64_t end = end_of_text(b);
    if (id >= 0 && id < b->n) return (int32_t)id;
    if (id >= 0 && end >= 0)
        vocab_builder_warn(b, "the %s token is %lld, but there are only %u tokens: taking %lld, %s",
                           name, (long long)id, b->n, (long long)end, END_OF_TEXT);
    else if (id >= 0)
        vocab_builder_warn(b, "the %s token is %lld, but there are only %u tokens: there is none",
                           name, (long long)id, b->n);
    return (int32_t)end;
}

int vocab_builder_finish(struct vocab_builder *b, struct vocab *v, int64_t bos, int64_t eos,
                         struct err *e) {
    if (b->set < b->n) {
        uint32_t id = 0;
        while (vocab_builder_has(b, id)) id++;
        return err_file(e, ERR_REFUSED, b->path, "token id %u of %u is missing", id, b->n);
    }
    settle_bytes(b);
    uint32_t *offset = arena_alloc(b->arena, (size_t)b->n + 1, sizeof *offset);
    uint8_t *bytes = arena_alloc(b->arena, b->used, 1);
    if (!offset || !bytes) return no_memory(b, e);
    offset[0] = 0;
    for (uint32_t id = 0; id < b->n; id++) {
        memcpy(bytes + offset[id], b->pool + b->start[id], b->length[id]);
        offset[id + 1] = offset[id] + b->length[id];
    }
    *v = (struct vocab){.n = b->n,
                        .offset = offset,
                        .bytes = bytes,
                        .kind = b->kind,
                        .match = b->match,
                        .n_merges = b->n_merges,
                        .merges = b->merges};
    v->bos = mark(b, "bos", bos);
    v->eos = mark(b, "eos", eos);
    vocab_builder_warnings(b, v);
    return OK;
}

void vocab_builder_warnings(const struct vocab_builder *b, struct vocab *v) {
    v->n_warnings = b->n_warnings;
    memcpy(v->warning, b->warning, sizeof v->warning);
}

void vocab_builder_free(struct vocab_builder *b) { arena_free(&b->scratch); }

void vocab_warn(const struct vocab *v, void (*warn)(const char *msg)) {
    for (uint32_t i = 0; warn && i < v->n_warnings; i++) warn(v->warning[i]);
}

int vocab_check(const struct vocab *v, size_t n_vocab, const char *path,
                void (*warn)(const char *msg), struct err *e) {
    struct err said;
    for (uint32_t i = 0; i < v->n_merges; i++)
        if (v->merges[i].merged >= n_vocab)
            return err_file(
                e, ERR_REFUSED, path,
                "the tokenizer has %u tokens and the model %zu rows: expected a row for each token "
                "of plain text",
                v->n, n_vocab);
    vocab_warn(v, warn);
    if (!warn || v->n == 0 || v->n == n_vocab) return OK;
    if (v->n < n_vocab)
        err_file(
            &said, OK, path,
            "the tokenizer has %u tokens and the model %zu rows: rows from %u on are never chosen",
            v->n, n_vocab, v->n);
    else
        err_file(
            &said, OK, path,
            "the tokenizer has %u tokens and the model %zu rows: tokens from %zu on cannot be used",
            v->n, n_vocab, n_vocab);
    warn(said.msg);
    return OK;
}
