/* GPT-2's tokenizer as Hugging Face saves it: vocab.json with merges.txt, or both in one
 * tokenizer.json (https://huggingface.co/docs/tokenizers). */
#include <string.h>

#include "base/json.h"
#include "checkpoint/hf_added.h"
#include "checkpoint/hf_config.h"
#include "checkpoint/hf_tokenizer.h"
#include "checkpoint/loaders.h"

/* The files of a folder that make a tokenizer. */
struct paths {
    const char *vocab, *merges, *both, *added, *config;
};

/* Entries of the object or items of the array at a cursor; the text has been checked as JSON. */
static size_t count(struct json j) {
    struct json_str key;
    size_t n = 0;
    if (!j.text) return 0;
    if (json_peek(&j) == JSON_OBJECT)
        for (json_enter_object(&j); json_next_key(&j, &key); n++) json_skip(&j);
    else
        for (json_enter_array(&j); json_next_item(&j); n++) json_skip(&j);
    return n;
}

/* {"token": id, ...}. Ids that an added token has taken already must be that token. */
static int read_vocab(struct vocab_builder *b, struct json j, struct err *e) {
    struct json_str key;
    struct hf_token t;
    uint64_t id;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        if (!hf_token_decode(&j, key, &t) || !json_uint(&j, &id)) break;
        if (t.n && vocab_builder_is(b, id, t.s, t.n) && b->kind[id] != TOKEN_NORMAL) continue;
        int rc = vocab_builder_set_spelled(b, (size_t)id, t.s, t.n, TOKEN_NORMAL, e);
        if (rc) return rc;
    }
    return j.error ? hf_refuse_json(b->path, &j, e) : OK;
}

/* ["a b", ...] or [["a", "b"], ...] */
static int read_merges(struct vocab_builder *b, struct json j, struct err *e) {
    struct hf_token left, right;
    json_enter_array(&j);
    while (json_next_item(&j)) {
        int rc;
        if (json_peek(&j) == JSON_ARRAY) {
            bool ok = json_enter_array(&j) && json_next_item(&j) && hf_token_read(&j, &left) &&
                      json_next_item(&j) && hf_token_read(&j, &right) &&
                      (!json_next_item(&j) || json_fail(&j, "a merge of more than two tokens"));
            if (!ok && !j.error) json_fail(&j, "a merge of fewer than two tokens");
            if (j.error) break;
            rc = vocab_builder_merge(b, left.s, left.n, right.s, right.n, e);
        } else {
            if (!hf_token_read(&j, &left)) break;
            rc = vocab_builder_merge_line(b, left.s, left.n, e);
        }
        if (rc) return rc;
    }
    return j.error ? hf_refuse_json(b->path, &j, e) : OK;
}

/* The next line of text[*at..n) without its end; false at the end of the text. */
static bool next_line(const char *text, size_t size, size_t *at, const char **line, size_t *n) {
    if (*at >= size) return false;
    *line = text + *at;
    const char *end = memchr(*line, '\n', size - *at);
    *n = end ? (size_t)(end - *line) : size - *at;
    *at += *n + 1;
    if (*n && (*line)[*n - 1] == '\r') --*n;
    return true;
}

/* The lines of a merges.txt: without a byte-order mark in front, and without the white space at its
 * end. */
