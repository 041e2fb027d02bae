#include "report/svg.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "report/markup.h"

/* Colours of series are those of colour_series; that of the baseline follows the scheme. */
const char svg_style[] =
    "svg{--ink:#1c2430;--soft:#5b6675;--rule:#d9dee6;--paper:#fff;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    "svg text{fill:var(--ink);font-size:11px;font-variant-numeric:tabular-nums}"
    "svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}"
    "svg rect{shape-rendering:crispEdges}"
    "svg .tt{fill:var(--soft);font-size:10px}"
    "svg .th{font-size:12px;font-weight:600}"
    "svg .end{text-anchor:end}svg .mid{text-anchor:middle}"
    "svg .axis{stroke:var(--soft);fill:none;stroke-width:1}"
    "svg .grid{stroke:var(--rule);fill:none;stroke-width:1}"
    "svg .front{stroke:var(--soft);fill:none;stroke-width:1.25;stroke-dasharray:2 3}"
    "svg .cross{stroke:var(--soft);fill:none;stroke-width:1;stroke-dasharray:4 3}"
    "svg .panel{fill:var(--panel,#f6f8fa);stroke:none}"
    "svg .paper{fill:var(--paper)}"
    "svg .s0{stroke:var(--ink);fill:var(--ink)}"
    "svg .s1{stroke:#0072b2;fill:#0072b2}svg .s2{stroke:#d55e00;fill:#d55e00}"
    "svg .s3{stroke:#009e73;fill:#009e73}svg .s4{stroke:#cc79a7;fill:#cc79a7}"
    "svg .s5{stroke:#e69f00;fill:#e69f00}svg .s6{stroke:#56b4e9;fill:#56b4e9}"
    "svg .s7{stroke:#8c8c8c;fill:#8c8c8c}"
    "svg .bar{stroke-width:1.5;fill:none}svg .curve{stroke-width:1.75;fill:none}"
    "svg .thin{stroke-width:1;stroke-opacity:.55;fill:none}"
    "svg .dash{stroke-width:1.5;fill:none;stroke-dasharray:5 3}"
    "svg .p1{fill:#0072b2}svg .p2{fill:#56b4e9}svg .p3{fill:#d55e00}svg .p4{fill:#e69f00}"
    "svg .p5{fill:#009e73}svg .p6{fill:#cc79a7}"
    "svg path.less{stroke:#0072b2}svg path.more{stroke:#d55e00}"
    "svg rect.less{fill:#0072b2}svg rect.more{fill:#d55e00}"
    "svg .ground{stroke:var(--panel,#f6f8fa)}svg .tiny{font-size:6.6px}"
    "svg .area{stroke:none;fill-opacity:.85}"
    "svg .mark{stroke-width:1.5;stroke:var(--paper)}"
    "svg .hollow{stroke-width:1.75;fill:var(--paper)}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e6e9ee;--soft:#9aa5b4;--rule:#323a46;"
    "--paper:#14181e;--panel:#1a2028}"
    "svg .s1{stroke:#3d9bd1;fill:#3d9bd1}svg .s2{stroke:#ef7d2d;fill:#ef7d2d}"
    "svg .s3{stroke:#1fbf91;fill:#1fbf91}svg .hollow{fill:var(--paper)}"
    "svg path.less{stroke:#3d9bd1}svg path.more{stroke:#ef7d2d}"
    "svg rect.less{fill:#3d9bd1}svg rect.more{fill:#ef7d2d}"
    "svg .mark{stroke:var(--paper)}svg .bar,svg .curve,svg .thin,svg .dash{fill:none}"
    "svg .area{stroke:none}}"
    "@media print{svg{--ink:#000;--soft:#444;--rule:#ccc;--paper:#fff;--panel:#f4f4f4}}";

/* A coordinate: at most two decimals, and none that says nothing. */
static void put(FILE *fp, const char *before, double x, const char *after) {
    char s[32];
    if (!(x > -1e6 && x < 1e6)) x = 0; /* no figure is so large; NaN too has no place */
    int n = snprintf(s, sizeof s, "%.2f", x);
    while (n > 0 && s[n - 1] == '0') n--;
    if (n > 0 && s[n - 1] == '.') n--;
    s[n] = 0;
    fprintf(fp, "%s%s%s", before, strcmp(s, "-0") == 0 ? "0" : s, after);
}

