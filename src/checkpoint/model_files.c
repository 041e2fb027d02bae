/* The files that a model's weights came from, and their checksum. */
#include <string.h>

#include "base/interrupt.h"
#include "base/sha256.h"
#include "checkpoint/loaders.h"

int checkpoint_add_file(struct checkpoint *c, const char *path, size_t most, struct err *e) {
    if (!c->files) c->files = arena_alloc(&c->arena, most, sizeof *c->files);
    const char *copy = c->files ? arena_copy(&c->arena, path, strlen(path)) : NULL;
    if (!copy) return err_file(e, ERR_FAILED, path, "no memory for the file's name");
    c->files[c->n_files++] = copy;
    return OK;
}

static int add_file(struct sha256 *s, const char *path, struct err *e) {
    enum { PIECE = 1 << 22 };
    struct file f;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    for (size_t at = 0; at < f.size && !rc; at += PIECE) {
        sha256_add(s, f.data + at, f.size - at < PIECE ? f.size - at : PIECE);
        if (interrupt_pending()) rc = err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    file_unmap(&f);
    return rc;
}

int checkpoint_sha256(const struct checkpoint *c, char hex[65], struct err *e) {
    struct sha256 s;
    int rc = OK;
    sha256_init(&s);
    for (size_t i = 0; !rc && i < c->n_files; i++) rc = add_file(&s, c->files[i], e);
    sha256_hex(&s, hex);
    return rc;
}

size_t checkpoint_bytes(const struct checkpoint *c) { return c->arena.bytes; }
