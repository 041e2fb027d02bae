/* Speed: prompts and generation at depths, timed in rounds, each with what it must read and compute
 * at least. */
#ifndef LOOKAT_MEASURE_BENCH_H
#define LOOKAT_MEASURE_BENCH_H

#include "attention/account.h"
#include "base/progress.h"
#include "checkpoint/checkpoint.h"
#include "measure/drafts.h"
#include "measure/limits.h"
#include "model/gpt2.h"

/* What rows share: a session of one model, with one attention backend and one set of kernels. */
struct bench_group {
    const struct checkpoint *model;
    const struct book *book; /* or NULL */
    const struct kernels *k;
    const char *attn; /* as given */
    struct gpt2_session
        s; /* sequence 0 holds `depth` tokens and is only copied from; the others are decoded */
    size_t batch, depth; /* the most of any row */
    bool invariant;      /* gpt2_session_setup.invariant */
    bool open;
};

/* Most repetitions. */
enum { BENCH_REPEATS_MAX = 1000 };

/* One cell of the cross product. */
struct bench_row {
    size_t group;
    int threads;
    bool decode; /* n steps of one token for each of `batch` sequences that hold `depth` tokens;
                    else a prompt of n tokens */
    size_t n, depth, batch; /* a prompt: depth 0, batch 1 */
    /* What was measured: */
    double *seconds;        /* [repeats] of n steps, or of the prompt */
    double bytes_per_token; /* that a step, or the prompt, must read, divided by its tokens */
    double streamed_per_token, at_hand_per_token; /* the same bytes, split (account.h) */
    double flops_per_token;                       /* additions and multiplications */
};

/* Attention alone, with one backend at one depth (measure/stages.h). */
struct bench_stages {
    size_t group, depth;       /* depth >= 1: the keys that a query sees */
    double (*ns)[ATTN_STAGES]; /* [repeats] of one query of one head */
    struct account read;       /* bytes that one query of all layers and heads reads */
};

/* Drafts along a script (measure/drafts.h): n tokens behind `depth` ones. Each repetition runs it
 * without drafts and with them. */
struct bench_drafts {
    size_t group;
    int threads;
    size_t n, depth;
    double right;                   /* the share of right proposals, 0 .. 1 */
    int32_t *text;                  /* [depth + n] */
    struct drafts_run *with, *none; /* [repeats] */
};

/* The limits of one set of kernels with one number of threads, before the first repetition and
 * after each. The reading is the fastest set's, whatever the set. */
struct bench_limits {
    const struct kernels *k;
    int threads;
    struct limits *at; /* [repeats + 1] */
};

struct bench {
    struct bench_group *groups;  /* [n_groups] */
    struct bench_row *rows;      /* [n_rows] */
    struct bench_stages *stages; /* [n_stages] depths of a group stand together, ascending */
    struct bench_limits *limits; /* [n_limits] one for every set and number of threads that the rows
                                    have; none without roofline */
    struct bench_drafts *drafts; /* [n_drafts] */
    size_t n_groups, n_rows, n_stages, n_limits, n_drafts, repeats;
    size_t n_ctx;             /* of every session; 0: the model's */
    struct progress progress; /* hears after each fill and each run */
    struct arena arena;       /* of what bench_run makes and leaves; zero before */
};

/* Opens the sessions and fills each to its largest depth with random tokens, runs every row (of
 * speed, of attention alone, and of drafts) once for warmth and then `repeats` times, all rows in
 * turn, and measures the limits before the first of those and after each. A row's depth is copied,
 * not run again. Only the steps are timed. Bytes: the weights that the rows of a step use (each
 * matrix once a step, or once for every batch of a prompt's rows; the vocabulary's only where
 * logits are wanted: after each step, and once after a prompt), and what attention counts. Weights
 * count as streamed. Operations: two for each weight of each product, and 4 C for each key of each
 * query and layer, as exact attention has them, whatever the backend. ERR_USAGE for a backend or a
 * context that cannot be, ERR_INTERRUPTED after Ctrl-C. */
int bench_run(struct bench *b, struct err *e);
/* Closes the sessions and frees what was measured. */
void bench_close(struct bench *b);

/* Returns the tokens per second of the whole batch, for the run that took `seconds`. */
double bench_speed(const struct bench_row *r, double seconds);

struct bench_speeds {
    double median, least, most; /* tokens per second */
};
struct bench_speeds bench_speeds(const struct bench *b, const struct bench_row *r);

/* Tokens per second with drafts, those without, and the ratio of the two in each repetition. */
enum bench_draft_figure { DRAFTS_WITH, DRAFTS_NONE, DRAFTS_RATIO };
struct bench_speeds bench_draft_speeds(const struct bench *b, const struct bench_drafts *d,
                                       enum bench_draft_figure figure);

/* How near a row comes to what the limits allow: the time they allow over the measured one, of each
 * repetition with the larger of the limits measured before and after it; the median. A shared
 * machine's limits change from one second to the next, and the share is of those next to the row.
 * False without limits. */
struct bench_share {
    bool reading; /* the limit that binds by the medians; else the multiply-adds */
    double share;
};
bool bench_share(const struct bench *b, const struct bench_row *r, struct bench_share *share);

/* The median, the least and the most of the measured limits, each limit apart. */
struct bench_limit_range {
    struct limits median, least, most;
};
struct bench_limit_range bench_limit_range(const struct bench *b, const struct bench_limits *l);

/* The median of a stage, nanoseconds of one query of one head; and of making the tables and the
 * scores, which is where codecs of keys differ. */
double bench_stage_ns(const struct bench *b, const struct bench_stages *s, enum attn_stage stage);
double bench_score_ns(const struct bench *b, const struct bench_stages *s);
/* The sum of the medians of all stages. */
double bench_total_ns(const struct bench *b, const struct bench_stages *s);

/* How one query of one head grows with each key, from the least depth of the group to that of s:
 * nanoseconds, and bytes in the mean of layers and heads. False at the least depth. */
struct bench_growth {
    double ns, streamed, at_hand;
};
bool bench_growth(const struct bench *b, const struct bench_stages *s, struct bench_growth *g);

/* The first group of the same model and kernels whose keys are fp16 (in layer 0); SIZE_MAX where
 * there is none. */
size_t bench_fp16_group(const struct bench *b, size_t group);

/* Says whether a group's keys make tables of a query, whose cost many keys must share. */
bool bench_has_tables(const struct bench *b, size_t group);

/* From how many keys on `group` makes its scores, tables included, in less time than group `other`.
 * At one depth that is so, or the contrary, where every repetition says the same, each beside the
 * other backend's of the same round; fewer than BENCH_SURE repetitions say nothing. */
enum { BENCH_SURE = 5 };
enum bench_order {
    BENCH_NOT_TOLD, /* at the largest depth the repetitions disagree, or are too few */
    BENCH_NEVER,    /* at the largest depth it takes longer */
    BENCH_ALWAYS,   /* at every depth it takes less: from the smallest on */
    BENCH_FROM, /* longer at one depth, less at the next and all beyond: in between, on a straight
                   line */
    BENCH_AT_LATEST, /* less at this depth and all beyond, and not told at the one before */
};
struct bench_crossing {
    enum bench_order order;
    double keys; /* NAN where no number is told */
};
struct bench_crossing bench_crossing(const struct bench *b, size_t group, size_t other);

#endif
