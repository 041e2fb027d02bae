/* The rows of the table of metrics (metrics.h). A new metric is a function here that takes its
 * figure from a summary, and a row at the table's end, so that CSV's other columns stay in place.
 */
#include "report/metrics.h"

#include <math.h>
#include <string.h>

#include "report/text.h"

struct metric_place metric_whole(const struct compare_report *r, size_t run, size_t text) {
    return (struct metric_place){.r = r,
                                 .c = r->main,
                                 .s = compare_sum(r, run, text),
                                 .run = run,
                                 .text = text,
                                 .layer = METRIC_ALL,
                                 .head = METRIC_ALL};
}

/* ---- figures ---- */

static struct figure number(bool measured, double x) {
    return (struct figure){.kind = measured ? FIGURE_NUMBER : FIGURE_NONE, .x = x, .error = NAN};
}

static struct figure count(bool measured, uint64_t n) {
    return (struct figure){.kind = measured ? FIGURE_COUNT : FIGURE_NONE, .count = n};
}

static struct figure estimated(const struct estimate *m) {
    return (struct figure){.kind = m && m->n ? FIGURE_NUMBER : FIGURE_NONE,
                           .x = m ? estimate_mean(m) : 0,
                           .error = m ? estimate_error(m) : NAN,
                           .windows = m ? m->clusters : 0};
}

static bool of_all(const struct metric_place *p) { return p->layer >= METRIC_SHADOWED; }

/* Mode shadow: the place's own sums [FIDELITIES]; NULL where there are none. */
static const struct estimate *fidelity(const struct metric_place *p) {
    size_t H = p->r->model.config.n_head;
    if (of_all(p)) return p->s->all;
    if (p->head == METRIC_ALL) return p->s->layers ? p->s->layers + p->layer * FIDELITIES : NULL;
    return p->s->heads ? p->s->heads + (p->layer * H + p->head) * FIDELITIES : NULL;
}
static struct figure fidelity_of(const struct metric_place *p, int which) {
    const struct estimate *f = fidelity(p);
    return estimated(f ? &f[which] : NULL);
}
static struct figure queries(const struct metric_place *p) {
    const struct estimate *f = fidelity(p);
    return count(f && f->n, f ? f->n : 0);
}
static struct figure cosine(const struct metric_place *p) {
    return fidelity_of(p, FIDELITY_COSINE);
}
static struct figure kl(const struct metric_place *p) { return fidelity_of(p, FIDELITY_KL); }
static struct figure spearman(const struct metric_place *p) {
    return fidelity_of(p, FIDELITY_SPEARMAN);
}
static struct figure top5(const struct metric_place *p) { return fidelity_of(p, FIDELITY_TOP5); }
static struct figure worst_cosine(const struct metric_place *p) {
    const struct comparison_summary *s = p->s;
    return estimated(s->layers ? &s->layers[s->worst_layer * FIDELITIES + FIDELITY_COSINE] : NULL);
}

/* The recall of a layer, or of all layers measured. */
static struct recall recall_at(const struct metric_place *p) {
    struct recall sum = {0};
    if (!p->s->recall) return sum;
    if (!of_all(p)) return p->s->recall[p->layer];
    for (size_t l = 0; l < p->r->model.config.n_layer; l++) recall_add(&sum, &p->s->recall[l]);
    return sum;
}
static struct figure recall_first(const struct metric_place *p) {
    struct recall x = recall_at(p);
    return number(x.queries > 0, (double)x.first / (double)x.queries);
}
static struct figure recall_picked(const struct metric_place *p) {
    struct recall x = recall_at(p);
    return number(x.queries > 0, (double)x.picked / (double)x.queries);
}

/* Bytes that a decoded token read. */
static struct compare_bytes loaded(const struct metric_place *p) {
    if (p->layer == METRIC_SHADOWED) return compare_loaded_shadow(p->r, p->s);
    return compare_loaded(p->r, p->s, p->layer);
}
static struct figure finite(double x) { return number(isfinite(x), x); }
static struct figure loaded_keys(const struct metric_place *p) { return finite(loaded(p).keys); }
static struct figure loaded_scales(const struct metric_place *p) {
    return finite(loaded(p).scales);
}
static struct figure loaded_codebooks(const struct metric_place *p) {
    return finite(loaded(p).codebooks);
}
static struct figure loaded_tables(const struct metric_place *p) {
    return finite(loaded(p).tables);
}
static struct figure loaded_values(const struct metric_place *p) {
    return finite(loaded(p).values);
}
static struct figure loaded_refined(const struct metric_place *p) {
    return finite(loaded(p).refined);
}
static struct figure loaded_streamed(const struct metric_place *p) {
    return finite(loaded(p).streamed);
}
static struct figure loaded_at_hand(const struct metric_place *p) {
    return finite(loaded(p).at_hand);
}
static struct figure loaded_total(const struct metric_place *p) { return finite(loaded(p).total); }
static struct figure skipped_rows(const struct metric_place *p) {
    return finite(loaded(p).skipped_rows);
}
static struct figure skipped_mass(const struct metric_place *p) {
    return finite(loaded(p).skipped_mass);
}

