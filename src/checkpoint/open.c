/* Opening a model or a tokenizer, whatever its format. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/gguf_parts.h"
#include "checkpoint/loaders.h"
#include "checkpoint/sniff.h"

static int no_memory(const char *path, struct err *e) {
    return err_file(e, ERR_FAILED, path, "no memory");
}

/* folder/name in the arena if there is such a file, else NULL. Without memory too: a->failed then
 * says so, and what was found is not to be trusted. */
static const char *file_in(const char *folder, const char *name, struct arena *a) {
    const char *path = path_join(a, folder, name);
    return path && file_exists(path) ? path : NULL;
}

/* The only *.gguf file of a folder, or NULL; *n: how many there are. The parts of a split model
 * count as its first one. */
static const char *only_gguf(const char *folder, size_t *n, struct arena *a) {
    DIR *d = opendir(folder);
    const char *found = NULL;
    *n = 0;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        size_t len = strlen(entry->d_name);
        unsigned no, count;
        if (gguf_part_name(entry->d_name, &no, &count) && no != 1) continue;
        if (len > 5 && strcmp(entry->d_name + len - 5, ".gguf") == 0 && (*n)++ == 0)
            found = path_join(a, folder, entry->d_name);
    }
    if (d) closedir(d);
    return *n == 1 ? found : NULL;
}

/* Names that a model's file, or the index of its files, has in a folder, the best one first. GGUF
 * files, which have any name, stand behind safetensors and before PyTorch. */
static const char *const SAFETENSORS_NAMES[] = {"model.safetensors",
                                                "model.safetensors.index.json"};
static const char *const TORCH_NAMES[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                          "ckpt.pt"};

static const char *first_of(const char *folder, const char *const *names, size_t n,
                            struct arena *a) {
    const char *path = NULL;
    for (size_t i = 0; !path && i < n; i++) path = file_in(folder, names[i], a);
    return path;
}

/* The model's file in a folder. */
static int find_model(const char *folder, const char **path, struct arena *a, struct err *e) {
    size_t n;
    *path = first_of(folder, SAFETENSORS_NAMES,
                     sizeof SAFETENSORS_NAMES / sizeof *SAFETENSORS_NAMES, a);
    if (*path || (*path = only_gguf(folder, &n, a)) != NULL) return OK;
    if (n > 1) return err_file(e, ERR_REFUSED, folder, "holds %zu GGUF files: name one of them", n);
    *path = first_of(folder, TORCH_NAMES, sizeof TORCH_NAMES / sizeof *TORCH_NAMES, a);
    if (*path) return OK;
    return err_file(e, ERR_REFUSED, folder,
                    "is a folder without a model.safetensors or pytorch_model.bin");
}

/* Where the tokenizer of a model that does not hold it lies: beside it, or NULL. */
static const char *tokenizer_beside(const char *folder, enum file_kind kind, struct arena *a) {
    if (kind != KIND_LLMC_MODEL)
        return file_in(folder, "vocab.json", a) || file_in(folder, "tokenizer.json", a) ? folder
                                                                                        : NULL;
    const char *own = file_in(folder, "gpt2_tokenizer.bin", a);
    return own ? own : file_in(folder, "tokenizer.bin", a);
}

/* "dir/gpt2.safetensors" -> "gpt2", "models/gpt2/" -> "gpt2". */
static const char *name_of(const char *path, struct arena *a) {
    size_t n = strlen(path), start;
    while (n > 1 && path[n - 1] == '/') n--;
    for (start = n; start > 0 && path[start - 1] != '/'; start--) continue;
    for (size_t dot = n; dot > start + 1; dot--)
        if (path[dot - 1] == '.' && !file_is_folder(path)) {
            n = dot - 1;
            break;
        }
    if (n == start || (path[start] == '.' && n - start <= 2)) return "model";
    return arena_copy(a, path + start, n - start);
}

static int load_model(struct checkpoint *c, const char *path, enum file_kind kind, warn_fn warn,
                      struct err *e) {
    switch (kind) {
    case KIND_GGUF: return gguf_load_model(c, path, warn, e);
    case KIND_SAFETENSORS:
    case KIND_TORCH: return hf_load_model(c, path, kind, warn, e);
    case KIND_LLMC_MODEL: return llmc_load_model(c, path, warn, e);
    case KIND_LLMC_TOKENIZER:
        return err_file(e, ERR_REFUSED, path, "is a tokenizer of llm.c, not a model");
    case KIND_JSON:
        if (strstr(path_base(path), ".index.json")) return hf_load_model(c, path, kind, warn, e);
        return err_file(
            e, ERR_REFUSED, path,
            "is a JSON file, not a model: expected the folder or the model.safetensors in it");
    case KIND_MERGES: break;
    }
    return err_file(e, ERR_REFUSED, path, "is a list of merges, not a model");
}

