/* Python's pickles, as far as they hold tensors and dictionaries
 * (https://github.com/python/cpython/blob/main/Lib/pickletools.py describes every opcode). A pickle
 * is a program for a machine with a stack: an opcode pushes a value, or takes some and pushes what
 * they make. In Python one opcode calls any function that the pickle names, which is how a file can
 * take over a computer. Here nothing is ever called. A name is one of a short list, each of which
 * stands for what it makes of its arguments; any other is refused as it is read.
 *
 *     0x80 2 | X 5 0 0 0 h e l l o | K 3 | ... | .         an opcode is one byte, its argument
 * follows PROTO    BINUNICODE "hello"    BININT1 3  STOP
 */
#ifndef LOOKAT_CHECKPOINT_PICKLE_H
#define LOOKAT_CHECKPOINT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_LONG, /* a whole number of more than 64 bits */
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_NAME,  /* a class or function: whole is its place in the list of those that are known */
    PICKLE_TUPLE, /* lists of items */
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_STORAGE, /* the tuple that tells of one: (kind, type, key, device, count, ...) */
    PICKLE_TENSOR,  /* the tuple of its parts: (storage, offset, shape, strides, ...) */
    PICKLE_MARK     /* on the stack alone: where the items of what comes next begin */
};

/* A value. What has items is shared by all values that name it. */
struct pickle_value {
    enum pickle_kind kind;
    uint32_t n; /* TEXT, LONG: bytes */
    union {
        int64_t whole; /* BOOL, INT, NAME; of what has items its number among p->lists */
        double number; /* FLOAT */
        const char *s; /* TEXT, LONG: [n] in the pickle, not terminated */
    } is;
};

/* An item of a tuple or list, or a key of a dictionary with its value. */
struct pickle_item {
    struct pickle_value key, value;
    uint32_t next; /* among p->items; PICKLE_END: none */
};
#define PICKLE_END UINT32_MAX

struct pickle_list {
    uint32_t first, last, n; /* among p->items */
};

struct pickle {
    struct pickle_value root;  /* what it made */
    struct pickle_item *items; /* [n_items] */
    struct pickle_list *lists; /* [n_lists] */
    size_t n_items, n_lists;
    size_t end; /* bytes up to and with its last opcode */
};

/* The most that a pickle may make: a file can hold little that takes much memory, so there are
 * limits. GPT-2 XL with the state of its optimizer has 30,000 items. */
enum {
    PICKLE_MAX_ITEMS = 1 << 16,
    PICKLE_MAX_LISTS = 1 << 16,
    PICKLE_MAX_MEMO = 1 << 17,
    PICKLE_MAX_STACK = 1 << 15,
    PICKLE_MAX_RANK = 8 /* dimensions of a tensor */
};

/* Runs the pickle that begins at data; `path` is for messages, all memory comes from the arena.
 * ERR_REFUSED, with the place, for an opcode or a name that no tensor or dictionary needs, and for
 * what is broken or cut short. */
int pickle_read(struct pickle *p, const char *path, const uint8_t *data, size_t size,
                struct arena *a, struct err *e);

/* Item i of what has items: a value of kind NONE where there are not so many. */
struct pickle_value pickle_item(const struct pickle *p, struct pickle_value of, size_t i);
/* The number of its items; 0 for what has none. */
size_t pickle_count(const struct pickle *p, struct pickle_value of);
/* The first item, or PICKLE_END. */
uint32_t pickle_first(const struct pickle *p, struct pickle_value of);

/* The value under a key of a dictionary: the last one, as in Python. Kind NONE where it is no
 * dictionary or has no such key. */
struct pickle_value pickle_get(const struct pickle *p, struct pickle_value dict, const char *key);

/* The number type of a storage's elements: F32 and so on as safetensors spells it, the bytes of a
 * number and the enum dtype (-1: none of the engine's). v is a storage. */
struct pickle_type {
    const char *dtype;
    size_t bytes;
    int type;
};
const struct pickle_type *pickle_storage_type(const struct pickle *p, struct pickle_value v);

#endif
