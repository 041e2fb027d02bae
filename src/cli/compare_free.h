/* Free mode: what each backend writes after the beginning of each text, with the same seed. */
#ifndef LOOKAT_CLI_COMPARE_FREE_H
#define LOOKAT_CLI_COMPARE_FREE_H

#include "base/progress.h"
#include "cli/engine.h"
#include "report/compare_out.h"

/* Tokens taken from the text, and tokens written, where the window has room for them. */
enum { FREE_PROMPT = 64, FREE_LENGTH = 128 };

/* Fills r->free, by the sampler's usual settings. `progress` hears after each text of each run. */
int compare_free_run(const struct engine *g, struct compare_report *r, struct progress progress,
                     struct err *e);

/* How many tokens of a text a window leaves for the prompt. */
size_t compare_free_prompt(size_t window);

#endif
