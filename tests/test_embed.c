/* The library's interface against the rooms below it: the same bits, the same counts, and what it
 * says to arguments that cannot be. How it is installed and linked is test_library.sh's business.
 */
#include "embed/lookat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attention/account.h"
#include "base/threads.h"
#include "model/engine.h"
#include "model/gpt2.h"
#include "model/sampler.h"
#include "test.h"

#define MODEL "weights/stories6M.gguf"
enum { CTX = 96, V = 4096 };

static lookat_model *model;
static const int32_t prompt[] = {575, 510, 258, 437, 600, 77, 1200, 3, 4000, 9, 10, 11, 12};
enum { N = sizeof prompt / sizeof *prompt };

static lookat_session *session(const char *attention, size_t sequences, size_t take_back,
                               int threads) {
    lookat_setup y = {.attention = attention,
                      .context = CTX,
                      .sequences = sequences,
                      .take_back = take_back,
                      .threads = threads};
    lookat_session *s;
    lookat_error e;
    int rc = lookat_session_open(&s, model, &y, &e);
    CHECK(!rc, "%s: %s", attention, e.text);
    return s;
}

static void step(lookat_session *s, size_t sequence, const int32_t *tokens, size_t n) {
    lookat_error e;
    int rc = lookat_step(s, sequence, tokens, n, NULL, &e);
    CHECK(!rc, "%s", e.text);
}

static bool same(const float *a, const float *b) {
    return a && b && memcmp(a, b, V * sizeof *a) == 0;
}

static void facts(void) {
    lookat_facts f;
    lookat_model_facts(model, &f);
    CHECK(f.layers == 6 && f.heads == 4 && f.width == 256 && f.inner == 1024, "shape");
    CHECK(f.context == 1024 && f.vocabulary == V && f.tokens == V, "%zu tokens", f.tokens);
    CHECK(f.parameters == 6049792, "%llu", (unsigned long long)f.parameters);
    CHECK(strcmp(f.path, MODEL) == 0 && strncmp(f.format, "GGUF", 4) == 0, "%s", f.path);
    CHECK(strlen(f.fingerprint) == 64 && f.name[0] && f.kernels[0], "texts");
    CHECK(f.end_token >= 0 && f.start_token >= 0, "end token %d", f.end_token);
    lookat_model_facts(NULL, &f);
    CHECK(f.layers == 0 && f.start_token == -1 && f.end_token == -1 && !f.name, "of NULL");
    CHECK(strcmp(lookat_version(), LOOKAT_VERSION) == 0, "version %s", lookat_version());
    int major, minor, patch;
    CHECK(sscanf(LOOKAT_VERSION, "%d.%d.%d", &major, &minor, &patch) == 3 &&
              LOOKAT_VERSION_NUMBER == 10000 * major + 100 * minor + patch,
          "%d", LOOKAT_VERSION_NUMBER);
}

