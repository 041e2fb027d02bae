/* Rows of keys and values that were cut short because f16 cannot hold them (attn_take_cut): said
 * where results come from such rows. */
#ifndef LOOKAT_REPORT_CUT_OUT_H
#define LOOKAT_REPORT_CUT_OUT_H

#include "attention/backend.h"
#include "report/json_out.h"

/* Returns attn_take_cut of every layer: [L] rows, from the arena; NULL without memory. */
uint64_t *cut_take(const struct attn *a, struct arena *arena);

/* Writes one line on fp (standard error) where any of cut[L], rows by layer, is not 0: how many,
 * and of which layers. */
void cut_warn(FILE *fp, const char *attn, const uint64_t *cut, size_t n_layer);

/* Writes two members: "rows_cut_short": their number, and "layers_cut_short": [layer, ...]. */
void json_put_cut(struct json_out *j, const uint64_t *cut, size_t n_layer);

#endif
