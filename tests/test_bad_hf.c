/* Broken files of Hugging Face and llm.c are refused with the rule they break and the name of the
 * file, and so is any beginning of a good one. */
#include "bad/folder.h"
#include "bad/llmc.c"
#include "bad/safetensors.c"
#include "bad/vocab.c"
#include "checkpoint/checkpoint.h"
#include "checkpoint/vocab.h"
#include "test.h"

static size_t n_files;

static void write_text(const char *name, const char *text) {
    folder_write(name, text, strlen(text));
}

/* Opens a model or a tokenizer, and closes it again. */
static int try(const char *path, bool model, struct err *e) {
    struct checkpoint c;
    struct arena a = {0};
    struct vocab v;
    int rc = model ? checkpoint_open(&c, path, NULL, NULL, e) : vocab_open(&v, path, &a, e);
    if (!rc && model) checkpoint_close(&c);
    arena_free(&a);
    return rc;
}

/* Opens `path` and expects to be refused, in words that hold f->expect and the name of the file at
 * fault. */
static void expect_refused(const struct bad_file *f, const char *path, bool model,
                           const char *at_fault) {
    struct err e = {0};
    int rc = try(path, model, &e);
    CHECK(rc == ERR_REFUSED && e.code == rc, "%s: %d %s", f->name, rc, e.msg);
    CHECK(strstr(e.msg, f->expect), "%s: \"%s\" does not say \"%s\"", f->name, e.msg, f->expect);
    CHECK(strstr(e.msg, at_fault), "%s: \"%s\" does not name %s", f->name, e.msg, at_fault);
    CHECK(strlen(e.msg) < sizeof e.msg - 1, "%s: the message is cut: %s", f->name, e.msg);
    n_files++;
}

/* A file of its own name, ctx: is it a model? */
static void refuse_file(const struct bad_file *f, void *ctx) {
    const char *path = folder_write(f->name, f->data, f->size);
    expect_refused(f, path, *(bool *)ctx, f->name);
    unlink(path);
}

/* As config.json beside the tiny model: the fault is found there, or in a tensor that does not
 * agree with it. */
static void refuse_config(const struct bad_file *f, void *ctx) {
    bool safetensors = strstr(f->expect, "tensor ") || strstr(f->expect, "has 28 tensors");
    (void)ctx;
    folder_write("config.json", f->data, f->size);
    expect_refused(f, folder, true, safetensors ? "model.safetensors" : "config.json");
}

/* A file that has to be called ctx. */
static void refuse_vocab(const struct bad_file *f, void *ctx) {
    const char *path = folder_write(ctx, f->data, f->size);
    expect_refused(f, path, false, ctx);
}

static void safetensors(void) {
    n_files = 0;
    write_text("config.json", TINY_CONFIG);
    bad_safetensors(refuse_file, &(bool){true});
    CHECK(n_files > 60, "%zu files", n_files);
    unlink(folder_path("config.json"));
}

static struct st_maker tiny;

static struct bytes tiny_file(void) {
    tiny_hf(&tiny, TINY, "", "F32");
    struct bytes b = st_bytes(&tiny);
    st_free(&tiny);
    return b;
}

static void configs(void) {
    struct bytes b = tiny_file();
    n_files = 0;
    folder_write("model.safetensors", b.data, b.size);
    bad_configs(refuse_config, NULL);
    CHECK(n_files > 25, "%zu files", n_files);
    unlink(folder_path("config.json"));
    unlink(folder_path("model.safetensors"));
    bytes_free(&b);
}

static void vocabs(void) {
    n_files = 0;
    write_text("merges.txt", GOOD_MERGES);
    bad_vocab_json(refuse_vocab, "vocab.json");
    write_text("vocab.json", GOOD_VOCAB);
    bad_merges(refuse_vocab, "merges.txt");
    unlink(folder_path("vocab.json"));
    unlink(folder_path("merges.txt"));
    bad_tokenizer_json(refuse_vocab, "tokenizer.json");
    unlink(folder_path("tokenizer.json"));
    CHECK(n_files > 50, "%zu files", n_files);
}

static void llmc(void) {
    n_files = 0;
    bad_llmc_model(refuse_file, &(bool){true});
    bad_llmc_tokenizer(refuse_file, &(bool){false});
    bad_others(refuse_file, &(bool){true});
    CHECK(n_files > 45, "%zu files", n_files);
}

