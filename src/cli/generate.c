/* lookat generate: continues a prompt. */
#include <string.h>
#include <unistd.h>

#include "attention/account.h"
#include "base/out_file.h"
#include "base/process.h"
#include "base/size.h"
#include "base/threads.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/engine.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "measure/monitor.h"
#include "model/generation.h"
#include "model/stop_text.h"
#include "report/attention_out.h"
#include "report/cut_out.h"
#include "report/generation_out.h"
#include "report/text.h"

struct generate_job {
    const struct args *args;
    struct engine g;
    struct book book;
    const int32_t *prompt; /* [n] */
    size_t n, n_ctx, limit;
    bool until_full; /* the limit is what is left of the context */
    uint64_t seed;
    struct draft_params draft;
};

/* An empty prompt starts, as GPT-2's training texts did, behind the end of the text before. */
static int start_token(struct generate_job *j, struct err *e) {
    int32_t *id = arena_alloc(&j->g.arena, 1, sizeof *id);
    if (!id) return err_set(e, ERR_FAILED, "out of memory");
    *id = engine_start_token(&j->g);
    if (*id < 0)
        return err_set(e, ERR_USAGE,
                       "the prompt is empty and the model names no token to start a text with");
    j->prompt = id;
    j->n = 1;
    return OK;
}

/* One newline at the end of a file, LF or CRLF, is the editor's, not the text's: as llama.cpp has
 * it. */
static bool from_file(const struct args *args) {
    return args->files.n > 0 || (args->argc > 0 && strcmp(args->argv[0], "-") == 0);
}

static void drop_newline(const uint8_t *text, size_t *n) {
    if (!*n || text[*n - 1] != '\n') return;
    --*n;
    if (*n && text[*n - 1] == '\r') --*n;
}

static size_t context(const struct generate_job *j) {
    size_t most = j->g.model.weights.config.n_ctx, asked = (size_t)j->args->n_ctx;
    return asked && asked < most ? asked : most;
}

/* Bytes of a text that has more tokens than the context, whatever they are: nothing behind them
 * need be read. */
static size_t too_many_bytes(const struct generate_job *j) {
    size_t longest = j->g.bpe ? bpe_longest(j->g.bpe) : 0, n;
    return size_mul(context(j), longest, &n) && n < SIZE_MAX ? n + 1 : SIZE_MAX;
}

static int read_prompt(struct generate_job *j, struct err *e) {
    const uint8_t *text = NULL;
    enum { NO_TEXT = 5 }; /* a byte-order mark and CRLF */
    size_t bytes = 0, V = j->g.model.weights.config.n_vocab, too_many = too_many_bytes(j);
    int32_t *ids = NULL;
    size_t most = too_many < SIZE_MAX - NO_TEXT ? too_many + NO_TEXT : SIZE_MAX;
    int rc = input_text(j->args, most, &j->g.arena, &text, &bytes, e);
    if (rc) return rc;
    if (from_file(j->args)) drop_newline(text, &bytes);
    if (j->g.bpe && bytes >= too_many)
        return err_set(
            e, ERR_USAGE,
            "the prompt has more than %zu tokens, which leaves no room in the context of "
            "%zu",
            context(j), context(j));
    if (j->args->ids)
        rc = input_ids((const uint8_t *)j->args->ids, strlen(j->args->ids), (uint32_t)V, "--ids",
                       &j->g.arena, &ids, &j->n, e);
    else if (bytes && !j->g.bpe)
        rc = err_set(e, ERR_USAGE,
                     "the model has no tokenizer for the prompt: add -z TOKENIZER, or give token "
                     "ids with --ids");
    else if (bytes)
        rc = bpe_encode(j->g.bpe, text, bytes, j->args->special, &j->g.arena, &ids, &j->n, e);
    if (!rc && bytes) rc = engine_check_ids(&j->g, "the prompt", ids, j->n, e);
    j->prompt = ids;
    return rc || j->n ? rc : start_token(j, e);
}

/* The context, and how many tokens to write: as many as were asked for, or until the context is
 * full. */
static int plan(struct generate_job *j, struct err *e) {
    size_t model_ctx = j->g.model.weights.config.n_ctx;
    int64_t want = j->args->n_predict;
    j->n_ctx = j->args->n_ctx ? (size_t)j->args->n_ctx : model_ctx;
    if (j->n_ctx > model_ctx)
        return err_set(e, ERR_USAGE, "--ctx-size %zu: the model's context is %zu tokens", j->n_ctx,
                       model_ctx);
    if (j->n > j->n_ctx)
        return err_set(e, ERR_USAGE,
                       "the prompt has %zu tokens, which leaves no room in the context of %zu",
                       j->n, j->n_ctx);
    j->limit = j->n_ctx - j->n;
    j->until_full = want < 0 || (uint64_t)want > j->limit;
    if (!j->until_full) j->limit = (size_t)want;
    return OK;
}

