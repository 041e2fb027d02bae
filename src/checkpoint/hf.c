/* GPT-2 from files that name its tensors: as Hugging Face saves it, in safetensors or in PyTorch's
 * form, with config.json beside it; and nanoGPT's checkpoints. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/threads.h"
#include "checkpoint/hf_config.h"
#include "checkpoint/hf_names.h"
#include "checkpoint/loaders.h"
#include "checkpoint/named.h"

/* What a model may take in memory beyond the size of its file. Only norms and biases grow, and
 * GPT-2 XL has 2 MB of them. */
enum { EXTRA_BYTES = 14 << 20 };

struct loader {
    struct checkpoint *c;
    struct named_set set;
    struct hf_names names;
    bool linear;        /* matrices are [out][in], as nanoGPT's nn.Linear has them, not [in][out] */
    bool no_biases;     /* of no norm and no matrix */
    const float *zeros; /* [the most that a bias has] where there are no biases */
    uint8_t *used;      /* [set.n] */
};

/* The name of a tensor, by value. */
struct name {
    char s[NAMED_MAX_NAME + 64];
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
static int use(struct loader *ld, const struct named_tensor *t, size_t rows, size_t cols,
               struct err *e) {
    const char *path = t->path, *name = t->name;
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
    ld->used[t->number] = 1;
    return OK;
}

/* Finds and uses a tensor. */
static int take(struct loader *ld, const char *name, size_t rows, size_t cols,
                const struct named_tensor **out, struct err *e) {
    *out = named_find(&ld->set, name);
    return *out ? use(ld, *out, rows, cols, e) : hf_missing(&ld->set, name, e);
}

/* Room for a tensor in the engine, held to the bound on memory. */
static int make_room(struct loader *ld, const char *name, size_t bytes, void **out, struct err *e) {
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    size_t taken = ld->c->arena.bytes, most = ld->set.bytes + EXTRA_BYTES;
    for (size_t i = 0; i < ld->set.n_files; i++) taken += ld->set.files[i].arena.bytes;
    if (taken > most || bytes > most - taken)
        return err_file(e, ERR_REFUSED, ld->set.path,
                        "tensor %s: with norms and biases as float32 the model is too much larger "
                        "than its file",
                        name);
    *out = arena_alloc(&ld->c->arena, bytes, 1);
    return *out ? OK : err_file(e, ERR_FAILED, ld->set.path, "no memory for tensor %s", name);
}

/* Numbers from one element to the next along a dimension of a tensor of one or two. */
static size_t stride(const struct named_tensor *t, unsigned axis) {
    if (t->stride) return (size_t)t->stride[axis];
    return axis + 1 < t->rank ? (size_t)t->shape[axis + 1] : 1;
}

/* A norm's weight or a bias [n], as float32. */
static int take_vector(struct loader *ld, struct name name, size_t n, const float **out,
                       struct err *e) {
    const struct named_tensor *t;
    int rc = take(ld, name.s, n, 0, &t, e);
    if (rc) return rc;
    void *room;
    rc = make_room(ld, name.s, n * sizeof(float), &room, e);
    if (rc) return rc;
    float *y = room;
    *out = y;
    const size_t item = dtype_bytes((enum dtype)t->type, 1), step = stride(t, 0) * item;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(t->type == DTYPE_F32 ? (void *)&y[i] : (void *)&h, t->data + i * step, item);
        if (t->type != DTYPE_F32) y[i] = t->type == DTYPE_F16 ? f16_to_f32(h) : bf16_to_f32(h);
    }
    return OK;
}

static int take_bias(struct loader *ld, struct name name, size_t n, const float **out,
                     struct err *e) {
    if (!ld->no_biases) return take_vector(ld, name, n, out, e);
    *out = ld->zeros;
    return OK;
}

/* dst[rows][cols] without gaps, from numbers that lie row_step and col_step bytes apart. */
struct copy {
    uint8_t *dst;
    const uint8_t *src; /* not aligned */
    size_t rows, cols, row_step, col_step;
    size_t item; /* bytes */
};

enum { TILE = 32 }; /* rows and columns of a tile that stays in the first-level cache */

static inline void copy_tile(const struct copy *t, size_t item, size_t r0, size_t c0) {
    size_t r1 = r0 + TILE < t->rows ? r0 + TILE : t->rows,
           c1 = c0 + TILE < t->cols ? c0 + TILE : t->cols;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1; c++)
            memcpy(t->dst + (r * t->cols + c) * item, t->src + r * t->row_step + c * t->col_step,
                   item);
}

static void copy_tiles(void *ctx, size_t begin, size_t end, int thread) {
    const struct copy *t = ctx;
    (void)thread;
    for (size_t tile = begin; tile < end && !interrupt_pending(); tile++)
        for (size_t c = 0; c < t->cols; c += TILE) {
            if (t->item == 4)
                copy_tile(t, 4, tile * TILE, c);
            else
                copy_tile(t, 2, tile * TILE, c);
        }
}

