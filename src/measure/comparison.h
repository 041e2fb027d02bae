/* Comparison of attention backends on texts. A text is cut into chunks (windows of c tokens, the
 * last incomplete one left out); each chunk is measured on its own, and results are the sums over
 * chunks in the order of their numbers: so shares of the chunks, measured apart, add up to the same
 * bits.
 *
 * forced: each backend runs the tokens with its own hidden states. As llama-perplexity does, the
 * predictions made at positions c/2 .. c - 2 of a window are scored, that is its tokens c/2 + 1 ..
 * c - 1. No token is put in front of a window. shadow: the baseline runs; at every layer each
 * backend stores the baseline's k and v and answers its q; the queries at positions c/2 .. c - 1
 * are compared with what the baseline's own backend answers. The baseline's own result is exact by
 * definition and not computed.
 *
 * The tokens go through in batches of DECODE_EVERY - 1 rows and then one row alone, at positions
 * 63, 127, ...: what decoding reads and takes is measured there. */
#ifndef LOOKAT_MEASURE_COMPARISON_H
#define LOOKAT_MEASURE_COMPARISON_H

#include "base/progress.h"
#include "measure/by_context.h"
#include "measure/fidelity.h"
#include "measure/predictions.h"
#include "measure/stats.h"
#include "measure/timing.h"
#include "model/gpt2.h"

struct comparison_text {
    const char *file;
    char sha256[65];
    const int32_t *ids;    /* [tokens] */
    size_t tokens, chunks; /* chunks is set by comparison_prepare */
};

/* How well codes find what refine= is to read exactly. A query of a head counts where it sees more
 * keys than it picks. Its true best key is the one of the baseline's largest score, the first of
 * equals. */
struct recall {
    uint64_t queries; /* that count */
    uint64_t first;   /* of these, queries whose true best key has the best score from codes too */
    uint64_t picked;  /* queries whose true best key is among the rows that they pick */
};

/* What one chunk adds to one backend's run. L is layers, H heads. */
struct comparison_chunk {
    size_t text, chunk;
    struct predictions predictions; /* The scored tokens. The mode forced fills them. */
    struct moments *shadow;       /* [L][H][FIDELITIES], of the layers first_layer .. last_layer */
    struct recall *recall;        /* [L], of the mode shadow; NULL where no query counts */
    struct attn_counters *loaded; /* [L] bytes read by the tokens decoded one at a time */
    size_t decoded;               /* how many: one in DECODE_EVERY, spread over the window */
    struct timing
        attention; /* seconds in attention of as many, timed at the window's end (timing.h) */
    uint64_t *cut; /* [L] rows that were cut short (attn_take_cut); NULL: none */
};
enum { DECODE_EVERY = 64 }; /* or the window, where that is shorter */

struct comparison_run {
    const char *spec;          /* as given */
    const char *keys, *values; /* in full, of layer 0 */
    const char *name,
        *title; /* the effective spec in full, and the spec as tables show it (spec_name.h) */
    size_t stored_keys;    /* bytes a token, all layers and heads, at the window's end, exact keys
                              included */
    size_t stored_values;  /* bytes a token, all layers and heads */
    size_t stored_refined; /* bytes a token of the copies that refine= reads, keys and values */
    size_t codebooks;      /* bytes of codebooks that a token reads (account_codebooks) */
    struct by_context by_context;
    struct comparison_chunk
        *chunks; /* [n_chunks] those of this share, in order of text, then number */
    size_t n_chunks;
    char fault[256]; /* "", or where its numbers first ceased to be finite (gpt2_check) */
};

struct comparison {
    const struct gpt2_weights *w;
    const struct kernels *k;
    const struct book *book;
    size_t window; /* c, at least 4 and at most the model's context */
    bool forced, shadow;
    size_t first_layer, last_layer; /* shadow: which to compare */
    size_t share, of; /* this run does chunks i with i % of == share (counted over all texts) */
    struct comparison_text *texts;
    size_t n_texts;
    struct comparison_run *runs; /* [n_runs] the baseline first; spec set by the caller */
    size_t n_runs;
    size_t contexts[CONTEXTS_MAX]; /* [n_contexts] the lengths that by_context of the runs is of */
    size_t n_contexts;
    struct arena arena;
};

/* Checks all specs, sets the runs' names, sizes and accounts and the texts' chunks, allocates this
 * share's results in c->arena, which the caller frees. ERR_USAGE for a bad spec, window, layer or
 * share, and for a text shorter than a window. */
int comparison_prepare(struct comparison *c, struct err *e);
/* Measures this share's chunks. `progress` hears after each piece of work, in tokens x runs.
 * ERR_INTERRUPTED after Ctrl-C. */
int comparison_measure(struct comparison *c, struct progress progress, struct err *e);

/* The numbers of one run over one text (its index), or over all texts (SIZE_MAX). They are sums
 * over the run's chunks in order. Each chunk is one cluster of every estimate; the errors are NAN
 * where there is but one.
 */
struct comparison_summary {
    size_t chunks, decoded;
    /* forced */
    size_t tokens;
    struct estimate nll, log_ratio;      /* log_ratio: nll - the baseline's, token by token */
    double perplexity, perplexity_error; /* exp(mean nll), times the error of the mean */
    double ratio, ratio_error; /* the same of log_ratio: paired, so what both find hard drops out */
    struct estimate kld, same_top1, dp2; /* dp2: squares of dp */
    double kld_median, kld_p99, kld_max, rms_dp, rms_dp_error;
    /* shadow */
    struct estimate *layers;         /* [L][FIDELITIES] */
    struct estimate *heads;          /* [L][H][FIDELITIES] */
    struct estimate all[FIDELITIES]; /* of the layers measured */
    struct recall *recall;           /* [L] */
    size_t worst_layer;              /* by cosine */
    /* decode */
    struct attn_counters *loaded; /* [L] bytes per decoded token, times decoded */
    size_t codebooks;             /* the run's, which says how they split (account.h) */
    double attention_ms, attention_ms_least,
        attention_ms_most; /* of a token: median of the windows' medians, and of all
                            * repetitions least and most; NAN where none was decoded */
    uint64_t *cut;         /* [L] rows that were cut short */
};
/* Adds *x to *to. */
void recall_add(struct recall *to, const struct recall *x);

/* Fills *s; its arrays come from the arena. ERR_FAILED without memory. */
int comparison_summarise(const struct comparison *c, size_t run, size_t text, struct arena *a,
                         struct comparison_summary *s, struct err *e);

#endif
