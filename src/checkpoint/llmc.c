/* The files of llm.c (https://github.com/karpathy/llm.c): models and tokenizers. All
 * numbers are little-endian, and the header has 256 integers of 32 bits, unused ones 0:
 *
 *     model:      | 20240326 | version | T | V | L | H | C | Vp | 0 ... |
 *                 | wte [Vp][C] | wpe [T][C] |
 *                 | ln1w [L][C] | ln1b | qkvw [L][3C][C] | qkvb | projw | projb |
 *                 | ln2w | ln2b | fcw [L][4C][C] | fcb | fcprojw [L][C][4C] | fcprojb |
 *                 | lnfw [C] | lnfb [C] |
 *     tokenizer:  | 20240328 | version | V | end of text | 0 ... |
 *                 | u8 n | n bytes |          for each token
 *
 * Version 3 of a model is float32, version 5 bfloat16. Vp is V rounded up: the rows of wte beyond V
 * mean nothing. Version 1 of a tokenizer does not name its end of text.
 *
 * A model's matrices stand as the engine wants them, so they stay in the map. So do the norms and
 * biases of a float32 file. */
#include <string.h>

#include "base/size.h"
#include "checkpoint/loaders.h"

enum {
    HEADER = 256 * 4,
    MODEL_MAGIC = 20240326,
    TOKENIZER_MAGIC = 20240328,
    GPT2_END_OF_TEXT = 50256
};

static uint32_t header(const struct file *f, size_t i) {
    const uint8_t *p = f->data + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The header is there, with its magic number and one of two versions. */
static int check_header(const struct file *f, const char *what, uint32_t magic, uint32_t v1,
                        uint32_t v2, struct err *e) {
    if (f->size < HEADER)
        return err_file(e, ERR_REFUSED, f->path,
                        "is %zu bytes long, expected %d or more: the header of %s", f->size, HEADER,
                        what);
    if (header(f, 0) != magic)
        return err_file(e, ERR_REFUSED, f->path, "magic number %u, expected %u of %s", header(f, 0),
                        magic, what);
    if (header(f, 1) != v1 && header(f, 1) != v2)
        return err_file(e, ERR_REFUSED, f->path, "version %u of %s, expected %u or %u",
                        header(f, 1), what, v1, v2);
    return OK;
}

struct reader {
    const uint8_t *at;
    enum dtype type; /* of the file */
    float *widened;  /* room for the bfloat16 norms and biases that are still to come */
};

/* The sizes of one layer's tensors in the order of the file, in numbers. */
enum {
    LN1W,
    LN1B,
    QKVW,
    QKVB,
    PROJW,
    PROJB,
    LN2W,
    LN2B,
    FCW,
    FCB,
    FCPROJW,
    FCPROJB,
    LAYER_TENSORS
};

static void layer_sizes(size_t C, size_t n[LAYER_TENSORS]) {
    const size_t sizes[LAYER_TENSORS] = {C, C, 3 * C * C, 3 * C, C * C,     C,
                                         C, C, 4 * C * C, 4 * C, 4 * C * C, C};
    memcpy(n, sizes, sizeof sizes);
}

/* Bytes of a whole file of this shape; false where they overflow. C is at most 2^24, so what
 * depends on C alone cannot. */
static bool file_size(const struct gpt2_config *g, size_t padded_vocab, size_t item, size_t *out) {
    size_t n[LAYER_TENSORS], layer = 0, wte, wpe, layers, sum;
    layer_sizes(g->n_embd, n);
    for (int i = 0; i < LAYER_TENSORS; i++) layer += n[i];
    return size_mul(padded_vocab, g->n_embd, &wte) && size_mul(g->n_ctx, g->n_embd, &wpe) &&
           size_mul(g->n_layer, layer, &layers) && size_add(wte, wpe, &sum) &&
           size_add(sum, layers, &sum) && size_add(sum, 2 * g->n_embd, &sum) &&
           size_mul(sum, item, &sum) && size_add(sum, HEADER, out);
}

static struct matrix read_matrix(struct reader *r, size_t rows, size_t cols) {
    struct matrix m = {r->at, r->type, rows, cols};
    r->at += dtype_bytes(r->type, rows * cols);
    return m;
}

static const float *read_vector(struct reader *r, size_t n) {
    const uint8_t *from = r->at;
    r->at += dtype_bytes(r->type, n);
    if (r->type == DTYPE_F32) return (const float *)(const void *)from;
    float *y = r->widened;
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_to_f32((uint16_t)(from[2 * i] | from[2 * i + 1] << 8));
    r->widened += n;
    return y;
}

/* Each kind of tensor stands for all layers together: layer after layer of ln1w, then of ln1b, and
 * so on. */
static void read_layers(struct reader *r, const struct gpt2_config *g, struct gpt2_layer *layers) {
    const size_t C = g->n_embd, L = g->n_layer;
    for (size_t i = 0; i < L; i++) layers[i].ln1_w = read_vector(r, C);
    for (size_t i = 0; i < L; i++) layers[i].ln1_b = read_vector(r, C);
    for (size_t i = 0; i < L; i++) layers[i].qkv = read_matrix(r, 3 * C, C);
    for (size_t i = 0; i < L; i++) layers[i].qkv_b = read_vector(r, 3 * C);
    for (size_t i = 0; i < L; i++) layers[i].proj = read_matrix(r, C, C);
    for (size_t i = 0; i < L; i++) layers[i].proj_b = read_vector(r, C);
    for (size_t i = 0; i < L; i++) layers[i].ln2_w = read_vector(r, C);
    for (size_t i = 0; i < L; i++) layers[i].ln2_b = read_vector(r, C);
    for (size_t i = 0; i < L; i++) layers[i].fc = read_matrix(r, 4 * C, C);
    for (size_t i = 0; i < L; i++) layers[i].fc_b = read_vector(r, 4 * C);
    for (size_t i = 0; i < L; i++) layers[i].fcproj = read_matrix(r, C, 4 * C);
    for (size_t i = 0; i < L; i++) layers[i].fcproj_b = read_vector(r, C);
}

static int read_config(const struct file *f, struct gpt2_config *g, struct err *e) {
    config_set_absent(g);
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].llmc)
            config_set_size(g, &gpt2_fields[i], header(f, gpt2_fields[i].llmc));
    g->n_inner = 4 * g->n_embd;
    size_t padded = header(f, 7), size, item = header(f, 1) == 3 ? 4 : 2;
    int rc = gpt2_config_check(g, f->path, e);
    if (rc) return rc;
    if (padded < g->n_vocab)
        return err_file(e, ERR_REFUSED, f->path,
                        "the padded vocabulary is %zu, expected %zu or more", padded, g->n_vocab);
    if (!file_size(g, padded, item, &size))
        return err_file(e, ERR_REFUSED, f->path, "the size of its shape overflows");
    if (size != f->size)
        return err_file(e, ERR_REFUSED, f->path, "is %zu bytes long, expected %zu by its header",
                        f->size, size);
    return OK;
}

