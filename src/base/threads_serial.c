/* The plainest way of base/threads.h, for THREADS=0: everything runs on the calling thread. It is
 * what the other two must be equal to, and all there is where a system has no threads. */
#include "base/threads.h"

const char *threads_way(void) { return "one thread"; }

int threads_allowed(void) { return 1; }
void threads_set(int n) { (void)n; }
int threads_count(void) { return 1; }

void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread),
                    void *ctx) {
    if (n) fn(ctx, 0, n, 0);
}

void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx) {
    for (size_t i = 0; i < n; i++) fn(ctx, i, 0);
}
