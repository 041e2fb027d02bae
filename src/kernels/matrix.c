/* A weight matrix times rows of activations: which kernel serves how many rows, and how the work is
 * cut for the threads. The arithmetic itself is in the sets. */
#include "kernels/matrix.h"

#include <string.h>

#include "base/threads.h"

/* A task of several rows of x: ROWS rows of w by TOKENS of x. The rows of x it works on, TOKENS
 * times 384 columns at a time, fit the second cache, and ROWS passes over them pay for bringing
 * them there. Rows of y lie far apart, so the one AHEAD is asked for (Zen 4, a prompt of 512: 6 %
 * more tokens/s with f16 weights, 13 % with q8_0). */
enum { ROWS = 64, TOKENS = 256, AHEAD = 8 };

/* Up to SOME rows of x meet the weights row by row; more rows meet them in parts that fit the
 * caches. It is MATMUL_SOME, and below 64 on purpose: texts are measured, and codebooks learned, in
 * batches of 63 and 64 rows. Those keep the order of their sums, so published figures keep their
 * digits. */
enum { SOME = MATMUL_SOME };
_Static_assert(MATMUL_SOME < 63, "batches in which texts are measured must keep their sums");

enum {
    /* Bytes of w that meet a group of rows of x after the other: they stay in the second cache. */
    SOME_BYTES = 384 << 10,
    ACT_BYTES = 1 << 16, /* for one row of x: enough for 12,000 columns and more */
    /* Rows of w at least that up to SOME rows of x meet at a time: streams of weights are slow to
     * begin. */
    UNIT = 16
};

/* What one thread works in, apart from its stack, which may be small: sums of products, or a row of
 * x for weights in blocks. A caller's row is read by other threads while its own thread uses only
 * the few sums of apply_one, which are on the stack. */
static _Thread_local _Alignas(64) union {
    float sums[TOKENS * ROWS];
    uint8_t act[ACT_BYTES];
} own;

