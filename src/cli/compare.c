/* lookat compare: attention backends side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "attention/spec.h"
#include "cli/book.h"
#include "cli/check.h"
#include "cli/command.h"
#include "cli/compare_collect.h"
#include "cli/compare_free.h"
#include "cli/compare_page.h"
#include "cli/file_hash.h"
#include "cli/lists.h"
#include "cli/texts.h"
#include "report/cut_out.h"
#include "report/text.h"

enum { WINDOW = 1024, PAPER_TOKENS = 8192, PAGE_TOKENS = 2048, LENGTHS_MAX = 16 };

struct compare_job {
    const struct args *args;
    struct engine g;
    struct book book;
    struct comparison main, lengths[LENGTHS_MAX];
    struct compare_report r;
    struct compare_book book_facts;
    struct check checks[STR_LIST_MAX];
    bool forced, shadow, free;
    struct text_progress progress;
    struct arena arena;
};

static int no_memory(struct err *e) {
    return err_set(e, ERR_FAILED, "out of memory for the comparison");
}

/* ---- options ---- */

/* N, or N and a second number behind the separator; false for anything else. */
static bool two_numbers(const char *s, char separator, size_t *a, size_t *b) {
    size_t digits = strspn(s, "0123456789");
    const char *second = s + digits + 1;
    if (!digits || digits > 9) return false;
    *a = *b = (size_t)strtoul(s, NULL, 10);
    if (!s[digits]) return true;
    if (s[digits] != separator || !*second || strlen(second) > 9 ||
        second[strspn(second, "0123456789")])
        return false;
    *b = (size_t)strtoul(second, NULL, 10);
    return true;
}

static int read_chunks(const char *text, struct comparison *c, struct err *e) {
    c->of = 1;
    if (!text) return OK;
    if (strchr(text, '/') && two_numbers(text, '/', &c->share, &c->of) && c->share < c->of)
        return OK;
    return err_set(e, ERR_USAGE, "--chunks: expected I/N with I from 0 to N - 1, got '%.40s'",
                   text);
}

static int read_layers(const char *text, size_t n_layer, struct comparison *c, struct err *e) {
    c->last_layer = n_layer - 1;
    if (!text) return OK;
    if (two_numbers(text, '-', &c->first_layer, &c->last_layer) &&
        c->first_layer <= c->last_layer && c->last_layer < n_layer)
        return OK;
    return err_set(e, ERR_USAGE, "--layers: expected N or N-M of 0 to %zu, got '%.40s'",
                   n_layer - 1, text);
}

static int read_lengths(struct compare_job *j, const char *text, struct err *e) {
    size_t most = j->g.model.weights.config.n_ctx;
    for (const char *s = text; s && *s;) {
        size_t n = strcspn(s, ","), length;
        char word[16] = "";
        if (n < sizeof word) memcpy(word, s, n);
        if (!two_numbers(word, 0, &length, &length) || length < 4 || length > most ||
            j->r.n_lengths == LENGTHS_MAX)
            return err_set(e, ERR_USAGE,
                           "--lengths: expected up to %d numbers from 4 to %zu, separated by "
                           "commas, got '%.40s'",
                           LENGTHS_MAX, most, text);
        j->lengths[j->r.n_lengths++].window = length;
        s += n + (s[n] == ',');
    }
    return OK;
}

static int read_modes(struct compare_job *j, struct err *e) {
    const struct args *a = j->args;
    const char *mode = a->mode ? a->mode : a->paper ? "shadow" : "";
    bool all = strcmp(mode, "all") == 0;
    j->forced = all || !*mode || strcmp(mode, "forced") == 0;
    j->shadow = all || !*mode || strcmp(mode, "shadow") == 0;
    j->free = all || strcmp(mode, "free") == 0;
    bool raw = strcmp(a->format, "jsonl") == 0;
    if (a->paper && !j->shadow)
        return err_set(e, ERR_USAGE, "--paper: its table is of mode shadow");
    if (a->paper && (a->attn.n || a->cache_spec[0]))
        return err_set(e, ERR_USAGE, "--paper has its own backends; leave out --attn");
    if ((raw || a->chunks) && (a->paper || a->lengths))
        return err_set(e, ERR_USAGE,
                       "%s: shares hold windows of one length; leave out --paper and --lengths",
                       raw ? "-o jsonl" : "--chunks");
    return OK;
}

