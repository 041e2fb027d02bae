/* lookat generate: continues a prompt. */
#include <string.h>

#include "base/out_file.h"
#include "base/printable.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "report/cut_out.h"

/* ---- prompts ---- */

/* An empty prompt starts, as GPT-2's training texts did, behind the end of the text before. */
static int start_token(const struct generate_job *j, struct arena *a, struct generate_prompt *p,
                       struct err *e) {
    int32_t *id = arena_alloc(a, 1, sizeof *id);
    if (!id) return err_set(e, ERR_FAILED, "out of memory");
    *id = engine_start_token(&j->g);
    if (*id < 0)
        return err_set(e, ERR_USAGE,
                       "the prompt is empty and the model names no token to start a text with");
    p->ids = id;
    p->n = 1;
    return OK;
}

size_t generate_too_many_bytes(const struct generate_job *j) {
    size_t longest = j->g.bpe ? bpe_longest(j->g.bpe) : 0, n;
    return size_mul(j->n_ctx, longest, &n) && n < SIZE_MAX ? n + 1 : SIZE_MAX;
}

int generate_too_long(const struct generate_job *j, struct err *e) {
    return err_set(
        e, ERR_USAGE,
        "the prompt has more than %zu tokens, which leaves no room in the context of %zu", j->n_ctx,
        j->n_ctx);
}

