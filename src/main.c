/* The command table, and the way from the command line to a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/inputs.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "cli/command.h"
#include "cli/llama.h"
#include "cli/piped.h"
#include "base/suggest.h"

static const struct command *const commands[] = {
    &generate_command, &compare_command,  &eval_command,    &calibrate_command, &convert_command,
    &info_command,     &tokenize_command, &explain_command, &bench_command};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find_command(const char *name) {
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(command_name(commands[i]->id), name) == 0) return commands[i];
    return NULL;
}

static int unknown_command(const char *name, struct err *e) {
    struct suggestion near = {0};
    const char *instead = llama_command(name);
    if (instead) return err_set(e, ERR_USAGE, "unknown command '%.60s'; %s", name, instead);
    for (int i = 0; i < N_COMMANDS; i++)
        suggest(&near, name, command_name(commands[i]->id), strlen(command_name(commands[i]->id)));
    for (const struct help_pair *p = help_others; p->name; p++)
        suggest(&near, name, p->name, strlen(p->name));
    if (strcmp(name, "attn") == 0)
        return err_set(e, ERR_USAGE,
                       "attn is not a command but an option, --attn; lookat help attn explains it");
    if (near.word[0])
        return err_set(e, ERR_USAGE, "unknown command '%.60s'; did you mean %s?", name, near.word);
    if (file_exists(name))
        return err_set(e, ERR_USAGE,
                       "'%.60s' is a file, not a command: -m reads a model, -f a text to continue, "
                       "and lookat info shows a model",
                       name);
    return err_set(e, ERR_USAGE,
                   "unknown command '%.60s'; lookat help lists the commands, and lookat -p '%.60s' "
                   "continues it as a text",
                   name, name);
}

/* A first word that can only be a text to continue: nothing, or with a space in it, or with letters
 * beyond ASCII, which some languages write without spaces. Not the name of a file. */
static bool is_text(const char *first) {
    bool text = !*first;
    for (const char *c = first; *c; c++)
        text = text || *c == ' ' || *c == '\n' || *c == '\t' || (unsigned char)*c >= 0x80;
    return text && !file_exists(first);
}

/* For what is no command of the table: nothing may stand behind its own word. */
static int nothing_left(const char *what, int argc, char **argv, struct err *e) {
    return argc ? err_set(e, ERR_USAGE, "%s: unexpected argument '%.60s'", what, argv[0]) : OK;
}

static int unknown_topic(const char *name, struct err *e) {
    static const char *const topics[] = {"attn", "--man", "--help"}; /* besides commands */
    struct suggestion near = {0};
    for (int i = 0; i < N_COMMANDS; i++)
        suggest(&near, name, command_name(commands[i]->id), strlen(command_name(commands[i]->id)));
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        suggest(&near, name, topics[i], strlen(topics[i]));
    if (name[0] != '-' && !near.word[0]) return unknown_command(name, e);
    return err_set(e, ERR_USAGE, "help: nothing is called '%.60s'%s", name,
                   suggestion_note(&near).s);
}

static int help(int argc, char **argv, struct err *e) {
    const struct command *c = argc ? find_command(argv[0]) : NULL;
    int rc = argc ? nothing_left("help", argc - 1, argv + 1, e) : OK;
    if (rc) return rc;
    if (argc && (strcmp(argv[0], "attn") == 0 || strcmp(argv[0], "--attn") == 0)) {
        help_attn(stdout);
        return OK;
    }
    if (argc && strcmp(argv[0], "--man") == 0) return man_page(stdout, commands, N_COMMANDS, e);
    static const char *const whole[] = {"completion", "version", "help", "--help", "-h"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (argc && strcmp(argv[0], whole[i]) == 0) argc = 0;
    if (argc && !c) return unknown_topic(argv[0], e);
    if (c)
        help_command(stdout, c);
    else
        help_program(stdout, commands, N_COMMANDS);
    return OK;
}

static int version(int argc, char **argv, struct err *e) {
    const char *form = "text";
    if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        fputs(
            "usage: lookat version [-o text|json]\n\nShows the version, the compiler, the kernels "
            "of this build and of this CPU, and\nthe threads.\n",
            stdout);
        return OK;
    }
    if (argc && (strcmp(argv[0], "-o") == 0 || strcmp(argv[0], "--output") == 0)) {
        form = argc > 1 ? argv[1] : "";
        if (strcmp(form, "text") != 0 && strcmp(form, "json") != 0)
            return err_set(e, ERR_USAGE, "version: %s: expected text|json, got '%.60s'", argv[0],
                           form);
        argc -= 2, argv += 2;
    }
    int rc = nothing_left("version", argc, argv, e);
    if (rc) return rc;
    if (strcmp(form, "json") == 0)
        version_put_json(stdout);
    else
        version_print(stdout);
    return OK;
}

/* ---- standard input that nobody named ---- */

enum { PATIENCE = 3 /* seconds for a pipe to begin */ };

static bool names_a_text(const struct args *a) {
    return a->interactive || a->prompt || a->prompts || a->ids || a->files.n || a->argc;
}

