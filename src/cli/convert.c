/* lookat convert: a model of any format that is read, or random weights, to GGUF. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calibration/mixture.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/tensors.h"
#include "checkpoint/vocab.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/output.h"
#include "report/model_out.h"
#include "report/text.h"

static struct text_progress progress;

static void warn(const char *msg) { fprintf(stderr, "lookat: warning: %s\n", msg); }

/* ---- --random ---- */

/* Radford et al. 2019, table 2, with the head counts of the published models. */
static const struct {
    const char *name;
    size_t layers, heads, width;
} family[] = {{"gpt2", 12, 12, 768},
              {"gpt2-medium", 24, 16, 1024},
              {"gpt2-large", 36, 20, 1280},
              {"gpt2-xl", 48, 25, 1600}};

/* "L,H,C,T,V": five numbers of at most nine digits. */
static bool parse_shape(const char *s, size_t x[5]) {
    for (int i = 0; i < 5; i++) {
        size_t digits = strspn(s, "0123456789");
        if (digits < 1 || digits > 9 || s[digits] != (i < 4 ? ',' : 0)) return false;
        x[i] = (size_t)strtoul(s, NULL, 10);
        s += digits + 1;
    }
    return true;
}

static int random_config(const char *shape, struct gpt2_config *c, struct err *e) {
    size_t x[5] = {0};
    for (size_t i = 0; i < sizeof family / sizeof *family; i++)
        if (strcmp(shape, family[i].name) == 0) {
            const size_t known[5] = {family[i].layers, family[i].heads, family[i].width, 1024,
                                     50257};
            memcpy(x, known, sizeof x);
        }
    if (!x[0] && !parse_shape(shape, x))
        return err_set(
            e, ERR_USAGE,
            "--random: expected gpt2, gpt2-medium, gpt2-large, gpt2-xl, or L,H,C,T,V, got '%.60s'",
            shape);
    config_set_absent(c);
    c->n_layer = x[0];
    c->n_head = x[1];
    c->n_embd = x[2];
    c->n_inner = 4 * x[2];
    c->n_ctx = x[3];
    c->n_vocab = x[4];
    int rc = gpt2_config_check(c, "--random", e);
    return rc ? e->code = ERR_USAGE : OK; /* here the shape is the user's, not a file's */
}

/* Many numbers take seconds, during which nothing else would show. */
static void say_random(const struct gpt2_config *c) {
    const size_t many = 10000000, C = c->n_embd;
    size_t n = (c->n_vocab + c->n_ctx + c->n_layer * (4 * C + 2 * c->n_inner)) * C;
    if (n >= many) fprintf(stderr, "drawing %s random weights\n", text_count(n).s);
}

static int make_random(struct checkpoint *c, const struct args *a, struct err *e) {
    struct gpt2_config config;
    int rc = random_config(a->random, &config, e);
    if (!rc && !a->quiet) say_random(&config);
    if (!rc) rc = checkpoint_random(c, &config, a->seed, e);
    if (rc || !a->tokenizer) return rc;
    rc = vocab_open(&c->vocab, a->tokenizer, &c->arena, e);
    if (!rc) rc = vocab_check(&c->vocab, config.n_vocab, a->tokenizer, a->quiet ? NULL : warn, e);
    if (rc) checkpoint_close(c);
    return rc;
}

/* What is cheap to find out before a model of some gigabytes is read. */
static int check_args(const struct args *a, struct err *e) {
    if (a->random && a->argc)
        return err_set(e, ERR_USAGE,
                       "convert: expected SRC or --random, got both: '%.60s' and --random %.60s",
                       a->argv[0], a->random);
    if (!a->random && !a->argc)
        return err_set(e, ERR_USAGE,
                       "convert: no SRC; name the model to convert, or use --random SHAPE");
    if (!a->random && a->has_seed) return err_set(e, ERR_USAGE, "convert: --seed is for --random");
    if (!a->output || !*a->output)
        return err_set(e, ERR_USAGE, "convert: no output file; name it with -o OUT.gguf");
    return output_check(a, a->output, a->force, e);
}

static void say_done(const struct args *a, const struct checkpoint *c) {
    struct stat st;
    uint64_t size = stat(a->output, &st) == 0 ? (uint64_t)st.st_size : 0;
    struct text_number parameters = text_count(gpt2_parameters(&c->weights));
    fprintf(stderr, "wrote %s: %s, %s parameters as %s%s\n", a->output, text_bytes(size).s,
            parameters.s, a->type, c->vocab.n ? "" : ", no tokenizer");
}

static void add_book(const void *ctx, struct gguf_writer *w) { book_add(ctx, w); }

/* Which matrices of q4_k_m have six bits. A model whose numbers are not all finite cannot be
 * measured: m->types stays NULL, and the writer says which tensors it refuses. */
