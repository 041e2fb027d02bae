/* Reads the command line into struct args by the rows of option_table.c. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention/spec.h"
#include "cli/llama.h"
#include "base/suggest.h"

const char *command_name(enum command_id id) {
    static const char *const names[CMD_COUNT] = {"generate",  "compare", "eval",
                                                 "calibrate", "convert", "info",
                                                 "tokenize",  "explain", "bench"};
    return names[id];
}

/* The number of the row of `name` that the command has; -1 where there is none. */
static int row_of(enum command_id command, const char *name) {
    for (int i = 0; option_table[i].name; i++)
        if (option_table[i].commands >> command & 1 && strcmp(option_table[i].name, name) == 0)
            return i;
    return -1;
}

const char *option_default(enum command_id command, const char *name) {
    int row = row_of(command, name);
    return row >= 0 ? option_table[row].by_default : NULL;
}

const char *args_attn(const struct args *a) {
    return a->attn.n          ? a->attn.item[a->attn.n - 1]
           : a->cache_spec[0] ? a->cache_spec
                              : option_default(a->command, "attn");
}

bool args_given(const struct args *a, const char *name) {
    int row = row_of(a->command, name);
    return row >= 0 && a->given[row];
}

void args_no_effect(const struct args *a, const char *option, const char *why) {
    if (!a->quiet) fprintf(stderr, "lookat: %s has no effect: %s\n", option, why);
}

/* generate and eval run one backend. */
static int check_one_backend(const struct args *a, struct err *e) {
    if (a->command != CMD_GENERATE && a->command != CMD_EVAL) return OK;
    if (a->attn.n > 1)
        return err_set(
            e, ERR_USAGE,
            "--attn: %s runs one backend, got '%.40s' and '%.40s'; lookat compare takes several",
            command_name(a->command), a->attn.item[0], a->attn.item[1]);
    if (a->attn.n && a->attn.item[0][spec_first(a->attn.item[0])])
        return err_set(e, ERR_USAGE,
                       "--attn %.60s: %s runs one backend, and a comma begins another; lookat "
                       "compare takes several",
                       a->attn.item[0], command_name(a->command));
    return OK;
}

/* llama.cpp names the cache's halves apart. Where one backend runs, they cannot stand beside
 * --attn. */
static int join_cache_types(struct args *a, struct err *e) {
    if (!a->cache_k && !a->cache_v) return OK;
    if (a->attn.n && a->command != CMD_COMPARE)
        return err_set(e, ERR_USAGE,
                       "--attn and --cache-type-k or -v are two ways to say the same; use one");
    int n = snprintf(a->cache_spec, sizeof a->cache_spec, "%s/%s", a->cache_k ? a->cache_k : "fp16",
                     a->cache_v ? a->cache_v : "fp16");
    return n < (int)sizeof a->cache_spec
               ? OK
               : err_set(e, ERR_USAGE, "--cache-type-k: the two types are too long");
}

/* As llama.cpp, an underscore in a name is a dash. */
static bool same_name(const char *given, size_t n, const char *name, size_t name_len) {
    if (n != name_len) return false;
    for (size_t i = 0; i < n; i++)
        if ((given[i] == '_' ? '-' : given[i]) != name[i]) return false;
    return true;
}

/* The next long name of a row after `previous` (NULL: the first), of *n bytes; NULL past the
 * last. */
static const char *next_name(const struct option *o, const char *previous, size_t *n) {
    const char *at = !previous ? o->name : previous == o->name ? o->aliases : previous + *n;
    if (!at) return NULL;
    while (*at == ' ') at++;
    if (!*at) return NULL;
    *n = strcspn(at, " ");
    return at;
}

static bool has_name(const struct option *o, const char *given, size_t n) {
    size_t len;
    for (const char *name = next_name(o, NULL, &len); name; name = next_name(o, name, &len))
        if (same_name(given, n, name, len)) return true;
    return false;
}

