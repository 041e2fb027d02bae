/* Codebooks: what calibration learns, and LOOKAT scores with. A book is kept in a GGUF file of its
 * own or inside a model's GGUF file, under the same keys, so book_open reads either. Nothing in a
 * file is trusted. */
#ifndef LOOKAT_ATTENTION_BOOK_H
#define LOOKAT_ATTENTION_BOOK_H

#include "attention/quantiser.h"
#include "base/arena.h"
#include "base/err.h"
#include "checkpoint/gguf.h"

/* One setting, for every layer and head. Plain, as published: subspace j of a head is dimensions j
 * D/M .. (j + 1) D/M - 1 of its keys; dimension before centroid, so that a lookup table is D/M
 * passes over K consecutive numbers. Learned, of keys or values: a quantiser for each head, with M
 * codes on average. */
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

/* What a setting is of and how it came about: keys as published, keys learned, values learned;
 * keys, and values, learned with bytes given to the heads that need them. */
enum codebook_kind {
    CODEBOOK_PLAIN,
    CODEBOOK_LEARNED,
    CODEBOOK_VALUES,
    CODEBOOK_UNEVEN,
    CODEBOOK_UNEVEN_VALUES,
    CODEBOOK_KINDS
};
enum codebook_kind codebook_kind(const struct codebook *y);

/* Writes the setting as --attn asks for it, without the "KEYS/" before values, to out, cut to
 * `room`
 * - 1 bytes; returns the whole length: "lookat4:plain", "pq8:learned", "lookat:m=4,k=16,learned",
 * "lookat:bytes=4". `in_full` always writes m= or bytes=, and k=: "lookat:m=4,k=256,plain",
 * "lookat:bytes=4,k=256". */
size_t codebook_name(const struct codebook *y, bool in_full, char *out, size_t room);

/* Codes of K centroids that share a byte. */
static inline size_t codes_per_byte(size_t k) { return k == 16 ? 2 : 1; }

/* Codes of a setting's head, uneven: on average. */
static inline size_t codebook_codes(const struct codebook *y) {
    return y->uneven ? y->bytes * codes_per_byte(y->k) : y->m;
}

/* M in 1, 2, 4, 8, 16, 32, K in 4, 16, 64, 256, of three kinds; uneven: M in 1 .. 32, K in 16, 64,
 * 256, and as many bytes of a head at most */
enum {
    BOOK_BYTES = LOOKUP_MAX_M / 2,
    BOOK_EVEN = 24 * CODEBOOK_UNEVEN,
    BOOK_UNEVEN = 3 * BOOK_BYTES,
    BOOK_SETTINGS = BOOK_EVEN + 2 * BOOK_UNEVEN
};

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
    char **tried; /* [n_tried] lines for people: what calibrate --auto tried, and what of it */
    size_t n_tried;
    struct arena arena;
};

/* Reads the book in `path`. *found is false, and the book empty, where the file is a GGUF file
 * without one (which is no error). ERR_REFUSED for one that is broken: counts, shapes, sizes,
 * numbers that are not finite. */
int book_open(struct book *b, const char *path, bool *found, struct err *e);
void book_close(struct book *b);

/* ERR_REFUSED, naming both, where the book is not of the model with this fingerprint and shape. */
int book_check(const struct book *b, const char *fingerprint, size_t n_layer, size_t n_head,
               size_t head_dim, struct err *e);

/* The codebooks of a kind, of M subspaces and K centroids; NULL where there are none. */
const struct codebook *book_find(const struct book *b, size_t m, size_t k, enum codebook_kind kind);

/* Adds the book's keys to a file that is being written: a book of its own, or a model's. */
void book_add(const struct book *b, struct gguf_writer *w);
/* Writes the book as a file of its own. */
int book_write(const struct book *b, const char *path, bool force, struct err *e);

#endif
