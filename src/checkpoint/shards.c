/* Reads the index of a model that lies in several files. */
#include "checkpoint/shards.h"

#include <string.h>

#include "base/json.h"

enum { MAX_FILES = 1000, MAX_NAME = 255, MAX_DEPTH = 32 };

/* Calls each(ctx, tensor, file) for every entry of weight_map, both decoded and terminated. */
typedef int (*shards_fn)(void *ctx, const char *tensor, const char *file, struct err *e);

struct walk {
    const char *path; /* of the index */
    struct json j;
    shards_fn each;
    void *ctx;
};

static int refuse_json(const struct walk *w, struct err *e) {
    return err_file(e, ERR_REFUSED, w->path, "byte %zu: %s", w->j.error_at, w->j.error);
}

/* A string of at most MAX_NAME bytes, without zero bytes. */
static int decode(const struct walk *w, struct json_str s, char out[MAX_NAME + 1], struct err *e) {
    if (s.n > MAX_NAME)
        return err_file(e, ERR_REFUSED, w->path, "\"%.40s...\" has %zu bytes, expected at most %d",
                        s.s, s.n, MAX_NAME);
    size_t n = json_decode(s, out);
    out[n] = 0;
    if (strlen(out) != n)
        return err_file(e, ERR_REFUSED, w->path, "a name in weight_map holds a zero byte");
    return OK;
}

static int walk_map(struct walk *w, struct err *e) {
    struct json_str key, value;
    char tensor[MAX_NAME + 1], file[MAX_NAME + 1];
    json_enter_object(&w->j);
    while (json_next_key(&w->j, &key)) {
        if (!json_string(&w->j, &value)) break;
        int rc = decode(w, key, tensor, e);
        if (!rc) rc = decode(w, value, file, e);
        if (!rc) rc = w->each(w->ctx, tensor, file, e);
        if (rc) return rc;
    }
    return w->j.error ? refuse_json(w, e) : OK;
}

static int walk_index(const char *path, shards_fn each, void *ctx, struct err *e) {
    struct file f;
    struct json_str key;
    bool found = false;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    struct walk w = {path, json_open_lenient(f.data, f.size, MAX_DEPTH), each, ctx};
    json_enter_object(&w.j);
    while (!rc && json_next_key(&w.j, &key)) {
        if (!found && json_is(key, "weight_map")) {
            found = true;
            rc = walk_map(&w, e);
        } else
            json_skip(&w.j);
    }
    if (!rc && !json_end(&w.j)) rc = refuse_json(&w, e);
    if (!rc && !found)
        rc = err_file(e, ERR_REFUSED, path,
                      "has no weight_map, which says in which file each tensor lies");
    file_unmap(&f);
    return rc;
}

/* ---- the list of files ---- */

struct list {
    const char *path, *folder;
    const char **paths;
    size_t n;
    struct arena *arena;
};

static int list_file(void *ctx, const char *tensor, const char *file, struct err *e) {
    struct list *l = ctx;
    (void)tensor;
    for (size_t i = l->n; i-- > 0;) /* mostly the last one */
        if (strcmp(path_base(l->paths[i]), file) == 0) return OK;
    if (!*file || strchr(file, '/') || strcmp(file, ".") == 0 || strcmp(file, "..") == 0)
        return err_file(e, ERR_REFUSED, l->path,
                        "names \"%.80s\", expected a file in its own folder", file);
    if (l->n == MAX_FILES)
        return err_file(e, ERR_REFUSED, l->path, "names more than %d files", MAX_FILES);
    const char *whole = path_join(l->arena, l->folder, file);
    if (!whole) return err_file(e, ERR_FAILED, l->path, "no memory for the name of a file");
    if (!file_exists(whole))
        return err_file(e, ERR_REFUSED, l->path, "names %.80s, which is not beside it", file);
    l->paths[l->n++] = whole;
    return OK;
}

int shards_list(const char *path, const char ***paths, size_t *n, struct arena *a, struct err *e) {
    struct list l = {.path = path, .folder = path_folder(a, path), .arena = a};
    l.paths = arena_alloc(a, MAX_FILES, sizeof *l.paths);
    if (!l.folder || !l.paths)
        return err_file(e, ERR_FAILED, path, "no memory for a list of files");
    int rc = walk_index(path, list_file, &l, e);
    if (rc) return rc;
    if (!l.n) return err_file(e, ERR_REFUSED, path, "its weight_map is empty");
    *paths = l.paths;
    *n = l.n;
    return OK;
}

int shards_sniff(const char *path, enum file_kind *kind, struct err *e) {
    int rc = sniff(path, SNIFF_SHARDS, kind, e);
    if (rc || *kind == KIND_SAFETENSORS || *kind == KIND_TORCH) return rc;
    return err_file(e, ERR_REFUSED, path, "is something else, expected " SNIFF_SHARDS);
}

/* ---- the list of tensors ---- */

struct place {
    const struct named_set *set;
};

static int check_place(void *ctx, const char *tensor, const char *file, struct err *e) {
    const struct named_set *s = ((const struct place *)ctx)->set;
    const struct named_tensor *t = named_find(s, tensor);
    if (t && strcmp(path_base(t->path), file) == 0) return OK;
    return err_file(e, ERR_REFUSED, s->path, "says that tensor %.80s is in %.60s, where it is not",
                    tensor, file);
}

int shards_check(const struct named_set *s, struct err *e) {
    struct place p = {s};
    return walk_index(s->path, check_place, &p, e);
}
