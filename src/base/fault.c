/* A small table of mapped files that a signal handler may read at any moment: it takes no lock. */
#include "base/fault.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/printable.h"

enum {
    MAPS_MAX = 256,
    PATH_ROOM = 160
}; /* files beyond that many are mapped all the same, only without a name here */

static struct map {
    _Atomic uintptr_t begin; /* 0: free; written last, read first */
    size_t size;
    char path[PATH_ROOM];
} maps[MAPS_MAX];

void fault_add(const void *data, size_t size, const char *path) {
    size_t i = 0, n = strlen(path);
    while (i < MAPS_MAX && atomic_load(&maps[i].begin)) i++;
    if (i == MAPS_MAX) return;
    maps[i].size = size;
    strcpy(maps[i].path, n < PATH_ROOM ? path : path + n - (PATH_ROOM - 1));
    printable(maps[i].path);
    atomic_store(&maps[i].begin, (uintptr_t)data);
}

void fault_remove(const void *data) {
    for (size_t i = 0; i < MAPS_MAX; i++)
        if (atomic_load(&maps[i].begin) == (uintptr_t)data) atomic_store(&maps[i].begin, 0);
}

const char *fault_file(const void *address) {
    for (size_t i = 0; i < MAPS_MAX; i++) {
        uintptr_t begin = atomic_load(&maps[i].begin);
        if (begin && (uintptr_t)address >= begin && (uintptr_t)address - begin < maps[i].size)
            return maps[i].path;
    }
    return NULL;
}
