/* The block types of GGUF files: their numbers against those that llama.cpp gives, and a model in
 * each of them against the same model in float32. */
#include "bad/folder.h"
#include "base/inputs.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "kernels/quant_types.h"
#include "model/gpt2.h"
#include "stored.h"
#include "test.h"

static struct err e;
static struct arena arena;

enum { N_TYPES = 14 };
static const enum dtype quant_types[N_TYPES] = {
    DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1,   DTYPE_Q8_0,   DTYPE_Q2_K,  DTYPE_Q3_K,
    DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_IQ4_XS, DTYPE_TQ1_0, DTYPE_TQ2_0};

/* SHA-256 of n numbers as little-endian float32, which is what this machine has. */
static void hash_of(const float *x, size_t n, char hex[65]) {
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, x, n * sizeof *x);
    sha256_hex(&s, hex);
}

/* ---- numbers ---- */

/* Every set decodes these bytes to numbers with this hash. */
static void check_hash(enum dtype type, const uint8_t *w, size_t n, struct json_str want,
                       const char *what) {
    float *y = malloc(n * sizeof *y);
    char hex[65];
    EACH_SET(k) {
        k->to_f32(type, y, w, n);
        hash_of(y, n, hex);
        CHECK(json_is(want, hex), "%s, %s, %s: SHA-256 is %s", k->name, dtype_name(type), what,
              hex);
    }
    free(y);
}

static struct json open_json(const char *path) {
    uint8_t *data;
    size_t size;
    int rc = file_read(path, &arena, &data, &size, &e);
    CHECK(rc == OK, "%s", e.msg);
    return json_open(rc ? (const uint8_t *)"{}" : data, rc ? 2 : size, 16);
}

/* The number type of ggml's name, in capitals. */
static enum dtype type_called(struct json_str s) {
    for (size_t i = 0; i < N_TYPES; i++) {
        const char *name = dtype_name(quant_types[i]);
        size_t n = 0;
        while (n < s.n && name[n] && (name[n] & ~32) == (s.s[n] & ~32)) n++;
        if (n == s.n && !name[n]) return quant_types[i];
    }
    return DTYPE_F32;
}

/* Some blocks of each type from files of llama.cpp: their bytes in hex, and the hash of their
 * numbers. */
static void numbers_of_blocks(void) {
    struct json j = open_json("tests/golden/block_types.json");
    struct json_str name, key, hex = {"", 0}, hash = {"", 0};
    size_t n = 0;
    json_enter_object(&j);
    for (; json_next_key(&j, &name); n++) {
        enum dtype type = type_called(name);
        uint8_t bytes[2048];
        json_enter_object(&j);
        while (json_next_key(&j, &key)) json_string(&j, json_is(key, "bytes") ? &hex : &hash);
        for (size_t i = 0; i < hex.n / 2; i++) {
            const char digits[3] = {hex.s[2 * i], hex.s[2 * i + 1]};
            bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
        }
        const size_t blocks = hex.n / 2 / dtype_bytes(type, dtype_block(type));
        CHECK(blocks >= 4, "%s", dtype_name(type));
        check_hash(type, bytes, blocks * dtype_block(type), hash, "golden blocks");
    }
    CHECK(json_end(&j) && n == N_TYPES, "%zu types, %s", n, j.error ? j.error : "");
}

/* All tensors of one file; the cursor is at its entry in values.json. */
static size_t check_file(struct json *j, const char *path) {
    struct gguf g;
    struct json_str tensor, key, hash = {"", 0};
    size_t n = 0;
    int rc = gguf_open(&g, path, &e);
    CHECK(rc == OK, "%s", e.msg);
    json_enter_object(j);
    while (json_next_key(j, &tensor)) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)tensor.n, tensor.s);
        json_enter_object(j);
        while (json_next_key(j, &key))
            if (json_is(key, "sha256_f32_le"))
                json_string(j, &hash);
            else
                json_skip(j);
        const struct gguf_tensor *t = rc ? NULL : gguf_tensor(&g, name);
        CHECK(t, "%s: no %s", path, name);
        if (!t) continue;
        check_hash((enum dtype)t->type, t->data, (size_t)(t->dims[0] * t->dims[1]), hash, path);
        n++;
    }
    if (!rc) gguf_close(&g);
    return n;
}

