/* Guesses from n-grams, and what they have cost and brought so far. Times decide only how many
 * tokens are proposed. */
#include "model/draft.h"

#include <string.h>

/* ---- what was seen of guesses ---- */

/* A guess of long ago counts less by this factor with each new one. */
#define MEMORY 0.95
/* What a kind of guess is worth before any was tried, in tries, and how many of them were kept. */
#define PRIOR_TRIES 3.0
static const double prior_first[NGRAM_LONGEST] = {0.15, 0.3, 0.45, 0.6};
#define PRIOR_NEXT 0.6
/* The share of the time that tries of what does not seem to pay may cost. */
#define TRIALS 0.005

static struct draft_odds odds_new(double share) {
    return (struct draft_odds){share * PRIOR_TRIES, PRIOR_TRIES, 0};
}

static void odds_add(struct draft_odds *o, bool kept) {
    o->kept = o->kept * MEMORY + (kept ? 1 : 0);
    o->tried = o->tried * MEMORY + 1;
}

static double odds_share(const struct draft_odds *o) { return o->kept / o->tried; }

/* ---- what batches cost ---- */

/* A row more is assumed to cost this share of the batch, where none has shown it. */
#define ROW_COST 0.04

/* A batch of `rows` rows took so long. A single slow batch says little, so it moves the mean by no
 * more than twice the mean could. Fewer rows never take longer: where they seem to, their time was
 * the bad one. */
static void note_seconds(struct draft *d, size_t rows, double seconds) {
    double *mean = &d->seconds[rows];
    double bounded = *mean > 0 && seconds > 2 * *mean ? 2 * *mean : seconds;
    *mean = *mean > 0 ? *mean + (bounded - *mean) / 4 : seconds;
    for (size_t r = 1; r < rows; r++)
        if (d->seconds[r] > *mean) d->seconds[r] = *mean;
}

/* Returns the seconds of a batch of `rows` rows: as measured, or else on a straight line between
 * the nearest ones that were. A batch of one row has run. */
static double cost(const struct draft *d, size_t rows) {
    size_t less = rows, more = rows;
    while (less > 1 && !(d->seconds[less] > 0)) less--;
    while (more <= DRAFT_MOST && !(d->seconds[more] > 0)) more++;
    double low = d->seconds[less], high = d->seconds[more];
    if (less == rows) return low;
    if (!(high > 0)) return low * (1 + ROW_COST * (double)(rows - less));
    return low + (high - low) * (double)(rows - less) / (double)(more - less);
}

/* Returns how many of up to `most` proposals pay. The batch grows to twice the rows that have ever
 * run at most, so that no single step costs much more than anything known. */
static size_t worth(struct draft *d, size_t most) {
    struct draft_odds *first = &d->first[d->match - 1];
    size_t best = 0, known = DRAFT_MOST + 1;
    if (!(d->seconds[1] > 0)) return 0; /* one row is what all is compared with */
    while (!(d->seconds[known] > 0)) known--;
    double tokens = 1, chance = odds_share(first), rate = 1 / d->seconds[1];
    for (size_t k = 1; k <= most && k + 1 <= 2 * known; k++) {
        tokens += chance;
        chance *= odds_share(&d->next);
        if (tokens / cost(d, k + 1) > rate) rate = tokens / cost(d, k + 1), best = k;
    }
    d->trial = false;
    if (best || !most) return best;
    first->credit += TRIALS * d->seconds[1];
    d->trial = first->credit >= cost(d, 2) - cost(d, 1);
    return d->trial ? 1 : 0;
}

/* ---- */

bool draft_init(struct draft *d, const struct draft_params *p, const int32_t *text, size_t room,
                struct arena *a) {
    *d = (struct draft){.p = *p, .next = odds_new(PRIOR_NEXT)};
    for (size_t m = 0; m < NGRAM_LONGEST; m++) d->first[m] = odds_new(prior_first[m]);
    if (!ngrams_init(&d->own, text, room, a) ||
        !ngrams_init(&d->earlier, p->earlier, p->n_earlier, a))
        return false;
    while (d->earlier.n < p->n_earlier) ngrams_add(&d->earlier, NULL);
    return true;
}

void draft_read(struct draft *d, size_t n) {
    while (d->own.n < n) ngrams_add(&d->own, d->place);
}

/* Copies up to `most` tokens of text[n] from `at` on. With `on`, what is copied continues the text.
 * Returns how many there are. */
static size_t copy(const int32_t *text, size_t n, size_t at, bool on, size_t most, int32_t *out) {
    size_t k = 0;
    for (; k < most && (on || at + k < n); k++)
        out[k] = at + k < n ? text[at + k] : out[at + k - n];
    return k;
}

/* Sets out[k] to what followed the longest run of last tokens, and returns k. */
static size_t look_up(struct draft *d, size_t most, int32_t *out) {
    size_t n = d->own.n;
    for (size_t m = NGRAM_LONGEST < n ? NGRAM_LONGEST : n; m > 0; m--) {
        d->match = m;
        if (d->place[m - 1]) return copy(d->own.text, n, d->place[m - 1], true, most, out);
        size_t at = d->earlier.n ? ngrams_find(&d->earlier, d->own.text + n, m) : 0;
        if (at && at < d->earlier.n)
            return copy(d->earlier.text, d->earlier.n, at, false, most, out);
    }
    return 0;
}

size_t draft_propose(struct draft *d, size_t most, int32_t *out) {
    if (most > DRAFT_MOST) most = DRAFT_MOST;
    if (d->p.most >= 0 && most > (size_t)d->p.most) most = (size_t)d->p.most;
    size_t found = most ? look_up(d, most, out) : 0;
    return found && d->p.most < 0 ? worth(d, found) : found;
}

void draft_tell(struct draft *d, size_t proposed, size_t kept, double seconds) {
    note_seconds(d, 1 + proposed, seconds);
    if (!proposed) return;
    struct draft_odds *first = &d->first[d->match - 1];
    odds_add(first, kept > 0);
    for (size_t i = 1; i < proposed && i <= kept; i++) odds_add(&d->next, kept > i);
    if (!d->trial) return;
    /* A try that was right costs less, or nothing; then the next one may follow at once. */
    double price = cost(d, 2) - cost(d, 1);
    first->credit -= price - (double)kept * cost(d, 1);
    if (first->credit > price) first->credit = price;
}
