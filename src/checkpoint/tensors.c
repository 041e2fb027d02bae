/* Walks over all tensors of a model, and looks whether their numbers are finite. */
#include "checkpoint/tensors.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/interrupt.h"

enum { PER_LAYER = 12, BEFORE = 2 }; /* tensors of a layer; before the first layer */

/* A tensor as GGUF and as Hugging Face call it. */
struct names {
    const char *gguf, *hf;
};

static const struct names LAYER[PER_LAYER] = {
    {"attn_norm.weight", "ln_1.weight"},          {"attn_norm.bias", "ln_1.bias"},
    {"attn_qkv.weight", "attn.c_attn.weight"},    {"attn_qkv.bias", "attn.c_attn.bias"},
    {"attn_output.weight", "attn.c_proj.weight"}, {"attn_output.bias", "attn.c_proj.bias"},
    {"ffn_norm.weight", "ln_2.weight"},           {"ffn_norm.bias", "ln_2.bias"},
    {"ffn_up.weight", "mlp.c_fc.weight"},         {"ffn_up.bias", "mlp.c_fc.bias"},
    {"ffn_down.weight", "mlp.c_proj.weight"},     {"ffn_down.bias", "mlp.c_proj.bias"}};

size_t gpt2_tensors(const struct gpt2_weights *w) {
    return PER_LAYER * w->config.n_layer + BEFORE + 2 + !w->tied;
}

static void set_vector(struct gpt2_tensor *t, const float *x, size_t n) {
    t->m = (struct matrix){x, DTYPE_F32, 1, n};
    t->vector = true;
}

static void set_layer_tensor(struct gpt2_tensor *t, const struct gpt2_layer *l,
                             const struct gpt2_config *c, size_t part) {
    const size_t C = c->n_embd;
    switch (part) {
    case 0: set_vector(t, l->ln1_w, C); break;
    case 1: set_vector(t, l->ln1_b, C); break;
    case 2: t->m = l->qkv; break;
    case 3: set_vector(t, l->qkv_b, 3 * C); break;
    case 4: t->m = l->proj; break;
    case 5: set_vector(t, l->proj_b, C); break;
    case 6: set_vector(t, l->ln2_w, C); break;
    case 7: set_vector(t, l->ln2_b, C); break;
    case 8: t->m = l->fc; break;
    case 9: set_vector(t, l->fc_b, c->n_inner); break;
    case 10: t->m = l->fcproj; break;
    default: set_vector(t, l->fcproj_b, C);
    }
}

static void set_names(struct gpt2_tensor *t, const struct gpt2_weights *w, struct names n) {
    snprintf(t->name, sizeof t->name, "%s", n.gguf);
    snprintf(t->shown, sizeof t->shown, "%s", w->hf_names ? n.hf : n.gguf);
}

void gpt2_tensor(const struct gpt2_weights *w, size_t i, struct gpt2_tensor *t) {
    const size_t in_layers = PER_LAYER * w->config.n_layer, C = w->config.n_embd;
    *t = (struct gpt2_tensor){.vector = false};
    if (i >= BEFORE && i - BEFORE < in_layers) {
        size_t layer = (i - BEFORE) / PER_LAYER, part = (i - BEFORE) % PER_LAYER;
        snprintf(t->name, sizeof t->name, "blk.%zu.%s", layer, LAYER[part].gguf);
        snprintf(t->shown, sizeof t->shown, w->hf_names ? "h.%zu.%s" : "blk.%zu.%s", layer,
                 w->hf_names ? LAYER[part].hf : LAYER[part].gguf);
        set_layer_tensor(t, &w->layers[layer], &w->config, part);
        t->turned = w->hf_names && !t->vector;
        return;
    }
    switch (i < BEFORE ? i : i - in_layers) {
    case 0:
        set_names(t, w, (struct names){"token_embd.weight", "wte.weight"});
        t->m = w->wte;
        break;
    case 1:
        set_names(t, w, (struct names){"position_embd.weight", "wpe.weight"});
        t->m = w->wpe;
        t->positions = true;
        break;
    case 2:
        set_names(t, w, (struct names){"output_norm.weight", "ln_f.weight"});
        set_vector(t, w->lnf_w, C);
        break;
    case 3:
        set_names(t, w, (struct names){"output_norm.bias", "ln_f.bias"});
        set_vector(t, w->lnf_b, C);
        break;
    default: set_names(t, w, (struct names){"output.weight", "lm_head.weight"}); t->m = w->head;
    }
}

