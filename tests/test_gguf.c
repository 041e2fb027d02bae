/* GGUF: every kind of key and tensor read from bytes made by hand, everything the writer writes
 * read back, and models both ways. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad/folder.h"
#include "bad/tiny_gguf.h"
#include "base/inputs.h"
#include "base/interrupt.h"
#include "base/rng.h"
#include "base/threads.h"
#include "checkpoint/loaders.h"
#include "checkpoint/tensors.h"
#include "same_config.h"
#include "test.h"

static struct err e;

/* gguf_write_model, as by a new process: what the tests before have read may be written over. */
static int write_anew(const char *path, bool force, const struct gpt2_weights *w,
                      const struct vocab *v, const char *name, enum dtype type,
                      const struct gguf_extra *extra, struct err *err) {
    inputs_forget();
    return gguf_write_model(path, force, w, v, name, type, extra, err);
}

static void close_model(struct checkpoint *c) {
    arena_free(&c->arena);
    file_unmap(&c->file);
}

static const char *write_tiny(struct tiny *t) {
    struct bytes b = tiny_bytes(t);
    const char *path = folder_write("tiny.gguf", b.data, b.size);
    bytes_free(&b);
    tiny_free(t);
    return path;
}

/* ---- the container ---- */

static void key_types(void) {
    static const struct {
        uint32_t type;
        size_t size;
        uint64_t bits;
        int64_t value;
    } ints[] = {{T_U8, 1, 0xfe, 254},
                {T_I8, 1, 0xfe, -2},
                {T_U16, 2, 0xfffe, 65534},
                {T_I16, 2, 0xfffe, -2},
                {T_U32, 4, 0xfffffffe, 4294967294},
                {T_I32, 4, 0xfffffffe, -2},
                {T_BOOL, 1, 1, 1},
                {T_U64, 8, 1ull << 40, 1ll << 40},
                {T_I64, 8, ~1ull, -2}};
    static const char *const keys[] = {"u8",  "i8",   "u16", "i16", "u32",
                                       "i32", "bool", "u64", "i64"};
    static const char *const arrays[] = {"u8s",  "i8s",   "u16s", "i16s", "u32s",
                                         "i32s", "bools", "u64s", "i64s"};
    for (uint32_t version = 2; version <= 3; version++) {
        struct tiny t;
        struct gguf g;
        tiny_init(&t);
        t.version = version;
        for (size_t i = 0; i < 9; i++) {
            put_uint(tiny_kv(&t, keys[i], ints[i].type), ints[i].bits, ints[i].size);
            struct bytes *b = tiny_array(&t, arrays[i], ints[i].type, 3);
            for (unsigned k = 0; k < 3; k++) put_uint(b, k == 1 ? ints[i].bits : 1, ints[i].size);
        }
        tiny_f32(&t, "f32", 0.1f);
        put_bytes(tiny_kv(&t, "f64", T_F64), &(double){0.1}, 8);
        put_f32(tiny_array(&t, "f32s", T_F32, 1), 0.5f);
        put_bytes(tiny_array(&t, "f64s", T_F64, 1), &(double){0.5}, 8);
        tiny_array(&t, "none", T_U32, 0);
        tiny_str(&t, "text", "h\xc3\xa9");
        CHECK(gguf_open(&g, write_tiny(&t), &e) == OK && g.version == version, "%s", e.msg);
        for (size_t i = 0; i < 9; i++) {
            const struct gguf_kv *kv = gguf_find(&g, keys[i]), *array = gguf_find(&g, arrays[i]);
            uint64_t x = 0;
            CHECK(kv && kv->type == (enum gguf_type)ints[i].type && kv->count == 1 &&
                      gguf_item(kv, 0) == ints[i].value,
                  "%s", keys[i]);
            CHECK(array && array->type == GGUF_ARRAY &&
                      array->item == (enum gguf_type)ints[i].type && array->count == 3,
                  "%s", arrays[i]);
            CHECK(array && gguf_item(array, 0) == 1 && gguf_item(array, 1) == ints[i].value &&
                      gguf_item(array, 2) == 1,
                  "%s", arrays[i]);
            bool fits = ints[i].value >= 0 && ints[i].type != T_BOOL;
            CHECK((gguf_uint(&g, keys[i], &x, &e) == OK) == fits &&
                      (!fits || x == (uint64_t)ints[i].value),
                  "%s", keys[i]);
        }
        double x = 0;
        struct gguf_str s = {0};
        CHECK(gguf_float(&g, "f32", &x, &e) == OK && x == (double)0.1f, "%g", x);
        CHECK(gguf_float(&g, "f64", &x, &e) == OK && x == 0.1, "%g", x);
        CHECK(gguf_float(&g, "u32", &x, &e) == ERR_REFUSED, "a number of another kind");
        CHECK(gguf_string(&g, "text", &s, &e) == OK && s.n == 3 && memcmp(s.s, "h\xc3\xa9", 3) == 0,
              "text");
        CHECK(gguf_string(&g, "none", &s, &e) == ERR_REFUSED &&
                  gguf_string(&g, "absent", &s, &e) == ERR_REFUSED,
              "not a string");
        CHECK(gguf_find(&g, "none") && gguf_find(&g, "none")->count == 0 &&
                  !gguf_find(&g, "absent"),
              "found");
        gguf_close(&g);
    }
}

