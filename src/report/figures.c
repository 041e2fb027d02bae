#include "report/figures.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"

const struct figure_kind_of figure_kinds[] = {
    {"pareto", "Bytes and what they buy", false, false, pareto_loaded_there, pareto_both_draw},
    {"pareto-stored", "Bytes stored", false, false, pareto_stored_there, pareto_stored_draw},
    {"pareto-loaded", "Bytes loaded", false, false, pareto_loaded_there, pareto_loaded_draw},
    {"pareto-ms", "Time in attention", false, false, pareto_time_there, pareto_time_draw},
    {"pareto-paper", "Beside the paper", false, false, pareto_paper_there, pareto_paper_draw},
    {"heads-scale", "Colours of the maps", false, false, heads_there, heads_scale_draw},
    {"heads", "Layer by head", true, false, heads_there, heads_draw},
    {"pattern-exact", "Attention of a head", false, false, pattern_there, pattern_exact_draw},
    {"pattern", "Attention of a head, looked up", true, false, pattern_there, pattern_run_draw},
    {"pattern-difference", "The difference", true, false, pattern_there, pattern_difference_draw},
    {"lengths-cosine", "Cosine by length", false, false, lengths_there, lengths_cosine_draw},
    {"lengths-spearman", "Spearman by length", false, false, lengths_there, lengths_spearman_draw},
    {"bytes-key", "Colours of the parts", false, true, bytes_there, bytes_key_draw},
    {"bytes", "Bytes by context", true, true, bytes_there, bytes_draw},
};
const size_t n_figure_kinds = sizeof figure_kinds / sizeof *figure_kinds;

const struct figure_kind_of *figure_named(const char *name) {
    size_t i = 0;
    while (strcmp(figure_kinds[i].name, name) != 0) i++;
    return &figure_kinds[i];
}

struct figure_name figure_name(const struct compare_report *r, size_t run) {
    enum { SHOWN = 26 };
    struct figure_name name;
    struct printable_text text = printable_copy(r->main->runs[run].spec);
    size_t n = strlen(text.s);
    if (n > SHOWN)
        snprintf(name.s, sizeof name.s, "%.*s\xE2\x80\xA6", SHOWN - 1, text.s);
    else
        snprintf(name.s, sizeof name.s, "%.60s", text.s);
    return name;
}

const struct metric *figure_loss(const struct compare_report *r, size_t text) {
    return metric_named(compare_sum(r, 0, text)->tokens ? "kld" : "kl");
}