struct job {
    const struct kernels *kn;
    const struct matrix_product *p;
    const void *act;  /* rows of x for matmul_blocks, or NULL */
    size_t act_bytes; /* of one of them */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t pieces(size_t n, size_t size) { return (n + size - 1) / size; }

size_t matrix_row_bytes(const struct matrix *w) { return dtype_bytes(w->type, w->cols); }

size_t matrix_bytes(const struct matrix *w) { return w->rows * matrix_row_bytes(w); }

static const uint8_t *row_at(const struct matrix *w, size_t r) {
    return (const uint8_t *)w->data + r * matrix_row_bytes(w);
}

void matrix_row(const struct kernels *kn, const struct matrix *w, size_t r, float *y) {
    kn->to_f32(w->type, y, row_at(w, r), w->cols);
}

/* y[rows] from sums[rows], which begin at row `row` of w; sums are overwritten. */
static void finish(const struct job *j, float *y, float *sums, size_t row, size_t rows) {
    const float *bias = j->p->bias;
    for (size_t r = 0; bias && r < rows; r++) sums[r] += bias[row + r];
    switch (j->p->after) {
    case MATRIX_ADD:
        for (size_t r = 0; r < rows; r++) y[r] += sums[r];
        return;
    case MATRIX_GELU_TANH: j->kn->gelu_tanh(sums, rows); break;
    case MATRIX_GELU_ERF: j->kn->gelu_erf(sums, rows); break;
    case MATRIX_SILU: j->kn->silu(sums, rows); break;
    case MATRIX_RELU:
        for (size_t r = 0; r < rows; r++) sums[r] = sums[r] < 0 ? 0 : sums[r];
        break;
    case MATRIX_SET: break;
    }
    memcpy(y, sums, rows * sizeof *y);
}

/* Rows for one row of x, from begin * UNIT up to end * UNIT. */
static void apply_one(void *ctx, size_t begin, size_t end, int thread) {
    enum { PIECE = 512 };
    const struct job *j = ctx;
    const struct matrix *w = j->p->w;
    (void)thread;
    for (size_t row = begin * UNIT, last = least(end * UNIT, w->rows), rows; row < last;
         row += rows) {
        float sums[PIECE];
        rows = least(last - row, PIECE);
        if (j->act)
            j->kn->matmul_blocks(&(struct matmul){.type = w->type,
                                                  .w = row_at(w, row),
                                                  .stride = matrix_row_bytes(w),
                                                  .rows = rows,
                                                  .cols = w->cols,
                                                  .acts = j->act,
                                                  .n = 1,
                                                  .y = sums,
                                                  .ldy = rows});
        else
            j->kn->matvec(w->type, sums, row_at(w, row), matrix_row_bytes(w), rows, j->p->x,
                          w->cols);
        finish(j, j->p->y + row, sums, row, rows);
    }
}

/* The same for up to SOME rows of x, whose sums take SOME KB; where the set is faster so, a group
 * of MATMUL_FEW after the other. */
static void apply_some(void *ctx, size_t begin, size_t end, int thread) {
    enum { PIECE = 512, SUMS = SOME * 256 }; /* at most TOKENS * ROWS */
    const struct job *j = ctx;
    const struct matrix_product *p = j->p;
    const struct matrix *w = p->w;
    size_t bytes = matrix_row_bytes(w), groups = 1, most = least(PIECE, SUMS / p->n);
    float *sums = own.sums;
    (void)thread;
    if (p->n > MATMUL_FEW && dtype_block(w->type) == 1 &&
        (p->invariant || p->n <= j->kn->few_at_a_time))
        groups = pieces(p->n, MATMUL_FEW),
        most = least(most, pieces(SOME_BYTES, bytes * UNIT) * UNIT);
    for (size_t row = begin * UNIT, last = least(end * UNIT, w->rows), rows; row < last;
         row += rows) {
        rows = least(last - row, most);
        for (size_t g = 0; g < groups; g++) {
            size_t i = p->n * g / groups, n = p->n * (g + 1) / groups - i;
            const struct matmul m = {.type = w->type,
                                     .w = row_at(w, row),
                                     .stride = bytes,
                                     .rows = rows,
                                     .cols = w->cols,
                                     .x = p->x + i * p->ldx,
                                     .acts = j->act,
                                     .ldx = p->ldx,
                                     .n = n,
                                     .y = sums + i * rows,
                                     .ldy = rows};
            if (j->act)
                j->kn->matmul_blocks(&m);
            else
                j->kn->matmul(&m);
        }
        for (size_t i = 0; i < p->n; i++)
            finish(j, p->y + i * p->ldy + row, sums + i * rows, row, rows);
    }
}

static void apply_several(void *ctx, size_t task, int thread) {
    const struct job *j = ctx;
    const struct matrix_product *p = j->p;
    const struct matrix *w = p->w;
    size_t row = task % pieces(w->rows, ROWS) * ROWS, rows = least(w->rows - row, ROWS);
    size_t part = task / pieces(w->rows, ROWS),
           parts = pieces(p->n, TOKENS); /* of the rows of x, all about the same size */
    size_t token = p->n * part / parts, n = p->n * (part + 1) / parts - token;
    float *sums = own.sums;
    (void)thread;
    struct matmul m = {.type = w->type,
                       .w = row_at(w, row),
                       .stride = matrix_row_bytes(w),
                       .rows = rows,
                       .cols = w->cols,
                       .n = n,
                       .y = sums,
                       .ldy = ROWS};
    if (j->act) {
        m.acts = (const uint8_t *)j->act + token * j->act_bytes;
        j->kn->matmul_blocks(&m);
    } else {
        m.x = p->x + token * p->ldx, m.ldx = p->ldx;
        j->kn->matmul(&m);
    }
    for (size_t i = 0; i < n; i++) {
        float *y = p->y + (token + i) * p->ldy + row;
        for (size_t r = 0; r < rows && i + AHEAD < n; r += 64 / sizeof *y)
            __builtin_prefetch(y + AHEAD * p->ldy + r, 1);
        finish(j, y, sums + i * ROWS, row, rows);
    }
}

/* Returns the bytes of a row of x as whole numbers; 0 where n rows meet w as float32 numbers. */
static size_t act_bytes_of(const struct kernels *kn, const struct matrix *w, size_t n) {
    return dtype_wholes(w->type) && n <= kn->blocks_most(w->type) ? kn->act_bytes(w->type, w->cols)
                                                                  : 0;
}

size_t matrix_work_bytes(const struct kernels *kn, const struct matrix *w, size_t n) {
    const size_t few = least(n, MATMUL_FEW);
    return act_bytes_of(kn, w, n) ? n * act_bytes_of(kn, w, n) : few * act_bytes_of(kn, w, few);
}

/* ---- weights that no set multiplies with as they are ---- */

/* Rows of w at a time, and columns of them: what is decoded stays in the second cache. */
enum { DECODED_ROWS = 2 * UNIT, DECODED_COLS = 1024 };
_Static_assert(2 * DECODED_ROWS <= ROWS, "`own` has room for two sums of decoded rows");
static _Thread_local _Alignas(64) float decoded[DECODED_ROWS * DECODED_COLS];

/* Sets y[n][rows] to the product of n rows of x, from row `token` on, with columns c .. c + cols -
 * 1 of `rows` decoded rows. */
static void multiply_decoded(const struct job *j, size_t token, size_t n, size_t c, size_t cols,
                             size_t rows, float *y) {
    const float *x = j->p->x + token * j->p->ldx + c;
    if (j->p->n == 1)
        j->kn->matvec(DTYPE_F32, y, decoded, cols * sizeof *decoded, rows, x, cols);
    else
        j->kn->matmul(&(struct matmul){.type = DTYPE_F32,
                                       .w = decoded,
                                       .stride = cols * sizeof *decoded,
                                       .rows = rows,
                                       .cols = cols,
                                       .x = x,
                                       .ldx = j->p->ldx,
                                       .n = n,
                                       .y = y,
                                       .ldy = rows});
}

/* Multiplies up to DECODED_ROWS rows, from `row` on, with n rows of x, from `token` on. Parts of
 * columns are added up in order. */
static void apply_decoded_rows(const struct job *j, size_t row, size_t rows, size_t token,
                               size_t n) {
    const struct matrix *w = j->p->w;
    const size_t count = n * rows;
    float *sums = own.sums, *part = own.sums + DECODED_ROWS * TOKENS;
    for (size_t c = 0, cols; c < w->cols; c += cols) {
        cols = least(w->cols - c, DECODED_COLS);
        for (size_t r = 0; r < rows; r++)
            j->kn->to_f32(w->type, decoded + r * cols, row_at(w, row + r) + dtype_bytes(w->type, c),
                          cols);
        multiply_decoded(j, token, n, c, cols, rows, c ? part : sums);
        for (size_t i = 0; c && i < count; i++) sums[i] += part[i];
    }
    for (size_t i = 0; i < n; i++)
        finish(j, j->p->y + (token + i) * j->p->ldy + row, sums + i * rows, row, rows);
}

static void apply_decoded(void *ctx, size_t begin, size_t end, int thread) {
    const struct job *j = ctx;
    const size_t last = least(end * DECODED_ROWS, j->p->w->rows), n = j->p->n;
    (void)thread;
    for (size_t row = begin * DECODED_ROWS; row < last; row += DECODED_ROWS)
        for (size_t part = 0, parts = pieces(n, TOKENS); part < parts; part++) {
            const size_t token = n * part / parts, next = n * (part + 1) / parts;
            apply_decoded_rows(j, row, least(last - row, DECODED_ROWS), token, next - token);
        }
}

/* ---- */

static void rows_to_acts(void *ctx, size_t begin, size_t end, int thread) {
    const struct job *j = ctx;
    const struct matrix_product *p = j->p;
    const struct matrix *w = p->w;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        void *act = (uint8_t *)p->work + i * j->act_bytes;
        j->kn->act_from_f32(w->type, act, p->x + i * p->ldx, w->cols);
    }
}

