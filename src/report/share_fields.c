#include "report/share_fields.h"

#include <math.h>

#define SCHEMA "lookat.share/1"

/* ---- single values; key NULL: the next item of an array ---- */

static bool next(const struct share_fields *f, const char *key) {
    struct json_str s;
    if (!key) return json_next_item(f->in) || json_fail(f->in, "fewer numbers than expected");
    return json_next_key(f->in, &s) &&
           (json_is(s, key) || json_fail(f->in, "not the key that belongs here"));
}

static bool u64(const struct share_fields *f, const char *key, uint64_t *x) {
    if (f->in) return next(f, key) && json_uint(f->in, x);
    json_put_uint(f->out, key, *x);
    return true;
}

static bool size(const struct share_fields *f, const char *key, size_t *x) {
    uint64_t n = *x;
    if (!u64(f, key, &n)) return false;
    if (n > SIZE_MAX) return json_fail(f->in, "a number that is too large");
    *x = (size_t)n;
    return true;
}

static bool boolean(const struct share_fields *f, const char *key, bool *x) {
    if (f->in) return next(f, key) && json_bool(f->in, x);
    json_put_bool(f->out, key, *x);
    return true;
}

/* null stands for what was not finite. */
static bool number(const struct share_fields *f, const char *key, double *x) {
    if (!f->in) {
        json_put_double(f->out, key, *x);
        return true;
    }
    *x = NAN;
    return next(f, key) &&
           (json_peek(f->in) == JSON_NULL ? json_null(f->in) : json_double(f->in, x));
}

static bool string(const struct share_fields *f, const char *key, const char **x) {
    struct json_str s;
    if (!f->in) {
        json_put_cstr(f->out, key, *x);
        return true;
    }
    if (!next(f, key) || !json_string(f->in, &s)) return false;
    char *copy = arena_zalloc(f->arena, s.n + 1, 1);
    if (!copy) return json_fail(f->in, "out of memory");
    json_decode(s, copy);
    *x = copy;
    return true;
}

/* x[room], terminated. */
static bool characters(const struct share_fields *f, const char *key, char *x, size_t room) {
    struct json_str s;
    if (!f->in) {
        json_put_cstr(f->out, key, x);
        return true;
    }
    if (!next(f, key) || !json_string(f->in, &s)) return false;
    if (s.n >= room) return json_fail(f->in, "a string that is too long");
    x[json_decode(s, x)] = 0;
    return true;
}

/* ---- containers ---- */

static bool array(const struct share_fields *f, const char *key) {
    if (f->in) return next(f, key) && json_enter_array(f->in);
    json_put_array(f->out, key);
    return true;
}

static bool end_array(const struct share_fields *f) {
    if (!f->in) {
        json_put_close(f->out);
        return true;
    }
    if (f->in->error) return false;
    return (!json_next_item(f->in) && !f->in->error) ||
           json_fail(f->in, "more items than expected");
}

/* An array of *n items, which a reader counts. */
static bool list(const struct share_fields *f, const char *key, size_t *n) {
    if (!array(f, key)) return false;
    if (!f->in) return true;
    struct json rest = *f->in;
    for (*n = 0; json_next_item(&rest) && json_skip(&rest);) ++*n;
    return true;
}

/* May a member be left out? Writing, `there` says whether it is there; reading, whether it comes
 * next. */
static bool has(const struct share_fields *f, const char *key, bool there) {
    if (!f->in) return there;
    struct json ahead = *f->in;
    struct json_str s;
    return json_next_key(&ahead, &s) && json_is(s, key);
}

/* Room for n items of `each` bytes that a reader is about to fill; each of them takes two bytes of
 * the line at least. */
static bool room(const struct share_fields *f, void **x, size_t n, size_t each) {
    if (!f->in) return true;
    if (n > f->in->size) return json_fail(f->in, "fewer numbers than expected");
    *x = arena_zalloc(f->arena, n, each);
    return *x || json_fail(f->in, "out of memory");
}

bool share_end_line(const struct share_fields *f) {
    struct json_str s;
    if (!f->in) {
        json_put_close(f->out);
        return true;
    }
    if (json_next_key(f->in, &s)) return json_fail(f->in, "not the key that belongs here");
    return json_end(f->in);
}

static bool object(const struct share_fields *f) {
    if (f->in) return json_enter_object(f->in);
    json_put_object(f->out, NULL);
    return true;
}

/* ---- the header ---- */

