/* GGUF models in several files, as llama.cpp's llama-gguf-split writes them:
 * NAME-00001-of-00003.gguf and so on. The first one has the model's keys; each has its number
 * (split.no, from 0 on), how many there are (split.count), and some of the tensors. */
#ifndef LOOKAT_CHECKPOINT_GGUF_PARTS_H
#define LOOKAT_CHECKPOINT_GGUF_PARTS_H

#include <stdbool.h>

#include "checkpoint/gguf.h"

/* Tells the number (from 1 on) and the count that a file's name ends with; false where it ends with
 * none. */
bool gguf_part_name(const char *path, unsigned *no, unsigned *count);

/* The path of part `no`, from 1 on, of the model that `path` is a part of; NULL without memory. */
char *gguf_part_path(const char *path, unsigned no, struct arena *a);

/* Adds the tensors of the other parts to g, which is the first one; a file that is whole stays as
 * it is. Their maps belong to g, the names of the files lie in the arena. ERR_REFUSED where g is
 * another part, and where parts do not fit each other. */
int gguf_join_parts(struct gguf *g, struct arena *a, struct err *e);

#endif
