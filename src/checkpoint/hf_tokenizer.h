/* tokenizer.json (https://huggingface.co/docs/tokenizers): where it has what, and whether its
 * settings are those of GPT-2's tokenizer. */
#ifndef LOOKAT_CHECKPOINT_HF_TOKENIZER_H
#define LOOKAT_CHECKPOINT_HF_TOKENIZER_H

#include "base/file.h"
#include "base/json.h"

struct hf_tokenizer {
    struct json vocab, merges, added; /* at the values of model.vocab, model.merges and
                                         added_tokens; text NULL where there is none */
    bool whole_text;                  /* the text is not cut into pieces */
    bool ignore_merges;
    bool add_bos; /* the post_processor puts token `bos` in front */
    uint64_t bos;
};

/* Reads the file as far as its settings go. ERR_REFUSED, by name, for every setting that would give
 * a text other ids and is not followed here: normalizers, other cuts than GPT-2's, dropout,
 * prefixes and suffixes, tokens behind a text. Settings that cannot matter are passed over: those
 * of unknown tokens (each byte has a token), truncation and padding (transformers applies them only
 * where asked), decoders. */
int hf_tokenizer_read(struct hf_tokenizer *t, const struct file *f, struct err *e);

#endif
