/* The one table of what `compare` reports of a backend. Text, Markdown, CSV, JSON, --check and
 * --explain-columns all go through it, each in a loop: a row of metrics.c is all that a new metric
 * needs, and no format can forget it. Here are names, headings and figures; how a figure is written
 * is the format's own affair. */
#ifndef LOOKAT_REPORT_METRICS_H
#define LOOKAT_REPORT_METRICS_H

#include "report/compare_out.h"

/* What a metric can be known of: all layers and heads, also one layer, also one head. */
enum metric_reach { REACH_WHOLE, REACH_LAYER, REACH_HEAD };

/* What must have been measured for it. */
enum metric_needs {
    NEEDS_NOTHING,
    NEEDS_FORCED,  /* the mode forced */
    NEEDS_SHADOW,  /* the mode shadow */
    NEEDS_DECODED, /* bytes counted while tokens were decoded: one of the two modes */
    NEEDS_TIMING,  /* the same tokens, timed */
};

/* A group is a table in text and Markdown, and an object in JSON. */
enum metric_group {
    GROUP_ROW, /* facts about a row: columns of CSV, and nothing that --check could check */
    GROUP_FIDELITY,
    GROUP_LOADED,
    GROUP_STORED,
    GROUP_TIME,
    GROUP_SKIPPED,
    GROUP_RECALL,
    GROUP_FORCED,
};

/* Where its standard error stands. */
enum metric_error {
    ERROR_NONE,   /* it has none */
    ERROR_BESIDE, /* with it: NAME_se in CSV, [mean, error] in JSON */
    ERROR_APART,  /* in a row of the table of its own; text shows both as one */
};

/* Formats that leave a metric out. */
enum { NOT_IN_CSV = 1, NOT_IN_JSON = 2, NOT_IN_TABLES = 4 };

/* What a figure is of. */
struct metric_place {
    const struct compare_report *r;
    const struct comparison *c;         /* r->main, or one of r->lengths */
    const struct comparison_summary *s; /* of this run and text in c */
    size_t run, text;
    size_t layer; /* or METRIC_ALL, or METRIC_SHADOWED */
    size_t head;  /* or METRIC_ALL; a head is one of a layer */
};
#define METRIC_ALL SIZE_MAX
#define METRIC_SHADOWED (SIZE_MAX - 1) /* the layers that the shadow has */

/* The place of all layers and heads of a run over a text. */
struct metric_place metric_whole(const struct compare_report *r, size_t run, size_t text);

enum figure_kind { FIGURE_NONE, FIGURE_NUMBER, FIGURE_COUNT, FIGURE_NAME, FIGURE_WORD };

struct figure {
    enum figure_kind kind;   /* FIGURE_NONE: not measured at this place */
    double x, error;         /* FIGURE_NUMBER */
    uint64_t windows;        /* clusters that the error is of; with fewer than two there is none */
    uint64_t count;          /* FIGURE_COUNT */
    const char *name;        /* FIGURE_NAME: any text */
    struct text_number word; /* FIGURE_WORD: letters, digits and dashes */
};

struct metric {
    const char *name;  /* in CSV and in --check */
    const char *alias; /* another name in --check; NULL: none */
    const char *title; /* its heading in the group's table */
    const char *json;  /* its key in the group's object, "a/b" for b in an object a; NULL: name */
    const char *unit;  /* "" for a ratio, a share or a correlation */
    const char *known_as, *definition; /* for --explain-columns: known_as NULL: title; definition
                                          NULL: the row before it defines this one too */
    enum metric_group group;
    enum metric_needs needs;
    enum metric_reach reach;
    enum metric_error error;
    unsigned left_out; /* NOT_IN_..., or 0 */
    bool whole;        /* a whole number: JSON writes all its digits */
    struct figure (*value)(const struct metric_place *p);
};

/* All rows, in the order of CSV's columns. */
extern const struct metric metrics[];
extern const size_t n_metrics;

/* The metric with the name or alias name[n]; NULL: none. */
const struct metric *metric_find(const char *name, size_t n);
/* The same for a name that is known to be there. */
const struct metric *metric_named(const char *name);

/* The metric of mode shadow number `which`, FIDELITY_COSINE and so on (measure/fidelity.h). */
const struct metric *metric_of_shadow(int which);

/* Its figure at a place: FIGURE_NONE where that place is finer than the metric reaches. */
struct figure metric_figure(const struct metric *m, const struct metric_place *p);

/* Does it say how close a backend is to the baseline? Rows of keys or values that were cut short
 * (attn_take_cut) spoil such a metric, and no other. */
bool metric_of_fidelity(const struct metric *m);

/* Every column that some table has, with its definition: lines of at most 80 columns, or a Markdown
 * list. */
void metrics_explain(FILE *fp, bool markdown);

#endif
