/* lookat eval: perplexity of texts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/texts.h"
#include "measure/perplexity.h"
#include "report/compare_table.h"
#include "report/cut_out.h"
#include "report/model_out.h"
#include "report/text.h"

/* Rows of a window that go through the model at once. */
enum { BATCH = 128 };

struct eval_job {
    const struct args *args;
    struct engine g;
    struct book book;
    const struct book *use; /* that, or NULL */
    struct perplexity_windows windows;
    struct token_text *texts;          /* [n_texts] */
    struct perplexity_result *results; /* [n_texts] */
    size_t n_texts;
    size_t done, total; /* tokens run before the text at work; of all texts */
    struct text_progress progress;
};

static int read_texts(struct eval_job *j, struct err *e) {
    const struct args *a = j->args;
    const struct gpt2_config *c = &j->g.model.weights.config;
    size_t limit = a->n_predict < 0 ? SIZE_MAX : (size_t)a->n_predict;
    j->windows =
        (struct perplexity_windows){a->n_ctx ? (size_t)a->n_ctx : c->n_ctx, (size_t)a->stride};
    j->texts = arena_zalloc(&j->g.arena, a->files.n, sizeof *j->texts);
    j->results = arena_zalloc(&j->g.arena, a->files.n, sizeof *j->results);
    if (!j->texts || !j->results) return err_set(e, ERR_FAILED, "out of memory");
    for (; j->n_texts < a->files.n; j->n_texts++) {
        struct token_text *t = &j->texts[j->n_texts];
        size_t windows;
        int rc = token_text_read(t, &j->g, a->files.item[j->n_texts], limit, &j->g.arena, e);
        if (!rc) rc = perplexity_plan(&j->windows, c, t->file, t->n, &windows, e);
        if (rc) return rc;
        j->total += windows * j->windows.window;
    }
    return OK;
}

/* All texts share one line. */
static void on_progress(void *ctx, uint64_t tokens, uint64_t of_this_text) {
    struct eval_job *j = ctx;
    (void)of_this_text;
    if (!j->args->quiet) progress_share(&j->progress, j->done + tokens, j->total);
}

static int measure(struct eval_job *j, struct gpt2_session *s, struct err *e) {
    int rc = OK;
    progress_begin(&j->progress, "evaluating");
    for (size_t i = 0; i < j->n_texts && !rc; i++) {
        rc = perplexity_measure(s, &j->windows, j->texts[i].ids, j->texts[i].n, &j->results[i],
                                (struct progress){on_progress, j}, e);
        j->done += j->results[i].tokens;
    }
    progress_end(&j->progress);
    return rc;
}

static double tokens_per_s(const struct perplexity_result *r) {
    return r->seconds > 0 ? (double)r->tokens / r->seconds : 0;
}

static void put_pair(struct json_out *j, const char *key, double mean, double error) {
    json_put_array(j, key);
    json_put_double(j, NULL, mean);
    json_put_double(j, NULL, error);
    json_put_close(j);
}

static void print_json(const struct eval_job *j, const struct gpt2_session *s,
                       const uint64_t *cut) {
    struct json_out o;
    json_put_begin(&o, stdout);
    json_put_object(&o, NULL);
    json_put_cstr(&o, "schema", "lookat.eval/1");
    json_put_model(&o, "model", &j->g.model, NULL);
    json_put_cstr(&o, "attn", args_attn(j->args));
    json_put_cstr(&o, "effective_attn", s->attn.name);
    json_put_uint(&o, "window", j->windows.window);
    json_put_uint(&o, "stride", j->windows.stride);
    json_put_uint(&o, "threads", (uint64_t)threads_count());
    json_put_cut(&o, cut, s->attn.shape.n_layer);
    json_put_array(&o, "texts");
    for (size_t i = 0; i < j->n_texts; i++) {
        const struct token_text *t = &j->texts[i];
        const struct perplexity_result *r = &j->results[i];
        double nll = estimate_mean(&r->nll), error = estimate_error(&r->nll);
        json_put_object(&o, NULL);
        json_put_cstr(&o, "file", t->file);
        json_put_cstr(&o, "sha256", t->sha256);
        json_put_uint(&o, "tokens", t->n);
        json_put_bool(&o, "codebook_saw_text", model_book_saw(j->use, t->sha256));
        json_put_uint(&o, "tokens_used", r->used);
        json_put_uint(&o, "tokens_run", r->tokens);
        json_put_uint(&o, "windows", r->windows);
        json_put_uint(&o, "clusters", r->nll.clusters);
        json_put_uint(&o, "scored", r->nll.n);
        put_pair(&o, "nll", nll, error);
        put_pair(&o, "perplexity", exp(nll), exp(nll) * error);
        json_put_double(&o, "tokens_per_s", tokens_per_s(r));
        json_put_close(&o);
    }
    json_put_close(&o);
    json_put_close(&o);
}

