/* The contract of the attention backend, over every key codec x value codec of the registry and
 * every kernel set of this CPU. */
#include "test.h"

#include "attention/backend.h"
#include "attention/spec.h"
#include "attention/spec_name.h"
#include "random_book.h"

enum {
    L = 2,
    H = 3,
    MAX_D = 32,
    T = 37,
    GUARD = 64,
    C = H * MAX_D
};               /* rows of q, k, v and out are C floats apart */
static size_t D; /* set by over_registry */

#include "attend_steps.h"

/* A state between guard bytes, all of it NaN in every floating format before it is cleared. */
struct state {
    uint8_t *block, *mem;
    size_t bytes;
};

static struct state state_new(const struct attn *a) {
    struct state s = {.bytes = attn_state_bytes(a)};
    s.block = aligned_alloc(64, (s.bytes + 2 * GUARD + 63) / 64 * 64);
    memset(s.block, 0xff, s.bytes + 2 * GUARD);
    s.mem = s.block + GUARD;
    attn_clear(a, s.mem);
    return s;
}

static void state_free(struct state *s) {
    bool intact = true;
    for (size_t i = 0; i < GUARD; i++)
        intact = intact && s->block[i] == 0xff && s->mem[s->bytes + i] == 0xff;
    CHECK(intact, "a byte outside the state's %zu was written", s->bytes);
    free(s->block);
}

struct seen {
    double worst_sum; /* |sum of probabilities - 1| */
    size_t rows;
};

/* Not locked: used with one thread. */
static void look(void *ctx, const struct attn_row *row) {
    struct seen *seen = ctx;
    const float *scores = row->scores, *probs = row->probs;
    size_t n_keys = row->n_keys;
    double sum = 0, best = -INFINITY, z = 0, worst = 0;
    for (size_t i = 0; i < n_keys; i++) sum += probs[i], best = fmax(best, scores[i]);
    for (size_t i = 0; i < n_keys; i++) z += exp(scores[i] - best);
    for (size_t i = 0; i < n_keys; i++)
        worst = fmax(worst, fabs(exp(scores[i] - best) / z - probs[i]));
    CHECK(worst < 1e-6, "probabilities are not the softmax of the scores: off by %g", worst);
    seen->worst_sum = fmax(seen->worst_sum, fabs(sum - 1));
    seen->rows++;
}

static struct attn_counters ask(const struct attn *a, void *state, size_t layer, size_t pos,
                                size_t n, float out[][C], const struct attn_probe *probe) {
    return step_with(a, state, layer, pos, n, out, STORED, probe);
}

static void append(const struct attn *a, void *state, size_t layer, size_t pos, size_t n) {
    attn_append(a, state, layer, pos, n, k_rows[pos], v_rows[pos], C);
}

static double worst_difference(float a[][C], float b[][C], size_t begin, size_t end) {
    double worst = 0;
    for (size_t t = begin; t < end; t++)
        for (size_t i = 0; i < H * D; i++) {
            double d = fabs((double)a[t][i] - b[t][i]);
            if (!(d <= worst)) worst = d; /* NaN stays */
        }
    return worst;
}

/* Are n rows of outputs the same bits? */
static bool same(float a[][C], float b[][C], size_t n) {
    for (size_t t = 0; t < n; t++)
        if (memcmp(a[t], b[t], H * D * sizeof **a) != 0) return false;
    return true;
}

/* k[T][D] = what a query at t of a state that holds T tokens scores: keys as the codec gives them
 * back, or as exact keys where the ring still has them. */
static void keys_seen(const struct attn *a, const uint8_t *state, size_t layer, size_t h, size_t t,
                      float *k) {
    const struct attn_layer *y = &a->layers[layer];
    const float *middle = a->center ? a->center + (layer * H + h) * D : NULL;
    struct codec_head key = {a->kn, &y->key, layer, h, D, middle},
                      exact = {a->kn, &y->exact.codec, layer, h, D, NULL};
    const size_t sink = y->exact.sink, window = y->exact.window;
    y->key.ops->decode(&key, k, state + y->keys[h].at, 0, T);
    if (!exact.codec->ops) return;
    for (size_t x = 0; x < T; x++) {
        for (size_t d = 0; y->key.o.center && middle && d < D; d++) k[x * D + d] += middle[d];
        if (x < sink)
            exact.codec->ops->decode(&exact, k + x * D, state + y->exact_keys[h].at, x, 1);
        else if (x + window > t && x + window >= T)
            exact.codec->ops->decode(&exact, k + x * D, state + y->exact_keys[h].at,
                                     sink + (x - sink) % window, 1);
    }
}

/* float64 attention over the rows as the codecs give them back: what every backend must match to
 * rounding. */
