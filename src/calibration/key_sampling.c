/* See key_sampling.h. An observer of the session copies keys and values as they pass; after each
 * window the threads work out what its keys matter to its queries, head by head. */
#include "calibration/key_sampling.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/threads.h"
#include "model/gpt2.h"

/* SINK and WINDOW say which keys a query is taken to see exactly: with codecs this small the first
 * and the last keys are best kept exactly, and how their codes are rounded does not matter then. */
enum {
    BATCH = 256,  /* tokens that the model runs at once */
    QUERIES = 16, /* queries whose probabilities are worked out together */
    SINK = 1,
    WINDOW = 32
};
#define NOT_KEPT UINT32_MAX

struct collector {
    struct key_sample *sample;
    const struct kernels *kn;
    uint32_t *slot;   /* [window] where each position's keys go, or NOT_KEPT */
    size_t bad_layer; /* of a key that f16 cannot hold; SIZE_MAX: none */
    size_t window, n; /* positions: most, and of this window */
    float *q, *rows;  /* [L][H][window][D] of this window, where importance is wanted; or NULL */
    struct workspace *spaces; /* [threads] */
    uint64_t queries;         /* of each head, summed so far */
};

/* What one thread works in. */
struct workspace {
    float *probs;       /* [QUERIES][window] */
    float *moments;     /* [D][D] */
    double *importance; /* [window] of keys, then of values */
};

static bool finite_f16(const uint16_t *x, size_t n) {
    unsigned all = 0;
    for (size_t i = 0; i < n; i++) all |= (x[i] & 0x7c00) == 0x7c00;
    return !all;
}

static void keep_row(struct collector *c, size_t layer, uint16_t *to, const float *row) {
    c->kn->to_f16(to, row, c->sample->head_dim);
    if (!finite_f16(to, c->sample->head_dim) && c->bad_layer == SIZE_MAX) c->bad_layer = layer;
}

static void observe(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                    const float *k, const float *v, size_t stride) {
    struct collector *c = ctx;
    const struct key_sample *s = c->sample;
    size_t D = s->head_dim;
    for (size_t i = 0; i < n; i++) {
        for (size_t h = 0; c->q && h < s->n_head; h++) {
            size_t at = ((layer * s->n_head + h) * c->window + rows[i].pos) * D;
            memcpy(c->q + at, q + i * stride + h * D, D * sizeof *q);
            memcpy(c->rows + at, k + i * stride + h * D, D * sizeof *k);
        }
        uint32_t slot = c->slot[rows[i].pos];
        if (slot == NOT_KEPT) continue;
        for (size_t h = 0; h < s->n_head; h++) {
            keep_row(c, layer, s->keys + ((layer * s->n_head + h) * s->n + slot) * D,
                     k + i * stride + h * D);
            if (s->values)
                keep_row(c, layer, s->values + ((layer * s->n_head + h) * s->n + slot) * D,
                         v + i * stride + h * D);
        }
    }
}

/* Adds what the query at `pos` says of the rows it sees, p[pos + 1] being its probabilities: p (1 -
 * p) for each key that it does not see exactly, and p^2 for each value. */
static void add_importance(double *importance, double *of_values, const float *p, size_t pos) {
    for (size_t i = SINK; i + WINDOW <= pos; i++) importance[i] += (double)(p[i] * (1 - p[i]));
    for (size_t i = 0; i <= pos; i++) of_values[i] += (double)(p[i] * p[i]);
}

/* A task of the threads: adds up the queries' second moments of one head in this window, and notes
 * the importance of the keys and values that are kept. */
static void weigh_head(void *ctx, size_t head, int thread) {
    struct collector *c = ctx;
    const struct key_sample *s = c->sample;
    const struct workspace *w = &c->spaces[thread];
    size_t D = s->head_dim;
    const float *q = c->q + head * c->window * D, *k = c->rows + head * c->window * D;
    float scale = 1 / sqrtf((float)D);
    double *of_values = w->importance + c->window;
    memset(w->importance, 0, 2 * c->window * sizeof *w->importance);
    for (size_t begin = 0, end; begin < c->n; begin = end) {
        end = begin + QUERIES < c->n ? begin + QUERIES : c->n;
        c->kn->matmul(&(struct matmul){.type = DTYPE_F32,
                                       .w = k,
                                       .stride = D * sizeof *k,
                                       .rows = end,
                                       .cols = D,
                                       .x = q + begin * D,
                                       .ldx = D,
                                       .n = end - begin,
                                       .y = w->probs,
                                       .ldy = c->window});
        for (size_t i = begin; i < end; i++) {
            float *p = w->probs + (i - begin) * c->window;
            for (size_t t = 0; t <= i; t++) p[t] *= scale;
            c->kn->softmax(p, i + 1, 1);
            add_importance(w->importance, of_values, p, i);
        }
        c->kn->strided_product(&(struct strided_product){.rows = D,
                                                         .depth = end - begin,
                                                         .cols = D,
                                                         .y = w->moments,
                                                         .ldy = D,
                                                         .a = q + begin * D,
                                                         .a_row = 1,
                                                         .a_step = D,
                                                         .b = q + begin * D,
                                                         .ldb = D});
        for (size_t i = 0; i < D * D; i++) s->queries[head * D * D + i] += (double)w->moments[i];
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->slot[i] != NOT_KEPT) {
            s->weights[head * s->n + c->slot[i]] = (float)w->importance[i];
            if (s->values) s->value_weights[head * s->n + c->slot[i]] = (float)of_values[i];
        }
}

