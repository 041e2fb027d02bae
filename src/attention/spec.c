/* Reading an attention spec, from left to right and piece by piece, and printing it again. */
#include "attention/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention/book_word.h"
#include "attention/registry.h"
#include "base/suggest.h"

/* A piece of the spec. */
struct text {
    const char *s;
    size_t n;
};

struct reader {
    const char *spec; /* whole, for messages */
    struct err *e;
};

/* The part before the first `c`, which is taken off *t together with it; all of *t where there is
 * none. */
static struct text cut(struct text *t, char c, bool *found) {
    const char *at = t->n ? memchr(t->s, c, t->n) : NULL;
    struct text head = {t->s, at ? (size_t)(at - t->s) : t->n};
    *found = at != NULL;
    t->s += head.n + (at != NULL);
    t->n -= head.n + (at != NULL);
    return head;
}

static bool is(struct text t, const char *word) {
    return t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}

static int shown(struct text t) { return t.n < 40 ? (int)t.n : 40; }

static bool read_number(struct text t, size_t *out) {
    size_t x = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.s[i] < '0' || t.s[i] > '9' || x > 1000000) return false;
        x = 10 * x + (size_t)(t.s[i] - '0');
    }
    *out = x;
    return t.n > 0;
}

/* "lookat5", where "lookat4" and others are known: the numbers that the codec comes with. */
static int unknown_number(const struct reader *r, struct text name, const struct kv_codec *ops) {
    char known[120] = "";
    size_t at = 0, n = strlen(ops->name);
    for (size_t i = 0; codec_alias_at(i).name && at < sizeof known; i++)
        if (strncmp(codec_alias_at(i).name, ops->name, n) == 0)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "",
                                   codec_alias_at(i).name + n);
    return err_set(r->e, ERR_USAGE,
                   "--attn %.40s: '%.*s' is unknown: the number behind %s is one of %s (lookat "
                   "help attn explains)",
                   r->spec, shown(name), name.s, ops->name, known);
}

/* The codec that has other names with a number behind its own, and whose name the text begins with,
 * a digit behind it. */
static const struct kv_codec *numbered_codec(struct text name) {
    for (size_t i = 0; codec_alias_at(i).name; i++) {
        size_t n = strcspn(codec_alias_at(i).name, "0123456789");
        if (n < name.n && memcmp(name.s, codec_alias_at(i).name, n) == 0 && name.s[n] >= '0' &&
            name.s[n] <= '9')
            for (size_t c = 0; kv_codec_at(c); c++)
                if (strlen(kv_codec_at(c)->name) == n &&
                    memcmp(kv_codec_at(c)->name, name.s, n) == 0)
                    return kv_codec_at(c);
    }
    return NULL;
}

/* The codec whose own name begins an alias's spec. */
static const struct kv_codec *codec_of_alias(struct codec_alias alias) {
    size_t n = strcspn(alias.spec, ":");
    for (size_t i = 0; kv_codec_at(i); i++)
        if (strlen(kv_codec_at(i)->name) == n && memcmp(kv_codec_at(i)->name, alias.spec, n) == 0)
            return kv_codec_at(i);
    return NULL;
}

/* A piece of the spec as a string; what is longer is near to no word, and its end is left out. */
struct word {
    char s[40];
};
static struct word word_of(struct text t) {
    struct word w = {""};
    memcpy(w.s, t.s, t.n < sizeof w.s ? t.n : sizeof w.s - 1);
    return w;
}

/* The codec of this side, or its other name, that is nearest to the name. */
static struct suggestion_note nearest_codec(struct text name, bool values) {
    struct suggestion near = {0};
    const struct word word = word_of(name);
    for (size_t i = 0; kv_codec_at(i); i++) {
        const struct kv_codec *c = kv_codec_at(i);
        if (values ? c->values : c->keys) suggest(&near, word.s, c->name, strlen(c->name));
    }
    for (size_t i = 0; codec_alias_at(i).name; i++) {
        const struct codec_alias alias = codec_alias_at(i);
        const struct kv_codec *c = codec_of_alias(alias);
        if (c && (values ? c->values : c->keys))
            suggest(&near, word.s, alias.name, strlen(alias.name));
    }
    return suggestion_note(&near);
}

static int unknown_codec(const struct reader *r, struct text name, bool values) {
    const struct kv_codec *numbered = numbered_codec(name);
    if (numbered && (values ? numbered->values : numbered->keys))
        return unknown_number(r, name, numbered);
    char known[160] = "";
    size_t at = 0;
    for (size_t i = 0; kv_codec_at(i) && at < sizeof known; i++)
        if (values ? kv_codec_at(i)->values : kv_codec_at(i)->keys)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "",
                                   kv_codec_at(i)->name);
    return err_set(
        r->e, ERR_USAGE,
        "--attn %.40s: '%.*s' is not a codec for %s; known: %s%s (lookat help attn explains)",
        r->spec, shown(name), name.s, values ? "values" : "keys", known,
        nearest_codec(name, values).s);
}

static const struct kv_codec *find_codec(struct text name) {
    for (size_t i = 0; kv_codec_at(i); i++)
        if (is(name, kv_codec_at(i)->name)) return kv_codec_at(i);
    return NULL;
}