static void text_and_tokens(void) {
    static const char text[] = "Once upon a time\0, \xff there";
    const size_t bytes = sizeof text - 1;
    int32_t ids[64];
    char back[64];
    size_t n, all, len;
    lookat_error e;
    CHECK(!lookat_tokenize(model, text, bytes, 0, ids, 64, &n, &e), "%s", e.text);
    CHECK(n > 4 && n <= bytes && ids[0] == 575 && ids[3] == 437, "%zu tokens", n);
    CHECK(!lookat_detokenize(model, ids, n, 0, back, sizeof back, &len, &e), "%s", e.text);
    CHECK(len == bytes && memcmp(back, text, bytes) == 0 && back[bytes] == 0, "another text");
    int32_t few[2] = {-1, -1};
    CHECK(!lookat_tokenize(model, text, bytes, 0, few, 1, &all, &e) && all == n && few[0] == 575 &&
              few[1] == -1,
          "room for 1");
    CHECK(!lookat_tokenize(model, text, bytes, 0, NULL, 0, &all, NULL) && all == n, "no room");
    memset(back, 'x', sizeof back);
    CHECK(!lookat_detokenize(model, ids, n, 0, back, 6, &len, &e) && len == bytes &&
              memcmp(back, "Once uxx", 8) == 0,
          "room for 6: '%.8s'", back);
    CHECK(!lookat_detokenize(model, ids, n, 0, NULL, 0, &len, NULL) && len == bytes, "no room");
    CHECK(!lookat_tokenize(model, NULL, 0, 0, ids, 64, &all, &e) && all == 0, "an empty text");
    static const char marked[] = "a<|endoftext|>b";
    lookat_facts f;
    lookat_model_facts(model, &f);
    CHECK(!lookat_tokenize(model, marked, sizeof marked - 1, 1, ids, 64, &n, &e) && n == 3 &&
              ids[1] == f.end_token,
          "special: %zu tokens", n);
    CHECK(!lookat_detokenize(model, ids, n, 0, back, 64, &len, &e) && len == 2, "%zu bytes", len);
    CHECK(!lookat_detokenize(model, ids, n, 1, back, 64, &len, &e) && strcmp(back, marked) == 0,
          "'%s'", back);
    CHECK(memcmp(lookat_token(model, 575, &len), "Once", 4) == 0 && len == 4, "token 575");
    lookat_token(model, V, &len);
    CHECK(len == 0, "a token that is none");
    CHECK(lookat_tokenize(NULL, text, 1, 0, ids, 64, &n, &e) == LOOKAT_USAGE, "no model");
    CHECK(lookat_tokenize(model, NULL, 1, 0, ids, 64, &n, &e) == LOOKAT_USAGE, "no text");
    ids[0] = V;
    CHECK(lookat_detokenize(model, ids, 1, 0, back, 64, &len, &e) == LOOKAT_USAGE &&
              strstr(e.text, "4096"),
          "says '%s'", e.text);
    ids[0] = -1;
    CHECK(lookat_detokenize(model, ids, 1, 0, back, 64, &len, NULL) == LOOKAT_USAGE, "token -1");
}

/* The same bits as a session of the rooms, for kinds of caches; and its counts in closed form. */
static void same_bits(void) {
    static const char *const specs[] = {"fp16", "int4:sink=1,window=4/int4", "turbo3/turbo4"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct engine g = {0};
        struct gpt2_session want;
        struct err e;
        lookat_session *s = session(specs[i], 1, 0, 2);
        static float logits[V];
        int rc = kernels_get(&g.k, NULL, &e);
        if (!rc) rc = engine_load(&g, MODEL, NULL, NULL, &e);
        const struct gpt2_session_setup y = {.weights = &g.model.weights,
                                             .kn = g.k,
                                             .attn = specs[i],
                                             .n_seq = 1,
                                             .n_ctx = CTX,
                                             .max_rows = 64};
        if (!rc) rc = gpt2_session_open(&want, &y, &e);
        CHECK(!rc && s, "%s: %s", specs[i], e.msg);
        if (rc || !s) return;
        gpt2_prefill(&want, 0, prompt, N, logits, &e);
        step(s, 0, prompt, N);
        CHECK(same(logits, lookat_logits(s, 0)), "%s: a prompt", specs[i]);
        for (int32_t t = 100; t < 110; t++) {
            gpt2_prefill(&want, 0, &t, 1, logits, &e);
            step(s, 0, &t, 1);
        }
        CHECK(same(logits, lookat_logits(s, 0)), "%s: tokens behind it", specs[i]);
        CHECK(strcmp(lookat_attention(s), want.attn.name) == 0, "%s", lookat_attention(s));
        lookat_counters c;
        struct attn_counters sum = {0};
        lookat_session_counters(s, &c);
        for (size_t l = 0; l < 6; l++) attn_counters_add(&sum, &want.counters[l]);
        struct account a = account_split(&sum, account_codebooks(&want.attn));
        CHECK(c.streamed == a.streamed && c.at_hand == a.at_hand && c.streamed, "%s: %llu",
              specs[i], (unsigned long long)c.streamed);
        CHECK(c.stored == attn_key_bytes(&want.attn, N + 10) +
                              (N + 10) * attn_value_bytes_per_token(&want.attn),
              "%s: %llu stored", specs[i], (unsigned long long)c.stored);
        CHECK(lookat_length(s, 0) == N + 10 && lookat_tokens(s, 0)[N] == 100 &&
                  memcmp(lookat_tokens(s, 0), prompt, sizeof prompt) == 0,
              "%s: its tokens", specs[i]);
        gpt2_session_close(&want);
        engine_close(&g);
        lookat_session_close(s);
    }
}