static int print_text(struct eval_job *j, const struct gpt2_session *s, struct err *e) {
    struct text_table t;
    table_begin(&t, "lrrrrr", &j->g.arena);
    static const char *const titles[] = {"text",       "tokens",     "scored",
                                         "perplexity", "nats/token", "tokens/s"};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) table_cell(&t, "%s", titles[i]);
    for (size_t i = 0; i < j->n_texts; i++) {
        const struct perplexity_result *r = &j->results[i];
        double nll = estimate_mean(&r->nll), error = estimate_error(&r->nll);
        table_cell(&t, "%s%s", path_base(j->texts[i].file),
                   model_book_saw(j->use, j->texts[i].sha256) ? " *" : "");
        table_cell(&t, "%s", text_count(r->used).s);
        table_cell(&t, "%s", text_count(r->nll.n).s);
        cell_pair(&t, exp(nll), exp(nll) * error);
        cell_pair(&t, nll, error);
        table_cell(&t, "%.0f", tokens_per_s(r));
    }
    printf("%s, attention %s, windows of %zu tokens, ", printable_copy(j->g.model.name).s,
           s->attn.name, j->windows.window);
    if (j->windows.stride)
        printf("each %zu further, the last %zu scored\n", j->windows.stride, j->windows.stride);
    else
        printf("the second half scored\n");
    int rc = table_print(&t, stdout, e);
    for (size_t i = 0; i < j->n_texts && !rc; i++)
        printf("%s%s%s\n", j->n_texts > 1 ? path_base(j->texts[i].file) : "",
               j->n_texts > 1 ? ": " : "", error_note(j->results[i].nll.clusters).s);
    for (size_t i = 0; i < j->n_texts && !rc; i++)
        if (model_book_saw(j->use, j->texts[i].sha256))
            printf("* the codebooks were calibrated on this very text (%s): its figures flatter "
                   "them\n",
                   path_base(j->texts[i].file));
    return rc;
}

static int evaluate(struct eval_job *j, struct err *e) {
    const char *spec = args_attn(j->args);
    const struct book *book = NULL;
    int rc = model_book_open(&j->book, &book, j->args, &j->g.model, &spec, 1, &j->g.arena, e);
    j->use = book;
    if (!rc) rc = read_texts(j, e);
    if (rc) return rc;
    struct gpt2_session s;
    size_t rows = j->windows.window < BATCH ? j->windows.window : BATCH;
    const struct gpt2_session_setup setup = {.weights = &j->g.model.weights,
                                             .kn = j->g.k,
                                             .attn = spec,
                                             .book = book,
                                             .n_seq = 1,
                                             .n_ctx = j->windows.window,
                                             .max_rows = rows};
    rc = gpt2_session_open(&s, &setup, e);
    if (rc) return rc;
    for (size_t i = 0; i < j->n_texts && !j->args->quiet; i++)
        model_book_warn_seen(book, j->texts[i].file, j->texts[i].sha256);
    rc = measure(j, &s, e);
    const uint64_t *cut = cut_take(&s.attn, &j->g.arena);
    if (!rc && !cut) rc = err_set(e, ERR_FAILED, "out of memory for the counters");
    if (cut && !j->args->quiet) cut_warn(stderr, s.attn.name, cut, s.attn.shape.n_layer);
    if (!rc && strcmp(j->args->format, "json") == 0)
        print_json(j, &s, cut);
    else if (!rc)
        rc = print_text(j, &s, e);
    gpt2_session_close(&s);
    return rc;
}

static int run(const struct args *args, struct err *e) {
    struct eval_job j = {.args = args};
    if (!args->files.n)
        return err_set(e, ERR_USAGE,
                       "eval: no text; name one or several with -f FILE (-f - is standard input)");
    int rc = engine_open(&j.g, args, e);
    if (rc) return rc;
    rc = evaluate(&j, e);
    book_close(&j.book);
    engine_close(&j.g);
    if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
    return rc;
}

const struct command eval_command = {
    .id = CMD_EVAL,
    .summary = "measure the perplexity of texts",
    .usage = "[-m MODEL] -f TEXT [-f TEXT]... [OPTION]...",
    .about =
        "Perplexity of each text with its standard error, and the tokens run per second. A text is "
        "cut into windows (-c), which are run one by one; "
        "an incomplete last one is left out. As llama-perplexity does, each window's first half is "
        "only context: with windows of c tokens, the "
        "tokens c/2 + 1 to c - 1, counted from 0, are scored. With --stride S a window begins S "
        "tokens after the one before, and its last S tokens "
        "are scored: slower, and with more context for each. <|endoftext|> in a text is the token. "
        "± is the standard error over windows, since tokens of one window are not independent (of "
        "windows that overlap, "
        "those that begin within one window's length count as one); one window has none.",
    .examples = "lookat eval -f story.txt\tthe default model, windows of its whole context\n"
                "lookat eval -m gpt2.gguf -f wiki.test.raw -c 512\tas llama-perplexity -m "
                "gpt2.gguf -f wiki.test.raw -c 512\n"
                "lookat eval -f a.txt -f b.txt --attn int4 -o json\tanother attention backend, for "
                "a program\n",
    .max_args = 0,
    .run = run,
};
