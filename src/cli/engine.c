/* Opens what a command that runs a model needs, in the order in which mistakes are cheapest to
 * find. */
#include "cli/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/threads.h"
#include "checkpoint/find_model.h"

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

int engine_open(struct engine *g, const struct args *args, struct err *e) {
    *g = (struct engine){.quiet = args->quiet};
    double start = clock_now();
    const char *kernels =
                   args->kernels && strcmp(args->kernels, "auto") != 0 ? args->kernels : NULL,
               *path;
    int rc = kernels_get(&g->k, kernels, e);
    if (!rc) rc = choose_threads(args, e);
    if (!rc) rc = find_model(args->model, args->program, &g->arena, &path, e);
    if (rc) {
        arena_free(&g->arena);
        return rc;
    }
    rc = engine_load(g, path, args->tokenizer, args->quiet ? NULL : warn, e);
    g->load_s = clock_now() - start;
    return rc;
}
