/* The exact keys and skipping: windows that hold everything are FP16 attention bit for bit; a ring
 * that rolls, against a plain reference; rewinding, forking, threads, probes; what skipping leaves
 * out. */
#include "test.h"

#include "attention/backend.h"
#include "attention/skip.h"
#include "base/rng.h"
#include "base/threads.h"
#include "random_book.h"

enum { L = 2, H = 2, D = 32, T = 300, C = H * D };

#include "attend_steps.h"

static float out_a[T][C], out_b[T][C];

static struct book books;
static const struct kernels *best;

static void open_attn(struct attn *a, const char *spec, const struct kernels *k) {
    open_with(a, spec, &books, D, k);
}

static bool same(float a[][C], float b[][C], size_t begin, size_t end) {
    return memcmp(a[begin], b[begin], (end - begin) * sizeof *a) == 0;
}

static const size_t mixed[] = {1, 1, 1, 7, 64, 1, 130, 1, 33, 2};
enum { N_MIXED = sizeof mixed / sizeof *mixed };

static void wide_windows(void) {
    static const char *const wide[] = {"window=300", "window=65536", "sink=300",
                                       "sink=4,window=296", "sink=65536,window=65536"};
    for (size_t set = 0; kernels_at(set); set++) {
        if (!kernels_at(set)->supported() || kernels_at(set)->by_name_only) continue;
        struct attn plain;
        open_attn(&plain, "fp16", kernels_at(set));
        for (int how = TOGETHER; how <= PROBED; how++) {
            void *state = new_state(&plain);
            run(&plain, state, mixed, N_MIXED, T, out_a, (enum how)how);
            for (size_t i = 0; kv_codec_listed(i); i++) {
                struct codec c;
                struct attn some;
                struct err e;
                char spec[96];
                if (codec_parse(&c, kv_codec_listed(i), D, false, &e)) continue;
                snprintf(spec, sizeof spec, "%s%c%s/fp16", kv_codec_listed(i),
                         strchr(kv_codec_listed(i), ':') ? ',' : ':', wide[(i + (size_t)how) % 5]);
                open_attn(&some, spec, kernels_at(set));
                void *other = new_state(&some);
                run(&some, other, mixed, N_MIXED, T, out_b, (enum how)how);
                CHECK(same(out_a, out_b, 0, T), "%s %s: not fp16 (%d)", kernels_at(set)->name, spec,
                      how);
                free(other);
                attn_free(&some);
            }
            free(state);
        }
        attn_free(&plain);
    }
}

/* Attention over plain arrays, written down again: keys of a model without codes or rings.
 * coded[T][D] and exact[T][D] are what the two codecs make of a head's keys, values[T][D] of its
 * values. */
static void naive(const float *coded, const float *exact, const float *values, size_t sink,
                  size_t window, size_t head, size_t t, double out[D]) {
    double s[T], most = -INFINITY, z = 0;
    for (size_t x = 0; x <= t; x++) {
        const float *key = (x < sink || x + window > t ? exact : coded) + x * D;
        s[x] = 0;
        for (size_t d = 0; d < D; d++) s[x] += (double)q_rows[t][head * D + d] * (double)key[d];
        s[x] /= sqrt((double)D);
        most = fmax(most, s[x]);
    }
    for (size_t x = 0; x <= t; x++) z += s[x] = exp(s[x] - most);
    for (size_t d = 0; d < D; d++) {
        out[d] = 0;
        for (size_t x = 0; x <= t; x++) out[d] += s[x] / z * (double)values[x * D + d];
    }
}

/* rows[T][D] of a head through a codec and back. */
static void round_rows(const struct attn *a, const struct codec *c, size_t head, float (*from)[C],
                       float *rows) {
    const float *middle = !c->for_values && a->center ? a->center + head * D : NULL;
    struct codec_head h = {.kn = a->kn, .codec = c, .head = head, .head_dim = D, .center = middle};
    uint8_t *timeline = aligned_alloc(64, (codec_timeline_bytes(c, D, head, T) + 63) / 64 * 64);
    c->ops->store(&h, timeline, 0, from[0] + head * D, C, T);
    c->ops->decode(&h, rows, timeline, 0, T);
    for (size_t i = 0; c->o.center && middle && i < T * D; i++) rows[i] += middle[i % D];
    free(timeline);
}

