/* An llm.c file: a model or a tokenizer, as its first bytes say. */
#include "fuzz.h"

#include "checkpoint/loaders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f.bin", data, size);
    struct checkpoint c = {0};
    struct vocab v = {0};
    struct arena a = {0};
    struct err e = {0};
    fuzz_allow(llmc_load_model(&c, path, NULL, &e), &e);
    arena_free(&c.arena);
    file_unmap(&c.file);
    fuzz_allow(llmc_load_vocab(&v, path, &a, &e), &e);
    arena_free(&a);
    return 0;
}
