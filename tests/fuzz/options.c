/* A command line: the command by the first byte, then its words, each ended by a line feed. */
#include "fuzz.h"

#include "cli/options.h"

enum { WORDS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct args *a = calloc(1, sizeof *a);
    char *text = malloc(size + 1), *argv[WORDS + 1] = {0};
    struct err e = {0};
    int argc = 0;
    EXPECT(a && text);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    for (char *s = size ? text + 1 : text; *s && argc < WORDS;) {
        size_t n = strcspn(s, "\n");
        argv[argc++] = s;
        s += n;
        if (*s) *s++ = 0;
    }
    args_init(a, (enum command_id)(size ? data[0] % CMD_COUNT : 0));
    int rc = options_parse(a, argc, argv, &e);
    EXPECT(rc == OK || (rc == ERR_USAGE && e.code == rc && e.msg[0]));
    /* Only generate and eval run one backend, and so have one by default. */
    bool one_backend = a->command == CMD_GENERATE || a->command == CMD_EVAL;
    if (!rc) EXPECT(a->argc >= 0 && a->argc <= argc && (!one_backend || args_attn(a)));
    free(text);
    free(a);
    return 0;
}
