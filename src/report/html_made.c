/* How the report came about: everything that it takes to make it again. */
#include "report/html.h"
#include "report/markup.h"

static void fact(const struct html *h, const char *what, const char *value) {
    fprintf(h->fp, "<div><dt>%s</dt><dd>", what);
    if (value && *value)
        markup_cstr(h->fp, value);
    else
        fputs("\xE2\x80\x93", h->fp);
    fputs("</dd></div>\n", h->fp);
}

static void begin(const struct html *h, const char *what) {
    fprintf(h->fp, "<div><dt>%s</dt><dd>", what);
}

static void number(const struct html *h, const char *what, uint64_t x, const char *at) {
    begin(h, what);
    html_number(h, (double)x, text_count(x).s, "%s", at);
    fputs("</dd></div>\n", h->fp);
}

static void book(const struct html *h) {
    const struct compare_book *b = h->r->book;
    if (!b) {
        fact(h, "codebooks", "none were needed");
        return;
    }
    fact(h, "codebooks", b->file);
    if (h->r->made && h->r->made->book_sha256[0])
        fact(h, "SHA-256 of their file", h->r->made->book_sha256);
    number(h, "learned on tokens", b->tokens, "/codebook/tokens");
    number(h, "keys sampled for each head", b->samples, "/codebook/samples");
    begin(h, "seed of the codebooks");
    fprintf(h->fp, "%llu</dd></div>\n", (unsigned long long)b->seed);
    for (size_t i = 0; i < b->n_corpora; i++) {
        begin(h, "text they were learned on");
        markup_cstr(h->fp, b->corpora[i].name);
        fputs("<br/><code>", h->fp);
        markup_cstr(h->fp, b->corpora[i].sha256);
        fputs("</code></dd></div>\n", h->fp);
    }
}

static void texts(const struct html *h) {
    const struct comparison *c = h->r->main;
    for (size_t i = 0; i < c->n_texts; i++) {
        begin(h, "text");
        markup_cstr(h->fp, c->texts[i].file);
        fputs(", ", h->fp);
        html_number(h, (double)c->texts[i].tokens, text_count(c->texts[i].tokens).s,
                    "/texts/%zu/tokens", i);
        fputs(" tokens<br/><code>", h->fp);
        markup_cstr(h->fp, c->texts[i].sha256);
        fputs("</code></dd></div>\n", h->fp);
    }
}

void html_made(const struct html *h) {
    const struct compare_made *m = h->r->made;
    fputs("<section id=\"made\"><h2>How it was made</h2>\n", h->fp);
    if (m) {
        fputs("<pre class=\"command\">", h->fp);
        markup_cstr(h->fp, m->command);
        fputs("</pre>\n", h->fp);
    }
    fputs("<dl class=\"facts\">\n", h->fp);
    fact(h, "model", h->r->model.file);
    fact(h, "SHA-256 of the model\xE2\x80\x99s file", h->r->model.sha256);
    fact(h, "fingerprint of its weights", h->r->model.fingerprint);
    texts(h);
    book(h);
    if (h->r->free) {
        begin(h, "seed of the texts written");
        fprintf(h->fp, "%llu</dd></div>\n", (unsigned long long)h->r->seed);
    }
    if (m) {
        fact(h, "lookat", m->version);
        fact(h, "compiler", m->compiler);
        fact(h, "kernels", m->kernels ? m->kernels : "shares were added up");
        number(h, "threads", (uint64_t)m->threads, "/made/threads");
        fact(h, "machine", m->machine);
    }
    fputs("</dl></section>\n", h->fp);
}
