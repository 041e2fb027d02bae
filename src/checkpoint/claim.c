/* The files of a model: what an output must not replace, whether this run opens each of them or
 * not. */
#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/inputs.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_parts.h"

static bool ends_with(const char *s, const char *ending) {
    size_t n = strlen(s), m = strlen(ending);
    return n >= m && strcmp(s + n - m, ending) == 0;
}

/* Is it what a file of a model's folder is called? A GGUF file in the folder is a model of its
 * own. */
static bool is_model_file(const char *name) {
    static const char *const names[] = {"config.json",
                                        "generation_config.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "pytorch_model.bin",
                                        "tokenizer.bin",
                                        "gpt2_tokenizer.bin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return ends_with(name, ".safetensors") || ends_with(name, ".index.json") ||
           ends_with(name, ".pt") || ends_with(name, ".pth") ||
           (strncmp(name, "pytorch_model-", 14) == 0 && ends_with(name, ".bin"));
}

static int claim_folder(const char *folder, struct err *e) {
    struct arena scratch = {0};
    DIR *d = opendir(folder);
    int rc = OK;
    for (struct dirent *entry; d && !rc && (entry = readdir(d));) {
        if (!is_model_file(entry->d_name)) continue;
        const char *path = path_join(&scratch, folder, entry->d_name);
        rc = path ? inputs_add_path(path, e)
                  : err_file(e, ERR_FAILED, folder, "out of memory for a file name");
    }
    if (d) closedir(d);
    arena_free(&scratch);
    return rc;
}

/* All parts of a split GGUF model. */
static int claim_parts(const char *path, struct err *e) {
    struct arena scratch = {0};
    unsigned no, count = 0;
    int rc = OK;
    if (!gguf_part_name(path, &no, &count)) return OK;
    for (no = 1; !rc && no <= count; no++) {
        const char *part = gguf_part_path(path, no, &scratch);
        if (!part) rc = err_file(e, ERR_FAILED, path, "out of memory for a file name");
        if (rc || !file_exists(part)) break;
        rc = inputs_add_path(part, e);
    }
    arena_free(&scratch);
    return rc;
}

int checkpoint_claim(const char *path, struct err *e) {
    if (file_is_folder(path)) return claim_folder(path, e);
    int rc = inputs_add_path(path, e);
    if (!rc) rc = claim_parts(path, e);
    if (rc || ends_with(path, ".gguf") || !file_exists(path)) return rc;
    struct arena scratch = {0};
    const char *folder = path_folder(&scratch, path);
    rc = folder ? claim_folder(folder, e)
                : err_file(e, ERR_FAILED, path, "out of memory for a file name");
    arena_free(&scratch);
    return rc;
}
