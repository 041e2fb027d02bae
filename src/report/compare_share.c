/* A share: what some of a comparison's chunks measured, number by number, as JSON lines.
 * share_fields.h describes the lines; here is which of them a share holds. */
#include "report/share_fields.h"

/* Is this chunk in this share? */
static bool in_share(const struct comparison *c, const struct comparison_chunk *x) {
    size_t number = x->chunk;
    for (size_t t = 0; t < x->text; t++) number += c->texts[t].chunks;
    return number % c->of == c->share;
}

/* The descriptions take what they could also fill in, so each line is written from a copy. */
static void put_header(FILE *fp, const struct compare_report *r) {
    struct comparison c = *r->main;
    struct compare_report report = *r;
    struct json_out j;
    const struct share_fields f = {.out = &j};
    struct share_head h = {.number = c.share,
                           .of = c.of,
                           .lines = 1 + (r->free ? c.n_runs * c.n_texts : 0),
                           .file = r->model.file,
                           .name = r->model.name,
                           .book = r->book ? r->book->file : "",
                           .texts = c.texts,
                           .n_texts = c.n_texts};
    for (size_t i = 0; i < c.n_runs; i++)
        for (size_t k = 0; k < c.runs[i].n_chunks; k++)
            h.lines += in_share(&c, &c.runs[i].chunks[k]);
    json_put_begin(&j, fp);
    share_head(&f, &h);
    share_setup(&f, &report, &c);
    share_end_line(&f);
}

static void put_chunk(FILE *fp, const struct compare_report *r, size_t run,
                      struct comparison_chunk x) {
    struct json_out j;
    const struct share_fields f = {.out = &j};
    json_put_begin(&j, fp);
    share_chunk_place(&f, &run, &x.text, &x.chunk);
    share_chunk(&f, &r->model.config, x.predictions.nll != NULL, &x);
    share_end_line(&f);
}

static void put_free(FILE *fp, const struct compare_report *r, size_t run, size_t text) {
    struct compare_free x = r->free[run * r->main->n_texts + text];
    struct json_out j;
    const struct share_fields f = {.out = &j};
    json_put_begin(&j, fp);
    share_free_place(&f, &run, &text);
    share_free(&f, &x);
    share_end_line(&f);
}

void compare_put_share(const struct compare_report *r, FILE *fp) {
    const struct comparison *c = r->main;
    put_header(fp, r);
    for (size_t i = 0; i < c->n_runs; i++)
        for (size_t k = 0; k < c->runs[i].n_chunks; k++)
            if (in_share(c, &c->runs[i].chunks[k])) put_chunk(fp, r, i, c->runs[i].chunks[k]);
    for (size_t i = 0; r->free && i < c->n_runs; i++)
        for (size_t t = 0; t < c->n_texts; t++) put_free(fp, r, i, t);
}
