/* Lines that stand under a text while it grows on a terminal, one for each layer: how close its
 * attention came to FP16 so far. They are taken away before each token, drawn anew behind it, and
 * gone at the end.
 *
 *     Once upon a time, there was a little|       the cursor stays where the text goes on
 *     layer 0  cosine 0.9912  kl 0.0031 ...
 *     layer 1  cosine 0.9968  kl 0.0012 ...
 *
 * What is sent to the terminal (ECMA-48, and DEC's save and restore):
 *
 *     ESC D  n times, ESC [ n A    n lines lower and back: at the bottom the screen scrolls, so
 * that there is room; the column stays ESC 7, then the lines, ESC 8  saves the cursor and brings it
 * back ESC [ J                      takes away what is behind the cursor and below
 *
 * A line never reaches the last column, so that it never wraps. */
#ifndef LOOKAT_REPORT_LIVE_H
#define LOOKAT_REPORT_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "measure/stats.h"

struct live {
    FILE *fp;                     /* NULL: nothing is ever drawn */
    const struct moments *layers; /* [L][FIDELITIES] the figures as they grow */
    size_t n_layer;
    bool worst_only; /* one line, of the layer with the lowest cosine */
    bool bright;     /* the worst layer is brighter than the others */
    bool drawn;
    size_t column; /* of the cursor in the text; as many as the terminal has: behind the last one */
    uint8_t part[4]; /* [n_part] the beginning of a character */
    size_t n_part;
};

/* How bright lines may be; auto: unless NO_COLOR is set (no-color.org). */
enum live_colour { LIVE_AUTO, LIVE_ON, LIVE_OFF };

/* Prepares to draw on fp, where that is a terminal that knows the sequences above: TERM is set and
 * not "dumb". Elsewhere nothing will be drawn. The cursor is at the beginning of a line. */
void live_open(struct live *l, FILE *fp, const struct moments *layers, size_t n_layer,
               bool worst_only, enum live_colour colour);

/* The text s[n] was written to the same terminal. */
void live_text(struct live *l, const uint8_t *s, size_t n);

/* Takes the lines away, before anything is written, and at the end. */
void live_clear(struct live *l);

/* Draws the lines, where there are figures yet and there is room. Where the terminal has too few
 * lines for all layers, the worst one stands alone. */
void live_draw(struct live *l);

#endif
