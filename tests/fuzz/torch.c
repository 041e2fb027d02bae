/* A file of torch.save: the container, and as a model with a config.json beside it. */
#include "fuzz.h"

#include "../bad/tiny_hf.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/torch.h"

/* Every number that a tensor reaches lies in the file. */
static void check_tensor(const struct named_file *f, const struct named_tensor *t) {
    size_t last = 0, item = t->type == DTYPE_F32 ? 4 : 2;
    EXPECT(strlen(t->name) <= t->name_len && t->rank <= NAMED_MAX_RANK);
    if (t->type < 0 || !t->bytes) return;
    for (unsigned i = 0; i < t->rank; i++) last += (size_t)(t->shape[i] - 1) * (size_t)t->stride[i];
    EXPECT(t->data >= f->file.data && t->data + (last + 1) * item <= f->file.data + f->file.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f.pt", data, size);
    struct named_file f;
    struct checkpoint c;
    struct err e = {0};
    folder_write("config.json", TINY_CONFIG, strlen(TINY_CONFIG));
    int rc = torch_open(&f, path, &e);
    fuzz_allow(rc, &e);
    if (rc) return 0;
    for (size_t i = 0; i < f.n; i++) check_tensor(&f, &f.tensors[i]);
    named_file_close(&f);
    rc = checkpoint_open(&c, path, NULL, NULL, &e);
    fuzz_allow(rc, &e);
    if (!rc) checkpoint_close(&c);
    return 0;
}
