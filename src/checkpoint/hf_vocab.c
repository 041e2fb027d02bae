/* GPT-2's tokenizer as Hugging Face saves it: vocab.json with merges.txt, or both in one tokenizer.json
 * (https://huggingface.co/docs/tokenizers). */
#include <string.h>

#include "base/json.h"
#include "checkpoint/hf_config.h"
#include "checkpoint/loaders.h"

#define TOKEN_MAX 4096 /* bytes of a token as spelled in a file: the longest of GPT-2 has 256 */
#define END_OF_TEXT "<|endoftext|>"

/* Where a tokenizer.json has what matters: cursors at the values, text NULL where there is none. */
struct parts {
    struct json vocab, merges, added;
};

struct token {
    char s[TOKEN_MAX];
    size_t n;
};

static int refuse_json(const char *path, const struct json *j, struct err *e) {
    return err_file(e, ERR_REFUSED, path, "byte %zu: %s", j->error_at, j->error);
}

static bool decode(struct json *j, struct json_str s, struct token *t) {
    if (s.n > TOKEN_MAX) return json_fail(j, "a token of more than 4096 bytes");
    t->n = json_decode(s, t->s);
    return true;
}

static bool read_token(struct json *j, struct token *t) {
    struct json_str s;
    return json_string(j, &s) && decode(j, s, t);
}

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

/* {"token": id, ...}. Ids that a special token has taken already must be that token. */
static int read_vocab(struct vocab_builder *b, struct json j, struct err *e) {
    struct json_str key;
    struct token t;
    uint64_t id;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        if (!decode(&j, key, &t) || !json_uint(&j, &id)) break;
        bool special = id < b->n && b->length[id] == t.n && b->control[id] && memcmp(b->pool + b->start[id], t.s, t.n) == 0;
        int rc = special ? OK : vocab_builder_set_spelled(b, (size_t)id, t.s, t.n, false, e);
        if (rc) return rc;
    }
    return j.error ? refuse_json(b->path, &j, e) : OK;
}

struct added {
    struct token content;
    uint64_t id;
    bool special;
};

static bool read_added_token(struct json *j, struct added *t) {
    struct json_str key;
    bool content = false, id = false;
    t->special = false;
    json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (json_is(key, "id"))
            id = json_uint(j, &t->id);
        else if (json_is(key, "content"))
            content = read_token(j, &t->content);
        else if (json_is(key, "special"))
            json_bool(j, &t->special);
        else
            json_skip(j);
    }
    return !j->error && (content || json_fail(j, "an added token without content")) && (id || json_fail(j, "an added token without id"));
}

/* Sets the added tokens that are special, or those of the others that the vocabulary does not have: no merge makes them either. */
static int read_added(struct vocab_builder *b, struct json j, bool special, struct err *e) {
    struct added t;
    if (!j.text) return OK;
    json_enter_array(&j);
    while (json_next_item(&j)) {
        if (!read_added_token(&j, &t)) break;
        if (t.special != special || (!special && t.id < b->n && b->length[t.id])) continue;
        int rc = vocab_builder_set(b, (size_t)t.id, t.content.s, t.content.n, true, e);
        if (rc) return rc;
    }
    return j.error ? refuse_json(b->path, &j, e) : OK;
}