/* One option as it was written, for messages: "-n" or "--predict". */
struct spelling {
    char text[48];
};

static struct spelling spell(const char *dashes, const char *name, size_t n) {
    struct spelling s = {{0}};
    size_t nd = strlen(dashes), room = sizeof s.text - 1 - nd;
    memcpy(s.text, dashes, nd);
    memcpy(s.text + nd, name, n < room ? n : room);
    return s;
}

/* The error for an option that the command lacks, written behind `dashes`: says which commands have
 * it, else what may be meant. */
static int unknown(const struct args *a, const char *dashes, const char *name, size_t n,
                   struct err *e) {
    struct spelling s = spell(dashes, name, n);
    bool is_long = dashes[1] || n > 1;
    struct suggestion near = {0};
    char owners[128] = "";
    for (const struct option *o = option_table; o->name; o++) {
        if (is_long ? has_name(o, name, n) : o->letter == *name)
            for (int c = 0; c < CMD_COUNT; c++)
                if (o->commands >> c & 1) {
                    if (owners[0]) strcat(owners, ", ");
                    strcat(owners, command_name((enum command_id)c));
                }
        size_t len;
        if (is_long && o->commands >> a->command & 1)
            for (const char *known = next_name(o, NULL, &len); known;
                 known = next_name(o, known, &len))
                suggest(&near, s.text + strlen(dashes), known, len);
    }
    const char *command = command_name(a->command);
    if (owners[0])
        return err_set(e, ERR_USAGE, "%s is not an option of %s, only of %s", s.text, command,
                       owners);
    if (near.word[0])
        return err_set(e, ERR_USAGE, "unknown option %s of %s; did you mean --%s?", s.text, command,
                       near.word);
    return err_set(e, ERR_USAGE, "unknown option %s of %s", s.text, command);
}

/* Only digits after an optional sign: strtoll alone would take spaces, and strtod "inf" and
 * hexadecimal numbers. */
static bool looks_like_int(const char *s) {
    s += *s == '-' || *s == '+';
    return *s && strspn(s, "0123456789") == strlen(s);
}

static bool looks_like_double(const char *s) {
    const char *digits = s + (*s == '-' || *s == '+');
    return (*digits == '.' || (*digits >= '0' && *digits <= '9')) &&
           strspn(s, "0123456789+-.eE") == strlen(s);
}

static int set_int(const struct option *o, const char *as, const char *value, int64_t *out,
                   struct err *e) {
    errno = 0;
    long long x = looks_like_int(value) ? strtoll(value, NULL, 10) : 0;
    if (!looks_like_int(value) || errno || (double)x < o->min || (double)x > o->max)
        return err_set(e, ERR_USAGE, "%s: expected a whole number from %.0f to %.0f, got '%.60s'",
                       as, o->min, o->max, value);
    *out = x;
    return OK;
}

static int set_double(const struct option *o, const char *as, const char *value, double *out,
                      struct err *e) {
    char *end = NULL;
    double x = looks_like_double(value) ? strtod(value, &end) : 0;
    if (!end || *end || !(x >= o->min && x <= o->max))
        return err_set(e, ERR_USAGE, "%s: expected a number from %g to %g, got '%.60s'", as, o->min,
                       o->max, value);
    *out = x;
    return OK;
}

static int set_seed(struct args *a, const char *as, const char *value, uint64_t *out,
                    struct err *e) {
    a->has_seed = strcmp(value, "-1") != 0;
    errno = 0;
    unsigned long long x = looks_like_int(value) && *value != '-' ? strtoull(value, NULL, 10) : 0;
    if (a->has_seed && (!looks_like_int(value) || *value == '-' || errno))
        return err_set(
            e, ERR_USAGE,
            "%s: expected a whole number from 0 to 18446744073709551615, or -1, got '%.60s'", as,
            value);
    *out = x;
    return OK;
}

