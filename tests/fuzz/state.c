/* A state of a prompt: the input is changed bytes of a file, or a file by itself, and its checksum
 * is made right. What can be read is restored, and a token runs behind it. */
#include "fuzz.h"

#include "../random_book.h"
#include "base/inputs.h"
#include "base/sha256.h"
#include "checkpoint/checkpoint.h"
#include "model/state_file.h"

enum { L = 2, H = 2, C = 32, V = 9, T = 40, N = 6, SUM = 32 };

static struct checkpoint model;
static struct book book;
static const char *const specs[] = {"fp16", "int4:sink=1,window=4,exact=8/int4",
                                    "lookat:m=2,k=4,plain/turbo3",
                                    "lookat:m=2,k=16,learned,refine=2/pq:m=4,k=256,learned"};
enum { N_SPECS = sizeof specs / sizeof *specs };

static void open_session(struct gpt2_session *s, const char *spec) {
    struct err e;
    const struct gpt2_session_setup y = {.weights = &model.weights,
                                         .kn = kernels_at(0),
                                         .attn = spec,
                                         .book = &book,
                                         .n_seq = 1,
                                         .n_ctx = T,
                                         .max_rows = 8,
                                         .take_back = 2};
    EXPECT(gpt2_session_open(s, &y, &e) == OK);
}

static void clean_up(void) {
    checkpoint_close(&model);
    book_close(&book);
}

static void start(void) {
    const struct gpt2_config config = {.n_layer = L,
                                       .n_head = H,
                                       .n_embd = C,
                                       .n_inner = C,
                                       .n_ctx = T,
                                       .n_vocab = V,
                                       .norm_eps = 1e-5f};
    struct err e;
    fuzz_start();
    EXPECT(checkpoint_random(&model, &config, 1, &e) == OK);
    random_book(&book, L, H, C / H, 4, 1);
    random_learned(&book, 2, 16, 2);
    random_values(&book, 4, 256, 3);
    atexit(clean_up);
}

static void seal(uint8_t *x, size_t n) {
    struct sha256 s;
    char hex[65];
    sha256_init(&s);
    sha256_add(&s, x, n - SUM);
    sha256_hex(&s, hex);
    for (size_t i = 0; i < SUM; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        x[n - SUM + i] = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* The file of a short prompt, in memory to be freed. */
static uint8_t *kept(struct gpt2_session *s, size_t *n) {
    static const int32_t tokens[N] = {1, 8, 3, 0, 2, 2};
    const char *path = folder_path("kept");
    struct file f;
    struct err e;
    float logits[V];
    state_file_begin(s);
    EXPECT(gpt2_prefill(s, 0, tokens, N, logits, &e) == OK);
    EXPECT(state_file_save(path, s, tokens, logits, &e) == OK);
    EXPECT(file_map(&f, path, &e) == OK);
    uint8_t *x = malloc(f.size);
    EXPECT(x);
    memcpy(x, f.data, *n = f.size);
    file_unmap(&f);
    inputs_forget();
    return x;
}

/* The first byte chooses the backend and whether the rest is a file, or changes to one: two bytes
 * of a place and one that it becomes, each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_session s;
    struct state_file f;
    struct err e = {0};
    size_t n;
    if (!model.weights.layers) start();
    if (!size) return 0;
    unsigned first = *data++;
    size--;
    open_session(&s, specs[first % N_SPECS]);
    uint8_t *x = kept(&s, &n);
    if (first & 128) {
        free(x);
        x = malloc(size + 1);
        EXPECT(x);
        memcpy(x, data, n = size);
    }
    for (; !(first & 128) && size >= 3; data += 3, size -= 3)
        x[(data[0] | (size_t)data[1] << 8) % n] = data[2];
    if (n > SUM && !(first & 64)) seal(x, n);
    int rc = state_file_open(&f, fuzz_file("state", x, n), &e);
    fuzz_allow(rc, &e);
    if (!rc) {
        rc = state_file_restore(&f, &s, &e);
        fuzz_allow(rc, &e);
        EXPECT(s.length[0] == (rc ? 0 : f.n));
        float logits[V];
        const int32_t next = 4;
        if (!rc && f.n < T) EXPECT(gpt2_prefill(&s, 0, &next, 1, logits, &e) == OK);
        gpt2_rewind(&s, 0, 0);
        state_file_close(&f);
    }
    inputs_forget();
    gpt2_session_close(&s);
    free(x);
    return 0;
}
