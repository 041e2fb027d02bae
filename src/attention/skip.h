/* Skipping values: blocks of value rows whose probabilities together are at most `bound` are not
 * read. This file chooses the blocks, and decode.c leaves them out. Let `mass` be the sum of the
 * probabilities left out, at most bound. Then in any norm
 *
 *     |out - what all rows give| = |sum over rows left out of p_i v_i| <= mass max |v_i|
 *
 * With refine= the probabilities are those of the tail alone (refine.h), which is a part of the
 * whole: the bound holds all the more. The other probabilities stay as they are: scaling them up to
 * 1 would double the bound. A block is that of the value codec's layout, or as many of them as make
 * 16 rows. */
#ifndef LOOKAT_ATTENTION_SKIP_H
#define LOOKAT_ATTENTION_SKIP_H

#include "attention/codec.h"

/* What attn_counters.skipped_mass counts for a probability of 1. */
#define SKIP_MASS_UNIT ((double)((uint64_t)1 << 40))

/* Returns the rows of a block that is read or left out as a whole, a multiple of layout.rows. The
 * last block of a timeline may be a part of one. */
size_t skip_rows(const struct kv_layout *layout);

/* Returns the floats of marks that skip_choose needs for n rows, whatever the layout. */
size_t skip_work_floats(size_t n);

/* Chooses blocks of `rows` rows among the n rows with probabilities p[n]. marks has one float for
 * each block, n / rows rounded up. It becomes -1 where the block is left out, and the block's
 * probability otherwise. Returns the probability of all blocks left out, at most bound. Blocks are
 * taken by the power of two that their sum lies under, the lowest power first, and within one power
 * in their order. A block with a probability that is NaN is never left out. */
double skip_choose(float *marks, const float *p, size_t n, size_t rows, double bound);

#endif
