/* Maps a file so that it ends exactly where readable memory ends. Only tests use it. */
#include "base/guard.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/process.h"
#include "base/size.h"

enum { GUARD_BYTES = 1 << 16 }; /* behind the end */

static bool read_whole(int fd, uint8_t *to, size_t n) {
    while (n) {
        ssize_t got = read(fd, to, n);
        if (got <= 0) return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

const uint8_t *guard_map(int fd, size_t size, void **map, size_t *map_bytes) {
    size_t page = memory_page(), room;
    if (!size_add(size, page + GUARD_BYTES, &room)) return NULL;
    size_t whole = size_align(size, page);
    *map_bytes = whole + size_align(GUARD_BYTES, page);
    uint8_t *p = *map = memory_reserve(*map_bytes);
    if (!p) return NULL;
    bool ok;
    if (whole == size) {
        ok = mmap(p, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED;
    } else {
        ok = mprotect(p, whole, PROT_READ | PROT_WRITE) == 0 &&
             read_whole(fd, p + whole - size, size) && mprotect(p, whole, PROT_READ) == 0;
    }
    if (ok) return p + whole - size;
    munmap(p, *map_bytes);
    return NULL;
}