/* The whole of `b` is opened, and every beginning of it is refused. */
static void cut(const char *name, const struct bytes *b, bool model) {
    const char *path = folder_write(name, b->data, b->size);
    struct err e = {0};
    CHECK(try(path, model, &e) == OK, "%s, whole: %s", name, e.msg);
    for (size_t size = b->size; size-- > 0;) {
        CHECK(truncate(path, (off_t)size) == 0, "%s cannot be cut", path);
        int rc = try(path, model, &e);
        CHECK(rc == ERR_REFUSED && strstr(e.msg, name), "%s, %zu of %zu bytes: %d %s", name, size,
              b->size, rc, e.msg);
    }
    unlink(path);
}

static void cut_safetensors(void) {
    struct bytes b = tiny_file();
    write_text("config.json", TINY_CONFIG);
    cut("cut.safetensors", &b, true);
    unlink(folder_path("config.json"));
    bytes_free(&b);
}

static void cut_llmc(void) {
    struct bytes model = {0}, tokens = {0};
    put_llmc_header(&model, (struct llmc_header)GOOD_LLMC);
    put_zeros(&model, GOOD_LLMC_DATA);
    cut("cut.bin", &model, true);
    put_llmc_header(&tokens, (struct llmc_header){{20240328, 2, 4, 3}});
    put_text(&tokens, "\1a\1b\2ab\15<|endoftext|>");
    cut("cut_tokens.bin", &tokens, false);
    bytes_free(&model);
    bytes_free(&tokens);
}

static void cut_vocab(void) {
    struct bytes vocab = {0}, both = {0};
    put_text(&vocab, GOOD_VOCAB);
    write_text("merges.txt", GOOD_MERGES);
    cut("vocab.json", &vocab, false);
    put_text(&both,
             "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":3,\"content\":\"<|endoftext|>\","
             "\"special\":true}],\"normalizer\":null,"
             "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," MODEL "}");
    cut("tokenizer.json", &both, false);
    unlink(folder_path("merges.txt"));
    bytes_free(&vocab);
    bytes_free(&both);
}

/* Any one byte changed: loads or is refused, and nothing is read outside the file (for the
 * sanitizers to see). */
static void any_byte_changed(void) {
    static const uint8_t flip[] = {0x01, 0x20, 0xff};
    struct bytes b = tiny_file();
    size_t loaded = 0, refused = 0;
    write_text("config.json", TINY_CONFIG);
    const char *path = folder_write("changed.safetensors", b.data, b.size);
    FILE *fp = fopen(path, "r+b");
    for (size_t at = 0; fp && at < b.size; at += at < 2400 ? 1 : 97) {
        for (size_t i = 0; i <= sizeof flip; i++) {
            struct err e = {0};
            fseek(fp, (long)at, SEEK_SET);
            fputc(i < sizeof flip ? b.data[at] ^ flip[i] : b.data[at], fp);
            fflush(fp);
            int rc = try(path, true, &e);
            CHECK(rc == OK || (rc == ERR_REFUSED && i < sizeof flip), "byte %zu: %d %s", at, rc,
                  e.msg);
            if (i < sizeof flip) rc ? refused++ : loaded++;
        }
    }
    CHECK(fp && loaded > 0 && refused > loaded, "%zu loaded, %zu refused", loaded, refused);
    if (fp) fclose(fp);
    unlink(path);
    unlink(folder_path("config.json"));
    bytes_free(&b);
}

/* Without a config.json nothing tells the number of heads, also where the width is a multiple
 * of 64. */
static void no_config(void) {
    static const struct tiny_shape s = {1, 128, 8, 2, 3};
    tiny_hf(&tiny, s, "", "F16");
    struct bytes b = st_bytes(&tiny);
    folder_write("model.safetensors", b.data, b.size);
    struct bad_file f = {
        .name = "no config",
        .expect = "do not tell the number of heads: put the model's config.json beside it"};
    expect_refused(&f, folder, true, "model.safetensors");
    expect_refused(&f, folder_path("model.safetensors"), true, "model.safetensors");
    unlink(folder_path("model.safetensors"));
    st_free(&tiny);
    bytes_free(&b);
}