static void exact(const struct attn *a, const void *state, size_t layer, float out[][C]) {
    const struct attn_layer *y = &a->layers[layer];
    const uint8_t *base = state;
    for (size_t h = 0; h < H; h++) {
        float k[T * MAX_D], v[T * MAX_D];
        struct codec_head value = {a->kn, &y->value, layer, h, D, NULL};
        y->value.ops->decode(&value, v, base + y->values[h].at, 0, T);
        for (size_t t = 0; t < T; t++) {
            double s[T], best = -INFINITY, z = 0;
            keys_seen(a, base, layer, h, t, k);
            for (size_t i = 0; i <= t; i++) {
                s[i] = 0;
                for (size_t d = 0; d < D; d++) s[i] += (double)q_rows[t][h * D + d] * k[i * D + d];
                s[i] /= sqrt((double)D);
                best = fmax(best, s[i]);
            }
            for (size_t i = 0; i <= t; i++) z += s[i] = exp(s[i] - best);
            for (size_t d = 0; d < D; d++) {
                double sum = 0;
                for (size_t i = 0; i <= t; i++) sum += s[i] / z * v[i * D + d];
                out[t][h * D + d] = (float)sum;
            }
        }
    }
}

static float whole[T][C], other[T][C], reference[T][C];

/* Outputs here are normal numbers, and rounding moves them by some 1e-5. Codecs in blocks of tiles
 * (kernels/tiles.h) also round the query, or the weights of the values, to 16 bits: 1 in 65,278 of
 * the largest, which moves these outputs by 1e-4, a thousandth of what int4 rounds keys by. Tables
 * of 16 bits move a score by up to M step / 2 / sqrt(D), here 2e-4, and so an output by twice that
 * times the largest value, 3. */
static double tolerance(const struct attn *a) {
    const struct attn_layer *y = &a->layers[0];
    bool int8_exact = y->exact.codec.ops && codec_layout(&y->exact.codec, D, 0).rows == TILE_SIDE;
    bool whole_query = codec_layout(&y->key, D, 0).rows == TILE_SIDE || int8_exact,
         whole_weights = codec_layout(&y->value, D, 0).rows == TILE_SIDE;
    double tables = y->key.o.table == 16 ? 1.1e-3 : 0;
    return 1e-4 + (whole_query ? 2e-4 : 0) + (whole_weights ? 1e-4 : 0) + tables;
}

static void check_results(const struct attn *a) {
    struct state s = state_new(a), one = state_new(a);
    struct seen seen = {0};
    struct attn_probe probe = {&seen, look};
    threads_set(1);

    append(a, s.mem, 1, 0, T);
    ask(a, s.mem, 1, 0, T, whole, &probe);
    CHECK(seen.rows == T * H, "%s: the probe saw %zu rows, expected %d", a->name, seen.rows, T * H);
    CHECK(seen.worst_sum < 1e-5, "%s: probabilities sum to 1 +- %g", a->name, seen.worst_sum);
    exact(a, s.mem, 1, reference);
    double worst = worst_difference(whole, reference, 0, T);
    CHECK(worst <= tolerance(a), "%s: off float64 over the stored rows by %g", a->name, worst);
    ask(a, s.mem, 1, 0, T, whole, NULL);
    worst = worst_difference(whole, reference, 0, T);
    CHECK(worst <= 1e-4, "%s: without a probe off float64 by %g", a->name, worst);

    for (size_t t = 0; t < T; t++) { /* everything past t is still NaN */
        append(a, one.mem, 1, t, 1);
        ask(a, one.mem, 1, t, 1, other, NULL);
    }
    attn_clear(a, s.mem);
    step_with(a, s.mem, 1, 0, T, whole, TOGETHER, NULL);
    worst = worst_difference(whole, other, 0, T);
    CHECK(worst <= tolerance(a), "%s: one by one differs from a batch by %g", a->name, worst);
    state_free(&s);
    state_free(&one);
}