/* One row of x for weights in blocks. */
static void apply_one_to_blocks(struct job *j) {
    const struct matrix *w = j->p->w;
    j->kn->act_from_f32(w->type, own.act, j->p->x, w->cols);
    j->act = own.act;
    threads_ranges(pieces(w->rows, UNIT), apply_one, j);
}

/* Rows of x in whole numbers, n of them or one: false where there is no room for them. */
static bool apply_wholes(struct job *j) {
    const struct matrix_product *p = j->p;
    j->act_bytes = act_bytes_of(j->kn, p->w, p->n);
    if (!j->act_bytes || !p->n) return false;
    if (p->n == 1 && j->act_bytes <= sizeof own.act) {
        apply_one_to_blocks(j);
        return true;
    }
    if (!p->work) return false;
    threads_ranges(p->n, rows_to_acts, j);
    j->act = p->work;
    if (p->n <= MATMUL_FEW)
        threads_ranges(pieces(p->w->rows, UNIT), apply_some, j);
    else
        threads_tasks(pieces(p->w->rows, ROWS) * pieces(p->n, TOKENS), apply_several, j);
    return true;
}

/* Many rows of x in the order of one, `most` at a time. */
static void apply_parts(const struct kernels *kn, const struct matrix_product *p, size_t most) {
    struct matrix_product part = *p;
    for (size_t i = 0; i < p->n; i += part.n) {
        part.n = least(p->n - i, most);
        part.x = p->x + i * p->ldx;
        part.y = p->y + i * p->ldy;
        matrix_apply(kn, &part);
    }
}

void matrix_apply(const struct kernels *kn, const struct matrix_product *p) {
    struct job j = {.kn = kn, .p = p};
    const size_t most = dtype_block(p->w->type) == 1 ? SOME : MATMUL_FEW;
    const size_t alike = act_bytes_of(kn, p->w, p->n) ? kn->blocks_alike(p->w->type) : 0;
    if (p->invariant && p->n > most && p->n > alike) {
        apply_parts(kn, p, most);
        return;
    }
    if (apply_wholes(&j)) return;
    if (!dtype_direct(p->w->type))
        threads_ranges(p->n ? pieces(p->w->rows, DECODED_ROWS) : 0, apply_decoded, &j);
    else if (p->n == 1 && dtype_block(p->w->type) == 1)
        threads_ranges(pieces(p->w->rows, UNIT), apply_one, &j);
    else if (p->n <= SOME)
        threads_ranges(p->n ? pieces(p->w->rows, UNIT) : 0, apply_some, &j);
    else
        threads_tasks(pieces(p->w->rows, ROWS) * pieces(p->n, TOKENS), apply_several, &j);
}
