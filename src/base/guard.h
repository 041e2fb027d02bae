/* Maps for tests that find reads beyond the end of a file. A common map goes on to the end of its
 * last page, with zeros: a reader that goes too far sees them, and neither the system nor a
 * sanitizer notices. A guarded map ends where the memory ends, so that such a reader crashes. */
#ifndef LOOKAT_BASE_GUARD_H
#define LOOKAT_BASE_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* The `size` bytes (1 or more) of the file behind fd, read-only, so that the byte behind the last
 * one cannot be read: a map where they fill their pages, else a copy, which then has no alignment.
 * *map and *map_bytes are what munmap is due for. NULL where the system refuses. */
const uint8_t *guard_map(int fd, size_t size, void **map, size_t *map_bytes);

#endif
