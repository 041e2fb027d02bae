/* bad_files DIR: writes every broken file into the folder DIR, and to DIR/list how each is
 * opened. */
#include "bad/write.h"

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: bad_files DIR\n");
        return 2;
    }
    printf("%zu\n", bad_write_all(argv[1]));
    return 0;
}