/* A checked tensor as the matrix m, which gets memory of its own. turned: [cols][rows] in the
 * file. */
static int copy_matrix(struct loader *ld, const struct named_tensor *t, bool turned,
                       struct matrix *m, struct err *e) {
    void *data;
    int rc = make_room(ld, t->name, t->bytes, &data, e);
    if (rc) return rc;
    const size_t item = dtype_bytes((enum dtype)t->type, 1);
    *m = (struct matrix){data, (enum dtype)t->type, (size_t)t->shape[turned],
                         (size_t)t->shape[!turned]};
    struct copy c = {
        data, t->data, m->rows, m->cols, stride(t, turned) * item, stride(t, !turned) * item, item};
    if (c.col_step == item && c.row_step == m->cols * item)
        memcpy(data, t->data, t->bytes);
    else
        threads_ranges((m->rows + TILE - 1) / TILE, copy_tiles, &c);
    return OK;
}

/* A matrix [rows][cols] as it is stored. */
static int use_matrix(struct loader *ld, const struct named_tensor *t, size_t rows, size_t cols,
                      struct matrix *m, struct err *e) {
    int rc = use(ld, t, rows, cols, e);
    return rc ? rc : copy_matrix(ld, t, false, m, e);
}

/* The weight of a layer that makes `out` numbers of `in`: [in][out] in a Conv1D, [out][in] in the
 * engine. */
static int take_linear(struct loader *ld, struct name name, size_t in, size_t out, struct matrix *m,
                       struct err *e) {
    const struct named_tensor *t;
    int rc = ld->linear ? take(ld, name.s, out, in, &t, e) : take(ld, name.s, in, out, &t, e);
    return rc ? rc : copy_matrix(ld, t, !ld->linear, m, e);
}

static int load_layer(struct loader *ld, size_t i, struct gpt2_layer *l, struct err *e) {
    size_t C = ld->c->weights.config.n_embd, F = ld->c->weights.config.n_inner;
    int rc = take_vector(ld, layer_name(ld, i, "ln_1.weight"), C, &l->ln1_w, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "ln_1.bias"), C, &l->ln1_b, e);
    if (!rc) rc = take_linear(ld, layer_name(ld, i, "attn.c_attn.weight"), C, 3 * C, &l->qkv, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "attn.c_attn.bias"), 3 * C, &l->qkv_b, e);
    if (!rc) rc = take_linear(ld, layer_name(ld, i, "attn.c_proj.weight"), C, C, &l->proj, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "attn.c_proj.bias"), C, &l->proj_b, e);
    if (!rc) rc = take_vector(ld, layer_name(ld, i, "ln_2.weight"), C, &l->ln2_w, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "ln_2.bias"), C, &l->ln2_b, e);
    if (!rc) rc = take_linear(ld, layer_name(ld, i, "mlp.c_fc.weight"), C, F, &l->fc, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "mlp.c_fc.bias"), F, &l->fc_b, e);
    if (!rc) rc = take_linear(ld, layer_name(ld, i, "mlp.c_proj.weight"), F, C, &l->fcproj, e);
    if (!rc) rc = take_bias(ld, layer_name(ld, i, "mlp.c_proj.bias"), C, &l->fcproj_b, e);
    return rc;
}

/* Do two matrices of one shape hold the same? */
static bool same_numbers(const struct named_tensor *a, const struct named_tensor *b) {
    if (a->type != b->type) return false;
    const size_t item = dtype_bytes((enum dtype)a->type, 1),
                 steps[2][2] = {{stride(a, 0) * item, stride(a, 1) * item},
                                {stride(b, 0) * item, stride(b, 1) * item}};
    if (memcmp(steps[0], steps[1], sizeof *steps) == 0 && a->data == b->data) return true;
    const bool whole_rows = steps[0][1] == item && steps[1][1] == item;
    const size_t cols = (size_t)a->shape[1], bytes = whole_rows ? cols * item : item;
    for (size_t r = 0; r < a->shape[0]; r++)
        for (size_t c = 0; c < (whole_rows ? 1 : cols); c++)
            if (memcmp(a->data + r * steps[0][0] + c * steps[0][1],
                       b->data + r * steps[1][0] + c * steps[1][1], bytes) != 0)
                return false;
    return true;
}