static double off_naive(const struct attn *a, float out[][C]) {
    static float coded[T * D], exact[T * D], values[T * D];
    const struct attn_layer *y = &a->layers[0];
    double worst = 0, want[D];
    for (size_t h = 0; h < H; h++) {
        round_rows(a, &y->key, h, k_rows, coded);
        round_rows(a, &y->exact.codec, h, k_rows, exact);
        round_rows(a, &y->value, h, v_rows, values);
        for (size_t t = 0; t < T; t++) {
            naive(coded, exact, values, y->exact.sink, y->exact.window, h, t, want);
            for (size_t d = 0; d < D; d++) {
                double off = fabs(want[d] - (double)out[t][h * D + d]);
                if (!(off <= worst)) worst = off; /* NaN stays */
            }
        }
    }
    return worst;
}

static void rolling(void) {
    static const char *const specs[] = {"int4:sink=1,window=8",
                                        "lookat2:sink=3,window=32",
                                        "lookat4:window=7,exact=8/int8",
                                        "int4:center,sink=2,window=33",
                                        "turbo:bits=2,sink=5",
                                        "lookat8:window=1",
                                        "int8:sink=70,window=70,exact=8/turbo:bits=4",
                                        "fp32:window=65/fp32"};
    static const size_t ones[] = {1}, all[] = {T}, wraps[] = {33, 1, 8, 7, 66, 9};
    const struct {
        const size_t *sizes;
        size_t n;
    } cuts[] = {{ones, 1}, {all, 1}, {wraps, 6}, {mixed, N_MIXED}};
    for (size_t set = 0; kernels_at(set); set++)
        for (size_t i = 0; kernels_at(set)->supported() && !kernels_at(set)->by_name_only &&
                           i < sizeof specs / sizeof *specs;
             i++) {
            struct attn a;
            open_attn(&a, specs[i], kernels_at(set));
            for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
                for (int how = TOGETHER; how <= PROBED; how += PROBED) {
                    void *state = new_state(&a);
                    run(&a, state, cuts[c].sizes, cuts[c].n, T, out_a, (enum how)how);
                    double off = off_naive(&a, out_a);
                    CHECK(off <= 1.5e-3, "%s %s, cut %zu, %d: off by %g", a.kn->name, a.name, c,
                          how, off); /* tables of 16 bits: as in test_attention.c */
                    free(state);
                }
            attn_free(&a);
        }
}

/* The rewound state answers as one of which only what the ring still held is exact; nothing of
 * forgotten keys is left. */
