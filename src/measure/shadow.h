/* Shadow backends: they store the keys and values of a baseline's session and answer its queries,
 * so that what differs is the error of their attention alone. */
#ifndef LOOKAT_MEASURE_SHADOW_H
#define LOOKAT_MEASURE_SHADOW_H

#include "measure/comparison.h"

struct shadow;

/* Lets a shadow of each run but the first watch `baseline`, a session of one sequence, whose
 * observer this sets. With `decode` the shadows fill the decode figures of the chunks too, from the
 * batches of one row: for want of sessions of their own. Memory from the arena. */
int shadow_open(struct shadow **s, const struct comparison *c, struct gpt2_session *baseline,
                bool decode, struct arena *a, struct err *e);
void shadow_close(struct shadow *s);

/* A run but the first, to be timed at the end of a window. */
struct timed shadow_timed(const struct shadow *s, size_t run);

/* The session begins again with an empty sequence; results are added to chunks[n_runs]. */
void shadow_begin(struct shadow *s, struct comparison_chunk *const *chunks);

#endif