/* lm_head.weight counts only where it is there and differs from wte. */
static int load_head(struct loader *ld, const struct hf_config *hf, warn_fn warn, struct err *e) {
    struct gpt2_weights *w = &ld->c->weights;
    const struct named_tensor *wte = ld->names.wte, *head = ld->names.head;
    w->tied = true;
    w->head = w->wte;
    if (head == wte) return OK;
    if (!head)
        return hf->untied ? hf_missing(&ld->set, "lm_head.weight (tie_word_embeddings is false)", e)
                          : OK;
    int rc = use(ld, head, w->config.n_vocab, w->config.n_embd, e);
    if (rc) return rc;
    if (same_numbers(head, wte)) return OK;
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
        return err_file(e, ERR_FAILED, ld->set.path, "no memory for %zu layers", g->n_layer);
    const struct named_tensor *wpe =
        named_find(&ld->set, model_name(ld, "wpe.weight").s); /* find_config has seen it */
    int rc = use_matrix(ld, ld->names.wte, g->n_vocab, g->n_embd, &w->wte, e);
    if (!rc) rc = use_matrix(ld, wpe, g->n_ctx, g->n_embd, &w->wpe, e);
    for (size_t i = 0; !rc && i < g->n_layer; i++) rc = load_layer(ld, i, &w->layers[i], e);
    if (!rc) rc = take_vector(ld, model_name(ld, "ln_f.weight"), g->n_embd, &w->lnf_w, e);
    if (!rc) rc = take_bias(ld, model_name(ld, "ln_f.bias"), g->n_embd, &w->lnf_b, e);
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
    size_t n = hf_list_names(&ld->set, hf_is_other_head, names);
    if (!n || !warn) return;
    struct err said;
    err_file(&said, OK, ld->set.path, "ignored, as heads for other tasks: %s", names);
    warn(said.msg);
}

/* What is left over must not change the model's output. */
static int check_leftovers(const struct loader *ld, struct err *e) {
    for (size_t i = 0; i < ld->set.n; i++) {
        const struct named_tensor *t = named_at(&ld->set, i);
        if (!ld->used[i] && !is_mask(ld, t->name) && !hf_is_other_head(t))
            return err_file(e, ERR_REFUSED, t->path,
                            "tensor %s is not part of GPT-2 with %zu layers", t->name,
                            ld->c->weights.config.n_layer);
    }
    return OK;
}

/* Dimension `axis` of a matrix, or 0 where it is none: the check of its shape then says what is
 * wrong. */
static uint64_t dimension(const struct named_tensor *t, unsigned axis) {
    return t->rank == 2 ? t->shape[axis] : 0;
}

static uint64_t count_layers(const struct loader *ld) {
    size_t n = 0;
    while (named_find(&ld->set, layer_name(ld, n, "ln_1.weight").s)) n++;
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

/* A nanoGPT checkpoint without a config.json tells the sizes itself. Its activation it does not
 * tell: nanoGPT has computed the erf form since June 2023. */
static void take_args(const struct loader *ld, struct hf_config *hf, warn_fn warn) {
    const struct named_args *a = &ld->set.files->args;
    if (hf->found || !a->found) return;
    const uint64_t sizes[CONFIG_FIELDS] = {[CONFIG_n_layer] = a->n_layer,
                                           [CONFIG_n_head] = a->n_head,
                                           [CONFIG_n_embd] = a->n_embd,
                                           [CONFIG_n_ctx] = a->n_ctx,
                                           [CONFIG_n_vocab] = a->n_vocab};
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (sizes[i]) hf->field[i][HF_OWN].size = sizes[i];
    struct hf_value *activation = &hf->field[CONFIG_activation][HF_OWN];
    activation->given = true;
    strcpy(activation->text, "gelu");
    struct err said;
    err_file(
        &said, OK, ld->set.path,
        "a nanoGPT checkpoint, which does not name its activation: taking GELU in its erf form, "
        "as nanoGPT does since June 2023; for the tanh form put a config.json beside it");
    if (warn) warn(said.msg);
}

/* What does not fit becomes too large for gpt2_config_check. */
static size_t to_size(uint64_t x) { return x > SIZE_MAX ? SIZE_MAX : (size_t)x; }

/* A size that config.json does not give, from the shapes of tensors and from the sizes before it in
 * the list; 0 where they do not tell. */
static uint64_t from_tensors(const struct loader *ld, size_t field,
                             const struct named_tensor *wpe) {
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
    const char *path = ld->set.path;
    const struct name wpe_name = model_name(ld, "wpe.weight");
    const struct named_tensor *wpe = named_find(&ld->set, wpe_name.s);
    if (!wpe) return hf_missing(&ld->set, wpe_name.s, e);
    if (hf_config_size(hf, CONFIG_n_head) == HF_ABSENT) return no_heads(hf, config_path, path, e);
    warn_old_context(hf, config_path, warn);
    hf_config_take(hf, g);
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        if (gpt2_fields[i].kind != CONFIG_SIZE) continue;
        uint64_t x = hf_config_size(hf, (enum config_number)i);
        config_set_size(g, &gpt2_fields[i], to_size(x != HF_ABSENT ? x : from_tensors(ld, i, wpe)));
    }
    int rc = gpt2_config_check(g, hf->found ? config_path : path, e);
    if (rc) return rc;
    if (g->n_layer >
        ld->set.n / 4) /* 12 each: nothing large is allocated for layers that are not there */
        return err_file(e, ERR_REFUSED, path, "has %zu tensors, too few for %zu layers", ld->set.n,
                        g->n_layer);
    return OK;
}