/* Writes take[n], how many tokens each text gives, and returns their sum. Shares are equal; what a
 * short text lacks, the longer ones make up. */
static size_t share_out(const struct sampled_text *texts, size_t n, size_t tokens, size_t *take) {
    size_t left = tokens, sum = 0;
    for (size_t i = 0; i < n; i++) take[i] = SIZE_MAX;
    for (size_t open = n; open > 0; open--) { /* the shortest text that is left is served first */
        size_t shortest = n;
        for (size_t i = 0; i < n; i++)
            if (take[i] == SIZE_MAX && (shortest == n || texts[i].n < texts[shortest].n))
                shortest = i;
        size_t share = left / open;
        take[shortest] = share < texts[shortest].n ? share : texts[shortest].n;
        left -= take[shortest];
        sum += take[shortest];
    }
    return sum;
}

struct run {
    struct collector c;
    struct gpt2_session s;
    struct rng rng;
    size_t done, total, kept; /* tokens; keys of each head */
    struct progress progress;
};

/* Runs one window. Each token is kept with the probability that fills the sample exactly in the end
 * (Knuth, TAOCP 3.4.2, algorithm S). */
static int run_window(struct run *r, const int32_t *ids, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        size_t wanted = r->c.sample->n - r->kept, left = r->total - r->done - i;
        r->c.slot[i] = rng_below(&r->rng, left) < wanted ? (uint32_t)r->kept++ : NOT_KEPT;
    }
    gpt2_rewind(&r->s, 0, 0);
    int rc = gpt2_prefill(&r->s, 0, ids, n, NULL, e);
    if (!rc) rc = gpt2_check(&r->s, 0, e);
    if (!rc && r->c.bad_layer != SIZE_MAX)
        rc = err_set(e, ERR_FAILED, "layer %zu of the model makes keys that f16 cannot hold",
                     r->c.bad_layer);
    r->c.n = n;
    if (!rc && r->c.q) threads_tasks(r->c.sample->n_layer * r->c.sample->n_head, weigh_head, &r->c);
    r->c.queries += n;
    r->done += n;
    if (!rc) progress_tell(r->progress, r->done, r->total);
    return rc;
}

/* Runs `take` tokens of a text in windows, with equal gaps between them. */
static int run_text(struct run *r, const struct sampled_text *t, size_t take, size_t window,
                    struct err *e) {
    size_t windows = (take + window - 1) / window;
    int rc = OK;
    for (size_t i = 0; i < windows && !rc; i++) {
        size_t begin = i * window, n = take - begin < window ? take - begin : window;
        size_t skip = (size_t)((double)(t->n - take) * ((double)i / (double)windows));
        rc = run_window(r, t->ids + begin + skip, n, e);
    }
    return rc;
}

/* Gets memory for the importance of keys: for the results from `a`, for work from `scratch`. */
static bool want_importance(struct collector *c, struct key_sample *s, size_t window,
                            struct arena *a, struct arena *scratch) {
    size_t heads = s->n_layer * s->n_head, D = s->head_dim, threads = (size_t)threads_count();
    c->window = window;
    s->weights = arena_zalloc(a, heads * s->n, sizeof *s->weights);
    s->queries = arena_zalloc(a, heads * D * D, sizeof *s->queries);
    c->q = arena_alloc(scratch, heads * window * D, sizeof *c->q);
    c->rows = arena_alloc(scratch, heads * window * D, sizeof *c->rows);
    c->spaces = arena_alloc(scratch, threads, sizeof *c->spaces);
    bool ok = s->weights && s->queries && c->q && c->rows && c->spaces;
    for (size_t t = 0; t < threads && ok; t++) {
        c->spaces[t] = (struct workspace){arena_alloc(scratch, QUERIES * window, sizeof(float)),
                                          arena_alloc(scratch, D * D, sizeof(float)),
                                          arena_alloc(scratch, 2 * window, sizeof(double))};
        ok = c->spaces[t].probs && c->spaces[t].moments && c->spaces[t].importance;
    }
    return ok;
}

