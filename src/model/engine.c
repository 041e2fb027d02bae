/* Opens a model together with what is needed to run it. */
#include "model/engine.h"

/* Rows that an embedding was padded with to a round number: beyond the tokens, or named as such. */
static int find_never(struct engine *g, struct err *e) {
    const struct vocab *v = &g->model.vocab;
    size_t V = g->model.weights.config.n_vocab, n = 0;
    if (!v->n) return OK;
    uint8_t *never = arena_zalloc(&g->arena, V, 1);
    if (!never) return err_set(e, ERR_FAILED, "out of memory for a vocabulary of %zu", V);
    for (size_t i = 0; i < V; i++) n += never[i] = i >= v->n || v->kind[i] == TOKEN_PADDING;
    if (n == V)
        return err_file(e, ERR_REFUSED, g->model.path,
                        "the tokenizer has no token that could be chosen");
    if (n) g->never = never;
    return OK;
}

int engine_load(struct engine *g, const char *path, const char *tokenizer,
                void (*warn)(const char *msg), struct err *e) {
    int rc = checkpoint_open(&g->model, path, tokenizer, warn, e);
    g->bpe = NULL;
    g->never = NULL;
    if (rc) {
        arena_free(&g->arena);
        return rc;
    }
    if (g->model.vocab.n) rc = bpe_new(&g->bpe, &g->model.vocab, &g->arena, e);
    if (!rc) rc = find_never(g, e);
    if (rc) engine_close(g);
    return rc;
}

void engine_close(struct engine *g) {
    checkpoint_close(&g->model);
    arena_free(&g->arena);
}

int32_t engine_start_token(const struct engine *g) {
    const struct vocab *v = &g->model.vocab;
    int32_t id = v->bos >= 0 ? v->bos : v->eos;
    return v->n == 0 || id < 0 || (size_t)id >= g->model.weights.config.n_vocab ? -1 : id;
}

int engine_check_ids(const struct engine *g, const char *what, const int32_t *ids, size_t n,
                     struct err *e) {
    size_t V = g->model.weights.config.n_vocab, len;
    for (size_t i = 0; i < n; i++) {
        if ((size_t)ids[i] < V) continue;
        const uint8_t *text = bpe_token(g->bpe, ids[i], &len);
        return err_set(
            e, ERR_REFUSED,
            "%.100s: has token %d (\"%.*s\"), for which the model has no row: its rows go to %zu",
            what, ids[i], len < 40 ? (int)len : 40, (const char *)text, V - 1);
    }
    return OK;
}
