/* The sets compiled into this program; NULL for one of another machine. Only for select.c and the sets themselves. */
#ifndef LOOKAT_KERNELS_SETS_H
#define LOOKAT_KERNELS_SETS_H

#include "kernels/kernels.h"

extern const struct kernels *const kernels_scalar;
extern const struct kernels *const kernels_avx2;
extern const struct kernels *const kernels_avx512;
extern const struct kernels *const kernels_neon;

#endif
