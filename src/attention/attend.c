/* Scheduling: which thread takes which head and which queries, and in which order rows are stored
 * around that. How a query is answered is in decode.c (one alone) and prefill.c (a tile of them).
 *
 * The queries of an item are cut into tiles, and one tile of one head is a task. All tasks of a
 * head follow each other, so that what they share, such as its codebooks, is brought into a core's
 * cache once:
 *
 *                item 0                              item 1 (one query)
 *                queries 0 .. 63   queries 64 .. 99  query 0
 *     head 0     task 0            task 1            task 2
 *     head 1     task 3            task 4            task 5
 *
 * A key must be stored before a query sees it, and an exact key must not be pushed out of the
 * window while a query before it has still to see it. So there are four ways:
 *
 * - An item of up to ATTN_FEW_QUERIES queries: a task has all of them for one head. It stores its
 *   own head's keys and values, and then answers one query after the other as decode.c does it for
 *   one alone. An exact key is stored just before its own query is answered.
 *
 * - An item of more queries: all their keys and values are stored before the tasks, and their
 *   exact keys after the tasks. Until then prefill takes exact keys from item->k.
 *
 * - In a layer with refine= (refine.h) which rows a query picks depends on its scores to the last
 *   bit. So its queries are answered one after the other by decode.c, unless every query picks all
 *   rows. There are no exact keys then: all rows are stored before the tasks.
 *
 * - More queries with a probe or with one_by_one, in a layer that keeps exact keys: keys and values
 * are stored before the tasks. All queries of a head are one task, and each is answered once its
 * own key is in the ring. */
#include <assert.h>

#include "attention/backend.h"
#include "attention/decode.h"
#include "attention/prefill.h"
#include "attention/skip.h"
#include "attention/state.h"
#include "base/size.h"
#include "base/threads.h"

/* The scratch of one thread. scratch has one of these after the other. Each part is a whole number
 * of cache lines of 64 bytes, so that no two threads write to one line:
 *
 *     +---------------+  0
 *     | struct worker |
 *     +---------------+
 *     | decode.codec  |  a->work_bytes: query tables, buckets, whatever the codecs work in
 *     +---------------+
 *     | decode.scores |  4 bytes x T, rounded up to whole blocks
 *     +---------------+
 *     | decode.probs  |  4 bytes x T, the same
 *     +---------------+
 *     | decode.marks  |  4 bytes x skip_work_floats(T)
 *     +---------------+
 *     | .refine       |  with refine=: 4 bytes x T, 4 bytes x T
 *     +---------------+
 *     | prefill       |  drawn in prefill.c
 *     +---------------+  worker_stride */
struct worker {
    struct attn_counters counters; /* what this thread counted since the call began */
    struct decode_workspace decode;
    float *prefill;
};

/* Returns the bytes of so many floats, in whole cache lines. */
static size_t lines(size_t floats) { return size_align(floats * sizeof(float), 64); }

/* Returns the bytes of each part of decode.refine. They are empty where no query picks rows. */
static size_t picked_bytes(const struct attn *a) { return a->picks ? lines(a->shape.n_ctx) : 0; }

static size_t worker_stride(const struct attn *a) {
    return size_align(sizeof(struct worker), 64) + size_align(a->work_bytes, 64) +
           2 * lines(decode_padded(a->shape.n_ctx)) + lines(skip_work_floats(a->shape.n_ctx)) +
           2 * picked_bytes(a) + lines(prefill_workspace_floats(a->shape.head_dim));
}

size_t attn_scratch_bytes(const struct attn *a, int threads) {
    return (size_t)threads * worker_stride(a);
}

static struct worker *worker_at(const struct attn *a, void *scratch, int thread) {
    return (struct worker *)(void *)((uint8_t *)scratch + (size_t)thread * worker_stride(a));
}

/* Returns the place at *at, which moves on by so many bytes. */
static float *take(uint8_t **at, size_t bytes) {
    float *place = (float *)(void *)*at;
    *at += bytes;
    return place;
}

/* Cuts the scratch of one thread into its parts, and sets what it has counted to 0. */
static void worker_init(const struct attn *a, struct worker *w) {
    uint8_t *at = (uint8_t *)w + size_align(sizeof *w, 64);
    *w = (struct worker){0};
    w->decode.codec = take(&at, size_align(a->work_bytes, 64));
    w->decode.scores = take(&at, lines(decode_padded(a->shape.n_ctx)));
    w->decode.probs = take(&at, lines(decode_padded(a->shape.n_ctx)));
    w->decode.marks = take(&at, lines(skip_work_floats(a->shape.n_ctx)));
    w->decode.refine.picked = (uint32_t *)(void *)take(&at, picked_bytes(a));
    w->decode.refine.numbers = take(&at, picked_bytes(a));
    w->prefill = (float *)(void *)at;
}

