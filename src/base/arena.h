/* An arena: memory that is given out piece by piece and freed all at once, so that nobody frees
 * single pieces and nothing leaks on an error. An arena has one owner. It begins as {0}, pieces
 * live until arena_free, and two threads may not use it at the same time. */
#ifndef LOOKAT_BASE_ARENA_H
#define LOOKAT_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first; {0} is an empty arena */
    size_t bytes;               /* bytes given out, padding included */
    bool
        failed; /* some piece could not be given. A caller may ask for many pieces and look once. */
};

/* count * size bytes, aligned to 64, contents undefined; NULL where the product overflows or the
 * system has no memory. Pages of a large piece are not touched until they are used. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* The same, filled with zeros. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);

/* A copy of the n bytes at s followed by a zero byte; NULL where the system has no memory. */
char *arena_copy(struct arena *a, const void *s, size_t n);

/* For tests: from now on the system has no memory for any arena, or has it again. What arenas hold
 * already they still give out. */
void arena_refuse(bool on);

/* Frees everything and leaves an empty arena. */
void arena_free(struct arena *a);

#endif
