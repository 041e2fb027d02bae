/* The option table and its parser: every kind of value, GNU's ways of writing options, and what is
 * said about mistakes. */
#include "attention/spec.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/llama.h"
#include "cli/options.h"
#include "base/suggest.h"
#include "test.h"

static struct args args;
static struct err err;

/* Parses the words of `line`, separated by single spaces; a word may be empty. */
static int parse(enum command_id id, const char *line) {
    static char buf[2048];
    static char *words[256];
    int n = 0;
    snprintf(buf, sizeof buf, "%s", line);
    for (char *p = buf; p && *line; n++) {
        words[n] = p;
        p = strchr(p, ' ');
        if (p) *p++ = 0;
    }
    err = (struct err){0};
    args_init(&args, id);
    return options_parse(&args, n, words, &err);
}

static bool is(const char *a, const char *b) { return a && strcmp(a, b) == 0; }

#define GOOD(id, line) CHECK(parse(id, line) == OK, "%s: %s", line, err.msg)

/* A usage error whose message contains each of the two strings. */
#define BAD(id, line, has, also)                                                           \
    CHECK(parse(id, line) == ERR_USAGE && err.code == ERR_USAGE && strstr(err.msg, has) && \
              strstr(err.msg, also),                                                       \
          "%s: '%s'", line, err.msg)

static void defaults(void) {
    GOOD(CMD_GENERATE, "");
    CHECK(args.n_predict == -1 && args.n_ctx == 0 && args.threads == 0 && !args.has_seed &&
              args.num_samples == 1,
          "lengths");
    CHECK(args.temp == 0.8 && args.top_k == 40 && args.top_p == 0.95 && args.min_p == 0.05 &&
              args.repeat_penalty == 1 && args.repeat_last_n == 64,
          "sampling");
    CHECK(is(args_attn(&args), "fp16") && is(args.format, "text"), "choices");
    CHECK(!args.model && !args.prompt && !args.tokenizer && !args.ids && !args.files.n &&
              !args.argc && !args.help,
          "nothing given");
    CHECK(!args.quiet && !args.verbose && !args.echo && !args.force && !args.special &&
              !args.logprobs,
          "flags");
}

/* The defaults that the help shows are the ones that args_init sets: giving them changes
 * nothing. */
static void shown_defaults(void) {
    for (const struct option *o = option_table; o->name; o++) {
        if (!o->by_default || o->kind == OPT_STRING || o->kind == OPT_LIST) continue;
        for (int c = 0; c < CMD_COUNT; c++) {
            if (!(o->commands >> c & 1)) continue;
            struct args plain;
            char line[64];
            args_init(&plain, (enum command_id)c);
            snprintf(line, sizeof line, "--%s=%s", o->name, o->by_default);
            GOOD((enum command_id)c, line);
            const char *a = (const char *)&plain + o->at, *b = (const char *)&args + o->at;
            if (o->kind == OPT_CHOICE)
                CHECK(is(*(const char *const *)a, *(const char *const *)b), "%s", line);
            else
                CHECK(memcmp(a, b, 8) == 0, "%s differs from args_init", line);
        }
    }
}

static void ways_of_writing(void) {
    static const char *const five[] = {
        "-n 5",          "-n5",  "--predict 5", "--predict=5", "--n-predict 5", "--n-predict=5",
        "--n_predict=5", "-qn5", "-vqn 5",      "-n 7 -n 5",   "-n +5",         "-n 05"};
    for (size_t i = 0; i < sizeof five / sizeof *five; i++) {
        GOOD(CMD_GENERATE, five[i]);
        CHECK(args.n_predict == 5 && args.argc == 0, "%s: %lld", five[i],
              (long long)args.n_predict);
    }
    GOOD(CMD_GENERATE, "-vqn 5 -m a=b --prompt=x=y --model c");
    CHECK(args.verbose && args.quiet && is(args.model, "c") && is(args.prompt, "x=y"),
          "bundle, last one wins, = in a value");
    GOOD(CMD_GENERATE, "--prompt= -m -x");
    CHECK(is(args.prompt, "") && is(args.model, "-x"),
          "an empty value, and one that starts with a dash");
    GOOD(CMD_GENERATE, "-p -- -n -1");
    CHECK(is(args.prompt, "--") && args.n_predict == -1,
          "the word after an option is its value, whatever it is");
}

