/* See learn.h. Each head of a learned codebook is a task of the threads, and so is each subspace of
 * a plain one. A thread works in memory of its own (struct workspace). */
#include "calibration/learn.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "calibration/kmeans.h"
#include "base/interrupt.h"
#include "base/threads.h"

/* The memory that one thread works in. */
struct workspace {
    float *points;        /* [n][d] one subspace of the keys, or [n][D] whole rows */
    float *centroids;     /* [d][k] */
    void *work;           /* of kmeans */
    float *weight;        /* [n] of a head's keys */
    double *metric;       /* [D][D] */
    struct arena learned; /* what quantiser_learn made */
    struct err err;       /* of it */
};

struct job {
    const struct learning *how;
    const struct key_sample *sample; /* how's */
    struct codebook *books;          /* [n_books] */
    size_t n_books;
    const struct kernels *kn; /* how's */
    struct workspace *spaces; /* [threads] */
    size_t threads;
    double *squared;                   /* [tasks] */
    struct learned_quantiser *learned; /* [n_books][L H] */
    double *variance;                  /* [L][H] */
    uint16_t **centroids;              /* [n_books] */
    atomic_uint_fast64_t done;         /* dimensions times centroids */
    uint64_t total;
};

/* Returns the number of codes of a head in a learned codebook. */
static size_t codes_of(const struct codebook *y, size_t head) {
    return y->uneven && y->heads ? y->heads[head].n : codebook_codes(y);
}

/* Returns the number of tasks of codebook b: one for each head, or for each of its subspaces. */
static size_t tasks_of(const struct job *j, size_t b) {
    return j->sample->n_layer * j->sample->n_head * (j->books[b].learned ? 1 : j->books[b].m);
}

/* Finds the codebook that task number *task belongs to, and makes *task its number there: (layer H
 * + head) M + subspace for a plain one, layer H + head for a learned one. */
static size_t book_of(const struct job *j, size_t *task) {
    size_t b = 0;
    for (; *task >= tasks_of(j, b); b++) *task -= tasks_of(j, b);
    return b;
}

/* Writes points[n][d], dimensions first .. first + d - 1 of a head's keys or values. */
static void gather(const struct job *j, const uint16_t *rows, size_t head, size_t first, size_t d,
                   float *points) {
    const struct key_sample *s = j->sample;
    for (size_t i = 0; i < s->n; i++)
        j->kn->to_f32(DTYPE_F16, points + i * d, rows + (head * s->n + i) * s->head_dim + first, d);
}

/* Returns the sum of the points' squared distances to their centroids as f16 holds these, which is
 * what attention will see. */
static double squared_error(const struct job *j, const struct workspace *w, size_t n, size_t d,
                            size_t k, const uint16_t *bits) {
    for (size_t i = 0; i < d * k; i++) w->centroids[i] = f16_to_f32(bits[i]);
    struct kmeans_points p = {.x = w->points, .stride = d, .n = n, .d = d};
    return kmeans_inertia(j->kn, &p, k, w->centroids, w->work);
}

/* Returns how much a row counts in the learning: sqrt(importance / mean) + 1/10. Its
 * importance is one of key_sample's weights, and mean is that of all rows of its head. The root
 * keeps a few rows from deciding everything, the tenth keeps the others in. An importance of 0
 * stays 0: only queries that see the key exactly, in their window, see it at all. */
static float key_share(double importance, double mean) {
    return importance > 0 && mean > 0 ? (float)(sqrt(importance / mean) + 0.1) : 0;
}

/* Writes weight[n] of a head's rows; 1 each if none of them matters. */
static void share_weights(const struct key_sample *s, const float *importances, size_t head,
                          float *weight) {
    const float *importance = importances + head * s->n;
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += (double)importance[i];
    for (size_t i = 0; i < s->n; i++)
        weight[i] = sum > 0 ? key_share((double)importance[i], sum / (double)s->n) : 1;
}

