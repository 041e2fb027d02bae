/* Blocks of a type, which the first byte chooses: every kernel set decodes any bytes to the same
 * numbers, and a product with them is the one with those numbers; within the bound of kernels.h
 * where it is one of whole numbers. */
#include "fuzz.h"

#include <math.h>

#include "kernels/matrix.h"
#include "kernels/quant_types.h"

enum { ROWS = 3, MOST = 1024 };
static const float LARGEST = 0.75f; /* of the activations */

static void activations(float *x, size_t n) {
    for (size_t c = 0; c < n; c++) x[c] = (float)((int)(c * 7 % 13) - 6) / 8;
}

/* size[256] = |d s n| + |m t| of the numbers of a block of 256: with all n zero it is -m t. Of
 * other blocks it is the size of the numbers. */
static void sizes_of(enum dtype type, const uint8_t *block, const float *numbers, double *size) {
    const struct quant_type *q = quant_type(type);
    uint8_t empty[256] = {0};
    float least[256] = {0};
    if (type == DTYPE_Q4_K || type == DTYPE_Q5_K) {
        memcpy(empty, block, 16); /* d, m, s and t */
        q->decode(least, empty);
    }
    for (size_t i = 0; i < q->block; i++)
        size[i] = fabs((double)numbers[i] - (double)least[i]) + fabs((double)least[i]);
}

/* One row of activations in whole numbers. */
static void check_wholes(const struct kernels *kn, struct matrix w, const float *numbers) {
    float x[MOST], y[ROWS];
    double size[MOST];
    const struct quant_type *q = quant_type(w.type);
    activations(x, w.cols);
    matrix_apply(kn, &(struct matrix_product){&w, NULL, x, y, 1, .ldx = w.cols, .ldy = w.rows});
    for (size_t r = 0; r < w.rows; r++, numbers += w.cols) {
        const uint8_t *row = (const uint8_t *)w.data + r * matrix_row_bytes(&w);
        double want = 0, bound = 0;
        for (size_t c = 0; c < w.cols; c += q->block)
            sizes_of(w.type, row + dtype_bytes(w.type, c), numbers + c, size + c);
        for (size_t c = 0; c < w.cols; c++) {
            want += (double)numbers[c] * (double)x[c];
            bound += size[c] * (((double)w.cols / 8 + 16) * 0x1p-24 * fabs((double)x[c]) +
                                (double)LARGEST / 64000 + 1e-30);
        }
        EXPECT(!isfinite(want) || !isfinite(bound) || fabs((double)y[r] - want) <= bound);
    }
}

static void check_product(const struct kernels *kn, struct matrix w, const float *numbers) {
    float x[MOST], y[ROWS], want[ROWS];
    activations(x, w.cols);
    struct matrix plain = {numbers, DTYPE_F32, w.rows, w.cols};
    struct matrix_product p = {&w, NULL, x, y, 1, .ldx = w.cols, .ldy = w.rows};
    matrix_apply(kn, &p);
    p.w = &plain, p.y = want;
    matrix_apply(kn, &p);
    for (size_t r = 0; r < w.rows; r++)
        EXPECT(memcmp(&y[r], &want[r], sizeof *y) == 0 || y[r] != y[r] || want[r] != want[r]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static float want[ROWS * MOST], got[ROWS * MOST];
    if (!size) return 0;
    fuzz_start();
    const enum dtype type = (enum dtype)(data[0] % DTYPE_COUNT);
    const struct quant_type *q = quant_type(type);
    if (!q) return 0;
    size_t cols = (size - 1) / ROWS / q->bytes * q->block;
    if (cols > MOST) cols = MOST;
    if (!cols) return 0;
    struct matrix w = {NULL, type, ROWS, cols};
    void *exact = malloc(matrix_bytes(&w)); /* a sanitizer sees a read beyond it */
    EXPECT(exact);
    w.data = memcpy(exact, data + 1, matrix_bytes(&w));
    dtype_to_f32(type, want, w.data, ROWS * cols);
    for (size_t k = 0; kernels_at(k); k++) {
        const struct kernels *kn = kernels_at(k);
        if (!kn->supported()) continue;
        kn->to_f32(type, got, w.data, ROWS * cols);
        for (size_t i = 0; i < ROWS * cols; i++)
            EXPECT(memcmp(&want[i], &got[i], sizeof *got) == 0 || want[i] != want[i]);
        if (dtype_wholes(type))
            check_wholes(kn, w, want);
        else
            check_product(kn, w, want);
    }
    free(exact);
    return 0;
}
