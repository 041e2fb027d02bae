/* Which whole cache of a model to recommend: `lookat calibrate --auto`. A whole cache is a spec of
 * keys and values, whose codebooks are learned already, together with the rows that are kept or
 * read again exactly: sink= and window=, or refine=, and exact=. This file tries such specs on text
 * that nothing was learned from, and chooses by what they cost the text and by what they read and
 * store. */
#ifndef LOOKAT_CALIBRATION_SEARCH_H
#define LOOKAT_CALIBRATION_SEARCH_H

#include "attention/book_word.h"
#include "calibration/damage.h"

/* The codecs of keys and values that refine= and exact= are tried with. Their options are those of
 * the spec, before any `check`. */
struct search_pair {
    struct codec key, value;
};

/* One cache that was tried. */
struct search_trial {
    char spec[BOOK_WORD_BYTES + 1];
    struct spec_damage damage;
    /* Bytes that attention reads to decode one token at the end of a window, all layers and heads:
     * all of them, and those of them that are streamed (account.h). */
    uint64_t loaded, streamed;
    uint64_t stored; /* bytes that a token of a full window takes, copies and exact keys included */
    bool chosen[BOOK_WORDS];
};

struct search {
    struct search_trial *trials; /* [n] in the order in which they were tried */
    size_t n;
};

/* What to search, and on what. */
struct search_plan {
    const struct search_pair *pairs; /* [n_pairs] */
    size_t n_pairs;
    const struct book *book;  /* has the codebooks of all pairs */
    struct damage_setup on;   /* the text kept apart that caches are judged on */
    size_t window;            /* tokens that a cache holds where its bytes are counted, >= 2 */
    double bound[BOOK_WORDS]; /* KL in nats that a chosen cache stays below */
    struct progress progress; /* hears in caches tried */
};

/* Tries every pair alone, with sink=1,window=32,exact=8, and with refine= 8, 16, 32 and 64 on
 * copies of 8 and of 4 bits. For a pair and a copy, the search ends with the first number of rows
 * that stays below the bound of the recommended cache, because more rows only read more. Of all
 * caches tried, the recommended one is that which streams least, and the small one that which
 * stores least, among those whose KL stays below the bound; of equals the one that loads least,
 * then the earliest. Where none does, none is chosen. Memory comes from `arena`. ERR_USAGE for a
 * pair that attn_init refuses, ERR_FAILED without memory, ERR_INTERRUPTED after Ctrl-C. */
int search_run(struct search *s, const struct search_plan *plan, struct arena *arena,
               struct err *e);

/* Returns the trial that was chosen for a word; NULL where none was. */
const struct search_trial *search_chosen(const struct search *s, enum book_word word);

/* Stands in the line of a cache that was chosen, before the word. */
#define SEARCH_CHOSEN "  = "

/* Writes lines[1 + s->n], texts for people: titles, then one line for each trial, the columns below
 * one another, with SEARCH_CHOSEN and the word behind the chosen ones. ERR_FAILED without memory.
 */
int search_lines(char **lines, const struct search *s, struct arena *arena, struct err *e);

#endif
