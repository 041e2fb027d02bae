/* Counts the parameters of a model, makes the fingerprint by which codebooks know their model, and
 * checks a shape. */
#include "checkpoint/weights.h"

#include <math.h>
#include <string.h>

#include "base/sha256.h"

uint64_t gpt2_parameters(const struct gpt2_weights *w) {
    const struct gpt2_config *s = &w->config;
    uint64_t C = s->n_embd, F = s->n_inner, V = s->n_vocab;
    uint64_t attention = 3 * C * C + 3 * C + C * C + C, mlp = F * C + F + C * F + C, norms = 4 * C;
    return V * C + s->n_ctx * C + s->n_layer * (attention + mlp + norms) + 2 * C +
           (w->tied ? 0 : V * C);
}

/* float32 bits and sizes, little-endian on every machine */
static void hash_numbers(struct sha256 *s, const float *x, size_t n) {
    enum { PIECE = 256 };
    for (size_t i = 0; i < n; i += PIECE) {
        uint8_t bytes[4 * PIECE];
        size_t count = n - i < PIECE ? n - i : PIECE;
        for (size_t j = 0; j < count; j++) {
            uint32_t bits;
            memcpy(&bits, &x[i + j], 4);
            for (size_t b = 0; b < 4; b++) bytes[4 * j + b] = (uint8_t)(bits >> 8 * b);
        }
        sha256_add(s, bytes, 4 * count);
    }
}

static void hash_size(struct sha256 *s, uint64_t x) {
    uint8_t bytes[8];
    for (size_t b = 0; b < 8; b++) bytes[b] = (uint8_t)(x >> 8 * b);
    sha256_add(s, bytes, 8);
}

/* The positions, which a file may hold in another type than float32: widened in pieces, each of
 * whole blocks. */
static void hash_positions(struct sha256 *s, const struct matrix *m) {
    enum { PIECE = 256 };
    float x[PIECE];
    for (size_t r = 0; r < m->rows; r++)
        for (size_t c = 0; c < m->cols; c += PIECE) {
            size_t n = m->cols - c < PIECE ? m->cols - c : PIECE;
            const uint8_t *row = (const uint8_t *)m->data + r * matrix_row_bytes(m);
            kernels_at(0)->to_f32(m->type, x, row + dtype_bytes(m->type, c), n);
            hash_numbers(s, x, n);
        }
}

void gpt2_fingerprint(const struct gpt2_weights *w, char hex[65]) {
    const struct gpt2_config *c = &w->config;
    const size_t C = c->n_embd, F = c->n_inner;
    const uint64_t sizes[] = {
        c->n_layer, c->n_head, C, F, c->n_ctx, c->n_vocab, (uint64_t)c->activation, w->tied};
    struct sha256 s;
    sha256_init(&s);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) hash_size(&s, sizes[i]);
    hash_numbers(&s, &c->norm_eps, 1);
    hash_positions(&s, &w->wpe);
    for (size_t l = 0; l < c->n_layer; l++) {
        const struct gpt2_layer *y = &w->layers[l];
        const struct {
            const float *x;
            size_t n;
        } vectors[] = {{y->ln1_w, C}, {y->ln1_b, C}, {y->qkv_b, 3 * C}, {y->proj_b, C},
                       {y->ln2_w, C}, {y->ln2_b, C}, {y->fc_b, F},      {y->fcproj_b, C}};
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
            hash_numbers(&s, vectors[i].x, vectors[i].n);
    }
    hash_numbers(&s, w->lnf_w, C);
    hash_numbers(&s, w->lnf_b, C);
    sha256_hex(&s, hex);
}

int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e) {
    const size_t many = (size_t)1 << 24, some = (size_t)1 << 20;
    const struct {
        const char *name;
        size_t value, limit;
    } sizes[] = {{"number of layers", c->n_layer, some},
                 {"number of heads", c->n_head, many},
                 {"width", c->n_embd, many},
                 {"MLP width", c->n_inner, many},
                 {"context length", c->n_ctx, some},
                 {"vocabulary size", c->n_vocab, many}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].limit)
            return err_file(e, ERR_REFUSED, path, "the %s is %zu, expected 1 to %zu", sizes[i].name,
                            sizes[i].value, sizes[i].limit);
    if (c->n_embd % c->n_head)
        return err_file(e, ERR_REFUSED, path,
                        "the width is %zu, expected a multiple of the %zu heads", c->n_embd,
                        c->n_head);
    if (c->n_embd / c->n_head % 4)
        return err_file(e, ERR_REFUSED, path, "the head dimension is %zu, expected a multiple of 4",
                        c->n_embd / c->n_head);
    if (!isfinite(c->norm_eps) || !(c->norm_eps > 0))
        return err_file(e, ERR_REFUSED, path,
                        "the LayerNorm epsilon is %g, expected a small positive number",
                        (double)c->norm_eps);
    return OK;
}
