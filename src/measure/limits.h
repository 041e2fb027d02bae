/* The two limits of a machine that decoding and prefill run into: bytes read from memory, and
 * multiply-adds (the roofline of Williams, Waterman and Patterson 2009). Measured here and now,
 * with as many threads as the work that is held against them. */
#ifndef LOOKAT_MEASURE_LIMITS_H
#define LOOKAT_MEASURE_LIMITS_H

#include "base/err.h"
#include "kernels/kernels.h"

struct limits {
    double read_bytes_per_s; /* from memory */
    double flops_per_s;      /* float32 additions and multiplications, in registers */
};

/* Returns the bytes of the array that `read_bytes_per_s` is measured on: 512 MB, or an eighth of
 * this machine's memory where that is less. */
size_t limits_array_bytes(void);

/* Memory to read from. */
struct limits_array {
    float *x; /* [n] in memory */
    size_t n;
    void *memory;
};

/* Allocates the array, in large pages where the system has them, and writes to all of it, so that
 * every page is there. bytes >= 64. ERR_FAILED without memory. */
int limits_array_open(struct limits_array *a, size_t bytes, struct err *e);
void limits_array_close(struct limits_array *a);

/* Each measures several passes in about `seconds`, with `threads` threads, and returns the best.
 * limits_read reads the array through by k->read_sum in the faster way: bytes per second.
 * limits_flops calls k->multiply_add: operations per second. */
double limits_read(const struct limits_array *a, const struct kernels *k, int threads,
                   double seconds);
double limits_flops(const struct kernels *k, int threads, double seconds);

/* Returns the larger of each limit. */
struct limits limits_larger(struct limits a, struct limits b);

/* Seconds that this work takes at least, and which of the two limits binds it. */
struct limits_bound {
    double seconds;
    bool reading; /* else the multiply-adds */
};
struct limits_bound limits_bound(const struct limits *l, double bytes, double flops);

#endif
