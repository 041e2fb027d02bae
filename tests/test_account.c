/* The account of what attention reads: what is counted equals account_reads, key by key, and its
 * split follows the rule that account.h states. */
#include "test.h"

#include "attention/account.h"
#include "base/rng.h"
#include "base/threads.h"
#include "random_book.h"

enum { L = 2, H = 3, D = 32, C = H * D, T = 90 };

static float k_rows[T][C], v_rows[T][C], q_rows[T][C], out[C];
static struct book book;

static void fill_rows(void) {
    struct rng r;
    rng_seed(&r, 5, 0);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < C; i++) {
            k_rows[t][i] = (float)rng_normal(&r);
            v_rows[t][i] = (float)rng_normal(&r);
            q_rows[t][i] = (float)rng_normal(&r);
        }
}

static void open_attn(struct attn *a, const char *spec) {
    const struct attn_shape shape = {L, H, D, T};
    const struct kernels *kn;
    struct err e = {0};
    bool made = kernels_get(&kn, NULL, &e) == OK && attn_init(a, &shape, spec, &book, kn, &e) == OK;
    CHECK(made, "%s: %s", spec, e.msg);
    if (!made) exit(1);
}

/* Appends token t to a layer and answers its query. Returns what was counted. */
static struct attn_counters step(const struct attn *a, void *state, void *scratch, size_t layer,
                                 size_t t) {
    struct attn_counters c = {0};
    const struct attn_query item = {.state = state,
                                    .pos = t,
                                    .n = 1,
                                    .k = k_rows[t],
                                    .v = v_rows[t],
                                    .q = q_rows[t],
                                    .out = out,
                                    .kv_stride = C,
                                    .q_stride = C,
                                    .out_stride = C};
    attn_attend(a, layer, &item, 1, scratch, &c, NULL);
    return c;
}

static void *memory(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

/* Every token of every layer: the closed form, to the byte, and a split that loses none. */
static void check_reads(const struct attn *a) {
    void *state = memory(attn_state_bytes(a)),
         *scratch = memory(attn_scratch_bytes(a, threads_count()));
    size_t codebooks = account_codebooks(a), counted = 0;
    attn_clear(a, state);
    for (size_t t = 0; t < T; t++)
        for (size_t l = 0; l < L; l++) {
            struct attn_counters c = step(a, state, scratch, l, t), want = {0};
            account_reads(a, l, t + 1, &want);
            CHECK(memcmp(&c, &want, sizeof c) == 0, "%s: layer %zu, position %zu", a->name, l, t);
            struct account s = account_split(&c, codebooks);
            CHECK(s.streamed + s.at_hand == attn_counters_total(&c), "%s: %zu + %zu bytes", a->name,
                  (size_t)s.streamed, (size_t)s.at_hand);
            if (t + 1 == T) counted += c.codebooks;
        }
    CHECK(counted == codebooks, "%s: %zu bytes of codebooks are read, expected %zu", a->name,
          counted, codebooks);
    free(state), free(scratch);
}

static void reads_equal_what_is_counted(void) {
    static const char *const specs[] = {"fp16",
                                        "fp32",
                                        "int4:rotate/int8",
                                        "turbo:bits=3,sink=1,window=32,exact=8/turbo:bits=3",
                                        "lookat4",
                                        "lookat4:sink=2,window=5,exact=8/pq8",
                                        "lookat8x4/pq8x4",
                                        "lookat8x4:refine=7,sink=1,window=3,exact=8/pq8x4",
                                        "int4:refine=5/int4",
                                        "int4:refine=500/turbo:bits=3",
                                        "constant:window=9",
                                        "fp16+lookat4:window=4/pq8@1"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct attn a;
        open_attn(&a, specs[i]);
        check_reads(&a);
        attn_free(&a);
    }
}

/* A plain codebook is D x K numbers of two bytes for each head, whatever its m. */
static void codebooks_of_a_model(void) {
    static const struct {
        const char *spec;
        size_t bytes;
    } cases[] = {{"fp16", 0},
                 {"int4/int4", 0},
                 {"lookat4:plain", L * H * 2 * D * 256},
                 {"lookat8:plain,k=16", L * H * 2 * D * 16},
                 {"lookat8:plain,k=16,refine=4", L * H * 2 * D * 16},
                 {"fp16+lookat8:plain,k=16@1", H * 2 * D * 16}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attn a;
        open_attn(&a, cases[i].spec);
        CHECK(account_codebooks(&a) == cases[i].bytes, "%s: %zu bytes, expected %zu", cases[i].spec,
              account_codebooks(&a), cases[i].bytes);
        attn_free(&a);
    }
}

/* Rows are always streamed and tables never; codebooks go with the size of the model's set. */
static void the_rule(void) {
    const struct attn_counters c = {.keys = 1,
                                    .values = 20,
                                    .scales = 300,
                                    .codebooks = 4000,
                                    .tables = 50000,
                                    .refined = 600000,
                                    .skipped_rows = 7,
                                    .skipped_mass = 8};
    static const struct {
        size_t codebooks, streamed, at_hand;
    } cases[] = {{0, 600321, 54000},
                 {4000, 600321, 54000},
                 {1048576, 600321, 54000},
                 {1048577, 604321, 50000},
                 {SIZE_MAX, 604321, 50000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account s = account_split(&c, cases[i].codebooks);
        CHECK(s.streamed == cases[i].streamed && s.at_hand == cases[i].at_hand,
              "codebooks of %zu bytes: %zu streamed, %zu at hand", cases[i].codebooks,
              (size_t)s.streamed, (size_t)s.at_hand);
    }
}

int main(void) {
    fill_rows();
    random_book(&book, L, H, D, 256, 3);
    random_book(&book, L, H, D, 16, 3);
    random_learned(&book, 8, 256, 3);
    random_learned(&book, 8, 16, 3);
    random_values(&book, 8, 256, 3);
    random_values(&book, 8, 16, 3);
    RUN(reads_equal_what_is_counted);
    RUN(codebooks_of_a_model);
    RUN(the_rule);
    book_close(&book);
    return TEST_RESULT;
}
