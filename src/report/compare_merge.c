#include <math.h>
#include <string.h>

#include "attention/spec_name.h"
#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "report/compare_out.h"

/* One file of shares, and where in it the reader is. */
struct share {
    const char *path, *text; /* [size] */
    size_t size, at, line;   /* at: first byte of the next line */
    uint64_t number, of, lines;
    struct json header, setup; /* setup: before the value */
    size_t setup_end;
};

struct merger {
    struct compare_report *r;
    struct comparison *c;
    struct share *shares;
    size_t n;
    struct compare_free *free; /* [n_runs][n_texts] */
    bool *seen, *seen_free;    /* [n_runs][n_chunks], [n_runs][n_texts] */
    size_t *first;             /* [n_texts] number of the text's first chunk */
    size_t n_chunks;
    struct err *e;
};

static int broken(const struct merger *g, const struct share *s, const struct json *j) {
    return err_file(g->e, ERR_REFUSED, s->path,
                    "line %zu, byte %zu: %s; expected what lookat compare -o jsonl writes", s->line,
                    j->error_at, j->error ? j->error : "not a share");
}

static int no_memory(const struct merger *g) {
    return err_set(g->e, ERR_FAILED, "out of memory for the shares");
}

/* The next key is this one. */
static bool key(struct json *j, const char *name) {
    struct json_str s;
    return json_next_key(j, &s) &&
           (json_is(s, name) || json_fail(j, "not the key that belongs here"));
}
static bool size_value(struct json *j, size_t *x) {
    uint64_t n;
    if (!json_uint(j, &n)) return false;
    *x = (size_t)n;
    return n <= SIZE_MAX || json_fail(j, "a number that is too large");
}
static bool size_item(struct json *j, size_t *x) { return json_next_item(j) && size_value(j, x); }
static bool u64_item(struct json *j, uint64_t *x) { return json_next_item(j) && json_uint(j, x); }
/* null stands for what was not finite. */
static bool double_item(struct json *j, double *x) {
    *x = NAN;
    return json_next_item(j) && (json_peek(j) == JSON_NULL ? json_null(j) : json_double(j, x));
}
/* The end of the innermost container. */
static bool end_array(struct json *j) {
    if (j->error) return false;
    return !json_next_item(j) && !j->error ? true : json_fail(j, "more items than expected");
}

static bool string_value(struct merger *g, struct json *j, const char **out) {
    struct json_str s;
    if (!json_string(j, &s)) return false;
    char *copy = arena_zalloc(g->r->arena, s.n + 1, 1);
    if (!copy) return json_fail(j, "out of memory");
    json_decode(s, copy);
    *out = copy;
    return true;
}
static bool string_into(struct json *j, char *out, size_t room) {
    struct json_str s;
    if (!json_string(j, &s)) return false;
    if (s.n >= room) return json_fail(j, "a string that is too long");
    out[json_decode(s, out)] = 0;
    return true;
}

/* ---- header ---- */

static bool next_line(struct share *s, struct json *j) {
    if (s->at >= s->size) return false;
    const char *from = s->text + s->at, *newline = memchr(from, '\n', s->size - s->at);
    size_t n = newline ? (size_t)(newline - from) : s->size - s->at;
    s->at += n + (newline != NULL);
    s->line++;
    *j = json_open(from, n, 16);
    return true;
}

/* The paths are those of the first file. */
static bool read_names(struct merger *g, struct json *j, const char **book, struct json *texts) {
    struct compare_model *m = &g->r->model;
    if (!(key(j, "file") && string_value(g, j, &m->file) && key(j, "name") &&
          string_value(g, j, &m->name) && key(j, "book") && string_value(g, j, book) &&
          key(j, "texts")))
        return false;
    *texts = *j;
    return json_skip(j);
}