static void arguments(void) {
    GOOD(CMD_TOKENIZE, "a - -v b -- -z --decode -- c");
    CHECK(args.argc == 7 && args.verbose && !args.decode && !args.tokenizer, "%d arguments",
          args.argc);
    static const char *const want[] = {"a", "-", "b", "-z", "--decode", "--", "c"};
    for (int i = 0; i < 7 && i < args.argc; i++)
        CHECK(is(args.argv[i], want[i]), "argument %d: %s", i, args.argv[i]);
    GOOD(CMD_TOKENIZE, "-f - -f x --file=y");
    CHECK(args.files.n == 3 && is(args.files.item[0], "-") && is(args.files.item[2], "y") &&
              args.argc == 0,
          "a list");
    GOOD(CMD_COMPARE, "-a fp32 --attn=lookat4");
    CHECK(args.attn.n == 2 && is(args.attn.item[1], "lookat4"), "compare takes several");
    char many[1024] = "";
    for (int i = 0; i <= STR_LIST_MAX; i++) strcat(many, i ? " -f x" : "-f x");
    BAD(CMD_GENERATE, many, "-f", "64 times");
}

static void llama_names(void) {
    GOOD(CMD_GENERATE,
         "--ctx-size 256 --threads 3 --seed 7 --file p --temp 0.5 --top-k 3 --top-p 0.5 --min-p 0 "
         "--repeat-penalty 1.5 "
         "--repeat-last-n -1 --ignore-eos --special --no-display-prompt --n-predict 2");
    CHECK(args.n_ctx == 256 && args.threads == 3 && args.has_seed && args.seed == 7 &&
              args.files.n == 1 && args.temp == 0.5,
          "first half");
    CHECK(args.top_k == 3 && args.top_p == 0.5 && args.min_p == 0 && args.repeat_penalty == 1.5 &&
              args.repeat_last_n == -1,
          "numbers");
    CHECK(args.ignore_eos && args.special && args.no_display_prompt && args.n_predict == 2,
          "flags");
    GOOD(CMD_GENERATE, "--temperature 2 --ctx_size 8 --no_display_prompt");
    CHECK(args.temp == 2 && args.n_ctx == 8 && args.no_display_prompt, "an underscore is a dash");
}

/* -ctk and -ctv are words of three letters behind one dash, whatever else -c means; together they
 * are one spec. */
static void cache_types(void) {
    GOOD(CMD_GENERATE, "-ctk q8_0 -c 64");
    CHECK(is(args_attn(&args), "q8_0/fp16") && args.n_ctx == 64, "%s, context %lld",
          args_attn(&args), (long long)args.n_ctx);
    GOOD(CMD_GENERATE, "-ctv int8 --cache-type-k lookat4");
    CHECK(is(args_attn(&args), "lookat4/int8"), "%s", args_attn(&args));
    GOOD(CMD_GENERATE, "-c32");
    CHECK(args.n_ctx == 32 && is(args_attn(&args), "fp16"), "-c with its value glued on");
    BAD(CMD_GENERATE, "-a fp32 -ctk f16", "--attn", "two ways");
    BAD(CMD_GENERATE, "-ctk", "-ctk: needs a value", "KEYS");
    BAD(CMD_TOKENIZE, "-ctk x", "-ctk is not an option of tokenize", "only of generate");
    BAD(CMD_BENCH, "-ctk x", "-ctk is not an option of bench", "only of generate");
    GOOD(CMD_COMPARE, "-a fp16 -ctk int8 -ctv int4");
    CHECK(args.attn.n == 1 && is(args.cache_spec, "int8/int4"),
          "compare takes it as one more backend: '%s'", args.cache_spec);
    char line[300] = "-ctk ";
    memset(line + 5, 'x', 200);
    BAD(CMD_GENERATE, line, "--cache-type-k", "too long");
}

/* The last one counts, and that is said; a prompt or a backend is refused where it would be
 * dropped. */
