/* What every loader fills: the shape, the weights and the vocabulary of one GPT-2 model.
 * Dimensions: L layers, C width, H heads, D = C / H head_dim, F = n_inner, T context, V
 * vocabulary. */
#ifndef LOOKAT_CHECKPOINT_WEIGHTS_H
#define LOOKAT_CHECKPOINT_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matrix.h"

enum activation { GELU_TANH, GELU_ERF }; /* Hugging Face: gelu_new, gelu */

struct gpt2_config {
    size_t n_layer, n_head, n_embd, n_inner, n_ctx, n_vocab; /* L, H, C, F, T, V */
    float norm_eps;                                          /* of every LayerNorm */
    enum activation activation;
};

struct gpt2_layer {
    const float *ln1_w, *ln1_b;   /* [C] before attention */
    struct matrix qkv, proj;      /* [3C][C] q, k, v above each other; [C][C] */
    const float *qkv_b, *proj_b;  /* [3C], [C] */
    const float *ln2_w, *ln2_b;   /* [C] before the MLP */
    struct matrix fc, fcproj;     /* [F][C], [C][F] */
    const float *fc_b, *fcproj_b; /* [F], [C] */
};

struct gpt2_weights {
    struct gpt2_config config;
    struct matrix wte, wpe; /* [V][C] token, [T][C] position embeddings */
    struct matrix head;     /* [V][C]; the same data as wte where tied */
    bool tied;
    const float *lnf_w, *lnf_b; /* [C] final LayerNorm */
    struct gpt2_layer *layers;  /* [L] */
    bool hf_names; /* from a file with Hugging Face's names: messages call tensors so */
};

/* One merge of byte-level BPE: token `left` followed by token `right` becomes token `merged`. */
struct vocab_merge {
    uint32_t left, right, merged;
};

/* What a token is for. */
enum token_kind {
    TOKEN_NORMAL,  /* a byte, or what merges make */
    TOKEN_CONTROL, /* special, a mark such as <|endoftext|>: never the encoding of plain text, not
                      shown unless asked for */
    TOKEN_ADDED,   /* a word added by hand: found in a text as it stands, no merge makes it */
    TOKEN_UNUSED, /* a place kept free: never found in a text and not shown; what the model makes of
                     it is its own affair */
    TOKEN_PADDING /* no token: a row that the embedding was padded with, which is never chosen */
};

/* How a text is searched for a token before it is cut into pieces: bits, 0 where it is not. */
enum token_match {
    MATCH_TEXT = 1,        /* in any text */
    MATCH_SPECIAL = 2,     /* in a text whose special tokens are meant */
    MATCH_SINGLE_WORD = 4, /* not where a word goes on at either end */
    MATCH_LSTRIP = 8,      /* with the white space in front of it */
    MATCH_RSTRIP = 16,     /* with the white space behind it */
    MATCH_LATER = 32       /* after all tokens without this bit (Hugging Face: normalized) */
};

/* The most warnings that reading a vocabulary leaves. */
enum { VOCAB_WARNINGS = 6 };

/* Byte-level BPE vocabulary, in raw bytes (not in the byte-to-unicode spelling of the files). */
struct vocab {
    uint32_t n;             /* tokens: ids 0..n-1 */
    const uint32_t *offset; /* [n + 1]: token i is bytes[offset[i]] .. bytes[offset[i + 1]] */
    const uint8_t *bytes;
    const uint8_t *kind;  /* [n] enum token_kind */
    const uint8_t *match; /* [n] bits of enum token_match */
    uint32_t n_merges;
    const struct vocab_merge *merges; /* [n_merges] by rank, best first */
    int32_t bos, eos;                 /* ids, -1 where there is none */
    bool add_bos;                     /* every text begins with bos */
    bool whole_text;                  /* a text is one piece: it is not cut by the pre-tokenizer */
    bool
        ignore_merges; /* a piece that is a whole token is that token, whatever merges would make */
    uint32_t n_warnings;
    const char *warning[VOCAB_WARNINGS]; /* [n_warnings] what the user should know of the file: a
                                            sentence each */
};

/* Weights and biases of the model, the padding of a file and the tied head not counted twice. */
uint64_t gpt2_parameters(const struct gpt2_weights *w);

/* SHA-256, as 64 hex digits, of the shape and of what every stored number type keeps: norms, biases
 * and positions. Conversions of one model have one fingerprint. */
void gpt2_fingerprint(const struct gpt2_weights *w, char hex[65]);

/* Checks a shape before anything is allocated from it: every size in 1..2^24 (2^20 for L, T), C a
 * multiple of H, head_dim a multiple of 4, norm_eps finite and above 0. ERR_REFUSED, naming `path`,
 * the field, and what was expected. */
int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e);

#endif