static void rewinding(void) {
    struct attn a, wide, plain;
    open_attn(&a, "int4:sink=2,window=20", best);
    open_attn(&plain, "int4:sink=2", a.kn);
    open_attn(&wide, "int4:sink=2,window=300", a.kn);
    void *state = new_state(&a), *fork = new_state(&a), *sinks = new_state(&plain),
         *all = new_state(&wide), *once = new_state(&wide);

    run(&a, state, mixed, N_MIXED, T, out_a, TOGETHER);
    run(&plain, sinks, mixed, N_MIXED, T, out_a, TOGETHER);
    attn_append(&a, state, 1, 0, T, k_rows[0], v_rows[0], C); /* all layers hold as many */
    attn_copy(&a, fork, state, 290);
    attn_truncate(&a, state, 290);
    step(&a, state, 290, 1, out_a, TOGETHER);
    step(&a, fork, 290, 1, out_b, TOGETHER);
    CHECK(same(out_a, out_b, 290, 291), "a fork is a rewind");
    step(&a, state, 291, 9, out_a, TOGETHER);
    for (size_t t = 291; t < T; t++) step(&a, fork, t, 1, out_b, TOGETHER);
    for (size_t t = 291; t < T; t++)
        for (size_t i = 0; i < C; i++)
            CHECK(fabsf(out_a[t][i] - out_b[t][i]) <= 5e-4f,
                  "position %zu after a rewind, by batch and one by one", t);

    attn_truncate(&a, state, 100); /* nothing of the window is left */
    attn_truncate(&plain, sinks, 100);
    attn_append(&a, state, 0, 100, 1, k_rows[100], v_rows[100], C);
    attn_append(&plain, sinks, 0, 100, 1, k_rows[100], v_rows[100], C);
    attn_truncate(&a, state, 100);
    step(&a, state, 100, 30, out_a, TOGETHER);
    attn_truncate(&a, state, 100);
    for (size_t t = 100; t < 130; t++) step(&a, state, t, 1, out_b, TOGETHER);
    for (size_t t = 100; t < 130; t++)
        for (size_t i = 0; i < C; i++)
            CHECK(fabsf(out_a[t][i] - out_b[t][i]) <= 5e-4f, "position %zu after a far rewind", t);

    attn_truncate(&a, state, 1); /* into the sink */
    run(&a, fork = (free(fork), new_state(&a)), mixed, N_MIXED, T, out_b, TOGETHER);
    for (size_t t = 1; t < T; t++) step(&a, state, t, 1, out_a, TOGETHER);
    CHECK(off_naive(&a, out_b) <= 1e-3, "from the start");
    for (size_t t = 1; t < T; t++)
        for (size_t i = 0; i < C; i++)
            CHECK(fabsf(out_a[t][i] - out_b[t][i]) <= 5e-4f,
                  "position %zu after a rewind into the sink", t);

    run(&wide, all, mixed, N_MIXED, T, out_a, TOGETHER);
    attn_truncate(&wide, all, 50);
    for (size_t t = 50; t < T; t++) step(&wide, all, t, 1, out_a, TOGETHER);
    static const size_t ones[] = {1};
    run(&wide, once, ones, 1, T, out_b, TOGETHER);
    CHECK(same(out_a, out_b, 50, T), "a window over everything loses nothing");
    free(state), free(fork), free(sinks), free(all), free(once);
    attn_free(&a), attn_free(&plain), attn_free(&wide);
}

/* Drafts at work: batches of up to eight positions, of which the last ones are taken back. Every
 * answer that stays has the bits of one position after the other, which nobody takes back. */
static void taking_back(void) {
    static const char *const specs[] = {"fp16",
                                        "int4:sink=1,window=8/int4",
                                        "lookat2:sink=3,window=32",
                                        "lookat4:window=7,exact=8/int8:skip=1e-3",
                                        "int4:center,sink=2,window=33,exact=4",
                                        "turbo:bits=2,sink=5/turbo:bits=3",
                                        "lookat8:window=1",
                                        "lookat4:refine=5,sink=1,window=3/int4",
                                        "lookat4:refine=300/int8",
                                        "int8:sink=70,window=227/turbo:bits=4",
                                        "fp32:window=65/fp32"};
    static const size_t ones[] = {1};
    struct rng r;
    rng_seed(&r, 3, 0);
    for (size_t set = 0; kernels_at(set); set++)
        for (size_t i = 0; kernels_at(set)->supported() && !kernels_at(set)->by_name_only &&
                           i < sizeof specs / sizeof *specs;
             i++) {
            struct attn once, drafts;
            open_attn(&once, specs[i], kernels_at(set));
            open_attn(&drafts, specs[i], kernels_at(set));
            attn_take_back(&drafts, ATTN_FEW_QUERIES - 1);
            void *plain = new_state(&once), *state = new_state(&drafts);
            struct attn_counters first = run(&once, plain, ones, 1, T, out_b, TOGETHER), second;
            attn_clear(&once, plain);
            second = run(&once, plain, (const size_t[]){8, 3, 5}, 3, T, out_a, TOGETHER);
            CHECK(same(out_a, out_b, 0, T), "%s %s: few queries differ from one", once.kn->name,
                  once.name);
            CHECK(memcmp(&first, &second, sizeof first) == 0, "%s: counters", once.name);
            for (size_t pos = 0, n, kept; pos < T; pos += kept) {
                n = 1 + rng_below(&r, ATTN_FEW_QUERIES);
                n = n < T - pos ? n : T - pos;
                kept = 1 + rng_below(&r, n);
                step(&drafts, state, pos, n, out_a, TOGETHER);
                CHECK(same(out_a, out_b, pos, pos + kept), "%s %s: %zu of %zu rows from %zu",
                      once.kn->name, once.name, kept, n, pos);
                /* all layers hold as many */
                attn_append(&drafts, state, 1, pos, n, k_rows[pos], v_rows[pos], C);
                attn_truncate(&drafts, state, pos + kept);
            }
            free(plain), free(state);
            attn_free(&once), attn_free(&drafts);
        }
}

