/* Random rows for the attention backend, and ways to hand them over: all positions in batches of
 * several sizes, stored with their queries or before them, with a probe or without; those of step
 * and run in layer 0. A test includes
 * this behind its own L layers, H heads, T positions and C floats between the rows of two
 * positions. */
#ifndef LOOKAT_TESTS_ATTEND_STEPS_H
#define LOOKAT_TESTS_ATTEND_STEPS_H

#include "attention/backend.h"
#include "base/rng.h"
#include "base/threads.h"
#include "test.h"

static float k_rows[T][C], v_rows[T][C], q_rows[T][C], center[L * C];

static inline void fill_rows(uint64_t seed) {
    struct rng r;
    rng_seed(&r, seed, 0);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < C; i++) {
            k_rows[t][i] = (float)rng_normal(&r);
            v_rows[t][i] = (float)rng_normal(&r);
            q_rows[t][i] = 2 * (float)rng_normal(&r);
        }
    for (size_t i = 0; i < L * C; i++) center[i] = 0.1f * (float)(i % 17);
}

/* A backend for T positions of heads of `head_dim`, with the codebooks of `book`. */
static inline void open_with(struct attn *a, const char *spec, const struct book *book,
                             size_t head_dim, const struct kernels *kn) {
    struct attn_shape shape = {L, H, head_dim, T};
    struct err e;
    CHECK(attn_init(a, &shape, spec, book, kn, &e) == OK, "%s: %s", spec, e.msg);
    if (attn_wants_center(a)) a->center = center;
}

static inline void *new_state(const struct attn *a) {
    void *state = aligned_alloc(64, (attn_state_bytes(a) + 63) / 64 * 64);
    memset(state, 0xff, attn_state_bytes(a));
    attn_clear(a, state);
    return state;
}

enum how { TOGETHER, APART /* append, then attend */, PROBED, STORED /* attend alone */ };

static inline void nothing(void *ctx, const struct attn_row *row) { (void)ctx, (void)row; }

/* Positions pos .. pos + n - 1 of a layer, in one call. Returns what was read. */
static inline struct attn_counters step_with(const struct attn *a, void *state, size_t layer,
                                             size_t pos, size_t n, float out[][C], enum how how,
                                             const struct attn_probe *probe) {
    void *scratch = aligned_alloc(64, (attn_scratch_bytes(a, threads_count()) + 63) / 64 * 64);
    struct attn_counters c = {0};
    struct attn_query item = {.state = state,
                              .pos = pos,
                              .n = n,
                              .k = k_rows[pos],
                              .v = v_rows[pos],
                              .q = q_rows[pos],
                              .out = out[pos],
                              .kv_stride = C,
                              .q_stride = C,
                              .out_stride = C};
    memset(scratch, 0xff, attn_scratch_bytes(a, threads_count())); /* NaN */
    if (how == APART) attn_append(a, state, layer, pos, n, k_rows[pos], v_rows[pos], C);
    if (how == APART || how == STORED) item.k = item.v = NULL;
    attn_attend(a, layer, &item, 1, scratch, &c, probe);
    free(scratch);
    return c;
}

static inline struct attn_counters step(const struct attn *a, void *state, size_t pos, size_t n,
                                        float out[][C], enum how how) {
    struct attn_probe probe = {NULL, nothing};
    return step_with(a, state, 0, pos, n, out, how, how == PROBED ? &probe : NULL);
}

/* Positions 0 .. end - 1 in batches of the sizes of a list, which begins again at its end. Returns
 * what was read. */
static inline struct attn_counters run(const struct attn *a, void *state, const size_t *sizes,
                                       size_t n_sizes, size_t end, float out[][C], enum how how) {
    struct attn_counters sum = {0};
    for (size_t pos = 0, i = 0, n; pos < end; pos += n, i++) {
        n = sizes[i % n_sizes] < end - pos ? sizes[i % n_sizes] : end - pos;
        struct attn_counters c = step(a, state, pos, n, out, how);
        attn_counters_add(&sum, &c);
    }
    return sum;
}

/* Sequences that are decoded together: one query each of three positions, out of one state, which
 * holds T tokens. Each is answered as if alone, to the bit, and the bytes are those of the three,
 * with the codebooks of one. */
static inline void check_sequences_together(const struct attn *a, void *state) {
    enum { N = 3 };
    static const size_t pos[N] = {0, T / 2, T - 1};
    static float alone[T][C], together[T][C];
    struct attn_query items[N];
    struct attn_counters want = {0}, got = {0};
    uint64_t codebooks = 0;
    for (size_t i = 0; i < N; i++) {
        struct attn_counters c = step(a, state, pos[i], 1, alone, STORED);
        if (c.codebooks > codebooks) codebooks = c.codebooks;
        attn_counters_add(&want, &c);
        items[i] = (struct attn_query){.state = state,
                                       .pos = pos[i],
                                       .n = 1,
                                       .q = q_rows[pos[i]],
                                       .out = together[pos[i]],
                                       .q_stride = C,
                                       .out_stride = C};
    }
    want.codebooks = codebooks;
    void *scratch = aligned_alloc(64, (attn_scratch_bytes(a, threads_count()) + 63) / 64 * 64);
    attn_attend(a, 0, items, N, scratch, &got, NULL);
    free(scratch);
    for (size_t i = 0; i < N; i++)
        CHECK(memcmp(alone[pos[i]], together[pos[i]],
                     a->shape.n_head * a->shape.head_dim * sizeof(float)) == 0,
              "%s: a query at %zu is answered differently among others", a->name, pos[i]);
    CHECK(memcmp(&got, &want, sizeof got) == 0,
          "%s: %d sequences together are not counted as each alone, with codebooks once", a->name,
          N);
}

#endif
