/* lookat help attn: what can stand behind --attn, put together from the registry of codecs. */
#include <stdio.h>
#include <string.h>

#include "attention/spec.h"
#include "cli/command.h"

enum { DIM = 64 /* of the head that bytes are given for: GPT-2's */, COLUMN = 12 };

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

/* "options: group=N (32), rotate, center", in brackets the values they have where they are not
 * given. */
static void print_options(FILE *fp, const struct kv_codec *ops) {
    char text[300];
    struct codec c;
    struct err unread;
    bool defaults = codec_parse(&c, ops->name, DIM, !ops->keys, &unread) == OK;
    int at = snprintf(text, sizeof text, "options:");
    for (size_t i = 0; codec_option_at(i) && at < (int)sizeof text; i++) {
        const struct codec_option *o = codec_option_at(i);
        if (!(ops->options & o->bit)) continue;
        bool flag = o->kind == OPTION_IS_FLAG;
        size_t value = defaults && !flag ? *codec_option_number(&c.o, o) : 0;
        at += snprintf(text + at, sizeof text - (size_t)at, "%s %s%s", at > 8 ? "," : "", o->name,
                       flag ? "" : "=N");
        if (value && at < (int)sizeof text)
            at += snprintf(text + at, sizeof text - (size_t)at, " (%zu)", value);
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
    snprintf(left, sizeof left, "%s%s", o->name, o->kind == OPTION_IS_FLAG ? "" : "=N");
    snprintf(text, sizeof text, "%s%s", o->help,
             o->bit & codec_common_options(false)  ? " (of all keys)"
             : o->bit & codec_common_options(true) ? " (of all values)"
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
    for (size_t i = 0; codec_option_at(i); i++) print_option(fp, codec_option_at(i));
    fputc('\n', fp);
    help_wrap(
        fp,
        "compare, bench and calibrate take several between commas, --attn "
        "fp16,int4:rotate,center,lookat4: a comma followed by a codec's name begins "
        "the next one, any other separates options. lookat and pq need codebooks of the "
        "model, which lookat calibrate learns; the default model has "
        "some inside (lookat info lists them). Two words stand for a whole cache, keys and values, "
        "that calibrate --auto chose for the model: --attn lookat is the recommended one, "
        "--attn lookat:small the one that stores least. They are the whole of the spec: with "
        "anything beside it, as in lookat/fp16, lookat is the codec. lookat info MODEL gives the "
        "bytes of a token "
        "in that model, lookat compare what a backend costs "
        "the text.",
        0, 0);
}
