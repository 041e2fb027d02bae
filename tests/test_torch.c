/* PyTorch's files: real ones against golden logits, ones put together by hand in every form against
 * the same model in safetensors, and broken ones. */
#include <sys/stat.h>

#include "bad/folder.h"
#include "bad/torch.c"
#include "base/inputs.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "model/gpt2.h"
#include "test.h"

static struct err e;
static struct arena arena;
static struct st_maker tiny;

/* ---- golden logits ---- */

/* The last logits of the ids, by every codec exactly: fp32. */
static void check_logits(const char *path, const int32_t *ids, size_t n, const double *want) {
    struct checkpoint c;
    struct gpt2_session s;
    const struct kernels *kn;
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == OK && kernels_get(&kn, NULL, &e) == OK, "%s", e.msg);
    if (rc) return;
    const size_t V = c.weights.config.n_vocab;
    float *logits = malloc(V * sizeof *logits);
    rc = gpt2_session_open(
        &s,
        &(struct gpt2_session_setup){
            .weights = &c.weights, .kn = kn, .attn = "fp32", .n_seq = 1, .n_ctx = n, .max_rows = n},
        &e);
    if (!rc) rc = gpt2_prefill(&s, 0, ids, n, logits, &e);
    CHECK(rc == OK, "%s: %s", path, e.msg);
    double worst = 0;
    for (size_t i = 0; !rc && i < V; i++) worst = fmax(worst, fabs(logits[i] - want[i]));
    CHECK(worst <= 1e-4, "%s: a logit is off by %g", path, worst);
    gpt2_session_close(&s);
    free(logits);
    checkpoint_close(&c);
}

struct golden {
    int32_t ids[16];
    size_t n;
    struct json which;
    struct {
        char name[16];
        double logits[265];
    } of[3]; /* of the weights in float32, rounded to half, rounded to bfloat16 */
};

static void read_golden(struct golden *g) {
    static const char path[] = "tests/golden/torch/golden.json";
    uint8_t *data;
    size_t size;
    struct json_str key;
    CHECK(file_read(path, &arena, &data, &size, &e) == OK, "%s", e.msg);
    struct json j = json_open(data, size, 8);
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        if (json_is(key, "ids")) {
            uint64_t id;
            json_enter_array(&j);
            while (json_next_item(&j) && json_uint(&j, &id)) g->ids[g->n++] = (int32_t)id;
        } else if (json_is(key, "which")) {
            g->which = j;
            json_skip(&j);
        } else {
            json_enter_object(&j);
            for (size_t i = 0; json_next_key(&j, &key); i++) {
                g->of[i].name[json_decode(key, g->of[i].name)] = 0;
                json_enter_object(&j);
                json_next_key(&j, &key); /* last_logits */
                json_enter_array(&j);
                for (size_t k = 0; json_next_item(&j); k++) json_double(&j, &g->of[i].logits[k]);
                while (json_next_key(&j, &key)) json_skip(&j);
            }
        }
    }
    CHECK(json_end(&j), "%s, byte %zu: %s", path, j.error_at, j.error);
}

/* The folder of this name in the repository, or in ../shared; NULL where it is in neither. */
static const char *find_folder(const char *name) {
    static char path[1024];
    struct stat st;
    const char *shared = getenv("LOOKAT_SHARED");
    snprintf(path, sizeof path, "tests/golden/torch/%s", name);
    if (stat(path, &st) == 0) return path;
    snprintf(path, sizeof path, "%s/torch-checkpoints/%s", shared ? shared : "../shared", name);
    return stat(path, &st) == 0 ? path : NULL;
}

/* A file that would run a command: it is refused by the command's name, and nothing has run. */
static void check_hostile(const char *path) {
    struct checkpoint c;
    struct stat st;
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "names posix.system"), "%d %s", rc, e.msg);
    CHECK(stat("PWNED", &st) != 0, "the file's command has run");
}

