/* Bytes loaded per token by the length of the context, stacked by what they are read for, with the
 * baseline's total beside them and the length from which on a backend reads less. */
#include <math.h>

#include "report/figures.h"
#include "report/markup.h"
#include "report/plot.h"

enum { WIDTH = 372, HEIGHT = 214, LEFT = 50, RIGHT = 358, TOP = 34, BOTTOM = 180 };

/* The parts, from the bottom up. */
static const char *const parts[] = {"loaded_keys",   "loaded_scales", "loaded_codebooks",
                                    "loaded_tables", "loaded_values", "loaded_refined"};
enum { PARTS = sizeof parts / sizeof *parts };

bool bytes_there(const struct figure_of *f) { return f->r->main->n_contexts > 1; }

static double metric_at(const struct figure_of *f, size_t run, size_t i, const char *metric) {
    struct comparison_summary s;
    struct metric_place p = metric_whole(f->r, run, f->text);
    if (!compare_context_sum(f->r, run, i, &s)) return NAN;
    p.s = &s;
    return metric_figure(metric_named(metric), &p).x;
}

/* All backends share the axes, so that heights can be compared. */
static struct axis bytes_axis(const struct figure_of *f) {
    struct axis y = {.from = BOTTOM, .to = TOP};
    size_t last = f->r->main->n_contexts - 1;
    for (size_t run = 0; run < f->r->main->n_runs; run++)
        axis_hold(&y, 1.04 * metric_at(f, run, last, "loaded_total"));
    return y;
}

static struct axis token_axis(const struct figure_of *f) {
    const struct comparison *c = f->r->main;
    return (struct axis){.high = (double)c->contexts[c->n_contexts - 1], .from = LEFT, .to = RIGHT};
}

static struct text_number tokens(double x) { return markup_count(x); }

/* ---- one backend ---- */

static void areas(struct svg *g, const struct figure_of *f, const struct axis *x,
                  const struct axis *y) {
    const struct comparison *c = f->r->main;
    double px[CONTEXTS_MAX], low[CONTEXTS_MAX], high[CONTEXTS_MAX], sum[CONTEXTS_MAX] = {0};
    char class[24];
    for (int part = 0; part < PARTS; part++) {
        bool any = false;
        for (size_t i = 0; i < c->n_contexts; i++) {
            double bytes = metric_at(f, f->run, i, parts[part]);
            px[i] = axis_at(x, (double)c->contexts[i]);
            low[i] = axis_at(y, sum[i]);
            sum[i] += bytes;
            high[i] = axis_at(y, sum[i]);
            any = any || bytes > 0;
        }
        if (!any) continue;
        snprintf(class, sizeof class, "p%d area", part + 1);
        svg_group(g, 0, 0);
        svg_hover(g, "%s: %s bytes at %zu tokens", metric_named(parts[part])->title,
                  markup_count(metric_at(f, f->run, c->n_contexts - 1, parts[part])).s,
                  c->contexts[c->n_contexts - 1]);
        svg_area(g, px, low, high, c->n_contexts, class);
        svg_group_end(g);
    }
}

static void baseline(struct svg *g, const struct figure_of *f, const struct axis *x,
                     const struct axis *y) {
    const struct comparison *c = f->r->main;
    double px[CONTEXTS_MAX], py[CONTEXTS_MAX];
    for (size_t i = 0; i < c->n_contexts; i++) {
        px[i] = axis_at(x, (double)c->contexts[i]);
        py[i] = axis_at(y, metric_at(f, 0, i, "loaded_total"));
    }
    svg_path(g, px, py, c->n_contexts, "s0 dash");
}

/* What the figure says in words: where the crossover is, or that there is none. */
static void crossover(struct svg *g, const struct figure_of *f, const struct axis *x) {
    size_t from = f->r->main->runs[f->run].by_context.fewer_loaded;
    if (!f->run) {
        svg_text(g, 0, 27, "tt", "the baseline");
    } else if (!from) {
        svg_text(g, 0, 27, "tt", "never fewer than %s up to this context", figure_name(f->r, 0).s);
    } else if (from == 1) {
        svg_text(g, 0, 27, "tt", "fewer than %s at every length", figure_name(f->r, 0).s);
    } else {
        double at = axis_at(x, (double)from);
        svg_text(g, 0, 27, "tt", "fewer than %s from %s tokens on", figure_name(f->r, 0).s,
                 text_count(from).s);
        svg_line(g, at, BOTTOM, at, TOP, "cross");
    }
}

void bytes_draw(struct svg *g, const struct figure_of *f) {
    struct axis x = token_axis(f), y = bytes_axis(f);
    svg_begin(g, WIDTH, HEIGHT,
              "Bytes loaded per token by context length, stacked by what they are read for");
    svg_text(g, 0, 12, "th", "%s", figure_name(f->r, f->run).s);
    axis_y(g, &y, LEFT, RIGHT, axis_bytes);
    axis_x(g, &x, BOTTOM, TOP, tokens);
    areas(g, f, &x, &y);
    if (f->run) baseline(g, f, &x, &y);
    crossover(g, f, &x);
    svg_text(g, RIGHT, BOTTOM + 29, "tt end", "tokens of context");
    svg_end(g);
}

void bytes_key_draw(struct svg *g, const struct figure_of *f) {
    char class[24];
    svg_begin(g, WIDTH, 44, "What the colours of the parts stand for");
    for (int part = 0; part < PARTS; part++) {
        double x = part % 3 * 124.0, y = part / 3 * 20.0 + 4;
        snprintf(class, sizeof class, "p%d area", part + 1);
        svg_rect(g, x, y, 14, 12, class);
        svg_text(g, x + 20, y + 10, "t", "%s", metric_named(parts[part])->title);
    }
    (void)f;
    svg_end(g);
}
