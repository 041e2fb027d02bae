/* Reads the directory of a zip archive from its end, and finds the bytes of each file in it. */
#include "checkpoint/zip.h"

#include <string.h>

enum {
    LOCAL = 0x04034b50,    /* "PK\3\4": in front of a file */
    ENTRY = 0x02014b50,    /* "PK\1\2": a file in the directory */
    END = 0x06054b50,      /* "PK\5\6": behind the directory */
    END_64 = 0x06064b50,   /* "PK\6\6": the same with wider numbers */
    WHERE_64 = 0x07064b50, /* "PK\6\7": where that is */
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    END_64_BYTES = 56,
    WHERE_64_BYTES = 20,
    MAX_COMMENT = 65535,
    MAX_ENTRIES = 65536,
    SHOWN = 60 /* bytes of a name that a message quotes */
};

struct reader {
    const struct file *f;
    size_t at, end; /* of the directory */
    uint64_t n;     /* entries */
    struct err *e;
};

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static uint32_t u32_at(const uint8_t *p) { return (uint32_t)little_endian(p, 4); }
static uint16_t u16_at(const uint8_t *p) { return (uint16_t)little_endian(p, 2); }

static int refuse(const struct reader *r, const char *why) {
    return err_file(r->e, ERR_REFUSED, r->f->path, "%s", why);
}

/* The last place where the end may be: it is at least END_BYTES before the end of the file, by the
 * length of a comment more. SIZE_MAX where there is none. */
static size_t find_end(const struct file *f) {
    for (size_t back = END_BYTES; back <= f->size && back <= END_BYTES + MAX_COMMENT; back++) {
        const uint8_t *p = f->data + f->size - back;
        if (u32_at(p) == END && u16_at(p + 20) == back - END_BYTES) return f->size - back;
    }
    return SIZE_MAX;
}

/* Where the directory is, as the end that begins at `end` says it. */
static int find_directory(struct reader *r, size_t end) {
    const uint8_t *p = r->f->data + end;
    uint64_t n = u16_at(p + 10), bytes = u32_at(p + 12), at = u32_at(p + 16);
    bool wide = n == UINT16_MAX || bytes == UINT32_MAX || at == UINT32_MAX;
    if (u16_at(p + 4) || u16_at(p + 6)) return refuse(r, "is one part of a zip archive in several");
    if (wide && end >= WHERE_64_BYTES && u32_at(p - WHERE_64_BYTES) == WHERE_64) {
        uint64_t where = little_endian(p - WHERE_64_BYTES + 8, 8);
        if (where > end || end - where < END_64_BYTES + WHERE_64_BYTES ||
            u32_at(r->f->data + where) != END_64)
            return refuse(r, "the zip archive's directory is not where its end says");
        p = r->f->data + where;
        n = little_endian(p + 32, 8), bytes = little_endian(p + 40, 8);
        at = little_endian(p + 48, 8), end = (size_t)where;
    }
    if (at > end || bytes > end - at || n > bytes / ENTRY_BYTES)
        return refuse(r, "the zip archive's directory is not where its end says");
    if (n > MAX_ENTRIES)
        return err_file(r->e, ERR_REFUSED, r->f->path,
                        "the zip archive counts %llu files, expected at most %d",
                        (unsigned long long)n, MAX_ENTRIES);
    r->at = (size_t)at, r->end = (size_t)(at + bytes), r->n = n;
    return OK;
}

/* The sizes and the place of an entry that do not fit 32 bits stand in its extra field 1, in this
 * order and only those. False where they are not there. */
static bool read_wide(const uint8_t *extra, size_t n, uint64_t *wide[3]) {
    bool needed = false;
    for (int i = 0; i < 3; i++) needed = needed || *wide[i] == UINT32_MAX;
    while (needed && n >= 4) {
        size_t size = u16_at(extra + 2);
        if (size > n - 4) return false;
        if (u16_at(extra) == 1) {
            const uint8_t *p = extra + 4, *end = p + size;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] != UINT32_MAX) continue;
                if (end - p < 8) return false;
                *wide[i] = little_endian(p, 8), p += 8;
            }
            return true;
        }
        extra += 4 + size, n -= 4 + size;
    }
    return !needed;
}

