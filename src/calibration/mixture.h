/* The mixture q4_k_m: which matrices of a model are stored with four bits a number and which with
 * six, by what each of them costs the text when it alone has four.
 *
 * What a mixture may take is what llama.cpp's of this name takes, to the byte: there the head (or
 * the embedding that it is tied to) has q6_K, qkv has q5_K, fcproj has q6_K in the first and the
 * last eighth of the layers and in every third between them, and everything else q4_K. Here the
 * places are not fixed:
 *
 *  1. The model writes a text: up to 128 tokens at temperature 1, from one seed.
 *  2. For each matrix alone, stored as q4_K, the damage is measured: KL(P || P'), the mean over the
 *     predictions of that text, as in damage.h. With six bits a number the damage is some twentieth
 *     of it, which is not measured.
 *  3. In the order of damage for each number that the matrix holds, largest first and of equals the
 *     one that stands first in the file, each matrix gets q6_K as long as the whole stays within
 *     what it may take.
 *
 * Rows that are no multiple of 256 numbers have q4_0 and q8_0 in place of q4_K and q6_K
 * (dtype_for_rows); then they count so in what llama.cpp's takes, too, where it would use q5_0 and
 * q5_1. The choice is the same for any number of threads. Sets of kernels agree to rounding, so
 * that another processor may rank two matrices of nearly equal damage the other way. */
#ifndef LOOKAT_CALIBRATION_MIXTURE_H
#define LOOKAT_CALIBRATION_MIXTURE_H

#include "base/arena.h"
#include "base/progress.h"
#include "model/gpt2.h"

struct mixture {
    size_t n;          /* tensors of the model (gpt2_tensors) */
    enum dtype *types; /* [n] of each tensor in the file; f32 of what is no matrix */
    double *damage;    /* [n] nats, of q4_K or what stands for it; 0 of what is no matrix */
    size_t matrices;   /* of the n; the position embedding is none of them */
    size_t raised;     /* of these, how many have six bits a number */
    uint64_t bytes;    /* of the matrices */
    uint64_t allowed;  /* what they may take */
};

/* Chooses the types for a model. `first` is the token that its text begins with. All of m is in the
 * arena; `progress` hears in matrices. ERR_FAILED without memory, or where the model's numbers are
 * not finite; ERR_INTERRUPTED after Ctrl-C. */
int mixture_choose(struct mixture *m, const struct gpt2_weights *w, const struct kernels *kn,
                   int32_t first, struct progress progress, struct arena *a, struct err *e);

#endif
