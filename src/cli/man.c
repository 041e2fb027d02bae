/* The manual page, from the same tables as the help. It is written with the man macros of roff, in
 * which a line that begins with a point or an apostrophe is a request, and a backslash begins a
 * name of a character. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/command.h"

/* Writes one character of a text so that roff shows it as it is. A bare - or ' could become another
 * character, which nobody could copy into a shell. */
static void put_char(FILE *fp, char c) {
    switch (c) {
    case '\\': fputs("\\(rs", fp); return;
    case '-': fputs("\\-", fp); return;
    case '\'': fputs("\\(aq", fp); return;
    case '`': fputs("\\(ga", fp); return;
    case '^': fputs("\\(ha", fp); return;
    case '~': fputs("\\(ti", fp); return;
    default: fputc(c, fp);
    }
}

/* Writes text[n], of valid UTF-8; a character beyond ASCII by its number, which every roff knows.
 * The mark \& in front of a line keeps a point there from being a request. */
static void put(FILE *fp, const char *text, size_t n) {
    bool line = true, ok;
    for (size_t i = 0; i < n;) {
        const uint8_t *at = (const uint8_t *)text + i;
        size_t len = utf8_step(at, n - i, &ok);
        if (line) fputs("\\&", fp);
        if (len == 1)
            put_char(fp, text[i]);
        else
            fprintf(fp, "\\[u%04lX]", (unsigned long)utf8_code_point(at, len));
        line = text[i] == '\n';
        i += len;
    }
}

static void put_line(FILE *fp, const char *text) {
    put(fp, text, strlen(text));
    fputc('\n', fp);
}

/* A term in bold and, below it, what it means. */
static void put_item(FILE *fp, const char *term, size_t n, const char *meaning) {
    fputs(".TP\n\\fB", fp);
    put(fp, term, n);
    fputs("\\fR\n", fp);
    put_line(fp, meaning);
}

static void put_option(FILE *fp, const struct option *o) {
    fputs(".TP\n", fp);
    if (o->letter) fprintf(fp, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", fp);
    put(fp, o->name, strlen(o->name));
    fputs("\\fR", fp);
    if (o->metavar) {
        fputs(" \\fI", fp);
        put(fp, o->metavar, strlen(o->metavar));
        fputs("\\fR", fp);
    }
    fputc('\n', fp);
    put(fp, o->help, strlen(o->help));
    if (o->by_default) {
        fputs(" (default: ", fp);
        put(fp, o->by_default, strlen(o->by_default));
        fputc(')', fp);
    }
    fputc('\n', fp);
}

/* Each line of `examples` is "command\tcomment". */
static void put_examples(FILE *fp, const char *examples) {
    fputs(".PP\nExamples:\n", fp);
    for (const char *line = examples; *line;) {
        size_t len = strcspn(line, "\t"), rest = strcspn(line + len + 1, "\n");
        fputs(".TP\n\\fB", fp);
        put(fp, line, len);
        fputs("\\fR\n", fp);
        put(fp, line + len + 1, rest);
        fputc('\n', fp);
        line += len + 1 + rest + 1;
    }
}

/* What `print` writes for a terminal, line by line. */
static int put_printed(FILE *fp, void (*print)(FILE *fp), struct err *e) {
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (memory) print(memory);
    bool failed = !memory || ferror(memory);
    failed = (memory && fclose(memory) != 0) || failed;
    if (!failed) {
        fputs(".PP\n.nf\n", fp);
        put(fp, text, n);
        fputs(".fi\n", fp);
    }
    free(text);
    return failed ? err_set(e, ERR_FAILED, "out of memory for the manual page") : OK;
}

static int put_command(FILE *fp, const struct command *c, struct err *e) {
    fprintf(fp, ".SH LOOKAT %s\n", command_name(c->id));
    for (const char *line = c->usage;;) {
        size_t len = strcspn(line, "\n");
        fprintf(fp, "\\fBlookat %s\\fR ", command_name(c->id));
        put(fp, line, len);
        fputc('\n', fp);
        if (!line[len]) break;
        fputs(".br\n", fp);
        line += len + 1;
    }
    fputs(".PP\n", fp);
    put_line(fp, c->about);
    const struct option *previous = NULL;
    for (const struct option *o = NULL; (o = help_next(c->id, o)); previous = o) {
        if (!previous || strcmp(previous->section, o->section) != 0)
            fprintf(fp, ".SS %s\n", o->section);
        put_option(fp, o);
    }
    put_examples(fp, c->examples);
    return c->appendix ? put_printed(fp, c->appendix, e) : OK;
}

int man_page(FILE *fp, const struct command *const *table, int n, struct err *e) {
    fprintf(fp,
            ".TH LOOKAT 1 \"\" \"lookat %s\" \"User Commands\"\n"
            ".SH NAME\nlookat \\- run GPT\\-2 models with attention that can be swapped\n"
            ".SH SYNOPSIS\n\\fBlookat\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... "
            "[\\fIARGUMENT\\fR]...\n.br\n\\fBlookat\\fR [\\fIOPTION\\fR]... [\\fITEXT\\fR]\n"
            ".SH DESCRIPTION\n",
            LOOKAT_VERSION);
    put_line(fp, help_about);
    fputs(".SH COMMANDS\n", fp);
    for (int i = 0; i < n; i++)
        put_item(fp, command_name(table[i]->id), strlen(command_name(table[i]->id)),
                 table[i]->summary);
    for (const struct help_pair *p = help_others; p->name; p++)
        put_item(fp, p->name, strlen(p->name), p->text);
    int rc = OK;
    for (int i = 0; i < n && !rc; i++) rc = put_command(fp, table[i], e);
    if (rc) return rc;
    fputs(".SH ATTENTION BACKENDS\n", fp);
    rc = put_printed(fp, help_attn, e);
    fputs(".SH ENVIRONMENT\n", fp);
    for (const struct help_pair *p = help_environment; p->name; p++)
        put_item(fp, p->name, strlen(p->name), p->text);
    fputs(".SH EXIT STATUS\n", fp);
    put_line(fp, help_exit_statuses);
    return rc;
}
