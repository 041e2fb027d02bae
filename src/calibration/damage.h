/* How much each head's quantised keys or values cost the text: the divergence of the next-token
 * distribution where that head alone has them. */
#ifndef LOOKAT_CALIBRATION_DAMAGE_H
#define LOOKAT_CALIBRATION_DAMAGE_H

#include "attention/book.h"
#include "model/gpt2.h"

struct damage_window {
    const int32_t *ids; /* [n] */
    size_t n;           /* >= 4, at most the model's context */
};

/* damage[L][H]: KL(P || P') in nats, the mean over the scored predictions of all windows: P of the
 * exact model, P' of the same with the keys (or with `values` those) of one head replaced by what
 * learned quantisers heads[L][H] (not prepared) make of them, forced as in comparison.h. Of
 * positions n/2 .. n - 2 of a window every one is scored, or where the vocabulary is large every
 * second, third, ..., so that a window's predictions take 128 MB at most. Each pass begins at the
 * head's own layer. `progress` (NULL: none) in passes. ERR_INTERRUPTED after Ctrl-C. */
int damage_measure(double *damage, const struct gpt2_weights *w, const struct kernels *k,
                   const struct quantiser *heads, bool values, const struct damage_window *windows,
                   size_t n_windows, void (*progress)(void *ctx, uint64_t done, uint64_t total),
                   void *ctx, struct err *e);

/* What an attention spec costs the windows' text, scored as above: the divergence from the exact
 * model's predictions, and the ratio of perplexities. */
struct spec_damage {
    double kl,
        kl_error; /* nats; standard error of the mean, windows as clusters: NAN for one window */
    double ratio, ratio_error; /* of perplexities */
};

/* Both of one pass with the exact model and one with `spec`, batches as prompts are run. ERR_USAGE
 * for a bad spec, ERR_INTERRUPTED after Ctrl-C. */
int damage_of_spec(struct spec_damage *damage, const struct gpt2_weights *w,
                   const struct kernels *k, const char *spec, const struct book *book,
                   const struct damage_window *windows, size_t n_windows, struct err *e);

#endif
