/* The attention of one head over a prompt as a triangle: queries from top to bottom, the keys that
 * each may see from left to right, probabilities as colours. Small probabilities are what differs,
 * so colours follow their square root. */
#include <math.h>
#include <string.h>

#include "report/colour.h"
#include "report/figures.h"
#include "report/markup.h"

enum { WIDTH = 372, LEFT = 54, TOP = 22, SIDE = 316, FOOT = 52, LEVELS = 24 };

bool pattern_there(const struct figure_of *f) {
    return f->r->pattern && f->r->pattern->text == f->text && f->r->pattern->n > 0;
}

struct triangle {
    const struct pattern *p;
    size_t run;
    bool difference;
    double cell;
};

/* The token at a position, cut to a label. */
static void label(const struct pattern *p, size_t i, char *out, size_t room) {
    size_t n = p->bytes ? p->spell_at[i + 1] - p->spell_at[i] : 0;
    if (!p->bytes) {
        snprintf(out, room, "%d", p->ids[i]);
        return;
    }
    if (n >= room) n = room - 1;
    memcpy(out, p->bytes + p->spell_at[i], n);
    out[n] = 0;
    for (size_t k = 0; k < n; k++) /* a label shows neither, and a NUL would end it */
        if (out[k] == '\n' || out[k] == '\t' || !out[k]) out[k] = '_';
}

/* The value at row t, column i, and its level from 0 to LEVELS. */
static double value(const struct triangle *d, size_t t, size_t i) {
    double x = (double)pattern_row(d->p, d->run, t)[i];
    return d->difference ? x - (double)pattern_row(d->p, 0, t)[i] : x;
}

static int level(double x) {
    double share = sqrt(fabs(x));
    int at = (int)(share * LEVELS + 0.5);
    return isnan(x) ? 0 : at > LEVELS ? LEVELS : at;
}

/* A difference is blue where the backend gives less, orange where it gives more. */
static void strip_style(struct svg *g, const struct triangle *d, int at, bool more) {
    if (d->difference)
        svg_strip(g, more ? "more" : "less", NULL, (double)at / LEVELS);
    else
        svg_strip(g, NULL, colour_scale((double)at / LEVELS).s, 1);
}

/* All cells of a row that have one colour make one path, and neighbours one line of it: a page has
 * many thousand cells. Level 0 is the ground, which is there already. */
static void row_cells(struct svg *g, const struct triangle *d, size_t t) {
    for (int at = 1; at <= LEVELS; at++)
        for (int more = 0; more <= d->difference; more++) {
            bool open = false;
            for (size_t i = 0, n; i <= t; i += n) {
                n = 0;
                while (i + n <= t && level(value(d, t, i + n)) == at &&
                       (!d->difference || (value(d, t, i + n) > 0) == more))
                    n++;
                if (n && !open) strip_style(g, d, at, more);
                if (n) svg_strip_cells(g, i, n);
                open = open || n;
                n += !n;
            }
            if (open) svg_strip_end(g);
        }
}

/* A row before anything is in it. */
static void row_ground(struct svg *g, const struct triangle *d, size_t t) {
    if (d->difference)
        svg_strip(g, "ground", NULL, 1);
    else
        svg_strip(g, NULL, colour_scale(0).s, 1);
    svg_strip_cells(g, 0, t + 1);
    svg_strip_end(g);
}

/* What a row says to who points at it: the query, and its strongest keys. */
static void row_hover(struct svg *g, const struct triangle *d, size_t t) {
    enum { SHOWN = 4 };
    char text[512], token[24];
    bool used[PATTERN_TOKENS] = {false};
    label(d->p, t, token, sizeof token);
    int at = snprintf(text, sizeof text, "query %zu \"%s\":", t, token);
    for (int k = 0; k < SHOWN && (size_t)k <= t; k++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i <= t; i++)
            if (!used[i] && (best == SIZE_MAX || fabs(value(d, t, i)) > fabs(value(d, t, best))))
                best = i;
        used[best] = true;
        label(d->p, best, token, sizeof token);
        at += snprintf(text + at, sizeof text - (size_t)at,
                       d->difference ? "%s \"%s\" %+.3f" : "%s \"%s\" %.3f", k ? "," : "", token,
                       value(d, t, best));
    }
    svg_hover(g, "%s", text);
}

static void names(struct svg *g, const struct triangle *d) {
    char token[16];
    for (size_t t = 0; t < d->p->n; t++) {
        label(d->p, t, token, sizeof token);
        double middle = ((double)t + 0.5) * d->cell;
        svg_text(g, LEFT - 3, TOP + middle + 2.4, "tiny end", "%s", token);
        svg_turned(g, LEFT + middle + 2, TOP + SIDE + 5, -60, "tiny end", token);
    }
}

/* The scale stands where the triangle is empty. */
static void key(struct svg *g, const struct triangle *d) {
    static const double shown[] = {0.01, 0.1, 0.3, 0.6, 1};
    double x = LEFT + SIDE - 118, y = TOP + 26;
    svg_text(g, x, TOP + 16, "tt", "%s",
             d->difference ? "looked up \xE2\x88\x92 exact" : "probability");
    for (int i = 0; i < 5; i++) {
        double at = y + 15.0 * i;
        if (d->difference) {
            svg_tint(g, x, at, 14, 11, "less", sqrt(shown[i]));
            svg_tint(g, x + 16, at, 14, 11, "more", sqrt(shown[i]));
            svg_text(g, x + 36, at + 9, "tt", "\xC2\xB1 %g", shown[i]);
        } else {
            svg_cell(g, x, at, 14, 11, colour_scale(sqrt(shown[i])).s, NULL);
            svg_text(g, x + 20, at + 9, "tt", "%g", shown[i]);
        }
    }
}

static void draw(struct svg *g, const struct figure_of *f, size_t run, bool difference) {
    struct triangle d = {f->r->pattern, run, difference, (double)SIDE / (double)f->r->pattern->n};
    svg_begin(g, WIDTH, TOP + SIDE + FOOT,
              difference ? "The difference of the two triangles"
                         : "Attention probabilities of one head as a triangle");
    svg_text(g, 0, 12, "th", "%s%s", difference ? "difference, " : "", figure_name(f->r, run).s);
    svg_rows_begin(g, LEFT, TOP + d.cell / 2, d.cell);
    for (size_t t = 0; t < d.p->n; t++) {
        svg_group(g, 0, (double)t);
        row_hover(g, &d, t);
        row_ground(g, &d, t);
        row_cells(g, &d, t);
        svg_group_end(g);
    }
    svg_group_end(g);
    names(g, &d);
    key(g, &d);
    svg_end(g);
}

void pattern_exact_draw(struct svg *g, const struct figure_of *f) { draw(g, f, 0, false); }
void pattern_run_draw(struct svg *g, const struct figure_of *f) { draw(g, f, f->run, false); }
void pattern_difference_draw(struct svg *g, const struct figure_of *f) { draw(g, f, f->run, true); }