static void check_future(const struct attn *a) {
    struct state s = state_new(a);
    size_t n = 11, window = a->layers[0].exact.window;
    append(a, s.mem, 0, 0, n);
    ask(a, s.mem, 0, 0, n, whole, NULL);
    float nan_rows[T][C];
    memset(nan_rows, 0xff, sizeof nan_rows);
    attn_append(a, s.mem, 0, n, T - n, nan_rows[0], nan_rows[0], C);
    ask(a, s.mem, 0, 0, n, other, NULL);
    if (!window || window + a->layers[0].exact.sink >= T)
        CHECK(same(whole, other, n), "%s: a poisoned future reaches the past", a->name);
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < H * D; i++)
            CHECK(isfinite(other[t][i]), "%s: a poisoned future reaches the past", a->name);

    attn_truncate(a, s.mem, 5);
    append(a, s.mem, 0, 5, T - 5);
    ask(a, s.mem, 0, 5, T - 5, whole, NULL);
    struct state fresh = state_new(a);
    append(a, fresh.mem, 0, 0, 5);
    if (window)
        append(a, fresh.mem, 0, 5, T - 5),
            attn_truncate(a, fresh.mem, 5); /* what left the window is not in it again */
    append(a, fresh.mem, 0, 5, T - 5);
    ask(a, fresh.mem, 0, 5, T - 5, other, NULL);
    CHECK(same(whole + 5, other + 5, T - 5), "%s: append, truncate, append differs from append",
          a->name);
    state_free(&fresh);

    for (size_t n_left = 1; n_left < T;
         n_left += 3) { /* rows of NaN left behind the last one, in its block */
        attn_truncate(a, s.mem, n_left);
        attn_append(a, s.mem, 0, n_left, T - n_left, nan_rows[0], nan_rows[0], C);
        attn_truncate(a, s.mem, n_left);
        struct state clean = state_new(a);
        append(a, clean.mem, 0, 0, n_left);
        if (window)
            append(a, clean.mem, 0, n_left, T - n_left), attn_truncate(a, clean.mem, n_left);
        ask(a, s.mem, 0, n_left - 1, 1, whole, NULL);
        ask(a, clean.mem, 0, n_left - 1, 1, other, NULL);
        CHECK(same(whole + n_left - 1, other + n_left - 1, 1),
              "%s: forgotten rows reach the %zu left", a->name, n_left);
        state_free(&clean);
        append(a, s.mem, 0, n_left, 3 < T - n_left ? 3 : T - n_left);
    }

    attn_truncate(a, s.mem, 0);
    append(a, s.mem, 0, 0, T);
    append(a, s.mem, 1, 0, T); /* all layers hold T */
    struct state copy = state_new(a);
    attn_copy(a, copy.mem, s.mem, 9);
    append(a, copy.mem, 0, 9, 1);
    ask(a, copy.mem, 0, 9, 1, other, NULL);
    attn_truncate(a, s.mem, 9);
    append(a, s.mem, 0, 9, 1);
    ask(a, s.mem, 0, 9, 1, whole, NULL);
    CHECK(same(whole + 9, other + 9, 1), "%s: a copy answers differently", a->name);
    state_free(&copy);
    state_free(&s);
}

static void check_threads(const struct attn *a) {
    struct state s = state_new(a), t = state_new(a);
    append(a, s.mem, 0, 0, T);
    append(a, t.mem, 0, 0, 13);
    static float out[4][T + 13][C];
    struct attn_counters c[4] = {0};
    for (int n = 1; n <= 3; n++) {
        threads_set(n);
        void *scratch = aligned_alloc(64, (attn_scratch_bytes(a, n) + 63) / 64 * 64);
        struct attn_query items[2] = {
            {.state = s.mem,
             .pos = 0,
             .n = T,
             .q = q_rows[0],
             .out = out[n][0],
             .q_stride = C,
             .out_stride = C},
            {.state = t.mem,
             .pos = 12,
             .n = 1,
             .q = q_rows[12],
             .out = out[n][T],
             .q_stride = C,
             .out_stride = C},
        };
        attn_attend(a, 0, items, 2, scratch, &c[n], NULL);
        free(scratch);
        CHECK(same(out[n], out[1], T + 1), "%s: %d threads change the output", a->name, n);
        CHECK(memcmp(&c[n], &c[1], sizeof *c) == 0, "%s: %d threads change the counters", a->name,
              n);
    }
    threads_set(1);
    ask(a, t.mem, 0, 12, 1, other, NULL);
    CHECK(same(out[1] + T, other + 12, 1), "%s: the second sequence sees the first", a->name);
    state_free(&s);
    state_free(&t);
}

static void check_together(const struct attn *a) {
    struct state s = state_new(a);
    append(a, s.mem, 0, 0, T);
    check_sequences_together(a, s.mem);
    state_free(&s);
}

/* Bytes of scales of the value rows left out. */
static uint64_t skipped(const struct attn *a, const struct attn_counters *c) {
    return c->skipped_rows * a->layers[0].values[0].scales;
}

/* The closed forms of backend.h: a few queries read what the codecs say of each; more read each row
 * up to a tile's last query once. */
