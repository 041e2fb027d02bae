/* A small vocabulary for drawing SVG 1.1 figures. Lengths are in units of the figure, x to the
 * right and y down. A colour comes from a class where the page's light or dark scheme decides, and
 * stands in the element where it carries a value.
 *
 * Classes: "axis" and "grid" are lines; "t" is plain text, "tt" its small form, "th" its strong
 * one, and "halo" keeps what lies below it away; "end" and "mid" set where a text is anchored; s0
 * ... s7 are series (fill and stroke); "front" a dotted line; "hollow" leaves a mark empty; p1 ...
 * p6 are parts of a stack; "less" and "more" the two ends of a difference. */
#ifndef LOOKAT_REPORT_SVG_H
#define LOOKAT_REPORT_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct svg {
    FILE *fp;
    bool alone; /* a file of its own, which brings its style along; else a part of a page */
};

/* The rules that all figures need, for a page's <style>. */
extern const char svg_style[];

/* Begin and end a figure of width x height. `about` says in words what is seen, to those who do not
 * see it. */
void svg_begin(struct svg *g, double width, double height, const char *about);
void svg_end(struct svg *g);

/* What is drawn until svg_group_end lies (x, y) further, and belongs together. */
void svg_group(struct svg *g, double x, double y);
void svg_group_end(struct svg *g);

/* The text that a reader sees who points at the group that was begun last; the first thing in
 * it. */
void svg_hover(struct svg *g, const char *fmt, ...) ERR_PRINTF(2, 3);

void svg_line(struct svg *g, double x1, double y1, double x2, double y2, const char *class);
void svg_rect(struct svg *g, double x, double y, double width, double height, const char *class);
/* The same in a colour, with a hover text unless `hover` is NULL. */
void svg_cell(struct svg *g, double x, double y, double width, double height, const char *fill,
              const char *hover);
void svg_text(struct svg *g, double x, double y, const char *class, const char *fmt, ...)
    ERR_PRINTF(5, 6);
/* A text that is turned by `degrees` around its anchor. */
void svg_turned(struct svg *g, double x, double y, double degrees, const char *class,
                const char *text);

/* The path through points x[n], y[n]. */
void svg_path(struct svg *g, const double *x, const double *y, size_t n, const char *class);
/* The area between the lines low[n] and high[n] over x[n]. */
void svg_area(struct svg *g, const double *x, const double *low, const double *high, size_t n,
              const char *class);

/* Rows of cells, drawn as lines as thick as a cell. Until svg_group_end the unit is a cell, and the
 * origin the left end of the first row's middle line, which lies at (x, y) of the figure. A strip
 * holds cells of one row (a group) that have one class or, where that is NULL, one colour. */
void svg_rows_begin(struct svg *g, double x, double y, double cell);
void svg_strip(struct svg *g, const char *class, const char *colour, double opacity);
void svg_strip_cells(struct svg *g, size_t first, size_t n);
void svg_strip_end(struct svg *g);
/* A rectangle in the colour of a strip's class. */
void svg_tint(struct svg *g, double x, double y, double width, double height, const char *class,
              double opacity);

/* The mark of a series: shape and colour tell it from others. */
void svg_mark(struct svg *g, double x, double y, size_t series, bool hollow);

/* The class of a series: "s0" for the baseline, then s1 to s7 in turn. */
const char *svg_series(size_t series);

#endif
