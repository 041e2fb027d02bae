/* Texts to measure on or to learn from, as tokens. */
#ifndef LOOKAT_CLI_TEXTS_H
#define LOOKAT_CLI_TEXTS_H

#include "cli/engine.h"

struct token_text {
    const char *file;   /* as given; "-" is standard input */
    char sha256[65];    /* of its bytes */
    const int32_t *ids; /* [n] */
    size_t n;
};

/* Reads and encodes a file, at most `limit` tokens of it. <|endoftext|> written out in it is the
 * token, as llama-perplexity has it: it separates the parts of a corpus. A byte-order mark is left
 * out. Memory from the arena. ERR_USAGE where the model has no tokenizer. */
int token_text_read(struct token_text *t, const struct engine *g, const char *file, size_t limit,
                    struct arena *arena, struct err *e);

#endif