static bool schema(const struct share_fields *f) {
    struct json_str s;
    if (!f->in) {
        json_put_cstr(f->out, "schema", SCHEMA);
        return true;
    }
    return next(f, "schema") && json_string(f->in, &s) &&
           (json_is(s, SCHEMA) || json_fail(f->in, "not the schema " SCHEMA));
}

bool share_head(const struct share_fields *f, struct share_head *h) {
    void *texts = h->texts;
    if (!(object(f) && schema(f) && u64(f, "share", &h->number) && u64(f, "of", &h->of) &&
          u64(f, "lines", &h->lines) && string(f, "file", &h->file) &&
          string(f, "name", &h->name) && string(f, "book", &h->book) &&
          list(f, "texts", &h->n_texts) && room(f, &texts, h->n_texts, sizeof *h->texts)))
        return false;
    h->texts = texts;
    for (size_t i = 0; i < h->n_texts; i++)
        if (!string(f, NULL, &h->texts[i].file)) return false;
    if (!end_array(f)) return false;
    if (f->in) return next(f, "setup");
    json_put_object(f->out, "setup");
    return true;
}

static bool shape(const struct share_fields *f, struct gpt2_config *g) {
    return array(f, "shape") && size(f, NULL, &g->n_layer) && size(f, NULL, &g->n_head) &&
           size(f, NULL, &g->n_embd) && size(f, NULL, &g->n_vocab) && size(f, NULL, &g->n_ctx) &&
           end_array(f);
}

static bool setup_texts(const struct share_fields *f, struct comparison *c) {
    size_t n = c->n_texts;
    if (!list(f, "texts", &n)) return false;
    if (n != c->n_texts) return json_fail(f->in, "not as many texts as names of texts");
    for (size_t i = 0; i < n; i++) {
        struct comparison_text *t = &c->texts[i];
        if (!(array(f, NULL) && characters(f, NULL, t->sha256, sizeof t->sha256) &&
              size(f, NULL, &t->tokens) && size(f, NULL, &t->chunks) && end_array(f)))
            return false;
    }
    return end_array(f);
}

static bool setup_runs(const struct share_fields *f, struct comparison *c) {
    void *runs = c->runs;
    if (!list(f, "runs", &c->n_runs) || !room(f, &runs, c->n_runs, sizeof *c->runs)) return false;
    c->runs = runs;
    for (size_t i = 0; i < c->n_runs; i++) {
        struct comparison_run *run = &c->runs[i];
        if (!(array(f, NULL) && string(f, NULL, &run->spec) && string(f, NULL, &run->keys) &&
              string(f, NULL, &run->values) && string(f, NULL, &run->name) &&
              size(f, NULL, &run->stored_keys) && size(f, NULL, &run->stored_values) &&
              size(f, NULL, &run->stored_refined) && size(f, NULL, &run->codebooks) &&
              end_array(f)))
            return false;
    }
    return end_array(f);
}

/* [L] of numbers that are made when they are read. */
static bool u64s(const struct share_fields *f, const char *key, uint64_t **x, size_t *n) {
    void *made = *x;
    if (!list(f, key, n) || !room(f, &made, *n, sizeof **x)) return false;
    *x = made;
    for (size_t i = 0; i < *n; i++)
        if (!u64(f, NULL, &(*x)[i])) return false;
    return end_array(f);
}

/* [fewer loaded, fewer streamed, then for each context keys, scales, codebooks, tables, values,
 * refined] of a run. */
static bool run_by_context(const struct share_fields *f, size_t n, struct by_context *b) {
    void *made = b->loaded;
    if (!(array(f, NULL) && size(f, NULL, &b->fewer_loaded) && size(f, NULL, &b->fewer_streamed) &&
          room(f, &made, n, sizeof *b->loaded)))
        return false;
    b->loaded = made;
    for (size_t i = 0; i < n; i++) {
        struct attn_counters *c = &b->loaded[i];
        if (!(u64(f, NULL, &c->keys) && u64(f, NULL, &c->scales) && u64(f, NULL, &c->codebooks) &&
              u64(f, NULL, &c->tables) && u64(f, NULL, &c->values) && u64(f, NULL, &c->refined)))
            return false;
    }
    return end_array(f);
}

/* [[contexts], [run]...]; left out where there are none. */
static bool setup_by_context(const struct share_fields *f, struct comparison *c) {
    if (!has(f, "by_context", c->n_contexts != 0)) return true;
    if (!(array(f, "by_context") && list(f, NULL, &c->n_contexts))) return false;
    if (c->n_contexts > CONTEXTS_MAX) return json_fail(f->in, "too many contexts");
    for (size_t i = 0; i < c->n_contexts; i++)
        if (!size(f, NULL, &c->contexts[i])) return false;
    if (!end_array(f)) return false;
    for (size_t i = 0; f->in && i < c->n_contexts; i++)
        if (c->contexts[i] <= (i ? c->contexts[i - 1] : 0) || c->contexts[i] > CONTEXT_MOST)
            return json_fail(f->in, "contexts that do not rise");
    for (size_t i = 0; i < c->n_runs; i++)
        if (!run_by_context(f, c->n_contexts, &c->runs[i].by_context)) return false;
    return end_array(f);
}