static void writer_reads_back(void) {
    static const struct {
        const char *name;
        uint32_t n_dims;
        uint64_t dims[4];
        enum dtype type;
        size_t bytes;
    } tensors[] = {{"a", 1, {3}, DTYPE_F32, 12},          {"b", 2, {5, 3}, DTYPE_F16, 30},
                   {"c", 3, {32, 2, 2}, DTYPE_Q8_0, 136}, {"d", 4, {64, 1, 2, 1}, DTYPE_Q4_0, 72},
                   {"e", 2, {1, 1}, DTYPE_BF16, 2},       {"f", 1, {16}, DTYPE_F32, 64}};
    enum { N = sizeof tensors / sizeof *tensors };
    static const uint8_t strings[] = "oneththree";
    static const size_t offsets[] = {0, 3, 3, 5, 10};
    static const int32_t numbers[] = {1, -1, INT32_MIN, INT32_MAX};
    const char *path = folder_path("written.gguf");
    struct gguf_writer w = {0};
    struct out_file o;
    uint8_t data[256];
    for (int i = 0; i < 256; i++) data[i] = (uint8_t)(i * 7);
    gguf_add_u32(&w, "u32", 4000000000u);
    gguf_add_u64(&w, "u64", (uint64_t)1 << 63);
    gguf_add_f32(&w, "f32", -0.25f);
    gguf_add_bool(&w, "yes", true);
    gguf_add_bool(&w, "no", false);
    gguf_add_string(&w, "string", "a\0b", 3);
    gguf_add_string(&w, "empty", "", 0);
    gguf_add_i32s(&w, "i32s", numbers, 4);
    gguf_add_strings(&w, "strings", strings, offsets, 4);
    for (size_t i = 0; i < N; i++)
        gguf_add_tensor(&w, tensors[i].name, tensors[i].n_dims, tensors[i].dims, tensors[i].type,
                        tensors[i].bytes);
    CHECK(out_open(&o, path, false, &e) == OK && gguf_write_header(&w, &o, &e) == OK, "%s", e.msg);
    for (size_t i = 0; i < N; i++) {
        size_t half = tensors[i].bytes / 2; /* in two pieces */
        CHECK(gguf_write_data(&w, &o, data + i, half, &e) == OK, "%s", e.msg);
        CHECK(gguf_write_data(&w, &o, data + i + half, tensors[i].bytes - half, &e) == OK, "%s",
              e.msg);
        CHECK(gguf_write_end_tensor(&w, &o, &e) == OK, "%s", e.msg);
    }
    CHECK(out_commit(&o, &e) == OK, "%s", e.msg);
    gguf_writer_free(&w);

    struct gguf g;
    uint64_t u = 0;
    double f = 0;
    struct gguf_str s = {0};
    CHECK(gguf_open(&g, path, &e) == OK, "%s", e.msg);
    CHECK(g.version == 3 && g.n_kv == 9 && g.n_tensors == N && g.file.size % 32 == 0,
          "%zu keys, %zu tensors", g.n_kv, g.n_tensors);
    CHECK(gguf_uint(&g, "u32", &u, &e) == OK && u == 4000000000u, "u32");
    CHECK(gguf_uint(&g, "u64", &u, &e) == OK && u == (uint64_t)1 << 63, "u64");
    CHECK(gguf_float(&g, "f32", &f, &e) == OK && f == -0.25, "f32");
    CHECK(gguf_find(&g, "yes")->type == GGUF_BOOL && *gguf_find(&g, "yes")->data == 1 &&
              *gguf_find(&g, "no")->data == 0,
          "bool");
    CHECK(gguf_string(&g, "string", &s, &e) == OK && s.n == 3 && memcmp(s.s, "a\0b", 3) == 0,
          "string");
    CHECK(gguf_string(&g, "empty", &s, &e) == OK && s.n == 0, "empty");
    const struct gguf_kv *kv = gguf_find(&g, "i32s");
    for (uint64_t i = 0; i < 4; i++)
        CHECK(kv->item == GGUF_I32 && kv->count == 4 && gguf_item(kv, i) == numbers[i], "i32s");
    kv = gguf_find(&g, "strings");
    CHECK(kv->item == GGUF_STRING && kv->count == 4, "strings");
    const uint8_t *p = kv->data;
    for (int i = 0; i < 4; i++) {
        s = gguf_next_string(&p);
        CHECK(s.n == offsets[i + 1] - offsets[i] && memcmp(s.s, strings + offsets[i], s.n) == 0,
              "string %d", i);
    }
    for (size_t i = 0; i < N; i++) {
        const struct gguf_tensor *t = gguf_tensor(&g, tensors[i].name);
        CHECK(t && t->n_dims == tensors[i].n_dims && t->type == (uint32_t)tensors[i].type &&
                  t->bytes == tensors[i].bytes,
              "%s", tensors[i].name);
        for (uint32_t d = 0; t && d < 4; d++)
            CHECK(t->dims[d] == (d < t->n_dims ? tensors[i].dims[d] : 1), "dims of %s",
                  tensors[i].name);
        CHECK(t && (t->data - g.file.data) % 32 == 0 && memcmp(t->data, data + i, t->bytes) == 0,
              "data of %s", tensors[i].name);
    }
    gguf_close(&g);
}

/* ---- files made by hand, as models ---- */

static float filled(const float *x) { return *x; }

static void alignments(void) {
    static const uint32_t align[] = {1, 2, 4, 8, 64, 65536};
    const uint32_t bits = 0x3c3c3c3c;
    float want;
    memcpy(&want, &bits, 4);
    for (size_t i = 0; i < sizeof align / sizeof *align; i++) {
        for (size_t shift = 0; shift < (align[i] == 1 ? 4u : 1u);
             shift++) { /* with alignment 1 the header may end anywhere */
            struct tiny t;
            struct checkpoint c = {0};
            char name[8] = "nnnnnnn";
            tiny_init(&t);
            t.alignment = align[i];
            tiny_u32(&t, "general.alignment", align[i]);
            name[3 + shift] = 0;
            tiny_str(&t, "general.name", name);
            CHECK(gguf_load_model(&c, write_tiny(&t), NULL, &e) == OK, "alignment %u: %s",
                  (unsigned)align[i], e.msg);
            const struct gpt2_weights *w = &c.weights;
            const float *first[] = {w->wte.data,         w->wpe.data,
                                    w->layers->qkv.data, w->layers->fcproj.data,
                                    w->layers->ln1_w,    w->lnf_b};
            for (size_t k = 0; k < 6; k++)
                CHECK((uintptr_t)first[k] % 4 == 0 && filled(first[k]) == want,
                      "alignment %u, tensor %zu", (unsigned)align[i], k);
            CHECK(((const float *)w->wte.data)[19] == want && w->layers->fc_b[31] == want, "last");
            close_model(&c);
        }
    }
}

static char warned[512];
static int warnings;
static void take_warning(const char *msg) {
    snprintf(warned, sizeof warned, "%s", msg);
    warnings++;
}

static char all_warnings[4][256];
static void keep_warning(const char *msg) {
    if (warnings < 4) snprintf(all_warnings[warnings], sizeof all_warnings[0], "%s", msg);
    warnings++;
}

static void tiny_model(void) {
    struct tiny t;
    struct checkpoint c = {0};
    tiny_init(&t);
    t.version = 2;
    tiny_tensor(&t, "blk.0.attn_norm.weight", 4, 0, G_F16);
    tiny_tensor(&t, "blk.0.attn_norm.bias", 4, 0, G_BF16);
    tiny_tensor(&t, "position_embd.weight", 4, 8, G_F16);
    tiny_tensor(&t, "blk.0.ffn_down.weight", 32, 4, G_Q4_0);
    tiny_tensor(&t, "output.weight", 4, 5, G_BF16);
    tiny_tensor(&t, "rope_freqs.weight", 4, 0, G_F32);
    tiny_tensor(&t, "attn_mask", 4, 0, G_F32);
    put_u16(tiny_kv(&t, "split.count", T_U16), 1); /* split, but into one file */
    put_u16(tiny_kv(&t, "split.no", T_U16), 0);
    put_u32(tiny_array(&t, "general.tags", T_U32, 1), 7);
    put_u16(tiny_kv(&t, "gpt2.context_length", T_U16), 8);
    tiny_u32(&t, "gpt2.attention.head_count_kv", 1);
    tiny_f32(&t, "gpt2.rope.freq_base", 10000);
    put_u8(tiny_kv(&t, "tokenizer.ggml.add_bos_token", T_BOOL), 0);
    tiny_str(&t, "tokenizer.ggml.pre", "default");
    tiny_str(&t, "lookat.activation_function", "gelu");
    warnings = 0;
    CHECK(gguf_load_model(&c, write_tiny(&t), take_warning, &e) == OK, "%s", e.msg);
    const struct gpt2_weights *w = &c.weights;
    const struct gpt2_config *s = &w->config;
    CHECK(s->n_layer == 1 && s->n_head == 1 && s->n_embd == 4 && s->n_inner == 32 &&
              s->n_ctx == 8 && s->n_vocab == 5,
          "shape");
    CHECK(s->norm_eps == 1e-5f && s->activation == GELU_ERF, "eps, activation");
    CHECK(strcmp(c.format, "GGUF v2") == 0 && strcmp(c.name, "tiny") == 0 &&
              c.file_bytes == c.file.size,
          "%s %s", c.format, c.name);
    CHECK(!w->tied && w->head.type == DTYPE_BF16 && w->head.rows == 5 && w->head.cols == 4 &&
              w->head.data != w->wte.data,
          "head");
    CHECK(w->layers->fcproj.type == DTYPE_Q4_0 && w->layers->fcproj.rows == 4 &&
              w->layers->fcproj.cols == 32,
          "fcproj");
    CHECK(w->layers->qkv.rows == 12 && w->layers->qkv.cols == 4 && w->wpe.type == DTYPE_F16, "qkv");
    /* 0x3c3c: f16 (1 + 60/1024), bf16 1.46875 * 2^-7 */
    CHECK(w->layers->ln1_w[3] == 1.05859375f && w->layers->ln1_b[3] == 0.011474609375f, "%g %g",
          (double)w->layers->ln1_w[3], (double)w->layers->ln1_b[3]);
    CHECK(warnings == 1 && strstr(warned, "2 tensors") && strstr(warned, "\"rope_freqs.weight\""),
          "%s", warned);
    const struct vocab *v = &c.vocab;
    CHECK(v->n == 5 && v->offset[5] == 18 && memcmp(v->bytes, "abab <|endoftext|>", 18) == 0 &&
              v->bos == 4 && v->eos == 4,
          "vocabulary");
    CHECK(v->kind[4] && !v->kind[0] && v->n_merges == 1 && v->merges[0].merged == 2, "merges");
    close_model(&c);

    tiny_init(&t);
    tiny_drop_kv(&t, "tokenizer.ggml.model");
    tiny_drop_kv(&t, "general.name");
    const char *path = write_tiny(&t);
    c = (struct checkpoint){0};
    warnings = 0;
    CHECK(gguf_load_model(&c, path, take_warning, &e) == OK && c.vocab.n == 0 && warnings == 0,
          "without a tokenizer: %s", e.msg);
    CHECK(strcmp(c.name, "tiny") == 0 && c.weights.tied &&
              c.weights.head.data == c.weights.wte.data,
          "named after the file: %s", c.name);
    close_model(&c);
    struct vocab none;
    struct arena a = {0};
    CHECK(gguf_load_vocab(&none, path, &a, &e) == ERR_REFUSED && strstr(e.msg, "has no tokenizer"),
          "%s", e.msg);
    arena_free(&a);
}

