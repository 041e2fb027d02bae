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

/* Turns the scores in w->probs into probabilities. Zeros follow up to a whole block, because codecs
 * mix whole blocks. */
static void probabilities(const struct decode_query *d, const struct decode_workspace *w) {
    float scale = 1.0f / sqrtf((float)d->a->shape.head_dim);
    for (size_t t = 0; t < d->n; t++) w->probs[t] *= scale;
    if (d->probe) memcpy(w->scores, w->probs, d->n * sizeof *w->probs);
    d->a->kn->softmax(w->probs, d->n);
    memset(w->probs + d->n, 0, (decode_padded(d->n) - d->n) * sizeof *w->probs);
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

/* Sets d->out[D] to the values mixed by the probabilities in w->probs. */
static void mix(const struct decode_query *d, const struct decode_workspace *w,
                struct attn_counters *count) {
    struct codec_head value = state_value_head(d->a, d->layer, d->head);
    const struct kv_codec *ops = value.codec->ops;
    const struct attn_timeline *y = &d->a->layers[d->layer].values[d->head];
    const uint8_t *timeline = (const uint8_t *)d->state + y->at;
    memset(d->out, 0, value.head_dim * sizeof *d->out);
    if (ops->start) ops->start(&value, w->codec);
    if (value.codec->o.skip > 0)
        mix_most(&value, w, d->out, timeline, d->n, count);
    else
        ops->mix(&value, w->codec, d->out, timeline, w->probs, d->n, count);
    if (ops->finish) ops->finish(&value, w->codec, d->out, count);
}

/* Shows the answered query to the probe. */
static void show(const struct decode_query *d, const struct decode_workspace *w) {
    struct attn_row row = {.layer = d->layer,
                           .head = d->head,
                           .query = d->number,
                           .n_keys = d->n,
                           .q = d->q,
                           .scores = w->scores,
                           .probs = w->probs,
                           .out = d->out};
    d->probe->row(d->probe->ctx, &row);
}

void decode_attend(const struct decode_query *d, const struct decode_workspace *w,
                   struct attn_counters *count) {
    const struct attn *a = d->a;
    const struct attn_layer *y = &a->layers[d->layer];
    const struct attn_timeline *values = &y->values[d->head];
    const uint8_t *state = d->state;
    struct codec_head key = state_key_head(a, d->layer, d->head);
    const struct kv_codec *ops = key.codec->ops;

    fetch_first(state + values->at, d->n * values->row);
    double last = stopwatch(a);
    ops->prepare(&key, w->codec, d->q, count);
    lap(a, ATTN_PREPARE, &last);
    ops->score(&key, w->codec, w->probs, state + y->keys[d->head].at, d->n, count);
    if (d->exact) exact_score(d->exact, &key, d->q, d->n, w->probs, w->codec, w->scores, count);
    lap(a, ATTN_SCORE, &last);
    probabilities(d, w);
    lap(a, ATTN_SOFTMAX, &last);
    mix(d, w, count);
    lap(a, ATTN_MIX, &last);
    if (d->probe) show(d, w);
}