/* Options that are of another mode than the ones that run. */
static int check_modes(const struct compare_job *j, struct err *e) {
    const struct args *a = j->args;
    if ((args_given(a, "html-layer") || args_given(a, "html-head")) && !compare_page_wanted(a))
        return err_set(e, ERR_USAGE, "--html-layer and --html-head are for --html or --svg");
    const char *shadow = a->heads ? "--heads" : a->layers ? "--layers" : NULL;
    if (shadow && !j->shadow)
        return err_set(e, ERR_USAGE, "%s is of mode shadow, which is not run", shadow);
    if (args_given(a, "seed") && !j->free)
        return err_set(e, ERR_USAGE,
                       "--seed is of mode free, which is not run: nothing else draws");
    if (j->free && strcmp(a->format, "csv") == 0 && !j->forced && !j->shadow)
        return err_set(e, ERR_USAGE,
                       "-o csv has no place for the texts of mode free; use -o json, md or text");
    if (j->free && strcmp(a->format, "csv") == 0 && !a->quiet)
        fprintf(stderr, "lookat: -o csv leaves out the texts of mode free\n");
    if (a->chunks && j->free && !j->forced && !j->shadow)
        return err_set(e, ERR_USAGE, "--chunks: mode free has no windows to share out");
    return OK;
}

/* Adding shares up takes what they say; the rest of the command line would be left unread. */
static int check_merge(const struct args *a, struct err *e) {
    static const char *const unread[] = {"model",   "tokenizer",    "predict",      "ctx-size",
                                         "seed",    "cache-type-k", "cache-type-v", "book",
                                         "kernels", "threads",      "html-layer",   "html-head"};
    if (!a->argc)
        return err_set(e, ERR_USAGE,
                       "--merge: expected the files that lookat compare -o jsonl wrote");
    if (a->files.n || a->attn.n || a->chunks || a->mode || a->paper || a->lengths || a->layers)
        return err_set(
            e, ERR_USAGE,
            "--merge measures nothing: texts, backends and modes are those of the shares");
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (args_given(a, unread[i]))
            return err_set(e, ERR_USAGE,
                           "--merge measures nothing, so --%s has no effect; leave it out",
                           unread[i]);
    return OK;
}

/* What can be said before the model is read. */
static int check_options(struct compare_job *j, struct err *e) {
    const struct args *a = j->args;
    if (!a->merge && a->argc)
        return err_set(
            e, ERR_USAGE,
            "compare: unexpected argument '%.60s'; texts go after -f, shares after --merge",
            a->argv[0]);
    if (!a->merge && !a->files.n)
        return err_set(e, ERR_USAGE,
                       "compare: expected a text to measure on, -f FILE (-f - is standard input)");
    int rc = compare_page_wanted(a) ? compare_page_check(a, e) : OK;
    if (rc) return rc;
    if (a->merge) return check_merge(a, e);
    rc = read_chunks(a->chunks, &j->main, e);
    if (!rc) rc = read_modes(j, e);
    return rc ? rc : check_modes(j, e);
}

/* ---- texts ---- */

static int read_text(struct compare_job *j, const char *path, size_t limit,
                     struct comparison_text *to, struct err *e) {
    struct token_text t;
    int rc = token_text_read(&t, &j->g, path, limit, &j->arena, e);
    if (rc) return rc;
    *to = (struct comparison_text){.file = t.file, .ids = t.ids, .tokens = t.n};
    memcpy(to->sha256, t.sha256, sizeof to->sha256);
    return OK;
}

