/* Random weights: a model of any shape for benchmarks, where only the sizes matter. */
#include <math.h>

#include "base/interrupt.h"
#include "base/rng.h"
#include "base/size.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"

struct maker {
    struct arena *arena;
    uint64_t seed, stream; /* each row of each matrix has a stream of its own, so the thread count
                              changes nothing */
    bool failed;           /* out of memory */
};

struct fill {
    float *data; /* [rows][cols] */
    size_t cols;
    double std;
    uint64_t seed, stream;
};

static void fill_rows(void *ctx, size_t begin, size_t end, int thread) {
    const struct fill *f = ctx;
    (void)thread;
    for (size_t r = begin; r < end && !interrupt_pending(); r++) {
        struct rng rng;
        rng_seed(&rng, f->seed, f->stream + r);
        for (size_t c = 0; c < f->cols; c++)
            f->data[r * f->cols + c] = (float)(f->std * rng_normal(&rng));
    }
}

static struct matrix random_matrix(struct maker *m, size_t rows, size_t cols, double std) {
    size_t n;
    float *data = size_mul(rows, cols, &n) ? arena_alloc(m->arena, n, sizeof *data) : NULL;
    struct fill f = {data, cols, std, m->seed, m->stream};
    m->stream += rows;
    if (data)
        threads_ranges(rows, fill_rows, &f);
    else
        m->failed = true;
    return (struct matrix){data, DTYPE_F32, rows, cols};
}

static const float *constant(struct maker *m, size_t n, float x) {
    float *data = arena_alloc(m->arena, n, sizeof *data);
    if (!data) m->failed = true;
    for (size_t i = 0; data && i < n; i++) data[i] = x;
    return data;
}

static void random_layer(struct maker *m, struct gpt2_layer *l, const struct gpt2_config *s) {
    const size_t C = s->n_embd, F = s->n_inner;
    /* Radford et al. 2019, section 2.3: residual layers are scaled by 1/sqrt(N), N residual layers
     * = 2L */
    const double std = 0.02, residual = std / sqrt(2.0 * (double)s->n_layer);
    *l = (struct gpt2_layer){
        .ln1_w = constant(m, C, 1),
        .ln1_b = constant(m, C, 0),
        .qkv = random_matrix(m, 3 * C, C, std),
        .qkv_b = constant(m, 3 * C, 0),
        .proj = random_matrix(m, C, C, residual),
        .proj_b = constant(m, C, 0),
        .ln2_w = constant(m, C, 1),
        .ln2_b = constant(m, C, 0),
        .fc = random_matrix(m, F, C, std),
        .fc_b = constant(m, F, 0),
        .fcproj = random_matrix(m, C, F, residual),
        .fcproj_b = constant(m, C, 0),
    };
}

int checkpoint_random(struct checkpoint *c, const struct gpt2_config *config, uint64_t seed,
                      struct err *e) {
    *c = (struct checkpoint){
        .path = "random", .format = "random", .name = "random", .vocab = {.bos = -1, .eos = -1}};
    int rc = gpt2_config_check(config, "random weights", e);
    if (rc) return rc;
    struct maker m = {.arena = &c->arena, .seed = seed};
    struct gpt2_weights *w = &c->weights;
    w->config = *config;
    w->tied = true;
    w->layers = arena_zalloc(&c->arena, config->n_layer, sizeof *w->layers);
    m.failed = !w->layers;
    if (!m.failed) w->wte = w->head = random_matrix(&m, config->n_vocab, config->n_embd, 0.02);
    if (!m.failed) w->wpe = random_matrix(&m, config->n_ctx, config->n_embd, 0.02);
    for (size_t i = 0; !m.failed && i < config->n_layer; i++)
        random_layer(&m, &w->layers[i], config);
    w->lnf_w = constant(&m, config->n_embd, 1);
    w->lnf_b = constant(&m, config->n_embd, 0);
    if (!m.failed && !interrupt_pending()) return OK;
    arena_free(&c->arena);
    *c = (struct checkpoint){0};
    return m.failed ? err_set(e, ERR_FAILED, "no memory for the random weights")
                    : err_set(e, ERR_INTERRUPTED, "interrupted");
}
