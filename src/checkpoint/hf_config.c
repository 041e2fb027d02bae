/* Reads config.json. Every setting that would change the arithmetic is checked; the others are
 * passed over. */
#include "checkpoint/hf_config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* The three tanh forms are one function under three names; "gelu" is the erf form. */
static const char *const TANH_FORMS[] = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"};

/* The names of one number: GPT-2's own, then those that transformers takes for it too (GPT2Config's
 * attribute_map) and that configs of other models have. */
enum { NAMES = 2 };
static const struct size_field {
    const char *names[NAMES];
    size_t at; /* in struct hf_config */
} SIZES[] = {
    {{"n_layer", "num_hidden_layers"}, offsetof(struct hf_config, n_layer)},
    {{"n_head", "num_attention_heads"}, offsetof(struct hf_config, n_head)},
    {{"n_embd", "hidden_size"}, offsetof(struct hf_config, n_embd)},
    {{"n_inner", "intermediate_size"}, offsetof(struct hf_config, n_inner)},
    {{"n_positions", "max_position_embeddings"}, offsetof(struct hf_config, n_positions)},
    {{"vocab_size", "n_vocab"}, offsetof(struct hf_config, n_vocab)},
};
enum { N_SIZES = sizeof SIZES / sizeof *SIZES };

struct sizes {
    uint64_t value[N_SIZES][NAMES]; /* under each name */
};

static bool is_null(struct json *j) { return json_peek(j) == JSON_NULL && json_null(j); }

static void read_uint(struct json *j, uint64_t *out) {
    *out = HF_ABSENT;
    if (!is_null(j)) json_whole(j, out);
}

static void read_double(struct json *j, double *out) {
    *out = NAN;
    if (!is_null(j)) json_double(j, out);
}

static void read_bool(struct json *j, bool *out) {
    if (!is_null(j)) json_bool(j, out);
}

static void read_text(struct json *j, char out[32]) {
    struct json_str s;
    out[0] = 0;
    if (is_null(j) || !json_string(j, &s)) return;
    if (s.n >= 32) s = (struct json_str){"(a long name)", 13};
    out[json_decode(s, out)] = 0;
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

/* Where a size under this name goes; NULL where the key is none. */
static uint64_t *find_size(struct sizes *s, struct json_str key) {
    for (size_t i = 0; i < N_SIZES; i++)
        for (size_t k = 0; k < NAMES; k++)
            if (json_is(key, SIZES[i].names[k])) return &s->value[i][k];
    return NULL;
}

static void read_field(struct hf_config *c, struct json *j, struct json_str key,
                       struct sizes *sizes) {
    bool tie;
    uint64_t *size = find_size(sizes, key);
    if (size)
        read_uint(j, size);
    else if (json_is(key, "n_ctx"))
        read_uint(j, &c->n_ctx);
    else if (json_is(key, "bos_token_id"))
        read_token(j, &c->bos);
    else if (json_is(key, "eos_token_id"))
        read_token(j, &c->eos);
    else if (json_is(key, "model_type"))
        read_text(j, c->model_type);
    else if (json_is(key, "activation_function"))
        read_text(j, c->activation);
    else if (json_is(key, "hidden_act"))
        read_text(j, c->other_activation);
    else if (json_is(key, "layer_norm_epsilon"))
        read_double(j, &c->norm_eps);
    else if (json_is(key, "layer_norm_eps"))
        read_double(j, &c->other_norm_eps);
    else if (json_is(key, "scale_attn_weights"))
        read_bool(j, &c->scale_attn_weights);
    else if (json_is(key, "scale_attn_by_inverse_layer_idx"))
        read_bool(j, &c->scale_by_layer);
    else if (json_is(key, "add_cross_attention"))
        read_bool(j, &c->cross_attention);
    else if (json_is(key, "tie_word_embeddings")) {
        if (is_null(j) || !json_bool(j, &tie)) return;
        c->tied = tie;
        c->untied = !tie;
    } else
        json_skip(j);
}

static int read_fields(struct hf_config *c, const struct file *f, struct sizes *sizes,
                       struct err *e) {
    struct json j = json_open_lenient(f->data, f->size, 32);
    struct json_str key;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        read_field(c, &j, key, sizes);
        if (j.error)
            return err_file(e, ERR_REFUSED, f->path, "\"%.*s\", byte %zu: %s",
                            key.n < 40 ? (int)key.n : 40, key.s, j.error_at, j.error);
    }
    return json_end(&j) ? OK
                        : err_file(e, ERR_REFUSED, f->path, "byte %zu: %s", j.error_at, j.error);
}