/* Sequences of one session, run together and alone, forked and taken back; sessions of several
 * numbers of threads in turn. */
static void sequences(void) {
    lookat_session *s = session("int4:sink=1,window=8/int4", 3, 4, 2),
                   *one = session("int4:sink=1,window=8/int4", 0, 4, 1);
    lookat_error e;
    const size_t both[] = {2, 0};
    const int32_t next[] = {50, 60};
    if (!s || !one) return;
    step(s, 0, prompt, N);
    step(one, 0, prompt, N);
    CHECK(same(lookat_logits(s, 0), lookat_logits(one, 0)), "threads");
    CHECK(!lookat_fork(s, 2, 0, N, &e) && same(lookat_logits(s, 2), lookat_logits(s, 0)), "a fork");
    CHECK(!lookat_fork(s, 1, 0, N - 1, &e) && !lookat_logits(s, 1) && lookat_length(s, 1) == N - 1,
          "a shorter fork");
    CHECK(!lookat_step_each(s, both, next, 2, &e), "%s", e.text);
    CHECK(lookat_length(s, 0) == N + 1 && lookat_length(s, 2) == N + 1, "lengths");
    step(one, 0, &next[1], 1);
    CHECK(same(lookat_logits(s, 0), lookat_logits(one, 0)), "token 60 behind the prompt");
    CHECK(!lookat_truncate(one, 0, N, &e) && !lookat_logits(one, 0), "taken back");
    step(one, 0, &next[0], 1);
    CHECK(same(lookat_logits(s, 2), lookat_logits(one, 0)), "token 50 behind the prompt");
    CHECK(!lookat_truncate(one, 0, N + 1, &e) && lookat_logits(one, 0), "nothing to take back");
    CHECK(!lookat_truncate(one, 0, 0, &e) && lookat_length(one, 0) == 0, "cleared");
    step(one, 0, prompt, N);
    step(one, 0, &next[0], 1);
    CHECK(same(lookat_logits(s, 2), lookat_logits(one, 0)), "all of it again");
    lookat_session_close(s);
    lookat_session_close(one);
}

