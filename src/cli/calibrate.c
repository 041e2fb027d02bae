/* lookat calibrate: learns the codebooks of a model. */
#include <stdio.h>
#include <string.h>

#include "attention/spec.h"
#include "base/inputs.h"
#include "base/out_file.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/texts.h"
#include "calibration/allot.h"
#include "calibration/search.h"
#include "report/calibration_out.h"
#include "report/text.h"

enum { FEW = 4 };

struct calibrate_job {
    const struct args *args;
    struct engine g;
    struct book book;
    struct book inside;           /* the model's own, of which --add keeps some */
    const struct book *own;       /* that, or NULL */
    struct sampled_text *texts;   /* [files.n] */
    struct allot_text kept_apart; /* of the texts, where there are uneven settings */
    struct key_sample sample;
    struct learn_error *errors; /* [book.n][L] */
    size_t window, tokens;      /* of a window; in all */
    unsigned parts;             /* of enum learn_parts */
    struct search_pair *pairs;  /* [n_pairs] of --auto */
    size_t n_pairs;
    struct search search;
};

static struct text_progress progress;

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

/* ---- what is asked for ---- */

/* Cheap to find out before a model is read. */
static int check_args(const struct args *a, struct err *e) {
    if (!a->files.n)
        return err_set(
            e, ERR_USAGE,
            "calibrate: no text; name one or several with -f FILE (-f - is standard input)");
    if (!a->output || !*a->output)
        return err_set(e, ERR_USAGE, "calibrate: no output file; name it with -o BOOK.gguf");
    return output_check(a, a->output, a->force, e);
}

/* The output again, now that all inputs are known. --embed says that it writes a copy of the model,
 * so it may replace that, if it is a GGUF file. */
static int check_output(const struct calibrate_job *j, struct err *e) {
    const struct checkpoint *m = &j->g.model;
    bool replace = j->args->embed && strncmp(m->format, "GGUF", 4) == 0;
    int rc = replace ? OK : checkpoint_claim(m->path, e);
    if (replace) inputs_may_replace(m->file.path);
    return rc ? rc : out_check(j->args->output, j->args->force, e);
}

/* The parts that --learn names. */
static int read_parts(struct calibrate_job *j, struct err *e) {
    struct word_list words = {0};
    const char *given = j->args->learn;
    j->parts = given ? 0 : LEARN_ALL;
    if (!given || strcmp(given, "none") == 0) return OK;
    int rc = words_add(&words, given, word_first, "--learn", &j->g.arena, e);
    for (size_t i = 0; i < words.n && !rc; i++) {
        size_t part = 0;
        while (part < LEARN_PARTS && strcmp(words.item[i], learn_part_names[part]) != 0) part++;
        if (part == LEARN_PARTS)
            return err_set(e, ERR_USAGE,
                           "--learn: '%.40s' is no part; there are metric, weights, directions, "
                           "ranges, rotation, or none of them",
                           words.item[i]);
        j->parts |= 1u << part;
    }
    return rc;
}

/* What --auto tries without --attn: 12 bytes of codes for a key and a value in codes of 4 bits,
 * then 8 and 16 bytes, then 12 bytes with keys, and with both, in codes of 8 bits. */
static const char auto_default[] =
    "lookat:bytes=4,k=16/pq:bytes=8,k=16,lookat:bytes=4,k=16/pq:bytes=4,k=16,"
    "lookat:bytes=8,k=16/pq:bytes=8,k=16,lookat:bytes=4/pq:bytes=8,k=16,"
    "lookat:bytes=4/pq:bytes=8";

/* The setting that a codec of `spec` needs; one without codebooks needs none. */
static int add_codec(struct calibrate_job *j, const char *spec, struct codec *c, bool *found,
                     struct err *e) {
    struct book *b = &j->book;
    if (!c->ops->codebooks) return OK;
    int rc = c->ops->check(c, b->head_dim, e);
    if (rc) return rc;
    if (!c->o.plain && b->head_dim > QUANTISER_DIM)
        return err_set(
            e, ERR_USAGE,
            "--attn %.40s: heads of %zu dimensions, %d at most can be learned; plain has no limit",
            spec, b->head_dim, QUANTISER_DIM);
    struct codebook y = {.m = c->o.bytes ? c->o.bytes : c->o.m,
                         .k = c->o.k,
                         .learned = !c->o.plain,
                         .uneven = c->o.bytes != 0,
                         .values = c->for_values};
    if (!book_find(b, y.m, y.k, codebook_kind(&y))) b->books[b->n++] = y;
    *found = true;
    return OK;
}

