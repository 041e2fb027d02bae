/* The comparison as one JSON object; schema.md lists its fields. */
#include <math.h>
#include <string.h>

#include "report/compare_json.h"
#include "report/cut_out.h"
#include "report/metrics.h"
#include "report/model_out.h"

/* A pair [mean, standard error]. The error is null where there is but one window. */
static void pair(struct json_out *j, const char *key, double mean, double error) {
    json_put_array(j, key);
    json_put_double(j, NULL, mean);
    json_put_double(j, NULL, error);
    json_put_close(j);
}

/* A figure that was not measured, or is no number, is null. */
static void put_figure(struct json_out *j, const char *key, const struct metric *m,
                       const struct metric_place *p) {
    struct figure f = metric_figure(m, p);
    if (m->error == ERROR_BESIDE)
        pair(j, key, f.x, f.error);
    else if (m->whole)
        json_put_uint(j, key, (uint64_t)f.x);
    else
        json_put_double(j, key, f.x);
}

/* The members that a group's metrics are, in the order of the table. Neighbours whose keys begin
 * with the same "a/" stand in one object a. */
static void put_group(struct json_out *j, enum metric_group group, const struct metric_place *p) {
    const char *open = NULL; /* "a/..." of the object that is open */
    size_t n_open = 0;
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *m = &metrics[i];
        if (m->group != group || (m->left_out & NOT_IN_JSON)) continue;
        const char *key = m->json ? m->json : m->name, *slash = strchr(key, '/');
        size_t n = slash ? (size_t)(slash + 1 - key) : 0;
        if (open && (n != n_open || memcmp(open, key, n) != 0)) {
            json_put_close(j);
            open = NULL;
        }
        if (slash && !open) {
            char name[32];
            snprintf(name, sizeof name, "%.*s", (int)(n - 1), key);
            json_put_object(j, name);
            open = key;
            n_open = n;
        }
        put_figure(j, key + n, m, p);
    }
    if (open) json_put_close(j);
}