/* ---- models written and read ---- */

/* n tokens: 256 bytes, then "aa", "aaa" ..., each a merge of the one before and "a"; the last is
 * control, with bytes that have no spelling. */
static void make_vocab(struct vocab *v, size_t n, struct arena *a) {
    struct vocab_builder b;
    char text[512];
    uint32_t before = 'a';
    memset(text, 'a', sizeof text);
    CHECK(vocab_builder_init(&b, "test", n, n * 64, n, a, &e) == OK, "%s", e.msg);
    for (size_t id = 0; id < 256; id++)
        vocab_builder_set(&b, id, &(uint8_t){(uint8_t)id}, 1, false, &e);
    for (size_t id = 256; id + 1 < n; id++) {
        CHECK(vocab_builder_set(&b, id, text, id - 254, false, &e) == OK, "%s", e.msg);
        vocab_builder_merge_ids(&b, before, 'a', (uint32_t)id, &e);
        before = (uint32_t)id;
    }
    CHECK(vocab_builder_set(&b, n - 1, "<| \n\xff|>", 7, true, &e) == OK, "%s", e.msg);
    CHECK(vocab_builder_finish(&b, v, -1, (int64_t)n - 1, &e) == OK, "%s", e.msg);
    vocab_builder_free(&b);
}

static void same_vocab(const struct vocab *x, const struct vocab *y) {
    CHECK(x->n == y->n && x->n_merges == y->n_merges && x->bos == y->bos && x->eos == y->eos,
          "%u tokens", y->n);
    if (x->n != y->n || x->n_merges != y->n_merges) return;
    CHECK(memcmp(x->offset, y->offset, (x->n + 1) * sizeof *x->offset) == 0 &&
              memcmp(x->bytes, y->bytes, x->offset[x->n]) == 0,
          "tokens");
    CHECK(memcmp(x->kind, y->kind, x->n) == 0, "control");
    CHECK(memcmp(x->merges, y->merges, x->n_merges * sizeof *x->merges) == 0, "merges");
}

/* What other programs load: an id beyond the tokens, an empty token, other numbers of rows than of
 * tokens, types that say more than normal. */
static void odd_vocabularies(void) {
    static const char *const tokens[] = {"a", "b", "ab", "<x>", "", "[PAD5]", "two words"};
    static const uint32_t types[] = {3, 1, 4, 3, 5, 5, 4};
    static const char *const says[] = {
        "the bos token is 50256, but there are only 7 tokens: there is none",
        "add_bos_token is true, but no token is named to begin a text with",
        "add_eos_token is true: no token is added behind a text",
        "the tokenizer has 7 tokens and the model 5 rows: tokens from 5 on cannot be used"};
    struct tiny t;
    struct checkpoint c = {0};
    tiny_init(&t);
    tiny_strs(&t, "tokenizer.ggml.tokens", 7, tokens);
    struct bytes *b = tiny_array(&t, "tokenizer.ggml.token_type", T_I32, 7);
    for (size_t i = 0; i < 7; i++) put_u32(b, types[i]);
    tiny_u32(&t, "tokenizer.ggml.bos_token_id", 50256);
    tiny_u32(&t, "tokenizer.ggml.eos_token_id", 3);
    put_u8(tiny_kv(&t, "tokenizer.ggml.add_bos_token", T_BOOL), 1);
    put_u8(tiny_kv(&t, "tokenizer.ggml.add_eos_token", T_BOOL), 1);
    put_u8(tiny_kv(&t, "lookat.tokenizer.use_regex", T_BOOL), 0);
    put_u8(tiny_kv(&t, "lookat.tokenizer.ignore_merges", T_BOOL), 1);
    warnings = 0;
    for (size_t i = 0; i < 4; i++) all_warnings[i][0] = 0;
    CHECK(gguf_load_model(&c, write_tiny(&t), keep_warning, &e) == OK && warnings == 4,
          "%d warnings, %s", warnings, e.msg);
    for (size_t i = 0; i < 4; i++) CHECK(strstr(all_warnings[i], says[i]), "%s", all_warnings[i]);
    static const uint8_t kind[] = {TOKEN_NORMAL, TOKEN_NORMAL,  TOKEN_NORMAL, TOKEN_CONTROL,
                                   TOKEN_UNUSED, TOKEN_PADDING, TOKEN_ADDED};
    static const uint8_t match[] = {MATCH_SPECIAL, 0, MATCH_TEXT, MATCH_SPECIAL, 0, 0, MATCH_TEXT};
    const struct vocab *v = &c.vocab;
    CHECK(v->n == 7 && memcmp(v->kind, kind, 7) == 0 && memcmp(v->match, match, 7) == 0, "kinds");
    CHECK(v->n_merges == 1 && v->bos == -1 && v->eos == 3 && !v->add_bos && v->whole_text &&
              v->ignore_merges,
          "bos %d eos %d", v->bos, v->eos);
    close_model(&c);
    tiny_init(&t);
    tiny_drop_kv(&t, "tokenizer.ggml.bos_token_id");
    put_u8(tiny_kv(&t, "tokenizer.ggml.add_bos_token", T_BOOL), 1);
    c = (struct checkpoint){0};
    CHECK(gguf_load_model(&c, write_tiny(&t), NULL, &e) == OK && c.vocab.add_bos &&
              c.vocab.bos == 4,
          "<|endoftext|> begins texts: %d", c.vocab.bos);
    close_model(&c);
}

