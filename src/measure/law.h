/* Fits of power laws, y = a x^b, to measured points. */
#ifndef LOOKAT_MEASURE_LAW_H
#define LOOKAT_MEASURE_LAW_H

#include <stdbool.h>
#include <stddef.h>

struct power_law {
    double factor, exponent;   /* a, b */
    double exponent_error;     /* standard error of b; 0 for two points */
    double r2;                 /* share of the variance of log y that the fit explains */
    size_t n;                  /* points used: those with x > 0 and y > 0 */
};

/* Least squares of log y on log x. False where fewer than two points, or no two different x, can be used. */
bool power_law_fit(const double *x, const double *y, size_t n, struct power_law *fit);

#endif
