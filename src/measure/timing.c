#include "measure/timing.h"

#include <stdlib.h>

#include "base/process.h"
#include "base/rng.h"

static double once(const struct timed *t, const float *q, float *out, size_t window, size_t every) {
    const struct attn_shape *s = &t->attn->shape;
    size_t C = s->n_head * s->head_dim;
    struct attn_counters unused = {0};
    double start = clock_now();
    for (size_t n = every; n <= window; n += every) {
        struct attn_query item = {.state = t->state,
                                  .pos = n - 1,
                                  .n = 1,
                                  .q = q,
                                  .out = out,
                                  .q_stride = C,
                                  .out_stride = C};
        for (size_t l = 0; l < s->n_layer; l++)
            attn_attend(t->attn, l, &item, 1, t->scratch, &unused, NULL);
    }
    return clock_now() - start;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int timing_measure(const struct timed *runs, size_t n_runs, size_t window, size_t every,
                   struct timing *out, struct err *e) {
    const struct attn_shape *s = &runs[0].attn->shape;
    struct arena a = {0};
    size_t C = s->n_head * s->head_dim;
    float *q = arena_alloc(&a, 2 * C, sizeof *q);
    double(*seconds)[TIMING_REPEATS] = arena_alloc(&a, n_runs, sizeof *seconds);
    struct rng rng;
    rng_seed(&rng, 0, 0);
    if (q && seconds) {
        for (size_t i = 0; i < C; i++) q[i] = (float)rng_normal(&rng);
        for (size_t i = 0; i <= TIMING_REPEATS; i++)
            for (size_t r = 0; r < n_runs; r++)
                seconds[r][i ? i - 1 : 0] = once(&runs[r], q, q + C, window, every);
        for (size_t r = 0; r < n_runs; r++) {
            qsort(seconds[r], TIMING_REPEATS, sizeof seconds[r][0], ascending);
            out[r] = (struct timing){seconds[r][TIMING_REPEATS / 2], seconds[r][0],
                                     seconds[r][TIMING_REPEATS - 1]};
        }
    }
    int rc = q && seconds ? OK : err_set(e, ERR_FAILED, "out of memory for timing attention");
    arena_free(&a);
    return rc;
}
