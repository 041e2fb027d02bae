/* Counters and the monitor, from the beginning of a text to the report on it. */
#include "cli/watch.h"

#include <string.h>

#include "attention/account.h"
#include "base/out_file.h"
#include "report/attention_out.h"

int watch_open(struct watch *w, const struct args *args, struct gpt2_session *s, struct arena *a,
               struct err *e) {
    *w = (struct watch){.s = s, .before = arena_zalloc(a, s->w->config.n_layer, sizeof *w->before)};
    if (!w->before) return err_set(e, ERR_FAILED, "out of memory for the counters");
    int rc = args->fidelity ? monitor_open(&w->monitor, s, e) : OK;
    w->monitored = args->fidelity && !rc;
    return rc;
}

void watch_close(struct watch *w) {
    if (!w->monitored) return;
    w->s->observer = NULL;
    monitor_close(&w->monitor);
    w->monitored = false;
}

void watch_decoding(struct watch *w) {
    memcpy(w->before, w->s->counters, w->s->w->config.n_layer * sizeof *w->before);
}

static int write_log(const char *path, const struct attention_log *log, struct err *e) {
    struct out_file o;
    int rc = out_open(&o, path, true, e);
    if (rc) return rc;
    attention_log_json(o.fp, log);
    return out_commit(&o, e);
}

int watch_report(struct watch *w, const struct args *args, size_t decoded, struct arena *a,
                 struct err *e) {
    size_t L = w->s->w->config.n_layer;
    struct attn_counters *loaded = arena_alloc(a, L, sizeof *loaded);
    if (!loaded) return err_set(e, ERR_FAILED, "out of memory for the counters");
    for (size_t l = 0; l < L; l++)
        loaded[l] = attn_counters_less(&w->s->counters[l], &w->before[l]);
    struct attention_log log = {w->s->attn.name,
                                L,
                                w->s->attn.shape.n_head,
                                decoded,
                                account_codebooks(&w->s->attn),
                                args->counters ? loaded : NULL,
                                w->monitored ? w->monitor.layers : NULL};
    if (args->log) return write_log(args->log, &log, e);
    return attention_log_print(stderr, &log, a, e);
}
