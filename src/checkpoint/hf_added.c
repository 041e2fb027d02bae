/* Reads the tokens that were added to a Hugging Face tokenizer, from the four files that may list
 * them. */
#include "checkpoint/hf_added.h"

#include <string.h>

int hf_refuse_json(const char *path, const struct json *j, struct err *e) {
    return err_file(e, ERR_REFUSED, path, "byte %zu: %s", j->error_at, j->error);
}

bool hf_token_decode(struct json *j, struct json_str s, struct hf_token *t) {
    if (s.n > HF_TOKEN_MAX) return json_fail(j, "a token of more than 4096 bytes");
    t->n = json_decode(s, t->s);
    return true;
}

bool hf_token_read(struct json *j, struct hf_token *t) {
    struct json_str s;
    return json_string(j, &s) && hf_token_decode(j, s, t);
}

/* ---- settings ---- */

enum { NAMES_MAX = 1024 };

struct reader {
    struct hf_settings *s;
    struct hf_name *names; /* [NAMES_MAX] */
    struct arena *arena;
    bool is_map; /* special_tokens_map.json, which knows fewer keys */
};

static bool add_name(struct reader *r, struct json *j, struct hf_name *named) {
    struct hf_token t;
    if (!hf_token_read(j, &t)) return false;
    struct hf_name name = {arena_copy(r->arena, t.s, t.n), t.n};
    if (!name.s) return json_fail(j, "no memory for a token");
    if (named) *named = name;
    if (r->s->n == NAMES_MAX) return json_fail(j, "more than 1024 special tokens");
    r->names[r->s->n++] = name;
    return true;
}

/* A special token: its name, {"content": name, …}, null, or an array or an object of such. */
static bool read_special(struct reader *r, struct json *j, struct hf_name *named) {
    struct json_str key;
    switch (json_peek(j)) {
    case JSON_STRING: return add_name(r, j, named);
    case JSON_ARRAY:
        for (json_enter_array(j); json_next_item(j);) read_special(r, j, NULL);
        return !j->error;
    case JSON_OBJECT:
        for (json_enter_object(j); json_next_key(j, &key);) {
            if (json_is(key, "content") || json_peek(j) == JSON_OBJECT ||
                (!named && json_peek(j) == JSON_STRING && !json_is(key, "__type")))
                read_special(r, j, named);
            else
                json_skip(j);
        }
        return !j->error;
    default: return json_skip(j);
    }
}

static void read_flag(struct json *j, bool *flag) {
    if (json_peek(j) == JSON_BOOL)
        json_bool(j, flag);
    else
        json_skip(j);
}

static void read_setting(struct reader *r, struct json *j, struct json_str key) {
    static const char *const others[] = {"unk_token",           "sep_token",
                                         "pad_token",           "cls_token",
                                         "mask_token",          "additional_special_tokens",
                                         "extra_special_tokens"};
    struct hf_settings *s = r->s;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (json_is(key, others[i])) {
            read_special(r, j, NULL);
            return;
        }
    /* tokenizer_config.json has the last word where it describes its tokens, as newer files do */
    bool names_again = r->is_map && s->decoder.text;
    struct hf_name ignored;
    if (json_is(key, "bos_token"))
        read_special(r, j, names_again ? &ignored : &s->bos);
    else if (json_is(key, "eos_token"))
        read_special(r, j, names_again ? &ignored : &s->eos);
    else if (!r->is_map && json_is(key, "add_bos_token"))
        read_flag(j, &s->add_bos);
    else if (!r->is_map && json_is(key, "add_eos_token"))
        read_flag(j, &s->add_eos);
    else if (!r->is_map && json_is(key, "add_prefix_space"))
        read_flag(j, &s->prefix_space);
    else {
        if (!r->is_map && json_is(key, "added_tokens_decoder") && json_peek(j) == JSON_OBJECT)
            s->decoder = *j;
        json_skip(j);
    }
}

static int read_settings(struct reader *r, const char *path, struct file *f, struct err *e) {
    struct json_str key;
    if (!file_exists(path)) return OK;
    int rc = file_map(f, path, e);
    if (rc) return rc;
    struct json j = json_open_lenient(f->data, f->size, 64);
    for (json_enter_object(&j); json_next_key(&j, &key);) read_setting(r, &j, key);
    return json_end(&j) ? OK : hf_refuse_json(path, &j, e);
}

int hf_settings_open(struct hf_settings *s, const char *folder, struct arena *a, struct err *e) {
    *s = (struct hf_settings){.path = path_join(a, folder, "tokenizer_config.json")};
    const char *map = path_join(a, folder, "special_tokens_map.json");
    struct reader r = {.s = s, .names = arena_alloc(a, NAMES_MAX, sizeof *r.names), .arena = a};
    if (!s->path || !map || !r.names) return err_file(e, ERR_FAILED, folder, "no memory");
    s->names = r.names;
    int rc = read_settings(&r, s->path, &s->config, e);
    r.is_map = true;
    if (!rc) rc = read_settings(&r, map, &s->map, e);
    if (rc) hf_settings_close(s);
    return rc;
}

