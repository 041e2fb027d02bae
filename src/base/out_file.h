/* Files that are written. A file appears complete or not at all, and what was there before stays
 * until then. The order of calls: out_check before the work, then out_open, out_write any number of
 * times, and out_commit, or out_abort where something failed. */
#ifndef LOOKAT_BASE_OUT_FILE_H
#define LOOKAT_BASE_OUT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum { OUT_PATH_MAX = 4096 };

/* An output is written under a temporary name beside its place, then synced and renamed. A symbolic
 * link stays, and what it points to is replaced; a file that is replaced keeps its permissions, and
 * its owner where the system allows that. What is there and no regular file (a device, a pipe), or
 * is open already for writing (as standard error, say), is written to as it is. */
struct out_file {
    FILE *fp;
    const char *path;         /* as given; the caller keeps it alive */
    bool direct;              /* written to as it is: no temporary */
    char place[OUT_PATH_MAX]; /* path with links followed */
    char tmp[OUT_PATH_MAX];
};

/* Says whether path can be written, with the errors of out_open, and leaves nothing behind. A
 * command asks before the work, and once more when all inputs are known. */
int out_check(const char *path, bool force, struct err *e);

/* Opens the output. ERR_USAGE where path is a folder, exists and force is false, or is a file that
 * this run reads (base/inputs.h). ERR_FAILED where it cannot be written. A named pipe is waited for
 * until somebody reads it; ERR_INTERRUPTED where Ctrl-C ends that. */
int out_open(struct out_file *o, const char *path, bool force, struct err *e);
/* Writes n bytes behind those before. ERR_FAILED, with the reason, where that fails. */
int out_write(struct out_file *o, const void *data, size_t n, struct err *e);
/* Flushes, syncs and renames. ERR_FAILED where one of them fails or an input changed meanwhile
 * (inputs_unchanged); the temporary is then removed. */
int out_commit(struct out_file *o, struct err *e);
/* Removes the temporary. It does nothing after a commit. */
void out_abort(struct out_file *o);

#endif
