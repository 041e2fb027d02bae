/* GPT-2 in Hugging Face files: every number lands where it belongs, whatever the file's type and
 * names; and its tokenizer. */
#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/vocab.h"
#include "stories.h"
#include "test.h"

static struct checkpoint c;
static struct err e;
static char warning[1024];
static int warnings;

static void warned(const char *msg) {
    size_t n = strlen(warning);
    snprintf(warning + n, sizeof warning - n, "%s\n", msg);
    warnings++;
}

static bool opens(const char *path) {
    warnings = 0;
    warning[0] = 0;
    int rc = checkpoint_open(&c, path, NULL, warned, &e);
    CHECK(rc == OK, "%s: %s", path, e.msg);
    return rc == OK;
}

static void write_text(const char *name, const char *text) {
    folder_write(name, text, strlen(text));
}

/* Is m, as [rows][cols], the stored tensor at p, as [rows][cols] or, turned, as [cols][rows]? Bit
 * by bit. */
static bool same_matrix(const struct matrix *m, const uint8_t *p, enum dtype type, size_t rows,
                        size_t cols, bool turned) {
    size_t item = type == DTYPE_F32 ? 4 : 2;
    if (m->type != type || m->rows != rows || m->cols != cols || (uintptr_t)m->data % item)
        return false;
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < cols; k++)
            if (memcmp((const uint8_t *)m->data + (r * cols + k) * item,
                       p + (turned ? k * rows + r : r * cols + k) * item, item) != 0)
                return false;
    return true;
}

/* The number at index i of a stored tensor, with the bits of bfloat16 put back by hand; f16 through
 * the tested conversion. */
static float stored(const uint8_t *p, enum dtype type, size_t i) {
    uint32_t bits = 0;
    float x;
    uint16_t h;
    if (type == DTYPE_F16) {
        memcpy(&h, p + 2 * i, 2);
        return f16_to_f32(h);
    }
    if (type == DTYPE_F32)
        memcpy(&bits, p + 4 * i, 4);
    else
        bits = (uint32_t)p[2 * i] << 16 | (uint32_t)p[2 * i + 1] << 24;
    memcpy(&x, &bits, 4);
    return x;
}

static bool same_vector(const float *y, const uint8_t *p, enum dtype type, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = stored(p, type, i);
        if (memcmp(&y[i], &x, 4) != 0) return false;
    }
    return true;
}

static struct st_maker tiny;

static const uint8_t *layer_data(const char *prefix, size_t i, const char *part) {
    char name[300];
    snprintf(name, sizeof name, "%sh.%zu.%s", prefix, i, part);
    return st_get(&tiny, name)->data.data;
}

/* All weights of `c` against the tiny model as it was made. */
static void compare(struct tiny_shape s, const char *prefix, enum dtype type) {
    char name[64];
    const struct gpt2_weights *w = &c.weights;
#define MODEL(part) \
    (snprintf(name, sizeof name, "%s%s", prefix, part), st_get(&tiny, name)->data.data)
    CHECK(same_matrix(&w->wte, MODEL("wte.weight"), type, s.V, s.C, false), "wte");
    CHECK(same_matrix(&w->wpe, MODEL("wpe.weight"), type, s.T, s.C, false), "wpe");
    CHECK(same_vector(w->lnf_w, MODEL("ln_f.weight"), type, s.C) &&
              same_vector(w->lnf_b, MODEL("ln_f.bias"), type, s.C),
          "ln_f");
    for (size_t i = 0; i < s.L; i++) {
        const struct gpt2_layer *l = &w->layers[i];
        CHECK(same_matrix(&l->qkv, layer_data(prefix, i, "attn.c_attn.weight"), type, 3 * s.C, s.C,
                          true),
              "qkv %zu", i);
        CHECK(same_matrix(&l->proj, layer_data(prefix, i, "attn.c_proj.weight"), type, s.C, s.C,
                          true),
              "proj %zu", i);
        CHECK(same_matrix(&l->fc, layer_data(prefix, i, "mlp.c_fc.weight"), type, s.F, s.C, true),
              "fc %zu", i);
        CHECK(same_matrix(&l->fcproj, layer_data(prefix, i, "mlp.c_proj.weight"), type, s.C, s.F,
                          true),
              "fcproj %zu", i);
        CHECK(same_vector(l->ln1_w, layer_data(prefix, i, "ln_1.weight"), type, s.C), "ln1_w %zu",
              i);
        CHECK(same_vector(l->ln1_b, layer_data(prefix, i, "ln_1.bias"), type, s.C), "ln1_b %zu", i);
        CHECK(same_vector(l->qkv_b, layer_data(prefix, i, "attn.c_attn.bias"), type, 3 * s.C),
              "qkv_b %zu", i);
        CHECK(same_vector(l->proj_b, layer_data(prefix, i, "attn.c_proj.bias"), type, s.C),
              "proj_b %zu", i);
        CHECK(same_vector(l->ln2_w, layer_data(prefix, i, "ln_2.weight"), type, s.C), "ln2_w %zu",
              i);
        CHECK(same_vector(l->ln2_b, layer_data(prefix, i, "ln_2.bias"), type, s.C), "ln2_b %zu", i);
        CHECK(same_vector(l->fc_b, layer_data(prefix, i, "mlp.c_fc.bias"), type, s.F), "fc_b %zu",
              i);
        CHECK(same_vector(l->fcproj_b, layer_data(prefix, i, "mlp.c_proj.bias"), type, s.C),
              "fcproj_b %zu", i);
    }
}

