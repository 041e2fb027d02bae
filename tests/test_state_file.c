/* States kept in files: what is read back goes on to the bit as if it had never been away, and a
 * file that was cut, changed or made for something else is refused by name. */
#include "model/state_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attention/state_bytes.h"
#include "bad/folder.h"
#include "base/inputs.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "random_book.h"
#include "test.h"

enum { L = 3, H = 2, C = 64, D = C / H, V = 70, T = 160, MORE = 24, TAKE_BACK = 7, SUM = 32 };

static struct checkpoint model;
static struct book book;
static int32_t tokens[T];

static bool open_session(struct gpt2_session *s, const char *spec) {
    struct err e;
    const struct gpt2_session_setup y = {.weights = &model.weights,
                                         .kn = kernels_at(0),
                                         .attn = spec,
                                         .book = &book,
                                         .n_seq = 1,
                                         .n_ctx = T,
                                         .max_rows = 16,
                                         .take_back = TAKE_BACK};
    int rc = gpt2_session_open(s, &y, &e);
    CHECK(!rc, "%s: %s", spec, e.msg);
    return !rc;
}

/* Keeps the first n tokens in a file. The session stays open, and its logits are in logits[V]. */
static const char *keep(struct gpt2_session *s, const char *spec, size_t n, float *logits) {
    const char *path = folder_path("state");
    struct err e;
    if (!open_session(s, spec)) return NULL;
    state_file_begin(s);
    int rc = gpt2_prefill(s, 0, tokens, n, logits, &e);
    if (!rc) rc = state_file_save(path, s, tokens, logits, &e);
    CHECK(!rc, "%s, %zu tokens: %s", spec, n, e.msg);
    inputs_forget();
    return path;
}

/* The bytes of a file, to be freed. */
static uint8_t *bytes_of(const char *path, size_t *n) {
    struct file f;
    struct err e;
    uint8_t *copy = NULL;
    *n = 0;
    if (file_map(&f, path, &e)) return NULL;
    copy = malloc(f.size);
    if (copy) memcpy(copy, f.data, *n = f.size);
    file_unmap(&f);
    inputs_forget();
    return copy;
}

static void step(struct gpt2_session *s, int32_t token, float *logits) {
    struct err e;
    int rc = gpt2_prefill(s, 0, &token, 1, logits, &e);
    CHECK(!rc, "%s", e.msg);
}

static const char *const specs[] = {
    "fp32/fp32",
    "fp16",
    "int8:sink=2,window=5/int8",
    "int4:sink=1,window=32,exact=8/int4",
    "int4:rotate,center/int4",
    "turbo3/turbo4",
    "lookat:m=4,k=256,plain/pq:m=4,k=256,learned",
    "lookat:m=2,k=4,plain,sink=1,window=8/fp16",
    "lookat:m=4,k=16,learned/pq:m=8,k=16,learned",
    "lookat:m=4,k=256,plain,refine=4,sink=1,window=3,exact=8/pq:m=4,k=256,learned",
    "lookat:m=4,k=256,plain,refine=1000/int8",
    "fp16+int4:window=4/turbo2@1+lookat:m=8,k=16,plain/int8@2-",
    "constant",
};
enum { N_SPECS = sizeof specs / sizeof *specs };

/* The tokens behind the state, with a rewind among them, give the same bits. */
static void goes_on(const char *spec, size_t n) {
    struct gpt2_session a, b;
    struct state_file f;
    struct err e;
    float want[V], got[V];
    const char *path = keep(&a, spec, n, want);
    if (!path || !open_session(&b, spec)) return;
    CHECK(!gpt2_prefill(&b, 0, tokens + 9, 50, NULL, &e), "%s", e.msg); /* what is forgotten */
    int rc = state_file_open(&f, path, &e);
    CHECK(!rc && f.n == n && memcmp(f.tokens, tokens, n * sizeof *tokens) == 0 &&
              memcmp(f.logits, want, sizeof want) == 0 && strcmp(f.attn, a.attn.name) == 0,
          "%s: %s", spec, rc ? e.msg : "other contents");
    if (rc) return;
    rc = state_file_restore(&f, &b, &e);
    CHECK(!rc && b.length[0] == n && attn_length(&b.attn, b.state[0], L - 1) == n, "%s: %s", spec,
          rc ? e.msg : "another length");
    state_file_close(&f);
    size_t back = n < TAKE_BACK ? n - 1 : TAKE_BACK;
    for (int round = 0; round < 2; round++) {
        if (round) gpt2_rewind(&a, 0, (uint32_t)(n - back)), gpt2_rewind(&b, 0, a.length[0]);
        for (size_t i = a.length[0]; i < n + MORE * (size_t)(1 - round); i++) {
            step(&a, tokens[i], want);
            step(&b, tokens[i], got);
            CHECK(memcmp(want, got, sizeof want) == 0, "%s: token %zu behind %zu", spec, i, n);
        }
        gpt2_rewind(&a, 0, (uint32_t)n), gpt2_rewind(&b, 0, (uint32_t)n);
    }
    gpt2_session_close(&a);
    gpt2_session_close(&b);
    inputs_forget();
}

