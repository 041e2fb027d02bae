/* Counts the parameters of a model, makes the fingerprint by which codebooks know their model, and
 * describes and checks the fields of a configuration. */
#include "checkpoint/weights.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/sha256.h"
#include "base/threads.h"

/* ---- the fields of a configuration ---- */

/* An enum and size_t may be one type for _Generic: on 32 bits both are unsigned int. Names differ.
 */
#define SIZE_OR_CHOICE(TYPE) (sizeof(#TYPE) == sizeof("size_t") ? CONFIG_SIZE : CONFIG_CHOICE)
#define KIND(TYPE) \
    _Generic((TYPE){0}, float : CONFIG_REAL, bool : CONFIG_SWITCH, default : SIZE_OR_CHOICE(TYPE))
#define FIELD(TYPE, MEMBER, ...) \
    [CONFIG_##                   \
        MEMBER] = {.kind = KIND(TYPE), .at = offsetof(struct gpt2_config, MEMBER), __VA_ARGS__},
const struct config_field gpt2_fields[] = {GPT2_CONFIG_FIELDS(FIELD)};

const struct config_field *config_gguf_field(int place) {
    for (int i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].gguf_place == place) return &gpt2_fields[i];
    return NULL;
}

const struct config_field *config_json_field(int place) {
    for (int i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].json_place == place) return &gpt2_fields[i];
    return NULL;
}

size_t config_size(const struct gpt2_config *c, const struct config_field *f) {
    size_t x;
    assert(f->kind == CONFIG_SIZE);
    memcpy(&x, (const char *)c + f->at, sizeof x);
    return x;
}

double config_real(const struct gpt2_config *c, const struct config_field *f) {
    const char *at = (const char *)c + f->at;
    float x;
    bool on;
    enum activation choice; /* every enum has this form */
    assert(f->kind != CONFIG_SIZE);
    switch (f->kind) {
    case CONFIG_REAL: memcpy(&x, at, sizeof x); return x;
    case CONFIG_SWITCH: memcpy(&on, at, sizeof on); return on;
    default: memcpy(&choice, at, sizeof choice); return (double)choice;
    }
}

void config_set_size(struct gpt2_config *c, const struct config_field *f, size_t x) {
    assert(f->kind == CONFIG_SIZE);
    memcpy((char *)c + f->at, &x, sizeof x);
}

void config_set_real(struct gpt2_config *c, const struct config_field *f, double x) {
    char *at = (char *)c + f->at;
    const float real = (float)x;
    const bool on = x > 0;
    const enum activation choice = x > 0 ? (enum activation)x : 0;
    assert(f->kind != CONFIG_SIZE);
    switch (f->kind) {
    case CONFIG_REAL: memcpy(at, &real, sizeof real); break;
    case CONFIG_SWITCH: memcpy(at, &on, sizeof on); break;
    default: memcpy(at, &choice, sizeof choice);
    }
}

int config_choice(const struct config_field *f, const char *name, size_t n) {
    for (int i = 0; i < CONFIG_CHOICES && f->choices[i]; i++)
        if (strlen(f->choices[i]) == n && memcmp(f->choices[i], name, n) == 0) return i;
    return -1;
}

struct config_choices config_choices(const struct config_field *f) {
    struct config_choices text = {""};
    size_t at = 0;
    for (int i = 0; i < CONFIG_CHOICES && f->choices[i] && at < sizeof text.s; i++) {
        const bool last = i + 1 == CONFIG_CHOICES || !f->choices[i + 1];
        at += (size_t)snprintf(text.s + at, sizeof text.s - at, "%s\"%s\"",
                               i == 0 ? ""
                               : last ? " or "
                                      : ", ",
                               f->choices[i]);
    }
    return text;
}

void config_set_absent(struct gpt2_config *c) {
    *c = (struct gpt2_config){0};
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind != CONFIG_SIZE)
            config_set_real(c, &gpt2_fields[i], gpt2_fields[i].absent);
}

static int check_field(const struct gpt2_config *c, const struct config_field *f, const char *path,
                       struct err *e) {
    if (f->kind == CONFIG_SIZE) {
        size_t x = config_size(c, f);
        return x >= 1 && x <= f->most
                   ? OK
                   : err_file(e, ERR_REFUSED, path, "the %s is %zu, expected 1 to %zu", f->words, x,
                              f->most);
    }
    double x = config_real(c, f);
    if (f->kind == CONFIG_REAL && (!isfinite(x) || !(x > 0)))
        return err_file(e, ERR_REFUSED, path, "the %s is %g, expected a small positive number",
                        f->words, x);
    return OK;
}

