#include "report/plot.h"

#include <math.h>
#include <string.h>

bool axis_empty(const struct axis *a) { return a->low > a->high; }

void axis_hold(struct axis *a, double x) {
    if (!isfinite(x) || (a->log && !(x > 0))) return;
    bool first = axis_empty(a);
    if (first || x < a->low) a->low = x;
    if (first || x > a->high) a->high = x;
}

void axis_pad(struct axis *a, double share, double least) {
    if (axis_empty(a)) a->low = a->high = 1;
    if (!a->log) {
        double room = share * (a->high - a->low);
        if (room == 0) room = 1;
        a->low -= room;
        a->high += room;
        return;
    }
    double range = log(a->high / a->low), room = share * range;
    if (range + 2 * room < log(least)) room = (log(least) - range) / 2;
    a->low *= exp(-room);
    a->high *= exp(room);
}

double axis_at(const struct axis *a, double x) {
    double share = a->log ? (x > 0 ? log(x / a->low) / log(a->high / a->low) : 0)
                          : (x - a->low) / (a->high - a->low);
    if (isnan(share)) share = 0;
    return a->from + (share < -9 ? -9 : share > 9 ? 9 : share) * (a->to - a->from);
}

/* ---- ticks ---- */

enum { TICKS_MAX = 64 };
struct ticks {
    double at[TICKS_MAX];
    size_t n;
};

static void tick(struct ticks *t, const struct axis *a, double x) {
    double slack = 1e-9 * (a->high - a->low);
    if (x >= a->low - slack && x <= a->high + slack && t->n < TICKS_MAX) t->at[t->n++] = x;
}

/* Decades; 1, 2 and 5 of each where there are few, and more of them within one decade. */
static void log_ticks(struct ticks *t, const struct axis *a) {
    double decades = log10(a->high / a->low);
    int step = decades > 7 ? 2 : 1;
    for (int e = (int)floor(log10(a->low)); pow(10, e) <= a->high; e++) {
        static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
        if (decades > 2 && e % step) continue;
        const double *of = decades > 0.8 ? few : many;
        int n = decades > 2 ? 1 : decades > 0.8 ? 3 : 8;
        for (int i = 0; i < n; i++) tick(t, a, of[i] * pow(10, e));
    }
}

/* Four to eight steps of 1, 2 or 5 times a power of ten. */
static void linear_ticks(struct ticks *t, const struct axis *a) {
    double range = a->high - a->low, unit = pow(10, floor(log10(range)));
    double step = range / unit >= 4 ? unit : range / unit >= 2 ? unit / 2 : unit / 5;
    for (double x = ceil(a->low / step) * step; x <= a->high + step / 1e6; x += step)
        tick(t, a, fabs(x) < step / 1e6 ? 0 : x);
}

static struct ticks ticks_of(const struct axis *a) {
    struct ticks t = {.n = 0};
    if (a->log)
        log_ticks(&t, a);
    else
        linear_ticks(&t, a);
    return t;
}

struct text_number axis_bytes(double x) {
    struct text_number t;
    bool mega = x >= 0.999e6, kilo = x >= 999;
    snprintf(t.s, sizeof t.s, "%g%s",
             mega   ? x / 1e6
             : kilo ? x / 1e3
                    : x,
             mega    ? " MB"
             : kilo  ? " kB"
             : x > 0 ? " B"
                     : "");
    return t;
}

void axis_x(struct svg *g, const struct axis *a, double y, double other, axis_format format) {
    struct ticks t = ticks_of(a);
    for (size_t i = 0; i < t.n; i++) {
        double x = axis_at(a, t.at[i]);
        svg_line(g, x, y, x, other, "grid");
        svg_text(g, x, y + 14, "tt mid", "%s", format(t.at[i]).s);
    }
    svg_line(g, a->from, y, a->to, y, "axis");
}

void axis_y(struct svg *g, const struct axis *a, double x, double other, axis_format format) {
    struct ticks t = ticks_of(a);
    for (size_t i = 0; i < t.n; i++) {
        double y = axis_at(a, t.at[i]);
        svg_line(g, x, y, other, y, "grid");
        svg_text(g, x - 6, y + 3.5, "tt end", "%s", format(t.at[i]).s);
    }
    svg_line(g, x, a->from, x, a->to, "axis");
}

/* ---- labels ---- */

static void keep(struct labels *l, double x, double y, double width, double height) {
    if (l->n == LABELS_MAX) return;
    l->box[l->n].x = x;
    l->box[l->n].y = y;
    l->box[l->n].width = width;
    l->box[l->n++].height = height;
}

/* How much of the box is taken already; all of it where it leaves the plot. */
static double overlap(const struct labels *l, double x, double y, double width, double height) {
    double sum = 0;
    if (x < l->left || x + width > l->right || y < l->top || y + height > l->bottom)
        sum = width * height;
    for (size_t i = 0; i < l->n; i++) {
        double w = fmin(x + width, l->box[i].x + l->box[i].width) - fmax(x, l->box[i].x),
               h = fmin(y + height, l->box[i].y + l->box[i].height) - fmax(y, l->box[i].y);
        if (w > 0 && h > 0) sum += w * h;
    }
    return sum;
}

void labels_mark(struct labels *l, double x, double y) { keep(l, x - 6, y - 6, 12, 12); }

void labels_line(struct labels *l, double x1, double y1, double x2, double y2) {
    keep(l, fmin(x1, x2) - 1, fmin(y1, y2) - 1, fabs(x2 - x1) + 2, fabs(y2 - y1) + 2);
}

/* A label that is not beside its mark gets a line to it. */
static void leader(struct svg *g, double x, double y, double left, double middle, double width,
                   size_t series) {
    char class[24];
    if (fabs(middle - y) < 10) return;
    double to = left > x ? left : left + width < x ? left + width : x;
    snprintf(class, sizeof class, "%s thin", svg_series(series));
    svg_line(g, x, y, to, middle > y ? middle - 5 : middle + 5, class);
}

void labels_put(struct labels *l, struct svg *g, double x, double y, size_t series,
                const char *text) {
    enum { ROWS = 7 };
    double width = 5.9 * (double)strlen(text), best = INFINITY, at_x = x, at_y = y;
    /* A label is right of its mark, left of it, or centred, and further up or down as it must. */
    for (int row = 0; row < ROWS; row++)
        for (int side = 0; side < 3; side++) {
            double dy = 12.0 * (row / 2 + row % 2) * (row % 2 ? -1 : 1);
            double left = side == 0 ? x + 9 : side == 1 ? x - 9 - width : x - width / 2;
            double top = y - 6.5 + dy;
            double cost = overlap(l, left, top, width, 13) + 3.0 * row + (side == 2 ? 2 : side);
            if (cost >= best) continue;
            best = cost;
            at_x = left;
            at_y = top;
        }
    keep(l, at_x, at_y, width, 13);
    leader(g, x, y, at_x, at_y + 6.5, width, series);
    svg_text(g, at_x, at_y + 10, "t halo", "%s", text);
}
