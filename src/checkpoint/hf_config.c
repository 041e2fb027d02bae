#include "checkpoint/hf_config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* The three tanh forms are one function under three names; "gelu" is the erf form. */
static const char *const TANH_FORMS[] = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"};

static bool is_null(struct json *j) { return json_peek(j) == JSON_NULL && json_null(j); }

static void read_uint(struct json *j, uint64_t *out) {
    if (!is_null(j)) json_uint(j, out);
}

static void read_bool(struct json *j, bool *out) {
    if (!is_null(j)) json_bool(j, out);
}

static void read_text(struct json *j, char out[32]) {
    struct json_str s;
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
        if (json_uint(j, &id) && i == 0) *out = id;
    }
}

static void read_field(struct hf_config *c, struct json *j, struct json_str key, uint64_t *n_ctx) {
    bool tie;
    if (json_is(key, "n_layer")) read_uint(j, &c->n_layer);
    else if (json_is(key, "n_head")) read_uint(j, &c->n_head);
    else if (json_is(key, "n_embd")) read_uint(j, &c->n_embd);
    else if (json_is(key, "n_inner")) read_uint(j, &c->n_inner);
    else if (json_is(key, "n_positions")) read_uint(j, &c->n_positions);
    else if (json_is(key, "n_ctx")) read_uint(j, n_ctx);
    else if (json_is(key, "vocab_size")) read_uint(j, &c->n_vocab);
    else if (json_is(key, "bos_token_id")) read_token(j, &c->bos);
    else if (json_is(key, "eos_token_id")) read_token(j, &c->eos);
    else if (json_is(key, "model_type")) read_text(j, c->model_type);
    else if (json_is(key, "activation_function")) read_text(j, c->activation);
    else if (json_is(key, "scale_attn_weights")) read_bool(j, &c->scale_attn_weights);
    else if (json_is(key, "scale_attn_by_inverse_layer_idx")) read_bool(j, &c->scale_by_layer);
    else if (json_is(key, "add_cross_attention")) read_bool(j, &c->cross_attention);
    else if (json_is(key, "tie_word_embeddings")) {
        if (is_null(j) || !json_bool(j, &tie)) return;
        c->tied = tie;
        c->untied = !tie;
    } else if (json_is(key, "layer_norm_epsilon")) {
        if (!is_null(j)) json_double(j, &c->norm_eps);
    } else
        json_skip(j);
}

int hf_config_read(struct hf_config *c, const char *path, struct err *e) {
    *c = (struct hf_config){.n_layer = HF_ABSENT, .n_head = HF_ABSENT, .n_embd = HF_ABSENT, .n_inner = HF_ABSENT, .n_positions = HF_ABSENT,
                            .n_vocab = HF_ABSENT, .norm_eps = NAN, .scale_attn_weights = true, .bos = HF_ABSENT, .eos = HF_ABSENT};
    if (!file_exists(path)) return OK;
    struct file f;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    c->found = true;
    uint64_t n_ctx = HF_ABSENT;
    struct json j = json_open(f.data, f.size, 32);
    struct json_str key;
    json_enter_object(&j);
    while (json_next_key(&j, &key)) read_field(c, &j, key, &n_ctx);
    if (!json_end(&j)) rc = err_file(e, ERR_REFUSED, path, "byte %zu: %s", j.error_at, j.error);
    if (c->n_positions == HF_ABSENT) c->n_positions = n_ctx;
    file_unmap(&f);
    return rc;
}

bool hf_config_is_erf(const struct hf_config *c) { return strcmp(c->activation, "gelu") == 0; }

static bool known_activation(const char *name) {
    if (!*name || strcmp(name, "gelu") == 0) return true;
    for (size_t i = 0; i < sizeof TANH_FORMS / sizeof *TANH_FORMS; i++)
        if (strcmp(name, TANH_FORMS[i]) == 0) return true;
    return false;
}

int hf_config_check(const struct hf_config *c, const char *path, struct err *e) {
    if (*c->model_type && strcmp(c->model_type, "gpt2") != 0)
        return err_file(e, ERR_REFUSED, path, "model_type is \"%s\", expected \"gpt2\"", c->model_type);
    if (!known_activation(c->activation))
        return err_file(e, ERR_REFUSED, path, "activation_function is \"%s\", expected \"gelu_new\" or \"gelu\"", c->activation);
    if (c->scale_by_layer) return err_file(e, ERR_REFUSED, path, "scale_attn_by_inverse_layer_idx is true, which is not supported");
    if (!c->scale_attn_weights) return err_file(e, ERR_REFUSED, path, "scale_attn_weights is false, which is not supported");
    if (c->cross_attention) return err_file(e, ERR_REFUSED, path, "add_cross_attention is true, which is not supported");
    if (!isnan(c->norm_eps) && !(c->norm_eps > 0 && c->norm_eps < 1))
        return err_file(e, ERR_REFUSED, path, "layer_norm_epsilon is %g, expected a number between 0 and 1", c->norm_eps);
    return OK;
}
