#include "cli/explain_text.h"

#include <string.h>

#include "attention/code_rows.h"
#include "attention/spec.h"
#include "base/out_file.h"
#include "cli/book.h"
#include "cli/engine.h"
#include "cli/output.h"
#include "report/explain_out.h"

struct explain_job {
    const struct args *args;
    struct engine g;
    struct book book;
    const struct book *use; /* or NULL */
    const char *spec;
    int32_t *ids;
    size_t n;
    struct one_query y;
    struct explained x;
};

static int no_memory(struct err *e) {
    return err_set(e, ERR_FAILED, "out of memory for the explanation");
}

static int read_text(struct explain_job *j, struct err *e) {
    const char *text = j->args->prompt;
    size_t most = j->g.model.weights.config.n_ctx;
    if (!j->g.bpe)
        return err_set(e, ERR_USAGE, "the model has no tokenizer for the text: add -z TOKENIZER");
    int rc = bpe_encode(j->g.bpe, (const uint8_t *)text, strlen(text), false, &j->g.arena, &j->ids,
                        &j->n, e);
    if (!rc) rc = engine_check_ids(&j->g, "the text", j->ids, j->n, e);
    if (rc) return rc;
    if (!j->n) return err_set(e, ERR_USAGE, "-p: expected a text with a token at least");
    if (j->n > most)
        return err_set(e, ERR_USAGE, "-p: the text has %zu tokens, and the model's context is %zu",
                       j->n, most);
    return OK;
}

static int choose_head(struct explain_job *j, struct err *e) {
    const struct gpt2_config *g = &j->g.model.weights.config;
    int64_t layer = j->args->layer, head = j->args->head;
    if (layer >= (int64_t)g->n_layer)
        return err_set(e, ERR_USAGE, "--layer: expected a layer from 0 to %zu, got %lld",
                       g->n_layer - 1, (long long)layer);
    if (head >= (int64_t)g->n_head)
        return err_set(e, ERR_USAGE, "--head: expected a head from 0 to %zu, got %lld",
                       g->n_head - 1, (long long)head);
    j->y.layer = layer < 0 ? ONE_QUERY_ANY : (size_t)layer;
    j->y.head = head < 0 ? ONE_QUERY_ANY : (size_t)head;
    return OK;
}

/* What the tokens say. */
static int spell(struct explain_job *j, struct err *e) {
    size_t room = 1, len;
    size_t *at = arena_zalloc(&j->g.arena, j->n + 1, sizeof *at);
    for (size_t i = 0; i < j->n; i++) {
        bpe_token(j->g.bpe, j->ids[i], &len);
        room += len;
    }
    char *bytes = arena_alloc(&j->g.arena, room, 1);
    if (!at || !bytes) return no_memory(e);
    for (size_t i = 0; i < j->n; i++) {
        const uint8_t *s = bpe_token(j->g.bpe, j->ids[i], &len);
        memcpy(bytes + at[i], s, len);
        at[i + 1] = at[i] + len;
    }
    j->x.bytes = bytes;
    j->x.at = at;
    return OK;
}

/* The codes of the keys and the tables of the query, by the head's own quantiser. */
static int code(struct explain_job *j, const struct codec_head *h, struct err *e) {
    const struct quantiser *z = code_rows_quantiser(h);
    uint8_t *codes = arena_alloc(&j->g.arena, j->n * z->n, 1);
    float *table = arena_alloc(&j->g.arena, z->n * z->k + KV_BLOCK_MAX, sizeof *table);
    if (!codes || !table) return no_memory(e);
    quantiser_encode(j->g.k, z, codes, z->n, 1, j->y.keys, j->y.head_dim, j->n);
    j->x.common = quantiser_tables(j->g.k, z, table, j->y.q);
    j->x.z = z;
    j->x.codes = codes;
    j->x.table = table;
    return OK;
}

/* Fills what is said of the layer's codecs. `a` outlives the output: the quantiser is its. */
static int describe(struct explain_job *j, const struct attn *a, struct err *e) {
    const struct attn_layer *y = &a->layers[j->y.layer];
    char keys[256], values[256];
    struct codec_head h = {.kn = j->g.k,
                           .codec = &y->key,
                           .layer = j->y.layer,
                           .head = j->y.head,
                           .head_dim = j->y.head_dim};
    j->x.keys = arena_copy(&j->g.arena, keys, spec_format(&y->key, keys, sizeof keys));
    j->x.values = arena_copy(&j->g.arena, values, spec_format(&y->value, values, sizeof values));
    if (!j->x.keys || !j->x.values) return no_memory(e);
    j->x.model = &j->g.model;
    j->x.ids = j->ids;
    j->x.attn = j->spec;
    j->x.furthest = j->args->layer < 0 || j->args->head < 0;
    j->x.y = &j->y;
    j->x.key_bytes = y->key.ops->row_bytes(&y->key, j->y.head_dim, j->y.head);
    j->x.exact_bytes = 2 * j->y.head_dim;
    int rc = spell(j, e);
    return rc || !y->key.ops->codebooks ? rc : code(j, &h, e);
}

static int put(const struct explain_job *j, struct err *e) {
    struct out_file o;
    if (strcmp(j->args->format, "json") == 0)
        explain_put_json(&j->x, stdout);
    else
        explain_put_text(&j->x, stdout);
    if (!j->args->html) return OK;
    int rc = out_open(&o, j->args->html, true, e);
    if (rc) return rc;
    explain_put_html(&j->x, o.fp);
    return out_commit(&o, e);
}

static int explain(struct explain_job *j, struct err *e) {
    const struct gpt2_config *g = &j->g.model.weights.config;
    int rc = read_text(j, e);
    if (!rc) rc = choose_head(j, e);
    if (!rc)
        rc = model_book_open(&j->book, &j->use, j->args, &j->g.model, &j->spec, 1, &j->g.arena, e);
    if (rc) return rc;
    const struct one_query_setup setup = {.w = &j->g.model.weights,
                                          .kn = j->g.k,
                                          .book = j->use,
                                          .attn = j->spec,
                                          .ids = j->ids,
                                          .n = j->n};
    rc = one_query_measure(&setup, &j->y, &j->g.arena, e);
    struct attn_shape shape = {g->n_layer, g->n_head, g->n_embd / g->n_head, j->n};
    struct attn a;
    if (!rc) rc = attn_init(&a, &shape, j->spec, j->use, j->g.k, e);
    if (!rc) {
        rc = describe(j, &a, e);
        if (!rc) rc = put(j, e);
        attn_free(&a);
    }
    book_close(&j->book);
    return rc;
}

int explain_text(const struct args *args, struct err *e) {
    static struct explain_job j;
    j = (struct explain_job){.args = args};
    j.spec = args->attn.n ? args->attn.item[0] : option_default(CMD_EXPLAIN, "attn");
    int rc = args->html ? output_check(args, args->html, true, e) : OK;
    if (!rc) rc = engine_open(&j.g, args, e);
    if (rc) return rc;
    rc = explain(&j, e);
    engine_close(&j.g);
    return rc;
}
