/* Draws the figures of each layer under a text. */
#include "report/live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/utf8.h"
#include "measure/fidelity.h"
#include "report/metrics.h"

void live_open(struct live *l, FILE *fp, const struct moments *layers, size_t n_layer,
               bool worst_only, enum live_colour colour) {
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");
    bool draws = isatty(fileno(fp)) && term && *term && strcmp(term, "dumb") != 0;
    *l = (struct live){.fp = draws ? fp : NULL,
                       .layers = layers,
                       .n_layer = n_layer,
                       .worst_only = worst_only,
                       .bright = colour == LIVE_ON || (colour == LIVE_AUTO && !(none && *none))};
}

/* ---- where the cursor is ---- */

/* Returns the columns of a character: 0 for marks that combine with the one before, 2 for the wide
 * ones of East Asia and for pictures. The ranges are coarse: they serve to tell where a line ends,
 * and a mistake costs a line that is drawn one row too low. */
static size_t width(uint32_t c) {
    static const uint32_t none[][2] = {{0x300, 0x36F}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}},
                          wide[][2] = {{0x1100, 0x115F},  {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                                       {0xF900, 0xFAFF},  {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                                       {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF},
                                       {0x20000, 0x3FFFD}};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (c >= none[i][0] && c <= none[i][1]) return 0;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (c >= wide[i][0] && c <= wide[i][1]) return 2;
    return 1;
}

static void move(struct live *l, uint32_t c, size_t columns) {
    const size_t tab = 8, w = width(c);
    if (c == '\n' || c == '\r')
        l->column = 0;
    else if (c == '\t')
        l->column =
            (l->column / tab + 1) * tab < columns ? (l->column / tab + 1) * tab : columns - 1;
    else if (c >= ' ')
        l->column = l->column + w <= columns ? l->column + w : w;
}

void live_text(struct live *l, const uint8_t *s, size_t n) {
    size_t columns, rows;
    if (!l->fp) return;
    terminal_size(fileno(l->fp), &columns, &rows);
    for (size_t i = 0; i < n; i++) {
        bool ok;
        l->part[l->n_part++] = s[i];
        if (l->n_part < sizeof l->part && utf8_unfinished(l->part, l->n_part)) continue;
        utf8_step(l->part, l->n_part, &ok);
        move(l, ok ? utf8_code_point(l->part, l->n_part) : 0xFFFD, columns);
        l->n_part = 0;
    }
}

/* ---- lines ---- */

static double mean(const struct live *l, size_t layer, size_t metric) {
    return moments_mean(&l->layers[layer * FIDELITIES + metric]);
}

/* The layer with the lowest cosine; one with a NaN is the worst of all. */
static size_t worst_layer(const struct live *l) {
    size_t worst = 0;
    for (size_t i = 1; i < l->n_layer; i++)
        if (!(mean(l, i, FIDELITY_COSINE) >= mean(l, worst, FIDELITY_COSINE))) worst = i;
    return worst;
}

/* One line below, at most `room` columns wide. `alone`: it is the only one. */
static void draw_line(const struct live *l, size_t layer, bool alone, bool dim, size_t room) {
    char line[160];
    int n = snprintf(line, sizeof line, "%slayer %-2zu", alone ? "worst: " : "", layer);
    for (size_t m = 0; m < FIDELITIES; m++)
        n += snprintf(line + n, sizeof line - (size_t)n, "  %s %.4f",
                      metric_of_shadow((int)m)->name, mean(l, layer, m));
    if ((size_t)n > room) n = (int)room;
    fprintf(l->fp, "\r\n%s%.*s%s", dim ? "\033[2m" : "", n, line, dim ? "\033[0m" : "");
}

void live_clear(struct live *l) {
    if (!l->fp || !l->drawn) return;
    fputs("\033[J", l->fp);
    fflush(l->fp);
    l->drawn = false;
}

void live_draw(struct live *l) {
    size_t columns, rows;
    if (!l->fp || !l->layers || !l->layers[0].n) return;
    terminal_size(fileno(l->fp), &columns, &rows);
    /* Behind the last column the cursor waits to wrap; no move up or down would leave it there. */
    if (rows < 3 || columns < 2 || l->column >= columns) return;
    const bool all = !l->worst_only && l->n_layer + 1 < rows;
    const size_t worst = worst_layer(l), n = all ? l->n_layer : 1;
    live_clear(l);
    for (size_t i = 0; i < n; i++) fputs("\033D", l->fp);
    fprintf(l->fp, "\033[%zuA\0337", n);
    for (size_t i = 0; i < n; i++) {
        const size_t layer = all ? i : worst;
        draw_line(l, layer, !all, l->bright && layer != worst, columns - 1);
    }
    fputs("\0338", l->fp);
    fflush(l->fp);
    l->drawn = true;
}
