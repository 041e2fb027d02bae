/* Up to three shares of a comparison, as compare --merge reads them; what adds up is written in
 * every form. */
#include "fuzz.h"

#include "report/compare_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"0.jsonl", "1.jsonl", "2.jsonl"};
    static FILE *sink;
    static char paths[3][1024];
    char *files[3];
    size_t n = 0, bytes;
    const uint8_t *part;
    struct arena a = {0};
    struct compare_report r = {.arena = &a};
    struct comparison c;
    struct err e = {0};
    fuzz_start();
    if (!sink) EXPECT((sink = fopen("/dev/null", "w")) != NULL);
    while (n < 3 && fuzz_part(&data, &size, &part, &bytes)) {
        snprintf(paths[n], sizeof paths[n], "%s", folder_write(names[n], part, bytes));
        files[n] = paths[n];
        n++;
    }
    int rc = compare_merge(&r, &c, files, n, &e);
    fuzz_allow(rc, &e);
    if (!rc && compare_report_sum(&r, &e) == OK) {
        compare_put_json(&r, sink);
        compare_put_csv(&r, sink);
        compare_put_text(&r, false, sink, &e);
        compare_put_text(&r, true, sink, &e);
        compare_put_share(&r, sink);
    }
    arena_free(&a);
    return 0;
}
