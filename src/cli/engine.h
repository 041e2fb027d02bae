/* What every command that runs a model begins with: threads, kernels, checkpoint, tokenizer, as the
 * command line asks for them. */
#ifndef LOOKAT_CLI_ENGINE_H
#define LOOKAT_CLI_ENGINE_H

#include "checkpoint/checkpoint.h"
#include "cli/options.h"
#include "tokenizer/bpe.h"

struct engine {
    struct checkpoint model;
    const struct kernels *k;
    struct bpe *bpe;    /* NULL where the model has no tokenizer */
    uint8_t *never;     /* [V] 1 where a row is no token that may be generated; NULL: all may */
    bool quiet;         /* no warnings */
    double load_s;      /* seconds it took */
    struct arena arena; /* of the command, freed with the engine */
};

/* Opens the model of the options and fixes the number of threads. Warnings go to standard error
 * unless --quiet. Errors are those of checkpoint_open, ERR_USAGE for kernels that this processor
 * does not have, and ERR_FAILED without memory; nothing is then left open. */
int engine_open(struct engine *g, const struct args *args, struct err *e);
void engine_close(struct engine *g);

/* ERR_REFUSED where the tokenizer gave an id for which the model has no row; `what` is named in the
 * message. */
int engine_check_ids(const struct engine *g, const char *what, const int32_t *ids, size_t n,
                     struct err *e);

#endif
