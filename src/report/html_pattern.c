/* The section that shows one head's attention over the beginning of a text: exact, looked up, and
 * the difference, for each backend. */
#include "report/html.h"
#include "report/markup.h"

static void token(const struct html *h, size_t i) {
    const struct pattern *p = h->r->pattern;
    if (p->bytes)
        markup_token(h->fp, p->bytes + p->spell_at[i], p->spell_at[i + 1] - p->spell_at[i]);
    else
        fprintf(h->fp, "%d", p->ids[i]);
}

static void probability(const struct html *h, size_t run, size_t t, size_t i) {
    double x = (double)pattern_row(h->r->pattern, run, t)[i];
    char shown[24];
    snprintf(shown, sizeof shown, "%.3f", x);
    fputs("<td>", h->fp);
    html_number(h, x, shown, "/pattern/runs/%zu/probabilities/%zu/%zu", run, t, i);
    fputs("</td>", h->fp);
}

/* For each query the key that is strongest with the baseline. */
static void table(const struct html *h, size_t run) {
    const struct pattern *p = h->r->pattern;
    fputs("<details><summary>The strongest key of each query, as a table</summary><div "
          "class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">query</th><th "
          "scope=\"col\">its strongest key</th><th scope=\"col\">exact</th><th "
          "scope=\"col\">looked up</th></tr></thead><tbody>\n",
          h->fp);
    for (size_t t = 0; t < p->n; t++) {
        size_t best = 0;
        for (size_t i = 1; i <= t; i++)
            if (pattern_row(p, 0, t)[i] > pattern_row(p, 0, t)[best]) best = i;
        fputs("<tr><th scope=\"row\">", h->fp);
        token(h, t);
        fputs("</th><th>", h->fp);
        token(h, best);
        fputs("</th>", h->fp);
        probability(h, 0, t, best);
        probability(h, run, t, best);
        fputs("</tr>\n", h->fp);
    }
    fputs("</tbody></table></div></details>\n", h->fp);
}

/* The backend that differs most is shown at once, the others on demand. */
static size_t most_different(const struct pattern *p, size_t runs) {
    size_t most = 1;
    double largest = -1;
    for (size_t run = 1; run < runs; run++) {
        double sum = 0;
        for (size_t i = 0; i < p->n * (p->n + 1) / 2; i++) {
            double d = (double)p->probs[run * (p->n * (p->n + 1) / 2) + i] - (double)p->probs[i];
            sum += d < 0 ? -d : d;
        }
        if (sum > largest) largest = sum, most = run;
    }
    return most;
}

void html_pattern(const struct html *h) {
    const struct figure_of f = {h->r, h->text, 0};
    const struct pattern *p = h->r->pattern;
    if (!p && h->r->made && !h->r->made->kernels && !h->text) {
        html_section(h, "pattern", "The attention of one head");
        html_note(h, "The shares that were added up do not hold the attention of a prompt, so it "
                     "is left out.");
        html_section_end(h);
    }
    if (!pattern_there(&f)) return;
    html_section(h, "pattern", "The attention of one head");
    html_note(h,
              "Layer %zu, head %zu, over the first %zu tokens of the text. Each row is a query, "
              "the token on its left; its squares are the keys that it may see, the tokens below, "
              "and the colour is the probability that it gives them. All backends answer the "
              "baseline\xE2\x80\x99s queries on its keys. Blue in the difference is less than "
              "exact, orange is more. Colours follow the square root, so that small probabilities "
              "show. Point at a row for its strongest keys.",
              p->layer, p->head, p->n);
    size_t open = most_different(p, h->r->main->n_runs);
    for (size_t run = 1; run < h->r->main->n_runs; run++) {
        fprintf(h->fp, "<details%s><summary>", run == open ? " open=\"open\"" : "");
        markup_cstr(h->fp, h->r->main->runs[run].spec);
        fputs("</summary><div class=\"figures\">\n", h->fp);
        html_drawing(h, "pattern-exact", 0, NULL);
        html_drawing(h, "pattern", run, NULL);
        html_drawing(h, "pattern-difference", run, NULL);
        fputs("</div>\n", h->fp);
        table(h, run);
        fputs("</details>\n", h->fp);
    }
    html_section_end(h);
}
