/* Checked arithmetic on sizes that come from files or options: a product that wraps around would
 * make a buffer too small. */
#ifndef LOOKAT_BASE_SIZE_H
#define LOOKAT_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b; false, and *out untouched, where the product does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

/* *out = a + b; false, and *out untouched, where the sum does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

/* x rounded up to a multiple of the power of two `align`; x must be at most SIZE_MAX - align. */
static inline size_t size_align(size_t x, size_t align) { return (x + align - 1) & ~(align - 1); }

#endif
