#include "attention/spec_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention/book_word.h"
#include "attention/spec.h"

/* Text that grows in an arena. */
struct growing {
    struct arena *arena;
    char *s;
    size_t n, room;
    bool failed;
};

static void append(struct growing *g, const char *s, size_t n) {
    if (g->failed) return;
    if (g->n + n + 1 > g->room) {
        size_t room = 2 * (g->n + n + 1) + 64;
        char *more = arena_alloc(g->arena, room, 1);
        g->failed = !more;
        if (!more) return;
        if (g->n) memcpy(more, g->s, g->n);
        g->s = more;
        g->room = room;
    }
    memcpy(g->s + g->n, s, n);
    g->n += n;
    g->s[g->n] = 0;
}
static void append_text(struct growing *g, const char *s) { append(g, s, strlen(s)); }

char *spec_effective(const struct attn *a, struct arena *arena) {
    enum { CODEC_ROOM = 512 }; /* more than all options with numbers of 20 digits */
    struct growing g = {.arena = arena};
    size_t L = a->shape.n_layer;
    for (size_t first = 0, next; first < L; first = next) {
        const struct attn_layer *y = &a->layers[first];
        for (next = first + 1; next < L; next++)
            if (!codec_same(&a->layers[next].key, &y->key) ||
                !codec_same(&a->layers[next].value, &y->value))
                break;
        char codec[CODEC_ROOM], layers[64] = "";
        append_text(&g, first ? "+" : "");
        append(&g, codec, spec_format(&y->key, codec, sizeof codec));
        append_text(&g, "/");
        append(&g, codec, spec_format(&y->value, codec, sizeof codec));
        if (first > 0 || next < L)
            snprintf(layers, sizeof layers,
                     next == L           ? "@%zu-"
                     : next == first + 1 ? "@%zu"
                                         : "@%zu-%zu",
                     first, next - 1);
        append_text(&g, layers);
    }
    return g.failed ? NULL : g.s;
}

/* ---- titles ---- */

/* What a spec says of its keys, or of its values: between '/' and '+'. */
static void side(struct growing *out, const char *given, bool values) {
    bool behind_slash = false;
    append_text(out, "");
    for (const char *s = given; *s; s++) {
        behind_slash = *s == '/' || (behind_slash && *s != '+');
        if (behind_slash == values) append(out, s, 1);
    }
}

/* Adds a word unless the spec as given has it already. */
static void add_word(char *out, size_t room, const char *given, const char *word) {
    size_t n = strlen(out);
    if (!strstr(given, word)) snprintf(out + n, room - n, "%s%s", n ? ", " : "", word);
}

/* What the spec as given leaves open of "plain", or "learned" and "bytes=4", and "k=16" where
 * codebooks are small. c has codebooks. */
static void method(char *out, size_t room, const struct codec *c, const char *given) {
    size_t bytes = c->o.bytes, k = c->o.k;
    bool plain = c->o.plain;
    char number[32];
    out[0] = 0;
    if (!plain && !strstr(given, "bytes=")) add_word(out, room, given, "learned");
    if (plain) add_word(out, room, given, "plain");
    snprintf(number, sizeof number, "bytes=%zu", bytes);
    if (bytes) add_word(out, room, given, number);
    snprintf(number, sizeof number, "k=%zu", k);
    if (k && k != 256 && !(k == 16 && strstr(given, "x4"))) add_word(out, room, given, number);
}

/* Adds the methods of the keys, or of the values, each once, in the order of the layers. */
static void methods(struct growing *g, const char *given, const char *effective, bool values) {
    size_t begin = g->n;
    while (*effective) {
        struct codec key, value;
        struct err unread;
        if (spec_next(&effective, &key, &value, &unread)) return;
        const struct codec *c = values ? &value : &key;
        if (!c->ops->codebooks) continue;
        char text[96];
        method(text, sizeof text, c, given);
        if (!text[0] || (g->s && strstr(g->s + begin, text))) continue;
        append_text(g, g->n > begin ? "; " : values ? (begin ? "; values " : "values ") : "");
        append_text(g, text);
    }
}

char *spec_title(const char *given, const char *effective, struct arena *arena) {
    struct growing list = {.arena = arena}, title = {.arena = arena}, keys = {.arena = arena},
                   values = {.arena = arena};
    append_text(&list, "");
    if (book_word_of(given) != BOOK_WORDS) {
        append_text(&title, given);
        append_text(&title, " (");
        append_text(&title, effective);
        append_text(&title, ")");
        return title.failed ? NULL : title.s;
    }
    side(&keys, given, false);
    side(&values, given, true);
    if (keys.failed || values.failed) return NULL;
    methods(&list, keys.s, effective, false);
    methods(&list, values.s, effective, true);
    append_text(&title, given);
    if (!list.failed && list.n) {
        append_text(&title, " (");
        append_text(&title, list.s);
        append_text(&title, ")");
    }
    return list.failed || title.failed ? NULL : title.s;
}
