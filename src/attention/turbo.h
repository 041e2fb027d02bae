/* TurboQuant's fixed levels, which tests hold to their definition. */
#ifndef LOOKAT_ATTENTION_TURBO_H
#define LOOKAT_ATTENTION_TURBO_H

#include <stddef.h>

/* levels[2^bits], ascending: the Lloyd-Max quantiser of the standard normal (Max 1960), the points
 * of least mean squared error; bits in 2 .. 4. */
const float *turbo_levels(size_t bits);

#endif
