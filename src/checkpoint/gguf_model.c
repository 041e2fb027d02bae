/* The GPT-2 model in a GGUF file: which keys and tensors it has, as llama.cpp's converter writes
 * them, and what they must be. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "checkpoint/gguf_parts.h"
#include "checkpoint/loaders.h"

enum { PER_LAYER = 12, SHOWN = 64 };

struct loader {
    const struct gguf *g;
    const char *path;
    struct arena *arena; /* of the result */
    uint8_t *used;       /* [n_tensors] */
    bool no_biases;
    const float *zeros; /* [the most that a bias has] where the model has no biases; else NULL */
    size_t layer;       /* the block whose tensors are looked up, for names "blk.%zu.…" */
    warn_fn warn;
    struct err *e;
};

static bool equals(struct gguf_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.s, text, s.n) == 0;
}

static int shown(size_t n) { return n < SHOWN ? (int)n : SHOWN; }

static int no_memory(const struct loader *l) {
    return err_file(l->e, ERR_FAILED, l->path, "no memory for the model");
}

static int missing(const struct loader *l, const char *tensor) {
    const char *part =
        strstr(path_base(l->path), "-of-")
            ? ": by its name, this is one of several files that the model is split into"
            : "";
    return err_file(l->e, ERR_REFUSED, l->path, "tensor \"%s\" is missing%s", tensor, part);
}

/* ---- keys ---- */

static int read_size(const struct loader *l, const char *key, size_t *out) {
    uint64_t x = 0;
    int rc = gguf_uint(l->g, key, &x, l->e);
    if (rc) return rc;
    if (x > SIZE_MAX)
        return err_file(l->e, ERR_REFUSED, l->path, "%s is %llu, which is too large", key,
                        (unsigned long long)x);
    *out = (size_t)x;
    return OK;
}

static int check_architecture(const struct loader *l) {
    struct gguf_str arch = {0};
    int rc = gguf_string(l->g, "general.architecture", &arch, l->e);
    if (rc || equals(arch, "gpt2")) return rc;
    return err_file(l->e, ERR_REFUSED, l->path, "the architecture is \"%.*s\", expected \"gpt2\"",
                    shown(arch.n), arch.s);
}

/* A key that may be absent: then *x stays as it is. */
static int read_bool(const struct loader *l, const char *key, bool *x) {
    const struct gguf_kv *kv = gguf_find(l->g, key);
    if (!kv) return OK;
    if (kv->type != GGUF_BOOL)
        return err_file(l->e, ERR_REFUSED, l->path, "key \"%s\" is not a bool", key);
    *x = gguf_item(kv, 0) != 0;
    return OK;
}

static int read_choice(const struct loader *l, const struct config_field *f,
                       struct gpt2_config *c) {
    struct gguf_str s = {0};
    int rc = gguf_string(l->g, f->gguf, &s, l->e);
    if (rc) return rc;
    const int choice = config_choice(f, s.s, s.n);
    if (choice < 0)
        return err_file(l->e, ERR_REFUSED, l->path, "%s is \"%.*s\", expected %s", f->gguf,
                        shown(s.n), s.s, config_choices(f).s);
    config_set_real(c, f, choice);
    return OK;
}

static int read_field(const struct loader *l, const struct config_field *f, struct gpt2_config *c) {
    size_t size = 0;
    double real = 0;
    bool on = false;
    int rc;
    if (f->gguf_optional && !gguf_find(l->g, f->gguf)) return OK;
    switch (f->kind) {
    case CONFIG_SIZE:
        rc = read_size(l, f->gguf, &size);
        if (!rc) config_set_size(c, f, size);
        return rc;
    case CONFIG_REAL:
        rc = gguf_float(l->g, f->gguf, &real, l->e);
        if (!rc) config_set_real(c, f, real);
        return rc;
    case CONFIG_SWITCH:
        rc = read_bool(l, f->gguf, &on);
        if (!rc) config_set_real(c, f, on);
        return rc;
    default: return read_choice(l, f, c);
    }
}

