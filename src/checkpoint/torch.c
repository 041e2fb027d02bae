/* Reads a file of torch.save: runs its pickle (pickle.c), finds the storages, and lists the tensors
 * of the model in it. */
#include "checkpoint/torch.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "checkpoint/pickle.h"
#include "checkpoint/zip.h"

enum {
    SHOWN = 60,          /* bytes of a name that a message quotes */
    LISTED = 120,        /* and of several names */
    MAX_KEY = 100,       /* bytes of a storage's key: PyTorch's are decimal numbers */
    MAX_TENSORS = 16384, /* GPT-2 XL has 581 */
    OLD_VERSION = 1001
};

/* A storage of an old file, under its key. */
struct old_storage {
    struct pickle_value key; /* a text */
    const uint8_t *data;     /* [bytes] */
    size_t bytes;
    uint64_t count; /* numbers */
};

struct reader {
    struct named_file *f;
    const char *path;
    struct pickle p;
    struct zip zip;     /* of a new file: n 0 in an old one */
    const char *folder; /* in the archive, not terminated: "NAME/" */
    size_t n_folder;
    struct old_storage *old; /* [n_old], of an old file */
    size_t n_old;
    struct hash_index keys; /* of them */
    struct err *e;
};

static int refuse(const struct reader *r, const char *why) {
    return err_file(r->e, ERR_REFUSED, r->path, "%s", why);
}

static int no_memory(const struct reader *r) {
    return err_file(r->e, ERR_FAILED, r->path, "no memory for its tensors");
}

/* ---- a zip archive ---- */

/* The file NAME/`name` of the archive, or NULL. */
static const struct zip_entry *find_in_folder(const struct reader *r, const char *name, size_t n) {
    char path[NAMED_MAX_NAME + 1];
    if (r->n_folder + n > sizeof path) return NULL;
    memcpy(path, r->folder, r->n_folder);
    memcpy(path + r->n_folder, name, n);
    return zip_find(&r->zip, path, r->n_folder + n);
}

/* The folder that holds data.pkl. */
static int find_folder(struct reader *r) {
    static const char pickle[] = "/data.pkl";
    for (size_t i = 0; i < r->zip.n; i++) {
        const struct zip_entry *z = &r->zip.entries[i];
        size_t n = sizeof pickle - 1;
        if (z->name_len <= n || memcmp(z->name + z->name_len - n, pickle, n) != 0 ||
            memchr(z->name, '/', z->name_len - n))
            continue;
        r->folder = z->name;
        r->n_folder = z->name_len - n + 1;
        return OK;
    }
    return refuse(r, "is a zip archive without a data.pkl, so no file of torch.save");
}

static int open_zip(struct reader *r) {
    int rc = zip_read(&r->zip, &r->f->file, &r->f->arena, r->e);
    if (!rc) rc = find_folder(r);
    if (rc) return rc;
    const struct zip_entry *order = find_in_folder(r, "byteorder", 9),
                           *pickle = find_in_folder(r, "data.pkl", 8);
    if (order && (order->bytes != 6 || memcmp(order->data, "little", 6) != 0))
        return refuse(r, "was saved on a big-endian machine, expected little-endian numbers");
    r->f->format = "PyTorch";
    rc = pickle_read(&r->p, r->path, pickle->data, pickle->bytes, &r->f->arena, r->e);
    if (!rc && r->p.end != pickle->bytes) rc = refuse(r, "bytes follow the pickle in data.pkl");
    return rc;
}

/* ---- the old form ---- */

/* A pickle that begins at *at, which moves behind it. */
static int next_pickle(const struct reader *r, struct pickle *p, size_t *at, struct arena *a) {
    const struct file *f = &r->f->file;
    int rc = pickle_read(p, r->path, f->data + *at, f->size - *at, a, r->e);
    *at += p->end;
    return rc;
}

static const void *key_bytes(const void *ctx, uint32_t i, size_t *n) {
    const struct old_storage *s = (const struct old_storage *)ctx + i;
    *n = s->key.n;
    return s->key.is.s;
}

static struct old_storage *find_old(const struct reader *r, struct pickle_value key) {
    uint32_t i = r->n_old ? *hash_index_slot(&r->keys, key.is.s, key.n) : HASH_EMPTY;
    return i == HASH_EMPTY ? NULL : &r->old[i];
}