static int read_texts(struct compare_job *j, struct err *e) {
    const struct args *a = j->args;
    size_t limit = a->n_predict >= 0 ? (size_t)a->n_predict : a->paper ? PAPER_TOKENS : SIZE_MAX;
    struct comparison *c = &j->main;
    c->texts = arena_zalloc(&j->arena, a->files.n, sizeof *c->texts);
    if (!c->texts) return no_memory(e);
    for (c->n_texts = 0; c->n_texts < a->files.n; c->n_texts++) {
        int rc = read_text(j, a->files.item[c->n_texts], limit, &c->texts[c->n_texts], e);
        if (rc) return rc;
    }
    return OK;
}

/* ---- codebooks ---- */

static int open_book(struct compare_job *j, struct err *e) {
    static const char *const paper = "lookat4";
    const char *specs[STR_LIST_MAX + 1] = {paper};
    size_t n = j->main.n_runs ? j->main.n_runs : 1; /* --paper chooses its backends by the book */
    for (size_t i = 0; i < j->main.n_runs; i++) specs[i] = j->main.runs[i].spec;
    int rc = model_book_open(&j->book, &j->main.book, j->args, &j->g.model, specs, n, &j->arena, e);
    const struct book *b = j->main.book;
    if (rc || !b) return rc;
    j->book_facts = (struct compare_book){.file = b->path,
                                          .corpora = b->corpora,
                                          .n_corpora = b->n_corpora,
                                          .books = b->books,
                                          .n = b->n,
                                          .tokens = b->tokens,
                                          .samples = b->samples,
                                          .seed = b->seed};
    j->r.book = &j->book_facts;
    return OK;
}

/* ---- backends ---- */

static bool add_run(struct compare_job *j, const char *spec) {
    const char *copy = arena_copy(&j->arena, spec, strlen(spec));
    if (copy) j->main.runs[j->main.n_runs++].spec = copy;
    return copy != NULL;
}

/* The paper's LOOKAT-m, K = 256, as far as there are codebooks, then the other plain codebooks, for
 * the law. */
static int paper_runs(struct compare_job *j, struct err *e) {
    static const size_t subspaces[] = {2, 4, 8, 16};
    char spec[48];
    bool ok = add_run(j, "fp16") && add_run(j, "int8") && add_run(j, "int4");
    for (size_t i = 0; ok && i < sizeof subspaces / sizeof *subspaces; i++) {
        snprintf(spec, sizeof spec, "lookat%zu:plain", subspaces[i]);
        if (!j->main.book || book_find(&j->book, subspaces[i], 256, CODEBOOK_PLAIN))
            ok = add_run(j, spec);
        else if (!j->args->quiet)
            fprintf(stderr, "lookat: no codebooks for %s: it is left out\n", spec);
    }
    for (size_t i = 0; ok && i < j->book.n && j->main.n_runs < STR_LIST_MAX; i++) {
        size_t m = j->book.books[i].m, k = j->book.books[i].k;
        if (j->book.books[i].learned) continue;
        if (k == 256 && (m == 2 || m == 4 || m == 8 || m == 16)) continue;
        snprintf(spec, sizeof spec, "lookat:m=%zu,k=%zu,plain", m, k);
        ok = add_run(j, spec);
    }
    return ok ? OK : no_memory(e);
}

static int choose_runs(struct compare_job *j, struct err *e) {
    static const char usual[] = "fp16,int8,int4,lookat4";
    const struct args *a = j->args;
    struct word_list specs = {0};
    int rc = a->attn.n || a->cache_spec[0]
                 ? OK
                 : words_add(&specs, usual, spec_first, "--attn", &j->arena, e);
    for (size_t i = 0; i < a->attn.n && !rc; i++)
        rc = words_add(&specs, a->attn.item[i], spec_first, "--attn", &j->arena, e);
    if (!rc && a->cache_spec[0])
        rc = words_add(&specs, a->cache_spec, spec_first, "--cache-type-k", &j->arena, e);
    if (rc) return rc;
    if (specs.n > STR_LIST_MAX)
        return err_set(e, ERR_USAGE, "--attn: more than %d backends", STR_LIST_MAX);
    for (size_t i = 0; i < specs.n; i++)
        if (!add_run(j, specs.item[i])) return no_memory(e);
    return OK;
}