/* Keys that say what GPT-2 cannot be otherwise: grouped heads, head dimensions other than C / H. */
static int check_variants(const struct loader *l, const struct gpt2_config *c) {
    const struct {
        const char *key;
        size_t expected;
    } fixed[] = {{"gpt2.attention.head_count_kv", c->n_head},
                 {"gpt2.attention.key_length", c->n_embd / c->n_head},
                 {"gpt2.attention.value_length", c->n_embd / c->n_head}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        size_t got = 0;
        if (!gguf_find(l->g, fixed[i].key)) continue;
        int rc = read_size(l, fixed[i].key, &got);
        if (rc) return rc;
        if (got != fixed[i].expected)
            return err_file(l->e, ERR_REFUSED, l->path, "%s is %zu, expected %zu", fixed[i].key,
                            got, fixed[i].expected);
    }
    return OK;
}

static int read_config(const struct loader *l, struct gpt2_config *c) {
    const struct config_field *f;
    config_set_absent(c);
    int rc = check_architecture(l);
    for (int place = 1; !rc && (f = config_gguf_field(place)); place++) rc = read_field(l, f, c);
    if (rc) return rc;
    const struct gguf_tensor *wte = gguf_tensor(l->g, "token_embd.weight");
    if (!wte) return missing(l, "token_embd.weight");
    c->n_vocab = wte->dims[1] > SIZE_MAX ? SIZE_MAX : (size_t)wte->dims[1];
    rc = gpt2_config_check(c, l->path, l->e);
    if (!rc) rc = check_variants(l, c);
    if (rc) return rc;
    if (c->n_layer >
        l->g->n_tensors / 4) /* far below PER_LAYER, so that a missing tensor is named */
        return err_file(l->e, ERR_REFUSED, l->path,
                        "gpt2.block_count is %zu, and %zu tensors cannot be that many blocks of %d",
                        c->n_layer, l->g->n_tensors, PER_LAYER);
    return OK;
}

/* ---- tensors ---- */

static void shape_text(char *out, size_t room, const uint64_t dims[4]) {
    int n_dims = 4;
    while (n_dims > 1 && dims[n_dims - 1] == 1) n_dims--;
    size_t at = 0;
    for (int d = 0; d < n_dims && at < room; d++)
        at += (size_t)snprintf(out + at, room - at, "%s%llu", d ? " x " : "",
                               (unsigned long long)dims[d]);
}

/* The tensor called `name` (a block's own name after "blk.N." where `block`), which must be cols (x
 * rows) numbers. */
static int take(const struct loader *l, const char *name, bool block, size_t cols, size_t rows,
                const struct gguf_tensor **out) {
    char full[64], got[96], want[96];
    if (block)
        snprintf(full, sizeof full, "blk.%zu.%s", l->layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const struct gguf_tensor *t = gguf_tensor(l->g, full);
    if (!t) return missing(l, full);
    const uint64_t dims[4] = {cols, rows, 1, 1};
    if (memcmp(t->dims, dims, sizeof dims) != 0) {
        shape_text(got, sizeof got, t->dims);
        shape_text(want, sizeof want, dims);
        return err_file(l->e, ERR_REFUSED, l->path, "tensor \"%s\" is %s, expected %s", full, got,
                        want);
    }
    l->used[t - l->g->tensors] = 1;
    *out = t;
    return OK;
}

/* The format's default alignment makes this true; files may choose a smaller one. */
static bool aligned_for(const void *data, enum dtype type) {
    return (uintptr_t)data % (type == DTYPE_F32 ? 4 : 2) == 0;
}

static int take_matrix(const struct loader *l, const char *name, bool block, size_t rows,
                       size_t cols, struct matrix *m) {
    const struct gguf_tensor *t = NULL;
    int rc = take(l, name, block, cols, rows, &t);
    if (rc) return rc;
    *m = (struct matrix){t->data, (enum dtype)t->type, rows, cols};
    if (aligned_for(t->data, m->type)) return OK;
    void *copy = arena_alloc(l->arena, t->bytes, 1);
    if (!copy) return no_memory(l);
    m->data = memcpy(copy, t->data, t->bytes);
    return OK;
}

/* A norm or a bias: float32 whatever it is stored as. */
static int take_vector(const struct loader *l, const char *name, bool block, size_t n,
                       const float **out) {
    const struct gguf_tensor *t = NULL;
    int rc = take(l, name, block, n, 1, &t);
    if (rc) return rc;
    if (t->type == DTYPE_F32 && aligned_for(t->data, DTYPE_F32)) {
        *out = (const float *)(const void *)t->data;
        return OK;
    }
    if (t->type != DTYPE_F32 && t->type != DTYPE_F16 && t->type != DTYPE_BF16)
        return err_file(l->e, ERR_REFUSED, l->path,
                        "tensor \"%.*s\" is %s, expected f32, f16 or bf16 for a norm or bias",
                        shown(t->name.n), t->name.s, dtype_name(t->type));
    float *x = arena_alloc(l->arena, n, sizeof *x);
    if (!x) return no_memory(l);
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        if (t->type == DTYPE_F32) {
            memcpy(&x[i], t->data + 4 * i, 4);
            continue;
        }
        memcpy(&half, t->data + 2 * i, 2);
        x[i] = t->type == DTYPE_F16 ? f16_to_f32(half) : bf16_to_f32(half);
    }
    *out = x;
    return OK;
}