/* A spec as for attention, or that of a values' codec alone. */
static int add_setting(struct calibrate_job *j, const char *spec, struct err *e) {
    struct codec key, value;
    bool found = false;
    struct err unread;
    if (codec_parse(&value, spec, j->book.head_dim, true, &unread) == OK && !value.ops->keys)
        return add_codec(j, spec, &value, &found, e);
    int rc = spec_parse(spec, 1, &key, &value, e);
    if (!rc) rc = add_codec(j, spec, &key, &found, e);
    if (!rc) rc = add_codec(j, spec, &value, &found, e);
    return rc || found
               ? rc
               : err_set(e, ERR_USAGE,
                         "--attn %.40s: only lookat keys and pq values have codebooks", spec);
}

/* Makes a codec name just the codebooks that this run learns for it. */
static void name_codebooks(struct codec *c) {
    if (c->ops->codebooks && !c->o.plain && !c->o.bytes) c->o.learned = true;
}

/* A pair of codecs for --auto. Which rows are exact is what it tries, so no spec may say so. */
static int add_pair(struct calibrate_job *j, const char *spec, struct err *e) {
    struct search_pair *more = arena_alloc(&j->g.arena, j->n_pairs + 1, sizeof *more), pair;
    int rc = more ? spec_parse(spec, 1, &pair.key, &pair.value, e) : no_memory(e);
    if (rc) return rc;
    if (strpbrk(spec, "@+"))
        return err_set(e, ERR_USAGE,
                       "--attn %.60s: --auto takes KEYS/VALUES, the same for all layers", spec);
    const struct codec_options *o = &pair.key.o;
    if (o->sink || o->window || o->refine || o->exact)
        return err_set(e, ERR_USAGE,
                       "--attn %.60s: --auto chooses sink, window, refine and exact itself", spec);
    name_codebooks(&pair.key), name_codebooks(&pair.value);
    if (j->n_pairs) memcpy(more, j->pairs, j->n_pairs * sizeof *more);
    more[j->n_pairs++] = pair;
    j->pairs = more;
    return OK;
}

/* A list of specs between commas. */
static int add_settings(struct calibrate_job *j, const char *list, struct err *e) {
    int rc = OK;
    for (const char *end = list; !rc && *end; list = end + 1) {
        end = list + spec_first(list);
        char *spec = arena_copy(&j->g.arena, list, (size_t)(end - list));
        rc = spec ? add_setting(j, spec, e) : no_memory(e);
        if (!rc && j->args->search) rc = add_pair(j, spec, e);
    }
    return rc;
}

static bool any_learned(const struct book *b) {
    for (size_t i = 0; i < b->n; i++)
        if (b->books[i].learned) return true;
    return false;
}

static int plan(struct calibrate_job *j, struct err *e) {
    const struct args *a = j->args;
    const struct gpt2_config *c = &j->g.model.weights.config;
    struct book *b = &j->book;
    *b = (struct book){.path = a->output,
                       .n_layer = c->n_layer,
                       .n_head = c->n_head,
                       .head_dim = c->n_embd / c->n_head,
                       .seed = a->seed};
    b->books = arena_zalloc(&b->arena, BOOK_SETTINGS, sizeof *b->books); /* one of each at most */
    if (!b->books) return no_memory(e);
    int rc = read_parts(j, e);
    if (!rc && !a->attn.n)
        rc = add_settings(j, a->search ? auto_default : option_default(a->command, "attn"), e);
    for (size_t i = 0; i < a->attn.n && !rc; i++) rc = add_settings(j, a->attn.item[i], e);
    if (rc) return rc;
    if (a->learn && !any_learned(b))
        return err_set(e, ERR_USAGE,
                       "--learn is for learned codebooks, and --attn asks for plain ones");
    if (a->n_ctx > (int64_t)c->n_ctx)
        return err_set(e, ERR_USAGE, "--ctx-size %lld: the model's context is %zu tokens",
                       (long long)a->n_ctx, c->n_ctx);
    j->window = a->n_ctx ? (size_t)a->n_ctx : c->n_ctx;
    j->tokens = (size_t)a->n_predict;
    gpt2_fingerprint(&j->g.model.weights, b->fingerprint);
    return OK;
}

