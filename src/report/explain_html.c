/* The explanation as a page: the same steps, with the weights drawn. */
#include <math.h>

#include "report/explain_out.h"
#include "report/html.h"
#include "report/markup.h"

static void token(const struct explained *x, size_t i, FILE *fp) {
    markup_token(fp, x->bytes + x->at[i], x->at[i + 1] - x->at[i]);
}

/* ---- the weights, drawn ---- */

enum { WIDTH = 372, LEFT = 92, RIGHT = 360, ROW = 22, TOP = 34 };

static void bar(struct svg *g, double y, double weight, double most, const char *class) {
    double length = (RIGHT - LEFT) * weight / most;
    svg_rect(g, LEFT, y, length < 0.5 ? 0.5 : length, 7, class);
}

static void label(const struct explained *x, size_t i, char out[24]) {
    size_t n = x->at[i + 1] - x->at[i];
    const char *s = x->bytes + x->at[i];
    size_t shown = n < 20 ? n : 20;
    for (size_t k = 0; k < shown; k++) out[k] = s[k] == '\n' || !s[k] ? '_' : s[k];
    out[shown] = 0;
}

static void weights(const struct explained *x, const size_t *which, size_t n, FILE *fp) {
    const struct one_query *y = x->y;
    struct svg g = {.fp = fp};
    double most = 1e-9;
    char name[24];
    for (size_t i = 0; i < y->n; i++) {
        const float larger =
            y->exact.probs[i] > y->other.probs[i] ? y->exact.probs[i] : y->other.probs[i];
        if (larger > most) most = larger;
    }
    fputs("<figure>\n", fp);
    svg_begin(&g, WIDTH, TOP + ROW * (double)n + 6,
              "The weight of each token, exact and looked up; the table above has the numbers");
    svg_rect(&g, LEFT, 6, 18, 7, "s0");
    svg_text(&g, LEFT + 24, 13, "t", "exact");
    svg_rect(&g, LEFT + 80, 6, 18, 7, "s1");
    svg_text(&g, LEFT + 104, 13, "t", "--attn %s", x->attn);
    for (size_t i = 0; i < n; i++) {
        double at = TOP + ROW * (double)i;
        size_t t = which[i];
        label(x, t, name);
        svg_group(&g, 0, 0);
        svg_hover(&g, "%s: exact %.3f, %.3f", name, (double)y->exact.probs[t],
                  (double)y->other.probs[t]);
        svg_text(&g, LEFT - 8, at + 11, "t end", "%s", name);
        bar(&g, at, (double)y->exact.probs[t], most, "s0");
        bar(&g, at + 8, (double)y->other.probs[t], most, "s1");
        svg_group_end(&g);
    }
    svg_end(&g);
    fputs("</figure>\n", fp);
}

/* ---- the steps ---- */

static void head(const struct explained *x, FILE *fp) {
    html_begin(fp, x->model->name, "attention worked through");
    fputs("<body><header><p>lookat explain</p><h1>Attention, worked through</h1><p>", fp);
    markup_print(fp, "%s, layer %zu, head %zu, --attn %s", x->model->name, x->y->layer, x->y->head,
                 x->attn);
    fputs("</p></header>\n<main>\n", fp);
}

static void text(const struct explained *x, FILE *fp) {
    fprintf(fp, "<section><h3>1. The text</h3><p>%s. The last one asks.</p><p class=\"free\">",
            text_plural(x->y->n, "token").s);
    for (size_t i = 0; i < x->y->n; i++) {
        fprintf(fp, "<span%s title=\"%zu\">", i + 1 == x->y->n ? " class=\"new\"" : "", i);
        markup_text(fp, x->bytes + x->at[i], x->at[i + 1] - x->at[i]);
        fputs("</span>", fp);
    }
    fprintf(
        fp,
        "</p></section>\n<section><h3>2. The query</h3><p>Layer %zu, head %zu%s makes of it %zu "
        "numbers.</p><p><code>",
        x->y->layer, x->y->head, x->furthest ? ", whose output is furthest off," : "",
        x->y->head_dim);
    for (size_t d = 0; d < x->y->head_dim && d < 16; d++) fprintf(fp, "%.2f ", (double)x->y->q[d]);
    fprintf(fp, "%s</code></p></section>\n", x->y->head_dim > 16 ? "\xE2\x80\xA6" : "");
}