static struct figure stored_keys(const struct metric_place *p) {
    return number(true, (double)p->c->runs[p->run].stored_keys);
}
static struct figure stored_values(const struct metric_place *p) {
    return number(true, (double)p->c->runs[p->run].stored_values);
}
static struct figure stored_refined(const struct metric_place *p) {
    return number(true, (double)p->c->runs[p->run].stored_refined);
}
static struct figure stored_bytes(const struct metric_place *p) {
    return number(true, stored_keys(p).x + stored_values(p).x + stored_refined(p).x);
}

static struct figure attention_ms(const struct metric_place *p) {
    return number(p->s->decoded > 0, p->s->attention_ms);
}
static struct figure attention_ms_min(const struct metric_place *p) {
    return number(p->s->decoded > 0, p->s->attention_ms_least);
}
static struct figure attention_ms_max(const struct metric_place *p) {
    return number(p->s->decoded > 0, p->s->attention_ms_most);
}

/* A figure of the mode forced, with its error over windows. */
static struct figure forced(const struct metric_place *p, double x, double error) {
    struct figure f = number(p->s->tokens > 0, x);
    f.error = error;
    f.windows = p->s->nll.clusters;
    return f;
}
static struct figure tokens(const struct metric_place *p) {
    return count(p->s->tokens > 0, p->s->tokens);
}
static struct figure perplexity(const struct metric_place *p) {
    return forced(p, p->s->perplexity, p->s->perplexity_error);
}
static struct figure ratio(const struct metric_place *p) {
    return forced(p, p->s->ratio, p->s->ratio_error);
}
static struct figure kld(const struct metric_place *p) { return estimated(&p->s->kld); }
static struct figure kld_median(const struct metric_place *p) {
    return forced(p, p->s->kld_median, NAN);
}
static struct figure kld_p99(const struct metric_place *p) { return forced(p, p->s->kld_p99, NAN); }
static struct figure kld_max(const struct metric_place *p) { return forced(p, p->s->kld_max, NAN); }
static struct figure same_top1(const struct metric_place *p) { return estimated(&p->s->same_top1); }
static struct figure rms_dp(const struct metric_place *p) {
    return forced(p, p->s->rms_dp, p->s->rms_dp_error);
}
static struct figure rms_dp_se(const struct metric_place *p) {
    return number(p->s->nll.clusters > 1, p->s->rms_dp_error);
}

static struct figure windows(const struct metric_place *p) { return count(true, p->s->chunks); }
static struct figure effective_attn(const struct metric_place *p) {
    return (struct figure){.kind = FIGURE_NAME, .name = p->c->runs[p->run].name};
}
/* Of the row of all layers, the fidelities are of those named here. */
static struct figure shadow_layers(const struct metric_place *p) {
    if (!of_all(p)) return (struct figure){.kind = FIGURE_NONE};
    return (struct figure){.kind = FIGURE_WORD, .word = compare_layers(p->r)};
}
static struct figure codebook_saw_text(const struct metric_place *p) {
    return count(true, compare_saw_text(p->r, p->run, p->text));
}

/* ---- the table ---- */

