/* Reads a safetensors file and checks it against every rule of the format. What the tensors mean is
 * hf.c. */
#include "checkpoint/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "kernels/dtype.h"

/* The number types of the format, and those of them that the engine computes with. */
static const struct {
    const char *name;
    size_t bytes;
    int type;
} DTYPES[] = {{"F32", 4, DTYPE_F32}, {"F16", 2, DTYPE_F16}, {"BF16", 2, DTYPE_BF16},
              {"F64", 8, -1},        {"I64", 8, -1},        {"I32", 4, -1},
              {"I16", 2, -1},        {"I8", 1, -1},         {"U64", 8, -1},
              {"U32", 4, -1},        {"U16", 2, -1},        {"U8", 1, -1},
              {"BOOL", 1, -1},       {"F8_E4M3", 1, -1},    {"F8_E5M2", 1, -1},
              {"F8_E8M0", 1, -1},    {"C64", 8, -1}};

static int refuse_json(const struct named_file *s, const struct json *j, struct err *e) {
    return err_file(e, ERR_REFUSED, s->file.path, "header, byte %zu: %s", 8 + j->error_at,
                    j->error);
}

/* u64 N, then {: the cursor over the header, and where the data section starts. */
static int find_header(const struct named_file *s, struct json *j, size_t *data_start,
                       struct err *e) {
    const struct file *f = &s->file;
    uint64_t n = 0;
    if (f->size < 8)
        return err_file(e, ERR_REFUSED, f->path,
                        "is %zu bytes long, expected 8 or more: the length of a header", f->size);
    for (int i = 0; i < 8; i++) n |= (uint64_t)f->data[i] << 8 * i;
    if (n > ST_MAX_HEADER)
        return err_file(e, ERR_REFUSED, f->path, "the header's length is %llu, expected at most %d",
                        (unsigned long long)n, ST_MAX_HEADER);
    if (n > f->size - 8)
        return err_file(e, ERR_REFUSED, f->path,
                        "the header is %llu bytes long, but only %zu follow: the file is cut short",
                        (unsigned long long)n, f->size - 8);
    if (n == 0) return err_file(e, ERR_REFUSED, f->path, "the header is empty, expected an object");
    if (f->data[8] != '{')
        return err_file(e, ERR_REFUSED, f->path, "the header starts with byte 0x%02x, expected '{'",
                        f->data[8]);
    *j = json_open(f->data + 8, (size_t)n, ST_MAX_DEPTH);
    *data_start = 8 + (size_t)n;
    return OK;
}

/* A first pass over the whole header: is it JSON, and how many entries has it? */
static int count_entries(const struct named_file *s, struct json j, size_t *n, struct err *e) {
    struct json_str key;
    *n = 0;
    for (json_enter_object(&j); json_next_key(&j, &key); ++*n) json_skip(&j);
    if (!json_end(&j)) return refuse_json(s, &j, e);
    if (*n > NAMED_MAX_TENSORS + 1)
        return err_file(e, ERR_REFUSED, s->file.path,
                        "the header has %zu entries, expected at most %d tensors", *n,
                        NAMED_MAX_TENSORS);
    return OK;
}

/* An object of strings, or null, which the format's own reader takes for an object that is not
 * there. */
static int read_metadata(const struct named_file *s, struct json *j, struct err *e) {
    struct json_str str;
    if (json_peek(j) == JSON_NULL && json_null(j)) return OK;
    if (json_peek(j) != JSON_OBJECT)
        return err_file(e, ERR_REFUSED, s->file.path, "__metadata__ is not an object");
    json_enter_object(j);
    while (json_next_key(j, &str))
        if (json_peek(j) != JSON_STRING || !json_string(j, &str))
            return err_file(e, ERR_REFUSED, s->file.path,
                            "__metadata__ holds something other than a string at byte %zu",
                            8 + j->at);
    return OK;
}