/* Each size is what any of its names says; where two say different things, neither is believed. */
static int settle_sizes(struct hf_config *c, const struct sizes *sizes, const char *path,
                        struct err *e) {
    for (size_t i = 0; i < N_SIZES; i++) {
        uint64_t own = sizes->value[i][0], other = sizes->value[i][1],
                 *out = (uint64_t *)(void *)((char *)c + SIZES[i].at);
        if (own != HF_ABSENT && other != HF_ABSENT && own != other)
            return err_file(e, ERR_REFUSED, path,
                            "%s is %llu, but %s, another name of the same number, is %llu",
                            SIZES[i].names[0], (unsigned long long)own, SIZES[i].names[1],
                            (unsigned long long)other);
        *out = own != HF_ABSENT ? own : other;
    }
    return OK;
}

int hf_config_read(struct hf_config *c, const char *path, struct err *e) {
    struct sizes sizes;
    for (size_t i = 0; i < N_SIZES; i++)
        for (size_t k = 0; k < NAMES; k++) sizes.value[i][k] = HF_ABSENT;
    *c = (struct hf_config){.n_ctx = HF_ABSENT,
                            .norm_eps = NAN,
                            .other_norm_eps = NAN,
                            .scale_attn_weights = true,
                            .bos = HF_ABSENT,
                            .eos = HF_ABSENT};
    int rc = OK;
    c->found = file_exists(path);
    if (c->found) {
        struct file f;
        rc = file_map(&f, path, e);
        if (rc) return rc;
        rc = read_fields(c, &f, &sizes, e);
        file_unmap(&f);
    }
    if (!rc) rc = settle_sizes(c, &sizes, path, e);
    if (c->n_positions == HF_ABSENT) c->n_positions = c->n_ctx;
    return rc;
}

bool hf_config_is_erf(const struct hf_config *c) { return strcmp(c->activation, "gelu") == 0; }

static bool is_tanh_form(const char *name) {
    for (size_t i = 0; i < sizeof TANH_FORMS / sizeof *TANH_FORMS; i++)
        if (strcmp(name, TANH_FORMS[i]) == 0) return true;
    return false;
}

/* GPT2Config passes over the names that other models have for these two, so a file that has only
 * those may be meant in two ways: they must say what GPT-2's own names say, or what GPT-2 is
 * without them. */
static int check_other_names(const struct hf_config *c, const char *path, struct err *e) {
    const double eps = isnan(c->norm_eps) ? 1e-5 : c->norm_eps;
    const bool own_tanh = !hf_config_is_erf(c), other_tanh = is_tanh_form(c->other_activation);
    if (!isnan(c->other_norm_eps) && c->other_norm_eps != eps)
        return err_file(e, ERR_REFUSED, path,
                        "layer_norm_eps is %g, but layer_norm_epsilon, which GPT-2 reads, is %g%s",
                        c->other_norm_eps, eps, isnan(c->norm_eps) ? " as it is not there" : "");
    if (!*c->other_activation || (own_tanh ? other_tanh : strcmp(c->other_activation, "gelu") == 0))
        return OK;
    return err_file(e, ERR_REFUSED, path,
                    "hidden_act is \"%s\", but activation_function, which GPT-2 reads, is \"%s\"%s",
                    c->other_activation, *c->activation ? c->activation : "gelu_new",
                    *c->activation ? "" : " as it is not there");
}

int hf_config_check(const struct hf_config *c, const char *path, struct err *e) {
    if (*c->model_type && strcmp(c->model_type, "gpt2") != 0)
        return err_file(e, ERR_REFUSED, path, "model_type is \"%s\", expected \"gpt2\"",
                        c->model_type);
    if (*c->activation && !hf_config_is_erf(c) && !is_tanh_form(c->activation))
        return err_file(e, ERR_REFUSED, path,
                        "activation_function is \"%s\", expected \"gelu_new\" or \"gelu\"",
                        c->activation);
    if (c->scale_by_layer)
        return err_file(e, ERR_REFUSED, path,
                        "scale_attn_by_inverse_layer_idx is true, which is not supported");
    if (!c->scale_attn_weights)
        return err_file(e, ERR_REFUSED, path,
                        "scale_attn_weights is false, which is not supported");
    if (c->cross_attention)
        return err_file(e, ERR_REFUSED, path,
                        "add_cross_attention is true, which is not supported");
    if (!isnan(c->norm_eps) && !(c->norm_eps > 0 && c->norm_eps < 1))
        return err_file(e, ERR_REFUSED, path,
                        "layer_norm_epsilon is %g, expected a number between 0 and 1", c->norm_eps);
    return check_other_names(c, path, e);
}
