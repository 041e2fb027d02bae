#include "cli/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a metric is taken from. */
struct measured {
    const struct compare_report *r;
    const struct comparison_run *run;
    const struct comparison_summary *s;
};

static double perplexity(const struct measured *m) { return m->s->perplexity; }
static double ratio(const struct measured *m) { return m->s->ratio; }
static double kld(const struct measured *m) { return estimate_mean(&m->s->kld); }
static double kld_median(const struct measured *m) { return m->s->kld_median; }
static double kld_p99(const struct measured *m) { return m->s->kld_p99; }
static double kld_max(const struct measured *m) { return m->s->kld_max; }
static double same_top1(const struct measured *m) { return estimate_mean(&m->s->same_top1); }
static double rms_dp(const struct measured *m) { return m->s->rms_dp; }
static double cosine(const struct measured *m) {
    return estimate_mean(&m->s->all[FIDELITY_COSINE]);
}
static double kl(const struct measured *m) { return estimate_mean(&m->s->all[FIDELITY_KL]); }
static double spearman(const struct measured *m) {
    return estimate_mean(&m->s->all[FIDELITY_SPEARMAN]);
}
static double top5(const struct measured *m) { return estimate_mean(&m->s->all[FIDELITY_TOP5]); }
static double worst_cosine(const struct measured *m) {
    return estimate_mean(&m->s->layers[m->s->worst_layer * FIDELITIES + FIDELITY_COSINE]);
}
static double stored_keys(const struct measured *m) { return (double)m->run->stored_keys; }
static double stored_values(const struct measured *m) { return (double)m->run->stored_values; }
static double stored_bytes(const struct measured *m) { return stored_keys(m) + stored_values(m); }
static double loaded_keys(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).keys;
}
static double loaded_scales(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).scales;
}
static double loaded_codebooks(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).codebooks;
}
static double loaded_tables(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).tables;
}
static double loaded_values(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).values;
}
static double loaded_bytes(const struct measured *m) {
    return compare_loaded(m->r, m->s, SIZE_MAX).total;
}
static double attention_ms(const struct measured *m) { return m->s->attention_ms; }

enum needs { ANY, FORCED, SHADOW };

static const struct {
    const char *name;
    enum needs needs;
    double (*value)(const struct measured *m);
} metrics[] = {
    {"kld", FORCED, kld},
    {"kld_median", FORCED, kld_median},
    {"kld_p99", FORCED, kld_p99},
    {"kld_max", FORCED, kld_max},
    {"ppl", FORCED, perplexity},
    {"perplexity", FORCED, perplexity},
    {"ratio", FORCED, ratio},
    {"same_top1", FORCED, same_top1},
    {"rms_dp", FORCED, rms_dp},
    {"cosine", SHADOW, cosine},
    {"worst_cosine", SHADOW, worst_cosine},
    {"kl", SHADOW, kl},
    {"spearman", SHADOW, spearman},
    {"top5", SHADOW, top5},
    {"stored_bytes", ANY, stored_bytes},
    {"stored_keys", ANY, stored_keys},
    {"stored_values", ANY, stored_values},
    {"loaded_bytes", ANY, loaded_bytes},
    {"loaded_keys", ANY, loaded_keys},
    {"loaded_scales", ANY, loaded_scales},
    {"loaded_codebooks", ANY, loaded_codebooks},
    {"loaded_tables", ANY, loaded_tables},
    {"loaded_values", ANY, loaded_values},
    {"attention_ms", ANY, attention_ms},
};
enum { N_METRICS = sizeof metrics / sizeof *metrics };

static int unknown_metric(const char *text, struct err *e) {
    char known[200] = "";
    size_t at = 0;
    for (int i = 0; i < N_METRICS && at < sizeof known; i++)
        at +=
            (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? " " : "", metrics[i].name);
    return err_set(e, ERR_USAGE, "--check %.30s: unknown metric; known: %s", text, known);
}

/* The run that name[n] names; n_runs where there is none. */
static size_t find_run(const struct comparison *c, const char *name, size_t n) {
    for (size_t i = 0; i < c->n_runs; i++)
        if (strlen(c->runs[i].spec) == n && memcmp(c->runs[i].spec, name, n) == 0) return i;
    size_t number = 0;
    if (!n || n > 3 || strspn(name, "0123456789") < n) return c->n_runs;
    for (size_t i = 0; i < n; i++) number = 10 * number + (size_t)(name[i] - '0');
    return number < c->n_runs ? number : c->n_runs;
}

static int find_metric(const char *name, size_t n) {
    for (int i = 0; i < N_METRICS; i++)
        if (strlen(metrics[i].name) == n && memcmp(metrics[i].name, name, n) == 0) return i;
    return -1;
}

