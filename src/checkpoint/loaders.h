/* The loaders behind checkpoint_open and vocab_open: each fills what it is given and leaves errors to the caller to clean up. */
#ifndef LOOKAT_CHECKPOINT_LOADERS_H
#define LOOKAT_CHECKPOINT_LOADERS_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"

typedef void (*warn_fn)(const char *msg); /* NULL: warnings are dropped */

/* gguf_model.c: the GPT-2 model in a GGUF file, vocabulary included where it has one. Takes over the map (c->file). */
int gguf_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e);
int gguf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* hf.c: model.safetensors with config.json beside it. `path` is the .safetensors file. Sets weights, not the vocabulary. */
int hf_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e);

/* hf_vocab.c: a folder with vocab.json + merges.txt or tokenizer.json, or one of these files. */
int hf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* llmc.c: model v3 (f32), v5 (bf16); tokenizer v1, v2. */
int llmc_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e);
int llmc_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e);

/* vocab.c: what the vocabulary loaders share. */

/* Collects tokens given in any order of ids, then builds the vocabulary. All memory from the arena. */
struct vocab_builder {
    const char *path;   /* for messages */
    uint32_t n;         /* ids 0..n-1, each to be set once */
    struct gguf_str *token; /* [n] raw bytes; s == NULL: not set yet */
    uint8_t *control;   /* [n] */
    struct arena *arena;
};

/* The byte-to-unicode spelling of GPT-2's files: printable bytes stand for themselves, the other 68 for U+0100 and up in order.
 * vocab_unspell writes the raw bytes of the UTF-8 string s[n] to out (at most n) and returns their number, or -1 where a character is not
 * in the alphabet. vocab_spell writes the spelling of n raw bytes to out (at most 2n) and returns its length. */
long vocab_unspell(const char *s, size_t n, uint8_t *out);
size_t vocab_spell(const uint8_t *bytes, size_t n, char *out);

#endif
