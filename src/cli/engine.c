#include "cli/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/threads.h"
#include "cli/find_model.h"

static void warn(const char *msg) { fprintf(stderr, "lookat: %s\n", msg); }

static void choose_threads(const struct args *args) {
    int allowed = threads_allowed();
    threads_set(args->threads ? (int)args->threads : allowed);
    if (threads_count() > allowed && !args->quiet)
        fprintf(stderr, "lookat: %d threads on %d processor%s: fewer are faster\n", threads_count(), allowed, allowed == 1 ? "" : "s");
}

int engine_open(struct engine *g, const struct args *args, struct err *e) {
    *g = (struct engine){0};
    double start = clock_now();
    const char *kernels = args->kernels && strcmp(args->kernels, "auto") != 0 ? args->kernels : NULL, *path;
    int rc = kernels_get(&g->k, kernels, e);
    choose_threads(args);
    if (!rc) rc = find_model(args, &g->arena, &path, e);
    if (!rc) rc = checkpoint_open(&g->model, path, args->tokenizer, args->quiet ? NULL : warn, e);
    if (rc) {
        arena_free(&g->arena);
        return rc;
    }
    if (g->model.vocab.n) rc = bpe_new(&g->bpe, &g->model.vocab, &g->arena, e);
    if (rc) engine_close(g);
    g->load_s = clock_now() - start;
    return rc;
}

void engine_close(struct engine *g) {
    checkpoint_close(&g->model);
    arena_free(&g->arena);
}
