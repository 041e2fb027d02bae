/* The forward pass against float64: golden files of the default model, and the reference in
 * reference/ on odd shapes; then what must not change a result (chunks, batches, forks, threads)
 * and what stored number types cost. */
#include "test.h"

#include <unistd.h>

#include "attention/book.h"
#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "base/inputs.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "model/generation.h"
#include "model/gpt2.h"
#include "model/sampler.h"
#include "reference/gpt2.h"
#include "stories.h"
#include "tokenizer/bpe.h"

#define DEFAULT_MODEL "weights/stories6M.gguf"

static struct err e;

/* The default model in float32 (stories.h). */
static struct checkpoint *open_f32(void) {
    static struct checkpoint c;
    int rc = checkpoint_open(&c, stories_file("model.safetensors"), NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) exit(1);
    return &c;
}

/* As it is shipped, in f16. */
static struct checkpoint default_model(void) {
    struct checkpoint c;
    int rc = checkpoint_open(&c, DEFAULT_MODEL, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) exit(1);
    return c;
}

/* The folder of golden files for the weights that open_f32 finds, and that for the shipped ones. */
static const char *of_f32(void) { return stories_trained() ? "" : "f16/"; }
static const char *const of_f16 = "f16/";

static struct gpt2_session open_session(const struct gpt2_weights *w, const struct kernels *k,
                                        const char *attn, size_t n_seq, size_t rows) {
    struct gpt2_session s;
    const struct gpt2_session_setup setup = {.weights = w,
                                             .kn = k,
                                             .attn = attn,
                                             .n_seq = n_seq,
                                             .n_ctx = w->config.n_ctx,
                                             .max_rows = rows};
    int rc = gpt2_session_open(&s, &setup, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) exit(1);
    return s;
}

static const struct kernels *best_kernels(void) {
    const struct kernels *k = NULL;
    CHECK(kernels_get(&k, NULL, &e) == OK, "%s", e.msg);
    return k;
}

/* ---- golden files ---- */

static struct arena arena;

/* set: "" or "f16/" */
static struct json golden(const char *set, const char *name) {
    char path[128];
    uint8_t *data = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "tests/golden/%s%s", set, name);
    CHECK(file_read(path, &arena, &data, &n, &e) == OK, "%s", e.msg);
    return json_open(data, n, 16);
}

/* Reads an array of numbers (nested arrays flattened) into out; returns how many. */
static size_t numbers(struct json *j, double *out, size_t room) {
    size_t n = 0;
    json_enter_array(j);
    while (json_next_item(j)) {
        if (json_peek(j) == JSON_ARRAY) {
            n += numbers(j, out + n, room - n);
        } else {
            double x = NAN;
            json_double(j, &x);
            if (n < room) out[n] = x;
            n++;
        }
    }
    return n;
}

static size_t ids_of(struct json *j, int32_t *ids, size_t room) {
    double *x = calloc(room, sizeof *x);
    size_t n = numbers(j, x, room);
    for (size_t i = 0; i < n && i < room; i++) ids[i] = (int32_t)x[i];
    free(x);
    return n;
}

struct golden_case {
    int32_t ids[1024];
    double positions[8], logits[2 * 4096];
    size_t n, n_positions;
};

static bool next_case(struct json *j, struct golden_case *g) {
    struct json_str key;
    if (!json_next_item(j) || !json_enter_object(j)) return false;
    while (json_next_key(j, &key)) {
        if (json_is(key, "ids"))
            g->n = ids_of(j, g->ids, 1024);
        else if (json_is(key, "positions"))
            g->n_positions = numbers(j, g->positions, 8);
        else if (json_is(key, "logits"))
            CHECK(numbers(j, g->logits, 2 * 4096) == g->n_positions * 4096, "logits");
        else
            json_skip(j);
    }
    return true;
}

/* The largest difference from the golden logits over all cases; NaN where one is not a number. */
static double worst_logit(const struct gpt2_weights *w, const struct kernels *k, const char *set,
                          size_t *cases) {
    static struct golden_case g;
    struct json j = golden(set, "logits.json");
    float *logits = malloc(4096 * sizeof *logits);
    double worst = 0;
    *cases = 0;
    json_enter_array(&j);
    while (next_case(&j, &g)) {
        struct gpt2_session s = open_session(w, k, "fp32", 1, 256);
        size_t done = 0;
        for (size_t p = 0; p < g.n_positions; p++) {
            size_t upto = (size_t)g.positions[p] + 1;
            CHECK(gpt2_prefill(&s, 0, g.ids + done, upto - done, logits, &e) == OK, "%s", e.msg);
            done = upto;
            for (size_t v = 0; v < 4096; v++) {
                double d = fabs(logits[v] - g.logits[p * 4096 + v]);
                if (!(d <= worst)) worst = d;
            }
        }
        gpt2_session_close(&s);
        ++*cases;
    }
    CHECK(json_end(&j), "golden/logits.json: %s at byte %zu", j.error, j.error_at);
    free(logits);
    return worst;
}

/* Whether to go through a whole context with these kernels: the best always; the others not where
 * that takes minutes (a sanitizer; test_kernels has run them all under it), nor for a clone's
 * float32 model, which is the shipped one once more. */
static bool worth_it(const struct kernels *k, bool shipped) {
#if defined __SANITIZE_ADDRESS__
    shipped = false;
#elif defined __has_feature
#if __has_feature(address_sanitizer)
    shipped = false;
#endif
#endif
    return k->supported() && !k->by_name_only &&
           (shipped || stories_trained() || k == best_kernels());
}

static void check_logits(const struct gpt2_weights *w, const char *set, bool shipped) {
    for (size_t i = 0; kernels_at(i); i++) {
        if (!worth_it(kernels_at(i), shipped)) continue;
        const char *name = kernels_at(i)->name;
        size_t cases;
        double worst = worst_logit(w, kernels_at(i), set, &cases);
        CHECK(worst <= 5e-4 && cases == (*set ? 3 : 4), "%s: %zu cases, largest difference %g",
              name, cases, worst);
        printf("  %s: largest difference from float64 %.2g\n", name, worst);
    }
}

static void golden_logits_f32(void) {
    struct checkpoint *c = open_f32();
    check_logits(&c->weights, of_f32(), false);
    checkpoint_close(c);
}

/* Beside its own golden logits; from those of float32 rounding to f16 moves it by up to 0.006. */
static void golden_logits_default_model(void) {
    struct checkpoint c = default_model();
    check_logits(&c.weights, of_f16, true);
    size_t cases;
    double worst = worst_logit(&c.weights, best_kernels(), "", &cases);
    CHECK(worst <= 0.1 && cases == 4, "%zu cases, largest difference %g", cases, worst);
    checkpoint_close(&c);
}

