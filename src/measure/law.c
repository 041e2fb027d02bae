#include "measure/law.h"

#include <math.h>
#include <string.h>

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

/* Abramowitz and Stegun, 26.7.3 and 26.7.4: a finite sum for whole degrees of freedom. */
double student_p(double t, size_t freedom) {
    double theta = atan2(fabs(t), sqrt((double)freedom)), c = cos(theta), s = sin(theta);
    bool odd = freedom % 2;
    double term = odd ? c : 1, sum = freedom > 1 ? term : 0;
    for (size_t i = odd ? 3 : 2; i + 2 <= freedom; i += 2) {
        term *= (double)(i - 1) / (double)i * c * c;
        sum += term;
    }
    double inside = odd ? 2 / acos(-1.0) * (theta + s * sum) : s * sum;
    return inside < 1 ? 1 - inside : 0;
}

/* The t that has this p. */
static double student_t(double p, size_t freedom) {
    double low = 0, high = 1;
    while (student_p(high, freedom) > p && high < 1e12) high *= 2;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        *(student_p(middle, freedom) > p ? &low : &high) = middle;
    }
    return high;
}

enum { POINTS_MAX = 256 };

/* A straight line through (x, y): what is left of y, and its slope. dx[n]: x less its mean, and xx
 * the sum of its squares. */
static double line_residuals(const double *dx, double xx, const double *y, size_t n, double *rest) {
    double mean = 0, slope = 0;
    for (size_t i = 0; i < n; i++) mean += y[i] / (double)n, slope += dx[i] * y[i] / xx;
    for (size_t i = 0; i < n; i++) rest[i] = y[i] - mean - slope * dx[i];
    return slope;
}

static double p_of(double x, double error, size_t freedom) {
    if (fabs(x) < 1e-9) return 1; /* rounding */
    return error > 0 ? student_p(x / error, freedom) : 0;
}

bool power_law_test(const double *x, const double *y, size_t n, size_t windows, double level,
                    struct power_law_test *t) {
    double dx[POINTS_MAX], mean[POINTS_MAX], logs[POINTS_MAX], residual[POINTS_MAX],
        square[POINTS_MAX] = {0};
    double mean_x = 0, xx = 0, slope_square = 0, largest = 0, count = (double)windows;
    *t = (struct power_law_test){.windows = windows, .p = 1};
    if (n < 3 || n > POINTS_MAX || windows < 2) return false;
    memset(mean, 0, sizeof mean);
    for (size_t w = 0; w < windows; w++)
        for (size_t i = 0; i < n; i++) mean[i] += y[w * n + i] / count;
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] > 0 && mean[i] > 0)) return false;
        mean_x += log(x[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        dx[i] = log(x[i]) - mean_x, xx += dx[i] * dx[i], logs[i] = log(mean[i]);
    if (!(xx > 0)) return false;
    double slope = line_residuals(dx, xx, logs, n, residual);
    /* What each window adds to the log of each mean, and so to residuals and slope. */
    for (size_t w = 0; w < windows; w++) {
        double added[POINTS_MAX], rest[POINTS_MAX];
        for (size_t i = 0; i < n; i++) added[i] = (y[w * n + i] - mean[i]) / (count * mean[i]);
        double of_slope = line_residuals(dx, xx, added, n, rest);
        slope_square += of_slope * of_slope;
        for (size_t i = 0; i < n; i++) square[i] += rest[i] * rest[i];
    }
    double tests = n == 3 ? 1 : (double)n; /* the residuals of three points are one number */
    double least = 2;
    for (size_t i = 0; i < n; i++) {
        double error = sqrt(count / (count - 1) * square[i]),
               p = p_of(residual[i], error, windows - 1);
        bool worse = p < least || (p == least && fabs(residual[i]) > fabs(residual[t->worst]));
        if (error > largest) largest = error;
        if (!worse) continue;
        least = p;
        t->worst = i;
        t->residual = expm1(residual[i]);
        t->error = error * (1 + t->residual);
    }
    t->p = least * tests < 1 ? least * tests : 1;
    t->visible = expm1(largest * student_t(level / tests, windows - 1));
    t->exponent_error = sqrt(count / (count - 1) * slope_square);
    t->exponent_p = p_of(slope - 1, t->exponent_error, windows - 1);
    return true;
}