static bool read_texts(struct merger *g, struct json *j, struct json names) {
    struct comparison *c = g->c;
    struct json count = *j;
    if (!json_enter_array(&count)) return json_fail(j, "expected the texts");
    while (json_next_item(&count) && json_skip(&count)) c->n_texts++;
    c->texts = arena_zalloc(g->r->arena, c->n_texts, sizeof *c->texts);
    g->first = arena_zalloc(g->r->arena, c->n_texts, sizeof *g->first);
    if (!c->texts || !g->first) return json_fail(j, "out of memory");
    if (!json_enter_array(j) || !json_enter_array(&names))
        return json_fail(j, "expected the texts");
    for (size_t i = 0; i < c->n_texts; i++) {
        struct comparison_text *t = &c->texts[i];
        if (!(json_next_item(j) && json_enter_array(j) && json_next_item(j) &&
              string_into(j, t->sha256, sizeof t->sha256) && size_item(j, &t->tokens) &&
              size_item(j, &t->chunks) && end_array(j)))
            return false;
        if (!(json_next_item(&names) && string_value(g, &names, &t->file)))
            return json_fail(j, "names of texts are missing");
        g->first[i] = g->n_chunks;
        if (!size_add(g->n_chunks, t->chunks, &g->n_chunks)) return json_fail(j, "too many chunks");
    }
    return end_array(j);
}

static bool read_runs(struct merger *g, struct json *j) {
    struct comparison *c = g->c;
    struct json count = *j;
    if (!json_enter_array(&count)) return json_fail(j, "expected the runs");
    while (json_next_item(&count) && json_skip(&count)) c->n_runs++;
    c->runs = arena_zalloc(g->r->arena, c->n_runs, sizeof *c->runs);
    if (!c->runs) return json_fail(j, "out of memory");
    json_enter_array(j);
    for (size_t i = 0; i < c->n_runs; i++) {
        struct comparison_run *run = &c->runs[i];
        if (!(json_next_item(j) && json_enter_array(j) && json_next_item(j) &&
              string_value(g, j, &run->spec) && json_next_item(j) &&
              string_value(g, j, &run->keys) && json_next_item(j) &&
              string_value(g, j, &run->values) && json_next_item(j) &&
              string_value(g, j, &run->name) && size_item(j, &run->stored_keys) &&
              size_item(j, &run->stored_values) && end_array(j)))
            return false;
        run->title = spec_title(run->spec, run->name, g->r->arena);
        if (!run->title) return json_fail(j, "out of memory");
    }
    return end_array(j) && (c->n_runs > 0 || json_fail(j, "no runs"));
}

static bool read_free_setup(struct merger *g, struct json *j) {
    uint64_t prompt;
    if (!json_enter_array(j)) return false;
    if (!json_next_item(j)) return !j->error;
    if (!json_uint(j, &prompt) || !u64_item(j, &g->r->seed)) return false;
    g->r->n_prompt = (size_t)prompt;
    return end_array(j);
}

static size_t count_items(struct json j) {
    size_t n = 0;
    if (json_enter_array(&j))
        while (json_next_item(&j) && json_skip(&j)) n++;
    return n;
}

