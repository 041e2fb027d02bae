/* The lists of named tensors: names to tensors in one file, and in several that make one model. */
#include "checkpoint/named.h"

#include <string.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/shards.h"
#include "checkpoint/torch.h"

static const void *name_of(const void *ctx, uint32_t i, size_t *n) {
    const struct named_tensor *t = (const struct named_tensor *)ctx + i;
    *n = t->name_len;
    return t->name;
}

int named_file_room(struct named_file *f, size_t n, struct err *e) {
    f->tensors = arena_alloc(&f->arena, n, sizeof *f->tensors);
    if (!f->tensors || !hash_index_init(&f->index, n, name_of, f->tensors, &f->arena))
        return err_file(e, ERR_FAILED, f->file.path, "no memory for %zu tensors", n);
    return OK;
}

int named_file_add(struct named_file *f, struct err *e) {
    struct named_tensor *t = &f->tensors[f->n];
    uint32_t *slot = hash_index_slot(&f->index, t->name, t->name_len);
    if (*slot != HASH_EMPTY)
        return err_file(e, ERR_REFUSED, f->file.path, "two tensors are called %s", t->name);
    t->path = f->file.path;
    t->number = f->n;
    *slot = (uint32_t)f->n++;
    return OK;
}

const struct named_tensor *named_file_find(const struct named_file *f, const char *name) {
    if (f->n == 0) return NULL;
    uint32_t i = *hash_index_slot(&f->index, name, strlen(name));
    return i == HASH_EMPTY ? NULL : &f->tensors[i];
}

void named_file_close(struct named_file *f) {
    file_unmap(&f->file);
    arena_free(&f->arena);
    *f = (struct named_file){0};
}

/* Counts the tensors, and refuses a name that stands in two files. */
static int join_files(struct named_set *s, struct err *e) {
    for (size_t i = 0; i < s->n_files; i++) {
        struct named_file *f = &s->files[i];
        for (size_t k = 0; k < f->n; k++) {
            struct named_tensor *t = &f->tensors[k];
            const struct named_file *other = s->files;
            while (other < f && !named_file_find(other, t->name)) other++;
            if (other < f)
                return err_file(e, ERR_REFUSED, f->file.path, "tensor %s stands in %s too", t->name,
                                path_base(other->file.path));
            t->number = s->n++;
        }
        s->bytes += f->file.size;
    }
    return OK;
}

/* One file after the other; paths NULL: there is only the set's own. */
static int open_files(struct named_set *s, const char *const *paths, enum file_kind kind,
                      struct err *e) {
    int rc = OK;
    s->files = arena_zalloc(&s->arena, s->n_files, sizeof *s->files);
    if (!s->files)
        return err_file(e, ERR_FAILED, s->path, "no memory for a list of %zu files", s->n_files);
    for (size_t i = 0; !rc && i < s->n_files; i++) {
        const char *file = paths ? paths[i] : s->path;
        if (paths) rc = shards_sniff(file, &kind, e);
        if (rc) break;
        rc = kind == KIND_TORCH ? torch_open(&s->files[i], file, e)
                                : safetensors_open(&s->files[i], file, e);
    }
    return rc ? rc : join_files(s, e);
}

int named_set_open(struct named_set *s, const char *path, enum file_kind kind, struct err *e) {
    const char **paths = NULL;
    *s = (struct named_set){.path = path, .n_files = 1};
    int rc = kind == KIND_JSON ? shards_list(path, &paths, &s->n_files, &s->arena, e) : OK;
    if (!rc) rc = open_files(s, paths, kind, e);
    if (!rc && paths) rc = shards_check(s, e);
    if (rc) named_set_close(s);
    return rc;
}

void named_set_close(struct named_set *s) {
    for (size_t i = 0; s->files && i < s->n_files; i++) named_file_close(&s->files[i]);
    arena_free(&s->arena);
    *s = (struct named_set){0};
}

const struct named_tensor *named_find(const struct named_set *s, const char *name) {
    const struct named_tensor *t = NULL;
    for (size_t i = 0; !t && i < s->n_files; i++) t = named_file_find(&s->files[i], name);
    return t;
}

const struct named_tensor *named_at(const struct named_set *s, size_t i) {
    size_t f = 0;
    while (i >= s->files[f].n) i -= s->files[f++].n;
    return &s->files[f].tensors[i];
}