int generate_encode(const struct generate_job *j, const uint8_t *text, size_t n, struct arena *a,
                    struct generate_prompt *p, struct err *e) {
    int32_t *ids = NULL;
    if (n == 0) return start_token(j, a, p, e);
    if (!j->g.bpe)
        return err_set(e, ERR_USAGE,
                       "the model has no tokenizer for the prompt: add -z TOKENIZER, or give token "
                       "ids with --ids");
    if (n >= generate_too_many_bytes(j)) return generate_too_long(j, e);
    int rc = bpe_encode(j->g.bpe, text, n, j->args->special, a, &ids, &p->n, e);
    p->ids = ids;
    return rc ? rc : engine_check_ids(&j->g, "the prompt", ids, p->n, e);
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

static int read_prompt(struct generate_job *j, struct generate_prompt *p, struct err *e) {
    const uint8_t *text = NULL;
    enum { NO_TEXT = 5 }; /* a byte-order mark and CRLF */
    size_t bytes = 0, V = j->g.model.weights.config.n_vocab, too_many = generate_too_many_bytes(j);
    int32_t *ids = NULL;
    size_t most = too_many < SIZE_MAX - NO_TEXT ? too_many + NO_TEXT : SIZE_MAX;
    int rc = input_text(j->args, most, &j->g.arena, &text, &bytes, e);
    if (rc) return rc;
    if (from_file(j->args)) drop_newline(text, &bytes);
    if (j->args->ids) {
        rc = input_ids((const uint8_t *)j->args->ids, strlen(j->args->ids), (uint32_t)V, "--ids",
                       &j->g.arena, &ids, &p->n, e);
        p->ids = ids;
        if (rc || p->n) return rc;
    }
    return !bytes && j->args->load_state ? OK : generate_encode(j, text, bytes, &j->g.arena, p, e);
}

/* The context is as long as was asked for, at most the model's. */
static int plan_context(struct generate_job *j, struct err *e) {
    size_t model_ctx = j->g.model.weights.config.n_ctx;
    j->n_ctx = j->args->n_ctx ? (size_t)j->args->n_ctx : model_ctx;
    if (j->n_ctx > model_ctx)
        return err_set(e, ERR_USAGE, "--ctx-size %zu: the model's context is %zu tokens", j->n_ctx,
                       model_ctx);
    return OK;
}

int generate_plan(const struct generate_job *j, struct generate_prompt *p, struct err *e) {
    int64_t want = j->args->n_predict;
    if (p->n > j->n_ctx)
        return err_set(e, ERR_USAGE,
                       "the prompt has %zu tokens, which leaves no room in the context of %zu",
                       p->n, j->n_ctx);
    p->limit = j->n_ctx - p->n;
    p->until_full = want < 0 || (uint64_t)want > p->limit;
    if (!p->until_full) p->limit = (size_t)want;
    return OK;
}

/* ---- options ---- */

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

/* The options that do not go with --prompts. */
static int check_prompts(const struct args *args, struct err *e) {
    const char *watched = args->counters ? "--counters" : args->fidelity ? "--fidelity" : NULL;
    if (args->prompt || args->ids || args->files.n || args->argc)
        return err_set(
            e, ERR_USAGE,
            "--prompts: the prompts are the lines of its file; leave the other text out");
    if (args_given(args, "output") && strcmp(args->format, "jsonl") != 0)
        return err_set(e, ERR_USAGE,
                       "--prompts writes one line of JSON for each prompt: -o jsonl, got -o %s",
                       args->format);
    if (watched)
        return err_set(e, ERR_USAGE, "%s watches one text: it does not go with --prompts", watched);
    return OK;
}

/* The options that do not go with -i. */
static int check_interactive(const struct args *args, struct err *e) {
    const char *watched = args->counters ? "--counters" : args->fidelity ? "--fidelity" : NULL;
    const char *other = args->prompts           ? "--prompts"
                        : args->num_samples > 1 ? "--num-samples"
                        : watched               ? watched
                                                : NULL;
    bool dash = args->argc && strcmp(args->argv[0], "-") == 0;
    for (size_t i = 0; i < args->files.n; i++) dash = dash || strcmp(args->files.item[i], "-") == 0;
    if (other) return err_set(e, ERR_USAGE, "%s does not go with -i, which writes one text", other);
    if (strcmp(args->format, "text") != 0)
        return err_set(e, ERR_USAGE, "-i writes text: leave -o out, got -o %s", args->format);
    if (dash)
        return err_set(e, ERR_USAGE,
                       "-i reads lines from standard input, so the text to begin with cannot come "
                       "from there");
    return OK;
}

static int check_options(const struct args *args, struct err *e) {
    bool text = strcmp(args->format, "text") == 0 && !args->prompts;
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
    int rc = args->interactive ? check_interactive(args, e)
             : args->prompts   ? check_prompts(args, e)
                               : OK;
    for (size_t i = 0; i < args->stops.n && !rc; i++)
        if (!args->stops.item[i][0])
            rc = err_set(e, ERR_USAGE,
                         "--reverse-prompt: expected a text to stop at, got an empty one");
    if (!rc && args->log) rc = output_check(args, args->log, true, e);
    return rc ? rc : kept_check(args, e);
}

static enum generation_format format_of(const char *name) {
    return strcmp(name, "json") == 0    ? GENERATION_JSON
           : strcmp(name, "jsonl") == 0 ? GENERATION_JSONL
                                        : GENERATION_TEXT;
}

/* ---- one text ---- */

/* That it was the context that ended a text. */
static void say_full(const struct generate_job *j, const struct writing *w) {
    const struct generation_out *o = &w->out;
    bool full = false;
    for (size_t i = 0; i < o->n_samples; i++)
        full = full || (o->samples[i].stop && strcmp(o->samples[i].stop, "context") == 0);
    if (!full) return;
    fprintf(stderr, "lookat: the context of %zu tokens is full", j->n_ctx);
    if (j->args->n_predict >= 0)
        fprintf(stderr, ": %zu of the %lld tokens asked for (-n) were written", w->prompt->limit,
                (long long)j->args->n_predict);
    fputc('\n', stderr);
}

/* The rest of what is written, after a run that ended with rc; a text that has begun is ended
 * whatever happened. */
static int finish(struct writing *w, int rc, struct err *e) {
    const struct generate_job *j = w->job;
    const struct args *args = j->args;
    const struct generation_figures *f = &w->figures;
    rc = writing_close(w, rc, e);
    if (f->cut && !args->quiet) cut_warn(stderr, w->s->attn.name, f->cut, w->s->attn.shape.n_layer);
    if (rc && rc != ERR_INTERRUPTED) return rc;
    if (!args->quiet) {
        fputc('\n', stderr);
        generation_print_figures(stderr, f, w->s->attn.name, j->seed);
        say_full(j, w);
        if (w->save_state && !rc)
            fprintf(stderr, "state of %s in %s\n", text_plural(w->prompt->n, "token").s,
                    printable_copy(w->save_state).s);
    }
    if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
    if (!rc && (args->counters || args->fidelity))
        rc = watch_report(&w->watch, args, f->run.decoded, w->arena, e);
    return rc;
}

int generate_open(struct generate_session *x, struct generate_job *j, const char *spec,
                  size_t longest, struct err *e) {
    const struct args *args = j->args;
    const struct book *book = NULL;
    const size_t batch = gpt2_prompt_rows(&j->g.model.weights.config),
                 rows = longest < batch ? longest : batch, n_seq = (size_t)args->num_samples,
                 least = j->draft.most ? 1 + DRAFT_MOST : n_seq;
    /* With and without drafts a state has the same bytes, so that either may load it. */
    const bool take_back = j->draft.most || args->save_state || args->load_state;
    int rc = model_book_open(&x->book, &book, args, &j->g.model, &spec, 1, &j->g.arena, e);
    if (rc) return rc;
    /* The output is checked again, now that all inputs are known. */
    if (args->log) rc = out_check(args->log, true, e);
    if (!rc && args->save_state) rc = out_check(args->save_state, true, e);
    const struct gpt2_session_setup setup = {.weights = &j->g.model.weights,
                                             .kn = j->g.k,
                                             .attn = spec,
                                             .book = book,
                                             .n_seq = n_seq,
                                             .n_ctx = j->n_ctx,
                                             .max_rows = rows > least ? rows : least,
                                             .take_back = take_back ? DRAFT_MOST : 0,
                                             .invariant = args->invariant};
    if (!rc) rc = gpt2_session_open(&x->s, &setup, e);
    if (rc) book_close(&x->book);
    return rc;
}

void generate_close(struct generate_session *x) {
    gpt2_session_close(&x->s);
    book_close(&x->book);
}

/* Continues the one prompt of the command line. */
static int generate_one(struct generate_job *j, struct err *e) {
    const struct args *args = j->args;
    struct generate_prompt p = {0};
    struct generate_session x;
    struct state_file kept;
    int rc = read_prompt(j, &p, e);
    if (!rc) rc = kept_open(&kept, j, &p, e);
    if (rc) return rc;
    rc = generate_plan(j, &p, e);
    if (!rc && args->verbose) fprintf(stderr, "prompt: %s\n", text_plural(p.n, "token").s);
    if (!rc) rc = generate_open(&x, j, args_attn(args), p.n, e);
    if (!rc && (rc = kept_restore(&kept, j, &x.s, e))) generate_close(&x);
    if (rc) {
        state_file_close(&kept);
        return rc;
    }
    struct writing w = {.job = j,
                        .s = &x.s,
                        .prompt = &p,
                        .format = format_of(args->format),
                        .show_prompt = !args->no_display_prompt,
                        .show_progress = !args->quiet,
                        .save_state = args->save_state,
                        .arena = &j->g.arena};
    rc = finish(&w, writing_run(&w, e), e);
    watch_close(&w.watch);
    generate_close(&x);
    state_file_close(&kept);
    return rc;
}

/* -i, behind the text of the command line and that of --load-state, where there are such. */
static int generate_lines(struct generate_job *j, struct err *e) {
    const struct args *args = j->args;
    struct generate_prompt first = {0};
    struct state_file kept;
    bool any = args->prompt || args->ids || args->files.n || args->argc;
    int rc = any ? read_prompt(j, &first, e) : OK;
    if (!rc) rc = kept_open(&kept, j, &first, e);
    if (rc) return rc;
    rc = generate_plan(j, &first, e);
    if (!rc) rc = generate_interactive(j, &first, &kept, e);
    state_file_close(&kept);
    return rc;
}

static void say_model(const struct checkpoint *m) {
    const struct gpt2_config *c = &m->weights.config;
    fprintf(stderr, "%s: %s, %s parameters, %s, %s, width %zu, context %zu, vocabulary %zu\n",
            m->path, m->format, text_count(gpt2_parameters(&m->weights)).s,
            text_plural(c->n_layer, "layer").s, text_plural(c->n_head, "head").s, c->n_embd,
            c->n_ctx, c->n_vocab);
}

/* Short enough to be typed again, and exact in programs that read JSON's numbers as double. */
static uint64_t random_seed(void) { return rng_entropy() >> 32; }

static int run(const struct args *args, struct err *e) {
    struct generate_job j = {.args = args, .seed = args->has_seed ? args->seed : random_seed()};
    int rc = check_options(args, e);
    if (!rc) rc = engine_open(&j.g, args, e);
    if (rc) return rc;
    if ((args->stops.n || args->interactive) && !j.g.bpe)
        rc = err_set(e, ERR_USAGE,
                     "%s: the model has no tokenizer, so it writes ids and no text: add -z "
                     "TOKENIZER",
                     args->interactive ? "-i" : "--reverse-prompt");
    if (!rc) rc = plan_context(&j, e);
    if (!rc) rc = plan_drafts(&j, e);
    if (!rc && args->verbose) say_model(&j.g.model);
    if (!rc)
        rc = args->interactive ? generate_lines(&j, e)
             : args->prompts   ? generate_prompts(&j, e)
                               : generate_one(&j, e);
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
        "lookat -i -n 60\tline by line, with /attn to switch the backend\n"
        "lookat generate -p \"The sea\" -o json --logprobs 5\twith the model's probabilities\n",
    .max_args = 1,
    .run = run,
};
