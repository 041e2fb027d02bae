/* Finds the set of codebooks for a model: a file that is named, the one inside the model, or the
 * one beside it. */
#include "model/model_book.h"

#include <string.h>

#include "attention/spec.h"
#include "base/file.h"

bool specs_need_codebooks(const char *const *specs, size_t n) {
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

int model_book_find(struct book *b, const struct book **use, const char *named,
                    const struct checkpoint *model, const char *const *specs, size_t n_specs,
                    struct arena *arena, struct err *e) {
    *b = (struct book){0};
    *use = NULL;
    if (named) {
        int rc = open_checked(b, use, named, model, e);
        return rc || *use ? rc : err_file(e, ERR_REFUSED, named, "the file has no codebooks");
    }
    if (!specs_need_codebooks(specs, n_specs)) return OK;
    int rc = model_book_inside(b, use, model, e);
    if (rc || *use) return rc;
    const char *beside = path_beside(model->path, arena);
    if (!beside) return err_set(e, ERR_FAILED, "out of memory for a file name");
    return file_exists(beside) ? open_checked(b, use, beside, model, e) : OK;
}
