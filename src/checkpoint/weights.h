/* What every loader fills: the shape, the weights and the vocabulary of one GPT-2 model.
 * Dimensions: L layers, C width, H heads, D = C / H head_dim, F = n_inner, T context, V
 * vocabulary. */
#ifndef LOOKAT_CHECKPOINT_WEIGHTS_H
#define LOOKAT_CHECKPOINT_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matrix.h"

enum activation { GELU_TANH, GELU_ERF, RELU, SILU }; /* Hugging Face: gelu_new, gelu, relu, silu */

/* The fields of a model's configuration: X(type, member, what files and messages call it). This is
 * the one list of them. The struct, its check, the readers of GGUF, config.json and llm.c, the
 * writer of GGUF, the fingerprint and the JSON of a model are made from it, so a new field is one
 * line at its end, and its use. Only a size that a file need not give asks for more: its place in
 * from_tensors (hf.c) and in random_config (cli/convert.c).
 *
 * The type gives the kind: size_t is a whole number from 1 to `.most`, float a number between 0 and
 * `.most`, an enum one of the `.choices` (its values 0, 1, 2 and so on), bool a switch. The other
 * entries are those of struct config_field; an entry that is left out is 0 or NULL. */
#define GPT2_CONFIG_FIELDS(X)                                                                     \
    X(size_t, n_layer, .words = "number of layers", .most = 1 << 20, .gguf = "gpt2.block_count",  \
      .gguf_place = 4, .hf = {"n_layer", "num_hidden_layers"}, .llmc = 4, .json = "layers",       \
      .json_place = 1)                                                                            \
    X(size_t, n_head, .words = "number of heads", .most = 1 << 24,                                \
      .gguf = "gpt2.attention.head_count", .gguf_place = 5,                                       \
      .hf = {"n_head", "num_attention_heads"}, .llmc = 5, .json = "heads", .json_place = 2)       \
    X(size_t, n_embd, .words = "width", .most = 1 << 24, .gguf = "gpt2.embedding_length",         \
      .gguf_place = 2, .hf = {"n_embd", "hidden_size"}, .llmc = 6, .json = "width",               \
      .json_place = 3)                                                                            \
    X(size_t, n_inner, .words = "MLP width", .most = 1 << 24, .gguf = "gpt2.feed_forward_length", \
      .gguf_place = 3, .hf = {"n_inner", "intermediate_size"}, .json = "inner", .json_place = 4)  \
    X(size_t, n_ctx, .words = "context length", .most = 1 << 20, .gguf = "gpt2.context_length",   \
      .gguf_place = 1, .hf = {"n_positions", "max_position_embeddings"}, .llmc = 2,               \
      .json = "context", .json_place = 6)                                                         \
    X(size_t, n_vocab, .words = "vocabulary size", .most = 1 << 24,                               \
      .hf = {"vocab_size", "n_vocab"}, .llmc = 3, .json = "vocab", .json_place = 5)               \
    X(float, norm_eps, .words = "LayerNorm epsilon", .most = 1,                                   \
      .gguf = "gpt2.attention.layer_norm_epsilon", .gguf_place = 6,                               \
      .hf = {"layer_norm_epsilon", "layer_norm_eps"}, .absent = 1e-5, .json = "norm_eps",         \
      .json_place = 8)                                                                            \
    X(enum activation, activation, .words = "activation",                                         \
      .choices = {"gelu_new", "gelu", "relu", "silu"}, .gguf = "lookat.activation_function",      \
      .gguf_place = 7, .gguf_optional = true, .hf = {"activation_function", "hidden_act"},        \
      .absent = GELU_TANH, .json = "activation", .json_place = 7)                                 \
    X(bool, unscaled, .words = "scores that are not divided by sqrt(head_dim)",                   \
      .gguf = "lookat.attention.unscaled", .gguf_place = 8, .gguf_optional = true,                \
      .hf = {"scale_attn_weights"}, .hf_negated = true, .json = "unscaled", .json_place = 9)      \
    X(bool, scale_by_layer, .words = "scores that are divided by the number of the layer",        \
      .gguf = "lookat.attention.scale_by_layer", .gguf_place = 9, .gguf_optional = true,          \
      .hf = {"scale_attn_by_inverse_layer_idx"}, .json = "scale_by_layer", .json_place = 10)

