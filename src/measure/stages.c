#include "measure/stages.h"

#include "base/process.h"
#include "base/rng.h"
#include "base/threads.h"

/* Seconds between two readings of the clock with nothing in between. */
static double clock_cost(void) {
    enum { READINGS = 1000, TRIALS = 5 };
    double best = 1;
    for (int i = 0; i < TRIALS; i++) {
        double start = clock_now(), now = start;
        for (int j = 0; j < READINGS; j++) now = clock_now();
        if ((now - start) / READINGS < best) best = (now - start) / READINGS;
    }
    return best;
}

void stages_measure(struct gpt2_session *s, size_t depth, double seconds, double ns[ATTN_STAGES],
                    struct attn_counters *read) {
    size_t L = s->w->config.n_layer, C = s->w->config.n_embd, passes = 0;
    double cost = clock_cost(), spent[ATTN_STAGES] = {0};
    struct rng rng;
    rng_seed(&rng, 0, 0);
    for (size_t i = 0; i < C; i++) s->qkv[i] = (float)rng_normal(&rng);
    struct attn_query query = {.state = s->state[0],
                               .pos = depth - 1,
                               .n = 1,
                               .q = s->qkv,
                               .out = s->norm,
                               .q_stride = C,
                               .out_stride = C};
    struct attn_counters unused = {0};
    *read = (struct attn_counters){0};
    int threads = threads_count();
    threads_set(1);
    s->attn.stage_s = spent;
    for (double start = clock_now(); !passes || clock_now() - start < seconds; passes++)
        for (size_t l = 0; l < L; l++)
            attn_attend(&s->attn, l, &query, 1, s->scratch, passes ? &unused : read, NULL);
    s->attn.stage_s = NULL;
    threads_set(threads);
    for (int i = 0; i < ATTN_STAGES; i++) {
        double each = spent[i] / (double)(passes * L * s->attn.shape.n_head) - cost;
        ns[i] = each > 0 ? 1e9 * each : 0;
    }
}
