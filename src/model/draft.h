/* Drafts: tokens that may come next, guessed from the text itself ("prompt lookup decoding", Saxena
 * 2023). The model checks all guesses in one batch, which reads the weights once, and keeps those
 * that it would have chosen itself (compare Leviathan, Kalman and Matias, arXiv 2211.17192). So a
 * draft changes the speed of a text and nothing else.
 *
 * The last tokens are looked for in what was written so far, the longest run of up to NGRAM_LONGEST
 * first. What followed the most recent place is proposed:
 *
 *     text       the  cat  sat  on  the  mat  .  the  cat
 *     last tokens                                the  cat      seen at the beginning
 *     proposed   sat  on  the  mat  .  the  cat                what followed there
 *
 * Where that place is so near that the text ends, the proposals themselves are read on: "a b a b"
 * proposes "a b a b ...". Runs that the text does not have are looked for in an earlier text too.
 *
 * How many tokens to propose: each of them makes the batch a row longer. With a chance of p_1 the
 * first proposal is kept, and each one behind a kept one with p. A batch of r rows takes c(r)
 * seconds. So k proposals bring (1 + p_1 (1 + p + ... + p^(k-1))) / c(k + 1) tokens a second, and
 * the k that brings most is taken, which may be none. p_1, p and c are those of the run so far, and
 * p_1 is kept apart for runs of 1, 2, 3 and 4 tokens. The text may change, so now and then one
 * proposal more is tried than seem to pay. Such tries may cost four thousandths of the time. */
#ifndef LOOKAT_MODEL_DRAFT_H
#define LOOKAT_MODEL_DRAFT_H

#include "attention/backend.h"
#include "model/ngrams.h"

/* A batch of up to ATTN_FEW_QUERIES rows has the bits of the rows alone, and one of them is the
 * last token's own. */
enum { DRAFT_MOST = ATTN_FEW_QUERIES - 1, DRAFT_AUTOMATIC = -1 };

struct draft_params {
    /* The most proposals at a time: all that are found, up to that; more than DRAFT_MOST are
     * DRAFT_MOST. 0: none. DRAFT_AUTOMATIC: as many as pay. */
    long most;
    const int32_t *earlier; /* [n_earlier] another text to look into; ids of the vocabulary */
    size_t n_earlier;       /* below 2^31 */
};

/* Guesses of one kind: how many were kept and tried, where old ones count less and less. */
struct draft_odds {
    double kept, tried;
    double credit; /* what tries that do not seem to pay may still cost, in rows alone */
};

/* The seconds of the last batches of some number of rows. */
enum { DRAFT_TIMES = 8 };
struct draft_times {
    double last[DRAFT_TIMES];
    size_t n;   /* batches so far */
    size_t age; /* steps since the last of them */
};

struct draft {
    struct draft_params p;
    struct ngrams own, earlier;
    uint32_t place[NGRAM_LONGEST]; /* where the last 1, 2 ... tokens stood before in the text */
    size_t match;                  /* the tokens of the run that the last proposals go back to */
    struct draft_odds first[NGRAM_LONGEST], next; /* of first proposals by run, and of the others */
    struct draft_odds *trial; /* the kind of the last of them, where it did not seem to pay */
    double price;             /* what that one costs */
    struct draft_times times[2 + DRAFT_MOST]; /* of 1 .. 1 + DRAFT_MOST rows */
};

/* Prepares to draft for text[], which is written as it grows, up to `room` tokens (below 2^31).
 * Both texts must outlive the draft. Returns false without memory. */
bool draft_init(struct draft *d, const struct draft_params *p, const int32_t *text, size_t room,
                struct arena *a);

/* The text has n tokens now, at least as many as before. */
void draft_read(struct draft *d, size_t n);

/* Sets out[k] to k <= most proposals for the tokens behind the text, and returns k. */
size_t draft_propose(struct draft *d, size_t most, int32_t *out);

/* Tells what became of `proposed` proposals, as the last draft_propose gave them or fewer: the
 * first `kept` of them were right, and their batch of 1 + proposed rows took so many seconds. */
void draft_tell(struct draft *d, size_t proposed, size_t kept, double seconds);

#endif
