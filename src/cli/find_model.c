#include "cli/find_model.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

/* The folder of the running program: what Linux knows, else what it was called by. */
static const char *program_folder(const struct args *a, struct arena *arena) {
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return path_folder(arena, a->program ? a->program : ".");
    exe[n] = 0;
    return path_folder(arena, exe);
}

int find_model(const struct args *a, struct arena *arena, const char **path, struct err *e) {
    const char *named = a->model ? a->model : getenv("LOOKAT_MODEL");
    if (named && *named) {
        *path = named;
        return OK;
    }
    if (a->model) return err_set(e, ERR_USAGE, "-m: expected a file name, got ''");
    const char *folder = program_folder(a, arena);
    *path = folder ? path_join(arena, folder, "weights/stories6M.gguf") : NULL;
    if (!*path) return err_set(e, ERR_FAILED, "out of memory for a file name");
    if (file_exists(*path)) return OK;
    return err_file(e, ERR_FAILED, *path, "there is no such model; name one with -m MODEL or in the environment variable LOOKAT_MODEL");
}
