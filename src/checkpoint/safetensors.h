/* Safetensors containers (https://github.com/huggingface/safetensors). A file is held to every rule
 * of the format. What the tensors mean for GPT-2 is hf.c. All numbers are little-endian:
 *
 *     | u64 N | N bytes of JSON | data of the tensors, without gaps |
 *
 *     JSON:  {"NAME": {"dtype": "F32", "shape": [4, 8], "data_offsets": [begin, end]}, ...}
 *
 * data_offsets count bytes from the beginning of the data; end is the first byte behind a
 * tensor. */
#ifndef LOOKAT_CHECKPOINT_SAFETENSORS_H
#define LOOKAT_CHECKPOINT_SAFETENSORS_H

#include "checkpoint/named.h"

enum { ST_MAX_HEADER = 100000000, ST_MAX_DEPTH = 16 };

/* Maps and checks the whole file: ERR_REFUSED with the rule that it breaks. Nothing is left open on
 * an error (named_file_close). */
int safetensors_open(struct named_file *s, const char *path, struct err *e);

#endif