static void goes_on_as_if_never_away(void) {
    static const size_t ns[] = {1, 33, T - MORE};
    for (size_t i = 0; i < N_SPECS; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++) goes_on(specs[i], ns[j]);
}

/* Neither threads nor what was there before leave a trace, and a restored state is kept as the same
 * file again. */
static void same_file(void) {
    for (size_t i = 0; i < N_SPECS; i++) {
        struct gpt2_session s, again;
        struct state_file f;
        struct err e;
        float logits[V];
        size_t n[3];
        uint8_t *x[3];
        threads_set(1);
        const char *path = keep(&s, specs[i], 37, logits);
        x[0] = bytes_of(path, &n[0]);
        gpt2_session_close(&s);
        threads_set(3);
        keep(&s, specs[i], 37, logits);
        x[1] = bytes_of(path, &n[1]);
        CHECK(n[0] == n[1] && memcmp(x[0], x[1], n[0]) == 0, "%s: threads", specs[i]);
        open_session(&again, specs[i]);
        int rc = state_file_open(&f, path, &e);
        if (!rc) rc = state_file_restore(&f, &again, &e);
        if (!rc) state_file_close(&f);
        inputs_forget();
        if (!rc) rc = state_file_save(path, &again, tokens, logits, &e);
        x[2] = bytes_of(path, &n[2]);
        CHECK(!rc && n[0] == n[2] && memcmp(x[0], x[2], n[0]) == 0, "%s: kept again %s", specs[i],
              rc ? e.msg : "");
        for (int j = 0; j < 3; j++) free(x[j]);
        gpt2_session_close(&s);
        gpt2_session_close(&again);
    }
    threads_set(2);
}

/* The size by the drawing in state_file.h: fp16 keys and values of 37 tokens. */
static void layout(void) {
    struct gpt2_session s;
    float logits[V];
    size_t n, tokens_at = 232 + strlen("fp16/fp16");
    const char *path = keep(&s, "fp16", 37, logits);
    uint8_t *x = bytes_of(path, &n);
    CHECK(n == tokens_at + 4 * 37 + 4 * V + 8 * L + 37 * L * H * D * 2 * 2 + SUM, "%zu bytes", n);
    CHECK(memcmp(x, "LOOKATKV\1\0\0\0\0\0\0\0", 16) == 0, "magic and version");
    CHECK(memcmp(x + tokens_at, tokens, 4 * 37) == 0, "tokens");
    CHECK(memcmp(x + tokens_at + 4 * 37, logits, sizeof logits) == 0, "logits");
    uint16_t first;
    memcpy(&first, x + tokens_at + 4 * 37 + 4 * V + 8 * L, 2);
    const struct attn_timeline *keys = s.attn.layers[0].keys;
    CHECK(memcmp(&first, (const uint8_t *)s.state[0] + keys->at, 2) == 0, "the first key");
    free(x);
    gpt2_session_close(&s);
}

/* ---- files that are none ---- */

static void seal(uint8_t *x, size_t n) {
    struct sha256 s;
    char hex[65];
    sha256_init(&s);
    sha256_add(&s, x, n - SUM);
    sha256_hex(&s, hex);
    for (size_t i = 0; i < SUM; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        x[n - SUM + i] = (uint8_t)byte;
    }
}

