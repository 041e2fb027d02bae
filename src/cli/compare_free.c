/* Runs free mode for lookat compare: every backend continues the same prompts by itself. What the
 * texts are then compared by is measure/. */
#include "cli/compare_free.h"

#include <math.h>
#include <string.h>

#include "model/generation.h"

size_t compare_free_prompt(size_t window) {
    return window / 2 < FREE_PROMPT ? window / 2 : FREE_PROMPT;
}

struct writing {
    int32_t *ids;     /* [room] */
    double *logprobs; /* [room] */
    size_t n;
};

static int on_step(void *ctx, const struct generation_step *step, struct err *e) {
    struct writing *w = ctx;
    (void)e;
    w->logprobs[w->n] = step->has_logprob ? step->logprob : NAN;
    w->ids[w->n++] = step->id;
    return OK;
}
static void on_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    (void)ctx, (void)sample, (void)why;
}

static int write_one(const struct engine *g, const struct compare_report *r, const char *spec,
                     const int32_t *prompt, struct writing *w, struct err *e) {
    const struct comparison *c = r->main;
    size_t room = c->window - r->n_prompt, limit = room < FREE_LENGTH ? room : FREE_LENGTH;
    struct generation_params p = {
        .sampler = {0.8, 40, 0.95, 0.05, 1, 64, g->never}, /* as generate's */
        .seed = r->seed,
        .n_samples = 1,
        .limit = limit,
        .logprobs = true,
        .eos = g->model.vocab.n ? g->model.vocab.eos : -1};
    struct generation_events events = {.ctx = w, .step = on_step, .stopped = on_stopped};
    struct generation_stats stats;
    struct gpt2_session s;
    const struct gpt2_session_setup setup = {.weights = c->w,
                                             .kn = c->k,
                                             .attn = spec,
                                             .book = c->book,
                                             .n_seq = 1,
                                             .n_ctx = c->window,
                                             .max_rows = r->n_prompt};
    int rc = gpt2_session_open(&s, &setup, e);
    if (rc) return rc;
    w->ids = arena_alloc(r->arena, limit, sizeof *w->ids);
    w->logprobs = arena_alloc(r->arena, limit, sizeof *w->logprobs);
    rc = w->ids && w->logprobs ? generation_run(&s, prompt, r->n_prompt, &p, &events, &stats, e)
                               : err_set(e, ERR_FAILED, "out of memory");
    gpt2_session_close(&s);
    return rc;
}

/* The bytes of the tokens, and how many of them come before the first difference. */
static int spell(const struct engine *g, struct compare_free *f, struct arena *arena,
                 struct err *e) {
    size_t len;
    if (!g->bpe) return OK;
    uint64_t *each = arena_alloc(arena, f->n + 1, sizeof *each);
    if (!each) return err_set(e, ERR_FAILED, "out of memory");
    f->token_bytes = each;
    for (size_t i = 0; i < f->n; i++) {
        bpe_token(g->bpe, f->ids[i], &len);
        each[i] = len;
        f->bytes += len;
        if (i < f->first_difference) f->same_bytes += len;
    }
    char *text = arena_alloc(arena, f->bytes, 1), *at = text;
    if (!text) return err_set(e, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < f->n; i++) {
        const uint8_t *s = bpe_token(g->bpe, f->ids[i], &len);
        memcpy(at, s, len);
        at += len;
    }
    f->text = text;
    return OK;
}

static size_t first_difference(const struct writing *a, const struct compare_free *b) {
    size_t i = 0;
    while (i < a->n && i < b->n && a->ids[i] == b->ids[i]) i++;
    return i == a->n && i == b->n ? SIZE_MAX : i;
}

int compare_free_run(const struct engine *g, struct compare_report *r, struct progress progress,
                     struct err *e) {
    const struct comparison *c = r->main;
    size_t total = c->n_runs * c->n_texts, done = 0;
    struct compare_free *all = arena_zalloc(r->arena, total, sizeof *all);
    if (!all) return err_set(e, ERR_FAILED, "out of memory");
    for (size_t run = 0; run < c->n_runs; run++)
        for (size_t text = 0; text < c->n_texts; text++) {
            struct compare_free *f = &all[run * c->n_texts + text];
            struct writing w = {0};
            int rc = write_one(g, r, c->runs[run].spec, c->texts[text].ids, &w, e);
            if (rc) return rc;
            f->ids = w.ids;
            f->logprobs = w.logprobs;
            f->n = w.n;
            f->first_difference = run ? first_difference(&w, &all[text]) : SIZE_MAX;
            rc = spell(g, f, r->arena, e);
            if (rc) return rc;
            progress_tell(progress, ++done, total);
        }
    r->free = all;
    return OK;
}
