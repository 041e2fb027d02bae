/* Which model file is opened where none is named. */
#ifndef LOOKAT_CHECKPOINT_FIND_MODEL_H
#define LOOKAT_CHECKPOINT_FIND_MODEL_H

#include "base/arena.h"
#include "base/err.h"

/* *path is, in this order: `named` unless it is NULL, the environment variable LOOKAT_MODEL,
 * weights/stories6M.gguf in the folder of the running program, as after make, and
 * ../share/lookat/stories6M.gguf from there, as after make install. `program` is the name that the
 * program was started by, or NULL (process_program). ERR_FAILED, with what to do, where neither of
 * the last two is there; the others are not looked at. ERR_USAGE where `named` is empty. */
int find_model(const char *named, const char *program, struct arena *arena, const char **path,
               struct err *e);

#endif
