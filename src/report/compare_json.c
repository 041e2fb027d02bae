#include <math.h>

#include "report/compare_out.h"
#include "report/cut_out.h"

static const char *const fidelity_names[FIDELITIES] = {"cosine", "kl", "spearman", "top5"};

/* [mean, standard error]; the error of one window is null. */
static void pair(struct json_out *j, const char *key, double mean, double error) {
    json_put_array(j, key);
    json_put_double(j, NULL, mean);
    json_put_double(j, NULL, error);
    json_put_close(j);
}

static void fidelities(struct json_out *j, const struct estimate *m) {
    for (int i = 0; i < FIDELITIES; i++)
        pair(j, fidelity_names[i], estimate_mean(&m[i]), estimate_error(&m[i]));
}

/* JSON has no NaN: a figure that is no number is null, and this says that it was measured. */
static bool all_finite(const struct estimate *m) {
    bool ok = true;
    for (int i = 0; i < FIDELITIES; i++) ok = ok && isfinite(estimate_mean(&m[i]));
    return ok;
}

static void model(struct json_out *j, const struct compare_model *m) {
    json_put_object(j, "model");
    json_put_cstr(j, "file", m->file);
    json_put_cstr(j, "sha256", m->sha256[0] ? m->sha256 : NULL);
    json_put_cstr(j, "name", m->name);
    json_put_cstr(j, "fingerprint", m->fingerprint);
    json_put_uint(j, "layers", m->config.n_layer);
    json_put_uint(j, "heads", m->config.n_head);
    json_put_uint(j, "head_dim", m->config.n_embd / m->config.n_head);
    json_put_uint(j, "width", m->config.n_embd);
    json_put_uint(j, "vocab", m->config.n_vocab);
    json_put_uint(j, "context", m->config.n_ctx);
    json_put_close(j);
}