static int take_bias(const struct loader *l, const char *name, bool block, size_t n,
                     const float **out) {
    if (!l->zeros) return take_vector(l, name, block, n, out);
    *out = l->zeros;
    return OK;
}

/* Models without biases have none at all; one that misses some of them is broken. */
static int find_biases(struct loader *l, const struct gpt2_config *c) {
    static const char ending[] = ".bias";
    const size_t n = sizeof ending - 1,
                 most = c->n_inner > 3 * c->n_embd ? c->n_inner : 3 * c->n_embd;
    for (size_t i = 0; i < l->g->n_tensors; i++) {
        const struct gguf_str name = l->g->tensors[i].name;
        if (name.n > n && memcmp(name.s + name.n - n, ending, n) == 0) return OK;
    }
    l->no_biases = true;
    l->zeros = arena_zalloc(l->arena, most, sizeof *l->zeros);
    return l->zeros ? OK : no_memory(l);
}

static int take_layer(const struct loader *l, const struct gpt2_config *s, struct gpt2_layer *y) {
    const size_t C = s->n_embd, F = s->n_inner;
    int rc = take_vector(l, "attn_norm.weight", true, C, &y->ln1_w);
    if (!rc) rc = take_bias(l, "attn_norm.bias", true, C, &y->ln1_b);
    if (!rc) rc = take_matrix(l, "attn_qkv.weight", true, 3 * C, C, &y->qkv);
    if (!rc) rc = take_bias(l, "attn_qkv.bias", true, 3 * C, &y->qkv_b);
    if (!rc) rc = take_matrix(l, "attn_output.weight", true, C, C, &y->proj);
    if (!rc) rc = take_bias(l, "attn_output.bias", true, C, &y->proj_b);
    if (!rc) rc = take_vector(l, "ffn_norm.weight", true, C, &y->ln2_w);
    if (!rc) rc = take_bias(l, "ffn_norm.bias", true, C, &y->ln2_b);
    if (!rc) rc = take_matrix(l, "ffn_up.weight", true, F, C, &y->fc);
    if (!rc) rc = take_bias(l, "ffn_up.bias", true, F, &y->fc_b);
    if (!rc) rc = take_matrix(l, "ffn_down.weight", true, C, F, &y->fcproj);
    if (!rc) rc = take_bias(l, "ffn_down.bias", true, C, &y->fcproj_b);
    return rc;
}

static int take_weights(struct loader *l, struct gpt2_weights *w) {
    const struct gpt2_config *s = &w->config;
    const size_t C = s->n_embd, V = s->n_vocab;
    w->layers = arena_zalloc(l->arena, s->n_layer, sizeof *w->layers);
    if (!w->layers) return no_memory(l);
    int rc = take_matrix(l, "token_embd.weight", false, V, C, &w->wte);
    if (!rc) rc = take_matrix(l, "position_embd.weight", false, s->n_ctx, C, &w->wpe);
    for (l->layer = 0; !rc && l->layer < s->n_layer; l->layer++)
        rc = take_layer(l, s, &w->layers[l->layer]);
    if (!rc) rc = take_vector(l, "output_norm.weight", false, C, &w->lnf_w);
    if (!rc) rc = take_bias(l, "output_norm.bias", false, C, &w->lnf_b);
    if (rc) return rc;
    w->tied = !gguf_tensor(l->g, "output.weight");
    w->head = w->wte;
    return w->tied ? OK : take_matrix(l, "output.weight", false, V, C, &w->head);
}

static bool starts(struct gguf_str s, const char *text) {
    return s.n >= strlen(text) && memcmp(s.s, text, strlen(text)) == 0;
}

