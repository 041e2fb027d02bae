/* A text: its pieces are the text, and so are the bytes of its tokens, with control tokens and
 * without. */
#include "fuzz.h"

#include "checkpoint/checkpoint.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretokenize.h"

static struct bpe *default_tokenizer(void) {
    static struct arena a;
    static struct vocab v;
    static struct bpe *bpe;
    struct err e;
    if (bpe) return bpe;
    EXPECT(vocab_open(&v, "tokenizer", &a, &e) == OK);
    EXPECT(bpe_new(&bpe, &v, &a, &e) == OK);
    return bpe;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct bpe *bpe = default_tokenizer();
    struct arena a = {0};
    struct err e;
    for (size_t at = 0, n; at < size; at += n) {
        n = pretokenize_next(data + at, size - at);
        EXPECT(n >= 1 && n <= size - at);
    }
    for (int special = 0; special < 2; special++) {
        int32_t *ids;
        size_t n_ids, at = 0, n;
        EXPECT(bpe_encode(bpe, data, size, special, &a, &ids, &n_ids, &e) == OK);
        for (size_t i = 0; i < n_ids; i++, at += n) {
            const uint8_t *token = bpe_token(bpe, ids[i], &n);
            EXPECT(n <= size - at && memcmp(token, data + at, n) == 0);
        }
        EXPECT(at == size);
    }
    arena_free(&a);
    return 0;
}