enum { KEYS_MAX = 65536 };

/* An option being read: whose value it is to set, its name as given, and what stands behind "=". */
struct given {
    const struct codec_option *option;
    struct codec_options *to;
    bool has_value;
    struct text name, value;
};

static int read_keys(const struct reader *r, const struct given *g) {
    size_t x = 0;
    if (!read_number(g->value, &x) || x > KEYS_MAX)
        return err_set(r->e, ERR_USAGE, "--attn %.40s: %.*s=%.*s, expected 0 to %d keys", r->spec,
                       shown(g->name), g->name.s, shown(g->value), g->value.s, (int)KEYS_MAX);
    *codec_option_number(g->to, g->option) = x;
    return OK;
}

static int read_exact_bits(const struct reader *r, const struct given *g) {
    size_t x = 0;
    if (!read_number(g->value, &x) || (x != 4 && x != 8 && x != 16))
        return err_set(r->e, ERR_USAGE, "--attn %.40s: %.*s=%.*s, expected 16, 8 or 4 bits",
                       r->spec, shown(g->name), g->name.s, shown(g->value), g->value.s);
    *codec_option_number(g->to, g->option) = x == 16 ? 0 : x;
    return OK;
}

static int read_probability(const struct reader *r, const struct given *g) {
    char digits[32] = "", *end = digits;
    if (g->value.n < sizeof digits) memcpy(digits, g->value.s, g->value.n);
    bool plain = digits[0] && strspn(digits, "0123456789.eE-") == g->value.n;
    double x = plain ? strtod(digits, &end) : -1;
    if (end == digits || *end || !(x >= 0 && x < 1))
        return err_set(r->e, ERR_USAGE,
                       "--attn %.40s: %.*s=%.*s, expected a probability below 1, as in %.*s=1e-4",
                       r->spec, shown(g->name), g->name.s, shown(g->value), g->value.s,
                       shown(g->name), g->name.s);
    *codec_option_probability(g->to, g->option) = x;
    return OK;
}

static int read_whole_number(const struct reader *r, const struct given *g) {
    size_t *number = codec_option_number(g->to, g->option);
    if (g->has_value && read_number(g->value, number) && *number) return OK;
    return err_set(r->e, ERR_USAGE, "--attn %.40s: option %.*s needs a number, as in %.*s=4",
                   r->spec, shown(g->name), g->name.s, shown(g->name), g->name.s);
}

static int read_flag(const struct reader *r, const struct given *g) {
    if (g->has_value)
        return err_set(r->e, ERR_USAGE, "--attn %.40s: option %.*s takes no value", r->spec,
                       shown(g->name), g->name.s);
    *codec_option_flag(g->to, g->option) = true;
    return OK;
}

static int unknown_option(const struct reader *r, const struct codec *c, struct text name) {
    unsigned common = codec_common_options(c->for_values);
    char own[120], every[40];
    struct suggestion near = {0};
    const struct word word = word_of(name);
    codec_option_names(c->ops->options, own, sizeof own);
    codec_option_names(common, every, sizeof every);
    for (size_t i = 0; codec_option_at(i); i++) {
        const struct codec_option *o = codec_option_at(i);
        if ((c->ops->options | common) & o->bit) suggest(&near, word.s, o->name, strlen(o->name));
    }
    return err_set(
        r->e, ERR_USAGE,
        "--attn %.40s: %s has no option '%.*s'%s; it takes: %s%s%s%s (lookat help attn explains)",
        r->spec, c->ops->name, shown(name), name.s, c->for_values ? " for values" : "", own,
        own[0] ? " " : "", every, suggestion_note(&near).s);
}

static int read_option(const struct reader *r, struct codec *c, struct text text) {
    static int (*const read[])(const struct reader *,
                               const struct given *) = {[OPTION_IS_NUMBER] = read_whole_number,
                                                        [OPTION_IS_FLAG] = read_flag,
                                                        [OPTION_IS_KEYS] = read_keys,
                                                        [OPTION_IS_EXACT_BITS] = read_exact_bits,
                                                        [OPTION_IS_PROBABILITY] = read_probability};
    struct given g = {.to = &c->o};
    g.name = cut(&text, '=', &g.has_value);
    g.value = text;
    g.option = codec_option_find(c->ops->options | codec_common_options(c->for_values), g.name.s,
                                 g.name.n);
    return g.option ? read[g.option->kind](r, &g) : unknown_option(r, c, g.name);
}

/* NAME[:OPTION[,OPTION]...] */
static int read_codec(const struct reader *r, struct text t, bool values, struct codec *c) {
    bool options, more = true;
    struct text name = cut(&t, ':', &options);
    *c = (struct codec){.ops = find_codec(name), .for_values = values};
    for (size_t i = 0; !c->ops && codec_alias_at(i).name; i++) {
        struct codec_alias alias = codec_alias_at(i);
        if (!is(name, alias.name)) continue;
        int rc = read_codec(r, (struct text){alias.spec, strlen(alias.spec)}, values, c);
        if (rc) return rc;
    }
    if (!c->ops || !(values ? c->ops->values : c->ops->keys)) return unknown_codec(r, name, values);
    while (options && more) {
        int rc = read_option(r, c, cut(&t, ',', &more));
        if (rc) return rc;
    }
    return OK;
}