static void check_counters(const struct attn *a) {
    const struct attn_layer *y = &a->layers[0];
    size_t sink = y->exact.sink, window = y->exact.window, slots = sink + window;
    struct state s = state_new(a);
    append(a, s.mem, 0, 0, T);
    for (size_t pos = 0; pos < T; pos++)
        for (size_t n = 1; pos + n <= T; n += n == 1 ? 1 : 5) {
            struct attn_counters c = ask(a, s.mem, 0, pos, n, other, NULL), x = {0};
            for (size_t h = 0; h < H; h++) {
                for (size_t t = pos + 1; n <= ATTN_FEW_QUERIES && t <= pos + n; t++) {
                    y->key.ops->reads(&y->key, D, h, t, false, &x);
                    if (y->exact.codec.ops)
                        y->exact.codec.ops->reads(&y->exact.codec, D, h, t < slots ? t : slots,
                                                  false, &x);
                    y->value.ops->reads(&y->value, D, h, t, true, &x);
                }
                for (size_t begin = 0; n > ATTN_FEW_QUERIES && begin < n;
                     begin += ATTN_TILE_QUERIES) {
                    size_t rows =
                        pos + (begin + ATTN_TILE_QUERIES < n ? begin + ATTN_TILE_QUERIES : n);
                    size_t first = pos + begin + 1 > window ? pos + begin + 1 - window : 0, exact;
                    if (first < T - window) first = T - window; /* the ring holds no older ones */
                    if (first < sink) first = sink;
                    exact =
                        (rows < sink ? rows : sink) + (window && rows > first ? rows - first : 0);
                    x.keys += rows * (y->keys[h].row - y->keys[h].scales) +
                              exact * (y->exact_keys[h].row - y->exact_keys[h].scales);
                    x.values += rows * (y->values[h].row - y->values[h].scales);
                    x.scales += rows * (y->keys[h].scales + y->values[h].scales) +
                                exact * y->exact_keys[h].scales;
                }
            }
            CHECK(c.keys == x.keys &&
                      c.values + c.skipped_rows * (y->values[0].row - y->values[0].scales) ==
                          x.values &&
                      c.scales + skipped(a, &c) == x.scales && c.codebooks == x.codebooks &&
                      c.tables == x.tables,
                  "%s: pos %zu, n %zu: not the closed form", a->name, pos, n);
        }
    size_t key_bytes = 0, value_bytes = 0;
    for (size_t i = 0; i < L * H; i++)
        key_bytes += a->layers[i / H].keys[i % H].row,
            value_bytes += a->layers[i / H].values[i % H].row;
    CHECK(attn_key_bytes_per_token(a) == key_bytes && attn_value_bytes_per_token(a) == value_bytes,
          "%s", a->name);
    state_free(&s);
}

/* Codecs with the exact keys or with skipping; over_some checks them where over_pairs does the
 * plain ones. */
static const char *const optional[] = {"int4:sink=1,window=8",
                                       "lookat4:sink=2,window=5/int8",
                                       "int4:center,window=40",
                                       "turbo:bits=4,sink=3,window=3,exact=8/int4",
                                       "fp32:sink=4/fp16:skip=0",
                                       "lookat8x4/fp16",
                                       "lookat8x4:table=32,sink=1,window=6/int8",
                                       "lookat16x4:plain",
                                       "fp16/int4:skip=1e-7",
                                       "int8:window=6,exact=8/fp16:skip=1e-7",
                                       "lookat:bytes=3",
                                       "lookat:bytes=3,sink=1,window=8,table=32/int8",
                                       "fp16/pq8x4",
                                       "lookat:bytes=2,k=16/pq:bytes=3,k=16",
                                       "lookat4:sink=1,window=8/pq:bytes=2",
                                       "fp16/pq8:skip=1e-7",
                                       "constant:sink=1,window=4"};

static void over_some(void (*check)(const struct attn *a), const struct kernels *k) {
    struct attn_shape shape = {L, H, D, T};
    struct book book = {0};
    random_book(&book, L, H, D, 256, 3);
    random_learned(&book, 4, 256, 3);
    random_book(&book, L, H, D, 16, 3);
    random_learned(&book, 8, 16, 3);
    random_uneven(&book, 3, 256, 3);
    random_uneven(&book, 2, 16, 3);
    random_values(&book, 8, 256, 3);
    random_values(&book, 8, 16, 3);
    random_uneven_values(&book, 3, 16, 3);
    random_uneven_values(&book, 2, 256, 3);
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        struct attn a;
        struct err e;
        int rc = attn_init(&a, &shape, optional[i], &book, k, &e);
        CHECK(rc == OK, "%s: %s", optional[i], e.msg);
        if (rc) continue;
        if (attn_wants_center(&a)) a.center = center;
        check(&a);
        attn_free(&a);
    }
    book_close(&book);
}

/* Every codec that lists show as keys x every one as values, for every kernel set; a codec that
 * refuses a head_dim is left out there. */
