/* How close one attention is to another, for one query of one head. Where an argument holds a NaN,
 * the answer is NaN. Nothing else can fail. Arrays are [n], one entry a key; those of the cosine
 * are the head's outputs, [D]. */
#ifndef LOOKAT_MEASURE_FIDELITY_H
#define LOOKAT_MEASURE_FIDELITY_H

#include <stddef.h>
#include <stdint.h>

enum { FIDELITY_COSINE, FIDELITY_KL, FIDELITY_SPEARMAN, FIDELITY_TOP5, FIDELITIES };

/* Returns the cosine of two vectors; 1 where both are equal, zeros included. */
double fidelity_cosine(const float *a, const float *b, size_t n);

/* KL(p || q) = sum p log(p / q) in nats, for probabilities; terms with p = 0 count 0, q is at least
 * 1e-30. Never below 0; 0 where p equals q. |error| <= 1e-12 sum p (1 + |log(p / q)|) against the
 * formula on these floats. */
double fidelity_kl(const float *p, const float *q, size_t n);

/* Writes rank[n]: 1 for the smallest x. Equal ones, -0 and 0 too, get the average of their ranks.
 * All ranks are NaN where one x is. n < 2^23; work is [2n]. */
void fidelity_ranks(const float *x, size_t n, float *rank, uint64_t *work);

/* Returns Spearman's rho, which is Pearson's correlation of the ranks a and b; 1 where both are
 * constant, 0 where one is. */
double fidelity_spearman(const float *rank_a, const float *rank_b, size_t n);

/* Returns the share of the five largest of a (fewer where n < 5; of equals the lowest index) that
 * are among the five largest of b. */
double fidelity_top5(const float *a, const float *b, size_t n);

#endif
