#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/suggest.h"

const char *command_name(enum command_id id) {
    static const char *const names[CMD_COUNT] = {"generate", "compare", "eval", "calibrate", "convert", "info", "tokenize", "explain", "bench"};
    return names[id];
}

const char *args_attn(const struct args *a) {
    return a->attn.n ? a->attn.item[a->attn.n - 1] : a->cache_spec[0] ? a->cache_spec : "fp16";
}

/* llama.cpp names the cache's halves apart. Where one backend runs, they cannot stand beside --attn. */
static int join_cache_types(struct args *a, struct err *e) {
    if (!a->cache_k && !a->cache_v) return OK;
    if (a->attn.n && a->command != CMD_COMPARE) return err_set(e, ERR_USAGE, "--attn and --cache-type-k or -v are two ways to say the same; use one");
    int n = snprintf(a->cache_spec, sizeof a->cache_spec, "%s/%s", a->cache_k ? a->cache_k : "fp16", a->cache_v ? a->cache_v : "fp16");
    return n < (int)sizeof a->cache_spec ? OK : err_set(e, ERR_USAGE, "--cache-type-k: the two types are too long");
}

/* As llama.cpp, an underscore in a name is a dash. */
static bool same_name(const char *given, size_t n, const char *name, size_t name_len) {
    if (n != name_len) return false;
    for (size_t i = 0; i < n; i++)
        if ((given[i] == '_' ? '-' : given[i]) != name[i]) return false;
    return true;
}

/* The next long name of a row after `previous` (NULL: the first), of *n bytes; NULL past the last. */
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

/* The error for an option that the command lacks: says which commands have it, else what may be meant. */
static int unknown(const struct args *a, const char *name, size_t n, bool is_long, struct err *e) {
    struct spelling s = spell(is_long ? "--" : "-", name, n);
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
            for (const char *known = next_name(o, NULL, &len); known; known = next_name(o, known, &len))
                suggest(&near, s.text + 2, known, len);
    }
    const char *command = command_name(a->command);
    if (owners[0]) return err_set(e, ERR_USAGE, "%s is not an option of %s, only of %s", s.text, command, owners);
    if (near.word[0]) return err_set(e, ERR_USAGE, "unknown option %s of %s; did you mean --%s?", s.text, command, near.word);
    return err_set(e, ERR_USAGE, "unknown option %s of %s", s.text, command);
}

/* Only digits after an optional sign: strtoll alone would take spaces, and strtod "inf" and hexadecimal numbers. */
static bool looks_like_int(const char *s) {
    s += *s == '-' || *s == '+';
    return *s && strspn(s, "0123456789") == strlen(s);
}

static bool looks_like_double(const char *s) {
    const char *digits = s + (*s == '-' || *s == '+');
    return (*digits == '.' || (*digits >= '0' && *digits <= '9')) && strspn(s, "0123456789+-.eE") == strlen(s);
}

static int set_int(const struct option *o, const char *as, const char *value, int64_t *out, struct err *e) {
    errno = 0;
    long long x = looks_like_int(value) ? strtoll(value, NULL, 10) : 0;
    if (!looks_like_int(value) || errno || (double)x < o->min || (double)x > o->max)
        return err_set(e, ERR_USAGE, "%s: expected a whole number from %.0f to %.0f, got '%.60s'", as, o->min, o->max, value);
    *out = x;
    return OK;
}

static int set_double(const struct option *o, const char *as, const char *value, double *out, struct err *e) {
    char *end = NULL;
    double x = looks_like_double(value) ? strtod(value, &end) : 0;
    if (!end || *end || !(x >= o->min && x <= o->max))
        return err_set(e, ERR_USAGE, "%s: expected a number from %g to %g, got '%.60s'", as, o->min, o->max, value);
    *out = x;
    return OK;
}

