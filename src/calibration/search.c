/* See search.h. Caches are tried in rounds, so that a window's exact pass, which all are compared
 * with, serves a whole round. */
#include "calibration/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attention/account.h"
#include "attention/spec.h"

/* The numbers of rows to read again, one for each round after the first; the bits of their copy. */
static const size_t rows[] = {8, 16, 32, 64}, copies[] = {8, 4};
enum { ROUNDS = sizeof rows / sizeof *rows, COPIES = sizeof copies / sizeof *copies };
enum { TRIALS = 2 + ROUNDS * COPIES }; /* of a pair, at most */

struct searching {
    const struct search_plan *plan;
    struct search *found;
    bool *enough; /* [n_pairs][COPIES] fewer rows than those to come stay below the bound */
};

static int no_memory(struct err *e) { return err_set(e, ERR_FAILED, "out of memory"); }

/* ---- what a cache reads and stores ---- */

static int measure_bytes(struct search_trial *t, const struct search_plan *plan, struct err *e) {
    const struct gpt2_config *c = &plan->on.weights->config;
    const struct attn_shape shape = {c->n_layer, c->n_head, c->n_embd / c->n_head, plan->window};
    struct attn_counters count = {0};
    struct attn a;
    int rc = attn_init(&a, &shape, t->spec, plan->book, plan->on.kn, e);
    if (rc) return rc;
    for (size_t l = 0; l < shape.n_layer; l++) account_reads(&a, l, plan->window, &count);
    struct account split = account_split(&count, account_codebooks(&a));
    t->streamed = split.streamed;
    t->loaded = split.streamed + split.at_hand;
    t->stored = attn_key_bytes_per_token_at(&a, plan->window) + attn_value_bytes_per_token(&a) +
                attn_copy_bytes_per_token(&a);
    attn_free(&a);
    return OK;
}

/* ---- trials ---- */

/* Adds a trial: the pair with these options of exact rows, and its bytes. */
static int add_trial(struct searching *x, const struct search_pair *pair,
                     const struct codec_options *exact, struct err *e) {
    struct search_trial *t = &x->found->trials[x->found->n++];
    struct codec key = pair->key;
    char text[2][BOOK_WORD_BYTES];
    key.o.sink = exact->sink, key.o.window = exact->window;
    key.o.refine = exact->refine, key.o.exact = exact->exact;
    *t = (struct search_trial){0};
    spec_format(&key, text[0], sizeof text[0]);
    spec_format(&pair->value, text[1], sizeof text[1]);
    int n = snprintf(t->spec, sizeof t->spec, "%s/%s", text[0], text[1]);
    if (n < 0 || (size_t)n >= sizeof t->spec)
        return err_set(e, ERR_USAGE, "--attn %.40s...: the spec is too long for --auto", t->spec);
    return measure_bytes(t, x->plan, e);
}

/* Measures the damage of the trials from number `first` on. */
static int judge(struct searching *x, size_t first, struct err *e) {
    struct search_trial *t = x->found->trials + first;
    size_t n = x->found->n - first;
    struct arena scratch = {0};
    const char **specs = arena_alloc(&scratch, n + 1, sizeof *specs);
    struct spec_damage *damage = arena_alloc(&scratch, n + 1, sizeof *damage);
    int rc = specs && damage ? OK : no_memory(e);
    for (size_t i = 0; i < n && !rc; i++) specs[i] = t[i].spec;
    if (!rc && n) rc = damage_of_specs(damage, &x->plan->on, specs, n, x->plan->book, e);
    for (size_t i = 0; i < n && !rc; i++) t[i].damage = damage[i];
    arena_free(&scratch);
    return rc;
}

static int first_round(struct searching *x, struct err *e) {
    const struct codec_options alone = {0}, few = {.sink = 1, .window = 32, .exact = 8};
    int rc = OK;
    for (size_t p = 0; p < x->plan->n_pairs && !rc; p++) {
        rc = add_trial(x, &x->plan->pairs[p], &alone, e);
        if (!rc) rc = add_trial(x, &x->plan->pairs[p], &few, e);
    }
    return rc ? rc : judge(x, 0, e);
}

