/* One run of the model, and its way to standard output. */
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/threads.h"
#include "cli/generate.h"
#include "report/cut_out.h"

/* ---- events ---- */

/* Where the text goes on, for the lines under it. */
static void tell_live(struct writing *w, int32_t id) {
    char number[16];
    size_t n;
    if (!w->under_text) return;
    const uint8_t *s = (const uint8_t *)number;
    if (w->out.bpe)
        s = bpe_token(w->out.bpe, id, &n);
    else
        n = (size_t)snprintf(number, sizeof number, "%s%d", w->live.column ? " " : "", id);
    if (!w->out.bpe || !bpe_is_hidden(w->out.bpe, id) || w->out.show_special)
        live_text(&w->live, s, n);
}

static int on_step(void *ctx, const struct generation_step *step, struct err *e) {
    struct writing *w = ctx;
    live_clear(&w->live);
    int rc = generation_out_step(&w->out, step, e);
    if (rc) return rc;
    if (!step->prompt) tell_live(w, step->id);
    live_draw(&w->live);
    return OK;
}
static void on_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    generation_out_stopped(&((struct writing *)ctx)->out, sample, why);
}

/* What is not shown is no text. */
static bool on_ends(void *ctx, uint32_t sample, int32_t id) {
    struct writing *w = ctx;
    if (bpe_is_hidden(w->out.bpe, id) && !w->out.show_special) return false;
    size_t n;
    const uint8_t *s = bpe_token(w->out.bpe, id, &n);
    return stop_text_read(&w->stop, sample, s, n);
}

static void on_prefill(void *ctx, uint64_t done, uint64_t total) {
    struct writing *w = ctx;
    if (done == total) watch_decoding(&w->watch);
    if (!w->show_progress) return;
    progress_share(&w->progress, done, total);
    if (done == total) progress_end(&w->progress);
}

static int on_prompt(void *ctx, const float *logits, struct err *e) {
    const struct writing *w = ctx;
    return state_file_save(w->save_state, w->s, w->prompt->ids, logits, e);
}

/* ---- */

static struct generation_params params(const struct writing *w) {
    const struct args *args = w->job->args;
    return (struct generation_params){
        .sampler = {args->temp, (long)args->top_k, args->top_p, args->min_p, args->repeat_penalty,
                    (long)args->repeat_last_n, w->job->g.never},
        .seed = w->job->seed,
        .stream = w->prompt->stream,
        .n_samples = (uint32_t)args->num_samples,
        .held = w->prompt->held,
        .logits = w->prompt->logits,
        .limit = w->prompt->limit,
        .eos = w->job->g.model.vocab.n ? w->job->g.model.vocab.eos : -1,
        .ignore_eos = args->ignore_eos,
        .n_top = (size_t)args->logprobs,
        .logprobs = args->logprobs > 0,
        .echo = args->echo,
        .draft = w->job->draft,
    };
}

static int open_output(struct writing *w, struct err *e) {
    const struct args *args = w->job->args;
    w->out = (struct generation_out){
        .fp = stdout,
        .format = w->format,
        .model = &w->job->g.model,
        .bpe = w->job->g.bpe,
        .attn = args_attn(args),
        .effective = w->s->attn.name,
        .prompt = w->prompt->ids,
        .n_prompt = w->prompt->n,
        .n_samples = (size_t)args->num_samples,
        .show_prompt = w->show_prompt,
        .show_special = args->special,
        .hold_utf8 = isatty(STDOUT_FILENO) != 0,
        .end_line = w->end_line,
        .logprobs = args->logprobs > 0,
        .full_context = w->prompt->until_full,
        .seed = w->job->seed,
        .arena = w->arena,
    };
    int rc = generation_out_open(&w->out, w->prompt->limit, e);
    if (!rc && args->stops.n &&
        !stop_text_init(&w->stop, args->stops.item, args->stops.n, w->out.n_samples, w->arena))
        rc = err_set(e, ERR_FAILED, "out of memory for the texts of --reverse-prompt");
    return rc;
}

/* The lines of --fidelity on a terminal. The text may grow there as well, and they stand under it;
 * JSON that comes there a step at a time leaves no room for them. */
static void open_live(struct writing *w) {
    const struct args *args = w->job->args;
    const char *color = args->color;
    bool same = terminal_same(STDOUT_FILENO, STDERR_FILENO);
    if (!w->watch.monitored || (same && w->format == GENERATION_JSONL)) return;
    live_open(&w->live, stderr, w->watch.monitor.layers, w->s->w->config.n_layer, args->quiet,
              strcmp(color, "on") == 0    ? LIVE_ON
              : strcmp(color, "off") == 0 ? LIVE_OFF
                                          : LIVE_AUTO);
    w->under_text = same && w->format == GENERATION_TEXT && w->out.n_samples == 1;
}

int writing_run(struct writing *w, struct err *e) {
    const struct attn *attn = &w->s->attn;
    const struct generation_params p = params(w);
    const struct generation_events events = {.ctx = w,
                                             .step = on_step,
                                             .stopped = on_stopped,
                                             .prefill = {on_prefill, w},
                                             .prompt = w->save_state ? on_prompt : NULL,
                                             .ends = w->job->args->stops.n ? on_ends : NULL};
    w->figures = (struct generation_figures){
        .load_s = w->job->g.load_s, .threads = threads_count(), .kernels = w->job->g.k->name};
    w->figures.stored_bytes_per_token = attn_key_bytes_per_token_at(attn, attn->shape.n_ctx) +
                                        attn_value_bytes_per_token(attn) +
                                        attn_copy_bytes_per_token(attn);
    int rc = open_output(w, e);
    if (!rc) rc = watch_open(&w->watch, w->job->args, w->s, w->arena, e);
    if (rc) return rc;
    progress_begin(&w->progress, "reading the prompt");
    open_live(w);
    generation_out_prompt(&w->out);
    for (size_t i = 0; w->show_prompt && i < w->prompt->n; i++) tell_live(w, w->prompt->ids[i]);
    rc = generation_run(w->s, w->prompt->ids, w->prompt->n, &p, &events, &w->figures.run, e);
    w->figures.peak_bytes = process_peak_bytes();
    w->figures.cut = cut_take(attn, w->arena);
    if (!w->figures.cut && !rc) rc = err_set(e, ERR_FAILED, "out of memory for the counters");
    return rc;
}

int writing_close(struct writing *w, int rc, struct err *e) {
    live_clear(&w->live);
    bool streams = w->format == GENERATION_TEXT && w->out.n_samples == 1;
    if (w->figures.cut && (!rc || rc == ERR_INTERRUPTED || streams)) {
        struct err closing;
        int closed = generation_out_close(&w->out, &w->figures, &closing);
        if (closed && (!rc || rc == ERR_INTERRUPTED)) rc = closed, *e = closing;
    }
    return rc;
}
