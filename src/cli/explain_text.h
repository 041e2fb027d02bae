/* lookat explain -p TEXT: the steps of the example on paper, on the real model and the reader's own
 * text. */
#ifndef LOOKAT_CLI_EXPLAIN_TEXT_H
#define LOOKAT_CLI_EXPLAIN_TEXT_H

#include "cli/options.h"

/* Writes the steps to standard output, and with --html to a page too. ERR_USAGE for a text without
 * tokens, longer than the context, or a layer, head or backend that is not there; errors of
 * engine_open and one_query_measure. */
int explain_text(const struct args *args, struct err *e);

#endif
