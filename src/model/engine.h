/* A model that can run, with all that goes with it: its file, the kernels for this processor, its
 * tokenizer, and which tokens may be generated. */
#ifndef LOOKAT_MODEL_ENGINE_H
#define LOOKAT_MODEL_ENGINE_H

#include "checkpoint/checkpoint.h"
#include "kernels/kernels.h"
#include "tokenizer/bpe.h"

struct engine {
    struct checkpoint model;
    const struct kernels *k;
    struct bpe *bpe;    /* NULL where the model has no tokenizer */
    uint8_t *never;     /* [V] 1 where a row is no token that may be generated; NULL: all may */
    bool quiet;         /* a command gives no warnings */
    double load_s;      /* seconds that a command took to open it */
    struct arena arena; /* of the owner, freed with the engine */
};

/* Opens the model at `path` (checkpoint_open, which has tokenizer and warn) for the kernels of
 * g->k, which the caller has set, and fills the rest of *g but for the last three fields; the arena
 * may hold something already. Errors are those of checkpoint_open and bpe_new, ERR_REFUSED where
 * the tokenizer has no token that could be chosen, and ERR_FAILED without memory; nothing is then
 * left open, and the arena is empty. */
int engine_load(struct engine *g, const char *path, const char *tokenizer,
                void (*warn)(const char *msg), struct err *e);
void engine_close(struct engine *g);

/* Returns the token that a text without a prompt starts with: as in GPT-2's training texts, the one
 * behind which the text before ended. -1 where the model names none that it has a row for. */
int32_t engine_start_token(const struct engine *g);

/* ERR_REFUSED where the tokenizer gave an id for which the model has no row; `what` is named in the
 * message. */
int engine_check_ids(const struct engine *g, const char *what, const int32_t *ids, size_t n,
                     struct err *e);

#endif
