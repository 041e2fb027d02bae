/* The four stages of one query, in order, each with the seconds that it takes. */
#include "attention/decode.h"

#include <math.h>
#include <string.h>

#include "attention/skip.h"
#include "attention/state.h"
#include "base/process.h"
#include "base/size.h"

size_t decode_padded(size_t n) { return size_align(n, KV_BLOCK_MAX); }

/* Returns the time now, or 0 where nobody asked for times: reading the clock costs as much as some
 * keys. */
static double stopwatch(const struct attn *a) { return a->stage_s ? clock_now() : 0; }

/* Adds the time since *last to a stage, and sets *last to now. */
static void lap(const struct attn *a, enum attn_stage stage, double *last) {
    if (!a->stage_s) return;
    double now = clock_now();
    a->stage_s[stage] += now - *last;
    *last = now;
}

/* Asks for the beginning of a timeline, so that it is on its way while something else is worked on.
 * Kernels fetch ahead from there on. */
static void fetch_first(const uint8_t *timeline, size_t bytes) {
    enum { MOST = 8192, LINE = 64 };
    for (size_t i = 0; i < bytes && i < MOST; i += LINE) __builtin_prefetch(timeline + i, 0, 2);
}

static float score_scale(const struct decode_query *d) {
    return 1.0f / sqrtf((float)d->a->shape.head_dim);
}

/* Turns the scores in w->probs into probabilities. Zeros follow up to a whole block, because codecs
 * mix whole blocks. */
static struct softmax_total probabilities(const struct decode_query *d,
                                          const struct decode_workspace *w) {
    float scale = score_scale(d);
    for (size_t t = 0; d->probe && t < d->n; t++) w->scores[t] = w->probs[t] * scale;
    struct softmax_total total = d->a->kn->softmax(w->probs, d->n, scale);
    memset(w->probs + d->n, 0, (decode_padded(d->n) - d->n) * sizeof *w->probs);
    return total;
}

/* Adds to out[D] the sum of n rows weighted by w->probs, without the blocks of rows that skip.h
 * chooses. Blocks that follow each other are mixed by one call. */
static void mix_most(const struct codec_head *value, const struct decode_workspace *w, float *out,
                     const uint8_t *timeline, size_t n, struct attn_counters *count) {
    const struct codec *c = value->codec;
    struct kv_layout layout = codec_layout(c, value->head_dim, value->head);
    size_t rows = skip_rows(&layout), blocks = (n + rows - 1) / rows;
    double mass = skip_choose(w->marks, w->probs, n, rows, c->o.skip);
    count->skipped_mass += (uint64_t)(mass * SKIP_MASS_UNIT);
    for (size_t first = 0, next; first < blocks; first = next) {
        bool skip = w->marks[first] < 0;
        for (next = first + 1; next < blocks && (w->marks[next] < 0) == skip; next++) {}
        size_t begin = first * rows, end = next < blocks ? next * rows : n;
        if (skip)
            count->skipped_rows += end - begin;
        else
            c->ops->mix(value, w->codec, out, timeline + begin / layout.rows * layout.bytes,
                        w->probs + begin, end - begin, count);
    }
}

/* Sets d->out[D] to the values mixed by the probabilities in w->probs, as the value codec has them.
 */
static void mix_all(const struct decode_query *d, const struct decode_workspace *w,
                    const struct read_rows *rows, struct attn_counters *count) {
    const struct codec_head *value = &rows->value;
    const struct kv_codec *ops = value->codec->ops;
    const uint8_t *timeline = (const uint8_t *)d->state + rows->values->at;
    memset(d->out, 0, value->head_dim * sizeof *d->out);
    if (ops->start) ops->start(value, w->codec);
    if (value->codec->o.skip > 0)
        mix_most(value, w, d->out, timeline, d->n, count);
    else
        ops->mix(value, w->codec, d->out, timeline, w->probs, d->n, count);
    if (ops->finish) ops->finish(value, w->codec, d->out, count);
}