/* Makes a storage of each key, without its numbers yet. */
static int list_keys(struct reader *r, const struct pickle *keys) {
    const size_t n = pickle_count(keys, keys->root);
    if (keys->root.kind != PICKLE_LIST) return refuse(r, "its list of storages is no list");
    r->old = arena_zalloc(&r->f->arena, n, sizeof *r->old);
    if (!r->old || !hash_index_init(&r->keys, n, key_bytes, r->old, &r->f->arena))
        return no_memory(r);
    uint32_t i = pickle_first(keys, keys->root);
    for (; i != PICKLE_END; i = keys->items[i].next) {
        struct pickle_value key = keys->items[i].value;
        if (key.kind != PICKLE_TEXT) return refuse(r, "a storage has a key that is no text");
        uint32_t *slot = hash_index_slot(&r->keys, key.is.s, key.n);
        if (*slot != HASH_EMPTY) return refuse(r, "two storages have one key");
        *slot = (uint32_t)r->n_old;
        r->old[r->n_old++].key = key;
    }
    return OK;
}

/* The bytes of each storage, as the pickle tells them of every tensor. */
static int size_storages(struct reader *r) {
    for (size_t i = 0; i < r->p.n_items; i++) {
        struct pickle_value v = r->p.items[i].value;
        if (v.kind != PICKLE_STORAGE) continue;
        struct old_storage *s = find_old(r, pickle_item(&r->p, v, 2));
        uint64_t count = (uint64_t)pickle_item(&r->p, v, 4).is.whole;
        size_t bytes;
        if (!s) return refuse(r, "a tensor's storage is not in the list of storages");
        if (count > SIZE_MAX ||
            !size_mul((size_t)count, pickle_storage_type(&r->p, v)->bytes, &bytes))
            return refuse(r, "the size of a storage overflows");
        if (s->bytes && s->bytes != bytes)
            return refuse(r, "two tensors say different things of one storage");
        s->bytes = bytes;
        s->count = count;
    }
    return OK;
}

