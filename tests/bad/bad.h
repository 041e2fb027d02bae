/* Broken files, made in memory: each breaks one rule of its format and says what the message must
 * contain. */
#ifndef LOOKAT_TESTS_BAD_H
#define LOOKAT_TESTS_BAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is said where sizes have 64 bits, and where they have 32 and overflow sooner. */
#if SIZE_MAX > UINT32_MAX
#define OF_64_OR_32(wide, narrow) wide
#else
#define OF_64_OR_32(wide, narrow) narrow
#endif

struct bad_file {
    const char *name;    /* what is broken; also the file's name */
    const char *expect;  /* part of the message */
    const uint8_t *data; /* [size] */
    size_t size;
};

typedef void (*bad_fn)(const struct bad_file *file, void *ctx);

/* A byte string that grows; {0} is empty. Without memory the program ends. */
struct bytes {
    uint8_t *data;
    size_t size, room;
};

static inline void put_bytes(struct bytes *b, const void *data, size_t n) {
    if (n > b->room - b->size) {
        b->room = 2 * b->room + n + 64;
        b->data = realloc(b->data, b->room);
        if (!b->data) {
            fprintf(stderr, "no memory\n");
            abort();
        }
    }
    if (n) memcpy(b->data + b->size, data, n);
    b->size += n;
}

/* The low `size` bytes of x, little-endian, as everything below. */
static inline void put_uint(struct bytes *b, uint64_t x, size_t size) {
    for (size_t i = 0; i < size; i++) put_bytes(b, &(uint8_t){(uint8_t)(x >> 8 * i)}, 1);
}
static inline void put_u8(struct bytes *b, uint8_t x) { put_uint(b, x, 1); }
static inline void put_u16(struct bytes *b, uint16_t x) { put_uint(b, x, 2); }
static inline void put_u32(struct bytes *b, uint32_t x) { put_uint(b, x, 4); }
static inline void put_u64(struct bytes *b, uint64_t x) { put_uint(b, x, 8); }
static inline void put_f32(struct bytes *b, float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    put_u32(b, bits);
}
/* The characters of s, without its zero byte. */
static inline void put_text(struct bytes *b, const char *s) { put_bytes(b, s, strlen(s)); }
/* A string of GGUF: u64 length, then the characters. */
static inline void put_str(struct bytes *b, const char *s) {
    put_u64(b, strlen(s));
    put_text(b, s);
}
static inline void put_zeros(struct bytes *b, size_t n) {
    while (n--) put_u8(b, 0);
}
/* Zeros up to the next multiple of `align`. */
static inline void put_padding(struct bytes *b, size_t align) {
    while (b->size % align) put_u8(b, 0);
}
static inline void bytes_free(struct bytes *b) {
    free(b->data);
    *b = (struct bytes){0};
}

#endif
