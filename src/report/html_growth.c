/* The sections of what changes with length: fidelity by window, bytes by context. */
#include <math.h>

#include "report/html.h"
#include "report/markup.h"

/* ---- fidelity by length ---- */

static void length_cells(const struct html *h, size_t run, int which) {
    const struct compare_report *r = h->r;
    fputs("<tr><th scope=\"row\">", h->fp);
    markup_cstr(h->fp, r->main->runs[run].spec);
    fprintf(h->fp, "</th><th scope=\"row\">%s</th>", metric_of_shadow(which)->title);
    for (size_t i = 0; i < r->n_lengths; i++) {
        const struct estimate *m = &compare_length_sum(r, i, run, h->text)->all[which];
        double mean = estimate_mean(m);
        fputs("<td>", h->fp);
        if (m->n)
            html_number(h, mean, markup_pair(mean, estimate_error(m)).s,
                        "/lengths/%zu/runs/%zu/shadow/all/%s/0", i, h->text * r->main->n_runs + run,
                        metric_of_shadow(which)->name);
        else
            fputs("\xE2\x80\x93", h->fp);
        fputs("</td>", h->fp);
    }
    fputs("</tr>\n", h->fp);
}

static void length_table(const struct html *h) {
    fputs("<details><summary>The same as a table</summary><div class=\"scroll\" "
          "tabindex=\"0\"><table><thead><tr><th scope=\"col\">attention</th><th "
          "scope=\"col\">measure</th>",
          h->fp);
    for (size_t i = 0; i < h->r->n_lengths; i++)
        fprintf(h->fp, "<th scope=\"col\">%zu</th>", h->r->lengths[i].window);
    fputs("</tr></thead><tbody>\n", h->fp);
    for (size_t run = 1; run < h->r->main->n_runs; run++)
        for (int which = 0; which < FIDELITIES; which++) length_cells(h, run, which);
    fputs("</tbody></table></div></details>\n", h->fp);
}

void html_lengths(const struct html *h) {
    const struct figure_of f = {h->r, h->text, 0};
    bool shares = h->r->made && !h->r->made->kernels;
    if (!lengths_there(&f) && !(shares && !h->text)) return;
    html_section(h, "lengths", "Fidelity by length");
    if (!lengths_there(&f)) {
        html_note(h, "Shares hold windows of one length, so there is nothing to draw here.");
    } else {
        html_note(h,
                  "The first %s of the text in windows of each length; the second half of a "
                  "window is compared, layers: %s. Attention alone, on the "
                  "baseline\xE2\x80\x99s queries, keys and values.",
                  text_plural(h->r->lengths[0].texts[h->text].tokens, "token").s,
                  compare_layers(h->r).s);
        fputs("<div class=\"figures\">\n", h->fp);
        html_drawing(h, "lengths-cosine", 0,
                     h->r->paper ? "Hollow marks: LOOKAT-4 as published in arXiv 2601.10155."
                                 : NULL);
        html_drawing(h, "lengths-spearman", 0, NULL);
        fputs("</div>\n", h->fp);
        length_table(h);
    }
    html_section_end(h);
}

/* ---- bytes by context ---- */

static void bytes_row(const struct html *h, size_t run) {
    const struct compare_report *r = h->r;
    const struct by_context *b = &r->main->runs[run].by_context;
    const size_t from[] = {b->fewer_loaded, b->fewer_streamed};
    fputs("<tr><th scope=\"row\">", h->fp);
    markup_cstr(h->fp, r->main->runs[run].spec);
    fputs("</th>", h->fp);
    for (size_t i = 0; i < r->main->n_contexts; i++) {
        size_t n = r->main->contexts[i];
        struct comparison_summary s;
        if (n & (n - 1)) continue; /* the powers of two are enough to read */
        double total =
            compare_context_sum(r, run, i, &s) ? compare_loaded(r, &s, METRIC_ALL).total : NAN;
        fputs("<td>", h->fp);
        html_number(h, total, markup_count(total).s, "/by_context/runs/%zu/loaded_bytes/%zu/total",
                    run, i);
        fputs("</td>", h->fp);
    }
    for (int i = 0; i < 2; i++) {
        fputs("<td>", h->fp);
        if (from[i])
            html_number(h, (double)from[i], text_count(from[i]).s, "/by_context/runs/%zu/%s", run,
                        i ? "fewer_streamed_from" : "fewer_loaded_from");
        else
            fputs("\xE2\x80\x93", h->fp);
        fputs("</td>", h->fp);
    }
    fputs("</tr>\n", h->fp);
}

static void bytes_table(const struct html *h) {
    const struct comparison *c = h->r->main;
    fputs("<details><summary>The totals as a table, and the crossovers</summary><div "
          "class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">attention</th>",
          h->fp);
    for (size_t i = 0; i < c->n_contexts; i++)
        if (!(c->contexts[i] & (c->contexts[i] - 1)))
            fprintf(h->fp, "<th scope=\"col\">%zu</th>", c->contexts[i]);
    fputs("<th scope=\"col\">fewer loaded from</th><th scope=\"col\">fewer streamed "
          "from</th></tr></thead><tbody>\n",
          h->fp);
    for (size_t run = 0; run < c->n_runs; run++) bytes_row(h, run);
    fputs("</tbody></table></div></details>\n", h->fp);
}

void html_bytes(const struct html *h) {
    const struct figure_of f = {h->r, h->text, 0};
    if (h->text || !bytes_there(&f)) return; /* it does not depend on the text */
    html_section(h, "bytes", "Bytes loaded by context length");
    html_note(h, "What attention reads to decode one token, in all layers and heads, by how many "
                 "tokens the cache holds: codes or numbers of keys, scales, codebooks, tables, "
                 "values, and rows that are read again from an exact copy (refined). Computed in "
                 "closed form. The dashed line is the baseline. All figures have the same axes.");
    html_drawing(h, "bytes-key", 0, NULL);
    fputs("<div class=\"figures\">\n", h->fp);
    for (size_t run = 0; run < h->r->main->n_runs; run++) html_drawing(h, "bytes", run, NULL);
    fputs("</div>\n", h->fp);
    bytes_table(h);
    html_section_end(h);
}
