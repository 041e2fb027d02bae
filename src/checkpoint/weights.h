/* What every loader fills: the shape, the weights and the vocabulary of one GPT-2 model.
 * Dimensions: L layers, C width, H heads, D = C / H head_dim, F = n_inner, T context, V vocabulary. */
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
    const float *ln1_w, *ln1_b;          /* [C] before attention */
    struct matrix qkv, proj;             /* [3C][C] q, k, v above each other; [C][C] */
    const float *qkv_b, *proj_b;         /* [3C], [C] */
    const float *ln2_w, *ln2_b;          /* [C] before the MLP */
    struct matrix fc, fcproj;            /* [F][C], [C][F] */
    const float *fc_b, *fcproj_b;        /* [F], [C] */
};

struct gpt2_weights {
    struct gpt2_config config;
    struct matrix wte, wpe;        /* [V][C] token, [T][C] position embeddings */
    struct matrix head;            /* [V][C]; the same data as wte where tied */
    bool tied;
    const float *lnf_w, *lnf_b;    /* [C] final LayerNorm */
    struct gpt2_layer *layers;     /* [L] */
};

/* One merge of byte-level BPE: token `left` followed by token `right` becomes token `merged`. */
struct vocab_merge {
    uint32_t left, right, merged;
};

/* Byte-level BPE vocabulary, in raw bytes (not in the byte-to-unicode spelling of the files). */
struct vocab {
    uint32_t n;                        /* tokens: ids 0..n-1 */
    const uint32_t *offset;            /* [n + 1]: token i is bytes[offset[i]] .. bytes[offset[i + 1]] */
    const uint8_t *bytes;
    const uint8_t *control;            /* [n] 1 where the token is special (<|endoftext|>) and never the encoding of plain text */
    uint32_t n_merges;
    const struct vocab_merge *merges;  /* [n_merges] by rank, best first */
    int32_t bos, eos;                  /* ids, -1 where there is none */
};

/* Weights and biases of the model, the padding of a file and the tied head not counted twice. */
uint64_t gpt2_parameters(const struct gpt2_weights *w);

/* SHA-256, as 64 hex digits, of the shape and of what every stored number type keeps: norms, biases and positions. Conversions of one model have
 * one fingerprint. */
void gpt2_fingerprint(const struct gpt2_weights *w, char hex[65]);

/* Checks a shape before anything is allocated from it: every size in 1..2^24 (2^20 for L, T), C a multiple of H, head_dim a multiple of 4,
 * norm_eps finite and above 0.
 * ERR_REFUSED, naming `path`, the field, and what was expected. */
int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e);

#endif
