/* Which rows are refined, and how they are gathered, scored and mixed. The rows are picked by a
 * histogram over the highest bits of their scores, then over the next bits of those that the first
 * could not tell apart, until the score of the last picked row is known. Nothing is sorted. */
#include "attention/refine.h"

#include <string.h>

#include "base/size.h"

/* ---- what a layer keeps ---- */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

int refine_init(struct refine *r, const struct codec *key, size_t head_dim, size_t n_ctx,
                struct err *e) {
    const struct codec_options *o = &key->o;
    *r = (struct refine){.best = least(o->refine, n_ctx)};
    if (!o->refine) return OK;
    r->sink = least(o->sink, n_ctx);
    r->window = least(o->window, n_ctx - r->sink);
    const char *name = codec_exact_name(o->exact);
    int rc = codec_parse(&r->key, name, head_dim, false, e);
    if (!rc) rc = codec_parse(&r->value, name, head_dim, true, e);
    r->key_alone = r->key, r->value_alone = r->value;
    r->key_alone.alone = r->value_alone.alone = true;
    return rc;
}

bool refine_any(const struct refine *r) { return r->best > 0; }

size_t refine_count(const struct refine *r, size_t n) {
    return least(n, r->sink + r->window + r->best);
}

size_t refine_gather_bytes(const struct refine *r, size_t head_dim, size_t head, size_t n) {
    if (!refine_any(r)) return 0;
    size_t rows = refine_count(r, n), keys = codec_timeline_bytes(&r->key, head_dim, head, rows),
           values = codec_timeline_bytes(&r->value, head_dim, head, rows);
    return keys > values ? keys : values;
}

/* ---- picking ---- */

/* Whole numbers in the order of the floats that they stand for. 0 and -0 are one number. */
static uint32_t order_of(float x) {
    uint32_t bits;
    x += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return UINT32_MAX; /* NaN */
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

/* The score of the last row that is picked by its score, and how many rows with just that score
 * are. */
struct bound {
    uint32_t order;
    size_t equals;
};

/* Returns the bound for the `best` largest of scores[n], 0 < best <= n. */
static struct bound bound_of(const float *scores, size_t n, size_t best) {
    enum { BITS = 8, BINS = 1 << BITS };
    struct bound b = {0, best};
    for (unsigned shift = 32; shift; shift -= BITS) {
        uint32_t count[BINS] = {0};
        for (size_t i = 0; i < n; i++) {
            uint32_t order = order_of(scores[i]);
            if (shift == 32 || order >> shift == b.order >> shift)
                count[order >> (shift - BITS) & (BINS - 1)]++;
        }
        uint32_t bin = BINS - 1;
        for (; count[bin] < b.equals; bin--) b.equals -= count[bin];
        b.order |= bin << (shift - BITS);
    }
    return b;
}

void refine_pick(const struct refine *r, const float *scores, size_t n, uint32_t *picked) {
    size_t count = refine_count(r, n), begin = least(r->sink, n),
           end = n - least(r->window, n - begin);
    if (count == n) {
        for (size_t i = 0; i < n; i++) picked[i] = (uint32_t)i;
        return;
    }
    struct bound b = bound_of(scores + begin, end - begin, r->best);
    for (size_t i = 0; i < begin; i++) *picked++ = (uint32_t)i;
    for (size_t i = begin; i < end; i++) {
        uint32_t order = order_of(scores[i]);
        if (order < b.order || (order == b.order && !b.equals)) continue;
        if (order == b.order) b.equals--;
        *picked++ = (uint32_t)i;
    }
    for (size_t i = end; i < n; i++) *picked++ = (uint32_t)i;
}

/* ---- answering ---- */

void refine_scores(const struct codec_head *copy, const uint8_t *keys, const float *q,
                   const struct refine_workspace *w, size_t n_picked, float *work, float *scores,
                   struct attn_counters *count) {
    struct attn_counters own = {0};
    codec_gather(copy, w->gathered, keys, w->picked, n_picked);
    copy->codec->ops->prepare(copy, work, q, &own);
    copy->codec->ops->score(copy, work, w->numbers, w->gathered, n_picked, &own);
    for (size_t i = 0; i < n_picked; i++) scores[w->picked[i]] = w->numbers[i];
    count->refined += own.keys + own.scales;
}

void refine_take(const struct refine_workspace *w, size_t n_picked, float *probs) {
    for (size_t i = 0; i < n_picked; i++) {
        w->numbers[i] = probs[w->picked[i]];
        probs[w->picked[i]] = 0;
    }
    size_t whole = size_align(n_picked, KV_BLOCK_MAX);
    memset(w->numbers + n_picked, 0, (whole - n_picked) * sizeof *w->numbers);
}

void refine_put_back(const struct refine_workspace *w, size_t n_picked, float *probs) {
    for (size_t i = 0; i < n_picked; i++) probs[w->picked[i]] = w->numbers[i];
}

void refine_mix(const struct codec_head *copy, const uint8_t *values,
                const struct refine_workspace *w, size_t n_picked, float *work, float *out,
                struct attn_counters *count) {
    struct attn_counters own = {0};
    codec_gather(copy, w->gathered, values, w->picked, n_picked);
    copy->codec->ops->mix(copy, work, out, w->gathered, w->numbers, n_picked, &own);
    count->refined += own.values + own.scales;
}
