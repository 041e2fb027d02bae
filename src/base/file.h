/* Files that are read, mapped or whole. Each file that is read is added to the inputs, which no
 * output may replace (base/inputs.h). Files are written by base/out_file.h. */
#ifndef LOOKAT_BASE_FILE_H
#define LOOKAT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"

/* A file mapped read-only. */
struct file {
    const char *path;    /* as given; the caller keeps it alive */
    const uint8_t *data; /* [size] */
    size_t size;         /* bytes */
    void *map;           /* [map_bytes] what is unmapped at the end; NULL: nothing */
    size_t map_bytes;
};

/* Maps the regular file at path. ERR_FAILED where it cannot be opened, ERR_REFUSED, at once, where
 * it is anything else: a folder, device or pipe. */
int file_map(struct file *f, const char *path, struct err *e);
/* Ends the map: f->data is no longer valid. Does nothing to a file of zeros. */
void file_unmap(struct file *f);

/* Tests call this: from now on nothing behind the last byte of a map can be read (guard.h). */
void file_guard(bool on);

/* Reads all of path, or of standard input for "-", into the arena: *data is [*size] and followed by
 * a zero byte. Beside regular files, pipes that somebody writes to, terminals and /dev/null are
 * fine. ERR_FAILED where it cannot be read, ERR_REFUSED, at once, for a folder, other devices and a
 * named pipe without a writer. ERR_INTERRUPTED after Ctrl-C. */
int file_read(const char *path, struct arena *a, uint8_t **data, size_t *size, struct err *e);
/* The same, but where there are more than `most` bytes the rest is not read: *size > most then says
 * so. */
int file_read_most(const char *path, size_t most, struct arena *a, uint8_t **data, size_t *size,
                   struct err *e);

/* Flushes standard output, or another stream that `name` stands for in the message. ERR_FAILED,
 * with the reason, where that fails or an earlier write has; to be called right after the writing,
 * while errno is still that of the last call that failed. */
int file_flush(FILE *fp, const char *name, struct err *e);

/* Say whether path is a folder, and whether anything is there; false also where it cannot be looked
 * at. */
bool file_is_folder(const char *path);
bool file_exists(const char *path);

/* Returns folder + "/" + name in the arena; NULL without memory. */
char *path_join(struct arena *a, const char *folder, const char *name);
/* Returns the folder part of path ("." where it has none) in the arena; NULL without memory. */
char *path_folder(struct arena *a, const char *path);
/* Returns the part of path after the last '/', which is a place in path. */
const char *path_base(const char *path);

#endif
