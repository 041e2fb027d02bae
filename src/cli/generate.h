/* What the files of the command `generate` share: the model and the options, prompts, and one text
 * as it is written. */
#ifndef LOOKAT_CLI_GENERATE_H
#define LOOKAT_CLI_GENERATE_H

#include "cli/book.h"
#include "cli/engine.h"
#include "cli/watch.h"
#include "model/generation.h"
#include "model/state_file.h"
#include "model/stop_text.h"
#include "report/generation_out.h"
#include "report/live.h"
#include "report/text.h"

struct generate_job {
    const struct args *args;
    struct engine g;
    size_t n_ctx; /* tokens of context */
    uint64_t seed;
    struct draft_params draft;
};

/* What is continued, and how far. */
struct generate_prompt {
    const int32_t *ids; /* [n] */
    size_t n;
    size_t held;         /* of these, what sequence 0 of the session has already */
    const float *logits; /* [V] after the last of them, where all are held; else NULL */
    uint64_t stream;     /* of the seed */
    size_t limit;        /* the most tokens to write */
    bool until_full;     /* the limit is what is left of the context */
};

/* A session with the codebooks that its backend needs. */
struct generate_session {
    struct book book;
    struct gpt2_session s;
};

/* Bytes of a text that has more tokens than the context, whatever they are: nothing behind them
 * need be read. SIZE_MAX where there is no such number. */
size_t generate_too_many_bytes(const struct generate_job *j);

/* ERR_USAGE: a prompt of more tokens than the context. */
int generate_too_long(const struct generate_job *j, struct err *e);

/* Sets the ids of the prompt to those of text[n], or, where it is empty, to the token that a text
 * starts with. Memory from the arena. ERR_USAGE without a tokenizer, for a text of too many bytes,
 * and for an empty one where the model names no such token. */
int generate_encode(const struct generate_job *j, const uint8_t *text, size_t n, struct arena *a,
                    struct generate_prompt *p, struct err *e);

/* Takes off the token that some models put in front of a text: this one goes behind another. */
void generate_drop_start(const struct generate_job *j, struct generate_prompt *p);

/* Sets how many tokens to write behind the prompt: as many as were asked for, or until the context
 * is full. ERR_USAGE where the prompt alone is longer. */
int generate_plan(const struct generate_job *j, struct generate_prompt *p, struct err *e);

/* Opens a session for the backend `spec`, for prompts of up to `longest` tokens. generate_close is
 * due after OK. Errors are those of model_book_open and gpt2_session_open. */
int generate_open(struct generate_session *x, struct generate_job *j, const char *spec,
                  size_t longest, struct err *e);
void generate_close(struct generate_session *x);

/* One text, or several samples, as it is written. The first part is set by the caller. */
struct writing {
    struct generate_job *job;
    struct gpt2_session *s;
    const struct generate_prompt *prompt;
    enum generation_format format;
    bool show_prompt, show_progress;
    bool end_line;          /* text: a newline at the end, wherever it goes */
    const char *save_state; /* file for the state of the prompt, or NULL */
    struct arena *arena;

    struct generation_out out;
    struct generation_figures figures;
    struct watch watch;
    struct stop_text stop;
    struct live live;
    bool under_text; /* the live lines stand under the text */
    struct text_progress progress;
};

/* Runs the prompt, and writes what comes. Returns what generation_run does, and ERR_FAILED without
 * memory. In any case writing_close is due: it ends what has begun, the text or the JSON object,
 * unless an error other than ERR_INTERRUPTED makes an object worthless, and returns rc, or the
 * error of the last writes where rc is no error itself. */
int writing_run(struct writing *w, struct err *e);
int writing_close(struct writing *w, int rc, struct err *e);

/* --load-state and --save-state: the prompt begins with the tokens of a file, and its state goes to
 * one. */

/* Says whether the options go together, and whether the file of --save-state can be written. Errors
 * are ERR_USAGE, and those of output_check. */
int kept_check(const struct args *args, struct err *e);
/* Opens the file of --load-state, where there is one, and puts its tokens in front of the prompt.
 * state_file_close is due after OK. Errors are those of state_file_open. */
int kept_open(struct state_file *f, const struct generate_job *j, struct generate_prompt *p,
              struct err *e);
/* Makes sequence 0 of the new session what the file of --load-state holds, and ready for
 * --save-state. Errors are those of state_file_restore. */
int kept_restore(const struct state_file *f, const struct generate_job *j, struct gpt2_session *s,
                 struct err *e);

/* --prompts: continues each line of a file. */
int generate_prompts(struct generate_job *j, struct err *e);

/* -i: reads lines, and continues the text behind each. `first` is the text to begin with, of no
 * tokens where there is none; kept_open has opened `kept` for it. */
int generate_interactive(struct generate_job *j, const struct generate_prompt *first,
                         const struct state_file *kept, struct err *e);

#endif
