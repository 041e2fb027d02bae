/* State layout, and attention over it: the part that is the same for every codec.
 *
 * State of one sequence: uint64 length[L], padded to 64 bytes; then for each layer the T keys of head 0, of head 1, ...; then its values in the
 * same way. Each timeline starts on a cache line and is contiguous, so that decoding reads it as a stream. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/backend.h"
#include "attention/codecs.h"
#include "attention/prefill.h"
#include "attention/spec.h"
#include "base/process.h"
#include "base/size.h"
#include "base/threads.h"

/* ---- choosing ---- */

static int set_up(struct attn *a, struct codec *c, size_t layer, bool values, const struct book *book, struct err *e) {
    struct codec_setup s = {.n_layer = a->shape.n_layer, .n_head = a->shape.n_head, .head_dim = a->shape.head_dim, .layer = layer,
                            .book = book, .for_values = values, .arena = &a->arena};
    int rc = c->ops->check ? c->ops->check(c, s.head_dim, e) : OK;
    return rc || !c->ops->setup ? rc : c->ops->setup(c, &s, e);
}

/* The timelines of one side of a layer, from a->state_bytes on. */
static void lay_out(struct attn *a, const struct codec *c, struct attn_timeline *heads) {
    const struct attn_shape *s = &a->shape;
    for (size_t h = 0; h < s->n_head; h++) {
        heads[h] = (struct attn_timeline){a->state_bytes, c->ops->row_bytes(c, s->head_dim, h), c->ops->scale_bytes(c, s->head_dim, h)};
        a->state_bytes += size_align(codec_timeline_bytes(c, s->head_dim, h, s->n_ctx), 64);
        size_t work = c->ops->work_floats(c, s->head_dim, h) * sizeof(float);
        if (work > a->work_bytes) a->work_bytes = work;
    }
}

static bool same(const struct codec *a, const struct codec *b) { return a->ops == b->ops && memcmp(&a->o, &b->o, sizeof a->o) == 0; }

/* The spec as it works: runs of equal layers, every option shown. */
static void name_it(struct attn *a) {
    size_t L = a->shape.n_layer, at = 0;
    for (size_t first = 0, next; first < L; first = next) {
        const struct attn_layer *y = &a->layers[first];
        for (next = first + 1; next < L && same(&a->layers[next].key, &y->key) && same(&a->layers[next].value, &y->value); next++) {}
        char keys[64], values[64], part[160];
        spec_format(&y->key, keys, sizeof keys);
        spec_format(&y->value, values, sizeof values);
        int n = snprintf(part, sizeof part, "%s%s/%s", first ? "+" : "", keys, values);
        if (first > 0 || next < L)
            snprintf(part + n, sizeof part - (size_t)n, next == L ? "@%zu-" : next == first + 1 ? "@%zu" : "@%zu-%zu", first, next - 1);
        if (at < sizeof a->name) at += (size_t)snprintf(a->name + at, sizeof a->name - at, "%s", part);
    }
}

int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec, const struct book *book, const struct kernels *k,
              struct err *e) {
    size_t L = shape->n_layer;
    *a = (struct attn){.k = k, .shape = *shape};
    a->layers = arena_zalloc(&a->arena, L, sizeof *a->layers);
    struct codec *keys = arena_zalloc(&a->arena, L, sizeof *keys), *values = arena_zalloc(&a->arena, L, sizeof *values);
    struct attn_timeline *timelines = arena_alloc(&a->arena, 2 * L * shape->n_head, sizeof *timelines);
    int rc = a->layers && keys && values && timelines ? spec_parse(spec, L, keys, values, e) : err_set(e, ERR_FAILED, "out of memory for the attention backend");
    for (size_t l = 0; l < L && !rc; l++) {
        a->layers[l].key = keys[l];
        a->layers[l].value = values[l];
        rc = set_up(a, &a->layers[l].key, l, false, book, e);
        if (!rc) rc = set_up(a, &a->layers[l].value, l, true, book, e);
    }
    if (rc) {
        attn_free(a);
        return rc;
    }
    a->state_bytes = size_align(L * sizeof(uint64_t), 64);
    for (size_t l = 0; l < L; l++) {
        struct attn_layer *y = &a->layers[l];
        y->keys = timelines + 2 * l * shape->n_head;
        y->values = y->keys + shape->n_head;
        lay_out(a, &y->key, y->keys);
        lay_out(a, &y->value, y->values);
    }
    name_it(a);
    return OK;
}