/* [] where no text is written, or the prompt's length and the seed. */
static bool setup_free(const struct share_fields *f, struct compare_report *r) {
    size_t n = r->n_prompt ? 2 : 0;
    if (!list(f, "free", &n)) return false;
    return (!n || (size(f, NULL, &r->n_prompt) && u64(f, NULL, &r->seed))) && end_array(f);
}

/* [m, k, kind, values], where the kind is 0 plain, 1 learned, 2 learned with uneven ranges. */
static bool setting(const struct share_fields *f, struct codebook *b) {
    size_t kind = (size_t)b->learned + b->uneven, values = b->values;
    if (!(array(f, NULL) && size(f, NULL, &b->m) && size(f, NULL, &b->k) && size(f, NULL, &kind) &&
          size(f, NULL, &values) && end_array(f)))
        return false;
    b->learned = kind != 0;
    b->uneven = kind == 2;
    b->values = values != 0;
    return true;
}

static bool settings(const struct share_fields *f, struct compare_book *book) {
    void *made = NULL;
    if (!list(f, NULL, &book->n) || !room(f, &made, book->n, sizeof *book->books)) return false;
    for (size_t i = 0; i < book->n; i++) {
        struct codebook b = f->in ? (struct codebook){0} : book->books[i];
        if (!setting(f, &b)) return false;
        if (f->in) ((struct codebook *)made)[i] = b;
    }
    if (f->in) book->books = made;
    return end_array(f);
}

static bool corpora(const struct share_fields *f, struct compare_book *book) {
    void *made = NULL;
    if (!list(f, NULL, &book->n_corpora) || !room(f, &made, book->n_corpora, sizeof *book->corpora))
        return false;
    for (size_t i = 0; i < book->n_corpora; i++) {
        struct book_corpus x = f->in ? (struct book_corpus){0} : book->corpora[i];
        if (!(array(f, NULL) && string(f, NULL, &x.name) &&
              characters(f, NULL, x.sha256, sizeof x.sha256) && end_array(f)))
            return false;
        if (f->in) ((struct book_corpus *)made)[i] = x;
    }
    if (f->in) book->corpora = made;
    return end_array(f);
}

/* [] without codebooks, or [tokens, samples, seed, [settings], [[name, sha256]...]]. */
static bool setup_book(const struct share_fields *f, struct compare_report *r) {
    size_t n = r->book ? 5 : 0;
    struct compare_book book = r->book ? *r->book : (struct compare_book){0};
    if (!list(f, "codebook", &n)) return false;
    if (!n) return end_array(f);
    if (!(u64(f, NULL, &book.tokens) && u64(f, NULL, &book.samples) && u64(f, NULL, &book.seed) &&
          settings(f, &book) && corpora(f, &book) && end_array(f)))
        return false;
    if (!f->in) return true;
    struct compare_book *kept = arena_alloc(f->arena, 1, sizeof *kept);
    if (!kept) return json_fail(f->in, "out of memory");
    *kept = book;
    r->book = kept;
    return true;
}

bool share_setup(const struct share_fields *f, struct compare_report *r, struct comparison *c) {
    struct compare_model *m = &r->model;
    if (f->in && !json_enter_object(f->in)) return false;
    if (!(characters(f, "model", m->fingerprint, sizeof m->fingerprint) &&
          characters(f, "sha256", m->sha256, sizeof m->sha256) && shape(f, &m->config) &&
          size(f, "window", &c->window) && boolean(f, "forced", &c->forced) &&
          boolean(f, "shadow", &c->shadow) && array(f, "layers") &&
          size(f, NULL, &c->first_layer) && size(f, NULL, &c->last_layer) && end_array(f) &&
          setup_texts(f, c) && setup_runs(f, c) && setup_by_context(f, c) && setup_free(f, r) &&
          setup_book(f, r)))
        return false;
    if (!f->in) json_put_close(f->out);
    return true;
}

/* ---- a chunk ---- */

bool share_chunk_place(const struct share_fields *f, size_t *run, size_t *text, size_t *chunk) {
    return object(f) && size(f, "run", run) && size(f, "text", text) && size(f, "chunk", chunk);
}

