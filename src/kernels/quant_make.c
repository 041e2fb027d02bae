/* See quant_make.h. Plain loops: files are written so, nothing runs here when text is generated. */
#include "kernels/quant_make.h"

#include <math.h>
#include <string.h>

#include "kernels/dtype.h"

/* Returns the least f16 number that is at least x, or the largest one of all. x is 0 or more. */
static float half_above(float x, uint8_t *bytes) {
    uint16_t h = x < F16_MOST ? f32_to_f16(x) : 0x7bff; /* NaN too */
    if (f16_to_f32(h) < x && h < 0x7bff) h++;
    memcpy(bytes, &h, sizeof h);
    return f16_to_f32(h);
}

/* x put into lo .. hi; NaN becomes lo. */
static float within(float x, float lo, float hi) { return x > lo ? x < hi ? x : hi : lo; }

/* The whole number nearest to x / unit, up to `most`. */
static int nearest(float x, float unit, int most) {
    return unit > 0 ? (int)(within(x / unit, 0, (float)most) + 0.5f) : 0;
}

/* The least whole number of units that reaches x, up to `most`. */
static int reaching(float x, float unit, int most) {
    return unit > 0 ? (int)ceilf(within(x / unit, 0, (float)most)) : 0;
}

/* ---- q4_K ---- */

enum { FOURS = 32, FOURS_PARTS = 8, MOST_S = 63 };

/* x[i] ~ a n[i] - b. */
struct line {
    float a, b, error; /* the sum of the squares of what is missing */
};

/* Sets n to the nearest numbers for a and b, and returns the error. */
static float fours_round(float n[FOURS], const float *x, float a, float b) {
    const float inverse = a > 0 ? 1 / a : 0;
    float error[8] = {0};
    for (int i = 0; i < FOURS; i++) {
        n[i] = (float)(int)(within((x[i] + b) * inverse, 0, 15) + 0.5f);
        const float off = x[i] - (a * n[i] - b);
        error[i % 8] += off * off;
    }
    return ((error[0] + error[1]) + (error[2] + error[3])) +
           ((error[4] + error[5]) + (error[6] + error[7]));
}

/* Least squares: the best a and b >= 0 for given n; a = 0 where there is none. */
static void fours_fit(struct line *l, const float *x, const float n[FOURS]) {
    float sn = 0, snn = 0, sx = 0, sxn = 0;
    for (int i = 0; i < FOURS; i++) sn += n[i], snn += n[i] * n[i], sx += x[i], sxn += x[i] * n[i];
    const float spread = FOURS * snn - sn * sn;
    l->a = spread > 0 ? (FOURS * sxn - sx * sn) / spread : 0;
    l->b = (l->a * sn - sx) / FOURS;
    if (l->b >= 0) return;
    l->a = snn > 0 ? sxn / snn : 0;
    l->b = 0;
}

/* The best line of a part whose numbers lie in lo .. hi, lo <= 0. */
static struct line fours_line(const float *x, float lo, float hi) {
    enum { TRIES = 4, ROUNDS = 2 };
    struct line best = {(hi - lo) / 15, -lo, 0};
    float n[FOURS];
    best.error = fours_round(n, x, best.a, best.b);
    for (int k = 0; k < TRIES; k++) {
        struct line l;
        fours_round(n, x, (hi - lo) / (14.25f + 0.5f * (float)k), -lo);
        for (int round = 0; round < ROUNDS; round++) {
            fours_fit(&l, x, n);
            if (!(l.a > 0)) break;
            l.error = fours_round(n, x, l.a, l.b);
            if (l.error < best.error) best = l;
        }
    }
    return best;
}

/* A part on its way into the block. */
struct fours {
    float lo, hi;
    struct line line;
    int s, t;
    float n[FOURS];
};

/* Takes s and t for a part where they leave less. */
static void fours_try(struct fours *p, const float *x, float d, float m, int s, int t) {
    float n[FOURS];
    if (s < 0 || s > MOST_S || t < 0 || t > MOST_S) return;
    const float error = fours_round(n, x, d * (float)s, m * (float)t);
    if (!(error < p->line.error)) return;
    p->line.error = error, p->s = s, p->t = t;
    memcpy(p->n, n, sizeof n);
}

static void fours_choose(struct fours *p, const float *x, float d, float m) {
    const int s = nearest(p->line.a, d, MOST_S), t = nearest(p->line.b, m, MOST_S),
              all = reaching(-p->lo, m, MOST_S);
    p->s = reaching((p->hi + m * (float)all) / 15, d, MOST_S), p->t = all;
    p->line.error = fours_round(p->n, x, d * (float)p->s, m * (float)p->t);
    for (int i = -1; i <= 1; i++)
        for (int j = -1; j <= 1; j++) fours_try(p, x, d, m, s + i, t + j);
}

/* Scale and minimum j of 12 bytes: the inverse of what quant_types.c reads. */
static void put_six_bits(uint8_t *six, int j, int s, int t) {
    if (j < 4) {
        six[j] |= (uint8_t)s;
        six[j + 4] |= (uint8_t)t;
    } else {
        six[j + 4] |= (uint8_t)((s & 15) | (t & 15) << 4);
        six[j - 4] |= (uint8_t)(s >> 4 << 6);
        six[j] |= (uint8_t)(t >> 4 << 6);
    }
}

