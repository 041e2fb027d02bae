/* Exact keys of one head: which they are, storing, scoring and decoding them. */
#include "attention/exact_keys.h"

#include <string.h>

int exact_init(struct exact_keys *x, const struct codec *key, size_t head_dim, size_t n_ctx,
               struct err *e) {
    const struct codec_options *o = &key->o;
    *x = (struct exact_keys){{0}, 0, 0, 0};
    if (o->refine) return OK; /* then they are read from the copy */
    if (!o->sink && !o->window)
        return o->exact ? err_set(e, ERR_USAGE,
                                  "--attn %s: exact=%zu says how the rows of sink=, window= and "
                                  "refine= are kept, and there are none",
                                  key->ops->name, o->exact)
                        : OK;
    x->sink = o->sink < n_ctx ? o->sink : n_ctx;
    x->window = o->window < n_ctx - x->sink ? o->window : n_ctx - x->sink;
    return codec_parse(&x->codec, codec_exact_name(o->exact), head_dim, false, e);
}

bool exact_any(const struct exact_keys *x) { return x->codec.ops != NULL; }

void exact_spare(struct exact_keys *x, size_t n, size_t n_ctx) {
    size_t most = n_ctx - x->sink - x->window;
    x->spare = !x->window ? 0 : n < most ? n : most;
}

size_t exact_ring(const struct exact_keys *x) { return x->window + x->spare; }

size_t exact_slots(const struct exact_keys *x) { return x->sink + exact_ring(x); }

/* Returns the slot of the key at pos. */
static size_t slot_of(const struct exact_keys *x, size_t pos) {
    return pos < x->sink ? pos : x->sink + (pos - x->sink) % exact_ring(x);
}

size_t exact_store(const struct codec_head *h, const struct exact_keys *x, uint8_t *timeline,
                   size_t pos, const float *k, size_t stride, size_t n) {
    size_t cut = 0;
    for (size_t i = 0; i < n; i++)
        if (pos + i < x->sink || n - i <= exact_ring(x))
            cut += x->codec.ops->store(h, timeline, slot_of(x, pos + i), k + i * stride, stride, 1);
    return cut;
}

size_t exact_begin(const struct exact_view *v, size_t p) {
    if (!v->keys->window) return SIZE_MAX;
    size_t begin = p + 1 > v->keys->window ? p + 1 - v->keys->window : 0;
    if (begin < v->from) begin = v->from;
    return begin > v->keys->sink ? begin : v->keys->sink;
}

/* Copies the exact scores of a query at n - 1 to the places of their positions in scores[n].
 * slots[i] is the score of slot i. */
static void place(const struct exact_view *v, float *scores, const float *slots, size_t n) {
    size_t sink = v->keys->sink, slot, run;
    memcpy(scores, slots, (n < sink ? n : sink) * sizeof *scores);
    for (size_t x = exact_begin(v, n - 1); x < n; x += run) { /* the ring, in at most two pieces */
        slot = slot_of(v->keys, x);
        run = exact_slots(v->keys) - slot;
        if (run > n - x) run = n - x;
        memcpy(scores + x, slots + slot, run * sizeof *scores);
    }
}

void exact_center_scores(const struct codec_head *key, const float *q, float *scores, size_t n) {
    float constant = 0;
    if (!key->codec->o.center || !key->center) return;
    for (size_t d = 0; d < key->head_dim; d++) constant += q[d] * key->center[d];
    for (size_t t = 0; t < n; t++) scores[t] += constant;
}

void exact_score(const struct exact_view *v, const struct codec_head *key, const float *q, size_t n,
                 float *scores, float *work, float *slots, struct attn_counters *count) {
    const struct kv_codec *ops = v->keys->codec.ops;
    size_t n_slots = exact_slots(v->keys);
    exact_center_scores(key, q, scores, n);
    ops->prepare(v->head, work, q, count);
    ops->score(v->head, work, slots, v->timeline, n < n_slots ? n : n_slots, count);
    place(v, scores, slots, n);
}

void exact_add_center(const struct codec_head *key, float *x, size_t n) {
    if (!key->codec->o.center || !key->center) return;
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < key->head_dim; d++) x[i * key->head_dim + d] += key->center[d];
}

/* Sets y[n][D] to keys of the batch, rounded as they will be when they are stored. */
static void round_batch(const struct exact_view *v, float *y, void *room, size_t begin, size_t n) {
    const struct kv_codec *ops = v->keys->codec.ops;
    ops->store(v->head, room, 0, v->k + (begin - v->batch) * v->stride, v->stride, n);
    ops->decode(v->head, y, room, 0, n);
}

size_t exact_decode(const struct exact_view *v, float *y, void *room, size_t begin, size_t n,
                    size_t p) {
    size_t D = v->head->head_dim, end = begin + n, first = exact_begin(v, p), found = 0;
    memset(y, 0, n * D * sizeof *y);
    for (size_t x = begin, run; x < end; x += run) {
        run = 1;
        if (x >= v->keys->sink && x < first) continue;
        if (v->k && x >= v->batch)
            round_batch(v, y + (x - begin) * D, room, x, run = x < first ? 1 : end - x);
        else
            v->keys->codec.ops->decode(v->head, y + (x - begin) * D, v->timeline,
                                       slot_of(v->keys, x), 1);
        found += run;
    }
    return found;
}
