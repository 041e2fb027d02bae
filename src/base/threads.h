/* Threads: the only place that knows OpenMP. Without it everything runs on the calling thread.
 * Work is cut by the data, never by the thread count, so results do not depend on how many threads there are. */
#ifndef LOOKAT_BASE_THREADS_H
#define LOOKAT_BASE_THREADS_H

#include <stddef.h>

/* Threads that this process may use (CPU affinity counted); 1 without OpenMP. */
int threads_allowed(void);

/* Sets the number of threads of the calls below, at least 1; without OpenMP it stays 1. */
void threads_set(int n);
int threads_count(void);

/* Cuts 0..n-1 into one contiguous range per thread and runs fn(ctx, begin, end, thread) on each non-empty one. */
void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread), void *ctx);

/* Runs fn(ctx, task, thread) for task 0..n-1, each thread taking the next one: for tasks of uneven cost. */
void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx);

#endif
