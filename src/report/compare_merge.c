/* Reads shares and adds them up: which files belong together, which chunks each of them holds, and
 * whether all are there. share_fields.h describes the lines. */
#include <string.h>

#include "attention/spec_name.h"
#include "base/file.h"
#include "base/size.h"
#include "report/share_fields.h"

/* One file of shares, and where in it the reader is. */
struct share {
    const char *path, *text; /* [size] */
    size_t size, at, line;   /* at: first byte of the next line */
    struct share_head head;
    struct json setup; /* before the value */
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

/* The report takes over the first share's setup. The paths are those of its head. */
static bool take_setup(struct merger *g, struct json *j, const struct share_head *h) {
    const struct share_fields f = {.in = j, .arena = g->r->arena};
    struct comparison *c = g->c;
    c->texts = h->texts;
    c->n_texts = h->n_texts;
    g->r->model.file = h->file;
    g->r->model.name = h->name;
    if (!share_setup(&f, g->r, c)) return false;
    if (!c->n_runs) return json_fail(j, "no runs");
    g->first = arena_zalloc(g->r->arena, c->n_texts, sizeof *g->first);
    if (!g->first) return json_fail(j, "out of memory");
    for (size_t i = 0; i < c->n_texts; i++) {
        g->first[i] = g->n_chunks;
        if (!size_add(g->n_chunks, c->texts[i].chunks, &g->n_chunks))
            return json_fail(j, "too many chunks");
    }
    for (size_t i = 0; i < c->n_runs; i++) {
        struct comparison_run *run = &c->runs[i];
        run->title = spec_title(run->spec, run->name, g->r->arena);
        if (!run->title) return json_fail(j, "out of memory");
    }
    if (!g->r->book) return true;
    struct compare_book *book = arena_alloc(g->r->arena, 1, sizeof *book);
    if (!book) return json_fail(j, "out of memory");
    *book = *g->r->book;
    book->file = h->book;
    g->r->book = book;
    return true;
}

/* Finds the header's parts; of the first file, takes the setup. */
static int read_header(struct merger *g, struct share *s) {
    struct json j;
    if (!next_line(s, &j))
        return err_file(g->e, ERR_REFUSED, s->path,
                        "the file is empty; expected what lookat compare -o jsonl writes");
    const struct share_fields f = {.in = &j, .arena = g->r->arena};
    if (!share_head(&f, &s->head)) return broken(g, s, &j);
    s->setup = j;
    if (!json_skip(&j)) return broken(g, s, &j);
    s->setup_end = j.at;
    if (s != g->shares) return OK;
    struct json setup = s->setup;
    return take_setup(g, &setup, &s->head) ? OK : broken(g, s, &setup);
}

/* ERR_REFUSED, with the name of the first part of the setup in which two shares differ. */
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

/* Makes room for all chunks. The header is untrusted, so the room must be in proportion to what the
 * files hold. */
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

/* ---- lines ---- */

static int read_chunk(struct merger *g, const struct share *s, struct json *j) {
    const struct share_fields f = {.in = j, .arena = g->r->arena};
    size_t run = 0, text = 0, chunk = 0;
    struct comparison *c = g->c;
    if (!share_chunk_place(&f, &run, &text, &chunk)) return broken(g, s, j);
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
    bool ok = share_chunk(&f, &g->r->model.config, c->forced, x) && share_end_line(&f);
    if (ok && (!x->loaded || (c->shadow && !x->shadow))) ok = json_fail(j, "a key is missing");
    return ok ? OK : broken(g, s, j);
}

static int read_free(struct merger *g, const struct share *s, struct json *j) {
    const struct share_fields f = {.in = j, .arena = g->r->arena};
    size_t run = 0, text = 0;
    if (!share_free_place(&f, &run, &text)) return broken(g, s, j);
    if (run >= g->c->n_runs || text >= g->c->n_texts || !g->r->n_prompt)
        return err_file(g->e, ERR_REFUSED, s->path,
                        "line %zu: a free text that the header does not have", s->line);
    size_t at = run * g->c->n_texts + text;
    if (g->seen_free[at])
        return err_file(g->e, ERR_REFUSED, s->path, "line %zu: a free text comes twice", s->line);
    g->seen_free[at] = true;
    return share_free(&f, &g->free[at]) && share_end_line(&f) ? OK : broken(g, s, j);
}

static int read_lines(struct merger *g, struct share *s) {
    struct json j;
    int rc = OK;
    while (!rc && next_line(s, &j)) {
        struct json ahead = j;
        struct json_str k;
        if (!json_enter_object(&ahead) || !json_next_key(&ahead, &k)) return broken(g, s, &ahead);
        if (json_is(k, "run"))
            rc = read_chunk(g, s, &j);
        else if (json_is(k, "free"))
            rc = read_free(g, s, &j);
        else
            rc = (json_fail(&ahead, "expected \"run\" or \"free\""), broken(g, s, &ahead));
    }
    if (!rc && s->line != s->head.lines)
        return err_file(g->e, ERR_REFUSED, s->path,
                        "the file has %zu lines of %llu: it was cut off", s->line,
                        (unsigned long long)s->head.lines);
    return rc;
}

/* Shares that no file has, where all are parts of one division: ": shares 1, 3 of 4". */
static void missing_shares(const struct merger *g, char *out, size_t room) {
    uint64_t of = g->shares->head.of;
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->shares[i].head.of != of || of > 100000) return;
    for (uint64_t k = 0; k < of && at + 24 < room; k++) {
        bool there = false;
        for (size_t i = 0; i < g->n; i++) there = there || g->shares[i].head.number == k;
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