/* Whole files, as llama.cpp's quantiser wrote them. */
static void numbers_of_files(void) {
    const char *values = test_shared("ggml-types/values.json");
    if (!values) SKIP("no ../shared/ggml-types");
    struct json j = open_json(values);
    struct json_str file;
    size_t n = 0;
    json_enter_object(&j);
    while (json_next_key(&j, &file)) {
        char name[128];
        snprintf(name, sizeof name, "ggml-types/%.*s", (int)file.n, file.s);
        const char *path = test_shared(name);
        CHECK(path, "%s is not there", name);
        if (!path) return;
        n += check_file(&j, path);
    }
    CHECK(json_end(&j) && n == 75, "%zu tensors", n);
}

/* ---- models ---- */

/* Any bytes are a block. Its scales, which are f16 numbers at these places, become small ones, so
 * that the numbers are about as large as weights are. */
static void fill_blocks(uint8_t *w, enum dtype type, size_t blocks, struct rng *r) {
    static const struct {
        enum dtype type;
        int at[2]; /* bytes; -1: none */
        float size;
    } scales[N_TYPES] = {
        {DTYPE_Q4_0, {0, -1}, 0.02f},    {DTYPE_Q4_1, {0, 2}, 0.02f},
        {DTYPE_Q5_0, {0, -1}, 0.01f},    {DTYPE_Q5_1, {0, 2}, 0.01f},
        {DTYPE_Q8_0, {0, -1}, 0.001f},   {DTYPE_Q2_K, {80, 82}, 0.004f},
        {DTYPE_Q3_K, {108, -1}, 0.004f}, {DTYPE_Q4_K, {0, 2}, 0.0004f},
        {DTYPE_Q5_K, {0, 2}, 0.0002f},   {DTYPE_Q6_K, {208, -1}, 0.0001f},
        {DTYPE_IQ4_NL, {0, -1}, 0.002f}, {DTYPE_IQ4_XS, {0, -1}, 0.0001f},
        {DTYPE_TQ1_0, {52, -1}, 0.1f},   {DTYPE_TQ2_0, {64, -1}, 0.1f},
    };
    const size_t bytes = quant_type(type)->bytes;
    for (size_t b = 0; b < blocks; b++, w += bytes) {
        for (size_t i = 0; i < bytes; i++) w[i] = (uint8_t)rng_u64(r);
        for (size_t i = 0; i < N_TYPES; i++)
            for (int s = 0; scales[i].type == type && s < 2 && scales[i].at[s] >= 0; s++) {
                uint16_t h = f32_to_f16(scales[i].size * (float)rng_normal(r));
                memcpy(w + scales[i].at[s], &h, sizeof h);
            }
    }
}

/* m becomes random blocks of a type, and *plain the same numbers in float32. */
static void randomise(struct matrix *m, struct matrix *plain, enum dtype type, struct rng *r) {
    const size_t n = m->rows * m->cols;
    uint8_t *w = arena_alloc(&arena, dtype_bytes(type, n), 1);
    float *y = arena_alloc(&arena, n, sizeof *y);
    fill_blocks(w, type, n / dtype_block(type), r);
    dtype_to_f32(type, y, w, n);
    m->type = type, m->data = w;
    *plain = (struct matrix){y, DTYPE_F32, m->rows, m->cols};
}

/* Every set decodes any bytes to the bits of the plain decoders, negative scales and zeros among
 * them. */
static void sets_decode_alike(void) {
    enum { BLOCKS = 64, MOST = 256 };
    static uint8_t w[BLOCKS * MOST];
    static float plain[BLOCKS * MOST], y[BLOCKS * MOST];
    struct rng r;
    rng_seed(&r, 8, 0);
    for (size_t t = 0; t < N_TYPES; t++) {
        const enum dtype type = quant_types[t];
        const size_t n = BLOCKS * dtype_block(type);
        fill_blocks(w, type, BLOCKS, &r);
        memset(w + dtype_bytes(type, n) / 2, 0, dtype_bytes(type, n) / 8);
        if (type == DTYPE_Q4_K || type == DTYPE_Q5_K)
            memcpy(w, (const uint8_t[4]){0, 0xb8, 0, 0xb8}, 4), memset(w + 4, 0, 100);
        dtype_to_f32(type, plain, w, n);
        EACH_SET(k) {
            k->to_f32(type, y, w, n);
            CHECK(memcmp(y, plain, n * sizeof *y) == 0, "%s, %s", k->name, dtype_name(type));
        }
    }
}

