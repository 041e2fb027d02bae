/* What every command that runs a model begins with: threads, kernels, checkpoint, tokenizer, as the
 * command line asks for them. */
#ifndef LOOKAT_CLI_ENGINE_H
#define LOOKAT_CLI_ENGINE_H

#include "cli/options.h"
#include "model/engine.h"

/* Opens the model of the options and fixes the number of threads. Warnings go to standard error
 * unless --quiet. Errors are those of engine_load and find_model, and ERR_USAGE for kernels that
 * this processor does not have; nothing is then left open. engine_close is due after OK. */
int engine_open(struct engine *g, const struct args *args, struct err *e);

#endif
