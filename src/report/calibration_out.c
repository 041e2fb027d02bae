#include "report/calibration_out.h"

#include <string.h>

#include "base/printable.h"
#include "report/model_out.h"
#include "report/text.h"

static bool any_uneven(const struct calibration_report *r) {
    bool any = false;
    for (size_t i = 0; i < r->learned; i++) any = any || r->book->books[i].uneven;
    return any;
}

static size_t head_bytes(const struct book *b, const struct codebook *y, size_t layer,
                         size_t head) {
    return lookup_row_bytes(y->heads[layer * b->n_head + head].n, y->k);
}

/* The numbers of all rows of a layer, over which errors are means. */
static double numbers(const struct calibration_report *r) {
    return (double)(r->book->n_head * r->book->head_dim * r->rows);
}

/* A setting's errors in one layer, or (layer == L) their sums over all. */
static struct learn_error errors_of(const struct calibration_report *r, size_t setting,
                                    size_t layer) {
    size_t L = r->book->n_layer;
    const struct learn_error *y = r->errors + setting * L;
    if (layer < L) return y[layer];
    struct learn_error sum = {0, 0, 0};
    for (size_t l = 0; l < L; l++) {
        sum.squared += y[l].squared;
        sum.variance += y[l].variance;
        sum.keys += y[l].keys;
    }
    return sum;
}

/* ---- text ---- */

/* The bytes of each head of the uneven settings, a row for each layer. */
static int codes_text(const struct calibration_report *r, struct arena *arena, FILE *fp,
                      struct err *e) {
    const struct book *b = r->book;
    struct text_table t;
    char align[1 + BOOK_SETTINGS + 1] = {0}, name[64];
    size_t columns = 0;
    for (size_t i = 0; i < r->learned; i++) columns += b->books[i].uneven;
    memset(align, 'r', 1 + columns);
    table_begin(&t, align, arena);
    table_cell(&t, "layer");
    for (size_t i = 0; i < r->learned; i++) {
        codebook_name(&b->books[i], false, name, sizeof name);
        if (b->books[i].uneven) table_cell(&t, "%s", name);
    }
    for (size_t l = 0; l < b->n_layer; l++) {
        table_cell(&t, "%zu", l);
        for (size_t i = 0; i < r->learned; i++) {
            char text[512] = "";
            size_t at = 0;
            if (!b->books[i].uneven) continue;
            for (size_t h = 0; h < b->n_head && at < sizeof text; h++)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%zu", h ? " " : "",
                                       head_bytes(b, &b->books[i], l, h));
            table_cell(&t, "%s", text);
        }
    }
    fprintf(fp, "\nbytes of a row, head after head\n");
    t.one_row = true;
    return table_print(&t, fp, e);
}

static void search_text(const struct calibration_report *r, FILE *fp) {
    for (size_t i = 0; i < r->book->n_tried; i++)
        fprintf(fp, "%s\n", printable_copy(r->book->tried[i]).s);
    fputc('\n', fp);
    for (size_t i = 0; i < BOOK_WORDS; i++) {
        const struct search_trial *t = search_chosen(r->search, (enum book_word)i);
        fprintf(fp, "%-12s  %s\n", book_word_name((enum book_word)i),
                t ? t->spec : "none: no cache that was tried stays below the bound");
    }
}

/* Per layer, and over all: the mean squared error of one number of a key, and its share of the
 * keys' variance. */
static int errors_text(const struct calibration_report *r, struct arena *arena, FILE *fp,
                       struct err *e) {
    const struct book *b = r->book;
    struct text_table t;
    char align[2 + 2 * BOOK_SETTINGS + 1] = {0};
    memset(align, 'r', 2 + 2 * r->learned);
    table_begin(&t, align, arena);
    table_cell(&t, "layer");
    table_cell(&t, "variance");
    for (size_t i = 0; i < r->learned; i++) {
        char name[64];
        codebook_name(&b->books[i], false, name, sizeof name);
        table_cell(&t, "%s", name);
        table_cell(&t, "share");
    }
    for (size_t l = 0; l <= b->n_layer; l++) {
        bool all = l == b->n_layer;
        double n = numbers(r) * (double)(all ? b->n_layer : 1);
        if (all)
            table_cell(&t, "all");
        else
            table_cell(&t, "%zu", l);
        for (size_t i = 0; i < r->learned; i++) {
            struct learn_error y = errors_of(r, i, l);
            if (i == 0) table_cell(&t, "%.4g", y.keys / n);
            table_cell(&t, "%.4g", y.squared / n);
            table_cell(&t, "%.1f %%", y.variance > 0 ? 100 * y.squared / y.variance : 0);
        }
    }
    fprintf(fp,
            "mean squared error of a number of a key, and its share of the variance (%s keys a "
            "head, of %s tokens)\n",
            text_count(b->samples).s, text_count(b->tokens).s);
    t.one_row = true; /* a layer's figures stand side by side */
    return table_print(&t, fp, e);
}

