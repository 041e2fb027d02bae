#include "measure/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention/registry.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "base/rng.h"
#include "base/threads.h"
#include "measure/stages.h"

#define LIMITS_SECONDS 0.1  /* for each limit, each time */
#define STAGES_SECONDS 0.02 /* for each repetition of attention alone */

/* ---- what a run must read and compute ---- */

/* Bytes of the weights that rows go through together, layer by layer. */
static double layers_bytes(const struct gpt2_weights *w) {
    const struct gpt2_config *c = &w->config;
    double bytes = 0;
    for (size_t l = 0; l < c->n_layer; l++) {
        const struct gpt2_layer *y = &w->layers[l];
        bytes += (double)(matrix_bytes(&y->qkv) + matrix_bytes(&y->proj) + matrix_bytes(&y->fc) +
                          matrix_bytes(&y->fcproj));
        bytes +=
            (double)(sizeof(float) *
                     (9 * c->n_embd +
                      c->n_inner)); /* two norms' weights and biases; biases of 3C, C, F and C */
    }
    return bytes;
}

static double head_bytes(const struct gpt2_weights *w) {
    return (double)(matrix_bytes(&w->head) + 2 * sizeof(float) * w->config.n_embd);
}

/* Of one row's embedding. */
static double row_bytes(const struct gpt2_weights *w) {
    return (double)(matrix_row_bytes(&w->wte) + matrix_row_bytes(&w->wpe));
}

/* What attention has counted since the session was opened, all layers. */
static struct attn_counters counted(const struct gpt2_session *s) {
    struct attn_counters sum = {0};
    for (size_t l = 0; l < s->w->config.n_layer; l++) attn_counters_add(&sum, &s->counters[l]);
    return sum;
}

/* Sets the row's bytes and operations. `read` is what attention counted during the run. */
static void account(struct bench_row *r, const struct gpt2_session *s,
                    const struct attn_counters *read) {
    const struct gpt2_weights *w = s->w;
    const struct gpt2_config *c = &w->config;
    double C = (double)c->n_embd, n = (double)r->n, tokens = n * (double)r->batch;
    double passes = r->decode ? n : (double)((r->n + s->max_rows - 1) / s->max_rows);
    double heads = r->decode ? n : 1, logits = r->decode ? tokens : 1;
    double keys = n * (double)r->depth +
                  n * (n + 1) / 2; /* of the queries of one sequence and layer, added up */
    double layers = (double)c->n_layer, per_layer = 2 * (4 * C * C + 2 * C * (double)c->n_inner);
    double weights = passes * layers_bytes(w) + heads * head_bytes(w) + tokens * row_bytes(w);
    struct account split = account_split(read, account_codebooks(&s->attn));
    r->bytes_per_token = (weights + (double)attn_counters_total(read)) / tokens;
    r->streamed_per_token = (weights + (double)split.streamed) / tokens;
    r->at_hand_per_token = (double)split.at_hand / tokens;
    r->flops_per_token =
        layers * per_layer +
        (logits * 2 * C * (double)c->n_vocab + layers * 4 * C * keys * (double)r->batch) / tokens;
}

/* ---- the runs ---- */

struct work {
    struct bench *b;
    int32_t *tokens;               /* [most n_ctx] */
    struct gpt2_row *step;         /* [most batch] */
    float *logits;                 /* [most batch][most V] */
    struct sampler sampler;        /* of drafts, for the most V */
    size_t done, total;            /* fills and runs */
    struct limits_array array;     /* to read, where limits are measured */
    const struct kernels *fastest; /* that reads it */
    struct arena arena;
};

static void progress(struct work *w) { progress_tell(w->b->progress, ++w->done, w->total); }

static int decode(struct work *w, struct gpt2_session *s, const struct bench_row *r,
                  double *seconds, struct err *e) {
    for (size_t i = 0; i < r->batch; i++) gpt2_fork(s, (uint32_t)i + 1, 0, (uint32_t)r->depth);
    double start = clock_now();
    for (size_t t = 0; t < r->n; t++) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        for (size_t i = 0; i < r->batch; i++)
            w->step[i] =
                (struct gpt2_row){.seq = (uint32_t)i + 1,
                                  .pos = (uint32_t)(r->depth + t),
                                  .token = w->tokens[(r->depth + t + i) % s->attn.shape.n_ctx],
                                  .logits = true};
        int rc = gpt2_forward(s, w->step, r->batch, w->logits, e);
        if (rc) return rc;
    }
    *seconds = clock_now() - start;
    return OK;
}

