/* All tensors of a model one by one, in the order of a GGUF file, with the names that files have
 * for them; and what numbers a tensor holds: whether each of them is finite, and how far they
 * reach. */
#ifndef LOOKAT_CHECKPOINT_TENSORS_H
#define LOOKAT_CHECKPOINT_TENSORS_H

#include "base/err.h"
#include "checkpoint/weights.h"

enum { TENSOR_NAME = 64 };

struct gpt2_tensor {
    char name[TENSOR_NAME];  /* GGUF's: "blk.0.attn_qkv.weight" */
    char shown[TENSOR_NAME]; /* for messages: as the file that the model is from calls it, without a
                                prefix */
    struct matrix m;         /* of a vector: one row of float32 */
    bool vector;             /* a norm's weight, or a bias */
    bool positions;          /* the position embedding */
    bool turned;             /* a matrix that stands in that file as [cols][rows] */
};

/* 12 L + 4, and the head where it is not tied. */
size_t gpt2_tensors(const struct gpt2_weights *w);

/* Tensor i of so many: token and position embedding, the layers, the last norm, the head. */
void gpt2_tensor(const struct gpt2_weights *w, size_t i, struct gpt2_tensor *t);

/* What a tensor holds. */
struct tensor_range {
    float most;      /* the largest magnitude of the finite numbers */
    size_t bad;      /* numbers that are infinite or no numbers */
    size_t row, col; /* of the first bad one, where there is one */
    float first;     /* its value */
};

/* Looks at every number; row[cols] is room for one row. */
void tensor_range(const struct kernels *k, const struct matrix *m, float *row,
                  struct tensor_range *r);

/* "h.1.mlp.c_proj.weight: 2 numbers are not finite, the first nan at [3,4]"; the place as in the
 * file that the model is from. */
enum { TENSOR_SAID = 192 };
void tensor_say_bad(const struct gpt2_tensor *t, const struct tensor_range *r,
                    char out[TENSOR_SAID]);

/* Looks at all tensors and calls found (may be NULL) for each with numbers that are not finite;
 * *bad: how many numbers in all. ERR_FAILED without memory, ERR_INTERRUPTED after Ctrl-C. */
typedef void (*tensor_bad_fn)(void *ctx, const struct gpt2_tensor *t, const struct tensor_range *r);
int gpt2_check_finite(const struct gpt2_weights *w, tensor_bad_fn found, void *ctx, uint64_t *bad,
                      struct err *e);

#endif
