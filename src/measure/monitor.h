/* A look at attention while text is generated: an FP16 shadow of the cache is kept beside the
 * backend's own, and every decoded token's queries are answered from both. */
#ifndef LOOKAT_MEASURE_MONITOR_H
#define LOOKAT_MEASURE_MONITOR_H

#include "measure/fidelity.h"
#include "measure/stats.h"
#include "model/gpt2.h"

struct monitor {
    struct gpt2_session *s;
    struct attn base; /* fp16 */
    void **state;     /* [n_seq] of base */
    struct gpt2_observer observer;
    struct attn_query *items; /* [max_rows] */
    float *out;               /* [max_rows][C] of the answers that are compared */
    struct seen *seen[2];     /* [n_seq * H] what the probes kept: of the base, of the backend */
    struct moments *slots;    /* [n_seq * H][FIDELITIES] of one layer and batch */
    struct moments *layers;   /* [L][FIDELITIES]: the result, over decoded tokens and heads */
    void *scratch;
    float *ranks; /* [threads][6 T] ranks of both sides and the work of ranking */
    struct arena arena;
};

/* Sets itself as the session's observer. Prefilled tokens are stored, decoded ones (a batch with
 * one row of each sequence) compared. ERR_FAILED without memory. */
int monitor_open(struct monitor *m, struct gpt2_session *s, struct err *e);
void monitor_close(struct monitor *m);

#endif
