/* A GGUF file as a model and as a tokenizer; and every key of it read by every getter. */
#include "fuzz.h"

#include "checkpoint/loaders.h"

static void read_key(const struct gguf *g, const struct gguf_kv *kv) {
    char key[256];
    uint64_t whole;
    double number;
    struct gguf_str s;
    struct err e;
    if (kv->type == GGUF_ARRAY) {
        const uint8_t *p = kv->data;
        for (uint64_t i = 0; i < kv->count; i++) {
            if (kv->item == GGUF_STRING) {
                s = gguf_next_string(&p);
                EXPECT((const uint8_t *)s.s + s.n <= g->file.data + g->file.size);
            } else if (kv->item != GGUF_F32 && kv->item != GGUF_F64 && kv->item != GGUF_BOOL) {
                gguf_item(kv, i);
            }
        }
    }
    if (kv->key.n >= sizeof key) return;
    memcpy(key, kv->key.s, kv->key.n);
    key[kv->key.n] = 0;
    gguf_uint(g, key, &whole, &e);
    gguf_float(g, key, &number, &e);
    gguf_string(g, key, &s, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file("f.gguf", data, size);
    struct gguf g;
    struct checkpoint c = {0};
    struct vocab v = {0};
    struct arena a = {0};
    struct err e = {0};
    int rc = gguf_open(&g, path, &e);
    fuzz_allow(rc, &e);
    if (!rc) {
        for (size_t i = 0; i < g.n_kv; i++) read_key(&g, &g.kv[i]);
        for (size_t i = 0; i < g.n_tensors; i++)
            EXPECT(g.tensors[i].data + g.tensors[i].bytes <= g.file.data + g.file.size);
        gguf_close(&g);
        fuzz_allow(gguf_load_model(&c, path, NULL, &e), &e);
        arena_free(&c.arena);
        file_unmap(&c.file);
        fuzz_allow(gguf_load_vocab(&v, path, &a, &e), &e);
        arena_free(&a);
    }
    return 0;
}
