/* What the system knows of this process: time, memory, processors, the program's own file.
 * process.c holds all that one operating system says in other words than the next; everything else
 * is ISO C and POSIX. */
#ifndef LOOKAT_BASE_PROCESS_H
#define LOOKAT_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the seconds of a clock that never goes back; only differences mean something. */
double clock_now(void);

/* Returns the most bytes of memory that this process has had resident so far; 0 where the system
 * does not say. */
size_t process_peak_bytes(void);

/* Returns the bytes of memory that the machine has; 0 where the system does not say. */
size_t machine_memory_bytes(void);

/* Sets the size of the terminal behind fd: what the system says, else the environment variables
 * COLUMNS and LINES, else 80 by 24. */
void terminal_size(int fd, size_t *columns, size_t *rows);

/* Are both open on the same terminal? */
bool terminal_same(int a, int b);

/* Writes what the machine is to text[room], terminated: system, release, architecture, processor,
 * as far as the system says. It is for people, and may hold any bytes. */
void machine_describe(char *text, size_t room);

/* Returns how many processors this process may run on. They are those of its affinity mask where
 * there is one, else those of the machine; 0 where the system does not say. */
int process_cpus(void);

/* Writes the path of the running program's file to path[room], terminated. The result is false
 * where the file cannot be found or its path does not fit. `called` (may be NULL) is the name that
 * the program was started by, argv[0]. It serves where the system does not tell the path; a name
 * without '/' is then looked up in PATH, as the shell does. */
bool process_program(const char *called, char *path, size_t room);

/* Is that last resort of process_program by itself, for tests. */
bool process_program_called(const char *called, char *path, size_t room);

/* Opens those of the descriptors 0, 1 and 2 that the caller closed, so that no file gets them: what
 * is meant for standard output or standard error would be written into that file. Reading the first
 * and writing to the others fails as before, with EBADF. It comes before a file is opened. */
void process_hold_descriptors(void);

/* Asks the system for large pages at p[bytes], so that the processor has fewer addresses to look
 * up. Where there are none, nothing happens. */
void memory_large_pages(void *p, size_t bytes);

/* Reserves address space of `bytes`, in whole pages that may not be touched: maps are put into it
 * later. NULL where the system refuses. */
void *memory_reserve(size_t bytes);

/* Returns the bytes of a page of memory. */
size_t memory_page(void);

#endif
