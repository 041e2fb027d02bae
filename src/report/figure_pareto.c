/* What a backend costs against what it loses, both logarithmic: one mark for each backend, errors
 * as bars, and the front, which joins the backends that no other one beats in both. A loss of 0 has
 * no place on a logarithmic axis, so it has a line of its own below it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare_paper.h"
#include "report/figures.h"
#include "report/markup.h"
#include "report/plot.h"

enum { WIDTH = 372, HEIGHT = 286, LEFT = 50, RIGHT = 356, TOP = 40, BOTTOM = 232, ZERO = 250 };

/* One backend: cost x from least to most (NAN: none known), loss y with its error. */
struct point {
    size_t run;
    double x, least, most, y, error;
    bool hollow;
};

struct pareto {
    const char *title, *x_title, *y_title, *unit;
    struct point points[2 * 64];
    size_t n;
    bool bytes;
};
enum { POINTS_MAX = 2 * 64 };

static struct text_number plain_tick(double x) {
    struct text_number t;
    snprintf(t.s, sizeof t.s, "%g", x);
    if (x < 1e-3 && x > 0) snprintf(t.s, sizeof t.s, "1e%d", (int)lround(log10(x)));
    return t;
}

static void add(struct pareto *p, struct point at) {
    if (p->n < POINTS_MAX && isfinite(at.x) && at.x > 0 && isfinite(at.y)) p->points[p->n++] = at;
}

/* ---- drawing ---- */

static double y_at(const struct axis *y, double value) {
    return value > 0 ? axis_at(y, value) : ZERO;
}

static bool beats(const struct point *a, const struct point *b) {
    return a->x <= b->x && a->y <= b->y && (a->x < b->x || a->y < b->y);
}

static int by_x(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x;
}

/* The front as steps: what is right of it and above it is beaten. */
static void front(struct svg *g, const struct pareto *p, const struct axis *x, const struct axis *y,
                  struct labels *l) {
    struct point kept[POINTS_MAX];
    double px[2 * POINTS_MAX], py[2 * POINTS_MAX];
    size_t n = 0, corners = 0;
    for (size_t i = 0; i < p->n; i++) {
        bool beaten = p->points[i].hollow;
        for (size_t k = 0; k < p->n; k++)
            beaten = beaten || (!p->points[k].hollow && beats(&p->points[k], &p->points[i]));
        if (!beaten) kept[n++] = p->points[i];
    }
    qsort(kept, n, sizeof *kept, by_x);
    for (size_t i = 0; i < n; i++) {
        if (i) {
            px[corners] = axis_at(x, kept[i].x);
            py[corners++] = y_at(y, kept[i - 1].y);
        }
        px[corners] = axis_at(x, kept[i].x);
        py[corners++] = y_at(y, kept[i].y);
    }
    svg_path(g, px, py, corners, "front");
    for (size_t i = 0; i + 1 < corners; i++) labels_line(l, px[i], py[i], px[i + 1], py[i + 1]);
}

static void bars(struct svg *g, const struct point *at, const struct axis *x,
                 const struct axis *y) {
    char class[24];
    double px = axis_at(x, at->x), py = y_at(y, at->y);
    snprintf(class, sizeof class, "%s bar", svg_series(at->run));
    if (isfinite(at->error) && at->error > 0 && at->y > 0) {
        double low = at->y - at->error > y->low ? axis_at(y, at->y - at->error) : BOTTOM;
        svg_line(g, px, low, px, axis_at(y, at->y + at->error), class);
    }
    if (isfinite(at->least) && at->least > 0)
        svg_line(g, axis_at(x, at->least), py, axis_at(x, at->most), py, class);
}

/* A mark with its bars, and the exact numbers for who points at it. */
static void mark(struct svg *g, const struct compare_report *r, const struct pareto *p,
                 const struct point *at, const struct axis *x, const struct axis *y) {
    struct text_number cost = p->bytes ? markup_count(at->x) : markup_number(at->x);
    svg_group(g, 0, 0);
    svg_hover(g, "%s%s: %s %s; %s %s", figure_name(r, at->run).s, at->hollow ? ", published" : "",
              cost.s, p->unit, p->y_title, markup_pair(at->y, at->error).s);
    if (!at->hollow) bars(g, at, x, y);
    svg_mark(g, axis_at(x, at->x), y_at(y, at->y), at->run, at->hollow);
    svg_group_end(g);
}