/* One call of attn_attend. */
struct attend_job {
    const struct attn *a;
    size_t layer;
    const struct attn_query *items;
    size_t n_items;
    void *scratch;
    const struct attn_probe *probe;        /* or NULL */
    size_t tiles;                          /* of all items: a head has so many tasks */
    const struct attn_query *brings_books; /* the item whose reading of codebooks counts for all
                                              items of one query, or NULL */
};

/* Does the layer keep exact keys? */
static bool keeps_exact(const struct attend_job *job) {
    return exact_any(&job->a->layers[job->layer].exact);
}

/* Does each query of the layer pick rows of its own? */
static bool picks(const struct attend_job *job) {
    const struct refine *r = &job->a->layers[job->layer].refine;
    return refine_any(r) && !r->all;
}

/* ---- tasks ---- */

/* Queries begin .. end - 1 of an item, for one head. */
struct attend_task {
    const struct attn_query *item;
    size_t head, begin, end;
    size_t first_query; /* the number of the item's first query among those of all items */
};

/* Are the queries of an item answered by decode.c, as if each came alone? */
static bool as_if_alone(const struct attend_job *job, const struct attn_query *item) {
    return item->n <= ATTN_FEW_QUERIES || job->a->one_by_one || job->probe || picks(job);
}

/* Are they answered one after the other, each once its own key is in the ring? */
static bool one_by_one(const struct attend_job *job, const struct attn_query *item) {
    return as_if_alone(job, item) && item->k && keeps_exact(job);
}

/* Returns how many queries of an item make a task. */
static size_t tile_of(const struct attend_job *job, const struct attn_query *item) {
    return one_by_one(job, item) ? item->n : ATTN_TILE_QUERIES;
}

static size_t tiles_of(const struct attend_job *job, const struct attn_query *item) {
    return (item->n + tile_of(job, item) - 1) / tile_of(job, item);
}

/* Returns task `number`, as the head of this file counts them. */
static struct attend_task task_at(const struct attend_job *job, size_t number) {
    const struct attn_query *item = job->items;
    size_t head = number / job->tiles, at = number % job->tiles, first_query = 0;
    for (; at >= tiles_of(job, item); item++) {
        at -= tiles_of(job, item);
        first_query += item->n;
    }
    size_t tile = tile_of(job, item), begin = at * tile,
           end = begin + tile < item->n ? begin + tile : item->n;
    return (struct attend_task){item, head, begin, end, first_query};
}

/* Answers query i of the task's item alone, straight from the stored rows. */
static void attend_one(const struct attend_job *job, const struct attend_task *task, size_t i,
                       struct worker *w) {
    const struct attn_query *item = task->item;
    size_t D = job->a->shape.head_dim;
    struct codec_head exact = state_exact_head(job->a, job->layer, task->head);
    struct exact_view view = state_exact_view(job->a, item->state, job->layer, &exact, item->k);
    struct decode_query d = {.a = job->a,
                             .layer = job->layer,
                             .head = task->head,
                             .state = item->state,
                             .exact = keeps_exact(job) ? &view : NULL,
                             .n = item->pos + i + 1,
                             .q = item->q + i * item->q_stride + task->head * D,
                             .out = item->out + i * item->out_stride + task->head * D,
                             .probe = job->probe,
                             .number = task->first_query + i};
    struct attn_counters count = {0};
    decode_attend(&d, &w->decode, &count);
    if (item->n == 1 && item != job->brings_books) count.codebooks = 0;
    attn_counters_add(&w->counters, &count);
}

/* Counts what a tile read: n rows of keys and of values, and n_exact exact keys. */
static void count_tile(const struct attend_job *job, const struct read_rows *r, size_t n,
                       size_t n_exact, struct attn_counters *count) {
    const struct attn_timeline *exact = &job->a->layers[job->layer].exact_keys[r->key.head];
    if (r->copy) {
        count->refined += n * (r->keys->row + r->values->row);
        return;
    }
    count->keys += n * (r->keys->row - r->keys->scales) + n_exact * (exact->row - exact->scales);
    count->values += n * (r->values->row - r->values->scales);
    count->scales += n * (r->keys->scales + r->values->scales) + n_exact * exact->scales;
}

