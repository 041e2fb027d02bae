/* Tells the format of a file by its first bytes, so that names and endings do not matter. */
#include "checkpoint/sniff.h"

#include <string.h>

#include "base/file.h"
#include "checkpoint/torch.h"

static bool starts(const struct file *f, const char *s, size_t n) {
    return f->size >= n && memcmp(f->data, s, n) == 0;
}

static bool ends(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

/* The first n <= 8 bytes, little-endian; 0 where there are fewer. */
static uint64_t first_bytes(const struct file *f, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n && f->size >= n; i++) x |= (uint64_t)f->data[i] << 8 * i;
    return x;
}

#define NOT_TORCH "is a Python pickle, but none that torch.save has written"

static const struct {
    const char *start;
    size_t n;
    const char *say;
} OTHERS[] = {
    {"\x80\x02", 2, NOT_TORCH},
    {"\x80\x03", 2, NOT_TORCH},
    {"\x80\x04", 2, NOT_TORCH},
    {"\x80\x05", 2, NOT_TORCH},
    {"lmgg", 4, "is an old ggml file: convert it to GGUF"}, /* 0x67676d6c, and its two successors */
    {"fmgg", 4, "is an old ggml file: convert it to GGUF"},
    {"tjgg", 4, "is an old ggml file: convert it to GGUF"},
    {"version https://git-lfs", 23,
     "is a Git LFS pointer, not the model: fetch the file itself (git lfs pull)"},
    {"\x89HDF", 4, "is an HDF5 file of TensorFlow: use the .safetensors file"},
    {"\x1f\x8b", 2, "is compressed with gzip: unpack it first"},
    {"\xfd"
     "7zXZ",
     5, "is compressed with xz: unpack it first"},
};

/* No byte that neither plain text nor UTF-8 has. */
static bool is_text(const struct file *f) {
    size_t n = f->size < 256 ? f->size : 256;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = f->data[i];
        if ((c < 32 && (c < 9 || c > 13)) || c == 127 || c == 0xc0 || c == 0xc1 || c > 0xf4)
            return false;
    }
    return true;
}

/* Of a file that starts as none of the known ones. */
static int refuse_unknown(const struct file *f, const char *expected, struct err *e) {
    if (!is_text(f))
        return err_file(e, ERR_REFUSED, f->path,
                        "starts with bytes %02x %02x %02x %02x, expected %s", f->data[0],
                        f->size > 1 ? f->data[1] : 0, f->size > 2 ? f->data[2] : 0,
                        f->size > 3 ? f->data[3] : 0, expected);
    size_t i = 0;
    while (i + 1 < f->size && i < 255 &&
           (f->data[i] == ' ' || f->data[i] == '\n' || f->data[i] == '\r' || f->data[i] == '\t'))
        i++;
    if (f->data[i] == '<')
        return err_file(e, ERR_REFUSED, f->path,
                        "is a web page (HTML or XML), not a model: was the download refused?");
    return err_file(e, ERR_REFUSED, f->path, "is a text file, expected %s", expected);
}

static int find_kind(const struct file *f, const char *expected, enum file_kind *kind,
                     struct err *e) {
    uint64_t magic = first_bytes(f, 4);
    size_t mark = starts(f, "\xef\xbb\xbf", 3) ? 3 : 0; /* a byte-order mark in front of text */
    if (f->size == 0) return err_file(e, ERR_REFUSED, f->path, "is empty");
    /* first of all: a header may be as long as the first bytes of any other format say */
    *kind = KIND_SAFETENSORS;
    if (f->size > 8 && first_bytes(f, 8) <= 100000000 && f->data[8] == '{') return OK;
    *kind = KIND_TORCH;
    if (starts(f, "PK\3\4", 4) || starts(f, TORCH_MAGIC, sizeof TORCH_MAGIC - 1)) return OK;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (starts(f, OTHERS[i].start, OTHERS[i].n))
            return err_file(e, ERR_REFUSED, f->path, "%s", OTHERS[i].say);
    if (magic == 20240327)
        return err_file(e, ERR_REFUSED, f->path, "is a debug state of llm.c, not a model");
    if (starts(f, "GGUF", 4))
        *kind = KIND_GGUF;
    else if (magic == 20240326)
        *kind = KIND_LLMC_MODEL;
    else if (magic == 20240328)
        *kind = KIND_LLMC_TOKENIZER;
    else if ((f->size > mark && f->size - mark >= 8 &&
              memcmp(f->data + mark, "#version", 8) == 0) ||
             strcmp(path_base(f->path), "merges.txt") == 0)
        *kind = KIND_MERGES;
    else if ((f->size > mark && f->data[mark] == '{') || ends(f->path, ".json"))
        *kind = KIND_JSON;
    else if (ends(f->path, ".gguf") && !is_text(f))
        *kind = KIND_GGUF;
    else if (ends(f->path, ".safetensors") && !is_text(f))
        *kind = KIND_SAFETENSORS;
    else
        return refuse_unknown(f, expected, e);
    return OK;
}

int sniff(const char *path, const char *expected, enum file_kind *kind, struct err *e) {
    struct file f;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    rc = find_kind(&f, expected, kind, e);
    file_unmap(&f);
    return rc;
}
