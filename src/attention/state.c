/* The state of a sequence: its layout, and everything that writes to it or copies it. What reads
 * it to answer queries is decode.c and prefill.c. */
#include "attention/state.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "base/threads.h"

/* ---- layout ---- */

/* Places a timeline of `rows` rows for each head, from a->state_bytes on, which grows by them. */
static void lay_out_heads(struct attn *a, const struct codec *c, struct attn_timeline *heads,
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

/* Places the copies of a layer's heads: keys and values side by side, or apart where all are read.
 */
static void lay_out_copies(struct attn *a, const struct attn_layer *y) {
    size_t T = a->shape.n_ctx;
    lay_out_heads(a, &y->refine.key, y->key_copies, y->refine.all ? T : 0);
    lay_out_heads(a, &y->refine.value, y->value_copies, y->refine.all ? T : 0);
    for (size_t h = 0; !y->refine.all && h < a->shape.n_head; h++) {
        y->key_copies[h].at = a->state_bytes;
        y->value_copies[h].at = a->state_bytes + y->key_copies[h].row;
        a->state_bytes += size_align(T * y->refine.key.apart, 64);
    }
}

void state_lay_out(struct attn *a, struct attn_timeline *timelines) {
    size_t L = a->shape.n_layer, H = a->shape.n_head, T = a->shape.n_ctx;
    a->state_bytes = size_align(2 * L * sizeof(uint64_t), 64);
    for (size_t l = 0; l < L; l++) {
        struct attn_layer *y = &a->layers[l];
        y->keys = timelines + STATE_TIMELINES * l * H;
        y->values = y->keys + H;
        y->exact_keys = y->values + H;
        y->key_copies = y->exact_keys + H;
        y->value_copies = y->key_copies + H;
        lay_out_heads(a, &y->key, y->keys, T);
        if (exact_any(&y->exact))
            lay_out_heads(a, &y->exact.codec, y->exact_keys, exact_slots(&y->exact));
        lay_out_heads(a, &y->value, y->values, T);
        if (!refine_any(&y->refine)) continue;
        a->picks = a->picks || !y->refine.all;
        lay_out_copies(a, y);
    }
}

void attn_take_back(struct attn *a, size_t n) {
    for (size_t l = 0; l < a->shape.n_layer; l++)
        exact_spare(&a->layers[l].exact, n, a->shape.n_ctx);
    state_lay_out(a, a->layers[0].keys);
}

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

size_t attn_copy_bytes_per_token(const struct attn *a) {
    size_t sum = 0;
    for (size_t l = 0; l < a->shape.n_layer; l++)
        for (size_t h = 0; h < a->shape.n_head; h++)
            sum += a->layers[l].key_copies[h].row + a->layers[l].value_copies[h].row;
    return sum;
}

size_t attn_key_bytes(const struct attn *a, size_t n) {
    size_t sum = n * attn_key_bytes_per_token(a);
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        size_t slots = exact_slots(&a->layers[l].exact);
        for (size_t h = 0; h < a->shape.n_head; h++)
            sum += (n < slots ? n : slots) * a->layers[l].exact_keys[h].row;
    }
    return sum;
}

size_t attn_key_bytes_per_token_at(const struct attn *a, size_t n) {
    return (attn_key_bytes(a, n) + n - 1) / n;
}

/* ---- lengths ---- */

/* Returns length[L] of a state. */
static uint64_t *lengths(const void *state) { return (uint64_t *)state; }

/* Returns the place of from[layer] of a state. */
static uint64_t *from_of(const struct attn *a, const void *state, size_t layer) {
    return (uint64_t *)state + a->shape.n_layer + layer;
}

size_t attn_length(const struct attn *a, const void *state, size_t layer) {
    assert(layer < a->shape.n_layer);
    (void)a;
    return lengths(state)[layer];
}

/* Returns the first position, apart from the sink, that the ring of a layer holds. */
static size_t held(const struct attn *a, const void *state, size_t layer) {
    size_t from = *from_of(a, state, layer), length = lengths(state)[layer],
           ring = exact_ring(&a->layers[layer].exact);
    return length > from + ring ? length - ring : from;
}