static int prefill(struct work *w, struct gpt2_session *s, const struct bench_row *r,
                   double *seconds, struct err *e) {
    gpt2_rewind(s, 1, 0);
    double start = clock_now();
    int rc = gpt2_prefill(s, 1, w->tokens, r->n, w->logits, e);
    *seconds = clock_now() - start;
    return rc;
}

static int run_row(struct work *w, struct bench_row *r, double *seconds, struct err *e) {
    struct gpt2_session *s = &w->b->groups[r->group].s;
    threads_set(r->threads);
    struct attn_counters before = counted(s);
    int rc = r->decode ? decode(w, s, r, seconds, e) : prefill(w, s, r, seconds, e);
    struct attn_counters after = counted(s), read = attn_counters_less(&after, &before);
    if (!rc) account(r, s, &read);
    progress(w);
    return rc;
}

static int run_stages(struct work *w, struct bench_stages *t, double ns[ATTN_STAGES],
                      struct err *e) {
    struct gpt2_session *s = &w->b->groups[t->group].s;
    struct attn_counters read;
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    stages_measure(s, t->depth, STAGES_SECONDS, ns, &read);
    t->read = account_split(&read, account_codebooks(&s->attn));
    progress(w);
    return OK;
}

static int run_drafts(struct work *w, struct bench_drafts *d, size_t to, struct err *e) {
    struct gpt2_session *s = &w->b->groups[d->group].s;
    struct sampler sampler = w->sampler;
    sampler.n_vocab = s->w->config.n_vocab;
    const struct drafts_place place = {s, &sampler, w->logits};
    threads_set(d->threads);
    int rc = drafts_compare(&place, d->text, d->depth, d->n, &d->none[to], &d->with[to], e);
    progress(w);
    return rc;
}

/* Everything once. Round 0 is for warmth, and its figures are overwritten. */
static int run_round(struct work *w, size_t round, struct err *e) {
    struct bench *b = w->b;
    size_t to = round ? round - 1 : 0;
    int rc = OK;
    for (size_t i = 0; i < b->n_rows && !rc; i++)
        rc = run_row(w, &b->rows[i], &b->rows[i].seconds[to], e);
    for (size_t i = 0; i < b->n_stages && !rc; i++)
        rc = run_stages(w, &b->stages[i], b->stages[i].ns[to], e);
    for (size_t i = 0; i < b->n_drafts && !rc; i++) rc = run_drafts(w, &b->drafts[i], to, e);
    return rc;
}

/* ---- sessions ---- */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t context_of(const struct bench *b, const struct bench_group *g) {
    return b->n_ctx ? b->n_ctx : g->model->weights.config.n_ctx;
}

static int open_group(const struct bench *b, struct bench_group *g, struct err *e) {
    const struct gpt2_weights *model = &g->model->weights;
    size_t n_ctx = context_of(b, g), rows = gpt2_prompt_rows(&model->config);
    const struct gpt2_session_setup setup = {.weights = model,
                                             .kn = g->k,
                                             .attn = g->attn,
                                             .book = g->book,
                                             .n_seq = 1 + g->batch,
                                             .n_ctx = n_ctx,
                                             .max_rows =
                                                 larger(rows < n_ctx ? rows : n_ctx, g->batch),
                                             .take_back = b->n_drafts ? DRAFT_MOST : 0,
                                             .invariant = g->invariant};
    int rc = gpt2_session_open(&g->s, &setup, e);
    g->open = !rc;
    return rc;
}

static int fill_group(struct work *w, struct bench_group *g, struct err *e) {
    int rc = gpt2_prefill(&g->s, 0, w->tokens, g->depth, NULL, e);
    progress(w);
    return rc;
}

/* What the rows need of their groups and of the work space; returns the largest number of
 * threads. */
