/* The account of what attention reads: in closed form, and split by how far the bytes have to come.
 *
 * Bytes are *streamed* where each token has to bring them in anew from behind a core's caches: rows
 * of the cache, packed or exact, with their scales, and rows that refine= reads. They are *at hand*
 * where they lie in registers or in the caches of a core already:
 *
 *     streamed                                   at hand
 *     keys, values, scales, refined rows         tables (made for a query, and read by it at once)
 *     codebooks of more than ACCOUNT_CACHE       codebooks of at most ACCOUNT_CACHE
 *
 * Streamed and at hand together are the total. A token reads the codebooks of all layers and heads
 * in turn, and the first of them comes again when all others have been read. So a cache keeps
 * either the whole model's set or, as it drops what was used longest ago, nothing of it. This is
 * why the rule asks for the size of the set, and not for that of one head's codebooks. Sequences
 * that are decoded together read a head's codebooks once for all of them. */
#ifndef LOOKAT_ATTENTION_ACCOUNT_H
#define LOOKAT_ATTENTION_ACCOUNT_H

#include "attention/backend.h"

/* The bytes of codebooks that the account supposes a second-level cache to keep from one token to
 * the next: 1 MB, which is what a core of the servers of recent years has (Intel Skylake-SP and
 * Cascade Lake, AMD Zen 4, Arm Neoverse N1 and V1; from 512 KB to 2 MB in others). It is a constant
 * and not read from the machine, so that accounts of different machines can be compared. It is a
 * rule and no measurement: the weights of a large model pass through the same cache, and can push
 * codebooks out into the third level. */
#define ACCOUNT_CACHE ((size_t)1 << 20)

/* Bytes, as many as the counters they are made of; `streamed + at_hand` is attn_counters_total. */
struct account {
    uint64_t streamed, at_hand;
};

/* Returns the bytes of the codebooks that one token of one sequence reads, of keys and values of
 * all layers and heads: the sum of what the codecs' `reads` say. 0 without codebooks. */
size_t account_codebooks(const struct attn *a);

/* Splits what was counted with a backend whose account_codebooks is `codebooks`. */
struct account account_split(const struct attn_counters *c, size_t codebooks);

/* The closed form of what attn_attend counts: adds to *c the bytes that one query of every head of
 * a layer reads over n >= 1 keys, its own included, in a sequence that was never rewound. Values
 * that skip= leaves out depend on the numbers, so they count as read. */
void account_reads(const struct attn *a, size_t layer, size_t n, struct attn_counters *c);

#endif
