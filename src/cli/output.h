/* The files that commands write. */
#ifndef LOOKAT_CLI_OUTPUT_H
#define LOOKAT_CLI_OUTPUT_H

#include "cli/options.h"

/* Says whether the command can write to path. It is asked before the work: the files that the
 * command line names as inputs count as read already (but for the model of --embed, which it may
 * replace). Errors as out_check (base/out_file.h), which commands ask once more when they have
 * opened their inputs. */
int output_check(const struct args *a, const char *path, bool force, struct err *e);

#endif
