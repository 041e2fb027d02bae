/* Drafts: n-grams against a search by brute force, proposals against their definition, how many of
 * them pay, and generation with drafts against generation without: the same bits, for every type of
 * weights, kernel set and backend. */
#include <unistd.h>

#include "test.h"

#include "base/inputs.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "model/generation.h"
#include "random_book.h"

static struct err e;

/* ---- n-grams ---- */

enum { N = 600, EARLIER = 300 };
static int32_t text[N], earlier[EARLIER];

/* Tokens of a small vocabulary, so that runs come again; now and then a stretch is copied. */
static void fill(int32_t *out, size_t n, uint64_t vocabulary, struct rng *r) {
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)rng_below(r, vocabulary);
    for (size_t copies = 0; copies < n / 40; copies++) {
        size_t length = 1 + rng_below(r, 20), from = rng_below(r, n - length),
               to = rng_below(r, n - length);
        memmove(out + to, out + from, length * sizeof *out);
    }
}

/* The place behind the last occurrence in t[n] of the m tokens before `end`, by brute force; 0
 * where there is none. */
static size_t search(const int32_t *t, size_t n, const int32_t *end, size_t m) {
    for (size_t at = n; at >= m && at > 0; at--)
        if (memcmp(t + at - m, end - m, m * sizeof *t) == 0) return at;
    return 0;
}

static void ngrams_against_search(void) {
    static const uint64_t vocabularies[] = {1, 2, 7, 50, 5000};
    struct rng r;
    rng_seed(&r, 1, 0);
    for (size_t v = 0; v < sizeof vocabularies / sizeof *vocabularies; v++) {
        struct arena arena = {0};
        struct ngrams g;
        uint32_t before[NGRAM_LONGEST];
        fill(text, N, vocabularies[v], &r);
        fill(earlier, EARLIER, vocabularies[v], &r);
        CHECK(ngrams_init(&g, text, N, &arena), "memory");
        for (size_t n = 1; n <= N; n++) {
            ngrams_add(&g, n % 3 ? before : NULL);
            for (size_t m = 1; m <= NGRAM_LONGEST && n % 3; m++)
                CHECK(before[m - 1] == (m < n ? search(text, n - 1, text + n, m) : 0),
                      "%zu tokens of %zu: %u", m, n, before[m - 1]);
            for (size_t m = 1; m <= NGRAM_LONGEST; m++) {
                const int32_t *end = earlier + NGRAM_LONGEST + n % (EARLIER - NGRAM_LONGEST);
                CHECK(ngrams_find(&g, end, m) == search(text, n, end, m), "%zu foreign tokens", m);
            }
        }
        arena_free(&arena);
    }
}

/* ---- proposals ---- */

/* What draft.h says that is proposed behind text[n]; returns how many. */
static size_t expected(size_t n, size_t n_earlier, size_t most, int32_t *out) {
    size_t k = 0;
    for (size_t m = NGRAM_LONGEST < n ? NGRAM_LONGEST : n; m > 0; m--) {
        size_t at = n > m ? search(text, n - 1, text + n, m) : 0, found;
        if (at) {
            int32_t both[N + DRAFT_MOST];
            memcpy(both, text, n * sizeof *text);
            for (; k < most; k++) out[k] = both[n + k] = both[at + k];
            return k;
        }
        found = n_earlier ? search(earlier, n_earlier, text + n, m) : 0;
        if (!found || found == n_earlier) continue;
        for (; k < most && found + k < n_earlier; k++) out[k] = earlier[found + k];
        return k;
    }
    return 0;
}