/* ---- texts ---- */

static bool any_uneven(const struct book *b) {
    for (size_t i = 0; i < b->n; i++)
        if (b->books[i].uneven) return true;
    return false;
}

static int read_text(struct calibrate_job *j, size_t i, struct err *e) {
    struct book_corpus *corpus = &j->book.corpora[i];
    struct token_text t;
    int rc = token_text_read(&t, &j->g, j->args->files.item[i], SIZE_MAX, &j->g.arena, e);
    if (rc) return rc;
    j->texts[i].ids = t.ids;
    j->texts[i].n = t.n;
    memcpy(corpus->sha256, t.sha256, sizeof corpus->sha256);
    corpus->name = strcmp(t.file, "-") == 0 ? "standard input" : path_base(t.file);
    return OK;
}

static int read_texts(struct calibrate_job *j, struct err *e) {
    size_t n = j->args->files.n;
    int rc = OK;
    j->texts = arena_zalloc(&j->g.arena, n, sizeof *j->texts);
    j->book.corpora = arena_zalloc(&j->book.arena, n, sizeof *j->book.corpora);
    j->book.n_corpora = n;
    if (!j->texts || !j->book.corpora) return no_memory(e);
    for (size_t i = 0; i < n && !rc; i++) rc = read_text(j, i, e);
    if (!rc && (j->args->search || any_uneven(&j->book)))
        rc = allot_hold_out(&j->kept_apart, j->texts, n, j->window, e);
    return rc;
}

/* ---- the work ---- */

/* What the settings are learned from. */
static enum sample_parts parts_of(const struct calibrate_job *j) {
    const struct book *b = &j->book;
    enum sample_parts parts = SAMPLE_PLAIN;
    for (size_t i = 0; i < b->n; i++) {
        enum sample_parts own = b->books[i].values    ? SAMPLE_VALUES
                                : b->books[i].learned ? SAMPLE_KEYS_LEARNED
                                                      : SAMPLE_PLAIN;
        if (own > parts) parts = own;
    }
    return parts;
}

static int collect(struct calibrate_job *j, struct err *e) {
    size_t run = 0, most = 0;
    bool quiet = j->args->quiet;
    progress_begin(&progress, "running the model");
    struct key_sampling p = {.weights = &j->g.model.weights,
                             .kn = j->g.k,
                             .texts = j->texts,
                             .n_texts = j->args->files.n,
                             .tokens = j->tokens,
                             .window = j->window,
                             .seed = j->args->seed,
                             .parts = parts_of(j),
                             .progress = progress_shares(&progress, quiet)};
    int rc = key_sample_collect(&j->sample, &p, &j->g.arena, &run, e);
    progress_end(&progress);
    if (rc) return rc;
    j->book.tokens = run;
    j->book.samples = j->sample.n;
    for (size_t b = 0; b < j->book.n; b++)
        most = j->book.books[b].k > most ? j->book.books[b].k : most;
    if (j->sample.n < FEW * most && !quiet)
        fprintf(stderr,
                "lookat: warning: %zu keys a head for %zu centroids learn these keys by heart; "
                "take more text\n",
                j->sample.n, most);
    return OK;
}

static struct damage_setup damage_on(const struct calibrate_job *j) {
    return (struct damage_setup){&j->g.model.weights, j->g.k, j->kept_apart.windows,
                                 j->kept_apart.n};
}

/* Gives the heads of the uneven settings their bytes. */
static int allot(struct calibrate_job *j, const struct learning *l, struct err *e) {
    struct book even;
    struct damage_setup on = damage_on(j);
    progress_begin(&progress, "learning equal shares");
    int rc = allot_learn_even(&even, &j->book, l, e);
    progress_end(&progress);
    progress_begin(&progress, "measuring each head");
    if (!rc) rc = allot_codes(&j->book, &even, l, &on, l->progress, e);
    progress_end(&progress);
    book_close(&even);
    return rc;
}