/* A backend that stands there twice is measured twice, which only shows that it is the same. */
static void warn_same(const struct comparison *c) {
    for (size_t i = 0; i < c->n_runs; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->runs[i].name, c->runs[k].name) == 0)
                fprintf(stderr, "lookat: --attn %s and --attn %s are the same backend, %s\n",
                        c->runs[k].spec, c->runs[i].spec, c->runs[i].name);
}

/* ---- preparing ---- */

static int describe_model(struct compare_job *j, struct err *e) {
    struct compare_model *m = &j->r.model;
    const struct checkpoint *c = &j->g.model;
    bool wanted = compare_page_wanted(j->args) || strcmp(j->args->format, "json") == 0 ||
                  strcmp(j->args->format, "jsonl") == 0;
    *m = (struct compare_model){.file = c->path, .name = c->name, .config = c->weights.config};
    gpt2_fingerprint(&c->weights, m->fingerprint);
    if (!wanted || file_is_folder(c->path)) return OK;
    return file_hash(c->path, m->sha256, e);
}

/* The same comparison with another window; only attention alone, over at most `limit` tokens of
 * each text. */
static int prepare_length(struct compare_job *j, struct comparison *c, size_t limit,
                          struct err *e) {
    size_t window = c->window;
    *c = j->main;
    c->window = window;
    c->forced = false;
    c->shadow = true;
    c->arena = (struct arena){0};
    c->texts = arena_alloc(&j->arena, c->n_texts, sizeof *c->texts);
    c->runs = arena_zalloc(&j->arena, c->n_runs, sizeof *c->runs);
    if (!c->texts || !c->runs) return no_memory(e);
    memcpy(c->texts, j->main.texts, c->n_texts * sizeof *c->texts);
    for (size_t i = 0; i < c->n_texts; i++)
        if (c->texts[i].tokens > limit) c->texts[i].tokens = limit;
    for (size_t i = 0; i < c->n_runs; i++) c->runs[i].spec = j->main.runs[i].spec;
    return comparison_prepare(c, e);
}

/* Does a page want fidelity by length? Shares have no place for it, and one length is no curve. A
 * page that nobody asked for lengths takes the first PAGE_TOKENS of a text for them, so that it
 * does not take much longer than the comparison itself. */
static bool draws_lengths(const struct compare_job *j) {
    return compare_page_wanted(j->args) && j->shadow && j->main.window >= 128 && j->main.of == 1 &&
           strcmp(j->args->format, "jsonl") != 0;
}

static int prepare_lengths(struct compare_job *j, struct err *e) {
    const char *lengths = j->args->lengths;
    size_t limit = lengths || j->args->paper ? SIZE_MAX : PAGE_TOKENS;
    char usual[128] = "64";
    bool wanted = j->args->paper || draws_lengths(j);
    for (size_t n = 128, at = 2; !lengths && wanted && n <= j->main.window && n <= limit; n *= 2)
        at += (size_t)snprintf(usual + at, sizeof usual - at, ",%zu", n);
    int rc = read_lengths(j, lengths ? lengths : wanted ? usual : NULL, e);
    for (size_t i = 0; !rc && i < j->r.n_lengths; i++)
        rc = prepare_length(j, &j->lengths[i], limit, e);
    return rc;
}

static int prepare(struct compare_job *j, struct err *e) {
    const struct args *a = j->args;
    struct comparison *c = &j->main;
    const struct gpt2_config *g = &j->g.model.weights.config;
    c->w = &j->g.model.weights;
    c->k = j->g.k;
    c->runs = arena_zalloc(&j->arena, STR_LIST_MAX + 1, sizeof *c->runs);
    if (!c->runs) return no_memory(e);
    c->forced = j->forced;
    c->shadow = j->shadow;
    c->window = a->n_ctx ? (size_t)a->n_ctx : g->n_ctx < WINDOW ? g->n_ctx : WINDOW;
    int rc = read_layers(a->layers ? a->layers : a->paper ? "0" : NULL, g->n_layer, c, e);
    if (!rc && compare_page_wanted(a)) rc = compare_page_check_head(a, g, e);
    if (!rc) rc = describe_model(j, e);
    if (!rc && !a->paper) rc = choose_runs(j, e);
    if (!rc) rc = open_book(j, e);
    if (!rc && a->paper) rc = paper_runs(j, e);
    if (!rc) rc = checks_read(&a->check, c, j->checks, e);
    if (!rc) rc = read_texts(j, e);
    if (!rc) rc = comparison_prepare(c, e);
    if (!rc) rc = prepare_lengths(j, e);
    if (rc) return rc;
    if (!a->quiet) warn_same(c);
    for (size_t t = 0; t < c->n_texts && !a->quiet; t++)
        model_book_warn_seen(c->book, c->texts[t].file, c->texts[t].sha256);
    j->r.main = c;
    j->r.lengths = j->lengths;
    j->r.paper = a->paper;
    j->r.seed = a->has_seed || a->seed ? a->seed : rng_entropy(); /* -1 */
    j->r.n_prompt = j->free ? compare_free_prompt(c->window) : 0;
    return OK;
}

