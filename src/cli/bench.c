/* lookat bench: how fast it is, and how fast it could be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attention/spec.h"
#include "base/threads.h"
#include "checkpoint/find_model.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/lists.h"
#include "calibration/stand_in.h"
#include "report/bench_out.h"

enum { BATCH_MAX = 256, THREADS_MAX = 1024, LENGTH_MAX = 1 << 20, PARTS = 16 };

struct bench_job {
    const struct args *args;
    /* The lists that the cross product is made of. */
    struct number_list prompts, gens, depths, batches, threads, rights;
    struct word_list specs;
    const struct kernels **kernels; /* [n_kernels] */
    size_t n_kernels;
    struct checkpoint *models; /* [n_models] */
    size_t n_models;
    struct book *own, *made; /* [n_models] the codebooks of each model, and those that stand in for
                                missing ones */
    const struct book **books; /* [n_models] which to use */
    struct bench bench;
    struct arena arena;
};

static struct text_progress progress;

static void warn(const char *msg) { fprintf(stderr, "lookat: %s\n", msg); }

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

/* ---- what is asked for ---- */

static void drop_zeros(struct number_list *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->item[i]) l->item[n++] = l->item[i];
    l->n = n;
}

static int add_kernels(struct bench_job *j, const char *name, struct err *e) {
    return kernels_get(&j->kernels[j->n_kernels++], strcmp(name, "auto") == 0 ? NULL : name, e);
}

static int read_kernels(struct bench_job *j, struct err *e) {
    const char *given = j->args->kernels ? j->args->kernels : option_default(CMD_BENCH, "kernels");
    struct word_list names = {0};
    if (strcmp(given, "all") == 0) {
        for (size_t i = 0; kernels_at(i); i++)
            j->n_kernels += kernels_at(i)->supported() && !kernels_at(i)->by_name_only;
        j->kernels = arena_alloc(&j->arena, j->n_kernels, sizeof *j->kernels);
        for (size_t i = 0, n = 0; j->kernels && kernels_at(i); i++)
            if (kernels_at(i)->supported() && !kernels_at(i)->by_name_only)
                j->kernels[n++] = kernels_at(i);
        return j->kernels ? OK : no_memory(e);
    }
    int rc = words_add(&names, given, word_first, "--kernels", &j->arena, e);
    if (rc) return rc;
    j->kernels = arena_alloc(&j->arena, names.n, sizeof *j->kernels);
    if (!j->kernels) return no_memory(e);
    for (size_t i = 0; i < names.n && !rc; i++) rc = add_kernels(j, names.item[i], e);
    return rc;
}

