/* Reads texts and turns them into tokens, for the commands that measure on texts or learn from
 * them. */
#include "cli/texts.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "cli/input.h"

enum { PIECE = 1 << 22 }; /* bytes between two looks for Ctrl-C */

int token_text_read(struct token_text *t, const struct engine *g, const char *file, size_t limit,
                    struct arena *arena, struct err *e) {
    struct sha256 hash;
    uint8_t *data = NULL;
    size_t bytes = 0;
    int32_t *ids = NULL;
    if (!g->bpe)
        return err_set(e, ERR_USAGE, "the model has no tokenizer for the texts: add -z TOKENIZER");
    int rc = file_read(file, arena, &data, &bytes, e);
    if (rc) return rc;
    *t = (struct token_text){.file = file};
    sha256_init(&hash);
    for (size_t at = 0; at < bytes; at += PIECE) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        sha256_add(&hash, data + at, bytes - at < PIECE ? bytes - at : PIECE);
    }
    sha256_hex(&hash, t->sha256);
    const uint8_t *text = data;
    input_drop_mark(file, g->quiet, &text, &bytes);
    rc = bpe_encode(g->bpe, text, bytes, true, arena, &ids, &t->n, e);
    t->ids = ids;
    if (t->n > limit) t->n = limit;
    return rc ? rc : engine_check_ids(g, file, t->ids, t->n, e);
}
