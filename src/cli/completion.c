/* Completion scripts for bash, zsh and fish, from the table of options. A shell loads one with
 *
 *     source <(lookat completion bash)       bash, zsh
 *     lookat completion fish | source        fish
 *
 * and `make install` puts each where the shell finds it by itself. */
#include <string.h>

#include "attention/spec.h"
#include "base/suggest.h"
#include "cli/command.h"
#include "kernels/kernels.h"

struct script {
    FILE *fp;
    const struct command *const *table; /* [n] */
    int n;
};

/* ---- what can follow an option ---- */

enum value { VALUE_NONE, VALUE_WORDS, VALUE_FILE, VALUE_FOLDER, VALUE_OTHER };

enum { DIM = 64 /* of a head for which names of codecs are tried */ };

static bool is_spec(const struct option *o) {
    return o->at == offsetof(struct args, attn) || o->at == offsetof(struct args, cache_k) ||
           o->at == offsetof(struct args, cache_v);
}

static bool is_word(const struct option *o, const char *word) {
    return o->metavar && strcmp(o->metavar, word) == 0;
}

static enum value value_of(const struct option *o) {
    if (!o->metavar) return VALUE_NONE;
    if (o->kind == OPT_CHOICE || is_spec(o) || o->at == offsetof(struct args, kernels))
        return VALUE_WORDS;
    if (is_word(o, "FOLDER")) return VALUE_FOLDER;
    return is_word(o, "FILE") || is_word(o, "MODEL") ? VALUE_FILE : VALUE_OTHER;
}

/* Names of codecs that serve here; those with options in them have a colon, which shells cut at. */
static void put_specs(FILE *fp, bool values) {
    struct codec c;
    struct err unread;
    for (size_t i = 0; kv_codec_at(i); i++)
        if (values ? kv_codec_at(i)->values : kv_codec_at(i)->keys)
            fprintf(fp, "%s ", kv_codec_at(i)->name);
    for (size_t i = 0; kv_codec_listed(i); i++) {
        const char *name = kv_codec_listed(i);
        bool own = false;
        for (size_t k = 0; kv_codec_at(k); k++)
            own = own || strcmp(kv_codec_at(k)->name, name) == 0;
        if (!own && !strchr(name, ':') && codec_parse(&c, name, DIM, values, &unread) == OK)
            fprintf(fp, "%s ", name);
    }
}

/* The words of an option of VALUE_WORDS, each with a space behind it. */
static void put_words(FILE *fp, const struct option *o) {
    if (is_spec(o)) {
        put_specs(fp, o->at == offsetof(struct args, cache_v));
    } else if (o->kind == OPT_CHOICE) {
        for (const char *c = o->metavar; *c; c++) fputc(*c == '|' ? ' ' : *c, fp);
        fputc(' ', fp);
    } else {
        fprintf(fp, "auto %s", o->commands >> CMD_BENCH & 1 ? "all " : "");
        for (size_t i = 0; kernels_at(i); i++) fprintf(fp, "%s ", kernels_at(i)->name);
    }
}

/* ---- text ---- */

/* Writes a help text up to its first semicolon, which ends what a short line needs, with a
 * backslash before each character of `marks`. An apostrophe is written as `apostrophe`. */
static void put_short(FILE *fp, const char *text, const char *marks, const char *apostrophe) {
    for (size_t n = strcspn(text, ";"); n; n--, text++) {
        if (*text == '\'') {
            fputs(apostrophe, fp);
            continue;
        }
        if (strchr(marks, *text)) fputc('\\', fp);
        fputc(*text, fp);
    }
}

/* All commands with `between` between them. */
static void put_commands(const struct script *s, const char *between) {
    for (int i = 0; i < s->n; i++) fprintf(s->fp, "%s%s", command_name(s->table[i]->id), between);
    for (const struct help_pair *p = help_others; p->name; p++)
        fprintf(s->fp, "%s%s", p->name, p[1].name ? between : "");
}

/* ---- bash ---- */

static void bash_name(FILE *fp, const struct option *o) {
    if (o->letter) fprintf(fp, "-%c | ", o->letter);
    fprintf(fp, "--%s) ", o->name);
}

