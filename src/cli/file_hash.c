#include "cli/file_hash.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/sha256.h"

enum { PIECE = 1 << 22 }; /* bytes between two looks at whether Ctrl-C was pressed */

int file_hash(const char *path, char hex[65], struct err *e) {
    struct file f;
    struct sha256 hash;
    int rc = file_map(&f, path, e);
    if (rc) return rc;
    sha256_init(&hash);
    for (size_t at = 0; at < f.size && !interrupt_pending(); at += PIECE)
        sha256_add(&hash, f.data + at, f.size - at < PIECE ? f.size - at : PIECE);
    sha256_hex(&hash, hex);
    file_unmap(&f);
    return interrupt_pending() ? err_set(e, ERR_INTERRUPTED, "interrupted") : OK;
}
