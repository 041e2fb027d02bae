/* What PyTorch's torch.save writes
 * (https://github.com/pytorch/pytorch/blob/main/torch/serialization.py): a pickle that tells of
 * tensors, and apart from it their numbers, the storages. A tensor is a window into a storage: an
 * offset, a shape, and for each dimension a stride. Since version 1.6 the file is a zip archive
 * (zip.h):
 *
 *     NAME/data.pkl      the pickle
 *     NAME/data/KEY      the numbers of storage KEY, little-endian
 *     NAME/byteorder     "little", in newer versions
 *
 * Before, it was five pickles and what belongs to the last of them:
 *
 *     | magic number | version | about the machine | the tensors | list of keys |      pickles
 *     | u64 count | numbers |                                    for each key, in order
 */
#ifndef LOOKAT_CHECKPOINT_TORCH_H
#define LOOKAT_CHECKPOINT_TORCH_H

#include "checkpoint/named.h"

/* The first pickle of an old file, whole: PROTO 2, the magic number, STOP. */
#define TORCH_MAGIC "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

/* Maps the file and lists its tensors: those of the dictionary that is the whole pickle, or of the
 * one under "model", "model_state_dict" or "state_dict" in it. ERR_REFUSED with the rule that it
 * breaks. Nothing is left open on an error (named_file_close). */
int torch_open(struct named_file *f, const char *path, struct err *e);

#endif
