/* The kernels that reach for the machine's limits do the work they say; the arithmetic of the
 * roofline and of crossovers. No speed is asserted. */
#include <math.h>

#include "base/threads.h"
#include "measure/bench.h"
#include "measure/limits.h"
#include "test.h"

/* A chain x = x/2 + 1 ends at 2 whatever it began with, and a round is two operations for each
 * chain: the sum is the number of operations. */
static void every_chain_is_run(void) {
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k = kernels_at(i);
        if (!k->supported()) continue;
        CHECK(k->multiply_add(100) == (float)k->fma_flops, "%s: the chains end at %g, expected %zu",
              k->name, (double)k->multiply_add(100), k->fma_flops);
        CHECK(k->multiply_add(0) != (float)k->fma_flops, "%s: no round, and the chains have ended",
              k->name);
    }
}

/* Small whole numbers add up exactly in any order; NaN beside them would show. */
static void every_number_is_read_once(void) {
    enum { MOST = 5000 };
    static float x[MOST + 2];
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k = kernels_at(i);
        if (!k->supported()) continue;
        const size_t sizes[] = {0, 1, 15, 16, 191, 192, 193, 1000, 4096, MOST};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t n = sizes[s];
            double sum = 0;
            x[0] = x[n + 1] = NAN;
            for (size_t j = 1; j <= n; j++) sum += x[j] = (float)(j * 7 % 11);
            for (int many = 0; many < 2; many++) {
                double got = (double)k->read_sum(x + 1, n, many);
                CHECK(got == sum, "%s: %zu numbers: %g, expected %g", k->name, n, got, sum);
            }
        }
    }
}

static void measured_limits(void) {
    struct limits_array a;
    struct err e;
    CHECK(limits_array_open(&a, 1 << 20, &e) == OK, "%s", e.msg);
    CHECK(limits_array_bytes() >= 1 << 20, "an array of %zu bytes", limits_array_bytes());
    int before = threads_count();
    for (int threads = 1; threads <= 3; threads++) {
        double read = limits_read(&a, kernels_at(0), threads, 0.001),
               flops = limits_flops(kernels_at(0), threads, 0.001);
        CHECK(isfinite(read) && read > 0 && isfinite(flops) && flops > 0, "%d threads: %g and %g",
              threads, read, flops);
    }
    CHECK(threads_count() == before, "%d threads afterwards, %d before", threads_count(), before);
    limits_array_close(&a);
}

static void the_slower_limit_binds(void) {
    struct limits l = limits_larger((struct limits){10e9, 100e9}, (struct limits){20e9, 50e9});
    CHECK(l.read_bytes_per_s == 20e9 && l.flops_per_s == 100e9, "%g and %g", l.read_bytes_per_s,
          l.flops_per_s);
    struct limits_bound reading = limits_bound(&l, 40e9, 100e9),
                        computing = limits_bound(&l, 10e9, 300e9);
    CHECK(reading.reading && reading.seconds == 2, "%g s", reading.seconds);
    CHECK(!computing.reading && computing.seconds == 3, "%g s", computing.seconds);
}

/* Two backends at three depths: ns of tables and scores as given, the median of `repeats`; every
 * repetition but the first is off by up to `noise`, now up, now down for the first backend alone.
 */
static struct bench_crossing crossing(const double x[3], const double y[3], double noise,
                                      size_t repeats) {
    static double ns[6][7][ATTN_STAGES];
    struct bench_stages stages[6];
    for (size_t i = 0; i < 6; i++) {
        double cost = i < 3 ? x[i] : y[i - 3];
        for (size_t r = 0; r < repeats; r++) {
            ns[i][r][ATTN_PREPARE] = 1 + 50 * (double)(r == 1); /* once much slower, both */
            ns[i][r][ATTN_SCORE] = cost - 1 + (i < 3 && r ? (r % 2 ? noise : -noise) : 0);
            ns[i][r][ATTN_SOFTMAX] = ns[i][r][ATTN_MIX] = 1e6;
        }
        stages[i] = (struct bench_stages){.group = i / 3, .depth = 100 * (i % 3 + 1), .ns = ns[i]};
    }
    struct bench b = {.stages = stages, .n_stages = 6, .repeats = repeats};
    return bench_crossing(&b, 0, 1);
}

static void crossovers(void) {
    const double fp16[3] = {10, 20, 30}, table[3] = {12, 18, 24}, late[3] = {12, 21, 29},
                 always[3] = {9, 19, 29}, never[3] = {5, 20.5, 31}, back[3] = {5, 24, 28};
    const struct {
        const double *x;
        double noise;
        size_t repeats;
        enum bench_order order;
        double keys;
    } cases[] = {
        {table, 0, 5, BENCH_FROM, 150},        {table, 1, 5, BENCH_FROM, 150},
        {late, 0, 5, BENCH_FROM, 250},         {always, 0.5, 7, BENCH_ALWAYS, 100},
        {never, 0, 5, BENCH_NEVER, -1},        {back, 0, 5, BENCH_FROM, 266.6666667},
        {table, 3, 5, BENCH_AT_LATEST, 300},   {late, 2, 5, BENCH_NOT_TOLD, -1},
        {table, 0, 4, BENCH_NOT_TOLD, -1},     {table, 0, 1, BENCH_NOT_TOLD, -1},
        {table, 2.5, 5, BENCH_AT_LATEST, 300}, {never, 2, 5, BENCH_NOT_TOLD, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench_crossing c = crossing(cases[i].x, fp16, cases[i].noise, cases[i].repeats);
        bool number =
            cases[i].keys < 0 ? isnan(c.keys) : fabs(c.keys - cases[i].keys) < 1e-6 * cases[i].keys;
        CHECK(c.order == cases[i].order && number, "case %zu: order %d, %g keys", i, (int)c.order,
              c.keys);
    }
}

int main(void) {
    RUN(every_chain_is_run);
    RUN(every_number_is_read_once);
    RUN(measured_limits);
    RUN(the_slower_limit_binds);
    RUN(crossovers);
    return TEST_RESULT;
}