static int64_t item_of(const struct gguf *g, const char *key, uint64_t i) {
    const struct gguf_kv *kv = gguf_find(g, key);
    return kv && kv->type == GGUF_ARRAY && i < kv->count ? gguf_item(kv, i) : -1;
}

/* A vocabulary with everything that a file has to tell, written for a model with `rows` rows and
 * read back. */
static void write_vocab(size_t rows, struct vocab *back, struct gguf *g) {
    const struct gpt2_config shape = {1, 1, 4, 32, 8, rows, 1e-5f, .activation = GELU_TANH};
    const char *path = folder_path("vocab.gguf");
    struct checkpoint c;
    struct vocab_builder b;
    CHECK(checkpoint_random(&c, &shape, 1, &e) == OK &&
              vocab_builder_init(&b, "test", 8, 60, 2, &c.arena, &e) == OK,
          "%s", e.msg);
    static const char *const text[] = {"!", "a", " ", "a ", "a a", "<s>", "hot", "free"};
    static const enum token_kind kinds[] = {TOKEN_CONTROL, TOKEN_NORMAL, TOKEN_NORMAL,
                                            TOKEN_NORMAL,  TOKEN_NORMAL, TOKEN_CONTROL,
                                            TOKEN_ADDED,   TOKEN_UNUSED};
    for (size_t i = 0; i < 8; i++)
        CHECK(vocab_builder_set(&b, i, text[i], strlen(text[i]), kinds[i], &e) == OK, "%s", e.msg);
    CHECK(vocab_builder_merge_ids(&b, 1, 2, 3, &e) == OK &&
              vocab_builder_merge_ids(&b, 3, 1, 4, &e) == OK,
          "%s", e.msg);
    b.match[6] |= MATCH_LSTRIP;
    CHECK(vocab_builder_finish(&b, &c.vocab, 5, 0, &e) == OK, "%s", e.msg);
    vocab_builder_free(&b);
    c.vocab.add_bos = c.vocab.whole_text = c.vocab.ignore_merges = true;
    CHECK(write_anew(path, true, &c.weights, &c.vocab, "n", DTYPE_F32, NULL, &e) == OK, "%s",
          e.msg);
    CHECK(gguf_load_vocab(back, path, &c.arena, &e) == OK && gguf_open(g, path, &e) == OK, "%s",
          e.msg);
    CHECK(back->whole_text && back->ignore_merges, "rules");
    if (rows == 8) same_vocab(&c.vocab, back);
    if (rows == 8) CHECK(memcmp(c.vocab.match, back->match, 8) == 0 && back->add_bos, "match");
    if (rows > 8)
        CHECK(memcmp(c.vocab.kind, back->kind, 8) == 0 &&
                  memcmp(c.vocab.bytes, back->bytes, c.vocab.offset[8]) == 0,
              "the tokens there are");
    arena_free(&c.arena);
}

static void written_vocabularies(void) {
    struct vocab v;
    struct gguf g;
    static const int32_t types[] = {3, 1, 1, 1, 1, 3, 4, 5};
    write_vocab(8, &v, &g);
    for (uint64_t i = 0; i < 8; i++)
        CHECK(item_of(&g, "tokenizer.ggml.token_type", i) == types[i], "type of token %d", (int)i);
    gguf_close(&g);
    write_vocab(11, &v,
                &g); /* three rows of padding, by the names that llama.cpp's converter gives them */
    for (uint64_t i = 0; i < 11; i++)
        CHECK(item_of(&g, "tokenizer.ggml.token_type", i) == (i < 8 ? types[i] : 5),
              "type of token %d", (int)i);
    const uint8_t *p = gguf_find(&g, "tokenizer.ggml.tokens")->data;
    struct gguf_str last = {0};
    for (int i = 0; i < 11; i++) last = gguf_next_string(&p);
    CHECK(gguf_find(&g, "tokenizer.ggml.tokens")->count == 11 && last.n == 7 &&
              memcmp(last.s, "[PAD10]", 7) == 0,
          "names");
    gguf_close(&g);
    write_vocab(4, &v, &g); /* tokens 4 to 7 have no row, and so no merge makes them */
    CHECK(gguf_find(&g, "tokenizer.ggml.tokens")->count == 4 &&
              gguf_find(&g, "tokenizer.ggml.merges")->count == 1,
          "cut to the rows");
    CHECK(!gguf_find(&g, "tokenizer.ggml.bos_token_id") &&
              gguf_find(&g, "tokenizer.ggml.eos_token_id"),
          "marks without a row are not written");
    gguf_close(&g);
}

/* y must hold what dtype_from_f32 makes of the float32 rows of x. */
static void same_matrix(const char *name, const struct matrix *x, const struct matrix *y,
                        enum dtype type) {
    uint8_t row[4096];
    enum dtype want = x->cols % dtype_block(type) ? DTYPE_F16 : type;
    CHECK(y->type == want && y->rows == x->rows && y->cols == x->cols, "%s is %s [%zu][%zu]", name,
          dtype_name(y->type), y->rows, y->cols);
    if (y->type != want || y->rows != x->rows || y->cols != x->cols) return;
    size_t bytes = dtype_bytes(want, x->cols);
    for (size_t r = 0; r < x->rows; r++) {
        dtype_from_f32(want, row, (const float *)x->data + r * x->cols, x->cols);
        CHECK(memcmp(row, (const uint8_t *)y->data + r * bytes, bytes) == 0, "%s, row %zu", name,
              r);
    }
}

static void same_vector(const char *name, const float *x, const float *y, size_t n) {
    CHECK(memcmp(x, y, 4 * n) == 0, "%s", name);
}

static void same_weights(const struct gpt2_weights *x, const struct gpt2_weights *y,
                         enum dtype type) {
    const size_t C = x->config.n_embd, F = x->config.n_inner;
    CHECK(same_config(&x->config, &y->config) && x->tied == y->tied, "config");
    same_matrix("wte", &x->wte, &y->wte, type);
    same_matrix("wpe", &x->wpe, &y->wpe, DTYPE_F32);
    same_matrix("head", &x->head, &y->head, type);
    same_vector("lnf_w", x->lnf_w, y->lnf_w, C);
    same_vector("lnf_b", x->lnf_b, y->lnf_b, C);
    for (size_t i = 0; i < x->config.n_layer; i++) {
        const struct gpt2_layer *a = &x->layers[i], *b = &y->layers[i];
        same_vector("ln1_w", a->ln1_w, b->ln1_w, C);
        same_vector("ln1_b", a->ln1_b, b->ln1_b, C);
        same_matrix("qkv", &a->qkv, &b->qkv, type);
        same_vector("qkv_b", a->qkv_b, b->qkv_b, 3 * C);
        same_matrix("proj", &a->proj, &b->proj, type);
        same_vector("proj_b", a->proj_b, b->proj_b, C);
        same_vector("ln2_w", a->ln2_w, b->ln2_w, C);
        same_vector("ln2_b", a->ln2_b, b->ln2_b, C);
        same_matrix("fc", &a->fc, &b->fc, type);
        same_vector("fc_b", a->fc_b, b->fc_b, F);
        same_matrix("fcproj", &a->fcproj, &b->fcproj, type);
        same_vector("fcproj_b", a->fcproj_b, b->fcproj_b, C);
    }
}

