/* The forward pass, and opening, forking and rewinding the sequences that it works on.
 * layer_forward is the page to read. How keys and values are kept is attention's business. */
#include "model/gpt2.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/process.h"
#include "base/threads.h"

/* Returns the bytes of workspace that the largest product of up to n rows needs. */
static size_t work_bytes(const struct gpt2_weights *w, const struct kernels *kn, size_t n) {
    size_t most = matrix_work_bytes(kn, &w->head, n);
    for (size_t l = 0; l < w->config.n_layer; l++) {
        const struct matrix *all[] = {&w->layers[l].qkv, &w->layers[l].proj, &w->layers[l].fc,
                                      &w->layers[l].fcproj};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            size_t bytes = matrix_work_bytes(kn, all[i], n);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

int gpt2_session_open(struct gpt2_session *s, const struct gpt2_session_setup *setup,
                      struct err *e) {
    const struct gpt2_weights *w = setup->weights;
    const struct gpt2_config *c = &w->config;
    size_t n_seq = setup->n_seq, n_ctx = setup->n_ctx, max_rows = setup->max_rows;
    *s = (struct gpt2_session){.w = w,
                               .kn = setup->kn,
                               .n_seq = n_seq,
                               .max_rows = max_rows,
                               .take_back = setup->take_back,
                               .invariant = setup->invariant,
                               .threads = threads_count()};
    if (n_ctx < 1 || n_ctx > c->n_ctx)
        return err_set(
            e, ERR_USAGE,
            "a context of %zu tokens was asked for; the model has positions for 1 to %zu", n_ctx,
            c->n_ctx);
    struct attn_shape shape = {c->n_layer, c->n_head, c->n_embd / c->n_head, n_ctx};
    int rc = attn_init(&s->attn, &shape, setup->attn, setup->book, setup->kn, e);
    if (rc) return rc;
    attn_take_back(&s->attn, s->take_back);
    s->attn.one_by_one = s->invariant;

    struct arena *a = &s->arena;
    s->state = arena_zalloc(a, n_seq, sizeof *s->state);
    s->length = arena_zalloc(a, n_seq, sizeof *s->length);
    s->fault = arena_zalloc(a, n_seq, sizeof *s->fault);
    s->bad = arena_zalloc(a, max_rows, sizeof *s->bad);
    s->x = arena_alloc(a, max_rows * c->n_embd, sizeof(float));
    s->norm = arena_alloc(a, max_rows * c->n_embd, sizeof(float));
    s->qkv = arena_alloc(a, max_rows * 3 * c->n_embd, sizeof(float));
    s->hidden = arena_alloc(a, max_rows * c->n_inner, sizeof(float));
    size_t work = work_bytes(w, setup->kn, max_rows);
    s->work = work ? arena_alloc(a, work, 1) : NULL;
    s->items = arena_alloc(a, max_rows, sizeof *s->items);
    s->rows = arena_alloc(a, max_rows, sizeof *s->rows);
    s->scratch = arena_alloc(a, attn_scratch_bytes(&s->attn, s->threads), 1);
    s->counters = arena_zalloc(a, c->n_layer, sizeof *s->counters);
    float *center =
        attn_wants_center(&s->attn) ? arena_alloc(a, c->n_layer * c->n_embd, sizeof(float)) : NULL;
    if (center) gpt2_key_constants(w, setup->kn, center);
    s->attn.center = center;
    bool ok = s->state && s->length && s->fault && s->bad && s->x && s->norm && s->qkv &&
              s->hidden && (s->work || !work) && s->items && s->rows && s->scratch && s->counters &&
              (center || !attn_wants_center(&s->attn));
    for (size_t i = 0; ok && i < n_seq; i++) {
        s->state[i] = arena_alloc(a, attn_state_bytes(&s->attn), 1);
        ok = s->state[i] != NULL;
        if (!ok) break;
        /* Rows that are picked from anywhere cost less there. Others do not pay for pages that are
         * cleared as a whole. */
        if (s->attn.picks) memory_large_pages(s->state[i], attn_state_bytes(&s->attn));
        attn_clear(&s->attn, s->state[i]);
    }
    if (ok) return OK;
    gpt2_session_close(s);
    return err_set(e, ERR_FAILED, "out of memory for %zu sequences of %zu tokens (%zu bytes each)",
                   n_seq, n_ctx, attn_state_bytes(&s->attn));
}

size_t gpt2_prompt_rows(const struct gpt2_config *c) {
    enum { MOST = 256, STEP = 64, BYTES = 15 << 19 };
    size_t rows = BYTES / ((5 * c->n_embd + c->n_inner) * sizeof(float)) / STEP * STEP;
    return rows < STEP ? STEP : rows > MOST ? MOST : rows;
}

void gpt2_session_close(struct gpt2_session *s) {
    attn_free(&s->attn);
    arena_free(&s->arena);
}

void gpt2_key_constants(const struct gpt2_weights *w, const struct kernels *kn, float *out) {
    size_t C = w->config.n_embd;
    for (size_t l = 0; l < w->config.n_layer; l++) {
        const struct gpt2_layer *y = &w->layers[l];
        size_t row = matrix_row_bytes(&y->qkv);
        struct matrix keys = {(const uint8_t *)y->qkv.data + C * row, y->qkv.type, C,
                              C}; /* rows C .. 2 C - 1 make keys */
        matrix_apply(kn, &(struct matrix_product){&keys, y->qkv_b + C, y->ln1_b, out + l * C,
                                                  .n = 1, .ldx = C, .ldy = C});
    }
}

static int check_rows(const struct gpt2_session *s, const struct gpt2_row *rows, size_t n,
                      struct err *e) {
    if (n > s->max_rows)
        return err_set(e, ERR_USAGE, "a batch of %zu rows; the session was made for %zu", n,
                       s->max_rows);
    for (size_t i = 0; i < n; i++) {
        const struct gpt2_row *r = &rows[i];
        if (r->seq >= s->n_seq)
            return err_set(e, ERR_USAGE, "sequence %u; the session has %zu", r->seq, s->n_seq);
        bool follows = i > 0 && rows[i - 1].seq == r->seq;
        size_t next = follows ? (size_t)rows[i - 1].pos + 1 : s->length[r->seq];
        if (r->pos != next)
            return err_set(e, ERR_USAGE, "sequence %u: position %u; the next one is %zu", r->seq,
                           r->pos, next);
        if (r->pos >= s->attn.shape.n_ctx)
            return err_set(e, ERR_USAGE,
                           "sequence %u: position %u is beyond the context of %zu tokens", r->seq,
                           r->pos, s->attn.shape.n_ctx);
        if (r->token < 0 || (size_t)r->token >= s->w->config.n_vocab)
            return err_set(e, ERR_USAGE, "token id %d is outside the vocabulary of %zu", r->token,
                           s->w->config.n_vocab);
        for (size_t j = 0; !follows && j < i; j++)
            if (rows[j].seq == r->seq)
                return err_set(e, ERR_USAGE, "the rows of sequence %u do not stand together",
                               r->seq);
    }
    return OK;
}

/* A piece of work that is done to each row apart. Only the fields that it names are set. */
struct rows_job {
    struct gpt2_session *s;
    const struct gpt2_row *rows; /* [n] for embed_rows */
    const float *weight, *bias;  /* [C] for normalise_rows */
    const float *found;          /* [n][width] for note_rows */
    size_t width;                /* in floats, for note_rows */
    uint32_t stage;              /* of gpt2_fault, for note_rows */
};

/* Calls fn for n rows. The threads share them where there is enough work to be worth waking them.
 */
static void each_row(struct rows_job j, size_t n,
                     void (*fn)(void *ctx, size_t begin, size_t end, int thread)) {
    enum { FLOATS = 1 << 15 };
    if (n * j.s->w->config.n_embd < FLOATS)
        fn(&j, 0, n, 0);
    else
        threads_ranges(n, fn, &j);
}

/* Is every one of x[n] finite? NaN and infinity are the numbers whose exponent has every bit set.
 * The loop has no branches, so that the compiler can vectorise it. */
static bool all_finite(const float *x, size_t n) {
    unsigned odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        odd |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !odd;
}

/* Notes in s->bad which rows are not finite any more. A row keeps its first stage. */
static void note_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct rows_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        if (!j->s->bad[i] && !all_finite(j->found + i * j->width, j->width))
            j->s->bad[i] = j->stage;
}

/* Looks at x[n][width], what `stage` gave for the rows of the batch. */
static void note(struct gpt2_session *s, uint32_t stage, const float *x, size_t width, size_t n) {
    each_row((struct rows_job){.s = s, .found = x, .width = width, .stage = stage}, n, note_rows);
}

/* Sets x[n][C] = wte[token] + wpe[pos]. The position's row is put in s->norm, which is free then.
 */
static void embed_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct rows_job *j = ctx;
    size_t C = j->s->w->config.n_embd;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        float *x = j->s->x + i * C, *position = j->s->norm + i * C;
        matrix_row(j->s->kn, &j->s->w->wte, (size_t)j->rows[i].token, x);
        matrix_row(j->s->kn, &j->s->w->wpe, j->rows[i].pos, position);
        for (size_t c = 0; c < C; c++) x[c] += position[c];
    }
}