/* Where it is none of the choices, *near is the nearest of them; near may be NULL. */
static bool is_choice(const struct option *o, const char *value, struct suggestion *near) {
    size_t n = strlen(value);
    for (const char *word = o->metavar; word; word = strchr(word, '|')) {
        word += *word == '|';
        size_t len = strcspn(word, "|");
        if (len == n && memcmp(word, value, n) == 0) return true;
        if (near) suggest(near, value, word, len);
    }
    return false;
}

static int set_choice(const struct option *o, const char *as, const char *value, const char **out,
                      struct err *e) {
    struct suggestion near = {0};
    if (!is_choice(o, value, &near))
        return err_set(e, ERR_USAGE, "%s: expected %s, got '%.60s'%s", as, o->metavar, value,
                       suggestion_note(&near).s);
    *out = value;
    return OK;
}

static int add_to_list(const char *as, const char *value, struct str_list *list, struct err *e) {
    if (list->n == STR_LIST_MAX)
        return err_set(e, ERR_USAGE, "%s: given more than %d times", as, STR_LIST_MAX);
    list->item[list->n++] = value;
    return OK;
}

/* What is to be read must not be dropped: a second prompt is refused. Of files the last counts, as
 * of numbers. */
static int set_string(struct args *a, const struct option *o, const char *as, const char *value,
                      const char **out, struct err *e) {
    bool text = o->at == offsetof(struct args, prompt) || o->at == offsetof(struct args, ids),
         other = *out && strcmp(*out, value) != 0;
    if (text && other)
        return err_set(e, ERR_USAGE, "%s: expected once, got '%.60s' and '%.60s'", as, *out, value);
    if (other) a->repeated = o->name;
    *out = value;
    return OK;
}

/* Puts the value of option o, written as `as`, into its field. */
static int set_field(struct args *a, const struct option *o, const char *as, const char *value,
                     struct err *e) {
    void *at = (char *)a + o->at;
    switch (o->kind) {
    case OPT_FLAG: *(bool *)at = true; return OK;
    case OPT_STRING: return set_string(a, o, as, value, at, e);
    case OPT_CHOICE: return set_choice(o, as, value, at, e);
    case OPT_LIST: return add_to_list(as, value, at, e);
    case OPT_INT: return set_int(o, as, value, at, e);
    case OPT_DOUBLE: return set_double(o, as, value, at, e);
    case OPT_SEED: return set_seed(a, as, value, at, e);
    }
    return OK;
}

/* The same for a value that the command line gives. */
static int set_value(struct args *a, const struct option *o, const char *as, const char *value,
                     struct err *e) {
    bool *given = &a->given[o - option_table];
    if (*given && o->kind != OPT_FLAG && o->kind != OPT_STRING && o->kind != OPT_LIST)
        a->repeated = o->name;
    *given = true;
    return set_field(a, o, as, value, e);
}

int args_threads(const struct args *a, int64_t *n, struct err *e) {
    const char *named = args_given(a, "threads") ? NULL : getenv("LOOKAT_THREADS");
    *n = a->threads;
    if (!named || !*named) return OK;
    return set_int(&option_table[row_of(CMD_GENERATE, "threads")], "LOOKAT_THREADS", named, n, e);
}

void args_init(struct args *a, enum command_id command) {
    struct err e = {0}; /* stays empty: a test reads every default */
    *a = (struct args){.command = command};
    for (const struct option *o = option_table; o->name; o++)
        if (o->by_default && o->kind != OPT_STRING && o->kind != OPT_LIST &&
            o->commands >> command & 1)
            set_field(a, o, o->name, o->by_default, &e);
    a->has_seed = false;
}

/* What is left of the command line. */
struct words {
    int argc, next;
    char **argv;
};