static void threads_change_nothing(void) {
    struct attn a;
    open_attn(&a, "lookat4:sink=1,window=32,exact=8/int8:skip=1e-3", best);
    struct attn_counters first = {0};
    for (int n = 1; n <= 3; n++) {
        threads_set(n);
        void *state = new_state(&a);
        run(&a, state, mixed, N_MIXED, T, n == 1 ? out_a : out_b, TOGETHER);
        attn_truncate(&a, state, T - 1);
        struct attn_counters c = step(&a, state, T - 1, 1, n == 1 ? out_a : out_b, TOGETHER);
        if (n == 1) first = c;
        CHECK(n == 1 || same(out_a, out_b, 0, T), "%d threads change the output", n);
        CHECK(memcmp(&first, &c, sizeof c) == 0, "%d threads change the counters", n);
        free(state);
    }
    threads_set(1);
    attn_free(&a);
}

static void account(void) {
    struct attn a, plain;
    open_attn(&a, "lookat4:sink=1,window=32", best);
    open_attn(&plain, "lookat4", a.kn);
    size_t heads = (size_t)L * H;
    CHECK(attn_key_bytes(&plain, 100) == 400 * heads &&
              attn_key_bytes_per_token_at(&plain, 100) == 4 * heads,
          "plain");
    CHECK(attn_key_bytes(&a, 10) == (40 + 10 * 64) * heads &&
              attn_key_bytes(&a, 100) == (400 + 33 * 64) * heads,
          "with exact keys");
    CHECK(attn_key_bytes_per_token_at(&a, 100) == ((400 + 33 * 64) * heads + 99) / 100,
          "rounded up");
    CHECK(attn_state_bytes(&a) == attn_state_bytes(&plain) + heads * ((33 * 64 + 63) / 64 * 64),
          "state");
    attn_free(&a), attn_free(&plain);
}

