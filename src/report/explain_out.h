/* Attention worked through on a real model and the reader's own text: one query of one head, its
 * codes and tables, the scores and weights of each token, and what is mixed. As text, as a page and
 * as JSON. */
#ifndef LOOKAT_REPORT_EXPLAIN_OUT_H
#define LOOKAT_REPORT_EXPLAIN_OUT_H

#include <stdint.h>
#include <stdio.h>

#include "attention/quantiser.h"
#include "checkpoint/checkpoint.h"
#include "measure/one_query.h"

/* So many tokens are shown in full; of a longer text those with the largest exact weights. */
enum { EXPLAIN_SHOWN = 32 };

struct explained {
    const struct checkpoint *model;
    const char *attn;          /* the backend as it was given */
    const char *keys, *values; /* the layer's codecs in full */
    const struct one_query *y;
    bool furthest;             /* the head is the one whose output is furthest off */
    const int32_t *ids;        /* [n] the tokens */
    const char *bytes;         /* what they say: bytes[at[i]] to bytes[at[i + 1]] */
    const size_t *at;          /* [n + 1] */
    size_t key_bytes;          /* of a stored key of this head */
    size_t exact_bytes;        /* of one in float16 */
    const struct quantiser *z; /* of the head's keys; NULL where they are not stored as codes */
    const uint8_t *codes;      /* [n][z->n] */
    const float *table;        /* [z->n][z->k] the query's */
    float common;              /* what all scores have in common, before the division by sqrt(D) */
};

/* The positions that are shown: sets which[EXPLAIN_SHOWN], in order, and returns how many. */
size_t explain_shown(const struct explained *x, size_t *which);

/* The length of the difference of the two outputs over the length of the exact one. */
double explain_off(const struct explained *x);

/* Half the sum of the differences of the weights: the share of the weight that lies on another
 * token. */
double explain_moved(const struct explained *x);

void explain_put_text(const struct explained *x, FILE *fp);
void explain_put_html(const struct explained *x, FILE *fp);
void explain_put_json(const struct explained *x, FILE *fp); /* schema.md has its members */

#endif