static bool read_book(struct merger *g, struct json *j, const char *file) {
    struct compare_book *b = arena_zalloc(g->r->arena, 1, sizeof *b);
    if (!json_enter_array(j)) return false;
    if (!json_next_item(j)) return !j->error;
    if (!b) return json_fail(j, "out of memory");
    b->file = file;
    if (!(json_uint(j, &b->tokens) && u64_item(j, &b->samples) && u64_item(j, &b->seed) &&
          json_next_item(j)))
        return false;
    b->n = count_items(*j);
    struct codebook *books = arena_zalloc(g->r->arena, b->n, sizeof *books);
    if (!books || !json_enter_array(j)) return json_fail(j, "expected codebooks");
    for (size_t i = 0; i < b->n; i++) {
        size_t learned = 0, values = 0;
        bool ok = json_next_item(j) && json_enter_array(j) && size_item(j, &books[i].m) &&
                  size_item(j, &books[i].k) && size_item(j, &learned) && size_item(j, &values);
        if (!ok || !end_array(j)) return false;
        books[i].learned = learned != 0, books[i].uneven = learned == 2,
        books[i].values = values != 0;
    }
    if (!end_array(j) || !json_next_item(j)) return json_fail(j, "expected the corpora");
    b->n_corpora = count_items(*j);
    struct book_corpus *corpora = arena_zalloc(g->r->arena, b->n_corpora, sizeof *corpora);
    if (!corpora || !json_enter_array(j)) return json_fail(j, "expected the corpora");
    for (size_t i = 0; i < b->n_corpora; i++)
        if (!(json_next_item(j) && json_enter_array(j) && json_next_item(j) &&
              string_value(g, j, &corpora[i].name) && json_next_item(j) &&
              string_into(j, corpora[i].sha256, sizeof corpora[i].sha256) && end_array(j)))
            return false;
    b->books = books;
    b->corpora = corpora;
    g->r->book = b;
    return end_array(j) && end_array(j);
}

static bool read_setup(struct merger *g, struct json *j, const char *book, struct json names) {
    struct compare_model *m = &g->r->model;
    struct gpt2_config *s = &m->config;
    struct comparison *c = g->c;
    return json_enter_object(j) && key(j, "model") &&
           string_into(j, m->fingerprint, sizeof m->fingerprint) && key(j, "sha256") &&
           string_into(j, m->sha256, sizeof m->sha256) && key(j, "shape") && json_enter_array(j) &&
           size_item(j, &s->n_layer) && size_item(j, &s->n_head) && size_item(j, &s->n_embd) &&
           size_item(j, &s->n_vocab) && size_item(j, &s->n_ctx) && end_array(j) &&
           key(j, "window") && size_value(j, &c->window) && key(j, "forced") &&
           json_bool(j, &c->forced) && key(j, "shadow") && json_bool(j, &c->shadow) &&
           key(j, "layers") && json_enter_array(j) && size_item(j, &c->first_layer) &&
           size_item(j, &c->last_layer) && end_array(j) && key(j, "texts") &&
           read_texts(g, j, names) && key(j, "runs") && read_runs(g, j) && key(j, "free") &&
           read_free_setup(g, j) && key(j, "codebook") && read_book(g, j, book);
}

/* Finds the header's parts; of the first file, reads them. */
static int read_header(struct merger *g, struct share *s) {
    struct json j, names = {0};
    struct json_str schema;
    const char *book = "";
    if (!next_line(s, &j))
        return err_file(g->e, ERR_REFUSED, s->path,
                        "the file is empty; expected what lookat compare -o jsonl writes");
    s->header = j;
    bool ok =
        json_enter_object(&j) && key(&j, "schema") && json_string(&j, &schema) &&
        (json_is(schema, "lookat.share/1") || json_fail(&j, "not the schema lookat.share/1")) &&
        key(&j, "share") && json_uint(&j, &s->number) && key(&j, "of") && json_uint(&j, &s->of) &&
        key(&j, "lines") && json_uint(&j, &s->lines) && read_names(g, &j, &book, &names) &&
        key(&j, "setup");
    s->setup = j;
    if (ok) ok = json_skip(&j);
    s->setup_end = j.at;
    if (ok && s == g->shares) {
        struct json setup = s->setup;
        ok = read_setup(g, &setup, book, names);
        if (!ok) return broken(g, s, &setup);
    }
    return ok ? OK : broken(g, s, &j);
}

