/* A .safetensors file: the container, and as a model with no config.json beside it. */
#include "fuzz.h"

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f.safetensors", data, size);
    struct named_file s;
    struct checkpoint c;
    struct err e = {0};
    int rc = safetensors_open(&s, path, &e);
    fuzz_allow(rc, &e);
    if (rc) return 0;
    for (size_t i = 0; i < s.n; i++) {
        EXPECT(strlen(s.tensors[i].name) <= s.tensors[i].name_len);
        EXPECT(s.tensors[i].data + s.tensors[i].bytes <= s.file.data + s.file.size);
    }
    named_file_close(&s);
    rc = checkpoint_open(&c, path, NULL, NULL, &e);
    fuzz_allow(rc, &e);
    if (!rc) checkpoint_close(&c);
    return 0;
}
