/* What `generate` writes to standard output: text as it comes, one JSON object at the end, or JSON
 * lines. */
#ifndef LOOKAT_REPORT_GENERATION_OUT_H
#define LOOKAT_REPORT_GENERATION_OUT_H

#include "checkpoint/checkpoint.h"
#include "model/generation.h"
#include "report/json_out.h"
#include "tokenizer/bpe.h"

enum generation_format { GENERATION_TEXT, GENERATION_JSON, GENERATION_JSONL };

struct kept_step {
    int32_t id;
    bool has_logprob;
    double logprob;
    struct candidate *top; /* [n_top] */
    size_t n_top;
};

struct kept_sample {
    struct kept_step *steps; /* [n] */
    size_t n;
    const char *stop; /* "length", "eos", "context", "reverse-prompt"; NULL: interrupted */
};

struct generation_out {
    FILE *fp;
    enum generation_format format;
    const struct checkpoint *model;
    const struct bpe *bpe;        /* NULL: no tokenizer, ids are written in place of text */
    const char *attn, *effective; /* the attention spec as given, and in full */
    const int32_t *prompt;
    size_t n_prompt, n_samples;
    bool show_prompt;             /* text: before the continuation */
    bool show_special, hold_utf8; /* write control tokens; hold back an incomplete UTF-8 sequence
                                     (on a terminal) */
    bool end_line;                /* text: a newline at the end even where that is no terminal */
    bool logprobs, full_context;  /* full_context: the length limit is the context */
    uint64_t seed;
    struct kept_sample *samples; /* [n_samples] */
    struct kept_sample echoed;   /* the prompt's steps */
    uint8_t held[4];
    size_t n_held;
    bool wrote; /* something of the text is out */
    struct arena *arena;
};

/* Room for n_samples of `limit` tokens. Everything above `samples` is set by the caller before.
 * ERR_FAILED without memory. */
int generation_out_open(struct generation_out *o, size_t limit, struct err *e);

/* Writes the prompt, in the text format and where it is to be shown. */
void generation_out_prompt(struct generation_out *o);

/* As the events of model/generation.h; ctx is the struct generation_out. A write that fails (a full
 * disk, a closed pipe) ends it with ERR_FAILED. */
int generation_out_step(void *ctx, const struct generation_step *step, struct err *e);
void generation_out_stopped(void *ctx, uint32_t sample, enum generation_stop why);

struct generation_figures {
    double load_s;
    struct generation_stats run;
    uint64_t peak_bytes, stored_bytes_per_token;
    const uint64_t *cut; /* [L] rows of keys and values that were cut short */
    int threads;
    const char *kernels;
};

/* The end of the text, or the closing JSON object. ERR_FAILED where something could not be
 * written. */
int generation_out_close(struct generation_out *o, const struct generation_figures *f,
                         struct err *e);

/* The line of statistics for standard error. */
void generation_print_figures(FILE *fp, const struct generation_figures *f, const char *attn,
                              uint64_t seed);

#endif