static void skipping(void) {
    static const char *const values[] = {"fp32", "fp16", "int8", "int4", "turbo:bits=3"};
    static const double bounds[] = {0, 1e-6, 1e-3, 0.05, 0.5};
    for (size_t set = 0; kernels_at(set); set++)
        for (size_t i = 0; kernels_at(set)->supported() && !kernels_at(set)->by_name_only &&
                           i < sizeof values / sizeof *values;
             i++) {
            struct attn all, some;
            char spec[96];
            snprintf(spec, sizeof spec, "fp16/%s", values[i]);
            open_attn(&all, spec, kernels_at(set));
            void *state = new_state(&all);
            attn_append(&all, state, 0, 0, T - 1, k_rows[0], v_rows[0], C);
            struct attn_counters whole = step(&all, state, T - 1, 1, out_a, TOGETHER);
            for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
                snprintf(spec, sizeof spec, "fp16/%s%cskip=%g", values[i],
                         strchr(values[i], ':') ? ',' : ':', bounds[b]);
                open_attn(&some, spec, kernels_at(set));
                attn_truncate(&some, state, T - 1);
                struct attn_counters c = step(&some, state, T - 1, 1, out_b, TOGETHER);
                const struct attn_timeline *y = &some.layers[0].values[0];
                double mass = (double)c.skipped_mass / (double)((uint64_t)1 << 40), off = 0;
                float largest = 0;
                for (size_t j = 0; j < (size_t)T * C; j++)
                    if (fabsf(v_rows[j / C][j % C]) > largest)
                        largest = fabsf(v_rows[j / C][j % C]);
                for (size_t d = 0; d < C; d++) {
                    double one = fabs((double)out_a[T - 1][d] - (double)out_b[T - 1][d]);
                    if (!(one <= off)) off = one; /* NaN stays */
                }
                /* 1.2: rounding of coded values */
                CHECK(mass <= H * bounds[b] && off <= mass * 1.2 * (double)largest + 3e-4,
                      "%s: mass %g, off by %g", spec, mass, off);
                CHECK(bounds[b] > 0 || same(out_a, out_b, T - 1, T), "%s changes a bit", spec);
                CHECK(bounds[b] < 0.05 || c.skipped_rows > 0, "%s skips nothing", spec);
                CHECK(c.values + c.skipped_rows * (y->row - y->scales) == whole.values &&
                          c.scales + c.skipped_rows * y->scales == whole.scales,
                      "%s: counters", spec);
                attn_free(&some);
            }
            free(state);
            attn_free(&all);
        }
}

static void choosing(void) {
    float p[70], marks[5];
    for (size_t i = 0; i < 70; i++)
        p[i] = i / 16 == 2   ? 0.05f
               : i / 16 == 4 ? 1e-3f
                             : 1e-5f; /* sums: 1.6e-4, 1.6e-4, 0.8, 1.6e-4, 6e-3 */
    CHECK(skip_choose(marks, p, 70, 16, 0) == 0 && marks[0] > 0 && marks[3] > 0, "nothing");
    double sum = skip_choose(marks, p, 70, 16, 3.5e-4);
    CHECK(marks[0] < 0 && marks[1] < 0 && marks[2] > 0 && marks[3] > 0 && marks[4] > 0 &&
              fabs(sum - 3.2e-4) < 1e-6,
          "two of three equals, the first: %g", sum);
    sum = skip_choose(marks, p, 70, 16, 7e-3);
    CHECK(marks[0] < 0 && marks[1] < 0 && marks[2] > 0 && marks[3] < 0 && marks[4] < 0 &&
              fabs(sum - 6.48e-3) < 1e-6,
          "all but one: %g", sum);
    p[20] = NAN;
    sum = skip_choose(marks, p, 70, 16, 0.9);
    CHECK(!(marks[1] < 0) && marks[2] < 0 && marks[4] < 0 && sum <= 0.9,
          "a block that is no number stays: %g", sum);
    struct kv_layout rows[] = {{1, 1}, {16, 1}, {32, 1}, {64, 1}, {8, 1}};
    CHECK(skip_rows(&rows[0]) == 16 && skip_rows(&rows[1]) == 16 && skip_rows(&rows[2]) == 32 &&
              skip_rows(&rows[3]) == 64 && skip_rows(&rows[4]) == 16,
          "rows");
}

int main(void) {
    struct err e;
    fill_rows(23);
    CHECK(kernels_get(&best, NULL, &e) == OK, "%s", e.msg);
    random_book(&books, L, H, D, 256, 3);
    random_book(&books, L, H, D, 16, 3);
    threads_set(1);
    RUN(wide_windows);
    RUN(rolling);
    RUN(rewinding);
    RUN(taking_back);
    RUN(threads_change_nothing);
    RUN(account);
    RUN(skipping);
    RUN(choosing);
    book_close(&books);
    return TEST_RESULT;
}