/* ["a b", ...] or [["a", "b"], ...] */
static int read_merges(struct vocab_builder *b, struct json j, struct err *e) {
    struct token left, right;
    json_enter_array(&j);
    while (json_next_item(&j)) {
        int rc;
        if (json_peek(&j) == JSON_ARRAY) {
            bool ok = json_enter_array(&j) && json_next_item(&j) && read_token(&j, &left) && json_next_item(&j) && read_token(&j, &right) &&
                      (!json_next_item(&j) || json_fail(&j, "a merge of more than two tokens"));
            if (!ok && !j.error) json_fail(&j, "a merge of fewer than two tokens");
            if (j.error) break;
            rc = vocab_builder_merge(b, left.s, left.n, right.s, right.n, e);
        } else {
            if (!read_token(&j, &left)) break;
            rc = vocab_builder_merge_line(b, left.s, left.n, e);
        }
        if (rc) return rc;
    }
    return j.error ? refuse_json(b->path, &j, e) : OK;
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

/* Merges by rank, one on a line; the first line may be "#version: 0.2". */
static int read_merge_lines(struct vocab_builder *b, const struct file *f, struct err *e) {
    const char *text = (const char *)f->data, *line;
    size_t at = 0, n;
    b->path = f->path;
    for (bool first = true; next_line(text, f->size, &at, &line, &n); first = false) {
        if (first && n >= 8 && memcmp(line, "#version", 8) == 0) continue;
        int rc = vocab_builder_merge_line(b, line, n, e);
        if (rc) return rc;
    }
    return OK;
}

static size_t count_lines(const struct file *f) {
    const char *text = (const char *)f->data, *line;
    size_t at = 0, lines = 0, n;
    while (next_line(text, f->size, &at, &line, &n)) lines++;
    return lines;
}

/* A token of several bytes that no merge makes, as <|endoftext|>, was added by hand: plain text never encodes to it. */
static int mark_unmade(struct vocab_builder *b, struct err *e) {
    uint8_t *made = arena_zalloc(&b->scratch, b->n, 1);
    if (!made) return err_file(e, ERR_FAILED, b->path, "no memory for %u tokens", b->n);
    for (uint32_t i = 0; i < b->n_merges; i++) made[b->merges[i].merged] = 1;
    for (uint32_t id = 0; id < b->n; id++)
        if (!made[id] && b->length[id] > 1) b->control[id] = 1;
    return OK;
}

static int64_t id_or(uint64_t id, int64_t otherwise) { return id == HF_ABSENT ? otherwise : id > INT32_MAX ? INT32_MAX : (int64_t)id; }

/* bos and eos are what config.json says, else <|endoftext|>. */
static int finish(struct vocab_builder *b, struct vocab *v, const char *config_path, struct err *e) {
    struct hf_config hf;
    int rc = mark_unmade(b, e);
    if (!rc) rc = hf_config_read(&hf, config_path, e);
    if (rc) return rc;
    int64_t end = vocab_builder_find(b, END_OF_TEXT, strlen(END_OF_TEXT));
    if (end >= 0 && !b->control[end]) end = -1;
    return vocab_builder_finish(b, v, id_or(hf.bos, end), id_or(hf.eos, end), e);
}

static int load_pair(struct vocab *v, const struct file *vocab, const struct file *merges, const char *config_path, struct arena *a, struct err *e) {
    struct json j = json_open(vocab->data, vocab->size, 4), all = j;
    if (json_peek(&all) != JSON_OBJECT) return err_file(e, ERR_REFUSED, vocab->path, "is not a JSON object of tokens and ids");
    if (!json_skip(&all) || !json_end(&all)) return refuse_json(vocab->path, &all, e);
    struct vocab_builder b;
    int rc = vocab_builder_init(&b, vocab->path, count(j), vocab->size, count_lines(merges), a, e);
    if (!rc) rc = read_vocab(&b, j, e);
    if (!rc) rc = read_merge_lines(&b, merges, e);
    b.path = vocab->path;
    if (!rc) rc = finish(&b, v, config_path, e);
    vocab_builder_free(&b);
    return rc;
}

/* How much of a string a message quotes. */
static int shown(struct json_str s) { return s.n < 40 ? (int)s.n : 40; }

static bool empty_or_null(struct json *j) {
    struct json_str s;
    return json_peek(j) == JSON_NULL ? json_null(j) : json_peek(j) == JSON_STRING && json_string(j, &s) && s.n == 0;
}

/* model: type BPE, vocab and merges, and nothing that changes how words are made. */
static int read_model(struct json *j, const char *path, struct parts *p, struct err *e) {
    struct json_str key, type;
    json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (json_is(key, "type") && json_peek(j) == JSON_STRING) {
            if (json_string(j, &type) && !json_is(type, "BPE"))
                return err_file(e, ERR_REFUSED, path, "the tokenizer's model is \"%.*s\", expected \"BPE\"", shown(type), type.s);
        } else if (json_is(key, "continuing_subword_prefix") || json_is(key, "end_of_word_suffix")) {
            if (!empty_or_null(j))
                return err_file(e, ERR_REFUSED, path, "the tokenizer's model has a %.*s, which is not supported", shown(key), key.s);
        } else {
            if (json_is(key, "vocab")) p->vocab = *j;
            if (json_is(key, "merges")) p->merges = *j;
            json_skip(j);
        }
    }
    return j->error ? refuse_json(path, j, e) : OK;
}