static uint64_t u64_at(const uint8_t *p) {
    uint64_t x = 0;
    for (size_t i = 0; i < 8; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

/* The numbers of all storages, one behind another from `at` on. */
static int place_storages(struct reader *r, size_t at) {
    const struct file *f = &r->f->file;
    for (size_t i = 0; i < r->n_old; i++) {
        struct old_storage *s = &r->old[i];
        if (f->size - at < 8 || s->bytes > f->size - at - 8)
            return err_file(r->e, ERR_REFUSED, r->path,
                            "the file ends at byte %zu, inside the numbers of storage %zu of %zu",
                            f->size, i + 1, r->n_old);
        if (u64_at(f->data + at) != s->count)
            return err_file(r->e, ERR_REFUSED, r->path,
                            "storage %zu of %zu has %llu numbers, and its tensors say %llu", i + 1,
                            r->n_old, (unsigned long long)u64_at(f->data + at),
                            (unsigned long long)s->count);
        s->data = f->data + at + 8;
        at += 8 + s->bytes;
    }
    return at == f->size
               ? OK
               : err_file(r->e, ERR_REFUSED, r->path,
                          "%zu bytes follow the last storage, expected none", f->size - at);
}

/* Version and machine: two pickles. */
static int read_head(const struct reader *r, size_t *at, struct arena *a) {
    struct pickle p;
    int rc = next_pickle(r, &p, at, a);
    if (rc) return rc;
    if (p.root.kind != PICKLE_INT || p.root.is.whole != OLD_VERSION)
        return refuse(r, "its version is not 1001, the only one of the old form");
    if ((rc = next_pickle(r, &p, at, a)) != OK) return rc;
    struct pickle_value little = pickle_get(&p, p.root, "little_endian");
    if (little.kind != PICKLE_BOOL || !little.is.whole)
        return refuse(r, "was saved on a big-endian machine, expected little-endian numbers");
    return OK;
}

static int open_old(struct reader *r) {
    struct arena scratch = {0};
    struct pickle keys;
    size_t at = sizeof TORCH_MAGIC - 1;
    r->f->format = "PyTorch (before 1.6)";
    int rc = read_head(r, &at, &scratch);
    arena_free(&scratch);
    if (!rc) rc = next_pickle(r, &r->p, &at, &r->f->arena);
    if (!rc) rc = next_pickle(r, &keys, &at, &scratch);
    if (!rc) rc = list_keys(r, &keys);
    arena_free(&scratch);
    if (!rc) rc = size_storages(r);
    return rc ? rc : place_storages(r, at);
}

/* ---- tensors ---- */

/* The bytes of a tensor's storage. */
static int find_storage(const struct reader *r, const struct named_tensor *t, struct pickle_value v,
                        const uint8_t **data, size_t *bytes) {
    struct pickle_value key = pickle_item(&r->p, v, 2);
    uint64_t count = (uint64_t)pickle_item(&r->p, v, 4).is.whole;
    const size_t item = pickle_storage_type(&r->p, v)->bytes;
    if (r->n_old) {
        const struct old_storage *s = find_old(r, key);
        *data = s->data, *bytes = s->bytes;
    } else {
        char path[5 + MAX_KEY] = "data/";
        const struct zip_entry *z = NULL;
        if (key.n <= MAX_KEY) {
            memcpy(path + 5, key.is.s, key.n);
            z = find_in_folder(r, path, 5 + key.n);
        }
        if (!z)
            return err_file(r->e, ERR_REFUSED, r->path,
                            "tensor %s: its numbers, data/%.*s, are not in the archive", t->name,
                            key.n < SHOWN ? (int)key.n : SHOWN, key.is.s);
        *data = z->data, *bytes = z->bytes;
    }
    if (count != *bytes / item || *bytes % item)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "tensor %s: its storage has %zu bytes, expected %llu numbers of %zu",
                        t->name, *bytes, (unsigned long long)count, item);
    return OK;
}

/* Shape and strides. *last is the largest distance from the first number to another one. */
static int read_shape(const struct reader *r, struct named_tensor *t, struct pickle_value v,
                      uint64_t *last) {
    struct pickle_value shape = pickle_item(&r->p, v, 2), strides = pickle_item(&r->p, v, 3);
    uint64_t *stride = arena_alloc(&r->f->arena, NAMED_MAX_RANK, sizeof *stride);
    size_t count = 1;
    bool empty = false;
    if (!stride) return no_memory(r);
    t->rank = (unsigned)pickle_count(&r->p, shape);
    t->stride = stride;
    *last = 0;
    for (unsigned i = 0; i < t->rank; i++) {
        t->shape[i] = (uint64_t)pickle_item(&r->p, shape, i).is.whole;
        stride[i] = (uint64_t)pickle_item(&r->p, strides, i).is.whole;
        empty = empty || !t->shape[i];
        uint64_t steps = t->shape[i] ? t->shape[i] - 1 : 0;
        if (t->shape[i] > SIZE_MAX || !size_mul(count, (size_t)t->shape[i], &count) ||
            (steps && stride[i] > (UINT64_MAX - *last) / steps))
            return err_file(r->e, ERR_REFUSED, r->path,
                            "tensor %s: the size of its shape overflows", t->name);
        *last += steps * stride[i];
    }
    if (!size_mul(count, 8, &t->bytes))
        return err_file(r->e, ERR_REFUSED, r->path, "tensor %s: the size of its shape overflows",
                        t->name);
    t->bytes = count;
    if (empty) *last = 0;
    return OK;
}

/* Adds the tensor v, which is called by the text `key`. */
static int add_tensor(struct reader *r, struct pickle_value key, struct pickle_value v) {
    struct named_tensor *t = &r->f->tensors[r->f->n];
    struct pickle_value from = pickle_item(&r->p, v, 0);
    const struct pickle_type *type = pickle_storage_type(&r->p, from);
    uint64_t offset = (uint64_t)pickle_item(&r->p, v, 1).is.whole, last = 0;
    const uint8_t *data = NULL;
    size_t bytes = 0;
    *t = (struct named_tensor){.name = arena_copy(&r->f->arena, key.is.s, key.n),
                               .name_len = key.n,
                               .dtype = type->dtype,
                               .type = type->type};
    if (!t->name) return no_memory(r);
    if (key.n > NAMED_MAX_NAME)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "tensor %.40s...: the name has %zu bytes, expected at most %d", t->name,
                        t->name_len, NAMED_MAX_NAME);
    int rc = read_shape(r, t, v, &last);
    if (!rc) rc = find_storage(r, t, from, &data, &bytes);
    if (rc) return rc;
    uint64_t room = bytes / type->bytes;
    if (t->bytes ? offset >= room || last >= room - offset : offset > room)
        return err_file(r->e, ERR_REFUSED, r->path,
                        "tensor %s: reaches beyond its storage of %llu numbers", t->name,
                        (unsigned long long)room);
    t->begin = (size_t)offset * type->bytes;
    t->data = data + t->begin;
    t->bytes *= type->bytes;
    return named_file_add(r->f, r->e);
}