static void golden_logits(void) {
    static struct golden g;
    struct json_str name, which;
    size_t n = 0;
    read_golden(&g);
    struct json j = g.which;
    json_enter_object(&j);
    while (json_next_key(&j, &name) && json_string(&j, &which)) {
        char text[64];
        text[json_decode(name, text)] = 0;
        const char *path = find_folder(text);
        if (!path) continue;
        if (strcmp(text, "hostile") == 0)
            check_hostile(path);
        else
            for (size_t i = 0; i < 3; i++)
                if (json_is(which, g.of[i].name)) check_logits(path, g.ids, g.n, g.of[i].logits);
        n++;
    }
    CHECK(n >= 5, "%zu folders", n);
}

/* ---- every form of one model ---- */

static bool same_matrix(const struct matrix *a, const struct matrix *b) {
    return a->type == b->type && a->rows == b->rows && a->cols == b->cols &&
           memcmp(a->data, b->data, matrix_bytes(a)) == 0;
}

/* Holds the model at `path` to the tiny one in safetensors. */
static void same_model(const char *path, const char *what) {
    struct checkpoint c, want;
    char a[65], b[65];
    struct bytes st = st_bytes(&tiny);
    const char *plain = folder_write("plain.safetensors", st.data, st.size);
    bytes_free(&st);
    CHECK(checkpoint_open(&want, plain, NULL, NULL, &e) == OK, "%s", e.msg);
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == OK, "%s: %s", what, e.msg);
    if (!rc) {
        gpt2_fingerprint(&c.weights, a);
        gpt2_fingerprint(&want.weights, b);
        CHECK(strcmp(a, b) == 0, "%s: other norms, biases or positions", what);
        CHECK(same_matrix(&c.weights.wte, &want.weights.wte), "%s: wte", what);
        for (size_t l = 0; l < TINY.L; l++)
            CHECK(same_matrix(&c.weights.layers[l].qkv, &want.weights.layers[l].qkv) &&
                      same_matrix(&c.weights.layers[l].proj, &want.weights.layers[l].proj) &&
                      same_matrix(&c.weights.layers[l].fc, &want.weights.layers[l].fc) &&
                      same_matrix(&c.weights.layers[l].fcproj, &want.weights.layers[l].fcproj),
                  "%s: layer %zu", what, l);
        checkpoint_close(&c);
    }
    checkpoint_close(&want);
    inputs_forget();
    unlink(plain);
}

static void write_bytes(const char *name, struct bytes b) {
    folder_write(name, b.data, b.size);
    bytes_free(&b);
}

static void write_config(void) { folder_write("config.json", TINY_CONFIG, strlen(TINY_CONFIG)); }

static void every_form(void) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"}, *const prefixes[] = {
                                                                    "", "transformer.",
                                                                    "_orig_mod.transformer."};
    static const char *const wraps[] = {NULL, "model", "model_state_dict", "state_dict"};
    write_config();
    for (size_t d = 0; d < 3; d++)
        for (size_t p = 0; p < 3; p++) {
            tiny_hf(&tiny, TINY, prefixes[p], dtypes[d]);
            for (size_t w = 0; w < 4; w++) {
                write_bytes("m.pt", torch_bytes(&tiny, wraps[w]));
                same_model(folder_path("m.pt"), wraps[w] ? wraps[w] : dtypes[d]);
            }
            write_bytes("m.pth", torch_old_bytes(&tiny, &(struct tiny_old){.version = 1001}));
            same_model(folder_path("m.pth"), "the old form");
            st_free(&tiny);
        }
    unlink(folder_path("config.json"));
}

/* Tensor i of the tiny model, stored the other way round: its columns are contiguous. */
static struct bytes turned(const struct st_entry *t) {
    struct bytes b = {0};
    for (uint64_t c = 0; c < t->shape[1]; c++)
        for (uint64_t r = 0; r < t->shape[0]; r++)
            put_bytes(&b, t->data.data + 4 * (r * t->shape[1] + c), 4);
    return b;
}