const struct metric metrics[] = {
    {.name = "n",
     .unit = "queries",
     .group = GROUP_ROW,
     .needs = NEEDS_SHADOW,
     .reach = REACH_HEAD,
     .value = queries},
    {.name = "cosine",
     .title = "cosine",
     .unit = "",
     .definition = "of a head's output vector with the baseline's, for the same query, keys and "
                   "values; mean over queries and heads. \"layer 0\" is that of layer 0",
     .group = GROUP_FIDELITY,
     .needs = NEEDS_SHADOW,
     .reach = REACH_HEAD,
     .error = ERROR_BESIDE,
     .value = cosine},
    {.name = "kl",
     .title = "KL, nats",
     .unit = "nats",
     .definition =
         "beside a cosine: of a query's probabilities over its keys, the sum of P log(P / Q) with "
         "the baseline's as P; beside a perplexity: that of predictions, as above",
     .group = GROUP_FIDELITY,
     .needs = NEEDS_SHADOW,
     .reach = REACH_HEAD,
     .error = ERROR_BESIDE,
     .value = kl},
    {.name = "spearman",
     .title = "Spearman",
     .unit = "",
     .definition =
         "rank correlation of a query's scores over its keys with the baseline's; rho in the law",
     .group = GROUP_FIDELITY,
     .needs = NEEDS_SHADOW,
     .reach = REACH_HEAD,
     .error = ERROR_BESIDE,
     .value = spearman},
    {.name = "top5",
     .title = "top-5",
     .unit = "",
     .definition = "share of the five keys with the largest baseline scores that are among its own "
                   "five largest",
     .group = GROUP_FIDELITY,
     .needs = NEEDS_SHADOW,
     .reach = REACH_HEAD,
     .error = ERROR_BESIDE,
     .value = top5},
    {.name = "loaded_keys",
     .title = "packed keys",
     .json = "keys",
     .unit = "bytes",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_keys},
    {.name = "loaded_scales",
     .title = "scales",
     .json = "scales",
     .unit = "bytes",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_scales},
    {.name = "loaded_codebooks",
     .title = "codebooks",
     .json = "codebooks",
     .unit = "bytes",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_codebooks},
    {.name = "loaded_tables",
     .title = "tables",
     .json = "tables",
     .unit = "bytes",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_tables},
    {.name = "loaded_values",
     .title = "values",
     .json = "values",
     .unit = "bytes",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_values},
    {.name = "loaded_total",
     .alias = "loaded_bytes",
     .title = "total",
     .json = "total",
     .unit = "bytes",
     .known_as = "loaded/token",
     .definition =
         "bytes that attention reads to decode one token, all layers or the row's, the mean over "
         "tokens spread over the windows: packed keys, scales, codebooks, tables, values and "
         "refined",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_total},
    {.name = "stored_keys",
     .title = "keys",
     .json = "keys",
     .unit = "bytes",
     .group = GROUP_STORED,
     .needs = NEEDS_NOTHING,
     .reach = REACH_WHOLE,
     .whole = true,
     .value = stored_keys},
    {.name = "stored_values",
     .title = "values",
     .json = "values",
     .unit = "bytes",
     .group = GROUP_STORED,
     .needs = NEEDS_NOTHING,
     .reach = REACH_WHOLE,
     .whole = true,
     .value = stored_values},
    {.name = "attention_ms",
     .title = "median",
     .unit = "ms",
     .known_as = "ms in attention",
     .definition = "milliseconds to answer the queries of one decoded token in all layers: median, "
                   "least and most of repetitions, each with all backends in turn",
     .group = GROUP_TIME,
     .needs = NEEDS_TIMING,
     .reach = REACH_WHOLE,
     .value = attention_ms},
    {.name = "tokens",
     .unit = "tokens",
     .group = GROUP_ROW,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .value = tokens},
    {.name = "perplexity",
     .alias = "ppl",
     .title = "perplexity",
     .unit = "",
     .definition = "exp of the mean of -log p(token) over the scored tokens, each backend with its "
                   "own hidden states",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .error = ERROR_BESIDE,
     .value = perplexity},
    {.name = "ratio",
     .title = "ratio",
     .unit = "",
     .definition = "its perplexity over the baseline's: exp of the mean of the differences of -log "
                   "p, token by token",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .error = ERROR_BESIDE,
     .value = ratio},
    {.name = "kld",
     .title = "KLD mean",
     .json = "kld/mean",
     .unit = "nats",
     .known_as = "KLD, KL of predictions",
     .definition = "how far its next-token distribution Q is from the baseline's P: the sum over "
                   "the vocabulary of P log(P / Q), in nats; mean over the scored tokens, then "
                   "median, 99 % quantile and largest",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .error = ERROR_BESIDE,
     .value = kld},
    {.name = "kld_median",
     .title = "median",
     .json = "kld/median",
     .unit = "nats",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .value = kld_median},
    {.name = "kld_p99",
     .title = "99 %",
     .json = "kld/p99",
     .unit = "nats",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .value = kld_p99},
    {.name = "kld_max",
     .title = "max",
     .json = "kld/max",
     .unit = "nats",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .value = kld_max},
    {.name = "same_top1",
     .title = "same top-1",
     .unit = "",
     .definition = "share of scored tokens for which the most likely next token is the baseline's",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .error = ERROR_BESIDE,
     .value = same_top1},
    {.name = "rms_dp",
     .title = "RMS dp",
     .unit = "",
     .definition = "root of the mean square of p(token) less the baseline's",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .error = ERROR_APART,
     .value = rms_dp},
    {.name = "windows",
     .unit = "windows",
     .group = GROUP_ROW,
     .needs = NEEDS_NOTHING,
     .reach = REACH_HEAD,
     .value = windows},
    {.name = "rms_dp_se",
     .title = "",
     .unit = "",
     .group = GROUP_FORCED,
     .needs = NEEDS_FORCED,
     .reach = REACH_WHOLE,
     .left_out = NOT_IN_TABLES,
     .value = rms_dp_se},
    {.name = "effective_attn",
     .unit = "",
     .group = GROUP_ROW,
     .needs = NEEDS_NOTHING,
     .reach = REACH_HEAD,
     .value = effective_attn},
    {.name = "attention_ms_min",
     .title = "least",
     .unit = "ms",
     .group = GROUP_TIME,
     .needs = NEEDS_TIMING,
     .reach = REACH_WHOLE,
     .value = attention_ms_min},
    {.name = "attention_ms_max",
     .title = "most",
     .unit = "ms",
     .group = GROUP_TIME,
     .needs = NEEDS_TIMING,
     .reach = REACH_WHOLE,
     .value = attention_ms_max},
    {.name = "shadow_layers",
     .unit = "",
     .group = GROUP_ROW,
     .needs = NEEDS_NOTHING,
     .reach = REACH_HEAD,
     .value = shadow_layers},
    {.name = "codebook_saw_text",
     .unit = "",
     .group = GROUP_ROW,
     .needs = NEEDS_NOTHING,
     .reach = REACH_HEAD,
     .value = codebook_saw_text},
    {.name = "worst_cosine",
     .title = "",
     .unit = "",
     .known_as = "worst",
     .definition = "of the layers measured the one with the lowest cosine, and that cosine",
     .group = GROUP_FIDELITY,
     .needs = NEEDS_SHADOW,
     .reach = REACH_WHOLE,
     .left_out = NOT_IN_CSV | NOT_IN_JSON | NOT_IN_TABLES,
     .value = worst_cosine},
    {.name = "loaded_refined",
     .title = "refined",
     .json = "refined",
     .unit = "bytes",
     .definition =
         "of bytes loaded: rows of the exact copy, keys and values with their scales, that "
         "queries picked by refine=; of bytes stored: that copy",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_refined},
    {.name = "stored_refined",
     .title = "refined",
     .json = "refined",
     .unit = "bytes",
     .group = GROUP_STORED,
     .needs = NEEDS_NOTHING,
     .reach = REACH_WHOLE,
     .whole = true,
     .value = stored_refined},
    {.name = "stored_bytes",
     .title = "all",
     .json = "total",
     .unit = "bytes",
     .known_as = "stored/token",
     .definition = "bytes that the cache keeps for a token, all layers and heads: keys and values, "
                   "exact keys and the copy of refine= included",
     .group = GROUP_STORED,
     .needs = NEEDS_NOTHING,
     .reach = REACH_WHOLE,
     .left_out = NOT_IN_CSV,
     .whole = true,
     .value = stored_bytes},
    {.name = "skipped_rows",
     .title = "rows",
     .json = "rows_per_token",
     .unit = "rows",
     .group = GROUP_SKIPPED,
     .needs = NEEDS_DECODED,
     .reach = REACH_WHOLE,
     .left_out = NOT_IN_CSV,
     .value = skipped_rows},
    {.name = "skipped_mass",
     .title = "probability",
     .json = "mean_mass",
     .unit = "",
     .group = GROUP_SKIPPED,
     .needs = NEEDS_DECODED,
     .reach = REACH_WHOLE,
     .left_out = NOT_IN_CSV,
     .value = skipped_mass},
    {.name = "recall_first",
     .title = "recall@1",
     .json = "first",
     .unit = "",
     .definition =
         "share of queries whose true best key, the one with the baseline's largest score, "
         "has the best score from codes too; of queries of heads that see more keys than "
         "they pick",
     .group = GROUP_RECALL,
     .needs = NEEDS_SHADOW,
     .reach = REACH_LAYER,
     .value = recall_first},
    {.name = "recall_picked",
     .title = "recall@R",
     .json = "picked",
     .unit = "",
     .definition = "share of the same queries whose true best key is among the rows that refine=R, "
                   "with sink and window, reads exactly",
     .group = GROUP_RECALL,
     .needs = NEEDS_SHADOW,
     .reach = REACH_LAYER,
     .value = recall_picked},
    {.name = "loaded_streamed",
     .title = "streamed",
     .json = "streamed",
     .unit = "bytes",
     .definition =
         "of bytes loaded, those that each token brings in anew from behind a core's caches: "
         "packed keys, values, scales and refined, and the codebooks of all layers and heads where "
         "they are more than 1 MB",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_streamed},
    {.name = "loaded_at_hand",
     .title = "at hand",
     .json = "at_hand",
     .unit = "bytes",
     .definition = "the other bytes loaded: tables, and codebooks of at most 1 MB, which a core's "
                   "second-level cache keeps",
     .group = GROUP_LOADED,
     .needs = NEEDS_DECODED,
     .reach = REACH_LAYER,
     .value = loaded_at_hand},
};
const size_t n_metrics = sizeof metrics / sizeof *metrics;

