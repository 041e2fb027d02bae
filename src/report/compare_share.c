/* A share: what some of a comparison's chunks measured, number by number, as JSON lines. The
 * header's "setup" is everything that two shares must have in common, so that they may be compared
 * byte by byte; paths, which may differ between machines, stand outside it. compare_merge.c reads
 * it, in the order in which it is written here. */
#include <math.h>

#include "report/compare_out.h"
#include "report/json_out.h"

static void put_setup(struct json_out *j, const struct compare_report *r) {
    const struct comparison *c = r->main;
    const struct gpt2_config *g = &r->model.config;
    json_put_object(j, "setup");
    json_put_cstr(j, "model", r->model.fingerprint);
    json_put_cstr(j, "sha256", r->model.sha256);
    const size_t shape[] = {g->n_layer, g->n_head, g->n_embd, g->n_vocab, g->n_ctx};
    json_put_array(j, "shape");
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) json_put_uint(j, NULL, shape[i]);
    json_put_close(j);
    json_put_uint(j, "window", c->window);
    json_put_bool(j, "forced", c->forced);
    json_put_bool(j, "shadow", c->shadow);
    json_put_array(j, "layers");
    json_put_uint(j, NULL, c->first_layer);
    json_put_uint(j, NULL, c->last_layer);
    json_put_close(j);
    json_put_array(j, "texts");
    for (size_t i = 0; i < c->n_texts; i++) {
        json_put_array(j, NULL);
        json_put_cstr(j, NULL, c->texts[i].sha256);
        json_put_uint(j, NULL, c->texts[i].tokens);
        json_put_uint(j, NULL, c->texts[i].chunks);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_array(j, "runs");
    for (size_t i = 0; i < c->n_runs; i++) {
        const struct comparison_run *run = &c->runs[i];
        json_put_array(j, NULL);
        json_put_cstr(j, NULL, run->spec);
        json_put_cstr(j, NULL, run->keys);
        json_put_cstr(j, NULL, run->values);
        json_put_cstr(j, NULL, run->name);
        json_put_uint(j, NULL, run->stored_keys);
        json_put_uint(j, NULL, run->stored_values);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_array(j, "free"); /* [] or the prompt's length and the seed */
    if (r->n_prompt) {
        json_put_uint(j, NULL, r->n_prompt);
        json_put_uint(j, NULL, r->seed);
    }
    json_put_close(j);
    json_put_array(j, "codebook"); /* [] or tokens, samples, seed, [[m,k,learned (2:
                                      uneven),values]...], [[name,sha256]...] */
    if (r->book) {
        json_put_uint(j, NULL, r->book->tokens);
        json_put_uint(j, NULL, r->book->samples);
        json_put_uint(j, NULL, r->book->seed);
        json_put_array(j, NULL);
        for (size_t i = 0; i < r->book->n; i++) {
            json_put_array(j, NULL);
            json_put_uint(j, NULL, r->book->books[i].m);
            json_put_uint(j, NULL, r->book->books[i].k);
            json_put_uint(j, NULL, (unsigned)r->book->books[i].learned + r->book->books[i].uneven);
            json_put_uint(j, NULL, r->book->books[i].values);
            json_put_close(j);
        }
        json_put_close(j);
        json_put_array(j, NULL);
        for (size_t i = 0; i < r->book->n_corpora; i++) {
            json_put_array(j, NULL);
            json_put_cstr(j, NULL, r->book->corpora[i].name);
            json_put_cstr(j, NULL, r->book->corpora[i].sha256);
            json_put_close(j);
        }
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
}

/* Is chunk number `chunk` of a text in this share? */
static bool in_share(const struct comparison *c, const struct comparison_chunk *x) {
    size_t number = x->chunk;
    for (size_t t = 0; t < x->text; t++) number += c->texts[t].chunks;
    return number % c->of == c->share;
}

static void put_header(FILE *fp, const struct compare_report *r) {
    const struct comparison *c = r->main;
    struct json_out j;
    size_t lines = 1 + (r->free ? c->n_runs * c->n_texts : 0);
    for (size_t i = 0; i < c->n_runs; i++)
        for (size_t k = 0; k < c->runs[i].n_chunks; k++)
            lines += in_share(c, &c->runs[i].chunks[k]);
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.share/1");
    json_put_uint(&j, "share", c->share);
    json_put_uint(&j, "of", c->of);
    json_put_uint(&j, "lines", lines);
    json_put_cstr(&j, "file", r->model.file);
    json_put_cstr(&j, "name", r->model.name);
    json_put_cstr(&j, "book", r->book ? r->book->file : "");
    json_put_array(&j, "texts");
    for (size_t i = 0; i < c->n_texts; i++) json_put_cstr(&j, NULL, c->texts[i].file);
    json_put_close(&j);
    put_setup(&j, r);
    json_put_close(&j);
}

static void put_floats(struct json_out *j, const char *key, const float *x, size_t n) {
    json_put_array(j, key);
    for (size_t i = 0; i < n; i++)
        json_put_double(j, NULL, (double)x[i]); /* as double: read back without rounding twice */
    json_put_close(j);
}

static void put_forced(struct json_out *j, const struct predictions *x) {
    json_put_array(j, "nll");
    for (size_t i = 0; i < x->n; i++) json_put_double(j, NULL, x->nll[i]);
    json_put_close(j);
    put_floats(j, "kld", x->kld, x->n);
    put_floats(j, "dp", x->dp, x->n);
    json_put_array(j, "same_top1");
    for (size_t i = 0; i < x->n; i++)
        json_put_double(j, NULL, x->same_top1[i] == TOP1_UNKNOWN ? NAN : x->same_top1[i]);
    json_put_close(j);
}

static void put_chunk(FILE *fp, const struct compare_report *r, size_t run,
                      const struct comparison_chunk *x) {
    size_t L = r->model.config.n_layer, H = r->model.config.n_head;
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_uint(&j, "run", run);
    json_put_uint(&j, "text", x->text);
    json_put_uint(&j, "chunk", x->chunk);
    json_put_uint(&j, "n", x->predictions.n);
    json_put_uint(&j, "decoded", x->decoded);
    json_put_double(&j, "attention_s", x->attention.median);
    if (x->predictions.nll) put_forced(&j, &x->predictions);
    if (x->shadow) {
        json_put_array(&j, "shadow"); /* [L][H][FIDELITIES][3] */
        for (size_t i = 0; i < L * H * FIDELITIES; i++) {
            json_put_uint(&j, NULL, x->shadow[i].n);
            json_put_double(&j, NULL, x->shadow[i].sum);
            json_put_double(&j, NULL, x->shadow[i].sum2);
        }
        json_put_close(&j);
    }
    json_put_array(&j,
                   "attention_range_s"); /* least and most, of which attention_s is the median */
    json_put_double(&j, NULL, x->attention.least);
    json_put_double(&j, NULL, x->attention.most);
    json_put_close(&j);
    if (x->loaded) {
        json_put_array(&j, "loaded"); /* [L][7] */
        for (size_t l = 0; l < L; l++) {
            const struct attn_counters *b = &x->loaded[l];
            const uint64_t all[] = {b->keys,   b->scales,       b->codebooks,   b->tables,
                                    b->values, b->skipped_rows, b->skipped_mass};
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_put_uint(&j, NULL, all[i]);
        }
        json_put_close(&j);
    }
    bool any = false;
    for (size_t l = 0; x->cut && l < L; l++) any = any || x->cut[l];
    if (any) {
        json_put_array(&j, "cut"); /* [L] */
        for (size_t l = 0; l < L; l++) json_put_uint(&j, NULL, x->cut[l]);
        json_put_close(&j);
    }
    json_put_close(&j);
}

static void put_free(FILE *fp, const struct compare_report *r, size_t run, size_t text) {
    const struct compare_free *f = &r->free[run * r->main->n_texts + text];
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_uint(&j, "free", run);
    json_put_uint(&j, "text", text);
    json_put_uint(&j, "first_difference",
                  f->first_difference == SIZE_MAX ? f->n : f->first_difference);
    json_put_bool(&j, "differs", f->first_difference != SIZE_MAX);
    json_put_uint(&j, "same_bytes", f->same_bytes);
    json_put_ids(&j, "ids", f->ids, f->n);
    if (f->text) {
        json_put_array(&j, "bytes");
        for (size_t i = 0; i < f->bytes; i++) json_put_uint(&j, NULL, (uint8_t)f->text[i]);
        json_put_close(&j);
    }
    json_put_close(&j);
}

void compare_put_share(const struct compare_report *r, FILE *fp) {
    const struct comparison *c = r->main;
    put_header(fp, r);
    for (size_t i = 0; i < c->n_runs; i++)
        for (size_t k = 0; k < c->runs[i].n_chunks; k++)
            if (in_share(c, &c->runs[i].chunks[k])) put_chunk(fp, r, i, &c->runs[i].chunks[k]);
    for (size_t i = 0; r->free && i < c->n_runs; i++)
        for (size_t t = 0; t < c->n_texts; t++) put_free(fp, r, i, t);
}