/* ---- refining ---- */

/* Returns how many rows the query picks; 0 where none are picked, or simply all are read. */
static size_t picked_rows(const struct decode_query *d) {
    const struct refine *r = &d->a->layers[d->layer].refine;
    return refine_any(r) && !r->all ? refine_count(r, d->n) : 0;
}

/* Picks rows by the scores in w->probs, which are from codes, and asks for them. */
static void pick(const struct decode_query *d, const struct decode_workspace *w,
                 const struct codec_head *key, size_t n_picked) {
    const struct attn_layer *y = &d->a->layers[d->layer];
    const uint8_t *copies = (const uint8_t *)d->state + y->key_copies[d->head].at;
    exact_center_scores(key, d->q, w->probs, d->n);
    refine_pick(&y->refine, d->a->kn, w->probs, d->n, &w->refine);
    refine_fetch(&y->refine, copies, &w->refine, n_picked);
}

/* Sets w->refine.numbers to the exact scores of the picked rows. */
static void score_picked(const struct decode_query *d, const struct decode_workspace *w,
                         size_t n_picked, struct attn_counters *count) {
    struct codec_head copy = state_key_copy_head(d->a, d->layer, d->head);
    const struct attn_timeline *y = &d->a->layers[d->layer].key_copies[d->head];
    refine_scores(&copy, (const uint8_t *)d->state + y->at, d->q, &w->refine, n_picked, w->codec,
                  count);
}

/* Adds to d->out[D] the picked values from the copy, weighted by w->refine.numbers. */
static void mix_picked(const struct decode_query *d, const struct decode_workspace *w,
                       size_t n_picked, struct attn_counters *count) {
    struct codec_head copy = state_value_copy_head(d->a, d->layer, d->head);
    const struct attn_timeline *y = &d->a->layers[d->layer].value_copies[d->head];
    refine_mix(&copy, (const uint8_t *)d->state + y->at, &w->refine, n_picked, w->codec, d->out,
               count);
}

/* Answers a query that picks every row: the codes are not read. */
static void attend_all_picked(const struct decode_query *d, const struct decode_workspace *w,
                              double *last, struct attn_counters *count) {
    refine_pick(&d->a->layers[d->layer].refine, d->a->kn, w->probs, d->n, &w->refine);
    score_picked(d, w, d->n, count);
    memcpy(w->probs, w->refine.numbers, d->n * sizeof *w->probs);
    lap(d->a, ATTN_SCORE, last);
    probabilities(d, w);
    lap(d->a, ATTN_SOFTMAX, last);
    memcpy(w->refine.numbers, w->probs, d->n * sizeof *w->probs);
    memset(d->out, 0, d->a->shape.head_dim * sizeof *d->out);
    mix_picked(d, w, d->n, count);
}

/* Writes the scores and probabilities of all rows for the probe. w->probs has those of the tail
 * alone, and w->scores the products of picked rows. */
static void join_for_probe(const struct decode_query *d, const struct decode_workspace *w,
                           size_t n_picked, float tail) {
    for (size_t t = 0; t < d->n; t++) w->probs[t] *= tail;
    for (size_t i = 0; i < n_picked; i++) {
        w->scores[w->refine.picked[i]] *= score_scale(d);
        w->probs[w->refine.picked[i]] = w->refine.numbers[i];
    }
}

/* ---- the whole ---- */

