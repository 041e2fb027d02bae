/* What the system knows of this process: time and memory. */
#ifndef LOOKAT_BASE_PROCESS_H
#define LOOKAT_BASE_PROCESS_H

#include <stddef.h>

/* Seconds of a clock that never goes back. */
double clock_now(void);

/* The most memory this process has had resident so far, bytes; 0 where the system does not say. */
size_t process_peak_bytes(void);

#endif
