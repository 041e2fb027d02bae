/* The beginning of a text's part of the page: the sentence to take away, and a card for each
 * backend. Both say what was measured; nothing is judged but one bound, which is named. */
#include <math.h>

#include "report/html.h"
#include "report/markup.h"

/* A backend is called close where its perplexity is at most this many times the baseline's, or,
 * where no perplexity was measured, where its cosine is at least COSINE_BOUND. */
#define RATIO_BOUND 1.01
#define COSINE_BOUND 0.99

static struct figure figure_at(const struct html *h, const char *metric, size_t run) {
    const struct metric_place p = metric_whole(h->r, run, h->text);
    return metric_figure(metric_named(metric), &p);
}

static double stored(const struct html *h, size_t run) {
    return figure_at(h, "stored_bytes", run).x;
}

static double streamed(const struct html *h, size_t run) {
    struct figure f = figure_at(h, "loaded_streamed", run);
    return f.kind == FIGURE_NUMBER ? f.x : NAN;
}

/* How far a backend is from the baseline, and the bound on that. NAN: not measured. */
static double distance(const struct html *h, size_t run, bool forced) {
    struct figure f = figure_at(h, forced ? "ratio" : "cosine", run);
    if (f.kind != FIGURE_NUMBER) return NAN;
    return forced ? f.x : 1 - f.x;
}

static bool is_close(const struct html *h, size_t run, bool forced) {
    return distance(h, run, forced) <= (forced ? RATIO_BOUND : 1 - COSINE_BOUND);
}

/* What the sentence is about. */
struct choice {
    size_t close;    /* how many backends are close */
    size_t smallest; /* of these the one that stores least */
    size_t nearest;  /* the backend of the least distance */
    size_t least;    /* the one that stores least of all */
    size_t streams;  /* of the close ones the one that streams least; 0: not measured */
};

static struct choice choose(const struct html *h, bool forced) {
    struct choice c = {0};
    for (size_t run = 1; run < h->r->main->n_runs; run++) {
        if (isnan(distance(h, run, forced))) continue;
        if (!c.nearest || distance(h, run, forced) < distance(h, c.nearest, forced))
            c.nearest = run;
        if (!c.least || stored(h, run) < stored(h, c.least)) c.least = run;
        if (!is_close(h, run, forced)) continue;
        c.close++;
        if (!c.smallest || stored(h, run) < stored(h, c.smallest)) c.smallest = run;
        if (!isnan(streamed(h, run)) && (!c.streams || streamed(h, run) < streamed(h, c.streams)))
            c.streams = run;
    }
    return c;
}

static void name(const struct html *h, size_t run) {
    fputs("<strong>", h->fp);
    markup_cstr(h->fp, h->r->main->runs[run].spec);
    fputs("</strong>", h->fp);
}

static void costs(const struct html *h, size_t run, bool forced) {
    const struct metric_place base = metric_whole(h->r, 0, h->text),
                              p = metric_whole(h->r, run, h->text);
    const struct metric *loaded = metric_named("loaded_total");
    fputs("It stores ", h->fp);
    html_figure(h, metric_named("stored_bytes"), &p);
    fputs(" bytes per token (", h->fp);
    html_times(h, metric_named("stored_bytes"), &base, &p);
    fputs(")", h->fp);
    if (metric_figure(loaded, &p).kind == FIGURE_NUMBER) {
        fputs(" and loads ", h->fp);
        html_figure(h, loaded, &p);
        fputs(" (", h->fp);
        html_times(h, loaded, &base, &p);
        fputs(")", h->fp);
    }
    fputs(forced ? ", and its perplexity is " : ", and its cosine is ", h->fp);
    html_figure(h, metric_named(forced ? "ratio" : "cosine"), &p);
    fputs(forced ? " times the baseline\xE2\x80\x99s. " : ". ", h->fp);
}

