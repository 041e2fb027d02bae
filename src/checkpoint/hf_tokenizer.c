/* Finds the parts of tokenizer.json, and refuses settings that are not GPT-2's. */
#include "checkpoint/hf_tokenizer.h"

#include <string.h>

#include "checkpoint/hf_added.h"

/* How much of a string a message quotes. */
static int shown(struct json_str s) { return s.n < 60 ? (int)s.n : 60; }

static bool is_empty(struct json *j) {
    struct json_str s;
    return json_peek(j) == JSON_NULL
               ? json_null(j)
               : json_peek(j) == JSON_STRING && json_string(j, &s) && s.n == 0;
}

static bool is_zero(struct json *j) {
    double x;
    return json_peek(j) == JSON_NULL ? json_null(j)
                                     : json_peek(j) == JSON_NUMBER && json_double(j, &x) && x == 0;
}

/* A flag that may be null. */
static void read_flag(struct json *j, bool *flag) {
    if (json_peek(j) == JSON_NULL)
        json_null(j);
    else
        json_bool(j, flag);
}

/* The "type" of the object at a cursor that stays there; "null" and the like where it is none. */
static struct json_str type_of(struct json j) {
    struct json_str key, type = {"null", 4};
    if (json_peek(&j) != JSON_OBJECT) return type;
    type = (struct json_str){"", 0};
    for (json_enter_object(&j); json_next_key(&j, &key);) {
        if (json_is(key, "type") && json_peek(&j) == JSON_STRING)
            json_string(&j, &type);
        else
            json_skip(&j);
    }
    return type;
}

/* A cursor at the value of a key of the object at j, which stays there; text NULL where there is
 * none. */
static struct json value_of(struct json j, const char *name) {
    struct json_str key;
    struct json found = {0};
    if (json_peek(&j) != JSON_OBJECT) return found;
    for (json_enter_object(&j); json_next_key(&j, &key); json_skip(&j))
        if (json_is(key, name)) found = j;
    return found;
}

/* ---- model ---- */

/* Type BPE, vocab and merges. */
static int read_model(struct json *j, const char *path, struct hf_tokenizer *t, struct err *e) {
    struct json_str key, type;
    json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (json_is(key, "type") && json_peek(j) == JSON_STRING) {
            if (json_string(j, &type) && !json_is(type, "BPE"))
                return err_file(e, ERR_REFUSED, path,
                                "the tokenizer's model is \"%.*s\", expected \"BPE\"", shown(type),
                                type.s);
        } else if (json_is(key, "continuing_subword_prefix") ||
                   json_is(key, "end_of_word_suffix")) {
            if (!is_empty(j))
                return err_file(e, ERR_REFUSED, path,
                                "the tokenizer's model has a %.*s, which is not supported",
                                shown(key), key.s);
        } else if (json_is(key, "dropout")) {
            if (!is_zero(j))
                return err_file(e, ERR_REFUSED, path,
                                "the tokenizer's model has a dropout, which is not supported");
        } else if (json_is(key, "ignore_merges")) {
            read_flag(j, &t->ignore_merges);
        } else {
            if (json_is(key, "vocab")) t->vocab = *j;
            if (json_is(key, "merges")) t->merges = *j;
            json_skip(j);
        }
    }
    return j->error ? hf_refuse_json(path, j, e) : OK;
}

/* ---- how a text is cut ---- */

