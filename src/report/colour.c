#include "report/colour.h"

#include <math.h>
#include <stdio.h>

struct oklab {
    double l, a, b;
};

/* The ends of the scale: #0b2a5b and #fde74c. */
static const struct oklab low = {0.2948, -0.0173, -0.0938}, high = {0.9197, -0.0321, 0.1648};

/* The transfer function of sRGB (IEC 61966-2-1), and 0 to 255. */
static int srgb(double x) {
    double y = x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
    return y < 0 ? 0 : y > 1 ? 255 : (int)(255 * y + 0.5);
}

/* Ottosson's matrices: OKLab to the cube roots of cone responses, and these to linear sRGB. */
static struct colour from_oklab(struct oklab c) {
    double l = c.l + 0.3963377774 * c.a + 0.2158037573 * c.b,
           m = c.l - 0.1055613458 * c.a - 0.0638541728 * c.b,
           s = c.l - 0.0894841775 * c.a - 1.2914855480 * c.b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    struct colour out;
    snprintf(out.s, sizeof out.s, "#%02x%02x%02x",
             (unsigned)srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s) & 255,
             (unsigned)srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s) & 255,
             (unsigned)srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s) & 255);
    return out;
}

struct colour colour_scale(double x) {
    x = x > 0 ? x < 1 ? x : 1 : 0;
    return from_oklab((struct oklab){low.l + x * (high.l - low.l), low.a + x * (high.a - low.a),
                                     low.b + x * (high.b - low.b)});
}

struct colour colour_series(size_t i) {
    static const struct colour series[COLOUR_SERIES] = {
        {"#0072b2"}, {"#d55e00"}, {"#009e73"}, {"#cc79a7"}, {"#e69f00"}, {"#56b4e9"}, {"#8c8c8c"}};
    return series[i % COLOUR_SERIES];
}
