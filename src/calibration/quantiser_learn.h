/* Learning the quantiser (attention/quantiser.h) of one head from its rows, which are keys or
 * values: a metric, weights, principal directions, ranges of uneven widths, and centroids by
 * k-means and Procrustes rotations in turn. README.md tells what each part is for. Everything runs
 * on the calling thread; the result depends on the arguments alone. */
#ifndef LOOKAT_CALIBRATION_QUANTISER_LEARN_H
#define LOOKAT_CALIBRATION_QUANTISER_LEARN_H

#include "attention/quantiser.h"

/* What a quantiser is learned from. */
struct learn_rows {
    const float *x;       /* [n][D] finite */
    const float *weight;  /* [n] >= 0, not all 0: how much each row counts */
    const double *metric; /* G [D][D], symmetric and positive definite: the error of a row is (x -
                             xhat)^T G (x - xhat) */
    size_t n, dim;
};

/* The parts of learning. Each can be left out, to see what it is worth. */
enum learn_parts {
    LEARN_METRIC = 1,     /* errors count in the metric; without it the caller gives the identity */
    LEARN_WEIGHTS = 2,    /* rows have weights; without it the caller gives ones */
    LEARN_DIRECTIONS = 4, /* principal directions of the rows in the metric; without it the
                             dimensions as they are */
    LEARN_RANGES = 8,     /* widths by quantiser_ranges; without it all are about the same, and
                             principal directions are dealt out to balance them (optimised product
                             quantisation: Ge et al. 2013, 3.2.3) */
    LEARN_ROTATION = 16,  /* each round turns the space */
    LEARN_ALL = 31
};

/* Their names, for command lines and tables: learn_part_names[i] is of part 1 << i. */
enum { LEARN_PARTS = 5 };
extern const char *const learn_part_names[LEARN_PARTS];

/* What is learned, in memory of the caller's arena. */
struct learned_quantiser {
    uint16_t *inverse, *mean;       /* B [D][D] and the mean [D], f16 */
    struct quantiser_range *ranges; /* [codes] */
    double error;    /* the weighted sum over the rows, in the metric, of what the codes lose */
    double variance; /* the same of the rows' distance to their mean */
};

/* What to learn of a head. */
struct quantiser_plan {
    unsigned parts; /* of enum learn_parts */
    size_t codes;   /* of a row, at most QUANTISER_CODES */
    size_t depth;   /* codes that share a range, one after another: 1 makes a product quantiser.
                       It divides codes, and codes / depth <= D. */
    size_t K;       /* centroids of a code, at most 256 */
    uint64_t seed, stream; /* of k-means++; streams of one seed are independent */
    const struct kernels *kn;
};

/* Learns a quantiser from the rows, in memory of `arena`. ERR_FAILED without memory or for numbers
 * that f16 cannot hold; ERR_INTERRUPTED after Ctrl-C. */
int quantiser_learn(struct learned_quantiser *out, const struct learn_rows *rows,
                    const struct quantiser_plan *plan, struct arena *arena, struct err *e);

/* Writes cost[most], most <= D: cost[m - 1] is the error that m codes of K centroids are taken to
 * leave of the rows, that is the sum of quantiser_ranges for m ranges of the principal directions'
 * variances. The unit is the same for all m. ERR_FAILED without memory. */
int quantiser_costs(double *cost, const struct learn_rows *rows, size_t most, size_t K,
                    const struct kernels *kn, struct err *e);

/* The work memory of quantiser_ranges, 267 KB: too much for small stacks. cost[g][i] is the least
 * sum for the first i numbers in g pieces, and cut[g][i] is where the last of these begins. */
struct quantiser_cuts {
    double cost[QUANTISER_CODES + 1][QUANTISER_DIM + 1];
    size_t cut[QUANTISER_CODES + 1][QUANTISER_DIM + 1];
};

/* Cuts variance[n], which falls, into `ranges` pieces of width[ranges] >= 1 each. The distortion of
 * a piece is what `bits` bits leave of independent normal numbers of these variances (reverse
 * water-filling: Cover and Thomas, Elements of Information Theory, 10.3). The pieces are those with
 * the least sum of distortions, found by dynamic programming over their ends, in n^2 ranges / 2
 * steps and n^2 / 2 distortions. Returns the sum. */
double quantiser_ranges(struct quantiser_cuts *c, const double *variance, size_t n, size_t ranges,
                        double bits, size_t *width);

#endif
