/* Writes and reads states as bytes without gaps. */
#include "attention/state_bytes.h"

#include <string.h>

#include "attention/quantiser.h"
#include "attention/state.h"
#include "base/sha256.h"

/* Returns length[L] and, behind it, from[L] of a state. */
static uint64_t *numbers(const void *state) { return (uint64_t *)state; }

/* ---- sizes ---- */

static void add_bytes(void *ctx, const struct state_piece *p) { *(size_t *)ctx += p->bytes; }

size_t state_bytes_size(const struct attn *a, size_t n) {
    size_t sum = a->shape.n_layer * sizeof(uint64_t);
    for (size_t l = 0; l < a->shape.n_layer; l++)
        state_pieces(a, l, n, n, &(struct state_visitor){add_bytes, &sum});
    return sum;
}

/* ---- writing ---- */

void state_bytes_blank(const struct attn *a, void *state) {
    memset(state, 0, attn_state_bytes(a));
    attn_clear(a, state);
}

struct writing {
    const uint8_t *state;
    uint8_t *out;
};

static void write_piece(void *ctx, const struct state_piece *p) {
    struct writing *w = ctx;
    memcpy(w->out, w->state + p->at, p->bytes);
    w->out += p->bytes;
}

void state_bytes_write(const struct attn *a, const void *state, size_t n, uint8_t *out) {
    size_t L = a->shape.n_layer;
    memcpy(out, numbers(state) + L, L * sizeof(uint64_t));
    struct writing w = {state, out + L * sizeof(uint64_t)};
    for (size_t l = 0; l < L; l++)
        state_pieces(a, l, n, n, &(struct state_visitor){write_piece, &w});
}

/* ---- reading ---- */

struct reading {
    const struct attn *a;
    uint8_t *state;
    const uint8_t *in;
    size_t layer, n;
    bool ok;
};

static void read_piece(void *ctx, const struct state_piece *p) {
    struct reading *r = ctx;
    memcpy(r->state + p->at, r->in, p->bytes);
    r->in += p->bytes;
    if (!p->codec->ops->accepts) return;
    struct codec_head h = {.kn = r->a->kn,
                           .codec = p->codec,
                           .layer = r->layer,
                           .head = p->head,
                           .head_dim = r->a->shape.head_dim};
    r->ok = r->ok && p->codec->ops->accepts(&h, r->state + p->at, r->n);
}

bool state_bytes_read(const struct attn *a, void *state, size_t n, const uint8_t *in) {
    size_t L = a->shape.n_layer;
    struct reading r = {
        .a = a, .state = state, .in = in + L * sizeof(uint64_t), .n = n, .ok = true};
    state_bytes_blank(a, state);
    for (r.layer = 0; r.layer < L; r.layer++) {
        uint64_t from;
        memcpy(&from, in + r.layer * sizeof from, sizeof from);
        r.ok = r.ok && from <= n;
        numbers(state)[r.layer] = n;
        numbers(state)[L + r.layer] = from;
        state_pieces(a, r.layer, n, n, &(struct state_visitor){read_piece, &r});
    }
    if (!r.ok) attn_clear(a, state);
    return r.ok;
}

/* ---- codebooks ---- */

static void hash_size(struct sha256 *s, uint64_t x) {
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)(x >> 8 * i);
    sha256_add(s, bytes, sizeof bytes);
}

static void hash_quantiser(struct sha256 *s, const struct quantiser *z) {
    hash_size(s, z->dim), hash_size(s, z->k), hash_size(s, z->n);
    for (size_t j = 0; j < z->n; j++) {
        const struct quantiser_range *y = &z->ranges[j];
        hash_size(s, y->at), hash_size(s, y->width);
        sha256_add(s, y->centroids, y->width * z->k * sizeof *y->centroids);
    }
    hash_size(s, z->inverse != NULL);
    if (!z->inverse) return;
    sha256_add(s, z->inverse, z->dim * z->dim * sizeof *z->inverse);
    sha256_add(s, z->mean, z->dim * sizeof *z->mean);
}

void state_bytes_codebooks(const struct attn *a, char hex[65]) {
    struct sha256 s;
    bool any = false;
    sha256_init(&s);
    for (size_t l = 0; l < a->shape.n_layer; l++) {
        const struct codec *both[] = {&a->layers[l].key, &a->layers[l].value};
        for (size_t i = 0; i < 2; i++) {
            if (!both[i]->ops->codebooks) continue;
            any = true;
            hash_size(&s, l), hash_size(&s, i);
            for (size_t h = 0; h < a->shape.n_head; h++)
                hash_quantiser(&s, (const struct quantiser *)both[i]->data + h);
        }
    }
    sha256_hex(&s, hex);
    if (!any) hex[0] = 0;
}
