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
    struct draft draft;           /* where stats->drafts */
    struct arena arena;
};

/* The rows of an echoed prompt whose logits are held at once. Each of them takes V floats. */
enum { ECHO_ROWS = 16 };
_Static_assert((int)ECHO_ROWS >= 1 + (int)DRAFT_MOST, "drafts need the logits of as many rows");

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
        rng_seed(&x->rng, r->p->seed, r->p->stream + i);
        ok = x->history != NULL;
        if (!ok) break;
        memcpy(x->history, prompt, n * sizeof *prompt);
        x->n_history = n;
    }
    if (ok && r->stats->drafts)
        ok = draft_init(&r->draft, &r->p->draft, r->samples[0].history, n + r->p->limit, a);
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

/* Runs the prompt, and reports each token of it with the probability that the model gave it. Of
 * tokens that were held, and of the one behind them, the logits are not known any more. The last
 * logits are left in r->logits[0]. */
static int prefill_echoed(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    size_t batch = ECHO_ROWS < r->s->max_rows ? ECHO_ROWS : r->s->max_rows;
    int rc = OK;
    for (size_t i = 0; i <= r->p->held && !rc; i++) rc = report(r, 0, true, prompt[i], NULL, e);
    for (size_t done = r->p->held; done < n && !rc;) {
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
    for (size_t done = r->p->held; done < n;) {
        size_t take = n - done < r->s->max_rows ? n - done : r->s->max_rows;
        int rc = gpt2_prefill(r->s, 0, prompt + done, take, done + take == n ? r->logits : NULL, e);
        if (rc) return rc;
        done += take;
        progress_tell(r->events->prefill, done, n);
    }
    return OK;
}

/* Reports a prompt that is held as a whole, and takes over its logits. */
static int prefill_held(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < n && r->p->echo && !rc; i++) rc = report(r, 0, true, prompt[i], NULL, e);
    memcpy(r->logits, r->p->logits, r->n_vocab * sizeof(float));
    progress_tell(r->events->prefill, n, n);
    return rc;
}

