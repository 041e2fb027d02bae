#include "report/html.h"

#include <string.h>

#include "report/markup.h"

static void introduction(const struct html *h) {
    const struct gpt2_config *g = &h->r->model.config;
    fputs("<body><header><p>lookat compare</p><h1>", h->fp);
    markup_cstr(h->fp, h->r->model.name);
    fputs("</h1>\n<p>", h->fp);
    markup_print(h->fp,
                 "%s, %s of %zu dimensions; windows of %zu tokens, of which the second half "
                 "is scored; the baseline is %s.",
                 text_plural(g->n_layer, "layer").s, text_plural(g->n_head, "head").s,
                 g->n_embd / g->n_head, h->r->main->window, h->r->main->runs[0].spec);
    fputs("</p>\n", h->fp);
    if (h->r->main->of > 1) {
        fputs("<p class=\"warn\">", h->fp);
        markup_print(h->fp, "This is share %zu of %zu only.", h->r->main->share, h->r->main->of);
        fputs("</p>\n", h->fp);
    }
    fputs("<nav>", h->fp);
    for (size_t text = 0; text < h->r->main->n_texts; text++) {
        const char *file = h->r->main->texts[text].file, *slash = strrchr(file, '/');
        fprintf(h->fp, "<a href=\"#text-%zu\">", text);
        markup_cstr(h->fp, slash && slash[1] ? slash + 1 : file);
        fputs("</a>", h->fp);
    }
    fputs("<a href=\"#words\">What the words mean</a>"
          "<a href=\"#made\">How it was made</a></nav></header>\n<main>\n",
          h->fp);
}

static void pareto(const struct html *h) {
    const struct figure_of f = {h->r, h->text, 0};
    if (!pareto_stored_there(&f)) return;
    html_section(h, "cost", "What it costs, what it loses");
    html_note(h, "Down and to the left is better. KL says how far a backend\xE2\x80\x99s "
                 "distribution is from the baseline\xE2\x80\x99s; it is 0 where they agree, and "
                 "the bars are its standard error. The dotted line joins the backends that no "
                 "other one beats in both. Both axes are logarithmic, so 0 has a line of its own. "
                 "Point at a mark for its numbers.");
    fputs("<div class=\"figures\">\n", h->fp);
    html_drawing(h, "pareto-stored", 0,
                 "Stored: what the cache keeps for each token, in all layers and heads.");
    html_drawing(h, "pareto-loaded", 0,
                 "Loaded: what attention reads to decode a token. The mark is at all bytes. The "
                 "bar begins at those that are streamed, which come anew from memory; the rest is "
                 "at hand in a core\xE2\x80\x99s caches.");
    html_drawing(h, "pareto-ms", 0,
                 "Time: milliseconds in attention for a decoded token, median; the bar goes from "
                 "the least to the most of all repetitions.");
    html_drawing(h, "pareto-paper", 0,
                 "The figures of arXiv 2601.10155 (GPT-2, first layer) as hollow marks beside "
                 "what was measured here.");
    fputs("</div>\n", h->fp);
    html_section_end(h);
}

static void one_text(const struct html *h) {
    const struct comparison_text *x = &h->r->main->texts[h->text];
    size_t windows = compare_sum(h->r, 0, h->text)->chunks;
    fprintf(h->fp, "<h2 id=\"text-%zu\">", h->text);
    markup_cstr(h->fp, x->file);
    fputs("</h2>\n", h->fp);
    html_note(h, "%s of %s, in %s.", text_count(windows * h->r->main->window).s,
              text_plural(x->tokens, "token").s, text_plural(windows, "window").s);
    html_cards(h);
    pareto(h);
    html_heads(h);
    html_pattern(h);
    html_lengths(h);
    html_bytes(h);
    html_free(h);
    html_tables(h);
}

void compare_put_html(const struct compare_report *r, FILE *fp) {
    struct html h = {.fp = fp, .r = r};
    html_begin(fp, r->model.name, "attention backends compared");
    introduction(&h);
    for (h.text = 0; h.text < r->main->n_texts; h.text++) one_text(&h);
    html_glossary(&h);
    html_made(&h);
    fputs("</main></body></html>\n", fp);
}
