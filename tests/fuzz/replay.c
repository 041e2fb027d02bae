/* replay FILE...: runs a fuzz target, which this is linked with, over files. Prints the name of
 * each before it runs, so that the last one printed is the one that crashed. */
#include "fuzz.h"

static int replay(const char *path) {
    FILE *fp = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t n = 0, room = 0;
    if (!fp) return perror(path), 1;
    for (int c; (c = fgetc(fp)) != EOF; data[n++] = (uint8_t)c) {
        if (n < room) continue;
        data = realloc(data, room = 2 * room + 4096);
        if (!data) return fclose(fp), 1;
    }
    fclose(fp);
    uint8_t *exact = malloc(n ? n : 1); /* a sanitizer sees a read beyond it */
    if (!exact) return free(data), 1;
    if (n) memcpy(exact, data, n);
    free(data);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (replay(argv[i])) return 1;
    if (folder[0]) folder_remove();
    return argc > 1 ? 0 : 2;
}