static void proposals_by_definition(void) {
    static const uint64_t vocabularies[] = {1, 3, 20, 400};
    struct rng r;
    rng_seed(&r, 2, 0);
    for (size_t v = 0; v < sizeof vocabularies / sizeof *vocabularies; v++)
        for (size_t n_earlier = 0; n_earlier <= EARLIER; n_earlier += EARLIER) {
            struct arena arena = {0};
            struct draft d;
            const struct draft_params p = {5, earlier, n_earlier};
            int32_t got[DRAFT_MOST], want[DRAFT_MOST];
            fill(text, N, vocabularies[v], &r);
            fill(earlier, EARLIER, vocabularies[v], &r);
            CHECK(draft_init(&d, &p, text, N, &arena), "memory");
            for (size_t n = 0; n <= N; n += 1 + rng_below(&r, 3)) {
                size_t most = rng_below(&r, 12), k;
                draft_read(&d, n);
                k = draft_propose(&d, most, got);
                CHECK(k == expected(n, n_earlier, most < 5 ? most : 5, want), "%zu at %zu", k, n);
                CHECK(memcmp(got, want, k * sizeof *got) == 0, "other tokens at %zu", n);
            }
            arena_free(&arena);
        }
}

/* ---- what pays ---- */

/* `steps` steps of a text that always has a run: each proposal is right with this chance, and a
 * batch of r rows takes 1 + row (r - 1) seconds. Returns the tokens of a second. */
static double play(struct draft *d, size_t steps, double right, double row, struct rng *r,
                   size_t *proposed) {
    double seconds = 0, tokens = 0;
    int32_t out[DRAFT_MOST];
    *proposed = 0;
    for (size_t i = 0; i < steps; i++) {
        size_t k = draft_propose(d, DRAFT_MOST, out), kept = 0;
        while (kept < k && rng_double(r) < right) kept++;
        draft_tell(d, k, kept, 1 + row * (double)k);
        seconds += 1 + row * (double)k, tokens += 1 + (double)kept, *proposed += k;
    }
    return tokens / seconds;
}

/* The best that any fixed number of proposals would bring. */
static double best_rate(double right, double row) {
    double best = 1, tokens = 1, chance = 1;
    for (size_t k = 1; k <= DRAFT_MOST; k++) {
        tokens += chance *= right;
        best = fmax(best, tokens / (1 + row * (double)k));
    }
    return best;
}

static void as_many_as_pay(void) {
    static const double rights[] = {0, 0.02, 0.25, 0.5, 0.9, 1}, rows[] = {0.01, 0.1, 0.4, 1.5};
    struct rng r;
    rng_seed(&r, 3, 0);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            struct arena arena = {0};
            struct draft d;
            const struct draft_params p = {.most = DRAFT_AUTOMATIC};
            size_t proposed;
            for (size_t n = 0; n < N; n++) text[n] = (int32_t)(n % 10);
            CHECK(draft_init(&d, &p, text, N, &arena), "memory");
            draft_read(&d, N);
            double rate = play(&d, 2000, rights[i], rows[j], &r, &proposed),
                   best = best_rate(rights[i], rows[j]);
            CHECK(rate >= 0.93 * best, "right %g, a row %g: %g tokens a second, at best %g",
                  rights[i], rows[j], rate, best);
            CHECK(rate >= 0.98, "right %g, a row %g: slower than without", rights[i], rows[j]);
            /* The text changes: proposals are worth nothing, and later everything. */
            rate = play(&d, 2000, 0, rows[j], &r, &proposed);
            CHECK(rate >= 0.97, "a row %g: %g after a change", rows[j], rate);
            CHECK(proposed > 0, "nothing is tried any more");
            rate = play(&d, 2000, 1, rows[j], &r, &proposed);
            CHECK(rate >= 0.9 * best_rate(1, rows[j]), "a row %g: %g after another", rows[j], rate);
            arena_free(&arena);
        }
}

/* ---- generation ---- */

enum { CTX = 96, PROMPT = 20, VOCAB = 40, TOP = 3 };

static struct checkpoint model;
static struct book book;
static int32_t prompt[PROMPT];