static const char *write_tiny(void) {
    struct bytes b = st_bytes(&tiny);
    const char *path = folder_write("model.safetensors", b.data, b.size);
    bytes_free(&b);
    return path;
}

/* Each number type, names with and without prefix, with the masks of old files, and each kind of
 * head. */
static void all_forms(void) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    static const char *const names[] = {"F32", "F16", "BF16"}, *const prefixes[] = {"",
                                                                                    "transformer."};
    write_text("config.json", TINY_CONFIG);
    for (int form = 0; form < 3 * 2 * 3; form++) {
        enum dtype type = types[form % 3];
        const char *prefix = prefixes[form / 3 % 2];
        int head = form / 6; /* none, the same as wte, another */
        char mask[64];
        tiny_hf(&tiny, TINY, prefix, names[form % 3]);
        tiny.metadata = form % 2 ? "\"__metadata__\":{\"format\":\"pt\"}," : "";
        snprintf(mask, sizeof mask, "%sh.1.attn.bias", prefix);
        st_add(&tiny, mask, "F32", 3, 3);
        snprintf(mask, sizeof mask, "%sh.0.attn.masked_bias", prefix);
        st_add(&tiny, mask, "U16", 1, 0);
        if (head) {
            struct st_entry *h = st_add(&tiny, "lm_head.weight", names[form % 3], TINY.V, TINY.C);
            if (head == 1) memcpy(h->data.data, tiny.t[0].data.data, h->data.size);
        }
        if (!opens(write_tiny())) continue;
        const struct gpt2_config *g = &c.weights.config;
        CHECK(g->n_layer == 2 && g->n_head == 2 && g->n_embd == 8 && g->n_inner == 12 &&
                  g->n_ctx == 3 && g->n_vocab == 5,
              "shape");
        CHECK(g->norm_eps == 1e-5f && g->activation == GELU_TANH, "eps %g", (double)g->norm_eps);
        compare(TINY, prefix, type);
        CHECK(c.weights.tied == (head != 2), "form %d: tied", form);
        if (head == 2)
            CHECK(same_matrix(&c.weights.head, st_get(&tiny, "lm_head.weight")->data.data, type,
                              TINY.V, TINY.C, false),
                  "head");
        else
            CHECK(c.weights.head.data == c.weights.wte.data, "a tied head is wte itself");
        checkpoint_close(&c);
        st_free(&tiny);
    }
}

/* The prefixes that wrappers leave, chained in any way, with a head behind the wrapper's part or
 * all of it, and masks. */
static void prefixes(void) {
    static const struct {
        const char *prefix, *head;
    } forms[] = {{"_orig_mod.", "_orig_mod."},
                 {"_orig_mod.transformer.", "_orig_mod."},
                 {"module.transformer.", "module."},
                 {"module._orig_mod.transformer.", "module._orig_mod."},
                 {"base_model.model.transformer.", "base_model.model."},
                 {"base_model.model.", ""},
                 {"model.", ""},
                 {"model.transformer.", "model."},
                 {"gpt2.", "gpt2."},
                 {"model.gpt2.transformer.", "model.gpt2.transformer."}};
    write_text("config.json", TINY_CONFIG);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char name[64];
        tiny_hf(&tiny, TINY, forms[i].prefix, "F32");
        snprintf(name, sizeof name, "%sh.1.attn.bias", forms[i].prefix);
        st_add(&tiny, name, "F32", 3, 3);
        snprintf(name, sizeof name, "%slm_head.weight", forms[i].head);
        st_add(&tiny, name, "F32", TINY.V, TINY.C);
        if (opens(write_tiny())) {
            compare(TINY, forms[i].prefix, DTYPE_F32);
            CHECK(!c.weights.tied && same_matrix(&c.weights.head, st_get(&tiny, name)->data.data,
                                                 DTYPE_F32, TINY.V, TINY.C, false),
                  "head");
            checkpoint_close(&c);
        }
        st_free(&tiny);
    }
}

/* A tied matrix that the file has only as lm_head.weight is the embedding too. */
static void head_alone(void) {
    static const char *const prefixes[][2] = {
        {"", ""}, {"transformer.", ""}, {"_orig_mod.transformer.", "_orig_mod."}};
    static const char *const configs[] = {
        TINY_CONFIG, "{\"n_head\":2,\"n_inner\":12,\"tie_word_embeddings\":true}",
        "{\"n_head\":2,\"n_inner\":12}"};
    for (size_t i = 0; i < 3; i++) {
        char head[64];
        tiny_hf(&tiny, TINY, prefixes[i][0], "F16");
        tiny.metadata = i ? "\"__metadata__\":{\"transformer.wte.weight\":\"lm_head.weight\"},"
                          : "\"__metadata__\": null ,";
        snprintf(head, sizeof head, "%slm_head.weight", prefixes[i][1]);
        strcpy(tiny.t[0].name, head);
        write_text("config.json", configs[i]);
        if (opens(write_tiny())) {
            strcpy(tiny.t[0].name, prefixes[i][0]);
            strcat(tiny.t[0].name, "wte.weight");
            compare(TINY, prefixes[i][0], DTYPE_F16);
            CHECK(c.weights.tied && c.weights.head.data == c.weights.wte.data && warnings == 1,
                  "%d warnings: %s", warnings, warning);
            checkpoint_close(&c);
        }
        st_free(&tiny);
    }
}