int llmc_load_model(struct checkpoint *c, const char *path, warn_fn warn, struct err *e) {
    (void)warn;
    struct file *f = &c->file;
    struct gpt2_weights *w = &c->weights;
    int rc = file_map(f, path, e);
    if (!rc) rc = check_header(f, "an llm.c model", MODEL_MAGIC, 3, 5, e);
    if (!rc) rc = read_config(f, &w->config, e);
    if (rc) return rc;
    const struct gpt2_config *g = &w->config;
    c->format = header(f, 1) == 3 ? "llm.c v3" : "llm.c v5";
    c->file_bytes = f->size;
    rc = checkpoint_add_file(c, path, 1, e);
    if (rc) return rc;
    w->layers = arena_zalloc(&c->arena, g->n_layer, sizeof *w->layers);
    if (!w->layers) return err_file(e, ERR_FAILED, path, "no memory for %zu layers", g->n_layer);
    struct reader r = {.at = f->data + HEADER, .type = header(f, 1) == 3 ? DTYPE_F32 : DTYPE_BF16};
    if (r.type == DTYPE_BF16)
        r.widened = arena_alloc(&c->arena, (g->n_layer * 13 + 2) * g->n_embd, sizeof *r.widened);
    if (r.type == DTYPE_BF16 && !r.widened)
        return err_file(e, ERR_FAILED, path, "no memory for the norms and biases");
    w->wte = read_matrix(&r, header(f, 7), g->n_embd);
    w->wte.rows = g->n_vocab; /* the rows after them are padding */
    w->wpe = read_matrix(&r, g->n_ctx, g->n_embd);
    read_layers(&r, g, w->layers);
    w->lnf_w = read_vector(&r, g->n_embd);
    w->lnf_b = read_vector(&r, g->n_embd);
    w->head = w->wte;
    w->tied = true;
    return OK;
}

/* --- tokenizer --- */

