/* The kernels that reach for the machine's limits do the work they say, and the roofline's arithmetic. No speed is asserted. */
#include <math.h>

#include "base/threads.h"
#include "measure/limits.h"
#include "test.h"

/* A chain x = x/2 + 1 ends at 2 whatever it began with, and a round is two operations for each chain: the sum is the number of operations. */
static void every_chain_is_run(void) {
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k = kernels_at(i);
        if (!k->supported()) continue;
        CHECK(k->multiply_add(100) == (float)k->fma_flops, "%s: the chains end at %g, expected %zu", k->name, (double)k->multiply_add(100), k->fma_flops);
        CHECK(k->multiply_add(0) != (float)k->fma_flops, "%s: no round, and the chains have ended", k->name);
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
            CHECK((double)k->read_sum(x + 1, n) == sum, "%s: %zu numbers: %g, expected %g", k->name, n, (double)k->read_sum(x + 1, n), sum);
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
        double read = limits_read(&a, kernels_at(0), threads, 0.001), flops = limits_flops(kernels_at(0), threads, 0.001);
        CHECK(isfinite(read) && read > 0 && isfinite(flops) && flops > 0, "%d threads: %g and %g", threads, read, flops);
    }
    CHECK(threads_count() == before, "%d threads afterwards, %d before", threads_count(), before);
    limits_array_close(&a);
}

static void the_slower_limit_binds(void) {
    struct limits l = limits_larger((struct limits){10e9, 100e9}, (struct limits){20e9, 50e9});
    CHECK(l.read_bytes_per_s == 20e9 && l.flops_per_s == 100e9, "%g and %g", l.read_bytes_per_s, l.flops_per_s);
    struct limits_bound reading = limits_bound(&l, 40e9, 100e9), computing = limits_bound(&l, 10e9, 300e9);
    CHECK(reading.reading && reading.seconds == 2, "%g s", reading.seconds);
    CHECK(!computing.reading && computing.seconds == 3, "%g s", computing.seconds);
}

int main(void) {
    RUN(every_chain_is_run);
    RUN(every_number_is_read_once);
    RUN(measured_limits);
    RUN(the_slower_limit_binds);
    return TEST_RESULT;
}
