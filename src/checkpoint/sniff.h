/* What a file is, by its first bytes: the loader for it is chosen by that, never by its name. */
#ifndef LOOKAT_CHECKPOINT_SNIFF_H
#define LOOKAT_CHECKPOINT_SNIFF_H

#include "base/err.h"

enum file_kind {
    KIND_GGUF,
    KIND_SAFETENSORS,
    KIND_TORCH, /* what torch.save writes */
    KIND_LLMC_MODEL,
    KIND_LLMC_TOKENIZER,
    KIND_JSON,
    KIND_MERGES
};

/* What a file was expected to be, for messages. */
#define SNIFF_MODELS "a GGUF file, a .safetensors file, a PyTorch file or an llm.c .bin"
#define SNIFF_SHARDS "a .safetensors file or a PyTorch file"
#define SNIFF_TOKENIZERS                                                                           \
    "a tokenizer: tokenizer.json, vocab.json with merges.txt, an llm.c tokenizer .bin, or a GGUF " \
    "file"

/* ERR_FAILED where the file cannot be read; ERR_REFUSED, saying what it is instead, what was
 * `expected` and what to do, where it is none of the kinds. A file that is nothing known but ends
 * in .gguf or .safetensors counts as that: its reader then says which rule it breaks. */
int sniff(const char *path, const char *expected, enum file_kind *kind, struct err *e);

#endif
