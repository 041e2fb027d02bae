/* State layout, and attention over it: the part that is the same for every codec.
 *
 * State of one sequence: uint64 length[L], from[L], padded to 64 bytes; then for each layer the T
 * keys of head 0, of head 1, ...; then its exact few and its values in the same way. from: the
 * first position since which the ring of the exact few was never rewound. Each timeline starts on a
 * cache line and is contiguous, so that decoding reads it as a stream. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/backend.h"
#include "attention/registry.h"
#include "attention/prefill.h"
#include "attention/skip.h"
#include "attention/spec.h"
#include "attention/spec_name.h"
#include "base/process.h"
#include "base/size.h"
#include "base/threads.h"

/* ---- choosing ---- */

static int set_up(struct attn *a, struct codec *c, size_t layer, bool values,
                  const struct book *book, struct err *e) {
    struct codec_setup s = {.n_layer = a->shape.n_layer,
                            .n_head = a->shape.n_head,
                            .head_dim = a->shape.head_dim,
                            .layer = layer,
                            .book = book,
                            .for_values = values,
                            .arena = &a->arena};
    int rc = c->ops->check ? c->ops->check(c, s.head_dim, e) : OK;
    return rc || !c->ops->setup ? rc : c->ops->setup(c, &s, e);
}

/* Timelines of `rows` rows of one layer, from a->state_bytes on. */
static void lay_out(struct attn *a, const struct codec *c, struct attn_timeline *heads,
                    size_t rows) {
    const struct attn_shape *s = &a->shape;
    for (size_t h = 0; h < s->n_head; h++) {
        heads[h] = (struct attn_timeline){a->state_bytes, c->ops->row_bytes(c, s->head_dim, h),
                                          c->ops->scale_bytes(c, s->head_dim, h)};
        a->state_bytes += size_align(codec_timeline_bytes(c, s->head_dim, h, rows), 64);
        size_t work = c->ops->work_floats(c, s->head_dim, h) * sizeof(float);
        if (work > a->work_bytes) a->work_bytes = work;
    }
}

static bool has_few(const struct attn_layer *y) { return y->few.codec.ops != NULL; }

int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec,
              const struct book *book, const struct kernels *k, struct err *e) {
    size_t L = shape->n_layer;
    *a = (struct attn){.k = k, .shape = *shape};
    a->layers = arena_zalloc(&a->arena, L, sizeof *a->layers);
    a->cut = arena_zalloc(&a->arena, L, sizeof *a->cut);
    struct codec *keys = arena_zalloc(&a->arena, L, sizeof *keys),
                 *values = arena_zalloc(&a->arena, L, sizeof *values);
    struct attn_timeline *timelines =
        arena_zalloc(&a->arena, 3 * L * shape->n_head, sizeof *timelines);
    int rc = a->layers && a->cut && keys && values && timelines
                 ? spec_parse(spec, L, keys, values, e)
                 : err_set(e, ERR_FAILED, "out of memory for the attention backend");
    for (size_t l = 0; l < L && !rc; l++) {
        a->layers[l].key = keys[l];
        a->layers[l].value = values[l];
        rc = set_up(a, &a->layers[l].key, l, false, book, e);
        if (!rc) rc = set_up(a, &a->layers[l].value, l, true, book, e);
        if (!rc) rc = exact_init(&a->layers[l].few, &keys[l], shape->head_dim, shape->n_ctx, e);
    }
    if (rc) {
        attn_free(a);
        return rc;
    }
    a->state_bytes = size_align(2 * L * sizeof(uint64_t), 64);
    for (size_t l = 0; l < L; l++) {
        struct attn_layer *y = &a->layers[l];
        y->keys = timelines + 3 * l * shape->n_head;
        y->values = y->keys + shape->n_head;
        y->exact = y->values + shape->n_head;
        lay_out(a, &y->key, y->keys, shape->n_ctx);
        if (has_few(y)) lay_out(a, &y->few.codec, y->exact, exact_slots(&y->few));
        lay_out(a, &y->value, y->values, shape->n_ctx);
    }
    a->name = spec_effective(a, &a->arena);
    if (a->name) return OK;
    attn_free(a);
    return err_set(e, ERR_FAILED, "out of memory for the attention backend");
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

size_t attn_key_bytes(const struct attn *a, size_t n) {
    size_t sum = n * attn_key_bytes_per_token(a);
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        size_t slots = exact_slots(&a->layers[l].few);
        for (size_t h = 0; h < a->shape.n_head; h++)
            sum += (n < slots ? n : slots) * a->layers[l].exact[h].row;
    }
    return sum;
}