/* Drafts, as they are asked for. What watches the decoding of each token wants to see the tokens of
 * the text and no others. */
static int plan_drafts(struct generate_job *j, struct err *e) {
    const struct args *args = j->args;
    const char *watched = args->counters ? "--counters" : args->fidelity ? "--fidelity" : NULL;
    struct token_text earlier;
    if (args->draft_from && strcmp(args->draft_from, "-") == 0)
        return err_set(e, ERR_USAGE, "--draft-from takes a file, not standard input");
    j->draft.most = watched || args->num_samples > 1 ? 0 : (long)args->draft;
    if (args->draft > 0 && watched)
        args_no_effect(args, "--draft",
                       args->counters ? "--counters are of tokens that run one by one"
                                      : "--fidelity is of tokens that run one by one");
    else if (args->draft > 0 && args->num_samples > 1)
        args_no_effect(args, "--draft", "several samples are a batch already");
    if (!args->draft_from) return OK;
    if (!j->draft.most) {
        args_no_effect(args, "--draft-from", "there are no drafts");
        return OK;
    }
    int rc = token_text_read(&earlier, &j->g, args->draft_from, INT32_MAX, &j->g.arena, e);
    j->draft.earlier = rc ? NULL : earlier.ids;
    j->draft.n_earlier = rc ? 0 : earlier.n;
    return rc;
}

/* That it was the context that ended a text. */
static void say_full(const struct generate_job *j, const struct generation_out *o) {
    bool full = false;
    for (size_t i = 0; i < o->n_samples; i++)
        full = full || (o->samples[i].stop && strcmp(o->samples[i].stop, "context") == 0);
    if (!full) return;
    fprintf(stderr, "lookat: the context of %zu tokens is full", j->n_ctx);
    if (j->args->n_predict >= 0)
        fprintf(stderr, ": %zu of the %lld tokens asked for (-n) were written", j->limit,
                (long long)j->args->n_predict);
    fputc('\n', stderr);
}

static int check_options(const struct args *args, struct err *e) {
    bool text = strcmp(args->format, "text") == 0;
    if (text && args->logprobs)
        return err_set(e, ERR_USAGE, "--logprobs needs -o json or -o jsonl");
    if (args->log && !args->counters && !args->fidelity)
        return err_set(e, ERR_USAGE, "--log needs --counters or --fidelity");
    if (text && args->echo) return err_set(e, ERR_USAGE, "--echo needs -o json or -o jsonl");
    if (!text && args->no_display_prompt)
        args_no_effect(args, "--no-display-prompt",
                       "JSON keeps the prompt and what is written apart");
    if (args_given(args, "repeat-last-n") && args->repeat_penalty == 1)
        args_no_effect(args, "--repeat-last-n", "--repeat-penalty is 1, which is off");
    for (size_t i = 0; i < args->stops.n; i++)
        if (!args->stops.item[i][0])
            return err_set(e, ERR_USAGE,
                           "--reverse-prompt: expected a text to stop at, got an empty one");
    return args->log ? output_check(args, args->log, true, e) : OK;
}

static enum generation_format format_of(const char *name) {
    return strcmp(name, "json") == 0    ? GENERATION_JSON
           : strcmp(name, "jsonl") == 0 ? GENERATION_JSONL
                                        : GENERATION_TEXT;
}

/* What is watched while tokens are decoded. */
struct watch {
    struct gpt2_session *s;
    struct attn_counters *before; /* [L] at the end of the prompt */
    struct monitor monitor;
    bool monitored;
};

static int watch_open(struct watch *w, const struct args *args, struct gpt2_session *s,
                      struct arena *a, struct err *e) {
    *w = (struct watch){.s = s, .before = arena_zalloc(a, s->w->config.n_layer, sizeof *w->before)};
    if (!w->before) return err_set(e, ERR_FAILED, "out of memory for the counters");
    int rc = args->fidelity ? monitor_open(&w->monitor, s, e) : OK;
    w->monitored = args->fidelity && !rc;
    return rc;
}

static void watch_decoding(struct watch *w) {
    memcpy(w->before, w->s->counters, w->s->w->config.n_layer * sizeof *w->before);
}

static int write_log(const char *path, const struct attention_log *log, struct err *e) {
    struct out_file o;
    int rc = out_open(&o, path, true, e);
    if (rc) return rc;
    attention_log_json(o.fp, log);
    return out_commit(&o, e);
}

