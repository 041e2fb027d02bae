/* lookat info for a file that holds codebooks alone, as text and as JSON. */
#include "cli/info_book.h"

#include <stdio.h>
#include <string.h>

#include "attention/book_word.h"
#include "base/file.h"
#include "calibration/search.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/find_model.h"
#include "report/model_out.h"
#include "report/text.h"

bool is_book(const char *path) {
    static const char book[] = "lookat-book";
    struct gguf g;
    struct gguf_str architecture;
    struct err unread;
    if (file_is_folder(path) || gguf_open(&g, path, &unread)) return false;
    bool is = gguf_string(&g, "general.architecture", &architecture, &unread) == OK &&
              architecture.n == sizeof book - 1 &&
              memcmp(architecture.s, book, architecture.n) == 0;
    gguf_close(&g);
    return is;
}

/* ---- whose they are ---- */

/* "gpt2.book.gguf" -> "gpt2.gguf", NULL where there is no such file. */
static const char *model_beside(const char *path, struct arena *arena) {
    static const char ending[] = ".book.gguf";
    size_t n = strlen(path), cut = sizeof ending - 1;
    if (n <= cut || strcmp(path + n - cut, ending) != 0) return NULL;
    char *model = arena_copy(arena, path, n);
    if (!model) return NULL;
    memcpy(model + n - cut, ".gguf", sizeof ".gguf");
    return file_exists(model) ? model : NULL;
}

/* A model that the book may belong to; *is says whether it does. NULL where there is none that can
 * be read. */
static const char *candidate(const struct args *a, const struct book *b, struct arena *arena,
                             bool *is) {
    struct err unread;
    struct checkpoint c;
    const char *path = a->model ? a->model : model_beside(b->path, arena);
    *is = false;
    if (!path && find_model(a->model, a->program, arena, &path, &unread)) return NULL;
    if (checkpoint_open(&c, path, a->tokenizer, NULL, &unread)) return NULL;
    char fingerprint[65];
    gpt2_fingerprint(&c.weights, fingerprint);
    *is = strcmp(fingerprint, b->fingerprint) == 0;
    checkpoint_close(&c);
    return path;
}

/* ---- what there is ---- */

static void settings(struct text_table *t, const struct book *b) {
    table_cell(t, "codebooks, as in --attn"), table_cell(t, "bytes a row"), table_cell(t, "method");
    for (size_t i = 0; i < b->n; i++) {
        const struct codebook *y = &b->books[i];
        char name[64];
        codebook_name(y, true, name, sizeof name);
        table_cell(t, "%s%s", y->values ? "KEYS/" : "", name);
        table_cell(t, "%zu", y->uneven ? y->bytes : lookup_row_bytes(y->m, y->k));
        table_cell(t, "%s",
                   y->uneven    ? "learned, bytes to the heads that need them"
                   : y->learned ? "learned for each head"
                                : "as published: k-means of equal cuts");
    }
}

void info_words(struct text_table *t, const struct book *b) {
    for (size_t i = 0; i < BOOK_WORDS; i++) {
        if (!b->words[i]) continue;
        table_cell(t, "--attn %s", book_word_name((enum book_word)i));
        table_cell(t, "%s", b->words[i]);
    }
}

void info_words_json(struct json_out *j, const struct book *b) {
    static const char *const keys[BOOK_WORDS] = {
        [BOOK_RECOMMENDED] = "recommended", [BOOK_SMALL] = "small"};
    for (size_t i = 0; i < BOOK_WORDS; i++)
        if (b && b->words[i])
            json_put_cstr(j, keys[i], b->words[i]);
        else
            json_put_null(j, keys[i]);
}

void info_tried(const struct book *b, bool all) {
    if (!b->n_tried) return;
    printf("\ncalibrate --auto tried %s%s (KL on text kept apart):\n",
           text_plural(b->n_tried - 1, "cache").s, all ? "" : "; -v shows all");
    for (size_t i = 0; i < b->n_tried; i++)
        if (all || i == 0 || strstr(b->tried[i], SEARCH_CHOSEN))
            puts(printable_copy(b->tried[i]).s);
}

