/* The comparison as a page: one file of HTML with its style and figures inside, which needs no
 * network and no script. The page is made of sections, each in a file of its own; html.c puts them
 * together.
 *
 * A number that the JSON of the same comparison has too stands in an element
 *
 *     <data value="0.0123456789" data-at="/runs/3/forced/kld/mean/0">0.0123</data>
 *
 * where `value` is what the JSON has, digit for digit, and `data-at` its place there, a JSON
 * pointer (RFC 6901). `data-over` names a second place: the value is then the first number divided
 * by the second. */
#ifndef LOOKAT_REPORT_HTML_H
#define LOOKAT_REPORT_HTML_H

#include "report/figures.h"

struct html {
    FILE *fp;
    const struct compare_report *r;
    size_t text; /* that the section is of */
};

/* The page's own style, of text and layout and of the sections; html_style.c. */
extern const char html_style[], html_style_sections[];

/* ---- pieces that pages and sections are made of; html_parts.c ---- */

/* Begins a page, up to the end of its <head>. Its title is "MODEL: ABOUT". */
void html_begin(FILE *fp, const char *model, const char *about);

/* Begin a section with a heading and an address inside the page, and end it. */
void html_section(const struct html *h, const char *id, const char *title);
void html_section_end(const struct html *h);

/* Writes a paragraph of the given class. */
void html_note(const struct html *h, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Writes a metric's figure at a place, with its error, as a number that the JSON has too; a dash
 * where it was not measured. */
void html_figure(const struct html *h, const struct metric *m, const struct metric_place *p);

/* Writes base / x, "3.9x", where both figures are above 0. */
void html_times(const struct html *h, const struct metric *m, const struct metric_place *base,
                const struct metric_place *p);

/* Writes one of the figures of figures.h inside a <figure>. */
void html_drawing(const struct html *h, const char *name, size_t run, const char *caption);

/* Writes a number at a place of the JSON that no metric has. */
void html_number(const struct html *h, double x, const char *shown, const char *fmt, ...)
    ERR_PRINTF(4, 5);

/* ---- sections, one file each ---- */

void html_cards(const struct html *h);  /* html_cards.c */
void html_tables(const struct html *h); /* html_tables.c */
void html_glossary(const struct html *h);
void html_heads(const struct html *h);   /* html_heads.c */
void html_pattern(const struct html *h); /* html_pattern.c */
void html_lengths(const struct html *h); /* html_growth.c */
void html_bytes(const struct html *h);
void html_free(const struct html *h); /* html_free.c */
void html_made(const struct html *h); /* html_made.c */

#endif
