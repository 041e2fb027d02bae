#include "report/model_out.h"

#include <stdio.h>
#include <string.h>

const char *model_activation(enum activation a) {
    static const char *const names[] = {[GELU_TANH] = "GELU, tanh form",
                                        [GELU_ERF] = "GELU, erf form",
                                        [RELU] = "ReLU",
                                        [SILU] = "SiLU"};
    return names[a];
}

static void put_field(struct json_out *j, const struct config_field *f,
                      const struct gpt2_config *c) {
    switch (f->kind) {
    case CONFIG_SIZE: json_put_uint(j, f->json, config_size(c, f)); break;
    case CONFIG_REAL: json_put_float(j, f->json, (float)config_real(c, f)); break;
    case CONFIG_SWITCH: json_put_bool(j, f->json, config_real(c, f) > 0); break;
    default: json_put_cstr(j, f->json, f->choices[(size_t)config_real(c, f)]);
    }
}

void json_put_model(struct json_out *j, const char *key, const struct checkpoint *c,
                    const char *sha256) {
    const struct gpt2_config *s = &c->weights.config;
    const struct config_field *f;
    json_put_object(j, key);
    json_put_cstr(j, "file", c->path);
    if (sha256) json_put_cstr(j, "sha256", sha256);
    json_put_cstr(j, "name", c->name);
    json_put_cstr(j, "format", c->format);
    json_put_uint(j, "file_bytes", c->file_bytes);
    json_put_uint(j, "parameters", gpt2_parameters(&c->weights));
    for (int place = 1; (f = config_json_field(place)); place++) {
        put_field(j, f, s);
        if (f == &gpt2_fields[CONFIG_n_head]) json_put_uint(j, "head_dim", s->n_embd / s->n_head);
    }
    json_put_bool(j, "tied", c->weights.tied);
    json_put_bool(j, "biases", !c->weights.no_biases);
    json_put_close(j);
}

/* Does the list "q4_K, q6_K" name this type? */
static bool names_type(const char *types, const char *type) {
    const size_t n = strlen(type);
    for (const char *s = types; (s = strstr(s, type)) != NULL; s += n)
        if ((s == types || s[-1] == ' ') && (!s[n] || s[n] == ',')) return true;
    return false;
}

static void add(struct tensor_kind *k, const struct matrix *m) {
    const char *type = dtype_name(m->type);
    const size_t at = strlen(k->types);
    if (!names_type(k->types, type))
        snprintf(k->types + at, sizeof k->types - at, "%s%s", at ? ", " : "", type);
    k->type = !k->count || k->type == type ? type : "mixed";
    k->count++;
    k->rows = m->rows;
    k->cols = m->cols;
    k->bytes += matrix_bytes(m);
}

int model_tensor_kinds(const struct gpt2_weights *w, struct tensor_kind kinds[TENSOR_KINDS]) {
    static const char *const names[TENSOR_KINDS] = {
        "token_embd", "position_embd", "attn_qkv", "attn_output", "ffn_up", "ffn_down", "output"};
    for (int i = 0; i < TENSOR_KINDS; i++) kinds[i] = (struct tensor_kind){.name = names[i]};
    add(&kinds[0], &w->wte);
    add(&kinds[1], &w->wpe);
    for (size_t i = 0; i < w->config.n_layer; i++) {
        const struct gpt2_layer *l = &w->layers[i];
        add(&kinds[2], &l->qkv);
        add(&kinds[3], &l->proj);
        add(&kinds[4], &l->fc);
        add(&kinds[5], &l->fcproj);
    }
    if (!w->tied) add(&kinds[6], &w->head);
    return w->tied ? TENSOR_KINDS - 1 : TENSOR_KINDS;
}

void json_put_codebooks(struct json_out *j, const struct codebook *settings, size_t n) {
    json_put_array(j, "codebooks");
    for (size_t i = 0; i < n; i++) {
        const struct codebook *y = &settings[i];
        json_put_object(j, NULL);
        if (y->uneven)
            json_put_uint(j, "bytes", y->bytes);
        else
            json_put_uint(j, "m", y->m);
        json_put_uint(j, "k", y->k);
        json_put_bool(j, "learned", y->learned);
        json_put_bool(j, "values", y->values);
        json_put_close(j);
    }
    json_put_close(j);
}