static int ascending(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* What --attention has no use for. */
static int check_attention(const struct args *a, struct err *e) {
    const char *given = a->prompt_lengths.n  ? "-p"
                        : a->gen_lengths.n   ? "-n"
                        : a->batches.n       ? "-b"
                        : a->thread_counts.n ? "-t"
                        : a->roofline        ? "--roofline"
                                             : NULL;
    return given ? err_set(e, ERR_USAGE,
                           "--attention measures one query at a time on one thread; leave out %s",
                           given)
                 : OK;
}

/* What --draft has no use for. */
static int check_draft(const struct args *a, struct err *e) {
    const char *given = a->prompt_lengths.n ? "-p"
                        : a->batches.n      ? "-b"
                        : a->attention      ? "--attention"
                        : a->roofline       ? "--roofline"
                                            : NULL;
    return given ? err_set(e, ERR_USAGE,
                           "--draft measures one text with drafts and without; leave out %s", given)
                 : OK;
}

/* What an option of bench is without being given, as the help shows it. */
static const char *usual(const char *name) { return option_default(CMD_BENCH, name); }

static int read_threads(struct bench_job *j, struct err *e) {
    const struct args *a = j->args;
    char one[24];
    int64_t n;
    int rc = args_threads(a, &n, e);
    if (rc) return rc;
    snprintf(one, sizeof one, "%lld", (long long)n);
    return numbers_read(&j->threads, &a->thread_counts, one, "-t", 0, THREADS_MAX, &j->arena, e);
}

static int read_lists(struct bench_job *j, struct err *e) {
    const struct args *a = j->args;
    struct arena *arena = &j->arena;
    const bool drafts = a->draft_rights.n > 0;
    int rc = drafts ? check_draft(a, e) : OK;
    if (!rc)
        rc = numbers_read(&j->prompts, &a->prompt_lengths, drafts ? "0" : usual("n-prompt"), "-p",
                          0, LENGTH_MAX, arena, e);
    if (!rc)
        rc = numbers_read(&j->gens, &a->gen_lengths, usual("n-gen"), "-n", 0, LENGTH_MAX, arena, e);
    if (!rc)
        rc = numbers_read(&j->depths, &a->depths,
                          drafts         ? "64"
                          : a->attention ? "1"
                                         : usual("n-depth"),
                          "-d", drafts ? 2 : a->attention, LENGTH_MAX, arena, e);
    if (!rc && drafts)
        rc = numbers_read(&j->rights, &a->draft_rights, NULL, "--draft", 0, 100, arena, e);
    if (!rc)
        rc = numbers_read(&j->batches, &a->batches, usual("batch"), "-b", 1, BATCH_MAX, arena, e);
    if (!rc) rc = read_threads(j, e);
    if (!rc && !a->attn.n) rc = words_add(&j->specs, usual("attn"), spec_first, "--attn", arena, e);
    for (size_t i = 0; i < a->attn.n && !rc; i++)
        rc = words_add(&j->specs, a->attn.item[i], spec_first, "--attn", arena, e);
    if (!rc) rc = read_kernels(j, e);
    if (rc) return rc;
    if (a->attention) {
        qsort(j->depths.item, j->depths.n, sizeof *j->depths.item, ascending);
        return check_attention(a, e);
    }
    drop_zeros(&j->prompts);
    drop_zeros(&j->gens);
    for (size_t i = 0; i < j->threads.n; i++)
        if (!j->threads.item[i]) j->threads.item[i] = (size_t)threads_allowed();
    if (!j->prompts.n && !j->gens.n)
        return err_set(
            e, ERR_USAGE,
            "bench: nothing to measure; give lengths of prompts (-p) or of texts to generate (-n)");
    if (!j->gens.n && (a->depths.n || a->batches.n))
        return err_set(e, ERR_USAGE, "%s is for generation, and -n gives none",
                       a->depths.n ? "-d" : "-b");
    return OK;
}

/* ---- models and codebooks ---- */

static size_t context_of(const struct bench_job *j, const struct checkpoint *m) {
    return j->args->n_ctx ? (size_t)j->args->n_ctx : m->weights.config.n_ctx;
}

/* Does everything fit the context? */
static int check_lengths(const struct bench_job *j, const struct checkpoint *m, struct err *e) {
    size_t most = m->weights.config.n_ctx, n_ctx = context_of(j, m);
    if (n_ctx > most)
        return err_set(e, ERR_USAGE, "-c %zu: the context of %.100s is %zu tokens", n_ctx, m->path,
                       most);
    for (size_t d = 0; d < j->depths.n && j->args->attention; d++)
        if (j->depths.item[d] > n_ctx)
            return err_set(e, ERR_USAGE, "-d %zu: beyond the context of %zu tokens (%.100s)",
                           j->depths.item[d], n_ctx, m->path);
    if (j->args->attention) return OK;
    for (size_t i = 0; i < j->prompts.n; i++)
        if (j->prompts.item[i] > n_ctx)
            return err_set(e, ERR_USAGE, "-p %zu: longer than the context of %zu tokens (%.100s)",
                           j->prompts.item[i], n_ctx, m->path);
    for (size_t i = 0; i < j->gens.n; i++)
        for (size_t d = 0; d < j->depths.n; d++)
            if (j->depths.item[d] + j->gens.item[i] > n_ctx)
                return err_set(
                    e, ERR_USAGE,
                    "-d %zu: %zu tokens after it end beyond the context of %zu tokens (%.100s)",
                    j->depths.item[d], j->gens.item[i], n_ctx, m->path);
    return OK;
}

static int open_model(struct bench_job *j, const char *named, struct err *e) {
    const struct args *args = j->args;
    struct checkpoint *m = &j->models[j->n_models];
    const char *path;
    int rc = find_model(named, args->program, &j->arena, &path, e);
    if (!rc) rc = checkpoint_open(m, path, args->tokenizer, args->quiet ? NULL : warn, e);
    if (rc) return rc;
    j->n_models++;
    return check_lengths(j, m, e);
}

static int open_models(struct bench_job *j, struct err *e) {
    const struct str_list *named = &j->args->models;
    size_t n = named->n ? named->n : 1;
    j->models = arena_zalloc(&j->arena, n, sizeof *j->models);
    j->own = arena_zalloc(&j->arena, n, sizeof *j->own);
    j->made = arena_zalloc(&j->arena, n, sizeof *j->made);
    j->books = arena_zalloc(&j->arena, n, sizeof *j->books);
    if (!j->models || !j->own || !j->made || !j->books) return no_memory(e);
    int rc = OK;
    for (size_t i = 0; i < n && !rc; i++) rc = open_model(j, named->n ? named->item[i] : NULL, e);
    return rc;
}

/* A book that was asked for must have what is needed; else what the model lacks is made up. */
static int open_book(struct bench_job *j, size_t i, struct err *e) {
    const struct checkpoint *m = &j->models[i];
    const struct kernels *k;
    size_t made;
    int rc = model_book_open(&j->own[i], &j->books[i], j->args, m, j->specs.item, j->specs.n,
                             &j->arena, e);
    if (!rc) rc = kernels_get(&k, NULL, e);
    if (rc || j->args->book) return rc;
    rc = stand_in_book(&j->made[i], &made, j->books[i], &m->weights, k, j->specs.item, j->specs.n,
                       e);
    if (rc || !made) return rc;
    j->books[i] = &j->made[i];
    if (!j->args->quiet)
        fprintf(stderr,
                "lookat: %s: made %zu codebook%s of its keys for random tokens: good for measuring "
                "speed\n",
                m->path, made, made == 1 ? "" : "s");
    return OK;
}

/* ---- the cross product ---- */

static int add_row(struct bench_job *j, size_t group, size_t threads, bool decode, size_t n,
                   size_t depth, size_t batch, struct err *e) {
    struct bench_row *r = &j->bench.rows[j->bench.n_rows++];
    *r = (struct bench_row){.group = group,
                            .threads = (int)threads,
                            .decode = decode,
                            .n = n,
                            .depth = depth,
                            .batch = batch};
    r->seconds = arena_zalloc(&j->arena, j->bench.repeats, sizeof *r->seconds);
    return r->seconds ? OK : no_memory(e);
}

static int add_stage(struct bench_job *j, size_t group, size_t depth, struct err *e) {
    struct bench_stages *s = &j->bench.stages[j->bench.n_stages++];
    *s = (struct bench_stages){.group = group, .depth = depth};
    s->ns = arena_zalloc(&j->arena, j->bench.repeats, sizeof *s->ns);
    return s->ns ? OK : no_memory(e);
}

/* Attention at the depths that are asked for, or at a sixteenth, an eighth, ... of the context and
 * at all of it. */
static int add_stages(struct bench_job *j, size_t group, struct err *e) {
    size_t n_ctx = context_of(j, j->bench.groups[group].model);
    int rc = OK;
    for (size_t d = 0; d < j->depths.n && j->args->depths.n && !rc; d++)
        rc = add_stage(j, group, j->depths.item[d], e);
    for (size_t part = PARTS; part > 0 && !j->args->depths.n && !rc; part /= 2)
        if (n_ctx / part) rc = add_stage(j, group, n_ctx / part, e);
    return rc;
}

static int add_tests(struct bench_job *j, size_t group, size_t threads, struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < j->prompts.n && !rc; i++)
        rc = add_row(j, group, threads, false, j->prompts.item[i], 0, 1, e);
    for (size_t i = 0; i < j->gens.n; i++)
        for (size_t b = 0; b < j->batches.n; b++)
            for (size_t d = 0; d < j->depths.n && !rc; d++)
                rc = add_row(j, group, threads, true, j->gens.item[i], j->depths.item[d],
                             j->batches.item[b], e);
    return rc;
}

