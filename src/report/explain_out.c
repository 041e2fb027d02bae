#include "report/explain_out.h"

#include <math.h>
#include <string.h>

#include "report/text.h"

size_t explain_shown(const struct explained *x, size_t *which) {
    size_t n = 0;
    const float *p = x->y->exact.probs;
    for (size_t i = 0; i < x->y->n; i++) {
        size_t larger = 0; /* of equal weights the earlier one comes first */
        for (size_t k = 0; k < x->y->n; k++) larger += p[k] > p[i] || (p[k] == p[i] && k < i);
        if (larger < EXPLAIN_SHOWN) which[n++] = i;
    }
    return n;
}

double explain_off(const struct explained *x) {
    double apart = 0, length = 0;
    for (size_t d = 0; d < x->y->head_dim; d++) {
        double exact = (double)x->y->exact.out[d], other = (double)x->y->other.out[d];
        apart += (exact - other) * (exact - other);
        length += exact * exact;
    }
    return sqrt(apart / length);
}

double explain_moved(const struct explained *x) {
    double sum = 0;
    for (size_t i = 0; i < x->y->n; i++)
        sum += fabs((double)x->y->exact.probs[i] - (double)x->y->other.probs[i]);
    return sum / 2;
}

/* ---- pieces ---- */

/* A token in quotes, padded to `width` columns. */
static void token(const struct explained *x, size_t i, int width, FILE *fp) {
    const uint8_t *s = (const uint8_t *)x->bytes + x->at[i];
    size_t n = x->at[i + 1] - x->at[i];
    int columns = 2;
    for (size_t k = 0; k < n; k++) columns += (s[k] & 0xC0) != 0x80;
    fputc('"', fp);
    text_escaped(fp, s, n);
    fputc('"', fp);
    fprintf(fp, "%*s", columns < width ? width - columns : 1, "");
}

static void numbers(const float *x, size_t n, size_t most, FILE *fp) {
    for (size_t i = 0; i < n && i < most; i++) fprintf(fp, " %6.2f", (double)x[i]);
    if (n > most) fprintf(fp, " ... (%zu)", n);
    fputc('\n', fp);
}

static void tokens(const struct explained *x, FILE *fp) {
    const struct one_query *y = x->y;
    fprintf(fp, "1. The text is %s. The last one asks: ", text_plural(y->n, "token").s);
    token(x, y->n - 1, 0, fp);
    fprintf(fp, "\n\n");
    for (size_t i = 0; i < y->n && i < 2 * EXPLAIN_SHOWN; i++) {
        fprintf(fp, "%4zu ", i);
        token(x, i, 13, fp);
        if (i % 4 == 3 || i + 1 == y->n) fputc('\n', fp);
    }
    if (y->n > 2 * EXPLAIN_SHOWN)
        fprintf(fp, "  ... and %zu more\n", y->n - 2 * (size_t)EXPLAIN_SHOWN);
    fprintf(fp, "\n2. Layer %zu, head %zu%s makes of it a query of %zu numbers:\n\n  ", y->layer,
            y->head, x->furthest ? " (the output that is furthest off)" : "", y->head_dim);
    numbers(y->q, y->head_dim, 10, fp);
}

static void codes(const struct explained *x, const size_t *which, size_t n, FILE *fp) {
    fprintf(fp, "\n3. Each token has a key. As %s it takes %zu bytes, where FP16 takes %zu.\n",
            x->keys, x->key_bytes, x->exact_bytes);
    if (!x->z) {
        fprintf(fp, "   It is stored as rounded numbers, and scored from them: there are no codes "
                    "and no tables.\n");
        return;
    }
    fprintf(fp, "   They are %zu codes, each the number of one of %zu centroids.\n\n", x->z->n,
            x->z->k);
    for (size_t i = 0; i < n; i++) {
        fprintf(fp, "  %4zu ", which[i]);
        token(x, which[i], 14, fp);
        fprintf(fp, " ->");
        for (size_t j = 0; j < x->z->n && j < 16; j++)
            fprintf(fp, " %3u", x->codes[which[i] * x->z->n + j]);
        fprintf(fp, "%s\n", x->z->n > 16 ? " ..." : "");
    }
    fprintf(fp, "\n4. The query times every centroid: %zu tables of %zu numbers, made once.\n\n",
            x->z->n, x->z->k);
    for (size_t j = 0; j < x->z->n && j < 8; j++) {
        fprintf(fp, "  T%-2zu", j);
        numbers(x->table + j * x->z->k, x->z->k, 8, fp);
    }
    if (x->z->n > 8) fprintf(fp, "  ... and %zu more\n", x->z->n - 8);
}

