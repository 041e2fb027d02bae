/* Skipping values: blocks of value rows whose probabilities together are at most `bound` are not
 * read. With m the sum of the probabilities left out,
 *
 *     |out - what all rows give| = |sum over rows left out of p_i v_i| <= m max |v_i|        in
 *         any norm, m <= bound
 *
 * The other probabilities stay as they are: scaling them up to 1 would double the bound. A block is
 * that of the value codec's layout, or as many of them as make 16 rows. */
#ifndef LOOKAT_ATTENTION_SKIP_H
#define LOOKAT_ATTENTION_SKIP_H

#include "attention/codec.h"

/* attn_counters.skipped_mass of 1. */
#define SKIP_MASS_UNIT ((double)((uint64_t)1 << 40))

/* Rows of a block, a multiple of layout.rows; blocks of n rows: the last may be a part. */
size_t skip_rows(const struct kv_layout *layout);

/* Floats that skip_choose works in for n rows. */
size_t skip_work_floats(size_t n);

/* Chooses blocks of `rows` of the n rows of p: marks[n / rows, rounded up] = -1 where a block is
 * left out; returns the sum of their p, at most bound. Blocks are taken by the power of two that
 * their sum lies under, the lowest first, and within one in their order. A block with a p that is
 * no number stays. */
double skip_choose(float *marks, const float *p, size_t n, size_t rows, double bound);

#endif