static size_t lines_begin(const struct file *f) {
    return f->size >= 3 && memcmp(f->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static size_t lines_end(const struct file *f) {
    size_t n = f->size;
    while (n && (f->data[n - 1] == '\n' || f->data[n - 1] == '\r')) n--;
    return n;
}

/* Merges by rank, one on a line; the first line may be "#version: 0.2". */
static int read_merge_lines(struct vocab_builder *b, const struct file *f, struct err *e) {
    const char *text = (const char *)f->data, *line;
    size_t at = lines_begin(f), n;
    b->path = f->path;
    for (bool first = true; next_line(text, lines_end(f), &at, &line, &n); first = false) {
        if (first && n >= 8 && memcmp(line, "#version", 8) == 0) continue;
        int rc = vocab_builder_merge_line(b, line, n, e);
        if (rc) return rc;
    }
    return OK;
}

static size_t count_lines(const struct file *f) {
    const char *text = (const char *)f->data, *line;
    size_t at = lines_begin(f), lines = 0, n;
    while (next_line(text, lines_end(f), &at, &line, &n)) lines++;
    return lines;
}

/* Where no list says what was added (`listed` is false): a token of several bytes that no merge
 * makes was added by hand, and plain text never encodes to it. <|endoftext|> is special in any
 * case: it is what GPT-2's tokenizer begins and ends texts with by default. */
static int mark_unmade(struct vocab_builder *b, bool listed, struct err *e) {
    uint8_t *made = arena_zalloc(&b->scratch, b->n, 1);
    if (!made) return err_file(e, ERR_FAILED, b->path, "no memory for %u tokens", b->n);
    for (uint32_t i = 0; i < b->n_merges; i++) made[b->merges[i].merged] = 1;
    for (uint32_t id = 0; id < b->n; id++) {
        bool end_of_text = vocab_builder_is(b, id, END_OF_TEXT, strlen(END_OF_TEXT));
        if (made[id] || b->length[id] < 2 || (b->kind[id] != TOKEN_NORMAL && !end_of_text) ||
            (listed && !end_of_text))
            continue;
        b->kind[id] = TOKEN_CONTROL;
        b->match[id] = (uint8_t)((b->match[id] & ~MATCH_TEXT) | MATCH_SPECIAL);
    }
    return OK;
}

/* The id of a token that the settings name, or -1. */
static int64_t named(const struct vocab_builder *b, struct hf_name name) {
    return name.n ? vocab_builder_find(b, name.s, name.n) : -1;
}

static int64_t id_or(uint64_t id, int64_t otherwise) {
    return id == HF_ABSENT ? otherwise : id > INT32_MAX ? INT32_MAX : (int64_t)id;
}

/* bos and eos are what config.json says, else what the tokenizer's settings name, else
 * <|endoftext|>. A token in front of every text is the tokenizer's own: `add_bos` says whether
 * there is one, and `bos` (HF_ABSENT: not given) which. */
static int finish(struct vocab_builder *b, struct vocab *v, const struct hf_settings *s,
                  bool add_bos, uint64_t bos, const char *config_path, struct err *e) {
    struct hf_config hf;
    int rc = hf_config_read(&hf, config_path, e);
    if (rc) return rc;
    if (bos == HF_ABSENT && add_bos && named(b, s->bos) >= 0) bos = (uint64_t)named(b, s->bos);
    int64_t begins = bos != HF_ABSENT ? id_or(bos, -1) : id_or(hf.bos, named(b, s->bos));
    rc = vocab_builder_finish(b, v, begins, id_or(hf.eos, named(b, s->eos)), e);
    if (rc) return rc;
    if (add_bos && v->bos < 0)
        vocab_builder_warn(b, "add_bos_token is true, but no token is named to begin a text with");
    if (s->add_eos)
        vocab_builder_warn(
            b, "add_eos_token is true: no token is added behind a text, which is to go on");
    v->add_bos = add_bos && v->bos >= 0;
    vocab_builder_warnings(b, v);
    return OK;
}

/* How many ids there are with those of added tokens; `given` is the number of tokens of the
 * vocabulary, `most` its highest id. A token listed twice counts twice here, so this only bounds
 * what a file may ask for. */
static int count_tokens(const char *path, const struct hf_added_source *added, size_t n_sources,
                        size_t given, uint64_t most, size_t *n, struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < n_sources && !rc; i++) rc = hf_added_count(&added[i], &most, &given, e);
    if (rc) return rc;
    if (given && most >= given)
        return err_file(e, ERR_REFUSED, path, "token id %llu is too large for %zu tokens",
                        (unsigned long long)most, given);
    *n = given ? (size_t)most + 1 : 0;
    return OK;
}

/* ---- vocab.json and merges.txt ---- */

struct pair {
    struct file vocab, merges, added; /* added_tokens.json may be absent */
};

static int load_pair(struct vocab *v, const struct pair *p, const struct hf_settings *s,
                     const char *config_path, struct arena *a, struct err *e) {
    struct json j = json_open_lenient(p->vocab.data, p->vocab.size, 4), all = j;
    if (json_peek(&all) != JSON_OBJECT)
        return err_file(e, ERR_REFUSED, p->vocab.path, "is not a JSON object of tokens and ids");
    if (!json_skip(&all) || !json_end(&all)) return hf_refuse_json(p->vocab.path, &all, e);
    struct hf_added_source added[2] = {{HF_ADDED_DECODER, s->path, s->decoder},
                                       {HF_ADDED_NAMES, p->added.path, {0}}};
    if (p->added.data) added[1].at = json_open_lenient(p->added.data, p->added.size, 4);
    size_t tokens = count(j), n = 0;
    int rc = count_tokens(p->vocab.path, added, 2, tokens, tokens ? tokens - 1 : 0, &n, e);
    if (rc) return rc;
    struct vocab_builder b;
    rc = vocab_builder_init(&b, p->vocab.path, n, p->vocab.size + s->config.size + p->added.size,
                            count_lines(&p->merges), a, e);
    for (int i = 0; i < 2 && !rc; i++) rc = hf_added_set(&b, &added[i], s, e);
    if (!rc) rc = read_vocab(&b, j, e);
    if (!rc) rc = read_merge_lines(&b, &p->merges, e);
    b.path = p->vocab.path;
    if (!rc) rc = mark_unmade(&b, false, e);
    if (!rc) rc = finish(&b, v, s, s->add_bos, HF_ABSENT, config_path, e);
    vocab_builder_free(&b);
    return rc;
}

static int open_pair(struct vocab *v, const struct paths *at, const struct hf_settings *s,
                     struct arena *a, struct err *e) {
    struct pair p = {0};
    int rc = file_map(&p.vocab, at->vocab, e);
    if (rc) return rc;
    rc = file_map(&p.merges, at->merges, e);
    if (!rc) {
        if (file_exists(at->added)) rc = file_map(&p.added, at->added, e);
        if (!rc) rc = load_pair(v, &p, s, at->config, a, e);
        if (p.added.data) file_unmap(&p.added);
        file_unmap(&p.merges);
    }
    file_unmap(&p.vocab);
    return rc;
}

/* ---- tokenizer.json ---- */

static int load_tokenizer_json(struct vocab *v, const struct file *f, const struct hf_settings *s,
                               const char *config_path, struct arena *a, struct err *e) {
    struct hf_tokenizer t;
    struct vocab_builder b;
    int rc = hf_tokenizer_read(&t, f, e);
    if (rc) return rc;
    struct hf_added_source added = {HF_ADDED_LIST, f->path, t.added};
    struct json j = t.vocab;
    struct json_str key;
    uint64_t id, most = 0;
    size_t n = 0;
    for (json_enter_object(&j); json_next_key(&j, &key) && json_uint(&j, &id);)
        most = id > most ? id : most;
    if (j.error) return hf_refuse_json(f->path, &j, e);
    rc = count_tokens(f->path, &added, 1, count(t.vocab), most, &n, e);
    if (rc) return rc;
    rc = vocab_builder_init(&b, f->path, n, f->size, count(t.merges), a, e);
    if (!rc) rc = hf_added_set(&b, &added, s, e);
    if (!rc) rc = read_vocab(&b, t.vocab, e);
    if (!rc) rc = read_merges(&b, t.merges, e);
    if (!rc) rc = mark_unmade(&b, t.added.text || t.ignore_merges, e);
    if (!rc)
        rc = finish(&b, v, s, t.add_bos || s->add_bos, t.add_bos ? t.bos : HF_ABSENT, config_path,
                    e);
    vocab_builder_free(&b);
    v->whole_text = t.whole_text;
    v->ignore_merges = t.ignore_merges;
    return rc;
}

static int open_tokenizer_json(struct vocab *v, const struct paths *at, const struct hf_settings *s,
                               struct arena *a, struct err *e) {
    struct file f;
    int rc = file_map(&f, at->both, e);
    if (rc) return rc;
    rc = load_tokenizer_json(v, &f, s, at->config, a, e);
    file_unmap(&f);
    return rc;
}

static bool same_tokens(const struct vocab *x, const struct vocab *y) {
    return x->n == y->n && x->n_merges == y->n_merges &&
           memcmp(x->offset, y->offset, ((size_t)x->n + 1) * sizeof *x->offset) == 0 &&
           memcmp(x->bytes, y->bytes, x->offset[x->n]) == 0 &&
           memcmp(x->merges, y->merges, x->n_merges * sizeof *x->merges) == 0;
}

/* Of a folder that holds both forms transformers takes tokenizer.json; that the other is not the
 * same is worth a word. */
static void compare_with_pair(struct vocab *v, const struct paths *at, const struct hf_settings *s,
                              struct arena *a) {
    struct arena scratch = {0};
    struct vocab pair;
    struct err ignored, said;
    bool same = open_pair(&pair, at, s, &scratch, &ignored) == OK && same_tokens(v, &pair);
    arena_free(&scratch);
    if (same || v->n_warnings == VOCAB_WARNINGS) return;
    err_file(&said, OK, at->both,
             "is taken, not vocab.json and merges.txt beside it, which are not the same");
    const char *kept = arena_copy(a, said.msg, strlen(said.msg));
    if (kept) v->warning[v->n_warnings++] = kept;
}

/* ---- which of them ---- */

/* Is this file a vocab.json: an object whose first value is a number? */
static int is_vocab_json(const char *path, bool *yes, struct err *e) {
    struct file f;
    struct json_str key;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    struct json j = json_open_lenient(f.data, f.size, 4);
    *yes = json_enter_object(&j) && json_next_key(&j, &key) && json_peek(&j) == JSON_NUMBER;
    file_unmap(&f);
    return OK;
}

static int load(struct vocab *v, const struct paths *at, bool pair, const char *folder,
                struct arena *a, struct err *e) {
    struct hf_settings s;
    if (pair && !file_exists(at->merges))
        return err_file(e, ERR_REFUSED, at->vocab, "needs merges.txt beside it");
    if (pair && !file_exists(at->vocab))
        return err_file(e, ERR_REFUSED, at->merges, "needs vocab.json beside it");
    int rc = hf_settings_open(&s, folder, a, e);
    if (rc) return rc;
    if (s.prefix_space)
        rc = err_file(e, ERR_REFUSED, s.path, "add_prefix_space is true, which is not supported");
    else
        rc = pair ? open_pair(v, at, &s, a, e) : open_tokenizer_json(v, at, &s, a, e);
    if (!rc && !pair && at->vocab != at->both && file_exists(at->vocab) && file_exists(at->merges))
        compare_with_pair(v, at, &s, a);
    hf_settings_close(&s);
    return rc;
}

int hf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e) {
    bool is_folder = file_is_folder(path), pair = true;
    const char *folder = is_folder ? path : path_folder(a, path);
    if (!folder) return err_file(e, ERR_FAILED, path, "no memory");
    struct paths at = {path_join(a, folder, "vocab.json"), path_join(a, folder, "merges.txt"),
                       path_join(a, folder, "tokenizer.json"),
                       path_join(a, folder, "added_tokens.json"),
                       path_join(a, folder, "config.json")};
    if (!at.vocab || !at.merges || !at.both || !at.added || !at.config)
        return err_file(e, ERR_FAILED, path, "no memory");
    if (is_folder) {
        pair = !file_exists(at.both);
        if (pair && !file_exists(at.vocab))
            return err_file(e, ERR_REFUSED, path,
                            "has neither vocab.json and merges.txt nor tokenizer.json");
    } else if (strcmp(path_base(path), "merges.txt") == 0)
        at.merges = path;
    else {
        at.vocab = at.both = path;
        int rc = strcmp(path_base(path), "vocab.json") == 0 ? OK : is_vocab_json(path, &pair, e);
        if (rc) return rc;
    }
    return load(v, &at, pair, folder, a, e);
}