/* Sets norm[n][C] to the attention of one layer, from qkv[n][3C]. Rows that stand together in a
 * sequence are one item of the backend. */
static void attention(struct gpt2_session *s, size_t layer, const struct gpt2_row *rows, size_t n) {
    size_t C = s->w->config.n_embd, n_items = 0;
    double start = clock_now();
    if (s->filter) s->filter->rows(s->filter->ctx, layer, s->qkv + C, s->qkv + 2 * C, n, 3 * C);
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && rows[i + run].seq == rows[i].seq; run++) {}
        const float *qkv = s->qkv + i * 3 * C;
        s->items[n_items++] = (struct attn_query){.state = s->state[rows[i].seq],
                                                  .pos = rows[i].pos,
                                                  .n = run,
                                                  .k = qkv + C,
                                                  .v = qkv + 2 * C,
                                                  .q = qkv,
                                                  .out = s->norm + i * C,
                                                  .kv_stride = 3 * C,
                                                  .q_stride = 3 * C,
                                                  .out_stride = C};
    }
    attn_attend(&s->attn, layer, s->items, n_items, s->scratch, &s->counters[layer], s->probe);
    s->attention_s += clock_now() - start;
    if (s->observer)
        s->observer->layer(s->observer->ctx, layer, rows, n, s->qkv, s->qkv + C, s->qkv + 2 * C,
                           3 * C);
}

