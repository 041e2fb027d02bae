/* What a file is, and what opening it as a model and as a tokenizer says, whatever it is. */
#include "fuzz.h"

#include "checkpoint/checkpoint.h"
#include "checkpoint/sniff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f", data, size);
    enum file_kind kind;
    struct checkpoint c;
    struct vocab v;
    struct arena a = {0};
    struct err e = {0};
    int rc = sniff(path, SNIFF_MODELS, &kind, &e);
    fuzz_allow(rc, &e);
    if (!rc) EXPECT(kind <= KIND_MERGES);
    rc = checkpoint_open(&c, path, NULL, NULL, &e);
    EXPECT(rc == OK || (e.code == rc && e.msg[0]));
    if (!rc) checkpoint_close(&c);
    rc = vocab_open(&v, path, &a, &e); /* ERR_FAILED: no merges.txt beside it */
    EXPECT(rc == OK || (e.code == rc && e.msg[0]));
    arena_free(&a);
    return 0;
}