/* Names the first part of the setup in which two shares differ. */
static int same_setup(const struct merger *g, const struct share *s) {
    const struct share *first = g->shares;
    struct json a = first->setup, b = s->setup;
    struct json_str ka, kb;
    json_peek(&a), json_peek(&b);
    if (first->setup_end - a.at == s->setup_end - b.at &&
        memcmp(a.text + a.at, b.text + b.at, s->setup_end - b.at) == 0)
        return OK;
    json_enter_object(&a);
    json_enter_object(&b);
    while (json_next_key(&a, &ka) && json_next_key(&b, &kb)) {
        size_t from_a = a.at, from_b = b.at;
        json_skip(&a);
        json_skip(&b);
        if (ka.n == kb.n && a.at - from_a == b.at - from_b &&
            memcmp(a.text + from_a, b.text + from_b, a.at - from_a) == 0)
            continue;
        return err_file(g->e, ERR_REFUSED, s->path,
                        "not a share of the same comparison as %.80s: another \"%.*s\"",
                        first->path, (int)ka.n, ka.s);
    }
    return err_file(g->e, ERR_REFUSED, s->path, "not a share of the same comparison as %.80s",
                    first->path);
}

/* Room for all chunks, in proportion to what the files hold. */
static int make_room(struct merger *g) {
    struct comparison *c = g->c;
    struct gpt2_config *s = &g->r->model.config;
    size_t total = 0, cells, bytes;
    for (size_t i = 0; i < g->n; i++) total += g->shares[i].size;
    bool sane = size_mul(g->n_chunks, c->n_runs, &cells) &&
                size_mul(cells, sizeof(struct comparison_chunk), &bytes) &&
                bytes <= total + ((size_t)16 << 20) && s->n_layer && s->n_layer <= 4096 &&
                s->n_head && s->n_head <= 4096 && s->n_layer * s->n_head <= 65536 && s->n_embd &&
                s->n_embd % s->n_head == 0 && c->first_layer <= c->last_layer &&
                c->last_layer < s->n_layer && c->window && c->n_runs * c->n_texts <= total;
    if (!sane)
        return err_file(g->e, ERR_REFUSED, g->shares->path,
                        "line 1: a shape, or a number of chunks, that cannot be");
    struct gpt2_weights *w = arena_zalloc(g->r->arena, 1, sizeof *w);
    struct comparison_chunk *chunks = arena_zalloc(g->r->arena, cells, sizeof *chunks);
    g->seen = arena_zalloc(g->r->arena, cells, sizeof *g->seen);
    g->seen_free = arena_zalloc(g->r->arena, c->n_runs * c->n_texts, sizeof *g->seen_free);
    g->free = arena_zalloc(g->r->arena, c->n_runs * c->n_texts, sizeof *g->free);
    if (!w || !chunks || !g->seen || !g->free || !g->seen_free) return no_memory(g);
    w->config = *s;
    c->w = w;
    c->of = 1;
    for (size_t i = 0; i < c->n_runs; i++) {
        c->runs[i].chunks = chunks + i * g->n_chunks;
        c->runs[i].n_chunks = g->n_chunks;
    }
    return OK;
}

/* ---- chunks ---- */

static bool read_doubles(struct merger *g, struct json *j, const char *name, size_t n,
                         double **out) {
    *out = arena_alloc(g->r->arena, n, sizeof **out);
    if (!*out) return json_fail(j, "out of memory");
    if (!key(j, name) || !json_enter_array(j)) return false;
    for (size_t i = 0; i < n; i++)
        if (!double_item(j, &(*out)[i])) return json_fail(j, "fewer numbers than expected");
    return end_array(j);
}

static bool read_floats(struct merger *g, struct json *j, const char *name, size_t n, float **out) {
    *out = arena_alloc(g->r->arena, n, sizeof **out);
    if (!*out) return json_fail(j, "out of memory");
    if (!key(j, name) || !json_enter_array(j)) return false;
    for (size_t i = 0; i < n; i++) {
        double x;
        if (!double_item(j, &x)) return json_fail(j, "fewer numbers than expected");
        (*out)[i] = (float)x;
    }
    return end_array(j);
}