static int load_tokenizer(struct checkpoint *c, const char *path, enum file_kind kind,
                          const char *tokenizer, warn_fn warn, struct err *e) {
    if (!tokenizer && kind != KIND_GGUF) {
        const char *folder = path_folder(&c->arena, path);
        if (!folder) return no_memory(path, e);
        tokenizer = tokenizer_beside(folder, kind, &c->arena);
        if (c->arena.failed) return no_memory(path, e);
        if (!tokenizer && warn) {
            struct err said;
            err_file(&said, OK, path, "no tokenizer beside it (%s): only token ids can be used",
                     kind == KIND_LLMC_MODEL ? "gpt2_tokenizer.bin or tokenizer.bin"
                                             : "vocab.json and merges.txt, or tokenizer.json");
            warn(said.msg);
        }
    }
    if (!tokenizer) return OK;
    int rc = vocab_open(&c->vocab, tokenizer, &c->arena, e);
    return rc ? rc : vocab_check(&c->vocab, c->weights.config.n_vocab, tokenizer, warn, e);
}

int checkpoint_open(struct checkpoint *c, const char *path, const char *tokenizer,
                    void (*warn)(const char *msg), struct err *e) {
    enum file_kind kind;
    const char *file = path;
    *c = (struct checkpoint){.vocab = {.bos = -1, .eos = -1}};
    int rc = file_is_folder(path) ? find_model(path, &file, &c->arena, e) : OK;
    if (c->arena.failed) rc = no_memory(path, e);
    if (!rc) rc = sniff(file, SNIFF_MODELS, &kind, e);
    if (!rc) rc = load_model(c, file, kind, warn, e);
    if (!rc) rc = load_tokenizer(c, file, kind, tokenizer, warn, e);
    if (!rc && !c->name && !(c->name = name_of(path, &c->arena))) rc = no_memory(path, e);
    c->path = path;
    if (rc) checkpoint_close(c);
    return rc;
}

void checkpoint_close(struct checkpoint *c) {
    file_unmap(&c->file);
    for (size_t i = 0; i < c->n_parts; i++) file_unmap(&c->parts[i]);
    arena_free(&c->arena);
    *c = (struct checkpoint){0};
}

/* A folder's tokenizer: Hugging Face's files, llm.c's, or the one in its only GGUF file. */
static int find_tokenizer(const char *folder, const char **path, struct arena *a, struct err *e) {
    size_t n;
    *path = folder;
    if (file_in(folder, "vocab.json", a) || file_in(folder, "tokenizer.json", a)) return OK;
    if ((*path = tokenizer_beside(folder, KIND_LLMC_MODEL, a)) != NULL) return OK;
    if ((*path = only_gguf(folder, &n, a)) != NULL) return OK;
    return err_file(
        e, ERR_REFUSED, folder,
        "is a folder without a tokenizer: expected vocab.json and merges.txt, or tokenizer.json");
}

int vocab_open(struct vocab *v, const char *path, struct arena *a, struct err *e) {
    enum file_kind kind = KIND_JSON;
    *v = (struct vocab){0};
    const char *given = path;
    int rc = file_is_folder(path) ? find_tokenizer(path, &path, a, e) : OK;
    if (a->failed) rc = no_memory(given, e);
    if (!rc && !file_is_folder(path)) rc = sniff(path, SNIFF_TOKENIZERS, &kind, e);
    if (rc) return rc;
    switch (kind) {
    case KIND_GGUF: return gguf_load_vocab(v, path, a, e);
    case KIND_LLMC_TOKENIZER: return llmc_load_vocab(v, path, a, e);
    case KIND_JSON:
    case KIND_MERGES: return hf_load_vocab(v, path, a, e);
    case KIND_SAFETENSORS:
    case KIND_TORCH:
    case KIND_LLMC_MODEL: break;
    }
    return err_file(e, ERR_REFUSED, path, "is a model without a tokenizer of its own");
}