static int learn(struct calibrate_job *j, struct err *e) {
    struct learning l = {.sample = &j->sample,
                         .parts = j->parts,
                         .seed = j->args->seed,
                         .kn = j->g.k,
                         .progress = progress_shares(&progress, j->args->quiet)};
    j->errors = arena_zalloc(&j->g.arena, j->book.n * j->book.n_layer, sizeof *j->errors);
    if (!j->errors) return no_memory(e);
    int rc = any_uneven(&j->book) ? allot(j, &l, e) : OK;
    if (rc) return rc;
    progress_begin(&progress, "learning codebooks");
    rc = book_learn(&j->book, &l, j->errors, e);
    progress_end(&progress);
    return rc;
}

/* With --auto and --add, codebooks that the model has already are tried as they are. Takes their
 * settings off the list of those to learn. */
static void leave_known(struct calibrate_job *j) {
    struct book *b = &j->book;
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct codebook *y = &b->books[i];
        if (!book_find(j->own, y->m, y->k, codebook_kind(y))) b->books[n++] = *y;
    }
    b->n = n;
}

/* Chooses the book's whole caches. */
static int search(struct calibrate_job *j, struct err *e) {
    struct book *b = &j->book;
    struct search_plan plan = {.pairs = j->pairs,
                               .n_pairs = j->n_pairs,
                               .book = b,
                               .on = damage_on(j),
                               .window = j->window,
                               .bound = {[BOOK_RECOMMENDED] = j->args->bound, [BOOK_SMALL] = 0.02},
                               .progress = progress_shares(&progress, j->args->quiet)};
    progress_begin(&progress, "trying whole caches");
    int rc = search_run(&j->search, &plan, &j->g.arena, e);
    progress_end(&progress);
    if (rc) return rc;
    b->tried = arena_alloc(&b->arena, 1 + j->search.n, sizeof *b->tried);
    if (!b->tried) return no_memory(e);
    b->n_tried = 1 + j->search.n;
    for (size_t word = 0; word < BOOK_WORDS; word++) {
        const struct search_trial *t = search_chosen(&j->search, (enum book_word)word);
        b->words[word] = t ? t->spec : NULL;
    }
    return search_lines(b->tried, &j->search, &b->arena, e);
}

static bool named_already(const struct book *b, const struct book_corpus *c) {
    for (size_t i = 0; i < b->n_corpora; i++)
        if (strcmp(b->corpora[i].sha256, c->sha256) == 0) return true;
    return false;
}

/* What the model's own book has besides. */
static int add_inside(struct calibrate_job *j, struct err *e) {
    struct book *b = &j->book;
    const struct book *own = j->own;
    if (!own) return OK;
    if (!b->n) b->tokens = own->tokens, b->samples = own->samples, b->seed = own->seed;
    struct book_corpus *all = arena_zalloc(&b->arena, b->n_corpora + own->n_corpora, sizeof *all);
    if (!all) return no_memory(e);
    memcpy(all, b->corpora, b->n_corpora * sizeof *all);
    b->corpora = all;
    for (size_t i = 0; i < own->n_corpora; i++)
        if (!named_already(b, &own->corpora[i])) all[b->n_corpora++] = own->corpora[i];
    for (size_t i = 0; i < own->n; i++) {
        const struct codebook *y = &own->books[i];
        if (!book_find(b, y->m, y->k, codebook_kind(y))) b->books[b->n++] = *y;
    }
    if (j->args->search) return OK; /* the search has words and a table of its own */
    memcpy(b->words, own->words, sizeof b->words);
    b->tried = own->tried, b->n_tried = own->n_tried;
    return OK;
}

static void add_book(const void *ctx, struct gguf_writer *w) { book_add(ctx, w); }

static int write_out(struct calibrate_job *j, struct err *e) {
    const struct checkpoint *m = &j->g.model;
    struct gguf_extra extra = {.add = add_book,
                               .ctx = &j->book,
                               .source = m->path,
                               .progress = progress_bytes(&progress, j->args->quiet)};
    if (!j->args->embed) return book_write(&j->book, j->args->output, j->args->force, e);
    progress_begin(&progress, "writing the model");
    int rc = gguf_write_model(j->args->output, j->args->force, &m->weights, &m->vocab, m->name,
                              GGUF_SAME_TYPES, &extra, e);
    progress_end(&progress);
    return rc;
}

