/* Fidelity by the length of the window: one line for each backend. */
#include <math.h>
#include <stdlib.h>

#include "report/compare_paper.h"
#include "report/figures.h"
#include "report/markup.h"
#include "report/plot.h"

enum { WIDTH = 372, HEIGHT = 290, LEFT = 50, RIGHT = 210, TOP = 40, BOTTOM = 246, RUNS = 64 };

static const struct estimate *estimate_of(const struct figure_of *f, size_t length, size_t run,
                                          int which) {
    return &compare_length_sum(f->r, length, run, f->text)->all[which];
}

bool lengths_there(const struct figure_of *f) {
    return f->r->n_lengths > 1 && f->r->main->n_runs > 1 &&
           estimate_of(f, 0, 1, FIDELITY_COSINE)->n > 0;
}

static struct text_number plain(double x) {
    struct text_number t;
    if (x < 1e-3)
        snprintf(t.s, sizeof t.s, "1e%d", (int)lround(log10(x)));
    else
        snprintf(t.s, sizeof t.s, "%g", x);
    return t;
}

/* The lengths themselves are the ticks: they are few. */
static void length_ticks(struct svg *g, const struct figure_of *f, const struct axis *x) {
    for (size_t i = 0; i < f->r->n_lengths; i++) {
        double at = axis_at(x, (double)f->r->lengths[i].window);
        svg_line(g, at, BOTTOM, at, TOP, "grid");
        svg_text(g, at, BOTTOM + 14, "tt mid", "%zu", f->r->lengths[i].window);
    }
    svg_line(g, LEFT, BOTTOM, RIGHT, BOTTOM, "axis");
    svg_text(g, RIGHT, BOTTOM + 30, "tt end", "tokens of a window");
}

/* A measured point, with its error and what it says to who points at it. */
static void point(struct svg *g, const struct figure_of *f, size_t run, size_t length,
                  const struct estimate *m, const struct axis axes[2]) {
    char class[24];
    double loss = 1 - estimate_mean(m), error = estimate_error(m),
           x = axis_at(&axes[0], (double)f->r->lengths[length].window);
    svg_group(g, 0, 0);
    svg_hover(g, "%s, windows of %zu: %s", figure_name(f->r, run).s, f->r->lengths[length].window,
              markup_pair(estimate_mean(m), error).s);
    snprintf(class, sizeof class, "%s bar", svg_series(run));
    if (isfinite(error) && error > 0)
        svg_line(g, x, loss - error > axes[1].low ? axis_at(&axes[1], loss - error) : BOTTOM, x,
                 axis_at(&axes[1], loss + error), class);
    svg_mark(g, x, axis_at(&axes[1], loss), run, false);
    svg_group_end(g);
}

/* The line of a run and its points. Returns the place of the last one; NAN without any. */
static double run_line(struct svg *g, const struct figure_of *f, size_t run, int which,
                       const struct axis axes[2]) {
    double px[RUNS], py[RUNS];
    char class[24];
    size_t n = 0;
    for (size_t i = 0; i < f->r->n_lengths && n < RUNS; i++) {
        const struct estimate *m = estimate_of(f, i, run, which);
        if (!m->n || !(1 - estimate_mean(m) > 0)) continue;
        px[n] = axis_at(&axes[0], (double)f->r->lengths[i].window);
        py[n++] = axis_at(&axes[1], 1 - estimate_mean(m));
    }
    snprintf(class, sizeof class, "%s curve", svg_series(run));
    svg_path(g, px, py, n, class);
    for (size_t i = 0; i < f->r->n_lengths; i++) {
        const struct estimate *m = estimate_of(f, i, run, which);
        if (m->n && 1 - estimate_mean(m) > 0) point(g, f, run, i, m, axes);
    }
    return n ? py[n - 1] : NAN;
}