static void check_greedy(const struct gpt2_weights *w, const struct kernels *k, const char *attn,
                         const char *set) {
    struct json j = golden(set, "greedy.json");
    struct json_str key;
    struct arena a = {0};
    struct sampler sampler;
    struct sampler_params params = {.temp = 0, .repeat_penalty = 1, .top_p = 1};
    struct rng rng;
    rng_seed(&rng, 1, 0);
    CHECK(sampler_init(&sampler, &params, 4096, &a), "memory");
    float *logits = malloc(4096 * sizeof *logits);
    size_t cases = 0;
    json_enter_array(&j);
    for (; json_next_item(&j) && json_enter_object(&j); cases++) {
        int32_t ids[256], expected[256];
        size_t n = 0, n_expected = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "ids"))
                n = ids_of(&j, ids, 256);
            else if (json_is(key, "continuation"))
                n_expected = ids_of(&j, expected, 256);
            else
                json_skip(&j);
        }
        struct gpt2_session s = open_session(w, k, attn, 1, 64);
        CHECK(gpt2_prefill(&s, 0, ids, n, logits, &e) == OK, "%s", e.msg);
        size_t same = 0;
        for (; same < n_expected; same++) {
            int32_t token = sampler_next(&sampler, &rng, logits, ids, n, -1);
            if (token != expected[same]) break;
            if (gpt2_prefill(&s, 0, &token, 1, logits, &e)) break;
        }
        CHECK(same == n_expected && n_expected == 96, "%s: case %zu differs at token %zu of %zu",
              k->name, cases, same, n_expected);
        gpt2_session_close(&s);
    }
    CHECK(cases == 8, "%zu cases", cases);
    free(logits);
    arena_free(&a);
}

static void golden_greedy_f32(void) {
    struct checkpoint *c = open_f32();
    for (size_t i = 0; kernels_at(i); i++)
        if (worth_it(kernels_at(i), true))
            check_greedy(&c->weights, kernels_at(i), "fp32", of_f32());
    checkpoint_close(c);
}

static void golden_greedy_default_model(void) {
    struct checkpoint c = default_model();
    check_greedy(&c.weights, best_kernels(), "fp32", of_f16);
    check_greedy(&c.weights, best_kernels(), "fp16", of_f16);
    check_greedy(&c.weights, best_kernels(), "fp32", "");
    check_greedy(&c.weights, best_kernels(), "fp16", "");
    checkpoint_close(&c);
}

/* What a probe sees at one position of every layer, beside the golden activations. */
struct stages {
    double q[6][256], probs[6][4][11], heads[6][256];
    double worst;
    size_t seen;
};

static void compare_row(void *ctx, const struct attn_row *row) {
    struct stages *g = ctx;
    size_t layer = row->layer, head = row->head;
    if (row->query != 10) return;
    for (size_t d = 0; d < 64; d++) {
        g->worst = fmax(g->worst, fabs(row->q[d] - g->q[layer][head * 64 + d]) /
                                      (1 + fabs(g->q[layer][head * 64 + d])));
        g->worst = fmax(g->worst, fabs(row->out[d] - g->heads[layer][head * 64 + d]) /
                                      (1 + fabs(g->heads[layer][head * 64 + d])));
    }
    for (size_t i = 0; i < row->n_keys; i++)
        g->worst = fmax(g->worst, fabs(row->probs[i] - g->probs[layer][head][i]));
    g->seen++;
}

static void check_activations(const struct gpt2_weights *w, const char *set) {
    static struct stages g;
    struct json j = golden(set, "activations.json");
    struct json_str key;
    int32_t ids[16];
    double residual[256];
    size_t n = 0, layer = 0;
    memset(&g, 0, sizeof g);
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        if (json_is(key, "ids"))
            n = ids_of(&j, ids, 16);
        else if (json_is(key, "layers")) {
            json_enter_array(&j);
            for (; json_next_item(&j) && json_enter_object(&j); layer++)
                while (json_next_key(&j, &key)) {
                    if (json_is(key, "q"))
                        numbers(&j, g.q[layer], 256);
                    else if (json_is(key, "probabilities"))
                        numbers(&j, g.probs[layer][0], 44);
                    else if (json_is(key, "attn_heads"))
                        numbers(&j, g.heads[layer], 256);
                    else if (json_is(key, "residual"))
                        numbers(&j, residual, 256);
                    else
                        json_skip(&j);
                }
        } else
            json_skip(&j);
    }
    CHECK(json_end(&j) && n == 11 && layer == 6, "golden/activations.json");
    struct attn_probe probe = {&g, compare_row};
    threads_set(1); /* compare_row is not locked */
    struct gpt2_session s = open_session(w, best_kernels(), "fp32", 1, 16);
    s.probe = &probe;
    CHECK(gpt2_prefill(&s, 0, ids, n, NULL, &e) == OK, "%s", e.msg);
    CHECK(g.seen == 24 && g.worst < 1e-4, "%zu heads seen, worst difference %g", g.seen, g.worst);
    for (size_t i = 0; i < 256; i++)
        CHECK(fabs(s.x[10 * 256 + i] - residual[i]) <= 1e-4 * (1 + fabs(residual[i])),
              "residual %zu: %g, expected %g", i, s.x[10 * 256 + i], residual[i]);
    gpt2_session_close(&s);
    threads_set(threads_allowed());
}

static void golden_activations(void) {
    struct checkpoint *c = open_f32(), shipped = default_model();
    check_activations(&c->weights, of_f32());
    check_activations(&shipped.weights, of_f16);
    checkpoint_close(&shipped);
    checkpoint_close(c);
}

/* ---- odd shapes against the reference ---- */

/* Weights large enough for attention to be far from uniform, biases and norms away from 0 and 1. */
static void unsettle(struct gpt2_weights *w) {
    const struct gpt2_config *g = &w->config;
    struct rng r;
    rng_seed(&r, 3, 0);
    for (size_t l = 0; l < g->n_layer; l++) {
        struct gpt2_layer *y = &w->layers[l];
        const float *small[] = {y->ln1_w,  y->ln1_b,    y->ln2_w, y->ln2_b,
                                y->proj_b, y->fcproj_b, y->qkv_b, y->fc_b};
        size_t size[] = {g->n_embd, g->n_embd, g->n_embd,     g->n_embd,
                         g->n_embd, g->n_embd, 3 * g->n_embd, g->n_inner};
        for (size_t i = 0; i < 8; i++)
            for (size_t n = 0; n < size[i]; n++)
                ((float *)(uintptr_t)small[i])[n] += 0.3f * (float)rng_normal(&r);
        for (size_t n = 0; n < y->qkv.rows * y->qkv.cols; n++)
            ((float *)(uintptr_t)y->qkv.data)[n] *= 30;
    }
}

/* The largest difference of all logits of n tokens from reference_forward over `want`, by the set
 * where it is largest; *scale: the largest logit. */
static double worst_of_sets(const struct gpt2_weights *w, const struct gpt2_weights *want, size_t n,
                            double *scale) {
    int32_t ids[64];
    struct gpt2_row rows[64];
    const size_t numbers_n = n * w->config.n_vocab;
    double *expected = malloc(numbers_n * sizeof *expected), worst = 0;
    float *logits = malloc(numbers_n * sizeof *logits);
    for (size_t t = 0; t < n; t++) ids[t] = (int32_t)(t * 7 % w->config.n_vocab);
    for (size_t t = 0; t < n; t++)
        rows[t] = (struct gpt2_row){.pos = (uint32_t)t, .token = ids[t], .logits = true};
    reference_forward(want, ids, n, expected);
    *scale = 0;
    for (size_t k = 0; kernels_at(k); k++) {
        if (!kernels_at(k)->supported()) continue;
        struct gpt2_session s = open_session(w, kernels_at(k), "fp32", 1, n);
        CHECK(gpt2_forward(&s, rows, n, logits, &e) == OK, "%s", e.msg);
        for (size_t i = 0; i < numbers_n; i++) {
            const double d = fabs(logits[i] - expected[i]);
            if (!(d <= worst)) worst = d;
            *scale = fmax(*scale, fabs(expected[i]));
        }
        gpt2_session_close(&s);
    }
    free(expected), free(logits);
    return worst;
}