/* All tensors are windows into one storage; matrices lie there turned, vectors have a gap behind
 * each number. */
static void strides_and_offsets(void) {
    static struct tiny_zip z;
    struct bytes p = {0}, store = {0};
    uint32_t at = 0, count = 7;
    tiny_hf(&tiny, TINY, "", "F32");
    for (size_t i = 0; i < tiny.n; i++)
        count += (uint32_t)(tiny.t[i].data.size / 4 * (tiny.t[i].rank == 1 ? 2 : 1));
    put_text(&p, "\x80\2}(");
    for (; at < 7; at++) put_f32(&store, 1e9f);
    for (size_t i = 0; i < tiny.n; i++) {
        const struct st_entry *t = &tiny.t[i];
        struct pk_window w = pk_whole(t, "0");
        w.count = count, w.offset = at;
        if (t->rank == 2) {
            struct bytes b = turned(t);
            put_bytes(&store, b.data, b.size);
            bytes_free(&b);
            w.stride[0] = 1, w.stride[1] = (uint32_t)t->shape[0];
        } else {
            for (uint64_t k = 0; k < t->shape[0]; k++) {
                put_bytes(&store, t->data.data + 4 * k, 4);
                put_f32(&store, -1e9f);
            }
            w.stride[0] = 2;
        }
        at = (uint32_t)(store.size / 4);
        pk_text(&p, t->name);
        pk_tensor(&p, &w);
    }
    put_text(&p, "u.");
    zip_add(&z, "a/data.pkl", p.data, p.size);
    zip_add(&z, "a/data/0", store.data, store.size);
    write_bytes("strides.bin", zip_bytes(&z));
    write_config();
    same_model(folder_path("strides.bin"), "strides");
    zip_free(&z);
    bytes_free(&p);
    bytes_free(&store);
    st_free(&tiny);
    unlink(folder_path("config.json"));
}

/* The protocol 4 of pickles, with frames, short texts, a memo without numbers and names from the
 * stack; a Parameter around a tensor; attributes that are set on the dictionary. */
static void newer_pickles(void) {
    static struct tiny_zip z;
    struct bytes p = {0};
    tiny_hf(&tiny, TINY, "", "F32");
    put_text(&p, "\x80\4\x95");
    put_u64(&p, 0);
    put_text(&p, "\x8c\x0b"
                 "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(");
    for (size_t i = 0; i < tiny.n; i++) {
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        struct pk_window w = pk_whole(&tiny.t[i], key);
        put_u8(&p, 0x8c);
        put_u8(&p, (uint8_t)strlen(tiny.t[i].name));
        put_text(&p, tiny.t[i].name);
        pk_name(&p, "torch._utils\n_rebuild_parameter\n");
        put_text(&p, "(");
        pk_tensor(&p, &w);
        put_text(&p, "\x88}tR\x94");
    }
    put_text(&p, "u}X");
    put_u32(&p, 9);
    put_text(&p, "_metadata}sb.");
    torch_zip(&z, &p, &tiny);
    write_bytes("new.pt", zip_bytes(&z));
    write_config();
    same_model(folder_path("new.pt"), "protocol 4");
    zip_free(&z);
    bytes_free(&p);
    st_free(&tiny);
    unlink(folder_path("config.json"));
}

/* ---- nanoGPT ---- */

/* Its matrices are turned, it has model_args in place of a config.json, and where these say so, no
 * biases. */
