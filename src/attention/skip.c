/* Which blocks of value rows are left out. One pass adds up each block, and adds that sum to the
 * one of its power of two; then the powers are taken from the lowest up, until one does not fit
 * whole. Nothing is sorted. */
#include "attention/skip.h"

#include <math.h>

enum { LEAST_ROWS = 16, POWERS = 64 /* sums below 2^-63 count as one power */ };

size_t skip_rows(const struct kv_layout *layout) {
    return layout->rows >= LEAST_ROWS ? layout->rows : LEAST_ROWS / layout->rows * layout->rows;
}

size_t skip_work_floats(size_t n) { return n / LEAST_ROWS + 1; }

/* Returns the largest power below POWERS with x < 2^-power, or POWERS where x is no probability. */
static int power_of(float x) {
    int e;
    if (!(x >= 0 && x <= 1)) return POWERS;
    frexpf(x, &e);
    return x == 0 || -e >= POWERS - 1 ? POWERS - 1 : e > 0 ? 0 : -e;
}

/* Returns the sum of p[n]. It is taken in eight chains, because in a single one each addition would
 * wait for the one before. */
static double sum_of(const float *p, size_t n) {
    enum { CHAINS = 8 };
    double chain[CHAINS] = {0}, sum = 0;
    size_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (size_t c = 0; c < CHAINS; c++) chain[c] += p[i + c];
    for (; i < n; i++) sum += p[i];
    for (size_t c = 0; c < CHAINS; c++) sum += chain[c];
    return sum;
}

double skip_choose(float *marks, const float *p, size_t n, size_t rows, double bound) {
    size_t blocks = (n + rows - 1) / rows;
    double sums[POWERS + 1] = {0}, left_out = 0;
    for (size_t b = 0; b < blocks; b++) {
        size_t begin = b * rows;
        double sum = sum_of(p + begin, n - begin < rows ? n - begin : rows);
        marks[b] = (float)sum;
        if ((double)marks[b] < sum) marks[b] = nextafterf(marks[b], INFINITY);
        sums[power_of(marks[b])] += marks[b];
    }
    int power = POWERS - 1; /* whole powers first, then blocks of the next power while they fit */
    for (; power >= 0 && left_out + sums[power] <= bound; power--) left_out += sums[power];
    for (size_t b = 0; b < blocks; b++) {
        int own = power_of(marks[b]);
        bool whole = own > power && own < POWERS,
             some = own == power && left_out + marks[b] <= bound;
        if (some) left_out += marks[b];
        if (whole || some) marks[b] = -1;
    }
    return left_out;
}
