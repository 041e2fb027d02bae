/* The real GPT-2 124M, where a user has it: what it is known to output, from public test suites
 * (gpt2-golden/ names each source). */
#include "test.h"

#include "base/json.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "model/gpt2.h"

static struct arena arena;
static struct err e;
static struct checkpoint model;
static struct gpt2_session session;
static float *logits;

/* LOOKAT_GPT2, the fetched checkpoint, or the model made from it. */
static const char *find_gpt2(void) {
    const char *candidates[] = {getenv("LOOKAT_GPT2"), "weights/gpt2", "weights/gpt2-f16.gguf"};
    for (size_t i = 0; i < 3; i++)
        if (candidates[i] && file_exists(candidates[i])) return candidates[i];
    return NULL;
}

static bool golden(struct json *j) {
    const char *path = test_shared("gpt2-golden/gpt2_124m_golden.json");
    uint8_t *data;
    size_t n;
    if (!path || file_read(path, &arena, &data, &n, &e)) return false;
    *j = json_open(data, n, 32);
    return true;
}

static bool ready(struct json *j) {
    static bool tried, opened;
    const char *path = find_gpt2();
    const struct kernels *k = NULL;
    if (!path || !golden(j)) return false;
    if (!tried && (tried = true)) {
        opened =
            kernels_get(&k, NULL, &e) == OK && checkpoint_open(&model, path, NULL, NULL, &e) == OK;
        const struct gpt2_session_setup setup = {.weights = &model.weights,
                                                 .kn = k,
                                                 .attn = "fp32",
                                                 .n_seq = 1,
                                                 .n_ctx = model.weights.config.n_ctx,
                                                 .max_rows = 64};
        opened = opened && gpt2_session_open(&session, &setup, &e) == OK;
        logits = arena_alloc(&arena, model.weights.config.n_vocab, sizeof *logits);
        CHECK(opened && logits, "%s: %s", path, e.msg);
    }
    return opened;
}

/* Stops at the value of `name` in the object that the cursor stands before. */
static bool enter(struct json *j, const char *name) {
    struct json_str key;
    json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (json_is(key, name)) return true;
        json_skip(j);
    }
    return false;
}

static size_t read_ids(struct json *j, int32_t *ids, size_t room) {
    size_t n = 0;
    json_enter_array(j);
    for (uint64_t x; json_next_item(j) && json_uint(j, &x);)
        if (n < room) ids[n++] = (int32_t)x;
    return n;
}

static int32_t best(void) {
    int32_t id = 0;
    for (size_t v = 1; v < model.weights.config.n_vocab; v++)
        if (logits[v] > logits[id]) id = (int32_t)v;
    return id;
}

static void greedy_continuations(void) {
    struct json j;
    struct json_str key;
    size_t cases = 0;
    if (!ready(&j)) SKIP("needs a download: GPT-2 124M (./run.sh gpt2), and ../shared/gpt2-golden");
    CHECK(enter(&j, "greedy"), "no greedy continuations");
    json_enter_array(&j);
    for (; json_next_item(&j) && json_enter_object(&j); cases++) {
        int32_t prompt[512], expected[512];
        size_t n = 0, n_expected = 0, same = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "prompt_ids"))
                n = read_ids(&j, prompt, 512);
            else if (json_is(key, "output_ids"))
                n_expected = read_ids(&j, expected, 512);
            else
                json_skip(&j);
        }
        gpt2_rewind(&session, 0, 0);
        CHECK(gpt2_prefill(&session, 0, prompt, n, logits, &e) == OK, "%s", e.msg);
        for (; same < n_expected && best() == expected[same]; same++)
            CHECK(gpt2_prefill(&session, 0, &expected[same], 1, logits, &e) == OK, "%s", e.msg);
        CHECK(same == n_expected, "case %zu: token %zu of %zu differs", cases, same, n_expected);
    }
    CHECK(cases == 12, "%zu cases", cases);
}

/* The published rows are float64 over float32 weights; f16 weights are allowed a tenth. */
static void published_logits(void) {
    struct json j;
    struct json_str key;
    size_t seen = 0;
    if (!ready(&j)) SKIP("needs a download: GPT-2 124M (./run.sh gpt2), and ../shared/gpt2-golden");
    double bound = model.weights.wte.type == DTYPE_F32 ? 5e-3 : 0.1;
    CHECK(enter(&j, "logits"), "no logits");
    json_enter_array(&j);
    while (json_next_item(&j) && json_enter_object(&j)) {
        int32_t prompt[512];
        struct {
            int32_t id;
            double logit;
        } row[64];
        size_t n = 0, n_row = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "prompt_ids")) {
                n = read_ids(&j, prompt, 512);
            } else if (json_is(key, "last_row")) {
                json_enter_object(&j);
                for (struct json_str id; json_next_key(&j, &id) && n_row < 64; n_row++) {
                    row[n_row].id = (int32_t)strtol(id.s, NULL, 10);
                    json_double(&j, &row[n_row].logit);
                }
            } else
                json_skip(&j);
        }
        if (!n || !n_row) continue;
        gpt2_rewind(&session, 0, 0);
        CHECK(gpt2_prefill(&session, 0, prompt, n, logits, &e) == OK, "%s", e.msg);
        for (size_t i = 0; i < n_row; i++, seen++)
            CHECK(fabs(logits[row[i].id] - row[i].logit) <= bound, "logit %d is %g, expected %g",
                  row[i].id, logits[row[i].id], row[i].logit);
    }
    CHECK(seen >= 8, "%zu logits", seen);
}

int main(void) {
    threads_set(threads_allowed());
    RUN(greedy_continuations);
    RUN(published_logits);
    arena_free(&arena);
    return TEST_RESULT;
}
