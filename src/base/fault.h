/* Mapped files that change under the program: a page that the file no longer has raises SIGBUS when
 * it is read. This table tells which file an address belongs to, so that the signal's handler can
 * name it. A file is added after it is mapped and removed before it is unmapped. One thread adds
 * and removes; any thread may fault. A file that finds no room is left out: the message then has no
 * name. */
#ifndef LOOKAT_BASE_FAULT_H
#define LOOKAT_BASE_FAULT_H

#include <stddef.h>

/* Remembers that the bytes at data, [size], are those of the file at path. The path is copied. */
void fault_add(const void *data, size_t size, const char *path);
void fault_remove(const void *data);

/* The path of the file that is mapped at the address (its end, where it is long), or NULL. May be
 * called by a signal's handler. */
const char *fault_file(const void *address);

#endif
