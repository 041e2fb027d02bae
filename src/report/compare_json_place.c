/* Where the JSON of a comparison has a figure. What compare_json.c writes is laid out here once
 * more, in words; tests/page.py follows every pointer of a page, so the two cannot part. */
#include <stdio.h>

#include "report/compare_json.h"

/* The place of a layer among those that "layers" of the mode shadow lists. */
static size_t listed_layers_before(const struct metric_place *p) {
    size_t n = 0;
    for (size_t l = 0; l < p->layer; l++) n += p->s->layers[l * FIDELITIES].n > 0;
    return n;
}

/* The object of a group, seen from the run. */
static void group_place(enum metric_group group, const struct metric_place *p, char *out,
                        size_t room) {
    bool layer = p->layer < METRIC_SHADOWED;
    if (group == GROUP_FIDELITY && layer && p->head != METRIC_ALL)
        snprintf(out, room, "shadow/layers/%zu/heads/%zu", listed_layers_before(p), p->head);
    else if (group == GROUP_FIDELITY && layer)
        snprintf(out, room, "shadow/layers/%zu", listed_layers_before(p));
    else if (group == GROUP_FIDELITY)
        snprintf(out, room, "shadow/all");
    else if (group == GROUP_LOADED && layer)
        snprintf(out, room, "loaded_bytes_by_layer/%zu", p->layer);
    else if (group == GROUP_LOADED)
        snprintf(out, room, "%sloaded_bytes_per_token",
                 p->layer == METRIC_SHADOWED ? "shadow/" : "");
    else
        snprintf(out, room, "%s",
                 group == GROUP_STORED    ? "stored_bytes_per_token"
                 : group == GROUP_SKIPPED ? "skipped_values"
                 : group == GROUP_RECALL  ? "recall"
                 : group == GROUP_TIME    ? "attention_ms"
                                          : "forced");
}

struct json_place compare_json_place(const struct metric *m, const struct metric_place *p) {
    struct json_place at = {""};
    char object[64];
    if ((m->left_out & NOT_IN_JSON) || m->group == GROUP_ROW) return at;
    group_place(m->group, p, object, sizeof object);
    int n =
        snprintf(at.s, sizeof at.s, "/runs/%zu/%s/", p->text * p->r->main->n_runs + p->run, object);
    if (m->group == GROUP_TIME) { /* an array, in the order of the table */
        size_t before = 0;
        for (const struct metric *x = metrics; x != m; x++) before += x->group == GROUP_TIME;
        snprintf(at.s + n, sizeof at.s - (size_t)n, "%zu", before);
    } else {
        snprintf(at.s + n, sizeof at.s - (size_t)n, "%s%s", m->json ? m->json : m->name,
                 m->error == ERROR_BESIDE ? "/0" : "");
    }
    return at;
}