/* What cannot be is LOOKAT_USAGE with a text, and changes nothing. */
static void refused(void) {
    lookat_session *s = session("fp16", 2, 0, 0), *none;
    lookat_error e;
    const size_t twice[] = {1, 1}, wrong[] = {0, 2};
    int32_t many[CTX] = {0}, bad[] = {1, V}, negative = -1;
    if (!s) return;
    step(s, 0, prompt, N);
    static float before[V];
    memcpy(before, lookat_logits(s, 0), sizeof before);
#define REFUSED(call, says)                                                                      \
    do {                                                                                         \
        e = (lookat_error){0};                                                                   \
        int rc = call;                                                                           \
        CHECK(rc == LOOKAT_USAGE && e.code == rc && strstr(e.text, says), "%s: %d, '%s'", #call, \
              rc, e.text);                                                                       \
    } while (0)
    REFUSED(lookat_step(s, 2, prompt, 1, NULL, &e), "sequence 2");
    REFUSED(lookat_step(NULL, 0, prompt, 1, NULL, &e), "no session");
    REFUSED(lookat_step(s, 0, prompt, 0, NULL, &e), "no tokens");
    REFUSED(lookat_step(s, 0, NULL, 1, NULL, &e), "no tokens");
    REFUSED(lookat_step(s, 0, bad, 2, NULL, &e), "token 4096");
    REFUSED(lookat_step(s, 0, &negative, 1, NULL, &e), "token -1");
    REFUSED(lookat_step(s, 0, many, CTX - N + 1, NULL, &e), "context of 96");
    REFUSED(lookat_step_each(s, twice, prompt, 2, &e), "comes twice");
    REFUSED(lookat_step_each(s, wrong, prompt, 2, &e), "sequence 2");
    REFUSED(lookat_step_each(s, wrong, prompt, 3, &e), "has 2");
    REFUSED(lookat_step_each(s, NULL, prompt, 1, &e), "no session");
    REFUSED(lookat_truncate(s, 0, N + 1, &e), "holds 13");
    REFUSED(lookat_fork(s, 2, 0, 1, &e), "sequence 2");
    REFUSED(lookat_fork(s, 1, 0, N + 1, &e), "holds 13");
    REFUSED(lookat_session_open(&none, NULL, NULL, &e), "no model");
    REFUSED(lookat_session_open(NULL, model, NULL, &e), "no place");
    REFUSED(lookat_session_open(&none, model, &(lookat_setup){.attention = "fp17"}, &e), "fp17");
    REFUSED(lookat_session_open(&none, model, &(lookat_setup){.context = 1025}, &e), "1025");
    REFUSED(lookat_session_open(&none, model, &(lookat_setup){.threads = -1}, &e), "-1");
    REFUSED(lookat_session_open(&none, model, &(lookat_setup){.sequences = SIZE_MAX}, &e),
            "sequences");
    CHECK(!none, "a session all the same");
    lookat_sampler *p;
    lookat_sampling y = lookat_sampling_default();
    y.top_p = 2;
    REFUSED(lookat_sampler_open(&p, model, &y, &e), "top_p");
    y = lookat_sampling_default();
    y.temperature = -1;
    REFUSED(lookat_sampler_open(&p, model, &y, &e), "temperature");
    REFUSED(lookat_sampler_open(&p, NULL, NULL, &e), "NULL");
    CHECK(!p, "a sampler all the same");
    lookat_model *m;
    REFUSED(lookat_open(NULL, MODEL, NULL, &e), "no place");
    CHECK(lookat_open(&m, "nowhere.gguf", NULL, &e) == LOOKAT_FAILED && !m &&
              strstr(e.text, "nowhere.gguf"),
          "says '%s'", e.text);
    CHECK(lookat_open(&m, "Makefile", NULL, &e) == LOOKAT_REFUSED && !m, "says '%s'", e.text);
    CHECK(lookat_open(&m, "nowhere.gguf", NULL, NULL) == LOOKAT_FAILED, "without an error");
    const lookat_setup nowhere = {.book = "nowhere.gguf"}, no_book = {.book = "Makefile"};
    CHECK(lookat_session_open(&none, model, &nowhere, &e) == LOOKAT_FAILED, "says '%s'", e.text);
    CHECK(lookat_session_open(&none, model, &no_book, &e) == LOOKAT_REFUSED, "says '%s'", e.text);
    CHECK(lookat_length(s, 0) == N && same(before, lookat_logits(s, 0)), "something changed");
    CHECK(!lookat_logits(s, 1) && !lookat_logits(s, 2) && !lookat_logits(NULL, 0), "logits");
    CHECK(!lookat_tokens(s, 2) && !lookat_attention(NULL) && !lookat_length(NULL, 0), "of nothing");
    lookat_session_close(s);
    lookat_session_close(NULL);
    lookat_sampler_close(NULL);
    lookat_close(NULL);
}

