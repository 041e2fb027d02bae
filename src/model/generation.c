/* The loop around the forward pass: the prompt goes in once, then each sample chooses a token,
 * hears that it was reported, and feeds it back. */
#include "model/generation.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/process.h"

/* One continuation at work. */
struct sample {
    struct rng rng;
    int32_t *history; /* [n_history] the prompt and what was chosen since */
    size_t n_history;
    bool done;
};

/* One call of generation_run. */
struct run {
    struct gpt2_session *s;
    const struct generation_params *p;
    const struct generation_events *events;
    struct generation_stats *stats;
    size_t n_vocab;  /* V */
    size_t n_tokens; /* how many of these may be chosen */
    struct sampler sampler;
    struct sample *samples; /* [n_samples] */
    float *logits; /* [rows][V], with rows for all samples and for a batch of an echoed prompt */
    struct candidate *top, *work; /* [V] each */
    struct gpt2_row *rows;        /* [n_samples] */
    struct arena arena;
};

/* The rows of an echoed prompt whose logits are held at once. Each of them takes V floats. */
enum { ECHO_ROWS = 16 };

/* Takes the memory of a run, and puts the prompt before each sample. */
static int run_init(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    struct arena *a = &r->arena;
    size_t rows = r->p->n_samples > ECHO_ROWS ? r->p->n_samples : ECHO_ROWS;
    r->logits = arena_alloc(a, rows, r->n_vocab * sizeof(float));
    r->top = arena_alloc(a, r->n_vocab, sizeof *r->top);
    r->work = arena_alloc(a, r->n_vocab, sizeof *r->work);
    r->rows = arena_alloc(a, r->p->n_samples, sizeof *r->rows);
    r->samples = arena_zalloc(a, r->p->n_samples, sizeof *r->samples);
    bool ok = r->logits && r->top && r->work && r->rows && r->samples &&
              sampler_init(&r->sampler, &r->p->sampler, r->n_vocab, a);
    for (uint32_t i = 0; ok && i < r->p->n_samples; i++) {
        struct sample *x = &r->samples[i];
        x->history = arena_alloc(a, n + r->p->limit, sizeof *x->history);
        rng_seed(&x->rng, r->p->seed, i);
        ok = x->history != NULL;
        if (!ok) break;
        memcpy(x->history, prompt, n * sizeof *prompt);
        x->n_history = n;
    }
    return ok ? OK
              : err_set(e, ERR_FAILED, "out of memory for %u samples of %zu tokens",
                        r->p->n_samples, n + r->p->limit);
}

/* Reports token id, which was chosen or given after logits[V]. They are NULL for the first token,
 * which nothing foretold. */
static int report(struct run *r, uint32_t sample, bool prompt, int32_t id, const float *logits,
                  struct err *e) {
    struct generation_step step = {.sample = sample, .prompt = prompt, .id = id};
    if (r->p->logprobs && logits) {
        step.n_top = r->p->n_top < r->n_tokens ? r->p->n_top : r->n_tokens;
        step.logprob = logits[id] - logprobs_top(logits, r->n_vocab, r->p->sampler.never, r->top,
                                                 step.n_top, r->work);
        step.has_logprob = true;
        step.top = r->top;
    }
    return r->events->step(r->events->ctx, &step, e);
}

/* Runs the prompt, and reports each token of it with the probability that the model gave it. The
 * last logits are left in r->logits[0]. */
static int prefill_echoed(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    size_t batch = ECHO_ROWS < r->s->max_rows ? ECHO_ROWS : r->s->max_rows;
    int rc = report(r, 0, true, prompt[0], NULL, e);
    for (size_t done = 0; done < n && !rc;) {
        struct gpt2_row rows[ECHO_ROWS];
        size_t take = n - done < batch ? n - done : batch;
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        for (size_t i = 0; i < take; i++)
            rows[i] = (struct gpt2_row){
                .pos = (uint32_t)(done + i), .token = prompt[done + i], .logits = true};
        rc = gpt2_forward(r->s, rows, take, r->logits, e);
        for (size_t i = 0; i < take && !rc; i++)
            rc = gpt2_check_logits(r->s, &rows[i], r->logits + i * r->n_vocab, e);
        for (size_t i = 0; i < take && !rc && done + i + 1 < n; i++)
            rc = report(r, 0, true, prompt[done + i + 1], r->logits + i * r->n_vocab, e);
        done += take;
        if (done == n)
            memmove(r->logits, r->logits + (take - 1) * r->n_vocab, r->n_vocab * sizeof(float));
        progress_tell(r->events->prefill, done, n);
    }
    return rc;
}

