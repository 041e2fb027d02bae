/* The state of a sequence as bytes without gaps, to be kept in a file (model/state_file.h):
 *
 *     from[0] .. from[L-1]      uint64, as in state.h
 *     layer 0, head 0           exact keys | keys | values | copies
 *              head 1 ..
 *     layer 1 ..
 *
 * Each of the pieces is there where the backend has it, and has as many bytes as the tokens take:
 * whole blocks of the codec. So all sizes follow from the backend and the number of tokens. The
 * numbers are those of the machine, and little-endian as all that this program runs on. */
#ifndef LOOKAT_ATTENTION_STATE_BYTES_H
#define LOOKAT_ATTENTION_STATE_BYTES_H

#include "attention/backend.h"

/* Returns how many bytes a state of n tokens has. */
size_t state_bytes_size(const struct attn *a, size_t n);

/* Makes all bytes of an empty state 0, those between rows too. What is stored in it later has then
 * the same bytes whenever the tokens are the same. */
void state_bytes_blank(const struct attn *a, void *state);

/* Writes a state, of which every layer holds n tokens, to out[state_bytes_size(a, n)]. */
void state_bytes_write(const struct attn *a, const void *state, size_t n, uint8_t *out);

/* Makes the state what in[state_bytes_size(a, n)] says, with n tokens in every layer; n is at most
 * T. False where the bytes are not what some state has, and the state is then empty. Numbers are
 * not judged: NaN comes out as NaN. */
bool state_bytes_read(const struct attn *a, void *state, size_t n, const uint8_t *in);

/* Hashes all that the backend works with of codebooks: 64 hex digits of SHA-256 and a zero byte,
 * or "" where it works with none. */
void state_bytes_codebooks(const struct attn *a, char hex[65]);

#endif