static int survey(struct bench *b, size_t *batch, size_t *n_ctx, size_t *vocab) {
    int threads = b->n_stages ? threads_allowed() : 1;
    for (size_t i = 0; i < b->n_stages; i++) {
        struct bench_group *g = &b->groups[b->stages[i].group];
        g->depth = larger(g->depth, b->stages[i].depth);
        *n_ctx = larger(*n_ctx, context_of(b, g));
    }
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        struct bench_group *g = &b->groups[r->group];
        g->batch = larger(g->batch, r->batch);
        g->depth = larger(g->depth, r->depth);
        *batch = larger(*batch, r->batch);
        *n_ctx = larger(*n_ctx, context_of(b, g));
        *vocab = larger(*vocab, g->model->weights.config.n_vocab);
        if (r->threads > threads) threads = r->threads;
    }
    for (size_t i = 0; i < b->n_drafts; i++) {
        const struct bench_drafts *d = &b->drafts[i];
        struct bench_group *g = &b->groups[d->group];
        g->batch = larger(g->batch, 2); /* without drafts, and with them */
        g->depth = larger(g->depth, d->depth);
        *batch = larger(*batch, 1 + DRAFT_MOST);
        *n_ctx = larger(*n_ctx, context_of(b, g));
        *vocab = larger(*vocab, g->model->weights.config.n_vocab);
        if (d->threads > threads) threads = d->threads;
    }
    return threads;
}

static size_t smallest_vocabulary(const struct bench *b) {
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < b->n_groups; i++)
        if (b->groups[i].model->weights.config.n_vocab < least)
            least = b->groups[i].model->weights.config.n_vocab;
    return least;
}

/* Writes the scripts, behind the tokens that the sequences hold. */
static int write_scripts(struct work *w, size_t vocab, struct err *e) {
    static const struct sampler_params usual = {0.8, 40, 0.95, 0.05, 1, 64, NULL}; /* generate's */
    struct bench *b = w->b;
    bool ok = !b->n_drafts || sampler_init(&w->sampler, &usual, vocab, &w->arena);
    for (size_t i = 0; i < b->n_drafts && ok; i++) {
        struct bench_drafts *d = &b->drafts[i];
        struct rng rng;
        rng_seed(&rng, 0, 1);
        d->text = arena_alloc(&b->arena, d->depth + d->n, sizeof *d->text);
        d->with = arena_zalloc(&b->arena, b->repeats, sizeof *d->with);
        d->none = arena_zalloc(&b->arena, b->repeats, sizeof *d->none);
        ok = d->text && d->with && d->none;
        if (!ok) break;
        memcpy(d->text, w->tokens, d->depth * sizeof *d->text);
        ok = drafts_script(d->text, d->depth, d->n, d->right, &rng);
    }
    return ok ? OK : err_set(e, ERR_FAILED, "out of memory for the scripts of drafts");
}

static int prepare(struct work *w, struct err *e) {
    struct bench *b = w->b;
    size_t batch = 1, n_ctx = 1, vocab = 1;
    threads_set(survey(b, &batch, &n_ctx, &vocab));
    w->total = b->n_groups + (b->n_rows + b->n_stages + b->n_drafts) * (1 + b->repeats);
    w->tokens = arena_alloc(&w->arena, n_ctx, sizeof *w->tokens);
    w->step = arena_alloc(&w->arena, batch, sizeof *w->step);
    w->logits = arena_alloc(&w->arena, batch * vocab, sizeof *w->logits);
    if (!w->tokens || !w->step || !w->logits)
        return err_set(e, ERR_FAILED, "out of memory for the logits of %zu sequences", batch);
    struct rng rng;
    rng_seed(&rng, 0, 0);
    uint64_t most = smallest_vocabulary(b);
    for (size_t i = 0; i < n_ctx; i++) w->tokens[i] = (int32_t)rng_below(&rng, most);
    int rc = write_scripts(w, vocab, e);
    for (size_t i = 0; i < b->n_groups && !rc; i++) rc = open_group(b, &b->groups[i], e);
    for (size_t i = 0; i < b->n_groups && !rc; i++) rc = fill_group(w, &b->groups[i], e);
    return rc;
}

/* ---- limits ---- */

static int open_limits(struct work *w, struct err *e) {
    struct bench *b = w->b;
    if (!b->n_limits) return OK;
    for (size_t i = 0; i < b->n_limits; i++) {
        b->limits[i].at = arena_zalloc(&b->arena, b->repeats + 1, sizeof *b->limits[i].at);
        if (!b->limits[i].at) return err_set(e, ERR_FAILED, "out of memory");
    }
    int rc = kernels_get(&w->fastest, NULL, e);
    return rc ? rc : limits_array_open(&w->array, limits_array_bytes(), e);
}

