/* Learning a quantiser (quantiser.h) from a head's rows: a metric, weights, principal directions,
 * ranges of uneven widths, and centroids by k-means and Procrustes rotations in turn. Everything
 * runs on the calling thread; the result depends on the arguments alone. */
#ifndef LOOKAT_CALIBRATION_QUANTISER_LEARN_H
#define LOOKAT_CALIBRATION_QUANTISER_LEARN_H

#include "attention/quantiser.h"

struct learn_rows {
    const float *x;       /* [n][D] finite */
    const float *weight;  /* [n] >= 0, not all 0 */
    const double *metric; /* H [D][D], symmetric and positive definite: the error of a row is (x -
                             xhat)^T H (x - xhat) */
    size_t n, dim;
};

/* Parts of it that can be left out, to see what each is worth. Without METRIC and WEIGHTS the
 * caller gives the identity and ones. DIRECTIONS: principal directions of the rows in the metric,
 * else the dimensions as they are. RANGES: widths by quantiser_ranges, else all about the same; of
 * principal directions the allocation of optimised product quantisation (Ge et al. 2013, 3.2.3)
 * then balances them. ROTATION: rounds have one. */
enum learn_parts {
    LEARN_METRIC = 1,
    LEARN_WEIGHTS = 2,
    LEARN_DIRECTIONS = 4,
    LEARN_RANGES = 8,
    LEARN_ROTATION = 16,
    LEARN_ALL = 31
};

/* What is learned: in memory of the caller's arena. */
struct learned_quantiser {
    uint16_t *inverse, *mean;       /* [D][D], [D] */
    struct quantiser_stage *stages; /* [codes] */
    double error, variance; /* sums over the rows, weighted, in the metric: of what codes lose, and
                               about the mean */
};

/* What to learn of a head. */
struct quantiser_plan {
    unsigned parts; /* of enum learn_parts */
    size_t codes;   /* stages, at most QUANTISER_STAGES */
    size_t depth;   /* stages that share a range, one after another: 1 makes a product quantiser.
                       It divides codes, and codes / depth <= D. */
    size_t K;       /* centroids of a stage, at most 256 */
    uint64_t seed, stream; /* of k-means++; streams of one seed are independent */
    const struct kernels *kn;
};

/* Learns a quantiser from the rows, in memory of `arena`. ERR_FAILED without memory or for numbers
 * that f16 cannot hold; ERR_INTERRUPTED after Ctrl-C. */
int quantiser_learn(struct learned_quantiser *out, const struct learn_rows *rows,
                    const struct quantiser_plan *plan, struct arena *arena, struct err *e);

/* cost[m - 1], m = 1 .. most <= D: what m codes leave of the rows by that bound, the sum of
 * quantiser_ranges for m ranges of the principal directions' variances, in one unit for all m.
 * ERR_FAILED without memory. */
int quantiser_costs(double *cost, const struct learn_rows *rows, size_t most, size_t K,
                    const struct kernels *kn, struct err *e);

/* Work of quantiser_ranges, 267 KB: too much for small stacks. cost[g][i]: of the first i numbers
 * in g pieces, the last of which begins at cut[g][i]. */
struct quantiser_cuts {
    double cost[QUANTISER_STAGES + 1][QUANTISER_DIM + 1];
    size_t cut[QUANTISER_STAGES + 1][QUANTISER_DIM + 1];
};

/* Cuts variance[n], falling, into `ranges` pieces, width[ranges] >= 1 each, such that the sum over
 * the pieces of the distortion that `bits` bits leave of independent normal numbers of these
 * variances (reverse water-filling: Cover and Thomas, Elements of Information Theory, 10.3) is
 * least. Dynamic programming over the ends of pieces: n^2 ranges / 2 steps of it, and n^2 / 2
 * distortions. Returns the sum. */
double quantiser_ranges(struct quantiser_cuts *c, const double *variance, size_t n, size_t ranges,
                        double bits, size_t *width);

#endif
