/* Text on standard input that nobody named: what comes through a pipe or from a redirected file. */
#ifndef LOOKAT_CLI_PIPED_H
#define LOOKAT_CLI_PIPED_H

#include <stdbool.h>

enum piped { PIPED_NONE, PIPED_TEXT, PIPED_SILENT };

/* Says what standard input is. A terminal, /dev/null, a closed input and the end of a file have
 * nothing; a file has its text. A pipe or a socket is waited for: it has a text as soon as a byte
 * comes or it ends, and is silent where neither happens in `patience` seconds, since many programs
 * are started with a pipe that nobody ever writes to. */
enum piped piped_text(double patience);

/* Says whether there are bytes on standard input that could be read now. */
bool piped_left(void);

#endif
