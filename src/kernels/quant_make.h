/* How numbers become blocks of q4_K and q6_K. quant_types.h draws the blocks.
 *
 * A block has two levels of scales: a part of 32 (q4_K) or 16 numbers (q6_K) has whole numbers s
 * and t of a few bits, and they are multiples of d and m, which the whole block has in common. So
 * three things are chosen, one after the other:
 *
 *  1. for each part alone the step a, and in q4_K the offset b, for which x ~ a n - b with whole
 *     numbers n leaves the least squared error: some steps are tried, and for the n that a step
 *     gives, a and b follow by least squares;
 *  2. d and m, the least f16 numbers of which the largest s and t that fit can make every a and b,
 *     and also the steps with which no number of a part is cut off;
 *  3. for each part the s and t, among the neighbours of a / d and b / m and the ones that cut
 *     nothing off, with the least error for the nearest n.
 *
 * Since the last step compares with what cuts nothing off, the squared error of a part of N numbers
 * is at most N (step / 2)^2, with
 *
 *     q4_K    step = (hi - lo + m) / 15 + d     hi the largest number of the part, lo the least, or
 * 0 q6_K    step = |x|max / 31 + d            where that is above 0 */
#ifndef LOOKAT_KERNELS_QUANT_MAKE_H
#define LOOKAT_KERNELS_QUANT_MAKE_H

#include <stdint.h>

/* Write 256 numbers as a block of 144 bytes, or of 210. What is not finite becomes any number. */
void q4_k_make(uint8_t *block, const float *x);
void q6_k_make(uint8_t *block, const float *x);

#endif