/* Heads for other tasks beside the model are said to be left out, and leave the model as it is. */
static void other_heads(void) {
    static const char *const names[] = {"score.weight",
                                        "v_head.summary.weight",
                                        "v_head.summary.bias",
                                        "module.classifier.bias",
                                        "multiple_choice_head.summary.weight",
                                        "transformer.qa_outputs.weight"};
    write_text("config.json", TINY_CONFIG);
    for (size_t n = 1; n <= sizeof names / sizeof *names; n += 2) {
        tiny_hf(&tiny, TINY, "transformer.", "F32");
        for (size_t i = 0; i < n; i++) st_add(&tiny, names[i], "F32", 8, i % 2 ? 0 : 2);
        if (opens(write_tiny())) {
            compare(TINY, "transformer.", DTYPE_F32);
            CHECK(warnings == 2 && strstr(warning, "ignored, as heads for other tasks: ") &&
                      strstr(warning, names[n - 1]),
                  "%s", warning);
            CHECK(!strstr(warning, "...") == (n <= 3), "%s", warning);
            checkpoint_close(&c);
        }
        st_free(&tiny);
    }
}

/* A shape with more than one tile of the transposition on each side, and edges that fill none. */
static void large_matrices(void) {
    static const struct tiny_shape s = {1, 36, 101, 2, 3};
    tiny_hf(&tiny, s, "", "F32");
    write_text("config.json", "{\"n_head\":9,\"n_inner\":101}");
    if (opens(write_tiny())) {
        compare(s, "", DTYPE_F32);
        checkpoint_close(&c);
    }
    st_free(&tiny);
}

/* The general names of transformers stand for GPT-2's, in any mixture; four heads of a width of 128
 * are not the two of 64 that many models have. Whole numbers may be spelled as floats, and keys of
 * no account may hold what Python writes. */
static void config_names(void) {
    static const struct tiny_shape s = {1, 128, 8, 2, 3};
    static const char *const configs[] = {
        "{\"num_hidden_layers\":1,\"num_attention_heads\":4,\"hidden_size\":128,\"intermediate_"
        "size\":8,\"max_position_embeddings\":2}",
        "{\"n_layer\":1,\"num_attention_heads\":4,\"n_embd\":128,\"intermediate_size\":8,\"n_ctx\":"
        "2,\"n_vocab\":3}",
        "{\"num_attention_heads\":4,\"n_head\":4,\"hidden_size\":128,\"n_embd\":128,\"n_inner\":8,"
        "\"intermediate_size\":8}",
        "{\"n_head\":null,\"num_attention_heads\":4,\"n_inner\":null,\"intermediate_size\":8,"
        "\"hidden_size\":null,\"n_layer\":null}",
        "{\"n_head\":4.0,\"n_embd\":1.28e2,\"n_inner\":8.0,\"n_layer\":1.0,\"n_positions\":2.0,"
        "\"vocab_size\":3.0}",
        "\xef\xbb\xbf{\"n_head\":4,\"n_inner\":8}",
        "{\"a\":NaN,\"b\":[Infinity,{\"c\":-Infinity}],\"n_head\":4,\"n_inner\":8}",
        "{\"n_head\":2,\"n_inner\":8,\"n_head\":4}",
        "{\"n_head\":4,\"n_inner\":8,\"layer_norm_eps\":1e-5,\"hidden_act\":\"gelu_pytorch_tanh\"}",
    };
    tiny_hf(&tiny, s, "", "F32");
    write_tiny();
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        write_text("config.json", configs[i]);
        if (!opens(folder_path("model.safetensors"))) continue;
        const struct gpt2_config *g = &c.weights.config;
        CHECK(g->n_head == 4, "%s: %zu heads", configs[i], g->n_head);
        CHECK(g->n_layer == 1 && g->n_embd == 128 && g->n_inner == 8 && g->n_ctx == 2 &&
                  g->n_vocab == 3,
              "%s: shape", configs[i]);
        CHECK(g->activation == GELU_TANH && g->norm_eps == 1e-5f && warnings == 1,
              "%s: %d warnings: %s", configs[i], warnings, warning);
        checkpoint_close(&c);
    }
    st_free(&tiny);
}

/* Old files hold in n_ctx the size of the causal mask, which was 1024 whatever n_positions: said,
 * and of no effect. */
static void old_context(void) {
    static const struct tiny_shape s = {1, 8, 32, 2, 3};
    tiny_hf(&tiny, s, "", "F32");
    write_tiny();
    write_text("config.json", "{\"n_head\":2,\"n_ctx\":1024,\"n_positions\":2}");
    if (opens(folder)) {
        CHECK(c.weights.config.n_ctx == 2 && strstr(warning, "n_ctx is 1024 and n_positions is 2"),
              "%zu, %s", c.weights.config.n_ctx, warning);
        checkpoint_close(&c);
    }
    st_free(&tiny);
}