/* pre_tokenizer: GPT-2's, and no space put in front of the text. */
static int check_pre_tokenizer(struct json *j, const char *path, struct err *e) {
    struct json_str key, type = {"null", 4};
    bool prefix = false;
    if (json_peek(j) == JSON_OBJECT) {
        json_enter_object(j);
        while (json_next_key(j, &key)) {
            if (json_is(key, "type"))
                json_string(j, &type);
            else if (json_is(key, "add_prefix_space"))
                json_bool(j, &prefix);
            else
                json_skip(j);
        }
    } else
        json_skip(j);
    if (j->error) return refuse_json(path, j, e);
    if (!json_is(type, "ByteLevel"))
        return err_file(e, ERR_REFUSED, path, "the pre_tokenizer is \"%.*s\", expected \"ByteLevel\"", shown(type), type.s);
    if (prefix) return err_file(e, ERR_REFUSED, path, "the pre_tokenizer has add_prefix_space, which is not supported");
    return OK;
}

static int find_parts(struct json *j, const char *path, struct parts *p, struct err *e) {
    struct json_str key;
    int rc = OK;
    json_enter_object(j);
    while (!rc && json_next_key(j, &key)) {
        if (json_is(key, "model"))
            rc = read_model(j, path, p, e);
        else if (json_is(key, "pre_tokenizer"))
            rc = check_pre_tokenizer(j, path, e);
        else if (json_is(key, "normalizer") && json_peek(j) != JSON_NULL)
            return err_file(e, ERR_REFUSED, path, "the tokenizer has a normalizer, which is not supported");
        else {
            if (json_is(key, "added_tokens") && json_peek(j) != JSON_NULL) p->added = *j;
            json_skip(j);
        }
    }
    if (rc) return rc;
    if (!json_end(j)) return refuse_json(path, j, e);
    if (!p->vocab.text || json_peek(&p->vocab) != JSON_OBJECT) return err_file(e, ERR_REFUSED, path, "model.vocab is missing or not an object");
    if (!p->merges.text || json_peek(&p->merges) != JSON_ARRAY) return err_file(e, ERR_REFUSED, path, "model.merges is missing or not an array");
    if (p->added.text && json_peek(&p->added) != JSON_ARRAY) return err_file(e, ERR_REFUSED, path, "added_tokens is not an array");
    return OK;
}

/* Added tokens that the vocabulary has as well count once. */
static int count_tokens(const struct parts *p, const char *path, size_t *n, struct err *e) {
    struct json j = p->vocab;
    struct json_str key;
    struct added t;
    uint64_t id, most = 0;
    for (json_enter_object(&j); json_next_key(&j, &key) && json_uint(&j, &id);) most = id > most ? id : most;
    if (j.error) return refuse_json(path, &j, e);
    if (p->added.text) {
        j = p->added;
        for (json_enter_array(&j); json_next_item(&j) && read_added_token(&j, &t);) most = t.id > most ? t.id : most;
        if (j.error) return refuse_json(path, &j, e);
    }
    size_t given = count(p->vocab) + count(p->added);
    if (most >= given) return err_file(e, ERR_REFUSED, path, "token id %llu is too large for %zu tokens", (unsigned long long)most, given);
    *n = (size_t)most + 1;
    return OK;
}

