/* Refining: which rows are picked, against a naive choice; answers against float64; a layer whose
 * queries pick every row is the copy's own attention bit for bit; and the contract of the backend,
 * over every codec of keys and of values. */
#include "test.h"
#include "random_book.h"

enum { L = 2, H = 2, MAX_D = 64, T = 150, C = H * MAX_D };

#include "attend_steps.h"

static float out_a[T][C], out_b[T][C];
static size_t D; /* each test runs for some */
static struct book books[3];
static const size_t dims[] = {32, 24, 64};
static size_t dim_number;
static const struct kernels *best;

static void open_attn(struct attn *a, const char *spec, const struct kernels *kn) {
    open_with(a, spec, &books[dim_number], D, kn);
}

static bool same(float a[][C], float b[][C], size_t begin, size_t end) {
    for (size_t t = begin; t < end; t++)
        if (memcmp(a[t], b[t], H * D * sizeof **a) != 0) return false;
    return true;
}

static const size_t mixed[] = {1, 1, 7, 64, 1, 70, 33, 2}, ones[] = {1}, all[] = {T};
enum { N_MIXED = sizeof mixed / sizeof *mixed };

/* The spec "KEYS:...,refine=N,OPTIONS/VALUES". */
static void spec_of(char *spec, size_t room, const char *keys, const char *options,
                    const char *values) {
    snprintf(spec, room, "%s%c%s/%s", keys, strchr(keys, ':') ? ',' : ':', options, values);
}

static bool for_side(const char *codec, bool values) {
    struct codec c;
    struct err e;
    return codec_parse(&c, codec, D, values, &e) == OK;
}

/* Calls fn for every listed codec of keys with every one of values. */
static void over_codecs(const char *options, const struct kernels *kn,
                        void (*fn)(const struct attn *a)) {
    for (size_t i = 0; kv_codec_listed(i); i++)
        for (size_t j = 0; kv_codec_listed(j); j++) {
            char spec[128];
            struct attn a;
            if (!for_side(kv_codec_listed(i), false) || !for_side(kv_codec_listed(j), true))
                continue;
            spec_of(spec, sizeof spec, kv_codec_listed(i), options, kv_codec_listed(j));
            open_attn(&a, spec, kn);
            fn(&a);
            attn_free(&a);
        }
}

/* ---- picking ---- */

enum { N = 1700 };

static const float *sorted_scores;

/* The better row first: of a larger score, or older with an equal one. */
static int by_score(const void *a, const void *b) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (sorted_scores[i] > sorted_scores[j]) return -1;
    if (sorted_scores[i] < sorted_scores[j]) return 1;
    return i < j ? -1 : 1;
}

/* The rows that a query picks, by sorting all that it could. */
static void naive_picks(const struct refine *r, const float *s, size_t n, bool picks[N]) {
    static uint32_t rows[N];
    size_t begin = r->sink < n ? r->sink : n, end = n - begin < r->window ? begin : n - r->window;
    for (size_t i = 0; i < n; i++) picks[i] = i < begin || i >= end;
    for (size_t i = begin; i < end; i++) rows[i - begin] = (uint32_t)i;
    sorted_scores = s;
    qsort(rows, end - begin, sizeof *rows, by_score);
    for (size_t i = 0; i < end - begin && i < r->best; i++) picks[rows[i]] = true;
}

static void check_picks(const struct refine *r, const struct kernels *kn, const float *s,
                        size_t n) {
    static uint32_t picked[N + 1];
    static float numbers[N];
    static bool picks[N];
    struct refine_workspace w = {.picked = picked, .numbers = numbers};
    size_t at = 0;
    memset(picked, 0xff, sizeof picked);
    refine_pick(r, kn, s, n, &w);
    naive_picks(r, s, n, picks);
    for (size_t i = 0; i < n; i++) {
        CHECK(!picks[i] || picked[at] == i, "%s: n %zu, best %zu, sink %zu, window %zu: row %zu",
              kn->name, n, r->best, r->sink, r->window, i);
        at += picks[i];
    }
    CHECK(at == refine_count(r, n) && picked[n] == UINT32_MAX, "%s: %zu rows", kn->name, at);
}

