/* The words for whole caches: what they stand for in a book, and whether that may be used. */
#include "attention/book_word.h"

#include <string.h>

#include "attention/code_rows.h"
#include "attention/exact_keys.h"
#include "attention/refine.h"
#include "attention/spec.h"

static const char *const names[BOOK_WORDS] = {
    [BOOK_RECOMMENDED] = "lookat", [BOOK_SMALL] = "lookat:small"};

const char *book_word_name(enum book_word word) { return names[word]; }

enum book_word book_word_of(const char *spec) {
    for (size_t word = 0; word < BOOK_WORDS; word++)
        if (strcmp(spec, names[word]) == 0) return (enum book_word)word;
    return BOOK_WORDS;
}

/* The options of one codec, and whether its codebooks are there. */
static int check_codec(const struct book *b, struct codec *c, struct err *e) {
    struct codec_options chosen;
    int rc = c->ops->check ? c->ops->check(c, b->head_dim, e) : OK;
    if (rc || !c->ops->codebooks) return rc;
    chosen = c->o;
    return code_rows_choose(&chosen, b, c->for_values) ? OK : code_rows_missing(c, b, e);
}

static int check_layer(const struct book *b, struct codec *key, struct codec *value,
                       struct err *e) {
    enum { CONTEXT = 65536 }; /* the least number that sink, window and refine fit in */
    struct exact_keys exact;
    struct refine refine;
    int rc = check_codec(b, key, e);
    if (!rc) rc = check_codec(b, value, e);
    if (!rc) rc = exact_init(&exact, key, b->head_dim, CONTEXT, e);
    return rc ? rc : refine_init(&refine, key, b->head_dim, CONTEXT, e);
}

int book_word_check(const struct book *b, const char *cache, struct err *e) {
    struct arena a = {0};
    size_t n = strlen(cache);
    if (!n || n > BOOK_WORD_BYTES)
        return err_set(e, ERR_USAGE, "a spec of %zu bytes, expected 1 to %d", n, BOOK_WORD_BYTES);
    if (book_word_of(cache) != BOOK_WORDS)
        return err_set(e, ERR_USAGE, "'%s' stands for itself, expected a spec in full", cache);
    struct codec *keys = arena_zalloc(&a, b->n_layer, sizeof *keys),
                 *values = arena_zalloc(&a, b->n_layer, sizeof *values);
    int rc = keys && values ? spec_parse(cache, b->n_layer, keys, values, e)
                            : err_set(e, ERR_FAILED, "out of memory for %zu layers", b->n_layer);
    for (size_t l = 0; l < b->n_layer && !rc; l++) rc = check_layer(b, &keys[l], &values[l], e);
    arena_free(&a);
    return rc;
}

int book_word_expand(const struct book *b, const char **spec, struct err *e) {
    enum book_word word = book_word_of(*spec);
    if (word == BOOK_WORDS) return OK;
    if (b && b->words[word]) {
        *spec = b->words[word];
        return OK;
    }
    return err_set(e, ERR_USAGE,
                   "--attn %s: %.70s names no such cache; to choose one: lookat calibrate -m MODEL "
                   "-f TEXT --auto --add --embed -o NEW.gguf",
                   *spec, b ? b->path : "the model, which has no codebooks,");
}
