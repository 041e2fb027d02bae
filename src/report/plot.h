/* Axes of a plot: from values to places, with ticks and a grid. */
#ifndef LOOKAT_REPORT_PLOT_H
#define LOOKAT_REPORT_PLOT_H

#include <stdbool.h>

#include "report/svg.h"
#include "report/text.h"

struct axis {
    double low, high; /* values at the ends, low < high; above 0 where it is logarithmic */
    double from, to;  /* places of the ends, in the figure's units */
    bool log;
};

/* Widens [low, high] so that it holds x. An axis begins as AXIS_EMPTY. What is not finite, or not
 * above 0 on a logarithmic axis, is passed over. */
#define AXIS_EMPTY(is_log) \
    { .low = 1, .high = -1, .log = (is_log) }
void axis_hold(struct axis *a, double x);
bool axis_empty(const struct axis *a);

/* Leaves some room at both ends: a share of the axis, at least a factor of `least` in all on a
 * logarithmic one. */
void axis_pad(struct axis *a, double share, double least);

/* The place of a value, which need not lie between the ends; at the end where it has none. */
double axis_at(const struct axis *a, double x);

/* A tick's text. */
typedef struct text_number (*axis_format)(double x);

/* The tick of so many bytes: "0", "500 B", "2 kB", "1.5 MB". */
struct text_number axis_bytes(double x);

/* Draws ticks with their grid lines, which reach to `other` (the far side of the plot), and
 * texts. */
void axis_x(struct svg *g, const struct axis *a, double y, double other, axis_format format);
void axis_y(struct svg *g, const struct axis *a, double x, double other, axis_format format);

/* Places for labels that do not lie on each other: each is put at one of the places around its
 * mark. */
enum { LABELS_MAX = 128 };
struct labels {
    struct {
        double x, y, width, height;
    } box[LABELS_MAX];
    size_t n;
    double left, right, top, bottom; /* where labels may be */
};

/* Keep labels away from a mark at (x, y), and from a line from (x1, y1) to (x2, y2) that is level
 * or upright. All of them come before the first label. */
void labels_mark(struct labels *l, double x, double y);
void labels_line(struct labels *l, double x1, double y1, double x2, double y2);
/* Writes the text beside the mark of a series at (x, y), with a line to it where it is further off.
 */
void labels_put(struct labels *l, struct svg *g, double x, double y, size_t series,
                const char *text);

#endif
