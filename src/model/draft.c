/* Guesses from n-grams, and what they have cost and brought so far. Times decide only how many
 * tokens are proposed. */
#include "model/draft.h"

#include <math.h>
#include <string.h>

/* ---- what was seen of guesses ---- */

/* A guess of long ago counts less by this factor with each new one. */
#define MEMORY 0.95
/* What a kind of guess is worth before any was tried, in tries, and how many of them were kept: the
 * default model's continuations of stories, prose, programs and articles keep 0.2 to 0.35 of first
 * proposals at the default temperature, and 0.35 to 0.9 at temperature 0. */
#define PRIOR_TRIES 3.0
static const double prior_first[NGRAM_LONGEST] = {0.25, 0.4, 0.45, 0.5};
#define PRIOR_NEXT 0.5

static struct draft_odds odds_new(double share) {
    return (struct draft_odds){share * PRIOR_TRIES, PRIOR_TRIES, 0};
}

static void odds_add(struct draft_odds *o, bool kept) {
    o->kept = o->kept * MEMORY + (kept ? 1 : 0);
    o->tried = o->tried * MEMORY + 1;
}

static double odds_share(const struct draft_odds *o) { return o->kept / o->tried; }

/* ---- what batches cost ---- */

/* The share of the time that tries of what does not seem to pay may cost. */
#define TRIALS 0.004

enum {
    ROWS_MOST = 1 + DRAFT_MOST,
    ALONE = 64, /* so many steps may pass before a row runs alone again, to be compared with */
    SURE = 2,   /* so many batches tell what one costs: a first one may happen to be slow */
};

/* What a row more costs at least, in rows alone. Rows that seem to cost less do so by chance. */
#define ROW_COST 0.04

/* As long as fewer than DRAFT_TIMES batches of some number of rows ran, what they cost is believed
 * less by this factor with each step since: the machine may just have been busy. */
#define BELIEF 0.98

static double least_cost(size_t rows) { return 1 + ROW_COST * (double)(rows - 1); }

/* Returns the least of the last times: what else the machine does only adds to them. */
static double times_least(const struct draft_times *t) {
    double least = t->last[0];
    for (size_t i = 1; i < t->n && i < DRAFT_TIMES; i++)
        if (t->last[i] < least) least = t->last[i];
    return least;
}

/* Was it seen what a batch of `rows` rows costs? */
static bool seen(const struct draft *d, size_t rows) { return d->times[rows].n >= SURE; }

/* Returns what it was seen to cost, in rows alone, from least_cost up to a bound. */
static double seen_cost(const struct draft *d, size_t rows) {
    const struct draft_times *t = &d->times[rows];
    double least = least_cost(rows), most = 1 + 2 * (double)(rows - 1),
           times = times_least(t) / times_least(&d->times[1]);
    if (times < least) return least;
    if (times > most) times = most;
    if (t->n >= DRAFT_TIMES) return times;
    return least + (times - least) * pow(BELIEF, (double)t->age);
}

/* Returns what a batch of `rows` rows costs, in rows alone: as seen, or else on a straight line
 * between the nearest numbers of rows that were, or through the largest of them. */
static double cost(const struct draft *d, size_t rows) {
    size_t less = rows, more = rows;
    while (less > 1 && !seen(d, less)) less--;
    while (more <= ROWS_MOST && !seen(d, more)) more++;
    double low = less == 1 ? 1 : seen_cost(d, less), each = ROW_COST;
    if (more > less && more <= ROWS_MOST)
        each = (seen_cost(d, more) - low) / (double)(more - less);
    else if (less > 1)
        each = (low - 1) / (double)(less - 1);
    return low + each * (double)(rows - less);
}

/* A batch of `rows` rows took so long. */
static void note_seconds(struct draft *d, size_t rows, double seconds) {
    struct draft_times *t = &d->times[rows];
    for (size_t r = 1; r <= ROWS_MOST; r++) d->times[r].age++;
    t->last[t->n++ % DRAFT_TIMES] = seconds;
    t->age = 0;
}

/* Returns how many of up to `most` proposals pay, or one more where it is time to try that. The
 * batch grows to twice the rows that have ever run at most, so that no single step costs much more
 * than anything known. */
static size_t worth(struct draft *d, size_t most) {
    struct draft_odds *first = &d->first[d->match - 1];
    size_t best = 0, known = ROWS_MOST;
    if (!d->times[1].n || d->times[1].age >= ALONE) return 0;
    while (known > 1 && !seen(d, known)) known--;
    double tokens = 1, chance = odds_share(first), rate = 1;
    for (size_t k = 1; k <= most && k + 1 <= 2 * known; k++) {
        tokens += chance;
        chance *= odds_share(&d->next);
        if (tokens / cost(d, k + 1) > rate) rate = tokens / cost(d, k + 1), best = k;
    }
    if (best == most) return best;
    struct draft_odds *more = best ? &d->next : first;
    double price = cost(d, best + 2) - cost(d, best + 1);
    d->price = price > ROW_COST ? price : ROW_COST;
    more->credit += TRIALS;
    if (more->credit < d->price) return best;
    d->trial = more;
    return best + 1;
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
    d->trial = NULL;
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
    d->trial->credit -= d->price - (kept == proposed ? 1 : 0);
    if (d->trial->credit > d->price) d->trial->credit = d->price;
}
