/* Which model file a command opens. */
#ifndef LOOKAT_CLI_FIND_MODEL_H
#define LOOKAT_CLI_FIND_MODEL_H

#include "base/arena.h"
#include "cli/options.h"

/* *path is, in this order: -m, the environment variable LOOKAT_MODEL, weights/stories6M.gguf in the
 * folder of the program, as after make, and ../share/lookat/stories6M.gguf from there, as after
 * make install. ERR_FAILED, with what to do, where neither of the last two is there; the others are
 * not looked at. */
int find_model(const struct args *a, struct arena *arena, const char **path, struct err *e);

#endif