/* The forms of GELU, ReLU and SiLU are different functions: a model with the one is far from the
 * reference with the other, and at the reference with its own; from a config.json, from the GGUF
 * file written of it, and where nothing says anything. */
static void each_form_of_gelu(void) {
    static const struct {
        const char *config;
        enum activation activation;
    } t[] = {{"\"activation_function\":\"gelu\"", GELU_ERF},
             {"\"activation_function\":\"gelu_new\"", GELU_TANH},
             {"\"activation_function\":\"gelu_pytorch_tanh\"", GELU_TANH},
             {"\"activation_function\":\"gelu_fast\"", GELU_TANH},
             {"\"activation_function\":\"relu\"", RELU},
             {"\"activation_function\":\"silu\"", SILU},
             {"\"activation_function\":\"swish\"", SILU},
             {"\"model_type\":\"gpt2\"", GELU_TANH}};
    static struct st_maker tiny;
    char config[256], path[1024];
    double scale;
    struct rng r;
    CHECK(folder_make(), "no folder");
    tiny_hf(&tiny, TINY, "", "F32");
    rng_seed(&r, 4, 0);
    for (size_t i = 0; i < tiny.n; i++) /* around 1, where the forms differ most */
        for (size_t at = 0; at < tiny.t[i].data.size; at += 4)
            memcpy(tiny.t[i].data.data + at, &(float){0.6f * (float)rng_normal(&r)}, 4);
    struct bytes b = st_bytes(&tiny);
    folder_write("model.safetensors", b.data, b.size);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct checkpoint c;
        snprintf(config, sizeof config, "{\"n_head\":2,\"n_inner\":12,%s}", t[i].config);
        inputs_forget(); /* as a new process: the config.json before was read */
        folder_write("config.json", config, strlen(config));
        snprintf(path, sizeof path, "%s", folder);
        for (int converted = 0; converted < 2; converted++) {
            CHECK(checkpoint_open(&c, path, NULL, NULL, &e) == OK, "%s", e.msg);
            struct gpt2_weights own = c.weights, other = c.weights;
            own.config.activation = t[i].activation;
            other.config.activation = t[i].activation == GELU_ERF ? GELU_TANH : GELU_ERF;
            const double near = worst_of_sets(&c.weights, &own, 3, &scale),
                         far = worst_of_sets(&c.weights, &other, 3, &scale);
            CHECK(near <= 2e-6 * (1 + scale) && far >= 20e-6 * (1 + scale),
                  "%s: off by %g, and by %g of %g", t[i].config, near, far, scale);
            snprintf(path, sizeof path, "%s", folder_path("converted.gguf"));
            if (!converted)
                CHECK(gguf_write_model(path, true, &c.weights, NULL, "n", DTYPE_F32, NULL, &e) ==
                          OK,
                      "%s", e.msg);
            checkpoint_close(&c);
        }
        unlink(path);
    }
    bytes_free(&b);
    st_free(&tiny);
    folder_remove();
}

/* Matrices that stayed float32 among f16 ones, because of one large number each, run like any
 * other. */
static void mixed_types_equal_float64(void) {
    const struct gpt2_config shape = {2, 2, 64, 96, 16, 40, 1e-5f, .activation = GELU_TANH};
    struct checkpoint c, mixed;
    double scale;
    CHECK(checkpoint_random(&c, &shape, 10, &e) == OK, "%s", e.msg);
    unsettle(&c.weights);
    struct gpt2_layer *l = c.weights.layers;
    ((float *)(uintptr_t)l[0].fc.data)[3 * 64 + 5] =
        7e4f; /* meets an input that its norm makes small */
    ((float *)(uintptr_t)l[0].ln2_w)[5] = ((float *)(uintptr_t)l[0].ln2_b)[5] = 1e-5f;
    ((float *)(uintptr_t)l[1].qkv.data)[130 * 64 + 9] = -8e4f; /* a value: row 130 of 192 */
    ((float *)(uintptr_t)l[1].ln1_w)[9] = ((float *)(uintptr_t)l[1].ln1_b)[9] = 1e-5f;
    CHECK(folder_make(), "no folder");
    const char *path = folder_path("mixed.gguf");
    CHECK(gguf_write_model(path, true, &c.weights, NULL, "n", DTYPE_F16, NULL, &e) == OK, "%s",
          e.msg);
    CHECK(checkpoint_open(&mixed, path, NULL, NULL, &e) == OK, "%s", e.msg);
    l = mixed.weights.layers;
    CHECK(l[0].fc.type == DTYPE_F32 && l[1].qkv.type == DTYPE_F32, "%s, %s",
          dtype_name(l[0].fc.type), dtype_name(l[1].qkv.type));
    CHECK(l[0].qkv.type == DTYPE_F16 && l[1].fc.type == DTYPE_F16 &&
              mixed.weights.wte.type == DTYPE_F16,
          "the others");
    const double worst = worst_of_sets(&mixed.weights, &mixed.weights, 16, &scale);
    CHECK(worst <= 2e-5 * (1 + scale) && scale > 0, "off by %g of %g", worst, scale);
    checkpoint_close(&mixed);
    checkpoint_close(&c);
    folder_remove();
}