int calibration_put_text(const struct calibration_report *r, FILE *fp, struct err *e) {
    struct arena arena = {0};
    int rc = OK;
    if (r->search)
        search_text(r, fp);
    else
        rc = errors_text(r, &arena, fp, e);
    if (!rc && any_uneven(r)) rc = codes_text(r, &arena, fp, e);
    arena_free(&arena);
    return rc;
}

/* ---- JSON ---- */

static void error_json(struct json_out *j, const struct calibration_report *r, size_t setting,
                       size_t layer) {
    bool all = layer == r->book->n_layer;
    struct learn_error y = errors_of(r, setting, layer);
    double n = numbers(r) * (double)(all ? r->book->n_layer : 1);
    json_put_object(j, all ? "all" : NULL);
    if (!all) json_put_uint(j, "layer", layer);
    json_put_double(j, "variance", y.keys / n);
    json_put_double(j, "squared_error", y.squared / n);
    json_put_double(j, "share", y.variance > 0 ? y.squared / y.variance : 0);
    json_put_close(j);
}

static void setting_json(struct json_out *j, const struct calibration_report *r, size_t setting) {
    const struct book *b = r->book;
    const struct codebook *y = &b->books[setting];
    char name[64];
    codebook_name(y, true, name, sizeof name);
    json_put_object(j, NULL);
    json_put_cstr(j, "codec", name);
    json_put_array(j, "layers");
    for (size_t l = 0; l < b->n_layer; l++) error_json(j, r, setting, l);
    json_put_close(j);
    error_json(j, r, setting, b->n_layer);
    if (!y->uneven)
        json_put_null(j, "head_bytes");
    else {
        json_put_array(j, "head_bytes");
        for (size_t l = 0; l < b->n_layer; l++) {
            json_put_array(j, NULL);
            for (size_t h = 0; h < b->n_head; h++) json_put_uint(j, NULL, head_bytes(b, y, l, h));
            json_put_close(j);
        }
        json_put_close(j);
    }
    json_put_close(j);
}

static void trials_json(struct json_out *j, const struct search *s) {
    if (!s) {
        json_put_null(j, "trials");
        return;
    }
    json_put_array(j, "trials");
    for (size_t i = 0; i < s->n; i++) {
        const struct search_trial *t = &s->trials[i];
        json_put_object(j, NULL);
        json_put_cstr(j, "attn", t->spec);
        json_put_array(j, "kl");
        json_put_double(j, NULL, t->damage.kl);
        json_put_double(j, NULL, t->damage.kl_error);
        json_put_close(j);
        json_put_array(j, "ratio");
        json_put_double(j, NULL, t->damage.ratio);
        json_put_double(j, NULL, t->damage.ratio_error);
        json_put_close(j);
        json_put_uint(j, "streamed_bytes_per_token", t->streamed);
        json_put_uint(j, "loaded_bytes_per_token", t->loaded);
        json_put_uint(j, "stored_bytes_per_token", t->stored);
        json_put_close(j);
    }
    json_put_close(j);
}

void calibration_put_json(const struct calibration_report *r, FILE *fp) {
    const struct book *b = r->book;
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.calibrate/1");
    json_put_model(&j, "model", r->model, NULL);
    json_put_cstr(&j, "file", r->file);
    json_put_uint(&j, "tokens", b->tokens);
    json_put_uint(&j, "samples", b->samples);
    json_put_uint(&j, "seed", b->seed);
    json_put_codebooks(&j, b->books, b->n);
    json_put_array(&j, "settings");
    for (size_t i = 0; i < r->learned; i++) setting_json(&j, r, i);
    json_put_close(&j);
    json_put_cstr(&j, "recommended", b->words[BOOK_RECOMMENDED]);
    json_put_cstr(&j, "small", b->words[BOOK_SMALL]);
    trials_json(&j, r->search);
    json_put_close(&j);
}