/* Returns the first place of the largest of x[n]. */
static size_t place_of_most(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Sets w->probs to the products of the query with all keys, from their codes, and where they are
 * kept from exact keys. */
static void score(const struct decode_query *d, const struct decode_workspace *w,
                  const struct read_rows *rows, double *last, struct attn_counters *count) {
    const struct codec_head *key = &rows->key;
    const struct kv_codec *ops = key->codec->ops;
    ops->prepare(key, w->codec, d->q, count);
    lap(d->a, ATTN_PREPARE, last);
    ops->score(key, w->codec, w->probs, (const uint8_t *)d->state + rows->keys->at, d->n, count);
    if (d->exact) exact_score(d->exact, key, d->q, d->n, w->probs, w->codec, w->scores, count);
}

/* Answers a query that picks rows, but not all: first the tail, then the picked rows, which have
 * come from memory meanwhile. Their stage is MIX. Returns what the probe is told: the position of
 * the best score from codes. */
static size_t attend_picked(const struct decode_query *d, const struct decode_workspace *w,
                            const struct read_rows *rows, size_t n_picked, double *last,
                            struct attn_counters *count) {
    struct attn_counters tail = {0};
    size_t best = 0;
    score(d, w, rows, last, count);
    if (d->probe) best = place_of_most(w->probs, d->n);
    pick(d, w, &rows->key, n_picked);
    lap(d->a, ATTN_SCORE, last);
    for (size_t i = 0; i < n_picked; i++) w->probs[w->refine.picked[i]] = -INFINITY;
    struct softmax_total total = probabilities(d, w);
    lap(d->a, ATTN_SOFTMAX, last);
    mix_all(d, w, rows, &tail);
    score_picked(d, w, n_picked, count);
    if (d->probe)
        for (size_t i = 0; i < n_picked; i++) w->scores[w->refine.picked[i]] = w->refine.numbers[i];
    float share = refine_join(&w->refine, d->a->kn, n_picked, score_scale(d), total);
    for (size_t i = 0; i < d->a->shape.head_dim; i++) d->out[i] *= share;
    mix_picked(d, w, n_picked, count);
    /* A share of the whole, not of the tail; none where the answer is NaN. */
    tail.skipped_mass = share > 0 ? (uint64_t)((double)tail.skipped_mass * (double)share) : 0;
    attn_counters_add(count, &tail);
    if (d->probe) join_for_probe(d, w, n_picked, share);
    return best;
}

/* Answers a query from the codecs' rows alone. */
static void attend_rows(const struct decode_query *d, const struct decode_workspace *w,
                        const struct read_rows *rows, double *last, struct attn_counters *count) {
    score(d, w, rows, last, count);
    lap(d->a, ATTN_SCORE, last);
    probabilities(d, w);
    lap(d->a, ATTN_SOFTMAX, last);
    mix_all(d, w, rows, count);
}

/* Shows the answered query to the probe. */
static void show(const struct decode_query *d, const struct decode_workspace *w, size_t n_picked,
                 size_t best_coded) {
    struct attn_row row = {.layer = d->layer,
                           .head = d->head,
                           .query = d->number,
                           .n_keys = d->n,
                           .q = d->q,
                           .scores = w->scores,
                           .probs = w->probs,
                           .out = d->out,
                           .picked = w->refine.picked,
                           .n_picked = n_picked,
                           .best_coded = best_coded};
    d->probe->row(d->probe->ctx, &row);
}

void decode_attend(const struct decode_query *d, const struct decode_workspace *w,
                   struct attn_counters *count) {
    const struct attn *a = d->a;
    struct read_rows rows = state_read_rows(a, d->layer, d->head);
    struct attn_counters own = {0}, *counted = rows.copy ? &own : count;
    size_t n_picked = picked_rows(d), best_coded = 0;
    if (n_picked < d->n)
        fetch_first((const uint8_t *)d->state + rows.values->at, d->n * rows.values->row);
    if (n_picked < d->n && rows.value.codec->ops->fetch) rows.value.codec->ops->fetch(&rows.value);
    double last = stopwatch(a);
    if (!n_picked)
        attend_rows(d, w, &rows, &last, counted);
    else if (n_picked < d->n)
        best_coded = attend_picked(d, w, &rows, n_picked, &last, count);
    else
        attend_all_picked(d, w, &last, count);
    lap(a, ATTN_MIX, &last);
    count->refined += attn_counters_total(&own);
    if (d->probe) show(d, w, n_picked, best_coded);
}
