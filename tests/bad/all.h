/* All generators of broken files at once. The ones that mean nothing without other files get a
 * folder's worth of them: what stands beside the broken file, and where the program is pointed
 * at. */
#ifndef LOOKAT_TESTS_ALL_H
#define LOOKAT_TESTS_ALL_H

#include <stdbool.h>

#include "gguf.c"
#include "llmc.c"
#include "safetensors.c"
#include "torch.c"
#include "vocab.c"

enum bad_use { BAD_MODEL, BAD_VOCAB };

struct bad_place {
    const char *group;     /* its name is a folder name */
    enum bad_use use;      /* opened as a model or as a tokenizer */
    const char *file;      /* what the broken file has to be called; NULL: its own name */
    const char *open;      /* what is opened in the folder: NULL: the broken file, "": the folder */
    const char *beside[2]; /* name and text of the good file beside it, or NULL */
    bool tiny;             /* beside the model.safetensors of the tiny model */
};

/* Calls fn(place, file, ctx) for every broken file there is. */
typedef void (*bad_all_fn)(const struct bad_place *place, const struct bad_file *file, void *ctx);

struct bad_call {
    struct bad_place place;
    bad_all_fn fn;
    void *ctx;
};

static void bad_one(const struct bad_file *file, void *ctx) {
    struct bad_call *c = ctx;
    c->fn(&c->place, file, c->ctx);
}

static void bad_all(bad_all_fn fn, void *ctx) {
    const struct {
        struct bad_place place;
        void (*make)(bad_fn fn, void *ctx);
    } groups[] = {
        {{.group = "gguf", .use = BAD_MODEL}, bad_gguf},
        {{.group = "safetensors", .use = BAD_MODEL, .beside = {"config.json", TINY_CONFIG}},
         bad_safetensors},
        {{.group = "torch", .use = BAD_MODEL, .beside = {"config.json", TINY_CONFIG}}, bad_torch},
        {{.group = "config", .use = BAD_MODEL, .file = "config.json", .open = "", .tiny = true},
         bad_configs},
        {{.group = "llmc", .use = BAD_MODEL}, bad_llmc_model},
        {{.group = "others", .use = BAD_MODEL}, bad_others},
        {{.group = "llmc-tokenizer", .use = BAD_VOCAB}, bad_llmc_tokenizer},
        {{.group = "vocab",
          .use = BAD_VOCAB,
          .file = "vocab.json",
          .beside = {"merges.txt", GOOD_MERGES}},
         bad_vocab_json},
        {{.group = "merges",
          .use = BAD_VOCAB,
          .file = "merges.txt",
          .beside = {"vocab.json", GOOD_VOCAB}},
         bad_merges},
        {{.group = "tokenizer", .use = BAD_VOCAB, .file = "tokenizer.json"}, bad_tokenizer_json},
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct bad_call c = {groups[i].place, fn, ctx};
        groups[i].make(bad_one, &c);
    }
}

/* The bytes of the tiny model's model.safetensors; bytes_free is due. */
static inline struct bytes bad_tiny_model(void) {
    static struct st_maker m;
    tiny_hf(&m, TINY, "", "F32");
    struct bytes b = st_bytes(&m);
    st_free(&m);
    return b;
}

#endif
