/* Writes the help texts from the table of options and from what each command says of itself. */
#include <string.h>

#include "cli/command.h"

enum { WIDTH = 80, INDENT = 26 };

void help_wrap(FILE *fp, const char *text, int column, int indent) {
    bool first = true;
    for (const char *word = text; *word;) {
        int len = (int)strcspn(word, " ");
        if (!first && column + 1 + len >= WIDTH) {
            fprintf(fp, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += fprintf(fp, "%s%.*s", first ? "" : " ", len, word);
        first = false;
        word += len;
        word += strspn(word, " ");
    }
    fputc('\n', fp);
}

static void print_option(FILE *fp, const struct option *o) {
    char left[128], right[512];
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                      : snprintf(left, sizeof left, "      --%s", o->name);
    if (o->metavar) snprintf(left + n, sizeof left - (size_t)n, " %s", o->metavar);
    snprintf(right, sizeof right, "%s%s%s%s", o->help, o->by_default ? " (default: " : "",
             o->by_default ? o->by_default : "", o->by_default ? ")" : "");
    int at = fprintf(fp, "%s", left);
    if (at > INDENT - 2) {
        fputc('\n', fp);
        at = 0;
    }
    fprintf(fp, "%*s", INDENT - at, "");
    help_wrap(fp, right, INDENT, INDENT);
}

static bool together(enum command_id id, const struct option *a, const struct option *b) {
    return a->commands >> id & b->commands >> id & 1 && strcmp(a->section, b->section) == 0;
}

/* Is it the first row of its section that the command has? */
static bool begins_section(enum command_id id, const struct option *title) {
    if (!(title->commands >> id & 1)) return false;
    for (const struct option *o = option_table; o < title; o++)
        if (together(id, o, title)) return false;
    return true;
}

const struct option *help_next(enum command_id id, const struct option *previous) {
    const struct option *o = option_table;
    if (previous) {
        for (o = previous + 1; o->name; o++)
            if (together(id, o, previous)) return o;
        o = option_table;
        while (!together(id, o, previous)) o++;
        o++;
    }
    while (o->name && !begins_section(id, o)) o++;
    return o->name ? o : NULL;
}

static void print_options(FILE *fp, enum command_id id) {
    const struct option *previous = NULL;
    for (const struct option *o = NULL; (o = help_next(id, o)); previous = o) {
        if (!previous || !together(id, o, previous)) fprintf(fp, "\n%s:\n", o->section);
        print_option(fp, o);
    }
}

static void print_usage(FILE *fp, const struct command *c) {
    const char *before = "usage: ";
    const char *line = c->usage;
    do {
        int len = (int)strcspn(line, "\n");
        fprintf(fp, "%slookat %s%s%.*s\n", before, command_name(c->id), len ? " " : "", len, line);
        before = "       ";
        line += len;
        line += *line == '\n';
    } while (*line);
}

static void print_examples(FILE *fp, const char *examples) {
    for (const char *line = examples; *line;) {
        int len = (int)strcspn(line, "\t"), rest = (int)strcspn(line + len + 1, "\n");
        fprintf(fp, "  %.*s\n      %.*s\n", len, line, rest, line + len + 1);
        line += len + 1 + rest + 1;
    }
}

const char help_exit_statuses[] =
    "0 done; 1 failed (memory, disk, permission); 2 wrong command line; 3 a file was "
    "refused; 4 a check was not met; "
    "130 interrupted.";

const char help_about[] = "lookat runs GPT-2 models on the CPU: it writes text, and lets the way "
                          "attention stores its keys "
                          "and values be swapped.";

const struct help_pair help_others[] = {
    {"help", "explain a command, or attn: how keys and values are stored; --man: the manual page"},
    {"completion", "write what bash, zsh or fish need to complete options"},
    {"version", "the version, the compiler, the kernels and the threads; -o json: for programs"},
    {NULL, NULL}};

const struct help_pair help_environment[] = {
    {"LOOKAT_MODEL", "the model where -m names none"},
    {"LOOKAT_THREADS", "the number of threads where -t gives none; 0: all"},
    {NULL, NULL}};

static void print_exit_statuses(FILE *fp) {
    help_wrap(fp, help_exit_statuses, fprintf(fp, "Exit status: "), 0);
}

/* Names stand in a column of `width`, texts beside it. */
static void print_pairs(FILE *fp, const struct help_pair *p, int width) {
    for (; p->name; p++) help_wrap(fp, p->text, fprintf(fp, "  %-*s  ", width, p->name), width + 4);
}

void help_command(FILE *fp, const struct command *c) {
    print_usage(fp, c);
    fputc('\n', fp);
    help_wrap(fp, c->about, 0, 0);
    print_options(fp, c->id);
    fprintf(fp, "\nExamples:\n");
    print_examples(fp, c->examples);
    fputc('\n', fp);
    if (c->appendix) c->appendix(fp), fputc('\n', fp);
    print_exit_statuses(fp);
}

void help_program(FILE *fp, const struct command *const *table, int n) {
    fprintf(fp, "usage: lookat COMMAND [OPTION]... [ARGUMENT]...\n"
                "       lookat [OPTION]... [TEXT]           the same as lookat generate\n\n");
    help_wrap(fp, help_about, 0, 0);
    fprintf(fp, "\nCommands:\n");
    for (int i = 0; i < n; i++)
        fprintf(fp, "  %-10s  %s\n", command_name(table[i]->id), table[i]->summary);
    print_pairs(fp, help_others, 10);
    fprintf(fp, "\nExamples:\n");
    print_examples(fp,
                   "lookat -p \"Once upon a time\" -n 100\tcontinue a text\n"
                   "head -n 20 story.txt | lookat -n 100\tthe same, with a prompt through a pipe\n"
                   "lookat help generate\twhat generate can do\n"
                   "lookat help attn\thow keys and values can be stored\n");
    fprintf(fp, "\nEnvironment:\n");
    print_pairs(fp, help_environment, 14);
    fputc('\n', fp);
    print_exit_statuses(fp);
}
