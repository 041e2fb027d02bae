/* Colours of the figures. All of them can be told apart with any of the usual kinds of colour
 * blindness. */
#ifndef LOOKAT_REPORT_COLOUR_H
#define LOOKAT_REPORT_COLOUR_H

#include <stddef.h>

struct colour {
    char s[8]; /* "#rrggbb" */
};

/* A scale from dark blue (x = 0) over grey to yellow (x = 1), along which the lightness rises
 * evenly: it is a straight line in OKLab (B. Ottosson, "A perceptual color space for image
 * processing", 2020). Blue and yellow stay apart without red or green, as in cividis. */
struct colour colour_scale(double x);

/* The number of colours for series, and one of them: those of Okabe and Ito ("Color Universal
 * Design", 2008), ordered so that neighbours differ most. */
enum { COLOUR_SERIES = 7 };
struct colour colour_series(size_t i);

#endif