static void nano_gpt(bool biases) {
    static struct st_maker nano;
    static struct tiny_zip z;
    struct bytes p = {0};
    char name[300];
    nano = (struct st_maker){.n = 0};
    for (size_t i = 0; i < tiny.n; i++) {
        struct st_entry *from = &tiny.t[i];
        const char *end = from->name + strlen(from->name) - 5;
        if (!biases && strcmp(end, ".bias") == 0) continue;
        struct st_entry *t = &nano.t[nano.n++];
        *t = *from;
        t->data = (struct bytes){0};
        snprintf(name, sizeof name, "_orig_mod.transformer.%s", from->name);
        memcpy(t->name, name, sizeof name);
        if (from->rank == 2 && strstr(from->name, "h.")) {
            t->shape[0] = from->shape[1], t->shape[1] = from->shape[0];
            t->data = turned(from);
        } else
            put_bytes(&t->data, from->data.data, from->data.size);
    }
    static const struct {
        const char *key;
        uint32_t value;
    } args[] = {{"n_layer", 2}, {"n_head", 2}, {"n_embd", 8}, {"block_size", 3}, {"vocab_size", 5}};
    put_text(&p, "\x80\2}(");
    pk_text(&p, "model");
    pk_state(&p, &nano);
    pk_text(&p, "model_args");
    put_text(&p, "}(");
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        pk_text(&p, args[i].key);
        pk_int(&p, args[i].value);
    }
    pk_text(&p, "dropout");
    put_bytes(&p, "G\x3f\xb9\x99\x99\x99\x99\x99\x9a", 9); /* 0.1 */
    put_text(&p, "u");
    pk_text(&p, "best_val_loss");
    pk_tensor(&p, &(struct pk_window){"0", "torch\nFloatStorage\n", 40, .rank = 0});
    put_text(&p, "u.");
    torch_zip(&z, &p, &nano);
    write_bytes("ckpt.pt", zip_bytes(&z));
    zip_free(&z);
    bytes_free(&p);
    st_free(&nano);
}

static size_t warnings;
static char warned[512];

static void warn(const char *msg) {
    warnings++;
    snprintf(warned, sizeof warned, "%s", msg);
}

/* A checkpoint alone in its folder. Without a config.json it has the erf form, which is said. */
static void nano_gpt_checkpoints(void) {
    struct checkpoint c;
    static const char nano_config[] = "{\"n_head\":2,\"activation_function\":\"gelu_new\"}";
    static const struct tiny_shape shape = {2, 8, 32, 3, 5}; /* an MLP of 4 C, which is not told */
    tiny_hf(&tiny, shape, "", "F32");
    nano_gpt(true);
    folder_write("config.json", nano_config, strlen(nano_config));
    same_model(folder, "nanoGPT with a config.json");
    unlink(folder_path("config.json"));
    for (int biases = 1; biases >= 0; biases--) {
        nano_gpt(biases);
        warnings = 0;
        int rc = checkpoint_open(&c, folder, NULL, warn, &e);
        CHECK(rc == OK, "%s", e.msg);
        if (rc) continue;
        CHECK(c.weights.config.activation == GELU_ERF && c.weights.config.n_ctx == 3 &&
                  c.weights.config.n_head == 2 && warnings == 2,
              "%zu warnings, %s", warnings, warned);
        const struct gpt2_layer *l = &c.weights.layers[1];
        const float *first = (const float *)(const void *)st_get(&tiny, "h.1.ln_1.bias")->data.data;
        CHECK(l->ln1_b[0] == (biases ? first[0] : 0) && l->fc_b[31] == (biases ? l->fc_b[31] : 0),
              "biases");
        CHECK(((const float *)l->proj.data)[1] ==
                  ((const float *)(const void *)st_get(&tiny, "h.1.attn.c_proj.weight")
                       ->data.data)[8],
              "a matrix that is square was turned, or was not");
        checkpoint_close(&c);
        inputs_forget();
    }
    st_free(&tiny);
    unlink(folder_path("ckpt.pt"));
}

/* ---- several files ---- */