static size_t over_pairs(void (*check)(const struct attn *a), const struct kernels *k) {
    struct attn_shape shape = {L, H, D, T};
    struct book book = {0};
    size_t pairs = 0;
    if (D % 4 == 0) { /* codes need a head_dim that they divide */
        random_book(&book, L, H, D, 256, 3);
        random_learned(&book, 4, 256, 3); /* lookat4; the others are plain */
        random_values(&book, 8, 256, 3);
        random_values(&book, 16, 256, 3);
        random_book(&book, L, H, D, 16, 3);
    }
    for (size_t i = 0; kv_codec_listed(i); i++)
        for (size_t j = 0; kv_codec_listed(j); j++) {
            char spec[128];
            struct attn a;
            struct err e;
            struct codec key, value;
            if (codec_parse(&key, kv_codec_listed(i), D, false, &e) ||
                codec_parse(&value, kv_codec_listed(j), D, true, &e))
                continue;
            snprintf(spec, sizeof spec, "%s/%s", kv_codec_listed(i), kv_codec_listed(j));
            int rc = attn_init(&a, &shape, spec, &book, k, &e);
            CHECK(rc == OK, "%s: %s", spec, e.msg);
            if (rc) continue;
            if (attn_wants_center(&a)) a.center = center;
            check(&a);
            attn_free(&a);
            pairs++;
        }
    book_close(&book);
    return pairs;
}

/* Odd head_dims, one with a small power of two in it, and one that every codec takes. */
static void over_registry(void (*check)(const struct attn *a)) {
    fill_rows(7);
    for (size_t set = 0; kernels_at(set); set++) {
        if (!kernels_at(set)->supported() || kernels_at(set)->by_name_only) continue;
        static const size_t odd[] = {1, 5, 7};
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            D = odd[i];
            CHECK(over_pairs(check, kernels_at(set)) >= 4, "few pairs of %zu", D);
        }
        D = 20;
        size_t pairs = over_pairs(check, kernels_at(set));
        D = MAX_D;
        CHECK(over_pairs(check, kernels_at(set)) > pairs && pairs >= 4, "few pairs: %zu", pairs);
        over_some(check, kernels_at(set));
    }
}

static void results_of_every_codec(void) { over_registry(check_results); }
static void past_never_sees_the_future(void) { over_registry(check_future); }
static void threads_change_nothing(void) { over_registry(check_threads); }
static void counters_equal_closed_form(void) { over_registry(check_counters); }
static void sequences_share_codebooks(void) { over_registry(check_together); }

/* Several tiles of queries and of keys: batches of any cut, one by one, and float64 agree; so does
 * storing on the way. */
static void long_prompts(void) {
    enum { N = 210 };
    static const size_t cuts[][6] = {{N}, {1, 64, 145}, {63, 2, 80, 65}, {130, 1, 1, 1, 77}};
    static const char *const some[] = {
        "fp32",         "fp16",         "int8/int4",      "turbo:bits=4/turbo:bits=3",
        "lookat4/fp16", "lookat8/fp16", "lookat8x4/fp16", "fp16/pq8",
        "fp16/pq8x4"};
    struct attn_shape shape = {1, 1, 32, N};
    struct book book = {0};
    float *x = malloc(N * 96 * sizeof *x), *out = malloc(2 * N * 32 * sizeof *out);
    struct rng r;
    rng_seed(&r, 11, 0);
    D = 32;
    for (size_t i = 0; i < N * 96; i++) x[i] = (float)rng_normal(&r) * (i % 96 < 32 ? 2 : 1);
    random_book(&book, 1, 1, 32, 256, 3);
    random_learned(&book, 8, 256, 3);
    random_learned(&book, 8, 16, 3);
    random_values(&book, 8, 256, 3);
    random_values(&book, 8, 16, 3);
    for (size_t set = 0; kernels_at(set); set++)
        for (size_t i = 0; kernels_at(set)->supported() && !kernels_at(set)->by_name_only &&
                           i < sizeof some / sizeof *some;
             i++) {
            struct attn a;
            struct err e;
            CHECK(attn_init(&a, &shape, some[i], &book, kernels_at(set), &e) == OK, "%s", e.msg);
            void *scratch =
                aligned_alloc(64, (attn_scratch_bytes(&a, threads_count()) + 63) / 64 * 64);
            for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                struct state s = state_new(&a), one = state_new(&a);
                struct attn_counters count = {0};
                for (size_t pos = 0, j = 0; pos < N; pos += cuts[c][j++]) {
                    struct attn_query item = {.state = s.mem,
                                              .pos = pos,
                                              .n = cuts[c][j],
                                              .k = x + pos * 96 + 32,
                                              .v = x + pos * 96 + 64,
                                              .q = x + pos * 96,
                                              .out = out + pos * 32,
                                              .kv_stride = 96,
                                              .q_stride = 96,
                                              .out_stride = 32};
                    attn_attend(&a, 0, &item, 1, scratch, &count, NULL);
                }
                double worst = 0;
                for (size_t pos = 0; pos < N; pos++) {
                    struct attn_query item = {.state = one.mem,
                                              .pos = pos,
                                              .n = 1,
                                              .k = x + pos * 96 + 32,
                                              .v = x + pos * 96 + 64,
                                              .q = x + pos * 96,
                                              .out = out + (N + pos) * 32,
                                              .kv_stride = 96,
                                              .q_stride = 96,
                                              .out_stride = 32};
                    attn_attend(&a, 0, &item, 1, scratch, &count, NULL);
                    for (size_t d = 0; d < 32; d++) {
                        double off = fabs((double)out[pos * 32 + d] - out[(N + pos) * 32 + d]);
                        if (!(off <= worst)) worst = off; /* NaN stays */
                    }
                }
                CHECK(worst <= tolerance(&a),
                      "%s %s, cut %zu: one by one differs from batches by %g", a.kn->name, a.name,
                      c, worst);
                CHECK(memcmp(s.mem + a.layers[0].keys[0].at, one.mem + a.layers[0].keys[0].at,
                             N / KV_BLOCK_MAX * KV_BLOCK_MAX * a.layers[0].keys[0].row) == 0,
                      "%s %s: other keys are stored", a.kn->name, a.name);
                state_free(&s);
                state_free(&one);
            }
            free(scratch);
            attn_free(&a);
        }
    book_close(&book);
    free(x);
    free(out);
}