/* A script for each length, depth and share of right proposals. */
static void add_drafts(struct bench_job *j, size_t group, size_t threads) {
    for (size_t i = 0; i < j->gens.n; i++)
        for (size_t d = 0; d < j->depths.n; d++)
            for (size_t r = 0; r < j->rights.n; r++)
                j->bench.drafts[j->bench.n_drafts++] =
                    (struct bench_drafts){.group = group,
                                          .threads = (int)threads,
                                          .n = j->gens.item[i],
                                          .depth = j->depths.item[d],
                                          .right = (double)j->rights.item[r] / 100};
}

static void add_limits(struct bench *b, const struct kernels *k, int threads) {
    for (size_t i = 0; i < b->n_limits; i++)
        if (b->limits[i].k == k && b->limits[i].threads == threads) return;
    b->limits[b->n_limits++] = (struct bench_limits){.k = k, .threads = threads};
}

static int plan(struct bench_job *j, struct err *e) {
    struct bench *b = &j->bench;
    size_t sets = j->n_kernels * j->threads.n,
           tests = j->prompts.n + j->gens.n * j->batches.n * j->depths.n;
    *b = (struct bench){.repeats = (size_t)j->args->repetitions,
                        .n_ctx = (size_t)j->args->n_ctx,
                        .progress = progress_shares(&progress, j->args->quiet)};
    size_t groups = j->n_models * j->n_kernels * j->specs.n;
    b->groups = arena_zalloc(&j->arena, groups, sizeof *b->groups);
    b->stages = arena_zalloc(&j->arena, groups * (j->depths.n + PARTS), sizeof *b->stages);
    b->rows = arena_zalloc(&j->arena, j->n_models * sets * j->specs.n * tests, sizeof *b->rows);
    b->limits = arena_zalloc(&j->arena, sets, sizeof *b->limits);
    b->drafts = arena_zalloc(&j->arena, j->n_models * sets * j->specs.n * tests,
                             (1 + j->rights.n) * sizeof *b->drafts);
    int rc = b->groups && b->stages && b->rows && b->limits && b->drafts ? OK : no_memory(e);
    for (size_t m = 0; m < j->n_models; m++)
        for (size_t k = 0; k < j->n_kernels; k++)
            for (size_t s = 0; s < j->specs.n && !rc; s++) {
                b->groups[b->n_groups] = (struct bench_group){.invariant = j->args->invariant,
                                                              .model = &j->models[m],
                                                              .book = j->books[m],
                                                              .k = j->kernels[k],
                                                              .attn = j->specs.item[s]};
                if (j->args->attention) rc = add_stages(j, b->n_groups, e);
                for (size_t t = 0; t < j->threads.n && !j->args->attention && !rc; t++)
                    if (j->rights.n)
                        add_drafts(j, b->n_groups, j->threads.item[t]);
                    else
                        rc = add_tests(j, b->n_groups, j->threads.item[t], e);
                b->n_groups++;
            }
    for (size_t k = 0; k < j->n_kernels && j->args->roofline; k++)
        for (size_t t = 0; t < j->threads.n; t++)
            add_limits(b, j->kernels[k], (int)j->threads.item[t]);
    return rc;
}

