/* The files that this run reads. No output may replace one of them, and none may change while it is
 * read. A file is known by its device and inode, so that links and other spellings of its path are
 * the same file. Not for several threads at once. */
#ifndef LOOKAT_BASE_INPUTS_H
#define LOOKAT_BASE_INPUTS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* Adds the file that fstat described. `mapped` is its path if its bytes are looked at as long as
 * the command runs, so that they must not change; else it is NULL. The caller keeps the path alive.
 * False without memory. */
bool inputs_add(const struct stat *st, const char *mapped);

/* Adds the file at path, if there is one, before it is opened: an output is checked first. A folder
 * is not added. ERR_FAILED without memory. */
int inputs_add_path(const char *path, struct err *e);

/* The command says that it replaces the file at path, which it reads: inputs_has no longer finds
 * it. */
void inputs_may_replace(const char *path);

/* Says whether the file that fstat described is one that an output must not replace. */
bool inputs_has(const struct stat *st);

/* ERR_FAILED, naming the file, where a mapped one was written to since it was opened: what was read
 * from it is neither the old file nor the new one. */
int inputs_unchanged(struct err *e);

/* Forgets all files. Tests call it, since they write over what they have read. */
void inputs_forget(void);

#endif
