/* See search.h. A budget's ways are tried one after another; the book of the best so far is kept,
 * the others are closed. */
#include "calibration/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The exact keys that each way is judged with as well. */
#define EXACT_KEYS "sink=1,window=32"

enum { WAYS = 4 + LEARN_PARTS }; /* for one budget, at most */

/* One way: a setting of codebooks, how it is learned, and what it was found to cost. */
struct way {
    struct codebook setting;
    unsigned parts;
    const char *without; /* the part left out, or NULL */
    struct spec_damage damage, with_exact;
};

struct searching {
    const struct search_plan *plan;
    size_t done, total; /* ways */
};

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

/* Gives the heads of a book's one setting, an uneven one, their bytes. */
static int allot(struct book *book, const struct learning *l, const struct damage_setup *on,
                 struct err *e) {
    struct book even;
    int rc = allot_learn_even(&even, book, l, e);
    if (!rc) rc = allot_codes(book, &even, l, on, (struct progress){0}, e);
    book_close(&even);
    return rc;
}

/* Learns a way's setting into *book, which is then open. */
static int learn(const struct searching *x, const struct way *w, struct book *book, struct err *e) {
    const struct book *like = x->plan->like;
    struct learning l = {
        .sample = x->plan->sample, .parts = w->parts, .seed = like->seed, .kn = x->plan->on.kn};
    *book = (struct book){.path = "what --auto learned",
                          .n_layer = like->n_layer,
                          .n_head = like->n_head,
                          .head_dim = like->head_dim,
                          .seed = like->seed};
    book->books = arena_zalloc(&book->arena, 1, sizeof *book->books);
    struct learn_error *errors = arena_alloc(&book->arena, book->n_layer, sizeof *errors);
    if (!book->books || !errors) return no_memory(e);
    book->books[book->n++] = w->setting;
    int rc = w->setting.uneven ? allot(book, &l, &x->plan->on, e) : OK;
    return rc ? rc : book_learn(book, &l, errors, e);
}

/* Learns and judges one way; *book is open and has its codebooks. */
static int try_way(struct searching *x, struct way *w, struct book *book, struct err *e) {
    char spec[64], with_exact[96];
    const struct damage_setup *on = &x->plan->on;
    codebook_name(&w->setting, false, spec, sizeof spec);
    snprintf(with_exact, sizeof with_exact, "%s%c" EXACT_KEYS, spec, strchr(spec, ':') ? ',' : ':');
    int rc = learn(x, w, book, e);
    if (!rc) rc = damage_of_spec(&w->damage, on, spec, book, e);
    if (!rc) rc = damage_of_spec(&w->with_exact, on, with_exact, book, e);
    if (!rc) progress_tell(x->plan->progress, ++x->done, x->total);
    return rc;
}

/* Is m a number of codes that all heads can have alike? */
static bool even(size_t m, size_t head_dim) {
    return (m & (m - 1)) == 0 && m <= 32 && head_dim % m == 0;
}

/* Lists the ways for one budget and returns how many there are. The first *n_even have equal
 * shares; those that follow take the parts of the best of these. */
static size_t list_ways(struct way *ways, size_t bytes, size_t head_dim, size_t *n_even) {
    size_t n = 0;
    if (even(bytes, head_dim)) {
        ways[n++] = (struct way){.setting = {.m = bytes, .k = 256}};
        ways[n++] =
            (struct way){.setting = {.m = bytes, .k = 256, .learned = true}, .parts = LEARN_ALL};
        for (size_t i = 0; i < LEARN_PARTS; i++) {
            unsigned part = 1u << i, rest = LEARN_ALL & ~part;
            if (part == LEARN_DIRECTIONS) rest &= ~(unsigned)LEARN_RANGES; /* ranges are of these */
            ways[n++] = (struct way){.setting = {.m = bytes, .k = 256, .learned = true},
                                     .parts = rest,
                                     .without = learn_part_names[i]};
        }
    }
    *n_even = n;
    ways[n++] = (struct way){.setting = {.bytes = bytes, .k = 256, .learned = true, .uneven = true},
                             .parts = LEARN_ALL};
    ways[n++] = (struct way){.setting = {.bytes = bytes, .k = 16, .learned = true, .uneven = true},
                             .parts = LEARN_ALL};
    return n;
}

struct kl_text {
    char s[40];
};

/* Returns "KL 0.054 +- 0.004"; the error is left out for one window, which says nothing of it. */
static struct kl_text kl_text(const struct spec_damage *d) {
    struct kl_text t;
    int n = snprintf(t.s, sizeof t.s, "KL %.3g", d->kl);
    if (isfinite(d->kl_error)) snprintf(t.s + n, sizeof t.s - (size_t)n, " +- %.2g", d->kl_error);
    return t;
}

static int add_line(struct search *s, const struct way *w, bool best, struct arena *arena,
                    struct err *e) {
    char spec[64], line[256];
    codebook_name(&w->setting, false, spec, sizeof spec);
    int n =
        snprintf(line, sizeof line,
                 "%zu byte%s: %s%s%s: %s, ratio %.4f; with " EXACT_KEYS " %s, ratio %.4f%s",
                 w->setting.m, w->setting.m == 1 ? "" : "s", spec, w->without ? " without " : "",
                 w->without ? w->without : "", kl_text(&w->damage).s, w->damage.ratio,
                 kl_text(&w->with_exact).s, w->with_exact.ratio, best ? "; kept" : "");
    s->lines[s->n_lines] = arena_copy(arena, line, (size_t)n);
    return s->lines[s->n_lines++] ? OK : no_memory(e);
}

static int search_budget(struct searching *x, struct search *s, size_t bytes, struct arena *arena,
                         struct err *e) {
    struct way ways[WAYS];
    size_t n_even, n = list_ways(ways, bytes, x->plan->like->head_dim, &n_even), best = n;
    struct book *kept = &s->found[s->n++];
    unsigned with = LEARN_ALL;
    int rc = OK;
    for (size_t i = 0; i < n && !rc; i++) {
        struct book book;
        if (i >= n_even) ways[i].parts = with;
        rc = try_way(x, &ways[i], &book, e);
        bool better = !rc && (best == n || ways[i].damage.kl < ways[best].damage.kl);
        if (better) {
            book_close(kept);
            *kept = book;
            best = i;
            if (i < n_even && ways[i].setting.learned) with = ways[i].parts;
        } else
            book_close(&book);
    }
    for (size_t i = 0; i < n && !rc; i++) rc = add_line(s, &ways[i], i == best, arena, e);
    return rc;
}

int search_run(struct search *s, const struct search_plan *plan, struct arena *arena,
               struct err *e) {
    struct searching x = {.plan = plan};
    struct way ways[WAYS];
    size_t n_even;
    *s = (struct search){.found = arena_zalloc(arena, plan->n_budgets, sizeof *s->found),
                         .lines = arena_zalloc(arena, plan->n_budgets * WAYS, sizeof *s->lines)};
    if (!s->found || !s->lines) return no_memory(e);
    for (size_t i = 0; i < plan->n_budgets; i++)
        x.total += list_ways(ways, plan->budgets[i], plan->like->head_dim, &n_even);
    int rc = OK;
    for (size_t i = 0; i < plan->n_budgets && !rc; i++)
        rc = search_budget(&x, s, plan->budgets[i], arena, e);
    return rc;
}

void search_close(struct search *s) {
    for (size_t i = 0; i < s->n; i++) book_close(&s->found[i]);
}
