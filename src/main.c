/* The command table, and the way from the command line to a command. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/suggest.h"

static const struct command *const commands[] = {&generate_command, &compare_command, &eval_command, &calibrate_command, &convert_command,
                                                &info_command,     &tokenize_command, &explain_command,  &bench_command};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find_command(const char *name) {
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(command_name(commands[i]->id), name) == 0) return commands[i];
    return NULL;
}

static int unknown_command(const char *name, struct err *e) {
    struct suggestion near = {0};
    for (int i = 0; i < N_COMMANDS; i++) suggest(&near, name, command_name(commands[i]->id), strlen(command_name(commands[i]->id)));
    suggest(&near, name, "help", 4);
    if (near.word[0]) return err_set(e, ERR_USAGE, "unknown command '%.60s'; did you mean %s?", name, near.word);
    return err_set(e, ERR_USAGE, "unknown command '%.60s'; lookat help lists the commands, and lookat -p TEXT continues a text", name);
}

static int help(int argc, char **argv, struct err *e) {
    const struct command *c = argc ? find_command(argv[0]) : NULL;
    if (argc && !c && argv[0][0] != '-' && strcmp(argv[0], "help") != 0) return unknown_command(argv[0], e);
    if (c)
        help_command(stdout, c);
    else
        help_program(stdout, commands, N_COMMANDS);
    return OK;
}

static int run_command(const struct command *c, const char *program, int argc, char **argv, struct err *e) {
    struct args args;
    args_init(&args, c->id);
    args.program = program;
    int rc = options_parse(&args, argc, argv, e);
    if (!rc && args.version) {
        printf("lookat %s\n", LOOKAT_VERSION);
        return OK;
    }
    if (!rc && args.help) {
        help_command(stdout, c);
        return OK;
    }
    if (!rc && args.argc > c->max_args)
        rc = err_set(e, ERR_USAGE, "%s: unexpected argument '%.60s' (text with spaces goes into quotes)", command_name(c->id),
                     args.argv[c->max_args]);
    if (rc) {
        size_t n = strlen(e->msg);
        snprintf(e->msg + n, sizeof e->msg - n, " (lookat help %s explains)", command_name(c->id));
        return rc;
    }
    return c->run(&args, e);
}

static int dispatch(int argc, char **argv, struct err *e) {
    const char *program = argc ? argv[0] : NULL, *first = argc > 1 ? argv[1] : NULL;
    if (!first && isatty(STDIN_FILENO)) {
        help_program(stdout, commands, N_COMMANDS);
        return OK;
    }
    if (!first) { /* text comes through a pipe */
        char dash[] = "-", *words[] = {dash};
        return run_command(&generate_command, program, 1, words, e);
    }
    if (strcmp(first, "help") == 0) return help(argc - 2, argv + 2, e);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return help(0, NULL, e);
    if (first[0] == '-') return run_command(&generate_command, program, argc - 1, argv + 1, e);
    const struct command *c = find_command(first);
    return c ? run_command(c, program, argc - 2, argv + 2, e) : unknown_command(first, e);
}

int main(int argc, char **argv) {
    struct err e = {0};
    interrupt_install();
    int rc = dispatch(argc, argv, &e);
    if (rc && e.msg[0]) fprintf(stderr, "lookat: %s\n", e.msg);
    struct err flush = {0};
    if (file_flush(stdout, "standard output", &flush) && !rc) { /* a full disk may show only now */
        rc = flush.code;
        fprintf(stderr, "lookat: %s\n", flush.msg);
    }
    return rc;
}