size_t attn_key_bytes_per_token_at(const struct attn *a, size_t n) {
    return (attn_key_bytes(a, n) + n - 1) / n;
}

void attn_clear(const struct attn *a, void *state) {
    memset(state, 0, 2 * a->shape.n_layer * sizeof(uint64_t));
}

static uint64_t *from_of(const struct attn *a, const void *state, size_t layer) {
    return (uint64_t *)state + a->shape.n_layer + layer;
}

/* The first position, apart from the sink, that the ring of a layer holds. */
static size_t held(const struct attn *a, const void *state, size_t layer) {
    size_t from = *from_of(a, state, layer), length = ((const uint64_t *)state)[layer],
           window = a->layers[layer].few.window;
    return length > from + window ? length - window : from;
}

/* dst has the first n tokens of src; n at most what the layer of src holds. */
static void rewind_layer(const struct attn *a, void *dst, const void *src, size_t layer, size_t n) {
    size_t from = held(a, src, layer);
    ((uint64_t *)dst)[layer] = n;
    *from_of(a, dst, layer) = from < n ? from : n;
}

void attn_truncate(const struct attn *a, void *state, size_t n) {
    const uint64_t *length = state;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (length[l] > n) rewind_layer(a, state, state, l, n);
}

/* One head's first n rows. */
static void copy_timeline(const struct attn *a, const struct codec *c,
                          const struct attn_timeline *y, size_t head, void *dst, const void *src,
                          size_t n) {
    memcpy((uint8_t *)dst + y->at, (const uint8_t *)src + y->at,
           codec_timeline_bytes(c, a->shape.head_dim, head, n));
}

void attn_copy(const struct attn *a, void *dst, const void *src, size_t n) {
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        const struct attn_layer *y = &a->layers[l];
        size_t length = ((const uint64_t *)src)[l], slots = exact_slots(&y->few);
        assert(length >= n);
        rewind_layer(a, dst, src, l, n);
        for (size_t h = 0; h < a->shape.n_head; h++) {
            if (has_few(y))
                copy_timeline(a, &y->few.codec, &y->exact[h], h, dst, src,
                              length < slots ? length : slots);
            copy_timeline(a, &y->key, &y->keys[h], h, dst, src, n);
            copy_timeline(a, &y->value, &y->values[h], h, dst, src, n);
        }
    }
}

static struct codec_head few_head_of(const struct attn *a, size_t layer, size_t head) {
    return (struct codec_head){.k = a->k,
                               .codec = &a->layers[layer].few.codec,
                               .layer = layer,
                               .head = head,
                               .head_dim = a->shape.head_dim};
}

static struct codec_head head_of(const struct attn *a, size_t layer, size_t head, bool values) {
    size_t H = a->shape.n_head, D = a->shape.head_dim;
    return (struct codec_head){.k = a->k,
                               .codec = values ? &a->layers[layer].value : &a->layers[layer].key,
                               .layer = layer,
                               .head = head,
                               .head_dim = D,
                               .center = a->center && !values ? a->center + (layer * H + head) * D
                                                              : NULL};
}

/* Keys and values to be stored. */
struct rows {
    const struct attn *a;
    void *state;
    size_t layer, pos, n, stride;
    const float *k, *v;
};

/* From any thread; nearly always there is nothing to note. */
static void note_cut(const struct attn *a, size_t layer, size_t rows) {
    if (rows) atomic_fetch_add(&a->cut[layer], rows);
}

uint64_t attn_take_cut(const struct attn *a, size_t layer) {
    return atomic_exchange(&a->cut[layer], 0);
}

static void store_head(const struct rows *r, size_t h) {
    struct codec_head key = head_of(r->a, r->layer, h, false),
                      value = head_of(r->a, r->layer, h, true);
    const struct attn_layer *y = &r->a->layers[r->layer];
    size_t D = r->a->shape.head_dim;
    size_t keys = key.codec->ops->store(&key, (uint8_t *)r->state + y->keys[h].at, r->pos,
                                        r->k + h * D, r->stride, r->n);
    size_t values = value.codec->ops->store(&value, (uint8_t *)r->state + y->values[h].at, r->pos,
                                            r->v + h * D, r->stride, r->n);
    note_cut(r->a, r->layer, keys + values);
}

static void store_heads(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t h = begin; h < end; h++) store_head(ctx, h);
}