/* ---- products in whole numbers ---- */

enum { ROWS = 9, MOST_COLS = 1536 };

/* |d s n| + |m t| of each number: what the block holds with all n zero is -m t. */
static void sizes_of(enum dtype type, const uint8_t *w, size_t n, const float *numbers,
                     double *size) {
    const struct quant_type *q = quant_type(type);
    uint8_t empty[256];
    float least[256];
    for (size_t at = 0; at < n; at += q->block, w += q->bytes) {
        memcpy(empty, w, q->bytes);
        memset(empty + (type == DTYPE_Q6_K ? 0 : 16), 0, type == DTYPE_Q6_K ? 0 : q->bytes - 16);
        q->decode(least, empty);
        for (size_t i = 0; i < q->block; i++) {
            const double m = type == DTYPE_Q6_K ? 0 : (double)least[i];
            size[at + i] = fabs(numbers[at + i] - m) + fabs(m);
        }
    }
}

/* y[n][ROWS] = ROWS rows of w times n rows of x, in whole numbers. */
static void multiply_wholes(const struct kernels *kn, enum dtype type, size_t cols,
                            const uint8_t *w, const float *x, size_t n, float *y) {
    const size_t bytes = kn->act_bytes(type, cols);
    uint8_t *acts = arena_alloc(&arena, n * bytes, 1);
    for (size_t i = 0; i < n; i++) kn->act_from_f32(type, acts + i * bytes, x + i * cols, cols);
    kn->matmul_blocks(&(struct matmul){.type = type,
                                       .w = w,
                                       .stride = dtype_bytes(type, cols),
                                       .rows = ROWS,
                                       .cols = cols,
                                       .acts = acts,
                                       .n = n,
                                       .y = y,
                                       .ldy = ROWS});
}

/* A row of activations comes to the same bits alone and among up to MATMUL_FEW of them. */
static void check_few(const struct kernels *kn, enum dtype type, size_t cols, const uint8_t *w,
                      const float *x) {
    static float y[MATMUL_FEW * ROWS], one[ROWS];
    for (size_t n = 2; n <= MATMUL_FEW; n++) {
        multiply_wholes(kn, type, cols, w, x, n, y);
        for (size_t i = 0; i < n; i++) {
            multiply_wholes(kn, type, cols, w, x + i * cols, 1, one);
            CHECK(memcmp(one, y + i * ROWS, sizeof one) == 0, "%s %s, %zu columns: row %zu of %zu",
                  kn->name, dtype_name(type), cols, i, n);
        }
    }
}

/* The product of a set with the stored numbers, in float64, within the bound of kernels.h. */
static void check_wholes(const struct kernels *kn, enum dtype type, size_t cols, const uint8_t *w,
                         const float *x, float *y) {
    static float numbers[ROWS * MOST_COLS];
    static double size[ROWS * MOST_COLS];
    multiply_wholes(kn, type, cols, w, x, 1, y);
    dtype_to_f32(type, numbers, w, ROWS * cols);
    sizes_of(type, w, ROWS * cols, numbers, size);
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0, bound = 0;
        for (size_t c = 0; c < cols; c++) {
            double most = 0;
            for (size_t i = c / 256 * 256, end = i + 256; i < end; i++)
                most = fmax(most, fabs(x[i]));
            sum += (double)numbers[r * cols + c] * x[c];
            bound += size[r * cols + c] *
                     (((double)cols / 8 + 16) * 0x1p-24 * fabs(x[c]) + most / 64000 + 1e-30);
        }
        CHECK(fabs(y[r] - sum) <= bound, "%s %s, %zu columns, row %zu: %g, not %g within %g",
              kn->name, dtype_name(type), cols, r, (double)y[r], sum, bound);
    }
}