void hf_settings_close(struct hf_settings *s) {
    file_unmap(&s->config);
    file_unmap(&s->map);
    s->decoder.text = NULL;
}

static bool is_special_name(const struct hf_settings *s, const struct hf_token *t) {
    for (size_t i = 0; i < s->n; i++)
        if (s->names[i].n == t->n && memcmp(s->names[i].s, t->s, t->n) == 0) return true;
    return false;
}

/* ---- added tokens ---- */

struct added {
    struct hf_token content;
    uint64_t id;
    bool special, normalized, single_word, lstrip, rstrip;
};

/* The object that describes a token; in a list it has the id too. */
static bool read_description(struct json *j, bool with_id, struct added *t) {
    struct json_str key;
    bool content = false, id = !with_id;
    json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (with_id && json_is(key, "id"))
            id = json_uint(j, &t->id);
        else if (json_is(key, "content"))
            content = hf_token_read(j, &t->content);
        else if (json_is(key, "special"))
            json_bool(j, &t->special);
        else if (json_is(key, "normalized"))
            json_bool(j, &t->normalized);
        else if (json_is(key, "single_word"))
            json_bool(j, &t->single_word);
        else if (json_is(key, "lstrip"))
            json_bool(j, &t->lstrip);
        else if (json_is(key, "rstrip"))
            json_bool(j, &t->rstrip);
        else
            json_skip(j);
    }
    return !j->error && (content || json_fail(j, "an added token without content")) &&
           (id || json_fail(j, "an added token without id"));
}

/* The key of a decoder: digits. */
static bool read_key_id(struct json *j, struct json_str key, uint64_t *id) {
    *id = 0;
    for (size_t i = 0; i < key.n; i++) {
        if (key.s[i] < '0' || key.s[i] > '9' || i == 10)
            return json_fail(j, "expected a token id as the key");
        *id = 10 * *id + (uint64_t)(key.s[i] - '0');
    }
    return key.n > 0 || json_fail(j, "expected a token id as the key");
}

static bool enter(struct json *j, enum hf_added_form form) {
    return form == HF_ADDED_LIST ? json_enter_array(j) : json_enter_object(j);
}

/* The next token of a container that has been entered; false at its end, and on an error. */
static bool next_added(struct json *j, enum hf_added_form form, struct added *t) {
    struct json_str key;
    t->special = t->normalized = t->single_word = t->lstrip = t->rstrip = false;
    if (form == HF_ADDED_LIST) return json_next_item(j) && read_description(j, true, t);
    if (!json_next_key(j, &key)) return false;
    if (form == HF_ADDED_DECODER)
        return read_key_id(j, key, &t->id) && read_description(j, false, t);
    t->normalized = true;
    return hf_token_decode(j, key, &t->content) && json_uint(j, &t->id);
}

int hf_added_count(const struct hf_added_source *from, uint64_t *most, size_t *given,
                   struct err *e) {
    struct json j = from->at;
    struct added t;
    if (!j.text) return OK;
    for (enter(&j, from->form); next_added(&j, from->form, &t); ++*given)
        *most = t.id > *most ? t.id : *most;
    return j.error ? hf_refuse_json(from->path, &j, e) : OK;
}

/* Special tokens are found before the text is normalised, whatever a list of names alone would say.
 */
static uint8_t match_bits(const struct added *t, enum hf_added_form form) {
    bool later = form == HF_ADDED_NAMES ? t->normalized && !t->special : t->normalized;
    return (uint8_t)((t->single_word ? MATCH_SINGLE_WORD : 0) | (t->lstrip ? MATCH_LSTRIP : 0) |
                     (t->rstrip ? MATCH_RSTRIP : 0) | (later ? MATCH_LATER : 0));
}

int hf_added_set(struct vocab_builder *b, const struct hf_added_source *from,
                 const struct hf_settings *s, struct err *e) {
    struct json j = from->at;
    struct added t;
    if (!j.text) return OK;
    for (enter(&j, from->form); next_added(&j, from->form, &t);) {
        if (vocab_builder_is(b, t.id, t.content.s, t.content.n)) continue; /* listed twice */
        if (is_special_name(s, &t.content)) t.special = true;
        int rc = vocab_builder_set(b, (size_t)t.id, t.content.s, t.content.n,
                                   t.special ? TOKEN_CONTROL : TOKEN_ADDED, e);
        if (rc) return rc;
        if (b->match[t.id]) b->match[t.id] |= match_bits(&t, from->form);
    }
    return j.error ? hf_refuse_json(from->path, &j, e) : OK;
}
