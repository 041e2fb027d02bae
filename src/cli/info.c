/* lookat info: what a model file holds. */
#include <stdio.h>
#include <string.h>

#include "attention/backend.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "checkpoint/find_model.h"
#include "cli/book.h"
#include "cli/command.h"
#include "cli/info_book.h"
#include "cli/info_weights.h"
#include "report/json_out.h"
#include "report/model_out.h"
#include "report/text.h"

static void warn(const char *msg) { fprintf(stderr, "lookat: warning: %s\n", msg); }

/* What a codec stores for one token in all layers and heads; 0 where it does not serve for keys, or
 * for values. */
struct kv_bytes {
    uint64_t keys, values;
};

static struct kv_bytes kv_bytes(const char *spec, const struct gpt2_config *s) {
    size_t D = s->n_embd / s->n_head;
    struct kv_bytes b = {0, 0};
    struct codec c;
    struct err e; /* a codec that this head_dim rules out stores nothing */
    bool keys = codec_parse(&c, spec, D, false, &e) == OK;
    for (size_t h = 0; keys && h < s->n_head; h++)
        b.keys += s->n_layer * c.ops->row_bytes(&c, D, h);
    bool values = codec_parse(&c, spec, D, true, &e) == OK;
    for (size_t h = 0; values && h < s->n_head; h++)
        b.values += s->n_layer * c.ops->row_bytes(&c, D, h);
    return b;
}

static int file_sha256(const char *path, char hex[65], struct err *e) {
    const char *files[] = {path};
    const struct checkpoint c = {.files = files, .n_files = 1};
    return checkpoint_sha256(&c, hex, e);
}

/* What a whole context in fp16 adds to the weights. */
static uint64_t context_bytes(const struct gpt2_config *s) {
    struct kv_bytes b = kv_bytes("fp16", s);
    return (b.keys + b.values) * s->n_ctx;
}

/* ---- JSON ---- */

static void json_tokenizer(struct json_out *j, const struct vocab *v) {
    if (!v->n) {
        json_put_null(j, "tokenizer");
        return;
    }
    json_put_object(j, "tokenizer");
    json_put_uint(j, "tokens", v->n);
    json_put_uint(j, "merges", v->n_merges);
    json_put_int(j, "bos", v->bos);
    json_put_int(j, "eos", v->eos);
    json_put_bool(j, "add_bos", v->add_bos);
    json_put_close(j);
}

static void json_size(struct json_out *j, const char *key, uint64_t bytes) {
    if (bytes)
        json_put_uint(j, key, bytes);
    else
        json_put_null(j, key);
}

static void print_json(const struct checkpoint *c, const struct book *book, const char *sha256,
                       const struct weights_check *w) {
    struct json_out j;
    struct tensor_kind kinds[TENSOR_KINDS];
    json_put_begin(&j, stdout);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.info/1");
    json_put_model(&j, "model", c, sha256);
    json_put_array(&j, "tensors");
    for (int i = 0, n = model_tensor_kinds(&c->weights, kinds); i < n; i++) {
        json_put_object(&j, NULL);
        json_put_cstr(&j, "kind", kinds[i].name);
        json_put_cstr(&j, "type", kinds[i].type);
        json_put_uint(&j, "count", kinds[i].count);
        json_put_uint(&j, "rows", kinds[i].rows);
        json_put_uint(&j, "cols", kinds[i].cols);
        json_put_uint(&j, "bytes", kinds[i].bytes);
        json_put_cstr(&j, "types", kinds[i].types);
        json_put_close(&j);
    }
    json_put_close(&j);
    json_put_object(&j, "memory");
    json_put_uint(&j, "weights", checkpoint_bytes(c));
    json_put_uint(&j, "mapped", c->file.map ? c->file_bytes : 0);
    json_put_uint(&j, "context_fp16", context_bytes(&c->weights.config));
    json_put_close(&j);
    json_tokenizer(&j, &c->vocab);
    json_put_codebooks(&j, book ? book->books : NULL, book ? book->n : 0);
    info_words_json(&j, book);
    json_put_array(&j, "tried");
    for (size_t i = 0; book && i < book->n_tried; i++) json_put_cstr(&j, NULL, book->tried[i]);
    json_put_close(&j);
    json_put_array(&j, "stored_bytes_per_token");
    for (size_t i = 0; kv_codec_listed(i); i++) {
        struct kv_bytes b = kv_bytes(kv_codec_listed(i), &c->weights.config);
        json_put_object(&j, NULL);
        json_put_cstr(&j, "attn", kv_codec_listed(i));
        json_size(&j, "keys", b.keys);
        json_size(&j, "values", b.values);
        json_put_close(&j);
    }
    json_put_close(&j);
    if (w) weights_check_json(w, &j);
    json_put_close(&j);
}