static void bash_command(const struct script *s, const struct command *c) {
    fprintf(s->fp, "    %s)\n        options='", command_name(c->id));
    for (const struct option *o = NULL; (o = help_next(c->id, o));) {
        if (o->letter) fprintf(s->fp, "-%c ", o->letter);
        fprintf(s->fp, "--%s ", o->name);
    }
    fputs("'\n        case $previous in\n", s->fp);
    for (const struct option *o = NULL; (o = help_next(c->id, o));) {
        enum value v = value_of(o);
        if (v == VALUE_NONE) continue;
        fputs("        ", s->fp);
        bash_name(s->fp, o);
        if (v == VALUE_WORDS) {
            fputs("words='", s->fp);
            put_words(s->fp, o);
            fputs("' ;;\n", s->fp);
        } else {
            fputs(v == VALUE_FOLDER ? "compopt -o dirnames 2> /dev/null; return ;;\n"
                                    : "return ;;\n",
                  s->fp);
        }
    }
    fputs("        esac ;;\n", s->fp);
}

static void bash_script(const struct script *s) {
    fputs("# bash completion for lookat, written by lookat completion bash\n"
          "_lookat() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command=generate options= words=\n"
          "    COMPREPLY=()\n"
          "    # bash makes a word of its own of the = in --option=value\n"
          "    if [[ $current == = ]]; then current=\n"
          "    elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then\n"
          "        COMPREPLY=($(compgen -W '",
          s->fp);
    put_commands(s, " ");
    fputs("' -- \"$current\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n    ", s->fp);
    put_commands(s, " | ");
    fputs(") command=${COMP_WORDS[1]} ;;\n    esac\n    case $command in\n    help) words='attn ",
          s->fp);
    put_commands(s, " ");
    fputs("' options=--man ;;\n    completion) words='bash zsh fish' ;;\n", s->fp);
    for (int i = 0; i < s->n; i++) bash_command(s, s->table[i]);
    fputs("    esac\n"
          "    if [[ $current == -* ]]; then words=$options; fi\n"
          "    if [[ -n $words ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$current\")); fi\n"
          "}\n"
          "complete -o default -F _lookat lookat\n",
          s->fp);
}

/* ---- zsh ---- */

/* '(-m --model)'{-m+,--model=}'[help]:MODEL:_files' */
static void zsh_option(FILE *fp, const struct option *o) {
    static const char *const actions[] = {"", "(", "_files", "_files -/", " "};
    enum value v = value_of(o);
    bool list = o->kind == OPT_LIST;
    fputs(" \\\n        ", fp);
    if (o->letter && list)
        fputs("'*'", fp);
    else if (o->letter)
        fprintf(fp, "'(-%c --%s)'", o->letter, o->name);
    if (o->letter)
        fprintf(fp, "{-%c%s,--%s%s}'[", o->letter, v ? "+" : "", o->name, v ? "=" : "");
    else
        fprintf(fp, "'%s--%s%s[", list ? "*" : "", o->name, v ? "=" : "");
    put_short(fp, o->help, "[]\\", "'\\''");
    fputc(']', fp);
    if (v) fprintf(fp, ":%s:%s", o->metavar, actions[v]);
    if (v == VALUE_WORDS) put_words(fp, o), fputc(')', fp);
    fputc('\'', fp);
}

static void zsh_script(const struct script *s) {
    fputs("#compdef lookat\n# zsh completion for lookat, written by lookat completion zsh\n"
          "_lookat() {\n    local command=generate\n    local -a commands=(\n",
          s->fp);
    for (int i = 0; i < s->n; i++) {
        fprintf(s->fp, "        '%s:", command_name(s->table[i]->id));
        put_short(s->fp, s->table[i]->summary, "\\", "'\\''");
        fputs("'\n", s->fp);
    }
    for (const struct help_pair *p = help_others; p->name; p++) {
        fprintf(s->fp, "        '%s:", p->name);
        put_short(s->fp, p->text, "\\", "'\\''");
        fputs("'\n", s->fp);
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
          "        _describe command commands\n        return\n    fi\n"
          "    if (( ${commands[(I)$words[2]:*]} )); then\n"
          "        command=$words[2]\n        shift words\n        (( CURRENT-- ))\n    fi\n"
          "    case $command in\n    help) compadd -- attn --man ",
          s->fp);
    put_commands(s, " ");
    fputs(" ;;\n    completion) compadd bash zsh fish ;;\n", s->fp);
    for (int i = 0; i < s->n; i++) {
        const struct command *c = s->table[i];
        fprintf(s->fp, "    %s) _arguments -s -S", command_name(c->id));
        for (const struct option *o = NULL; (o = help_next(c->id, o));) zsh_option(s->fp, o);
        fputs(c->max_args ? " \\\n        '*:argument:_files' ;;\n" : " ;;\n", s->fp);
    }
    fputs(
        "    esac\n}\n"
        "if [[ $funcstack[1] == _lookat ]]; then _lookat \"$@\"; else compdef _lookat lookat; fi\n",
        s->fp);
}

