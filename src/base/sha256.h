/* SHA-256 (FIPS 180-4), which lookat info --sha256 shows. The order of calls: sha256_init,
 * sha256_add for each piece of the data, sha256_hex once. */
#ifndef LOOKAT_BASE_SHA256_H
#define LOOKAT_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint8_t block[64];
    uint64_t bytes; /* hashed so far */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t n);
/* Writes 64 lower-case hex digits and a zero byte. */
void sha256_hex(struct sha256 *s, char hex[65]);

#endif
