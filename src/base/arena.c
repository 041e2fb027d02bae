/* Memory in chunks. A small piece is cut from the newest chunk; a large one gets a chunk of its
 * own. */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum {
    ALIGN = 64, /* bytes: a cache line, and the longest vector */
    CHUNK = 64 * 1024,
    /* A piece of more bytes gets a chunk of its own. So at most this much is lost at the end of a
     * common chunk. */
    LARGE = CHUNK / 16
};

struct arena_chunk {
    struct arena_chunk *next;
    unsigned char *mem; /* aligned start inside this allocation */
    size_t size, used;  /* bytes from mem */
};

static bool refusing;

void arena_refuse(bool on) { refusing = on; }

static struct arena_chunk *chunk_new(size_t size) {
    size_t total;
    if (refusing) return NULL;
    if (!size_add(size, sizeof(struct arena_chunk) + ALIGN, &total)) return NULL;
    struct arena_chunk *c = malloc(total);
    if (!c) return NULL;
    uintptr_t first = (uintptr_t)(c + 1);
    c->mem = (unsigned char *)c + (size_align(first, ALIGN) - (uintptr_t)c);
    c->size = size;
    c->used = 0;
    return c;
}

static void *refuse(struct arena *a) {
    a->failed = true;
    return NULL;
}

void *arena_alloc(struct arena *a, size_t count, size_t size) {
    size_t n;
    if (!size_mul(count, size, &n) || n > SIZE_MAX - ALIGN) return refuse(a);
    n = size_align(n ? n : 1, ALIGN);
    struct arena_chunk *c = a->chunks;
    if (!c || c->size - c->used < n) {
        c = chunk_new(n > LARGE ? n : CHUNK);
        if (!c) return refuse(a);
        if (n > LARGE && a->chunks) { /* The new chunk is full at once, so the current one stays in
                                       * front. */
            c->next = a->chunks->next;
            a->chunks->next = c;
        } else {
            c->next = a->chunks;
            a->chunks = c;
        }
    }
    void *p = c->mem + c->used;
    c->used += n;
    a->bytes += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size) {
    void *p = arena_alloc(a, count, size);
    if (p) memset(p, 0, count * size);
    return p;
}

char *arena_copy(struct arena *a, const void *s, size_t n) {
    char *p = n == SIZE_MAX ? refuse(a) : arena_alloc(a, n + 1, 1);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

void arena_free(struct arena *a) {
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (struct arena){0};
}