/* nanoGPT's matrices are [3C][C] where GPT-2's are [C][3C]: the one that makes q, k and v is never
 * square. */
static bool is_linear(const struct loader *ld) {
    const size_t C = ld->c->weights.config.n_embd;
    const struct named_tensor *t = named_find(&ld->set, layer_name(ld, 0, "attn.c_attn.weight").s);
    return t && t->rank == 2 && t->shape[0] == 3 * C && t->shape[1] == C;
}

/* Models without biases have none at all; one that misses some of them is broken. */
static bool has_no_biases(const struct loader *ld) {
    static const char *const PARTS[] = {"ln_1.bias", "attn.c_attn.bias", "attn.c_proj.bias",
                                        "ln_2.bias", "mlp.c_fc.bias",    "mlp.c_proj.bias"};
    bool found = named_find(&ld->set, model_name(ld, "ln_f.bias").s) != NULL;
    for (size_t l = 0; !found && l < ld->c->weights.config.n_layer; l++)
        for (size_t i = 0; !found && i < sizeof PARTS / sizeof *PARTS; i++)
            found = named_find(&ld->set, layer_name(ld, l, PARTS[i]).s) != NULL;
    return !found;
}

static int find_form(struct loader *ld, struct err *e) {
    const struct gpt2_config *g = &ld->c->weights.config;
    ld->linear = is_linear(ld);
    ld->no_biases = ld->c->weights.no_biases = has_no_biases(ld);
    if (!ld->no_biases) return OK;
    const size_t most = g->n_inner > 3 * g->n_embd ? g->n_inner : 3 * g->n_embd;
    void *zeros;
    int rc = make_room(ld, "zeros for the biases", most * sizeof(float), &zeros, e);
    if (rc) return rc;
    ld->zeros = memset(zeros, 0, most * sizeof(float));
    return OK;
}

static int load(struct loader *ld, const char *path, warn_fn warn, struct err *e) {
    struct arena *scratch = &ld->set.arena;
    const char *folder = path_folder(scratch, path),
               *config_path = folder ? path_join(scratch, folder, "config.json") : NULL;
    ld->used = arena_zalloc(scratch, ld->set.n, 1);
    if (!config_path || !ld->used) return err_file(e, ERR_FAILED, path, "no memory");
    struct hf_config hf;
    int rc = hf_config_read(&hf, config_path, e);
    if (!rc) rc = hf_config_check(&hf, config_path, e);
    if (!rc) take_args(ld, &hf, warn);
    if (!rc) rc = hf_find_names(&ld->names, &ld->set, hf.untied, e);
    if (!rc) rc = find_config(ld, &hf, config_path, warn, e);
    if (!rc) rc = find_form(ld, e);
    if (!rc) rc = load_weights(ld, &hf, warn, e);
    if (!rc) rc = check_leftovers(ld, e);
    if (!rc) warn_heads(ld, warn);
    if (!rc && interrupt_pending())
        rc = err_set(e, ERR_INTERRUPTED, "interrupted"); /* in a matrix */
    return rc;
}

/* "safetensors", or "PyTorch, 2 files" */
static int set_format(struct checkpoint *c, const struct named_set *set, struct err *e) {
    char text[64];
    c->format = set->files->format;
    if (set->n_files == 1) return OK;
    int n = snprintf(text, sizeof text, "%s, %zu files", c->format, set->n_files);
    c->format = arena_copy(&c->arena, text, (size_t)n);
    return c->format ? OK : err_file(e, ERR_FAILED, set->path, "no memory");
}

int hf_load_model(struct checkpoint *c, const char *path, enum file_kind kind, warn_fn warn,
                  struct err *e) {
    struct loader ld = {.c = c};
    int rc = named_set_open(&ld.set, path, kind, e);
    if (rc) return rc;
    c->weights.hf_names = true;
    c->file_bytes = ld.set.bytes;
    rc = set_format(c, &ld.set, e);
    for (size_t i = 0; !rc && i < ld.set.n_files; i++)
        rc = checkpoint_add_file(c, ld.set.files[i].file.path, ld.set.n_files, e);
    if (!rc) rc = load(&ld, path, warn, e);
    named_set_close(&ld.set);
    return rc;
}
