/* What `generate` logs of attention: bytes loaded and fidelity, per layer. */
#ifndef LOOKAT_REPORT_ATTENTION_OUT_H
#define LOOKAT_REPORT_ATTENTION_OUT_H

#include <stdio.h>

#include "attention/backend.h"
#include "measure/fidelity.h"
#include "measure/stats.h"

struct attention_log {
    const char *attn; /* the effective spec */
    size_t n_layer, n_head,
        decoded;      /* tokens that the figures are over: those decoded, not the prompt's */
    size_t codebooks; /* account_codebooks of the backend */
    const struct attn_counters *loaded; /* [L] bytes read by them; NULL: not asked for */
    const struct moments
        *fidelity; /* [L][FIDELITIES] against an FP16 shadow; NULL: not asked for */
};

/* Prints two tables for people: bytes per decoded token, and fidelity. ERR_FAILED without memory.
 */
int attention_log_print(FILE *fp, const struct attention_log *log, struct arena *a, struct err *e);

/* Writes JSON lines: one of the run, then one of each layer (schema.md). */
void attention_log_json(FILE *fp, const struct attention_log *log);

#endif