static void given_twice(void) {
    GOOD(CMD_GENERATE, "-n 7 --top-k 3");
    CHECK(!args.repeated && args_given(&args, "predict") && args_given(&args, "top-k") &&
              !args_given(&args, "top-p"),
          "once");
    GOOD(CMD_GENERATE, "-n 7 --predict 5");
    CHECK(args.n_predict == 5 && is(args.repeated, "predict"), "%s",
          args.repeated ? args.repeated : "nothing");
    GOOD(CMD_GENERATE, "-s 4 --seed 3");
    CHECK(args.seed == 3 && is(args.repeated, "seed"), "a seed");
    GOOD(CMD_GENERATE, "-o json -o text");
    CHECK(is(args.format, "text") && is(args.repeated, "output"), "a word");
    GOOD(CMD_GENERATE, "--temp 1 --temperature 2 -q -q");
    CHECK(args.temp == 2 && is(args.repeated, "temp"), "another name, and a flag");
    BAD(CMD_GENERATE, "-p a -p b", "-p: expected once", "'a' and 'b'");
    BAD(CMD_TOKENIZE, "-p a --prompt b", "--prompt: expected once", "'a' and 'b'");
    BAD(CMD_GENERATE, "--ids 1 --ids 2", "--ids: expected once", "'1' and '2'");
    GOOD(CMD_GENERATE, "-m a --model b");
    CHECK(is(args.model, "b") && is(args.repeated, "model"), "a file");
    GOOD(CMD_CONVERT, "-o a -o b");
    CHECK(is(args.output, "b") && is(args.repeated, "output"), "a file to write");
    GOOD(CMD_GENERATE, "-m a -m a -p b -p b");
    CHECK(is(args.model, "a") && is(args.prompt, "b") && !args.repeated, "the same");
    BAD(CMD_GENERATE, "-a fp16 -a int8", "generate runs one backend", "'fp16' and 'int8'");
    BAD(CMD_EVAL, "-a fp16 -a int8", "eval runs one backend", "compare");
    BAD(CMD_EVAL, "-a fp16,int8", "eval runs one backend", "compare");
    GOOD(CMD_EVAL, "-a int4:rotate,center/int8:group=64,skip=0.1");
    CHECK(args.attn.n == 1, "commas of options");
}

static const char *said(void) {
    static char text[600];
    FILE *fp = tmpfile();
    memset(text, 0, sizeof text);
    if (!fp) return "no file";
    options_say(fp, &args);
    rewind(fp);
    text[fread(text, 1, sizeof text - 1, fp)] = 0;
    fclose(fp);
    return text;
}

/* llama.cpp's options that have no effect here are read with their values, and the command goes on.
 */
static void llama_without_effect(void) {
    static const char *const lines[] = {"-ngl 99",
                                        "--n-gpu-layers 0",
                                        "--gpu-layers=5",
                                        "--mlock",
                                        "--no-mmap",
                                        "-fa",
                                        "-fa on",
                                        "--flash-attn off",
                                        "--no-warmup",
                                        "-nkvo",
                                        "-b 512",
                                        "-ub 8",
                                        "--batch-size 8",
                                        "-tb 2",
                                        "--numa distribute",
                                        "--keep 4",
                                        "-no-cnv",
                                        "-st",
                                        "--simple-io",
                                        "--no-context-shift",
                                        "-dev none",
                                        "-sm row",
                                        "-ts 3,1",
                                        "-mg 0",
                                        "--no-perf",
                                        "--swa_full",
                                        "--prio 2",
                                        "--offline",
                                        "--no-escape",
                                        "--jinja",
                                        "--mirostat 0",
                                        "--presence-penalty 0.0",
                                        "--typical 1",
                                        "-np 1",
                                        "--rope-scale 1.0",
                                        "-C ff",
                                        "--poll 50",
                                        "-fitt 512"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[80], name[40];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lines[i], " ="), lines[i]);
        snprintf(line, sizeof line, "-p Once %s -n 3 text", lines[i]);
        GOOD(CMD_GENERATE, line);
        CHECK(args.n_predict == 3 && args.argc == 1 && is(args.argv[0], "text") &&
                  args.n_ctx == 0 && args.threads == 0 && !args.files.n,
              "%s", line);
        CHECK(args.n_ignored == 1 && strstr(said(), name) &&
                  strncmp(said(), "lookat: no effect here: ", 24) == 0,
              "%s: '%s'", line, said());
    }
    GOOD(CMD_BENCH, "-m x -ngl 0,99 -fa 0,1 -mmp 0 -r 3 -b 2");
    CHECK(args.n_ignored == 3 && args.repetitions == 3 && args.batches.n == 1 && args.argc == 0,
          "bench: its own -r and -b");
    const char *one = said();
    CHECK(strchr(one, '\n') == one + strlen(one) - 1 && strstr(one, "-ngl") && strstr(one, "-fa") &&
              strstr(one, "-mmp"),
          "one line: '%s'", one);
    GOOD(CMD_GENERATE, "-n 3");
    CHECK(!*said(), "nothing to say: '%s'", said());
    BAD(CMD_GENERATE, "-ngl", "-ngl: needs a value", "");
    BAD(CMD_GENERATE, "--mlock=1", "--mlock: takes no value", "'1'");
}