/* ---- text ---- */

/* "lookat:m=2,k=256,learned lookat:m=4,k=256,plain; 65,536 tokens of a.txt, b.txt" */
static void codebooks(struct text_table *t, const struct book *b) {
    char text[512];
    size_t at = 0;
    for (size_t i = 0; i < b->n && at < sizeof text - 1; i++) {
        const struct codebook *y = &b->books[i];
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i ? " " : "",
                               y->values ? "/" : "");
        if (at < sizeof text) at += codebook_name(y, true, text + at, sizeof text - at);
    }
    if (at < sizeof text)
        at += (size_t)snprintf(text + at, sizeof text - at, "; %s of",
                               text_plural(b->tokens, "token").s);
    for (size_t i = 0; i < b->n_corpora && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s", i ? "," : "",
                               b->corpora[i].name);
    table_cell(t, "codebooks"), table_cell(t, "%s", text);
}

static void facts(struct text_table *t, const struct checkpoint *c, const char *sha256) {
    const struct gpt2_config *s = &c->weights.config;
    const struct vocab *v = &c->vocab;
    table_cell(t, "model"), table_cell(t, "%s", c->name);
    table_cell(t, "file"),
        table_cell(t, "%s (%s, %s)", c->path, c->format, text_bytes(c->file_bytes).s);
    if (sha256) table_cell(t, "sha256"), table_cell(t, "%s", sha256);
    table_cell(t, "parameters"), table_cell(t, "%s", text_count(gpt2_parameters(&c->weights)).s);
    table_cell(t, "layers"), table_cell(t, "%zu", s->n_layer);
    table_cell(t, "heads"),
        table_cell(t, "%zu of %zu dimensions", s->n_head, s->n_embd / s->n_head);
    table_cell(t, "width"), table_cell(t, "%zu, MLP %zu", s->n_embd, s->n_inner);
    table_cell(t, "context"), table_cell(t, "%zu tokens", s->n_ctx);
    table_cell(t, "vocabulary");
    table_cell(t, "%zu tokens, output head %s", s->n_vocab,
               c->weights.tied ? "tied to the embedding" : "of its own");
    table_cell(t, "activation"), table_cell(t, "%s", model_activation(s->activation));
    if (s->unscaled || s->scale_by_layer)
        table_cell(t, "scores"),
            table_cell(t, "%s%s",
                       s->unscaled ? "not divided by sqrt(head_dim)" : "divided by sqrt(head_dim)",
                       s->scale_by_layer ? ", divided by the number of the layer" : "");
    if (c->weights.no_biases) table_cell(t, "biases"), table_cell(t, "none");
    table_cell(t, "LayerNorm"), table_cell(t, "epsilon %g", (double)s->norm_eps);
    table_cell(t, "memory");
    table_cell(t, "%s for weights%s, %s for a whole context in fp16",
               text_bytes(checkpoint_bytes(c) + (c->file.map ? c->file_bytes : 0)).s,
               c->file.map ? ", used where the file is mapped" : "",
               text_bytes(context_bytes(s)).s);
    table_cell(t, "tokenizer");
    if (!v->n)
        table_cell(t, "none");
    else {
        char end[48] = "no end-of-text token", begin[48] = "";
        if (v->eos >= 0) snprintf(end, sizeof end, "end of text is %ld", (long)v->eos);
        if (v->add_bos) snprintf(begin, sizeof begin, ", texts begin with %ld", (long)v->bos);
        table_cell(t, "byte-level BPE, %s merges, %s%s", text_count(v->n_merges).s, end, begin);
    }
}

static void tensors(struct text_table *t, const struct gpt2_weights *w) {
    struct tensor_kind kinds[TENSOR_KINDS];
    table_cell(t, "matrices"), table_cell(t, "number"), table_cell(t, "shape"),
        table_cell(t, "type"), table_cell(t, "size");
    for (int i = 0, n = model_tensor_kinds(w, kinds); i < n; i++) {
        const struct tensor_kind *k = &kinds[i];
        table_cell(t, "%s", k->name);
        table_cell(t, "%zu", k->count);
        table_cell(t, "%zu x %zu", k->rows, k->cols);
        table_cell(t, "%s", k->types);
        table_cell(t, "%s", text_bytes(k->bytes).s);
    }
}

static void size_cell(struct text_table *t, uint64_t bytes) {
    table_cell(t, "%s", bytes ? text_count(bytes).s : "-");
}

