/* A book is the set of codebooks of one model: what calibration learns, and what the codecs lookat
 * and pq work with. It has one or several settings, such as 4 codes of 256 centroids, each for all
 * layers and heads. A book is kept in a GGUF file of its own or inside the model's GGUF file, under
 * the same keys, so book_open reads either; book.c draws them. Nothing in a file is trusted. How
 * codebooks are learned is not here but in calibration/. */
#ifndef LOOKAT_ATTENTION_BOOK_H
#define LOOKAT_ATTENTION_BOOK_H

#include "attention/quantiser.h"
#include "base/arena.h"
#include "base/err.h"
#include "checkpoint/gguf.h"

/* One setting, for every layer and head. A plain one is as published: subspace j of a head is the
 * dimensions j D/M .. (j + 1) D/M - 1 of its keys. Its dimensions come before its centroids, so
 * that a lookup table is D/M passes over K consecutive numbers. A learned one, of keys or of
 * values, is a quantiser for each head. */
struct codebook {
    union {
        size_t m;     /* M, the codes of a row */
        size_t bytes; /* of an uneven setting: bytes of a row, on average over all heads */
    };
    size_t k; /* K, the centroids that a code chooses from */
    bool learned;
    bool values;                   /* of values, and learned; else of keys */
    bool uneven;                   /* learned, and each head has a number of bytes of its own */
    const uint16_t *centroids;     /* plain: [L][H][M][D/M][K] f16, finite */
    const struct quantiser *heads; /* learned: [L][H], not prepared */
};

/* What a setting is of, and how it came about. */
enum codebook_kind {
    CODEBOOK_PLAIN,         /* keys, as published */
    CODEBOOK_LEARNED,       /* keys, learned */
    CODEBOOK_VALUES,        /* values, learned */
    CODEBOOK_UNEVEN,        /* keys, learned, with bytes given to the heads that need them */
    CODEBOOK_UNEVEN_VALUES, /* values, in the same way */
    CODEBOOK_KINDS
};
enum codebook_kind codebook_kind(const struct codebook *y);

/* Writes the setting as --attn asks for it, without the "KEYS/" before values, to out, cut to
 * `room`
 * - 1 bytes; returns the whole length: "lookat4:plain", "pq8:learned", "lookat:m=4,k=16,learned",
 * "lookat:bytes=4". `in_full` always writes m= or bytes=, and k=: "lookat:m=4,k=256,plain",
 * "lookat:bytes=4,k=256". */
size_t codebook_name(const struct codebook *y, bool in_full, char *out, size_t room);

/* How many codes, of K centroids each, share a byte. */
static inline size_t codes_per_byte(size_t k) { return k == 16 ? 2 : 1; }

/* The codes of a row of a head; of an uneven setting, on average over the heads. */
static inline size_t codebook_codes(const struct codebook *y) {
    return y->uneven ? y->bytes * codes_per_byte(y->k) : y->m;
}

/* How many settings there can be. Even ones have M in 1, 2, 4, 8, 16, 32 and K in 4, 16, 64, 256,
 * and are of three kinds. Uneven ones have 1 to BOOK_BYTES bytes on average and K in 16, 64, 256,
 * and are of two kinds; no head of theirs has more than BOOK_BYTES bytes. */
enum {
    BOOK_BYTES = LOOKUP_MAX_M / 2,
    BOOK_EVEN = 24 * CODEBOOK_UNEVEN,
    BOOK_UNEVEN = 3 * BOOK_BYTES,
    BOOK_SETTINGS = BOOK_EVEN + 2 * BOOK_UNEVEN
};

/* The whole caches that a book may name (book_word.h). */
enum book_word { BOOK_RECOMMENDED, BOOK_SMALL, BOOK_WORDS };

struct book_corpus {
    const char *name; /* file name without folder */
    char sha256[65];  /* of the text's bytes */
};

struct book {
    const char *path; /* for messages */
    size_t n_layer, n_head, head_dim;
    char fingerprint[65];        /* gpt2_fingerprint of the model */
    struct book_corpus *corpora; /* [n_corpora] the texts it was calibrated on */
    size_t n_corpora;
    uint64_t tokens, samples, seed; /* tokens run, keys kept per head, seed of k-means: of the
                                       latest calibration, where it added to a book */
    struct codebook *books;         /* [n], at most BOOK_SETTINGS */
    size_t n;
    const char *words[BOOK_WORDS]; /* the specs of whole caches, or NULL */
    char **tried; /* [n_tried] lines for people: what calibrate --auto tried, and what of it */
    size_t n_tried;
    struct arena arena;
};

/* Reads the book in `path`, which book_close frees. A GGUF file without a book is no error: *found
 * is then false, and the book empty. ERR_REFUSED where the book is broken: where counts, shapes or
 * sizes do not fit, a number is not finite, or a whole cache is no spec that could be used. */
int book_open(struct book *b, const char *path, bool *found, struct err *e);
void book_close(struct book *b);

/* ERR_REFUSED, naming both, where the book is not of the model with this fingerprint and shape. */
int book_check(const struct book *b, const char *fingerprint, size_t n_layer, size_t n_head,
               size_t head_dim, struct err *e);

/* The setting of a kind with m codes a row (uneven: m bytes) of k centroids; NULL where there is
 * none. */
const struct codebook *book_find(const struct book *b, size_t m, size_t k, enum codebook_kind kind);

/* Adds the book's keys to a file that is being written, of its own or a model's. Without memory the
 * writer is marked as failed. */
void book_add(const struct book *b, struct gguf_writer *w);
/* Writes the book as a file of its own. ERR_USAGE where the file is there already, unless `force`;
 * ERR_FAILED where it cannot be written. */
int book_write(const struct book *b, const char *path, bool force, struct err *e);

#endif