/* The others are refused with what stands here instead; none is ever a cluster of letters. */
static void llama_refused(void) {
    static const char *const lines[] = {"-hf a/b",
                                        "--hf-repo a",
                                        "-mu http://x",
                                        "-cnv",
                                        "--conversation",
                                        "-if",
                                        "--interactive-first",
                                        "-e",
                                        "--escape",
                                        "--prompt-cache f",
                                        "--session f",
                                        "--logit-bias 15+1",
                                        "--grammar g",
                                        "-j {}",
                                        "--in-prefix x",
                                        "--presence-penalty 0.5",
                                        "--mirostat 2",
                                        "--typical 0.9",
                                        "--dynatemp-range 1",
                                        "--xtc-probability 0.5",
                                        "--samplers a;b",
                                        "--verbose-prompt",
                                        "--lora x",
                                        "-bf f",
                                        "--perplexity",
                                        "--embedding",
                                        "--context-shift",
                                        "--chat-template x",
                                        "-sys x",
                                        "-np 4",
                                        "-md x",
                                        "--rope-scale 2",
                                        "-lv 3",
                                        "--log-file x",
                                        "--override-kv a=int:1",
                                        "--image x",
                                        "--rpc host",
                                        "--list-devices",
                                        "--chunks 3"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        enum command_id id = strncmp(lines[i], "--chunks", 8) == 0 ? CMD_EVAL : CMD_GENERATE;
        char name[40], want[100];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lines[i], " "), lines[i]);
        snprintf(want, sizeof want, "lookat has no %s (llama.cpp: ", name);
        BAD(id, lines[i], want, "); ");
    }
    BAD(CMD_GENERATE, "-hf", "lookat has no -hf", "");
    BAD(CMD_GENERATE, "-nx", "unknown option -nx", "-n takes a number");
    BAD(CMD_GENERATE, "-hx", "unknown option -x in -hx", "");
    BAD(CMD_GENERATE, "-prompt x", "unknown option -prompt", "did you mean --prompt?");
    GOOD(CMD_GENERATE, "-help");
    CHECK(args.help, "-help");
    GOOD(CMD_GENERATE, "--log-disable -sp");
    CHECK(args.quiet && args.special, "other names of -q and --special");
}

/* Every name once, none that lookat's own options have in all commands, and each row says why or
 * what instead. */
static void llama_table(void) {
    size_t names = 0;
    for (const struct llama_option *o = llama_options; o->names; o++) {
        CHECK(o->what && *o->what && (!o->instead || *o->instead), "%s", o->names);
        CHECK(!o->neutral || o->value == LLAMA_VALUE, "%s: a value that asks for nothing",
              o->names);
        for (const char *name = o->names; *name; names++) {
            size_t n = strcspn(name, " ");
            CHECK(n > 1 && name[0] == '-' && llama_find(name, n) == o, "%.*s twice", (int)n, name);
            name += n;
            name += *name == ' ';
        }
    }
    CHECK(names > 200, "%zu names", names);
    CHECK(!llama_find("-n", 2) && !llama_find("--n-predict", 11) && !llama_find("-ng", 3) &&
              !llama_find("", 0),
          "others");
}

