#include "measure/limits.h"

#include <stdlib.h>

#include "base/process.h"
#include "base/threads.h"

enum { PASSES_MIN = 5, SLICES = 50 };

size_t limits_array_bytes(void) {
    size_t most = (size_t)512 << 20, memory = machine_memory_bytes();
    if (memory && memory / 8 < most) most = memory / 8;
    return most;
}

static void fill(void *ctx, size_t begin, size_t end, int thread) {
    float *x = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) x[i] = 1;
}

int limits_array_open(struct limits_array *a, size_t bytes, struct err *e) {
    enum { LARGE = 2 << 20 };
    a->n = bytes / sizeof *a->x;
    a->memory = bytes < SIZE_MAX - LARGE ? malloc(bytes + LARGE) : NULL;
    if (!a->memory)
        return err_set(e, ERR_FAILED,
                       "out of memory for %zu bytes to measure the read bandwidth on", bytes);
    a->x = (float *)(((uintptr_t)a->memory + LARGE - 1) / LARGE * LARGE);
    memory_large_pages(a->x, bytes); /* the limit is memory's, not that of looking up addresses */
    threads_ranges(a->n, fill, a->x);
    return OK;
}

void limits_array_close(struct limits_array *a) {
    free(a->memory);
    *a = (struct limits_array){0};
}

struct job {
    const struct limits_array *a;
    const struct kernels *k;
    size_t rounds;
    bool many;            /* streams to read in */
    float volatile *sums; /* [threads] where results go, so that they are results */
};

static void read_part(void *ctx, size_t begin, size_t end, int thread) {
    const struct job *j = ctx;
    j->sums[thread] = j->k->read_sum(j->a->x + begin, end - begin, j->many);
}

static void multiply_part(void *ctx, size_t begin, size_t end, int thread) {
    const struct job *j = ctx;
    for (size_t i = begin; i < end; i++) j->sums[thread] = j->k->multiply_add(j->rounds);
}

/* Seconds of the fastest run of fn, of PASSES_MIN or as many as fit in the time. */
static double fastest(struct job *j, size_t n,
                      void (*fn)(void *ctx, size_t begin, size_t end, int thread), double seconds) {
    double best = 1e9, start = clock_now(), before = start, now;
    for (int i = 0; i < PASSES_MIN || before - start < seconds; i++, before = now) {
        threads_ranges(n, fn, j);
        now = clock_now();
        if (now - before < best) best = now - before;
    }
    return best;
}

enum { THREADS_MAX = 1024 };

double limits_read(const struct limits_array *a, const struct kernels *k, int threads,
                   double seconds) {
    float sums[THREADS_MAX];
    struct job j = {.a = a, .k = k, .sums = sums};
    int before = threads_count();
    threads_set(threads < THREADS_MAX ? threads : THREADS_MAX);
    double few = fastest(&j, a->n, read_part, seconds / 2);
    j.many = true;
    double many = fastest(&j, a->n, read_part, seconds / 2);
    threads_set(before);
    return (double)(a->n * sizeof *a->x) / (few < many ? few : many);
}

double limits_flops(const struct kernels *k, int threads, double seconds) {
    float sums[THREADS_MAX];
    struct job j = {.k = k, .rounds = 1024, .sums = sums};
    int before = threads_count();
    threads_set(threads < THREADS_MAX ? threads : THREADS_MAX);
    size_t parts = (size_t)threads_count();
    /* So many rounds make a run long beside the start of the threads, and short enough for many
     * runs */
    while (fastest(&j, parts, multiply_part, 0) < seconds / SLICES) j.rounds *= 2;
    double best = fastest(&j, parts, multiply_part, seconds);
    threads_set(before);
    return (double)(parts * j.rounds * k->fma_flops) / best;
}

struct limits limits_larger(struct limits a, struct limits b) {
    return (struct limits){a.read_bytes_per_s > b.read_bytes_per_s ? a.read_bytes_per_s
                                                                   : b.read_bytes_per_s,
                           a.flops_per_s > b.flops_per_s ? a.flops_per_s : b.flops_per_s};
}

struct limits_bound limits_bound(const struct limits *l, double bytes, double flops) {
    double reading = bytes / l->read_bytes_per_s, computing = flops / l->flops_per_s;
    return (struct limits_bound){reading > computing ? reading : computing, reading > computing};
}
