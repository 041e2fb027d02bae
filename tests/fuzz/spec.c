/* An attention spec: what can be read is written out in full, and reads back as itself. */
#include "fuzz.h"

#include "attention/backend.h"
#include "attention/spec.h"

enum { LAYERS = 3 };

static void read_back(const struct codec *codec, bool key) {
    char full[256], again[256], spec[300];
    struct codec keys[1], values[1];
    struct err e = {0};
    size_t n = spec_format(codec, full, sizeof full);
    EXPECT(n == strlen(full) && n < sizeof full - 1);
    snprintf(spec, sizeof spec, "%s%s", key ? "" : "fp16/", full);
    EXPECT(spec_parse(spec, 1, keys, values, &e) == OK);
    spec_format(key ? &keys[0] : &values[0], again, sizeof again);
    EXPECT(strcmp(full, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct attn_shape shape = {LAYERS, 2, 32, 64};
    const struct kernels *k = kernels_at(0);
    struct codec keys[LAYERS], values[LAYERS];
    struct attn attn;
    struct err e = {0};
    char *spec = malloc(size + 1);
    EXPECT(spec);
    if (size) memcpy(spec, data, size);
    spec[size] = 0;
    EXPECT(spec_first(spec) <= strlen(spec));
    int rc = spec_parse(spec, LAYERS, keys, values, &e);
    fuzz_allow(rc, &e);
    for (int i = 0; !rc && i < LAYERS; i++) {
        read_back(&keys[i], true);
        read_back(&values[i], false);
    }
    rc = attn_init(&attn, &shape, spec, NULL, k, &e);
    fuzz_allow(rc, &e);
    if (!rc) EXPECT(attn_state_bytes(&attn) > 0 && attn.name[0]);
    if (!rc) attn_free(&attn);
    free(spec);
    return 0;
}
