/* lookat help attn: what can stand behind --attn, put together from the registry of codecs. */
#include <stdio.h>
#include <string.h>

#include "attention/spec.h"
#include "cli/command.h"

enum { DIM = 64 /* of the head that bytes are given for: GPT-2's */, COLUMN = 12 };

/* Is `word` one of the words of the list, which spaces separate? */
static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (; *list; list += strcspn(list, " "), list += *list == ' ')
        if (strcspn(list, " ") == n && memcmp(list, word, n) == 0) return true;
    return false;
}

/* Bytes of a row of the codec, as keys or as values; 0 where it does not serve for that. */
static size_t row_bytes(const char *spec) {
    struct codec c;
    struct err unread;
    for (int values = 0; values < 2; values++)
        if (codec_parse(&c, spec, DIM, values, &unread) == OK) return c.ops->row_bytes(&c, DIM, 0);
    return 0;
}

/* Is the spec one of this codec's? */
static bool is_of(const char *spec, const struct kv_codec *ops) {
    struct codec c;
    struct err unread;
    return codec_parse(&c, spec, DIM, !ops->keys, &unread) == OK && c.ops == ops;
}

/* "int8 68, q8_0 68", the codec's own name first, then its usual options and the other names that
 * it goes by. */
static void print_bytes(FILE *fp, const struct kv_codec *ops) {
    char text[600];
    int at = snprintf(text, sizeof text, "bytes a row: %s %zu", ops->name, row_bytes(ops->name));
    for (size_t i = 0; kv_codec_listed(i) && at < (int)sizeof text; i++) {
        const char *spec = kv_codec_listed(i);
        if (strchr(spec, ':') && is_of(spec, ops))
            at += snprintf(text + at, sizeof text - (size_t)at, ", %s %zu", spec, row_bytes(spec));
    }
    for (size_t i = 0; codec_alias_at(i).name && at < (int)sizeof text; i++) {
        const char *spec = codec_alias_at(i).name;
        if (is_of(spec, ops))
            at += snprintf(text + at, sizeof text - (size_t)at, ", %s %zu", spec, row_bytes(spec));
    }
    help_wrap(fp, text, fprintf(fp, "%*s", COLUMN, ""), COLUMN);
}

/* The value that `name`= has where it is not given, from the codec's spec in full; "" where there
 * is none. */
static struct codec_text { char s[24]; } default_of(const struct kv_codec *ops, const char *name) {
    struct codec c;
    struct err unread;
    struct codec_text out = {""};
    char full[128], key[24];
    if (codec_parse(&c, ops->name, DIM, !ops->keys, &unread)) return out;
    spec_format(&c, full, sizeof full);
    snprintf(key, sizeof key, "%s=", name);
    for (const char *at = strpbrk(full, ":"); at; at = strpbrk(at + 1, ","))
        if (strncmp(at + 1, key, strlen(key)) == 0)
            snprintf(out.s, sizeof out.s, "%.*s", (int)strcspn(at + 1 + strlen(key), ","),
                     at + 1 + strlen(key));
    return out;
}

/* "options: group=N (32), rotate, center" */
static void print_options(FILE *fp, const struct kv_codec *ops) {
    char text[300];
    int at = snprintf(text, sizeof text, "options:");
    for (size_t i = 0; codec_option_at(i).name && at < (int)sizeof text; i++) {
        struct codec_option o = codec_option_at(i);
        if (!has_word(ops->options, o.name)) continue;
        struct codec_text value = default_of(ops, o.name);
        at += snprintf(text + at, sizeof text - (size_t)at, "%s %s%s%s%s%s", at > 8 ? "," : "",
                       o.name, o.number ? "=N" : "", *value.s ? " (" : "", value.s,
                       *value.s ? ")" : "");
    }
    if (at > 8) help_wrap(fp, text, fprintf(fp, "%*s", COLUMN, ""), COLUMN);
}

static void print_codec(FILE *fp, const struct kv_codec *ops) {
    int at = fprintf(fp, "  %-*s", COLUMN - 2, ops->name);
    char text[300];
    snprintf(text, sizeof text, "%s (%s)", ops->summary,
             ops->keys && ops->values ? "keys and values"
             : ops->keys              ? "keys"
                                      : "values");
    help_wrap(fp, text, at, COLUMN);
    print_options(fp, ops);
    print_bytes(fp, ops);
    fprintf(fp, "%*sexample: --attn %s\n", COLUMN, "", ops->example);
}

static void print_option(FILE *fp, const struct codec_option *o) {
    char left[32], text[200];
    bool every_key = has_word(codec_common_options(false), o->name),
         every_value = has_word(codec_common_options(true), o->name);
    snprintf(left, sizeof left, "%s%s", o->name, o->number ? "=N" : "");
    snprintf(text, sizeof text, "%s%s", o->help,
             every_key     ? " (of all keys)"
             : every_value ? " (of all values)"
                           : "");
    help_wrap(fp, text, fprintf(fp, "  %-*s", COLUMN - 2, left), COLUMN);
}

void help_attn(FILE *fp) {
    fprintf(fp, "usage: --attn KEYS[/VALUES][@LAYERS][+KEYS[/VALUES]@LAYERS]...\n\n");
    help_wrap(fp,
              "How attention stores the keys and values of past tokens, and reads them. KEYS and "
              "VALUES are each CODEC or CODEC:OPTION,OPTION...; values "
              "are fp16 where none are named (fp32 with fp32 keys). @LAYERS is FIRST, FIRST-LAST "
              "or FIRST-, layers counted from 0; a part behind a + "
              "overrides those before it for its layers: fp16+lookat4@2- is fp16 in layers 0 and "
              "1, lookat4 in the others.",
              0, 0);
    fprintf(fp, "\nCodecs (bytes of one row of a head of %d dimensions; defaults in brackets):\n",
            DIM);
    for (size_t i = 0; kv_codec_at(i); i++) print_codec(fp, kv_codec_at(i));
    fprintf(fp, "\nOptions:\n");
    for (size_t i = 0; codec_option_at(i).name; i++) {
        struct codec_option o = codec_option_at(i);
        print_option(fp, &o);
    }
    fputc('\n', fp);
    help_wrap(fp,
              "compare, bench and calibrate take several between commas, --attn "
              "fp16,int4:rotate,center,lookat4: a comma followed by a codec's name begins "
              "the next one, any other separates options. lookat and pq need codebooks of the "
              "model, which lookat calibrate learns; the default model has "
              "some inside (lookat info lists them). lookat info MODEL gives the bytes of a token "
              "in that model, lookat compare what a backend costs "
              "the text.",
              0, 0);
}