static void numbers(void) {
    static const char *const not_int[] = {"",           "x",    "5x",  "1.0",
                                          "1e3",        "0x10", " 5",  "5 ",
                                          "-",          "+",    "--5", "99999999999999999999",
                                          "2147483648", "-3"};
    for (size_t i = 0; i < sizeof not_int / sizeof *not_int; i++) {
        char value[32], *words[] = {(char[]){"-n"}, value};
        snprintf(value, sizeof value, "%s", not_int[i]);
        args_init(&args, CMD_GENERATE);
        char quoted[40];
        snprintf(quoted, sizeof quoted, "got '%s'", value);
        CHECK(options_parse(&args, 2, words, &err) == ERR_USAGE && strstr(err.msg, "-n: ") &&
                  strstr(err.msg, quoted) && strstr(err.msg, "from -2 to 2147483647"),
              "'%s': %s", not_int[i], err.msg);
    }
    static const char *const not_double[] = {"x", "inf", "nan", "0x1p3",     "1.5.2", "1e",
                                             "-", ".",   "0,8", "1.0000001", "-0.1",  "1e999"};
    for (size_t i = 0; i < sizeof not_double / sizeof *not_double; i++) {
        char line[40];
        snprintf(line, sizeof line, "--top-p %s", not_double[i]);
        BAD(CMD_GENERATE, line, "--top-p: expected a number from 0 to 1", not_double[i]);
    }
    GOOD(CMD_GENERATE, "--top-p 1e-3 --min-p .25 --temp +1.");
    CHECK(args.top_p == 1e-3 && args.min_p == 0.25 && args.temp == 1, "%g %g %g", args.top_p,
          args.min_p, args.temp);
}

static void seeds(void) {
    GOOD(CMD_GENERATE, "-s 18446744073709551615");
    CHECK(args.has_seed && args.seed == UINT64_MAX, "the largest");
    GOOD(CMD_GENERATE, "-s 0");
    CHECK(args.has_seed && args.seed == 0, "zero is a seed");
    GOOD(CMD_GENERATE, "-s 4 -s -1");
    CHECK(!args.has_seed, "-1 asks for a new one");
    BAD(CMD_GENERATE, "-s 18446744073709551616", "-s: ", "18446744073709551616");
    BAD(CMD_GENERATE, "--seed -2", "--seed: ", "-2");
    BAD(CMD_GENERATE, "--seed=0x1", "--seed: ", "0x1");
}

static void choices(void) {
    GOOD(CMD_CONVERT, "--type q8_0 -o out.gguf");
    CHECK(is(args.type, "q8_0") && is(args.output, "out.gguf") && !args.format, "-o is a file");
    GOOD(CMD_CONVERT, "");
    CHECK(is(args.type, "f16"), "%s", args.type);
    GOOD(CMD_GENERATE, "-o jsonl");
    CHECK(is(args.format, "jsonl") && !args.output, "-o is a format");
    BAD(CMD_CONVERT, "--type f17", "--type: expected f32|f16|bf16|q8_0|q6_k|q4_k_m|q4_k|q4_0",
        "'f17'");
    BAD(CMD_CONVERT, "--type f", "--type", "'f'");
    BAD(CMD_CONVERT, "--type=", "--type", "''");
    BAD(CMD_CONVERT, "--type f32|f16", "--type", "'f32|f16'");
    BAD(CMD_INFO, "-o jsonl", "-o: expected text|json", "'jsonl'");
    /* As in llama.cpp, --color may stand alone. */
    static const char *const colors[][2] = {
        {"", "auto"},     {"--color", "on"},      {"--color off", "off"}, {"--color=auto", "auto"},
        {"-co on", "on"}, {"--color -n 3", "on"}, {"--color x", "on"}};
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++) {
        GOOD(CMD_GENERATE, colors[i][0]);
        CHECK(strcmp(args.color, colors[i][1]) == 0 &&
                  (!strstr(colors[i][0], "3") || args.n_predict == 3) &&
                  args.argc == (strstr(colors[i][0], " x") != NULL),
              "%s: %s", colors[i][0], args.color);
    }
    BAD(CMD_GENERATE, "--color=red", "--color: expected auto|on|off", "red");
}

static void mistakes(void) {
    BAD(CMD_GENERATE, "--tpo-k 3", "unknown option --tpo-k", "did you mean --top-k?");
    BAD(CMD_GENERATE, "--predic 3", "unknown option --predic", "did you mean --predict?");
    BAD(CMD_GENERATE, "--no-display", "--no-display", "did you mean --no-display-prompt?");
    BAD(CMD_GENERATE, "--xylophone", "unknown option --xylophone", "generate");
    CHECK(!strstr(err.msg, "did you mean"), "nothing is near: %s", err.msg);
    BAD(CMD_GENERATE, "--=x", "unknown option --", "");
    BAD(CMD_GENERATE, "-qX", "unknown option -X", "");
    BAD(CMD_GENERATE, "--decode", "--decode is not an option of generate", "only of tokenize");
    BAD(CMD_TOKENIZE, "-q", "-q is not an option of tokenize",
        "only of generate, compare, eval, calibrate, convert");
    BAD(CMD_TOKENIZE, "--n_predict=4", "not an option of tokenize", "only of compare, generate");
    BAD(CMD_GENERATE, "--quiet=yes", "--quiet: takes no value", "'yes'");
    BAD(CMD_GENERATE, "-n", "-n: needs a value", "N");
    BAD(CMD_GENERATE, "-q --model", "--model: needs a value", "MODEL");
    char line[600] = "--";
    memset(line + 2, 'a', 500);
    BAD(CMD_GENERATE, line, "unknown option --aaaa", "");
}