/* The value of an option: what is glued to it, else the next word. */
static int take_value(struct words *w, const struct option *o, const char *as, const char *glued,
                      const char **value, struct err *e) {
    *value = glued;
    if (glued || !o->metavar) return OK;
    if (o->bare && (w->next == w->argc || !is_choice(o, w->argv[w->next], NULL))) {
        *value = o->bare;
        return OK;
    }
    if (w->next == w->argc) return err_set(e, ERR_USAGE, "%s: needs a value, %s", as, o->metavar);
    *value = w->argv[w->next++];
    return OK;
}

/* `name`: a long option without its dashes, perhaps with =VALUE. */
static int parse_long(struct args *a, struct words *w, const char *name, struct err *e) {
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *o = option_table;
    while (o->name && !(o->commands >> a->command & 1 && has_name(o, name, n))) o++;
    if (!o->name) return unknown(a, "--", name, n, e);
    struct spelling s = spell("--", name, n);
    if (equals && !o->metavar)
        return err_set(e, ERR_USAGE, "%s: takes no value, got '%.60s'", s.text, equals + 1);
    const char *value;
    int rc = take_value(w, o, s.text, equals ? equals + 1 : NULL, &value, e);
    return rc ? rc : set_value(a, o, s.text, value, e);
}

/* ---- llama.cpp's options ---- */

static int refuse_llama(const struct llama_option *o, const struct spelling *s, struct err *e) {
    return err_set(e, ERR_USAGE, "lookat has no %s (llama.cpp: %s); %s", s->text, o->what,
                   o->instead);
}

/* A word that names an option of llama.cpp that is none here; *read is false where it does not. */
static int parse_llama(struct args *a, struct words *w, const char *word, bool *read,
                       struct err *e) {
    size_t n = strcspn(word, "=");
    const struct llama_option *o = llama_find(word, n);
    *read = o != NULL;
    if (!o) return OK;
    struct spelling s = spell("", word, n);
    const char *value = word[n] ? word + n + 1 : NULL;
    if (value && o->value == LLAMA_FLAG)
        return err_set(e, ERR_USAGE, "%s: takes no value, got '%.60s'", s.text, value);
    bool another =
        w->next < w->argc && (o->value == LLAMA_VALUE ||
                              (o->value == LLAMA_SWITCH && llama_is_switch(w->argv[w->next])));
    if (!value && another) value = w->argv[w->next++];
    if (!llama_no_effect(o, value)) return refuse_llama(o, &s, e);
    if (!value && o->value == LLAMA_VALUE)
        return err_set(e, ERR_USAGE, "%s: needs a value", s.text);
    if (a->n_ignored < IGNORED_MAX) a->ignored[a->n_ignored++] = word;
    return OK;
}

void options_say(FILE *fp, const struct args *a) {
    for (size_t i = 0; i < a->n_ignored; i++) {
        size_t n = strcspn(a->ignored[i], "=");
        const struct llama_option *o = llama_find(a->ignored[i], n);
        const char *why = o->instead ? "that value is what is done anyway" : o->what;
        fprintf(fp, "%s%.*s (%s)", i ? ", " : "lookat: no effect here: ", (int)n, a->ignored[i],
                why);
    }
    if (a->n_ignored) fputc('\n', fp);
    if (a->repeated)
        fprintf(fp, "lookat: --%s: given more than once; the last one counts\n", a->repeated);
}

/* ---- words ---- */

/* `word`: a single dash and more than one letter. Does it name a long option of the command? */
static const struct option *long_behind_one_dash(const struct args *a, const char *word) {
    size_t n = strcspn(word + 1, "=");
    for (const struct option *o = option_table; n > 1 && o->name; o++)
        if (o->commands >> a->command & 1 && has_name(o, word + 1, n)) return o;
    return NULL;
}

/* Names of three letters are llama.cpp's, -ctk and -ctv, and -help is clear enough; a longer one
 * lacks a dash. */
