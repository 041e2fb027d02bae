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
    uint32_t seq; /* the number of its sequence */
    uint32_t pos; /* its position: as many tokens as the sequence has stored, then counting up
                     within a batch */
    int32_t token;
    bool logits; /* are the logits after this token wanted? */
};

/* Sees q, k and v of every layer and batch, after they were stored and answered. q, k and v are
 * [n][H][D] of the batch's n rows, each row `stride` floats behind the one before. The observer
 * must leave them as they are. */
struct gpt2_observer {
    void *ctx;
    void (*layer)(void *ctx, size_t layer, const struct gpt2_row *rows, size_t n, const float *q,
                  const float *k, const float *v, size_t stride);
};

/* Changes the keys k[n][H][D] and the values v[n][H][D] of every layer and batch before they are
 * stored. Each row lies `stride` floats behind the one before. */
struct gpt2_filter {
    void *ctx;
    void (*rows)(void *ctx, size_t layer, float *k, float *v, size_t n, size_t stride);
};

/* Where the numbers of a sequence first ceased to be finite. A forward pass looks for NaN and
 * infinity at these stages:
 *
 *     1          the embedding
 *     2 + 2 l    q, k and v of layer l
 *     3 + 2 l    what layer l adds up to
 *
 * A codec may hide what it cannot store: a code stands for some number, whatever the key was. So
 * the stages are looked at before anything is stored, and all logits of the sequence are NaN from
 * there on. */
struct gpt2_fault {
    uint32_t stage; /* of the first row that was not finite; 0 where all rows are */
    uint32_t least; /* the earliest stage at which any row since then was not finite */
    uint32_t from;  /* the first position whose row is not finite */
    uint32_t pos;   /* the position of the row that `stage` is about */
    int32_t token;  /* and its token */
};

struct gpt2_session {
    const struct gpt2_weights *w;
    const struct kernels *kn;
    struct attn attn;
    size_t n_seq, max_rows;
    void **state;             /* [n_seq] attention states */
    uint32_t *length;         /* [n_seq] tokens stored */
    struct gpt2_fault *fault; /* [n_seq] */
    uint32_t *bad;            /* [max_rows] the stage where a row of the batch at work ceased to be
                                 finite, or 0 */
    /* Activations of a batch of n <= max_rows rows, one row behind the other. */
    float *x;                 /* [n][C] the residual stream */
    float *norm;              /* [n][C] what LayerNorm, and later attention, gives */
    float *qkv;               /* [n][3C] */
    float *hidden;            /* [n][F] */
    void *work;               /* the workspace of matrix products, or NULL where they need none */
    struct attn_query *items; /* [max_rows] */
    struct gpt2_row *rows;    /* [max_rows] the rows of gpt2_prefill */
    void *scratch;            /* the workspace of attn_attend */
    int threads;              /* the most threads that scratch is large enough for */
    size_t take_back;         /* how many of the last tokens a rewind takes back without a trace */
    bool invariant;           /* see gpt2_session_setup */
    /* [L] what attention has read since the session began. */
    struct attn_counters *counters;
    double attention_s; /* the seconds that storing and attending took since the session began */
    /* The owner sets these three; NULL where nobody watches, and nothing is changed. */
    const struct attn_probe *probe;       /* sees every query's scores */
    const struct gpt2_observer *observer; /* sees every layer's rows */
    const struct gpt2_filter *filter;     /* changes every layer's keys and values */
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
    /* So many of the last tokens a rewind takes back as if they had never been there, whatever the
     * backend: windows of exact keys keep as many more keys (attn_take_back). */
    size_t take_back;
    /* However a prompt is cut into batches, its rows get the same bits: those of a row alone. */
    bool invariant;
};

/* Prepares n_seq empty sequences. Batches may run with at most as many threads as are set now.
 * Returns ERR_USAGE for a bad spec or n_ctx, and ERR_FAILED without memory; then there is nothing
 * to close. */
int gpt2_session_open(struct gpt2_session *s, const struct gpt2_session_setup *setup,
                      struct err *e);

/* Returns how many rows of a prompt are best run at once, a multiple of 64. Many rows use the
 * weights better, but each takes (5 C + F) floats of activations. These stay below 7.5 MiB, or are
 * those of 64 rows. */
size_t gpt2_prompt_rows(const struct gpt2_config *c);

/* Frees what gpt2_session_open took. */
void gpt2_session_close(struct gpt2_session *s);

/* Runs n <= max_rows rows and stores their keys and values. The rows of one sequence stand
 * together, in order. logits receives [V] for each row that wants them, in the order of the rows.
 * They are NaN from the first row of a sequence on that is not finite (gpt2_fault). Returns
 * ERR_USAGE, and stores nothing, for a token outside the vocabulary, a position that is not the
 * next one, or one beyond the context. */
int gpt2_forward(struct gpt2_session *s, const struct gpt2_row *rows, size_t n, float *logits,
                 struct err *e);

/* Does the same from layer `first` on. x[n][C] is what enters that layer, as an observer of it
 * found it in s->x. The layers before it store nothing, so the rows must be of empty sequences, and
 * a rewind to 0 must come next. Errors are those of gpt2_forward. */
int gpt2_forward_from(struct gpt2_session *s, size_t first, const float *x,
                      const struct gpt2_row *rows, size_t n, float *logits, struct err *e);

/* Returns ERR_FAILED where sequence seq holds rows that are not finite. The message says in which
 * layer and at which token this began. */
int gpt2_check(const struct gpt2_session *s, uint32_t seq, struct err *e);

/* Returns ERR_FAILED where one of logits[V], the logits after *row, is not finite. The message says
 * whether the sequence or the head of the model is at fault. */
int gpt2_check_logits(const struct gpt2_session *s, const struct gpt2_row *row, const float *logits,
                      struct err *e);

/* Was row i of the batch at work, or one before it in its sequence, not finite where layer `layer`
 * stored its keys? Observers ask this, so that they do not measure such rows. */
bool gpt2_is_bad(const struct gpt2_session *s, const struct gpt2_row *rows, size_t i, size_t layer);

/* Appends n tokens to sequence seq, in batches of max_rows. logits[V] receives those after the last
 * token; it may be NULL. Returns ERR_INTERRUPTED after Ctrl-C, with some batches stored, and the
 * errors of gpt2_forward. */
int gpt2_prefill(struct gpt2_session *s, uint32_t seq, const int32_t *tokens, size_t n,
                 float *logits, struct err *e);

/* Sequence dst becomes the first n tokens of src, which holds at least as many. */
void gpt2_fork(struct gpt2_session *s, uint32_t dst, uint32_t src, uint32_t n);

/* Sets out[L][C] to the constant part of each layer's keys, which the weights add to every token:
 * W_k beta + b_k, where beta is the bias of the LayerNorm before, and W_k and b_k are the part of
 * qkv that makes keys. */
void gpt2_key_constants(const struct gpt2_weights *w, const struct kernels *kn, float *out);

/* Is sequence seq after a rewind to n tokens what it was when it held n? It is, unless a layer has
 * a window of exact keys, and more tokens go than take_back. */
bool gpt2_rewinds(const struct gpt2_session *s, uint32_t seq, uint32_t n);

/* Forgets the tokens of seq from position n on. Where these are more than take_back of the session,
 * a window of exact keys is not whole again at once (attn_truncate). */
void gpt2_rewind(struct gpt2_session *s, uint32_t seq, uint32_t n);

#endif