static bool is_called(const char *known, const char *name, size_t n) {
    return known && strlen(known) == n && memcmp(known, name, n) == 0;
}

const struct metric *metric_find(const char *name, size_t n) {
    for (size_t i = 0; i < n_metrics; i++)
        if (is_called(metrics[i].name, name, n) || is_called(metrics[i].alias, name, n))
            return &metrics[i];
    return NULL;
}

const struct metric *metric_of_shadow(int which) {
    struct figure (*const values[FIDELITIES])(const struct metric_place *p) = {
        [FIDELITY_COSINE] = cosine,
        [FIDELITY_KL] = kl,
        [FIDELITY_SPEARMAN] = spearman,
        [FIDELITY_TOP5] = top5};
    size_t i = 0;
    while (metrics[i].value != values[which]) i++;
    return &metrics[i];
}

const struct metric *metric_named(const char *name) { return metric_find(name, strlen(name)); }

struct figure metric_figure(const struct metric *m, const struct metric_place *p) {
    enum metric_reach place = of_all(p)               ? REACH_WHOLE
                              : p->head == METRIC_ALL ? REACH_LAYER
                                                      : REACH_HEAD;
    return place <= m->reach ? m->value(p) : (struct figure){.kind = FIGURE_NONE, .x = NAN};
}

