/* stories_model FOLDER: writes the default model's weights in float32, and its tokenizer, as a
 * Hugging Face folder. */
#include "stories.h"

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: stories_model FOLDER\n"), 2;
    stories_write(argv[1]);
    return 0;
}
