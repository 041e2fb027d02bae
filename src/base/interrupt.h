/* Signals. The first Ctrl-C (SIGINT, SIGTERM, SIGHUP) sets a flag that long loops look at; the
 * second ends the program at once. Whatever signal ends it, its temporary files are removed, unless
 * the signal is one that a program cannot catch. */
#ifndef LOOKAT_BASE_INTERRUPT_H
#define LOOKAT_BASE_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers. A signal that was ignored when the program started stays ignored (nohup; a
 * shell's background job). SIGBUS in a mapped file (base/fault.h) ends the program with a message
 * that names the file, exit status 1. A write beyond the limit of a file's size fails instead of
 * ending the program. */
void interrupt_install(void);

/* True once a signal has come: the caller stops, tidies up and returns ERR_INTERRUPTED. Any thread
 * may ask. */
bool interrupt_pending(void);

/* Ctrl-C was dealt with: interrupt_pending is false until the next one. Returns false, and forgets
 * nothing, where another signal came: the program is to end. */
bool interrupt_forget(void);

/* A temporary file that is removed where a signal ends the program. The caller keeps the path alive
 * until it takes it back. Four at a time. */
void interrupt_remove_file(const char *path);
void interrupt_keep_file(const char *path);

#endif