/* ---- measuring ---- */

static int measure_one(struct compare_job *j, struct comparison *c, const char *what,
                       struct err *e) {
    progress_begin(&j->progress, what);
    int rc = comparison_measure(c, progress_shares(&j->progress, j->args->quiet), e);
    progress_end(&j->progress);
    return rc;
}

static int measure(struct compare_job *j, struct err *e) {
    char what[48];
    int rc = j->forced || j->shadow ? measure_one(j, &j->main, "comparing", e) : OK;
    for (size_t i = 0; !rc && i < j->r.n_lengths; i++) {
        snprintf(what, sizeof what, "comparing windows of %zu", j->lengths[i].window);
        rc = measure_one(j, &j->lengths[i], what, e);
    }
    if (rc || !j->free || j->main.share) return rc; /* the first share writes */
    progress_begin(&j->progress, "writing");
    rc = compare_free_run(&j->g, &j->r, progress_shares(&j->progress, j->args->quiet), e);
    progress_end(&j->progress);
    return rc;
}

/* 1 - rho of each window of a run, all texts together. */
static const double *window_errors(struct compare_job *j, const struct comparison_run *run) {
    const struct gpt2_config *g = &j->g.model.weights.config;
    double *y = arena_alloc(&j->arena, run->n_chunks + 1, sizeof *y);
    for (size_t w = 0; y && w < run->n_chunks; w++) {
        struct moments all = {0};
        for (size_t i = 0; i < g->n_layer * g->n_head; i++)
            moments_join(&all, &run->chunks[w].shadow[i * FIDELITIES + FIDELITY_SPEARMAN]);
        y[w] = 1 - moments_mean(&all);
    }
    return y;
}

/* Spearman's rho of every run with a plain codebook, over all texts. */
static int collect_law(struct compare_job *j, struct err *e) {
    struct compare_law_point *points = arena_zalloc(&j->arena, j->main.n_runs, sizeof *points);
    if (!points) return no_memory(e);
    const struct gpt2_config *g = &j->main.w->config;
    for (size_t i = 1; i < j->main.n_runs; i++) {
        struct comparison_summary s;
        struct codec keys;
        int rc = codec_parse(&keys, j->main.runs[i].keys, g->n_embd / g->n_head, false, e);
        if (rc) return rc;
        if (!keys.o.plain) continue;
        rc = comparison_summarise(&j->main, i, SIZE_MAX, &j->arena, &s, e);
        if (rc) return rc;
        points[j->r.n_law++] = (struct compare_law_point){
            keys.o.m, keys.o.k, s.all[FIDELITY_SPEARMAN], window_errors(j, &j->main.runs[i])};
        j->r.n_law_windows = j->main.runs[i].n_chunks;
    }
    j->r.law = points;
    return OK;
}

/* ---- output ---- */

static int put(struct compare_job *j, struct err *e) {
    const char *format = j->args->format;
    j->r.heads = j->args->heads;
    j->r.explain = j->args->explain_columns;
    if (strcmp(format, "jsonl") == 0) {
        compare_put_share(&j->r, stdout);
        return OK;
    }
    if (strcmp(format, "json") == 0)
        compare_put_json(&j->r, stdout);
    else if (strcmp(format, "csv") == 0)
        compare_put_csv(&j->r, stdout);
    else
        return compare_put_text(&j->r, strcmp(format, "md") == 0, stdout, e);
    return OK;
}

