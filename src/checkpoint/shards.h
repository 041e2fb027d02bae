/* Models in several files. Hugging Face puts an index beside the files,
 * model.safetensors.index.json or pytorch_model.bin.index.json, which says where each tensor lies:
 *
 *     {"metadata": {...}, "weight_map": {"TENSOR": "model-00001-of-00002.safetensors", ...}}
 */
#ifndef LOOKAT_CHECKPOINT_SHARDS_H
#define LOOKAT_CHECKPOINT_SHARDS_H

#include "checkpoint/named.h"

/* The files that the index at `path` names, each once, in the order in which they are first named:
 * (*paths)[*n], in the arena. ERR_REFUSED for an index that names none, more than 1000, one that is
 * not in its own folder, or one that is not there. */
int shards_list(const char *path, const char ***paths, size_t *n, struct arena *a, struct err *e);

/* Whether one of these files is of safetensors or of PyTorch. ERR_REFUSED where it is neither. */
int shards_sniff(const char *path, enum file_kind *kind, struct err *e);

/* Holds the set to its index, s->path: each tensor is in the file that is named for it. */
int shards_check(const struct named_set *s, struct err *e);

#endif