static int load_tokenizer_json(struct vocab *v, const struct file *f, const char *config_path, struct arena *a, struct err *e) {
    struct json j = json_open(f->data, f->size, 64);
    struct parts p = {0};
    struct vocab_builder b;
    size_t n;
    int rc = find_parts(&j, f->path, &p, e);
    if (!rc) rc = count_tokens(&p, f->path, &n, e);
    if (rc) return rc;
    rc = vocab_builder_init(&b, f->path, n, f->size, count(p.merges), a, e);
    if (!rc) rc = read_added(&b, p.added, true, e);
    if (!rc) rc = read_vocab(&b, p.vocab, e);
    if (!rc) rc = read_added(&b, p.added, false, e);
    if (!rc) rc = read_merges(&b, p.merges, e);
    if (!rc) rc = finish(&b, v, config_path, e);
    vocab_builder_free(&b);
    return rc;
}

static int open_pair(struct vocab *v, const char *vocab_path, const char *merges_path, const char *config_path, struct arena *a, struct err *e) {
    struct file vocab, merges;
    int rc = file_map(&vocab, vocab_path, e);
    if (rc) return rc;
    rc = file_map(&merges, merges_path, e);
    if (!rc) {
        rc = load_pair(v, &vocab, &merges, config_path, a, e);
        file_unmap(&merges);
    }
    file_unmap(&vocab);
    return rc;
}

static int open_tokenizer_json(struct vocab *v, const char *path, const char *config_path, struct arena *a, struct err *e) {
    struct file f;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    rc = load_tokenizer_json(v, &f, config_path, a, e);
    file_unmap(&f);
    return rc;
}

/* Is this file a vocab.json: an object whose first value is a number? */
static int is_vocab_json(const char *path, bool *yes, struct err *e) {
    struct file f;
    struct json_str key;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    struct json j = json_open(f.data, f.size, 4);
    *yes = json_enter_object(&j) && json_next_key(&j, &key) && json_peek(&j) == JSON_NUMBER;
    file_unmap(&f);
    return OK;
}

int hf_load_vocab(struct vocab *v, const char *path, struct arena *a, struct err *e) {
    bool is_folder = file_is_folder(path), pair = true;
    const char *folder = is_folder ? path : path_folder(a, path);
    if (!folder) return err_file(e, ERR_FAILED, path, "no memory");
    const char *vocab = path_join(a, folder, "vocab.json"), *merges = path_join(a, folder, "merges.txt"),
               *both = path_join(a, folder, "tokenizer.json"), *config = path_join(a, folder, "config.json");
    if (!vocab || !merges || !both || !config) return err_file(e, ERR_FAILED, path, "no memory");
    if (is_folder) {
        pair = file_exists(vocab) && (file_exists(merges) || !file_exists(both));
        if (!pair && !file_exists(both)) return err_file(e, ERR_REFUSED, path, "has neither vocab.json and merges.txt nor tokenizer.json");
    } else if (strcmp(path_base(path), "merges.txt") == 0)
        merges = path;
    else {
        vocab = both = path;
        int rc = strcmp(path_base(path), "vocab.json") == 0 ? OK : is_vocab_json(path, &pair, e);
        if (rc) return rc;
    }
    if (pair && !file_exists(merges)) return err_file(e, ERR_REFUSED, vocab, "needs merges.txt beside it");
    if (pair && !file_exists(vocab)) return err_file(e, ERR_REFUSED, merges, "needs vocab.json beside it");
    return pair ? open_pair(v, vocab, merges, config, a, e) : open_tokenizer_json(v, both, config, a, e);
}