static void products_in_whole_numbers(void) {
    static const enum dtype types_of[] = {DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
    static const size_t all_cols[] = {256, 768, 1536};
    static float x[MATMUL_FEW * MOST_COLS], y[2][ROWS];
    struct rng r;
    rng_seed(&r, 6, 0);
    for (size_t t = 0; t < COUNT(types_of); t++)
        for (size_t c = 0; c < COUNT(all_cols); c++) {
            const enum dtype type = types_of[t];
            const size_t cols = all_cols[c], bytes = dtype_bytes(type, ROWS * cols);
            uint8_t *w = arena_alloc(&arena, bytes, 1);
            fill_blocks(w, type, ROWS * cols / 256, &r);
            for (size_t i = 0; i < MATMUL_FEW * cols; i++)
                x[i] = (float)rng_normal(&r) * (i % 320 < 32 ? 50 : i % 320 < 64 ? 0 : 1);
            const struct kernels *first = NULL;
            EACH_SET(k) {
                check_wholes(k, type, cols, w, x, y[0]);
                check_few(k, type, cols, w, x);
                const bool pair = strcmp(k->name, "plain") == 0 || strcmp(k->name, "avx2") == 0;
                if (pair && first)
                    CHECK(memcmp(y[0], y[1], sizeof *y) == 0, "%s: plain and avx2 differ",
                          dtype_name(type));
                if (pair) first = k, memcpy(y[1], y[0], sizeof *y);
            }
            x[5] = INFINITY;
            EACH_SET(k) {
                multiply_wholes(k, type, cols, w, x, 1, y[0]);
                for (size_t i = 0; i < ROWS; i++) CHECK(isnan(y[0][i]), "%s: of infinity", k->name);
            }
        }
}

/* Replaces all matrices of c by random blocks; plain has the same numbers. The types go round from
 * `first` on where they are mixed. */
static void randomise_model(struct checkpoint *c, struct gpt2_weights *plain, size_t first,
                            bool mixed) {
    struct gpt2_weights *w = &c->weights;
    struct rng r;
    rng_seed(&r, 5, first);
    *plain = *w;
    plain->layers = arena_alloc(&arena, w->config.n_layer, sizeof *plain->layers);
    memcpy(plain->layers, w->layers, w->config.n_layer * sizeof *plain->layers);
    size_t at = first;
#define NEXT_TYPE quant_types[mixed ? at++ % N_TYPES : first]
    randomise(&w->wte, &plain->wte, NEXT_TYPE, &r);
    w->head = w->wte, plain->head = plain->wte;
    for (size_t l = 0; l < w->config.n_layer; l++) {
        randomise(&w->layers[l].qkv, &plain->layers[l].qkv, NEXT_TYPE, &r);
        randomise(&w->layers[l].proj, &plain->layers[l].proj, NEXT_TYPE, &r);
        randomise(&w->layers[l].fc, &plain->layers[l].fc, NEXT_TYPE, &r);
        randomise(&w->layers[l].fcproj, &plain->layers[l].fcproj, NEXT_TYPE, &r);
    }
#undef NEXT_TYPE
}

enum { TOKENS = 5 };

/* logits[TOKENS][V]: of all tokens at once, or one after the other. */
static void logits_of(const struct gpt2_weights *w, const struct kernels *kn, bool at_once,
                      float *logits) {
    struct gpt2_row rows[TOKENS];
    struct gpt2_session s;
    int rc = gpt2_session_open(&s,
                               &(struct gpt2_session_setup){.weights = w,
                                                            .kn = kn,
                                                            .attn = "fp32",
                                                            .n_seq = 1,
                                                            .n_ctx = TOKENS,
                                                            .max_rows = TOKENS},
                               &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return;
    for (size_t t = 0; t < TOKENS; t++)
        rows[t] = (struct gpt2_row){
            .pos = (uint32_t)t, .token = (int32_t)(t * 7 % w->config.n_vocab), .logits = true};
    for (size_t t = 0; t < TOKENS; t += at_once ? TOKENS : 1)
        CHECK(gpt2_forward(&s, rows + t, at_once ? TOKENS : 1, logits + t * w->config.n_vocab,
                           &e) == OK,
              "%s", e.msg);
    gpt2_session_close(&s);
}

/* The largest difference of log-probabilities. */
static double worst_of(const float *a, const float *b, size_t n_vocab) {
    double worst = 0;
    for (size_t t = 0; t < TOKENS; t++, a += n_vocab, b += n_vocab) {
        double sum_a = 0, sum_b = 0;
        for (size_t v = 0; v < n_vocab; v++) sum_a += exp(a[v]), sum_b += exp(b[v]);
        for (size_t v = 0; v < n_vocab; v++) {
            double d = fabs(a[v] - log(sum_a) - (b[v] - log(sum_b)));
            if (!(d <= worst)) worst = d;
        }
    }
    return worst;
}

/* Types that become float32 on the way give what float32 gives, to 1e-4; those that meet
 * activations in whole numbers of 16 bits are further off by what these round. */
static void same_as_float32(const struct checkpoint *c, const struct gpt2_weights *plain,
                            const char *what, double bound) {
    const size_t V = c->weights.config.n_vocab;
    static float a[TOKENS * 64], b[TOKENS * 64];
    EACH_SET(k)
    for (int at_once = 0; at_once < 2 && !k->by_name_only; at_once++) {
        logits_of(&c->weights, k, at_once, a);
        logits_of(plain, k, at_once, b);
        const double worst = worst_of(a, b, V);
        CHECK(worst <= bound, "%s, %s: log-probabilities off by %g", k->name, what, worst);
    }
}

static const struct gpt2_config SHAPE = {1,      4,  256,   256,
                                         TOKENS, 64, 1e-5f, .activation = GELU_TANH};

static void models_of_each_type(void) {
    for (size_t i = 0; i < N_TYPES; i++) {
        struct checkpoint c;
        struct gpt2_weights plain;
        CHECK(checkpoint_random(&c, &SHAPE, i, &e) == OK, "%s", e.msg);
        randomise_model(&c, &plain, i, false);
        same_as_float32(&c, &plain, dtype_name(quant_types[i]),
                        dtype_wholes(quant_types[i]) ? 1e-3 : 1e-4);
        checkpoint_close(&c);
    }
}

static void models_of_mixed_types(void) {
    struct gpt2_config shape = SHAPE;
    shape.n_layer = 3;
    for (size_t i = 0; i < 3; i++) {
        struct checkpoint c;
        struct gpt2_weights plain;
        CHECK(checkpoint_random(&c, &shape, i, &e) == OK, "%s", e.msg);
        randomise_model(&c, &plain, 5 * i, true);
        same_as_float32(&c, &plain, "mixed", 2e-3);
        checkpoint_close(&c);
    }
}

/* The same bits for any number of threads, and columns beyond one part of what is decoded. */
static void threads_and_wide_rows(void) {
    const int threads = threads_count();
    struct gpt2_config shape = SHAPE;
    static float a[TOKENS * 64], b[TOKENS * 64];
    shape.n_inner = 2304;
    struct checkpoint c;
    struct gpt2_weights plain;
    CHECK(checkpoint_random(&c, &shape, 1, &e) == OK, "%s", e.msg);
    randomise_model(&c, &plain, 7, true);
    same_as_float32(&c, &plain, "wide", 2e-3);
    logits_of(&c.weights, kernels_at(0), true, a);
    threads_set(threads > 1 ? 1 : 3);
    logits_of(&c.weights, kernels_at(0), true, b);
    CHECK(memcmp(a, b, sizeof a) == 0, "other bits with another number of threads");
    threads_set(threads);
    checkpoint_close(&c);
}

/* A model of mixed types is written as it is, and read back, mapped. */
static void written_as_they_are(void) {
    struct gpt2_config shape = SHAPE;
    struct checkpoint c, back;
    struct gpt2_weights plain;
    static float a[TOKENS * 64], b[TOKENS * 64];
    shape.n_layer = 3;
    CHECK(checkpoint_random(&c, &shape, 1, &e) == OK, "%s", e.msg);
    randomise_model(&c, &plain, 2, true);
    const char *path = folder_path("mixed.gguf");
    inputs_forget();
    CHECK(gguf_write_model(path, true, &c.weights, NULL, "n", GGUF_SAME_TYPES, NULL, &e) == OK,
          "%s", e.msg);
    int rc = checkpoint_open(&back, path, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (!rc) {
        CHECK(back.weights.layers[1].fc.type == c.weights.layers[1].fc.type, "another type");
        logits_of(&c.weights, kernels_at(0), true, a);
        logits_of(&back.weights, kernels_at(0), true, b);
        CHECK(memcmp(a, b, sizeof a) == 0, "another model");
        checkpoint_close(&back);
    }
    checkpoint_close(&c);
}

int main(void) {
    if (!folder_make()) return 1;
    file_guard(true);
    RUN(numbers_of_blocks);
    RUN(numbers_of_files);
    RUN(sets_decode_alike);
    RUN(products_in_whole_numbers);
    RUN(models_of_each_type);
    RUN(models_of_mixed_types);
    RUN(threads_and_wide_rows);
    RUN(written_as_they_are);
    arena_free(&arena);
    folder_remove();
    return TEST_RESULT;
}