/* Runs what is not held of the prompt, once. The other samples begin with a copy of its state. */
static int prefill(struct run *r, const int32_t *prompt, size_t n, struct err *e) {
    const size_t held = r->p->held, stored = r->s->length[0];
    const bool whole = held == n && r->p->logits;
    if (held >= n && !whole)
        return err_set(e, ERR_USAGE,
                       "%zu of %zu tokens of the prompt are held: none is left to run", held, n);
    if (stored != held)
        return err_set(e, ERR_USAGE,
                       "%zu tokens of the prompt are said to be held, but there are %zu", held,
                       stored);
    int rc = whole        ? prefill_held(r, prompt, n, e)
             : r->p->echo ? prefill_echoed(r, prompt, n, e)
                          : prefill_plain(r, prompt, n, e);
    if (!rc && r->events->prompt) rc = r->events->prompt(r->events->ctx, r->logits, e);
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

/* Chooses the token after logits[V] of sample i, and reports it. With it, or before it, the sample
 * may end. */
static int choose(struct run *r, uint32_t i, const float *logits, struct err *e) {
    struct sample *x = &r->samples[i];
    const struct gpt2_row last = {
        .seq = i, .pos = (uint32_t)x->n_history - 1, .token = x->history[x->n_history - 1]};
    if (gpt2_check_logits(r->s, &last, logits, e)) return e->code;
    int32_t banned = r->p->ignore_eos ? r->p->eos : -1;
    int32_t id = sampler_next(&r->sampler, &x->rng, logits, x->history, x->n_history, banned);
    r->stats->tokens++;
    if (id == r->p->eos) {
        stop(r, i, STOP_EOS);
        return OK;
    }
    if (report(r, i, false, id, logits, e)) return e->code;
    x->history[x->n_history++] = id;
    if (r->events->ends && r->events->ends(r->events->ctx, i, id))
        stop(r, i, STOP_ASKED);
    else if (x->n_history == r->stats->prompt_tokens + r->p->limit)
        stop(r, i, STOP_LENGTH);
    return OK;
}

/* The row of a sample's last token. */
static struct gpt2_row last_row(const struct run *r, uint32_t i) {
    const struct sample *x = &r->samples[i];
    return (struct gpt2_row){.seq = i,
                             .pos = (uint32_t)x->n_history - 1,
                             .token = x->history[x->n_history - 1],
                             .logits = true};
}

/* Runs a batch of n rows, of which the logits become r->logits. */
static int run_rows(struct run *r, const struct gpt2_row *rows, size_t n, struct err *e) {
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    int rc = gpt2_forward(r->s, rows, n, r->logits, e);
    if (!rc) r->stats->steps++;
    return rc;
}

/* Chooses and runs tokens until every sample is done. */
static int decode(struct run *r, struct err *e) {
    for (;;) {
        size_t n = 0, at = 0;
        for (uint32_t i = 0; i < r->p->n_samples; i++) {
            if (r->samples[i].done) continue;
            /* The logits are in the order of the batch before. */
            if (choose(r, i, r->logits + at++ * r->n_vocab, e)) return e->code;
            if (!r->samples[i].done) r->rows[n++] = last_row(r, i);
        }
        if (n == 0) return OK;
        int rc = run_rows(r, r->rows, n, e);
        if (rc) return rc;
        r->stats->decoded += n;
    }
}

/* ---- drafts ---- */

/* Chooses tokens after the rows of a batch, of which the first is the last token's and the others
 * those of n proposals, until one is not what was proposed. Sets *kept to how many were. */
static int check(struct run *r, const int32_t *proposed, size_t n, size_t *kept, struct err *e) {
    struct sample *x = &r->samples[0];
    for (*kept = 0;; ++*kept) {
        int rc = choose(r, 0, r->logits + *kept * r->n_vocab, e);
        if (rc || x->done) return rc;
        if (*kept == n || x->history[x->n_history - 1] != proposed[*kept]) return OK;
    }
}

/* Returns how many tokens are proposed: never as many as the sample may still have, because the
 * last of them is not run, and none from the end of the text on. */
static size_t propose(struct run *r, int32_t proposed[DRAFT_MOST]) {
    const size_t n = r->samples[0].n_history;
    size_t most = r->stats->prompt_tokens + r->p->limit - n - 1, found, k = 0;
    if (most > r->s->max_rows - 1) most = r->s->max_rows - 1;
    if (most > r->s->take_back) most = r->s->take_back;
    draft_read(&r->draft, n);
    found = draft_propose(&r->draft, most, proposed);
    while (k < found && proposed[k] != r->p->eos) k++;
    return k;
}

/* Does what decode does for one sample, with drafts. */
static int decode_drafts(struct run *r, struct err *e) {
    struct sample *x = &r->samples[0];
    int32_t proposed[DRAFT_MOST];
    struct gpt2_row rows[1 + DRAFT_MOST];
    size_t n = 0, kept = 0;
    double seconds = 0;
    for (;;) {
        int rc = check(r, proposed, n, &kept, e);
        r->stats->kept += kept;
        r->stats->decoded += kept;
        if (rc || x->done) return rc;
        if (r->stats->steps) draft_tell(&r->draft, n, kept, seconds);
        gpt2_rewind(r->s, 0, (uint32_t)x->n_history - 1);
        n = propose(r, proposed);
        rows[0] = last_row(r, 0);
        for (size_t i = 0; i < n; i++) {
            rows[i + 1] = rows[i];
            rows[i + 1].pos++, rows[i + 1].token = proposed[i];
        }
        double start = clock_now();
        rc = run_rows(r, rows, 1 + n, e);
        if (rc) return rc;
        seconds = clock_now() - start;
        r->stats->decoded++;
        r->stats->proposed += n;
    }
}

int generation_run(struct gpt2_session *s, const int32_t *prompt, size_t n,
                   const struct generation_params *p, const struct generation_events *events,
                   struct generation_stats *stats, struct err *e) {
    struct run r = {
        .s = s, .p = p, .events = events, .stats = stats, .n_vocab = s->w->config.n_vocab};
    *stats = (struct generation_stats){.prompt_tokens = n,
                                       .held = p->held,
                                       .drafts = p->draft.most && p->n_samples == 1 &&
                                                 s->take_back && s->max_rows > 1};
    for (size_t i = 0; i < r.n_vocab; i++) r.n_tokens += !p->sampler.never || !p->sampler.never[i];
    double start = clock_now();
    int rc = run_init(&r, prompt, n, e);
    if (!rc) rc = prefill(&r, prompt, n, e);
    double middle = clock_now();
    if (!rc && p->limit == 0)
        for (uint32_t i = 0; i < p->n_samples; i++) stop(&r, i, STOP_LENGTH);
    else if (!rc)
        rc = stats->drafts ? decode_drafts(&r, e) : decode(&r, e);
    stats->prefill_s = middle - start;
    stats->decode_s = clock_now() - middle;
    arena_free(&r.arena);
    return rc;
}