static bool doubles(const struct share_fields *f, const char *key, double **x, size_t n) {
    void *made = *x;
    if (!array(f, key) || !room(f, &made, n, sizeof **x)) return false;
    *x = made;
    for (size_t i = 0; i < n; i++)
        if (!number(f, NULL, &(*x)[i])) return false;
    return end_array(f);
}

/* Written as doubles, which are read back without rounding twice. */
static bool floats(const struct share_fields *f, const char *key, float **x, size_t n) {
    void *made = *x;
    if (!array(f, key) || !room(f, &made, n, sizeof **x)) return false;
    *x = made;
    for (size_t i = 0; i < n; i++) {
        double value = (double)(*x)[i];
        if (!number(f, NULL, &value)) return false;
        if (f->in) (*x)[i] = (float)value;
    }
    return end_array(f);
}

/* 0, 1, or null for TOP1_UNKNOWN. */
static bool top1(const struct share_fields *f, uint8_t **x, size_t n) {
    void *made = *x;
    if (!array(f, "same_top1") || !room(f, &made, n, 1)) return false;
    *x = made;
    for (size_t i = 0; i < n; i++) {
        double bit = (*x)[i] == TOP1_UNKNOWN ? NAN : (*x)[i];
        if (!number(f, NULL, &bit)) return false;
        if (!(isnan(bit) || bit == 0 || bit == 1)) return json_fail(f->in, "expected 0, 1 or null");
        if (f->in) (*x)[i] = isnan(bit) ? TOP1_UNKNOWN : (uint8_t)bit;
    }
    return end_array(f);
}

static bool predictions(const struct share_fields *f, struct predictions *p) {
    return doubles(f, "nll", &p->nll, p->n) && floats(f, "kld", &p->kld, p->n) &&
           floats(f, "dp", &p->dp, p->n) && top1(f, &p->same_top1, p->n);
}

/* [L][H][FIDELITIES][3], flat. */
static bool shadow(const struct share_fields *f, const struct gpt2_config *g,
                   struct comparison_chunk *x) {
    size_t n = g->n_layer * g->n_head * FIDELITIES;
    void *made = x->shadow;
    if (!array(f, "shadow") || !room(f, &made, n, sizeof *x->shadow)) return false;
    x->shadow = made;
    for (size_t i = 0; i < n; i++) {
        struct moments *m = &x->shadow[i];
        if (!(u64(f, NULL, &m->n) && number(f, NULL, &m->sum) && number(f, NULL, &m->sum2)))
            return false;
    }
    return end_array(f);
}

/* [L][8], flat. */
static bool loaded(const struct share_fields *f, const struct gpt2_config *g,
                   struct comparison_chunk *x) {
    void *made = x->loaded;
    if (!array(f, "loaded") || !room(f, &made, g->n_layer, sizeof *x->loaded)) return false;
    x->loaded = made;
    for (size_t l = 0; l < g->n_layer; l++) {
        struct attn_counters *b = &x->loaded[l];
        if (!(u64(f, NULL, &b->keys) && u64(f, NULL, &b->scales) && u64(f, NULL, &b->codebooks) &&
              u64(f, NULL, &b->tables) && u64(f, NULL, &b->values) &&
              u64(f, NULL, &b->skipped_rows) && u64(f, NULL, &b->skipped_mass) &&
              u64(f, NULL, &b->refined)))
            return false;
    }
    return end_array(f);
}

/* [L][3], flat. */
static bool recall(const struct share_fields *f, const struct gpt2_config *g,
                   struct comparison_chunk *x) {
    void *made = x->recall;
    if (!array(f, "recall") || !room(f, &made, g->n_layer, sizeof *x->recall)) return false;
    x->recall = made;
    for (size_t l = 0; l < g->n_layer; l++) {
        struct recall *y = &x->recall[l];
        if (!(u64(f, NULL, &y->queries) && u64(f, NULL, &y->first) && u64(f, NULL, &y->picked)))
            return false;
        if (y->first > y->queries || y->picked > y->queries)
            return json_fail(f->in, "expected at most as many as queries");
    }
    return end_array(f);
}

static bool any_recall(const struct gpt2_config *g, const struct comparison_chunk *x) {
    bool any = false;
    for (size_t l = 0; x->recall && l < g->n_layer; l++) any = any || x->recall[l].queries;
    return any;
}