static void odd_shapes_equal_float64(void) {
    const struct gpt2_config shapes[] = {
        {1, 1, 4, 16, 9, 5, 1e-5f, .activation = GELU_TANH},
        {2, 5, 60, 240, 33, 101, 1e-5f, .activation = GELU_ERF},
        {3, 3, 48, 20, 20, 7, 1e-3f, .activation = GELU_TANH},
        {1, 2, 160, 96, 12, 300, 1e-5f, .activation = GELU_TANH},
        {2, 25, 100, 400, 40, 64, 1e-6f, .activation = GELU_ERF},
        {2, 3, 15, 61, 21, 19, 1e-5f, .activation = RELU},
        {3, 2, 14, 20, 40, 31, 1e-5f, .activation = SILU},
        {2, 7, 7, 29, 33, 10, 1e-5f, .activation = GELU_TANH},
        {3, 2, 32, 64, 25, 40, 1e-5f, .activation = GELU_TANH, .unscaled = true},
        {4, 3, 27, 64, 25, 40, 1e-5f, .activation = GELU_TANH, .scale_by_layer = true},
        {3, 2, 34, 64, 25, 40, 1e-5f, .activation = RELU, .unscaled = true, .scale_by_layer = true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct checkpoint c;
        const struct gpt2_config *g = &shapes[i];
        CHECK(checkpoint_random(&c, g, 10 + i, &e) == OK, "%s", e.msg);
        unsettle(&c.weights);
        int32_t ids[64];
        for (size_t t = 0; t < g->n_ctx; t++) ids[t] = (int32_t)(t * 7 % g->n_vocab);
        double *expected = malloc(g->n_ctx * g->n_vocab * sizeof *expected);
        float *logits = malloc(g->n_ctx * g->n_vocab * sizeof *logits);
        reference_forward(&c.weights, ids, g->n_ctx, expected);
        for (size_t k = 0; kernels_at(k); k++) {
            if (!kernels_at(k)->supported() || kernels_at(k)->by_name_only) continue;
            struct gpt2_session s = open_session(&c.weights, kernels_at(k), "fp32", 1, g->n_ctx);
            struct gpt2_row rows[64];
            for (size_t t = 0; t < g->n_ctx; t++)
                rows[t] = (struct gpt2_row){.pos = (uint32_t)t, .token = ids[t], .logits = true};
            CHECK(gpt2_forward(&s, rows, g->n_ctx, logits, &e) == OK, "%s", e.msg);
            double worst = 0, scale = 0;
            for (size_t n = 0; n < g->n_ctx * g->n_vocab; n++) {
                double d = fabs(logits[n] - expected[n]);
                if (!(d <= worst)) worst = d;
                scale = fmax(scale, fabs(expected[n]));
            }
            CHECK(worst <= 2e-5 * (1 + scale), "shape %zu, %s: off by %g of %g", i,
                  kernels_at(k)->name, worst, scale);
            gpt2_session_close(&s);
        }
        free(expected), free(logits);
        checkpoint_close(&c);
    }
}

/* ---- what must not change a result ---- */

static size_t story_ids(const struct checkpoint *c, int32_t *ids, size_t room) {
    static const char text[] = "Once upon a time there was an old miller who had three sons, and "
                               "when he came to die he left them nothing "
                               "but his mill, his ass and his cat. The eldest took the mill, the "
                               "second the ass, and the youngest had only "
                               "the cat. \"My brothers,\" said he, \"may live well enough if they "
                               "put what they have together, but what is "
                               "to become of me?\" Then the cat, who had heard it all, said: \"Do "
                               "not be sad, my master.\"";
    struct bpe *b;
    int32_t *out;
    size_t n = 0;
    CHECK(bpe_new(&b, &c->vocab, &arena, &e) == OK, "%s", e.msg);
    CHECK(bpe_encode(b, (const uint8_t *)text, sizeof text - 1, false, &arena, &out, &n, &e) == OK,
          "%s", e.msg);
    CHECK(n >= 70 && n <= room, "%zu tokens", n);
    memcpy(ids, out, n * sizeof *ids);
    return n;
}

static double difference(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

static void chunks_do_not_matter(void) {
    struct checkpoint c = default_model();
    int32_t ids[256];
    size_t n = story_ids(&c, ids, 256), chunk[] = {256, 1, 7, 64};
    const char *specs[] = {"fp32", "fp16"};
    for (size_t a = 0; a < 2; a++) {
        float *first = NULL;
        for (size_t i = 0; i < 4; i++) {
            struct gpt2_session s = open_session(&c.weights, best_kernels(), specs[a], 1, chunk[i]);
            float *logits = malloc(4096 * sizeof *logits);
            CHECK(gpt2_prefill(&s, 0, ids, n, logits, &e) == OK, "%s", e.msg);
            double worst = i ? difference(first, logits, 4096) : 0;
            /* a row whose last bit differs may lie on the other side between two f16 numbers, 2^-11
             * of it away */
            CHECK(worst <= (a ? 2e-3 : 1e-4), "%s: chunks of %zu move a logit by %g", specs[a],
                  chunk[i], worst);
            gpt2_session_close(&s);
            if (i)
                free(logits);
            else
                first = logits;
        }
        free(first);
    }
    checkpoint_close(&c);
}

/* With `invariant` a prompt gives the same bits however it is cut, on every set and backend. */
static void invariant_prompts(void) {
    static const char *const specs[] = {"fp16", "int4:sink=1,window=4/int8", "lookat:small"};
    static const size_t cuts[] = {256, 7, 40};
    struct checkpoint c = default_model();
    struct book book;
    float *first = malloc(4096 * sizeof *first), *logits = malloc(4096 * sizeof *logits);
    int32_t ids[256];
    size_t n = story_ids(&c, ids, 256);
    bool found = false;
    CHECK(book_open(&book, "weights/stories6M.gguf", &found, &e) == OK && found, "%s", e.msg);
    const struct kernels *k;
    for (size_t set = 0; (k = kernels_at(set)) != NULL; set++)
        for (size_t a = 0; k->supported() && !k->by_name_only && a < sizeof specs / sizeof *specs;
             a++)
            for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
                struct gpt2_session s;
                const struct gpt2_session_setup setup = {.weights = &c.weights,
                                                         .kn = k,
                                                         .attn = specs[a],
                                                         .book = &book,
                                                         .n_seq = 1,
                                                         .n_ctx = 256,
                                                         .max_rows = cuts[i],
                                                         .invariant = true};
                CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
                CHECK(gpt2_prefill(&s, 0, ids, n, i ? logits : first, &e) == OK, "%s", e.msg);
                CHECK(i == 0 || memcmp(first, logits, 4096 * sizeof *first) == 0,
                      "%s, %s: in batches of %zu", k->name, specs[a], cuts[i]);
                gpt2_session_close(&s);
            }
    free(first), free(logits);
    book_close(&book);
    checkpoint_close(&c);
}

/* Three sequences forked from a prefix, decoded together, one rewound: each as if it were alone. */
static void batches_forks_and_rewinds(void) {
    struct checkpoint c = default_model();
    int32_t ids[256];
    size_t n = story_ids(&c, ids, 256);
    uint32_t prefix = 20;
    struct gpt2_session s = open_session(&c.weights, best_kernels(), "fp16", 3, 32);
    float *logits = malloc(3 * 4096 * sizeof *logits), *alone = malloc(4096 * sizeof *alone);
    CHECK(gpt2_prefill(&s, 0, ids, prefix, NULL, &e) == OK, "%s", e.msg);
    gpt2_fork(&s, 1, 0, prefix);
    gpt2_fork(&s, 2, 0, prefix - 5);
    CHECK(gpt2_prefill(&s, 1, ids + 40, 9, NULL, &e) == OK, "%s", e.msg);
    gpt2_rewind(&s, 1, prefix);
    for (uint32_t step = 0; step < 10; step++) {
        struct gpt2_row rows[3];
        for (uint32_t q = 0; q < 3; q++)
            rows[q] = (struct gpt2_row){
                .seq = q, .pos = s.length[q], .token = ids[30 + 15 * q + step], .logits = true};
        CHECK(gpt2_forward(&s, rows, 3, logits, &e) == OK, "%s", e.msg);
    }
    for (uint32_t q = 0; q < 3; q++) {
        struct gpt2_session one = open_session(&c.weights, best_kernels(), "fp16", 1, 32);
        CHECK(gpt2_prefill(&one, 0, ids, q == 2 ? prefix - 5 : prefix, NULL, &e) == OK, "%s",
              e.msg);
        CHECK(gpt2_prefill(&one, 0, ids + 30 + 15 * q, 10, alone, &e) == OK, "%s", e.msg);
        double worst = difference(alone, logits + q * 4096, 4096);
        CHECK(worst <= 5e-3, "sequence %u differs from itself alone by %g", q,
              worst); /* an f16 cache: an ulp of a key flips */
        gpt2_session_close(&one);
    }
    CHECK(n > 70, "%zu", n);
    free(logits), free(alone);
    gpt2_session_close(&s);
    checkpoint_close(&c);
}

static void threads_do_not_matter(void) {
    struct checkpoint c = default_model();
    int32_t ids[256];
    size_t n = story_ids(&c, ids, 256);
    float *logits[4] = {0};
    for (int t = 1; t <= 3; t++) {
        threads_set(t);
        struct gpt2_session s = open_session(&c.weights, best_kernels(), "fp16", 1, 64);
        logits[t] = malloc(4096 * sizeof *logits[t]);
        CHECK(gpt2_prefill(&s, 0, ids, n - 1, NULL, &e) == OK &&
                  gpt2_prefill(&s, 0, ids + n - 1, 1, logits[t], &e) == OK,
              "%s", e.msg);
        CHECK(memcmp(logits[1], logits[t], 4096 * sizeof *logits[t]) == 0,
              "%d threads change the logits", t);
        gpt2_session_close(&s);
    }
    threads_set(threads_allowed());
    for (int t = 1; t <= 3; t++) free(logits[t]);
    checkpoint_close(&c);
}

static void bad_batches_are_refused(void) {
    struct checkpoint c = default_model();
    struct gpt2_session s = open_session(&c.weights, best_kernels(), "fp16", 2, 4);
    float logits[4096];
    const struct {
        struct gpt2_row rows[5];
        size_t n;
        const char *expect;
    } bad[] = {
        {{{.token = 4096}}, 1, "token id 4096 is outside the vocabulary of 4096"},
        {{{.token = -1}}, 1, "token id -1"},
        {{{.pos = 1}}, 1, "position 1; the next one is 0"},
        {{{.pos = 0}, {.pos = 0}}, 2, "position 0; the next one is 1"},
        {{{.seq = 2}}, 1, "sequence 2; the session has 2"},
        {{{.pos = 0}, {.seq = 1}, {.pos = 0}}, 3, "do not stand together"},
        {{{.pos = 0}}, 5, "a batch of 5 rows; the session was made for 4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(gpt2_forward(&s, bad[i].rows, bad[i].n, logits, &e) == ERR_USAGE &&
                  strstr(e.msg, bad[i].expect),
              "batch %zu: %s", i, e.msg);
    CHECK(s.length[0] == 0 && s.length[1] == 0, "a refused batch was stored");
    gpt2_session_close(&s);
    struct gpt2_session t;
    const struct gpt2_session_setup setup = {.weights = &c.weights,
                                             .kn = best_kernels(),
                                             .attn = "fp16",
                                             .n_seq = 1,
                                             .n_ctx = 1025,
                                             .max_rows = 4};
    CHECK(gpt2_session_open(&t, &setup, &e) == ERR_USAGE, "context of 1025");
    checkpoint_close(&c);
}

/* ---- texts: golden/ has losses of some outside the repository, golden/f16/ of tests/texts ---- */

static size_t text_ids(const struct checkpoint *c, const char *path, size_t first, size_t n,
                       int32_t *ids) {
    uint8_t *text;
    size_t bytes, got = 0;
    int32_t *all = NULL;
    struct bpe *b;
    CHECK(file_read(path, &arena, &text, &bytes, &e) == OK &&
              bpe_new(&b, &c->vocab, &arena, &e) == OK &&
              bpe_encode(b, text, bytes, true, &arena, &all, &got, &e) == OK,
          "%s", e.msg);
    CHECK(got >= first + n, "%zu tokens", got);
    memcpy(ids, all + first, n * sizeof *ids);
    return n;
}

/* logits[n][V] */
static float *all_logits(const struct gpt2_weights *w, const int32_t *ids, size_t n) {
    size_t V = w->config.n_vocab, CHUNK = 64;
    struct gpt2_session s = open_session(w, best_kernels(), "fp32", 1, CHUNK);
    float *logits = malloc(n * V * sizeof *logits);
    struct gpt2_row rows[64];
    for (size_t t = 0; t < n; t += CHUNK) {
        size_t take = n - t < CHUNK ? n - t : CHUNK;
        for (size_t i = 0; i < take; i++)
            rows[i] =
                (struct gpt2_row){.pos = (uint32_t)(t + i), .token = ids[t + i], .logits = true};
        CHECK(gpt2_forward(&s, rows, take, logits + t * V, &e) == OK, "%s", e.msg);
    }
    gpt2_session_close(&s);
    return logits;
}

static double log_sum_exp(const float *z, size_t n) {
    double best = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) best = fmax(best, z[i]);
    for (size_t i = 0; i < n; i++) sum += exp(z[i] - best);
    return best + log(sum);
}

static void check_losses(const struct checkpoint *c, const char *set) {
    struct json j = golden(set, "loss.json");
    struct json_str key, file = {0};
    size_t cases = 0;
    json_enter_array(&j);
    for (; json_next_item(&j) && json_enter_object(&j); cases++) {
        uint64_t first = 0;
        double expected = 0, half = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "file"))
                json_string(&j, &file);
            else if (json_is(key, "first_token"))
                json_uint(&j, &first);
            else if (json_is(key, "mean_nll"))
                json_double(&j, &expected);
            else if (json_is(key, "half_nll"))
                json_double(&j, &half);
            else
                json_skip(&j);
        }
        char name[64];
        snprintf(name, sizeof name, "%stexts/%.*s", *set ? "tests/" : "", (int)file.n, file.s);
        int32_t ids[1024];
        text_ids(c, *set ? name : test_shared(name), first, 1024, ids);
        float *logits = all_logits(&c->weights, ids, 1024);
        double sum = 0;
        for (size_t t = 0; t + 1 < 1024; t++)
            sum += log_sum_exp(logits + t * 4096, 4096) - logits[t * 4096 + (size_t)ids[t + 1]];
        CHECK(fabs(sum / 1023 - expected) < 1e-5, "%s at %zu: %.7f, expected %.7f", name,
              (size_t)first, sum / 1023, expected);
        free(logits);
    }
    CHECK(cases == 6, "%zu cases", cases);
}