/* The published points of LOOKAT-4. */
static void published(struct svg *g, const struct figure_of *f, const struct axis axes[2]) {
    for (size_t i = 0; i < f->r->n_lengths; i++) {
        double x = strtod(paper_by_length(f->r->lengths[i].window), NULL);
        if (!(x > 0)) continue;
        svg_group(g, 0, 0);
        svg_hover(g, "lookat4 at %zu tokens, published: %g", f->r->lengths[i].window, x);
        svg_mark(g, axis_at(&axes[0], (double)f->r->lengths[i].window), axis_at(&axes[1], 1 - x), 0,
                 true);
        svg_group_end(g);
    }
}

/* Both axes, so that all that is drawn lies on them. */
static void find_axes(const struct figure_of *f, int which, struct axis axes[2]) {
    for (size_t i = 0; i < f->r->n_lengths; i++) {
        axis_hold(&axes[0], (double)f->r->lengths[i].window);
        for (size_t run = 1; run < f->r->main->n_runs; run++) {
            const struct estimate *m = estimate_of(f, i, run, which);
            if (m->n) axis_hold(&axes[1], 1 - estimate_mean(m));
        }
        double there = strtod(paper_by_length(f->r->lengths[i].window), NULL);
        if (f->r->paper && which == FIDELITY_COSINE && there > 0) axis_hold(&axes[1], 1 - there);
    }
    axis_pad(&axes[0], 0.06, 4);
    axis_pad(&axes[1], 0.08, 10);
    axes[0].from = LEFT;
    axes[0].to = RIGHT;
    axes[1].from = BOTTOM;
    axes[1].to = TOP;
}

/* Names right of the lines, in the order of their ends and a line apart. */
static void names(struct svg *g, const struct figure_of *f, const double *y, const double *x) {
    double last = TOP - 8;
    bool done[RUNS] = {false};
    size_t n = f->r->main->n_runs;
    for (size_t k = 1; k < n; k++) {
        size_t next = 0;
        for (size_t run = 1; run < n && run < RUNS; run++)
            if (!done[run] && !isnan(y[run]) && (!next || y[run] < y[next])) next = run;
        if (!next) return;
        done[next] = true;
        last = fmax(y[next], last + 12);
        svg_line(g, x[next] + 7, y[next], RIGHT + 3, last, "grid");
        svg_text(g, RIGHT + 6, last + 3.5, "t", "%s", figure_name(f->r, next).s);
    }
}

static void draw(struct svg *g, const struct figure_of *f, int which, const char *title) {
    struct axis axes[2] = {AXIS_EMPTY(true), AXIS_EMPTY(true)};
    double end_x[RUNS], end_y[RUNS];
    find_axes(f, which, axes);
    svg_text(g, 0, 14, "th", "%s", title);
    svg_text(g, 0, 29, "tt",
             f->r->paper && which == FIDELITY_COSINE
                 ? "lower is closer; hollow: LOOKAT-4 as published"
                 : "lower is closer to the baseline");
    axis_y(g, &axes[1], LEFT, RIGHT, plain);
    length_ticks(g, f, &axes[0]);
    for (size_t run = 1; run < f->r->main->n_runs && run < RUNS; run++) {
        end_x[run] = axis_at(&axes[0], (double)f->r->lengths[f->r->n_lengths - 1].window);
        end_y[run] = run_line(g, f, run, which, axes);
    }
    names(g, f, end_y, end_x);
    if (f->r->paper && which == FIDELITY_COSINE) published(g, f, axes);
}

void lengths_cosine_draw(struct svg *g, const struct figure_of *f) {
    svg_begin(g, WIDTH, HEIGHT, "1 - cosine of attention by length of the window");
    draw(g, f, FIDELITY_COSINE, "1 - cosine of the output");
    svg_end(g);
}

void lengths_spearman_draw(struct svg *g, const struct figure_of *f) {
    svg_begin(g, WIDTH, HEIGHT, "1 - rank correlation of scores by length of the window");
    draw(g, f, FIDELITY_SPEARMAN, "1 - Spearman\xE2\x80\x99s rho of the scores");
    svg_end(g);
}