void state_grow(const struct attn *a, void *state, size_t layer, size_t pos, size_t n) {
    uint64_t *length = lengths(state);
    assert(layer < a->shape.n_layer && length[layer] == pos && pos + n <= a->shape.n_ctx);
    (void)a;
    length[layer] = pos + n;
}

void attn_clear(const struct attn *a, void *state) {
    memset(state, 0, 2 * a->shape.n_layer * sizeof(uint64_t));
}

/* Sets the length of a layer of dst to n, and what its ring holds to what of src's ring is left
 * then. src holds at least n tokens. */
static void rewind_layer(const struct attn *a, void *dst, const void *src, size_t layer, size_t n) {
    size_t from = held(a, src, layer);
    lengths(dst)[layer] = n;
    *from_of(a, dst, layer) = from < n ? from : n;
}

void attn_truncate(const struct attn *a, void *state, size_t n) {
    const uint64_t *length = lengths(state);
    for (size_t l = 0; l < a->shape.n_layer; l++)
        if (length[l] > n) rewind_layer(a, state, state, l, n);
}

/* Tells fn of the first n rows of one head, in whole blocks. */
static void timeline_piece(const struct attn *a, const struct codec *c,
                           const struct attn_timeline *y, size_t head, size_t n,
                           const struct state_visitor *v) {
    struct state_piece p = {c, head, y->at, codec_timeline_bytes(c, a->shape.head_dim, head, n)};
    v->piece(v->ctx, &p);
}

void state_pieces(const struct attn *a, size_t layer, size_t n, size_t length,
                  const struct state_visitor *v) {
    const struct attn_layer *y = &a->layers[layer];
    size_t slots = exact_slots(&y->exact);
    for (size_t h = 0; h < a->shape.n_head; h++) {
        if (exact_any(&y->exact))
            timeline_piece(a, &y->exact.codec, &y->exact_keys[h], h,
                           length < slots ? length : slots, v);
        timeline_piece(a, &y->key, &y->keys[h], h, n, v);
        timeline_piece(a, &y->value, &y->values[h], h, n, v);
        if (!refine_any(&y->refine)) continue;
        if (y->refine.all) {
            timeline_piece(a, &y->refine.key, &y->key_copies[h], h, n, v);
            timeline_piece(a, &y->refine.value, &y->value_copies[h], h, n, v);
        } else { /* keys and values side by side */
            v->piece(v->ctx, &(struct state_piece){&y->refine.key, h, y->key_copies[h].at,
                                                   n * y->refine.key.apart});
        }
    }
}

/* Two states, of which one is copied to the other. */
struct copying {
    uint8_t *dst;
    const uint8_t *src;
};

static void copy_piece(void *ctx, const struct state_piece *p) {
    const struct copying *c = ctx;
    memcpy(c->dst + p->at, c->src + p->at, p->bytes);
}

void attn_copy(const struct attn *a, void *dst, const void *src, size_t n) {
    struct copying c = {dst, src};
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        size_t length = lengths(src)[l];
        assert(length >= n);
        rewind_layer(a, dst, src, l, n);
        state_pieces(a, l, n, length, &(struct state_visitor){copy_piece, &c});
    }
}

/* ---- heads ---- */

static struct codec_head head_of(const struct attn *a, const struct codec *codec, size_t layer,
                                 size_t head) {
    return (struct codec_head){
        .kn = a->kn, .codec = codec, .layer = layer, .head = head, .head_dim = a->shape.head_dim};
}

static struct codec_head key_head(const struct attn *a, size_t layer, size_t head) {
    size_t H = a->shape.n_head, D = a->shape.head_dim;
    struct codec_head h = head_of(a, &a->layers[layer].key, layer, head);
    if (a->center) h.center = a->center + (layer * H + head) * D;
    return h;
}

struct codec_head state_exact_head(const struct attn *a, size_t layer, size_t head) {
    return head_of(a, &a->layers[layer].exact.codec, layer, head);
}

static struct codec_head value_head(const struct attn *a, size_t layer, size_t head) {
    return head_of(a, &a->layers[layer].value, layer, head);
}