/* How many tensors are in it, by a text as their key. */
static size_t count_tensors(const struct pickle *p, struct pickle_value dict) {
    size_t n = 0;
    if (dict.kind != PICKLE_DICT) return 0;
    for (uint32_t i = pickle_first(p, dict); i != PICKLE_END; i = p->items[i].next)
        n += p->items[i].value.kind == PICKLE_TENSOR && p->items[i].key.kind == PICKLE_TEXT;
    return n;
}

static int no_state(const struct reader *r) {
    char found[LISTED] = "";
    size_t at = 0;
    uint32_t i = r->p.root.kind == PICKLE_DICT ? pickle_first(&r->p, r->p.root) : PICKLE_END;
    for (; i != PICKLE_END && at + 40 < sizeof found; i = r->p.items[i].next) {
        struct pickle_value key = r->p.items[i].key;
        if (key.kind == PICKLE_TEXT)
            at += (size_t)snprintf(found + at, 40, "%s%.*s", at ? ", " : "",
                                   key.n < 30 ? (int)key.n : 30, key.is.s);
    }
    return err_file(r->e, ERR_REFUSED, r->path,
                    "holds no tensors by name, also not under model, model_state_dict or "
                    "state_dict; found: %s",
                    at ? found : "no names");
}

/* The dictionary of the model's tensors. */
static struct pickle_value find_state(const struct reader *r) {
    static const char *const KEYS[] = {"model", "model_state_dict", "state_dict"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        struct pickle_value v = pickle_get(&r->p, r->p.root, KEYS[i]);
        if (count_tensors(&r->p, v)) return v;
    }
    return r->p.root;
}

static int list_tensors(struct reader *r) {
    struct pickle_value state = find_state(r);
    size_t n = count_tensors(&r->p, state);
    if (!n) return no_state(r);
    if (n > MAX_TENSORS)
        return err_file(r->e, ERR_REFUSED, r->path, "holds %zu tensors, expected at most %d", n,
                        MAX_TENSORS);
    int rc = named_file_room(r->f, n, r->e);
    uint32_t i = pickle_first(&r->p, state);
    for (; !rc && i != PICKLE_END; i = r->p.items[i].next) {
        const struct pickle_item *item = &r->p.items[i];
        if (item->value.kind == PICKLE_TENSOR && item->key.kind == PICKLE_TEXT)
            rc = add_tensor(r, item->key, item->value);
    }
    return rc;
}

/* nanoGPT's model_args. */
static void read_args(const struct reader *r) {
    struct named_args *a = &r->f->args;
    struct pickle_value args = pickle_get(&r->p, r->p.root, "model_args");
    const struct {
        const char *key;
        uint64_t *to;
    } sizes[] = {{"n_layer", &a->n_layer},
                 {"n_head", &a->n_head},
                 {"n_embd", &a->n_embd},
                 {"block_size", &a->n_ctx},
                 {"vocab_size", &a->n_vocab}};
    a->found = args.kind == PICKLE_DICT;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pickle_value v = pickle_get(&r->p, args, sizes[i].key);
        *sizes[i].to = v.kind == PICKLE_INT && v.is.whole >= 0 ? (uint64_t)v.is.whole : UINT64_MAX;
    }
}

int torch_open(struct named_file *f, const char *path, struct err *e) {
    struct reader r = {.f = f, .path = path, .e = e};
    *f = (struct named_file){.format = "PyTorch"};
    int rc = file_map(&f->file, path, e);
    if (rc) return rc;
    const size_t magic = sizeof TORCH_MAGIC - 1;
    if (f->file.size >= magic && memcmp(f->file.data, TORCH_MAGIC, magic) == 0)
        rc = open_old(&r);
    else
        rc = open_zip(&r);
    if (!rc) rc = list_tensors(&r);
    if (!rc) read_args(&r);
    if (rc) named_file_close(f);
    return rc;
}
