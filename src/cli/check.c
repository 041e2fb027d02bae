/* --check: an expression is read against the table of metrics before anything is measured, and held
 * against the figures at the end. */
#include "cli/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facts about a row, such as the number of windows, are not for checks. */
static const struct metric *find_metric(const char *name, size_t n) {
    const struct metric *m = metric_find(name, n);
    return m && m->group != GROUP_ROW ? m : NULL;
}

static int unknown_metric(const char *text, struct err *e) {
    static const enum metric_group groups[] = {GROUP_FORCED, GROUP_FIDELITY, GROUP_STORED,
                                               GROUP_LOADED, GROUP_TIME,     GROUP_SKIPPED,
                                               GROUP_RECALL};
    char known[200] = "";
    size_t at = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < n_metrics && at < sizeof known; i++)
            if (metrics[i].group == groups[g])
                at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? " " : "",
                                       metrics[i].name);
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
    return k->metric ? OK : unknown_metric(text, e);
}

/* The metric's mode must be run; n is the length of "BACKEND.METRIC", dot where METRIC begins. */
static int check_mode(const struct check *k, const struct comparison *c, struct err *e) {
    enum metric_needs needs = k->metric->needs;
    size_t n = strcspn(k->text, "<>"), dot = n;
    while (dot && k->text[dot - 1] != '.') dot--;
    if ((needs == NEEDS_FORCED && !c->forced) || (needs == NEEDS_SHADOW && !c->shadow))
        return err_set(e, ERR_USAGE, "--check %.60s: %.*s is of mode %s, which is not run", k->text,
                       (int)(n - dot), k->text + dot, needs == NEEDS_FORCED ? "forced" : "shadow");
    if (needs == NEEDS_DECODED && !c->forced && !c->shadow)
        return err_set(e, ERR_USAGE,
                       "--check %.60s: bytes loaded are counted in the modes forced and shadow, "
                       "which are not run",
                       k->text);
    return OK;
}

int checks_read(const struct str_list *list, const struct comparison *c, struct check *checks,
                struct err *e) {
    for (size_t i = 0; i < list->n; i++) {
        int rc = read_one(list->item[i], c, &checks[i], e);
        if (!rc) rc = check_mode(&checks[i], c, e);
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

/* NaN where nothing was measured, as in a share without windows. */
static double value_of(const struct check *k, const struct metric_place *p) {
    struct figure f = metric_figure(k->metric, p);
    return f.kind == FIGURE_NUMBER ? f.x : NAN;
}

/* Rows that the backend cut short, for metrics of fidelity. What was measured is then not the
 * codec's own error, and says nothing about other texts. */
static uint64_t rows_cut(const struct check *k, const struct metric_place *p) {
    uint64_t all = 0;
    if (!metric_of_fidelity(k->metric)) return 0;
    for (size_t l = 0; l < p->r->model.config.n_layer; l++) all += p->s->cut[l];
    return all;
}

int checks_hold(const struct check *checks, size_t n, const struct compare_report *r,
                struct err *e) {
    int rc = OK;
    for (size_t i = 0; i < n; i++)
        for (size_t text = 0; text < r->main->n_texts; text++) {
            size_t run = checks[i].run;
            const struct metric_place p = metric_whole(r, run, text);
            double x = value_of(&checks[i], &p);
            char shown[32];
            uint64_t cut = rows_cut(&checks[i], &p);
            if (holds(&checks[i], x) && !cut) continue; /* a NaN holds against nothing */
            if (rc) fprintf(stderr, "lookat: %s\n", e->msg);
            snprintf(shown, sizeof shown, isnan(x) ? "NaN, not a number," : "%.6g", x);
            const char *file = r->main->texts[text].file, *title = r->main->runs[run].title;
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
