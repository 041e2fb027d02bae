/* Reads the values of options that are lists, with commas in between. */
#ifndef LOOKAT_CLI_LISTS_H
#define LOOKAT_CLI_LISTS_H

#include "base/arena.h"
#include "cli/options.h"

struct number_list {
    size_t *item; /* [n] */
    size_t n;
};

/* Whole numbers from `least` to `most` between commas, of every time the option was given; of
 * `by_default` where it was not. `as` is how messages call the option. ERR_USAGE for anything
 * else. */
int numbers_read(struct number_list *to, const struct str_list *given, const char *by_default,
                 const char *as, size_t least, size_t most, struct arena *a, struct err *e);

struct word_list {
    const char **item; /* [n] */
    size_t n;
};

/* Pieces of `list`, each of the length that first(rest of the list) says, with a comma behind all
 * but the last, added to `to`. ERR_USAGE for an empty one. */
int words_add(struct word_list *to, const char *list, size_t (*first)(const char *list),
              const char *as, struct arena *a, struct err *e);

/* Is a `first` for words_add: the bytes up to the next comma. */
size_t word_first(const char *list);

#endif
