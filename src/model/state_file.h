/* A file with the state of a prompt: its tokens, all that the KV cache holds of them, and the
 * logits after the last one. A session that reads it back goes on as the one that wrote it would
 * have, to the bit, without running the prompt again. All numbers are little-endian:
 *
 *     byte   bytes   what
 *     0      8       "LOOKATKV"
 *     8      8       version, 1
 *     16     8       bytes of the whole file
 *     24     8       L, layers
 *     32     8       H, heads
 *     40     8       D, numbers of a head
 *     48     8       T, the context of the session, in tokens
 *     56     8       V, vocabulary
 *     64     8       n, tokens held, 1 to T
 *     72     8       how many tokens a rewind takes back without a trace (gpt2_session.take_back)
 *     80     8       S, bytes of the spec
 *     88     8       R, bytes of the rows
 *     96     64      the model's fingerprint (gpt2_fingerprint), hex digits
 *     160    64      the codebooks' (state_bytes_codebooks); 64 zeros where there are none
 *     224    8       the hash of the model's matrices (gpt2_matrices_hash)
 *     232    S       the effective spec of the attention backend, not terminated
 *            4 n     the tokens, int32
 *            4 V     the logits, float32
 *            R       the rows (attention/state_bytes.h)
 *            32      SHA-256 of all bytes before
 *
 * So the size of the file follows from the numbers in it, and R from the backend and n. Nothing in
 * a file is trusted: every number is checked against the file's size and against the session before
 * it is used, and the rows against what the codecs can work with. */
#ifndef LOOKAT_MODEL_STATE_FILE_H
#define LOOKAT_MODEL_STATE_FILE_H

#include "base/file.h"
#include "model/gpt2.h"

/* A file that was read. The pointers are into it, or into the arena. */
struct state_file {
    struct file file;
    size_t n, n_ctx;       /* tokens held, and the context that they were held in */
    const int32_t *tokens; /* [n] each below V */
    const float *logits;   /* [V] finite */
    const char *attn;      /* the effective spec */
    size_t shape[5];       /* L, H, D, V and how many tokens a rewind takes back */
    const uint8_t *fingerprint, *codebooks; /* [64] each, in the file */
    uint64_t matrices;
    const uint8_t *rows; /* [n_rows] */
    size_t n_rows;
    struct arena arena;
};

/* Opens the file and checks all that can be checked without a session. ERR_REFUSED for a file that
 * is something else, of another version, cut short or changed; ERR_FAILED where it cannot be opened
 * and without memory. state_file_close is due after OK alone. The caller keeps the path alive. */
int state_file_open(struct state_file *f, const char *path, struct err *e);
void state_file_close(struct state_file *f);

/* Sequence 0 of the session, whatever it held, becomes what the file holds. ERR_REFUSED, with what
 * was expected, where the file is of another model, backend, set of codebooks or context, or a row
 * is none that the backend could have written; then the sequence is empty. */
int state_file_restore(const struct state_file *f, struct gpt2_session *s, struct err *e);

/* Makes the empty sequence 0 ready to be saved later: what its rows do not use becomes 0, so that a
 * file depends on the tokens alone. */
void state_file_begin(struct gpt2_session *s);

/* Writes what sequence 0 holds, tokens[length] and the logits[V] after the last of them, to the
 * file at path, which is replaced as a whole (base/out_file.h). Errors are those of out_open and
 * out_commit, and ERR_FAILED without memory, or where a row is not finite. */
int state_file_save(const char *path, const struct gpt2_session *s, const int32_t *tokens,
                    const float *logits, struct err *e);

#endif
