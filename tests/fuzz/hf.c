/* The files of a Hugging Face folder around the weights of the tiny model: config.json, vocab.json,
 * merges.txt, tokenizer.json, added_tokens.json, tokenizer_config.json and generation_config.json,
 * in this order; an empty one is not there. */
#include "fuzz.h"

#include "../bad/tiny_hf.h"
#include "checkpoint/checkpoint.h"
#include "tokenizer/bpe.h"

static const char *const NAMES[] = {
    "config.json",           "vocab.json",        "merges.txt",
    "tokenizer.json",        "added_tokens.json", "tokenizer_config.json",
    "generation_config.json"};

static void write_weights(void) {
    static struct st_maker m;
    if (folder[0]) return;
    fuzz_start();
    tiny_hf(&m, TINY, "", "F32");
    struct bytes b = st_bytes(&m);
    folder_write("model.safetensors", b.data, b.size);
    bytes_free(&b);
    st_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct checkpoint c;
    struct vocab v;
    struct bpe *bpe;
    struct arena a = {0};
    struct err e = {0};
    const uint8_t *part;
    size_t n;
    write_weights();
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (fuzz_part(&data, &size, &part, &n) && n)
            folder_write(NAMES[i], part, n);
        else
            unlink(folder_path(NAMES[i]));
    }
    int rc = checkpoint_open(&c, folder, NULL, NULL, &e);
    fuzz_allow(rc == ERR_FAILED ? ERR_REFUSED : rc,
               &(struct err){.code = rc == ERR_FAILED ? ERR_REFUSED : rc, .msg = "?"});
    if (!rc) checkpoint_close(&c);
    rc = vocab_open(&v, folder, &a, &e); /* ERR_FAILED: no such file */
    EXPECT(rc == OK || (e.code == rc && e.msg[0]));
    if (!rc) fuzz_allow(bpe_new(&bpe, &v, &a, &e), &e);
    arena_free(&a);
    return 0;
}