static void put_group_object(struct json_out *j, const char *key, enum metric_group group,
                             const struct metric_place *p) {
    json_put_object(j, key);
    put_group(j, group, p);
    json_put_close(j);
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
    json_put_codebooks(j, b->books, b->n);
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

static void costs(struct json_out *j, const struct metric_place *p) {
    struct metric_place layer = *p;
    put_group_object(j, "stored_bytes_per_token", GROUP_STORED, p);
    put_group_object(j, "loaded_bytes_per_token", GROUP_LOADED, p);
    put_group_object(j, "skipped_values", GROUP_SKIPPED, p);
    put_group_object(j, "recall", GROUP_RECALL, p);
    json_put_array(j, "loaded_bytes_by_layer");
    for (layer.layer = 0; p->s->decoded && layer.layer < p->r->model.config.n_layer; layer.layer++)
        put_group_object(j, NULL, GROUP_LOADED, &layer);
    json_put_close(j);
    put_figure(j, "attention_ms_per_token", metric_named("attention_ms"), p);
    json_put_array(j, "attention_ms"); /* median, least, most */
    for (size_t i = 0; i < n_metrics; i++)
        if (metrics[i].group == GROUP_TIME) put_figure(j, NULL, &metrics[i], p);
    json_put_close(j);
    json_put_cut(j, p->s->cut, p->r->model.config.n_layer);
}

/* One layer that was measured, and all its heads. */
static void shadow_layer(struct json_out *j, struct metric_place p) {
    json_put_object(j, NULL);
    json_put_uint(j, "layer", p.layer);
    json_put_uint(j, "n", p.s->layers[p.layer * FIDELITIES].n);
    put_group(j, GROUP_FIDELITY, &p);
    json_put_array(j, "heads");
    for (p.head = 0; p.head < p.r->model.config.n_head; p.head++) {
        json_put_object(j, NULL);
        json_put_uint(j, "head", p.head);
        put_group(j, GROUP_FIDELITY, &p);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
}

static void shadow(struct json_out *j, const struct metric_place *whole) {
    const struct comparison_summary *s = whole->s;
    struct metric_place p = *whole;
    if (!s->layers || !s->all[0].n) {
        json_put_null(j, "shadow");
        return;
    }
    json_put_object(j, "shadow");
    json_put_uint(j, "n", s->all[0].n);
    json_put_bool(j, "finite", all_finite(s->all));
    json_put_uint(j, "windows", s->all[0].clusters);
    json_put_array(j, "layers");
    for (p.layer = 0; p.layer < p.r->model.config.n_layer; p.layer++)
        if (s->layers[p.layer * FIDELITIES].n) shadow_layer(j, p);
    json_put_close(j);
    p.layer = METRIC_SHADOWED;
    put_group_object(j, "all", GROUP_FIDELITY, &p);
    json_put_uint(j, "worst_layer", s->worst_layer);
    json_put_array(j, "layer_range"); /* first and last: those that "all" and the bytes beside it
                                         are of */
    json_put_uint(j, NULL, p.r->main->first_layer);
    json_put_uint(j, NULL, p.r->main->last_layer);
    json_put_close(j);
    put_group_object(j, "loaded_bytes_per_token", GROUP_LOADED, &p);
    json_put_close(j);
}

static void forced(struct json_out *j, const struct metric_place *p) {
    const struct comparison_summary *s = p->s;
    if (!s->tokens) {
        json_put_null(j, "forced");
        return;
    }
    json_put_object(j, "forced");
    json_put_uint(j, "tokens", s->tokens);
    json_put_uint(j, "windows", s->nll.clusters);
    json_put_bool(j, "finite", isfinite(s->perplexity) && isfinite(estimate_mean(&s->kld)));
    put_group(j, GROUP_FORCED, p);
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
    json_put_array(j, "logprobs");
    for (size_t i = 0; f->logprobs && i < f->n; i++) json_put_double(j, NULL, f->logprobs[i]);
    json_put_close(j);
    json_put_close(j);
}

static void runs(struct json_out *j, const struct compare_report *r) {
    json_put_array(j, "runs");
    for (size_t text = 0; text < r->main->n_texts; text++)
        for (size_t i = 0; i < r->main->n_runs; i++) {
            const struct comparison_run *run = &r->main->runs[i];
            const struct metric_place p = metric_whole(r, i, text);
            json_put_object(j, NULL);
            json_put_uint(j, "text", text);
            json_put_cstr(j, "attn", run->spec);
            json_put_cstr(j, "keys", run->keys);
            json_put_cstr(j, "values", run->values);
            json_put_cstr(j, "effective_attn", run->name);
            json_put_cstr(j, "title", run->title);
            json_put_bool(j, "codebook_saw_text", compare_saw_text(r, i, text));
            costs(j, &p);
            shadow(j, &p);
            forced(j, &p);
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
                const struct metric_place p = {.r = r,
                                               .c = &r->lengths[i],
                                               .s = compare_length_sum(r, i, run, text),
                                               .run = run,
                                               .text = text,
                                               .layer = METRIC_ALL,
                                               .head = METRIC_ALL};
                json_put_object(j, NULL);
                json_put_uint(j, "text", text);
                json_put_cstr(j, "attn", r->main->runs[run].spec);
                shadow(j, &p);
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

/* ---- by context ---- */

/* Writes bytes through the table of metrics, as a summary of one token. */
static void bytes_at(struct json_out *j, const struct compare_report *r, size_t run, size_t i) {
    struct comparison_summary s;
    struct metric_place p = metric_whole(r, run, 0);
    if (!compare_context_sum(r, run, i, &s)) return;
    p.s = &s;
    put_group_object(j, NULL, GROUP_LOADED, &p);
}

static void put_from(struct json_out *j, const char *key, size_t tokens) {
    if (tokens)
        json_put_uint(j, key, tokens);
    else
        json_put_null(j, key);
}

static void by_context(struct json_out *j, const struct compare_report *r) {
    const struct comparison *c = r->main;
    json_put_object(j, "by_context");
    json_put_array(j, "tokens");
    for (size_t i = 0; i < c->n_contexts; i++) json_put_uint(j, NULL, c->contexts[i]);
    json_put_close(j);
    json_put_array(j, "runs");
    for (size_t run = 0; run < c->n_runs && c->n_contexts; run++) {
        json_put_object(j, NULL);
        json_put_uint(j, "run", run);
        json_put_array(j, "loaded_bytes");
        for (size_t i = 0; i < c->n_contexts; i++) bytes_at(j, r, run, i);
        json_put_close(j);
        put_from(j, "fewer_loaded_from", c->runs[run].by_context.fewer_loaded);
        put_from(j, "fewer_streamed_from", c->runs[run].by_context.fewer_streamed);
        json_put_close(j);
    }
    json_put_close(j);
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
    by_context(&j, r);
    if (r->n_lengths) lengths(&j, r);
    if (r->n_law) law(&j, r);
    compare_put_json_page(&j, r);
    json_put_close(&j);
}