/* What a run wrote, with the bits of its log-probabilities. */
struct written {
    struct {
        int32_t id;
        double logprob;
        struct candidate top[TOP];
    } step[CTX];
    size_t n;
    enum generation_stop why;
    struct generation_stats stats;
};

static int on_step(void *ctx, const struct generation_step *step, struct err *error) {
    struct written *w = ctx;
    (void)error;
    w->step[w->n].id = step->id;
    w->step[w->n].logprob = step->logprob;
    memcpy(w->step[w->n++].top, step->top, step->n_top * sizeof *step->top);
    return OK;
}

static void on_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    (void)sample;
    ((struct written *)ctx)->why = why;
}

static int write_text(struct gpt2_session *s, struct generation_params p, struct written *w) {
    const struct generation_events events = {.ctx = w, .step = on_step, .stopped = on_stopped};
    memset(w, 0, sizeof *w);
    gpt2_rewind(s, 0, 0);
    p.n_samples = 1, p.n_top = TOP, p.logprobs = true;
    return generation_run(s, prompt, PROMPT, &p, &events, &w->stats, &e);
}

static int open_session(struct gpt2_session *s, const char *attn, const struct kernels *kn,
                        size_t take_back) {
    const struct gpt2_session_setup setup = {.weights = &model.weights,
                                             .kn = kn,
                                             .attn = attn,
                                             .book = &book,
                                             .n_seq = 1,
                                             .n_ctx = CTX,
                                             .max_rows = PROMPT,
                                             .take_back = take_back};
    return gpt2_session_open(s, &setup, &e);
}

static const struct sampler_params samplers[] = {
    {0, 40, 0.95, 0.05, 1, 64, NULL}, {0.8, 40, 0.95, 0.05, 1, 64, NULL},
    {1.5, 0, 1, 0, 1, 64, NULL},      {0.3, 5, 0.9, 0.1, 1.3, 64, NULL},
    {0, 0, 1, 0, 1.1, -1, NULL},      {0.05, 40, 0.95, 0.05, 0.9, 4, NULL},
};
enum { N_SAMPLERS = sizeof samplers / sizeof *samplers };

/* The same tokens, and the same bits of every log-probability? */
static bool same_text(const struct written *a, const struct written *b) {
    return memcmp(a->step, b->step, a->n * sizeof *a->step) == 0;
}

/* The same text with and without drafts, for `seeds` seeds of each sampler. Returns how many
 * proposals were kept. */
static size_t check_same(struct gpt2_session *plain, struct gpt2_session *drafts, uint64_t seeds) {
    static struct written a, b;
    size_t kept = 0;
    for (uint64_t seed = 0; seed < seeds; seed++)
        for (size_t i = 0; i < N_SAMPLERS; i++) {
            struct generation_params p = {.sampler = samplers[i],
                                          .seed = seed,
                                          .limit = seed % 5 == 4 ? seed % 9 : CTX - PROMPT,
                                          .eos = seed % 3 ? (int32_t)seed % VOCAB : -1,
                                          .ignore_eos = seed % 4 == 1};
            CHECK(write_text(plain, p, &a) == OK, "%s", e.msg);
            p.draft = (struct draft_params){seed % 7 == 6 ? DRAFT_AUTOMATIC : 1 + (long)seed % 9,
                                            seed % 2 ? earlier : NULL, seed % 2 ? EARLIER : 0};
            CHECK(write_text(drafts, p, &b) == OK, "%s", e.msg);
            CHECK(a.n == b.n && a.why == b.why && a.stats.tokens == b.stats.tokens &&
                      a.stats.decoded == b.stats.decoded,
                  "%s %s, seed %d, sampler %zu: another length", plain->attn.name, plain->kn->name,
                  (int)seed, i);
            CHECK(same_text(&a, &b), "%s %s, seed %d, sampler %zu: another text", plain->attn.name,
                  plain->kn->name, (int)seed, i);
            CHECK(b.stats.steps + b.stats.kept == b.stats.decoded &&
                      b.stats.kept <= b.stats.proposed && a.stats.steps == a.stats.decoded,
                  "counts");
            CHECK(!a.stats.drafts && !a.stats.proposed && b.stats.drafts, "drafts on and off");
            kept += b.stats.kept;
        }
    return kept;
}