void svg_begin(struct svg *g, double width, double height, const char *about) {
    if (g->alone) fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", g->fp);
    put(g->fp, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", width, " ");
    put(g->fp, "", height, "\"");
    put(g->fp, " width=\"", width, "\"");
    put(g->fp, " height=\"", height, "\" role=\"img\" aria-label=\"");
    markup_cstr(g->fp, about);
    fputs("\">\n", g->fp);
    if (!g->alone) return;
    fprintf(g->fp, "<style>%s</style>\n", svg_style);
    svg_rect(g, 0, 0, width, height, "paper");
}

void svg_end(struct svg *g) { fputs("</svg>\n", g->fp); }

void svg_group(struct svg *g, double x, double y) {
    if (x == 0 && y == 0) {
        fputs("<g>", g->fp);
        return;
    }
    put(g->fp, "<g transform=\"translate(", x, " ");
    put(g->fp, "", y, ")\">");
}

void svg_group_end(struct svg *g) { fputs("</g>\n", g->fp); }

void svg_hover(struct svg *g, const char *fmt, ...) {
    va_list ap;
    fputs("<title>", g->fp);
    va_start(ap, fmt);
    markup_vprint(g->fp, fmt, ap);
    va_end(ap);
    fputs("</title>", g->fp);
}

void svg_line(struct svg *g, double x1, double y1, double x2, double y2, const char *class) {
    fprintf(g->fp, "<path class=\"%s\" d=\"M", class);
    put(g->fp, "", x1, " ");
    put(g->fp, "", y1, "L");
    put(g->fp, "", x2, " ");
    put(g->fp, "", y2, "\"/>");
}

static void rectangle(struct svg *g, double x, double y, double width, double height) {
    put(g->fp, "<rect x=\"", x, "\"");
    put(g->fp, " y=\"", y, "\"");
    put(g->fp, " width=\"", width, "\"");
    put(g->fp, " height=\"", height, "\"");
}

void svg_rect(struct svg *g, double x, double y, double width, double height, const char *class) {
    rectangle(g, x, y, width, height);
    fprintf(g->fp, " class=\"%s\"/>", class);
}

void svg_cell(struct svg *g, double x, double y, double width, double height, const char *fill,
              const char *hover) {
    rectangle(g, x, y, width, height);
    fprintf(g->fp, " fill=\"%s\"", fill);
    if (!hover) {
        fputs("/>", g->fp);
        return;
    }
    fputs("><title>", g->fp);
    markup_cstr(g->fp, hover);
    fputs("</title></rect>", g->fp);
}

void svg_text(struct svg *g, double x, double y, const char *class, const char *fmt, ...) {
    va_list ap;
    put(g->fp, "<text x=\"", x, "\"");
    put(g->fp, " y=\"", y, "\"");
    fprintf(g->fp, " class=\"%s\">", class);
    va_start(ap, fmt);
    markup_vprint(g->fp, fmt, ap);
    va_end(ap);
    fputs("</text>", g->fp);
}

void svg_turned(struct svg *g, double x, double y, double degrees, const char *class,
                const char *text) {
    put(g->fp, "<text transform=\"translate(", x, " ");
    put(g->fp, "", y, ")");
    put(g->fp, " rotate(", degrees, ")\"");
    fprintf(g->fp, " class=\"%s\">", class);
    markup_cstr(g->fp, text);
    fputs("</text>", g->fp);
}

static void points(struct svg *g, const double *x, const double *y, size_t n, bool back) {
    for (size_t i = 0; i < n; i++) {
        size_t at = back ? n - 1 - i : i;
        put(g->fp, i ? " " : "", x[at], " ");
        put(g->fp, "", y[at], "");
    }
}

void svg_path(struct svg *g, const double *x, const double *y, size_t n, const char *class) {
    if (n < 2) return;
    fprintf(g->fp, "<path class=\"%s\" d=\"M", class);
    points(g, x, y, n, false);
    fputs("\"/>", g->fp);
}

void svg_area(struct svg *g, const double *x, const double *low, const double *high, size_t n,
              const char *class) {
    if (n < 2) return;
    fprintf(g->fp, "<path class=\"%s\" d=\"M", class);
    points(g, x, high, n, false);
    fputs(" ", g->fp);
    points(g, x, low, n, true);
    fputs("Z\"/>", g->fp);
}

void svg_rows_begin(struct svg *g, double x, double y, double cell) {
    put(g->fp, "<g fill=\"none\" stroke-width=\"1.02\" transform=\"translate(", x, " ");
    put(g->fp, "", y, ") ");
    put(g->fp, "scale(", cell, ")\">");
}

void svg_strip(struct svg *g, const char *class, const char *colour, double opacity) {
    if (class)
        fprintf(g->fp, "<path class=\"%s\"", class);
    else
        fprintf(g->fp, "<path stroke=\"%s\"", colour);
    if (opacity < 1) put(g->fp, " stroke-opacity=\"", opacity, "\"");
    fputs(" d=\"", g->fp);
}

void svg_strip_cells(struct svg *g, size_t first, size_t n) {
    fprintf(g->fp, "M%zu 0h%zu", first, n);
}

void svg_strip_end(struct svg *g) { fputs("\"/>", g->fp); }

void svg_tint(struct svg *g, double x, double y, double width, double height, const char *class,
              double opacity) {
    rectangle(g, x, y, width, height);
    fprintf(g->fp, " class=\"%s\"", class);
    put(g->fp, " fill-opacity=\"", opacity, "\"/>");
}

/* ---- marks ---- */

const char *svg_series(size_t series) {
    static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
    return names[series ? 1 + (series - 1) % 7 : 0];
}

/* A regular polygon; `turn` in quarters of pi. */
static void polygon(struct svg *g, double x, double y, double radius, int corners, double turn) {
    double px[8], py[8];
    for (int i = 0; i < corners; i++) {
        double angle = 2 * 3.14159265358979323846 * i / corners + 0.785398163397448 * turn;
        px[i] = x + radius * cos(angle);
        py[i] = y + radius * sin(angle);
    }
    fputs(" d=\"M", g->fp);
    points(g, px, py, (size_t)corners, false);
    fputs("Z\"/>", g->fp);
}

void svg_mark(struct svg *g, double x, double y, size_t series, bool hollow) {
    static const struct {
        int corners;
        double radius, turn;
    } shapes[] = {{8, 5.2, 0.5}, {4, 6.2, 1}, {3, 6.6, -2}, {4, 6.4, 0}, {3, 6.6, 2}, {5, 6, -2}};
    size_t shape = series % (sizeof shapes / sizeof *shapes);
    fprintf(g->fp, "<path class=\"%s %s\"", svg_series(series), hollow ? "hollow" : "mark");
    polygon(g, x, y, shapes[shape].radius, shapes[shape].corners, shapes[shape].turn);
}