/* The exact few as they are once the rows are stored. */
static void store_few(const struct rows *r, size_t h) {
    const struct attn_layer *y = &r->a->layers[r->layer];
    struct codec_head few = few_head_of(r->a, r->layer, h);
    uint8_t *timeline = (uint8_t *)r->state + y->exact[h].at;
    note_cut(r->a, r->layer,
             exact_store(&few, &y->few, timeline, r->pos, r->k + h * r->a->shape.head_dim,
                         r->stride, r->n));
}

static void store_fews(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t h = begin; h < end; h++) store_few(ctx, h);
}

/* The layer's length grows by n rows, whether they are there yet or not. */
static void grow(const struct attn *a, void *state, size_t layer, size_t pos, size_t n) {
    uint64_t *length = state;
    assert(layer < a->shape.n_layer && length[layer] == pos && pos + n <= a->shape.n_ctx);
    (void)a;
    length[layer] = pos + n;
}

void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n,
                 const float *k, const float *v, size_t stride) {
    struct rows rows = {a, state, layer, pos, n, stride, k, v};
    threads_ranges(a->shape.n_head, store_heads, &rows);
    if (has_few(&a->layers[layer])) threads_ranges(a->shape.n_head, store_fews, &rows);
    grow(a, state, layer, pos, n);
}

/* ---- attention ---- */

/* Scratch of one thread: what it counted, then work of the codecs; scores[T] (of the exact few,
 * then a copy for the probe) and probabilities[T], T rounded up to whole blocks; marks of blocks of
 * values; work of prefill. Whole cache lines. */
struct worker {
    struct attn_counters counters;
    float *work, *scores, *probs, *marks, *prefill;
};

static size_t padded(size_t rows) { return size_align(rows, KV_BLOCK_MAX); }

static size_t lines(size_t floats) { return size_align(floats * sizeof(float), 64); }

static size_t worker_stride(const struct attn *a) {
    return size_align(sizeof(struct worker), 64) + size_align(a->work_bytes, 64) +
           2 * lines(padded(a->shape.n_ctx)) + lines(skip_work_floats(a->shape.n_ctx)) +
           lines(prefill_work_floats(a->shape.head_dim));
}

size_t attn_scratch_bytes(const struct attn *a, int threads) {
    return (size_t)threads * worker_stride(a);
}

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
    w->marks = (float *)(void *)at;
    at += lines(skip_work_floats(a->shape.n_ctx));
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

/* What the queries of an item see of a head's exact few; h is few_head_of that head. */
static struct exact_view view_of(const struct attend_job *job, const struct attn_query *item,
                                 const struct codec_head *h) {
    const struct attn_layer *y = &job->a->layers[job->layer];
    const uint8_t *state = item->state;
    struct exact_view v = {.few = &y->few, .head = h, .timeline = state + y->exact[h->head].at};
    v.from = item->k ? *from_of(job->a, state, job->layer) : held(job->a, state, job->layer);
    return v;
}

/* Exact scores of a query over n keys in the places of theirs in w->probs. */
static void score_few(const struct attend_job *job, const struct attn_query *item,
                      const struct codec_head *key, const float *q, size_t n, struct worker *w) {
    const struct attn_layer *y = &job->a->layers[job->layer];
    struct codec_head h = few_head_of(job->a, job->layer, key->head);
    struct exact_view v = view_of(job, item, &h);
    const struct kv_codec *ops = y->few.codec.ops;
    size_t slots = exact_slots(&y->few);
    if (y->key.o.center && key->center) { /* the codes are of keys less their center */
        float constant = 0;
        for (size_t d = 0; d < key->head_dim; d++) constant += q[d] * key->center[d];
        for (size_t t = 0; t < n; t++) w->probs[t] += constant;
    }
    ops->prepare(&h, w->work, q, &w->counters);
    ops->score(&h, w->work, w->scores, v.timeline, n < slots ? n : slots, &w->counters);
    exact_place(&v, w->probs, w->scores, n);
}

/* out[D] += sum of the n rows weighted by w->probs, less blocks of rows that count for nothing. */
static void mix_most(const struct codec_head *value, struct worker *w, float *out,
                     const uint8_t *timeline, size_t n) {
    const struct codec *c = value->codec;
    struct kv_layout layout = codec_layout(c, value->head_dim, value->head);
    size_t rows = skip_rows(&layout), blocks = (n + rows - 1) / rows;
    double mass = skip_choose(w->marks, w->probs, n, rows, c->o.skip);
    w->counters.skipped_mass += (uint64_t)(mass * SKIP_MASS_UNIT);
    for (size_t first = 0, next; first < blocks; first = next) {
        bool skip = w->marks[first] < 0;
        for (next = first + 1; next < blocks && (w->marks[next] < 0) == skip; next++) {}
        size_t begin = first * rows, end = next < blocks ? next * rows : n;
        if (skip)
            w->counters.skipped_rows += end - begin;
        else
            c->ops->mix(value, w->work, out, timeline + begin / layout.rows * layout.bytes,
                        w->probs + begin, end - begin, &w->counters);
    }
}

