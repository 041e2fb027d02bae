/* What attention reads for one token by the length of the context, in closed form
 * (attention/account.h), and from which length on a backend reads less than the baseline. */
#ifndef LOOKAT_MEASURE_BY_CONTEXT_H
#define LOOKAT_MEASURE_BY_CONTEXT_H

#include "attention/backend.h"
#include "base/arena.h"

/* The most lengths that are looked at: 16, 24, 32, 48, ... and the longest. */
enum { CONTEXTS_MAX = 32, CONTEXT_LEAST = 16, CONTEXT_MOST = 8192 };

/* Fills n_tokens[CONTEXTS_MAX] with the lengths for a model of context T, of which the last is T,
 * or CONTEXT_MOST where T is more. Returns how many there are, at least 1. */
size_t context_lengths(size_t T, size_t *n_tokens);

/* A backend's account. */
struct by_context {
    struct attn_counters *loaded; /* [contexts] bytes of a token, all layers and heads */
    /* The shortest context from which on, up to the longest, a token reads fewer bytes than with
     * the baseline: of all bytes, and of those streamed. 0 where it does not at the longest. */
    size_t fewer_loaded, fewer_streamed;
};

/* The baseline's sums, for comparing. */
struct context_totals {
    uint64_t *loaded, *streamed; /* [longest], of 1, 2, ... tokens */
    size_t longest;
};

/* Fills *b for a backend, at n_tokens[n]. `totals` are made from the first backend that is given,
 * where their `longest` is 0; later ones are compared with them. `codebooks` is account_codebooks.
 * ERR_FAILED without memory, which comes from the arena. */
int by_context_fill(const struct attn *a, size_t codebooks, const size_t *n_tokens, size_t n,
                    struct context_totals *totals, struct by_context *b, struct arena *arena,
                    struct err *e);

#endif
