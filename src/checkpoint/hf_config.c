/* Reads config.json. Every setting that would change the arithmetic is checked; the others are
 * passed over. */
#include "checkpoint/hf_config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* Other names of activations: Transformers has several for the tanh form. */
static const struct {
    const char *name;
    enum activation activation;
} ALIASES[] = {{"gelu_pytorch_tanh", GELU_TANH}, {"gelu_fast", GELU_TANH}, {"swish", SILU}};

static bool is_null(struct json *j) { return json_peek(j) == JSON_NULL && json_null(j); }

static void read_uint(struct json *j, uint64_t *out) {
    *out = HF_ABSENT;
    if (!is_null(j)) json_whole(j, out);
}

static void read_text(struct json *j, char out[32]) {
    struct json_str s;
    out[0] = 0;
    if (is_null(j) || !json_string(j, &s)) return;
    if (s.n >= 32) s = (struct json_str){"(a long name)", 13};
    out[json_decode(s, out)] = 0;
}

static void read_switch(struct json *j, struct hf_value *v) {
    bool on = false;
    v->given = !is_null(j) && json_bool(j, &on);
    v->real = on;
}

static void read_value(struct json *j, enum config_kind kind, struct hf_value *v) {
    *v = (struct hf_value){.size = HF_ABSENT};
    switch (kind) {
    case CONFIG_SIZE:
        read_uint(j, &v->size);
        v->given = v->size != HF_ABSENT;
        break;
    case CONFIG_SWITCH: read_switch(j, v); break;
    case CONFIG_REAL: v->given = !is_null(j) && json_double(j, &v->real) && !isnan(v->real); break;
    default: read_text(j, v->text); v->given = *v->text;
    }
}

static void read_bool(struct json *j, bool *out) {
    if (!is_null(j)) json_bool(j, out);
}

/* A token id, or a list of them, of which the first counts. */
static void read_token(struct json *j, uint64_t *out) {
    if (json_peek(j) != JSON_ARRAY) {
        read_uint(j, out);
        return;
    }
    json_enter_array(j);
    for (size_t i = 0; json_next_item(j); i++) {
        uint64_t id;
        if (json_whole(j, &id) && i == 0) *out = id;
    }
}

/* Reads the value of a field of the configuration; false where the key is none. */
static bool read_config_field(struct hf_config *c, struct json *j, struct json_str key) {
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        for (size_t k = 0; k < HF_NAMES; k++)
            if (gpt2_fields[i].hf[k] && json_is(key, gpt2_fields[i].hf[k])) {
                read_value(j, gpt2_fields[i].kind, &c->field[i][k]);
                return true;
            }
    return false;
}

static void read_field(struct hf_config *c, struct json *j, struct json_str key) {
    bool tie;
    if (read_config_field(c, j, key)) return;
    if (json_is(key, "n_ctx"))
        read_uint(j, &c->n_ctx);
    else if (json_is(key, "bos_token_id"))
        read_token(j, &c->bos);
    else if (json_is(key, "eos_token_id"))
        read_token(j, &c->eos);
    else if (json_is(key, "model_type"))
        read_text(j, c->model_type);
    else if (json_is(key, "add_cross_attention"))
        read_bool(j, &c->cross_attention);
    else if (json_is(key, "tie_word_embeddings")) {
        if (is_null(j) || !json_bool(j, &tie)) return;
        c->tied = tie;
        c->untied = !tie;
    } else
        json_skip(j);
}

static int read_fields(struct hf_config *c, const struct file *f, struct err *e) {
    struct json j = json_open_lenient(f->data, f->size, 32);
    struct json_str key;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        read_field(c, &j, key);
        if (j.error)
            return err_file(e, ERR_REFUSED, f->path, "\"%.*s\", byte %zu: %s",
                            key.n < 40 ? (int)key.n : 40, key.s, j.error_at, j.error);
    }
    return json_end(&j) ? OK
                        : err_file(e, ERR_REFUSED, f->path, "byte %zu: %s", j.error_at, j.error);
}

/* Each size is what any of its names says; where two say different things, neither is believed. */
static int settle_sizes(struct hf_config *c, const char *path, struct err *e) {
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        struct hf_value *own = &c->field[i][HF_OWN], *other = &c->field[i][HF_OTHER];
        if (gpt2_fields[i].kind != CONFIG_SIZE || !other->given) continue;
        if (own->given && own->size != other->size)
            return err_file(e, ERR_REFUSED, path,
                            "%s is %llu, but %s, another name of the same number, is %llu",
                            gpt2_fields[i].hf[HF_OWN], (unsigned long long)own->size,
                            gpt2_fields[i].hf[HF_OTHER], (unsigned long long)other->size);
        *own = *other;
    }
    return OK;
}

uint64_t hf_config_size(const struct hf_config *c, enum config_number field) {
    return c->field[field][HF_OWN].size;
}

