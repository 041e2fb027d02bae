/* The default model in float32, as a Hugging Face folder: the checkpoint that was trained, where
 * ../shared has it, otherwise the f16 weights of weights/stories6M.gguf widened, in a folder that
 * is made on first use and removed at exit. Both have the same layout, byte for byte:
 * golden/stories6M-header.json is the header that the trained checkpoint's writer gave it. The
 * numbers of golden/ are of the former, those of golden/f16/ of the latter. */
#ifndef LOOKAT_TESTS_STORIES_H
#define LOOKAT_TESTS_STORIES_H

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "test.h"

static const char STORIES_CONFIG[] =
    "{\"model_type\":\"gpt2\",\"n_layer\":6,\"n_head\":4,\"n_embd\":256,\"n_positions\":1024,"
    "\"n_ctx\":1024,\"n_inner\":null,\"vocab_size\":4096,\"layer_norm_epsilon\":1e-05,"
    "\"activation_function\":\"gelu_new\",\"bos_token_id\":4095,\"eos_token_id\":4095,"
    "\"tie_word_embeddings\":true}\n";

static inline void stories_fail(const char *what) {
    fprintf(stderr, "stories.h: %s\n", what);
    exit(1);
}

/* m[rows][cols] as float32, in the order of Conv1D where `turned`: the input first. */
static inline void stories_matrix(const struct matrix *m, bool turned, float *out) {
    const struct kernels *k = NULL;
    struct err e;
    float *row = malloc(m->cols * sizeof *row);
    if (!row || kernels_get(&k, NULL, &e)) stories_fail("kernels");
    for (size_t r = 0; r < m->rows; r++) {
        matrix_row(k, m, r, row);
        for (size_t c = 0; c < m->cols; c++)
            out[turned ? c * m->rows + r : r * m->cols + c] = row[c];
    }
    free(row);
}

/* The numbers of the tensor that GPT-2's checkpoints call `name`; how many there are. */
static inline size_t stories_tensor(const struct gpt2_weights *w, const char *name, float *out) {
    static const struct {
        const char *name;
        bool vector;
        size_t at; /* in struct gpt2_layer */
    } parts[] = {
        {"ln_1.weight", true, offsetof(struct gpt2_layer, ln1_w)},
        {"ln_1.bias", true, offsetof(struct gpt2_layer, ln1_b)},
        {"ln_2.weight", true, offsetof(struct gpt2_layer, ln2_w)},
        {"ln_2.bias", true, offsetof(struct gpt2_layer, ln2_b)},
        {"attn.c_attn.weight", false, offsetof(struct gpt2_layer, qkv)},
        {"attn.c_attn.bias", true, offsetof(struct gpt2_layer, qkv_b)},
        {"attn.c_proj.weight", false, offsetof(struct gpt2_layer, proj)},
        {"attn.c_proj.bias", true, offsetof(struct gpt2_layer, proj_b)},
        {"mlp.c_fc.weight", false, offsetof(struct gpt2_layer, fc)},
        {"mlp.c_fc.bias", true, offsetof(struct gpt2_layer, fc_b)},
        {"mlp.c_proj.weight", false, offsetof(struct gpt2_layer, fcproj)},
        {"mlp.c_proj.bias", true, offsetof(struct gpt2_layer, fcproj_b)},
    };
    const size_t C = w->config.n_embd, F = w->config.n_inner;
    const size_t length[] = {C, C, C, C, 0, 3 * C, 0, C, 0, F, 0, C};
    const struct matrix *m = NULL;
    if (strcmp(name, "wte.weight") == 0) m = &w->wte;
    if (strcmp(name, "wpe.weight") == 0) m = &w->wpe;
    if (m) return stories_matrix(m, false, out), m->rows * m->cols;
    if (strcmp(name, "ln_f.weight") == 0) return memcpy(out, w->lnf_w, C * sizeof *out), C;
    if (strcmp(name, "ln_f.bias") == 0) return memcpy(out, w->lnf_b, C * sizeof *out), C;
    const char *part = name + 4; /* behind "h.0." */
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *field = (const char *)&w->layers[name[2] - '0'] + parts[i].at;
        if (strcmp(part, parts[i].name) != 0) continue;
        if (parts[i].vector) {
            memcpy(out, *(float *const *)(const void *)field, length[i] * sizeof *out);
            return length[i];
        }
        m = (const struct matrix *)(const void *)field;
        return stories_matrix(m, true, out), m->rows * m->cols;
    }
    stories_fail(name);
    return 0;
}

