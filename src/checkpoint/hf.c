/* GPT-2 as Hugging Face saves it: model.safetensors with config.json beside it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/threads.h"
#include "checkpoint/hf_config.h"
#include "checkpoint/hf_names.h"
#include "checkpoint/loaders.h"
#include "checkpoint/safetensors.h"

/* What a model may take in memory beyond the size of its file. Only norms and biases grow, and
 * GPT-2 XL has 2 MB of them. */
enum { EXTRA_BYTES = 14 << 20 };

struct loader {
    struct checkpoint *c;
    struct safetensors st;
    struct hf_names names;
    uint8_t *used; /* [st.n] */
};

/* The name of a tensor, by value. */
struct name {
    char s[ST_MAX_NAME + 64];
};

static struct name layer_name(const struct loader *ld, size_t i, const char *part) {
    struct name n;
    snprintf(n.s, sizeof n.s, "%sh.%zu.%s", ld->names.prefix, i, part);
    return n;
}

static struct name model_name(const struct loader *ld, const char *part) {
    struct name n;
    snprintf(n.s, sizeof n.s, "%s%s", ld->names.prefix, part);
    return n;
}

/* "[768,2304]" into out. */
static const char *shape_text(unsigned rank, const uint64_t *shape, char out[128]) {
    size_t at = 0;
    out[at++] = '[';
    for (unsigned i = 0; i < rank && at < 100; i++)
        at += (size_t)snprintf(out + at, 128 - at, "%s%llu", i ? "," : "",
                               (unsigned long long)shape[i]);
    snprintf(out + at, 128 - at, "]");
    return out;
}

/* A tensor must have the shape [rows][cols] (cols 0: [rows]) and a type that the engine knows; it
 * is ticked off. */
static int use(struct loader *ld, const struct st_tensor *t, size_t rows, size_t cols,
               struct err *e) {
    const char *path = ld->st.file.path, *name = t->name;
    uint64_t want[2] = {rows, cols};
    unsigned rank = cols ? 2 : 1;
    if (t->rank != rank || memcmp(t->shape, want, rank * sizeof *want) != 0) {
        char got_text[128], want_text[128];
        return err_file(e, ERR_REFUSED, path, "tensor %s: shape %s, expected %s", name,
                        shape_text(t->rank, t->shape, got_text), shape_text(rank, want, want_text));
    }
    if (t->type < 0)
        return err_file(e, ERR_REFUSED, path, "tensor %s: type %s, expected F32, F16 or BF16", name,
                        t->dtype);
    ld->used[t - ld->st.tensors] = 1;
    return OK;
}

/* Finds and uses a tensor. */
static int take(struct loader *ld, const char *name, size_t rows, size_t cols,
                const struct st_tensor **out, struct err *e) {
    *out = safetensors_find(&ld->st, name);
    return *out ? use(ld, *out, rows, cols, e) : hf_missing(&ld->st, name, e);
}

/* Room for a tensor in the engine, held to the bound on memory. */
static int make_room(struct loader *ld, const char *name, size_t bytes, void **out, struct err *e) {
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    size_t taken = ld->c->arena.bytes + ld->st.arena.bytes, most = ld->st.file.size + EXTRA_BYTES;
    if (taken > most || bytes > most - taken)
        return err_file(e, ERR_REFUSED, ld->st.file.path,
                        "tensor %s: with norms and biases as float32 the model is too much larger "
                        "than its file",
                        name);
    *out = arena_alloc(&ld->c->arena, bytes, 1);
    return *out ? OK : err_file(e, ERR_FAILED, ld->st.file.path, "no memory for tensor %s", name);
}

/* A bias or a norm's weight [n], as float32. */
static int take_vector(struct loader *ld, struct name name, size_t n, const float **out,
                       struct err *e) {
    const struct st_tensor *t;
    int rc = take(ld, name.s, n, 0, &t, e);
    if (rc) return rc;
    void *room;
    rc = make_room(ld, name.s, n * sizeof(float), &room, e);
    if (rc) return rc;
    float *y = room;
    *out = y;
    if (t->type == DTYPE_F32) {
        memcpy(y, t->data, t->bytes);
        return OK;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, t->data + 2 * i, 2);
        y[i] = t->type == DTYPE_F16 ? f16_to_f32(h) : bf16_to_f32(h);
    }
    return OK;
}