/* A head that is not the embedding does not stand for one. */
static void untied_head_alone(void) {
    tiny_hf(&tiny, TINY, "", "F32");
    strcpy(st_get(&tiny, "wte.weight")->name, "lm_head.weight");
    struct bytes b = st_bytes(&tiny);
    folder_write("model.safetensors", b.data, b.size);
    write_text("config.json", "{\"n_head\":2,\"n_inner\":12,\"tie_word_embeddings\":false}");
    struct bad_file f = {.name = "untied head",
                         .expect = "tensor wte.weight (tie_word_embeddings is false) is missing"};
    expect_refused(&f, folder, true, "model.safetensors");
    unlink(folder_path("config.json"));
    unlink(folder_path("model.safetensors"));
    st_free(&tiny);
    bytes_free(&b);
}

/* What is wrong with a folder, and with what lies in it. */
static void folders(void) {
    struct bytes b = tiny_file();
    struct bad_file f = {.name = "no model", .expect = "is a folder without a model.safetensors"};
    expect_refused(&f, folder, true, folder);
    f = (struct bad_file){.name = "no tokenizer", .expect = "is a folder without a tokenizer"};
    expect_refused(&f, folder, false, folder);
    write_text("pytorch_model.bin", "PK\3\4");
    f = (struct bad_file){.name = "zip", .expect = "a zip archive without its end"};
    expect_refused(&f, folder, true, "pytorch_model.bin");
    write_text("model.safetensors.index.json", "{}");
    f = (struct bad_file){.name = "index", .expect = "has no weight_map"};
    expect_refused(&f, folder, true, "model.safetensors.index.json");
    unlink(folder_path("model.safetensors.index.json"));
    unlink(folder_path("pytorch_model.bin"));
    write_text("m.gguf", "GGUF");
    write_text("n.gguf", "GGUF");
    f = (struct bad_file){.name = "several", .expect = "holds 2 GGUF files: name one of them"};
    expect_refused(&f, folder, true, folder);
    unlink(folder_path("m.gguf"));
    unlink(folder_path("n.gguf"));
    write_text("vocab.json", GOOD_VOCAB);
    f = (struct bad_file){.name = "no merges", .expect = "needs merges.txt beside it"};
    expect_refused(&f, folder, false, "vocab.json");
    write_text("merges.txt", GOOD_MERGES);
    unlink(folder_path("vocab.json"));
    f = (struct bad_file){.name = "no vocab", .expect = "needs vocab.json beside it"};
    expect_refused(&f, folder_path("merges.txt"), false, "merges.txt");
    write_text("vocab.json", "{\"a\":0,\"b\":1,\"ab\":2}");
    write_text("config.json", TINY_CONFIG);
    folder_write("model.safetensors", b.data, b.size);
    write_text("tokenizer_config.json", "{\"add_prefix_space\": true}");
    f = (struct bad_file){.name = "prefix",
                          .expect = "add_prefix_space is true, which is not supported"};
    expect_refused(&f, folder, true, "tokenizer_config.json");
    write_text("tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}");
    f = (struct bad_file){.name = "key", .expect = "expected a token id as the key"};
    expect_refused(&f, folder, true, "tokenizer_config.json");
    write_text("tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"9\": {\"content\": \"y\"}}}");
    f = (struct bad_file){.name = "far", .expect = "token id 9 is too large for 4 tokens"};
    expect_refused(&f, folder, true, "vocab.json");
    unlink(folder_path("tokenizer_config.json"));
    write_text("special_tokens_map.json", "[]");
    f = (struct bad_file){.name = "map", .expect = "expected an object"};
    expect_refused(&f, folder, true, "special_tokens_map.json");
    unlink(folder_path("special_tokens_map.json"));
    write_text("added_tokens.json", "{\"x\": \"3\"}");
    f = (struct bad_file){.name = "added", .expect = "byte 6: expected a number"};
    expect_refused(&f, folder, true, "added_tokens.json");
    unlink(folder_path("added_tokens.json"));
    bytes_free(&b);
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    file_guard(true);
    RUN(safetensors);
    RUN(configs);
    RUN(no_config);
    RUN(untied_head_alone);
    RUN(vocabs);
    RUN(llmc);
    RUN(cut_safetensors);
    RUN(cut_llmc);
    RUN(cut_vocab);
    RUN(any_byte_changed);
    RUN(folders);
    folder_remove();
    return TEST_RESULT;
}