static int read_dtype(const struct named_file *s, struct json *j, struct named_tensor *t,
                      size_t *bytes, struct err *e) {
    struct json_str str;
    if (!json_string(j, &str)) return refuse_json(s, j, e);
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (json_is(str, DTYPES[i].name)) {
            t->dtype = DTYPES[i].name;
            t->type = DTYPES[i].type;
            *bytes = DTYPES[i].bytes;
            return OK;
        }
    return err_file(e, ERR_REFUSED, s->file.path, "tensor %s: unknown dtype \"%.*s\"", t->name,
                    str.n < 20 ? (int)str.n : 20, str.s);
}

static int read_shape(const struct named_file *s, struct json *j, struct named_tensor *t,
                      struct err *e) {
    if (!json_enter_array(j)) return refuse_json(s, j, e);
    while (json_next_item(j)) {
        if (t->rank == NAMED_MAX_RANK)
            return err_file(e, ERR_REFUSED, s->file.path, "tensor %s: more than %d dimensions",
                            t->name, NAMED_MAX_RANK);
        json_uint(j, &t->shape[t->rank++]);
    }
    return j->error ? refuse_json(s, j, e) : OK;
}

static int read_offsets(const struct named_file *s, struct json *j, const struct named_tensor *t,
                        uint64_t offsets[2], struct err *e) {
    size_t n = 0;
    if (!json_enter_array(j)) return refuse_json(s, j, e);
    for (; json_next_item(j); n++) {
        uint64_t x;
        if (json_uint(j, &x) && n < 2) offsets[n] = x;
    }
    if (j->error) return refuse_json(s, j, e);
    if (n != 2)
        return err_file(e, ERR_REFUSED, s->file.path,
                        "tensor %s: data_offsets has %zu numbers, expected 2", t->name, n);
    return OK;
}

/* Puts the tensor into the data section if its size is what its shape and type say. */
static int place(const struct named_file *s, struct named_tensor *t, size_t item,
                 const uint64_t offsets[2], size_t data_start, struct err *e) {
    size_t room = s->file.size - data_start, bytes = item;
    for (unsigned i = 0; i < t->rank; i++)
        if (t->shape[i] > SIZE_MAX || !size_mul(bytes, (size_t)t->shape[i], &bytes))
            return err_file(e, ERR_REFUSED, s->file.path,
                            "tensor %s: the size of its shape overflows", t->name);
    if (offsets[1] < offsets[0])
        return err_file(e, ERR_REFUSED, s->file.path,
                        "tensor %s: ends at %llu, before its begin at %llu", t->name,
                        (unsigned long long)offsets[1], (unsigned long long)offsets[0]);
    if (offsets[1] > room)
        return err_file(
            e, ERR_REFUSED, s->file.path,
            "tensor %s: ends at %llu, beyond the data of %zu bytes: the file is cut short", t->name,
            (unsigned long long)offsets[1], room);
    if (offsets[1] - offsets[0] != bytes)
        return err_file(e, ERR_REFUSED, s->file.path,
                        "tensor %s: has %llu bytes, expected %zu for its shape and type", t->name,
                        (unsigned long long)(offsets[1] - offsets[0]), bytes);
    t->begin = (size_t)offsets[0];
    t->bytes = bytes;
    t->data = s->file.data + data_start + t->begin;
    return OK;
}

/* {"dtype":...,"shape":...,"data_offsets":...}, in any order, each once and nothing else. */
static int read_tensor(const struct named_file *s, struct json *j, struct named_tensor *t,
                       size_t data_start, struct err *e) {
    static const char *const FIELDS[] = {"dtype", "shape", "data_offsets"};
    struct json_str key;
    unsigned seen = 0;
    size_t item = 0;
    uint64_t offsets[2];
    if (!json_enter_object(j)) return refuse_json(s, j, e);
    while (json_next_key(j, &key)) {
        unsigned field = 0;
        while (field < 3 && !json_is(key, FIELDS[field])) field++;
        if (field == 3)
            return err_file(e, ERR_REFUSED, s->file.path, "tensor %s: unknown key \"%.*s\"",
                            t->name, key.n < 40 ? (int)key.n : 40, key.s);
        if (seen & 1u << field)
            return err_file(e, ERR_REFUSED, s->file.path, "tensor %s: the key %s stands twice",
                            t->name, FIELDS[field]);
        seen |= 1u << field;
        int rc = field == 0   ? read_dtype(s, j, t, &item, e)
                 : field == 1 ? read_shape(s, j, t, e)
                              : read_offsets(s, j, t, offsets, e);
        if (rc) return rc;
    }
    for (unsigned field = 0; field < 3; field++)
        if (!(seen & 1u << field))
            return err_file(e, ERR_REFUSED, s->file.path, "tensor %s: the key %s is missing",
                            t->name, FIELDS[field]);
    return place(s, t, item, offsets, data_start, e);
}