static void tables(const struct explained *x, FILE *fp) {
    if (!x->z) return;
    fprintf(fp,
            "<section><h3>4. The tables</h3><p>The query times every centroid, made once: %zu "
            "tables of %zu numbers.</p><div class=\"scroll\" tabindex=\"0\"><table><tbody>\n",
            x->z->n, x->z->k);
    for (size_t j = 0; j < x->z->n && j < 8; j++) {
        fprintf(fp, "<tr><th scope=\"row\">T%zu</th>", j);
        for (size_t c = 0; c < x->z->k && c < 12; c++)
            fprintf(fp, "<td class=\"n\">%.2f</td>", (double)x->table[j * x->z->k + c]);
        fprintf(fp, "%s</tr>\n", x->z->k > 12 ? "<td class=\"n\">\xE2\x80\xA6</td>" : "");
    }
    fputs("</tbody></table></div></section>\n", fp);
}

static void keys(const struct explained *x, FILE *fp) {
    fputs("<section><h3>3. The keys</h3><p>", fp);
    markup_print(fp, "Each token has a key. As %s it takes %zu bytes, where FP16 takes %zu.",
                 x->keys, x->key_bytes, x->exact_bytes);
    if (x->z)
        markup_print(fp, " They are %zu codes, each the number of one of %zu centroids.", x->z->n,
                     x->z->k);
    fputs("</p></section>\n", fp);
}

static void cell(FILE *fp, double value) { fprintf(fp, "<td class=\"n\">%.3f</td>", value); }

static void scores(const struct explained *x, const size_t *which, size_t n, FILE *fp) {
    const struct one_query *y = x->y;
    fprintf(fp,
            "<section><h3>%d. Scores and weights</h3><p>A score says how well a key answers the "
            "query; softmax makes weights of the scores. A dot marks keys that are kept, or read "
            "again, exactly.</p><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th "
            "scope=\"col\">token</th>%s<th scope=\"col\">score</th><th scope=\"col\">exact</th><th "
            "scope=\"col\">weight</th><th scope=\"col\">exact</th></tr></thead><tbody>\n",
            x->z ? 5 : 4, x->z ? "<th scope=\"col\">codes</th>" : "");
    for (size_t i = 0; i < n; i++) {
        size_t t = which[i];
        fputs("<tr><th scope=\"row\">", fp);
        token(x, t, fp);
        fputs(y->picked[t] ? " \xE2\x80\xA2</th>" : "</th>", fp);
        if (x->z) fputs("<td class=\"n\">", fp);
        for (size_t j = 0; x->z && j < x->z->n && j < 16; j++)
            fprintf(fp, "%s%u", j ? " " : "", x->codes[t * x->z->n + j]);
        if (x->z) fputs("</td>", fp);
        cell(fp, (double)y->other.scores[t]);
        cell(fp, (double)y->exact.scores[t]);
        cell(fp, (double)y->other.probs[t]);
        cell(fp, (double)y->exact.probs[t]);
        fputs("</tr>\n", fp);
    }
    fputs("</tbody></table></div>\n", fp);
    weights(x, which, n, fp);
    fputs("</section>\n", fp);
}

void explain_put_html(const struct explained *x, FILE *fp) {
    size_t which[EXPLAIN_SHOWN], n = explain_shown(x, which);
    head(x, fp);
    text(x, fp);
    keys(x, fp);
    tables(x, fp);
    scores(x, which, n, fp);
    fprintf(fp, "<section><h3>%d. What is mixed</h3><p class=\"takeaway\">", x->z ? 6 : 5);
    markup_print(fp,
                 "The values, as %s, are mixed with these weights. %.1f %% of the weight lies on "
                 "another token than it should. The output is off by %.1f %% of its length; "
                 "cosine %.4f.",
                 x->values, 100 * explain_moved(x), 100 * explain_off(x), x->y->cosine);
    fputs("</p></section>\n</main></body></html>\n", fp);
}