/* Sets norm[n][C] = layernorm(x). */
static void normalise_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct rows_job *j = ctx;
    size_t C = j->s->w->config.n_embd;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        j->s->kn->layernorm(j->s->norm + i * C, j->s->x + i * C, j->weight, j->bias, C,
                            j->s->w->config.norm_eps);
}

/* Makes y[n][rows] from x[n][cols], both without gaps between rows. */
static void linear(const struct gpt2_session *s, const struct matrix *w, const float *bias,
                   const float *x, size_t n, float *y, enum matrix_after after) {
    matrix_apply(s->kn, &(struct matrix_product){w, bias, x, y, n, .ldx = w->cols, .ldy = w->rows,
                                                 .after = after, .invariant = s->invariant,
                                                 .work = s->work});
}

/* Runs one layer over x[n][C]: attention reads earlier rows, the MLP each row alone, and both add
 * to the residual stream. */
/* What q is multiplied with, so that scores come out as the configuration says although attention
 * divides q . k by sqrt(D): a factor of the score is as well one of q. */
static float query_factor(const struct gpt2_config *c, size_t layer) {
    const double D = (double)(c->n_embd / c->n_head);
    return (float)((c->unscaled ? sqrt(D) : 1) / (c->scale_by_layer ? (double)layer + 1 : 1));
}

/* q[n][C] in qkv[n][3C] times the layer's factor. */
static void scale_queries(struct gpt2_session *s, size_t layer, size_t n) {
    const size_t C = s->w->config.n_embd;
    const float factor = query_factor(&s->w->config, layer);
    if (factor == 1) return;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < C; c++) s->qkv[i * 3 * C + c] *= factor;
}

