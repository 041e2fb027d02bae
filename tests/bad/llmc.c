/* Broken model and tokenizer files of llm.c, and files that are something else altogether. */
#include "bad.h"

struct llmc_header {
    uint32_t h[8];
};

/* 256 integers, the first 8 given. */
static void put_llmc_header(struct bytes *b, struct llmc_header h) {
    for (int i = 0; i < 256; i++) put_u32(b, i < 8 ? h.h[i] : 0);
}

/* T 3, V 5, L 1, H 2, C 8, padded V 6; 4 (Vp C + T C + 12 C C + 13 C + 2 C) bytes of zeros. */
#define GOOD_LLMC                         \
    {                                     \
        { 20240326, 3, 3, 5, 1, 2, 8, 6 } \
    }
enum { GOOD_LLMC_DATA = 4 * (6 * 8 + 3 * 8 + 12 * 64 + 15 * 8) };

static void bad_llmc_give(bad_fn fn, void *ctx, const char *name, const char *expect,
                          struct bytes *b) {
    fn(&(struct bad_file){name, expect, b->data, b->size}, ctx);
    bytes_free(b);
}

void bad_llmc_model(bad_fn fn, void *ctx);
void bad_llmc_tokenizer(bad_fn fn, void *ctx);
void bad_others(bad_fn fn, void *ctx);

