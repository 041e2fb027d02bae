/* The filters and the draw. Nothing sorts the whole vocabulary: the best logits come from a heap,
 * one by one, until a filter says that there are enough. */
#include "model/sampler.h"

#include <math.h>

bool sampler_init(struct sampler *s, const struct sampler_params *p, size_t n_vocab,
                  struct arena *a) {
    *s = (struct sampler){.p = *p, .n_vocab = n_vocab};
    s->heap = arena_alloc(a, n_vocab, sizeof *s->heap);
    s->sorted = arena_alloc(a, n_vocab, sizeof *s->sorted);
    s->weight = arena_alloc(a, n_vocab, sizeof *s->weight);
    return s->heap && s->sorted && s->weight;
}

/* Does a come before b? A higher logit comes first, and of equals the lower id. */
static bool before(struct candidate a, struct candidate b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Puts heap[i] where it belongs below i, in a heap with the best candidate on top, or the worst. */
static inline void sift_down(struct candidate *heap, size_t n, size_t i, bool best_on_top) {
    struct candidate moving = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child]) == best_on_top) child++;
        if (before(heap[child], moving) != best_on_top) break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

/* Puts heap[n] in order. */
static inline void heap_build(struct candidate *heap, size_t n, bool best_on_top) {
    for (size_t i = n / 2; i-- > 0;) sift_down(heap, n, i, best_on_top);
}

/* Takes the top off a heap of *n, which becomes one shorter. */
static inline struct candidate heap_take(struct candidate *heap, size_t *n, bool best_on_top) {
    struct candidate top = heap[0];
    heap[0] = heap[--*n];
    if (*n) sift_down(heap, *n, 0, best_on_top);
    return top;
}

/* best[k] = the k <= n best of all[n], best first; all is reordered. The k best so far are a heap
 * with the worst of them on top: nearly all the others are compared with it and no more. */
static void take_best(struct candidate *all, size_t n, struct candidate *best, size_t k) {
    heap_build(all, k, false);
    for (size_t i = k; i < n && k; i++) {
        if (!before(all[i], all[0])) continue;
        all[0] = all[i];
        sift_down(all, k, 0, false);
    }
    for (size_t left = k; left;) {
        size_t last = left - 1;
        best[last] = heap_take(all, &left, false);
    }
}

/* Applies the penalty for repetition to s->heap[V], once to each of the recent tokens, however
 * often it came. history has n tokens. */
static void penalise(struct sampler *s, const int32_t *history, size_t n) {
    size_t last =
        s->p.repeat_last_n < 0 || (size_t)s->p.repeat_last_n > n ? n : (size_t)s->p.repeat_last_n;
    if (s->p.repeat_penalty == 1.0) return;
    for (size_t i = n - last; i < n; i++) {
        bool seen = false;
        for (size_t j = n - last; j < i && !seen; j++) seen = history[j] == history[i];
        if (seen) continue;
        float *logit = &s->heap[history[i]].logit;
        *logit =
            *logit > 0 ? *logit / (float)s->p.repeat_penalty : *logit * (float)s->p.repeat_penalty;
    }
}

/* Takes candidates into s->sorted, best first, until top-k, top-p or min-p says that there are
 * enough. Returns how many there are. */
static size_t keep_best(struct sampler *s) {
    size_t V = s->n_vocab, left = V, n = 0,
           k = s->p.top_k > 0 && (size_t)s->p.top_k < V ? (size_t)s->p.top_k : V;
    double total = 0, kept = 0;
    if (k < V)
        take_best(s->heap, V, s->sorted, k);
    else
        heap_build(s->heap, V, true); /* most of it never comes off */
    double best = k < V ? s->sorted[0].logit : s->heap[0].logit;
    for (size_t i = 0; i < k; i++) total += exp((k < V ? s->sorted[i] : s->heap[i]).logit - best);
    for (; n < k; n++) {
        if (k == V) s->sorted[n] = heap_take(s->heap, &left, true);
        double p = exp(s->sorted[n].logit - best); /* relative to the best one */
        if (n > 0 && s->sorted[n].logit == -INFINITY)
            break; /* it must not come at any temperature */
        if (n > 0 && ((s->p.top_p < 1 && kept >= s->p.top_p * total) || p < s->p.min_p)) break;
        kept += p;
    }
    return n;
}

int32_t sampler_next(struct sampler *s, struct rng *rng, const float *logits,
                     const int32_t *history, size_t n, int32_t banned) {
    bool none = false; /* is one of them NaN? */
    for (size_t i = 0; i < s->n_vocab; i++) {
        s->heap[i] = (struct candidate){(int32_t)i, logits[i]};
        none |= logits[i] != logits[i];
    }
    if (none) return -1;
    penalise(s, history, n);
    if (banned >= 0 && (size_t)banned < s->n_vocab) s->heap[banned].logit = -INFINITY;
    for (size_t i = 0; s->p.never && i < s->n_vocab; i++)
        if (s->p.never[i]) s->heap[i].logit = -INFINITY;
    if (s->p.temp <= 0) {
        struct candidate best = s->heap[0];
        for (size_t i = 1; i < s->n_vocab; i++)
            if (s->heap[i].logit > best.logit) best = s->heap[i];
        return best.id;
    }
    size_t kept = keep_best(s);
    double total = 0;
    for (size_t i = 0; i < kept; i++)
        total += s->weight[i] = exp(((double)s->sorted[i].logit - s->sorted[0].logit) / s->p.temp);
    double u = rng_double(rng) * total;
    for (size_t i = 0; i + 1 < kept; i++) {
        if (u < s->weight[i]) return s->sorted[i].id;
        u -= s->weight[i];
    }
    return s->sorted[kept - 1].id;
}

double logprobs_top(const float *logits, size_t n_vocab, const uint8_t *never,
                    struct candidate *out, size_t k, struct candidate *work) {
    double best = logits[0], sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        if (!never || !never[i]) work[n++] = (struct candidate){(int32_t)i, logits[i]};
        if (logits[i] > best) best = logits[i];
    }
    for (size_t i = 0; i < n_vocab; i++) sum += exp(logits[i] - best);
    double log_sum = best + log(sum);
    take_best(work, n, out, k);
    for (size_t i = 0; i < k; i++) out[i].logit = (float)(out[i].logit - log_sum);
    return log_sum;
}