/* A score of one of several kinds. */
static float score_of(size_t kind, size_t i, struct rng *r) {
    float x = (float)rng_normal(r);
    switch (kind) {
    case 0: return x;
    case 1: return floorf(2 * x);                               /* many equals */
    case 2: return rng_u64(r) % 2 ? 0.0f : -0.0f;               /* equals of two signs */
    case 3: return x * powf(10, (float)(rng_u64(r) % 60) - 38); /* all sizes */
    case 4: return x > 1 ? INFINITY : x < -1 ? -INFINITY : x;
    case 5: return 1 + 1e-6f * floorf(x);     /* the last bits decide */
    case 6: return i % 64 == 7 ? 100 + x : x; /* all in one column */
    default: return (float)i;                 /* in order */
    }
}

static void picking(void) {
    static float s[N];
    struct rng r;
    rng_seed(&r, 5, 0);
    for (size_t kind = 0; kind < 8; kind++)
        for (size_t trial = 0; trial < 100; trial++) {
            size_t n = 1 + (size_t)rng_u64(&r) % (trial % 2 ? N : 200);
            struct refine f = {.best = 1 + (size_t)rng_u64(&r) % (trial % 3 ? 40 : n),
                               .sink = trial % 2 ? (size_t)rng_u64(&r) % 4 : 0,
                               .window = trial % 4 ? 0 : (size_t)rng_u64(&r) % 40};
            for (size_t i = 0; i < n; i++) s[i] = score_of(kind, i, &r);
            for (size_t set = 0; kernels_at(set); set++)
                if (kernels_at(set)->supported()) check_picks(&f, kernels_at(set), s, n);
        }
}

/* Scores that are NaN: as many rows as always, in their order. */
static void picking_among_nan(void) {
    static float s[N], numbers[N];
    static uint32_t picked[N];
    struct refine f = {.best = 16, .sink = 1, .window = 2};
    struct refine_workspace w = {.picked = picked, .numbers = numbers};
    for (size_t n = 500; n <= N; n += 400)
        for (size_t some = 1; some < 4; some++)
            for (size_t set = 0; kernels_at(set); set++) {
                if (!kernels_at(set)->supported()) continue;
                for (size_t i = 0; i < n; i++) s[i] = some == 1 || i % (50 * some) ? NAN : (float)i;
                refine_pick(&f, kernels_at(set), s, n, &w);
                for (size_t i = 1; i < 19; i++)
                    CHECK(picked[i] < n && picked[i] > picked[i - 1], "%s: n %zu, %zu: row %zu",
                          kernels_at(set)->name, n, some, i);
            }
}

/* ---- the copy alone ---- */

static void check_copy(const char *bits, const char *name, const struct kernels *kn) {
    char own_spec[32], options[64], spec[128];
    static const char *const counts[] = {"refine=200", "refine=65536,window=3",
                                         "refine=100,sink=60,window=40"};
    struct attn own, some;
    snprintf(own_spec, sizeof own_spec, "%s/%s", name, name);
    open_attn(&own, own_spec, kn);
    for (int how = TOGETHER; how <= PROBED; how++) {
        void *state = new_state(&own);
        run(&own, state, mixed, N_MIXED, T, out_a, (enum how)how);
        for (size_t i = (size_t)how; kv_codec_listed(i); i += 3) {
            const char *values = kv_codec_listed((i + 7 + (size_t)how) % 16);
            if (!for_side(kv_codec_listed(i), false)) continue;
            if (!for_side(values, true)) values = "pq8";
            snprintf(options, sizeof options, "%s,exact=%s", counts[(i + (size_t)how) % 3], bits);
            spec_of(spec, sizeof spec, kv_codec_listed(i), options, values);
            open_attn(&some, spec, kn);
            void *other = new_state(&some);
            struct attn_counters c = run(&some, other, mixed, N_MIXED, T, out_b, (enum how)how);
            CHECK(same(out_a, out_b, 0, T), "%s %s: not %s (%d)", kn->name, spec, own_spec, how);
            CHECK(c.refined && !(c.keys | c.values | c.scales | c.codebooks | c.tables),
                  "%s: reads more than the copy", spec);
            free(other);
            attn_free(&some);
        }
        free(state);
    }
    attn_free(&own);
}