/* Opens x[n] as a file, and restores it in s where that is possible. */
static int use(const uint8_t *x, size_t n, struct gpt2_session *s, struct err *e) {
    struct state_file f;
    *e = (struct err){0};
    int rc = state_file_open(&f, folder_write("broken", x, n), e);
    if (!rc) {
        rc = state_file_restore(&f, s, e);
        state_file_close(&f);
        CHECK(!rc || s->length[0] == 0, "refused, and there all the same");
    }
    inputs_forget();
    return rc;
}

static void refused(const uint8_t *x, size_t n, struct gpt2_session *s, const char *says) {
    struct err e;
    int rc = use(x, n, s, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "broken: ") && strstr(e.msg, says),
          "expected '%s', got %d, '%s'", says, rc, e.msg);
}

static void cut_or_changed(void) {
    struct gpt2_session s;
    struct err e;
    float logits[V];
    size_t n;
    const char *path = keep(&s, "lookat:m=4,k=16,learned,sink=1,window=2/int8", 9, logits);
    uint8_t *x = bytes_of(path, &n), *y = malloc(n + 1);
    if (!x || !y) return;
    size_t spec = strlen(s.attn.name), parts[] = {0,
                                                  7,
                                                  8,
                                                  16,
                                                  24,
                                                  96,
                                                  160,
                                                  224,
                                                  232,
                                                  232 + spec,
                                                  232 + spec + 4 * 9,
                                                  232 + spec + 4 * 9 + 4 * V,
                                                  n - SUM,
                                                  n - 1};
    file_guard(true);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t cut = parts[i] ? parts[i] - 1 : 0; cut <= parts[i] + 1 && cut < n; cut++)
            refused(x, cut, &s, cut < 8 ? "LOOKATKV" : cut < 264 ? "cut short" : "expected");
    for (size_t cut = 265; cut < n; cut += 37) refused(x, cut, &s, "written with");
    memcpy(y, x, n);
    y[n] = 0;
    refused(y, n + 1, &s, "written with");
    for (size_t i = 0; i < n; i += i < 300 ? 1 : 13) {
        memcpy(y, x, n);
        y[i] ^= (uint8_t)(1 << i % 8);
        CHECK(use(y, n, &s, &e) == ERR_REFUSED && strstr(e.msg, "broken: "), "byte %zu: '%s'", i,
              e.msg);
    }
    CHECK(use(x, n, &s, &e) == OK, "%s", e.msg);
    file_guard(false);
    gpt2_session_close(&s);
    free(x);
    free(y);
}

/* Each number of the header is another, and the checksum right. */
static void another_header(void) {
    static const struct {
        size_t at;
        uint64_t to;
        const char *says;
    } changes[] = {
        {8, 2, "version is 2, expected 1"},
        {16, 1, "expected the 1 it was written with"},
        {24, 0, "layers is 0"},
        {24, L + 1, "another model, with 4 layers; expected 3"},
        {24, UINT64_MAX, "layers is 18446744073709551615"},
        {32, H + 1, "3 heads; expected 2"},
        {32, (uint64_t)1 << 40, "heads is"},
        {40, D / 2, "16 numbers a head; expected 32"},
        {40, 0, "numbers of a head is 0"},
        {48, T + 1, "context of 161 tokens (-c 161), expected 160"},
        {48, 8, "tokens is 9, expected 1 to 8"},
        {48, 0, "context is 0"},
        {56, V + 1, "for its parts"},
        {56, UINT64_MAX / 4, "vocabulary is"},
        {64, 8, "for its parts"},
        {64, 0, "tokens is 0"},
        {64, UINT64_MAX / 4 + 2, "tokens is"},
        {72, 6, "6 tokens can be taken back, expected 7"},
        {72, UINT64_MAX, "take back is"},
        {80, 0, "spec is 0"},
        {80, UINT64_MAX, "spec is"},
        {80, 1, "for its parts"},
        {88, 0, "for its parts"},
        {88, UINT64_MAX, "rows is"},
        {96, 0, "fingerprint"},
        {160, 0, "other codebooks"},
        {224, 0, "other weights"},
        {232, 0x3F3F3F3F3F3F3F3F, "was kept with --attn ????????"},
    };
    struct gpt2_session s;
    float logits[V];
    size_t n;
    const char *path = keep(&s, "lookat:m=4,k=16,learned/int8", 9, logits);
    uint8_t *x = bytes_of(path, &n), *y = malloc(n);
    for (size_t i = 0; x && y && i < sizeof changes / sizeof *changes; i++) {
        memcpy(y, x, n);
        for (size_t b = 0; b < 8; b++) y[changes[i].at + b] = (uint8_t)(changes[i].to >> 8 * b);
        seal(y, n);
        refused(y, n, &s, changes[i].says);
    }
    gpt2_session_close(&s);
    free(x);
    free(y);
}

