/* A command of the program: what its help says, and the function that does it. */
#ifndef LOOKAT_CLI_COMMAND_H
#define LOOKAT_CLI_COMMAND_H

#include <stdio.h>

#include "cli/options.h"
#include "embed/lookat.h"

struct command {
    enum command_id id;
    const char *summary;        /* one phrase, for the list of commands */
    const char *usage;          /* what follows the command's name, one alternative a line */
    const char *about;          /* one paragraph: what it does */
    const char *examples;       /* two or three command lines, each "command\tcomment\n" */
    void (*appendix)(FILE *fp); /* what its help ends with, after the examples; NULL: nothing */
    int max_args;               /* arguments that are no options */
    int (*run)(const struct args *args,
               struct err *e); /* writes to stdout, which main checks at the end */
};

extern const struct command generate_command, compare_command, eval_command, calibrate_command,
    convert_command, info_command, tokenize_command, explain_command, bench_command;

/* Help of one command: usage, paragraph, its options by section, examples, exit statuses. Lines of
 * at most 80 columns. */
void help_command(FILE *fp, const struct command *c);

/* `lookat help attn`: every codec, its options and what a row of it takes, from the registry. */
void help_attn(FILE *fp);

/* Writes text in words from column `column` on, breaking lines before the 80th and indenting them.
 */
void help_wrap(FILE *fp, const char *text, int column, int indent);

/* The options of a command in the order of its help: sections as the table first names them, and in
 * each the rows as they stand. NULL: the first; returns NULL past the last. */
const struct option *help_next(enum command_id id, const struct option *previous);

/* What help and the manual page say besides; each list ends with a NULL name. */
struct help_pair {
    const char *name, *text;
};
extern const struct help_pair help_others[];      /* commands beside those of the table */
extern const struct help_pair help_environment[]; /* variables that are read */
extern const char help_about[], help_exit_statuses[];

/* `lookat help --man`: the manual page, in roff. ERR_FAILED where memory is out. */
int man_page(FILE *fp, const struct command *const *table, int n, struct err *e);

/* `lookat completion SHELL`: a script with which bash, zsh or fish complete options. ERR_USAGE for
 * another shell, or NULL. */
int completion_script(FILE *fp, const char *shell, const struct command *const *table, int n,
                      struct err *e);

/* `lookat --version`: the version, then a line each of the compiler, the sets of kernels and the
 * threads. */
void version_print(FILE *fp);

/* `lookat version -o json`: the same as one object, lookat.version/1. */
void version_put_json(FILE *fp);

/* The compiler of the program, with its version: "gcc 12.2.0". */
const char *version_compiler(void);

/* Help of the program: the commands, table[0..n). */
void help_program(FILE *fp, const struct command *const *table, int n);

#endif