static void every_row_is_the_copys_own(void) {
    for (dim_number = 0; dim_number < 3; dim_number++) {
        D = dims[dim_number];
        for (size_t set = 0; kernels_at(set); set++) {
            if (!kernels_at(set)->supported() || kernels_at(set)->by_name_only) continue;
            if (dim_number && kernels_at(set) != best) continue;
            check_copy("16", "fp16", kernels_at(set));
            check_copy("8", "int8", kernels_at(set));
            check_copy("4", "int4", kernels_at(set));
        }
    }
}

/* rows[T][D] of a head through a codec and back. */
static float *round_rows(const struct attn *a, const struct codec *c, size_t head,
                         float (*from)[C]) {
    const float *middle = !c->for_values && a->center ? a->center + head * D : NULL;
    struct codec_head h = {.kn = a->kn, .codec = c, .head = head, .head_dim = D, .center = middle};
    uint8_t *timeline =
        aligned_alloc(64, (codec_timeline_bytes(c, D, head, T) + T * c->apart + 63) / 64 * 64);
    float *rows = malloc(T * D * sizeof *rows);
    c->ops->store(&h, timeline, 0, from[0] + head * D, C, T);
    c->ops->decode(&h, rows, timeline, 0, T);
    for (size_t i = 0; c->o.center && middle && i < T * D; i++) rows[i] += middle[i % D];
    free(timeline);
    return rows;
}

/* Rows that lie alone stand for the same numbers as in the codec's own layout. */
static void copies_hold_the_codecs_numbers(void) {
    static const char *const specs[] = {"refine=4", "refine=4,exact=8", "refine=4,exact=4"};
    for (dim_number = 0; dim_number < 3; dim_number++)
        for (size_t i = 0; i < 6; i++) {
            char spec[64];
            struct attn a;
            D = dims[dim_number];
            snprintf(spec, sizeof spec, "int4:%s/int4", specs[i / 2]);
            open_attn(&a, spec, best);
            struct codec alone = i % 2 ? a.layers[0].refine.value : a.layers[0].refine.key,
                         own = alone;
            own.apart = 0;
            float *x = round_rows(&a, &alone, 1, k_rows), *y = round_rows(&a, &own, 1, k_rows);
            CHECK(alone.apart && memcmp(x, y, T * D * sizeof *x) == 0, "%s, %zu", spec, D);
            free(x), free(y);
            attn_free(&a);
        }
}

/* ---- against float64 ---- */

struct told {
    const struct attn *a;
    float *coded[H], *keys[H], *values[H], *copies[H]; /* [T][D] what stored rows stand for */
    double worst;
};

static double dot(const float *a, const float *b) {
    double sum = 0;
    for (size_t d = 0; d < D; d++) sum += (double)a[d] * (double)b[d];
    return sum;
}

/* Checks what a row was told: the picked rows, and the answer that follows from them. Probes of one
 * thread come one by one. */