/* Goes through the header: every tensor's numbers to where it says they are. */
static inline void stories_data(const struct gpt2_weights *w, const uint8_t *header, size_t n,
                                FILE *fp) {
    struct json j = json_open(header, n, 8);
    struct json_str key, field;
    float *x = malloc(w->wte.rows * w->wte.cols * sizeof *x);
    if (!x || !json_enter_object(&j)) stories_fail("header");
    while (json_next_key(&j, &key)) {
        char name[64];
        double range[2] = {0};
        snprintf(name, sizeof name, "%.*s", (int)key.n, key.s);
        json_enter_object(&j);
        while (json_next_key(&j, &field)) {
            if (!json_is(field, "data_offsets")) {
                json_skip(&j);
                continue;
            }
            json_enter_array(&j);
            for (int i = 0; json_next_item(&j); i++) json_double(&j, &range[i & 1]);
        }
        size_t bytes = (size_t)(range[1] - range[0]);
        if (stories_tensor(w, name, x) * sizeof *x != bytes) stories_fail(name);
        if (fseek(fp, (long)(8 + n) + (long)range[0], SEEK_SET)) stories_fail("seek");
        if (fwrite(x, 1, bytes, fp) != bytes) stories_fail("write");
    }
    free(x);
}

static inline FILE *stories_create(const char *into, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", into, name);
    FILE *fp = fopen(path, "wb");
    if (!fp) stories_fail(path);
    return fp;
}

/* The four files of the widened model, into a folder that exists. */
static inline void stories_write(const char *into) {
    static const char *const copies[][2] = {{"tokenizer/vocab.json", "vocab.json"},
                                            {"tokenizer/merges.txt", "merges.txt"}};
    struct arena a = {0};
    struct checkpoint c;
    struct err e;
    uint8_t *data = NULL;
    size_t n = 0;
    FILE *fp = stories_create(into, "config.json");
    if (fputs(STORIES_CONFIG, fp) < 0 || fclose(fp)) stories_fail("config.json");
    for (size_t i = 0; i < 2; i++) {
        if (file_read(copies[i][0], &a, &data, &n, &e)) stories_fail(e.msg);
        fp = stories_create(into, copies[i][1]);
        if (fwrite(data, 1, n, fp) != n || fclose(fp)) stories_fail(copies[i][1]);
    }
    if (file_read("tests/golden/stories6M-header.json", &a, &data, &n, &e)) stories_fail(e.msg);
    if (checkpoint_open(&c, "weights/stories6M.gguf", NULL, NULL, &e)) stories_fail(e.msg);
    fp = stories_create(into, "model.safetensors");
    for (int i = 0; i < 8; i++) putc((int)((uint64_t)n >> 8 * i & 255), fp);
    fwrite(data, 1, n, fp);
    stories_data(&c.weights, data, n, fp);
    if (fclose(fp)) stories_fail("model.safetensors");
    checkpoint_close(&c);
    arena_free(&a);
}

/* ---- for a test: the folder, whichever there is ---- */

static char stories_made[512];
static pid_t stories_maker;

static inline void stories_remove(void) {
    static const char *const files[] = {"config.json", "vocab.json", "merges.txt",
                                        "model.safetensors"};
    if (getpid() != stories_maker) return; /* a test's child */
    for (size_t i = 0; i < 4; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", stories_made, files[i]);
        unlink(path);
    }
    rmdir(stories_made);
}

/* Whether it is the trained checkpoint, of which golden/ is; otherwise golden/f16/ holds. */
static inline bool stories_trained(void) {
    return test_shared("stories6M/model.safetensors") != NULL;
}

/* The path of a file of the folder; one of four buffers. */
static inline const char *stories_file(const char *name) {
    static char path[4][1024];
    static int at;
    char *p = path[at++ % 4], shared[64];
    snprintf(shared, sizeof shared, "stories6M/%s", name);
    if (stories_trained() && test_shared(shared)) return test_shared(shared);
    if (!stories_made[0]) {
        const char *tmp = getenv("TMPDIR");
        if (!tmp || strlen(tmp) > 400) tmp = "/tmp";
        snprintf(stories_made, sizeof stories_made, "%s/lookat-stories-XXXXXX", tmp);
        if (!mkdtemp(stories_made)) stories_fail("no temporary folder");
        stories_maker = getpid();
        atexit(stories_remove);
        stories_write(stories_made);
    }
    snprintf(p, 1024, "%s/%s", stories_made, name);
    return p;
}

#endif