/* Contents that no run writes, in a file that is right otherwise. */
static void impossible_contents(void) {
    struct gpt2_session s;
    struct err e;
    float logits[V];
    size_t n;
    const char *path = keep(&s,
                            "lookat:m=4,k=16,learned/pq:m=4,k=256,learned@0-1+"
                            "lookat:m=2,k=4,plain/fp16@2",
                            9, logits);
    uint8_t *x = path ? bytes_of(path, &n) : NULL, *y = x ? malloc(n) : NULL;
    if (!y) return;
    size_t at = 232 + strlen(s.attn.name), rows = at + 4 * 9 + 4 * V;
    memcpy(y, x, n);
    y[at + 4] = V;
    seal(y, n);
    refused(y, n, &s, "token 1 is 70, expected 0 to 69");
    y[at + 4] = 0, y[at + 7] = 0x80;
    seal(y, n);
    refused(y, n, &s, "token 1 is -");
    memcpy(y, x, n);
    memcpy(y + at + 4 * 9 + 8, "\0\0\xC0\x7F", 4);
    seal(y, n);
    refused(y, n, &s, "a logit is not finite");
    memcpy(y, x, n);
    y[rows + 8] = 10; /* from[1] */
    seal(y, n);
    refused(y, n, &s, "rows that no backend writes");
    y[rows + 8] = 9;
    seal(y, n);
    CHECK(use(y, n, &s, &e) == OK, "%s", e.msg);
    /* Any byte of the rows may be anything; what is restored runs. */
    struct rng r;
    rng_seed(&r, 3, 3);
    size_t ok = 0, not_ok = 0;
    for (int i = 0; i < 400; i++) {
        memcpy(y, x, n);
        size_t where = rows + 8 * L + rng_below(&r, n - SUM - rows - 8 * L);
        y[where] = (uint8_t)rng_below(&r, 256);
        seal(y, n);
        int rc = use(y, n, &s, &e);
        CHECK(rc == OK || (rc == ERR_REFUSED && strstr(e.msg, "rows that no backend")), "%s",
              e.msg);
        if (rc)
            not_ok++;
        else if (++ok)
            step(&s, 3, logits);
    }
    CHECK(ok > 20 && not_ok > 20, "%zu are rows, %zu are none", ok, not_ok);
    gpt2_session_close(&s);
    free(x);
    free(y);
}

/* A file for another model, backend, book or session. */
static void for_another(void) {
    struct gpt2_session s, other;
    struct err e;
    float logits[V];
    size_t n;
    const char *path = keep(&s, "lookat:m=4,k=16,learned/fp16", 20, logits);
    uint8_t *x = bytes_of(path, &n);
    if (!x) return;
    open_session(&other, "lookat:m=4,k=16,learned/int8");
    refused(x, n, &other, "was kept with --attn");
    gpt2_session_close(&other);
    struct gpt2_session_setup y = {.weights = &model.weights,
                                   .kn = kernels_at(0),
                                   .attn = "lookat:m=4,k=16,learned/fp16",
                                   .book = &book,
                                   .n_seq = 2,
                                   .n_ctx = T - 1,
                                   .max_rows = 4,
                                   .take_back = TAKE_BACK};
    CHECK(!gpt2_session_open(&other, &y, &e), "%s", e.msg);
    refused(x, n, &other, "context of 160 tokens (-c 160), expected 159");
    gpt2_session_close(&other);
    struct book another = {0};
    random_book(&another, L, H, D, 16, 99);
    random_learned(&another, 4, 16, 99);
    y.n_ctx = T, y.book = &another;
    CHECK(!gpt2_session_open(&other, &y, &e), "%s", e.msg);
    refused(x, n, &other, "other codebooks");
    gpt2_session_close(&other);
    book_close(&another);
    y.book = &book;
    CHECK(!gpt2_session_open(&other, &y, &e), "%s", e.msg);
    CHECK(use(x, n, &other, &e) == OK, "two sequences: %s", e.msg);
    float *weight = (float *)(uintptr_t)model.weights.layers[1].fc.data, kept = weight[5];
    weight[5] += 1; /* the fingerprint has biases, and no matrices */
    refused(x, n, &other, "other weights");
    weight[5] = kept;
    float *bias = (float *)(uintptr_t)model.weights.layers[1].fc_b;
    kept = bias[5], bias[5] += 1;
    refused(x, n, &other, "another model: its fingerprint is");
    bias[5] = kept;
    CHECK(use(x, n, &other, &e) == OK, "%s", e.msg);
    gpt2_session_close(&other);
    gpt2_session_close(&s);
    free(x);
}