/* The first k tensors of the tiny model in one file and the rest in another, with an index. */
static void write_shards(size_t k, bool torch, const char *index_text) {
    static struct st_maker half;
    struct bytes index = {0};
    char line[400];
    put_text(&index, "{\"metadata\":{\"total_size\":1},\"weight_map\":{");
    for (size_t part = 0; part < 2; part++) {
        half = (struct st_maker){.n = 0};
        for (size_t i = part ? k : 0; i < (part ? tiny.n : k); i++) {
            half.t[half.n++] = tiny.t[i];
            snprintf(line, sizeof line, "%s\"%s\":\"part%zu\"", i ? "," : "", tiny.t[i].name,
                     part + 1);
            put_text(&index, line);
        }
        write_bytes(part ? "part2" : "part1", torch ? torch_bytes(&half, NULL) : st_bytes(&half));
    }
    put_text(&index, "}}");
    folder_write(torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json",
                 index_text ? (const void *)index_text : index.data,
                 index_text ? strlen(index_text) : index.size);
    bytes_free(&index);
}

static void refused_shards(size_t k, const char *index, const char *expect) {
    struct checkpoint c;
    inputs_forget();
    write_shards(k, false, index);
    int rc = checkpoint_open(&c, folder, NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, expect), "\"%s\" does not say \"%s\"", e.msg, expect);
    if (!rc) checkpoint_close(&c);
}

static void several_files(void) {
    tiny_hf(&tiny, TINY, "transformer.", "F32");
    write_config();
    for (int torch = 0; torch < 2; torch++) {
        const char *index = torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json";
        write_shards(11, torch, NULL);
        same_model(folder, "a folder with an index");
        same_model(folder_path(index), "an index");
        unlink(folder_path(index));
    }
    refused_shards(11, "[]", "expected an object");
    refused_shards(11, "{}", "has no weight_map");
    refused_shards(11, "{\"weight_map\":{}}", "its weight_map is empty");
    refused_shards(11, "{\"weight_map\":[]}", "expected an object");
    refused_shards(11, "{\"weight_map\":{\"a\":1}}", "expected a string");
    refused_shards(11, "{\"weight_map\":{\"a\":\"\"}}", "expected a file in its own folder");
    refused_shards(11, "{\"weight_map\":{\"a\":\"..\"}}", "expected a file in its own folder");
    refused_shards(11, "{\"weight_map\":{\"a\":\"../x\"}}", "names \"../x\", expected a file in");
    refused_shards(11, "{\"weight_map\":{\"a\":\"x\\u0000\"}}", "holds a zero byte");
    refused_shards(11, "{\"weight_map\":{\"a\":\"part3\"}}", "names part3, which is not beside it");
    refused_shards(11, "{\"weight_map\":{\"a\":\"config.json\"}}", "is something else, expected");
    refused_shards(11, "{\"weight_map\":{\"a\":\"part1\"}}",
                   "tensor a is in part1, where it is not");
    refused_shards(11, "{\"weight_map\":{\"transformer.wte.weight\":\"part1\"}}", "is missing");
    refused_shards(
        11,
        "{\"weight_map\":{\"transformer.wte.weight\":\"part2\",\"transformer.wpe.weight\":"
        "\"part1\"}}",
        "tensor transformer.wte.weight is in part2, where it is not");
    refused_shards(11, "{\"weight_map\":{\"transformer.wte.weight\":\"part1\"",
                   "expected ',' or '}'");
    st_free(&tiny);
    inputs_forget();
    unlink(folder_path("model.safetensors.index.json"));
    unlink(folder_path("part1"));
    unlink(folder_path("part2"));
}

/* The same tensor in both parts. */
static void a_name_in_two_files(void) {
    struct checkpoint c;
    tiny_hf(&tiny, TINY, "", "F32");
    struct st_entry first = tiny.t[0];
    write_config();
    memmove(&tiny.t[12], &tiny.t[11], (tiny.n - 11) * sizeof tiny.t[0]);
    tiny.t[11] = first;
    tiny.n++;
    write_shards(11, false, "{\"weight_map\":{\"wpe.weight\":\"part1\",\"ln_f.bias\":\"part2\"}}");
    int rc = checkpoint_open(&c, folder, NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "tensor wte.weight stands in part1 too"), "%s", e.msg);
    tiny.t[11].data = (struct bytes){0};
    st_free(&tiny);
    inputs_forget();
    unlink(folder_path("model.safetensors.index.json"));
    unlink(folder_path("part1"));
    unlink(folder_path("part2"));
}

