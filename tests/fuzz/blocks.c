/* Blocks of a type, which the first byte chooses: every kernel set decodes any bytes to the same
 * numbers, and a product with them is the one with those numbers. */
#include "fuzz.h"

#include "kernels/matrix.h"
#include "kernels/quant_types.h"

enum { ROWS = 3, MOST = 1024 };

static void check_product(const struct kernels *kn, struct matrix w, const float *numbers) {
    float x[MOST], y[ROWS], want[ROWS];
    for (size_t c = 0; c < w.cols; c++) x[c] = (float)((int)(c * 7 % 13) - 6) / 8;
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
        if (!dtype_direct(type)) check_product(kn, w, want);
    }
    free(exact);
    return 0;
}