static void golden_losses(void) {
    struct checkpoint *c = open_f32(), shipped = default_model();
    if (stories_trained() && test_shared("texts/python.txt")) check_losses(c, "");
    check_losses(&shipped, of_f16);
    checkpoint_close(&shipped);
    checkpoint_close(c);
}

/* The log-probability of every token of a window but its first, one by one. */
static void golden_logprobs(void) {
    struct checkpoint c = default_model();
    struct json j = golden(of_f16, "logprobs.json");
    struct json_str key, file = {0};
    static double expected[1024];
    size_t cases = 0;
    json_enter_array(&j);
    for (; json_next_item(&j) && json_enter_object(&j); cases++) {
        size_t n = 0;
        while (json_next_key(&j, &key)) {
            if (json_is(key, "file"))
                json_string(&j, &file);
            else if (json_is(key, "logprobs"))
                n = numbers(&j, expected, 1024);
            else
                json_skip(&j);
        }
        char name[64];
        int32_t ids[1024];
        snprintf(name, sizeof name, "tests/texts/%.*s", (int)file.n, file.s);
        text_ids(&c, name, 0, 1024, ids);
        float *logits = all_logits(&c.weights, ids, 1024);
        double worst = 0;
        for (size_t t = 0; t < n; t++) {
            const float *z = logits + t * 4096;
            double off = fabs(z[ids[t + 1]] - log_sum_exp(z, 4096) - expected[t]);
            if (!(off <= worst)) worst = off;
        }
        CHECK(n == 1023 && worst <= 1e-4, "%s: %zu tokens, off by %g", name, n, worst);
        free(logits);
    }
    CHECK(json_end(&j) && cases == 3, "%zu cases", cases);
    checkpoint_close(&c);
}