/* After this many rounds. */
static void measure_limits(struct work *w, size_t rounds) {
    struct bench *b = w->b;
    for (size_t i = 0; i < b->n_limits; i++) {
        struct bench_limits *l = &b->limits[i];
        l->at[rounds].read_bytes_per_s =
            limits_read(&w->array, w->fastest, l->threads, LIMITS_SECONDS);
        l->at[rounds].flops_per_s = limits_flops(l->k, l->threads, LIMITS_SECONDS);
    }
}

int bench_run(struct bench *b, struct err *e) {
    struct work w = {.b = b};
    int rc = prepare(&w, e);
    if (!rc) rc = open_limits(&w, e);
    for (size_t round = 0; round <= b->repeats && !rc; round++) {
        rc = run_round(&w, round, e);
        if (!rc) measure_limits(&w, round);
    }
    limits_array_close(&w.array);
    arena_free(&w.arena);
    return rc;
}

void bench_close(struct bench *b) {
    for (size_t i = 0; i < b->n_groups; i++)
        if (b->groups[i].open) gpt2_session_close(&b->groups[i].s);
    arena_free(&b->arena);
}

/* ---- what came out ---- */

double bench_speed(const struct bench_row *r, double seconds) {
    return (double)(r->n * r->batch) / seconds;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Puts x[n] in order and returns its median. */
static double median(double *x, size_t n) {
    qsort(x, n, sizeof *x, ascending);
    return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

struct bench_speeds bench_speeds(const struct bench *b, const struct bench_row *r) {
    size_t n = b->repeats;
    double speed[BENCH_REPEATS_MAX];
    for (size_t i = 0; i < n; i++) speed[i] = bench_speed(r, r->seconds[i]);
    double middle = median(speed, n);
    return (struct bench_speeds){middle, speed[0], speed[n - 1]};
}

struct bench_speeds bench_draft_speeds(const struct bench *b, const struct bench_drafts *d,
                                       enum bench_draft_figure figure) {
    double x[BENCH_REPEATS_MAX];
    for (size_t i = 0; i < b->repeats; i++) {
        double with = d->with[i].seconds, none = d->none[i].seconds;
        x[i] = figure == DRAFTS_RATIO ? none / with
                                      : (double)d->n / (figure == DRAFTS_WITH ? with : none);
    }
    double middle = median(x, b->repeats);
    return (struct bench_speeds){middle, x[0], x[b->repeats - 1]};
}

struct bench_limit_range bench_limit_range(const struct bench *b, const struct bench_limits *l) {
    double read[BENCH_REPEATS_MAX + 1], flops[BENCH_REPEATS_MAX + 1];
    size_t n = b->repeats + 1;
    for (size_t i = 0; i < n; i++)
        read[i] = l->at[i].read_bytes_per_s, flops[i] = l->at[i].flops_per_s;
    struct limits middle = {median(read, n), median(flops, n)};
    return (struct bench_limit_range){middle, {read[0], flops[0]}, {read[n - 1], flops[n - 1]}};
}

bool bench_share(const struct bench *b, const struct bench_row *r, struct bench_share *share) {
    for (size_t i = 0; i < b->n_limits; i++) {
        const struct bench_limits *l = &b->limits[i];
        double shares[BENCH_REPEATS_MAX];
        if (l->k != b->groups[r->group].k || l->threads != r->threads) continue;
        for (size_t j = 0; j < b->repeats; j++) {
            struct limits nearest = limits_larger(l->at[j], l->at[j + 1]);
            shares[j] = limits_bound(&nearest, r->streamed_per_token, r->flops_per_token).seconds *
                        bench_speed(r, r->seconds[j]);
        }
        struct bench_limit_range range = bench_limit_range(b, l);
        *share = (struct bench_share){
            limits_bound(&range.median, r->streamed_per_token, r->flops_per_token).reading,
            median(shares, b->repeats)};
        return true;
    }
    return false;
}

/* ---- attention alone ---- */

double bench_stage_ns(const struct bench *b, const struct bench_stages *s, enum attn_stage stage) {
    double x[BENCH_REPEATS_MAX];
    for (size_t i = 0; i < b->repeats; i++) x[i] = s->ns[i][stage];
    return median(x, b->repeats);
}

double bench_score_ns(const struct bench *b, const struct bench_stages *s) {
    return bench_stage_ns(b, s, ATTN_PREPARE) + bench_stage_ns(b, s, ATTN_SCORE);
}

double bench_total_ns(const struct bench *b, const struct bench_stages *s) {
    double sum = 0;
    for (int i = 0; i < ATTN_STAGES; i++) sum += bench_stage_ns(b, s, (enum attn_stage)i);
    return sum;
}

size_t bench_fp16_group(const struct bench *b, size_t group) {
    const struct bench_group *g = &b->groups[group];
    for (size_t i = 0; i < b->n_groups; i++)
        if (b->groups[i].model == g->model && b->groups[i].k == g->k &&
            b->groups[i].s.attn.layers[0].key.ops == &codec_fp16)
            return i;
    return SIZE_MAX;
}

static const struct bench_stages *first_stages(const struct bench *b, size_t group, size_t *n) {
    size_t first = 0;
    while (first < b->n_stages && b->stages[first].group != group) first++;
    for (*n = 0; first + *n < b->n_stages && b->stages[first + *n].group == group;) ++*n;
    return &b->stages[first];
}

bool bench_growth(const struct bench *b, const struct bench_stages *s, struct bench_growth *g) {
    size_t n;
    const struct bench_stages *least = first_stages(b, s->group, &n);
    const struct attn_shape *shape = &b->groups[s->group].s.attn.shape;
    double keys = (double)s->depth - (double)least->depth,
           all = keys * (double)(shape->n_layer * shape->n_head);
    if (!(keys > 0)) return false;
    g->ns = (bench_total_ns(b, s) - bench_total_ns(b, least)) / keys;
    g->streamed = ((double)s->read.streamed - (double)least->read.streamed) / all;
    g->at_hand = ((double)s->read.at_hand - (double)least->read.at_hand) / all;
    return true;
}

bool bench_has_tables(const struct bench *b, size_t group) {
    const struct attn *a = &b->groups[group].s.attn;
    struct attn_counters c = {0};
    for (size_t l = 0; l < a->shape.n_layer; l++)
        a->layers[l].key.ops->reads(&a->layers[l].key, a->shape.head_dim, 0, 1, false, &c);
    return c.tables > 0;
}

/* -1 where x takes less time in every repetition, 1 where it takes more, else 0. */
static int sure_order(const struct bench *b, const struct bench_stages *x,
                      const struct bench_stages *y) {
    size_t less = 0, more = 0;
    for (size_t i = 0; i < b->repeats; i++) {
        double here = x->ns[i][ATTN_PREPARE] + x->ns[i][ATTN_SCORE],
               there = y->ns[i][ATTN_PREPARE] + y->ns[i][ATTN_SCORE];
        less += here < there;
        more += here > there;
    }
    if (b->repeats < BENCH_SURE) return 0;
    return less == b->repeats ? -1 : more == b->repeats ? 1 : 0;
}

struct bench_crossing bench_crossing(const struct bench *b, size_t group, size_t other) {
    size_t n, m, first;
    const struct bench_stages *x = first_stages(b, group, &n), *y = first_stages(b, other, &m);
    for (first = n; first > 0 && sure_order(b, &x[first - 1], &y[first - 1]) < 0;) first--;
    if (first == n)
        return (struct bench_crossing){
            n && sure_order(b, &x[n - 1], &y[n - 1]) > 0 ? BENCH_NEVER : BENCH_NOT_TOLD, NAN};
    if (first == 0) return (struct bench_crossing){BENCH_ALWAYS, (double)x[0].depth};
    double before = bench_score_ns(b, &x[first - 1]) - bench_score_ns(b, &y[first - 1]);
    double after = bench_score_ns(b, &x[first]) - bench_score_ns(b, &y[first]);
    if (sure_order(b, &x[first - 1], &y[first - 1]) <= 0 || !(before > 0 && after < 0))
        return (struct bench_crossing){BENCH_AT_LATEST, (double)x[first].depth};
    double part = before / (before - after);
    return (struct bench_crossing){BENCH_FROM,
                                   (double)x[first - 1].depth +
                                       part * (double)(x[first].depth - x[first - 1].depth)};
}