/* Runs the prompt in large batches, and leaves the last logits in r->logits[0]. */
static int prefill_plain(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    for (size_t done = 0; done < n;) {
        size_t take = n - done < r->s->max_rows ? n - done : r->s->max_rows;
        int rc = gpt2_prefill(r->s, 0, prompt + done, take, done + take == n ? r->logits : NULL, e);
        if (rc) return rc;
        done += take;
        progress_tell(r->events->prefill, done, n);
    }
    return OK;
}

/* Runs the prompt once. The other samples begin with a copy of its state. */
static int prefill(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    int rc = r->p->echo ? prefill_echoed(r, prompt, n, e) : prefill_plain(r, prompt, n, e);
    for (uint32_t i = 1; i < r->p->n_samples && !rc; i++) {
        gpt2_fork(r->s, i, 0, (uint32_t)n);
        memcpy(r->logits + i * r->n_vocab, r->logits, r->n_vocab * sizeof(float));
    }
    return rc;
}

/* Sample i is done. */
static void stop(struct run *r, uint32_t i, enum generation_stop why) {
    r->samples[i].done = true;
    r->events->stopped(r->events->ctx, i, why);
}

/* Chooses a token for each sample that goes on, and writes the rows of the next batch. Returns how
 * many rows it has, or -1 on an error. */
static long choose(struct run *r, size_t produced, struct err *e) {
    size_t n_rows = 0, at = 0;
    for (uint32_t i = 0; i < r->p->n_samples; i++) {
        struct sample *x = &r->samples[i];
        if (x->done) continue;
        const float *logits = r->logits + at++ * r->n_vocab; /* as the batch before was */
        const struct gpt2_row last = {
            .seq = i, .pos = (uint32_t)x->n_history - 1, .token = x->history[x->n_history - 1]};
        if (gpt2_check_logits(r->s, &last, logits, e)) return -1;
        int32_t banned = r->p->ignore_eos ? r->p->eos : -1;
        int32_t id = sampler_next(&r->sampler, &x->rng, logits, x->history, x->n_history, banned);
        r->stats->tokens++;
        if (id == r->p->eos) {
            stop(r, i, STOP_EOS);
            continue;
        }
        if (report(r, i, false, id, logits, e)) return -1;
        x->history[x->n_history++] = id;
        if (produced + 1 == r->p->limit) {
            stop(r, i, STOP_LENGTH);
            continue;
        }
        r->rows[n_rows++] = (struct gpt2_row){
            .seq = i, .pos = (uint32_t)x->n_history - 1, .token = id, .logits = true};
    }
    return (long)n_rows;
}

/* Chooses and runs tokens until every sample is done. */
static int decode(struct run *r, struct err *e) {
    for (size_t produced = 0; produced < r->p->limit; produced++) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        long n = choose(r, produced, e);
        if (n < 0) return e->code;
        if (n == 0) return OK;
        int rc = gpt2_forward(r->s, r->rows, (size_t)n, r->logits, e);
        if (rc) return rc;
        r->stats->decoded += (size_t)n;
    }
    return OK;
}

int generation_run(struct gpt2_session *s, const int32_t *prompt, size_t n,
                   const struct generation_params *p, const struct generation_events *events,
                   struct generation_stats *stats, struct err *e) {
    struct run r = {
        .s = s, .p = p, .events = events, .stats = stats, .n_vocab = s->w->config.n_vocab};
    *stats = (struct generation_stats){.prompt_tokens = n};
    for (size_t i = 0; i < r.n_vocab; i++) r.n_tokens += !p->sampler.never || !p->sampler.never[i];
    double start = clock_now();
    int rc = run_init(&r, prompt, n, e);
    if (!rc) rc = prefill(&r, prompt, n, e);
    double middle = clock_now();
    if (!rc && p->limit == 0)
        for (uint32_t i = 0; i < p->n_samples; i++) stop(&r, i, STOP_LENGTH);
    if (!rc) rc = decode(&r, e);
    stats->prefill_s = middle - start;
    stats->decode_s = clock_now() - middle;
    arena_free(&r.arena);
    return rc;
}
