#include "attention/learn.h"

#include <stdatomic.h>
#include <string.h>

#include "attention/kmeans.h"
#include "base/interrupt.h"
#include "base/threads.h"

/* What one thread works in. */
struct bench {
    float *points;    /* [n][d] one subspace's share of the keys */
    float *centroids; /* [d][k] */
    void *work;       /* of kmeans */
};

struct job {
    const struct key_sample *sample;
    struct codebook *books; /* [n_books] */
    size_t n_books;
    uint64_t seed;
    const struct kernels *k;
    struct bench *benches;  /* [threads] */
    double *squared;        /* [tasks] */
    double *variance;       /* [L][H] */
    uint16_t **centroids;   /* [n_books] */
    atomic_uint_fast64_t done; /* dimensions times centroids */
    uint64_t total;
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

/* Task number -> book and number in the book, (layer H + head) M + subspace. */
static size_t book_of(const struct job *j, size_t *task) {
    size_t heads = j->sample->n_layer * j->sample->n_head, b = 0;
    for (; *task >= heads * j->books[b].m; b++) *task -= heads * j->books[b].m;
    return b;
}

/* points[n][d] = dimensions first .. first + d - 1 of a head's keys */
static void gather(const struct job *j, size_t head, size_t first, size_t d, float *points) {
    const struct key_sample *s = j->sample;
    for (size_t i = 0; i < s->n; i++) j->k->to_f32(DTYPE_F16, points + i * d, s->keys + (head * s->n + i) * s->head_dim + first, d);
}

/* The sum of squared distances to the points' centroids as f16 holds them: what attention will see. */
static double squared_error(const struct job *j, const struct bench *w, size_t n, size_t d, size_t k, const uint16_t *bits) {
    for (size_t i = 0; i < d * k; i++) w->centroids[i] = f16_to_f32(bits[i]);
    struct kmeans_points p = {w->points, d, n, d};
    return kmeans_inertia(j->k, &p, k, w->centroids, w->work);
}

static void learn_task(void *ctx, size_t number, int thread) {
    struct job *j = ctx;
    if (interrupt_pending()) return;
    size_t task = number, b = book_of(j, &task), m = j->books[b].m, k = j->books[b].k, D = j->sample->head_dim, d = D / m;
    const struct bench *w = &j->benches[thread];
    gather(j, task / m, task % m * d, d, w->points);
    struct kmeans_points p = {w->points, d, j->sample->n, d};
    kmeans(j->k, &p, k, j->seed, task * 64 + m, w->centroids, w->work);
    uint16_t *bits = j->centroids[b] + task * d * k;
    for (size_t i = 0; i < d * k; i++) bits[i] = f32_to_f16(w->centroids[i]);
    j->squared[number] = squared_error(j, w, p.n, d, k, bits);
    uint64_t done = atomic_fetch_add(&j->done, d * k) + d * k;
    if (thread == 0 && j->progress) j->progress(j->ctx, done, j->total);
}

static void variance_task(void *ctx, size_t head, int thread) {
    struct job *j = ctx;
    const struct key_sample *s = j->sample;
    double sum = 0;
    for (size_t r = 0; r < s->head_dim; r++) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < s->n; i++) {
            double x = (double)f16_to_f32(s->keys[(head * s->n + i) * s->head_dim + r]), gap = x - mean;
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
    size_t heads = s->n_layer * s->n_head, threads = (size_t)threads_count(), points = 0, centroids = 0, work = 0;
    for (size_t b = 0; b < j->n_books; b++) {
        size_t d = s->head_dim / j->books[b].m, k = j->books[b].k, need = kmeans_work_bytes(s->n, d, k);
        if (s->n * d > points) points = s->n * d;
        if (d * k > centroids) centroids = d * k;
        if (need > work) work = need;
    }
    j->benches = arena_alloc(a, threads, sizeof *j->benches);
    j->squared = arena_zalloc(a, tasks, sizeof *j->squared);
    j->variance = arena_zalloc(a, heads, sizeof *j->variance);
    j->centroids = arena_zalloc(a, j->n_books, sizeof *j->centroids);
    bool ok = j->benches && j->squared && j->variance && j->centroids;
    for (size_t t = 0; ok && t < threads; t++) {
        struct bench *w = &j->benches[t];
        *w = (struct bench){arena_alloc(a, points, sizeof(float)), arena_alloc(a, centroids, sizeof(float)), arena_alloc(a, work, 1)};
        ok = w->points && w->centroids && w->work;
    }
    for (size_t b = 0; ok && b < j->n_books; b++) {
        j->centroids[b] = arena_alloc(&book->arena, heads * s->head_dim * j->books[b].k, sizeof(uint16_t));
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
            for (size_t i = 0; i < H * j->books[b].m; i++) y->squared += j->squared[task++];
            for (size_t h = 0; h < H; h++) y->variance += j->variance[l * H + h];
        }
}

int book_learn(struct book *book, const struct key_sample *sample, uint64_t seed, const struct kernels *k, struct learn_error *errors,
               void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *e) {
    struct job j = {.sample = sample, .books = book->books, .n_books = book->n, .seed = seed, .k = k, .progress = progress, .ctx = ctx};
    struct arena a = {0};
    size_t heads = sample->n_layer * sample->n_head, tasks = 0;
    for (size_t b = 0; b < book->n; b++) {
        tasks += heads * book->books[b].m;
        j.total += (uint64_t)(heads * sample->head_dim * book->books[b].k);
    }
    int rc = allocate(&j, book, &a, tasks) ? OK : err_set(e, ERR_FAILED, "out of memory for learning codebooks from %zu keys a head", sample->n);
    if (!rc) {
        threads_tasks(heads, variance_task, &j);
        threads_tasks(tasks, learn_task, &j);
        if (interrupt_pending())
            rc = err_set(e, ERR_INTERRUPTED, "interrupted, nothing was written");
        else if (progress)
            progress(ctx, j.total, j.total);
        sum_errors(&j, errors);
    }
    arena_free(&a);
    return rc;
}