static void config_fields(void) {
    static const struct tiny_shape s = {1, 8, 32, 2, 3};
    tiny_hf(&tiny, s, "", "F32");
    write_tiny();
    write_text("config.json", "{\"x\":{\"n_head\":[7]},\"n_head\":1,\"n_ctx\":2,\"n_inner\":null,"
                              "\"activation_function\":\"gelu\","
                              "\"layer_norm_epsilon\":1e-6,\"reorder_and_upcast_attn\":true,"
                              "\"scale_attn_weights\":true,\"tie_word_embeddings\":true}");
    if (opens(folder)) {
        const struct gpt2_config *g = &c.weights.config;
        CHECK(g->n_head == 1 && g->n_ctx == 2 && g->n_inner == 32 && g->activation == GELU_ERF &&
                  g->norm_eps == 1e-6f,
              "fields");
        CHECK(strcmp(c.format, "safetensors") == 0 && strcmp(c.name, path_base(folder)) == 0 &&
                  c.file_bytes > 0,
              "%s %s", c.format, c.name);
        CHECK(c.vocab.n == 0 && c.vocab.eos == -1, "no tokenizer");
        checkpoint_close(&c);
    }
    st_free(&tiny);
}

static const uint8_t *map_at(const char *path, struct file *f, size_t at) {
    CHECK(file_map(f, path, &e) == OK, "%s", e.msg);
    return f->data + at;
}

/* The offsets are those of the header that another program wrote. */
static void stories(void) {
    const char *path = stories_file("model.safetensors");
    struct file f;
    const uint8_t *data = map_at(path, &f, 8 + 7216);
    if (opens(path)) {
        const struct gpt2_config *g = &c.weights.config;
        const struct gpt2_layer *l = c.weights.layers;
        CHECK(g->n_layer == 6 && g->n_head == 4 && g->n_embd == 256 && g->n_inner == 1024 &&
                  g->n_ctx == 1024 && g->n_vocab == 4096,
              "shape");
        CHECK(warnings == 0 && c.weights.tied && gpt2_parameters(&c.weights) == 6049792,
              "%d warnings", warnings);
        CHECK(same_matrix(&c.weights.wte, data, DTYPE_F32, 4096, 256, false), "wte");
        CHECK(same_matrix(&c.weights.wpe, data + 4194304, DTYPE_F32, 1024, 256, false), "wpe");
        CHECK(same_matrix(&l->qkv, data + 5244928, DTYPE_F32, 768, 256, true), "qkv");
        CHECK(same_matrix(&l->proj, data + 6034432, DTYPE_F32, 256, 256, true), "proj");
        CHECK(same_matrix(&l->fc, data + 6299648, DTYPE_F32, 1024, 256, true), "fc");
        CHECK(same_matrix(&l->fcproj, data + 7352320, DTYPE_F32, 256, 1024, true), "fcproj");
        CHECK(same_vector(l->ln2_b, data + 6298624, DTYPE_F32, 256) &&
                  same_vector(c.weights.lnf_b, data + 24198144, DTYPE_F32, 256),
              "norms");
        CHECK(c.arena.bytes < c.file_bytes + ((size_t)16 << 20), "%zu bytes for a file of %zu",
              c.arena.bytes, c.file_bytes);
        checkpoint_close(&c);
    }
    file_unmap(&f);
}

static void nano_sort(void) {
    const char *path = test_shared("models/gpt-nano-sort/model.safetensors");
    if (!path) SKIP("needs a download: gpt-nano-sort of llm-viz, in ../shared/models");
    struct file f;
    const uint8_t *data = map_at(path, &f, 8 + 3696);
    if (opens(path)) {
        const struct gpt2_config *g = &c.weights.config;
        CHECK(g->n_layer == 3 && g->n_head == 3 && g->n_embd == 48 && g->n_inner == 192 &&
                  g->n_ctx == 11 && g->n_vocab == 3,
              "shape");
        CHECK(!c.weights.tied &&
                  same_matrix(&c.weights.head, data + 339264, DTYPE_F32, 3, 48, false),
              "head");
        CHECK(same_matrix(&c.weights.layers[0].proj, data + 28416, DTYPE_F32, 48, 48, true),
              "proj");
        checkpoint_close(&c);
    }
    file_unmap(&f);
}

/* --- tokenizers --- */

static struct arena arena;

static struct vocab load_vocab(const char *path) {
    struct vocab v = {0};
    CHECK(vocab_open(&v, path, &arena, &e) == OK, "%s", e.msg);
    return v;
}

static bool token_is(const struct vocab *v, uint32_t id, const char *s, size_t n) {
    return id < v->n && v->offset[id + 1] - v->offset[id] == n &&
           memcmp(v->bytes + v->offset[id], s, n) == 0;
}

