/* What a command reads: text from -p, -f, an argument or standard input; and lists of token ids. */
#ifndef LOOKAT_CLI_INPUT_H
#define LOOKAT_CLI_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "cli/options.h"

/* Finds the text given with -p, with -f FILE, or as the argument ("-": standard input): *text is
 * [*n], NULL where none of them is there. A file is read as far as it matters: where *n > most,
 * there may be more of it. ERR_USAGE where there is more than one text, or --ids beside it. */
int input_text(const struct args *a, size_t most, struct arena *arena, const uint8_t **text,
               size_t *n, struct err *e);

/* Leaves out the byte-order mark that some editors put in front of a UTF-8 text, and says so unless
 * `quiet`. `file`: "-" is standard input. */
void input_drop_mark(const char *file, bool quiet, const uint8_t **text, size_t *n);

/* Reads token ids in decimal, separated by spaces, commas or newlines, each below n_vocab: *ids is
 * [*n_ids], from the arena. `where` is named in messages. ERR_USAGE for anything else,
 * ERR_INTERRUPTED after Ctrl-C, ERR_FAILED without memory. */
int input_ids(const uint8_t *text, size_t n, uint32_t n_vocab, const char *where,
              struct arena *arena, int32_t **ids, size_t *n_ids, struct err *e);

#endif
