/* Which rows are refined, and how they are scored and mixed. Nothing is sorted. */
#include "attention/refine.h"

#include <string.h>

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
    r->all = refine_count(r, n_ctx) == n_ctx;
    if (rc || r->all) return rc;
    size_t row = r->key.ops->row_bytes(&r->key, head_dim, 0) +
                 r->value.ops->row_bytes(&r->value, head_dim, 0);
    r->key.apart = r->value.apart = row;
    return OK;
}

bool refine_any(const struct refine *r) { return r->best > 0; }

size_t refine_count(const struct refine *r, size_t n) {
    return least(n, r->sink + r->window + r->best);
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

/* A range of numbers. */
struct range {
    float low, high;
};

/* Returns the least and the largest of x[n]. They are taken in eight chains, because in a single
 * one each comparison would wait for the one before. */
static struct range range_of(const float *x, size_t n) {
    enum { CHAINS = 8 };
    float low[CHAINS], high[CHAINS];
    for (size_t c = 0; c < CHAINS; c++) low[c] = high[c] = x[0];
    for (size_t i = 0; i + CHAINS <= n; i += CHAINS)
        for (size_t c = 0; c < CHAINS; c++) {
            low[c] = x[i + c] < low[c] ? x[i + c] : low[c];
            high[c] = x[i + c] > high[c] ? x[i + c] : high[c];
        }
    struct range r = {x[0], x[0]};
    for (size_t i = n / CHAINS * CHAINS; i < n; i++) {
        r.low = x[i] < r.low ? x[i] : r.low;
        r.high = x[i] > r.high ? x[i] : r.high;
    }
    for (size_t c = 0; c < CHAINS; c++) {
        r.low = low[c] < r.low ? low[c] : r.low;
        r.high = high[c] > r.high ? high[c] : r.high;
    }
    return r;
}

/* Raises r->low, which at least `want` of x[n] reach, by halving the range to r->high, which bounds
 * them, at most `steps` times. Returns how many reach it in the end, or n where nothing was
 * counted. */
static size_t raise_bound(const struct kernels *kn, const float *x, size_t n, size_t want,
                          struct range *r, unsigned steps) {
    size_t reach = n;
    float high = r->high;
    while (steps-- && reach > want) {
        float middle = 0.5f * r->low + 0.5f * high;
        if (!(middle > r->low && middle < high)) break;
        size_t count = kn->count_at_least(x, n, middle);
        if (count >= want)
            r->low = middle, reach = count;
        else
            high = middle;
    }
    return reach;
}

/* Writes the places of candidates to index: `want` or more of x[n], with the `want` largest among
 * them. Sets *r to a range that they lie in. Returns how many there are. */
static size_t candidates(const struct kernels *kn, const float *x, size_t n, size_t want,
                         uint32_t *index, struct range *r) {
    enum { COLUMNS_MOST = 8 * PICK_COLUMNS, STEPS = 6 };
    float most[COLUMNS_MOST];
    size_t cols = PICK_COLUMNS;
    while (cols < 3 * want && cols < COLUMNS_MOST) cols *= 2;
    if (cols < 3 * want || n < 2 * cols) {
        for (size_t i = 0; i < n; i++) index[i] = (uint32_t)i;
        *r = range_of(x, n);
        return n;
    }
    kn->column_most(most, x, n, cols);
    *r = range_of(most, cols);
    raise_bound(kn, most, cols, want, r, STEPS);
    return kn->find_at_least(index, x, n, r->low);
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

/* Keeps of index[n] those places whose numbers x[n], in the range r, are the `want` largest, of
 * equals the first. */
static void keep_largest(const struct kernels *kn, uint32_t *index, const float *x, size_t n,
                         size_t want, struct range r) {
    enum { STEPS = 30 };
    size_t kept = 0;
    if (n == want) return;
    if (raise_bound(kn, x, n, want, &r, STEPS) == want) {
        for (size_t i = 0; i < n; i++) { /* no branch, which could not be foreseen */
            index[kept] = index[i];
            kept += x[i] >= r.low;
        }
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
    struct range range;
    size_t found = candidates(kn, scores + begin, end - begin, r->best, best, &range);
    if (found < r->best) { /* some are NaN, which no bound finds */
        for (found = 0; found < end - begin; found++) best[found] = (uint32_t)found;
        range.low = range.high;
    }
    for (size_t i = 0; i < found; i++) w->numbers[i] = scores[begin + best[i]];
    keep_largest(kn, best, w->numbers, found, r->best, range);
    for (size_t i = 0; i < begin; i++) w->picked[i] = (uint32_t)i;
    for (size_t i = 0; i < r->best; i++) best[i] += (uint32_t)begin;
    for (size_t i = end; i < n; i++) *window++ = (uint32_t)i;
}

/* ---- answering ---- */

/* Returns the bytes of n rows of the copy. */
static size_t copy_bytes(const struct codec_head *copy, size_t n) {
    return n * copy->codec->ops->row_bytes(copy->codec, copy->head_dim, copy->head);
}

void refine_fetch(const struct refine *r, const uint8_t *keys, const struct refine_workspace *w,
                  size_t n_picked) {
    enum { LINE = 64 };
    const size_t row = r->key.apart;
    for (size_t i = 0; i < n_picked; i++) {
        const uint8_t *at = keys + w->picked[i] * row;
        for (size_t byte = 0; byte < row; byte += LINE) __builtin_prefetch(at + byte, 0, 2);
        __builtin_prefetch(at + row - 1, 0, 2);
    }
}

void refine_scores(const struct codec_head *copy, const uint8_t *keys, const float *q,
                   const struct refine_workspace *w, size_t n_picked, float *row,
                   struct attn_counters *count) {
    const struct kv_codec *ops = copy->codec->ops;
    if (!ops->picked_scores || !ops->picked_scores(copy, w->numbers, keys, w->picked, n_picked, q))
        for (size_t i = 0; i < n_picked; i++) {
            ops->decode(copy, row, keys, w->picked[i], 1);
            w->numbers[i] = 0;
            for (size_t d = 0; d < copy->head_dim; d++) w->numbers[i] += q[d] * row[d];
        }
    count->refined += copy_bytes(copy, n_picked);
}

float refine_join(const struct refine_workspace *w, const struct kernels *kn, size_t n_picked,
                  float scale, struct softmax_total tail) {
    float *p = w->numbers, sum = 0;
    for (size_t i = 0; i < n_picked; i++) p[i] *= scale;
    p[n_picked] = tail.most;
    kn->softmax(p, n_picked + 1, 1);
    p[n_picked] *= tail.sum;
    for (size_t i = 0; i <= n_picked; i++) sum += p[i];
    for (size_t i = 0; i <= n_picked; i++) p[i] /= sum;
    return p[n_picked];
}

void refine_mix(const struct codec_head *copy, const uint8_t *values,
                const struct refine_workspace *w, size_t n_picked, float *row, float *out,
                struct attn_counters *count) {
    const struct kv_codec *ops = copy->codec->ops;
    if (!ops->picked_mix || !ops->picked_mix(copy, out, values, w->picked, n_picked, w->numbers))
        for (size_t i = 0; i < n_picked; i++) {
            ops->decode(copy, row, values, w->picked[i], 1);
            for (size_t d = 0; d < copy->head_dim; d++) out[d] += w->numbers[i] * row[d];
        }
    count->refined += copy_bytes(copy, n_picked);
}