static void make_model(enum dtype type) {
    static struct checkpoint made;
    const struct gpt2_config config = {.n_layer = 2,
                                       .n_head = 2,
                                       .n_embd = 64,
                                       .n_inner = 96,
                                       .n_ctx = CTX,
                                       .n_vocab = VOCAB,
                                       .norm_eps = 1e-5f};
    char path[64];
    struct rng r;
    snprintf(path, sizeof path, "/tmp/lookat-test-draft-%ld.gguf", (long)getpid());
    rng_seed(&r, 5, 0);
    fill(prompt, PROMPT, VOCAB, &r);
    fill(earlier, EARLIER, VOCAB, &r);
    CHECK(checkpoint_random(&made, &config, 1, &e) == OK, "%s", e.msg);
    CHECK(gguf_write_model(path, true, &made.weights, &made.vocab, "test", type, NULL, &e) == OK,
          "%s", e.msg);
    checkpoint_close(&made);
    CHECK(checkpoint_open(&model, path, NULL, NULL, &e) == OK, "%s", e.msg);
    remove(path);
    inputs_forget(); /* the same path is written again */
}

/* Opens a session without and one with drafts, and compares their texts. */
static void compare_texts(const char *attn, const struct kernels *kn, uint64_t seeds) {
    struct gpt2_session plain, drafts;
    CHECK(open_session(&plain, attn, kn, 0) == OK &&
              open_session(&drafts, attn, kn, DRAFT_MOST) == OK,
          "%s: %s", attn, e.msg);
    CHECK(check_same(&plain, &drafts, seeds) > 0, "%s: no proposal was ever kept", attn);
    gpt2_session_close(&plain), gpt2_session_close(&drafts);
}

static bool runs(const struct kernels *kn) { return kn->supported() && !kn->by_name_only; }

static void every_type_and_set(void) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        make_model(types[t]);
        for (size_t set = 0; kernels_at(set); set++)
            if (runs(kernels_at(set))) compare_texts("fp16", kernels_at(set), 6);
        checkpoint_close(&model);
    }
}

static void every_backend(void) {
    static const char *const specs[] = {"fp32",
                                        "int8/int4:skip=1e-3",
                                        "turbo:bits=4/turbo:bits=3",
                                        "lookat4:sink=1,window=8",
                                        "lookat8x4:window=5,exact=8/pq8",
                                        "lookat4:refine=4/pq8x4",
                                        "int4:center,window=40,sink=2/int8@0+lookat4:refine=90@1"};
    random_book(&book, 2, 2, 32, 256, 3);
    random_book(&book, 2, 2, 32, 16, 3);
    random_learned(&book, 4, 256, 3);
    random_values(&book, 8, 256, 3);
    random_values(&book, 8, 16, 3);
    make_model(DTYPE_F16);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (size_t set = 0; kernels_at(set); set++)
            if (runs(kernels_at(set))) compare_texts(specs[i], kernels_at(set), 3);
    checkpoint_close(&model);
    book_close(&book);
}

static void two_hundred_seeds(void) {
    const struct kernels *best = NULL;
    CHECK(kernels_get(&best, NULL, &e) == OK, "%s", e.msg);
    make_model(DTYPE_F16);
    compare_texts("fp16", best, 200);
    threads_set(2);
    compare_texts("fp16", best, 10);
    threads_set(1);
    checkpoint_close(&model);
}

int main(void) {
    threads_set(1);
    RUN(ngrams_against_search);
    RUN(proposals_by_definition);
    RUN(as_many_as_pay);
    RUN(every_type_and_set);
    RUN(every_backend);
    RUN(two_hundred_seeds);
    return TEST_RESULT;
}