/* float32 without its sign: ordered like the magnitudes, with infinity at INFINITE and what is no
 * number above it. */
static uint32_t magnitude(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffff;
}

static float of_magnitude(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

enum { INFINITE = 0x7f800000 };

static uint32_t largest(const float *x, size_t n) {
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t m = magnitude(x[i]);
        most = m > most ? m : most;
    }
    return most;
}

/* A row that holds numbers that are not finite. */
static uint32_t look_closer(struct tensor_range *range, const float *x, size_t n, size_t r) {
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t m = magnitude(x[i]);
        if (m < INFINITE) {
            most = m > most ? m : most;
            continue;
        }
        if (range->bad++ == 0) range->row = r, range->col = i, range->first = x[i];
    }
    return most;
}

void tensor_range(const struct kernels *k, const struct matrix *m, float *row,
                  struct tensor_range *r) {
    uint32_t most = 0;
    *r = (struct tensor_range){.bad = 0};
    for (size_t i = 0; i < m->rows; i++) {
        matrix_row(k, m, i, row);
        uint32_t here = largest(row, m->cols);
        if (here >= INFINITE) here = look_closer(r, row, m->cols, i);
        most = here > most ? here : most;
    }
    r->most = of_magnitude(most);
}

void tensor_say_bad(const struct gpt2_tensor *t, const struct tensor_range *r,
                    char out[TENSOR_SAID]) {
    const size_t row = t->turned ? r->col : r->row, col = t->turned ? r->row : r->col;
    const char *value = r->first != r->first ? "nan" : r->first < 0 ? "-inf" : "inf";
    char place[64];
    if (t->vector)
        snprintf(place, sizeof place, "[%zu]", r->col);
    else
        snprintf(place, sizeof place, "[%zu,%zu]", row, col);
    if (r->bad == 1)
        snprintf(out, TENSOR_SAID, "%s: 1 number is not finite, %s at %s", t->shown, value, place);
    else
        snprintf(out, TENSOR_SAID, "%s: %zu numbers are not finite, the first %s at %s", t->shown,
                 r->bad, value, place);
}

int gpt2_check_finite(const struct gpt2_weights *w, tensor_bad_fn found, void *ctx, uint64_t *bad,
                      struct err *e) {
    struct arena a = {0};
    const struct kernels *k = NULL;
    const size_t n = gpt2_tensors(w);
    size_t cols = 1;
    struct gpt2_tensor t;
    struct tensor_range r;
    int rc = kernels_get(&k, NULL, e);
    *bad = 0;
    for (size_t i = 0; i < n; i++) {
        gpt2_tensor(w, i, &t);
        cols = t.m.cols > cols ? t.m.cols : cols;
    }
    float *row = arena_alloc(&a, cols, sizeof *row);
    if (!rc && !row) rc = err_set(e, ERR_FAILED, "no memory for a row of %zu numbers", cols);
    for (size_t i = 0; !rc && i < n; i++) {
        if (interrupt_pending()) rc = err_set(e, ERR_INTERRUPTED, "interrupted");
        gpt2_tensor(w, i, &t);
        tensor_range(k, &t.m, row, &r);
        *bad += r.bad;
        if (r.bad && found) found(ctx, &t, &r);
    }
    arena_free(&a);
    return rc;
}
