/* How much quantised keys or values cost the text: the divergence of the next-token distribution,
 * where one head alone has them (damage_measure) or where all have them (damage_of_spec). */
#ifndef LOOKAT_CALIBRATION_DAMAGE_H
#define LOOKAT_CALIBRATION_DAMAGE_H

#include "attention/book.h"
#include "base/progress.h"
#include "model/gpt2.h"

struct damage_window {
    const int32_t *ids; /* [n] */
    size_t n;           /* >= 4, at most the model's context */
};

/* The model and the text that damage is measured on. */
struct damage_setup {
    const struct gpt2_weights *weights;
    const struct kernels *kn;
    const struct damage_window *windows; /* [n_windows] */
    size_t n_windows;
};

/* Writes damage[L][H]: KL(P || P') in nats, the mean over the scored predictions of all windows. P
 * is the exact model's distribution of the next token, P' that of the same model with the keys (or
 * with `values` those) of one head replaced by what learned quantisers heads[L][H] (not prepared)
 * make of them. Both read the same tokens, as in comparison.h's forced mode. Every one of positions
 * n/2 .. n - 2 of a window is scored; where the vocabulary is large every second, third, ..., so
 * that a window's predictions take 128 MB at most. Each pass begins at the head's own layer, since
 * nothing before it changes. `progress` hears in passes. ERR_FAILED without memory, ERR_INTERRUPTED
 * after Ctrl-C. */
int damage_measure(double *damage, const struct damage_setup *on, const struct quantiser *heads,
                   bool values, struct progress progress, struct err *e);

/* What an attention spec costs the text of the windows, scored as above. */
struct spec_damage {
    double kl;          /* nats: the mean divergence from the exact model's predictions */
    double kl_error;    /* its standard error, windows as clusters: NAN for one window */
    double ratio;       /* of the perplexity with the spec to the exact one */
    double ratio_error; /* its standard error; likewise */
};

/* Sets damage[n] to what each of specs[n] costs: runs every window once with the exact model and
 * once with each spec, in batches as prompts are run. book has the codebooks that the specs need;
 * NULL: none. ERR_USAGE for a bad spec, ERR_FAILED without memory, ERR_INTERRUPTED after Ctrl-C. */
int damage_of_specs(struct spec_damage *damage, const struct damage_setup *on,
                    const char *const *specs, size_t n, const struct book *book, struct err *e);

#endif
