/* The explanation for programs: every number in full, of every token, as one object. */
#include "report/explain_out.h"
#include "report/model_out.h"

static void floats(struct json_out *j, const char *key, const float *x, size_t n) {
    json_put_array(j, key);
    for (size_t i = 0; i < n; i++) json_put_float(j, NULL, x[i]);
    json_put_close(j);
}

static void tables(struct json_out *j, const struct explained *x) {
    if (!x->z) {
        json_put_null(j, "tables");
        return;
    }
    json_put_object(j, "tables");
    json_put_float(j, "common", x->common);
    json_put_array(j, "entries");
    for (size_t i = 0; i < x->z->n; i++) floats(j, NULL, x->table + i * x->z->k, x->z->k);
    json_put_close(j);
    json_put_close(j);
}

static void token(struct json_out *j, const struct explained *x, size_t i) {
    const struct one_query *y = x->y;
    json_put_object(j, NULL);
    json_put_int(j, "id", x->ids[i]);
    json_put_text(j, "text", x->bytes + x->at[i], x->at[i + 1] - x->at[i]);
    floats(j, "key", y->keys + i * y->head_dim, y->head_dim);
    floats(j, "value", y->values + i * y->head_dim, y->head_dim);
    if (x->z) {
        json_put_array(j, "codes");
        for (size_t k = 0; k < x->z->n; k++) json_put_uint(j, NULL, x->codes[i * x->z->n + k]);
        json_put_close(j);
    } else
        json_put_null(j, "codes");
    json_put_bool(j, "read_exactly", y->picked[i]);
    json_put_float(j, "score", y->other.scores[i]);
    json_put_float(j, "exact_score", y->exact.scores[i]);
    json_put_float(j, "weight", y->other.probs[i]);
    json_put_float(j, "exact_weight", y->exact.probs[i]);
    json_put_close(j);
}

void explain_put_json(const struct explained *x, FILE *fp) {
    const struct one_query *y = x->y;
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.explain/1");
    json_put_model(&j, "model", x->model, NULL);
    json_put_cstr(&j, "attn", x->attn);
    json_put_cstr(&j, "keys", x->keys);
    json_put_cstr(&j, "values", x->values);
    json_put_uint(&j, "layer", y->layer);
    json_put_uint(&j, "head", y->head);
    json_put_bool(&j, "furthest", x->furthest);
    json_put_uint(&j, "key_bytes", x->key_bytes);
    json_put_uint(&j, "fp16_key_bytes", x->exact_bytes);
    floats(&j, "query", y->q, y->head_dim);
    tables(&j, x);
    json_put_array(&j, "tokens");
    for (size_t i = 0; i < y->n; i++) token(&j, x, i);
    json_put_close(&j);
    floats(&j, "output", y->other.out, y->head_dim);
    floats(&j, "exact_output", y->exact.out, y->head_dim);
    json_put_double(&j, "moved_weight", explain_moved(x));
    json_put_double(&j, "output_off", explain_off(x));
    json_put_double(&j, "cosine", y->cosine);
    json_put_close(&j);
}