static int choose_mixture(struct mixture *m, const struct args *a, const struct checkpoint *c,
                          struct arena *arena, struct err *e) {
    const struct vocab *v = &c->vocab;
    const struct kernels *k;
    uint64_t bad;
    int rc = gpt2_check_finite(&c->weights, NULL, NULL, &bad, e);
    if (!rc) rc = kernels_get(&k, NULL, e);
    if (rc || bad) return rc;
    const int32_t rows = (int32_t)c->weights.config.n_vocab, first = v->n && v->bos >= 0   ? v->bos
                                                                     : v->n && v->eos >= 0 ? v->eos
                                                                                           : 0;
    progress_begin(&progress, "measuring matrices");
    rc = mixture_choose(m, &c->weights, k, first < rows ? first : 0,
                        progress_shares(&progress, a->quiet), arena, e);
    progress_end(&progress);
    if (!rc && !a->quiet)
        fprintf(stderr, "q4_k_m: %zu of %zu matrices have six bits a number\n", m->raised,
                m->matrices);
    return rc;
}

/* The model as GGUF; codebooks inside it go along, since they hold for every number type. */
static int write_model(const struct args *a, const struct checkpoint *c, struct err *e) {
    struct book b;
    const struct book *book;
    struct arena arena = {0};
    struct mixture m = {.n = 0};
    const bool mixed = strcmp(a->type, "q4_k_m") == 0;
    enum dtype type = mixed ? DTYPE_Q4_K : (enum dtype)dtype_parse(a->type);
    int rc = model_book_inside(&b, &book, c, e);
    if (rc) return rc;
    if (mixed) rc = choose_mixture(&m, a, c, &arena, e);
    struct gguf_extra extra = {.add = book ? add_book : NULL,
                               .ctx = book,
                               .types = m.types,
                               .source = c->path,
                               .warn = a->quiet ? NULL : warn,
                               .progress = progress_bytes(&progress, a->quiet)};
    progress_begin(&progress, "converting");
    if (!rc)
        rc =
            gguf_write_model(a->output, a->force, &c->weights, &c->vocab, c->name, type, &extra, e);
    progress_end(&progress);
    arena_free(&arena);
    book_close(&b);
    return rc;
}

/* A field that GGUF has no key for and whose value is not the usual one. */
static void warn_of_field(const struct checkpoint *c, const struct config_field *f) {
    const double x = config_real(&c->weights.config, f);
    char text[256];
    if (x == f->absent) return;
    if (f == &gpt2_fields[CONFIG_activation])
        snprintf(text, sizeof text, "the activation of the model is %s",
                 model_activation(c->weights.config.activation));
    else
        snprintf(text, sizeof text, "the model has %s", f->words);
    strcat(text, "; lookat reads that from the new file, other programs would compute what GPT-2 "
                 "does");
    warn(text);
}

/* What GGUF has no words for, so that only this program reads it from the new file. */
static void warn_of_own_keys(const struct checkpoint *c) {
    const struct vocab *v = &c->vocab;
    bool own = v->n && (v->whole_text || v->ignore_merges);
    for (uint32_t id = 0; id < v->n; id++)
        own = own || v->match[id] & (MATCH_SINGLE_WORD | MATCH_LSTRIP | MATCH_RSTRIP);
    for (int i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].gguf_optional) warn_of_field(c, &gpt2_fields[i]);
    if (own)
        warn("the tokenizer cuts texts in a way that GGUF has no words for; lookat reads it from "
             "the new file, other programs would give other token ids");
}

static int run(const struct args *a, struct err *e) {
    struct checkpoint c;
    int rc = check_args(a, e);
    if (!rc)
        rc = a->random ? make_random(&c, a, e)
                       : checkpoint_open(&c, a->argv[0], a->tokenizer, a->quiet ? NULL : warn, e);
    if (rc) return rc;
    if (!a->quiet) warn_of_own_keys(&c);
    rc = write_model(a, &c, e);
    if (!rc && !a->quiet) say_done(a, &c);
    checkpoint_close(&c);
    return rc;
}

const struct command convert_command = {
    .id = CMD_CONVERT,
    .summary = "write a model as GGUF",
    .usage = "SRC -o OUT.gguf [OPTION]...\n--random SHAPE -o OUT.gguf [OPTION]...",
    .about =
        "Writes the model SRC as a GGUF file with its tokenizer inside, which lookat and llama.cpp "
        "run. SRC is a Hugging Face "
        "folder or its .safetensors file, a PyTorch file, an llm.c .bin with its tokenizer beside "
        "it, "
        "or a GGUF "
        "file. Numbers beyond "
        "the range of --type stay f32, and rows that are no multiple of its block (256 numbers in "
        "the types with a k, 32 in the other ones) become q4_0, q8_0 or f16; both are said. "
        "q4_k_m lets the model write 128 tokens and measures on them what each matrix costs with "
        "four bits a number; those that cost most for each number get six. A model with a weight "
        "that is not finite is refused. The file appears when it is complete.",
    .examples = "lookat convert gpt2/ -o gpt2.gguf\ta Hugging Face folder, in half precision\n"
                "lookat convert gpt2_124M.bin -z gpt2_tokenizer.bin -o gpt2-q8.gguf --type "
                "q8_0\tfrom llm.c, in 8 bits\n"
                "lookat convert model.gguf -o small.gguf --type q4_k_m\tin some five bits a "
                "number\n"
                "lookat convert --random gpt2-xl --seed 1 -o xl.gguf\tthe shape of gpt2-xl, to "
                "measure speed\n",
    .max_args = 1,
    .run = run,
};