/* One score, written out: that of the token with the largest weight of those scored from codes. */
static void by_hand(const struct explained *x, FILE *fp) {
    const struct one_query *y = x->y;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < y->n; i++)
        if (!y->picked[i] && (best == SIZE_MAX || y->exact.probs[i] > y->exact.probs[best]))
            best = i;
    if (!x->z || best == SIZE_MAX) return;
    double sum = (double)x->common;
    fprintf(fp, "\n   By hand, token %zu: ", best);
    if (x->common != 0) fprintf(fp, "%.3f (the mean of the keys)", (double)x->common);
    for (size_t j = 0; j < x->z->n; j++) {
        unsigned code = x->codes[best * x->z->n + j];
        double entry = (double)x->table[j * x->z->k + code];
        sum += entry;
        if (j < 6) fprintf(fp, "%sT%zu[%u] %.3f", j || x->common != 0 ? " + " : "", j, code, entry);
    }
    fprintf(fp, "%s = %.3f; divided by sqrt(%zu) = %.3f. The exact score is %.3f.\n",
            x->z->n > 6 ? " + ..." : "", sum, y->head_dim, sum / sqrt((double)y->head_dim),
            (double)y->exact.scores[best]);
}

static void scores(const struct explained *x, const size_t *which, size_t n, FILE *fp) {
    const struct one_query *y = x->y;
    bool any = false;
    double shown = 0;
    fprintf(fp,
            "\n%d. A score says how well a key answers the query; softmax makes weights of the "
            "scores.\n\n",
            x->z ? 5 : 4);
    fprintf(fp, "  token                  score    exact score    weight    exact weight\n");
    for (size_t i = 0; i < n; i++) {
        size_t t = which[i];
        fprintf(fp, "  %4zu ", t);
        token(x, t, 14, fp);
        fprintf(fp, "%7.3f %s %12.3f  %8.3f  %12.3f\n", (double)y->other.scores[t],
                y->picked[t] ? "=" : " ", (double)y->exact.scores[t], (double)y->other.probs[t],
                (double)y->exact.probs[t]);
        any = any || y->picked[t];
        shown += (double)y->exact.probs[t];
    }
    if (n < y->n)
        fprintf(fp, "  ... and %zu tokens more, with the exact weight %.3f together\n", y->n - n,
                1 - shown);
    if (any) fprintf(fp, "\n  = marks keys that are kept, or read again, exactly.\n");
}

void explain_put_text(const struct explained *x, FILE *fp) {
    size_t which[EXPLAIN_SHOWN], n = explain_shown(x, which);
    fprintf(fp, "Attention on your text: %s, --attn %s.\n\n", printable_copy(x->model->name).s,
            x->attn);
    tokens(x, fp);
    codes(x, which, n, fp);
    scores(x, which, n, fp);
    by_hand(x, fp);
    fprintf(fp, "\n%d. The values, as %s, are mixed with these weights.\n\n   mixed", x->z ? 6 : 5,
            x->values);
    numbers(x->y->other.out, x->y->head_dim, 9, fp);
    fprintf(fp, "   exact");
    numbers(x->y->exact.out, x->y->head_dim, 9, fp);
    fprintf(fp,
            "\n   %.1f %% of the weight lies on another token. The output is off by %.1f %% of its "
            "length; cosine %.4f.\n",
            100 * explain_moved(x), 100 * explain_off(x), x->y->cosine);
}