static bool read_forced(struct merger *g, struct json *j, struct predictions *x) {
    if (x->n > j->size) return json_fail(j, "more tokens than numbers");
    if (!read_doubles(g, j, "nll", x->n, &x->nll) || !read_floats(g, j, "kld", x->n, &x->kld) ||
        !read_floats(g, j, "dp", x->n, &x->dp))
        return false;
    x->same_top1 = arena_alloc(g->r->arena, x->n, 1);
    if (!x->same_top1) return json_fail(j, "out of memory");
    if (!key(j, "same_top1") || !json_enter_array(j)) return false;
    for (size_t i = 0; i < x->n; i++) {
        double bit;
        if (!double_item(j, &bit) || !(isnan(bit) || bit == 0 || bit == 1))
            return json_fail(j, "expected 0, 1 or null");
        x->same_top1[i] = isnan(bit) ? TOP1_UNKNOWN : (uint8_t)bit;
    }
    return end_array(j);
}

static bool read_shadow(struct merger *g, struct json *j, struct comparison_chunk *x) {
    size_t n = g->r->model.config.n_layer * g->r->model.config.n_head * FIDELITIES;
    if (n > j->size) return json_fail(j, "more layers and heads than numbers");
    x->shadow = arena_alloc(g->r->arena, n, sizeof *x->shadow);
    if (!x->shadow) return json_fail(j, "out of memory");
    if (!json_enter_array(j)) return false;
    for (size_t i = 0; i < n; i++)
        if (!u64_item(j, &x->shadow[i].n) || !double_item(j, &x->shadow[i].sum) ||
            !double_item(j, &x->shadow[i].sum2))
            return json_fail(j, "fewer numbers than expected");
    return end_array(j);
}

static bool read_loaded(struct merger *g, struct json *j, struct comparison_chunk *x) {
    size_t L = g->r->model.config.n_layer;
    if (L > j->size) return json_fail(j, "more layers than numbers");
    x->loaded = arena_alloc(g->r->arena, L, sizeof *x->loaded);
    if (!x->loaded) return json_fail(j, "out of memory");
    if (!json_enter_array(j)) return false;
    for (size_t l = 0; l < L; l++) {
        struct attn_counters *b = &x->loaded[l];
        if (!(u64_item(j, &b->keys) && u64_item(j, &b->scales) && u64_item(j, &b->codebooks) &&
              u64_item(j, &b->tables) && u64_item(j, &b->values) && u64_item(j, &b->skipped_rows) &&
              u64_item(j, &b->skipped_mass)))
            return json_fail(j, "fewer numbers than expected");
    }
    return end_array(j);
}

static bool read_range(struct json *j, struct timing *t) {
    return json_enter_array(j) && double_item(j, &t->least) && double_item(j, &t->most) &&
           end_array(j);
}

static bool read_cut(struct merger *g, struct json *j, struct comparison_chunk *x) {
    size_t L = g->r->model.config.n_layer;
    if (L > j->size) return json_fail(j, "more layers than numbers");
    x->cut = arena_alloc(g->r->arena, L, sizeof *x->cut);
    if (!x->cut) return json_fail(j, "out of memory");
    if (!json_enter_array(j)) return false;
    for (size_t l = 0; l < L; l++)
        if (!u64_item(j, &x->cut[l])) return json_fail(j, "fewer numbers than expected");
    return end_array(j);
}