bool metric_of_fidelity(const struct metric *m) {
    return m->group != GROUP_RECALL && (m->needs == NEEDS_FORCED || m->needs == NEEDS_SHADOW);
}

/* ---- what the columns mean ---- */

/* Columns that are no metrics, and what all of them share. */
static const struct {
    const char *title, *meaning;
} notes[] = {
    {"attention",
     "the backend as given to --attn, and in brackets the method that its codebooks make of it. * "
     "marks one whose codebooks were calibrated on this very text: its figures flatter it"},
    {"\xC2\xB1", /* ± */
     "standard error of the mean. Tokens, layers and heads of one window are not independent, "
     "so a window counts as one sample: with W windows, the spread of their means over the "
     "root of W. One window has none. What is compared with the baseline is paired, token by "
     "token and query by query, so what both find hard drops out"},
    {"windows", "how many windows of the text were measured; each is run on its own, and its "
                "second half is scored"},
    {"n", "queries compared, of all heads, in one layer"},
    {"keys alone, streamed alone, everything", "how many times fewer bytes than the baseline"},
};

static void explain(FILE *fp, bool markdown, const char *title, const char *meaning) {
    if (markdown) {
        fprintf(fp, "- **%s**: %s.\n", title, meaning);
        return;
    }
    int at = fprintf(fp, "  %s: ", title);
    text_wrap(fp, meaning, at, 6);
}

static void explain_group(FILE *fp, bool markdown, enum metric_group group) {
    for (size_t i = 0; i < n_metrics; i++) {
        const struct metric *m = &metrics[i];
        if (m->group != group || !m->definition) continue;
        explain(fp, markdown, m->known_as ? m->known_as : m->title, m->definition);
    }
}

void metrics_explain(FILE *fp, bool markdown) {
    static const enum metric_group after[] = {GROUP_LOADED,   GROUP_SKIPPED, GROUP_FORCED,
                                              GROUP_FIDELITY, GROUP_RECALL,  GROUP_TIME};
    size_t n = sizeof notes / sizeof *notes;
    for (size_t i = 0; i + 1 < n; i++) explain(fp, markdown, notes[i].title, notes[i].meaning);
    explain_group(fp, markdown, GROUP_STORED);
    explain(fp, markdown, notes[n - 1].title, notes[n - 1].meaning); /* of the bytes before it */
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) explain_group(fp, markdown, after[i]);
}