static void specs(void) {
    D = 20;
    struct attn_shape shape = {5, H, D, T};
    const struct kernels *k = kernels_at(0);
    struct attn a;
    struct err e;
    const struct {
        const char *spec, *name;
    } good[] = {
        {"fp16", "fp16/fp16"},
        {"fp32", "fp32/fp32"},
        {"fp32/fp16", "fp32/fp16"},
        {"f16/f32", "fp16/fp32"},
        {"fp16+fp32@2-", "fp16/fp16@0-1+fp32/fp32@2-"},
        {"fp16+fp32/fp16@1-3", "fp16/fp16@0+fp32/fp16@1-3+fp16/fp16@4-"},
        {"fp16@0-1+fp32@2-4", "fp16/fp16@0-1+fp32/fp32@2-"},
        {"fp32+fp16@0-", "fp16/fp16"},
        {"int8/int4:rotate", "int8:group=4/int4:group=4,rotate"},
        {"q4_0:group=10,center", "int4:group=10,center/fp16"},
        {"turbo2/turbo", "turbo:bits=2/turbo:bits=4"},
        {"fp16:sink=1,window=32,exact=16", "fp16:sink=1,window=32/fp16"},
        {"q4_0:window=65536,exact=8,sink=0/q8_0:skip=1e-4",
         "int4:group=4,window=65536,exact=8/int8:group=4,skip=0.0001"},
        {"fp16/fp16:skip=0.02@1-+fp32@0", "fp32/fp32@0+fp16/fp16:skip=0.02@1-"},
        {"fp16:sink=0/fp16:skip=0", "fp16/fp16"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int rc = attn_init(&a, &shape, good[i].spec, NULL, k, &e);
        CHECK(rc == OK, "%s: %s", good[i].spec, e.msg);
        if (rc) continue;
        CHECK(strcmp(a.name, good[i].name) == 0, "%s is %s, expected %s", good[i].spec, a.name,
              good[i].name);
        attn_free(&a);
    }
    CHECK(attn_init(&a, &shape, "fp32/fp16@1-+fp16@0", NULL, k, &e) == OK, "%s", e.msg);
    size_t bytes = 128;
    for (size_t l = 0; l < 5; l++)
        for (size_t h = 0; h < H; h++) {
            bytes += (codec_timeline_bytes(&a.layers[l].key, D, h, T) + 63) / 64 * 64;
            bytes += (codec_timeline_bytes(&a.layers[l].value, D, h, T) + 63) / 64 * 64;
        }
    CHECK(attn_state_bytes(&a) == bytes, "%zu", attn_state_bytes(&a));
    attn_free(&a);
    const struct {
        const char *spec, *expect;
    } bad[] = {
        {"", "'' is not a codec for keys; known: fp32, fp16, int8, int4, turbo, lookat"},
        {"fp17", "'fp17' is not a codec for keys"},
        {"lookat5", "the number behind lookat is one of 1, 2, 4, 8, 16, 32, 4x4, 8x4, 16x4, 32x4 "
                    "(lookat help attn"},
        {"lookat3x4:plain",
         "'lookat3x4' is unknown: the number behind lookat is one of 1, 2, 4, 8, 16, 32"},
        {"turbo5", "'turbo5' is unknown: the number behind turbo is one of 2, 3, 4"},
        {"fp16/pq5", "'pq5' is unknown: the number behind pq is one of 4, 8, 16, 32"},
        {"pq5", "'pq5' is not a codec for keys"},
        {"int5", "'int5' is not a codec for keys; known: fp32, fp16, int8, int4, turbo, lookat, "
                 "constant; did you mean int8? (lookat help attn"},
        {"fp16/", "'' is not a codec for values"},
        {"/fp16", "'' is not a codec for keys"},
        {"fp16/fp16/fp16", "'fp16/fp16' is not a codec for values"},
        {"FP16", "'FP16' is not a codec"},
        {"fp16:m=4", "fp16 has no option 'm'; it takes: sink window refine exact"},
        {"fp16:", "fp16 has no option ''"},
        {"fp16@5", "'5' are not layers, expected FIRST or FIRST-LAST of 0 to 4"},
        {"fp16@3-1", "'3-1' are not layers"},
        {"fp16@", "'' are not layers"},
        {"fp16@1-", "layer 0 is left out"},
        {"fp16+", "'' is not a codec"},
        {"int8:group=8", "int8: group=8 does not divide a head of 20 dimensions"},
        {"int4:group=5", "group=5; two numbers share a byte"},
        {"int8/int8:center", "int8: center is for keys"},
        {"turbo:bits=5", "bits=5; known: 2, 3, 4"},
        {"fp16:sink=65537", "sink=65537, expected 0 to 65536 keys"},
        {"fp16:window", "window=, expected 0 to 65536 keys"},
        {"fp16:window=-1", "window=-1, expected 0 to 65536 keys"},
        {"fp16:sink=1,exact=5", "exact=5, expected 16, 8 or 4 bits"},
        {"fp16:refine=65537", "refine=65537, expected 0 to 65536 keys"},
        {"fp16/fp16:refine=4", "fp16 has no option 'refine' for values"},
        {"fp16:exact=8",
         "exact=8 says how the rows of sink=, window= and refine= are kept, and there are none"},
        {"fp16/fp16:sink=1", "fp16 has no option 'sink' for values; it takes: skip"},
        {"fp16:skip=1e-4", "fp16 has no option 'skip'; it takes: sink window refine exact"},
        {"fp16/fp16:skip=1", "skip=1, expected a probability below 1, as in skip=1e-4"},
        {"fp16/fp16:skip=", "skip=, expected a probability"},
        {"fp16/fp16:skip=nan", "skip=nan, expected a probability"},
        {"fp16/fp16:skip=-1e-4", "skip=-1e-4, expected a probability"},
        {"fp16/fp16:skip=1e", "skip=1e, expected a probability"},
        {"turbo3", "20 codes of 3 bits do not fill whole bytes: bits=3 needs a multiple of 8 "
                   "dimensions a head"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(attn_init(&a, &shape, bad[i].spec, NULL, k, &e) == ERR_USAGE &&
                  strstr(e.msg, bad[i].expect),
              "'%s': %s", bad[i].spec, e.msg);
}

/* What a spec as given leaves open stands in brackets, and nothing else does. */
static void titles(void) {
    static const struct {
        const char *given, *effective, *title;
    } cases[] = {
        {"fp16", "fp16/fp16", "fp16"},
        {"int4:rotate", "int4:group=32,rotate/fp16", "int4:rotate"},
        {"lookat4", "lookat:m=4,k=256,table=16,plain/fp16", "lookat4 (plain)"},
        {"lookat4", "lookat:m=4,k=256,table=16,learned/fp16", "lookat4 (learned)"},
        {"lookat4", "lookat:bytes=4,k=256,table=16/fp16", "lookat4 (learned, bytes=4)"},
        {"lookat4", "lookat:bytes=4,k=16,table=16/fp16", "lookat4 (learned, bytes=4, k=16)"},
        {"lookat4:plain", "lookat:m=4,k=256,table=16,plain/fp16", "lookat4:plain"},
        {"lookat:bytes=4", "lookat:bytes=4,k=256,table=16/fp16", "lookat:bytes=4"},
        {"lookat8x4", "lookat:m=8,k=16,table=16,learned/fp16", "lookat8x4 (learned)"},
        {"lookat:m=2,k=16", "lookat:m=2,k=16,table=16,plain,sink=1/fp16",
         "lookat:m=2,k=16 (plain)"},
        {"lookat4/pq8", "lookat:bytes=4,k=256,table=16/pq:bytes=8,k=256",
         "lookat4/pq8 (learned, bytes=4; values learned, bytes=8)"},
        {"fp16/pq8", "fp16/pq:m=8,k=256,learned", "fp16/pq8 (values learned)"},
        {"lookat4/pq8:learned", "lookat:m=4,k=256,table=16,learned/pq:m=8,k=256,learned",
         "lookat4/pq8:learned (learned)"},
        {"fp16+lookat8@1-2+lookat4@3-",
         "fp16/fp16@0+lookat:bytes=8,k=256,table=16/fp16@1-2+lookat:m=4,k=256,table=16,plain/"
         "fp16@3-",
         "fp16+lookat8@1-2+lookat4@3- (learned, bytes=8; plain)"},
        {"lookat", "lookat:bytes=4,k=16,table=16,refine=32,exact=8/pq:bytes=8,k=16",
         "lookat (lookat:bytes=4,k=16,table=16,refine=32,exact=8/pq:bytes=8,k=16)"},
        {"lookat:small", "int4:group=32/fp16", "lookat:small (int4:group=32/fp16)"},
        {"lookat4+lookat8@1",
         "lookat:bytes=4,k=256,table=16/fp16@0+lookat:bytes=8,k=256,table=16/fp16@1-",
         "lookat4+lookat8@1 (learned, bytes=4; learned, bytes=8)"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *title = spec_title(cases[i].given, cases[i].effective, &a);
        CHECK(title && strcmp(title, cases[i].title) == 0, "%s as %s: %s", cases[i].given,
              cases[i].effective, title);
    }
    arena_free(&a);
}

/* The effective spec of every codec with every choice of its options is a spec, and means the same.
 */
static void specs_read_back(void) {
    static const struct {
        const char *name, *values[3];
    } all[] = {{"m", {"4", "8"}},
               {"bytes", {"2"}},
               {"k", {"16", "256"}},
               {"bits", {"2", "3", "4"}},
               {"group", {"2", "16", "32"}},
               {"table", {"16", "32"}},
               {"rotate", {""}},
               {"center", {""}},
               {"plain", {""}},
               {"learned", {""}},
               {"sink", {"3"}},
               {"window", {"1", "700"}},
               {"refine", {"5"}},
               {"exact", {"8", "4"}},
               {"skip", {"0.1", "1.2345678901234567e-05", "3e-310"}}};
    enum { N = sizeof all / sizeof *all, DIM = 64 };
    static size_t taken[32], sides;
    struct err e;
    for (size_t i = 0; kv_codec_at(i); i++)
        for (int values = 0; values < 2; values++) {
            const struct kv_codec *ops = kv_codec_at(i);
            bool is_taken = values ? ops->values : ops->keys;
            size_t *count = &taken[sides++];
            for (size_t set = 0; is_taken && set < (size_t)1 << N; set++)
                for (size_t choice = 0; choice < 3; choice++) {
                    char spec[256], again[256], third[256];
                    size_t at = (size_t)snprintf(spec, sizeof spec, "%s", ops->name);
                    bool possible = true;
                    for (size_t o = 0; possible && o < N; o++) {
                        if (!(set >> o & 1)) continue;
                        const char *v =
                            all[o].values[choice] ? all[o].values[choice] : all[o].values[0];
                        possible = codec_option_find(ops->options | codec_common_options(values),
                                                     all[o].name, strlen(all[o].name));
                        at += (size_t)snprintf(spec + at, sizeof spec - at, "%c%s%s%s",
                                               strchr(spec, ':') ? ',' : ':', all[o].name,
                                               *v ? "=" : "", v);
                    }
                    struct codec c, back;
                    if (!possible || codec_parse(&c, spec, DIM, values, &e)) continue;
                    ++*count;
                    spec_format(&c, again, sizeof again);
                    int rc = codec_parse(&back, again, DIM, values, &e);
                    CHECK(!rc, "%s became %s: %s", spec, again, e.msg);
                    if (rc) continue;
                    spec_format(&back, third, sizeof third);
                    CHECK(codec_same(&back, &c) && strcmp(again, third) == 0,
                          "%s became %s, and that %s", spec, again, third);
                }
            CHECK((*count > 0) == is_taken, "%s: %zu specs as %s", ops->name, *count,
                  values ? "values" : "keys");
        }
}

/* And of several layers. */
static void names_read_back(void) {
    static const char *const specs[] = {"constant:sink=2", "constant@0-1+int8:window=3/int4@2-",
                                        "turbo:bits=3/fp16:skip=1e-3@0+fp32@1-",
                                        "int4:rotate,center+constant@3"};
    const struct attn_shape shape = {5, 2, 32, 64};
    struct err e;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct attn a, b;
        int rc = attn_init(&a, &shape, specs[i], NULL, kernels_at(0), &e);
        CHECK(!rc, "%s", e.msg);
        if (rc) continue;
        rc = attn_init(&b, &shape, a.name, NULL, kernels_at(0), &e);
        CHECK(!rc, "%s became %s: %s", specs[i], a.name, e.msg);
        if (!rc)
            CHECK(strcmp(a.name, b.name) == 0 && attn_state_bytes(&a) == attn_state_bytes(&b),
                  "%s became %s", a.name, b.name);
        if (!rc) attn_free(&b);
        attn_free(&a);
    }
}

int main(void) {
    RUN(long_prompts);
    RUN(specs_read_back);
    RUN(names_read_back);
    RUN(specs);
    RUN(titles);
    RUN(results_of_every_codec);
    RUN(past_never_sees_the_future);
    RUN(threads_change_nothing);
    RUN(counters_equal_closed_form);
    RUN(sequences_share_codebooks);
    return TEST_RESULT;
}