/* `decoded`: tokens that went through the model one at a time. */
static int watch_report(struct watch *w, const struct args *args, size_t decoded, struct arena *a,
                        struct err *e) {
    size_t L = w->s->w->config.n_layer;
    struct attn_counters *loaded = arena_alloc(a, L, sizeof *loaded);
    if (!loaded) return err_set(e, ERR_FAILED, "out of memory for the counters");
    for (size_t l = 0; l < L; l++)
        loaded[l] = attn_counters_less(&w->s->counters[l], &w->before[l]);
    struct attention_log log = {w->s->attn.name,
                                L,
                                w->s->attn.shape.n_head,
                                decoded,
                                account_codebooks(&w->s->attn),
                                args->counters ? loaded : NULL,
                                w->monitored ? w->monitor.layers : NULL};
    if (args->log) return write_log(args->log, &log, e);
    return attention_log_print(stderr, &log, a, e);
}

struct events {
    struct watch watch;
    struct stop_text stop;
    struct generation_out out;
    struct text_progress progress;
    bool show_progress;
};

static int on_step(void *ctx, const struct generation_step *step, struct err *e) {
    return generation_out_step(&((struct events *)ctx)->out, step, e);
}
static void on_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    generation_out_stopped(&((struct events *)ctx)->out, sample, why);
}
/* What is not shown is no text. */
static bool on_ends(void *ctx, uint32_t sample, int32_t id) {
    struct events *v = ctx;
    if (bpe_is_hidden(v->out.bpe, id) && !v->out.show_special) return false;
    size_t n;
    const uint8_t *s = bpe_token(v->out.bpe, id, &n);
    return stop_text_read(&v->stop, sample, s, n);
}
static void on_prefill(void *ctx, uint64_t done, uint64_t total) {
    struct events *v = ctx;
    if (done == total) watch_decoding(&v->watch);
    if (!v->show_progress) return;
    progress_share(&v->progress, done, total);
    if (done == total) progress_end(&v->progress);
}

/* The rest of what is written, after a run that ended with rc; a text that has begun is ended
 * whatever happened. */
static int finish(struct generate_job *j, struct gpt2_session *s, struct events *v,
                  const struct generation_figures *f, int rc, struct err *e) {
    const struct args *args = j->args;
    bool streams = v->out.format == GENERATION_TEXT && v->out.n_samples == 1;
    if (f->cut && (!rc || rc == ERR_INTERRUPTED || streams)) {
        struct err closing;
        int closed = generation_out_close(&v->out, f, &closing);
        if (closed && (!rc || rc == ERR_INTERRUPTED)) rc = closed, *e = closing;
    }
    if (f->cut && !args->quiet) cut_warn(stderr, s->attn.name, f->cut, s->attn.shape.n_layer);
    if (rc && rc != ERR_INTERRUPTED) return rc;
    if (!args->quiet) {
        fputc('\n', stderr);
        generation_print_figures(stderr, f, s->attn.name, j->seed);
        say_full(j, &v->out);
    }
    if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
    if (!rc && (args->counters || args->fidelity))
        rc = watch_report(&v->watch, args, f->run.decoded, &j->g.arena, e);
    return rc;
}

static int generate(struct generate_job *j, struct gpt2_session *s, struct err *e) {
    const struct args *args = j->args;
    struct events v = {.show_progress = !args->quiet};
    v.out = (struct generation_out){
        .fp = stdout,
        .format = format_of(args->format),
        .model = &j->g.model,
        .bpe = j->g.bpe,
        .attn = args_attn(args),
        .effective = s->attn.name,
        .prompt = j->prompt,
        .n_prompt = j->n,
        .n_samples = (size_t)args->num_samples,
        .show_prompt = !args->no_display_prompt,
        .show_special = args->special,
        .hold_utf8 = isatty(STDOUT_FILENO) != 0,
        .logprobs = args->logprobs > 0,
        .full_context = j->until_full,
        .seed = j->seed,
        .arena = &j->g.arena,
    };
    struct generation_params p = {
        .sampler = {args->temp, (long)args->top_k, args->top_p, args->min_p, args->repeat_penalty,
                    (long)args->repeat_last_n, j->g.never},
        .seed = j->seed,
        .n_samples = (uint32_t)args->num_samples,
        .limit = j->limit,
        .eos = j->g.model.vocab.n ? j->g.model.vocab.eos : -1,
        .ignore_eos = args->ignore_eos,
        .n_top = (size_t)args->logprobs,
        .logprobs = args->logprobs > 0,
        .echo = args->echo,
        .draft = j->draft,
    };
    struct generation_events events = {
        &v, on_step, on_stopped, {on_prefill, &v}, args->stops.n ? on_ends : NULL};
    struct generation_figures f = {
        .load_s = j->g.load_s, .threads = threads_count(), .kernels = j->g.k->name};
    f.stored_bytes_per_token = attn_key_bytes_per_token_at(&s->attn, s->attn.shape.n_ctx) +
                               attn_value_bytes_per_token(&s->attn) +
                               attn_copy_bytes_per_token(&s->attn);

    int rc = generation_out_open(&v.out, j->limit, e);
    if (!rc && args->stops.n &&
        !stop_text_init(&v.stop, args->stops.item, args->stops.n, p.n_samples, &j->g.arena))
        rc = err_set(e, ERR_FAILED, "out of memory for the texts of --reverse-prompt");
    if (!rc) rc = watch_open(&v.watch, args, s, &j->g.arena, e);
    if (rc) return rc;
    progress_begin(&v.progress, "reading the prompt");
    generation_out_prompt(&v.out);
    rc = generation_run(s, j->prompt, j->n, &p, &events, &f.run, e);
    f.peak_bytes = process_peak_bytes();
    f.cut = cut_take(&s->attn, &j->g.arena);
    if (!f.cut && !rc) rc = err_set(e, ERR_FAILED, "out of memory for the counters");
    rc = finish(j, s, &v, &f, rc, e);
    if (v.watch.monitored) monitor_close(&v.watch.monitor);
    return rc;
}