static int parse_one_dash(struct args *a, struct words *w, const char *word, const struct option *o,
                          struct err *e) {
    size_t n = strcspn(word + 1, "=");
    if (n <= 3 || o->at == offsetof(struct args, help) || o->at == offsetof(struct args, version))
        return parse_long(a, w, word + 1, e);
    return err_set(e, ERR_USAGE, "unknown option %.40s of %s; did you mean -%.40s?", word,
                   command_name(a->command), word);
}

/* Could this be glued to the option as its value? A number begins like one: -ngl is not -n gl. */
static bool may_be_glued(const struct option *o, const char *glued) {
    bool number = o->kind == OPT_INT || o->kind == OPT_DOUBLE || o->kind == OPT_SEED ||
                  (o->kind == OPT_LIST && strncmp(o->metavar, "N,", 2) == 0);
    return !number || strchr("0123456789+-.", *glued);
}

/* One word of short options: -q, -n5, -qvn5, -n 5. */
static int parse_letters(struct args *a, struct words *w, const char *word, struct err *e) {
    for (const char *c = word + 1; *c; c++) {
        const struct option *o = option_table;
        while (o->name && !(o->commands >> a->command & 1 && o->letter == *c)) o++;
        if (!o->name && word[2])
            return err_set(e, ERR_USAGE, "unknown option -%c in %.60s of %s", *c, word,
                           command_name(a->command));
        if (!o->name) return unknown(a, "-", c, 1, e);
        struct spelling s = spell("-", c, 1);
        const char *glued = o->metavar && c[1] ? c + 1 : NULL, *value;
        if (glued && !may_be_glued(o, glued))
            return err_set(e, ERR_USAGE, "unknown option %.60s of %s (%s takes a number, %s)", word,
                           command_name(a->command), s.text, o->metavar);
        int rc = take_value(w, o, s.text, glued, &value, e);
        if (!rc) rc = set_value(a, o, s.text, value, e);
        if (rc || o->metavar) return rc;
    }
    return OK;
}

/* -ctk and the like of other commands. */
static bool long_elsewhere(const char *word, size_t n) {
    for (const struct option *o = option_table; n > 2 && o->name; o++)
        if (has_name(o, word + 1, n - 1)) return true;
    return false;
}

/* A word that begins with a dash and is neither - nor --. The command's own options come before
 * llama.cpp's of the same name. */
static int parse_option(struct args *a, struct words *w, const char *word, struct err *e) {
    bool is_long = word[1] == '-', read;
    size_t n = strcspn(word, "=");
    const struct option *o = is_long ? NULL : long_behind_one_dash(a, word);
    if (o) return parse_one_dash(a, w, word, o, e);
    for (o = option_table; o->name; o++)
        if (o->commands >> a->command & 1 &&
            (is_long ? has_name(o, word + 2, n - 2) : o->letter == word[1] && !word[2]))
            break;
    if (!o->name) {
        int rc = parse_llama(a, w, word, &read, e);
        if (rc || read) return rc;
    }
    if (!is_long && long_elsewhere(word, n)) return unknown(a, "-", word + 1, n - 1, e);
    return is_long ? parse_long(a, w, word + 2, e) : parse_letters(a, w, word, e);
}

int options_parse(struct args *a, int argc, char **argv, struct err *e) {
    struct words w = {.argc = argc, .argv = argv};
    a->argc = 0;
    a->argv = argv; /* arguments move to the front, into places already read */
    bool ended = false;
    while (w.next < argc && !a->help && !a->version) {
        char *word = argv[w.next++];
        int rc = OK;
        if (ended || word[0] != '-' || !word[1])
            a->argv[a->argc++] = word;
        else if (strcmp(word, "--") == 0)
            ended = true;
        else
            rc = parse_option(a, &w, word, e);
        if (rc) return rc;
    }
    if (a->help || a->version) return OK;
    int rc = check_one_backend(a, e);
    return rc ? rc : join_cache_types(a, e);
}