static void shake(const float *x, size_t n, struct rng *r) {
    for (size_t i = 0; i < n; i++) ((float *)(uintptr_t)x)[i] = (float)rng_normal(r);
}

/* Random norms and biases too, so that no two of them can be mistaken for each other. */
static void shake_vectors(struct gpt2_weights *w) {
    const size_t C = w->config.n_embd, F = w->config.n_inner;
    struct rng r;
    rng_seed(&r, 5, 0);
    shake(w->lnf_w, C, &r);
    shake(w->lnf_b, C, &r);
    for (size_t i = 0; i < w->config.n_layer; i++) {
        struct gpt2_layer *l = &w->layers[i];
        const float *wide[] = {l->ln1_w, l->ln1_b, l->proj_b, l->ln2_w, l->ln2_b, l->fcproj_b};
        for (size_t k = 0; k < 6; k++) shake(wide[k], C, &r);
        shake(l->qkv_b, 3 * C, &r);
        shake(l->fc_b, F, &r);
    }
}

static uint64_t progress_done, progress_total;
static int progress_calls;
static void progress(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    CHECK(done > progress_done && done <= total, "progress %llu", (unsigned long long)done);
    progress_done = done;
    progress_total = total;
    progress_calls++;
}

static uint64_t uint_key(const char *path, const char *key) {
    struct gguf g;
    uint64_t x = UINT64_MAX;
    if (gguf_open(&g, path, &e) == OK) {
        if (gguf_find(&g, key)) gguf_uint(&g, key, &x, &e);
        gguf_close(&g);
    }
    return x;
}

static void round_trip(const struct gpt2_config *shape, bool tied) {
    static const struct {
        enum dtype type;
        uint64_t file_type, quantization;
    } types[] = {{DTYPE_F32, 0, UINT64_MAX},
                 {DTYPE_F16, 1, UINT64_MAX},
                 {DTYPE_BF16, 32, UINT64_MAX},
                 {DTYPE_Q8_0, 7, 2},
                 {DTYPE_Q4_0, 2, 2}};
    struct checkpoint c, other;
    CHECK(checkpoint_random(&c, shape, 1, &e) == OK &&
              checkpoint_random(&other, shape, 2, &e) == OK,
          "%s", e.msg);
    make_vocab(&c.vocab, shape->n_vocab, &c.arena);
    shake_vectors(&c.weights);
    c.weights.tied = tied;
    if (!tied) c.weights.head = other.weights.wte;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *path = folder_path("model.gguf");
        struct checkpoint back = {0};
        progress_done = 0;
        progress_calls = 0;
        CHECK(write_anew(path, true, &c.weights, &c.vocab, "a name", types[i].type,
                         &(struct gguf_extra){.progress = {progress, NULL}}, &e) == OK,
              "%s", e.msg);
        CHECK(progress_done == progress_total &&
                  progress_calls == (int)(12 * shape->n_layer + 4 + !tied),
              "%d calls", progress_calls);
        warnings = 0;
        CHECK(gguf_load_model(&back, path, take_warning, &e) == OK, "%s", e.msg);
        CHECK(warnings == 0 && strcmp(back.name, "a name") == 0, "%s", back.name);
        same_weights(&c.weights, &back.weights, types[i].type);
        same_vocab(&c.vocab, &back.vocab);
        close_model(&back);
        CHECK(uint_key(path, "general.file_type") == types[i].file_type, "file type of %s",
              dtype_name(types[i].type));
        CHECK(uint_key(path, "general.quantization_version") == types[i].quantization,
              "quantization of %s", dtype_name(types[i].type));
    }
    arena_free(&other.arena);
    arena_free(&c.arena);
}

static void round_trips(void) {
    round_trip(&(struct gpt2_config){2, 4, 64, 128, 16, 300, 1e-5f, .activation = GELU_TANH}, true);
    round_trip(&(struct gpt2_config){1, 2, 64, 96, 5, 300, 1e-6f, .activation = GELU_ERF}, false);
    round_trip(&(struct gpt2_config){3, 3, 12, 64, 8, 270, 1e-5f, .activation = GELU_TANH},
               true); /* rows of 12: f16 in q files */
}

/* A file of one number type rewritten as the same type keeps its bits, quantised ones too. */
static void rewrite(void) {
    const struct gpt2_config shape = {1, 2, 64, 128, 16, 40, 1e-5f, .activation = GELU_TANH};
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0};
    struct checkpoint c;
    CHECK(checkpoint_random(&c, &shape, 3, &e) == OK, "%s", e.msg);
    for (size_t i = 0; i < 5; i++) {
        struct checkpoint once = {0};
        struct file x = {0}, y = {0};
        const char *first = folder_path("first.gguf"), *second = folder_path("second.gguf");
        CHECK(write_anew(first, true, &c.weights, NULL, "n", types[i], NULL, &e) == OK, "%s",
              e.msg);
        CHECK(gguf_load_model(&once, first, NULL, &e) == OK && once.vocab.n == 0, "%s", e.msg);
        CHECK(write_anew(second, true, &once.weights, &once.vocab, "n", types[i], NULL, &e) == OK,
              "%s", e.msg);
        CHECK(file_map(&x, first, &e) == OK && file_map(&y, second, &e) == OK, "%s", e.msg);
        CHECK(x.size == y.size && memcmp(x.data, y.data, x.size) == 0, "%s", dtype_name(types[i]));
        file_unmap(&x);
        file_unmap(&y);
        close_model(&once);
    }
    arena_free(&c.arena);
}

/* Number c of row r of a matrix of a random model, which the arena holds and this test may change.
 */
static float *number(const struct matrix *m, size_t r, size_t c) {
    return (float *)(uintptr_t)m->data + r * m->cols + c;
}

static bool all_finite(const struct gpt2_weights *w) {
    uint64_t bad = 1;
    return gpt2_check_finite(w, NULL, NULL, &bad, &e) == OK && bad == 0;
}

/* A matrix with a number that its type would make infinite stays float32 and is named; the others
 * get their type. */