/* Adds up outputs[H][D][D] of a layer: W^T W for each head, where W is the columns of the output
 * projection that the head's output meets. Returns false without memory. */
static bool output_moments(const struct gpt2_weights *w, const struct kernels *kn, size_t layer,
                           double *outputs) {
    const struct matrix *proj = &w->layers[layer].proj;
    size_t C = proj->cols, D = C / w->config.n_head;
    struct arena scratch = {0};
    float *row = arena_alloc(&scratch, C, sizeof *row);
    for (size_t r = 0; row && r < proj->rows; r++) {
        matrix_row(kn, proj, r, row);
        for (size_t h = 0; h < w->config.n_head; h++)
            for (size_t i = 0; i < D; i++)
                for (size_t j = 0; j < D; j++)
                    outputs[(h * D + i) * D + j] += (double)row[h * D + i] * (double)row[h * D + j];
    }
    arena_free(&scratch);
    return row != NULL;
}

/* Gets memory for values from `a`, and works out the output projections' moments. */
static bool want_values(struct key_sample *s, const struct gpt2_weights *w,
                        const struct kernels *kn, struct arena *a) {
    size_t heads = s->n_layer * s->n_head, D = s->head_dim;
    s->values = arena_alloc(a, heads * s->n * D, sizeof *s->values);
    s->value_weights = arena_zalloc(a, heads * s->n, sizeof *s->value_weights);
    s->outputs = arena_zalloc(a, heads * D * D, sizeof *s->outputs);
    bool ok = s->values && s->value_weights && s->outputs;
    for (size_t l = 0; l < s->n_layer && ok; l++)
        ok = output_moments(w, kn, l, s->outputs + l * s->n_head * D * D);
    return ok;
}

int key_sample_collect(struct key_sample *s, const struct key_sampling *p, struct arena *arena,
                       size_t *run, struct err *e) {
    const struct gpt2_weights *w = p->weights;
    const struct gpt2_config *c = &w->config;
    size_t window = p->window, batch = window < BATCH ? window : BATCH;
    struct run r = {.c = {.sample = s, .kn = p->kn, .bad_layer = SIZE_MAX},
                    .progress = p->progress};
    struct arena scratch = {0};
    bool importance = p->parts != SAMPLE_PLAIN;
    size_t *take = arena_alloc(&scratch, p->n_texts, sizeof *take),
           per_key = c->n_layer * c->n_embd * sizeof(uint16_t);
    r.c.slot = arena_alloc(&scratch, window, sizeof *r.c.slot);
    *s = (struct key_sample){
        .n_layer = c->n_layer, .n_head = c->n_head, .head_dim = c->n_embd / c->n_head};
    if (take) r.total = *run = share_out(p->texts, p->n_texts, p->tokens, take);
    s->n = SAMPLE_BYTES / per_key < SAMPLE_KEYS ? SAMPLE_BYTES / per_key : SAMPLE_KEYS;
    if (s->n > r.total) s->n = r.total;
    if (s->n == 0) s->n = 1;
    s->keys = arena_alloc(arena, s->n, per_key);
    bool enough = take && r.c.slot && s->keys &&
                  (!importance || want_importance(&r.c, s, window, arena, &scratch)) &&
                  (p->parts != SAMPLE_VALUES || want_values(s, w, p->kn, arena));
    int rc = enough ? OK : err_set(e, ERR_FAILED, "out of memory for %zu keys of each head", s->n);
    if (!rc && !r.total) rc = err_set(e, ERR_USAGE, "the texts have no tokens");
    const struct gpt2_session_setup setup = {
        .weights = w, .kn = p->kn, .attn = "fp32", .n_seq = 1, .n_ctx = window, .max_rows = batch};
    if (!rc) rc = gpt2_session_open(&r.s, &setup, e);
    if (!rc) {
        const struct gpt2_observer observer = {&r.c, observe};
        r.s.observer = &observer;
        rng_seed(&r.rng, p->seed, UINT64_MAX); /* a stream that no k-means uses */
        for (size_t i = 0; i < p->n_texts && !rc; i++)
            rc = run_text(&r, &p->texts[i], take[i], window, e);
        gpt2_session_close(&r.s);
    }
    for (size_t i = 0; !rc && importance && i < s->n_layer * s->n_head * s->head_dim * s->head_dim;
         i++)
        s->queries[i] /= (double)r.c.queries;
    arena_free(&scratch);
    return rc;
}