/* A sampler chooses what the room's does. */
static void sampling(void) {
    lookat_session *s = session("fp16", 1, 0, 0);
    lookat_sampling y = lookat_sampling_default();
    lookat_sampler *p = NULL, *greedy;
    lookat_error e;
    struct arena a = {0};
    struct sampler want;
    struct rng rng;
    y.seed = 5, y.stream = 2, y.repeat_penalty = 1.3, y.banned = 510;
    const struct sampler_params q = {0.8, 40, 0.95, 0.05, 1.3, 64, NULL};
    CHECK(s && !lookat_sampler_open(&p, model, &y, &e), "%s", e.text);
    y.temperature = 0, y.banned = -1, y.repeat_penalty = 1;
    CHECK(!lookat_sampler_open(&greedy, model, &y, &e), "%s", e.text);
    CHECK(sampler_init(&want, &q, V, &a), "memory");
    rng_seed(&rng, 5, 2);
    CHECK(lookat_sample(p, s, 0) == -1, "a sample of nothing");
    step(s, 0, prompt, N);
    CHECK(lookat_sample(p, s, 1) == -1 && lookat_sample(NULL, s, 0) == -1, "a sample of nothing");
    for (int i = 0; i < 20; i++) {
        int32_t id = lookat_sample(p, s, 0);
        CHECK(id == sampler_next(&want, &rng, lookat_logits(s, 0), lookat_tokens(s, 0),
                                 lookat_length(s, 0), 510),
              "token %d: %d", i, id);
        step(s, 0, &id, 1);
    }
    const float *logits = lookat_logits(s, 0);
    int32_t best = lookat_sample(greedy, s, 0);
    for (int32_t i = 0; i < V; i++) CHECK(logits[i] <= logits[best], "token %d", i);
    lookat_sampler_close(p);
    lookat_sampler_close(greedy);
    lookat_session_close(s);
    arena_free(&a);
}

/* A model with a NaN in its last LayerNorm: the step fails, and there are no logits. */
static void not_finite(void) {
    char path[] = "/tmp/lookat-embed-XXXXXX";
    struct checkpoint c;
    struct err e;
    int fd = mkstemp(path), rc = checkpoint_open(&c, MODEL, NULL, NULL, &e);
    const uint8_t *norm = (const uint8_t *)c.weights.lnf_w;
    CHECK(fd >= 0 && !rc && norm >= c.file.data && norm < c.file.data + c.file.size, "the norm");
    const uint8_t nan[] = {0, 0, 0xC0, 0x7F};
    CHECK(write(fd, c.file.data, c.file.size) == (ssize_t)c.file.size &&
              pwrite(fd, nan, 4, norm - c.file.data) == 4,
          "writing");
    close(fd);
    lookat_model *m;
    lookat_session *s = NULL;
    lookat_error why;
    const float *logits;
    CHECK(!lookat_open(&m, path, NULL, &why) && !lookat_session_open(&s, m, NULL, &why), "opening");
    CHECK(lookat_step(s, 0, prompt, N, &logits, &why) == LOOKAT_FAILED && !logits &&
              strstr(why.text, "not finite"),
          "says '%s'", why.text);
    CHECK(!lookat_logits(s, 0) && lookat_length(s, 0) == N, "logits");
    const size_t zero = 0;
    CHECK(lookat_step_each(s, &zero, prompt, 1, &why) == LOOKAT_FAILED && !lookat_logits(s, 0),
          "says '%s'", why.text);
    lookat_session_close(s);
    lookat_close(m);
    checkpoint_close(&c);
    unlink(path);
}

int main(void) {
    lookat_error e;
    if (lookat_open(&model, MODEL, NULL, &e)) {
        printf("FAIL open: %s\n", e.text);
        return 1;
    }
    RUN(facts);
    RUN(text_and_tokens);
    RUN(same_bits);
    RUN(sequences);
    RUN(refused);
    RUN(sampling);
    RUN(not_finite);
    lookat_close(model);
    return TEST_RESULT;
}