/* The second pass. `names` has room for all names, terminated. */
static int read_entries(struct named_file *s, struct json j, char *names, size_t data_start,
                        struct err *e) {
    struct json_str key;
    bool metadata = false;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        int rc;
        if (json_is(key, "__metadata__")) {
            if (metadata)
                return err_file(e, ERR_REFUSED, s->file.path,
                                "__metadata__ stands twice in the header");
            metadata = true;
            if ((rc = read_metadata(s, &j, e)) != OK) return rc;
            continue;
        }
        if (s->n == NAMED_MAX_TENSORS)
            return err_file(e, ERR_REFUSED, s->file.path, "more than %d tensors",
                            NAMED_MAX_TENSORS);
        struct named_tensor *t = &s->tensors[s->n];
        *t = (struct named_tensor){.name = names, .name_len = json_decode(key, names)};
        names += t->name_len;
        *names++ = 0;
        if (t->name_len > NAMED_MAX_NAME)
            return err_file(e, ERR_REFUSED, s->file.path,
                            "tensor %.40s...: the name has %zu bytes, expected at most %d", t->name,
                            t->name_len, NAMED_MAX_NAME);
        if ((rc = read_tensor(s, &j, t, data_start, e)) != OK) return rc;
        if ((rc = named_file_add(s, e)) != OK) return rc;
    }
    return OK;
}

static int by_begin(const void *a, const void *b) {
    const struct named_tensor *x = *(const struct named_tensor *const *)a,
                              *y = *(const struct named_tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) -
           (x->bytes < y->bytes); /* empty tensors before the one that starts at the same place */
}

/* The tensors must cover the data section from end to end, each byte once. */
static int check_cover(struct named_file *s, size_t data_bytes, struct err *e) {
    const struct named_tensor **order = arena_alloc(&s->arena, s->n, sizeof *order);
    if (!order) return err_file(e, ERR_FAILED, s->file.path, "no memory for %zu tensors", s->n);
    for (size_t i = 0; i < s->n; i++) order[i] = &s->tensors[i];
    qsort(order, s->n, sizeof *order, by_begin);
    size_t end = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct named_tensor *t = order[i];
        if (t->begin < end)
            return err_file(e, ERR_REFUSED, s->file.path,
                            "tensor %s: begins at %zu, inside the one before, which ends at %zu",
                            t->name, t->begin, end);
        if (t->begin > end)
            return err_file(e, ERR_REFUSED, s->file.path,
                            "tensor %s: begins at %zu, after a hole that starts at %zu", t->name,
                            t->begin, end);
        end += t->bytes;
    }
    if (end != data_bytes)
        return err_file(e, ERR_REFUSED, s->file.path,
                        "the tensors end at %zu, but the data has %zu bytes", end, data_bytes);
    return OK;
}

static int read_file(struct named_file *s, struct err *e) {
    struct json j;
    size_t data_start = 0, entries = 0;
    int rc = find_header(s, &j, &data_start, e);
    if (!rc) rc = count_entries(s, j, &entries, e);
    if (rc) return rc;
    char *names = arena_alloc(&s->arena, j.size,
                              1); /* a name and its end are shorter than the name in quotes */
    if (!names) return err_file(e, ERR_FAILED, s->file.path, "no memory for %zu names", entries);
    rc = named_file_room(s, entries, e);
    if (!rc) rc = read_entries(s, j, names, data_start, e);
    return rc ? rc : check_cover(s, s->file.size - data_start, e);
}

int safetensors_open(struct named_file *s, const char *path, struct err *e) {
    *s = (struct named_file){.format = "safetensors"};
    int rc = file_map(&s->file, path, e);
    if (rc) return rc;
    rc = read_file(s, e);
    if (rc) named_file_close(s);
    return rc;
}
