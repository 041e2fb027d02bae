/* Joins the files of a split GGUF model into one list of tensors. */
#include "checkpoint/gguf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS = 5,
    ENDING = 1 + DIGITS + 4 + DIGITS + 5, /* "-00001-of-00003.gguf" */
    MAX_PARTS = 1000,
    MAX_TENSORS = 65536,
    SHOWN = 64 /* bytes of a name that a message quotes */
};

/* A number of five digits. */
static bool read_number(const char *s, unsigned *x) {
    if (strspn(s, "0123456789") < DIGITS) return false;
    *x = 0;
    for (int i = 0; i < DIGITS; i++) *x = 10 * *x + (unsigned)(s[i] - '0');
    return true;
}

bool gguf_part_name(const char *path, unsigned *no, unsigned *count) {
    const size_t n = strlen(path);
    if (n <= ENDING) return false;
    const char *s = path + n - ENDING;
    return s[0] == '-' && read_number(s + 1, no) && memcmp(s + 1 + DIGITS, "-of-", 4) == 0 &&
           read_number(s + 5 + DIGITS, count) && strcmp(s + 5 + 2 * DIGITS, ".gguf") == 0;
}

char *gguf_part_path(const char *path, unsigned no, struct arena *a) {
    char *other = arena_copy(a, path, strlen(path)), digits[16];
    if (!other) return NULL;
    snprintf(digits, sizeof digits, "%05u", no);
    memcpy(other + strlen(path) - ENDING + 1, digits, DIGITS);
    return other;
}

/* The number of a part and how many there are, by its keys; without them it is the only one. */
static int read_split(const struct gguf *g, uint64_t *no, uint64_t *count, struct err *e) {
    *no = 0, *count = 1;
    int rc = gguf_find(g, "split.count") ? gguf_uint(g, "split.count", count, e) : OK;
    if (!rc && gguf_find(g, "split.no")) rc = gguf_uint(g, "split.no", no, e);
    return rc;
}

static const void *name_bytes(const void *ctx, uint32_t i, size_t *n) {
    const struct gguf_tensor *t = ctx;
    *n = t[i].name.n;
    return t[i].name.s;
}

/* Moves the tensors of a part to the list of all, and its map to g. */
static int take_part(struct gguf *g, struct gguf *part, struct err *e) {
    for (size_t i = 0; i < part->n_tensors; i++) {
        const struct gguf_tensor *t = &part->tensors[i];
        uint32_t *slot = hash_index_slot(&g->names, t->name.s, t->name.n);
        if (*slot != HASH_EMPTY)
            return err_file(e, ERR_REFUSED, part->file.path,
                            "tensor \"%.*s\" stands in an earlier part too",
                            t->name.n < SHOWN ? (int)t->name.n : SHOWN, t->name.s);
        *slot = (uint32_t)g->n_tensors;
        g->tensors[g->n_tensors++] = *t;
    }
    return OK;
}

/* A list with room for n tensors in place of the one of the first part. */
static int widen(struct gguf *g, size_t n, struct err *e) {
    struct gguf first = *g;
    g->tensors = arena_alloc(&g->arena, n, sizeof *g->tensors);
    if (!g->tensors || !hash_index_init(&g->names, n, name_bytes, g->tensors, &g->arena))
        return err_file(e, ERR_FAILED, g->file.path, "no memory for %zu tensors", n);
    g->n_tensors = 0;
    return take_part(g, &first, e);
}

static int check_part(const struct gguf *part, unsigned i, uint64_t count, struct err *e) {
    uint64_t no, of;
    int rc = read_split(part, &no, &of, e);
    if (rc) return rc;
    if (of != count || no != i)
        return err_file(e, ERR_REFUSED, part->file.path,
                        "is part %llu of %llu by its keys, expected %u of %llu",
                        (unsigned long long)no + 1, (unsigned long long)of, i + 1,
                        (unsigned long long)count);
    return OK;
}

/* The parts behind the first. */
static int open_parts(struct gguf *g, uint64_t count, uint64_t total, struct arena *a,
                      struct err *e) {
    g->parts = arena_zalloc(a, (size_t)count - 1, sizeof *g->parts);
    if (!g->parts) return err_file(e, ERR_FAILED, g->file.path, "no memory for a list of files");
    int rc = widen(g, (size_t)total, e);
    for (unsigned i = 1; !rc && i < count; i++) {
        struct gguf part;
        const char *path = gguf_part_path(g->file.path, i + 1, a);
        if (!path) return err_file(e, ERR_FAILED, g->file.path, "no memory for a file name");
        if (!file_exists(path))
            return err_file(e, ERR_REFUSED, g->file.path,
                            "the model is split into %u files, and %s is not beside it",
                            (unsigned)count, path_base(path));
        rc = gguf_open(&part, path, e);
        if (rc) return rc;
        g->parts[g->n_parts++] = part.file;
        rc = check_part(&part, i, count, e);
        if (!rc && part.n_tensors > total - g->n_tensors)
            rc = err_file(e, ERR_REFUSED, path, "has more tensors than split.tensors.count says");
        if (!rc) rc = take_part(g, &part, e);
        arena_free(&part.arena); /* the map is g's */
    }
    if (!rc && g->n_tensors != total)
        rc = err_file(e, ERR_REFUSED, g->file.path,
                      "the parts have %zu tensors, and split.tensors.count is %llu", g->n_tensors,
                      (unsigned long long)total);
    return rc;
}

int gguf_join_parts(struct gguf *g, struct arena *a, struct err *e) {
    const char *path = g->file.path;
    uint64_t no, count, total = 0;
    unsigned named, of;
    int rc = read_split(g, &no, &count, e);
    if (rc || count <= 1) return rc;
    if (no)
        return err_file(e, ERR_REFUSED, path,
                        "is part %llu of the %llu that the model is split into: name the first one",
                        (unsigned long long)no + 1, (unsigned long long)count);
    if (count > MAX_PARTS)
        return err_file(e, ERR_REFUSED, path, "split.count is %llu, expected at most %d",
                        (unsigned long long)count, MAX_PARTS);
    if (!gguf_part_name(path, &named, &of) || named != 1 || of != count)
        return err_file(e, ERR_REFUSED, path,
                        "is the first of %u files that the model is split into: expected a name "
                        "that ends in -00001-of-%05u.gguf, by which the others are found",
                        (unsigned)count, (unsigned)count);
    rc = gguf_uint(g, "split.tensors.count", &total, e);
    if (rc) return rc;
    if (total > MAX_TENSORS || total < g->n_tensors)
        return err_file(e, ERR_REFUSED, path,
                        "split.tensors.count is %llu, expected %zu, which this part has, to %d",
                        (unsigned long long)total, g->n_tensors, MAX_TENSORS);
    return open_parts(g, count, total, a, e);
}