/* [L] */
static bool cut(const struct share_fields *f, const struct gpt2_config *g,
                struct comparison_chunk *x) {
    void *made = x->cut;
    if (!array(f, "cut") || !room(f, &made, g->n_layer, sizeof *x->cut)) return false;
    x->cut = made;
    for (size_t l = 0; l < g->n_layer; l++)
        if (!u64(f, NULL, &x->cut[l])) return false;
    return end_array(f);
}

static bool any_cut(const struct gpt2_config *g, const struct comparison_chunk *x) {
    bool any = false;
    for (size_t l = 0; x->cut && l < g->n_layer; l++) any = any || x->cut[l];
    return any;
}

/* Least and most, of which "attention_s" is the median. */
static bool range(const struct share_fields *f, struct timing *t) {
    return array(f, "attention_range_s") && number(f, NULL, &t->least) &&
           number(f, NULL, &t->most) && end_array(f);
}

bool share_chunk(const struct share_fields *f, const struct gpt2_config *g, bool forced,
                 struct comparison_chunk *x) {
    struct timing *t = &x->attention;
    if (!(size(f, "n", &x->predictions.n) && size(f, "decoded", &x->decoded) &&
          number(f, "attention_s", &t->median)))
        return false;
    if (f->in) t->least = t->most = t->median;
    return (!forced || predictions(f, &x->predictions)) &&
           (!has(f, "shadow", x->shadow != NULL) || shadow(f, g, x)) &&
           (!has(f, "recall", any_recall(g, x)) || recall(f, g, x)) &&
           (!has(f, "attention_range_s", true) || range(f, t)) &&
           (!has(f, "loaded", x->loaded != NULL) || loaded(f, g, x)) &&
           (!has(f, "cut", any_cut(g, x)) || cut(f, g, x));
}

/* ---- a free text ---- */

bool share_free_place(const struct share_fields *f, size_t *run, size_t *text) {
    return object(f) && size(f, "free", run) && size(f, "text", text);
}

static bool ids(const struct share_fields *f, struct compare_free *x) {
    void *made = NULL;
    if (!list(f, "ids", &x->n) || !room(f, &made, x->n, sizeof *x->ids)) return false;
    for (size_t i = 0; i < x->n; i++) {
        uint64_t id = f->in ? 0 : (uint64_t)x->ids[i];
        if (!u64(f, NULL, &id)) return false;
        if (id > INT32_MAX) return json_fail(f->in, "expected an id");
        if (f->in) ((int32_t *)made)[i] = (int32_t)id;
    }
    if (f->in) x->ids = made;
    return end_array(f);
}

static bool bytes(const struct share_fields *f, struct compare_free *x) {
    void *made = NULL;
    if (!list(f, "bytes", &x->bytes) || !room(f, &made, x->bytes, 1)) return false;
    for (size_t i = 0; i < x->bytes; i++) {
        uint64_t byte = f->in ? 0 : (uint8_t)x->text[i];
        if (!u64(f, NULL, &byte)) return false;
        if (byte > 255) return json_fail(f->in, "expected a byte");
        if (f->in) ((char *)made)[i] = (char)(uint8_t)byte;
    }
    if (f->in) x->text = made;
    return end_array(f);
}

/* [n] each: what older shares do not have. */
static bool token_facts(const struct share_fields *f, struct compare_free *x) {
    double *logprobs = (double *)x->logprobs;
    uint64_t *each = (uint64_t *)x->token_bytes;
    size_t n = x->n;
    uint64_t sum = 0;
    if (has(f, "logprobs", x->logprobs != NULL) && !doubles(f, "logprobs", &logprobs, x->n))
        return false;
    if (has(f, "token_bytes", x->token_bytes != NULL) && !u64s(f, "token_bytes", &each, &n))
        return false;
    for (size_t i = 0; each && i < n; i++) {
        if (each[i] > x->bytes - sum) return json_fail(f->in, "tokens of more bytes than the text");
        sum += each[i];
    }
    if (f->in && each && (n != x->n || sum != x->bytes))
        return json_fail(f->in, "not as many bytes as the text has");
    x->logprobs = logprobs;
    x->token_bytes = each;
    return true;
}

/* A model without a tokenizer has ids and no bytes. */
bool share_free(const struct share_fields *f, struct compare_free *x) {
    bool differs = x->first_difference != SIZE_MAX;
    size_t first = differs ? x->first_difference : x->n;
    if (!(size(f, "first_difference", &first) && boolean(f, "differs", &differs) &&
          size(f, "same_bytes", &x->same_bytes) && ids(f, x) &&
          (!has(f, "bytes", x->text != NULL) || bytes(f, x)) && token_facts(f, x)))
        return false;
    if (f->in) x->first_difference = differs ? first : SIZE_MAX;
    return true;
}
