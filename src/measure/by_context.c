#include "measure/by_context.h"

#include "attention/account.h"

size_t context_lengths(size_t T, size_t *n_tokens) {
    size_t longest = T < CONTEXT_MOST ? T : CONTEXT_MOST, n = 0;
    for (size_t at = CONTEXT_LEAST; at < longest && n + 2 < CONTEXTS_MAX; at *= 2) {
        n_tokens[n++] = at;
        if (at + at / 2 < longest) n_tokens[n++] = at + at / 2;
    }
    n_tokens[n++] = longest;
    return n;
}

static struct attn_counters read_at(const struct attn *a, size_t n) {
    struct attn_counters c = {0};
    for (size_t l = 0; l < a->shape.n_layer; l++) account_reads(a, l, n, &c);
    return c;
}

static int make_totals(const struct attn *a, size_t codebooks, size_t longest,
                       struct context_totals *t, struct arena *arena, struct err *e) {
    t->loaded = arena_alloc(arena, longest, sizeof *t->loaded);
    t->streamed = arena_alloc(arena, longest, sizeof *t->streamed);
    if (!t->loaded || !t->streamed)
        return err_set(e, ERR_FAILED, "out of memory for bytes by context");
    t->longest = longest;
    for (size_t n = 1; n <= longest; n++) {
        struct attn_counters c = read_at(a, n);
        t->loaded[n - 1] = attn_counters_total(&c);
        t->streamed[n - 1] = account_split(&c, codebooks).streamed;
    }
    return OK;
}

/* From the longest context down, until one of them is not less any more. */
static void compare(const struct attn *a, size_t codebooks, const struct context_totals *t,
                    struct by_context *b) {
    bool loaded = true, streamed = true;
    for (size_t n = t->longest; n >= 1 && (loaded || streamed); n--) {
        struct attn_counters c = read_at(a, n);
        loaded = loaded && attn_counters_total(&c) < t->loaded[n - 1];
        streamed = streamed && account_split(&c, codebooks).streamed < t->streamed[n - 1];
        if (loaded) b->fewer_loaded = n;
        if (streamed) b->fewer_streamed = n;
    }
}

int by_context_fill(const struct attn *a, size_t codebooks, const size_t *n_tokens, size_t n,
                    struct context_totals *totals, struct by_context *b, struct arena *arena,
                    struct err *e) {
    *b = (struct by_context){.loaded = arena_alloc(arena, n, sizeof *b->loaded)};
    if (!b->loaded) return err_set(e, ERR_FAILED, "out of memory for bytes by context");
    for (size_t i = 0; i < n; i++) b->loaded[i] = read_at(a, n_tokens[i]);
    if (!totals->longest) return make_totals(a, codebooks, n_tokens[n - 1], totals, arena, e);
    compare(a, codebooks, totals, b);
    return OK;
}
