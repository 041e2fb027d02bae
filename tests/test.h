/* The smallest test harness: each test is a function; CHECK counts, names what failed and goes on.
 * A test program prints one line per test, "ok NAME", "FAIL NAME: ..." or "skip NAME: why", and
 * returns 1 where one failed. LOOKAT_TESTS in the environment: names of the tests to run, of
 * all. */
#ifndef LOOKAT_TESTS_TEST_H
#define LOOKAT_TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failures, test_errors;
static char test_why[512]; /* set by SKIP */

#define CHECK(cond, ...)                                            \
    do {                                                            \
        if (!(cond)) {                                              \
            if (test_errors++ < 5) {                                \
                printf("  %s:%d: %s: ", __FILE__, __LINE__, #cond); \
                printf(__VA_ARGS__);                                \
                putchar('\n');                                      \
            }                                                       \
        }                                                           \
    } while (0)

#define SKIP(...)                                         \
    do {                                                  \
        snprintf(test_why, sizeof test_why, __VA_ARGS__); \
        return;                                           \
    } while (0)

static inline void test_run(const char *name, void (*fn)(void)) {
    const char *some = getenv("LOOKAT_TESTS");
    if (some && !strstr(some, name)) return;
    test_errors = 0;
    test_why[0] = 0;
    fn();
    if (test_errors) {
        printf("FAIL %s: %d checks\n", name, test_errors);
        test_failures++;
    } else if (test_why[0])
        printf("skip %s: %s\n", name, test_why);
    else
        printf("ok %s\n", name);
    fflush(stdout);
}

#define RUN(fn) test_run(#fn, fn)
#define TEST_RESULT (test_failures != 0)

/* The folder of test data outside the repository: LOOKAT_SHARED, else ../shared; file in it, or
 * NULL where it is absent. */
static inline const char *test_shared(const char *file) {
    static char path[8][1024];
    static int at;
    const char *dir = getenv("LOOKAT_SHARED");
    char *p = path[at++ % 8];
    snprintf(p, 1024, "%s/%s", dir ? dir : "../shared", file);
    FILE *fp = fopen(p, "rb");
    if (!fp) return NULL;
    fclose(fp);
    return p;
}

/* GPT-2's own vocab.json or merges.txt, which are no part of the repository: from ../shared, or as
 * `./run.sh gpt2` fetched them. NULL where neither is. */
static inline const char *test_gpt2_tokenizer(const char *file) {
    static char path[2][64];
    static int at;
    char name[64], *p = path[at++ % 2];
    snprintf(name, sizeof name, "gpt2-tokenizer/%s", file);
    if (test_shared(name)) return test_shared(name);
    snprintf(p, sizeof path[0], "weights/gpt2/%s", file);
    FILE *fp = fopen(p, "rb");
    if (fp) fclose(fp);
    return fp ? p : NULL;
}

#define TEST_NO_GPT2_TOKENIZER "needs a download: GPT-2's tokenizer (./run.sh gpt2)"

#endif