/* ---- broken files ---- */

static size_t n_files;

static void refuse(const struct bad_file *f, void *ctx) {
    struct checkpoint c;
    const char *path = folder_write(f->name, f->data, f->size);
    (void)ctx;
    int rc = checkpoint_open(&c, path, NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && e.code == rc, "%s: %d %s", f->name, rc, e.msg);
    CHECK(strstr(e.msg, f->expect), "%s: \"%s\" does not say \"%s\"", f->name, e.msg, f->expect);
    CHECK(strstr(e.msg, f->name), "%s: \"%s\" does not name the file", f->name, e.msg);
    CHECK(strlen(e.msg) < sizeof e.msg - 1, "%s: the message is cut", f->name);
    if (!rc) checkpoint_close(&c);
    inputs_forget();
    unlink(path);
    n_files++;
}

static void bad_files(void) {
    write_config();
    bad_torch(refuse, NULL);
    CHECK(n_files > 75, "%zu files", n_files);
}

/* Any beginning of a good file is refused; any one byte changed: it loads or is refused, and
 * nothing is read outside the file. */
static void cut_and_changed(struct bytes b, const char *name) {
    const char *path = folder_write(name, b.data, b.size);
    size_t loaded = 0, refused = 0;
    struct checkpoint c;
    for (size_t at = 0; at < b.size; at += at < 4000 || at + 3000 > b.size ? 3 : 97) {
        FILE *fp = fopen(path, "r+b");
        for (int i = 0; i < 2; i++) {
            fseek(fp, (long)at, SEEK_SET);
            fputc(b.data[at] ^ (i ? 0xff : 0x01), fp);
            fflush(fp);
            inputs_forget();
            int rc = checkpoint_open(&c, path, NULL, NULL, &e);
            CHECK(rc == OK || rc == ERR_REFUSED, "byte %zu: %d %s", at, rc, e.msg);
            rc ? refused++ : loaded++;
            if (!rc) checkpoint_close(&c);
        }
        fseek(fp, (long)at, SEEK_SET);
        fputc(b.data[at], fp);
        fclose(fp);
    }
    CHECK(loaded > 0 && refused > 0, "%zu loaded, %zu refused", loaded, refused);
    for (size_t size = b.size; size-- > 0;) {
        inputs_forget();
        CHECK(truncate(path, (off_t)size) == 0, "truncate");
        int rc = checkpoint_open(&c, path, NULL, NULL, &e);
        CHECK(rc == ERR_REFUSED && strstr(e.msg, name), "%zu of %zu bytes: %d %s", size, b.size, rc,
              e.msg);
        if (!rc) checkpoint_close(&c);
    }
    inputs_forget();
    unlink(path);
    bytes_free(&b);
}

static void cut_or_changed_anywhere(void) {
    write_config();
    tiny_hf(&tiny, TINY, "", "F16");
    cut_and_changed(torch_bytes(&tiny, "model"), "cut.pt");
    cut_and_changed(torch_old_bytes(&tiny, &(struct tiny_old){.version = 1001}), "cut.bin");
    st_free(&tiny);
}

int main(void) {
    if (!folder_make()) return 1;
    file_guard(true);
    RUN(golden_logits);
    RUN(every_form);
    RUN(strides_and_offsets);
    RUN(newer_pickles);
    RUN(nano_gpt_checkpoints);
    RUN(several_files);
    RUN(a_name_in_two_files);
    RUN(bad_files);
    RUN(cut_or_changed_anywhere);
    arena_free(&arena);
    folder_remove();
    return TEST_RESULT;
}