/* Asks for the beginning of a timeline, so that it is on its way while something else is worked on;
 * kernels fetch ahead from there on. */
static void fetch_first(const uint8_t *timeline, size_t bytes) {
    enum { MOST = 8192, LINE = 64 };
    for (size_t i = 0; i < bytes && i < MOST; i += LINE) __builtin_prefetch(timeline + i, 0, 2);
}

/* Query i of an item alone, straight from the stored rows. */
static void decode_one(const struct attend_job *job, const struct attn_query *item, size_t i,
                       size_t head, size_t query, struct worker *w) {
    const struct attn *a = job->a;
    const struct attn_layer *y = &a->layers[job->layer];
    size_t D = a->shape.head_dim, n = item->pos + i + 1;
    const uint8_t *state = item->state;
    const float *q = item->q + i * item->q_stride + head * D;
    float *out = item->out + i * item->out_stride + head * D;
    struct codec_head key = head_of(a, job->layer, head, false),
                      value = head_of(a, job->layer, head, true);
    const struct kv_codec *kc = key.codec->ops, *vc = value.codec->ops;

    fetch_first(state + y->values[head].at, n * y->values[head].row);
    double last = stopwatch(a);
    kc->prepare(&key, w->work, q, &w->counters);
    lap(a, ATTN_PREPARE, &last);
    kc->score(&key, w->work, w->probs, state + y->keys[head].at, n, &w->counters);
    if (has_few(y)) score_few(job, item, &key, q, n, w);
    lap(a, ATTN_SCORE, &last);
    probabilities(job, w, n);
    lap(a, ATTN_SOFTMAX, &last);
    memset(out, 0, D * sizeof *out);
    if (vc->start) vc->start(&value, w->work);
    if (y->value.o.skip > 0)
        mix_most(&value, w, out, state + y->values[head].at, n);
    else
        vc->mix(&value, w->work, out, state + y->values[head].at, w->probs, n, &w->counters);
    if (vc->finish) vc->finish(&value, w->work, out, &w->counters);
    lap(a, ATTN_MIX, &last);
    if (job->probe)
        job->probe->row(job->probe->ctx, job->layer, head, query, n, q, w->scores, w->probs, out);
}

/* Queries begin .. end - 1 of an item. */
static void prefill(const struct attend_job *job, const struct attn_query *item, size_t begin,
                    size_t end, size_t head, struct worker *w) {
    const struct attn_layer *y = &job->a->layers[job->layer];
    const struct attn_timeline *ky = &y->keys[head], *vy = &y->values[head], *xy = &y->exact[head];
    size_t D = job->a->shape.head_dim, rows = item->pos + end;
    const uint8_t *state = item->state;
    struct codec_head few = few_head_of(job->a, job->layer, head);
    struct exact_view exact = view_of(job, item, &few);
    if (item->k)
        exact.k = item->k + head * D, exact.batch = item->pos, exact.stride = item->kv_stride;
    struct codec_head key = head_of(job->a, job->layer, head, false),
                      value = head_of(job->a, job->layer, head, true);
    struct prefill_tile t = {.key = &key,
                             .value = &value,
                             .keys = state + ky->at,
                             .values = state + vy->at,
                             .pos = item->pos + begin,
                             .n = end - begin,
                             .q = item->q + begin * item->q_stride + head * D,
                             .q_stride = item->q_stride,
                             .out = item->out + begin * item->out_stride + head * D,
                             .out_stride = item->out_stride,
                             .exact = has_few(y) ? &exact : NULL};
    size_t n_exact = prefill_attend(&t, w->prefill);
    w->counters.keys += rows * (ky->row - ky->scales) + n_exact * (xy->row - xy->scales);
    w->counters.values += rows * (vy->row - vy->scales);
    w->counters.scales += rows * (ky->scales + vy->scales) + n_exact * xy->scales;
}

/* Are the queries of an item answered one after the other, each behind its own key's way into the
 * ring? */
