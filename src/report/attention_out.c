#include "report/attention_out.h"

#include <math.h>

#include "attention/account.h"
#include "attention/skip.h"
#include "report/json_out.h"
#include "report/metrics.h"
#include "report/text.h"

/* NAN, in JSON null, where none was decoded. */
static double per_token(uint64_t bytes, size_t decoded) {
    return decoded ? (double)bytes / (double)decoded : NAN;
}

/* Probability of the rows that were not read, in the mean of a query and head. */
static double mean_mass(const struct attention_log *log, const struct attn_counters *c,
                        size_t layers) {
    return log->decoded ? (double)c->skipped_mass / SKIP_MASS_UNIT /
                              (double)(log->decoded * layers * log->n_head)
                        : NAN;
}

/* The parts that are counted, then their sum, and how the sum splits. */
enum { PARTS = 9 };
static const struct {
    const char *title, *json;
} part_names[PARTS] = {{"keys", "keys"},     {"scales", "scales"},     {"codebooks", "codebooks"},
                       {"tables", "tables"}, {"values", "values"},     {"refined", "refined"},
                       {"total", "total"},   {"streamed", "streamed"}, {"at hand", "at_hand"}};

static void parts_of(double per[PARTS], const struct attention_log *log,
                     const struct attn_counters *c) {
    struct account split = account_split(c, log->codebooks);
    const uint64_t parts[PARTS] = {c->keys,      c->scales,  c->codebooks,           c->tables,
                                   c->values,    c->refined, attn_counters_total(c), split.streamed,
                                   split.at_hand};
    for (size_t i = 0; i < PARTS; i++) per[i] = per_token(parts[i], log->decoded);
}

static void bytes_row(struct text_table *t, const struct attention_log *log,
                      const struct attn_counters *c) {
    double per[PARTS];
    parts_of(per, log, c);
    for (size_t i = 0; i < PARTS; i++) table_cell(t, "%s", text_count((uint64_t)(per[i] + 0.5)).s);
}

static int print_bytes(FILE *fp, const struct attention_log *log, struct arena *a, struct err *e) {
    struct attn_counters all = {0};
    struct text_table t;
    table_begin(&t, "rrrrrrrrrr", a);
    table_cell(&t, "layer");
    for (size_t i = 0; i < PARTS; i++) table_cell(&t, "%s", part_names[i].title);
    for (size_t l = 0; l < log->n_layer; l++) {
        table_cell(&t, "%zu", l);
        bytes_row(&t, log, &log->loaded[l]);
        attn_counters_add(&all, &log->loaded[l]);
    }
    table_cell(&t, "all");
    bytes_row(&t, log, &all);
    fprintf(fp, "\nbytes loaded by attention %s per decoded token (mean of %zu):\n", log->attn,
            log->decoded);
    int rc = table_print(&t, fp, e);
    if (!rc && all.skipped_rows)
        fprintf(fp,
                "values not read: %s rows per decoded token, %.2e of a query's probability in the "
                "mean\n",
                text_count((uint64_t)(per_token(all.skipped_rows, log->decoded) + 0.5)).s,
                mean_mass(log, &all, log->n_layer));
    return rc;
}

static int print_fidelity(FILE *fp, const struct attention_log *log, struct arena *a,
                          struct err *e) {
    struct text_table t;
    table_begin(&t, "rrrrr", a);
    table_cell(&t, "layer");
    for (size_t m = 0; m < FIDELITIES; m++) table_cell(&t, "%s", metric_of_shadow(m)->name);
    for (size_t l = 0; l < log->n_layer; l++) {
        table_cell(&t, "%zu", l);
        for (size_t m = 0; m < FIDELITIES; m++) {
            const struct moments *x = &log->fidelity[l * FIDELITIES + m];
            table_cell(&t, "%.4f", moments_mean(x));
        }
    }
    fprintf(fp,
            "\nfidelity of attention %s to fp16 on the same queries, keys and values (%llu queries "
            "of heads a layer):\n",
            log->attn, (unsigned long long)log->fidelity[0].n);
    return table_print(&t, fp, e);
}

int attention_log_print(FILE *fp, const struct attention_log *log, struct arena *a, struct err *e) {
    if (!log->decoded) {
        fprintf(fp,
                "\nattention %s: no token was decoded (the prompt alone foretells the first), so "
                "there is nothing to count\n",
                log->attn);
        return OK;
    }
    int rc = log->loaded ? print_bytes(fp, log, a, e) : OK;
    return rc || !log->fidelity ? rc : print_fidelity(fp, log, a, e);
}

void attention_log_json(FILE *fp, const struct attention_log *log) {
    struct json_out j;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.attention/1");
    json_put_cstr(&j, "attn", log->attn);
    json_put_uint(&j, "layers", log->n_layer);
    json_put_uint(&j, "decoded", log->decoded);
    json_put_close(&j);
    for (size_t l = 0; l < log->n_layer; l++) {
        json_put_begin(&j, fp);
        json_put_object(&j, NULL);
        json_put_uint(&j, "layer", l);
        if (log->loaded) {
            const struct attn_counters *c = &log->loaded[l];
            double per[PARTS];
            parts_of(per, log, c);
            json_put_object(&j, "loaded_bytes_per_token");
            for (size_t i = 0; i < PARTS; i++) json_put_double(&j, part_names[i].json, per[i]);
            json_put_close(&j);
            json_put_object(&j, "skipped_values");
            json_put_double(&j, "rows_per_token", per_token(c->skipped_rows, log->decoded));
            json_put_double(&j, "mean_mass", mean_mass(log, c, 1));
            json_put_close(&j);
        }
        for (size_t m = 0; log->fidelity && m < FIDELITIES; m++) {
            const struct moments *x = &log->fidelity[l * FIDELITIES + m];
            json_put_array(&j, metric_of_shadow(m)->name);
            json_put_double(&j, NULL, x->n ? moments_mean(x) : NAN);
            json_put_null(
                &j, NULL); /* the queries of one text are not independent: there is no error */
            json_put_close(&j);
        }
        json_put_close(&j);
    }
}
