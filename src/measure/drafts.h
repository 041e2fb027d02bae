/* What drafts gain: generation along a scripted text, of which the share of right proposals is set
 * beforehand. The model's numbers do not matter then, so any model will do, random ones too. */
#ifndef LOOKAT_MEASURE_DRAFTS_H
#define LOOKAT_MEASURE_DRAFTS_H

#include "model/draft.h"
#include "model/gpt2.h"
#include "model/sampler.h"

/* Fills text[depth] .. text[depth + n - 1]. Each token is the first that a draft would propose
 * behind those before it, with a chance of `right`; otherwise it is another one of text[0] ..
 * text[depth - 1], which are the caller's. So there is always a proposal, and each one is right
 * with that chance where those before it were. depth is at least 2. Returns false without memory.
 */
bool drafts_script(int32_t *text, size_t depth, size_t n, double right, struct rng *rng);

/* How a text was run. */
struct drafts_run {
    double seconds;
    size_t steps, proposed, kept;
};

/* What a comparison needs besides. */
struct drafts_place {
    struct gpt2_session *s; /* takes DRAFT_MOST tokens back; sequence 0 holds text[0] .. text[depth
                               - 1], and sequences 1 and 2 become copies that are continued */
    struct sampler *sampler;
    float *logits; /* [1 + DRAFT_MOST][V] */
};

/* Generates text[depth] .. text[depth + n - 1] twice as generate does it, without drafts and with
 * those that pay: batches, sampling, and taking back. The two take turns, a step of the one that is
 * behind, so that a slow moment of the machine hits both. What is sampled does not count; the
 * script's token stands in its place. Returns ERR_INTERRUPTED after Ctrl-C, and ERR_FAILED without
 * memory. */
int drafts_compare(const struct drafts_place *p, const int32_t *text, size_t depth, size_t n,
                   struct drafts_run *none, struct drafts_run *with, struct err *e);

#endif
