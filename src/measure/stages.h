/* Attention alone: what one query of one head costs, stage by stage. */
#ifndef LOOKAT_MEASURE_STAGES_H
#define LOOKAT_MEASURE_STAGES_H

#include "model/gpt2.h"

/* ns[stage] = nanoseconds that one query of one head takes over the first `depth` >= 1 tokens of
 * sequence 0, which holds as many: the mean over all layers and heads in turn, as decoding visits
 * them, repeated for about `seconds`, on one thread. The time that looking at the clock takes is
 * taken off. Nothing comes in between as the weights do in decoding: a cache that fits the
 * processor's caches is read from there. Queries are random; the session's activations are
 * overwritten. *read becomes the bytes that one query of every layer and head read. */
void stages_measure(struct gpt2_session *s, size_t depth, double seconds, double ns[ATTN_STAGES],
                    struct attn_counters *read);

#endif
