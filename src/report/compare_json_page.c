/* The members of the JSON that are there only where a page was asked for. */
#include "report/compare_json.h"

static void pattern(struct json_out *j, const struct compare_report *r) {
    const struct pattern *p = r->pattern;
    json_put_object(j, "pattern");
    json_put_uint(j, "text", p->text);
    json_put_uint(j, "layer", p->layer);
    json_put_uint(j, "head", p->head);
    json_put_ids(j, "ids", p->ids, p->n);
    json_put_array(j, "runs");
    for (size_t run = 0; run < r->main->n_runs; run++) {
        json_put_object(j, NULL);
        json_put_cstr(j, "attn", r->main->runs[run].spec);
        json_put_array(j, "probabilities");
        for (size_t t = 0; t < p->n; t++) {
            json_put_array(j, NULL);
            for (size_t i = 0; i <= t; i++)
                json_put_double(j, NULL, (double)pattern_row(p, run, t)[i]);
            json_put_close(j);
        }
        json_put_close(j);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
}

static void made(struct json_out *j, const struct compare_made *m) {
    json_put_object(j, "made");
    json_put_cstr(j, "command", m->command);
    json_put_cstr(j, "version", m->version);
    json_put_cstr(j, "compiler", m->compiler);
    json_put_cstr(j, "machine", m->machine);
    json_put_cstr(j, "codebook_sha256", m->book_sha256[0] ? m->book_sha256 : NULL);
    json_put_cstr(j, "kernels", m->kernels);
    json_put_uint(j, "threads", (uint64_t)m->threads);
    json_put_close(j);
}

void compare_put_json_page(struct json_out *j, const struct compare_report *r) {
    if (r->pattern) pattern(j, r);
    if (r->made) made(j, r->made);
}