static void cannot_be_kept(void) {
    struct gpt2_session s;
    struct state_file f;
    struct err e;
    float logits[V];
    keep(&s, "fp16", 5, logits);
    int rc = state_file_save(folder, &s, tokens, logits, &e);
    CHECK(rc == ERR_USAGE && strstr(e.msg, "is a folder"), "'%s'", e.msg);
    rc = state_file_save(folder_path("no/where"), &s, tokens, logits, &e);
    CHECK(rc == ERR_FAILED && strstr(e.msg, "no/where"), "'%s'", e.msg);
    rc = state_file_open(&f, folder_path("none"), &e);
    CHECK(rc == ERR_FAILED && strstr(e.msg, "none: cannot open"), "'%s'", e.msg);
    rc = state_file_open(&f, folder, &e);
    CHECK(rc == ERR_REFUSED && strstr(e.msg, "is a folder"), "'%s'", e.msg);
    rc = state_file_open(&f, folder_path("state"), &e);
    CHECK(rc == OK, "%s", e.msg);
    arena_refuse(true);
    rc = state_file_save(folder_path("other"), &s, tokens, logits, &e);
    arena_refuse(false);
    CHECK(rc == ERR_FAILED && strstr(e.msg, "out of memory"), "'%s'", e.msg);
    state_file_close(&f);
    arena_refuse(true);
    rc = state_file_open(&f, folder_path("state"), &e);
    arena_refuse(false);
    CHECK(rc == ERR_FAILED && strstr(e.msg, "out of memory"), "'%s'", e.msg);
    s.fault[0] = (struct gpt2_fault){.stage = 2, .from = 1};
    rc = state_file_save(folder_path("other"), &s, tokens, logits, &e);
    CHECK(rc == ERR_FAILED && strstr(e.msg, "not finite"), "'%s'", e.msg);
    CHECK(!file_exists(folder_path("other")), "a file all the same");
    inputs_forget();
    gpt2_session_close(&s);
}

int main(void) {
    const struct gpt2_config config = {.n_layer = L,
                                       .n_head = H,
                                       .n_embd = C,
                                       .n_inner = 96,
                                       .n_ctx = T,
                                       .n_vocab = V,
                                       .norm_eps = 1e-5f};
    struct err e;
    struct rng r;
    if (!folder_make() || checkpoint_random(&model, &config, 1, &e)) {
        printf("FAIL setup: no folder or no memory\n");
        return 1;
    }
    random_book(&book, L, H, D, 4, 1);
    random_book(&book, L, H, D, 16, 2);
    random_book(&book, L, H, D, 256, 3);
    random_learned(&book, 4, 16, 4);
    random_values(&book, 8, 16, 5);
    random_values(&book, 4, 256, 6);
    rng_seed(&r, 7, 0);
    for (size_t i = 0; i < T; i++) tokens[i] = (int32_t)rng_below(&r, V);
    RUN(goes_on_as_if_never_away);
    RUN(same_file);
    RUN(layout);
    RUN(cut_or_changed);
    RUN(another_header);
    RUN(impossible_contents);
    RUN(for_another);
    RUN(cannot_be_kept);
    checkpoint_close(&model);
    book_close(&book);
    folder_remove();
    return TEST_RESULT;
}