void attn_free(struct attn *a) { arena_free(&a->arena); }

bool attn_wants_center(const struct attn *a) {
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (a->layers[l].key.o.center) return true;
    return false;
}

/* ---- state ---- */

size_t attn_state_bytes(const struct attn *a) { return a->state_bytes; }

size_t attn_key_bytes_per_token(const struct attn *a) {
    size_t sum = 0;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        for (size_t h = 0; h < a->shape.n_head; h++) sum += a->layers[l].keys[h].row;
    return sum;
}
size_t attn_value_bytes_per_token(const struct attn *a) {
    size_t sum = 0;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        for (size_t h = 0; h < a->shape.n_head; h++) sum += a->layers[l].values[h].row;
    return sum;
}

void attn_clear(const struct attn *a, void *state) { memset(state, 0, a->shape.n_layer * sizeof(uint64_t)); }

void attn_truncate(const struct attn *a, void *state, size_t n) {
    uint64_t *length = state;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (length[l] > n) length[l] = n;
}

/* One head's first n rows. */
static void copy_timeline(const struct attn *a, const struct codec *c, const struct attn_timeline *y, size_t head, void *dst, const void *src, size_t n) {
    memcpy((uint8_t *)dst + y->at, (const uint8_t *)src + y->at, codec_timeline_bytes(c, a->shape.head_dim, head, n));
}

void attn_copy(const struct attn *a, void *dst, const void *src, size_t n) {
    uint64_t *length = dst;
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        assert(((const uint64_t *)src)[l] >= n);
        length[l] = n;
        const struct attn_layer *y = &a->layers[l];
        for (size_t h = 0; h < a->shape.n_head; h++) {
            copy_timeline(a, &y->key, &y->keys[h], h, dst, src, n);
            copy_timeline(a, &y->value, &y->values[h], h, dst, src, n);
        }
    }
}

static struct codec_head head_of(const struct attn *a, size_t layer, size_t head, bool values) {
    size_t H = a->shape.n_head, D = a->shape.head_dim;
    return (struct codec_head){.k = a->k, .codec = values ? &a->layers[layer].value : &a->layers[layer].key, .layer = layer, .head = head,
                               .head_dim = D, .center = a->center && !values ? a->center + (layer * H + head) * D : NULL};
}

/* Keys and values to be stored. */
struct rows {
    const struct attn *a;
    void *state;
    size_t layer, pos, n, stride;
    const float *k, *v;
};

static void store_head(const struct rows *r, size_t h) {
    struct codec_head key = head_of(r->a, r->layer, h, false), value = head_of(r->a, r->layer, h, true);
    const struct attn_layer *y = &r->a->layers[r->layer];
    size_t D = r->a->shape.head_dim;
    key.codec->ops->store(&key, (uint8_t *)r->state + y->keys[h].at, r->pos, r->k + h * D, r->stride, r->n);
    value.codec->ops->store(&value, (uint8_t *)r->state + y->values[h].at, r->pos, r->v + h * D, r->stride, r->n);
}

static void store_heads(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t h = begin; h < end; h++) store_head(ctx, h);
}

/* The layer's length grows by n rows, whether they are there yet or not. */
static void grow(const struct attn *a, void *state, size_t layer, size_t pos, size_t n) {
    uint64_t *length = state;
    assert(layer < a->shape.n_layer && length[layer] == pos && pos + n <= a->shape.n_ctx);
    (void)a;
    length[layer] = pos + n;
}

void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n, const float *k, const float *v, size_t stride) {
    struct rows rows = {a, state, layer, pos, n, stride, k, v};
    threads_ranges(a->shape.n_head, store_heads, &rows);
    grow(a, state, layer, pos, n);
}

