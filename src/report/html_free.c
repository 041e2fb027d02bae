/* The texts that the backends write by themselves, side by side. A token is marked where it is not
 * one of the longest common sequence of the baseline's text and its own, and it tells its
 * probability to who points at it. */
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "report/html.h"
#include "report/markup.h"

/* Sets same[b->n]: is the token one of the longest common sequence? False without memory. */
static bool common(const struct compare_free *a, const struct compare_free *b, bool *same) {
    size_t w = b->n + 1;
    uint32_t *length = calloc((a->n + 1) * w, sizeof *length);
    if (!length) return false;
    for (size_t i = a->n; i-- > 0;)
        for (size_t k = b->n; k-- > 0;) {
            uint32_t down = length[(i + 1) * w + k], right = length[i * w + k + 1];
            length[i * w + k] = a->ids[i] == b->ids[k] ? 1 + length[(i + 1) * w + k + 1]
                                : down > right         ? down
                                                       : right;
        }
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        if (a->ids[i] == b->ids[k])
            same[k] = true, i++, k++;
        else if (length[(i + 1) * w + k] >= length[i * w + k + 1])
            i++;
        else
            k++;
    }
    free(length);
    return true;
}

/* Tokens that share a character stand together: count those from i on that make whole characters,
 * and their bytes. */
static size_t whole(const struct compare_free *f, size_t i, size_t at, size_t *bytes) {
    size_t n = 0;
    *bytes = 0;
    while (i + n < f->n) {
        *bytes += f->token_bytes[i + n++];
        if (!utf8_unfinished((const uint8_t *)f->text + at, *bytes)) break;
    }
    return n;
}

static void span(const struct html *h, const struct compare_free *f, size_t i, size_t n,
                 bool marked) {
    fprintf(h->fp, "<span%s", marked ? " class=\"new\"" : "");
    if (f->logprobs) {
        fputs(" title=\"", h->fp);
        for (size_t k = 0; k < n; k++)
            fprintf(h->fp, "%s%s", k ? " " : "", markup_number(exp(f->logprobs[i + k])).s);
        fputs("\"", h->fp);
    }
    fputs(">", h->fp);
}

static void tokens(const struct html *h, const struct compare_free *f, const bool *same) {
    size_t at = 0, n, bytes;
    for (size_t i = 0; i < f->n; i += n, at += bytes) {
        n = 1;
        bytes = 0;
        if (f->text) n = whole(f, i, at, &bytes);
        bool marked = false;
        for (size_t k = 0; k < n; k++) marked = marked || (same && !same[i + k]);
        span(h, f, i, n, marked);
        if (f->text)
            markup_text(h->fp, f->text + at, bytes);
        else
            fprintf(h->fp, "%d ", f->ids[i]);
        fputs("</span>", h->fp);
    }
}

static void column(const struct html *h, size_t run) {
    const struct comparison *c = h->r->main;
    const struct compare_free *base = &h->r->free[h->text],
                              *f = &h->r->free[run * c->n_texts + h->text];
    bool *same = calloc(f->n + 1, sizeof *same), known = same && run && common(base, f, same);
    fprintf(h->fp, "<article class=\"card\"><h4><i class=\"dot %s\"></i>", svg_series(run));
    markup_cstr(h->fp, c->runs[run].spec);
    fputs("</h4>", h->fp);
    if (!run) {
        fputs("<p class=\"full\">the baseline</p>", h->fp);
    } else if (f->first_difference == SIZE_MAX) {
        fputs("<p class=\"full\">the same text</p>", h->fp);
    } else {
        fprintf(h->fp, "<p class=\"full\">token %zu is the first that differs</p>",
                f->first_difference + 1);
    }
    fprintf(h->fp, "<p class=\"free\"%s", f->logprobs ? " data-logprobs=\"" : "");
    if (f->logprobs) fprintf(h->fp, "/runs/%zu/free/logprobs\"", h->text * c->n_runs + run);
    fputs(">", h->fp);
    if (f->text && !f->token_bytes)
        markup_text(h->fp, f->text, f->bytes);
    else
        tokens(h, f, known ? same : NULL);
    fputs("</p></article>\n", h->fp);
    free(same);
}

void html_free(const struct html *h) {
    if (!h->r->free) return;
    html_section(h, "free", "What a reader sees");
    html_note(
        h,
        "Each backend goes on by itself after the first %zu tokens of the text, with the same "
        "seed. Marked tokens are not the baseline\xE2\x80\x99s. One other token changes all "
        "that follows: texts that part early are not worse for that. Point at a token for "
        "the probability that the model gave it.",
        h->r->n_prompt);
    fputs("<div class=\"cards\">\n", h->fp);
    for (size_t run = 0; run < h->r->main->n_runs; run++) column(h, run);
    fputs("</div>\n", h->fp);
    html_section_end(h);
}