static int set_seed(struct args *a, const char *as, const char *value, uint64_t *out, struct err *e) {
    a->has_seed = strcmp(value, "-1") != 0;
    errno = 0;
    unsigned long long x = looks_like_int(value) && *value != '-' ? strtoull(value, NULL, 10) : 0;
    if (a->has_seed && (!looks_like_int(value) || *value == '-' || errno))
        return err_set(e, ERR_USAGE, "%s: expected a whole number from 0 to 18446744073709551615, or -1, got '%.60s'", as, value);
    *out = x;
    return OK;
}

static int set_choice(const struct option *o, const char *as, const char *value, const char **out, struct err *e) {
    size_t n = strlen(value);
    for (const char *word = o->metavar; word; word = strchr(word, '|')) {
        word += *word == '|';
        if (strcspn(word, "|") == n && memcmp(word, value, n) == 0) {
            *out = value;
            return OK;
        }
    }
    return err_set(e, ERR_USAGE, "%s: expected %s, got '%.60s'", as, o->metavar, value);
}

static int add_to_list(const char *as, const char *value, struct str_list *list, struct err *e) {
    if (list->n == STR_LIST_MAX) return err_set(e, ERR_USAGE, "%s: given more than %d times", as, STR_LIST_MAX);
    list->item[list->n++] = value;
    return OK;
}

static int set_value(struct args *a, const struct option *o, const char *as, const char *value, struct err *e) {
    void *at = (char *)a + o->at;
    switch (o->kind) {
    case OPT_FLAG: *(bool *)at = true; return OK;
    case OPT_STRING: *(const char **)at = value; return OK;
    case OPT_CHOICE: return set_choice(o, as, value, at, e);
    case OPT_LIST: return add_to_list(as, value, at, e);
    case OPT_INT: return set_int(o, as, value, at, e);
    case OPT_DOUBLE: return set_double(o, as, value, at, e);
    case OPT_SEED: return set_seed(a, as, value, at, e);
    }
    return OK;
}

/* What is left of the command line. */
struct words {
    int argc, next;
    char **argv;
};

/* The value of an option: what is glued to it, else the next word. */
static int take_value(struct words *w, const struct option *o, const char *as, const char *glued, const char **value, struct err *e) {
    *value = glued;
    if (glued || !o->metavar) return OK;
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
    if (!o->name) return unknown(a, name, n, true, e);
    struct spelling s = spell("--", name, n);
    if (equals && !o->metavar) return err_set(e, ERR_USAGE, "%s: takes no value, got '%.60s'", s.text, equals + 1);
    const char *value;
    int rc = take_value(w, o, s.text, equals ? equals + 1 : NULL, &value, e);
    return rc ? rc : set_value(a, o, s.text, value, e);
}

/* Is `word` one of llama.cpp's names of three letters behind a single dash, -ctk or -ctv? */
static bool three_letters(const struct args *a, const char *word) {
    if (strlen(word) != 4) return false;
    for (const struct option *o = option_table; o->name; o++)
        if (o->commands >> a->command & 1 && o->aliases && has_name(o, word + 1, 3)) return true;
    return false;
}

/* One word of short options: -q, -n5, -qvn5, -n 5. */
static int parse_letters(struct args *a, struct words *w, const char *word, struct err *e) {
    for (const char *c = word + 1; *c; c++) {
        const struct option *o = option_table;
        while (o->name && !(o->commands >> a->command & 1 && o->letter == *c)) o++;
        if (!o->name) return unknown(a, c, 1, false, e);
        struct spelling s = spell("-", c, 1);
        const char *value;
        int rc = take_value(w, o, s.text, o->metavar && c[1] ? c + 1 : NULL, &value, e);
        if (!rc) rc = set_value(a, o, s.text, value, e);
        if (rc || o->metavar || a->help) return rc;
    }
    return OK;
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
            rc = word[1] == '-' ? parse_long(a, &w, word + 2, e) : three_letters(a, word) ? parse_long(a, &w, word + 1, e) : parse_letters(a, &w, word, e);
        if (rc) return rc;
    }
    return a->help || a->version ? OK : join_cache_types(a, e);
}