/* ---- fish ---- */

static void fish_option(FILE *fp, enum command_id id, const struct option *o) {
    enum value v = value_of(o);
    fprintf(fp, "complete -c lookat -n '__lookat_runs %s'", command_name(id));
    if (o->letter) fprintf(fp, " -s %c", o->letter);
    fprintf(fp, " -l %s", o->name);
    if (v == VALUE_FILE) fputs(" -r -F", fp);
    if (v == VALUE_FOLDER) fputs(" -x -a '(__fish_complete_directories)'", fp);
    if (v == VALUE_OTHER) fputs(" -x", fp);
    if (v == VALUE_WORDS) fputs(" -x -a '", fp), put_words(fp, o), fputc('\'', fp);
    fputs(" -d '", fp);
    put_short(fp, o->help, "\\", "\\'");
    fputs("'\n", fp);
}

static void fish_first(FILE *fp, const char *name, const char *text) {
    fprintf(fp, "complete -c lookat -n __lookat_first -a %s -d '", name);
    put_short(fp, text, "\\", "\\'");
    fputs("'\n", fp);
}

static void fish_script(const struct script *s) {
    fputs("# fish completion for lookat, written by lookat completion fish\n"
          "function __lookat_first\n    test (count (commandline -opc)) -eq 1\nend\n"
          "function __lookat_runs\n    set -l words (commandline -opc)\n"
          "    set -l command generate\n    if set -q words[2]; and contains -- $words[2] ",
          s->fp);
    put_commands(s, " ");
    fputs("\n        set command $words[2]\n    end\n    contains -- $command $argv\nend\n", s->fp);
    for (int i = 0; i < s->n; i++)
        fish_first(s->fp, command_name(s->table[i]->id), s->table[i]->summary);
    for (const struct help_pair *p = help_others; p->name; p++) fish_first(s->fp, p->name, p->text);
    fputs("complete -c lookat -n '__lookat_runs completion' -f -a 'bash zsh fish'\n"
          "complete -c lookat -n '__lookat_runs help' -l man\n"
          "complete -c lookat -n '__lookat_runs help' -f -a 'attn ",
          s->fp);
    put_commands(s, " ");
    fputs("'\n", s->fp);
    for (int i = 0; i < s->n; i++)
        for (const struct option *o = NULL; (o = help_next(s->table[i]->id, o));)
            fish_option(s->fp, s->table[i]->id, o);
}

static int unknown_shell(const char *shell, struct err *e) {
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct suggestion near = {0};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        suggest(&near, shell, shells[i], strlen(shells[i]));
    return err_set(e, ERR_USAGE, "completion: expected bash, zsh or fish, got '%.60s'%s", shell,
                   suggestion_note(&near).s);
}

int completion_script(FILE *fp, const char *shell, const struct command *const *table, int n,
                      struct err *e) {
    const struct script s = {fp, table, n};
    if (!shell) return err_set(e, ERR_USAGE, "completion: expected a shell: bash, zsh or fish");
    if (strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0)
        fputs("usage: lookat completion bash|zsh|fish\n\nWrites a script with which that shell "
              "completes commands and options, for\nexample: source <(lookat completion bash)\n",
              fp);
    else if (strcmp(shell, "bash") == 0)
        bash_script(&s);
    else if (strcmp(shell, "zsh") == 0)
        zsh_script(&s);
    else if (strcmp(shell, "fish") == 0)
        fish_script(&s);
    else
        return unknown_shell(shell, e);
    return OK;
}