/* Reads `best` rows again, wherever fewer are not enough. */
static int refine_round(struct searching *x, size_t best, struct err *e) {
    size_t first = x->found->n, number = first;
    int rc = OK;
    for (size_t i = 0; i < x->plan->n_pairs * COPIES && !rc; i++) {
        const struct codec_options o = {.refine = best, .exact = copies[i % COPIES]};
        if (!x->enough[i]) rc = add_trial(x, &x->plan->pairs[i / COPIES], &o, e);
    }
    if (!rc) rc = judge(x, first, e);
    for (size_t i = 0; i < x->plan->n_pairs * COPIES && !rc; i++) {
        if (x->enough[i]) continue;
        double kl = x->found->trials[number++].damage.kl;
        x->enough[i] = kl < x->plan->bound[BOOK_RECOMMENDED];
    }
    return rc;
}

/* ---- the choice ---- */

static bool better(const struct search_trial *a, const struct search_trial *b,
                   enum book_word word) {
    uint64_t x = word == BOOK_SMALL ? a->stored : a->streamed,
             y = word == BOOK_SMALL ? b->stored : b->streamed;
    return x < y || (x == y && a->loaded < b->loaded);
}

static void choose(struct search *s, const struct search_plan *plan, enum book_word word) {
    struct search_trial *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct search_trial *t = &s->trials[i];
        if (t->damage.kl < plan->bound[word] && (!best || better(t, best, word))) best = t;
    }
    if (best) best->chosen[word] = true;
}

int search_run(struct search *s, const struct search_plan *plan, struct arena *arena,
               struct err *e) {
    size_t n = plan->n_pairs;
    *s = (struct search){.trials = arena_alloc(arena, n * TRIALS, sizeof *s->trials)};
    struct searching x = {.plan = plan, .found = s, .enough = arena_zalloc(arena, n, COPIES)};
    int rc = s->trials && x.enough ? first_round(&x, e) : no_memory(e);
    for (size_t i = 0; i < ROUNDS && !rc; i++) {
        progress_tell(plan->progress, i + 1, ROUNDS + 1);
        if (rows[i] < plan->window) rc = refine_round(&x, rows[i], e);
    }
    progress_tell(plan->progress, ROUNDS + 1, ROUNDS + 1);
    for (size_t word = 0; word < BOOK_WORDS && !rc; word++) choose(s, plan, (enum book_word)word);
    return rc;
}

const struct search_trial *search_chosen(const struct search *s, enum book_word word) {
    for (size_t i = 0; i < s->n; i++)
        if (s->trials[i].chosen[word]) return &s->trials[i];
    return NULL;
}

/* ---- the table ---- */

static void line_of(char *out, size_t room, const struct search_trial *t, int width) {
    char error[24] = "";
    if (isfinite(t->damage.kl_error)) snprintf(error, sizeof error, "%.2g", t->damage.kl_error);
    int n = snprintf(out, room, "%-*s  %9.3g  %7s  %10.1f  %8.1f  %8llu", width, t->spec,
                     t->damage.kl, error, (double)t->streamed / 1000, (double)t->loaded / 1000,
                     (unsigned long long)t->stored);
    for (size_t word = 0; word < BOOK_WORDS && n > 0 && (size_t)n < room; word++)
        if (t->chosen[word])
            n += snprintf(out + n, room - (size_t)n, SEARCH_CHOSEN "%s",
                          book_word_name((enum book_word)word));
}

int search_lines(char **lines, const struct search *s, struct arena *arena, struct err *e) {
    char line[BOOK_WORD_BYTES + 128];
    size_t width = strlen("cache");
    for (size_t i = 0; i < s->n; i++) {
        size_t n = strlen(s->trials[i].spec);
        width = n > width ? n : width;
    }
    snprintf(line, sizeof line, "%-*s  KL, nats       +-  streams KB  loads KB  stores B",
             (int)width, "cache");
    lines[0] = arena_copy(arena, line, strlen(line));
    for (size_t i = 0; i < s->n; i++) {
        line_of(line, sizeof line, &s->trials[i], (int)width);
        lines[1 + i] = arena_copy(arena, line, strlen(line));
    }
    for (size_t i = 0; i <= s->n; i++)
        if (!lines[i]) return no_memory(e);
    return OK;
}
