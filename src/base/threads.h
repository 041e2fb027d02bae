/* Threads: a pool of workers beside the calling thread. Built with THREADS=0 everything runs on the
 * calling thread.
 *
 * Work is cut by the data, never by the thread count, so results do not depend on how many threads
 * there are: what fn computes for an index must not depend on the range or the thread it is called
 * with.
 *
 * A call returns when all its work is done. The calling thread takes part, can do all of it, and
 * waits only for what a worker has begun; so a worker that the system does not run, on a busy
 * machine, does not hold it up. Workers that find nothing to do look out for more for some
 * microseconds and then sleep. Calls come from one thread at a time. A call inside of fn runs on
 * the thread that makes it. */
#ifndef LOOKAT_BASE_THREADS_H
#define LOOKAT_BASE_THREADS_H

#include <stddef.h>

/* Threads that this process may use: its processors (base/cpus.h), or 1 with THREADS=0. */
int threads_allowed(void);

/* Sets the number of threads of the calls below, 1 to 1024, as many as are allowed before the first
 * call; with THREADS=0 it stays 1. Not inside of fn. */
void threads_set(int n);
int threads_count(void);

/* Cuts 0..n-1 into ranges and runs fn(ctx, begin, end, thread) on each; none is empty, each index
 * comes once. Every thread starts on a contiguous part of its own, takes three quarters of what is
 * left of it at a time, and then helps with the parts of others. `thread` is below threads_count()
 * and of one running call at a time: the place for scratch. */
void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread),
                    void *ctx);

/* Runs fn(ctx, task, thread) for task 0..n-1, each thread taking the next one: for tasks of uneven
 * cost. */
void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx);

#endif
