#include "base/threads.h"

#ifdef _OPENMP
#include <omp.h>

static int count;

int threads_allowed(void) { return omp_get_num_procs(); }

void threads_set(int n) { count = n < 1 ? 1 : n; }

int threads_count(void) { return count ? count : threads_allowed(); }

void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread), void *ctx) {
    size_t want = (size_t)threads_count();
    if (want > n) want = n;
    if (want <= 1) {
        if (n) fn(ctx, 0, n, 0);
        return;
    }
    #pragma omp parallel num_threads((int)want)
    {
        size_t t = (size_t)omp_get_thread_num(), of = (size_t)omp_get_num_threads();
        size_t begin = n / of * t + (t < n % of ? t : n % of);
        size_t end = begin + n / of + (t < n % of);
        if (begin < end) fn(ctx, begin, end, (int)t);
    }
}

void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx) {
    size_t want = (size_t)threads_count();
    if (want > n) want = n;
    if (want <= 1) {
        for (size_t i = 0; i < n; i++) fn(ctx, i, 0);
        return;
    }
    #pragma omp parallel for num_threads((int)want) schedule(dynamic, 1)
    for (size_t i = 0; i < n; i++) fn(ctx, i, omp_get_thread_num());
}

#else

int threads_allowed(void) { return 1; }
void threads_set(int n) { (void)n; }
int threads_count(void) { return 1; }

void threads_ranges(size_t n, void (*fn)(void *ctx, size_t begin, size_t end, int thread), void *ctx) {
    if (n) fn(ctx, 0, n, 0);
}

void threads_tasks(size_t n, void (*fn)(void *ctx, size_t task, int thread), void *ctx) {
    for (size_t i = 0; i < n; i++) fn(ctx, i, 0);
}

#endif
