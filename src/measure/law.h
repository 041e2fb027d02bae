/* Fits of power laws, y = a x^b, to measured points. */
#ifndef LOOKAT_MEASURE_LAW_H
#define LOOKAT_MEASURE_LAW_H

#include <stdbool.h>
#include <stddef.h>

struct power_law {
    double factor, exponent; /* a, b */
    double exponent_error;   /* standard error of b; 0 for two points */
    double r2;               /* share of the variance of log y that the fit explains */
    size_t n;                /* points used: those with x > 0 and y > 0 */
};

/* Fits by least squares of log y on log x. False where fewer than two points, or no two different
 * x, can be used. */
bool power_law_fit(const double *x, const double *y, size_t n, struct power_law *fit);

/* Do the points lie on the fitted curve? Their errors come from the same windows of text and move
 * together, so each residual's error is taken from how that residual itself varies over windows. */
struct power_law_test {
    size_t windows;
    double p; /* of the residual that is farthest off, for its error: Student's t with windows - 1
               * degrees of freedom, two-sided, times the number of residuals that are looked at
               * (Bonferroni) */
    size_t worst;           /* that point */
    double residual, error; /* its y over the curve's, less 1; standard error */
    double visible;         /* the residual that would just be seen at `level` */
    double exponent_error;  /* standard error of the exponent, over windows */
    double exponent_p;      /* of an exponent of 1, two-sided */
};

/* Tests the fit. y[windows][n] is what each window says of the points; their means are fitted as
 * above. False
 * without three points that have x > 0 and a mean above 0, or with fewer than two windows. */
bool power_law_test(const double *x, const double *y, size_t n, size_t windows, double level,
                    struct power_law_test *t);

/* Returns the chance of a |t| at least this large, of Student's t with `freedom` >= 1 degrees of
 * freedom.
 */
double student_p(double t, size_t freedom);

#endif