static int report(struct bench_job *j, struct err *e) {
    struct bench_report r = {&j->bench, j->models, j->n_models, &j->arena};
    const char *format = j->args->format ? j->args->format : isatty(STDOUT_FILENO) ? "text" : "md";
    if (strcmp(format, "csv") == 0)
        bench_put_csv(&r, stdout);
    else if (strncmp(format, "json", 4) == 0)
        bench_put_json(&r, strcmp(format, "jsonl") == 0, stdout);
    else
        return bench_put_text(&r, strcmp(format, "md") == 0, stdout, e);
    return OK;
}

static int measure(struct bench_job *j, struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < j->n_models && !rc; i++) rc = open_book(j, i, e);
    if (!rc) rc = plan(j, e);
    progress_begin(&progress, "measuring");
    if (!rc) rc = bench_run(&j->bench, e);
    progress_end(&progress);
    if (!rc) rc = report(j, e);
    bench_close(&j->bench);
    return rc;
}

static int run(const struct args *args, struct err *e) {
    struct bench_job j = {.args = args};
    int rc = read_lists(&j, e);
    if (!rc) rc = open_models(&j, e);
    if (!rc) rc = measure(&j, e);
    for (size_t i = 0; i < j.n_models; i++) {
        book_close(&j.own[i]);
        book_close(&j.made[i]);
        checkpoint_close(&j.models[i]);
    }
    arena_free(&j.arena);
    if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
    return rc;
}

