/* Finds the model when nobody names one: LOOKAT_MODEL, then the one beside the program
 * or the one that was installed with it. */
#include "checkpoint/find_model.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/process.h"

/* The folder of the running program; the current one where even its name is not known. */
static const char *program_folder(const char *program, struct arena *arena) {
    char exe[4096];
    return path_folder(arena, process_program(program, exe, sizeof exe) ? exe : ".");
}

int find_model(const char *named, const char *program, struct arena *arena, const char **path,
               struct err *e) {
    static const char *const places[] = {"weights/stories6M.gguf",
                                         "../share/lookat/stories6M.gguf"};
    const char *wanted = named ? named : getenv("LOOKAT_MODEL");
    if (wanted && *wanted) {
        *path = wanted;
        return OK;
    }
    if (named) return err_set(e, ERR_USAGE, "-m: expected a file name, got ''");
    const char *folder = program_folder(program, arena);
    const char *first = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *path = folder ? path_join(arena, folder, places[i]) : NULL;
        if (!*path) return err_set(e, ERR_FAILED, "out of memory for a file name");
        if (file_exists(*path)) return OK;
        if (!first) first = *path;
    }
    return err_file(e, ERR_FAILED, first,
                    "there is no such model, nor ../share/lookat/stories6M.gguf from the program's "
                    "folder; name one with -m MODEL or in the environment variable LOOKAT_MODEL");
}