/* GPT-2's pattern, and the same in fewer characters. */
static const char *const PATTERNS[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"};

struct cut {
    bool regex, bytes; /* seen: a cut by the pattern, the turning into bytes */
};

/* Split: by GPT-2's pattern, each piece kept. The pattern takes every character, so that pieces and
 * what lies between them are the same. */
static int read_split(struct json j, const char *path, struct cut *cut, struct err *e) {
    struct json regex = value_of(value_of(j, "pattern"), "Regex"),
                behaviour = value_of(j, "behavior"), invert = value_of(j, "invert");
    struct json_str pattern = {"", 0}, kept = {"", 0};
    bool inverted = false;
    if (regex.text) json_string(&regex, &pattern);
    if (behaviour.text) json_string(&behaviour, &kept);
    if (invert.text) read_flag(&invert, &inverted);
    bool known = json_is(pattern, PATTERNS[0]) || json_is(pattern, PATTERNS[1]);
    if (!known)
        return err_file(e, ERR_REFUSED, path,
                        "the pre_tokenizer splits by \"%.*s\", expected GPT-2's pattern",
                        shown(pattern), pattern.s);
    if (inverted ? !json_is(kept, "Removed") : !json_is(kept, "Isolated"))
        return err_file(e, ERR_REFUSED, path,
                        "the pre_tokenizer splits with behavior \"%.*s\"%s, expected \"Isolated\"",
                        shown(kept), kept.s, inverted ? " inverted" : "");
    cut->regex = true;
    return OK;
}

static int read_byte_level(struct json j, const char *path, struct cut *cut, struct err *e) {
    struct json prefix = value_of(j, "add_prefix_space"), use = value_of(j, "use_regex");
    bool has_prefix = false, use_regex = true;
    if (prefix.text) read_flag(&prefix, &has_prefix);
    if (use.text) read_flag(&use, &use_regex);
    if (prefix.error) return hf_refuse_json(path, &prefix, e);
    if (use.error) return hf_refuse_json(path, &use, e);
    if (has_prefix)
        return err_file(e, ERR_REFUSED, path,
                        "the pre_tokenizer has add_prefix_space, which is not supported");
    if (use_regex) cut->regex = true; /* a second time changes nothing: a piece is one piece */
    cut->bytes = true;
    return OK;
}

/* ByteLevel, or a Sequence of Split and ByteLevel, which comes last. */
static int read_pre_tokenizer(struct json j, const char *path, struct cut *cut, struct err *e) {
    struct json_str type = type_of(j);
    if (cut->bytes)
        return err_file(e, ERR_REFUSED, path,
                        "the pre_tokenizer has a \"%.*s\" behind its ByteLevel", shown(type),
                        type.s);
    if (json_is(type, "ByteLevel")) return read_byte_level(j, path, cut, e);
    if (json_is(type, "Split")) return read_split(j, path, cut, e);
    if (!json_is(type, "Sequence"))
        return err_file(e, ERR_REFUSED, path,
                        "the pre_tokenizer is \"%.*s\", expected \"ByteLevel\"", shown(type),
                        type.s);
    int rc = OK;
    struct json all = value_of(j, "pretokenizers");
    for (json_enter_array(&all); !rc && json_next_item(&all); json_skip(&all))
        rc = read_pre_tokenizer(all, path, cut, e);
    return rc ? rc : all.error ? hf_refuse_json(path, &all, e) : OK;
}

/* None, or a Sequence of none. */
static int check_normalizer(struct json j, const char *path, struct err *e) {
    struct json_str type = type_of(j);
    if (json_peek(&j) == JSON_NULL) return OK;
    struct json all = value_of(j, "normalizers");
    if (json_is(type, "Sequence") && all.text && json_enter_array(&all) && !json_next_item(&all) &&
        !all.error)
        return OK;
    return err_file(e, ERR_REFUSED, path,
                    "the tokenizer has a normalizer (\"%.*s\"), which is not supported",
                    shown(type), type.s);
}

/* ---- what is put around a text ---- */

/* The one id that the template's special token stands for. */
static int read_template_id(struct json special, struct json_str name, const char *path,
                            uint64_t *id, struct err *e) {
    struct hf_token wanted, got;
    struct json_str key;
    size_t n = 0;
    if (!hf_token_decode(&special, name, &wanted)) return hf_refuse_json(path, &special, e);
    for (json_enter_object(&special); json_next_key(&special, &key); json_skip(&special)) {
        if (!hf_token_decode(&special, key, &got) || got.n != wanted.n ||
            memcmp(got.s, wanted.s, got.n) != 0)
            continue;
        struct json ids = value_of(special, "ids");
        for (json_enter_array(&ids); json_next_item(&ids) && json_uint(&ids, id);) n++;
        if (ids.error) return hf_refuse_json(path, &ids, e);
    }
    if (special.error) return hf_refuse_json(path, &special, e);
    if (n != 1)
        return err_file(e, ERR_REFUSED, path,
                        "the post_processor's \"%.*s\" stands for %zu ids, expected 1", shown(name),
                        name.s, n);
    return OK;
}

/* TemplateProcessing: the text, with one special token in front of it or none. */
static int read_template(struct json j, const char *path, struct hf_tokenizer *t, struct err *e) {
    struct json single = value_of(j, "single");
    struct json_str name = {"", 0};
    size_t before = 0, texts = 0, behind = 0;
    for (json_enter_array(&single); json_next_item(&single); json_skip(&single)) {
        struct json special = value_of(single, "SpecialToken"), id = value_of(special, "id");
        if (!special.text)
            texts++;
        else if (texts)
            behind++;
        else if (before++ == 0)
            json_string(&id, &name);
    }
    if (single.error) return hf_refuse_json(path, &single, e);
    if (texts != 1 || before > 1 || behind || (before && t->add_bos))
        return err_file(
            e, ERR_REFUSED, path,
            "the post_processor puts tokens around a text; expected none, or one in front of it");
    if (!before) return OK;
    t->add_bos = true;
    return read_template_id(value_of(j, "special_tokens"), name, path, &t->bos, e);
}

static int read_post_processor(struct json j, const char *path, struct hf_tokenizer *t,
                               struct err *e) {
    struct json_str type = type_of(j);
    if (json_peek(&j) == JSON_NULL || json_is(type, "ByteLevel"))
        return OK; /* ByteLevel changes offsets only */
    if (json_is(type, "TemplateProcessing")) return read_template(j, path, t, e);
    if (!json_is(type, "Sequence"))
        return err_file(
            e, ERR_REFUSED, path,
            "the post_processor is \"%.*s\", expected \"ByteLevel\" or \"TemplateProcessing\"",
            shown(type), type.s);
    int rc = OK;
    struct json all = value_of(j, "processors");
    for (json_enter_array(&all); !rc && json_next_item(&all); json_skip(&all))
        rc = read_post_processor(all, path, t, e);
    return rc ? rc : all.error ? hf_refuse_json(path, &all, e) : OK;
}

/* ---- the whole ---- */

static int read_parts(struct json *j, const char *path, struct hf_tokenizer *t, struct err *e) {
    struct cut cut = {0};
    struct json_str key;
    int rc = OK;
    bool cuts = false;
    json_enter_object(j);
    while (!rc && json_next_key(j, &key)) {
        if (json_is(key, "model")) {
            rc = read_model(j, path, t, e);
            continue;
        }
        struct json value = *j;
        if (json_is(key, "added_tokens") && json_peek(j) != JSON_NULL) t->added = *j;
        if (!json_skip(j)) break; /* so that what looks into the value below finds sound JSON */
        if (json_is(key, "pre_tokenizer"))
            rc = read_pre_tokenizer(value, path, &cut, e), cuts = true;
        else if (json_is(key, "normalizer"))
            rc = check_normalizer(value, path, e);
        else if (json_is(key, "post_processor"))
            rc = read_post_processor(value, path, t, e);
    }
    if (rc) return rc;
    if (!json_end(j)) return hf_refuse_json(path, j, e);
    if (cuts && !cut.bytes)
        return err_file(e, ERR_REFUSED, path, "the pre_tokenizer has no ByteLevel");
    t->whole_text = cuts && !cut.regex;
    return OK;
}

int hf_tokenizer_read(struct hf_tokenizer *t, const struct file *f, struct err *e) {
    struct json j = json_open_lenient(f->data, f->size, 64);
    *t = (struct hf_tokenizer){0};
    int rc = read_parts(&j, f->path, t, e);
    if (rc) return rc;
    if (!t->vocab.text || json_peek(&t->vocab) != JSON_OBJECT)
        return err_file(e, ERR_REFUSED, f->path, "model.vocab is missing or not an object");
    if (!t->merges.text || json_peek(&t->merges) != JSON_ARRAY)
        return err_file(e, ERR_REFUSED, f->path, "model.merges is missing or not an array");
    if (t->added.text && json_peek(&t->added) != JSON_ARRAY)
        return err_file(e, ERR_REFUSED, f->path, "added_tokens is not an array");
    return OK;
}