static void check_row(void *ctx, const struct attn_row *row) {
    struct told *t = ctx;
    const struct refine *r = &t->a->layers[0].refine;
    const float *coded = t->coded[row->head], *keys = t->keys[row->head];
    static double s[T];
    static bool is_picked[T];
    size_t n = row->n_keys, at = 0;
    double least = INFINITY, other = -INFINITY, most = -INFINITY, z = 0, best_coded = -INFINITY;
    memset(is_picked, 0, sizeof is_picked);
    CHECK(row->n_picked == refine_count(r, n), "%zu rows picked", row->n_picked);
    for (size_t i = 0; i < row->n_picked; i++) {
        CHECK(row->picked[i] < n && (!i || row->picked[i] > row->picked[i - 1]), "not in order");
        is_picked[row->picked[i]] = true;
    }
    for (size_t i = 0; i < n; i++) {
        double code = dot(row->q, coded + i * D) / sqrt((double)D);
        bool always = i < r->sink || i + r->window >= n;
        s[i] = is_picked[i] ? dot(row->q, keys + i * D) / sqrt((double)D) : code;
        CHECK(!always || is_picked[i], "row %zu of sink or window is not picked", i);
        if (!always && is_picked[i]) least = fmin(least, code);
        if (!always && !is_picked[i]) other = fmax(other, code);
        most = fmax(most, s[i]), best_coded = fmax(best_coded, code);
        CHECK(fabs((double)row->scores[i] - s[i]) <= 4e-3, "score %zu: %g, not %g", i,
              (double)row->scores[i], s[i]);
    }
    CHECK(least >= other - 4e-3, "picked %g, left %g", least, other); /* tables of 16 bits */
    if (row->n_picked < n) {
        double code = dot(row->q, coded + row->best_coded * D) / sqrt((double)D);
        CHECK(code >= best_coded - 4e-3, "best coded");
    }
    for (size_t i = 0; i < n; i++) z += s[i] = exp(s[i] - most);
    for (size_t d = 0; d < D; d++) {
        double want = 0;
        for (size_t i = 0; i < n; i++)
            want += s[i] / z * (double)(is_picked[i] ? t->copies : t->values)[row->head][i * D + d];
        double off = fabs(want - (double)row->out[d]);
        if (!(off <= t->worst)) t->worst = off; /* NaN stays */
    }
    for (size_t i = at = 0; i < n; i++) z -= 0, at += row->probs[i] >= 0 && row->probs[i] <= 1;
    CHECK(at == n, "probabilities");
}

static void check_float64(const struct attn *a) {
    struct told t = {.a = a};
    const struct attn_layer *y = &a->layers[0];
    struct attn_probe probe = {&t, check_row};
    for (size_t h = 0; h < H; h++) {
        t.coded[h] = round_rows(a, &y->key, h, k_rows);
        t.keys[h] = round_rows(a, &y->refine.key, h, k_rows);
        t.values[h] = round_rows(a, &y->value, h, v_rows);
        t.copies[h] = round_rows(a, &y->refine.value, h, v_rows);
    }
    void *state = new_state(a);
    step_with(a, state, 0, 0, T, out_a, TOGETHER, &probe);
    CHECK(t.worst <= 2e-3, "%s %s: off by %g", a->kn->name, a->name, t.worst);
    free(state);
    for (size_t h = 0; h < H; h++)
        free(t.coded[h]), free(t.keys[h]), free(t.values[h]), free(t.copies[h]);
}

static void answers_are_those_of_float64(void) {
    static const char *const specs[] = {"lookat4:refine=9,exact=8/pq8",
                                        "lookat2:sink=2,window=7,refine=5/int4",
                                        "int4:refine=16,exact=4/turbo:bits=3",
                                        "int4:center,refine=4,window=3,exact=8/fp16",
                                        "turbo:bits=2,refine=33,exact=8/int8",
                                        "lookat8x4:refine=8,exact=16/pq8",
                                        "int4:rotate,refine=3,exact=8/int4:rotate",
                                        "constant:sink=1,window=4,refine=2/fp32"};
    for (dim_number = 0; dim_number < 3; dim_number++) {
        D = dims[dim_number];
        for (size_t set = 0; kernels_at(set); set++)
            for (size_t i = 0; kernels_at(set)->supported() && !kernels_at(set)->by_name_only &&
                               i < sizeof specs / sizeof *specs;
                 i++) {
                struct attn a;
                open_attn(&a, specs[i], kernels_at(set));
                check_float64(&a);
                attn_free(&a);
            }
    }
}

/* ---- the contract ---- */