static int read_tokens(const struct file *f, struct vocab_builder *b, int64_t end_of_text,
                       struct err *e) {
    size_t at = HEADER;
    for (size_t id = 0; id < b->n; id++) {
        if (at >= f->size || f->size - at - 1 < f->data[at])
            return err_file(e, ERR_REFUSED, f->path,
                            "token %zu of %u runs past the end: the file is cut short", id, b->n);
        size_t n = f->data[at];
        int rc = vocab_builder_set(b, id, f->data + at + 1, n,
                                   (int64_t)id == end_of_text ? TOKEN_CONTROL : TOKEN_NORMAL, e);
        if (rc) return rc;
        at += 1 + n;
    }
    if (at != f->size)
        return err_file(e, ERR_REFUSED, f->path, "%zu bytes follow the last token", f->size - at);
    return OK;
}

/* The token that joins s[n] when the tokens below `limit` are known, or -1. */
static int64_t joined(const struct vocab_builder *b, const uint8_t *s, size_t n, uint32_t limit) {
    int64_t id = vocab_builder_find(b, s, n);
    return id >= 0 && id < limit && b->kind[id] == TOKEN_NORMAL ? id : -1;
}

/* The merge that makes token t. For GPT-2 the id of a merged token rises with the rank of its
 * merge, so when t was added its bytes were what joining the pair of the lowest id, again and
 * again, left of them: exactly two tokens. False where it is not so. */
static bool find_merge(const struct vocab_builder *b, uint32_t t, struct vocab_merge *out) {
    const uint8_t *s = b->pool + b->start[t];
    size_t n = b->length[t], cut[257]; /* part i is s[cut[i]] .. s[cut[i + 1]] */
    int64_t pair[256];                 /* what parts i and i + 1 join to */
    for (size_t i = 0; i <= n; i++) cut[i] = i;
    for (size_t i = 0; i + 1 < n; i++) pair[i] = joined(b, s + i, 2, t);
    while (n > 2) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] >= 0 && (best == n || pair[i] < pair[best])) best = i;
        if (best == n) return false;
        memmove(cut + best + 1, cut + best + 2, (n - best - 1) * sizeof *cut);
        memmove(pair + best, pair + best + 1, (n - best - 2) * sizeof *pair);
        n--;
        if (best > 0)
            pair[best - 1] = joined(b, s + cut[best - 1], cut[best + 1] - cut[best - 1], t);
        if (best + 1 < n) pair[best] = joined(b, s + cut[best], cut[best + 2] - cut[best], t);
    }
    int64_t left = vocab_builder_find(b, s, cut[1]),
            right = vocab_builder_find(b, s + cut[1], cut[2] - cut[1]);
    if (left < 0 || right < 0 || b->kind[left] != TOKEN_NORMAL || b->kind[right] != TOKEN_NORMAL)
        return false;
    *out = (struct vocab_merge){(uint32_t)left, (uint32_t)right, t};
    return true;
}

/* The file has no merges: finds them, in the order of ids. A token that none makes is control. */
static int find_merges(struct vocab_builder *b, struct err *e) {
    for (uint32_t t = 0; t < b->n; t++) {
        struct vocab_merge m;
        if (b->length[t] < 2 || b->kind[t] != TOKEN_NORMAL) continue;
        if (!find_merge(b, t, &m)) {
            b->kind[t] = TOKEN_CONTROL;
            b->match[t] = MATCH_SPECIAL;
            continue;
        }
        int rc = vocab_builder_merge_ids(b, m.left, m.right, m.merged, e);
        if (rc) return rc;
    }
    return OK;
}

/* Version 1 was made for GPT-2 alone; in a smaller vocabulary the end of text is found by its
 * name. */
static int load_tokens(struct vocab *v, const struct file *f, struct arena *a, struct err *e) {
    int rc = check_header(f, "an llm.c tokenizer", TOKENIZER_MAGIC, 1, 2, e);
    if (rc) return rc;
    size_t n = header(f, 2), room = f->size - HEADER;
    if (n > room / 2) /* a length and a byte each */
        return err_file(e, ERR_REFUSED, f->path,
                        "has %zu tokens by its header, too many for its %zu bytes", n, f->size);
    int64_t end = header(f, 1) == 2      ? (int64_t)header(f, 3)
                  : n > GPT2_END_OF_TEXT ? GPT2_END_OF_TEXT
                                         : -1;
    struct vocab_builder b;
    rc = vocab_builder_init(&b, f->path, n, room, n, a, e);
    if (!rc) rc = read_tokens(f, &b, end, e);
    if (!rc) rc = find_merges(&b, e);
    if (!rc) rc = vocab_builder_finish(&b, v, end, end, e);
    vocab_builder_free(&b);
    return rc;
}

int llmc_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e) {
    struct file f;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    rc = load_tokens(v, &f, a, e);
    file_unmap(&f);
    return rc;
}