/* Writes metric[D][D]: the moments with METRIC_FLOOR, or the identity if all of them are 0. */
static void floor_metric(const double *moments, size_t D, double *metric) {
    double trace = 0;
    for (size_t i = 0; i < D; i++) trace += moments[i * D + i];
    for (size_t i = 0; i < D * D; i++) metric[i] = trace > 0 ? moments[i] : 0;
    for (size_t i = 0; i < D; i++)
        metric[i * D + i] += trace > 0 ? METRIC_FLOOR * trace / (double)D : 1;
}

static void step(struct job *j, int thread, uint64_t work) {
    uint64_t done = atomic_fetch_add(&j->done, work) + work;
    if (thread == 0) progress_tell(j->how->progress, done, j->total);
}

/* 16 centroids are few for a range of several dimensions, so two codes share each range. */
static size_t depth_of(const struct codebook *y) {
    return y->k <= 16 && codebook_codes(y) % 2 == 0 ? 2 : 1;
}

/* Gathers what a head's quantiser is learned from. */
static struct learn_rows rows_of(const struct job *j, bool values, size_t head,
                                 struct workspace *w) {
    const struct key_sample *s = j->sample;
    size_t D = s->head_dim;
    gather(j, values ? s->values : s->keys, head, 0, D, w->points);
    share_weights(s, values ? s->value_weights : s->weights, head, w->weight);
    floor_metric((values ? s->outputs : s->queries) + head * D * D, D, w->metric);
    for (size_t i = 0; i < s->n && !(j->how->parts & LEARN_WEIGHTS); i++) w->weight[i] = 1;
    for (size_t i = 0; i < D * D && !(j->how->parts & LEARN_METRIC); i++)
        w->metric[i] = i % (D + 1) == 0;
    return (struct learn_rows){
        .x = w->points, .weight = w->weight, .metric = w->metric, .n = s->n, .dim = D};
}

static int learn_head(struct job *j, size_t b, size_t head, int thread) {
    struct workspace *w = &j->spaces[thread];
    const struct codebook *y = &j->books[b];
    size_t heads = j->sample->n_layer * j->sample->n_head;
    struct learn_rows rows = rows_of(j, y->values, head, w);
    struct quantiser_plan plan = {.parts = j->how->parts,
                                  .codes = codes_of(y, head),
                                  .depth = depth_of(y),
                                  .K = y->k,
                                  .seed = j->how->seed,
                                  .stream = head * 64 + y->m,
                                  .kn = j->kn};
    return quantiser_learn(&j->learned[b * heads + head], &rows, &plan, &w->learned, &w->err);
}

static void learn_plain(struct job *j, size_t number, size_t b, size_t task, int thread) {
    size_t m = j->books[b].m, k = j->books[b].k, D = j->sample->head_dim, d = D / m;
    const struct workspace *w = &j->spaces[thread];
    gather(j, j->sample->keys, task / m, task % m * d, d, w->points);
    struct kmeans_points p = {.x = w->points, .stride = d, .n = j->sample->n, .d = d};
    kmeans(j->kn, &p, k, j->how->seed, task * 64 + m, w->centroids, w->work);
    uint16_t *bits = j->centroids[b] + task * d * k;
    for (size_t i = 0; i < d * k; i++) bits[i] = f32_to_f16(w->centroids[i]);
    j->squared[number] = squared_error(j, w, p.n, d, k, bits);
    step(j, thread, d * k);
}

static void learn_task(void *ctx, size_t number, int thread) {
    struct job *j = ctx;
    if (interrupt_pending() || j->spaces[thread].err.code) return;
    size_t task = number, b = book_of(j, &task);
    if (!j->books[b].learned) {
        learn_plain(j, number, b, task, thread);
        return;
    }
    if (learn_head(j, b, task, thread)) return;
    j->squared[number] = j->learned[b * j->sample->n_layer * j->sample->n_head + task].error;
    step(j, thread, j->sample->head_dim * j->books[b].k);
}