/* L, H, C, F, T, V; the epsilon of every LayerNorm; the activation of every MLP; what is left out
 * of, or done besides, the division of scores by sqrt(D): layer l from 0 on divides them by l + 1.
 */
struct gpt2_config {
#define CONFIG_MEMBER(TYPE, MEMBER, ...) TYPE MEMBER;
    GPT2_CONFIG_FIELDS(CONFIG_MEMBER)
#undef CONFIG_MEMBER
};

/* CONFIG_n_layer and so on: the place of a field in the list. */
enum config_number {
#define CONFIG_NUMBER(TYPE, MEMBER, ...) CONFIG_##MEMBER,
    GPT2_CONFIG_FIELDS(CONFIG_NUMBER)
#undef CONFIG_NUMBER
        CONFIG_FIELDS
};

enum config_kind { CONFIG_SIZE, CONFIG_REAL, CONFIG_CHOICE, CONFIG_SWITCH };
enum { CONFIG_CHOICES = 4 };

struct config_field {
    const char *words; /* for messages */
    enum config_kind kind;
    size_t at;                           /* bytes from the beginning of struct gpt2_config */
    size_t most;                         /* the largest size; what a real number is below */
    const char *choices[CONFIG_CHOICES]; /* what files call the values of an enum; NULL: no more */
    double absent;      /* what a file means that does not tell; of a size nothing, 0 */
    const char *gguf;   /* key; NULL: GGUF has none */
    int gguf_place;     /* 1, 2, ...: the order of the keys in files that are written */
    bool gguf_optional; /* a key of this program's own: written where it is not `absent` */
    const char *hf[2];  /* name in config.json: GPT-2's own, and that of other models */
    bool hf_negated;    /* a switch that is off there where it is on here */
    size_t llmc;        /* which integer of an llm.c header it is; 0: none */
    const char *json;   /* key in a model's JSON */
    int json_place;     /* 1, 2, ...: the order of the keys there */
};

/* [CONFIG_FIELDS] in the order of enum config_number. */
extern const struct config_field gpt2_fields[];

/* The field whose gguf_place, or json_place, is this one; NULL past the last. */
const struct config_field *config_gguf_field(int place);
const struct config_field *config_json_field(int place);

/* The value of a field. A choice counts as a real number, its place among the choices, and so does
 * a switch, which is 0 or 1. */
size_t config_size(const struct gpt2_config *c, const struct config_field *f);
double config_real(const struct gpt2_config *c, const struct config_field *f);
void config_set_size(struct gpt2_config *c, const struct config_field *f, size_t x);
void config_set_real(struct gpt2_config *c, const struct config_field *f, double x);

/* The place of a name among a field's choices, or -1; and the choices for a message: "gelu_new",
 * "gelu" or "relu". */
int config_choice(const struct config_field *f, const char *name, size_t n);
struct config_choices {
    char s[96];
};
struct config_choices config_choices(const struct config_field *f);

/* Sets every field to what a file means that does not tell it: sizes to 0. */
void config_set_absent(struct gpt2_config *c);

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
    bool no_biases;             /* the file has none: they are zeros, and so they are written */
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

/* Weights and biases of the model: the tied head once, the padding of a file and biases that are
 * not in it never. */
uint64_t gpt2_parameters(const struct gpt2_weights *w);

/* SHA-256, as 64 hex digits, of the shape and of what every stored number type keeps: norms, biases
 * and positions. Conversions of one model have one fingerprint. */
void gpt2_fingerprint(const struct gpt2_weights *w, char hex[65]);

/* Returns a hash of the number types and bytes of all other matrices, to tell models of one
 * fingerprint apart: conversions to other types, and trainings that changed no bias. The bytes are
 * read once, by all threads. It protects against mistakes, and not against attackers: SipHash with
 * a known key. 0 where there is no memory. */
uint64_t gpt2_matrices_hash(const struct gpt2_weights *w);

/* Checks a shape before anything is allocated from it: every size in 1..2^24 (2^20 for L, T), C a
 * multiple of H, norm_eps finite and above 0. ERR_REFUSED, naming `path`,
 * the field, and what was expected. */
int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e);

#endif