static void help_stops(void) {
    GOOD(CMD_GENERATE, "-h --nonsense");
    CHECK(args.help, "-h");
    GOOD(CMD_GENERATE, "-qh --nonsense");
    CHECK(args.help && args.quiet, "in a bundle");
    GOOD(CMD_INFO, "--version --nonsense");
    CHECK(args.version && !args.help, "--version");
}

static void nearest(void) {
    struct suggestion s = {{0}, 0};
    suggest(&s, "tokenise", "generate", 8);
    CHECK(!s.word[0], "generate is not near tokenise");
    suggest(&s, "tokenise", "tokenizes", 9);
    suggest(&s, "tokenise", "tokenize", 8);
    suggest(&s, "tokenise", "tokenixe", 8);
    CHECK(is(s.word, "tokenize") && s.distance == 1, "%s %zu", s.word, s.distance);
    s = (struct suggestion){{0}, 0};
    suggest(&s, "ifno", "info", 4);
    CHECK(is(s.word, "info") && s.distance == 1, "a swap counts once: %zu", s.distance);
    s = (struct suggestion){{0}, 0};
    suggest(&s, "x", "y", 1);
    CHECK(!s.word[0], "one wrong letter of one");
}

/* Is `word` one of the words of the list, which spaces separate? */
static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list ? strstr(list, word) : NULL; at; at = strstr(at + 1, word))
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    return false;
}

/* No two rows that answer to one name or letter share a command, and ranges and texts are sane. */
static void table_is_sound(void) {
    for (const struct option *o = option_table; o->name; o++) {
        CHECK(o->commands && o->commands < 1u << CMD_COUNT && o->section && o->help,
              "--%s lacks something", o->name);
        CHECK(o - option_table < OPTION_ROWS_MAX, "--%s is beyond args.given", o->name);
        CHECK((o->kind == OPT_FLAG) == !o->metavar, "--%s: a flag has no value", o->name);
        CHECK((o->kind == OPT_INT || o->kind == OPT_DOUBLE) == (o->min < o->max), "--%s: range",
              o->name);
        CHECK(o->at < sizeof(struct args) && strlen(o->help) < 400 &&
                  o->help[strlen(o->help) - 1] != '.',
              "--%s: text", o->name);
        for (const struct option *p = o + 1; p->name; p++) {
            if (!(o->commands & p->commands)) continue;
            CHECK(strcmp(o->name, p->name) != 0, "--%s twice", o->name);
            CHECK(!o->letter || o->letter != p->letter, "-%c twice", o->letter);
            CHECK(!has_word(p->aliases, o->name) && !has_word(o->aliases, p->name),
                  "--%s is also an alias", o->name);
        }
    }
}

static int no_run(const struct args *a, struct err *e) {
    (void)a;
    return err_set(e, ERR_FAILED, "not run");
}

/* The help of each command names all of its options, none of another, in lines of at most 80
 * columns. */