/* The rest of a line whose "run" is read. */
static int read_chunk(struct merger *g, const struct share *s, struct json *j, size_t run) {
    size_t text, chunk;
    struct comparison *c = g->c;
    if (!(key(j, "text") && size_value(j, &text) && key(j, "chunk") && size_value(j, &chunk)))
        return broken(g, s, j);
    if (run >= c->n_runs || text >= c->n_texts || chunk >= c->texts[text].chunks)
        return err_file(g->e, ERR_REFUSED, s->path,
                        "line %zu: a run, text or chunk that the header does not have", s->line);
    size_t at = g->first[text] + chunk;
    struct comparison_chunk *x = &c->runs[run].chunks[at];
    if (g->seen[run * g->n_chunks + at])
        return err_file(g->e, ERR_REFUSED, s->path,
                        "line %zu: chunk %zu of %.60s with %.40s comes twice", s->line, chunk,
                        c->texts[text].file, c->runs[run].spec);
    g->seen[run * g->n_chunks + at] = true;
    *x = (struct comparison_chunk){.text = text, .chunk = chunk};
    bool ok = key(j, "n") && size_value(j, &x->predictions.n) && key(j, "decoded") &&
              size_value(j, &x->decoded) && key(j, "attention_s") &&
              json_double(j, &x->attention.median) &&
              (!c->forced || read_forced(g, j, &x->predictions));
    struct json_str k;
    x->attention.least = x->attention.most = x->attention.median;
    while (ok && json_next_key(j, &k))
        ok = json_is(k, "shadow") && !x->shadow   ? read_shadow(g, j, x)
             : json_is(k, "loaded") && !x->loaded ? read_loaded(g, j, x)
             : json_is(k, "attention_range_s")    ? read_range(j, &x->attention)
             : json_is(k, "cut") && !x->cut       ? read_cut(g, j, x)
                                                  : json_fail(j, "not the key that belongs here");
    if (ok && (!x->loaded || (c->shadow && !x->shadow))) ok = json_fail(j, "a key is missing");
    return ok && json_end(j) ? OK : broken(g, s, j);
}

static bool read_ids(struct merger *g, struct json *j, struct compare_free *f) {
    if (!key(j, "ids")) return false;
    f->n = count_items(*j);
    int32_t *ids = arena_alloc(g->r->arena, f->n, sizeof *ids);
    if (!ids || !json_enter_array(j)) return json_fail(j, "expected ids");
    for (size_t i = 0; i < f->n; i++) {
        uint64_t id;
        if (!u64_item(j, &id) || id > INT32_MAX) return json_fail(j, "expected an id");
        ids[i] = (int32_t)id;
    }
    f->ids = ids;
    return end_array(j);
}

static bool read_bytes(struct merger *g, struct json *j, struct compare_free *f) {
    struct json_str k;
    if (!json_next_key(j, &k)) return !j->error; /* a model without tokenizer */
    if (!json_is(k, "bytes")) return json_fail(j, "not the key that belongs here");
    f->bytes = count_items(*j);
    char *text = arena_alloc(g->r->arena, f->bytes, 1);
    if (!text || !json_enter_array(j)) return json_fail(j, "expected bytes");
    for (size_t i = 0; i < f->bytes; i++) {
        uint64_t b;
        if (!u64_item(j, &b) || b > 255) return json_fail(j, "expected a byte");
        text[i] = (char)(uint8_t)b;
    }
    f->text = text;
    return end_array(j) && !json_next_key(j, &k);
}

static int read_free(struct merger *g, const struct share *s, struct json *j, size_t run) {
    size_t text;
    bool differs;
    if (!(key(j, "text") && size_value(j, &text))) return broken(g, s, j);
    if (run >= g->c->n_runs || text >= g->c->n_texts || !g->r->n_prompt)
        return err_file(g->e, ERR_REFUSED, s->path,
                        "line %zu: a free text that the header does not have", s->line);
    size_t at = run * g->c->n_texts + text;
    struct compare_free *f = &g->free[at];
    if (g->seen_free[at])
        return err_file(g->e, ERR_REFUSED, s->path, "line %zu: a free text comes twice", s->line);
    g->seen_free[at] = true;
    bool ok = key(j, "first_difference") && size_value(j, &f->first_difference) &&
              key(j, "differs") && json_bool(j, &differs) && key(j, "same_bytes") &&
              size_value(j, &f->same_bytes) && read_ids(g, j, f) && read_bytes(g, j, f);
    if (!ok || !json_end(j)) return broken(g, s, j);
    if (!differs) f->first_difference = SIZE_MAX;
    return OK;
}

