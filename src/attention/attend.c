/* State layout, and attention over it: the part that is the same for every codec.
 *
 * State of one sequence: uint64 length[L], padded to 64 bytes; then for each layer and head T key rows; then for each layer and head T value
 * rows. One head's timeline is contiguous, so that decoding reads it as a stream. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "attention/backend.h"
#include "base/size.h"
#include "base/threads.h"

/* Queries that one task answers: enough to spread a long prefill evenly, since later queries see more keys. */
enum { QUERIES_PER_TASK = 16 };

static size_t header_bytes(const struct attn *a) { return size_align(a->shape.n_layer * sizeof(uint64_t), 64); }

static size_t key_row(const struct attn *a) { return a->key->row_bytes(a->shape.head_dim); }
static size_t value_row(const struct attn *a) { return a->value->row_bytes(a->shape.head_dim); }

size_t attn_key_bytes_per_token(const struct attn *a) { return a->shape.n_layer * a->shape.n_head * key_row(a); }
size_t attn_value_bytes_per_token(const struct attn *a) { return a->shape.n_layer * a->shape.n_head * value_row(a); }

size_t attn_state_bytes(const struct attn *a) {
    return header_bytes(a) + a->shape.n_ctx * (attn_key_bytes_per_token(a) + attn_value_bytes_per_token(a));
}

/* Offset in the state of the first key or value row of a layer and head. */
static size_t keys_at(const struct attn *a, size_t layer, size_t head) {
    return header_bytes(a) + (layer * a->shape.n_head + head) * a->shape.n_ctx * key_row(a);
}
static size_t values_at(const struct attn *a, size_t layer, size_t head) {
    return header_bytes(a) + a->shape.n_ctx * attn_key_bytes_per_token(a) +
           (layer * a->shape.n_head + head) * a->shape.n_ctx * value_row(a);
}

void attn_clear(const struct attn *a, void *state) { memset(state, 0, header_bytes(a)); }

void attn_truncate(const struct attn *a, void *state, size_t n) {
    uint64_t *length = state;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (length[l] > n) length[l] = n;
}

void attn_copy(const struct attn *a, void *dst, const void *src, size_t n) {
    uint64_t *length = dst;
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        assert(((const uint64_t *)src)[l] >= n);
        length[l] = n;
        for (size_t h = 0; h < a->shape.n_head; h++) {
            size_t kat = keys_at(a, l, h), vat = values_at(a, l, h);
            memcpy((uint8_t *)dst + kat, (const uint8_t *)src + kat, n * key_row(a));
            memcpy((uint8_t *)dst + vat, (const uint8_t *)src + vat, n * value_row(a));
        }
    }
}

void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n, const float *k, const float *v, size_t stride) {
    uint64_t *length = state;
    size_t D = a->shape.head_dim;
    assert(layer < a->shape.n_layer && length[layer] == pos && pos + n <= a->shape.n_ctx);
    for (size_t h = 0; h < a->shape.n_head; h++) {
        a->key->store(a->k, (uint8_t *)state + keys_at(a, layer, h) + pos * key_row(a), k + h * D, stride, n, D);
        a->value->store(a->k, (uint8_t *)state + values_at(a, layer, h) + pos * value_row(a), v + h * D, stride, n, D);
    }
    length[layer] = pos + n;
}

/* Scratch of one thread: its counters, then scores[T] (a copy for the probe) and probabilities[T]; whole cache lines. */
struct worker {
    struct attn_counters counters;
    float *scores, *probs;
};
enum { WORKER_BYTES = 64 };
static_assert(sizeof(struct worker) <= WORKER_BYTES, "the arrays start on the worker's second cache line");

static size_t worker_stride(const struct attn *a) { return WORKER_BYTES + 2 * size_align(a->shape.n_ctx * sizeof(float), 64); }

size_t attn_scratch_bytes(const struct attn *a, int threads) { return (size_t)threads * worker_stride(a); }

static struct worker *worker_at(const struct attn *a, void *scratch, int thread) {
    return (struct worker *)(void *)((uint8_t *)scratch + (size_t)thread * worker_stride(a));
}

struct attend_job {
    const struct attn *a;
    size_t layer;
    const struct attn_query *items;
    size_t n_items;
    void *scratch;
    const struct attn_probe *probe;
};

/* Query i of an item, one head: scores, softmax, mix. `query` is its number over all items. */
static void attend_one(const struct attend_job *job, const struct attn_query *item, size_t i, size_t head, size_t query,
                       struct worker *w) {
    const struct attn *a = job->a;
    size_t D = a->shape.head_dim, n = item->pos + i + 1;
    const float *q = item->q + i * item->q_stride + head * D;
    float *out = item->out + i * item->out_stride + head * D, *probs = w->probs, scale = 1.0f / sqrtf((float)D);

    a->key->score(a->k, probs, (const uint8_t *)item->state + keys_at(a, job->layer, head), q, n, D, &w->counters);
    for (size_t t = 0; t < n; t++) probs[t] *= scale;
    if (job->probe) memcpy(w->scores, probs, n * sizeof *probs);
    a->k->softmax(probs, n);
    memset(out, 0, D * sizeof *out);
    a->value->mix(a->k, out, (const uint8_t *)item->state + values_at(a, job->layer, head), probs, n, D, &w->counters);
    if (job->probe) job->probe->row(job->probe->ctx, job->layer, head, query, n, q, w->scores, probs, out);
}

static size_t blocks_of(const struct attn_query *item) { return (item->n + QUERIES_PER_TASK - 1) / QUERIES_PER_TASK; }

/* Task number -> item, block of queries, head. */
static void attend_task(void *ctx, size_t task, int thread) {
    const struct attend_job *job = ctx;
    const struct attn_query *item = job->items;
    size_t H = job->a->shape.n_head, first_query = 0;
    for (; task >= blocks_of(item) * H; item++) {
        task -= blocks_of(item) * H;
        first_query += item->n;
    }
    size_t head = task % H, begin = task / H * QUERIES_PER_TASK;
    size_t end = begin + QUERIES_PER_TASK < item->n ? begin + QUERIES_PER_TASK : item->n;
    for (size_t i = begin; i < end; i++)
        attend_one(job, item, i, head, first_query + i, worker_at(job->a, job->scratch, thread));
}

void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items, void *scratch,
                 struct attn_counters *counters, const struct attn_probe *probe) {
    struct attend_job job = {a, layer, items, n_items, scratch, probe};
    int threads = threads_count();
    for (int t = 0; t < threads; t++) {
        struct worker *w = worker_at(a, scratch, t);
        float *scores = (float *)(void *)((uint8_t *)w + WORKER_BYTES);
        *w = (struct worker){.scores = scores, .probs = scores + size_align(a->shape.n_ctx, 16)};
    }
    size_t tasks = 0;
    for (size_t s = 0; s < n_items; s++) {
        assert(((const uint64_t *)items[s].state)[layer] >= items[s].pos + items[s].n);
        tasks += blocks_of(&items[s]) * a->shape.n_head;
    }
    threads_tasks(tasks, attend_task, &job);
    for (int t = 0; t < threads; t++) {
        const struct attn_counters *c = &worker_at(a, scratch, t)->counters;
        counters->keys += c->keys;
        counters->scales += c->scales;
        counters->codebooks += c->codebooks;
        counters->tables += c->tables;
        counters->values += c->values;
    }
}
