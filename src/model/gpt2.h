/* GPT-2 (Radford et al. 2019): the forward pass over a batch of rows, and the sequences whose keys
 * and values it keeps.
 *
 * A row is one token of one sequence at one position. Prefill is n rows of one sequence; batched
 * decode is one row of each of n sequences; the forward pass does not tell them apart. For a row x
 * of width C, per layer:
 *
 *     x += proj(attention(qkv(layernorm1(x))));   x += fcproj(gelu(fc(layernorm2(x))))
 *
 * and at the end logits = head(layernorm_f(x)), where head is the token embedding unless the
 * checkpoint unties it.
 *
 * Dimensions: L layers, C width, H heads, D = C / H, F = n_inner, T context, V vocabulary. */
#ifndef LOOKAT_MODEL_GPT2_H
#define LOOKAT_MODEL_GPT2_H

#include "attention/backend.h"
#include "base/arena.h"
#include "checkpoint/weights.h"

struct gpt2_row {
    uint32_t seq, pos; /* pos: the number of tokens the sequence has stored, then counting up within
                          a batch */
    int32_t token;
    bool logits; /* are the logits after this token wanted? */
};

/* Sees q, k and v of every layer and batch, after they were stored and answered: q, k and v are
 * [n][H][D] of the batch's n rows, their rows `stride` floats apart. It must leave them as they
 * are. */
struct gpt2_observer {
    void *ctx;
    void (*layer)(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                  const float *k, const float *v, size_t stride);
};

/* Changes the keys k[n][H][D] and values v of every layer and batch, their rows `stride` floats
 * apart, before they are stored. */
struct gpt2_filter {
    void *ctx;
    void (*rows)(void *ctx, size_t layer, float *k, float *v, size_t n, size_t stride);
};

/* Where the numbers of a sequence went astray: the first of its rows, and in that row's batch the
 * first stage, that held a NaN or an infinity. A forward pass looks at the embedding, at q, k and v
 * of every layer and at every layer's output. A codec may hide what it cannot store (a code stands
 * for some number, whatever the key was), so all logits from there on are made NaN. */
struct gpt2_fault {
    uint32_t stage; /* 0: none; 1: embedding; 2 + 2l: q, k, v of layer l; 3 + 2l: what layer l adds
                       up to */
    uint32_t least; /* the earliest stage at which any row since then was not */
    uint32_t from;  /* the first position whose row is not finite */
    uint32_t pos;   /* of the row that was the first not to be, with its token */
    int32_t token;
};

struct gpt2_session {
    const struct gpt2_weights *w;
    const struct kernels *k;
    struct attn attn;
    size_t n_seq, max_rows;
    void **state;             /* [n_seq] attention states */
    uint32_t *length;         /* [n_seq] tokens stored */
    struct gpt2_fault *fault; /* [n_seq] */
    uint32_t
        *bad; /* [max_rows] of the batch at work: the stage where a row ceased to be finite, or 0 */
    /* activations of a batch, row-major, n <= max_rows rows */
    float *x;                       /* [n][C] residual stream */
    float *norm;                    /* [n][C] LayerNorm's output, and attention's */
    float *qkv;                     /* [n][3C] */
    float *hidden;                  /* [n][F] */
    void *work;                     /* of matrix products; or NULL */
    struct attn_query *items;       /* [max_rows] */
    struct gpt2_row *rows;          /* [max_rows] of prefill */
    void *scratch;                  /* of attend */
    int threads;                    /* the most that scratch was made for */
    struct attn_counters *counters; /* [L] bytes read by attention since the session began */
    double attention_s; /* seconds spent storing and attending since the session began */
    const struct attn_probe *probe; /* NULL, or what sees every query's scores; set by the owner */
    const struct gpt2_observer
        *observer; /* NULL, or what sees every layer's rows; set by the owner */
    const struct gpt2_filter
        *filter; /* NULL, or what changes every layer's keys and values; set by the owner */
    struct arena arena;
};

/* What a session is opened with. */
struct gpt2_session_setup {
    const struct gpt2_weights *weights; /* must outlive the session */
    const struct kernels *kn;
    const char *attn;        /* the spec of the attention backend (attn_init) */
    const struct book *book; /* the codebooks that it may need; they must outlive the session. NULL
                                where there are none */
    size_t n_seq;            /* sequences */
    size_t n_ctx;            /* tokens of each: 1 to the model's T */
    size_t max_rows;         /* the most rows of a batch */
};

/* Prepares empty sequences. Batches run with at most as many threads as are set now. ERR_USAGE for
 * a bad spec or n_ctx, ERR_FAILED without memory; then there is nothing to close. */
int gpt2_session_open(struct gpt2_session *s, const struct gpt2_session_setup *setup,
                      struct err *e);
/* Rows of a prompt to run at once: many use the weights better, but each takes (5 C + F) floats of
 * activations; these stay below 7.5 MiB, or are 64 rows. */
size_t gpt2_prompt_rows(const struct gpt2_config *c);
void gpt2_session_close(struct gpt2_session *s);

/* Runs n <= max_rows rows and stores their keys and values. Rows of one sequence stand together, in
 * order. logits receives [V] for each row that wants them, in order: NaN from the first row of a
 * sequence on that is not finite (gpt2_fault). ERR_USAGE, with nothing stored, for a token outside
 * the vocabulary, a position that is not the next, or one beyond the context. */
int gpt2_forward(struct gpt2_session *s, const struct gpt2_row *rows, size_t n, float *logits,
                 struct err *e);
/* The same from layer `first` on, which x[n][C] enter, as an observer of that layer found it in
 * s->x. The layers before it store nothing: the rows are of empty sequences, and a rewind to 0
 * comes next. */
int gpt2_forward_from(struct gpt2_session *s, size_t first, const float *x,
                      const struct gpt2_row *rows, size_t n, float *logits, struct err *e);

/* ERR_FAILED where sequence seq holds rows that are not finite, saying since which layer and token.
 */
int gpt2_check(const struct gpt2_session *s, uint32_t seq, struct err *e);
/* The same of logits[V], those after token `token` of seq at position pos, whose own numbers may be
 * at fault. */
int gpt2_check_logits(const struct gpt2_session *s, const struct gpt2_row *row, const float *logits,
                      struct err *e);
/* Was row i of the batch at work, or one before it in its sequence, not finite where layer `layer`
 * stored its keys? For observers. */
bool gpt2_is_bad(const struct gpt2_session *s, const struct gpt2_row *rows, size_t i, size_t layer);

/* Appends n tokens to a sequence in batches of max_rows; logits[V] are those after the last token
 * (NULL: none). ERR_INTERRUPTED after Ctrl-C. */
int gpt2_prefill(struct gpt2_session *s, uint32_t seq, const int32_t *tokens, size_t n,
                 float *logits, struct err *e);

/* Sequence dst becomes the first n tokens of src. */
void gpt2_fork(struct gpt2_session *s, uint32_t dst, uint32_t src, uint32_t n);

/* out[L][C] = the constant part of each layer's keys: what the weights add whatever the token, W_k
 * beta + b_k with beta the bias of the LayerNorm before. */
void gpt2_key_constants(const struct gpt2_weights *w, const struct kernels *k, float *out);

/* Forgets the tokens of seq from position n on. */
void gpt2_rewind(struct gpt2_session *s, uint32_t seq, uint32_t n);

#endif