/* Keeps labels away from the mark and its bar. */
static void mark_label(struct labels *l, const struct point *at, const struct axis *x,
                       const struct axis *y) {
    double py = y_at(y, at->y);
    labels_mark(l, axis_at(x, at->x), py);
    if (isfinite(at->least) && at->least > 0)
        labels_line(l, axis_at(x, at->least), py, axis_at(x, at->most), py);
}

static void frame(struct svg *g, const struct pareto *p, const struct axis *x,
                  const struct axis *y) {
    bool zero = false;
    for (size_t i = 0; i < p->n; i++) zero = zero || !(p->points[i].y > 0);
    svg_text(g, 0, 14, "th", "%s", p->title);
    svg_text(g, 0, 29, "tt", "%s", p->y_title);
    axis_y(g, y, LEFT, RIGHT, plain_tick);
    double below = zero ? ZERO : BOTTOM;
    axis_x(g, x, below, TOP, p->bytes ? axis_bytes : plain_tick);
    if (zero) svg_text(g, LEFT - 6, ZERO + 3.5, "tt end", "0");
    svg_text(g, RIGHT, below + 30, "tt end", "%s", p->x_title);
}

static void draw(struct svg *g, const struct compare_report *r, const struct pareto *p) {
    struct axis x = AXIS_EMPTY(true), y = AXIS_EMPTY(true);
    struct labels l = {.left = LEFT, .right = RIGHT + 14, .top = TOP - 8, .bottom = ZERO + 3};
    for (size_t i = 0; i < p->n; i++) {
        const struct point *at = &p->points[i];
        axis_hold(&x, at->x);
        axis_hold(&x, at->least);
        axis_hold(&x, at->most);
        axis_hold(&y, at->y);
        if (at->error < at->y) axis_hold(&y, at->y - at->error);
        if (isfinite(at->error)) axis_hold(&y, at->y + at->error);
    }
    axis_pad(&x, 0.09, 4);
    axis_pad(&y, 0.07, 10);
    x.from = LEFT;
    x.to = RIGHT;
    y.from = BOTTOM;
    y.to = TOP;
    frame(g, p, &x, &y);
    front(g, p, &x, &y, &l);
    for (size_t i = 0; i < p->n; i++) {
        mark(g, r, p, &p->points[i], &x, &y);
        mark_label(&l, &p->points[i], &x, &y);
    }
    for (size_t i = 0; i < p->n; i++)
        if (!p->points[i].hollow)
            labels_put(&l, g, axis_at(&x, p->points[i].x), y_at(&y, p->points[i].y),
                       p->points[i].run, figure_name(r, p->points[i].run).s);
}

/* ---- the costs ---- */

static const char *loss_title(const struct metric *loss) {
    return strcmp(loss->name, "kld") == 0 ? "KL of predictions, nats" : "KL of attention, nats";
}

static double cost(const char *metric, const struct metric_place *p) {
    struct figure f = metric_figure(metric_named(metric), p);
    return f.kind == FIGURE_NUMBER ? f.x : NAN;
}

/* Fills the points with a cost and its range. */
static void collect(struct pareto *p, const struct figure_of *f, const char *metric,
                    const char *least, const char *most) {
    const struct metric *loss = figure_loss(f->r, f->text);
    p->y_title = loss_title(loss);
    for (size_t run = 0; run < f->r->main->n_runs; run++) {
        const struct metric_place at = metric_whole(f->r, run, f->text);
        struct figure lost = metric_figure(loss, &at);
        if (lost.kind != FIGURE_NUMBER && run) continue;
        add(p, (struct point){.run = run,
                              .x = cost(metric, &at),
                              .least = least ? cost(least, &at) : NAN,
                              .most = most ? cost(most, &at) : NAN,
                              .y = run ? lost.x : 0,
                              .error = run ? lost.error : NAN});
    }
}

static bool any_loss(const struct figure_of *f) {
    const struct metric *loss = figure_loss(f->r, f->text);
    for (size_t run = 1; run < f->r->main->n_runs; run++) {
        const struct metric_place at = metric_whole(f->r, run, f->text);
        if (metric_figure(loss, &at).kind == FIGURE_NUMBER) return true;
    }
    return false;
}

