/* What `compare` writes: tables for people (text, Markdown), CSV, one JSON object, and shares: the
 * raw sums of some of the chunks, which add up to the same bits as one run over all of them. */
#ifndef LOOKAT_REPORT_COMPARE_OUT_H
#define LOOKAT_REPORT_COMPARE_OUT_H

#include "attention/book.h"
#include "base/arena.h"
#include "measure/comparison.h"
#include "measure/law.h"
#include "measure/pattern.h"
#include "report/text.h"

/* The model that was measured. A report merged from shares has it from them, so nothing here points
 * into a checkpoint. */
struct compare_model {
    const char *file, *name;
    char sha256[65];      /* of the file; "" where it is a folder, or was not asked for */
    char fingerprint[65]; /* gpt2_fingerprint */
    struct gpt2_config config;
};

/* The codebooks that were used. */
struct compare_book {
    const char *file;
    const struct book_corpus *corpora; /* [n_corpora] */
    size_t n_corpora;
    const struct codebook *books; /* [n] m, k, learned, values and uneven only */
    size_t n;
    uint64_t tokens, samples, seed;
};

/* What one backend wrote after one text's beginning (free mode). */
struct compare_free {
    const char *text; /* [bytes] NULL where the model has no tokenizer */
    size_t bytes;
    const int32_t *ids; /* [n] */
    size_t n;
    /* [n] The log-probability of each token, the model's own, and its bytes in text; NULL where an
     * older share does not say. */
    const double *logprobs;
    const uint64_t *token_bytes;
    size_t
        first_difference; /* index of the first token that is not the baseline's; SIZE_MAX: none */
    size_t same_bytes;    /* bytes of text before that token */
};

/* How a report came about. */
struct compare_made {
    const char *command; /* as a shell would read it */
    const char *version, *compiler, *machine;
    char book_sha256[65]; /* of the file of the codebooks; "" where none were used, or not known */
    const char *kernels;  /* NULL where nothing was measured: shares were added up */
    int threads;
};

/* One point of the law. */
struct compare_law_point {
    size_t m, k;
    struct estimate spearman;
    const double *windows; /* [n_law_windows] 1 - rho of each window; NULL: not known */
};

struct compare_report {
    struct compare_model model;
    const struct compare_book *book; /* or NULL */
    const struct comparison *main;
    const struct comparison *lengths; /* [n_lengths] shadow with other windows, the same texts (cut
                                         into other chunks) and runs */
    size_t n_lengths;
    const struct compare_free *free;     /* [n_runs][n_texts], or NULL */
    size_t n_prompt;                     /* free: tokens taken from the text */
    uint64_t seed;                       /* free: of the samples */
    bool heads, paper, explain;          /* explain: what the columns mean, at the end */
    const struct compare_law_point *law; /* [n_law] layer first_layer, over all texts; NULL: none */
    size_t n_law, n_law_windows;
    const struct pattern *pattern;             /* of one head, for a page; NULL: none */
    const struct compare_made *made;           /* for a page; NULL: none */
    struct comparison_summary *summary;        /* [n_runs][n_texts] of main */
    struct comparison_summary *length_summary; /* [n_lengths][n_runs][n_texts] */
    struct arena *arena;
};

/* Adds up the chunks: fills r->summary and r->length_summary. ERR_FAILED without memory. */
int compare_report_sum(struct compare_report *r, struct err *e);

/* Return what compare_report_sum has made of a run and a text of r->main, or of one of r->lengths.
 */
const struct comparison_summary *compare_sum(const struct compare_report *r, size_t run,
                                             size_t text);
const struct comparison_summary *compare_length_sum(const struct compare_report *r, size_t length,
                                                    size_t run, size_t text);

/* Says whether the codebooks that this run uses were calibrated on this very text. */
bool compare_saw_text(const struct compare_report *r, size_t run, size_t text);

/* The layers that the shadow has, as a row names them: "0-1", or "all" where none is left out. */
struct text_number compare_layers(const struct compare_report *r);

/* Bytes that one decoded token read, all layers (layer SIZE_MAX) or one. */
struct compare_bytes {
    double keys, scales, codebooks, tables, values, refined, total;
    double streamed, at_hand;          /* the total once more, split (attention/account.h) */
    double skipped_rows, skipped_mass; /* value rows not read per token; their probability in the
                                          mean of a query and head */
};
struct compare_bytes compare_loaded(const struct compare_report *r,
                                    const struct comparison_summary *s, size_t layer);
/* The same for the layers that the shadow has, taken together. */
struct compare_bytes compare_loaded_shadow(const struct compare_report *r,
                                           const struct comparison_summary *s);

/* Fills *s so that compare_loaded(r, s, SIZE_MAX) and the metrics of bytes loaded are those of one
 * token at context number i (struct by_context) of a run. False without memory. */
bool compare_context_sum(const struct compare_report *r, size_t run, size_t i,
                         struct comparison_summary *s);

/* The law of arXiv 2601.10155, 1 - rho = O(d / (m K)), fitted to the points: y = 1 - rho against x
 * = d / (m K). False with too few points. */
bool compare_law_fit(const struct compare_report *r, struct power_law *fit);

/* Tests whether the points lie on the fitted curve, at the level LAW_LEVEL. False with too few
 * points or windows. */
#define LAW_LEVEL 0.01
bool compare_law_test(const struct compare_report *r, struct power_law_test *t);
enum law_verdict {
    LAW_NOT_SETTLED, /* too few points or windows, or errors so large that hardly any curve would be
                        seen */
    LAW_NO_POWER_LAW,
    LAW_SLOWER,
    LAW_FASTER,
    LAW_HOLDS
};
enum law_verdict compare_law_verdict(const struct compare_report *r);

/* Returns the exponent between a point and the next one with a larger d / (m K); NAN for the last.
 */
double compare_law_local(const struct compare_report *r, size_t point);

/* Write the report as text or Markdown, as CSV and as one JSON object (schema.md). ERR_FAILED
 * without memory. */
int compare_put_text(const struct compare_report *r, bool markdown, FILE *fp, struct err *e);
void compare_put_csv(const struct compare_report *r, FILE *fp);
void compare_put_json(const struct compare_report *r, FILE *fp);

/* Writes the report as one page of HTML (html.h). */
void compare_put_html(const struct compare_report *r, FILE *fp);

/* Writes the share of r->main that was measured: a header line, a line for each of its chunks and
 * runs, a line for each free text. */
void compare_put_share(const struct compare_report *r, FILE *fp);

/* Adds up shares: fills r and its comparison (which *c becomes) with what the files hold.
 * ERR_REFUSED with the file, the line and what is wrong: not a share, not of the same model, texts,
 * backends or window, a chunk that comes twice, or one that no file has. Memory from r->arena. */
int compare_merge(struct compare_report *r, struct comparison *c, char *const *files, size_t n,
                  struct err *e);

#endif
