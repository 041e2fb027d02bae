/* What the system knows of this process: time, memory, processors, the program's own file.
 * process.c holds all that one operating system says in other words than the next; everything else
 * is ISO C and POSIX. */
#ifndef LOOKAT_BASE_PROCESS_H
#define LOOKAT_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds of a clock that never goes back. */
double clock_now(void);

/* The most memory this process has had resident so far, bytes; 0 where the system does not say. */
size_t process_peak_bytes(void);

/* Memory of the machine, bytes; 0 where the system does not say. */
size_t machine_memory_bytes(void);

/* Processors that this process may run on: those of its affinity mask where there is one, else
 * those of the machine; 0 where the system does not say. */
int process_cpus(void);

/* The path of the running program's file, which fits into path[room]; false where it cannot be
 * found. `called` (may be NULL) is the name that the program was started by, argv[0]: what is left
 * where the system does not say, looked up in PATH as the shell does where it has no '/'. */
bool process_program(const char *called, char *path, size_t room);

/* The last resort of process_program by itself, for tests. */
bool process_program_called(const char *called, char *path, size_t room);

/* Asks for large pages at p[bytes], where the system has them: fewer addresses to look up. */
void memory_large_pages(void *p, size_t bytes);

/* Address space of `bytes` in whole pages that may not be touched, or NULL: room for maps that are
 * put into it. */
void *memory_reserve(size_t bytes);

/* Bytes of a page. */
size_t memory_page(void);

#endif
