/* The tables of a page: one for each group of metrics, and what the words mean. */
#include <string.h>

#include "report/html.h"
#include "report/markup.h"

static bool is_column(const struct metric *m, enum metric_group group) {
    return m->group == group && !(m->left_out & (NOT_IN_TABLES | NOT_IN_JSON));
}

/* Was anything of the group measured of this backend? Of rows left out, was there any? */
static bool has_row(const struct html *h, enum metric_group group, size_t run) {
    const struct metric_place p = metric_whole(h->r, run, h->text);
    for (size_t i = 0; i < n_metrics; i++) {
        if (!is_column(&metrics[i], group)) continue;
        struct figure f = metric_figure(&metrics[i], &p);
        if (f.kind == FIGURE_NUMBER && (group != GROUP_SKIPPED || f.x > 0)) return true;
    }
    return false;
}

static bool any(const struct html *h, enum metric_group group) {
    for (size_t run = 0; run < h->r->main->n_runs; run++)
        if (has_row(h, group, run)) return true;
    return false;
}

static void heading(const struct html *h, const struct metric *m) {
    fputs("<th scope=\"col\"", h->fp);
    if (m->definition) {
        fputs(" title=\"", h->fp);
        markup_cstr(h->fp, m->definition);
        fputs("\"", h->fp);
    }
    fputs(">", h->fp);
    markup_cstr(h->fp, m->title);
    fputs("</th>", h->fp);
}

static void table(const struct html *h, enum metric_group group, const char *caption) {
    if (!any(h, group)) return;
    fputs("<h4 class=\"caption\">", h->fp);
    markup_cstr(h->fp, caption);
    fputs("</h4>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th "
          "scope=\"col\">attention</th>",
          h->fp);
    for (size_t i = 0; i < n_metrics; i++)
        if (is_column(&metrics[i], group)) heading(h, &metrics[i]);
    fputs("</tr></thead><tbody>\n", h->fp);
    for (size_t run = 0; run < h->r->main->n_runs; run++) {
        if (!has_row(h, group, run)) continue;
        const struct metric_place p = metric_whole(h->r, run, h->text);
        fputs("<tr><th scope=\"row\">", h->fp);
        markup_cstr(h->fp, h->r->main->runs[run].spec);
        fputs("</th>", h->fp);
        for (size_t i = 0; i < n_metrics; i++) {
            if (!is_column(&metrics[i], group)) continue;
            fputs("<td>", h->fp);
            html_figure(h, &metrics[i], &p);
            fputs("</td>", h->fp);
        }
        fputs("</tr>\n", h->fp);
    }
    fputs("</tbody></table></div>\n", h->fp);
}

void html_tables(const struct html *h) {
    static const struct {
        enum metric_group group;
        const char *caption;
    } tables[] = {
        {GROUP_FORCED, "Predictions: the same tokens, each backend with its own hidden states"},
        {GROUP_FIDELITY, "Attention alone, on the baseline\xE2\x80\x99s own queries, keys and "
                         "values: all layers and heads that were measured"},
        {GROUP_STORED, "Bytes stored per token, all layers and heads"},
        {GROUP_LOADED, "Bytes loaded per decoded token, all layers and heads"},
        {GROUP_TIME, "Milliseconds in attention per decoded token"},
        {GROUP_SKIPPED, "Value rows that were not read, per decoded token"},
        {GROUP_RECALL, "How often the best key is found by codes, and read exactly"},
    };
    html_section(h, "numbers", "All numbers");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        table(h, tables[i].group, tables[i].caption);
    html_section_end(h);
}

/* ---- words ---- */

static void word(const struct html *h, const char *title, const char *meaning) {
    fputs("<div><dt>", h->fp);
    markup_cstr(h->fp, title);
    fputs("</dt><dd>", h->fp);
    markup_cstr(h->fp, meaning);
    fputs(".</dd></div>\n", h->fp);
}

void html_glossary(const struct html *h) {
    fputs("<section id=\"words\"><h2>What the words mean</h2>\n<dl class=\"words\">\n", h->fp);
    word(h, "backend",
         "a way to store the keys and values of past tokens, and to use them; the first one is the "
         "baseline that the others are compared with");
    word(h, "\xC2\xB1",
         "one standard error of the mean over windows of the text; what is compared with the "
         "baseline is paired, so what both find hard drops out");
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *m = &metrics[i];
        if (m->definition) word(h, m->known_as ? m->known_as : m->title, m->definition);
    }
    fputs("</dl></section>\n", h->fp);
}