int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e) {
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        int rc = check_field(c, &gpt2_fields[i], path, e);
        if (rc) return rc;
    }
    if (c->n_embd % c->n_head)
        return err_file(e, ERR_REFUSED, path,
                        "the width is %zu, expected a multiple of the %zu heads", c->n_embd,
                        c->n_head);
    return OK;
}

/* ---- a whole model ---- */

uint64_t gpt2_parameters(const struct gpt2_weights *w) {
    const struct gpt2_config *s = &w->config;
    uint64_t C = s->n_embd, F = s->n_inner, V = s->n_vocab;
    uint64_t matrices = 3 * C * C + C * C + 2 * F * C, norms = 2 * C,
             biases = w->no_biases ? 0 : 3 * C + C + F + C + 2 * C;
    return V * C + s->n_ctx * C + s->n_layer * (matrices + norms + biases) + C +
           (w->no_biases ? 0 : C) + (w->tied ? 0 : V * C);
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

/* Sizes stand first, then choices and whether the head is tied, then real numbers: the order that
 * the fingerprints in books have. A switch counts only where it is on, so that models without it
 * keep the fingerprint that they had before there was one. */
static void hash_config(struct sha256 *s, const struct gpt2_weights *w) {
    const struct gpt2_config *c = &w->config;
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind == CONFIG_SIZE) hash_size(s, config_size(c, &gpt2_fields[i]));
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind == CONFIG_CHOICE)
            hash_size(s, (uint64_t)config_real(c, &gpt2_fields[i]));
    hash_size(s, w->tied);
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        if (gpt2_fields[i].kind != CONFIG_REAL) continue;
        float x = (float)config_real(c, &gpt2_fields[i]);
        hash_numbers(s, &x, 1);
    }
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind == CONFIG_SWITCH && config_real(c, &gpt2_fields[i]) > 0)
            hash_size(s, i);
}

void gpt2_fingerprint(const struct gpt2_weights *w, char hex[65]) {
    const size_t C = w->config.n_embd, F = w->config.n_inner;
    struct sha256 s;
    sha256_init(&s);
    hash_config(&s, w);
    hash_positions(&s, &w->wpe);
    for (size_t l = 0; l < w->config.n_layer; l++) {
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

/* ---- the matrices ---- */

enum { LAYER_MATRICES = 4 };
static const uint64_t known_key[2] = {0};

struct hashing {
    const struct gpt2_weights *w;
    uint64_t *hashes; /* [1 + LAYER_MATRICES L] */
};

/* Task 0 is the head, which is the token embedding where it is tied; then those of the layers. */
static void hash_matrix(void *ctx, size_t task, int thread) {
    const struct hashing *j = ctx;
    const struct gpt2_layer *y = task ? &j->w->layers[(task - 1) / LAYER_MATRICES] : NULL;
    const struct matrix *all[LAYER_MATRICES] = {NULL};
    if (y) all[0] = &y->qkv, all[1] = &y->proj, all[2] = &y->fc, all[3] = &y->fcproj;
    const struct matrix *m = y ? all[(task - 1) % LAYER_MATRICES] : &j->w->head;
    (void)thread;
    j->hashes[task] = hash_bytes(known_key, m->data, m->rows * matrix_row_bytes(m)) + m->type;
}

uint64_t gpt2_matrices_hash(const struct gpt2_weights *w) {
    struct arena a = {0};
    size_t n = 1 + LAYER_MATRICES * w->config.n_layer;
    struct hashing j = {w, arena_alloc(&a, n + 1, sizeof(uint64_t))};
    uint64_t hash = 0;
    if (j.hashes) {
        threads_tasks(n, hash_matrix, &j);
        j.hashes[n] = hash_bytes(known_key, w->wte.data, w->wte.rows * matrix_row_bytes(&w->wte));
        hash = hash_bytes(known_key, j.hashes, (n + 1) * sizeof *j.hashes);
    }
    arena_free(&a);
    return hash;
}