static void help_is_complete(void) {
    for (int c = 0; c < CMD_COUNT; c++) {
        struct command cmd = {.id = (enum command_id)c,
                              .summary = "s",
                              .usage = "USE1\nUSE2",
                              .about = "a",
                              .examples = "x\ty\n",
                              .run = no_run};
        char text[16384] = "";
        FILE *fp = tmpfile();
        CHECK(fp, "tmpfile");
        if (!fp) return;
        help_command(fp, &cmd);
        rewind(fp);
        size_t n = fread(text, 1, sizeof text - 1, fp);
        fclose(fp);
        CHECK(n > 300 && n < sizeof text - 1 && strstr(text, "USE2") &&
                  strstr(text, "130 interrupted"),
              "%zu bytes", n);
        for (const struct option *o = option_table; o->name; o++) {
            char row[64];
            snprintf(row, sizeof row, "%c%c%c --%s%s", o->letter ? '-' : ' ',
                     o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
                     o->metavar ? " " : "\n");
            if (!o->metavar) row[strlen(row) - 1] = 0;
            bool mine = o->commands >> c & 1, elsewhere = false;
            for (const struct option *p = option_table; p->name; p++)
                elsewhere |= p->commands >> c & 1 && strcmp(p->name, o->name) == 0;
            CHECK((strstr(text, row) != NULL) == mine || (!mine && elsewhere), "%s: '%s'",
                  command_name((enum command_id)c), row);
        }
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            CHECK(strlen(line) <= 80, "%zu columns: %s", strlen(line), line);
    }
}

/* lookat help attn: every codec and other name with the bytes that a row takes, every option with
 * what it means, and examples that can be read. */
static void help_of_attention(void) {
    static char text[16384];
    FILE *fp = tmpfile();
    CHECK(fp, "tmpfile");
    if (!fp) return;
    help_attn(fp);
    rewind(fp);
    text[fread(text, 1, sizeof text - 1, fp)] = 0;
    fclose(fp);
    for (size_t i = 0; kv_codec_at(i); i++) {
        const struct kv_codec *ops = kv_codec_at(i);
        struct codec keys[2], values[2];
        char name[40];
        snprintf(name, sizeof name, "\n  %s ", ops->name);
        CHECK(strstr(text, name) && strstr(text, ops->example), "%s", ops->name);
        CHECK(spec_parse(ops->example, 2, keys, values, &err) == OK || strchr(ops->example, '@'),
              "%s: %s", ops->example, err.msg);
        CHECK(!(ops->options >> CODEC_OPTION_COUNT), "%s: an option that is not listed", ops->name);
    }
    for (size_t i = 0; codec_option_at(i); i++) {
        const struct codec_option *o = codec_option_at(i);
        char name[40];
        snprintf(name, sizeof name, "\n  %s%s ", o->name, o->kind == OPTION_IS_FLAG ? "" : "=N");
        CHECK(strstr(text, name), "%s", name);
        CHECK(strlen(o->help) > 10, "option %s is described nowhere", o->name);
    }
    for (char *c = text; *c; c++) /* one word behind another, whatever line they are in */
        if (*c == '\n' && strncmp(c, "\n            ", 13) == 0)
            memmove(c + 1, c + 13, strlen(c + 13) + 1), *c = ' ';
    /* 64 numbers: of 2 and of 4 bytes; of 1 and of half a byte with an f16 for each 32; of 3 bits
     * with one f16; codes of 8 and of 4 bits */
    static const char *const bytes[] = {"fp16 128,", "fp32 256,",  "f16 128 ",   "int8 68,",
                                        "q4_0 36 ",  "turbo3 26,", "lookat4 4,", "lookat32x4 16 ",
                                        "pq16 16,",  "constant 0 "};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        CHECK(strstr(text, bytes[i]), "%s", bytes[i]);
    for (size_t i = 0; codec_alias_at(i).name; i++)
        CHECK(strstr(text, codec_alias_at(i).name), "%s", codec_alias_at(i).name);
}

static void help_lines(void) {
    char line[400];
    FILE *fp = tmpfile();
    CHECK(fp, "tmpfile");
    if (!fp) return;
    help_attn(fp);
    rewind(fp);
    while (fgets(line, sizeof line, fp))
        CHECK(strcspn(line, "\n") <= 80, "%zu columns: %s", strcspn(line, "\n"), line);
    fclose(fp);
}

int main(void) {
    RUN(defaults);
    RUN(shown_defaults);
    RUN(ways_of_writing);
    RUN(arguments);
    RUN(llama_names);
    RUN(cache_types);
    RUN(given_twice);
    RUN(llama_without_effect);
    RUN(llama_refused);
    RUN(llama_table);
    RUN(numbers);
    RUN(seeds);
    RUN(choices);
    RUN(mistakes);
    RUN(help_stops);
    RUN(nearest);
    RUN(table_is_sound);
    RUN(help_is_complete);
    RUN(help_of_attention);
    RUN(help_lines);
    return TEST_RESULT;
}