/* Answers the queries of a task together, over decoded tiles of keys and values. */
static void attend_tile(const struct attend_job *job, const struct attend_task *task,
                        struct worker *w) {
    const struct attn_query *item = task->item;
    size_t D = job->a->shape.head_dim, head = task->head;
    const uint8_t *state = item->state;
    struct read_rows rows = state_read_rows(job->a, job->layer, head);
    struct codec_head exact = state_exact_head(job->a, job->layer, head);
    struct exact_view view = state_exact_view(job->a, state, job->layer, &exact, item->k);
    if (item->k) view.k = item->k + head * D, view.batch = item->pos, view.stride = item->kv_stride;
    struct prefill_tile t = {.key = &rows.key,
                             .value = &rows.value,
                             .keys = state + rows.keys->at,
                             .values = state + rows.values->at,
                             .pos = item->pos + task->begin,
                             .n = task->end - task->begin,
                             .q = item->q + task->begin * item->q_stride + head * D,
                             .q_stride = item->q_stride,
                             .out = item->out + task->begin * item->out_stride + head * D,
                             .out_stride = item->out_stride,
                             .exact = keeps_exact(job) ? &view : NULL};
    size_t n_exact = prefill_attend(&t, w->prefill);
    count_tile(job, &rows, item->pos + task->end, n_exact, &w->counters);
}

/* Returns the keys and values of n queries of an item, from query i on, as rows to be stored. */
static struct state_rows rows_of(const struct attend_job *job, const struct attn_query *item,
                                 size_t i, size_t n) {
    return (struct state_rows){.a = job->a,
                               .state = item->state,
                               .layer = job->layer,
                               .pos = item->pos + i,
                               .n = n,
                               .stride = item->kv_stride,
                               .k = item->k + i * item->kv_stride,
                               .v = item->v + i * item->kv_stride};
}

/* Do the tasks of an item store its keys and values? Then a task has all queries of its head. */
static bool stores_itself(const struct attn_query *item) {
    return item->k && item->n <= ATTN_FEW_QUERIES;
}
_Static_assert((int)ATTN_FEW_QUERIES <= (int)ATTN_TILE_QUERIES, "few queries are one task a head");

/* Runs one task on one thread. */
static void attend_task(void *ctx, size_t number, int thread) {
    const struct attend_job *job = ctx;
    struct attend_task task = task_at(job, number);
    const struct attn_query *item = task.item;
    struct worker *w = worker_at(job->a, job->scratch, thread);
    if (!as_if_alone(job, item)) {
        attend_tile(job, &task, w);
        return;
    }
    if (stores_itself(item)) {
        struct state_rows rows = rows_of(job, item, 0, item->n);
        state_store_head(&rows, task.head);
    }
    for (size_t i = task.begin; i < task.end; i++) {
        if (one_by_one(job, item)) {
            struct state_rows row = rows_of(job, item, i, 1);
            state_store_exact_head(&row, task.head);
        }
        attend_one(job, &task, i, w);
    }
}

/* ---- storing around the tasks ---- */

/* Does what must be done before the tasks begin: rows of items of many queries are stored, and the
 * sequences get their new lengths. */
static void store_before(const struct attend_job *job) {
    for (const struct attn_query *item = job->items; item < job->items + job->n_items; item++) {
        if (item->k && !stores_itself(item)) {
            struct state_rows rows = rows_of(job, item, 0, item->n);
            state_store(&rows);
        }
        if (item->k) state_grow(job->a, item->state, job->layer, item->pos, item->n);
        assert(attn_length(job->a, item->state, job->layer) >= item->pos + item->n);
    }
}

/* Stores the exact keys of items whose tasks have not done so. This comes after the tasks, because
 * several new exact keys would push those out of the window that the first queries see. */
static void store_after(const struct attend_job *job) {
    for (const struct attn_query *item = job->items; item < job->items + job->n_items; item++) {
        if (!item->k || one_by_one(job, item)) continue;
        struct state_rows rows = rows_of(job, item, 0, item->n);
        state_store_exact(&rows);
    }
}

/* Returns the first item of one query that reads codes, or NULL. The others find the codebooks of
 * each head in the cache, where its query has just brought them. */
static const struct attn_query *brings_books(const struct attend_job *job) {
    const struct refine *r = &job->a->layers[job->layer].refine;
    for (const struct attn_query *item = job->items; item < job->items + job->n_items; item++)
        if (item->n == 1 && !(refine_any(r) && refine_count(r, item->pos + 1) == item->pos + 1))
            return item;
    return NULL;
}

void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items,
                 void *scratch, struct attn_counters *counters, const struct attn_probe *probe) {
    struct attend_job job = {.a = a,
                             .layer = layer,
                             .items = items,
                             .n_items = n_items,
                             .scratch = scratch,
                             .probe = probe};
    job.brings_books = brings_books(&job);
    int threads = threads_count();
    for (int t = 0; t < threads; t++) worker_init(a, worker_at(a, scratch, t));
    store_before(&job);
    for (size_t i = 0; i < n_items; i++) job.tiles += tiles_of(&job, &items[i]);
    threads_tasks(job.tiles * a->shape.n_head, attend_task, &job);
    if (keeps_exact(&job)) store_after(&job);
    for (int t = 0; t < threads; t++)
        attn_counters_add(counters, &worker_at(a, scratch, t)->counters);
}
