/* The SHA-256 of a whole file, which may be large. */
#ifndef LOOKAT_CLI_FILE_HASH_H
#define LOOKAT_CLI_FILE_HASH_H

#include "base/err.h"

/* Writes 64 hex digits and the end. Errors of file_map; ERR_INTERRUPTED after Ctrl-C. */
int file_hash(const char *path, char hex[65], struct err *e);

#endif