/* A matrix [rows][cols] as it is stored. */
static int use_matrix(struct loader *ld, const struct st_tensor *t, size_t rows, size_t cols,
                      struct matrix *m, struct err *e) {
    int rc = use(ld, t, rows, cols, e);
    if (rc) return rc;
    void *data;
    rc = make_room(ld, t->name, t->bytes, &data, e);
    if (rc) return rc;
    memcpy(data, t->data, t->bytes);
    *m = (struct matrix){data, (enum dtype)t->type, rows, cols};
    return OK;
}

struct transpose {
    uint8_t *dst;       /* [out][in] */
    const uint8_t *src; /* [in][out], not aligned */
    size_t in, out;
    size_t item; /* bytes */
};

enum { TILE = 32 }; /* rows and columns of a tile that stays in the first-level cache */

static inline void transpose_tile(const struct transpose *t, size_t item, size_t o0, size_t i0) {
    size_t o1 = o0 + TILE < t->out ? o0 + TILE : t->out, i1 = i0 + TILE < t->in ? i0 + TILE : t->in;
    for (size_t o = o0; o < o1; o++)
        for (size_t i = i0; i < i1; i++)
            memcpy(t->dst + (o * t->in + i) * item, t->src + (i * t->out + o) * item, item);
}

static void transpose_tiles(void *ctx, size_t begin, size_t end, int thread) {
    const struct transpose *t = ctx;
    (void)thread;
    for (size_t tile = begin; tile < end && !interrupt_pending(); tile++)
        for (size_t i = 0; i < t->in; i += TILE) {
            if (t->item == 4)
                transpose_tile(t, 4, tile * TILE, i);
            else
                transpose_tile(t, 2, tile * TILE, i);
        }
}

/* A Conv1D's weight: [in][out] in the file, [out][in] in the engine. */
static int take_conv1d(struct loader *ld, struct name name, size_t in, size_t out, struct matrix *m,
                       struct err *e) {
    const struct st_tensor *t;
    int rc = take(ld, name.s, in, out, &t, e);
    if (rc) return rc;
    void *data;
    rc = make_room(ld, name.s, t->bytes, &data, e);
    if (rc) return rc;
    struct transpose tr = {data, t->data, in, out, dtype_bytes((enum dtype)t->type, 1)};
    threads_ranges((out + TILE - 1) / TILE, transpose_tiles, &tr);
    *m = (struct matrix){data, (enum dtype)t->type, out, in};
    return OK;
}

static int load_layer(struct loader *ld, size_t i, struct gpt2_layer *l, struct err *e) {
    size_t C = ld->c->weights.config.n_embd, F = ld->c->weights.config.n_inner;
    int rc = take_vector(ld, layer_name(ld, i, "ln_1.weight"), C, &l->ln1_w, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "ln_1.bias"), C, &l->ln1_b, e);
    if (!rc) rc = take_conv1d(ld, layer_name(ld, i, "attn.c_attn.weight"), C, 3 * C, &l->qkv, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "attn.c_attn.bias"), 3 * C, &l->qkv_b, e);
    if (!rc) rc = take_conv1d(ld, layer_name(ld, i, "attn.c_proj.weight"), C, C, &l->proj, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "attn.c_proj.bias"), C, &l->proj_b, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "ln_2.weight"), C, &l->ln2_w, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "ln_2.bias"), C, &l->ln2_b, e);
    if (!rc) rc = take_conv1d(ld, layer_name(ld, i, "mlp.c_fc.weight"), C, F, &l->fc, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "mlp.c_fc.bias"), F, &l->fc_b, e);
    if (!rc) rc = take_conv1d(ld, layer_name(ld, i, "mlp.c_proj.weight"), F, C, &l->fcproj, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "mlp.c_proj.bias"), C, &l->fcproj_b, e);
    return rc;
}

/* lm_head.weight counts only where it is there and differs from wte. */
static int load_head(struct loader *ld, const struct hf_config *hf, warn_fn warn, struct err *e) {
    struct gpt2_weights *w = &ld->c->weights;
    const struct st_tensor *wte = ld->names.wte, *head = ld->names.head;
    w->tied = true;
    w->head = w->wte;
    if (head == wte) return OK;
    if (!head)
        return hf->untied ? hf_missing(&ld->st, "lm_head.weight (tie_word_embeddings is false)", e)
                          : OK;
    int rc = use(ld, head, w->config.n_vocab, w->config.n_embd, e);
    if (rc) return rc;
    if (head->type == wte->type && memcmp(head->data, wte->data, wte->bytes) == 0) return OK;
    w->tied = false;
    if (hf->tied && warn)
        warn("lm_head.weight differs from wte.weight although tie_word_embeddings is true; using "
             "lm_head.weight");
    return use_matrix(ld, head, w->config.n_vocab, w->config.n_embd, &w->head, e);
}

