/* The figures of a comparison, each drawn into an SVG that a page holds or that is a file of its
 * own. All numbers come through the table of metrics (metrics.h), so they are those of the JSON. */
#ifndef LOOKAT_REPORT_FIGURES_H
#define LOOKAT_REPORT_FIGURES_H

#include "report/metrics.h"
#include "report/svg.h"

/* What a figure is of: one text, and for figures of one backend its run. */
struct figure_of {
    const struct compare_report *r;
    size_t text, run;
};

struct figure_kind_of {
    const char *name;  /* of its file, without the ending */
    const char *title; /* above it in the page */
    bool each_run;     /* one for every backend but the baseline */
    bool once;         /* it does not depend on the text */
    /* Was what it shows measured? */
    bool (*there)(const struct figure_of *f);
    void (*draw)(struct svg *g, const struct figure_of *f);
};

/* All figures, in the order of the page. */
extern const struct figure_kind_of figure_kinds[];
extern const size_t n_figure_kinds;

/* The figure with this name, which is known to be there. */
const struct figure_kind_of *figure_named(const char *name);

/* The backend as figures name it: what was given to --attn, cut where it is long. */
struct figure_name {
    char s[64];
};
struct figure_name figure_name(const struct compare_report *r, size_t run);

/* KL of predictions where the mode forced was run, else KL of attention. */
const struct metric *figure_loss(const struct compare_report *r, size_t text);

/* ---- the drawings, one file each ---- */

/* What is stored, loaded or waited for against what is lost; figure_pareto.c. */
bool pareto_stored_there(const struct figure_of *f);
void pareto_stored_draw(struct svg *g, const struct figure_of *f);
bool pareto_loaded_there(const struct figure_of *f);
void pareto_loaded_draw(struct svg *g, const struct figure_of *f);
bool pareto_time_there(const struct figure_of *f);
void pareto_time_draw(struct svg *g, const struct figure_of *f);
void pareto_both_draw(struct svg *g, const struct figure_of *f); /* stored and loaded */
bool pareto_paper_there(const struct figure_of *f);
void pareto_paper_draw(struct svg *g, const struct figure_of *f);

/* Layer by head; figure_heads.c. */
bool heads_there(const struct figure_of *f);
void heads_draw(struct svg *g, const struct figure_of *f);
void heads_scale_draw(struct svg *g, const struct figure_of *f);

/* Bytes by context length; figure_bytes.c. */
bool bytes_there(const struct figure_of *f);
void bytes_draw(struct svg *g, const struct figure_of *f); /* of a run, the baseline's too */
void bytes_key_draw(struct svg *g, const struct figure_of *f);

/* Fidelity by length of the window; figure_lengths.c. */
bool lengths_there(const struct figure_of *f);
void lengths_cosine_draw(struct svg *g, const struct figure_of *f);
void lengths_spearman_draw(struct svg *g, const struct figure_of *f);

/* The attention of one head over a prompt; figure_pattern.c. */
bool pattern_there(const struct figure_of *f);
void pattern_exact_draw(struct svg *g, const struct figure_of *f);
void pattern_run_draw(struct svg *g, const struct figure_of *f);
void pattern_difference_draw(struct svg *g, const struct figure_of *f);

#endif
