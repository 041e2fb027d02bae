/* What the fuzz targets share. A target is one file with the function that libFuzzer calls: it may
 * refuse any input, and must not crash, leak, or break what it asserts. `make fuzz` builds it with
 * libFuzzer; everywhere else replay.c calls it for the files of its corpus. */
#ifndef LOOKAT_TESTS_FUZZ_H
#define LOOKAT_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bad/folder.h"
#include "base/file.h"
#include "base/threads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program with what was expected, where it is not so. */
#define EXPECT(cond)                                                            \
    do {                                                                        \
        if (!(cond)) {                                                          \
            fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* Once: a folder for the target's files, removed at the end; one thread; maps that end where the
 * file does. */
static inline void fuzz_start(void) {
    if (folder[0]) return;
    EXPECT(folder_make());
    atexit(folder_remove);
    threads_set(1);
    file_guard(true);
}

/* The path of a file in the folder that now holds data[size]. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t size) {
    fuzz_start();
    return folder_write(name, data, size);
}

/* What a call may return: OK, or that it was refused, with a reason. */
static inline void fuzz_allow(int rc, const struct err *e) {
    EXPECT(rc == OK || rc == ERR_REFUSED || rc == ERR_USAGE);
    EXPECT(rc == OK || (e->code == rc && e->msg[0]));
}

/* Inputs that stand for several files have them one behind another, with a byte 255 between. Cuts
 * off the first: *part[*n]; moves *data behind it. */
static inline int fuzz_part(const uint8_t **data, size_t *size, const uint8_t **part, size_t *n) {
    if (!*data) return 0;
    const uint8_t *end = *size ? memchr(*data, 255, *size) : NULL;
    *part = *data;
    *n = end ? (size_t)(end - *data) : *size;
    *size = end ? *size - *n - 1 : 0;
    *data = end ? end + 1 : NULL;
    return 1;
}

#endif