/* What was learned and chosen, for people or for programs. */
static int report(const struct calibrate_job *j, size_t learned, struct err *e) {
    const struct calibration_report r = {.model = &j->g.model,
                                         .book = &j->book,
                                         .learned = learned,
                                         .rows = j->sample.n,
                                         .errors = j->errors,
                                         .search = j->args->search ? &j->search : NULL,
                                         .file = j->args->output};
    if (strcmp(j->args->format, "json") != 0) return calibration_put_text(&r, stdout, e);
    calibration_put_json(&r, stdout);
    return OK;
}

static int run(const struct args *a, struct err *e) {
    struct calibrate_job j = {.args = a};
    int rc = check_args(a, e);
    if (!rc) rc = engine_open(&j.g, a, e);
    if (rc) return rc;
    rc = plan(&j, e);
    if (!rc) rc = read_texts(&j, e);
    if (!rc) rc = check_output(&j, e);
    if (!rc && a->add) rc = model_book_inside(&j.inside, &j.own, &j.g.model, e);
    if (!rc && a->search && j.own) leave_known(&j);
    size_t learned = j.book.n;
    if (!rc && learned) rc = collect(&j, e);
    if (!rc && learned) rc = learn(&j, e);
    if (!rc) rc = add_inside(&j, e);
    if (!rc && a->search) rc = search(&j, e);
    if (!rc) rc = write_out(&j, e);
    if (!rc) rc = report(&j, learned, e);
    if (!rc && !a->quiet) fprintf(stderr, "wrote %s\n", a->output);
    book_close(&j.book);
    book_close(&j.inside);
    engine_close(&j.g);
    return rc;
}

const struct command calibrate_command = {
    .id = CMD_CALIBRATE,
    .summary = "learn the codebooks that lookat keys need",
    .usage = "-f TEXT... -o BOOK.gguf [OPTION]...\n"
             "-f TEXT... --embed -o MODEL.gguf [OPTION]...\n"
             "-f TEXT... --auto [--bound X] -o BOOK.gguf",
    .about =
        "Runs the model over texts, keeps a random sample of the keys of every layer and head "
        "(at most 16384 of each, 256 MB in all), and "
        "learns their codebooks. lookat4 and its like learn a quantiser for each head: in the "
        "metric of its queries, keys weighted by what "
        "they matter to attention, along principal directions cut into uneven ranges, "
        "rotated. lookat:bytes=4 gives each head as many "
        "bytes as lower the damage to the text most, 4 on average: each head's is measured on "
        "four windows at the texts' ends that nothing "
        "is learned from. fp16/pq16 and fp16/pq:bytes=16 learn values, in the metric of the "
        "output projection. --auto chooses the whole caches that --attn lookat and --attn "
        "lookat:small stand for: it tries every KEYS/VALUES of --attn alone, with exact keys, "
        "and with the best rows of each query read again (refine=) from copies of 8 and of 4 "
        "bits. Of those whose KL divergence on these four windows stays below --bound it "
        "recommends what streams least from memory; small is what stores least below 0.02. "
        "It prints what each costs. With --add it tries codebooks that are inside the model as "
        "they are, and learns the others. lookat4:plain learns "
        "the published method's: k-means of equal "
        "cuts, seeds by k-means++, then Lloyd's iterations until one improves the error by "
        "less than 0.01 %. For learned ones the table's "
        "errors are in that metric, weighted. The result depends on the texts, the options "
        "and the seed, not on the threads. The table at "
        "the end is of the keys the codebooks were learned from. Take texts like those the "
        "model will read, but not the ones it will be "
        "measured on.",
    .examples = "lookat calibrate -f prose.txt -f code.txt -a lookat4 -o new.book.gguf\tfor the "
                "default model\n"
                "lookat calibrate -m g.gguf -f t.txt -a lookat2,lookat8 -o g.book.gguf\tseveral "
                "settings in one file\n"
                "lookat calibrate -f t.txt -a lookat:bytes=4/pq:bytes=16 -o new.book.gguf\tbytes "
                "given to the heads that need them\n"
                "lookat calibrate -m g.gguf -f t.txt --auto -o g.book.gguf\tand choose what --attn "
                "lookat stands for\n"
                "lookat calibrate -f t.txt -a lookat2 -o new.book.gguf --format json\tits errors "
                "for a program\n"
                "lookat calibrate -m g.gguf -f t.txt --embed -o g-lookat.gguf\ta copy of the model "
                "with codebooks inside\n",
    .max_args = 0,
    .run = run,
};