static void beyond_the_range(void) {
    static const struct {
        enum dtype type;
        float fits, exceeds;
    } t[] = {{DTYPE_F32, 3e38f, 0},
             {DTYPE_F16, 65519, -65520},
             {DTYPE_BF16, 3.38e38f, 3.4e38f},
             {DTYPE_Q8_0, 8e6f, 8.4e6f},
             {DTYPE_Q4_0, -5.2e5f, 5.3e5f}};
    const struct gpt2_config shapes[] = {{2, 2, 64, 128, 16, 40, 1e-5f, .activation = GELU_TANH},
                                         {2, 1, 12, 64, 8, 40, 1e-5f, .activation = GELU_TANH}};
    for (size_t i = 0; i < 10; i++) {
        const enum dtype type = t[i / 2].type;
        /* rows of 12 are f16 where they should be blocks, and end where f16 does */
        const size_t end = i % 2 && dtype_block(type) > 1 ? 1 : i / 2;
        struct checkpoint c, back = {0};
        struct gguf_extra extra = {.warn = take_warning};
        CHECK(checkpoint_random(&c, &shapes[i % 2], 3, &e) == OK, "%s", e.msg);
        const enum dtype usual =
            c.weights.layers[0].qkv.cols % dtype_block(type) ? DTYPE_F16 : type;
        *number(&c.weights.layers[0].qkv, 3, 5) = t[end].fits;
        if (t[end].exceeds != 0) *number(&c.weights.layers[1].qkv, 30, 1) = t[end].exceeds;
        if (t[end].exceeds != 0) *number(&c.weights.wte, 39, 11) = t[end].exceeds;
        *number(&c.weights.wpe, 1, 1) = 1e38f;
        *(float *)(uintptr_t)&c.weights.layers[1].ln2_b[2] = 1e38f;
        warnings = 0;
        CHECK(write_anew(folder_path("m.gguf"), true, &c.weights, NULL, "n", type, &extra, &e) ==
                  OK,
              "%s", e.msg);
        CHECK(gguf_load_model(&back, folder_path("m.gguf"), NULL, &e) == OK, "%s", e.msg);
        const struct gpt2_weights *w = &back.weights;
        const enum dtype wide = t[end].exceeds != 0 ? DTYPE_F32 : usual;
        CHECK(w->layers[0].qkv.type == usual && w->layers[1].fc.type == usual, "%s: %s",
              dtype_name(type), dtype_name(w->layers[0].qkv.type));
        same_matrix("the one with a large number", &c.weights.layers[1].qkv, &w->layers[1].qkv,
                    wide);
        same_matrix("the embedding", &c.weights.wte, &w->wte, wide);
        /* one for rows that get another type, and behind it one for large numbers */
        CHECK(warnings == (usual != type) + (wide != usual), "%s: %d warnings", dtype_name(type),
              warnings);
        if (wide != usual)
            CHECK(strstr(warned, "2 matrices hold numbers beyond the range of ") &&
                      strstr(warned, dtype_name(usual)) &&
                      strstr(warned, "token_embd.weight, blk.1.attn_qkv.weight"),
                  "%s: %s", dtype_name(type), warned);
        CHECK(all_finite(w), "%s: an infinity was written", dtype_name(type));
        close_model(&back);
        arena_free(&c.arena);
    }
}

static size_t bad_seen;
static char bad_text[TENSOR_SAID];
static void take_bad(void *ctx, const struct gpt2_tensor *t, const struct tensor_range *r) {
    (void)ctx;
    bad_seen++;
    tensor_say_bad(t, r, bad_text);
}

/* Each tensor of a model in turn holds one number that is not finite: it is found, named as the
 * source names it, and never written. */
static void not_finite(void) {
    static const struct gpt2_config shape = {2, 1, 4, 8, 3, 5, 1e-5f, .activation = GELU_TANH};
    static const char *const gguf[] = {
        "token_embd.weight",        "position_embd.weight",   "blk.1.attn_norm.weight",
        "blk.1.attn_norm.bias",     "blk.1.attn_qkv.weight",  "blk.1.attn_qkv.bias",
        "blk.1.attn_output.weight", "blk.1.attn_output.bias", "blk.1.ffn_norm.weight",
        "blk.1.ffn_norm.bias",      "blk.1.ffn_up.weight",    "blk.1.ffn_up.bias",
        "blk.1.ffn_down.weight",    "blk.1.ffn_down.bias",    "output_norm.weight",
        "output_norm.bias",         "output.weight"};
    static const char *const hf[] = {"wte.weight",
                                     "wpe.weight",
                                     "h.1.ln_1.weight",
                                     "h.1.ln_1.bias",
                                     "h.1.attn.c_attn.weight",
                                     "h.1.attn.c_attn.bias",
                                     "h.1.attn.c_proj.weight",
                                     "h.1.attn.c_proj.bias",
                                     "h.1.ln_2.weight",
                                     "h.1.ln_2.bias",
                                     "h.1.mlp.c_fc.weight",
                                     "h.1.mlp.c_fc.bias",
                                     "h.1.mlp.c_proj.weight",
                                     "h.1.mlp.c_proj.bias",
                                     "ln_f.weight",
                                     "ln_f.bias",
                                     "lm_head.weight"};
    struct checkpoint c, other;
    CHECK(checkpoint_random(&c, &shape, 3, &e) == OK &&
              checkpoint_random(&other, &shape, 4, &e) == OK,
          "%s", e.msg);
    struct gpt2_weights *w = &c.weights;
    w->tied = false;
    w->head = other.weights.wte;
    const struct gpt2_layer *l = &w->layers[1];
    float *places[] = {number(&w->wte, 2, 1),
                       number(&w->wpe, 2, 1),
                       (float *)(uintptr_t)&l->ln1_w[1],
                       (float *)(uintptr_t)&l->ln1_b[1],
                       number(&l->qkv, 2, 1),
                       (float *)(uintptr_t)&l->qkv_b[1],
                       number(&l->proj, 2, 1),
                       (float *)(uintptr_t)&l->proj_b[1],
                       (float *)(uintptr_t)&l->ln2_w[1],
                       (float *)(uintptr_t)&l->ln2_b[1],
                       number(&l->fc, 2, 1),
                       (float *)(uintptr_t)&l->fc_b[1],
                       number(&l->fcproj, 2, 1),
                       (float *)(uintptr_t)&l->fcproj_b[1],
                       (float *)(uintptr_t)&w->lnf_w[1],
                       (float *)(uintptr_t)&w->lnf_b[1],
                       number(&w->head, 2, 1)};
    CHECK(all_finite(w), "as it was made");
    for (size_t i = 0; i < 2 * sizeof places / sizeof *places; i++) {
        const size_t part = i / 2;
        char want[160];
        const float bad = i % 3 == 0   ? NAN
                          : i % 3 == 1 ? INFINITY
                                       : -INFINITY,
                    good = *places[part];
        uint64_t count = 0;
        w->hf_names = i % 2;
        *places[part] = bad;
        const bool matrix = strstr(gguf[part], "weight") && !strstr(gguf[part], "norm");
        snprintf(want, sizeof want, "%s: 1 number is not finite, %s at %s",
                 i % 2 ? hf[part] : gguf[part],
                 i % 3 == 0   ? "nan"
                 : i % 3 == 1 ? "inf"
                              : "-inf",
                 !matrix                          ? "[1]"
                 : i % 2 && part > 1 && part < 16 ? "[1,2]"
                                                  : "[2,1]");
        bad_seen = 0;
        CHECK(gpt2_check_finite(w, take_bad, NULL, &count, &e) == OK && count == 1 && bad_seen == 1,
              "%s: %llu", gguf[part], (unsigned long long)count);
        CHECK(strcmp(bad_text, want) == 0, "\"%s\", expected \"%s\"", bad_text, want);
        struct gguf_extra extra = {.source = "the-source"};
        const char *path = folder_path("bad.gguf");
        CHECK(write_anew(path, false, w, NULL, "n", DTYPE_F16, &extra, &e) == ERR_REFUSED, "%s",
              e.msg);
        CHECK(strstr(e.msg, "the-source: tensor ") == e.msg && strstr(e.msg, want), "%s", e.msg);
        CHECK(!file_exists(path), "the file is there");
        *places[part] = good;
    }
    arena_free(&c.arena);
    arena_free(&other.arena);
}