static int print_text(const struct args *a, const struct book *b, const char *sha256,
                      struct arena *arena, struct err *e) {
    struct text_table t;
    bool is;
    const char *model = candidate(a, b, arena, &is);
    table_begin(&t, "ll", arena);
    table_cell(&t, "codebooks"), table_cell(&t, "%s", b->path);
    if (sha256) table_cell(&t, "sha256"), table_cell(&t, "%s", sha256);
    table_cell(&t, "of a model"),
        table_cell(&t, "%s, %s of %zu dimensions", text_plural(b->n_layer, "layer").s,
                   text_plural(b->n_head, "head").s, b->head_dim);
    table_cell(&t, "fingerprint"), table_cell(&t, "%s", b->fingerprint);
    if (model) table_cell(&t, " "), table_cell(&t, "%s of %s", is ? "that" : "not that", model);
    for (size_t i = 0; i < b->n_corpora; i++)
        table_cell(&t, "%s", i ? "" : "learned on"), table_cell(&t, "%s", b->corpora[i].name);
    table_cell(&t, "tokens"),
        table_cell(&t, "%s, %s keys a head kept, seed %llu", text_count(b->tokens).s,
                   text_count(b->samples).s, (unsigned long long)b->seed);
    info_words(&t, b);
    int rc = table_print(&t, stdout, e);
    putchar('\n');
    table_begin(&t, "lrl", arena);
    settings(&t, b);
    if (!rc) rc = table_print(&t, stdout, e);
    if (!rc) info_tried(b, a->verbose);
    return rc;
}

static void print_json(const struct args *a, const struct book *b, const char *sha256,
                       struct arena *arena) {
    struct json_out j;
    bool is;
    const char *model = candidate(a, b, arena, &is);
    json_put_begin(&j, stdout);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.info/1");
    json_put_object(&j, "book");
    json_put_cstr(&j, "file", b->path);
    if (sha256) json_put_cstr(&j, "sha256", sha256);
    json_put_cstr(&j, "fingerprint", b->fingerprint);
    json_put_uint(&j, "layers", b->n_layer);
    json_put_uint(&j, "heads", b->n_head);
    json_put_uint(&j, "head_dim", b->head_dim);
    if (is)
        json_put_cstr(&j, "model", model);
    else
        json_put_null(&j, "model");
    json_put_array(&j, "corpora");
    for (size_t i = 0; i < b->n_corpora; i++) {
        json_put_object(&j, NULL);
        json_put_cstr(&j, "file", b->corpora[i].name);
        json_put_cstr(&j, "sha256", b->corpora[i].sha256);
        json_put_close(&j);
    }
    json_put_close(&j);
    json_put_uint(&j, "tokens", b->tokens);
    json_put_uint(&j, "samples", b->samples);
    json_put_uint(&j, "seed", b->seed);
    json_put_close(&j);
    json_put_codebooks(&j, b->books, b->n);
    info_words_json(&j, b);
    json_put_array(&j, "tried");
    for (size_t i = 0; i < b->n_tried; i++) json_put_cstr(&j, NULL, b->tried[i]);
    json_put_close(&j);
    json_put_close(&j);
}

int info_book(const struct args *a, const char *path, const char *sha256, struct arena *arena,
              struct err *e) {
    struct book b;
    bool found;
    int rc = book_open(&b, path, &found, e);
    if (rc) return rc;
    if (!found) rc = err_file(e, ERR_REFUSED, path, "says it is a book of codebooks, and has none");
    if (!rc && strcmp(a->format, "json") == 0)
        print_json(a, &b, sha256, arena);
    else if (!rc)
        rc = print_text(a, &b, sha256, arena, e);
    book_close(&b);
    return rc;
}