/* However the queries are cut, with or without a probe: the same bits, and the same account. */
static void check_batches(const struct attn *a) {
    void *state = new_state(a);
    struct attn_counters want = run(a, state, ones, 1, T, out_a, TOGETHER), c;
    static const struct {
        const size_t *sizes;
        size_t n;
        enum how how;
    } cuts[] = {{all, 1, TOGETHER}, {mixed, N_MIXED, APART}, {mixed, N_MIXED, PROBED}};
    for (size_t i = 0; i < 3; i++) {
        attn_clear(a, state);
        c = run(a, state, cuts[i].sizes, cuts[i].n, T, out_b, cuts[i].how);
        CHECK(same(out_a, out_b, 0, T), "%s: cut %zu changes the answers", a->name, i);
        CHECK(memcmp(&c, &want, sizeof c) == 0, "%s: cut %zu changes the account", a->name, i);
    }
    free(state);
}

static void batches_are_one_by_one(void) {
    D = dims[dim_number = 0];
    over_codecs("refine=7,exact=8", best, check_batches);
    over_codecs("refine=3,sink=1,window=6", best, check_batches);
}

/* Rewound and appended to again, and forked: what a fresh sequence answers. */
static void check_rewind(const struct attn *a) {
    static float old[20][C];
    void *state = new_state(a), *fork = new_state(a);
    run(a, state, mixed, N_MIXED, T, out_a, TOGETHER);
    attn_append(a, state, 1, 0, T, k_rows[0], v_rows[0], C); /* all layers hold as many */
    attn_truncate(a, state, 100);
    memcpy(old, k_rows[100], sizeof old);
    for (size_t i = 0; i < 20; i++)
        for (size_t j = 0; j < C; j++) k_rows[100 + i][j] = -old[i][j]; /* other keys for a while */
    step(a, state, 100, 20, out_b, TOGETHER);
    memcpy(k_rows[100], old, sizeof old);
    attn_append(a, state, 1, 100, 20, k_rows[100], v_rows[100], C);
    attn_truncate(a, state, 100);
    attn_copy(a, fork, state, 90);
    for (size_t pos = 100, n; pos < T; pos += n) {
        n = pos + 37 < T ? 37 : T - pos;
        step(a, state, pos, n, out_b, TOGETHER);
    }
    CHECK(same(out_a, out_b, 100, T), "%s: a rewind leaves a trace", a->name);
    step(a, fork, 90, T - 90, out_b, TOGETHER);
    CHECK(same(out_a, out_b, 90, T), "%s: a fork is another sequence", a->name);
    free(state), free(fork);
}

static void rewinding(void) {
    D = dims[dim_number = 0];
    over_codecs("refine=11,window=4,exact=4", best, check_rewind);
}

/* Later tokens change no bit of an answer. */
static void check_causality(const struct attn *a) {
    static float k[T - 90][C], v[T - 90][C];
    void *state = new_state(a);
    step(a, state, 0, T, out_a, TOGETHER);
    memcpy(k, k_rows[90], sizeof k), memcpy(v, v_rows[90], sizeof v);
    for (size_t i = 0; i < T - 90; i++)
        for (size_t j = 0; j < C; j++) k_rows[90 + i][j] *= 3, v_rows[90 + i][j] = 1e3f;
    attn_clear(a, state);
    step(a, state, 0, T, out_b, TOGETHER);
    CHECK(same(out_a, out_b, 0, 90) && !same(out_a, out_b, 90, 91), "%s: sees the future", a->name);
    memcpy(k_rows[90], k, sizeof k), memcpy(v_rows[90], v, sizeof v);
    free(state);
}

static void past_never_sees_the_future(void) {
    D = dims[dim_number = 0];
    over_codecs("refine=5,sink=2,exact=8", best, check_causality);
}

/* The closed form: what the codecs read of n rows, and the picked rows of the copy. */
static void check_counters(const struct attn *a) {
    const struct attn_layer *y = &a->layers[0];
    void *state = new_state(a);
    for (size_t t = 0; t < T; t++) {
        struct attn_counters c = step(a, state, t, 1, out_a, TOGETHER), x = {0};
        size_t picked = refine_count(&y->refine, t + 1);
        for (size_t h = 0; h < H; h++) {
            x.refined += picked * (y->key_copies[h].row + y->value_copies[h].row);
            if (picked == t + 1) continue;
            y->key.ops->reads(&y->key, D, h, t + 1, false, &x);
            y->value.ops->reads(&y->value, D, h, t + 1, true, &x);
        }
        CHECK(memcmp(&c, &x, sizeof c) == 0, "%s: position %zu is not the closed form", a->name, t);
    }
    free(state);
}