static int load_weights(struct loader *ld, const struct hf_config *hf, warn_fn warn,
                        struct err *e) {
    struct gpt2_weights *w = &ld->c->weights;
    const struct gpt2_config *g = &w->config;
    w->layers = arena_zalloc(&ld->c->arena, g->n_layer, sizeof *w->layers);
    if (!w->layers)
        return err_file(e, ERR_FAILED, ld->st.file.path, "no memory for %zu layers", g->n_layer);
    const struct st_tensor *wpe =
        safetensors_find(&ld->st, model_name(ld, "wpe.weight").s); /* find_config has seen it */
    int rc = use_matrix(ld, ld->names.wte, g->n_vocab, g->n_embd, &w->wte, e);
    if (!rc) rc = use_matrix(ld, wpe, g->n_ctx, g->n_embd, &w->wpe, e);
    for (size_t i = 0; !rc && i < g->n_layer; i++) rc = load_layer(ld, i, &w->layers[i], e);
    if (!rc) rc = take_vector(ld, model_name(ld, "ln_f.weight"), g->n_embd, &w->lnf_w, e);
    if (!rc) rc = take_vector(ld, model_name(ld, "ln_f.bias"), g->n_embd, &w->lnf_b, e);
    return rc ? rc : load_head(ld, hf, warn, e);
}

/* h.i.attn.bias and h.i.attn.masked_bias of a layer that exists: the causal mask, saved as if it
 * were a weight. */
static bool is_mask(const struct loader *ld, const char *name) {
    size_t n = strlen(ld->names.prefix), i = 0;
    if (strncmp(name, ld->names.prefix, n) != 0 || strncmp(name + n, "h.", 2) != 0) return false;
    const char *p = name + n + 2;
    for (; *p >= '0' && *p <= '9'; p++) {
        i = i * 10 + (size_t)(*p - '0');
        if (i >= ld->c->weights.config.n_layer) return false;
    }
    return strcmp(p, ".attn.bias") == 0 || strcmp(p, ".attn.masked_bias") == 0;
}

/* Says which heads of other tasks are left out. */
static void warn_heads(const struct loader *ld, warn_fn warn) {
    char names[HF_LISTED];
    size_t n = hf_list_names(&ld->st, hf_is_other_head, names);
    if (!n || !warn) return;
    struct err said;
    err_file(&said, OK, ld->st.file.path, "ignored, as heads for other tasks: %s", names);
    warn(said.msg);
}

/* What is left over must not change the model's output. */
static int check_leftovers(const struct loader *ld, struct err *e) {
    for (size_t i = 0; i < ld->st.n; i++) {
        const struct st_tensor *t = &ld->st.tensors[i];
        if (!ld->used[i] && !is_mask(ld, t->name) && !hf_is_other_head(t))
            return err_file(e, ERR_REFUSED, ld->st.file.path,
                            "tensor %s is not part of GPT-2 with %zu layers", t->name,
                            ld->c->weights.config.n_layer);
    }
    return OK;
}

/* Dimension `axis` of a matrix, or 0 where it is none: the check of its shape then says what is
 * wrong. */
static uint64_t dimension(const struct st_tensor *t, unsigned axis) {
    return t->rank == 2 ? t->shape[axis] : 0;
}

static uint64_t count_layers(const struct loader *ld) {
    size_t n = 0;
    while (safetensors_find(&ld->st, layer_name(ld, n, "ln_1.weight").s)) n++;
    return n;
}

/* The tensors of 4 heads of 32 are those of 2 heads of 64: a number that is nowhere cannot be
 * guessed. */
static int no_heads(const struct hf_config *hf, const char *config_path, const char *path,
                    struct err *e) {
    if (hf->found)
        return err_file(
            e, ERR_REFUSED, config_path,
            "does not give the number of heads, which the tensors do not tell: expected n_head or "
            "num_attention_heads");
    return err_file(
        e, ERR_REFUSED, path,
        "the tensors do not tell the number of heads: put the model's config.json beside it");
}