/* What is left over in a block or at the output belongs to another model: to pass over it would
 * change every number. The rest, such as tables that can be computed, is only named. */
static int check_unknown(const struct loader *l) {
    const struct gguf_tensor *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < l->g->n_tensors; i++) {
        const struct gguf_tensor *t = &l->g->tensors[i];
        if (l->used[i]) continue;
        if (starts(t->name, "blk.") || starts(t->name, "output"))
            return err_file(l->e, ERR_REFUSED, l->path,
                            "tensor \"%.*s\" is not part of GPT-2 with %zu blocks",
                            shown(t->name.n), t->name.s, l->layer);
        if (!n++) first = t;
    }
    if (!n || !l->warn) return OK;
    struct err text;
    err_file(&text, OK, l->path,
             "%zu tensor%s that GPT-2 does not have %s ignored, the first is \"%.*s\"", n,
             n == 1 ? "" : "s", n == 1 ? "is" : "are", shown(first->name.n), first->name.s);
    l->warn(text.msg);
    return OK;
}

/* ---- vocabulary ---- */

/* An array of the items' type and, where n is not 0, of n items; NULL where the key is absent. */
static int find_array(const struct loader *l, const char *key, enum gguf_type item, uint64_t n,
                      const struct gguf_kv **out) {
    const struct gguf_kv *kv = *out = gguf_find(l->g, key);
    if (!kv) return OK;
    if (kv->type != GGUF_ARRAY || kv->item != item)
        return err_file(l->e, ERR_REFUSED, l->path, "key \"%s\" is not an array of %s", key,
                        item == GGUF_STRING ? "strings" : "i32");
    if (n && kv->count != n)
        return err_file(l->e, ERR_REFUSED, l->path,
                        "%s has %llu items, expected %llu, one for each token", key,
                        (unsigned long long)kv->count, (unsigned long long)n);
    return OK;
}

/* llama.cpp's token types: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. Byte
 * tokens belong to another kind of tokenizer. */
static int read_token_kind(const struct loader *l, const struct gguf_kv *types, uint64_t id,
                           enum token_kind *kind) {
    static const enum token_kind kinds[] = {TOKEN_NORMAL, TOKEN_CONTROL, TOKEN_CONTROL, TOKEN_ADDED,
                                            TOKEN_UNUSED};
    int64_t type = types ? gguf_item(types, id) : 1;
    if (type < 1 || type > 5)
        return err_file(l->e, ERR_REFUSED, l->path, "token %llu has type %lld, expected 1 to 5",
                        (unsigned long long)id, (long long)type);
    *kind = kinds[type - 1];
    return OK;
}

/* The name that llama.cpp's converter, and gguf_save.c, give to a row without a token. */
static bool is_padding(struct gguf_str s, uint64_t id) {
    char name[32];
    snprintf(name, sizeof name, "[PAD%llu]", (unsigned long long)id);
    return equals(s, name);
}

/* How texts are searched for tokens, which only this program's files tell: bits beyond those of the
 * token types. */
static int read_matches(const struct loader *l, struct vocab_builder *b) {
    const uint32_t bits =
        MATCH_TEXT | MATCH_SPECIAL | MATCH_SINGLE_WORD | MATCH_LSTRIP | MATCH_RSTRIP | MATCH_LATER;
    const struct gguf_kv *matches;
    int rc = find_array(l, GGUF_TOKEN_MATCH, GGUF_I32, b->n, &matches);
    for (uint32_t id = 0; !rc && matches && id < b->n; id++) {
        int64_t x = gguf_item(matches, id);
        if (x < 0 || (x & ~(int64_t)bits))
            return err_file(l->e, ERR_REFUSED, l->path,
                            "%s of token %lu is %lld, which is not known", GGUF_TOKEN_MATCH,
                            (unsigned long)id, (long long)x);
        b->match[id] = (uint8_t)x;
    }
    return rc;
}

