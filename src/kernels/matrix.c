#include "kernels/matrix.h"

#include <string.h>

#include "base/threads.h"

/* A tile of weights, widened to float32 on the stack: it stays in the first caches while TOKENS rows of x pass over it. Float32 weights
 * are copied too: in place, rows a multiple of 4 KiB apart would drive each other out of the cache. */
enum { PANEL_ROWS = 16, PANEL_COLS = 512, TOKENS = 256 };

struct job {
    const struct kernels *k;
    const struct matrix_product *p;
};

size_t matrix_row_bytes(const struct matrix *w) { return dtype_bytes(w->type, w->cols); }

size_t matrix_bytes(const struct matrix *w) { return w->rows * matrix_row_bytes(w); }

static const uint8_t *row_at(const struct matrix *w, size_t r) { return (const uint8_t *)w->data + r * matrix_row_bytes(w); }

void matrix_row(const struct kernels *k, const struct matrix *w, size_t r, float *y) { k->to_f32(w->type, y, row_at(w, r), w->cols); }

/* y[rows] from sums[rows], which begin at row `row` of w; sums are overwritten. */
static void finish(const struct job *j, float *y, float *sums, size_t row, size_t rows) {
    const float *bias = j->p->bias;
    for (size_t r = 0; bias && r < rows; r++) sums[r] += bias[row + r];
    switch (j->p->after) {
    case MATRIX_ADD:
        for (size_t r = 0; r < rows; r++) y[r] += sums[r];
        return;
    case MATRIX_GELU_TANH: j->k->gelu_tanh(sums, rows); break;
    case MATRIX_GELU_ERF: j->k->gelu_erf(sums, rows); break;
    case MATRIX_SET: break;
    }
    memcpy(y, sums, rows * sizeof *y);
}

/* Rows begin..end-1 for one row of x. */
static void apply_one(void *ctx, size_t begin, size_t end, int thread) {
    enum { ROWS = 256 };
    const struct job *j = ctx;
    const struct matrix *w = j->p->w;
    (void)thread;
    for (size_t row = begin, rows; row < end; row += rows) {
        float sums[ROWS];
        rows = end - row < ROWS ? end - row : ROWS;
        j->k->matvec(w->type, sums, row_at(w, row), matrix_row_bytes(w), rows, j->p->x, w->cols);
        finish(j, j->p->y + row, sums, row, rows);
    }
}

/* sums[n][PANEL_ROWS] += x[n][cols] times the part of w at (row, col). */
static void add_tile(const struct job *j, float *sums, size_t row, size_t rows, size_t col, size_t cols, const float *x, size_t n) {
    float tile[PANEL_ROWS * PANEL_COLS];
    const struct matrix *w = j->p->w;
    for (size_t r = 0; r < rows; r++)
        j->k->to_f32(w->type, tile + r * cols, row_at(w, row + r) + dtype_bytes(w->type, col), cols);
    j->k->matmul(sums, PANEL_ROWS, tile, cols, rows, x + col, j->p->ldx, n, cols);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void apply_panel(void *ctx, size_t task, int thread) {
    const struct job *j = ctx;
    const struct matrix_product *p = j->p;
    size_t panels = (p->w->rows + PANEL_ROWS - 1) / PANEL_ROWS, row = task % panels * PANEL_ROWS, token = task / panels * TOKENS;
    size_t rows = least(p->w->rows - row, PANEL_ROWS), n = least(p->n - token, TOKENS), cols = p->w->cols;
    float sums[TOKENS * PANEL_ROWS] = {0};
    (void)thread;
    for (size_t col = 0; col < cols; col += PANEL_COLS)
        add_tile(j, sums, row, rows, col, least(cols - col, PANEL_COLS), p->x + token * p->ldx, n);
    for (size_t i = 0; i < n; i++) finish(j, p->y + (token + i) * p->ldy + row, sums + i * PANEL_ROWS, row, rows);
}

void matrix_apply(const struct kernels *k, const struct matrix_product *p) {
    struct job j = {k, p};
    if (p->n == 1)
        threads_ranges(p->w->rows, apply_one, &j);
    else if (p->n > 1)
        threads_tasks((p->w->rows + PANEL_ROWS - 1) / PANEL_ROWS * ((p->n + TOKENS - 1) / TOKENS), apply_panel, &j);
}
