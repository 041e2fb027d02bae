/* A zip archive: each entry lies in the file and is found by its name. */
#include "fuzz.h"

#include "checkpoint/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f.zip", data, size);
    struct file f;
    struct zip z = {0};
    struct arena a = {0};
    struct err e = {0};
    EXPECT(file_map(&f, path, &e) == OK);
    int rc = zip_read(&z, &f, &a, &e);
    fuzz_allow(rc, &e);
    for (size_t i = 0; !rc && i < z.n; i++) {
        const struct zip_entry *x = &z.entries[i];
        EXPECT(x->data >= f.data && x->bytes <= f.size - (size_t)(x->data - f.data));
        EXPECT(zip_find(&z, x->name, x->name_len) == x);
    }
    arena_free(&a);
    file_unmap(&f);
    return 0;
}
