/* Texts that come a line at a time, from a file, a pipe or a terminal: each is used before the next
 * one is read, so that memory is that of one line. */
#ifndef LOOKAT_CLI_LINES_H
#define LOOKAT_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct lines {
    const char *file; /* as given; "-" is standard input */
    FILE *fp;
    uint8_t *line; /* [n] the last line read, without its end: LF or CRLF */
    size_t n, room;
    size_t number; /* of that line, from 1 on */
    bool quiet;    /* nothing is said of a byte-order mark */
};

/* Opens the file, and adds it to the inputs. lines_close is due after OK. ERR_FAILED where it
 * cannot be opened, ERR_REFUSED for a folder. */
int lines_open(struct lines *l, const char *file, bool quiet, struct err *e);
void lines_close(struct lines *l);

/* Reads the next line; *got is false where there is none. The last line may lack its end. Of a line
 * with more than `most` bytes the rest is passed over, and l->n > most says so. A byte-order mark
 * in front of the first line is left out. ERR_FAILED where the file cannot be read and without
 * memory, ERR_INTERRUPTED after Ctrl-C. */
int lines_next(struct lines *l, size_t most, bool *got, struct err *e);

#endif