static int read_tokens(const struct loader *l, const struct gguf_kv *tokens,
                       struct vocab_builder *b) {
    const struct gguf_kv *types;
    int rc = find_array(l, "tokenizer.ggml.token_type", GGUF_I32, tokens->count, &types);
    const uint8_t *p = tokens->data;
    for (uint64_t id = 0; !rc && id < tokens->count; id++) {
        struct gguf_str s = gguf_next_string(&p);
        enum token_kind kind = TOKEN_NORMAL;
        rc = read_token_kind(l, types, id, &kind);
        if (kind != TOKEN_NORMAL && is_padding(s, id)) kind = TOKEN_PADDING;
        if (!rc) rc = vocab_builder_set_spelled(b, (size_t)id, s.s, s.n, kind, l->e);
    }
    return rc ? rc : read_matches(l, b);
}

static int read_merges(const struct loader *l, const struct gguf_kv *merges,
                       struct vocab_builder *b) {
    int rc = OK;
    const uint8_t *p = merges->data;
    for (uint64_t i = 0; !rc && i < merges->count; i++) {
        struct gguf_str s = gguf_next_string(&p);
        rc = vocab_builder_merge_line(b, s.s, s.n, l->e);
    }
    return rc;
}

static int read_special(const struct loader *l, const char *key, int64_t *id) {
    uint64_t x = 0;
    *id = -1;
    if (!gguf_find(l->g, key)) return OK;
    int rc = gguf_uint(l->g, key, &x, l->e);
    *id = x > INT32_MAX ? INT32_MAX : (int64_t)x; /* either is out of range */
    return rc;
}

/* What a text is cut and joined by, and what stands in front of it. */
static int read_rules(const struct loader *l, struct vocab_builder *b, struct vocab *v) {
    bool add_bos = false, add_eos = false, use_regex = true, ignore_merges = false;
    int rc = read_bool(l, "tokenizer.ggml.add_bos_token", &add_bos);
    if (!rc) rc = read_bool(l, "tokenizer.ggml.add_eos_token", &add_eos);
    if (!rc) rc = read_bool(l, GGUF_USE_REGEX, &use_regex);
    if (!rc) rc = read_bool(l, GGUF_IGNORE_MERGES, &ignore_merges);
    if (rc) return rc;
    if (add_bos && v->bos < 0)
        vocab_builder_warn(b, "add_bos_token is true, but no token is named to begin a text with");
    if (add_eos)
        vocab_builder_warn(
            b, "add_eos_token is true: no token is added behind a text, which is to go on");
    v->add_bos = add_bos && v->bos >= 0;
    v->whole_text = !use_regex;
    v->ignore_merges = ignore_merges;
    vocab_builder_warnings(b, v);
    return OK;
}

/* Sum of the lengths of an array of strings. */
static size_t strings_bytes(const struct gguf_kv *kv) {
    size_t sum = 0;
    const uint8_t *p = kv->data;
    for (uint64_t i = 0; i < kv->count; i++) sum += gguf_next_string(&p).n;
    return sum;
}

static int check_tokenizer_kind(const struct loader *l, struct gguf_str model) {
    if (!equals(model, "gpt2"))
        return err_file(l->e, ERR_REFUSED, l->path,
                        "tokenizer.ggml.model is \"%.*s\", expected \"gpt2\"", shown(model.n),
                        model.s);
    struct gguf_str pre = {0};
    if (!gguf_find(l->g, "tokenizer.ggml.pre")) return OK;
    int rc = gguf_string(l->g, "tokenizer.ggml.pre", &pre, l->e);
    if (rc || equals(pre, "gpt-2") || equals(pre, "default")) return rc;
    return err_file(l->e, ERR_REFUSED, l->path,
                    "tokenizer.ggml.pre is \"%.*s\", expected \"gpt-2\" or \"default\"",
                    shown(pre.n), pre.s);
}