static void variance_task(void *ctx, size_t head, int thread) {
    struct job *j = ctx;
    const struct key_sample *s = j->sample;
    double sum = 0;
    for (size_t r = 0; r < s->head_dim; r++) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < s->n; i++) {
            double x = (double)f16_to_f32(s->keys[(head * s->n + i) * s->head_dim + r]),
                   gap = x - mean;
            mean += gap / (double)(i + 1); /* Welford 1962 */
            squares += gap * (x - mean);
        }
        sum += squares;
    }
    (void)thread;
    j->variance[head] = sum;
}

static bool allocate(struct job *j, struct book *book, struct arena *a, size_t tasks) {
    const struct key_sample *s = j->sample;
    size_t heads = s->n_layer * s->n_head, threads = (size_t)threads_count(), points = 0,
           centroids = 0, work = 0;
    for (size_t b = 0; b < j->n_books; b++) {
        size_t d = j->books[b].learned ? s->head_dim : s->head_dim / j->books[b].m,
               k = j->books[b].k, need = kmeans_work_bytes(s->n, d, k);
        if (s->n * d > points) points = s->n * d;
        if (d * k > centroids) centroids = d * k;
        if (need > work) work = need;
    }
    j->spaces = arena_zalloc(a, threads, sizeof *j->spaces);
    j->threads = threads;
    j->squared = arena_zalloc(a, tasks, sizeof *j->squared);
    j->variance = arena_zalloc(a, heads, sizeof *j->variance);
    j->centroids = arena_zalloc(a, j->n_books, sizeof *j->centroids);
    j->learned = arena_zalloc(a, j->n_books * heads, sizeof *j->learned);
    bool ok = j->spaces && j->squared && j->variance && j->centroids && j->learned;
    for (size_t t = 0; ok && t < threads; t++) {
        struct workspace *w = &j->spaces[t];
        *w =
            (struct workspace){.points = arena_alloc(a, points, sizeof(float)),
                               .centroids = arena_alloc(a, centroids, sizeof(float)),
                               .work = arena_alloc(a, work, 1),
                               .weight = arena_alloc(a, s->n, sizeof(float)),
                               .metric = arena_alloc(a, s->head_dim * s->head_dim, sizeof(double))};
        ok = w->points && w->centroids && w->work && w->weight && w->metric;
    }
    for (size_t b = 0; ok && b < j->n_books; b++) {
        if (j->books[b].learned) continue;
        j->centroids[b] =
            arena_alloc(&book->arena, heads * s->head_dim * j->books[b].k, sizeof(uint16_t));
        j->books[b].centroids = j->centroids[b];
        ok = j->centroids[b] != NULL;
    }
    return ok;
}

static void sum_errors(const struct job *j, struct learn_error *errors) {
    size_t L = j->sample->n_layer, H = j->sample->n_head, task = 0;
    for (size_t b = 0; b < j->n_books; b++)
        for (size_t l = 0; l < L; l++) {
            struct learn_error *y = &errors[b * L + l];
            *y = (struct learn_error){0};
            for (size_t i = 0; i < tasks_of(j, b) / L; i++) y->squared += j->squared[task++];
            for (size_t h = l * H; h < (l + 1) * H; h++) {
                y->variance +=
                    j->books[b].learned ? j->learned[b * L * H + h].variance : j->variance[h];
                y->keys += j->variance[h];
            }
        }
}

static void *keep(struct arena *a, const void *x, size_t n, size_t size) {
    void *copy = arena_alloc(a, n, size);
    if (copy) memcpy(copy, x, n * size);
    return copy;
}

/* Copies a head's quantiser into the book's memory; false if there is none left. */
static bool keep_quantiser(struct quantiser *z, const struct learned_quantiser *y, size_t D,
                           size_t codes, size_t k, struct arena *a) {
    *z = (struct quantiser){.dim = D,
                            .k = k,
                            .n = codes,
                            .inverse = keep(a, y->inverse, D * D, sizeof *y->inverse),
                            .mean = keep(a, y->mean, D, sizeof *y->mean),
                            .ranges = keep(a, y->ranges, codes, sizeof *y->ranges)};
    bool ok = z->inverse && z->mean && z->ranges;
    for (size_t j = 0; ok && j < z->n; j++) {
        z->ranges[j].centroids =
            keep(a, y->ranges[j].centroids, y->ranges[j].width * z->k, sizeof(uint16_t));
        ok = z->ranges[j].centroids != NULL;
    }
    return ok;
}

