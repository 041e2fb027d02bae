/* Threads: how the work of one call is spread over the processors.
 *
 * There are three ways behind this interface, and `make` chooses one:
 *
 *     make                  threads_pool.c    a pool of workers beside the calling thread
 *     make THREADS=openmp   threads_openmp.c  the compiler's OpenMP
 *     make THREADS=0        threads_serial.c  everything on the calling thread
 *
 * Work is cut by the data, never by the number of threads: what fn computes for an index must not
 * depend on the range, or the thread, that it is called with. Results then have the same bits for
 * every way and every number of threads.
 *
 * A call returns when all its work is done; the calling thread takes part in it. In the pool it can
 * do all of it, and it waits only for what a worker has begun: a worker that the system does not
 * run, on a busy machine, does not hold it up. With OpenMP it waits for every thread once per call.
 * Threads that find nothing to do look out for more for some 50 microseconds and then sleep.
 *
 * Calls come from one thread at a time. A call inside of fn runs on the thread that makes it.
 * Nothing here can fail: where the system refuses threads, there are fewer. */
#ifndef LOOKAT_BASE_THREADS_H
#define LOOKAT_BASE_THREADS_H

#include <stddef.h>

/* The number of threads that this process should use: its processors (base/cpus.h), 1024 at most;
 * 1 with THREADS=0. */
int threads_allowed(void);

/* Returns which of the ways the program was built with: "a pool", "OpenMP" or "one thread". */
const char *threads_way(void);

/* Sets the number of threads for the calls that follow, the calling thread included; it is put
 * into 1..1024. Before the first call it is threads_allowed(); with THREADS=0 it stays 1. Not to be
 * called inside of fn. */
void threads_set(int n);
int threads_count(void);

/* Cuts the indices 0..n-1 into ranges and runs fn(ctx, begin, end, thread) on each, begin included
 * and end not. No range is empty, and each index comes once. Neighbours stay together: in the pool
 * every thread begins with a contiguous part of its own, takes three quarters of what is left of it
 * at a time, and then helps with the parts of others. `thread` is at least 0 and below
 * threads_count(), and no two calls that run at the same time have the same one: it tells which
 * scratch memory to use. */
void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread),
                    void *ctx);

/* Runs fn(ctx, task, thread) for each task 0..n-1. Each thread takes the next task when it has
 * finished one: for tasks that cost different amounts. */
void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx);

#endif
