/* The section of layers and heads: maps of all backends on one scale, and tables of the same
 * numbers. */
#include "report/html.h"
#include "report/markup.h"

static void row(const struct html *h, const struct metric_place *p) {
    fprintf(h->fp, "<tr><th scope=\"row\">%zu</th><th scope=\"row\">", p->layer);
    if (p->head == METRIC_ALL)
        fputs("all", h->fp);
    else
        fprintf(h->fp, "%zu", p->head);
    fputs("</th>", h->fp);
    for (int which = 0; which < FIDELITIES; which++) {
        fputs("<td>", h->fp);
        html_figure(h, metric_of_shadow(which), p);
        fputs("</td>", h->fp);
    }
    fputs("</tr>\n", h->fp);
}

static void table(const struct html *h, size_t run) {
    const struct gpt2_config *g = &h->r->model.config;
    struct metric_place p = metric_whole(h->r, run, h->text);
    fputs("<details><summary>", h->fp);
    markup_cstr(h->fp, h->r->main->runs[run].spec);
    fputs(": the numbers</summary><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th "
          "scope=\"col\">layer</th><th scope=\"col\">head</th>",
          h->fp);
    for (int which = 0; which < FIDELITIES; which++)
        fprintf(h->fp, "<th scope=\"col\">%s</th>", metric_of_shadow(which)->title);
    fputs("</tr></thead><tbody>\n", h->fp);
    for (p.layer = 0; p.layer < g->n_layer; p.layer++) {
        if (!p.s->layers[p.layer * FIDELITIES].n) continue;
        p.head = METRIC_ALL;
        row(h, &p);
        for (p.head = 0; p.head < g->n_head; p.head++) row(h, &p);
    }
    fputs("</tbody></table></div></details>\n", h->fp);
}

void html_heads(const struct html *h) {
    const struct figure_of f = {h->r, h->text, 0};
    if (!heads_there(&f)) return;
    html_section(h, "heads", "Layer by head");
    html_note(h, "Each square is one head: its layer from top to bottom, its number from left to "
                 "right. The baseline runs, and each backend answers its queries on its keys and "
                 "values, so what differs is the error of attention alone. Cosine compares a "
                 "head\xE2\x80\x99s output, KL its probabilities, Spearman the order of its "
                 "scores, and top-5 its five best keys. The number under each name is the mean. "
                 "Dark is close to the baseline, yellow is far; all maps share one scale.");
    html_drawing(h, "heads-scale", 0, NULL);
    fputs("<div class=\"figures\">\n", h->fp);
    for (size_t run = 1; run < h->r->main->n_runs; run++) html_drawing(h, "heads", run, NULL);
    fputs("</div>\n", h->fp);
    for (size_t run = 1; run < h->r->main->n_runs; run++) table(h, run);
    html_section_end(h);
}