static bool one_by_one(const struct attend_job *job, const struct attn_query *item) {
    return job->probe && item->k && has_few(&job->a->layers[job->layer]);
}

/* Queries of an item that make a task. */
static size_t tile_of(const struct attend_job *job, const struct attn_query *item) {
    return one_by_one(job, item) ? item->n : ATTN_TILE_QUERIES;
}

static size_t tiles_of(const struct attend_job *job, const struct attn_query *item) {
    return (item->n + tile_of(job, item) - 1) / tile_of(job, item);
}

/* Task number -> item, tile of queries, head. */
static void attend_task(void *ctx, size_t task, int thread) {
    const struct attend_job *job = ctx;
    const struct attn_query *item = job->items;
    size_t H = job->a->shape.n_head, first_query = 0;
    for (; task >= tiles_of(job, item) * H; item++) {
        task -= tiles_of(job, item) * H;
        first_query += item->n;
    }
    struct worker *w = worker_at(job->a, job->scratch, thread);
    size_t head = task % H, tile = tile_of(job, item), begin = task / H * tile;
    size_t end = begin + tile < item->n ? begin + tile : item->n;
    bool roll = item->k && (item->n == 1 || job->probe) && has_few(&job->a->layers[job->layer]);
    if (item->k && item->n == 1)
        store_head(&(struct rows){job->a, item->state, job->layer, item->pos, 1, item->kv_stride,
                                  item->k, item->v},
                   head);
    if (item->n > 1 && !job->probe) {
        prefill(job, item, begin, end, head, w);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        if (roll)
            store_few(&(struct rows){job->a, item->state, job->layer, item->pos + i, 1, 0,
                                     item->k + i * item->kv_stride, NULL},
                      head);
        decode_one(job, item, i, head, first_query + i, w);
    }
}

/* What must be there before the tasks begin: all rows of several queries; of a single one each task
 * stores its own head's. */
static void store_items(const struct attn *a, size_t layer, const struct attn_query *items,
                        size_t n_items) {
    for (const struct attn_query *item = items; item < items + n_items; item++) {
        struct rows rows = {a,       item->state,     layer,   item->pos,
                            item->n, item->kv_stride, item->k, item->v};
        if (item->k && item->n > 1) threads_ranges(a->shape.n_head, store_heads, &rows);
        if (item->k) grow(a, item->state, layer, item->pos, item->n);
        assert(((const uint64_t *)item->state)[layer] >= item->pos + item->n);
    }
}

/* And after them: several keys would push those out of the window that the first queries see. */
static void store_items_few(const struct attn *a, size_t layer, const struct attn_query *items,
                            size_t n_items) {
    for (const struct attn_query *item = items; item < items + n_items; item++) {
        struct rows rows = {a,       item->state,     layer,   item->pos,
                            item->n, item->kv_stride, item->k, item->v};
        if (item->k && item->n > 1) threads_ranges(a->shape.n_head, store_fews, &rows);
    }
}

void attn_attend(const struct attn *a, size_t layer, const struct attn_query *items, size_t n_items,
                 void *scratch, struct attn_counters *counters, const struct attn_probe *probe) {
    struct attend_job job = {a, layer, items, n_items, scratch, probe};
    int threads = threads_count();
    for (int t = 0; t < threads; t++) worker_init(a, worker_at(a, scratch, t));
    store_items(a, layer, items, n_items);
    size_t tasks = 0;
    for (size_t s = 0; s < n_items; s++) tasks += tiles_of(&job, &items[s]) * a->shape.n_head;
    threads_tasks(tasks, attend_task, &job);
    if (has_few(&a->layers[layer]) && !probe) store_items_few(a, layer, items, n_items);
    for (int t = 0; t < threads; t++)
        attn_counters_add(counters, &worker_at(a, scratch, t)->counters);
}

struct attn_counters attn_counters_less(const struct attn_counters *a,
                                        const struct attn_counters *b) {
    return (struct attn_counters){a->keys - b->keys,
                                  a->scales - b->scales,
                                  a->codebooks - b->codebooks,
                                  a->tables - b->tables,
                                  a->values - b->values,
                                  a->skipped_rows - b->skipped_rows,
                                  a->skipped_mass - b->skipped_mass};
}

void attn_counters_add(struct attn_counters *to, const struct attn_counters *c) {
    to->keys += c->keys;
    to->scales += c->scales;
    to->codebooks += c->codebooks;
    to->tables += c->tables;
    to->values += c->values;
    to->skipped_rows += c->skipped_rows;
    to->skipped_mass += c->skipped_mass;
}