/* Mean KL(f32 || stored type) in nats per token over 1024 tokens of prose and of another kind. The
 * weights of a clone's float32 model are f16 numbers, so there f16 costs nothing at all. */
static void stored_types_cost_little(void) {
    struct checkpoint *c = open_f32();
    bool shared = stories_trained() && test_shared("texts/prose_heldout.txt");
    const struct {
        enum dtype type;
        double bound;
    } types[] = {{DTYPE_F32, 0}, {DTYPE_F16, stories_trained() ? 1e-6 : 0}, {DTYPE_Q8_0, 3e-4}};
    const char *texts[] = {"tests/texts/prose.txt", "tests/texts/technical.txt"};
    if (shared) texts[0] = test_shared("texts/prose_heldout.txt");
    if (shared) texts[1] = test_shared("texts/stories_heldout.txt");
    char path[64];
    snprintf(path, sizeof path, "/tmp/lookat-test-%ld.gguf", (long)getpid());
    for (size_t x = 0; x < 2; x++) {
        int32_t ids[1024];
        text_ids(c, texts[x], 0, 1024, ids);
        float *base = all_logits(&c->weights, ids, 1024);
        for (size_t i = 0; i < 3; i++) {
            struct checkpoint stored;
            CHECK(gguf_write_model(path, true, &c->weights, &c->vocab, "test", types[i].type, NULL,
                                   &e) == OK,
                  "%s", e.msg);
            CHECK(checkpoint_open(&stored, path, NULL, NULL, &e) == OK, "%s", e.msg);
            float *logits = all_logits(&stored.weights, ids, 1024);
            double kl = 0;
            for (size_t t = 0; t < 1024; t++) {
                const float *p = base + t * 4096, *q = logits + t * 4096;
                double zp = log_sum_exp(p, 4096), zq = log_sum_exp(q, 4096);
                for (size_t v = 0; v < 4096; v++)
                    kl += exp(p[v] - zp) * ((p[v] - zp) - (q[v] - zq)) / 1024;
            }
            CHECK(kl <= types[i].bound, "%s, %s: KL %g, bound %g", texts[x],
                  dtype_name(types[i].type), kl, types[i].bound);
            if (types[i].type == DTYPE_F32)
                CHECK(memcmp(base, logits, 1024 * 4096 * sizeof *base) == 0,
                      "GGUF f32 changes the logits of safetensors");
            printf("  %s %s: KL %.2g\n", texts[x], dtype_name(types[i].type), kl);
            free(logits);
            checkpoint_close(&stored);
            inputs_forget(); /* as a new process: the same path is written again */
        }
        free(base);
    }
    remove(path);
    checkpoint_close(c);
}

/* ---- numbers that are none ---- */

enum { ILL_L = 2, ILL_C = 32, ILL_F = 64, ILL_V = 40, ILL_T = 6 };

static struct gpt2_weights *ill_model(void) {
    static struct checkpoint c;
    static float head[ILL_V * ILL_C];
    struct gpt2_config config = {.n_layer = ILL_L,
                                 .n_head = 2,
                                 .n_embd = ILL_C,
                                 .n_inner = ILL_F,
                                 .n_ctx = 64,
                                 .n_vocab = ILL_V,
                                 .norm_eps = 1e-5f};
    if (!c.weights.layers) {
        CHECK(checkpoint_random(&c, &config, 5, &e) == OK, "%s", e.msg);
        unsettle(&c.weights);
        memcpy(head, c.weights.head.data, sizeof head);
        c.weights.head.data = head; /* so that one row of the embedding can be ill alone */
    }
    return &c.weights;
}

/* Logits of 0 .. ILL_T - 1 of a sequence, prefilled to `split` and then row by row. */
static void ill_logits(struct gpt2_session *s, uint32_t seq, const int32_t *ids, size_t split,
                       float *logits) {
    struct gpt2_row rows[ILL_T];
    for (uint32_t i = 0; i < ILL_T; i++)
        rows[i] = (struct gpt2_row){.seq = seq, .pos = i, .token = ids[i], .logits = true};
    if (split) CHECK(gpt2_forward(s, rows, split, logits, &e) == OK, "%s", e.msg);
    for (size_t i = split; i < ILL_T; i++)
        CHECK(gpt2_forward(s, rows + i, 1, logits + i * ILL_V, &e) == OK, "%s", e.msg);
}

/* With one number of one tensor ill: the rows from `from` on have no logits, whatever the codec
 * makes of such keys, and the message says where. */
static void check_ill(const struct gpt2_weights *w, const struct kernels *k, const char *spec,
                      size_t from, const char *where) {
    static const int32_t ids[ILL_T] = {3, 5, 7, 11, 5, 3};
    static float logits[ILL_T * ILL_V];
    struct gpt2_session s = open_session(w, k, spec, 3, ILL_T);
    for (size_t split = 0; split <= ILL_T; split += 2) {
        ill_logits(&s, 0, ids, split, logits);
        for (size_t i = from; i < ILL_T; i++)
            for (size_t t = 0; t < ILL_V; t++)
                CHECK(isnan(logits[i * ILL_V + t]),
                      "%s %s %s, split %zu: logit %zu of row %zu is %g", k->name, spec, where,
                      split, t, i, (double)logits[i * ILL_V + t]);
        for (size_t t = 0; split <= from && t < from * ILL_V; t++)
            CHECK(isfinite(logits[t]), "%s %s: logit %zu", k->name, spec, t);
        struct err said = {0};
        CHECK(gpt2_check(&s, 0, &said) == ERR_FAILED && strstr(said.msg, where),
              "%s %s: expected '%s' in '%s'", k->name, spec, where, said.msg);
        gpt2_fork(&s, 1, 0, ILL_T);
        CHECK(gpt2_check(&s, 1, &said) == ERR_FAILED, "%s: a fork", spec);
        if (split <=
            from) { /* else it was in the tile of rows before it, which 0 x NaN makes ill as well */
            gpt2_fork(&s, 2, 0, (uint32_t)from);
            gpt2_rewind(&s, 0, (uint32_t)from);
            CHECK(gpt2_check(&s, 2, &said) == OK && gpt2_check(&s, 0, &said) == OK,
                  "%s: what comes before it", spec);
        }
        for (uint32_t seq = 0; seq < 3; seq++) gpt2_rewind(&s, seq, 0);
    }
    gpt2_session_close(&s);
}

