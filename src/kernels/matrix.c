#include "kernels/matrix.h"

#include "base/threads.h"

/* A tile of weights, widened to float32 on the stack: it stays in the first caches while all rows of x pass over it. Float32 weights
 * are copied too: in place, rows a multiple of 4 KiB apart would drive each other out of the cache. */
enum { PANEL_ROWS = 16, PANEL_COLS = 512 };

struct product {
    const struct kernels *k;
    const struct matrix *w;
    const float *bias, *x;
    float *y;
    size_t ldx, n, ldy;
};

size_t matrix_row_bytes(const struct matrix *w) { return dtype_bytes(w->type, w->cols); }

size_t matrix_bytes(const struct matrix *w) { return w->rows * matrix_row_bytes(w); }

static const uint8_t *row_at(const struct matrix *w, size_t r) { return (const uint8_t *)w->data + r * matrix_row_bytes(w); }

void matrix_row(const struct kernels *k, const struct matrix *w, size_t r, float *y) { k->to_f32(w->type, y, row_at(w, r), w->cols); }

static void apply_one(void *ctx, size_t begin, size_t end, int thread) {
    const struct product *p = ctx;
    (void)thread;
    p->k->matvec(p->w->type, p->y + begin, row_at(p->w, begin), matrix_row_bytes(p->w), end - begin, p->x, p->w->cols);
    if (!p->bias) return;
    for (size_t r = begin; r < end; r++) p->y[r] += p->bias[r];
}

/* y[n][rows] += x[n][cols] times the part of w at (row, col). */
static void apply_tile(const struct product *p, size_t row, size_t rows, size_t col, size_t cols) {
    float tile[PANEL_ROWS * PANEL_COLS];
    const struct matrix *w = p->w;
    for (size_t r = 0; r < rows; r++)
        p->k->to_f32(w->type, tile + r * cols, row_at(w, row + r) + dtype_bytes(w->type, col), cols);
    p->k->matmul(p->y + row, p->ldy, tile, cols, rows, p->x + col, p->ldx, p->n, cols);
}

static void apply_panel(void *ctx, size_t task, int thread) {
    const struct product *p = ctx;
    (void)thread;
    size_t row = task * PANEL_ROWS, rows = p->w->rows - row < PANEL_ROWS ? p->w->rows - row : PANEL_ROWS;
    for (size_t i = 0; i < p->n; i++)
        for (size_t r = row; r < row + rows; r++) p->y[i * p->ldy + r] = p->bias ? p->bias[r] : 0;
    for (size_t col = 0; col < p->w->cols; col += PANEL_COLS)
        apply_tile(p, row, rows, col, p->w->cols - col < PANEL_COLS ? p->w->cols - col : PANEL_COLS);
}

void matrix_apply(const struct kernels *k, const struct matrix *w, const float *bias, const float *x, size_t ldx, size_t n, float *y,
                  size_t ldy) {
    struct product p = {.k = k, .w = w, .bias = bias, .x = x, .y = y, .ldx = ldx, .n = n, .ldy = ldy};
    if (n == 1)
        threads_ranges(w->rows, apply_one, &p);
    else if (n > 1)
        threads_tasks((w->rows + PANEL_ROWS - 1) / PANEL_ROWS, apply_panel, &p);
}