static int read_lines(struct merger *g, struct share *s) {
    struct json j;
    int rc = OK;
    while (!rc && next_line(s, &j)) {
        struct json_str k;
        size_t run;
        if (!json_enter_object(&j) || !json_next_key(&j, &k) || !size_value(&j, &run))
            return broken(g, s, &j);
        if (json_is(k, "run"))
            rc = read_chunk(g, s, &j, run);
        else
            rc = json_is(k, "free")
                     ? read_free(g, s, &j, run)
                     : (json_fail(&j, "expected \"run\" or \"free\""), broken(g, s, &j));
    }
    if (!rc && s->line != s->lines)
        return err_file(g->e, ERR_REFUSED, s->path,
                        "the file has %zu lines of %llu: it was cut off", s->line,
                        (unsigned long long)s->lines);
    return rc;
}

/* Shares that no file has, where all are parts of one division: ": shares 1, 3 of 4". */
static void missing_shares(const struct merger *g, char *out, size_t room) {
    uint64_t of = g->shares->of;
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->shares[i].of != of || of > 100000) return;
    for (uint64_t k = 0; k < of && at + 24 < room; k++) {
        bool there = false;
        for (size_t i = 0; i < g->n; i++) there = there || g->shares[i].number == k;
        if (!there)
            at += (size_t)snprintf(out + at, room - at, "%s%llu", at ? ", " : ": share ",
                                   (unsigned long long)k);
    }
    if (at) snprintf(out + at, room - at, " of %llu", (unsigned long long)of);
}

static int complete(const struct merger *g) {
    const struct comparison *c = g->c;
    size_t missing = 0, first = SIZE_MAX;
    for (size_t k = 0; k < g->n_chunks; k++) {
        bool all = true;
        for (size_t run = 0; run < c->n_runs; run++) all = all && g->seen[run * g->n_chunks + k];
        missing += !all;
        for (size_t run = 1; all && run < c->n_runs; run++)
            if (c->runs[run].chunks[k].predictions.n != c->runs[0].chunks[k].predictions.n)
                return err_set(g->e, ERR_REFUSED,
                               "--merge: chunk %zu has another number of tokens with %.60s", k,
                               c->runs[run].spec);
        if (!all && first == SIZE_MAX) first = k;
    }
    if (missing) {
        char shares[96];
        size_t text = c->n_texts - 1;
        while (g->first[text] > first) text--;
        missing_shares(g, shares, sizeof shares);
        return err_set(
            g->e, ERR_REFUSED,
            "--merge: %zu of %zu chunks are in no file, the first is chunk %zu of %.60s%s", missing,
            g->n_chunks, first - g->first[text], c->texts[text].file, shares);
    }
    for (size_t i = 0; g->r->n_prompt && i < c->n_runs * c->n_texts; i++)
        if (!g->seen_free[i])
            return err_set(g->e, ERR_REFUSED,
                           "--merge: the free texts are in no file; share 0 has them");
    return OK;
}

int compare_merge(struct compare_report *r, struct comparison *c, char *const *files, size_t n,
                  struct err *e) {
    struct merger g = {.r = r, .c = c, .n = n, .e = e};
    *c = (struct comparison){0};
    r->main = c;
    g.shares = arena_zalloc(r->arena, n, sizeof *g.shares);
    if (!g.shares) return no_memory(&g);
    int rc = OK;
    for (size_t i = 0; i < n && !rc; i++) {
        struct share *s = &g.shares[i];
        uint8_t *data;
        *s = (struct share){.path = files[i]};
        rc = file_read(files[i], r->arena, &data, &s->size, e);
        if (rc) return rc;
        s->text = (const char *)data;
        rc = read_header(&g, s);
        if (!rc && i) rc = same_setup(&g, s);
    }
    if (!rc) rc = make_room(&g);
    for (size_t i = 0; i < n && !rc; i++) rc = read_lines(&g, &g.shares[i]);
    if (!rc) rc = complete(&g);
    if (!rc && r->n_prompt) r->free = g.free;
    return rc;
}