/* A table shows NaN; this says why. And of rows that were cut short it says nothing. */
static void warn_of_faults(const struct compare_job *j) {
    size_t L = j->r.model.config.n_layer;
    for (size_t i = 0; i < j->main.n_runs * j->main.n_texts && !j->args->quiet; i++)
        cut_warn(stderr, j->main.runs[i / j->main.n_texts].spec, j->r.summary[i].cut, L);
    for (size_t i = 0; i < j->main.n_runs && !j->args->quiet; i++)
        if (j->main.runs[i].fault[0])
            fprintf(stderr, "lookat: warning: attention %s: %s\n", j->main.runs[i].spec,
                    j->main.runs[i].fault);
}

static int report(struct compare_job *j, struct err *e) {
    const struct engine *g = j->args->merge ? NULL : &j->g;
    int rc = compare_report_sum(&j->r, e);
    if (!rc) warn_of_faults(j);
    if (!rc && compare_page_wanted(j->args)) rc = compare_collect(j->args, g, &j->r, e);
    if (!rc) rc = put(j, e);
    if (!rc) rc = file_flush(stdout, "standard output", e);
    if (!rc) rc = compare_page_write(j->args, &j->r, e);
    return rc ? rc : checks_hold(j->checks, j->args->check.n, &j->r, e);
}

static int merge(struct compare_job *j, struct err *e) {
    int rc = compare_merge(&j->r, &j->main, j->args->argv, (size_t)j->args->argc, e);
    if (!rc) rc = checks_read(&j->args->check, &j->main, j->checks, e);
    return rc ? rc : report(j, e);
}

static int compare(struct compare_job *j, struct err *e) {
    int rc = engine_open(&j->g, j->args, e);
    if (rc) return rc;
    rc = prepare(j, e);
    if (!rc) rc = measure(j, e);
    if (!rc && j->args->paper) rc = collect_law(j, e);
    if (!rc) rc = report(j, e);
    book_close(&j->book);
    for (size_t i = 0; i < j->r.n_lengths; i++) arena_free(&j->lengths[i].arena);
    arena_free(&j->main.arena);
    engine_close(&j->g);
    if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
    return rc;
}

static int run(const struct args *args, struct err *e) {
    static struct compare_job j; /* too large for some stacks */
    j = (struct compare_job){.args = args};
    j.r.arena = &j.arena;
    if (args->explain_columns && !args->files.n && !args->merge && !args->argc) {
        metrics_explain(stdout, strcmp(args->format, "md") == 0);
        return OK;
    }
    int rc = check_options(&j, e);
    if (!rc) rc = args->merge ? merge(&j, e) : compare(&j, e);
    arena_free(&j.arena);
    return rc;
}

static void explain_columns(FILE *fp) {
    fputs("Columns of the tables:\n", fp);
    metrics_explain(fp, false);
}

const struct command compare_command = {
    .id = CMD_COMPARE,
    .summary = "measure attention backends against each other",
    .usage = "[OPTION]... -f TEXT\n[OPTION]... --merge SHARE...",
    .about = "Measures what attention backends cost and what they change, on texts: the text is "
             "cut into windows, and the second half of each is "
             "scored. The first backend is the baseline. Means come with their standard errors "
             "over windows. The report ends with a "
             "table of one row a backend.",
    .examples =
        "lookat compare -f book.txt -n 8192 -a fp16,int4,lookat4\tthree backends on 8192 tokens\n"
        "lookat compare -f book.txt --mode free -a fp16,lookat4\twhat a reader sees\n"
        "lookat compare -f book.txt -q --check 'int8.kld<0.01'\ta gate for scripts\n"
        "lookat compare -f book.txt --chunks 0/2 -o jsonl > 0.jsonl\thalf of the work; with 1/2, "
        "then --merge 0.jsonl 1.jsonl\n",
    .appendix = explain_columns,
    .max_args = 65536,
    .run = run,
};
