/* lookat tokenize: text to token ids and back. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/find_model.h"
#include "checkpoint/vocab.h"
#include "cli/command.h"
#include "cli/input.h"
#include "report/json_out.h"
#include "report/text.h"
#include "tokenizer/bpe.h"

/* What one run works on; all memory is in the arena, but for a checkpoint that had to be opened for
 * its vocabulary. */
struct tokenize_job {
    const struct args *args;
    struct arena arena;
    struct checkpoint checkpoint;
    bool opened;
    struct vocab vocab;
    struct bpe *bpe;
    const uint8_t *text; /* [n] */
    size_t n;
    int32_t *ids; /* [n_ids] */
    size_t n_ids;
};

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), ne = strlen(end);
    return n >= ne && strcmp(s + n - ne, end) == 0;
}

/* The vocabulary of -z, or of the model: read alone where its format allows that. */
static int open_vocab(struct tokenize_job *job, struct err *e) {
    const char *path = job->args->tokenizer;
    if (path && job->args->model)
        args_no_effect(job->args, "-m", "-z names the tokenizer, and no model is read");
    if (job->args->decode && job->args->special)
        args_no_effect(job->args, "--special", "--decode writes every token as it is");
    int rc = path ? OK : find_model(job->args->model, job->args->program, &job->arena, &path, e);
    if (rc) return rc;
    if (job->args->tokenizer || file_is_folder(path) || ends_with(path, ".gguf"))
        return vocab_open(&job->vocab, path, &job->arena, e);
    rc = checkpoint_open(&job->checkpoint, path, NULL, NULL, e);
    if (rc) return rc;
    job->opened = true;
    job->vocab = job->checkpoint.vocab;
    return job->vocab.n
               ? OK
               : err_file(e, ERR_USAGE, path, "the model has no tokenizer; name one with -z");
}

static void warn(const char *msg) { fprintf(stderr, "lookat: %s\n", msg); }

static int read_input(struct tokenize_job *job, struct err *e) {
    int rc = input_text(job->args, SIZE_MAX, &job->arena, &job->text, &job->n, e);
    if (rc || job->text) return rc;
    if (isatty(STDIN_FILENO))
        return err_set(
            e, ERR_USAGE,
            "tokenize: nothing to %s; give TEXT, -p TEXT, -f FILE, or - for standard input",
            job->args->decode ? "decode" : "encode");
    uint8_t *data = NULL;
    rc = file_read("-", &job->arena, &data, &job->n, e);
    job->text = data;
    if (!rc) input_drop_mark("-", job->args->quiet, &job->text, &job->n);
    return rc;
}

/* The bytes of all ids become the text. */
static int decode(struct tokenize_job *job, struct err *e) {
    int rc = input_ids(job->text, job->n, job->vocab.n, "--decode", &job->arena, &job->ids,
                       &job->n_ids, e);
    if (rc) return rc;
    size_t n = 0, len;
    for (size_t i = 0; i < job->n_ids; i++) {
        bpe_token(job->bpe, job->ids[i], &len);
        n += len;
    }
    uint8_t *out = arena_alloc(&job->arena, n + 1, 1);
    if (!out) return err_set(e, ERR_FAILED, "out of memory for %zu bytes", n);
    job->text = out;
    job->n = n;
    for (size_t i = 0; i < job->n_ids; i++, out += len) {
        const uint8_t *bytes = bpe_token(job->bpe, job->ids[i], &len);
        memcpy(out, bytes, len);
    }
    return OK;
}

static void print_json(const struct tokenize_job *job) {
    struct json_out j;
    json_put_begin(&j, stdout);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.tokenize/1");
    json_put_text(&j, "text", job->text, job->n);
    json_put_ids(&j, "ids", job->ids, job->n_ids);
    if (job->args->verbose) {
        json_put_array(&j, "tokens");
        for (size_t i = 0; i < job->n_ids && !interrupt_pending(); i++) {
            size_t len;
            const uint8_t *bytes = bpe_token(job->bpe, job->ids[i], &len);
            json_put_object(&j, NULL);
            json_put_int(&j, "id", job->ids[i]);
            json_put_text(&j, "text", bytes, len);
            json_put_close(&j);
        }
        json_put_close(&j);
    }
    json_put_close(&j);
}

/* Columns of id, bytes and text. The hex column is as wide as its longest row. */
static void print_table(const struct tokenize_job *job) {
    size_t most = 5, len;
    for (size_t i = 0; i < job->n_ids && !interrupt_pending(); i++) {
        bpe_token(job->bpe, job->ids[i], &len);
        if (len > most / 2) most = 2 * len;
    }
    printf("%8s  %-*s  text\n", "id", (int)most, "bytes");
    for (size_t i = 0; i < job->n_ids && !interrupt_pending(); i++) {
        const uint8_t *bytes = bpe_token(job->bpe, job->ids[i], &len);
        printf("%8ld  ", (long)job->ids[i]);
        for (size_t k = 0; k < len; k++) printf("%02x", bytes[k]);
        printf("%*s  ", (int)(most - 2 * len), "");
        text_escaped(stdout, bytes, len);
        putchar('\n');
    }
}

static void print_ids(const struct tokenize_job *job) {
    for (size_t i = 0; i < job->n_ids && !interrupt_pending(); i++)
        printf("%s%ld", i ? " " : "", (long)job->ids[i]);
    putchar('\n');
}

static int work(struct tokenize_job *job, struct err *e) {
    const struct args *a = job->args;
    int rc = open_vocab(job, e);
    if (!rc) vocab_warn(&job->vocab, warn);
    if (!rc) rc = bpe_new(&job->bpe, &job->vocab, &job->arena, e);
    if (!rc) rc = read_input(job, e);
    if (!rc && a->decode) rc = decode(job, e);
    if (!rc && !a->decode)
        rc = bpe_encode(job->bpe, job->text, job->n, a->special, &job->arena, &job->ids,
                        &job->n_ids, e);
    if (rc) return rc;
    if (strcmp(a->format, "json") == 0)
        print_json(job);
    else if (a->verbose)
        print_table(job);
    else if (a->decode)
        fwrite(job->text, 1, job->n, stdout);
    else
        print_ids(job);
    return interrupt_pending() ? err_set(e, ERR_INTERRUPTED, "interrupted") : OK;
}

static int run(const struct args *args, struct err *e) {
    struct tokenize_job job = {.args = args};
    int rc = work(&job, e);
    if (job.opened) checkpoint_close(&job.checkpoint);
    arena_free(&job.arena);
    return rc;
}

const struct command tokenize_command = {
    .id = CMD_TOKENIZE,
    .summary = "turn text into token ids, or ids into text",
    .usage = "[-m MODEL | -z TOKENIZER] [OPTION]... TEXT|-\n[-m MODEL | -z TOKENIZER] --decode "
             "[OPTION]... IDS|-",
    .about = "Writes the ids of the tokens that a model sees for a text, on one line, separated by "
             "spaces; or, with --decode, the exact "
             "bytes of a list of ids. The text is TEXT, -p TEXT, a file (-f) or standard input. A "
             "tokenizer alone (-z) is enough, no model "
             "is needed.",
    .examples = "lookat tokenize -v \"Once upon a time\"\thow the default model cuts a text\n"
                "lookat tokenize -z tokenizer -f story.txt | wc -w\thow many tokens a file has\n"
                "lookat tokenize -f a | lookat tokenize --decode - | cmp - a\tthere and back, byte "
                "for byte\n",
    .max_args = 1,
    .run = run,
};
