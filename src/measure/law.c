#include "measure/law.h"

#include <math.h>

bool power_law_fit(const double *x, const double *y, size_t n, struct power_law *fit) {
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0;
    *fit = (struct power_law){0};
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]) || isnan(y[i])) return false;
        if (!(x[i] > 0 && y[i] > 0)) continue;
        mean_x += log(x[i]);
        mean_y += log(y[i]);
        fit->n++;
    }
    if (fit->n < 2) return false;
    mean_x /= (double)fit->n;
    mean_y /= (double)fit->n;
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] > 0 && y[i] > 0)) continue;
        double dx = log(x[i]) - mean_x, dy = log(y[i]) - mean_y;
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    if (!(xx > 0)) return false;
    fit->exponent = xy / xx;
    fit->factor = exp(mean_y - fit->exponent * mean_x);
    double rest = yy - fit->exponent * xy;
    if (rest < 0) rest = 0;
    fit->r2 = yy > 0 ? 1 - rest / yy : 1;
    fit->exponent_error = fit->n > 2 ? sqrt(rest / (double)(fit->n - 2) / xx) : 0;
    return true;
}
