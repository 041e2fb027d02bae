/* Ctrl-C: the first sets a flag that long loops look at; the second ends the program at once. */
#ifndef LOOKAT_BASE_INTERRUPT_H
#define LOOKAT_BASE_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers of SIGINT and SIGTERM. */
void interrupt_install(void);

/* True once a signal has come: the caller stops, tidies up and returns ERR_INTERRUPTED. */
bool interrupt_pending(void);

/* The temporary file that a second signal removes before the program ends; NULL for none. The caller keeps it alive. */
void interrupt_unlink(const char *path);

#endif