static bool same_vocab(const struct vocab *a, const struct vocab *b) {
    return a->n == b->n && a->n_merges == b->n_merges && a->bos == b->bos && a->eos == b->eos &&
           memcmp(a->offset, b->offset, (a->n + 1) * sizeof *a->offset) == 0 &&
           memcmp(a->bytes, b->bytes, a->offset[a->n]) == 0 &&
           memcmp(a->kind, b->kind, a->n) == 0 &&
           memcmp(a->merges, b->merges, a->n_merges * sizeof *a->merges) == 0;
}

static size_t count_control(const struct vocab *v) {
    size_t n = 0;
    for (uint32_t i = 0; i < v->n; i++) n += v->kind[i] == TOKEN_CONTROL;
    return n;
}

/* Spellings decoded, merges in order, what no merge makes is control, and ends of lines of either
 * kind. */
static void vocab_pair(void) {
    unlink(folder_path("config.json"));
    write_text("vocab.json", "{\"<|endoftext|>\": 5, \"b\": 1, \"\\u0120a\": 3, \"a\": 0, "
                             "\"\xc4\xa0\": 2, \"\\\"\": 6, \"<pad>\": 7, \"\xc4\xa0"
                             "ab\": 4}");
    write_text("merges.txt", "#version: 0.2\r\n\xc4\xa0 a\r\n\xc4\xa0"
                             "a b");
    struct vocab v = load_vocab(folder);
    CHECK(v.n == 8 && v.n_merges == 2 && v.eos == 5 && v.bos == 5, "n %u merges %u eos %d", v.n,
          v.n_merges, v.eos);
    CHECK(token_is(&v, 2, " ", 1) && token_is(&v, 3, " a", 2) && token_is(&v, 4, " ab", 3) &&
              token_is(&v, 6, "\"", 1),
          "tokens");
    CHECK(token_is(&v, 5, "<|endoftext|>", 13) && v.kind[5] && v.kind[7] && count_control(&v) == 2,
          "control");
    CHECK(v.merges[0].left == 2 && v.merges[0].right == 0 && v.merges[0].merged == 3,
          "first merge");
    CHECK(v.merges[1].left == 3 && v.merges[1].right == 1 && v.merges[1].merged == 4,
          "second merge");
    struct vocab by_file = load_vocab(folder_path("vocab.json")),
                 by_merges = load_vocab(folder_path("merges.txt"));
    CHECK(same_vocab(&v, &by_file) && same_vocab(&v, &by_merges), "by folder and by file");
    write_text("config.json", "{\"bos_token_id\":1,\"eos_token_id\":[7,5]}");
    v = load_vocab(folder);
    CHECK(v.bos == 1 && v.eos == 7, "bos %d eos %d", v.bos, v.eos);
    write_text("config.json", "{\"bos_token_id\":null}");
    v = load_vocab(folder);
    CHECK(v.bos == 5 && v.eos == 5, "bos %d eos %d", v.bos, v.eos);
    unlink(folder_path("config.json"));
    unlink(folder_path("merges.txt"));
    unlink(folder_path("vocab.json"));
}

#define PARTS                                                                                     \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"continuing_subword_prefix\":\"\",\"end_of_" \
    "word_suffix\":null,\"vocab\":"
#define SMALL "{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"<|endoftext|>\":4}"

/* Added tokens: special and in the vocabulary, special and beyond it, neither special nor in it;
 * with spaces, which no spelling has. */
static void added_tokens(void) {
    write_text("tokenizer.json",
               "{" PARTS SMALL ",\"merges\":[[\"a\",\"b\"]]},\"normalizer\":null,\"pre_tokenizer\":"
               "{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
               "\"added_tokens\":[{\"id\":4,\"special\":true,\"content\":\"<|endoftext|>\","
               "\"lstrip\":false},{\"id\":6,\"content\":\"a b\",\"special\":false},"
               "{\"id\":5,\"content\":\"[\xe2\x82\xac "
               "]\",\"special\":true},{\"id\":2,\"content\":\"ab\",\"special\":false}]}");
    struct vocab v = load_vocab(folder);
    CHECK(v.n == 7 && v.n_merges == 1 && v.eos == 4, "n %u", v.n);
    CHECK(token_is(&v, 3, " ", 1) && token_is(&v, 5, "[\xe2\x82\xac ]", 6) &&
              token_is(&v, 6, "a b", 3),
          "tokens");
    CHECK(v.kind[4] == TOKEN_CONTROL && v.kind[5] == TOKEN_CONTROL && v.kind[6] == TOKEN_ADDED &&
              count_control(&v) == 2,
          "control");
    CHECK(v.kind[2] == TOKEN_NORMAL && v.match[2] == MATCH_TEXT && v.match[6] == MATCH_TEXT &&
              v.match[5] == MATCH_SPECIAL && !v.match[0],
          "match");
    unlink(folder_path("tokenizer.json"));
}

static const struct vocab *load_text(const char *tokenizer_json) {
    static struct vocab v;
    write_text("tokenizer.json", tokenizer_json);
    v = load_vocab(folder);
    unlink(folder_path("tokenizer.json"));
    return &v;
}

#define ADDED(flags) \
    "{" PARTS SMALL  \
    ",\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":5,\"content\":\"x y\"," flags "}]}"