struct codec_head state_key_copy_head(const struct attn *a, size_t layer, size_t head) {
    return head_of(a, &a->layers[layer].refine.key, layer, head);
}

struct codec_head state_value_copy_head(const struct attn *a, size_t layer, size_t head) {
    return head_of(a, &a->layers[layer].refine.value, layer, head);
}

struct read_rows state_read_rows(const struct attn *a, size_t layer, size_t head) {
    const struct attn_layer *y = &a->layers[layer];
    if (y->refine.all)
        return (struct read_rows){state_key_copy_head(a, layer, head),
                                  state_value_copy_head(a, layer, head), &y->key_copies[head],
                                  &y->value_copies[head], true};
    return (struct read_rows){key_head(a, layer, head), value_head(a, layer, head), &y->keys[head],
                              &y->values[head], false};
}

struct exact_view state_exact_view(const struct attn *a, const void *state, size_t layer,
                                   const struct codec_head *exact, bool fresh) {
    const struct attn_layer *y = &a->layers[layer];
    return (struct exact_view){.keys = &y->exact,
                               .head = exact,
                               .timeline = (const uint8_t *)state + y->exact_keys[exact->head].at,
                               .from = fresh ? *from_of(a, state, layer) : held(a, state, layer)};
}

/* ---- storing ---- */

/* Notes rows that were cut short. Any thread may call this. Nearly always there is nothing to note.
 */
static void note_cut(const struct attn *a, size_t layer, size_t rows) {
    if (rows) atomic_fetch_add(&a->cut[layer], rows);
}

uint64_t attn_take_cut(const struct attn *a, size_t layer) {
    return atomic_exchange(&a->cut[layer], 0);
}

/* Stores n rows x of a head in its timeline y. Returns how many were cut short. */
static size_t store_rows(const struct state_rows *r, const struct codec_head *h,
                         const struct attn_timeline *y, const float *x) {
    uint8_t *timeline = (uint8_t *)r->state + y[h->head].at;
    return h->codec->ops->store(h, timeline, r->pos, x + h->head * h->head_dim, r->stride, r->n);
}

void state_store_head(const struct state_rows *r, size_t head) {
    struct codec_head key = key_head(r->a, r->layer, head),
                      value = value_head(r->a, r->layer, head);
    const struct attn_layer *y = &r->a->layers[r->layer];
    size_t cut = store_rows(r, &key, y->keys, r->k) + store_rows(r, &value, y->values, r->v);
    if (refine_any(&y->refine)) {
        key = state_key_copy_head(r->a, r->layer, head);
        value = state_value_copy_head(r->a, r->layer, head);
        cut +=
            store_rows(r, &key, y->key_copies, r->k) + store_rows(r, &value, y->value_copies, r->v);
    }
    note_cut(r->a, r->layer, cut);
}

void state_store_exact_head(const struct state_rows *r, size_t head) {
    const struct attn_layer *y = &r->a->layers[r->layer];
    struct codec_head exact = state_exact_head(r->a, r->layer, head);
    uint8_t *timeline = (uint8_t *)r->state + y->exact_keys[head].at;
    const float *k = r->k + head * r->a->shape.head_dim;
    size_t cut = exact_store(&exact, &y->exact, timeline, r->pos, k, r->stride, r->n);
    note_cut(r->a, r->layer, cut);
}

static void store_heads(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t h = begin; h < end; h++) state_store_head(ctx, h);
}

static void store_exact_heads(void *ctx, size_t begin, size_t end, int thread) {
    (void)thread;
    for (size_t h = begin; h < end; h++) state_store_exact_head(ctx, h);
}

void state_store(const struct state_rows *r) {
    struct state_rows rows = *r;
    threads_ranges(r->a->shape.n_head, store_heads, &rows);
}

void state_store_exact(const struct state_rows *r) {
    struct state_rows rows = *r;
    threads_ranges(r->a->shape.n_head, store_exact_heads, &rows);
}

void attn_append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n,
                 const float *k, const float *v, size_t stride) {
    struct state_rows rows = {a, state, layer, pos, n, stride, k, v};
    state_store(&rows);
    if (exact_any(&a->layers[layer].exact)) state_store_exact(&rows);
    state_grow(a, state, layer, pos, n);
}