static void sentence(const struct html *h) {
    bool forced = compare_sum(h->r, 0, h->text)->tokens > 0;
    struct choice c = choose(h, forced);
    if (!c.nearest) return;
    fputs("<p class=\"takeaway\">", h->fp);
    if (c.close) {
        fprintf(h->fp, "%zu of %zu backends %s close to ", c.close, h->r->main->n_runs - 1,
                c.close == 1 ? "stays" : "stay");
        name(h, 0);
        fprintf(h->fp, " (%s). The one of them that stores least is ",
                forced ? "perplexity at most 1 % above" : "cosine at least 0.99");
        name(h, c.smallest);
    } else {
        fprintf(h->fp, "No backend stays close to ");
        name(h, 0);
        fprintf(h->fp, " (%s). The nearest is ",
                forced ? "perplexity at most 1 % above" : "cosine at least 0.99");
        name(h, c.nearest);
    }
    fputs(". ", h->fp);
    costs(h, c.close ? c.smallest : c.nearest, forced);
    if (c.streams && c.streams != c.smallest) {
        const struct metric_place base = metric_whole(h->r, 0, h->text),
                                  p = metric_whole(h->r, c.streams, h->text);
        fputs("The close one that brings the fewest bytes anew from memory is ", h->fp);
        name(h, c.streams);
        fputs(", ", h->fp);
        html_figure(h, metric_named("loaded_streamed"), &p);
        fputs(" per token (", h->fp);
        html_times(h, metric_named("loaded_streamed"), &base, &p);
        fputs("). ", h->fp);
    }
    if (c.least != (c.close ? c.smallest : c.nearest)) {
        fputs("The one that stores least of all is ", h->fp);
        name(h, c.least);
        fputs(". ", h->fp);
        costs(h, c.least, forced);
    }
    fputs("</p>\n", h->fp);
}

/* ---- cards ---- */

/* A line of a card; `times`: how many times less or more than the baseline's. Left out where
 * nothing was measured. */
static void line(const struct html *h, const char *label, const char *metric, size_t run,
                 bool times) {
    const struct metric_place base = metric_whole(h->r, 0, h->text),
                              p = metric_whole(h->r, run, h->text);
    const struct metric *m = metric_named(metric);
    if (metric_figure(m, &p).kind != FIGURE_NUMBER) return;
    fprintf(h->fp, "<div><dt>%s</dt><dd>", label);
    html_figure(h, m, &p);
    if (times && run) {
        fputs(" <span class=\"times\">", h->fp);
        html_times(h, m, &base, &p);
        fputs("</span>", h->fp);
    }
    fputs("</dd></div>\n", h->fp);
}

/* The share of the baseline's bytes as a bar; it repeats the number above it. */
static void bar(const struct html *h, size_t run) {
    double share = 100 * stored(h, run) / stored(h, 0);
    if (!isfinite(share)) return;
    fprintf(h->fp,
            "<div class=\"meter\" aria-hidden=\"true\"><i class=\"%s\" style=\"width:%.1f%%\">"
            "</i></div>\n",
            svg_series(run), share > 100 ? 100 : share);
}

static void card(const struct html *h, size_t run) {
    const struct comparison_run *of = &h->r->main->runs[run];
    fprintf(h->fp, "<article class=\"card\"><h4><i class=\"dot %s\"></i>", svg_series(run));
    markup_cstr(h->fp, of->spec);
    if (!run) fputs(" <small>baseline</small>", h->fp);
    fputs("</h4><p class=\"full\">", h->fp);
    markup_cstr(h->fp, of->name);
    fputs("</p>\n", h->fp);
    bar(h, run);
    fputs("<dl>\n", h->fp);
    line(h, "bytes stored", "stored_bytes", run, true);
    line(h, "bytes loaded", "loaded_total", run, true);
    line(h, "of these streamed", "loaded_streamed", run, true);
    line(h, "ms in attention", "attention_ms", run, true);
    if (run) line(h, "perplexity ratio", "ratio", run, false);
    line(h, "perplexity", "perplexity", run, false);
    if (run) line(h, "KL, nats", "kld", run, false);
    if (run) line(h, "cosine", "cosine", run, false);
    fputs("</dl>", h->fp);
    if (compare_saw_text(h->r, run, h->text))
        fputs("<p class=\"warn\">Its codebooks were calibrated on this very text: the figures "
              "flatter it.</p>",
              h->fp);
    fputs("</article>\n", h->fp);
}

void html_cards(const struct html *h) {
    sentence(h);
    fputs("<div class=\"cards\">\n", h->fp);
    for (size_t run = 0; run < h->r->main->n_runs; run++) card(h, run);
    fputs("</div>\n", h->fp);
    uint64_t windows = compare_sum(h->r, 0, h->text)->chunks;
    char errors[160] = "There was one window, so nothing is known of standard errors.";
    if (windows > 1)
        snprintf(errors, sizeof errors,
                 "\xC2\xB1 is one standard error of the mean over %s of the text, each of which "
                 "counts as one sample.",
                 text_plural(windows, "window").s);
    html_note(
        h,
        "Bytes and milliseconds are those of one token, in all layers and heads. Bars: bytes "
        "stored, as a share of the baseline\xE2\x80\x99s. KL is of predictions, the cosine of "
        "what attention gives. %s",
        errors);
}