/* Copies what the threads learned into the book, or reports the first error of a thread. */
static int keep_learned(const struct job *j, struct book *book, struct err *e) {
    size_t heads = j->sample->n_layer * j->sample->n_head;
    for (size_t t = 0; t < j->threads; t++)
        if (j->spaces[t].err.code) {
            *e = j->spaces[t].err;
            return e->code;
        }
    for (size_t b = 0; b < j->n_books; b++) {
        if (!j->books[b].learned) continue;
        struct quantiser *z = arena_zalloc(&book->arena, heads, sizeof *z);
        bool ok = z != NULL;
        for (size_t h = 0; h < heads && ok; h++)
            ok = keep_quantiser(&z[h], &j->learned[b * heads + h], j->sample->head_dim,
                                codes_of(&j->books[b], h), j->books[b].k, &book->arena);
        if (!ok) return err_set(e, ERR_FAILED, "out of memory for codebooks");
        j->books[b].heads = z;
    }
    return OK;
}

int book_learn(struct book *book, const struct learning *l, struct learn_error *errors,
               struct err *e) {
    const struct key_sample *sample = l->sample;
    struct job j = {
        .how = l, .sample = sample, .kn = l->kn, .books = book->books, .n_books = book->n};
    struct arena a = {0};
    size_t heads = sample->n_layer * sample->n_head, tasks = 0;
    for (size_t b = 0; b < book->n; b++) {
        tasks += tasks_of(&j, b);
        j.total += (uint64_t)(heads * sample->head_dim * book->books[b].k);
    }
    int rc = allocate(&j, book, &a, tasks)
                 ? OK
                 : err_set(e, ERR_FAILED,
                           "out of memory for learning codebooks from %zu keys a head", sample->n);
    if (!rc) {
        threads_tasks(heads, variance_task, &j);
        threads_tasks(tasks, learn_task, &j);
        if (interrupt_pending())
            rc = err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written");
        else
            rc = keep_learned(&j, book, e);
        if (!rc) progress_tell(l->progress, j.total, j.total);
        if (!rc) sum_errors(&j, errors);
    }
    for (size_t t = 0; t < j.threads && j.spaces; t++) arena_free(&j.spaces[t].learned);
    arena_free(&a);
    return rc;
}

/* ---- codes of each head ---- */

struct cost_job {
    struct job j;
    bool values;
    size_t K, most;
    double *cost;
};

static void cost_task(void *ctx, size_t head, int thread) {
    struct cost_job *c = ctx;
    struct workspace *w = &c->j.spaces[thread];
    if (interrupt_pending() || w->err.code) return;
    struct learn_rows rows = rows_of(&c->j, c->values, head, w);
    quantiser_costs(c->cost + head * c->most, &rows, c->most, c->K, c->j.kn, &w->err);
}

int book_costs(double *cost, const struct learning *l, bool values, size_t K, size_t most,
               struct err *e) {
    const struct key_sample *sample = l->sample;
    struct codebook book = {.m = 1, .k = K, .learned = true};
    struct cost_job c = {
        .j = {.how = l, .sample = sample, .kn = l->kn, .books = &book, .n_books = 1},
        .values = values,
        .K = K == 16 ? 256 : K,
        .most = most,
        .cost = cost};
    struct book none = {0};
    struct arena a = {0};
    int rc = allocate(&c.j, &none, &a, 1)
                 ? OK
                 : err_set(e, ERR_FAILED,
                           "out of memory for learning codebooks from %zu keys a head", sample->n);
    if (!rc) threads_tasks(sample->n_layer * sample->n_head, cost_task, &c);
    if (!rc && interrupt_pending())
        rc = err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written");
    for (size_t t = 0; t < c.j.threads && !rc; t++)
        if (c.j.spaces[t].err.code) *e = c.j.spaces[t].err, rc = e->code;
    arena_free(&a);
    return rc;
}