static int refuse_entry(const struct reader *r, const struct zip_entry *z, const char *why) {
    return err_file(r->e, ERR_REFUSED, r->f->path, "in the zip archive, %.*s %s",
                    z->name_len < SHOWN ? (int)z->name_len : SHOWN, z->name, why);
}

/* The bytes of a file in the archive, behind a header of their own. */
static int place_entry(const struct reader *r, struct zip_entry *z, uint64_t at, uint64_t bytes) {
    if (at > r->at || r->at - at < LOCAL_BYTES || u32_at(r->f->data + at) != LOCAL)
        return refuse_entry(r, z, "is not where the directory says");
    const uint8_t *p = r->f->data + at;
    uint64_t before = LOCAL_BYTES + (uint64_t)u16_at(p + 26) + u16_at(p + 28);
    if (before > r->at - at || bytes > r->at - at - before)
        return refuse_entry(r, z, "ends behind the beginning of the directory");
    z->data = p + before;
    z->bytes = (size_t)bytes;
    return OK;
}

/* Reads the entry at *at, which moves behind it. */
static int read_entry(const struct reader *r, size_t *at, struct zip_entry *z) {
    const uint8_t *p = r->f->data + *at;
    if (r->end - *at < ENTRY_BYTES || u32_at(p) != ENTRY)
        return refuse(r, "the zip archive's directory is broken");
    size_t name = u16_at(p + 28), extra = u16_at(p + 30), comment = u16_at(p + 32);
    if (r->end - *at - ENTRY_BYTES < name + extra + comment)
        return refuse(r, "the zip archive's directory is broken");
    uint64_t packed = u32_at(p + 20), bytes = u32_at(p + 24), local = u32_at(p + 42);
    *z = (struct zip_entry){.name = (const char *)p + ENTRY_BYTES, .name_len = name};
    *at += ENTRY_BYTES + name + extra + comment;
    if (u16_at(p + 8) & 1) return refuse_entry(r, z, "is encrypted");
    if (!read_wide(p + ENTRY_BYTES + name, extra, (uint64_t *[3]){&bytes, &packed, &local}))
        return refuse_entry(r, z, "does not say how large it is");
    if (u16_at(p + 10) != 0 || packed != bytes)
        return refuse_entry(r, z, "is compressed, expected one that is stored as it is");
    return place_entry(r, z, local, bytes);
}

static const void *name_of(const void *ctx, uint32_t i, size_t *n) {
    const struct zip_entry *z = (const struct zip_entry *)ctx + i;
    *n = z->name_len;
    return z->name;
}

int zip_read(struct zip *z, const struct file *f, struct arena *a, struct err *e) {
    struct reader r = {.f = f, .e = e};
    size_t end = find_end(f);
    if (end == SIZE_MAX)
        return refuse(&r, "a zip archive without its end: the file is cut short, or no archive");
    int rc = find_directory(&r, end);
    if (rc) return rc;
    *z = (struct zip){.entries = arena_alloc(a, (size_t)r.n, sizeof *z->entries)};
    if (!z->entries || !hash_index_init(&z->index, (size_t)r.n, name_of, z->entries, a))
        return err_file(e, ERR_FAILED, f->path, "no memory for a list of %zu files", (size_t)r.n);
    for (size_t at = r.at; z->n < r.n;) {
        struct zip_entry *entry = &z->entries[z->n];
        rc = read_entry(&r, &at, entry);
        if (rc) return rc;
        uint32_t *slot = hash_index_slot(&z->index, entry->name, entry->name_len);
        if (*slot != HASH_EMPTY) return refuse_entry(&r, entry, "stands in it twice");
        *slot = (uint32_t)z->n++;
    }
    return OK;
}

const struct zip_entry *zip_find(const struct zip *z, const char *name, size_t n) {
    uint32_t i = z->n ? *hash_index_slot(&z->index, name, n) : HASH_EMPTY;
    return i == HASH_EMPTY ? NULL : &z->entries[i];
}
