/* What is made from the list of options: finding one, its value, and printing it. */
#include "attention/codec_option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct codec_option list[] = {
#define ROW_OF_LIST(BIT, name, KIND, description) \
    {#name, description, OPTION_IS_##KIND, OPTION_##BIT, offsetof(struct codec_options, name)},
    CODEC_OPTIONS(ROW_OF_LIST)
#undef ROW_OF_LIST
};

const struct codec_option *codec_option_at(size_t index) {
    return index < CODEC_OPTION_COUNT ? &list[index] : NULL;
}

const struct codec_option *codec_option_find(unsigned options, const char *name, size_t n) {
    for (size_t i = 0; i < CODEC_OPTION_COUNT; i++)
        if (options & list[i].bit && strlen(list[i].name) == n &&
            memcmp(list[i].name, name, n) == 0)
            return &list[i];
    return NULL;
}

unsigned codec_common_options(bool for_values) {
    return for_values ? OPTION_SKIP : OPTION_SINK | OPTION_WINDOW | OPTION_REFINE | OPTION_EXACT;
}

static void *place(struct codec_options *o, const struct codec_option *option) {
    return (char *)o + option->position;
}

size_t *codec_option_number(struct codec_options *o, const struct codec_option *option) {
    return place(o, option);
}

bool *codec_option_flag(struct codec_options *o, const struct codec_option *option) {
    return place(o, option);
}

double *codec_option_probability(struct codec_options *o, const struct codec_option *option) {
    return place(o, option);
}

/* The shortest text that reads back as the same number. */
static size_t format_probability(const char *name, double p, char *out, size_t room) {
    char text[32] = "";
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, p);
        if (strtod(text, NULL) == p) break;
    }
    return (size_t)snprintf(out, room, "%s=%s", name, text);
}

size_t codec_option_format(const struct codec_options *o, const struct codec_option *option,
                           char *out, size_t room) {
    struct codec_options copy = *o;
    switch (option->kind) {
    case OPTION_IS_FLAG:
        return *codec_option_flag(&copy, option) ? (size_t)snprintf(out, room, "%s", option->name)
                                                 : 0;
    case OPTION_IS_PROBABILITY: {
        double p = *codec_option_probability(&copy, option);
        return p > 0 ? format_probability(option->name, p, out, room) : 0;
    }
    default: {
        size_t number = *codec_option_number(&copy, option);
        return number ? (size_t)snprintf(out, room, "%s=%zu", option->name, number) : 0;
    }
    }
}

void codec_option_names(unsigned options, char *out, size_t room) {
    size_t at = 0;
    if (room) out[0] = 0;
    for (size_t i = 0; i < CODEC_OPTION_COUNT && at < room; i++)
        if (options & list[i].bit)
            at += (size_t)snprintf(out + at, room - at, "%s%s", at ? " " : "", list[i].name);
}

bool codec_options_same(const struct codec_options *a, const struct codec_options *b) {
    struct codec_options x = *a, y = *b;
    bool same = true;
    for (size_t i = 0; i < CODEC_OPTION_COUNT && same; i++) {
        const struct codec_option *option = &list[i];
        if (option->kind == OPTION_IS_FLAG)
            same = *codec_option_flag(&x, option) == *codec_option_flag(&y, option);
        else if (option->kind == OPTION_IS_PROBABILITY)
            same =
                !(*codec_option_probability(&x, option) < *codec_option_probability(&y, option)) &&
                !(*codec_option_probability(&x, option) > *codec_option_probability(&y, option));
        else
            same = *codec_option_number(&x, option) == *codec_option_number(&y, option);
    }
    return same;
}