/* ---- attention ---- */

/* Scratch of one thread: what it counted, then work of the codecs; scores[T] (a copy for the probe) and probabilities[T], T rounded up to whole blocks;
 * work of prefill. Whole cache lines. */
struct worker {
    struct attn_counters counters;
    float *work, *scores, *probs, *prefill;
};

static size_t padded(size_t rows) { return size_align(rows, KV_BLOCK_MAX); }

static size_t lines(size_t floats) { return size_align(floats * sizeof(float), 64); }

static size_t worker_stride(const struct attn *a) {
    return size_align(sizeof(struct worker), 64) + size_align(a->work_bytes, 64) + 2 * lines(padded(a->shape.n_ctx)) +
           lines(prefill_work_floats(a->shape.head_dim));
}

size_t attn_scratch_bytes(const struct attn *a, int threads) { return (size_t)threads * worker_stride(a); }

static struct worker *worker_at(const struct attn *a, void *scratch, int thread) {
    return (struct worker *)(void *)((uint8_t *)scratch + (size_t)thread * worker_stride(a));
}

static void worker_init(const struct attn *a, struct worker *w) {
    uint8_t *at = (uint8_t *)w + size_align(sizeof *w, 64);
    *w = (struct worker){.work = (float *)(void *)at};
    at += size_align(a->work_bytes, 64);
    w->scores = (float *)(void *)at;
    at += lines(padded(a->shape.n_ctx));
    w->probs = (float *)(void *)at;
    at += lines(padded(a->shape.n_ctx));
    w->prefill = (float *)(void *)at;
}

struct attend_job {
    const struct attn *a;
    size_t layer;
    const struct attn_query *items;
    size_t n_items;
    void *scratch;
    const struct attn_probe *probe;
};

static double stopwatch(const struct attn *a) { return a->stage_s ? clock_now() : 0; }

/* Adds the time since *last to a stage. */
static void lap(const struct attn *a, enum attn_stage stage, double *last) {
    if (!a->stage_s) return;
    double now = clock_now();
    a->stage_s[stage] += now - *last;
    *last = now;
}

/* Scaled scores in w->probs to probabilities there, with zeros up to a whole block. */
static void probabilities(const struct attend_job *job, struct worker *w, size_t n) {
    float scale = 1.0f / sqrtf((float)job->a->shape.head_dim);
    for (size_t t = 0; t < n; t++) w->probs[t] *= scale;
    if (job->probe) memcpy(w->scores, w->probs, n * sizeof *w->probs);
    job->a->k->softmax(w->probs, n);
    memset(w->probs + n, 0, (padded(n) - n) * sizeof *w->probs);
}

/* Query i of an item alone, straight from the stored rows. */
static void decode_one(const struct attend_job *job, const struct attn_query *item, size_t i, size_t head, size_t query, struct worker *w) {
    const struct attn *a = job->a;
    const struct attn_layer *y = &a->layers[job->layer];
    size_t D = a->shape.head_dim, n = item->pos + i + 1;
    const uint8_t *state = item->state;
    const float *q = item->q + i * item->q_stride + head * D;
    float *out = item->out + i * item->out_stride + head * D;
    struct codec_head key = head_of(a, job->layer, head, false), value = head_of(a, job->layer, head, true);
    const struct kv_codec *kc = key.codec->ops, *vc = value.codec->ops;

    double last = stopwatch(a);
    kc->prepare(&key, w->work, q, &w->counters);
    lap(a, ATTN_PREPARE, &last);
    kc->score(&key, w->work, w->probs, state + y->keys[head].at, n, &w->counters);
    lap(a, ATTN_SCORE, &last);
    probabilities(job, w, n);
    lap(a, ATTN_SOFTMAX, &last);
    memset(out, 0, D * sizeof *out);
    vc->mix(&value, w->work, out, state + y->values[head].at, w->probs, n, &w->counters);
    if (vc->finish) vc->finish(&value, out);
    lap(a, ATTN_MIX, &last);
    if (job->probe) job->probe->row(job->probe->ctx, job->layer, head, query, n, q, w->scores, w->probs, out);
}