static bool names_input(const struct args *a) {
    bool dash = a->interactive || (!a->prompt && a->argc && strcmp(a->argv[0], "-") == 0) ||
                (a->prompts && strcmp(a->prompts, "-") == 0);
    for (size_t i = 0; i < a->files.n; i++) dash = dash || strcmp(a->files.item[i], "-") == 0;
    return dash;
}

/* A text that is piped in and not named is read as if it were, where there is no other. */
static void take_piped(struct args *a) {
    static char dash[] = "-", *words[] = {dash};
    if (a->command != CMD_GENERATE || names_a_text(a))
        return; /* tokenize has nothing to do without a text, and waits for one */
    enum piped piped = piped_text(PATIENCE);
    if (piped == PIPED_SILENT && !a->quiet)
        fprintf(stderr,
                "lookat: standard input is a pipe that nothing came from in %d seconds: it is not "
                "read (- waits for it)\n",
                (int)PATIENCE);
    if (piped != PIPED_TEXT) return;
    a->argc = 1;
    a->argv = words;
}

/* After the command: text that came and was not wanted is not passed over in silence, and text that
 * came too late not as if nothing had been. */
static int say_unread(const struct args *a, int rc, struct err *e) {
    bool text = names_a_text(a);
    bool concerns = a->command == CMD_GENERATE || (a->command == CMD_TOKENIZE && text);
    if (rc || !concerns || names_input(a) || !piped_left()) return rc;
    if (!text)
        return err_set(
            e, ERR_FAILED,
            "standard input was silent for %d seconds, and its text came too late; - waits for it",
            (int)PATIENCE);
    if (!a->quiet)
        fprintf(stderr, "lookat: standard input was not read: there is a text already\n");
    return rc;
}

/* The words of the command line, which the parser puts into another order. */
static char **kept_words;
static int n_kept;

static int keep_words(int argc, char **argv, struct err *e) {
    kept_words = malloc(((size_t)argc + 1) * sizeof *kept_words);
    if (!kept_words) return err_set(e, ERR_FAILED, "out of memory for the command line");
    memcpy(kept_words, argv, (size_t)argc * sizeof *kept_words);
    n_kept = argc;
    return OK;
}

/* `named`: the command was, and not left out. */
static int run_command(const struct command *c, bool named, const char *program, int argc,
                       char **argv, struct err *e) {
    struct args args;
    args_init(&args, c->id);
    args.program = program;
    args.words = kept_words;
    args.n_words = n_kept;
    int rc = options_parse(&args, argc, argv, e);
    if (!rc && args.version) {
        version_print(stdout);
        return OK;
    }
    if (!rc && args.help) {
        help_command(stdout, c);
        return OK;
    }
    if (!rc && args.argc > c->max_args)
        rc = err_set(e, ERR_USAGE,
                     "%s: unexpected argument '%.60s' (text with spaces goes into quotes)",
                     command_name(c->id), args.argv[c->max_args]);
    if (!rc && !named && args.argc && find_command(args.argv[0]))
        rc = err_set(e, ERR_USAGE,
                     "%s is a command: it comes first, as in lookat %s -q (as a text: -p %s)",
                     args.argv[0], args.argv[0], args.argv[0]);
    if (rc) {
        size_t n = strlen(e->msg);
        snprintf(e->msg + n, sizeof e->msg - n, " (lookat help %s explains)", command_name(c->id));
        return rc;
    }
    if (!args.quiet) options_say(stderr, &args);
    take_piped(&args);
    return say_unread(&args, c->run(&args, e), e);
}

static int dispatch(int argc, char **argv, struct err *e) {
    const char *program = argc ? argv[0] : NULL, *first = argc > 1 ? argv[1] : NULL;
    if (!first && isatty(STDIN_FILENO)) {
        help_program(stdout, commands, N_COMMANDS);
        return OK;
    }
    if (!first) return run_command(&generate_command, false, program, 0, argv, e);
    if (strcmp(first, "help") == 0) return help(argc - 2, argv + 2, e);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return help(0, NULL, e);
    if (strcmp(first, "version") == 0) return version(argc - 2, argv + 2, e);
    if (strcmp(first, "completion") == 0) {
        int rc = argc > 3 ? nothing_left(first, argc - 3, argv + 3, e) : OK;
        return rc ? rc
                  : completion_script(stdout, argc > 2 ? argv[2] : NULL, commands, N_COMMANDS, e);
    }
    const struct command *c = find_command(first);
    if (c) return run_command(c, true, program, argc - 2, argv + 2, e);
    if (first[0] == '-' || is_text(first))
        return run_command(&generate_command, false, program, argc - 1, argv + 1, e);
    return unknown_command(first, e);
}

int main(int argc, char **argv) {
    struct err e = {0};
    process_hold_descriptors();
    interrupt_install();
    int rc = keep_words(argc, argv, &e);
    if (!rc) rc = dispatch(argc, argv, &e);
    if (!rc) rc = inputs_unchanged(&e);
    if (rc && e.msg[0]) fprintf(stderr, "lookat: %s\n", e.msg);
    struct err flush = {0};
    if (file_flush(stdout, "standard output", &flush) && !rc) { /* a full disk may show only now */
        rc = flush.code;
        fprintf(stderr, "lookat: %s\n", flush.msg);
    }
    free(kept_words);
    return rc;
}