static void codebook(struct json_out *j, const struct compare_book *b) {
    if (!b) {
        json_put_null(j, "codebook");
        return;
    }
    json_put_object(j, "codebook");
    json_put_cstr(j, "file", b->file);
    json_put_array(j, "codebooks");
    for (size_t i = 0; i < b->n; i++) {
        json_put_object(j, NULL);
        json_put_uint(j, b->books[i].uneven ? "bytes" : "m", b->books[i].m);
        json_put_uint(j, "k", b->books[i].k);
        json_put_bool(j, "learned", b->books[i].learned);
        json_put_bool(j, "values", b->books[i].values);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_array(j, "corpora");
    for (size_t i = 0; i < b->n_corpora; i++) {
        json_put_object(j, NULL);
        json_put_cstr(j, "file", b->corpora[i].name);
        json_put_cstr(j, "sha256", b->corpora[i].sha256);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_uint(j, "tokens", b->tokens);
    json_put_uint(j, "samples", b->samples);
    json_put_uint(j, "seed", b->seed);
    json_put_close(j);
}

static void texts(struct json_out *j, const struct comparison *c) {
    json_put_array(j, "texts");
    for (size_t i = 0; i < c->n_texts; i++) {
        json_put_object(j, NULL);
        json_put_cstr(j, "file", c->texts[i].file);
        json_put_cstr(j, "sha256", c->texts[i].sha256);
        json_put_uint(j, "tokens", c->texts[i].tokens);
        json_put_uint(j, "tokens_used", c->texts[i].chunks * c->window);
        json_put_uint(j, "chunks", c->texts[i].chunks);
        json_put_close(j);
    }
    json_put_close(j);
}

static void bytes(struct json_out *j, const char *key, const struct compare_bytes *b) {
    json_put_object(j, key);
    json_put_double(j, "keys", b->keys);
    json_put_double(j, "scales", b->scales);
    json_put_double(j, "codebooks", b->codebooks);
    json_put_double(j, "tables", b->tables);
    json_put_double(j, "values", b->values);
    json_put_double(j, "total", b->total);
    json_put_close(j);
}

static void costs(struct json_out *j, const struct compare_report *r,
                  const struct comparison_run *run, const struct comparison_summary *s) {
    json_put_object(j, "stored_bytes_per_token");
    json_put_uint(j, "keys", run->stored_keys);
    json_put_uint(j, "values", run->stored_values);
    json_put_close(j);
    struct compare_bytes all = compare_loaded(r, s, SIZE_MAX);
    bytes(j, "loaded_bytes_per_token", &all);
    json_put_object(j, "skipped_values");
    json_put_double(j, "rows_per_token", all.skipped_rows);
    json_put_double(j, "mean_mass", all.skipped_mass);
    json_put_close(j);
    json_put_array(j, "loaded_bytes_by_layer");
    for (size_t l = 0; s->decoded && l < r->model.config.n_layer; l++) {
        struct compare_bytes one = compare_loaded(r, s, l);
        bytes(j, NULL, &one);
    }
    json_put_close(j);
    json_put_double(j, "attention_ms_per_token", s->attention_ms);
    json_put_array(j, "attention_ms"); /* median, least, most */
    json_put_double(j, NULL, s->attention_ms);
    json_put_double(j, NULL, s->attention_ms_least);
    json_put_double(j, NULL, s->attention_ms_most);
    json_put_close(j);
    json_put_cut(j, s->cut, r->model.config.n_layer);
}

static void shadow(struct json_out *j, const struct compare_report *r,
                   const struct comparison_summary *s) {
    size_t L = r->model.config.n_layer, H = r->model.config.n_head;
    if (!s->layers || !s->all[0].n) {
        json_put_null(j, "shadow");
        return;
    }
    json_put_object(j, "shadow");
    json_put_uint(j, "n", s->all[0].n);
    json_put_bool(j, "finite", all_finite(s->all));
    json_put_uint(j, "windows", s->all[0].clusters);
    json_put_array(j, "layers");
    for (size_t l = 0; l < L; l++) {
        const struct estimate *m = s->layers + l * FIDELITIES;
        if (!m[0].n) continue;
        json_put_object(j, NULL);
        json_put_uint(j, "layer", l);
        json_put_uint(j, "n", m[0].n);
        fidelities(j, m);
        json_put_array(j, "heads");
        for (size_t h = 0; h < H; h++) {
            json_put_object(j, NULL);
            json_put_uint(j, "head", h);
            fidelities(j, s->heads + (l * H + h) * FIDELITIES);
            json_put_close(j);
        }
        json_put_close(j);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_object(j, "all");
    fidelities(j, s->all);
    json_put_close(j);
    json_put_uint(j, "worst_layer", s->worst_layer);
    json_put_array(
        j, "layer_range"); /* first and last: those that "all" and the bytes beside it are of */
    json_put_uint(j, NULL, r->main->first_layer);
    json_put_uint(j, NULL, r->main->last_layer);
    json_put_close(j);
    struct compare_bytes same = compare_loaded_shadow(r, s);
    bytes(j, "loaded_bytes_per_token", &same);
    json_put_close(j);
}

static void forced(struct json_out *j, const struct comparison_summary *s) {
    if (!s->tokens) {
        json_put_null(j, "forced");
        return;
    }
    json_put_object(j, "forced");
    json_put_uint(j, "tokens", s->tokens);
    json_put_uint(j, "windows", s->nll.clusters);
    json_put_bool(j, "finite", isfinite(s->perplexity) && isfinite(estimate_mean(&s->kld)));
    pair(j, "perplexity", s->perplexity, s->perplexity_error);
    pair(j, "ratio", s->ratio, s->ratio_error);
    json_put_object(j, "kld");
    pair(j, "mean", estimate_mean(&s->kld), estimate_error(&s->kld));
    json_put_double(j, "median", s->kld_median);
    json_put_double(j, "p99", s->kld_p99);
    json_put_double(j, "max", s->kld_max);
    json_put_close(j);
    pair(j, "same_top1", estimate_mean(&s->same_top1), estimate_error(&s->same_top1));
    json_put_double(j, "rms_dp", s->rms_dp);
    json_put_double(j, "rms_dp_se", s->rms_dp_error);
    json_put_close(j);
}

static void free_text(struct json_out *j, const struct compare_report *r, size_t run, size_t text) {
    const struct compare_free *f = r->free ? &r->free[run * r->main->n_texts + text] : NULL;
    if (!f) {
        json_put_null(j, "free");
        return;
    }
    json_put_object(j, "free");
    if (f->text)
        json_put_text(j, "text", f->text, f->bytes);
    else
        json_put_null(j, "text");
    json_put_ids(j, "ids", f->ids, f->n);
    if (f->first_difference == SIZE_MAX)
        json_put_null(j, "first_difference");
    else
        json_put_uint(j, "first_difference", f->first_difference);
    json_put_close(j);
}

static void runs(struct json_out *j, const struct compare_report *r) {
    json_put_array(j, "runs");
    for (size_t text = 0; text < r->main->n_texts; text++)
        for (size_t i = 0; i < r->main->n_runs; i++) {
            const struct comparison_run *run = &r->main->runs[i];
            const struct comparison_summary *s = compare_sum(r, i, text);
            json_put_object(j, NULL);
            json_put_uint(j, "text", text);
            json_put_cstr(j, "attn", run->spec);
            json_put_cstr(j, "keys", run->keys);
            json_put_cstr(j, "values", run->values);
            json_put_cstr(j, "effective_attn", run->name);
            json_put_cstr(j, "title", run->title);
            json_put_bool(j, "codebook_saw_text", compare_saw_text(r, i, text));
            costs(j, r, run, s);
            shadow(j, r, s);
            forced(j, s);
            free_text(j, r, i, text);
            json_put_close(j);
        }
    json_put_close(j);
}

static void lengths(struct json_out *j, const struct compare_report *r) {
    json_put_array(j, "lengths");
    for (size_t i = 0; i < r->n_lengths; i++) {
        json_put_object(j, NULL);
        json_put_uint(j, "length", r->lengths[i].window);
        json_put_array(j, "runs");
        for (size_t text = 0; text < r->main->n_texts; text++)
            for (size_t run = 0; run < r->main->n_runs; run++) {
                json_put_object(j, NULL);
                json_put_uint(j, "text", text);
                json_put_cstr(j, "attn", r->main->runs[run].spec);
                shadow(j, r, compare_length_sum(r, i, run, text));
                json_put_cstr(j, "effective_attn", r->main->runs[run].name);
                json_put_close(j);
            }
        json_put_close(j);
        json_put_close(j);
    }
    json_put_close(j);
}

static void law_test(struct json_out *j, const struct compare_report *r) {
    static const char *const verdicts[] = {[LAW_NOT_SETTLED] = "not settled",
                                           [LAW_NO_POWER_LAW] = "no power law",
                                           [LAW_SLOWER] = "falls more slowly",
                                           [LAW_FASTER] = "falls faster",
                                           [LAW_HOLDS] = "holds"};
    struct power_law_test t;
    json_put_cstr(j, "verdict", verdicts[compare_law_verdict(r)]);
    if (!compare_law_test(r, &t)) {
        json_put_null(j, "test");
        return;
    }
    json_put_object(j, "test");
    json_put_double(j, "level", LAW_LEVEL);
    json_put_uint(j, "windows", t.windows);
    json_put_double(j, "p", t.p);
    json_put_uint(j, "worst_point", t.worst);
    pair(j, "residual", t.residual, t.error);
    json_put_double(j, "visible", t.visible);
    json_put_double(j, "exponent_se", t.exponent_error);
    json_put_double(j, "exponent_p", t.exponent_p);
    json_put_close(j);
}

static void law(struct json_out *j, const struct compare_report *r) {
    struct power_law fit;
    json_put_object(j, "law");
    json_put_array(j, "points");
    for (size_t i = 0; i < r->n_law; i++) {
        json_put_object(j, NULL);
        json_put_uint(j, "m", r->law[i].m);
        json_put_uint(j, "k", r->law[i].k);
        pair(j, "spearman", estimate_mean(&r->law[i].spearman),
             estimate_error(&r->law[i].spearman));
        json_put_double(j, "local_exponent", compare_law_local(r, i));
        json_put_close(j);
    }
    json_put_close(j);
    if (compare_law_fit(r, &fit)) {
        pair(j, "exponent", fit.exponent, fit.exponent_error);
        json_put_double(j, "factor", fit.factor);
        json_put_double(j, "r2", fit.r2);
        law_test(j, r);
    }
    json_put_close(j);
}

void compare_put_json(const struct compare_report *r, FILE *fp) {
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.compare/1");
    model(&j, &r->model);
    codebook(&j, r->book);
    json_put_uint(&j, "window", r->main->window);
    texts(&j, r->main);
    runs(&j, r);
    if (r->n_lengths) lengths(&j, r);
    if (r->n_law) law(&j, r);
    json_put_close(&j);
}