/* How a text is searched for an added token; padding called "a", which is a byte; a token that
 * merges make and that is special. */
static void added_flags(void) {
    static const struct {
        const char *text;
        int kind, match;
    } cases[] = {
        {ADDED("\"special\":false"), TOKEN_ADDED, MATCH_TEXT},
        {ADDED("\"special\":false,\"normalized\":true"), TOKEN_ADDED, MATCH_TEXT | MATCH_LATER},
        {ADDED("\"special\":false,\"lstrip\":true,\"rstrip\":false"), TOKEN_ADDED,
         MATCH_TEXT | MATCH_LSTRIP},
        {ADDED("\"special\":true,\"rstrip\":true,\"single_word\":true"), TOKEN_CONTROL,
         MATCH_SPECIAL | MATCH_RSTRIP | MATCH_SINGLE_WORD}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct vocab *v = load_text(cases[i].text);
        CHECK(v->n == 6 && v->kind[5] == cases[i].kind && v->match[5] == cases[i].match,
              "case %zu: kind %d, match %d", i, v->kind[5], v->match[5]);
        CHECK(v->kind[4] == TOKEN_CONTROL && v->eos == 4,
              "case %zu: special whether it is listed or not", i);
    }
    const struct vocab *v = load_text(
        "{" PARTS SMALL
        ",\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":0,\"content\":\"a\",\"special\":true},"
        "{\"id\":2,\"content\":\"ab\",\"special\":true},{\"id\":5,"
        "\"content\":\"\",\"special\":false}]}");
    CHECK(v->kind[0] == TOKEN_NORMAL && v->kind[2] == TOKEN_NORMAL &&
              v->match[0] == MATCH_SPECIAL && v->match[2] == MATCH_SPECIAL,
          "made anyway");
    CHECK(v->kind[5] == TOKEN_UNUSED && v->n_warnings == 1 &&
              strstr(v->warning[0], "token 5 is empty"),
          "%u warnings", v->n_warnings);
}

#define SETTINGS(settings, model) \
    "{" settings "\"model\":{" model "\"vocab\":" SMALL ",\"merges\":[\"a b\"]}}"
#define BYTE_LEVEL(regex) \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true" regex "}"
#define GPT2_SPLIT                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N" \
    "}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+"                                                             \
    "|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define TEMPLATE                                                                     \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"ab\"," \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"                  \
    "\"pair\":[],\"special_tokens\":{\"x\":{\"ids\":[9]},"                           \
    "\"ab\":{\"id\":\"ab\",\"ids\":[2],\"tokens\":[\"ab\"]}}}"

/* Settings that are followed, and those that change nothing. What is refused stands in bad/vocab.c.
 */
