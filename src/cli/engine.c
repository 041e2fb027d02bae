/* Opens what a command that runs a model needs, in the order in which mistakes are cheapest to
 * find. */
#include "cli/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/threads.h"
#include "cli/find_model.h"

static void warn(const char *msg) { fprintf(stderr, "lookat: %s\n", msg); }

static int choose_threads(const struct args *args, struct err *e) {
    int allowed = threads_allowed();
    int64_t wanted;
    int rc = args_threads(args, &wanted, e);
    if (rc) return rc;
    threads_set(wanted ? (int)wanted : allowed);
    if (threads_count() > allowed && !args->quiet)
        fprintf(stderr, "lookat: %d threads on %d processor%s: fewer are faster\n", threads_count(),
                allowed, allowed == 1 ? "" : "s");
    return OK;
}

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

int engine_open(struct engine *g, const struct args *args, struct err *e) {
    *g = (struct engine){.quiet = args->quiet};
    double start = clock_now();
    const char *kernels =
                   args->kernels && strcmp(args->kernels, "auto") != 0 ? args->kernels : NULL,
               *path;
    int rc = kernels_get(&g->k, kernels, e);
    if (!rc) rc = choose_threads(args, e);
    if (!rc) rc = find_model(args, &g->arena, &path, e);
    if (!rc) rc = checkpoint_open(&g->model, path, args->tokenizer, args->quiet ? NULL : warn, e);
    if (rc) {
        arena_free(&g->arena);
        return rc;
    }
    if (g->model.vocab.n) rc = bpe_new(&g->bpe, &g->model.vocab, &g->arena, e);
    if (!rc) rc = find_never(g, e);
    if (rc) engine_close(g);
    g->load_s = clock_now() - start;
    return rc;
}

void engine_close(struct engine *g) {
    checkpoint_close(&g->model);
    arena_free(&g->arena);
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