void bad_llmc_model(bad_fn fn, void *ctx) {
    static const struct {
        const char *name, *expect;
        int field;
        uint32_t value;
        int more; /* bytes */
    } bad[] = {
        {"version-1.bin", "version 1 of an llm.c model, expected 3 or 5", 1, 1, 0},
        {"version-4.bin", "version 4 of an llm.c model", 1, 4, 0},
        {"bf16-size.bin", "expected 2944 by its header", 1, 5, 0},
        {"context-0.bin", "the context length is 0", 2, 0, 0},
        {"context-negative.bin", "the context length is 4294967295, expected 1 to 1048576", 2,
         UINT32_MAX, 0},
        {"vocab-0.bin", "the vocabulary size is 0", 3, 0, 0},
        {"padding.bin", "the padded vocabulary is 6, expected 7 or more", 3, 7, 0},
        {"layers-0.bin", "the number of layers is 0", 4, 0, 0},
        {"layers-2.bin", "expected 8352 by its header", 4, 2, 0},
        {"layers-many.bin", "by its header", 4, 1 << 20, 0},
        {"heads-0.bin", "the number of heads is 0", 5, 0, 0},
        {"heads-3.bin", "expected a multiple of the 3 heads", 5, 3, 0},
        {"width-0.bin", "the width is 0", 6, 0, 0},
        {"width-large.bin", "by its header", 6, 1 << 20, 0},
        {"padded-large.bin", OF_64_OR_32("by its header", "the size of its shape overflows"), 7,
         UINT32_MAX, 0},
        {"one-less.bin", "is 4863 bytes long, expected 4864 by its header", 1, 3, -1},
        {"one-more.bin", "is 4865 bytes long, expected 4864 by its header", 1, 3, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes b = {0};
        struct llmc_header h = GOOD_LLMC;
        h.h[bad[i].field] = bad[i].value;
        put_llmc_header(&b, h);
        put_zeros(&b, (size_t)(GOOD_LLMC_DATA + bad[i].more));
        bad_llmc_give(fn, ctx, bad[i].name, bad[i].expect, &b);
    }
    struct bytes b = {0};
    put_llmc_header(&b, (struct llmc_header)GOOD_LLMC);
    b.size = 1023;
    bad_llmc_give(fn, ctx, "short-header.bin",
                  "is 1023 bytes long, expected 1024 or more: the header of an llm.c model", &b);
    put_llmc_header(
        &b, (struct llmc_header){{20240326, 3, 1 << 20, 1 << 24, 1 << 20, 1, 1 << 22, 1 << 24}});
    bad_llmc_give(fn, ctx, "overflow.bin", "the size of its shape overflows", &b);
    put_llmc_header(&b, (struct llmc_header){{20240328, 2, 0, 0}});
    bad_llmc_give(fn, ctx, "tokenizer.model.bin", "is a tokenizer of llm.c, not a model", &b);
}

void bad_llmc_tokenizer(bad_fn fn, void *ctx) {
    static const struct {
        const char *name, *expect;
        struct llmc_header h;
        const char *tokens; /* each with its length in front */
    } bad[] = {
        {"version-3.bin",
         "version 3 of an llm.c tokenizer, expected 1 or 2",
         {{20240328, 3, 1, 0}},
         "\1a"},
        {"none.bin", "the vocabulary has no tokens", {{20240328, 1, 0, 0}}, ""},
        {"many.bin",
         "has 4294967295 tokens by its header, too many for its 1026 bytes",
         {{20240328, 1, UINT32_MAX, 0}},
         "\1a"},
        {"cut-length.bin", "token 2 of 3 runs past the end", {{20240328, 1, 3, 0}}, "\2aa\2bb"},
        {"cut-token.bin", "token 1 of 2 runs past the end", {{20240328, 1, 2, 0}}, "\1a\5bb"},
        {"twice.bin", "tokens 0 and 1 are the same (\"a\")", {{20240328, 1, 2, 0}}, "\1a\1a"},
        {"trailing.bin", "1 bytes follow the last token", {{20240328, 1, 2, 0}}, "\1a\1b!"},
        {"model.tokenizer.bin", "is a model without a tokenizer of its own", GOOD_LLMC, ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes b = {0};
        put_llmc_header(&b, bad[i].h);
        put_text(&b, bad[i].tokens);
        bad_llmc_give(fn, ctx, bad[i].name, bad[i].expect, &b);
    }
    struct bytes b = {0};
    put_u32(&b, 20240328);
    bad_llmc_give(fn, ctx, "header.bin",
                  "is 4 bytes long, expected 1024 or more: the header of an llm.c tokenizer", &b);
}

/* Things that people take for a model. */
void bad_others(bad_fn fn, void *ctx) {
#define OTHER(name, expect, bytes) \
    { name, expect, (const uint8_t *)(bytes), sizeof(bytes) - 1 }
    static const struct bad_file bad[] = {
        OTHER("empty.bin", "is empty", ""),
        OTHER("empty.safetensors", "is empty", ""),
        OTHER("pytorch.bin", "a zip archive without its end", "PK\3\4rest"),
        OTHER("pickle.bin", "is a Python pickle, but none that torch.save has written",
              "\x80\2\x8a\nrest"),
        OTHER("ggml.bin", "is an old ggml file: convert it to GGUF", "lmggrest"),
        OTHER("ggjt.bin", "is an old ggml file: convert it to GGUF", "tjggrest"),
        OTHER("lfs.safetensors", "is a Git LFS pointer, not the model",
              "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        OTHER("page.safetensors", "is a web page", "\n <!DOCTYPE html><html>"),
        OTHER("text.gguf", "is a text file", "Not Found"),
        OTHER("text.txt", "is a text file", "Once upon a time"),
        OTHER("state.bin", "is a debug state of llm.c, not a model", "\xc7\xd7\x34\1\0\0\0\0"),
        OTHER("tf.h5", "is an HDF5 file of TensorFlow", "\x89HDF\r\n"),
        OTHER("model.gz", "is compressed with gzip", "\x1f\x8b\x08"),
        OTHER("model.xz", "is compressed with xz",
              "\xfd"
              "7zXZ\0"),
        OTHER("noise.bin", "starts with bytes 01 ff 00 00, expected a GGUF file", "\1\xff"),
        OTHER("config.json", "is a JSON file, not a model", "{}"),
        OTHER("model.safetensors.index.json", "has no weight_map", "{}"),
        OTHER("merges.txt", "is a list of merges, not a model", "#version: 0.2\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) fn(&bad[i], ctx);
}