static void codecs(struct text_table *t, const struct gpt2_config *s) {
    table_cell(t, "attention"), table_cell(t, "as keys"), table_cell(t, "as values"),
        table_cell(t, "both, whole context");
    for (size_t i = 0; kv_codec_listed(i); i++) {
        struct kv_bytes b = kv_bytes(kv_codec_listed(i), s);
        table_cell(t, "%s", kv_codec_listed(i));
        size_cell(t, b.keys);
        size_cell(t, b.values);
        table_cell(t, "%s",
                   b.keys && b.values ? text_bytes((b.keys + b.values) * s->n_ctx).s : "-");
    }
}

static int print_text(const struct checkpoint *c, const struct book *book, const char *sha256,
                      bool verbose, struct arena *arena, struct err *e) {
    struct text_table t;
    table_begin(&t, "ll", arena);
    facts(&t, c, sha256);
    if (book) codebooks(&t, book), info_words(&t, book);
    int rc = table_print(&t, stdout, e);
    putchar('\n');
    table_begin(&t, "lrrlr", arena);
    tensors(&t, &c->weights);
    if (!rc) rc = table_print(&t, stdout, e);
    puts("\nBytes that one token adds to the KV cache, all layers and heads:");
    table_begin(&t, "lrrr", arena);
    codecs(&t, &c->weights.config);
    if (!rc) rc = table_print(&t, stdout, e);
    if (!rc)
        printf("Keys kept exactly by sink= and window= add, each and once for a sequence: %s, with "
               "exact=8 %s.\n",
               text_count(kv_bytes("fp16", &c->weights.config).keys).s,
               text_count(kv_bytes("int8", &c->weights.config).keys).s);
    if (book && !rc) info_tried(book, verbose);
    return rc;
}

static int report(const struct args *a, const struct checkpoint *c, const struct book *book,
                  struct arena *arena, struct err *e) {
    char hex[65];
    struct weights_check w, *checked = a->check_weights ? &w : NULL;
    int rc = a->sha256 ? checkpoint_sha256(c, hex, e) : OK;
    if (!rc && checked) rc = weights_check(checked, c, arena, e);
    if (rc) return rc;
    const char *sha256 = a->sha256 ? hex : NULL;
    if (strcmp(a->format, "json") == 0)
        print_json(c, book, sha256, checked);
    else {
        rc = print_text(c, book, sha256, a->verbose, arena, e);
        if (!rc && checked) weights_check_text(checked);
    }
    return !rc && checked ? weights_check_result(checked, e) : rc;
}

static int info_model(const struct args *a, const char *path, struct arena *arena, struct err *e) {
    struct checkpoint c;
    struct book b = {0};
    const struct book *inside = NULL;
    int rc = checkpoint_open(&c, path, a->tokenizer, warn, e);
    if (rc) return rc;
    rc = model_book_inside(&b, &inside, &c, e);
    if (!rc) rc = report(a, &c, inside, arena, e);
    book_close(&b);
    checkpoint_close(&c);
    return rc;
}

static int run(const struct args *a, struct err *e) {
    struct arena arena = {0};
    char hex[65];
    const char *path = a->argc ? a->argv[0] : NULL;
    int rc = path ? OK : find_model(a->model, a->program, &arena, &path, e);
    bool book = !rc && is_book(path);
    if (!rc && book && a->check_weights)
        rc = err_set(e, ERR_USAGE, "--check-weights: %.100s has codebooks, and no weights", path);
    if (!rc && a->argc && a->model && !book)
        rc = err_set(e, ERR_USAGE, "info: expected one model, got -m and '%.60s'", a->argv[0]);
    if (!rc && book && a->sha256) rc = file_sha256(path, hex, e);
    if (!rc)
        rc = book ? info_book(a, path, a->sha256 ? hex : NULL, &arena, e)
                  : info_model(a, path, &arena, e);
    arena_free(&arena);
    return rc;
}

const struct command info_command = {
    .id = CMD_INFO,
    .summary = "show what a model file holds",
    .usage = "[OPTION]... [MODEL]\n[OPTION]... [-m MODEL] BOOK.gguf",
    .about = "Shows a model's shape, number of parameters, number types and tokenizer, and how "
             "many bytes a token takes in the KV cache with each attention backend; with "
             "--check-weights also whether every weight is a finite number. Without MODEL it is "
             "the default model. Of a file with codebooks: the model they belong to (and "
             "whether MODEL, or the model beside the file, or the default model is it), the "
             "settings, the texts they were learned on.",
    .examples =
        "lookat info\tthe default model\n"
        "lookat info gpt2.book.gguf\tthe codebooks that calibrate wrote\n"
        "lookat info --sha256 -o json gpt2.gguf\tthe same for a program, with the checksum of the "
        "file\n"
        "lookat info --check-weights m.gguf\tis there an infinity or a NaN in it, and where?\n",
    .max_args = 1,
    .run = run,
};