int hf_config_read(struct hf_config *c, const char *path, struct err *e) {
    *c = (struct hf_config){.n_ctx = HF_ABSENT, .bos = HF_ABSENT, .eos = HF_ABSENT};
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        for (size_t k = 0; k < HF_NAMES; k++) c->field[i][k].size = HF_ABSENT;
    int rc = OK;
    c->found = file_exists(path);
    if (c->found) {
        struct file f;
        rc = file_map(&f, path, e);
        if (rc) return rc;
        rc = read_fields(c, &f, e);
        file_unmap(&f);
    }
    if (!rc) rc = settle_sizes(c, path, e);
    struct hf_value *positions = &c->field[CONFIG_n_ctx][HF_OWN];
    if (!positions->given)
        *positions = (struct hf_value){.given = c->n_ctx != HF_ABSENT, .size = c->n_ctx};
    return rc;
}

/* The value that a text stands for, or -1. */
static int choice_of(size_t field, const char *text) {
    for (size_t i = 0; field == CONFIG_activation && i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (strcmp(text, ALIASES[i].name) == 0) return ALIASES[i].activation;
    return config_choice(&gpt2_fields[field], text, strlen(text));
}

/* A field that is no size, from GPT-2's own name for it. */
static double value_of(const struct hf_config *c, size_t field) {
    const struct hf_value *own = &c->field[field][HF_OWN];
    const struct config_field *f = &gpt2_fields[field];
    if (!own->given) return f->absent;
    if (f->kind == CONFIG_SWITCH) return f->hf_negated ? 1 - own->real : own->real;
    return f->kind == CONFIG_REAL ? own->real : choice_of(field, own->text);
}

void hf_config_take(const struct hf_config *c, struct gpt2_config *to) {
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind != CONFIG_SIZE)
            config_set_real(to, &gpt2_fields[i], value_of(c, i));
}

/* GPT2Config passes over the names that other models have for fields that are no sizes, so a file
 * that has only those may be meant in two ways: they must say what GPT-2's own names say, or what
 * GPT-2 is without them. */
static int check_other_name(const struct hf_config *c, size_t field, const char *path,
                            struct err *e) {
    const struct config_field *f = &gpt2_fields[field];
    const struct hf_value *own = &c->field[field][HF_OWN], *other = &c->field[field][HF_OTHER];
    const char *absent = own->given ? "" : " as it is not there";
    const double x = value_of(c, field);
    if (!other->given) return OK;
    if (f->kind == CONFIG_REAL)
        return other->real == x
                   ? OK
                   : err_file(e, ERR_REFUSED, path, "%s is %g, but %s, which GPT-2 reads, is %g%s",
                              f->hf[HF_OTHER], other->real, f->hf[HF_OWN], x, absent);
    if (choice_of(field, other->text) == (int)x) return OK;
    return err_file(e, ERR_REFUSED, path, "%s is \"%s\", but %s, which GPT-2 reads, is \"%s\"%s",
                    f->hf[HF_OTHER], other->text, f->hf[HF_OWN],
                    own->given ? own->text : f->choices[(int)x], absent);
}

static int check_choice(const struct hf_config *c, size_t field, const char *path, struct err *e) {
    const struct config_field *f = &gpt2_fields[field];
    const struct hf_value *own = &c->field[field][HF_OWN];
    if (!own->given || choice_of(field, own->text) >= 0) return OK;
    return err_file(e, ERR_REFUSED, path, "%s is \"%s\", expected %s", f->hf[HF_OWN], own->text,
                    config_choices(f).s);
}

static int check_real(const struct hf_config *c, size_t field, const char *path, struct err *e) {
    const struct config_field *f = &gpt2_fields[field];
    const struct hf_value *own = &c->field[field][HF_OWN];
    if (!own->given || (own->real > 0 && own->real < (double)f->most)) return OK;
    return err_file(e, ERR_REFUSED, path, "%s is %g, expected a number between 0 and %zu",
                    f->hf[HF_OWN], own->real, f->most);
}

/* One check of every field of a kind; the first that fails says so. */
static int check_fields(const struct hf_config *c, enum config_kind kind,
                        int (*check)(const struct hf_config *, size_t, const char *, struct err *),
                        const char *path, struct err *e) {
    int rc = OK;
    for (size_t i = 0; !rc && i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind == kind) rc = check(c, i, path, e);
    return rc;
}

int hf_config_check(const struct hf_config *c, const char *path, struct err *e) {
    if (*c->model_type && strcmp(c->model_type, "gpt2") != 0)
        return err_file(e, ERR_REFUSED, path, "model_type is \"%s\", expected \"gpt2\"",
                        c->model_type);
    int rc = check_fields(c, CONFIG_CHOICE, check_choice, path, e);
    if (rc) return rc;
    if (c->cross_attention)
        return err_file(e, ERR_REFUSED, path,
                        "add_cross_attention is true, which is not supported");
    rc = check_fields(c, CONFIG_REAL, check_real, path, e);
    if (!rc) rc = check_fields(c, CONFIG_REAL, check_other_name, path, e);
    if (!rc) rc = check_fields(c, CONFIG_CHOICE, check_other_name, path, e);
    return rc;
}
