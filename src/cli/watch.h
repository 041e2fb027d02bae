/* What `generate` watches while tokens are decoded: the bytes that attention loads, and how close
 * it is to FP16. */
#ifndef LOOKAT_CLI_WATCH_H
#define LOOKAT_CLI_WATCH_H

#include "cli/options.h"
#include "measure/monitor.h"

struct watch {
    struct gpt2_session *s;
    struct attn_counters *before; /* [L] at the end of the prompt */
    struct monitor monitor;
    bool monitored;
};

/* Watches session s as --counters and --fidelity ask for; memory from the arena. ERR_FAILED without
 * memory. watch_close is due after OK. */
int watch_open(struct watch *w, const struct args *args, struct gpt2_session *s, struct arena *a,
               struct err *e);
void watch_close(struct watch *w);

/* The prompt has run: what comes now is decoded. */
void watch_decoding(struct watch *w);

/* Says on standard error, or in the file of --log, what was seen. `decoded`: tokens that went
 * through the model one at a time. */
int watch_report(struct watch *w, const struct args *args, size_t decoded, struct arena *a,
                 struct err *e);

#endif
