/* A model's facts, in the form that every report has them. */
#ifndef LOOKAT_REPORT_MODEL_OUT_H
#define LOOKAT_REPORT_MODEL_OUT_H

#include "attention/book.h"
#include "checkpoint/checkpoint.h"
#include "report/json_out.h"

/* A "model" object: file, format, size, shape. sha256 may be NULL: then it is left out. */
void json_put_model(struct json_out *j, const char *key, const struct checkpoint *c,
                    const char *sha256);

/* "GELU, tanh form" and so on, for people. */
const char *model_activation(enum activation a);

/* The array "codebooks": for each of the n settings {m or bytes, k, learned, values}. */
void json_put_codebooks(struct json_out *j, const struct codebook *settings, size_t n);

/* A kind of tensor, over all layers: "attn_qkv", its type ("f16"; "mixed" where layers differ), all
 * its types ("q4_K, q6_K"), and
 * its bytes in memory. */
struct tensor_kind {
    const char *name, *type;
    char types[48];
    size_t count, rows, cols; /* tensors, and the shape of each */
    uint64_t bytes;           /* of all of them */
};

enum { TENSOR_KINDS = 7 };

/* Fills kinds with the matrices of the model under their GGUF names (a tied head is left out);
 * returns how many. */
int model_tensor_kinds(const struct gpt2_weights *w, struct tensor_kind kinds[TENSOR_KINDS]);

#endif
