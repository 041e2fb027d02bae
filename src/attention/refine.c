/* Which rows are refined, and how they are gathered, scored and mixed. Nothing is sorted. */
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

/* ---- picking ----
 *
 * To find the `best` largest of n scores, first a bound is found that at least so many reach. The
 * scores are dealt into columns, as many as three times `best` or more, and the largest of each
 * column is taken. Where `best` columns reach a bound, as many scores do. Hardly more scores do,
 * because the best ones mostly lie in columns of their own: those that reach it are the candidates.
 * Then the bound is raised among the candidates alone until as many as wanted reach it. Where that
 * cannot be, because scores are equal, a histogram over the bits of the candidates' scores decides.
 * Each step is linear in n. */

/* Raises *low, which at least `want` of x[n] reach, by halving the way to `high` at most `steps`
 * times. Returns how many reach *low in the end, or n where nothing was counted. */
static size_t raise_bound(const struct kernels *kn, const float *x, size_t n, size_t want,
                          float *low, float high, unsigned steps) {
    size_t reach = n;
    while (steps-- && reach > want) {
        float middle = 0.5f * *low + 0.5f * high;
        if (!(middle > *low && middle < high)) break;
        size_t count = kn->count_at_least(x, n, middle);
        if (count >= want)
            *low = middle, reach = count;
        else
            high = middle;
    }
    return reach;
}

/* Sets *least and *most to the least and the largest of x[n]. */
static void range_of(const float *x, size_t n, float *least_of, float *most_of) {
    float low = x[0], high = x[0];
    for (size_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    *least_of = low, *most_of = high;
}

/* Writes the places of candidates to index: `want` or more of x[n], with the `want` largest among
 * them. Returns how many there are. */
static size_t candidates(const struct kernels *kn, const float *x, size_t n, size_t want,
                         uint32_t *index) {
    enum { COLUMNS_MOST = 8 * PICK_COLUMNS, STEPS = 8 };
    float most[COLUMNS_MOST], low, high;
    size_t cols = PICK_COLUMNS;
    while (cols < 3 * want && cols < COLUMNS_MOST) cols *= 2;
    if (cols < 3 * want || n < 2 * cols) {
        for (size_t i = 0; i < n; i++) index[i] = (uint32_t)i;
        return n;
    }
    kn->column_most(most, x, n, cols);
    range_of(most, cols, &low, &high);
    raise_bound(kn, most, cols, want, &low, high, STEPS);
    return kn->find_at_least(index, x, n, low);
}

/* Whole numbers in the order of the floats that they stand for. 0 and -0 are one number, and NaN is
 * the largest. */
static uint32_t order_of(float x) {
    uint32_t bits;
    x += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return UINT32_MAX;
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

/* The order of the least number that is picked, and how many with just that order are. */
struct bound {
    uint32_t order;
    size_t equals;
};

/* Returns the bound for the `want` largest of x[n], 0 < want <= n: a histogram over the highest
 * bits of their order, then over the next bits of those that the first could not tell apart, and so
 * on. */
static struct bound bound_of(const float *x, size_t n, size_t want) {
    enum { BITS = 8, BINS = 1 << BITS };
    struct bound b = {0, want};
    for (unsigned shift = 32; shift; shift -= BITS) {
        uint32_t count[BINS] = {0};
        for (size_t i = 0; i < n; i++) {
            uint32_t order = order_of(x[i]);
            if (shift == 32 || order >> shift == b.order >> shift)
                count[order >> (shift - BITS) & (BINS - 1)]++;
        }
        uint32_t bin = BINS - 1;
        for (; count[bin] < b.equals; bin--) b.equals -= count[bin];
        b.order |= bin << (shift - BITS);
    }
    return b;
}

/* Keeps of index[n] those places whose numbers x[n] are the `want` largest, of equals the first. */
static void keep_largest(const struct kernels *kn, uint32_t *index, const float *x, size_t n,
                         size_t want) {
    enum { STEPS = 30 };
    float low, high;
    size_t kept = 0;
    if (n == want) return;
    range_of(x, n, &low, &high);
    if (raise_bound(kn, x, n, want, &low, high, STEPS) == want) {
        for (size_t i = 0; i < n; i++)
            if (x[i] >= low) index[kept++] = index[i];
        return;
    }
    struct bound b = bound_of(x, n, want);
    for (size_t i = 0; i < n; i++) {
        uint32_t order = order_of(x[i]);
        if (order < b.order || (order == b.order && !b.equals)) continue;
        if (order == b.order) b.equals--;
        index[kept++] = index[i];
    }
}

void refine_pick(const struct refine *r, const struct kernels *kn, const float *scores, size_t n,
                 const struct refine_workspace *w) {
    size_t count = refine_count(r, n), begin = least(r->sink, n),
           end = n - least(r->window, n - begin);
    uint32_t *best = w->picked + begin, *window = best + r->best;
    if (count == n) {
        for (size_t i = 0; i < n; i++) w->picked[i] = (uint32_t)i;
        return;
    }
    size_t found = candidates(kn, scores + begin, end - begin, r->best, best);
    if (found < r->best) { /* some are NaN, which no bound finds */
        for (found = 0; found < end - begin; found++) best[found] = (uint32_t)found;
    }
    for (size_t i = 0; i < found; i++) w->numbers[i] = scores[begin + best[i]];
    keep_largest(kn, best, w->numbers, found, r->best);
    for (size_t i = 0; i < begin; i++) w->picked[i] = (uint32_t)i;
    for (size_t i = 0; i < r->best; i++) best[i] += (uint32_t)begin;
    for (size_t i = end; i < n; i++) *window++ = (uint32_t)i;
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
