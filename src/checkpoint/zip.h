/* Zip archives, as far as torch.save writes them: every file in it is stored as it is
 * (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT). All numbers are little-endian:
 *
 *     | "PK\3\4" | 22 bytes | u16 n | u16 m | n bytes of name | m bytes | the file |   for each
 * file | "PK\1\2" | ... sizes, name, and where its "PK\3\4" is |                         for each
 * file | "PK\5\6" | ... how many files, and where the first "PK\1\2" is | comment |      the end
 *
 * The list of files, the central directory, stands behind them all. In archives beyond 4 GB its
 * numbers are in places of 64 bits: "PK\6\6" before the end, and an extra field 1 in each entry. */
#ifndef LOOKAT_CHECKPOINT_ZIP_H
#define LOOKAT_CHECKPOINT_ZIP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"

struct zip_entry {
    const char *name; /* not terminated, in the map */
    size_t name_len;
    const uint8_t *data; /* [bytes] in the map */
    size_t bytes;
};

struct zip {
    size_t n;
    struct zip_entry *entries; /* in the order of the directory */
    struct hash_index index;   /* by name */
};

/* Reads the directory of a mapped archive, everything from the arena. ERR_REFUSED where the file is
 * cut short, an entry is compressed or encrypted, lies outside the file, or two have one name. What
 * an entry holds is not checked: its CRC-32 may be left out when it is saved. */
int zip_read(struct zip *z, const struct file *f, struct arena *a, struct err *e);

/* NULL where there is none of this name[n]. */
const struct zip_entry *zip_find(const struct zip *z, const char *name, size_t n);

#endif