const struct command bench_command = {
    .id = CMD_BENCH,
    .summary = "measure how fast models run",
    .usage = "[-m MODEL]... [OPTION]...",
    .about =
        "Tokens per second of prompts (pp) and of generation (tg) at depths, for every "
        "combination of the lists, in the manner of "
        "llama-bench: the median, least and most of the repetitions; bytes that must be read "
        "for a token, GB/s and GFLOP/s. The bytes are "
        "those of the weights that a step goes through and of the cache that attention "
        "counts, divided by the tokens of the step. Weights and rows of the cache are streamed: "
        "each "
        "token brings them in anew. Tables are at hand, in a core's caches, and so are codebooks "
        "of at most 1 MB; GB/s are of the streamed bytes. The "
        "operations are two for each weight of each product and those of exact attention. "
        "Only the steps are timed: a cache is filled once "
        "and copied. --roofline measures, before the repetitions and after each, how fast "
        "this machine reads memory (512 MB, in a few "
        "streams and in many, the faster counts, all threads) and multiplies and adds in "
        "registers (float32, with the row's kernels); a "
        "token takes at least its streamed bytes over the one or its operations over the other, "
        "whichever is longer, and that time over the "
        "measured one is the share, of each repetition with the larger of the limits before "
        "and after it; the median is shown. A small "
        "model that stays in the cache can be read faster than memory. A model without "
        "codebooks gets some made up, for lookat's speed. --draft writes a text by itself: each "
        "token is what a draft would propose, with the chance that is given, and else another one. "
        "Generation along it, sampling included, is timed without drafts and with as many as pay, "
        "a step of the one and of the other in turn.",
    .examples =
        "lookat bench -m gpt2.gguf -p 512 -n 64 -d 0,960 --roofline\ta prompt, and "
        "generation with an empty and a full cache\n"
        "lookat bench -p 0 -n 32 -b 1,2,4,8 --attn fp16,lookat4/int8\tsequences generated "
        "together, two backends\n"
        "lookat bench --attention --attn fp16,int8,lookat4\twhat attention costs by depth, "
        "and from where on tables pay\n"
        "lookat bench -m long.gguf --attention -d 256,1024,8000 --attn fp16,int4/int4\thow "
        "time and bytes grow with the context\n"
        "lookat bench -m gpt2.gguf --draft 0,25,50,90\twhat drafts gain, by how many of them "
        "are right\n"
        "lookat bench --kernels all -t 1 -o csv\tinstruction sets side by side\n",
    .max_args = 0,
    .run = run,
};
