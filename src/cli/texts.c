#include "cli/texts.h"

#include "base/sha256.h"

int token_text_read(struct token_text *t, const struct engine *g, const char *file, size_t limit, struct arena *arena, struct err *e) {
    struct sha256 hash;
    uint8_t *data = NULL;
    size_t bytes = 0;
    int32_t *ids = NULL;
    if (!g->bpe) return err_set(e, ERR_USAGE, "the model has no tokenizer for the texts: add -z TOKENIZER");
    int rc = file_read(file, arena, &data, &bytes, e);
    if (rc) return rc;
    *t = (struct token_text){.file = file};
    sha256_init(&hash);
    sha256_add(&hash, data, bytes);
    sha256_hex(&hash, t->sha256);
    rc = bpe_encode(g->bpe, data, bytes, true, arena, &ids, &t->n, e);
    t->ids = ids;
    if (t->n > limit) t->n = limit;
    return rc ? rc : engine_check_ids(g, file, t->ids, t->n, e);
}
