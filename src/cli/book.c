/* Finds the set of codebooks for a model: the file of --book, the one inside the model, or the one
 * beside it. */
#include "cli/book.h"

#include <stdio.h>
#include <string.h>

#include "attention/spec.h"
#include "base/printable.h"

/* A spec that cannot be read may need some as well: it is refused later, with a message of its
 * own, and none comes before that. */
static bool need_codebooks(const char *const *specs, size_t n) {
    bool need = false;
    struct err unread;
    for (size_t i = 0; i < n && !need; i++)
        if (spec_codebooks(specs[i], &need, &unread)) need = true;
    return need;
}

/* "gpt2.gguf" -> "gpt2.book.gguf", "folder/" -> "folder.book.gguf"; NULL without memory. */
static char *path_beside(const char *model, struct arena *arena) {
    static const char ending[] = ".gguf", book[] = ".book.gguf";
    size_t n = strlen(model), cut = sizeof ending - 1;
    while (n > 1 && model[n - 1] == '/') n--;
    if (n > cut && memcmp(model + n - cut, ending, cut) == 0) n -= cut;
    char *path = arena_alloc(arena, n + sizeof book, 1);
    if (!path) return NULL;
    memcpy(path, model, n);
    memcpy(path + n, book, sizeof book);
    return path;
}

/* ERR_REFUSED where the book is of another model. */
static int check_model(const struct book *b, const struct checkpoint *model, struct err *e) {
    const struct gpt2_config *c = &model->weights.config;
    char fingerprint[65];
    gpt2_fingerprint(&model->weights, fingerprint);
    return book_check(b, fingerprint, c->n_layer, c->n_head, c->n_embd / c->n_head, e);
}

/* The book in the file, if there is one. */
static int open_checked(struct book *b, const struct book **use, const char *path,
                        const struct checkpoint *model, struct err *e) {
    bool found;
    int rc = book_open(b, path, &found, e);
    if (rc || !found) return rc;
    rc = check_model(b, model, e);
    if (rc)
        book_close(b);
    else
        *use = b;
    return rc;
}

int model_book_inside(struct book *b, const struct book **use, const struct checkpoint *model,
                      struct err *e) {
    *b = (struct book){0};
    *use = NULL;
    return strncmp(model->format, "GGUF", 4) == 0 ? open_checked(b, use, model->file.path, model, e)
                                                  : OK;
}

/* The file of --book, which must have codebooks of this model though none should be needed. */
static int open_named(struct book *b, const struct book **use, const struct args *args, bool needed,
                      const struct checkpoint *model, struct err *e) {
    int rc = open_checked(b, use, args->book, model, e);
    if (rc) return rc;
    if (!*use) return err_file(e, ERR_REFUSED, args->book, "the file has no codebooks");
    if (!needed)
        args_no_effect(args, "--book",
                       "none of the backends uses codebooks; lookat keys and pq values do");
    return OK;
}

int model_book_open(struct book *b, const struct book **use, const struct args *args,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e) {
    *b = (struct book){0};
    *use = NULL;
    bool needed = need_codebooks(specs, n_specs);
    if (args->book) return open_named(b, use, args, needed, model, e);
    if (!needed) return OK;
    int rc = model_book_inside(b, use, model, e);
    if (rc || *use) return rc;
    const char *beside = path_beside(model->path, arena);
    if (!beside) return err_set(e, ERR_FAILED, "out of memory for a file name");
    return file_exists(beside) ? open_checked(b, use, beside, model, e) : OK;
}

bool model_book_saw(const struct book *b, const char *sha256) {
    for (size_t i = 0; b && i < b->n_corpora; i++)
        if (strcmp(b->corpora[i].sha256, sha256) == 0) return true;
    return false;
}

void model_book_warn_seen(const struct book *b, const char *file, const char *sha256) {
    for (size_t i = 0; b && i < b->n_corpora; i++)
        if (strcmp(b->corpora[i].sha256, sha256) == 0)
            fprintf(stderr,
                    "lookat: warning: %s: the codebooks were calibrated on this very text (%s); "
                    "its figures flatter them\n",
                    file, printable_copy(b->corpora[i].name).s);
}
