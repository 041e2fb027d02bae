#include "cli/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/text.h"

#define FEW "sink=1,window=32"

/* The parts of learned quantisers by name, also for messages. */
static const struct {
    unsigned part;
    const char *name;
} parts[] = {{LEARN_METRIC, "metric"},
             {LEARN_WEIGHTS, "weights"},
             {LEARN_DIRECTIONS, "directions"},
             {LEARN_RANGES, "ranges"},
             {LEARN_ROTATION, "rotation"}};
enum { PARTS = sizeof parts / sizeof *parts, WAYS = 4 + PARTS };

/* One way: a setting and how it is learned. */
struct way {
    struct codebook setting;
    unsigned parts;
    const char *without; /* the part left out, or NULL */
    struct spec_damage damage, with_few;
};

struct searching {
    const struct key_sample *sample;
    const struct engine *g;
    const struct allot_text *t;
    const struct book *like;
    bool quiet;
    struct text_progress progress;
    size_t done, total; /* ways */
};

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

static void way_spec(char *out, size_t room, const struct way *w) {
    const struct codebook *y = &w->setting;
    if (y->uneven)
        snprintf(out, room, y->k == 256 ? "lookat:bytes=%zu" : "lookat:bytes=%zu,k=%zu", y->m,
                 y->k);
    else
        snprintf(out, room, "lookat%zu:%s", y->m, y->learned ? "learned" : "plain");
}

/* Learns a way's setting into *book, which is then open. */
static int learn(const struct searching *x, const struct way *w, struct book *book, struct err *e) {
    struct learn_error *errors = NULL;
    *book = (struct book){.path = "what --auto learned",
                          .n_layer = x->like->n_layer,
                          .n_head = x->like->n_head,
                          .head_dim = x->like->head_dim,
                          .seed = x->like->seed};
    book->books = arena_zalloc(&book->arena, 1, sizeof *book->books);
    errors = arena_alloc(&book->arena, book->n_layer, sizeof *errors);
    if (!book->books || !errors) return no_memory(e);
    book->books[book->n++] = w->setting;
    int rc = w->setting.uneven ? allot_codes(book, x->sample, w->parts, x->g, x->t, true, e) : OK;
    return rc ? rc
              : book_learn(book, x->sample, w->parts, book->seed, x->g->k, errors, NULL, NULL, e);
}

/* Learns and judges one way; *book is open and has its codebooks. */
static int try_way(struct searching *x, struct way *w, struct book *book, struct err *e) {
    char spec[64], few[96];
    const struct gpt2_weights *model = &x->g->model.weights;
    way_spec(spec, sizeof spec, w);
    snprintf(few, sizeof few, "%s%c" FEW, spec, strchr(spec, ':') ? ',' : ':');
    int rc = learn(x, w, book, e);
    if (!rc) rc = damage_of_spec(&w->damage, model, x->g->k, spec, book, x->t->windows, x->t->n, e);
    if (!rc)
        rc = damage_of_spec(&w->with_few, model, x->g->k, few, book, x->t->windows, x->t->n, e);
    if (!rc && !x->quiet) progress_share(&x->progress, ++x->done, x->total);
    return rc;
}

/* Is m a number of codes that all heads can have alike? */
static bool even(size_t m, size_t head_dim) {
    return (m & (m - 1)) == 0 && m <= 32 && head_dim % m == 0;
}

/* The ways for one budget: of equal shares first; *n_even of them. Those that follow take the best
 * one's parts. */
static size_t list_ways(struct way *ways, size_t bytes, size_t head_dim, size_t *n_even) {
    size_t n = 0;
    if (even(bytes, head_dim)) {
        ways[n++] = (struct way){.setting = {.m = bytes, .k = 256}};
        ways[n++] =
            (struct way){.setting = {.m = bytes, .k = 256, .learned = true}, .parts = LEARN_ALL};
        for (size_t i = 0; i < PARTS; i++) {
            unsigned rest = LEARN_ALL & ~parts[i].part &
                            ~(parts[i].part == LEARN_DIRECTIONS ? (unsigned)LEARN_RANGES : 0u);
            ways[n++] = (struct way){.setting = {.m = bytes, .k = 256, .learned = true},
                                     .parts = rest,
                                     .without = parts[i].name};
        }
    }
    *n_even = n;
    ways[n++] = (struct way){.setting = {.m = bytes, .k = 256, .learned = true, .uneven = true},
                             .parts = LEARN_ALL};
    ways[n++] = (struct way){.setting = {.m = bytes, .k = 16, .learned = true, .uneven = true},
                             .parts = LEARN_ALL};
    return n;
}

/* "KL 0.054 +- 0.004"; one window says nothing of the error. */
static struct text_number kl_text(const struct spec_damage *d) {
    struct text_number t;
    int n = snprintf(t.s, sizeof t.s, "KL %.3g", d->kl);
    if (isfinite(d->kl_error)) snprintf(t.s + n, sizeof t.s - (size_t)n, " +- %.2g", d->kl_error);
    return t;
}

static int add_line(struct search *s, const struct way *w, bool best, struct arena *arena,
                    struct err *e) {
    char spec[64], line[256];
    way_spec(spec, sizeof spec, w);
    int n = snprintf(
        line, sizeof line, "%zu byte%s: %s%s%s: %s, ratio %.4f; with " FEW " %s, ratio %.4f%s",
        w->setting.m, w->setting.m == 1 ? "" : "s", spec, w->without ? " without " : "",
        w->without ? w->without : "", kl_text(&w->damage).s, w->damage.ratio,
        kl_text(&w->with_few).s, w->with_few.ratio, best ? "; kept" : "");
    s->lines[s->n_lines] = arena_copy(arena, line, (size_t)n);
    return s->lines[s->n_lines++] ? OK : no_memory(e);
}

static int search_budget(struct searching *x, struct search *s, size_t bytes, struct arena *arena,
                         struct err *e) {
    struct way ways[WAYS];
    size_t n_even, n = list_ways(ways, bytes, x->like->head_dim, &n_even), best = n;
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

int search_run(struct search *s, const size_t *budgets, size_t n_budgets, const struct book *like,
               const struct key_sample *sample, const struct engine *g, const struct allot_text *t,
               bool quiet, struct arena *arena, struct err *e) {
    struct searching x = {.sample = sample, .g = g, .t = t, .like = like, .quiet = quiet};
    struct way ways[WAYS];
    size_t n_even;
    *s = (struct search){.found = arena_zalloc(arena, n_budgets, sizeof *s->found),
                         .lines = arena_zalloc(arena, n_budgets * WAYS, sizeof *s->lines)};
    if (!s->found || !s->lines) return no_memory(e);
    for (size_t i = 0; i < n_budgets; i++)
        x.total += list_ways(ways, budgets[i], like->head_dim, &n_even);
    progress_begin(&x.progress, "trying ways to make keys");
    int rc = OK;
    for (size_t i = 0; i < n_budgets && !rc; i++) rc = search_budget(&x, s, budgets[i], arena, e);
    progress_end(&x.progress);
    return rc;
}

void search_close(struct search *s) {
    for (size_t i = 0; i < s->n; i++) book_close(&s->found[i]);
}