static void check_ill_number(const float *number, float x, const char *const *specs, size_t from,
                             const char *where) {
    float *at = (float *)(uintptr_t)number, sound = *at;
    *at = x;
    for (size_t i = 0; kernels_at(i); i++) {
        const struct kernels *k;
        if (kernels_get(&k, kernels_at(i)->name, &e)) continue; /* not of this CPU */
        for (size_t n = 0; specs[n]; n++) check_ill(ill_model(), k, specs[n], from, where);
    }
    *at = sound;
}

static void ill_weights_are_found(void) {
    static const char *const every[] = {
        "fp32", "fp16", "int8", "int4:rotate", "turbo:bits=4", "constant", "fp16:sink=1,window=2",
        NULL};
    static const char *const one[] = {"fp16", NULL};
    struct gpt2_weights *w = ill_model();
    static const float ill[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        for (size_t l = 0; l < ILL_L; l++) {
            const struct gpt2_layer *y = &w->layers[l];
            char qkv[80], out[80];
            snprintf(qkv, sizeof qkv, "q, k and v of layer %zu, at position 0 (token id 3)", l);
            snprintf(out, sizeof out, "the output of layer %zu, at position 0 (token id 3)", l);
            check_ill_number(y->ln1_w + 1, ill[i], one, 0, qkv);
            check_ill_number(y->ln1_b + 31, ill[i], one, 0, qkv);
            check_ill_number((const float *)y->qkv.data + 40 * ILL_C, ill[i], every, 0,
                             qkv);                                  /* of the keys */
            check_ill_number(y->qkv_b + 70, ill[i], every, 0, qkv); /* of the values */
            check_ill_number(y->proj_b + 9, ill[i], one, 0, out);
            check_ill_number((const float *)y->proj.data + 77, ill[i], one, 0, out);
            check_ill_number(y->ln2_w + 3, ill[i] > 0 ? ill[i] : NAN, one, 0, out);
            check_ill_number(y->fc_b + 63, ill[i] > 0 ? ill[i] : NAN, one, 0,
                             out); /* gelu of -inf is 0 */
            check_ill_number((const float *)y->fc.data + 5, NAN, one, 0, out);
            check_ill_number((const float *)y->fcproj.data + 5, ill[i], one, 0, out);
            check_ill_number(y->fcproj_b, ill[i], one, 0, out);
        }
        check_ill_number((const float *)w->wpe.data + 3 * ILL_C, ill[i], every, 3,
                         "the embedding, at position 3 (token id 11)");
        check_ill_number((const float *)w->wte.data + 7 * ILL_C + 6, ill[i], every, 2,
                         "the embedding, at position 2 (token id 7)");
    }
}

/* Logits alone may be ill, and one sequence of a batch. */
static void ill_logits_are_found(void) {
    struct gpt2_weights *w = ill_model();
    static float logits[2 * ILL_V];
    float *head = (float *)(uintptr_t)w->head.data + 17 * ILL_C,
          *row = (float *)(uintptr_t)w->wte.data + 7 * ILL_C;
    struct gpt2_session s = open_session(w, best_kernels(), "fp16", 2, 2);
    const struct gpt2_row both[] = {{.seq = 0, .pos = 0, .token = 7, .logits = true},
                                    {.seq = 1, .pos = 0, .token = 8, .logits = true}};
    CHECK(gpt2_forward(&s, both, 2, logits, &e) == OK &&
              gpt2_check_logits(&s, both, logits, &e) == OK,
          "%s", e.msg);
    float sound = *head;
    *head = INFINITY;
    gpt2_rewind(&s, 0, 0), gpt2_rewind(&s, 1, 0);
    CHECK(gpt2_forward(&s, both, 2, logits, &e) == OK && gpt2_check(&s, 0, &e) == OK,
          "the layers are sound");
    CHECK(gpt2_check_logits(&s, both, logits, &e) == ERR_FAILED &&
              strstr(e.msg, "after position 0 (token id 7)") &&
              strstr(e.msg, "the head is at fault"),
          "%s", e.msg);
    *head = sound;
    sound = *row;
    *row = NAN;
    gpt2_rewind(&s, 0, 0), gpt2_rewind(&s, 1, 0);
    CHECK(gpt2_forward(&s, both, 2, logits, &e) == OK, "%s", e.msg);
    CHECK(gpt2_check_logits(&s, both, logits, &e) == ERR_FAILED &&
              strstr(e.msg, "first the embedding"),
          "%s", e.msg);
    CHECK(gpt2_check_logits(&s, both + 1, logits + ILL_V, &e) == OK && gpt2_check(&s, 1, &e) == OK,
          "the other sequence: %s", e.msg);
    *row = sound;
    gpt2_session_close(&s);
}

/* ---- the end of a text ---- */

struct written {
    int32_t ids[16];
    size_t n;
    int stopped; /* enum generation_stop, or -1 */
};

static int on_step(void *ctx, const struct generation_step *step, struct err *unused) {
    struct written *w = ctx;
    (void)unused;
    w->ids[w->n++] = step->id;
    return OK;
}
static void on_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    (void)sample;
    ((struct written *)ctx)->stopped = (int)why;
}

/* Token 0 may end a text as any other may, and may be kept from coming. */
static void end_of_text_with_id_0(void) {
    static float zeros[ILL_C], ones[ILL_C];
    struct gpt2_weights w = *ill_model();
    static float head[ILL_V * ILL_C];
    const int32_t prompt[] = {3};
    memcpy(head, w.head.data, sizeof head);
    for (size_t i = 0; i < ILL_C; i++)
        ones[i] = 1, head[i] = 100; /* logits of a constant row: token 0 is far the likeliest */
    w.lnf_w = zeros, w.lnf_b = ones, w.head.data = head;
    for (int ignore = 0; ignore < 2; ignore++)
        for (int temp = 0; temp < 2; temp++) {
            struct gpt2_session s = open_session(&w, best_kernels(), "fp16", 1, 4);
            struct generation_params p = {
                .sampler = {.temp = temp, .top_p = 1, .repeat_penalty = 1},
                .n_samples = 1,
                .limit = 9,
                .eos = 0,
                .ignore_eos = ignore};
            struct written got = {.stopped = -1};
            struct generation_events events = {.ctx = &got, .step = on_step, .stopped = on_stopped};
            struct generation_stats stats;
            CHECK(generation_run(&s, prompt, 1, &p, &events, &stats, &e) == OK, "%s", e.msg);
            CHECK(got.stopped == (ignore ? STOP_LENGTH : STOP_EOS) && got.n == (ignore ? 9 : 0),
                  "ignore %d, temperature %d: %zu tokens, stop %d", ignore, temp, got.n,
                  got.stopped);
            for (size_t i = 0; i < got.n; i++)
                CHECK(got.ids[i] != 0, "token 0 came as number %zu", i);
            gpt2_session_close(&s);
        }
}

/* ---- a prompt of which a part is held ---- */

enum { HELD_N = 30, HELD_LIMIT = 6, HELD_SAMPLES = 2 };

/* What a run reported: the prompt's tokens, and those of each sample. */
struct told {
    struct {
        int32_t ids[HELD_N + HELD_LIMIT];
        double logprobs[HELD_N + HELD_LIMIT]; /* 1 where there is none */
        size_t n;
    } prompt, samples[HELD_SAMPLES];
    struct generation_stats stats;
};