/* In every number type; of several bad numbers the first is told, and the others are counted. */
static void not_finite_types(void) {
    static const struct {
        enum dtype type;
        size_t bad;
    } t[] = {{DTYPE_F32, 2}, {DTYPE_F16, 2}, {DTYPE_BF16, 2}, {DTYPE_Q8_0, 64}, {DTYPE_Q4_0, 64}};
    float x[4 * 64] = {0}, row[64];
    uint8_t stored[sizeof x];
    x[64 + 40] = INFINITY, x[3 * 64 + 1] = NAN, x[2 * 64] = -7;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct tensor_range r;
        const struct matrix m = {stored, t[i].type, 4, 64};
        const uint16_t inf = 0x7c00, nan = 0x7e01;
        dtype_from_f32(t[i].type, stored, x, 4 * 64);
        if (t[i].bad == 64) { /* a block is as bad as its scale */
            memcpy(stored + dtype_bytes(t[i].type, 64 + 32), &inf, 2);
            memcpy(stored + dtype_bytes(t[i].type, 3 * 64), &nan, 2);
        }
        tensor_range(kernels_at(0), &m, row, &r);
        CHECK(r.bad == t[i].bad && r.row == 1 && r.col >= 32 && fabsf(r.most - 7) < 0.01f,
              "%s: %zu bad, the first at %zu %zu, most %g", dtype_name(t[i].type), r.bad, r.row,
              r.col, (double)r.most);
    }
}

static void writing_fails(void) {
    const struct gpt2_config shape = {1, 1, 4, 4, 4, 4, 1e-5f, .activation = GELU_TANH};
    struct checkpoint c;
    CHECK(checkpoint_random(&c, &shape, 3, &e) == OK, "%s", e.msg);
    const char *path = folder_write("there.gguf", "x", 1);
    CHECK(write_anew(path, false, &c.weights, NULL, "n", DTYPE_F32, NULL, &e) == ERR_USAGE &&
              strstr(e.msg, "--force"),
          "%s", e.msg);
    CHECK(write_anew(folder_path("no/where"), false, &c.weights, NULL, "n", DTYPE_F32, NULL, &e) ==
              ERR_FAILED,
          "%s", e.msg);
    CHECK(write_anew(folder, true, &c.weights, NULL, "n", DTYPE_F32, NULL, &e) == ERR_USAGE, "%s",
          e.msg);
    FILE *fp = fopen(path, "rb");
    CHECK(fp && fgetc(fp) == 'x' && fgetc(fp) == EOF, "the file that was there is as it was");
    if (fp) fclose(fp);
    arena_free(&c.arena);
}

/* Ctrl-C while writing: the status says so, and neither the file nor its temporary stays. In a
 * child, for the signal stays pending. */
static void interrupted(void) {
    const struct gpt2_config shape = {1, 1, 4, 4, 4, 4, 1e-5f, .activation = GELU_TANH};
    struct checkpoint c;
    const char *path = folder_path("interrupted.gguf");
    int status = -1;
    CHECK(checkpoint_random(&c, &shape, 3, &e) == OK, "%s", e.msg);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL); /* a shell's background job ignores it */
        interrupt_install();
        raise(SIGINT);
        _exit(write_anew(path, false, &c.weights, NULL, "n", DTYPE_F32, NULL, &e));
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
              WEXITSTATUS(status) == ERR_INTERRUPTED,
          "status %d", status);
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));)
        CHECK(strncmp(f->d_name, "interrupted", 11) != 0, "%s is left", f->d_name);
    if (d) closedir(d);
    arena_free(&c.arena);
}

/* ---- shapes ---- */

/* Published sizes of the GPT-2 family. */
static void parameters(void) {
    static const struct {
        size_t layers, heads, width;
        uint64_t parameters;
    } family[] = {{12, 12, 768, 124439808},
                  {24, 16, 1024, 354823168},
                  {36, 20, 1280, 774030080},
                  {48, 25, 1600, 1557611200}};
    for (size_t i = 0; i < 4; i++) {
        struct gpt2_weights w = {.tied = true,
                                 .config = {family[i].layers, family[i].heads, family[i].width,
                                            4 * family[i].width, 1024, 50257, 1e-5f,
                                            .activation = GELU_TANH}};
        CHECK(gpt2_parameters(&w) == family[i].parameters, "%llu",
              (unsigned long long)gpt2_parameters(&w));
        CHECK(gpt2_config_check(&w.config, "file", &e) == OK, "%s", e.msg);
        w.tied = false;
        CHECK(gpt2_parameters(&w) == family[i].parameters + 50257 * family[i].width, "untied");
    }
}

static void config_limits(void) {
    const struct gpt2_config good = {12,   12,    768,   3072,
                                     1024, 50257, 1e-5f, .activation = GELU_TANH};
    const size_t big = (1u << 24) + 1, deep = (1u << 20) + 1;
    struct gpt2_config c;
#define REFUSED(field, value, text)                                                              \
    do {                                                                                         \
        c = good;                                                                                \
        c.field = value;                                                                         \
        CHECK(gpt2_config_check(&c, "file", &e) == ERR_REFUSED && strstr(e.msg, text), "%s: %s", \
              #field, e.msg);                                                                    \
    } while (0)
    REFUSED(n_layer, 0, "number of layers is 0");
    REFUSED(n_layer, deep, "number of layers");
    REFUSED(n_head, 0, "number of heads is 0");
    REFUSED(n_embd, 0, "width is 0");
    REFUSED(n_embd, big, "width");
    REFUSED(n_inner, 0, "MLP width is 0");
    REFUSED(n_inner, SIZE_MAX, "MLP width");
    REFUSED(n_ctx, 0, "context length is 0");
    REFUSED(n_ctx, deep, "context length");
    REFUSED(n_vocab, 0, "vocabulary size is 0");
    REFUSED(n_vocab, big, "vocabulary size");
    REFUSED(n_head, 13, "multiple of the 13 heads");
    REFUSED(norm_eps, 0.0f, "epsilon is 0");
    REFUSED(norm_eps, -1.0f, "epsilon is -1");
    REFUSED(norm_eps, NAN, "epsilon");
    REFUSED(norm_eps, INFINITY, "epsilon");
#undef REFUSED
}

static double deviation(const struct matrix *m) {
    const float *x = m->data;
    double sum = 0;
    for (size_t i = 0; i < m->rows * m->cols; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)(m->rows * m->cols));
}

static void random_weights(void) {
    const struct gpt2_config shape = {2, 4, 64, 256, 16, 300, 1e-5f, .activation = GELU_TANH};
    struct checkpoint a, b, c;
    int threads = threads_count();
    CHECK(checkpoint_random(&a, &shape, 7, &e) == OK && checkpoint_random(&c, &shape, 8, &e) == OK,
          "%s", e.msg);
    threads_set(3);
    CHECK(checkpoint_random(&b, &shape, 7, &e) == OK, "%s", e.msg);
    threads_set(threads);
    same_weights(&a.weights, &b.weights, DTYPE_F32);
    CHECK(memcmp(a.weights.wte.data, c.weights.wte.data, 4 * 64) != 0, "another seed");
    CHECK(memcmp(a.weights.wte.data, a.weights.wpe.data, 4 * 64) != 0, "another matrix");
    /* the deviation of n numbers is off by 1/sqrt(2n): 0.8 % and less here */
    CHECK(fabs(deviation(&a.weights.layers[0].qkv) / 0.02 - 1) < 0.04, "qkv");
    CHECK(fabs(deviation(&a.weights.layers[1].fcproj) / (0.02 / 2) - 1) < 0.04,
          "fcproj, divided by sqrt(2 * 2)");
    CHECK(fabs(deviation(&a.weights.layers[1].proj) / (0.02 / 2) - 1) < 0.05, "proj");
    CHECK(a.weights.layers[0].ln1_w[63] == 1 && a.weights.layers[0].ln1_b[63] == 0 &&
              a.weights.lnf_w[0] == 1,
          "norms");
    CHECK(a.vocab.n == 0 && a.weights.tied && a.weights.head.data == a.weights.wte.data,
          "no vocabulary, tied");
    struct gpt2_config none = shape;
    none.n_head = 3;
    arena_free(&a.arena);
    CHECK(checkpoint_random(&a, &none, 7, &e) == ERR_REFUSED, "a shape that cannot be");
    arena_free(&b.arena);
    arena_free(&c.arena);
}

