/* What the sections of a page are made of. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "report/compare_json.h"
#include "report/html.h"
#include "report/json_out.h"
#include "report/markup.h"

/* The policy lets nothing in and nothing run, whatever a text or a name may hold. */
void html_begin(FILE *fp, const char *model, const char *about) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<link rel=\"icon\" href=\"data:,\"/>\n<title>",
          fp);
    markup_cstr(fp, model);
    fprintf(fp, ": %s</title>\n<style>%s%s%s</style></head>\n", about, html_style,
            html_style_sections, svg_style);
}

void html_section(const struct html *h, const char *id, const char *title) {
    fprintf(h->fp, "<section id=\"%s-%zu\">\n<h3>", id, h->text);
    markup_cstr(h->fp, title);
    fputs("</h3>\n", h->fp);
}

void html_section_end(const struct html *h) { fputs("</section>\n", h->fp); }

void html_note(const struct html *h, const char *fmt, ...) {
    va_list ap;
    fputs("<p class=\"note\">", h->fp);
    va_start(ap, fmt);
    markup_vprint(h->fp, fmt, ap);
    va_end(ap);
    fputs("</p>\n", h->fp);
}

/* The beginning of a number's element; what is not finite is null in JSON, and empty here. */
static void open_data(FILE *fp, double x, const char *at) {
    fprintf(fp, "<data value=\"%s\" data-at=\"%s\"", isfinite(x) ? json_number(x).s : "", at);
}

void html_number(const struct html *h, double x, const char *shown, const char *fmt, ...) {
    char at[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(at, sizeof at, fmt, ap);
    va_end(ap);
    open_data(h->fp, x, at);
    fprintf(h->fp, ">%s</data>", shown);
}

static struct text_number shown(const struct metric *m, const struct figure *f) {
    if (strcmp(m->unit, "bytes") == 0) return markup_count(f->x);
    if (m->error == ERROR_BESIDE) return markup_pair(f->x, f->error);
    return markup_number(f->x);
}

void html_figure(const struct html *h, const struct metric *m, const struct metric_place *p) {
    struct figure f = metric_figure(m, p);
    if (f.kind != FIGURE_NUMBER) {
        fputs("\xE2\x80\x93", h->fp); /* a dash */
        return;
    }
    open_data(h->fp, f.x, compare_json_place(m, p).s);
    fprintf(h->fp, ">%s</data>", shown(m, &f).s);
}

void html_times(const struct html *h, const struct metric *m, const struct metric_place *base,
                const struct metric_place *p) {
    struct figure a = metric_figure(m, base), b = metric_figure(m, p);
    if (a.kind != FIGURE_NUMBER || b.kind != FIGURE_NUMBER || !(a.x > 0) || !(b.x > 0)) return;
    bool less = a.x >= b.x;
    open_data(h->fp, less ? a.x / b.x : b.x / a.x, compare_json_place(m, less ? base : p).s);
    fprintf(h->fp, " data-over=\"%s\">%s\xC3\x97</data> %s", /* a times sign */
            compare_json_place(m, less ? p : base).s, markup_number(less ? a.x / b.x : b.x / a.x).s,
            less ? "less" : "more");
}

void html_drawing(const struct html *h, const char *name, size_t run, const char *caption) {
    const struct figure_of f = {h->r, h->text, run};
    const struct figure_kind_of *kind = figure_named(name);
    struct svg g = {.fp = h->fp};
    if (!kind->there(&f)) return;
    fputs("<figure>\n", h->fp);
    kind->draw(&g, &f);
    if (caption) {
        fputs("<figcaption>", h->fp);
        markup_cstr(h->fp, caption);
        fputs("</figcaption>", h->fp);
    }
    fputs("</figure>\n", h->fp);
}