void q4_k_make(uint8_t *block, const float *x) {
    struct fours part[FOURS_PARTS];
    float step = 0, offset = 0, range = 0;
    for (int j = 0; j < FOURS_PARTS; j++) {
        struct fours *p = &part[j];
        const float *y = x + j * FOURS;
        p->lo = 0, p->hi = y[0];
        for (int i = 0; i < FOURS; i++) p->lo = fminf(p->lo, y[i]), p->hi = fmaxf(p->hi, y[i]);
        p->line = fours_line(y, p->lo, p->hi);
        step = fmaxf(step, p->line.a);
        offset = fmaxf(offset, fmaxf(p->line.b, -p->lo));
        range = fmaxf(range, p->hi - p->lo);
    }
    memset(block, 0, 16 + 128);
    const float m = half_above(offset / MOST_S, block + 2),
                d = half_above(fmaxf(step, (range + m) / 15) / MOST_S, block);
    for (int j = 0; j < FOURS_PARTS; j++) {
        struct fours *p = &part[j];
        fours_choose(p, x + j * FOURS, d, m);
        put_six_bits(block + 4, j, p->s, p->t);
        for (int i = 0; i < FOURS; i++)
            block[16 + j / 2 * FOURS + i] |= (uint8_t)((int)p->n[i] << 4 * (j % 2));
    }
}

/* ---- q6_K ---- */

enum { SIXES = 16, SIXES_PARTS = 16, MOST_SCALE = 127 };

/* Sets n to the numbers of -32 .. 31 that are nearest to x / a, and returns the squared error. */
static float sixes_round(float n[SIXES], const float *x, float a) {
    const float inverse = a != 0 ? 1 / a : 0;
    float error[4] = {0};
    for (int i = 0; i < SIXES; i++) {
        n[i] = (float)(int)(within(x[i] * inverse, -32, 31) + 32.5f) - 32;
        const float off = x[i] - a * n[i];
        error[i % 4] += off * off;
    }
    return (error[0] + error[1]) + (error[2] + error[3]);
}

/* The best step of a part whose largest magnitude is `most`; it may be negative, since there are 32
 * numbers below 0 and 31 above. */
static float sixes_step(const float *x, float most) {
    enum { TRIES = 6 };
    float n[SIXES], best = most / 31, least = sixes_round(n, x, best);
    for (int k = 0; k < 2 * TRIES; k++) {
        const float a = (k % 2 ? -most : most) / (29.5f + 0.5f * (float)(k / 2));
        float snn = 0, sxn = 0;
        sixes_round(n, x, a);
        for (int i = 0; i < SIXES; i++) snn += n[i] * n[i], sxn += x[i] * n[i];
        if (!(snn > 0)) continue;
        const float error = sixes_round(n, x, sxn / snn);
        if (error < least) least = error, best = sxn / snn;
    }
    return best;
}

/* The scale of a part, and its numbers. */
static int sixes_choose(float n[SIXES], const float *x, float most, float step, float d) {
    float tried[SIXES];
    int best = reaching(most / 31, d, MOST_SCALE), near = nearest(fabsf(step), d, MOST_SCALE);
    float least = sixes_round(n, x, d * (float)best);
    for (int s = near - 1; s <= near + 1; s++) {
        if (s < 0 || s > MOST_SCALE) continue;
        const int with_sign = step < 0 ? -s : s;
        const float error = sixes_round(tried, x, d * (float)with_sign);
        if (!(error < least)) continue;
        least = error, best = with_sign;
        memcpy(n, tried, sizeof tried);
    }
    return best;
}

/* Number i of part j, as n + 32: the inverse of what quant_types.c reads. */
static void put_six(uint8_t *block, int j, int i, int number) {
    const int half = j / 8, p = j % 8;
    block[64 * half + 16 * (p % 4) + i] |= (uint8_t)((number & 15) << 4 * (p / 4));
    block[128 + 32 * half + 16 * (p % 2) + i] |= (uint8_t)(number >> 4 << 2 * (p / 2));
}

void q6_k_make(uint8_t *block, const float *x) {
    float step[SIXES_PARTS], most[SIXES_PARTS], largest = 0;
    for (int j = 0; j < SIXES_PARTS; j++) {
        most[j] = 0;
        for (int i = 0; i < SIXES; i++) most[j] = fmaxf(most[j], fabsf(x[j * SIXES + i]));
        step[j] = sixes_step(x + j * SIXES, most[j]);
        largest = fmaxf(largest, fmaxf(fabsf(step[j]), most[j] / 31));
    }
    memset(block, 0, 210);
    const float d = half_above(largest / MOST_SCALE, block + 208);
    for (int j = 0; j < SIXES_PARTS; j++) {
        float n[SIXES];
        block[192 + j] = (uint8_t)sixes_choose(n, x + j * SIXES, most[j], step[j], d);
        for (int i = 0; i < SIXES; i++) put_six(block, j, i, (int)n[i] + 32);
    }
}
