/* Each broken GGUF file is refused with the rule it breaks, within the bound on memory, and so is
 * the good one cut off anywhere. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bad/folder.h"
#include "bad/gguf.c"
#include "checkpoint/loaders.h"
#include "test.h"

static int n_files;

static void refuse(const struct bad_file *f, void *ctx) {
    struct checkpoint c = {0};
    struct err e = {0};
    const char *path = folder_write(f->name, f->data, f->size);
    (void)ctx;
    int rc = gguf_load_model(&c, path, NULL, &e);
    CHECK(rc == ERR_REFUSED && e.code == rc, "%s: %d %s", f->name, rc, e.msg);
    CHECK(strstr(e.msg, f->expect), "%s: \"%s\" does not say \"%s\"", f->name, e.msg, f->expect);
    CHECK(strstr(e.msg, f->name), "%s: \"%s\" does not name the file", f->name, e.msg);
    CHECK(strlen(e.msg) < sizeof e.msg - 1, "%s: the message is cut", f->name);
    arena_free(&c.arena);
    file_unmap(&c.file);
    unlink(path);
    n_files++;
}

static void bad_files(void) {
    bad_gguf(refuse, NULL);
    CHECK(n_files > 130, "%d files", n_files);
}

static void good_file(void) {
    struct tiny t;
    struct checkpoint c = {0};
    struct err e = {0};
    tiny_init(&t);
    struct bytes b = tiny_bytes(&t);
    CHECK(gguf_load_model(&c, folder_write("good", b.data, b.size), NULL, &e) == OK, "%s", e.msg);
    arena_free(&c.arena);
    file_unmap(&c.file);
    bytes_free(&b);
    tiny_free(&t);
}

static void cut_anywhere(void) {
    struct tiny t;
    tiny_init(&t);
    struct bytes b = tiny_bytes(&t);
    const char *path = folder_write("cut", b.data, b.size);
    for (size_t size = b.size; size-- > 0;) {
        struct checkpoint c = {0};
        struct err e = {0};
        CHECK(truncate(path, (off_t)size) == 0, "truncate");
        int rc = gguf_load_model(&c, path, NULL, &e);
        CHECK(rc == ERR_REFUSED && e.msg[0], "%zu of %zu bytes: %d %s", size, b.size, rc, e.msg);
        arena_free(&c.arena);
        file_unmap(&c.file);
    }
    bytes_free(&b);
    tiny_free(&t);
}

static void set_byte(const char *path, size_t at, int byte) {
    FILE *fp = fopen(path, "r+b");
    CHECK(fp && fseek(fp, (long)at, SEEK_SET) == 0 && fputc(byte, fp) != EOF && fclose(fp) == 0,
          "byte %zu", at);
}

/* Any one byte changed to two other values: loads or is refused, and nothing is read outside the
 * file (for the sanitizers to see). */
static void any_byte_changed(void) {
    static const uint8_t flip[] = {0x01, 0xff};
    struct tiny t;
    size_t loaded = 0, refused = 0;
    tiny_init(&t);
    struct bytes b = tiny_bytes(&t);
    const char *path = folder_write("changed", b.data, b.size);
    for (size_t at = 0; at < b.size; at += at < 1900 ? 1 : 61) {
        for (int i = 0; i < 2; i++) {
            struct checkpoint c = {0};
            struct err e = {0};
            set_byte(path, at, b.data[at] ^ flip[i]);
            int rc = gguf_load_model(&c, path, NULL, &e);
            CHECK(rc == OK || rc == ERR_REFUSED, "byte %zu: %d %s", at, rc, e.msg);
            rc ? refused++ : loaded++;
            arena_free(&c.arena);
            file_unmap(&c.file);
        }
        set_byte(path, at, b.data[at]);
    }
    CHECK(loaded > 0 && refused > loaded, "%zu loaded, %zu refused", loaded, refused);
    bytes_free(&b);
    tiny_free(&t);
}

/* A file with nothing but a vocabulary of n tokens "aaaa".."zzzz", the shape that a quadratic
 * loader dies of. */
static struct bytes large_vocab(uint32_t n) {
    struct tiny t;
    tiny_init(&t);
    t.n_tensors = 0;
    tiny_drop_kv(&t, "tokenizer.ggml.token_type");
    tiny_array(&t, "tokenizer.ggml.merges", T_STR, 0);
    struct bytes *tokens = tiny_array(&t, "tokenizer.ggml.tokens", T_STR, n);
    for (uint32_t i = 0; i < n; i++) {
        char s[6] = {(char)('a' + i % 26),       (char)('a' + i / 26 % 26),
                     (char)('a' + i / 676 % 26), (char)('a' + i / 17576 % 26),
                     (char)('a' + i / 456976),   0};
        put_str(tokens, s);
    }
    struct bytes b = tiny_bytes(&t);
    tiny_free(&t);
    return b;
}

static void large_vocabulary(void) {
    enum { N = VOCAB_MAX };
    struct bytes b = large_vocab(N);
    struct vocab v = {0};
    struct arena a = {0};
    struct err e = {0};
    const char *path = folder_write("large", b.data, b.size);
    clock_t begin = clock();
    CHECK(gguf_load_vocab(&v, path, &a, &e) == OK && v.n == N, "%s", e.msg);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    CHECK(seconds < 20, "%g s", seconds);
    arena_free(&a);
    bytes_free(&b);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Address space of this process, bytes; 0 where the system does not say. */
static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *fp = fopen("/proc/self/statm", "r");
    if (!fp) return 0;
    if (fscanf(fp, "%lu", &pages) != 1) pages = 0;
    fclose(fp);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Lets this process map the file and allocate its size and 16 MB more. */
static void limit_for(size_t size) {
    struct rlimit lim;
    getrlimit(RLIMIT_AS, &lim);
    lim.rlim_cur = (rlim_t)(address_space() + 2 * size + (16u << 20));
    setrlimit(RLIMIT_AS, &lim);
}

static void limited(const struct bad_file *f, void *ctx) {
    struct checkpoint c = {0};
    struct err e = {0};
    limit_for(f->size);
    int rc = gguf_load_model(&c, folder_write(f->name, f->data, f->size), NULL, &e);
    if (rc != ERR_REFUSED) {
        printf("  %s: %d %s\n", f->name, rc, e.msg);
        ++*(int *)ctx;
    }
    arena_free(&c.arena);
    file_unmap(&c.file);
}

static int run_limited(void) {
    int failed = 0;
    struct bytes b = large_vocab(VOCAB_MAX);
    struct vocab v = {0};
    struct arena a = {0};
    struct err e = {0};
    bad_gguf(limited, &failed);
    const char *path = folder_write("limited-large", b.data, b.size);
    limit_for(b.size);
    if (gguf_load_vocab(&v, path, &a, &e) != OK) {
        printf("  large vocabulary: %s\n", e.msg);
        failed++;
    }
    return failed;
}

static void memory_bound(void) {
#ifdef SANITIZED
    SKIP("the sanitizer needs its own address space");
#endif
    if (!address_space()) SKIP("no /proc/self/statm");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int failed = run_limited();
        fflush(stdout);
        _exit(failed ? 1 : 0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
              WEXITSTATUS(status) == 0,
          "status %d", status);
}

int main(void) {
    if (!folder_make()) return 1;
    file_guard(true);
    RUN(good_file);
    RUN(bad_files);
    RUN(cut_anywhere);
    RUN(any_byte_changed);
    RUN(large_vocabulary);
    RUN(memory_bound);
    folder_remove();
    return TEST_RESULT;
}