static int read_one(const char *text, const struct comparison *c, struct check *k, struct err *e) {
    size_t n = strcspn(text, "<>"), dot = n;
    while (dot && text[dot - 1] != '.') dot--;
    bool equal = text[n] && text[n + 1] == '=';
    const char *number = text[n] ? text + n + 1 + equal : "";
    char *end;
    double limit = strtod(number, &end);
    if (!dot || !*number || *end || !isfinite(limit))
        return err_set(
            e, ERR_USAGE,
            "--check %.60s: expected BACKEND.METRIC<NUMBER (or <=, >, >=), as in lookat8.kld<0.05",
            text);
    *k = (struct check){.text = text, .limit = limit};
    k->relation = text[n] == '<' ? (equal ? CHECK_AT_MOST : CHECK_BELOW)
                  : equal        ? CHECK_AT_LEAST
                                 : CHECK_ABOVE;
    k->run = find_run(c, text, dot - 1);
    if (k->run == c->n_runs)
        return err_set(e, ERR_USAGE,
                       "--check %.60s: '%.*s' is none of the backends; give one as in --attn, or "
                       "its number from 0 to %zu",
                       text, (int)(dot - 1 < 60 ? dot - 1 : 60), text, c->n_runs - 1);
    k->metric = find_metric(text + dot, n - dot);
    if (k->metric < 0) return unknown_metric(text, e);
    enum needs needs = metrics[k->metric].needs;
    if ((needs == FORCED && !c->forced) || (needs == SHADOW && !c->shadow))
        return err_set(e, ERR_USAGE, "--check %.60s: %s is of mode %s, which is not run", text,
                       metrics[k->metric].name, needs == FORCED ? "forced" : "shadow");
    if (strncmp(metrics[k->metric].name, "loaded", 6) == 0 && !c->forced && !c->shadow)
        return err_set(e, ERR_USAGE,
                       "--check %.60s: bytes loaded are counted in the modes forced and shadow, "
                       "which are not run",
                       text);
    return OK;
}

int checks_read(const struct str_list *list, const struct comparison *c, struct check *checks,
                struct err *e) {
    for (size_t i = 0; i < list->n; i++) {
        int rc = read_one(list->item[i], c, &checks[i], e);
        if (rc) return rc;
    }
    return OK;
}

static bool holds(const struct check *k, double x) {
    switch (k->relation) {
    case CHECK_BELOW: return x < k->limit;
    case CHECK_AT_MOST: return x <= k->limit;
    case CHECK_ABOVE: return x > k->limit;
    default: return x >= k->limit;
    }
}

/* NaN also where the mode measured nothing, as in a share without windows. */
static double value_of(const struct check *k, const struct measured *m) {
    enum needs needs = metrics[k->metric].needs;
    bool none = (needs == FORCED && !m->s->tokens) || (needs == SHADOW && !m->s->all[0].n);
    return none ? NAN : metrics[k->metric].value(m);
}

/* Rows that the backend cut short, for metrics of fidelity. What was measured is then not the
 * codec's own error, and says nothing about other texts. */
static uint64_t rows_cut(const struct check *k, const struct measured *m) {
    uint64_t all = 0;
    for (size_t l = 0; metrics[k->metric].needs != ANY && l < m->r->model.config.n_layer; l++)
        all += m->s->cut[l];
    return all;
}

int checks_hold(const struct check *checks, size_t n, const struct compare_report *r,
                struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < n; i++)
        for (size_t text = 0; text < r->main->n_texts; text++) {
            struct measured m = {r, &r->main->runs[checks[i].run],
                                 compare_sum(r, checks[i].run, text)};
            double x = value_of(&checks[i], &m);
            char shown[32];
            uint64_t cut = rows_cut(&checks[i], &m);
            if (holds(&checks[i], x) && !cut) continue; /* a NaN holds against nothing */
            if (rc) fprintf(stderr, "lookat: %s\n", e->msg);
            snprintf(shown, sizeof shown, isnan(x) ? "NaN, not a number," : "%.6g", x);
            const char *file = r->main->texts[text].file, *title = m.run->title;
            bool said = strncmp(checks[i].text, title, strlen(title)) == 0;
            if (holds(&checks[i], x))
                rc = err_set(e, ERR_CHECK,
                             "check not met: %.80s: %llu rows of keys or values do not fit f16 and "
                             "were cut short, for %.80s",
                             checks[i].text, (unsigned long long)cut, file);
            else
                rc = err_set(e, ERR_CHECK, "check not met: %.80s is %s for %.100s%s%.120s",
                             checks[i].text, shown, file, said ? "" : ", with ", said ? "" : title);
        }
    return rc;
}