static void warn_old_context(const struct hf_config *hf, const char *config_path, warn_fn warn) {
    const uint64_t positions = hf_config_size(hf, CONFIG_n_ctx);
    if (hf->n_ctx == HF_ABSENT || hf->n_ctx == positions || !warn) return;
    struct err said;
    err_file(&said, OK, config_path,
             "n_ctx is %llu and n_positions is %llu; taking n_positions, which the tensors must "
             "agree with",
             (unsigned long long)hf->n_ctx, (unsigned long long)positions);
    warn(said.msg);
}

/* What does not fit becomes too large for gpt2_config_check. */
static size_t to_size(uint64_t x) { return x > SIZE_MAX ? SIZE_MAX : (size_t)x; }

/* A size that config.json does not give, from the shapes of tensors and from the sizes before it in
 * the list; 0 where they do not tell. */
static uint64_t from_tensors(const struct loader *ld, size_t field, const struct st_tensor *wpe) {
    const size_t C = ld->c->weights.config.n_embd;
    switch (field) {
    case CONFIG_n_layer: return count_layers(ld);
    case CONFIG_n_embd: return dimension(ld->names.wte, 1);
    case CONFIG_n_inner: return C < SIZE_MAX / 4 ? 4 * C : SIZE_MAX;
    case CONFIG_n_ctx: return dimension(wpe, 0);
    case CONFIG_n_vocab: return dimension(ld->names.wte, 0);
    default: return 0;
    }
}

/* What config.json says, and for what it does not say, what the shapes say. */
static int find_config(struct loader *ld, const struct hf_config *hf, const char *config_path,
                       warn_fn warn, struct err *e) {
    struct gpt2_config *g = &ld->c->weights.config;
    const char *path = ld->st.file.path;
    const struct name wpe_name = model_name(ld, "wpe.weight");
    const struct st_tensor *wpe = safetensors_find(&ld->st, wpe_name.s);
    if (!wpe) return hf_missing(&ld->st, wpe_name.s, e);
    if (hf_config_size(hf, CONFIG_n_head) == HF_ABSENT) return no_heads(hf, config_path, path, e);
    warn_old_context(hf, config_path, warn);
    hf_config_take(hf, g);
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        if (gpt2_fields[i].kind != CONFIG_SIZE) continue;
        uint64_t x = hf_config_size(hf, (enum config_number)i);
        config_set_size(g, &gpt2_fields[i], to_size(x != HF_ABSENT ? x : from_tensors(ld, i, wpe)));
    }
    int rc = gpt2_config_check(g, config_path, e);
    if (rc) return rc;
    if (g->n_layer >
        ld->st.n / 4) /* 12 each: nothing large is allocated for layers that are not there */
        return err_file(e, ERR_REFUSED, path, "has %zu tensors, too few for %zu layers", ld->st.n,
                        g->n_layer);
    return OK;
}

static int load(struct loader *ld, const char *path, warn_fn warn, struct err *e) {
    struct arena *scratch = &ld->st.arena;
    const char *folder = path_folder(scratch, path),
               *config_path = folder ? path_join(scratch, folder, "config.json") : NULL;
    ld->used = arena_zalloc(scratch, ld->st.n, 1);
    if (!config_path || !ld->used) return err_file(e, ERR_FAILED, path, "no memory");
    struct hf_config hf;
    int rc = hf_config_read(&hf, config_path, e);
    if (!rc) rc = hf_config_check(&hf, config_path, e);
    if (!rc) rc = hf_find_names(&ld->names, &ld->st, hf.untied, e);
    if (!rc) rc = find_config(ld, &hf, config_path, warn, e);
    if (!rc) rc = load_weights(ld, &hf, warn, e);
    if (!rc) rc = check_leftovers(ld, e);
    if (!rc) warn_heads(ld, warn);
    if (!rc && interrupt_pending())
        rc = err_set(e, ERR_INTERRUPTED, "interrupted"); /* in a matrix */
    return rc;
}

int hf_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e) {
    struct loader ld = {.c = c};
    int rc = safetensors_open(&ld.st, path, e);
    if (rc) return rc;
    c->format = "safetensors";
    c->weights.hf_names = true;
    c->file_bytes = ld.st.file.size;
    rc = load(&ld, path, warn, e);
    safetensors_close(&ld.st);
    return rc;
}