bool pareto_stored_there(const struct figure_of *f) { return any_loss(f); }
bool pareto_loaded_there(const struct figure_of *f) {
    return any_loss(f) && compare_sum(f->r, 0, f->text)->decoded;
}
bool pareto_time_there(const struct figure_of *f) { return pareto_loaded_there(f); }

static void stored(struct svg *g, const struct figure_of *f) {
    struct pareto p = {.title = "Bytes stored per token",
                       .x_title = "bytes the cache keeps for a token, all layers",
                       .unit = "bytes stored per token",
                       .bytes = true};
    collect(&p, f, "stored_bytes", NULL, NULL);
    draw(g, f->r, &p);
}

/* The bar reaches from the bytes that are streamed to all bytes. */
static void loaded(struct svg *g, const struct figure_of *f) {
    struct pareto p = {.title = "Bytes loaded per decoded token",
                       .x_title = "all bytes attention reads; bar: from those streamed",
                       .unit = "bytes loaded per token",
                       .bytes = true};
    collect(&p, f, "loaded_total", "loaded_streamed", "loaded_total");
    draw(g, f->r, &p);
}

static void one(struct svg *g, const struct figure_of *f,
                void (*panel)(struct svg *g, const struct figure_of *f), const char *about) {
    svg_begin(g, WIDTH, HEIGHT, about);
    panel(g, f);
    svg_end(g);
}

void pareto_stored_draw(struct svg *g, const struct figure_of *f) {
    one(g, f, stored, "Bytes stored per token against KL, one mark for each backend");
}

void pareto_loaded_draw(struct svg *g, const struct figure_of *f) {
    one(g, f, loaded, "Bytes loaded per token against KL, one mark for each backend");
}

static void timed(struct svg *g, const struct figure_of *f) {
    struct pareto p = {.title = "Milliseconds in attention per token",
                       .x_title = "ms, median; bar: least to most",
                       .unit = "ms in attention per token"};
    collect(&p, f, "attention_ms", "attention_ms_min", "attention_ms_max");
    draw(g, f->r, &p);
}

void pareto_time_draw(struct svg *g, const struct figure_of *f) {
    one(g, f, timed, "Milliseconds in attention per token against KL");
}

void pareto_both_draw(struct svg *g, const struct figure_of *f) {
    svg_begin(g, 2 * WIDTH + 16, HEIGHT,
              "Bytes stored and bytes loaded per token against KL, one mark for each backend");
    svg_group(g, 6, 4);
    stored(g, f);
    svg_group_end(g);
    svg_group(g, WIDTH + 14, 4);
    loaded(g, f);
    svg_group_end(g);
    svg_end(g);
}

/* ---- beside the paper ---- */

bool pareto_paper_there(const struct figure_of *f) {
    for (size_t run = 1; run < f->r->main->n_runs; run++) {
        const struct estimate *layers = compare_sum(f->r, run, f->text)->layers;
        if (!isnan(paper_cosine(f->r, run)) && layers &&
            layers[f->r->main->first_layer * FIDELITIES].n)
            return true;
    }
    return false;
}

/* 1 - cosine of the first layer that was measured, and what the paper gives for the same codec. */
static void paper(struct svg *g, const struct figure_of *f) {
    struct pareto p = {.title = "Keys alone, beside the paper",
                       .x_title = "bytes of keys stored per token, all layers",
                       .y_title = "1 - cosine, first layer; hollow: as published",
                       .unit = "bytes of keys per token",
                       .bytes = true};
    const struct metric *cosine = metric_of_shadow(FIDELITY_COSINE);
    for (size_t run = 0; run < f->r->main->n_runs; run++) {
        struct metric_place at = metric_whole(f->r, run, f->text);
        double keys = cost("stored_keys", &at), published = paper_cosine(f->r, run);
        at.layer = f->r->main->first_layer;
        struct figure c = metric_figure(cosine, &at);
        if (c.kind == FIGURE_NUMBER)
            add(&p, (struct point){run, keys, NAN, NAN, 1 - c.x, c.error, false});
        if (run && !isnan(published))
            add(&p, (struct point){run, keys, NAN, NAN, 1 - published, NAN, true});
    }
    draw(g, f->r, &p);
}

void pareto_paper_draw(struct svg *g, const struct figure_of *f) {
    one(g, f, paper, "Bytes of keys against 1 - cosine, measured and published");
}
