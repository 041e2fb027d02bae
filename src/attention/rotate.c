/* The fast Walsh-Hadamard transform, and the random signs that go with it. */
#include "attention/rotate.h"

#include <math.h>

#include "base/rng.h"

/* The seed of the signs. Any would do, but it has to stay the same. */
enum { SIGN_SEED = 2504, SIGN_STREAM = 19874 };

size_t rotate_block(size_t n) { return n & (~n + 1); }

void rotate_hadamard(float *x, size_t n) {
    size_t block = rotate_block(n);
    for (size_t half = 1; half < block; half *= 2)
        for (size_t at = 0; at < n; at += 2 * half)
            for (size_t i = at; i < at + half; i++) {
                float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
    float scale = 1 / sqrtf((float)block);
    for (size_t i = 0; i < n; i++) x[i] *= scale;
}

void rotate_signs(float *signs, size_t n) {
    struct rng r;
    rng_seed(&r, SIGN_SEED, SIGN_STREAM);
    for (size_t i = 0; i < n; i++) signs[i] = rng_u64(&r) >> 63 ? -1.0f : 1.0f;
}