/* Leaves v->n = 0 where the file has no tokenizer. */
static int read_vocab(const struct loader *l, struct vocab *v) {
    struct gguf_str model = {0};
    const struct gguf_kv *tokens = NULL, *merges = NULL;
    *v = (struct vocab){.bos = -1, .eos = -1};
    if (!gguf_find(l->g, "tokenizer.ggml.model")) return OK;
    int rc = gguf_string(l->g, "tokenizer.ggml.model", &model, l->e);
    if (rc || equals(model, "none") || equals(model, "no_vocab")) return rc;
    rc = check_tokenizer_kind(l, model);
    if (!rc) rc = find_array(l, "tokenizer.ggml.tokens", GGUF_STRING, 0, &tokens);
    if (!rc) rc = find_array(l, "tokenizer.ggml.merges", GGUF_STRING, 0, &merges);
    if (rc) return rc;
    if (!tokens)
        return err_file(l->e, ERR_REFUSED, l->path, "key \"tokenizer.ggml.tokens\" is missing");
    if (!merges)
        return err_file(l->e, ERR_REFUSED, l->path, "key \"tokenizer.ggml.merges\" is missing");
    int64_t bos, eos;
    rc = read_special(l, "tokenizer.ggml.bos_token_id", &bos);
    if (!rc) rc = read_special(l, "tokenizer.ggml.eos_token_id", &eos);
    if (rc) return rc;
    struct vocab_builder b;
    rc = vocab_builder_init(&b, l->path, (size_t)tokens->count, strings_bytes(tokens),
                            (size_t)merges->count, l->arena, l->e);
    if (!rc) rc = read_tokens(l, tokens, &b);
    if (!rc) rc = read_merges(l, merges, &b);
    if (!rc) rc = vocab_builder_finish(&b, v, bos, eos, l->e);
    if (!rc) rc = read_rules(l, &b, v);
    vocab_builder_free(&b);
    return rc;
}

/* ---- the two entries ---- */

/* general.name, else the file's name without folder and ending. */
static const char *model_name(const struct gguf *g, const char *path, struct arena *a) {
    const struct gguf_kv *kv = gguf_find(g, "general.name");
    struct gguf_str s = {path_base(path), 0};
    const char *dot = strrchr(s.s, '.');
    s.n = dot && dot != s.s ? (size_t)(dot - s.s) : strlen(s.s);
    if (kv && kv->type == GGUF_STRING) {
        const uint8_t *p = kv->data;
        s = gguf_next_string(&p);
    }
    return arena_copy(a, s.s, s.n);
}

/* "GGUF v3", or "GGUF v3, 3 files" */
static const char *format_name(const struct gguf *g, struct arena *a) {
    char text[64];
    int n = snprintf(text, sizeof text, "GGUF v%lu", (unsigned long)g->version);
    if (g->n_parts)
        n = snprintf(text + n, sizeof text - (size_t)n, ", %zu files", g->n_parts + 1) + n;
    return arena_copy(a, text, (size_t)n);
}

/* The maps, which the weights point into, become the checkpoint's. */
static void take_maps(struct checkpoint *c, const struct gguf *g) {
    c->file = g->file;
    c->parts = g->parts;
    c->n_parts = g->n_parts;
    c->file_bytes = g->file.size;
    for (size_t i = 0; i < g->n_parts; i++) c->file_bytes += g->parts[i].size;
}

int gguf_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e) {
    struct gguf g;
    int rc = gguf_open(&g, path, e);
    if (rc) return rc;
    c->path = path;
    rc = gguf_join_parts(&g, &c->arena, e);
    take_maps(c, &g);
    if (!rc) rc = checkpoint_add_file(c, path, g.n_parts + 1, e);
    for (size_t i = 0; !rc && i < g.n_parts; i++)
        rc = checkpoint_add_file(c, g.parts[i].path, g.n_parts + 1, e);
    c->format = format_name(&g, &c->arena);
    c->name = model_name(&g, path, &c->arena);
    struct loader l = {.g = &g, .path = path, .arena = &c->arena, .warn = warn, .e = e};
    l.used = arena_zalloc(&g.arena, g.n_tensors, 1);
    if (!rc) rc = c->format && c->name && l.used ? OK : no_memory(&l);
    if (!rc) rc = read_config(&l, &c->weights.config);
    if (!rc) rc = find_biases(&l, &c->weights.config);
    if (!rc) rc = take_weights(&l, &c->weights);
    c->weights.no_biases = l.no_biases;
    if (!rc) rc = read_vocab(&l, &c->vocab);
    if (!rc) rc = vocab_check(&c->vocab, c->weights.config.n_vocab, path, warn, e);
    if (!rc) rc = check_unknown(&l);
    arena_free(&g.arena); /* the maps stay */
    return rc;
}

int gguf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e) {
    struct gguf g;
    int rc = gguf_open(&g, path, e);
    if (rc) return rc;
    struct loader l = {.g = &g, .path = path, .arena = a, .e = e};
    rc = read_vocab(&l, v);
    if (!rc && v->n == 0) rc = err_file(e, ERR_REFUSED, path, "the file has no tokenizer");
    gguf_close(&g);
    return rc;
}
