/* Maps of layer by head: how far each head's attention is from the baseline's, by four measures.
 * All maps of a page share one scale, which is logarithmic and begins at "exact": what is coloured
 * is 1 - cosine, KL, 1 - rho and 1 - top-5, all of them 0 where nothing is lost. */
#include <math.h>

#include "report/colour.h"
#include "report/figures.h"
#include "report/markup.h"
#include "report/plot.h"

enum { WIDTH = 372, LEFT = 22, MAP = 78, GAP = 9, TOP = 44, SCALE_STEPS = 48 };

static bool measured(const struct figure_of *f, size_t layer) {
    for (size_t run = 1; run < f->r->main->n_runs; run++) {
        const struct estimate *layers = compare_sum(f->r, run, f->text)->layers;
        if (layers && layers[layer * FIDELITIES].n) return true;
    }
    return false;
}

bool heads_there(const struct figure_of *f) {
    for (size_t l = 0; l < f->r->model.config.n_layer; l++)
        if (measured(f, l)) return true;
    return false;
}

/* 0 where nothing is lost. */
static double loss_of(int which, double x) { return which == FIDELITY_KL ? x : 1 - x; }

/* The decades that hold all losses of all backends, at most six. */
static struct axis scale_of(const struct figure_of *f) {
    struct axis a = AXIS_EMPTY(true);
    const struct gpt2_config *g = &f->r->model.config;
    for (size_t run = 1; run < f->r->main->n_runs; run++)
        for (int which = 0; which < FIDELITIES; which++) {
            struct metric_place p = metric_whole(f->r, run, f->text);
            for (p.layer = 0; p.layer < g->n_layer; p.layer++)
                for (p.head = 0; p.head < g->n_head; p.head++) {
                    struct figure x = metric_figure(metric_of_shadow(which), &p);
                    if (x.kind == FIGURE_NUMBER) axis_hold(&a, loss_of(which, x.x));
                }
        }
    if (axis_empty(&a)) a.low = a.high = 0.1;
    a.high = pow(10, ceil(log10(a.high)));
    a.low = pow(10, floor(log10(a.low)));
    if (a.high <= a.low) a.high = 10 * a.low;
    if (a.low < a.high * 1e-6) a.low = a.high * 1e-6;
    a.to = 1;
    return a;
}

/* What lies below the scale is as exact as the scale can say. */
static struct colour colour_of(const struct axis *scale, double loss) {
    return colour_scale(loss > 0 ? axis_at(scale, loss) : 0);
}

/* ---- one map ---- */

struct map {
    const struct figure_of *f;
    const struct axis *scale;
    int which;
    double x, cell_width, cell_height;
};

static void cell(struct svg *g, const struct map *m, struct metric_place p, double y) {
    const struct metric *metric = metric_of_shadow(m->which);
    struct figure x = metric_figure(metric, &p);
    char hover[128];
    double at = m->x + (double)p.head * m->cell_width;
    if (x.kind != FIGURE_NUMBER) return;
    snprintf(hover, sizeof hover, "layer %zu, head %zu: %s %s", p.layer, p.head, metric->title,
             markup_pair(x.x, x.error).s);
    if (isnan(x.x))
        svg_cell(g, at, y, m->cell_width, m->cell_height, "none", hover);
    else
        svg_cell(g, at, y, m->cell_width, m->cell_height,
                 colour_of(m->scale, loss_of(m->which, x.x)).s, hover);
}

static void map(struct svg *g, const struct map *m) {
    const struct gpt2_config *c = &m->f->r->model.config;
    const struct metric *metric = metric_of_shadow(m->which);
    struct metric_place whole = metric_whole(m->f->r, m->f->run, m->f->text), p = whole;
    double y = TOP;
    svg_text(g, m->x, 28, "t", "%s", metric->title);
    whole.layer = METRIC_SHADOWED;
    svg_text(g, m->x, 40, "tt", "%s",
             markup_digits(metric_figure(metric, &whole).x, m->which == FIDELITY_KL ? 3 : 5).s);
    for (p.layer = 0; p.layer < c->n_layer; p.layer++) {
        if (!measured(m->f, p.layer)) continue;
        for (p.head = 0; p.head < c->n_head; p.head++) cell(g, m, p, y);
        y += m->cell_height;
    }
    for (size_t h = 0; h < c->n_head && c->n_head <= 8; h++)
        svg_text(g, m->x + ((double)h + 0.5) * m->cell_width, y + 11, "tt mid", "%zu", h);
}

static double height_of_cell(size_t layers) { return layers <= 8 ? 15 : layers <= 24 ? 11 : 6; }

void heads_draw(struct svg *g, const struct figure_of *f) {
    const struct gpt2_config *c = &f->r->model.config;
    struct axis scale = scale_of(f);
    size_t layers = 0;
    for (size_t l = 0; l < c->n_layer; l++) layers += measured(f, l);
    double cell = height_of_cell(layers), y = TOP;
    svg_begin(g, WIDTH, TOP + cell * (double)layers + 18,
              "Cosine, KL, Spearman and top-5 of each layer and head; the table below has the "
              "numbers");
    svg_text(g, 0, 12, "th", "%s", figure_name(f->r, f->run).s);
    for (size_t l = 0; l < c->n_layer; l++) {
        if (!measured(f, l)) continue;
        if (cell >= 10 || l % 4 == 0) svg_text(g, LEFT - 6, y + cell / 2 + 3.5, "tt end", "%zu", l);
        y += cell;
    }
    for (int which = 0; which < FIDELITIES; which++) {
        const struct map m = {
            f, &scale, which, LEFT + which * (MAP + GAP), (double)MAP / (double)c->n_head, cell};
        map(g, &m);
    }
    svg_end(g);
}

/* ---- the scale ---- */

void heads_scale_draw(struct svg *g, const struct figure_of *f) {
    struct axis scale = scale_of(f);
    double width = WIDTH - 2 * LEFT, step = width / SCALE_STEPS;
    svg_begin(g, WIDTH, 56, "The colour scale: dark is close to the baseline, yellow is far");
    svg_text(g, LEFT, 11, "tt", "1 - cosine, KL, 1 - rho, 1 - top-5");
    for (int i = 0; i < SCALE_STEPS; i++)
        svg_cell(g, LEFT + i * step, 18, step + 0.3, 14, colour_scale((i + 0.5) / SCALE_STEPS).s,
                 NULL);
    scale.from = LEFT;
    scale.to = LEFT + width;
    for (double x = scale.low; x <= scale.high * 1.001; x *= 10)
        svg_text(g, axis_at(&scale, x), 46, "tt mid", "%s", markup_digits(x, 1).s);
    svg_end(g);
}
