/* After Ctrl-C: what takes long stops and says so; without memory, what is missing is not taken for
 * a missing file. Each in a child, for the signal stays pending. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/weights.h"
#include "test.h"
#include "tokenizer/bpe.h"

static struct err e;
static struct vocab vocab;
static struct bpe *bpe;
static struct arena arena;

/* The exit status of a child that runs fn once the signal has come. */
static int after_interrupt(int (*fn)(void)) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        interrupt_install();
        raise(SIGINT);
        _exit(fn());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Ctrl-C can be forgotten, and comes again; another signal cannot. */
static int forget(void) {
    int again = interrupt_pending() && interrupt_forget() && !interrupt_pending() ? OK : 1;
    raise(SIGINT);
    again |= interrupt_pending() && interrupt_forget() && !interrupt_forget() ? OK : 2;
    signal(SIGTERM, SIG_DFL);
    interrupt_install();
    raise(SIGTERM);
    return again | (interrupt_pending() && !interrupt_forget() && interrupt_pending() ? OK : 4);
}

static void ctrl_c_is_forgotten(void) {
    int status = after_interrupt(forget);
    CHECK(status == OK, "%d", status);
}

#define STOPS(fn)                                                                   \
    do {                                                                            \
        int without = fn();                                                         \
        CHECK(without == OK, #fn " fails: %s", e.msg);                              \
        int status = after_interrupt(fn);                                           \
        CHECK(status == ERR_INTERRUPTED, #fn " ends with %d after Ctrl-C", status); \
    } while (0)

static int make_random(void) {
    const struct gpt2_config shape = {1, 1, 4, 16, 8, 8, 1e-5f, .activation = GELU_TANH};
    struct checkpoint c;
    int rc = checkpoint_random(&c, &shape, 1, &e);
    if (!rc) checkpoint_close(&c);
    return rc;
}

static int encode(const char *text, size_t n) {
    struct arena a = {0};
    int32_t *ids;
    size_t n_ids;
    int rc = bpe_encode(bpe, (const uint8_t *)text, n, false, &a, &ids, &n_ids, &e);
    arena_free(&a);
    return rc;
}

static int encode_words(void) { return encode("one two three", 13); }

static int encode_a_long_piece(void) {
    char text[1000];
    memset(text, 'a', sizeof text);
    return encode(text, sizeof text);
}

static int load_folder(void) {
    struct checkpoint c;
    int rc = checkpoint_open(&c, folder, NULL, NULL, &e);
    if (!rc) checkpoint_close(&c);
    return rc;
}

static int read_text(void) {
    struct arena a = {0};
    uint8_t *data;
    size_t n;
    int rc = file_read("tokenizer/merges.txt", &a, &data, &n, &e);
    arena_free(&a);
    return rc;
}

static void long_work_stops(void) {
    STOPS(make_random);
    STOPS(encode_words);
    STOPS(encode_a_long_piece);
    STOPS(load_folder);
    STOPS(read_text);
}

/* ---- memory ---- */

static void no_memory_is_no_missing_file(void) {
    struct checkpoint c;
    struct vocab v;
    struct arena none = {0};
    arena_refuse(true);
    int model = checkpoint_open(&c, folder, NULL, NULL, &e);
    CHECK(model == ERR_FAILED && strstr(e.msg, "no memory"), "a model's folder: %d %s", model,
          e.msg);
    int tokenizer = vocab_open(&v, "tokenizer", &none, &e);
    CHECK(tokenizer == ERR_FAILED && strstr(e.msg, "no memory"), "a tokenizer's folder: %d %s",
          tokenizer, e.msg);
    int file = checkpoint_open(&c, folder_path("model.safetensors"), NULL, NULL, &e);
    CHECK(file == ERR_FAILED && strstr(e.msg, "memory"), "a model's file: %d %s", file, e.msg);
    arena_refuse(false);
    CHECK(load_folder() == OK, "%s", e.msg);
}

int main(void) {
    RUN(ctrl_c_is_forgotten);
    struct st_maker m;
    const struct tiny_shape shape = {1, 8, 32, 64, 16};
    static const char config[] = "{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_head\":2,\"n_embd\":8,"
                                 "\"n_positions\":64,\"vocab_size\":16}";
    if (!folder_make() || vocab_open(&vocab, "tokenizer", &arena, &e) ||
        bpe_new(&bpe, &vocab, &arena, &e))
        return 1;
    tiny_hf(&m, shape, "", "F32");
    struct bytes b = st_bytes(&m);
    folder_write("model.safetensors", b.data, b.size);
    folder_write("config.json", config, sizeof config - 1);
    bytes_free(&b);
    st_free(&m);
    RUN(long_work_stops);
    RUN(no_memory_is_no_missing_file);
    folder_remove();
    arena_free(&arena);
    return TEST_RESULT;
}