/* Short enough to be typed again, and exact in programs that read JSON's numbers as double. */
static uint64_t random_seed(void) { return rng_entropy() >> 32; }

static int run(const struct args *args, struct err *e) {
    struct generate_job j = {.args = args, .seed = args->has_seed ? args->seed : random_seed()};
    int rc = check_options(args, e);
    if (!rc) rc = engine_open(&j.g, args, e);
    if (rc) return rc;
    if (args->stops.n && !j.g.bpe)
        rc = err_set(e, ERR_USAGE,
                     "--reverse-prompt: the model has no tokenizer, so it writes ids and no text: "
                     "add -z TOKENIZER");
    if (!rc) rc = read_prompt(&j, e);
    if (!rc) rc = plan(&j, e);
    if (!rc) rc = plan_drafts(&j, e);
    if (!rc && args->verbose) {
        const struct gpt2_config *c = &j.g.model.weights.config;
        fprintf(stderr, "%s: %s, %s parameters, %s, %s, width %zu, context %zu, vocabulary %zu\n",
                j.g.model.path, j.g.model.format, text_count(gpt2_parameters(&j.g.model.weights)).s,
                text_plural(c->n_layer, "layer").s, text_plural(c->n_head, "head").s, c->n_embd,
                c->n_ctx, c->n_vocab);
        fprintf(stderr, "prompt: %s\n", text_plural(j.n, "token").s);
    }
    struct gpt2_session s;
    size_t n_seq = (size_t)args->num_samples, batch = gpt2_prompt_rows(&j.g.model.weights.config),
           rows = j.n < batch ? j.n : batch, least = j.draft.most ? 1 + DRAFT_MOST : n_seq;
    const char *spec = args_attn(args);
    const struct book *book = NULL;
    if (!rc) rc = model_book_open(&j.book, &book, args, &j.g.model, &spec, 1, &j.g.arena, e);
    /* The output is checked again, now that all inputs are known. */
    if (!rc && args->log) rc = out_check(args->log, true, e);
    const struct gpt2_session_setup setup = {.weights = &j.g.model.weights,
                                             .kn = j.g.k,
                                             .attn = spec,
                                             .book = book,
                                             .n_seq = n_seq,
                                             .n_ctx = j.n_ctx,
                                             .max_rows = rows > least ? rows : least,
                                             .take_back = j.draft.most ? DRAFT_MOST : 0,
                                             .invariant = args->invariant};
    if (!rc) rc = gpt2_session_open(&s, &setup, e);
    if (!rc) {
        rc = generate(&j, &s, e);
        gpt2_session_close(&s);
    }
    book_close(&j.book);
    engine_close(&j.g);
    return rc;
}

const struct command generate_command = {
    .id = CMD_GENERATE,
    .summary = "write text that continues a prompt",
    .usage = "[OPTION]... [TEXT|-]",
    .about = "Writes text that continues a prompt: TEXT, -p TEXT, the contents of a file (-f), "
             "or standard input (-). Without one, what is piped in or redirected is the prompt, "
             "also without the - (a pipe that is silent for 3 seconds is not); else a new text "
             "is started. The text goes to standard output as it comes, everything else to "
             "standard error. The command's name may be left out: lookat -p TEXT, or lookat "
             "TEXT where TEXT has a space in it. Of an option given twice the last counts; two "
             "prompts or backends are refused. llama.cpp's options without effect here, such as "
             "-ngl, are read and named in a line on standard error; its others are refused with "
             "what to use instead.",
    .examples =
        "lookat -p \"Once upon a time\" -n 100\tone continuation of 100 tokens\n"
        "lookat generate -f story.txt --temp 0\talways the most likely token\n"
        "head -n 20 story.txt | lookat -n 100\ta prompt through a pipe\n"
        "lookat generate -p \"The sea\" -o json --logprobs 5\twith the model's probabilities\n",
    .max_args = 1,
    .run = run,
};