static int tell_step(void *ctx, const struct generation_step *step, struct err *unused) {
    struct told *t = ctx;
    (void)unused;
    if (step->prompt) {
        t->prompt.ids[t->prompt.n] = step->id;
        t->prompt.logprobs[t->prompt.n++] = step->has_logprob ? step->logprob : 1;
    } else {
        size_t at = t->samples[step->sample].n++;
        t->samples[step->sample].ids[at] = step->id;
        t->samples[step->sample].logprobs[at] = step->logprob;
    }
    return OK;
}
static void tell_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    (void)ctx, (void)sample, (void)why;
}

/* Continues the prompt in sequences of which the first has `held` tokens of it. */
static int run_held(struct gpt2_session *s, const int32_t *prompt, size_t held, size_t samples,
                    bool echo, struct told *t) {
    const struct generation_params p = {
        .sampler = {.temp = 1, .top_p = 1, .repeat_penalty = 1.1, .repeat_last_n = -1},
        .seed = 3,
        .n_samples = (uint32_t)samples,
        .held = held,
        .limit = HELD_LIMIT,
        .eos = -1,
        .logprobs = true,
        .echo = echo,
        .draft.most = 4};
    const struct generation_events events = {.ctx = t, .step = tell_step, .stopped = tell_stopped};
    memset(t, 0, sizeof *t);
    return generation_run(s, prompt, HELD_N, &p, &events, &t->stats, &e);
}

/* Writes a text, and the same one behind tokens that are held: each case is to the bit. */
static void check_held(const struct checkpoint *c, const struct book *book, const char *spec,
                       size_t rows, bool invariant, const int32_t *ids) {
    static const size_t held[] = {1, 15, HELD_N - 1};
    struct told want, got;
    for (size_t samples = 1; samples <= HELD_SAMPLES; samples++) {
        struct gpt2_session s;
        const struct gpt2_session_setup setup = {.weights = &c->weights,
                                                 .kn = best_kernels(),
                                                 .attn = spec,
                                                 .book = book,
                                                 .n_seq = samples,
                                                 .n_ctx = HELD_N + HELD_LIMIT,
                                                 .max_rows = rows,
                                                 .take_back = HELD_N,
                                                 .invariant = invariant};
        CHECK(gpt2_session_open(&s, &setup, &e) == OK, "%s", e.msg);
        CHECK(run_held(&s, ids, 0, samples, true, &want) == OK, "%s", e.msg);
        CHECK(want.stats.held == 0 && want.stats.prompt_tokens == HELD_N && want.prompt.n == HELD_N,
              "%zu held of %zu", want.stats.held, want.stats.prompt_tokens);
        for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
            /* The others hold what is forgotten. */
            gpt2_rewind(&s, 0, 0);
            CHECK(gpt2_prefill(&s, 0, ids, held[i], NULL, &e) == OK, "%s", e.msg);
            CHECK(run_held(&s, ids, held[i], samples, true, &got) == OK, "%s", e.msg);
            CHECK(got.stats.held == held[i], "%zu held", got.stats.held);
            CHECK(memcmp(want.samples, got.samples, sizeof got.samples) == 0,
                  "%s: %zu tokens held, %zu samples: another text", spec, held[i], samples);
            CHECK(got.prompt.n == HELD_N &&
                      memcmp(want.prompt.ids, got.prompt.ids, sizeof got.prompt.ids) == 0,
                  "%zu tokens of the prompt are told", got.prompt.n);
            for (size_t t = 0; t < HELD_N; t++)
                CHECK(got.prompt.logprobs[t] == (t <= held[i] ? 1 : want.prompt.logprobs[t]),
                      "%s: %zu held: token %zu has %g, not %g", spec, held[i], t,
                      got.prompt.logprobs[t], want.prompt.logprobs[t]);
            gpt2_rewind(&s, 0, (uint32_t)held[i]); /* and once more from where it branched */
            CHECK(run_held(&s, ids, held[i], samples, false, &got) == OK, "%s", e.msg);
            CHECK(memcmp(want.samples, got.samples, sizeof got.samples) == 0,
                  "%s: %zu tokens held without echo: another text", spec, held[i]);
        }
        gpt2_session_close(&s);
    }
}

static void held_prompts(void) {
    struct checkpoint c = default_model();
    struct book book;
    bool found = false;
    int32_t ids[256];
    struct told t;
    story_ids(&c, ids, 256);
    CHECK(book_open(&book, DEFAULT_MODEL, &found, &e) == OK && found, "%s", e.msg);
    check_held(&c, &book, "fp16", ATTN_FEW_QUERIES, false, ids);
    check_held(&c, &book, "lookat", ATTN_FEW_QUERIES, false, ids);
    check_held(&c, &book, "fp16", 64, true, ids);
    check_held(&c, &book, "int4:sink=1,window=8/int8", 64, true, ids);

    struct gpt2_session s = open_session(&c.weights, best_kernels(), "fp16", 1, 64);
    CHECK(run_held(&s, ids, HELD_N, 1, false, &t) == ERR_USAGE &&
              strstr(e.msg, "none is left to run"),
          "%s", e.msg);
    CHECK(run_held(&s, ids, 3, 1, false, &t) == ERR_USAGE && strstr(e.msg, "but there are 0"), "%s",
          e.msg);
    CHECK(gpt2_prefill(&s, 0, ids, 4, NULL, &e) == OK, "%s", e.msg);
    CHECK(run_held(&s, ids, 0, 1, false, &t) == ERR_USAGE && strstr(e.msg, "but there are 4"), "%s",
          e.msg);
    CHECK(t.samples[0].n == 0, "a refused run wrote something");
    gpt2_session_close(&s);

    /* Only a window forgets what has left it. */
    static const char *const specs[] = {"fp16", "int4:sink=4/int8", "int4:window=4/int8"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        s = open_session(&c.weights, best_kernels(), specs[i], 1, 64);
        CHECK(gpt2_prefill(&s, 0, ids, 10, NULL, &e) == OK, "%s", e.msg);
        CHECK(gpt2_rewinds(&s, 0, 10) && gpt2_rewinds(&s, 0, 9) == (i < 2) &&
                  gpt2_rewinds(&s, 0, 0) == (i < 2),
              "%s: what a rewind takes back", specs[i]);
        gpt2_session_close(&s);
    }
    book_close(&book);
    checkpoint_close(&c);
}

int main(void) {
    threads_set(threads_allowed());
    RUN(odd_shapes_equal_float64);
    RUN(each_form_of_gelu);
    RUN(mixed_types_equal_float64);
    RUN(golden_logits_f32);
    RUN(golden_logits_default_model);
    RUN(golden_greedy_f32);
    RUN(golden_greedy_default_model);
    RUN(golden_activations);
    RUN(chunks_do_not_matter);
    RUN(invariant_prompts);
    RUN(batches_forks_and_rewinds);
    RUN(threads_do_not_matter);
    RUN(bad_batches_are_refused);
    RUN(ill_weights_are_found);
    RUN(ill_logits_are_found);
    RUN(end_of_text_with_id_0);
    RUN(held_prompts);
    RUN(golden_losses);
    RUN(golden_logprobs);
    RUN(stored_types_cost_little);
    arena_free(&arena);
    return TEST_RESULT;
}