static void settings(void) {
    static const struct {
        const char *text;
        bool whole_text, ignore_merges;
        int add_bos; /* the id, -1: none */
    } cases[] = {
        {SETTINGS("", ""), false, false, -1},
        {SETTINGS("", "\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<|endoftext|>\","
                      "\"fuse_unk\":true,\"byte_fallback\":true,"),
         false, false, -1},
        {SETTINGS("", "\"dropout\":0.0,\"end_of_word_suffix\":\"\",\"ignore_merges\":false,"),
         false, false, -1},
        {SETTINGS("", "\"ignore_merges\":null,"), false, false, -1},
        {SETTINGS("", "\"ignore_merges\":true,"), false, true, -1},
        {SETTINGS(
             "\"truncation\":{\"max_length\":2},\"padding\":{\"pad_id\":0},\"normalizer\":null,",
             ""),
         false, false, -1},
        {SETTINGS("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[]},", ""), false, false,
         -1},
        {SETTINGS("\"pre_tokenizer\":" BYTE_LEVEL("") ",", ""), false, false, -1},
        {SETTINGS("\"pre_tokenizer\":" BYTE_LEVEL(",\"use_regex\":true") ",", ""), false, false,
         -1},
        {SETTINGS("\"pre_tokenizer\":" BYTE_LEVEL(",\"use_regex\":false") ",", ""), true, false,
         -1},
        {SETTINGS("\"pre_tokenizer\":{\"pretokenizers\":[" BYTE_LEVEL(
                      ",\"use_regex\":false") "],\"type\":\"Sequence\"},",
                  ""),
         true, false, -1},
        {SETTINGS("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" GPT2_SPLIT
                  "," BYTE_LEVEL(",\"use_regex\":false") "]},",
                  ""),
         false, false, -1},
        {SETTINGS("\"post_processor\":null,", ""), false, false, -1},
        {SETTINGS("\"post_processor\":" BYTE_LEVEL("") ",", ""), false, false, -1},
        {SETTINGS("\"post_processor\":" TEMPLATE ",", ""), false, false, 2},
        {SETTINGS("\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" BYTE_LEVEL(
                      "") "," TEMPLATE "]},",
                  ""),
         false, false, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct vocab *v = load_text(cases[i].text);
        CHECK(v->whole_text == cases[i].whole_text && v->ignore_merges == cases[i].ignore_merges,
              "case %zu: %d %d", i, v->whole_text, v->ignore_merges);
        CHECK(v->add_bos == (cases[i].add_bos >= 0) && (!v->add_bos || v->bos == cases[i].add_bos),
              "case %zu: bos %d", i, v->bos);
    }
}

static void remove_pair(void) {
    static const char *const names[] = {"vocab.json",
                                        "merges.txt",
                                        "added_tokens.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "config.json",
                                        "tokenizer.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(folder_path(names[i]));
}

/* merges.txt as editors leave it, vocab.json behind a byte-order mark. */
static void line_ends(void) {
    static const char *const merges[] = {"#version: 0.2\na b\n",
                                         "a b",
                                         "a b\n\n",
                                         "#version: 0.2\r\na b\r\n\r\n\r\n",
                                         "\xef\xbb\xbf#version: 0.2\na b\n\n\n",
                                         "\xef\xbb\xbf\x61 b\r\n"};
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        write_text("vocab.json", i % 2 ? "\xef\xbb\xbf" SMALL : SMALL);
        write_text("merges.txt", merges[i]);
        struct vocab v =
            load_vocab(i < 3 ? folder : folder_path(i < 5 ? "merges.txt" : "vocab.json"));
        CHECK(v.n == 5 && v.n_merges == 1 && v.merges[0].merged == 2 && v.n_warnings == 0,
              "case %zu: %u merges", i, v.n_merges);
    }
    write_text("merges.txt", "\n\n");
    struct vocab v = load_vocab(folder);
    CHECK(v.n == 5 && v.n_merges == 0, "no merges at all");
    remove_pair();
}

/* added_tokens.json: ids beyond vocab.json, special where another file says so; and
 * tokenizer_config.json, which describes its tokens itself. */
static void added_beside(void) {
    write_text("vocab.json", SMALL);
    write_text("merges.txt", "a b\n");
    write_text("added_tokens.json", "{\"<pad>\": 6, \"resto 1\": 5, \"<|endoftext|>\": 4}");
    struct vocab v = load_vocab(folder);
    CHECK(v.n == 7 && token_is(&v, 5, "resto 1", 7) && token_is(&v, 6, "<pad>", 5), "n %u", v.n);
    CHECK(v.eos == 4 && v.kind[4] == TOKEN_CONTROL && v.match[4] == (MATCH_SPECIAL | MATCH_LATER),
          "special by default");
    CHECK(v.kind[5] == TOKEN_ADDED && v.kind[6] == TOKEN_ADDED &&
              v.match[5] == (MATCH_TEXT | MATCH_LATER),
          "match %d", v.match[5]);
    write_text("special_tokens_map.json",
               "{\"eos_token\": \"<|endoftext|>\", \"pad_token\": {\"content\": \"<pad>\","
               " \"lstrip\": false}}");
    v = load_vocab(folder);
    CHECK(v.kind[4] == TOKEN_CONTROL && v.kind[5] == TOKEN_ADDED && v.kind[6] == TOKEN_CONTROL &&
              v.match[6] == MATCH_SPECIAL && v.eos == 4,
          "special");
    write_text("special_tokens_map.json",
               "{\"additional_special_tokens\": [\"resto 1\", {\"content\": \"<pad>\"}],"
               " \"eos_token\": \"<pad>\"}");
    v = load_vocab(folder);
    CHECK(v.kind[5] == TOKEN_CONTROL && v.kind[6] == TOKEN_CONTROL && v.eos == 6, "eos %d", v.eos);
    write_text("config.json", "{\"eos_token_id\": 5, \"bos_token_id\": 99}");
    v = load_vocab(folder);
    CHECK(v.eos == 5 && v.bos == 4 && v.n_warnings == 1 &&
              strstr(v.warning[0], "the bos token is 99, but there are only 7 tokens"),
          "eos %d", v.eos);
    write_text("tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"6\": {\"content\": \"<pad>\","
               " \"special\": false, \"single_word\": true},"
               "\"7\": {\"content\": \"<s>\", \"special\": true}},"
               " \"bos_token\": \"<s>\", \"add_bos_token\": true,"
               "\"model_max_length\": 1000000000000000019884624838656, \"x\": NaN}");
    write_text("special_tokens_map.json", "{\"bos_token\": \"resto 1\"}");
    v = load_vocab(folder);
    CHECK(v.n == 8 && token_is(&v, 7, "<s>", 3) && v.kind[7] == TOKEN_CONTROL &&
              v.match[6] == (MATCH_TEXT | MATCH_SINGLE_WORD),
          "n %u", v.n);
    CHECK(v.add_bos && v.bos == 7, "the tokenizer's own bos goes in front, not config.json's: %d",
          v.bos);
    remove_pair();
}

/* tokenizer.json beside the other form. */
static void both_forms(void) {
    write_text("vocab.json", SMALL);
    write_text("merges.txt", "a b\n");
    write_text("tokenizer.json",
               "{" PARTS SMALL ",\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":4,"
               "\"content\":\"<|endoftext|>\",\"special\":true}]}");
    struct vocab v = load_vocab(folder);
    CHECK(v.n == 5 && v.eos == 4 && v.n_warnings == 0, "the same: %s",
          v.n_warnings ? v.warning[0] : "");
    write_text("tokenizer.json", ADDED("\"special\":true"));
    v = load_vocab(folder);
    CHECK(v.n == 6 && v.n_warnings == 1 &&
              strstr(v.warning[0], "tokenizer.json: is taken, not vocab.json and merges.txt"),
          "%u tokens", v.n);
    struct vocab file = load_vocab(folder_path("tokenizer.json")),
                 pair = load_vocab(folder_path("vocab.json"));
    CHECK(file.n == 6 && file.n_warnings == 0 && pair.n == 5 && pair.n_warnings == 0,
          "named by itself");
    write_text("added_tokens.json", "{\"x y\": 5}");
    v = load_vocab(folder);
    CHECK(v.n == 6 && v.n_warnings == 0, "the same with added_tokens.json: %s",
          v.n_warnings ? v.warning[0] : "");
    write_text("vocab.json", "{");
    v = load_vocab(folder);
    CHECK(v.n == 6 && v.n_warnings == 1, "the other form broken");
    remove_pair();
}

/* tokenizer.json made of a vocab.json and a merges.txt, merges as lines or as pairs. */
static void put_tokenizer_json(struct bytes *b, const struct file *vocab, const struct file *merges,
                               bool pairs) {
    const char *p = (const char *)merges->data, *end = p + merges->size,
               *line = memchr(p, '\n', merges->size);
    put_text(b, "{\"version\":\"1.0\"," PARTS);
    put_bytes(b, vocab->data, vocab->size);
    put_text(b, ",\"merges\":[");
    for (p = line + 1; p < end; p = line + 1) {
        line = memchr(p, '\n', (size_t)(end - p));
        if (p != (const char *)memchr(merges->data, '\n', merges->size) + 1) put_text(b, ",");
        put_text(b, pairs ? "[\"" : "\"");
        for (; p < line; p++) {
            if (*p == '"' || *p == '\\') put_text(b, "\\");
            if (*p == ' ' && pairs)
                put_text(b, "\",\"");
            else
                put_u8(b, (uint8_t)*p);
        }
        put_text(b, pairs ? "\"]" : "\"");
    }
    put_text(b, "]}}");
}

/* The same vocabulary through its three spellings. */
static void compare_forms(const char *vocab_path, const char *merges_path) {
    struct file vocab, merges;
    struct vocab pair = load_vocab(vocab_path);
    map_at(vocab_path, &vocab, 0);
    map_at(merges_path, &merges, 0);
    for (int pairs = 0; pairs < 2; pairs++) {
        struct bytes b = {0};
        put_tokenizer_json(&b, &vocab, &merges, pairs);
        struct vocab one = load_vocab(folder_write("tokenizer.json", b.data, b.size));
        CHECK(same_vocab(&pair, &one), "pairs %d: %u tokens, %u merges", pairs, one.n,
              one.n_merges);
        bytes_free(&b);
    }
    unlink(folder_path("tokenizer.json"));
    file_unmap(&vocab);
    file_unmap(&merges);
}

static void stories_vocab(void) {
    const char *path = "tokenizer/vocab.json", *merges = "tokenizer/merges.txt";
    struct vocab v = load_vocab(path);
    CHECK(v.n == 4096 && v.n_merges == 4096 - 256 - 1 && v.eos == 4095 && v.kind[4095] &&
              count_control(&v) == 1,
          "counts");
    CHECK(token_is(&v, v.merges[0].left, " ", 1) && token_is(&v, v.merges[0].right, "t", 1) &&
              token_is(&v, v.merges[0].merged, " t", 2),
          "merge 0");
    compare_forms(path, merges);
}

static void gpt2_vocab(void) {
    const char *path = test_gpt2_tokenizer("vocab.json");
    const char *merges = test_gpt2_tokenizer("merges.txt");
    if (!path || !merges) SKIP(TEST_NO_GPT2_TOKENIZER);
    struct vocab v = load_vocab(path);
    CHECK(v.n == 50257 && v.n_merges == 50000 && v.eos == 50256 && v.bos == 50256, "n %u merges %u",
          v.n, v.n_merges);
    CHECK(v.kind[50256] && count_control(&v) == 1, "%zu control tokens", count_control(&v));
    CHECK(token_is(&v, 188, "\0", 1) && token_is(&v, 15496, "Hello", 5) &&
              token_is(&v, 995, " world", 6),
          "tokens");
    for (uint32_t i = 0; i < v.n_merges; i++)
        CHECK(v.merges[i].merged == 256 + i, "merge %u makes %u", i,
              v.merges[i].merged); /* the id of a merged token is 256 + its rank */
    compare_forms(path, merges);
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    RUN(all_forms);
    RUN(prefixes);
    RUN(head_alone);
    RUN(other_heads);
    RUN(large_matrices);
    RUN(config_names);
    RUN(old_context);
    RUN(config_fields);
    RUN(stories);
    RUN(nano_sort);
    RUN(vocab_pair);
    RUN(added_tokens);
    RUN(added_flags);
    RUN(settings);
    RUN(line_ends);
    RUN(added_beside);
    RUN(both_forms);
    RUN(stories_vocab);
    RUN(gpt2_vocab);
    folder_remove();
    arena_free(&arena);
    return TEST_RESULT;
}
