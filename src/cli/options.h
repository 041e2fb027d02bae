/* The command line: one table of options makes the parser, the help texts and the manual page. */
#ifndef LOOKAT_CLI_OPTIONS_H
#define LOOKAT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum command_id {
    CMD_GENERATE,
    CMD_COMPARE,
    CMD_EVAL,
    CMD_CALIBRATE,
    CMD_CONVERT,
    CMD_INFO,
    CMD_TOKENIZE,
    CMD_EXPLAIN,
    CMD_BENCH,
    CMD_COUNT
};

/* "generate", "convert", ... */
const char *command_name(enum command_id id);

enum { STR_LIST_MAX = 64, OPTION_ROWS_MAX = 160, IGNORED_MAX = 16 };
struct str_list {
    const char *item[STR_LIST_MAX];
    size_t n;
};

/* What the command line says; one struct for all commands. Strings point into argv, NULL where an
 * option was not given. */
struct args {
    enum command_id command;
    const char *program; /* argv[0], or NULL */
    char **words;        /* [n_words] the command line as it was given, the program first */
    int n_words;

    const char *model, *tokenizer;
    const char *prompt, *ids;
    const char *prompts; /* generate: a file of prompts, one a line */
    bool interactive;
    struct str_list files;

    int64_t n_predict; /* -1: to the end of text or of the context; calibrate: tokens to run */
    int64_t n_ctx;     /* 0: the model's */
    const char *save_state, *load_state; /* generate: files with the state of a prompt */
    struct str_list stops;               /* generate: texts that end what is written */
    int64_t stride; /* eval: tokens between windows; 0: as many as a window has */
    int64_t num_samples;

    double temp, top_p, min_p, repeat_penalty;
    int64_t top_k;         /* 0: all */
    int64_t repeat_last_n; /* -1: the whole context */
    uint64_t seed;
    bool has_seed; /* a seed was given, and was not -1 */
    bool ignore_eos;
    int64_t draft;          /* the most tokens that a draft proposes; 0: none, -1: as many as pay */
    const char *draft_from; /* file with a text whose n-grams drafts use too */
    bool invariant;         /* a prompt's bits do not depend on how it is cut */

    struct str_list attn;          /* as given; see args_attn */
    const char *cache_k, *cache_v; /* the halves of one more spec; see cache_spec */
    char cache_spec[128]; /* of the two, "" where neither was given; options_parse puts it together
                           */
    const char *book;     /* file with codebooks; NULL: those inside or beside the model */
    const char *kernels;  /* NULL: the best this CPU has */
    int64_t threads;      /* 0: all this process may use */

    const char *format; /* "text", "md", "csv", "json", "jsonl"; bench: NULL without -o */
    const char *output; /* file to write */
    int64_t logprobs;   /* 0: none */
    bool counters, fidelity;
    const char *color; /* generate: "auto", "on", "off" */
    const char *log;
    bool echo, no_display_prompt, special, quiet, verbose;

    const char *mode; /* compare: "shadow", "forced", "free", "all"; NULL: what goes with the other
                         options */
    const char *layers, *lengths, *chunks;
    const char *html, *svg;        /* compare: files of the report to write */
    int64_t layer, head;           /* explain -p: -1: the worst */
    int64_t html_layer, html_head; /* the head whose pattern a page shows; -1: the worst */
    struct str_list check;
    bool heads, paper, explain_columns, merge;

    struct str_list models, prompt_lengths, gen_lengths, depths, batches,
        thread_counts; /* bench: lists between commas, as given */
    int64_t repetitions;
    bool roofline, attention;
    struct str_list draft_rights; /* bench --draft: shares of right proposals in per cent */

    const char *type, *random;
    const char *learn; /* calibrate: the parts of learned codebooks between commas; NULL: all */
    double bound;      /* calibrate --auto: KL in nats that the recommended cache stays below */
    bool search;       /* calibrate --auto */
    bool force, embed, add, sha256, check_weights, decode;

    bool help, version;

    bool given[OPTION_ROWS_MAX]; /* by row of option_table */
    const char *repeated; /* an option that was given twice, of which the last counts; NULL: none */
    const char
        *ignored[IGNORED_MAX]; /* llama.cpp's options without effect here, as they were written */
    size_t n_ignored;

    int argc; /* arguments that are no options, in order; "-" is one */
    char **argv;
};

enum option_kind {
    OPT_FLAG,   /* bool */
    OPT_STRING, /* const char * */
    OPT_CHOICE, /* const char *, one of the words in metavar, which '|' separates */
    OPT_LIST,   /* struct str_list: may be repeated */
    OPT_INT,    /* int64_t in min..max */
    OPT_DOUBLE, /* double in min..max */
    OPT_SEED    /* uint64_t, and sets has_seed; -1 unsets it */
};

struct option {
    const char *name;    /* long name without the dashes */
    char letter;         /* short form, 0 for none */
    const char *aliases; /* other long names, separated by spaces; NULL for none */
    const char *metavar; /* what the value is called in the help; NULL: takes no value */
    enum option_kind kind;
    size_t at; /* offset in struct args */
    double min, max;
    unsigned commands;   /* bit 1 << CMD_X for each command that has it */
    const char *section; /* title in the help */
    const char *help;    /* one sentence or phrase without a full stop */
    const char *bare; /* the value of the option alone, where none of its choices comes behind it;
                         NULL: it needs one */
    const char *by_default; /* the value without the option, as the user would type it. The help
                             * shows it, and args_init reads it. NULL: none, or help says which */
};

/* Rows of one name or letter have no command in common. The last row has name == NULL. */
extern const struct option option_table[];

/* Sets every field to its default: numbers, seeds and choices to the by_default of the command's
 * row, all others to 0, false, NULL or empty. A string or list that is not given stays so, so that
 * a command can ask; it then takes option_default(). */
void args_init(struct args *a, enum command_id command);

/* Parses argv[0..argc), program and command name left out, into *a, which args_init has set.
 * Options and other arguments may come in any order; "--" ends the options. Of an option that is
 * given twice the last counts, as in llama.cpp, and options_say says so; prompts and backends are
 * refused where one is expected and two are given. Reorders argv. Stops at --help and --version.
 * ERR_USAGE with what is wrong, and what may be meant. */
int options_parse(struct args *a, int argc, char **argv, struct err *e);

/* The by_default of the command's option of this name; NULL where there is none. */
const char *option_default(enum command_id command, const char *name);

/* Was the option with this long name (the first one of its row) given? */
bool args_given(const struct args *a, const char *name);

/* What is worth a line before the command runs: options without effect, and one of which only the
 * last counts. */
void options_say(FILE *fp, const struct args *a);

/* A line on standard error that `option` has no effect, and why; nothing with -q. */
void args_no_effect(const struct args *a, const char *option, const char *why);

/* *n is what the option --threads says; where it was not given, the environment variable
 * LOOKAT_THREADS; 0, for all processors, where neither says anything. bench's option is a list, and
 * *n what stands for it where it was not given. ERR_USAGE, which names the variable, where its
 * value is not in the option's range. */
int args_threads(const struct args *a, int64_t *n, struct err *e);

/* The spec of a command that runs one backend: --attn, else cache_spec, else "fp16". */
const char *args_attn(const struct args *a);

#endif