static void layer_forward(struct gpt2_session *s, size_t layer, const struct gpt2_row *rows,
                          size_t n) {
    const struct gpt2_layer *w = &s->w->layers[layer];
    static const enum matrix_after activations[] = {[GELU_TANH] = MATRIX_GELU_TANH,
                                                    [GELU_ERF] = MATRIX_GELU_ERF,
                                                    [RELU] = MATRIX_RELU,
                                                    [SILU] = MATRIX_SILU};
    const enum matrix_after activation = activations[s->w->config.activation];

    each_row((struct rows_job){.s = s, .weight = w->ln1_w, .bias = w->ln1_b}, n, normalise_rows);
    linear(s, &w->qkv, w->qkv_b, s->norm, n, s->qkv, MATRIX_SET);
    note(s, 2 + 2 * (uint32_t)layer, s->qkv, 3 * s->w->config.n_embd, n);
    scale_queries(s, layer, n);
    attention(s, layer, rows, n);
    linear(s, &w->proj, w->proj_b, s->norm, n, s->x, MATRIX_ADD);

    each_row((struct rows_job){.s = s, .weight = w->ln2_w, .bias = w->ln2_b}, n, normalise_rows);
    linear(s, &w->fc, w->fc_b, s->norm, n, s->hidden, activation);
    linear(s, &w->fcproj, w->fcproj_b, s->hidden, n, s->x, MATRIX_ADD);
    note(s, 3 + 2 * (uint32_t)layer, s->x, s->w->config.n_embd, n);
}

/* Brings the faults of the sequences up to date with s->bad of the batch's rows. */
static void keep_faults(struct gpt2_session *s, const struct gpt2_row *rows, size_t n) {
    for (size_t i = 0, next; i < n; i = next) {
        struct gpt2_fault *kept = &s->fault[rows[i].seq], f = {0};
        for (next = i; next < n && rows[next].seq == rows[i].seq; next++) {
            uint32_t bad = s->bad[next];
            if (!bad) continue;
            if (!f.stage) f.from = rows[next].pos;
            if (!f.stage || bad < f.stage)
                f.stage = bad, f.pos = rows[next].pos, f.token = rows[next].token;
        }
        f.least = f.stage && (!kept->stage || f.stage < kept->least) ? f.stage : kept->least;
        if (kept->stage)
            kept->least = f.least;
        else
            *kept = f;
    }
}

/* Sets logits = head(layernorm_f(x)) for the rows that want them. A row that is not finite, or that
 * stands behind one, gets NaN: its keys may have been stored as if they were numbers. */
static void head(struct gpt2_session *s, const struct gpt2_row *rows, size_t n, float *logits) {
    size_t C = s->w->config.n_embd, wanted = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].logits) continue;
        s->kn->layernorm(s->norm + wanted * C, s->x + i * C, s->w->lnf_w, s->w->lnf_b, C,
                         s->w->config.norm_eps);
        wanted++;
    }
    if (wanted) linear(s, &s->w->head, NULL, s->norm, wanted, logits, MATRIX_SET);
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].logits) continue;
        const struct gpt2_fault *f = &s->fault[rows[i].seq];
        for (size_t t = 0; f->stage && rows[i].pos >= f->from && t < s->w->config.n_vocab; t++)
            logits[t] = NAN;
        logits += s->w->config.n_vocab;
    }
}

/* Runs the layers from `first` on, and the head, from s->x. */
static void layers(struct gpt2_session *s, size_t first, const struct gpt2_row *rows, size_t n,
                   float *logits) {
    for (size_t l = first; l < s->w->config.n_layer; l++) layer_forward(s, l, rows, n);
    keep_faults(s, rows, n);
    head(s, rows, n, logits);
    for (size_t i = 0; i < n; i++) s->length[rows[i].seq] = rows[i].pos + 1;
}

int gpt2_forward(struct gpt2_session *s, const struct gpt2_row *rows, size_t n, float *logits,
                 struct err *e) {
    assert(threads_count() <= s->threads);
    int rc = check_rows(s, rows, n, e);
    if (rc) return rc;
    memset(s->bad, 0, n * sizeof *s->bad);
    each_row((struct rows_job){.s = s, .rows = rows}, n, embed_rows);
    note(s, 1, s->x, s->w->config.n_embd, n);
    layers(s, 0, rows, n, logits);
    return OK;
}