/* Queries begin .. end - 1 of an item. */
static void prefill(const struct attend_job *job, const struct attn_query *item, size_t begin, size_t end, size_t head, struct worker *w) {
    const struct attn_layer *y = &job->a->layers[job->layer];
    const struct attn_timeline *ky = &y->keys[head], *vy = &y->values[head];
    size_t D = job->a->shape.head_dim, rows = item->pos + end;
    const uint8_t *state = item->state;
    struct codec_head key = head_of(job->a, job->layer, head, false), value = head_of(job->a, job->layer, head, true);
    struct prefill_tile t = {.key = &key, .value = &value, .keys = state + ky->at, .values = state + vy->at, .pos = item->pos + begin,
                             .n = end - begin, .q = item->q + begin * item->q_stride + head * D, .q_stride = item->q_stride,
                             .out = item->out + begin * item->out_stride + head * D, .out_stride = item->out_stride};
    prefill_attend(&t, w->prefill);
    w->counters.keys += rows * (ky->row - ky->scales);
    w->counters.values += rows * (vy->row - vy->scales);
    w->counters.scales += rows * (ky->scales + vy->scales);
}

static size_t tiles_of(const struct attn_query *item) { return (item->n + ATTN_TILE_QUERIES - 1) / ATTN_TILE_QUERIES; }

/* Task number -> item, tile of queries, head. */
static void attend_task(void *ctx, size_t task, int thread) {
    const struct attend_job *job = ctx;
    const struct attn_query *item = job->items;
    size_t H = job->a->shape.n_head, first_query = 0;
    for (; task >= tiles_of(item) * H; item++) {
        task -= tiles_of(item) * H;
        first_query += item->n;
    }
    struct worker *w = worker_at(job->a, job->scratch, thread);
    size_t head = task % H, begin = task / H * ATTN_TILE_QUERIES;
    size_t end = begin + ATTN_TILE_QUERIES < item->n ? begin + ATTN_TILE_QUERIES : item->n;
    if (item->k && item->n == 1) store_head(&(struct rows){job->a, item->state, job->layer, item->pos, 1, item->kv_stride, item->k, item->v}, head);
    if (item->n > 1 && !job->probe)
        prefill(job, item, begin, end, head, w);
    else
        for (size_t i = begin; i < end; i++) decode_one(job, item, i, head, first_query + i, w);
}

/* What must be there before the tasks begin: all rows of several queries; of a single one each task stores its own head's. */
static void store_items(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items) {
    for (const struct attn_query *item = items; item < items + n_items; item++) {
        if (item->k && item->n > 1)
            attn_append(a, item->state, layer, item->pos, item->n, item->k, item->v, item->kv_stride);
        else if (item->k)
            grow(a, item->state, layer, item->pos, 1);
        assert(((const uint64_t *)item->state)[layer] >= item->pos + item->n);
    }
}

void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items, void *scratch,
                 struct attn_counters *counters, const struct attn_probe *probe) {
    struct attend_job job = {a, layer, items, n_items, scratch, probe};
    int threads = threads_count();
    for (int t = 0; t < threads; t++) worker_init(a, worker_at(a, scratch, t));
    store_items(a, layer, items, n_items);
    size_t tasks = 0;
    for (size_t s = 0; s < n_items; s++) tasks += tiles_of(&items[s]) * a->shape.n_head;
    threads_tasks(tasks, attend_task, &job);
    for (int t = 0; t < threads; t++) attn_counters_add(counters, &worker_at(a, scratch, t)->counters);
}

struct attn_counters attn_counters_less(const struct attn_counters *a, const struct attn_counters *b) {
    return (struct attn_counters){a->keys - b->keys, a->scales - b->scales, a->codebooks - b->codebooks, a->tables - b->tables,
                                  a->values - b->values};
}

void attn_counters_add(struct attn_counters *to, const struct attn_counters *c) {
    to->keys += c->keys;
    to->scales += c->scales;
    to->codebooks += c->codebooks;
    to->tables += c->tables;
    to->values += c->values;
}