/* ---- models in several files, and without biases ---- */

/* Writes part no (from 0 on) of count: tensors begin .. end - 1 of the tiny model, and its keys in
 * the first; numbers are all that of the byte 0x3c + no. edit may break a rule. */
static void write_part(const char *name, size_t begin, size_t end, uint32_t no,
                       void (*edit)(struct tiny *t)) {
    struct tiny t;
    tiny_init(&t);
    const size_t all = t.n_tensors;
    memmove(t.tensors, t.tensors + begin, (end - begin) * sizeof t.tensors[0]);
    t.n_tensors = end - begin;
    while (no && t.n_kv) tiny_drop_kv(&t, t.kv[0].key);
    put_u16(tiny_kv(&t, "split.no", T_U16), (uint16_t)no);
    put_u16(tiny_kv(&t, "split.count", T_U16), 3);
    put_u32(tiny_kv(&t, "split.tensors.count", T_I32), (uint32_t)all);
    t.fill = (uint8_t)(0x3c + no);
    if (edit) edit(&t);
    struct bytes b = tiny_bytes(&t);
    folder_write(name, b.data, b.size);
    bytes_free(&b);
    tiny_free(&t);
}

static void write_parts(void (*edit)(struct tiny *t)) {
    write_part("m-00001-of-00003.gguf", 0, 2, 0, NULL);
    write_part("m-00002-of-00003.gguf", 2, 13, 1, NULL);
    write_part("m-00003-of-00003.gguf", 13, TINY_TENSORS, 2, edit);
}

static void several_files(void) {
    struct checkpoint c;
    write_parts(NULL);
    const char *const paths[] = {folder_path("m-00001-of-00003.gguf"), folder};
    for (size_t i = 0; i < 2; i++) { /* the first one, and the folder that has no other model */
        int rc = checkpoint_open(&c, paths[i], NULL, NULL, &e);
        CHECK(rc == OK, "%s", e.msg);
        if (rc) continue;
        const uint8_t *first = c.weights.wte.data, *second = c.weights.layers[0].qkv.data,
                      *third = (const uint8_t *)(const void *)c.weights.lnf_b;
        CHECK(first[0] == 0x3c && second[0] == 0x3d && third[0] == 0x3e, "%x %x %x", first[0],
              second[0], third[0]);
        CHECK(strcmp(c.format, "GGUF v3, 3 files") == 0 && c.vocab.n == 5, "%s", c.format);
        checkpoint_close(&c);
    }
    inputs_forget();
}

static void part_no(struct tiny *t) { put_u16(tiny_kv(t, "split.no", T_U16), 1); }
static void part_count(struct tiny *t) { put_u16(tiny_kv(t, "split.count", T_U16), 4); }
static void part_double(struct tiny *t) {
    strcpy(t->tensors[0].name, "token_embd.weight");
    t->tensors[0].name_len = strlen(t->tensors[0].name);
}
static void part_more(struct tiny *t) { tiny_tensor(t, "more", 4, 0, G_F32); }
static void part_less(struct tiny *t) { tiny_drop_tensor(t, 0); }
static void part_cut(struct tiny *t) { t->cut = 1; }

static void broken_parts(void) {
    static const struct {
        void (*edit)(struct tiny *t);
        const char *expect;
    } bad[] = {{part_no, "m-00003-of-00003.gguf: is part 2 of 3 by its keys, expected 3 of 3"},
               {part_count, "m-00003-of-00003.gguf: is part 3 of 4 by its keys, expected 3 of 3"},
               {part_double, "\"token_embd.weight\" stands in an earlier part too"},
               {part_more, "has more tensors than split.tensors.count says"},
               {part_less, "the parts have 15 tensors, and split.tensors.count is 16"},
               {part_cut, "m-00003-of-00003.gguf: tensor \"output_norm.bias\" ends at"}};
    struct checkpoint c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_parts(bad[i].edit);
        int rc = checkpoint_open(&c, folder_path("m-00001-of-00003.gguf"), NULL, NULL, &e);
        CHECK(rc == ERR_REFUSED && strstr(e.msg, bad[i].expect), "\"%s\" does not say \"%s\"",
              e.msg, bad[i].expect);
        if (!rc) checkpoint_close(&c);
        inputs_forget();
    }
    int rc = checkpoint_open(&c, folder_path("m-00002-of-00003.gguf"), NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "is part 2 of the 3"), "%s", e.msg);
    unlink(folder_path("m-00002-of-00003.gguf"));
    rc = checkpoint_open(&c, folder_path("m-00001-of-00003.gguf"), NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "m-00002-of-00003.gguf is not beside it"), "%s",
          e.msg);
    unlink(folder_path("m-00001-of-00003.gguf"));
    unlink(folder_path("m-00003-of-00003.gguf"));
    inputs_forget();
}

/* A model without any bias has zeros; one that has some of them is refused. */
static void no_biases(void) {
    struct tiny t;
    struct checkpoint c;
    tiny_init(&t);
    for (size_t i = t.n_tensors; i-- > 0;)
        if (strstr(t.tensors[i].name, ".bias")) tiny_drop_tensor(&t, i);
    struct bytes b = tiny_bytes(&t);
    int rc = checkpoint_open(&c, folder_write("none.gguf", b.data, b.size), NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (!rc) {
        const struct gpt2_layer *l = c.weights.layers;
        for (size_t i = 0; i < 32; i++)
            CHECK(l->fc_b[i] == 0 && (i > 11 || l->qkv_b[i] == 0), "bias");
        for (size_t i = 0; i < 4; i++)
            CHECK(l->ln1_b[i] == 0 && l->ln2_b[i] == 0 && l->proj_b[i] == 0 &&
                      l->fcproj_b[i] == 0 && c.weights.lnf_b[i] == 0,
                  "bias");
        checkpoint_close(&c);
    }
    inputs_forget();
    bytes_free(&b);
    tiny_tensor(&t, "output_norm.bias", 4, 0, G_F32);
    b = tiny_bytes(&t);
    rc = checkpoint_open(&c, folder_write("some.gguf", b.data, b.size), NULL, NULL, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "\"blk.0.attn_norm.bias\" is missing"), "%s", e.msg);
    bytes_free(&b);
    tiny_free(&t);
    inputs_forget();
    unlink(folder_path("none.gguf"));
    unlink(folder_path("some.gguf"));
}

int main(void) {
    if (!folder_make()) return 1;
    RUN(several_files);
    RUN(broken_parts);
    RUN(no_biases);
    RUN(key_types);
    RUN(writer_reads_back);
    RUN(alignments);
    RUN(tiny_model);
    RUN(odd_vocabularies);
    RUN(written_vocabularies);
    RUN(round_trips);
    RUN(rewrite);
    RUN(beyond_the_range);
    RUN(not_finite);
    RUN(not_finite_types);
    RUN(writing_fails);
    RUN(interrupted);
    RUN(parameters);
    RUN(config_limits);
    RUN(random_weights);
    folder_remove();
    return TEST_RESULT;
}