static void check_together(const struct attn *a) {
    void *state = new_state(a);
    step(a, state, 0, T, out_a, TOGETHER);
    check_sequences_together(a, state);
    free(state);
}

static void sequences_share_codebooks(void) {
    D = dims[dim_number = 0];
    over_codecs("refine=9,sink=1,window=5,exact=8", best, check_together);
}

static void counters_equal_closed_form(void) {
    for (dim_number = 0; dim_number < 2; dim_number++) {
        D = dims[dim_number];
        over_codecs("refine=9,sink=1,window=5,exact=8", best, check_counters);
    }
}

static void threads_change_nothing(void) {
    struct attn a;
    struct attn_counters first = {0};
    D = dims[dim_number = 0];
    open_attn(&a, "lookat4:sink=1,window=8,refine=12,exact=8/int8:skip=1e-3", best);
    for (int n = 1; n <= 3; n++) {
        threads_set(n);
        void *state = new_state(&a);
        struct attn_counters c =
            run(&a, state, mixed, N_MIXED, T, n == 1 ? out_a : out_b, TOGETHER);
        if (n == 1) first = c;
        CHECK(n == 1 || same(out_a, out_b, 0, T), "%d threads change the answers", n);
        CHECK(memcmp(&first, &c, sizeof c) == 0, "%d threads change the account", n);
        free(state);
    }
    threads_set(1);
    attn_free(&a);
}

static void account(void) {
    static const struct {
        const char *spec;
        size_t copy; /* bytes of a token and head, of 32 dimensions */
    } cases[] = {{"lookat4:refine=8/pq8", 2 * 64},
                 {"lookat4:sink=1,window=32,refine=8,exact=8/pq8", 2 * 34},
                 {"lookat4:refine=8,exact=4/pq8", 2 * 18},
                 {"lookat4/pq8", 0}};
    struct attn plain, a;
    size_t heads = (size_t)L * H;
    D = dims[dim_number = 0];
    open_attn(&plain, "lookat4/pq8", best);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_attn(&a, cases[i].spec, best);
        CHECK(attn_copy_bytes_per_token(&a) == heads * cases[i].copy, "%s: %zu", cases[i].spec,
              attn_copy_bytes_per_token(&a));
        CHECK(attn_key_bytes(&a, 100) == attn_key_bytes(&plain, 100), "%s: keys", cases[i].spec);
        size_t one = (T * cases[i].copy + 63) / 64 * 64;
        CHECK(attn_state_bytes(&a) == attn_state_bytes(&plain) + heads * one, "%s: state",
              cases[i].spec);
        attn_free(&a);
    }
    attn_free(&plain);
}

int main(void) {
    struct err e;
    fill_rows(29);
    CHECK(kernels_get(&best, NULL, &e) == OK, "%s", e.msg);
    for (size_t i = 0; i < 3; i++) {
        random_book(&books[i], L, H, dims[i], 256, 3);
        random_book(&books[i], L, H, dims[i], 16, 3);
        random_values(&books[i], 8, 256, 3);
        random_values(&books[i], 16, 256, 3);
        random_uneven(&books[i], 8, 256, 3);
    }
    threads_set(1);
    RUN(picking);
    RUN(picking_among_nan);
    RUN(every_row_is_the_copys_own);
    RUN(copies_hold_the_codecs_numbers);
    RUN(answers_are_those_of_float64);
    RUN(batches_are_one_by_one);
    RUN(rewinding);
    RUN(past_never_sees_the_future);
    RUN(counters_equal_closed_form);
    RUN(sequences_share_codebooks);
    RUN(threads_change_nothing);
    RUN(account);
    for (size_t i = 0; i < 3; i++) book_close(&books[i]);
    return TEST_RESULT;
}