int gpt2_forward_from(struct gpt2_session *s, size_t first, const float *x,
                      const struct gpt2_row *rows, size_t n, float *logits, struct err *e) {
    assert(threads_count() <= s->threads && first < s->w->config.n_layer);
    int rc = check_rows(s, rows, n, e);
    if (rc) return rc;
    memset(s->bad, 0, n * sizeof *s->bad);
    memcpy(s->x, x, n * s->w->config.n_embd * sizeof *x);
    layers(s, first, rows, n, logits);
    return OK;
}

int gpt2_prefill(struct gpt2_session *s, uint32_t seq, const int32_t *tokens, size_t n,
                 float *logits, struct err *e) {
    for (size_t done = 0; done < n;) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        size_t take = n - done < s->max_rows ? n - done : s->max_rows;
        for (size_t i = 0; i < take; i++)
            s->rows[i] = (struct gpt2_row){.seq = seq,
                                           .pos = s->length[seq] + (uint32_t)i,
                                           .token = tokens[done + i],
                                           .logits = logits && done + i + 1 == n};
        int rc = gpt2_forward(s, s->rows, take, logits, e);
        if (rc) return rc;
        done += take;
    }
    return OK;
}

void gpt2_fork(struct gpt2_session *s, uint32_t dst, uint32_t src, uint32_t n) {
    assert(dst < s->n_seq && src < s->n_seq && n <= s->length[src]);
    if (dst == src) {
        gpt2_rewind(s, dst, n);
        return;
    }
    attn_copy(&s->attn, s->state[dst], s->state[src], n);
    s->length[dst] = n;
    s->fault[dst] = s->fault[src].from < n ? s->fault[src] : (struct gpt2_fault){0};
}

bool gpt2_rewinds(const struct gpt2_session *s, uint32_t seq, uint32_t n) {
    bool window = false;
    for (size_t l = 0; l < s->attn.shape.n_layer; l++)
        window = window || s->attn.layers[l].exact.window > 0;
    return n >= s->length[seq] || !window || s->length[seq] - n <= s->take_back;
}

void gpt2_rewind(struct gpt2_session *s, uint32_t seq, uint32_t n) {
    assert(seq < s->n_seq);
    if (n >= s->length[seq]) return;
    attn_truncate(&s->attn, s->state[seq], n);
    s->length[seq] = n;
    if (s->fault[seq].from >= n) s->fault[seq] = (struct gpt2_fault){0};
}

/* ---- numbers that are none ---- */

bool gpt2_is_bad(const struct gpt2_session *s, const struct gpt2_row *rows, size_t i,
                 size_t layer) {
    const struct gpt2_fault *f = &s->fault[rows[i].seq];
    if (f->stage && rows[i].pos >= f->from && f->least <= 2 + 2 * layer) return true;
    for (size_t before = i + 1; before-- > 0 && rows[before].seq == rows[i].seq;)
        if (s->bad[before]) return true;
    return false;
}

int gpt2_check(const struct gpt2_session *s, uint32_t seq, struct err *e) {
    const struct gpt2_fault *f = &s->fault[seq];
    char where[64] = "the embedding";
    if (!f->stage) return OK;
    if (f->stage > 1)
        snprintf(where, sizeof where, "%s layer %u",
                 f->stage % 2 ? "the output of" : "q, k and v of", f->stage / 2 - 1);
    return err_set(e, ERR_FAILED,
                   "the model's numbers are not finite (NaN or inf): first %s, at position %u "
                   "(token id %d); do its weights hold NaN or inf?",
                   where, f->pos, f->token);
}

int gpt2_check_logits(const struct gpt2_session *s, const struct gpt2_row *row, const float *logits,
                      struct err *e) {
    struct err cause;
    if (all_finite(logits, s->w->config.n_vocab)) return OK;
    int rc = gpt2_check(s, row->seq, &cause);
    if (!rc)
        err_set(&cause, ERR_FAILED,
                "every layer's output is finite, so the head is at fault; do its weights hold NaN "
                "or inf?");
    return err_set(e, ERR_FAILED, "the logits after position %u (token id %d) are not finite; %s",
                   row->pos, row->token, cause.msg);
}