/* FIRST | FIRST-[LAST] */
static int read_layers(const struct reader *r, struct text t, size_t n_layer, size_t *first,
                       size_t *last) {
    bool range;
    struct text whole = t, begin = cut(&t, '-', &range);
    bool ok = read_number(begin, first);
    *last = range ? n_layer - 1 : *first;
    if (range && t.n) ok = read_number(t, last) && ok;
    if (ok && *first <= *last && *last < n_layer) return OK;
    return err_set(r->e, ERR_USAGE,
                   "--attn %.40s: '%.*s' are not layers, expected FIRST or FIRST-LAST of 0 to %zu",
                   r->spec, shown(whole), whole.s, n_layer - 1);
}

/* KEYS[/VALUES][@LAYERS] */
struct part {
    struct codec key, value;
    bool some_layers;
    struct text layers;
};

/* Takes the first part off the rest of a spec; *more: another follows. */
static int read_part(const struct reader *r, struct text *rest, bool *more, struct part *p) {
    bool has_values;
    struct text part = cut(rest, '+', more), codecs = cut(&part, '@', &p->some_layers),
                key_text = cut(&codecs, '/', &has_values);
    *p = (struct part){.some_layers = p->some_layers, .layers = part};
    int rc = read_codec(r, key_text, false, &p->key);
    const char *by_default = p->key.ops == &codec_fp32 ? codec_fp32.name : codec_fp16.name;
    if (!has_values) codecs = (struct text){by_default, strlen(by_default)};
    return rc ? rc : read_codec(r, codecs, true, &p->value);
}

int spec_next(const char **spec, struct codec *key, struct codec *value, struct err *e) {
    struct reader r = {*spec, e};
    struct text rest = {*spec, strlen(*spec)};
    struct part p;
    bool more;
    int rc = read_part(&r, &rest, &more, &p);
    *key = p.key, *value = p.value;
    *spec = rest.s;
    return rc;
}

int spec_codebooks(const char *spec, bool *uses, struct err *e) {
    int rc = OK;
    *uses = book_word_of(spec) != BOOK_WORDS;
    if (*uses) return OK;
    do {
        struct codec key, value;
        rc = spec_next(&spec, &key, &value, e);
        *uses = *uses || (!rc && (key.ops->codebooks || value.ops->codebooks));
    } while (!rc && *spec);
    return rc;
}

int spec_parse(const char *spec, size_t n_layer, struct codec *keys, struct codec *values,
               struct err *e) {
    struct reader r = {spec, e};
    struct text rest = {spec, strlen(spec)};
    bool more = true;
    for (size_t l = 0; l < n_layer; l++) keys[l].ops = NULL;
    while (more) {
        struct part p;
        size_t first = 0, last = n_layer - 1;
        int rc = read_part(&r, &rest, &more, &p);
        if (!rc && p.some_layers) rc = read_layers(&r, p.layers, n_layer, &first, &last);
        if (rc) return rc;
        for (size_t l = first; l <= last; l++) keys[l] = p.key, values[l] = p.value;
    }
    for (size_t l = 0; l < n_layer; l++)
        if (!keys[l].ops)
            return err_set(e, ERR_USAGE,
                           "--attn %.60s: layer %zu is left out; begin with a part for every layer",
                           spec, l);
    return OK;
}

int codec_parse(struct codec *c, const char *text, size_t head_dim, bool for_values,
                struct err *e) {
    struct reader r = {text, e};
    int rc = read_codec(&r, (struct text){text, strlen(text)}, for_values, c);
    return rc || !c->ops->check ? rc : c->ops->check(c, head_dim, e);
}

/* Does the text begin with a codec's name, or another name it goes by, as a whole word? */
static bool begins_with_codec(const char *s) {
    struct text word = {s, strcspn(s, ":/@+,")};
    for (size_t i = 0; codec_alias_at(i).name; i++)
        if (is(word, codec_alias_at(i).name)) return true;
    return find_codec(word) != NULL;
}

size_t spec_first(const char *list) {
    size_t n = strcspn(list, ",");
    while (list[n] && memchr(list, ':', n) && !begins_with_codec(list + n + 1))
        n += 1 + strcspn(list + n + 1, ",");
    return n;
}

size_t spec_format(const struct codec *c, char *out, size_t room) {
    unsigned taken = c->ops->options | codec_common_options(c->for_values);
    size_t at = (size_t)snprintf(out, room, "%s", c->ops->name);
    char separator = ':';
    for (size_t i = 0; codec_option_at(i) && at < room; i++) {
        char text[64];
        if (!(codec_option_at(i)->bit & taken)) continue; /* `check` may set others for itself */
        if (!codec_option_format(&c->o, codec_option_at(i), text, sizeof text)) continue;
        at += (size_t)snprintf(out + at, room - at, "%c%s", separator, text);
        separator = ',';
    }
    return at < room ? at : room - 1;
}
